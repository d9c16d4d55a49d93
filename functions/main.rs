//! The command line. `assay` alone serves, because that is how the Functions host starts it.
//!
//! The only place that reads the environment, writes to the terminal and ends the process. It never ends with 0 from
//! serving: the host would not start it again.

use std::{
    io::{Write, stderr, stdout},
    path::{Path, PathBuf},
    process::ExitCode,
};

#[cfg(feature = "demo")]
use assay::connectors::demo;
use assay::{
    app::App,
    assemble,
    audit::{self, Exported, Extent, replay::Outside},
    config::{self, Config, ConfigError, Part, RawConfig},
    custody::offboarding,
    host::{
        self, Limits, StartError,
        command::LocalCommand,
        log::json_lines,
        package::{Package, Zip},
        verify::Verification,
    },
    tenancy::{DeploymentScope, TenantId, keys::Owner},
    triggers::{health::doctor, sweep},
};
use clap::{Parser, Subcommand};
use tracing_subscriber::{EnvFilter, util::SubscriberInitExt as _};

/// An assessor-ready CMMC Level 2 record for each client of a Managed Service Provider, as Azure Functions.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Answer the Azure Functions host (what the host starts; on your own machine use `local`)
    Serve,
    /// Run everything on this machine: a stand-in for the Functions host, and its store
    #[command(after_help = host::local::HELP)]
    Local {
        /// Start with a make-believe MSP and two client companies
        #[arg(long)]
        demo: bool,
        /// Throw the data away and start over
        #[arg(long)]
        fresh: bool,
        /// The port people and tools use, on 127.0.0.1
        #[arg(long, default_value_t = 7071)]
        port: u16,
        /// The folder that holds everything [default: data/demo with --demo, else data/local]
        #[arg(long, value_name = "DIR")]
        data: Option<PathBuf>,
        /// An app folder with a program of its own, such as an unpacked package, in place of this program
        #[arg(long, value_name = "DIR", conflicts_with = "demo")]
        app: Option<PathBuf>,
    },
    /// Check settings and what they point to, and say what to mend
    Doctor,
    /// Check audit logs: copies offline, or with --store the store itself
    Verify {
        /// Folders from `export-audit` or unpacked from a client's audit trail; `entry-N.tlog-proof` from an entry's page with
        /// its `entry-N.json` beside it; files of an earlier release
        #[arg(required_unless_present = "store", value_name = "DIR")]
        paths: Vec<PathBuf>,
        /// The log's verifier keys, which you got another way than the folder: a key, or a file with one a line; repeat for more
        #[arg(long = "key", value_name = "KEY")]
        keys: Vec<String>,
        /// The verifier key of a witness that must have cosigned the checkpoint, or a file with one; repeat for more
        #[arg(long = "witness", value_name = "VKEY", conflicts_with = "store")]
        witnesses: Vec<String>,
        /// A checkpoint that was kept: says also what was taken off or written anew since; of a single record only whether
        /// it and that checkpoint tell two stories of as many entries
        #[arg(long, value_name = "CHECKPOINT")]
        seen: Option<PathBuf>,
        /// Check the store itself, on the machine that has it: that every audit item is in the logs, and that the records are
        /// what the logs make of them. Changes nothing
        #[arg(long, conflicts_with = "paths")]
        store: bool,
        /// With --store: the data folder, of a store that is one (then Assay must not be running); else the store of the settings
        #[arg(long, value_name = "DIR", requires = "store")]
        data: Option<PathBuf>,
    },
    /// Write the audit log of a client to a folder that can be checked offline
    ExportAudit {
        /// The data folder, of a store that is one (then Assay must not be running); else the store of the settings
        #[arg(long, value_name = "DIR")]
        data: Option<PathBuf>,
        /// The client's id, or `deployment` for the installation's own log
        #[arg(long)]
        of: String,
        /// The folder to write, which is not there yet
        #[arg(long, value_name = "DIR")]
        out: PathBuf,
        /// Add the content of the entries, not only what proves it
        #[arg(long)]
        disclose: bool,
        /// Leave out the proof file of each entry, of which there are as many as entries
        #[arg(long)]
        no_proofs: bool,
    },
    /// Write everything of a client that is being offboarded to a folder: its log with proofs, its records opened, and the
    /// bytes they were read from. The offboarding page asks afterwards where it is kept
    ExportClient {
        /// The data folder, of a store that is one (then Assay must not be running); else the store of the settings
        #[arg(long, value_name = "DIR")]
        data: Option<PathBuf>,
        /// The client's id
        #[arg(long)]
        of: TenantId,
        /// The folder to write, which is not there yet
        #[arg(long, value_name = "DIR")]
        out: PathBuf,
    },
    /// Make what is installed: the zip that Azure takes, the app folder that `func start` takes, or both
    Package {
        /// The zip; looked at before it is written, and one that is there is replaced. `infra/package` builds what it takes
        #[arg(long, value_name = "FILE", required_unless_present = "stage", requires = "zig")]
        zip: Option<PathBuf>,
        /// With --zip: the folder of the zig that linked this program, for the licences of what it linked in
        #[arg(long, value_name = "DIR", requires = "zip")]
        zig: Option<PathBuf>,
        /// With --zip: the checkout that this program was built in
        #[arg(long, value_name = "DIR", default_value = ".")]
        checkout: PathBuf,
        /// The folder: new, empty, or one that this command laid out before
        #[arg(long, value_name = "DIR")]
        stage: Option<PathBuf>,
        /// Take a program that has the demo in it: for trying on this machine, never for a real installation
        #[arg(long)]
        demo: bool,
    },
}

fn main() -> ExitCode {
    match run(Arguments::parse().command.unwrap_or(Command::Serve)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // A closed stderr is no reason to do anything else.
            let _ = writeln!(stderr(), "assay: {}", in_one_line(&*error));
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Result<(), Box<dyn std::error::Error>> {
    match command {
        Command::Serve => Err(serve()?),
        Command::Package { zip, zig, checkout, stage, demo } => {
            let zip = zip.as_deref().zip(zig.as_deref()).map(|(file, zig)| Zip { file, checkout: &checkout, zig });
            package(zip, stage.as_deref(), demo)
        }
        Command::Local { demo, fresh, port, data, app } => {
            let data = data.unwrap_or_else(|| PathBuf::from(if demo { "data/demo" } else { "data/local" }));
            local(demo, fresh, port, data, app)
        }
        Command::Doctor => doctor(),
        Command::Verify { keys, seen, store: true, data, .. } => verify_store(data.as_deref(), &keys, seen.as_deref()),
        Command::Verify { paths, keys, witnesses, seen, .. } => verify(&paths, &keys, &witnesses, seen.as_deref()),
        Command::ExportClient { data, of, out } => export_client(data.as_deref(), of, &out),
        Command::ExportAudit { data, of, out, disclose, no_proofs } => {
            export_audit(data.as_deref(), &of, &out, Extent { disclose, proofs: !no_proofs })
        }
    }
}

fn package(zip: Option<Zip<'_>>, stage: Option<&Path>, demo: bool) -> Result<(), Box<dyn std::error::Error>> {
    let executable = std::env::current_exe()?;
    if let (Some(checked), Some(zip)) = (host::package::package(Package { stage, zip, executable: &executable, demo })?, zip) {
        writeln!(stdout(), "{}: {checked}", zip.file.display())?;
    }
    Ok(())
}

/// The stand-in host and its child, until Ctrl-C.
fn local(demo: bool, fresh: bool, port: u16, data: PathBuf, app: Option<PathBuf>) -> Result<(), Box<dyn std::error::Error>> {
    let (clock, ids) = assemble::clock_and_ids();
    let command =
        LocalCommand { data, port, demo, fresh, app, executable: std::env::current_exe()?, settings: environment().0, clock, ids };
    let runtime = runtime(workers())?;
    Ok(runtime.block_on(host::command::run(command, say))?)
}

/// Settings, then everything they point to.
fn doctor() -> Result<(), Box<dyn std::error::Error>> {
    let (settings, _) = environment();
    let config = match config::check(&settings) {
        Ok(config) => config,
        Err(errors) => {
            for error in errors {
                say(&format!("BAD   {error}"));
            }
            return Err("mend these settings first; what they point to was not looked at".into());
        }
    };
    say(&format!("good  settings (from the environment; store: {})", if config.store_is_made_by_others() { "azure" } else { "local" }));
    for name in config::unknown(&settings) {
        say(&format!("      {name} is no setting of this release: it changes nothing"));
    }
    if !assemble::is_there(&config) {
        say(&format!("      there is no data yet ({}); the first start makes it", config.setting_of(Part::Documents)));
        return Ok(());
    }
    let runtime = runtime(1)?;
    let app = assemble::app(config)?;
    let findings = runtime.block_on(doctor::examine(&app));
    for finding in &findings {
        say(&finding.to_string());
        if let Some(cause) = finding.outcome.as_ref().err().and_then(std::error::Error::source) {
            say(&format!("      {}", in_one_line(cause)));
        }
    }
    match findings.iter().filter(|finding| finding.outcome.is_err()).count() {
        0 => Ok(()),
        _ if findings.len() == 1 => Err("without an identity nothing else could be looked at".into()),
        bad => Err(format!("{bad} of {} are not as they should be", findings.len()).into()),
    }
}

fn verify(paths: &[PathBuf], keys: &[String], witnesses: &[String], seen: Option<&Path>) -> Result<(), Box<dyn std::error::Error>> {
    Ok(host::verify::run(&Verification { paths, keys, witnesses, seen }, say)?)
}

fn verify_store(data: Option<&Path>, keys: &[String], seen: Option<&Path>) -> Result<(), Box<dyn std::error::Error>> {
    let mut known = Vec::new();
    for key in keys {
        known.extend(host::verify::verifier_keys(key, &[])?);
    }
    let seen = seen.map(|path| std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()))).transpose()?;
    let (app, runtime) = app_of(data)?;
    let outside = Outside { keys: &known, seen: seen.as_deref() };
    Ok(runtime.block_on(Box::pin(host::verify_store::run(&app, outside, say)))?)
}

/// The app over the store in this folder, or over that of the settings.
fn app_of(data: Option<&Path>) -> Result<(App, tokio::runtime::Runtime), Box<dyn std::error::Error>> {
    let mut settings = environment().0;
    if let Some(data) = data {
        settings.insert("ASSAY_STORE".into(), "local".into());
        settings.insert("ASSAY_DATA".into(), data.display().to_string());
    }
    let config = config::check(&settings).map_err(StartError::from)?;
    if !assemble::is_there(&config) {
        return Err("there is no Assay data there; name with --data the folder that Assay was started with".into());
    }
    Ok((assemble::app(config)?, tokio::runtime::Builder::new_current_thread().enable_all().build()?))
}

fn export_audit(data: Option<&Path>, of: &str, out: &Path, extent: Extent) -> Result<(), Box<dyn std::error::Error>> {
    let owner = match of {
        "deployment" => Owner::Deployment,
        client => Owner::Tenant(
            client.parse().map_err(|_| "--of takes a client's id (32 hex digits, in the address of its page) or `deployment`")?,
        ),
    };
    let (app, runtime) = app_of(data)?;
    let exported = runtime.block_on(async {
        let places = sweep::every_place(&app, &DeploymentScope::of_function("export-audit", "export-audit")).await?;
        Box::pin(audit::export(&app, owner, places, out, extent)).await.map_err(Box::<dyn std::error::Error>::from)
    })?;
    let Exported { checkpoint, keys } = exported;
    say(&format!("{} entries, root {}", checkpoint.size, checkpoint.root));
    say("Give these keys to the auditor another way than the folder, and let them compare the fingerprints by telephone:");
    for key in [&keys.ed25519].into_iter().chain(&keys.p256) {
        say(&format!("{key}\n  fingerprint {}", key.fingerprint()));
    }
    say(&format!("They check it with: assay verify {} --key FILE-WITH-THE-KEYS", out.display()));
    Ok(())
}

fn export_client(data: Option<&Path>, of: TenantId, out: &Path) -> Result<(), Box<dyn std::error::Error>> {
    let (app, runtime) = app_of(data)?;
    let export = runtime.block_on(async { Box::pin(offboarding::export::to_folder(&app, of, out)).await })?;
    say(&format!("{} files, {} entries of the log, root {}", export.files, export.entries, export.root));
    if export.unreadable > 0 {
        say(&format!("{} did not open and are not in it: NOT-EXPORTED.txt names them", export.unreadable));
    }
    say(&format!(
        "Keep the folder, which nobody can write again once the keys are destroyed; check a copy of it with: cd {} && sha256sum --check MANIFEST.sha256",
        out.display()
    ));
    say(&format!(
        "Then say on the client's offboarding page where it is kept. It asks for the SHA-256 of MANIFEST.sha256: {}",
        export.manifest
    ));
    Ok(())
}

fn say(words: &str) {
    // A closed stdout is no reason to end.
    let _ = writeln!(stdout(), "{words}");
}

/// Returns why serving ended, or why it could not begin.
fn serve() -> Result<Box<dyn std::error::Error>, Box<dyn std::error::Error>> {
    let (settings, port) = environment();
    write_json_lines(&settings);
    let port =
        port.ok_or("FUNCTIONS_CUSTOMHANDLER_PORT is not a port; the Functions host sets it. On your own machine run `assay local`")?;
    let checked = config::check(&settings);
    let limits = checked.as_ref().map(Limits::from).unwrap_or_default();
    let build = move || open(checked.clone());
    let runtime = runtime(workers())?;
    Ok(runtime.block_on(host::serve(port, limits, build)).into())
}

fn runtime(threads: usize) -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread().worker_threads(threads).thread_stack_size(STACK).enable_all().build()
}

/// Of each of its threads, in bytes of address space. A page is many calls deep, and an unoptimized build needs more than the 2 MB that
/// are usual.
const STACK: usize = 8 << 20;

/// Threads that answer the host: one core is left to the store's writer. On two cores a second one would only have the
/// two hand each call to and fro (measured with `cargo bench`: accepting a webhook for one client).
fn workers() -> usize {
    std::thread::available_parallelism().map_or(1, |cores| cores.get().saturating_sub(1).max(1))
}

/// Opens the stores, off the threads that answer the host.
async fn open(checked: Result<Config, Vec<ConfigError>>) -> Result<App, StartError> {
    let config = checked?;
    let opened = tokio::task::spawn_blocking(|| {
        assemble::app(config).map_err(|error| {
            tracing::error!(error = in_one_line(&error), "the App cannot be built");
            StartError { reasons: vec![error.reason()], may_pass: error.may_pass() }
        })
    });
    // A panic in there is a panic here, and `host::start` makes a reason of it.
    let app = opened.await.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))?;
    #[cfg(feature = "demo")]
    if app.config.is_demo() {
        demo::seed(&app).await.map_err(|error| {
            tracing::error!(error = in_one_line(&error), "the demo cannot be seeded");
            let reason = ConfigError { setting: "ASSAY_SIGN_IN", problem: "the demo cannot be seeded; the log has the reason".into() };
            StartError { reasons: vec![reason], may_pass: error.is_transient() }
        })?;
    }
    Ok(app)
}

/// Our settings, and the port that the host chose.
fn environment() -> (RawConfig, Option<u16>) {
    let text = std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    // The host's own account is looked at too: messages must go where the host listens.
    let ours = |name: &str| name.starts_with("ASSAY_") || name.starts_with("AzureWebJobsStorage__");
    let (settings, others): (RawConfig, RawConfig) = text.partition(|(name, _)| ours(name));
    let port = others.get("FUNCTIONS_CUSTOMHANDLER_PORT").and_then(|p| p.parse().ok());
    (settings, port)
}

/// Log lines are JSON on stdout; the host copies them as they are. A panic's own words may hold content: only its place is written.
fn write_json_lines(settings: &RawConfig) {
    let wanted = settings.get("ASSAY_LOG").map_or("info", String::as_str);
    let filter = EnvFilter::try_new(wanted);
    let unreadable = filter.is_err();
    json_lines(filter.unwrap_or_else(|_| EnvFilter::new("info")), stdout).init();
    if unreadable {
        tracing::warn!(setting = "ASSAY_LOG", "not readable; info is taken");
    }
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string);
        tracing::error!(place, "panic");
    }));
}

fn in_one_line(error: &dyn std::error::Error) -> String {
    std::iter::successors(Some(error), |e| e.source()).map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
