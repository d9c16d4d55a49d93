//! The command line. `assay` alone serves, because that is how the Functions host starts it.
//!
//! The only place that reads the environment, writes to the terminal and ends the process. It never ends with 0 from
//! serving: the host would not start it again.

use std::{
    future::ready,
    io::{Write, stderr},
    path::PathBuf,
    process::ExitCode,
};

use assay::{
    config::{self, RawConfig},
    host::{self, Limits, StartError},
};
use clap::{Parser, Subcommand};
use tracing_subscriber::EnvFilter;

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
    Local,
    /// Check settings and what they point to, and say what to mend
    Doctor,
    /// Check an audit export offline
    Verify,
    /// Write the audit log of a client to a file that can be checked offline
    ExportAudit,
    /// Lay out the app folder that the Functions host reads
    Package {
        /// The folder: new, empty, or one that this command laid out before
        #[arg(long, value_name = "DIR")]
        stage: PathBuf,
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
        Command::Package { stage } => Ok(host::package::stage(&stage, &std::env::current_exe()?)?),
        Command::Local | Command::Doctor | Command::Verify | Command::ExportAudit => Err("not built yet".into()),
    }
}

/// Returns why serving ended, or why it could not begin.
fn serve() -> Result<Box<dyn std::error::Error>, Box<dyn std::error::Error>> {
    let (settings, port) = environment();
    write_json_lines(&settings);
    let port =
        port.ok_or("FUNCTIONS_CUSTOMHANDLER_PORT is not a port; the Functions host sets it. On your own machine run `assay local`")?;
    let checked = config::check(&settings);
    let limits = checked.as_ref().map(Limits::from).unwrap_or_default();
    let build = move || {
        ready(match &checked {
            Err(reasons) => Err(StartError::from(reasons.clone())),
            Ok(_config) => Err(StartError::from(vec![config::ConfigError {
                setting: "ASSAY_STORE",
                problem: "this build does not open a store yet".into(),
            }])),
        })
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    Ok(runtime.block_on(host::serve(port, limits, build)).into())
}

/// Our settings, and the port that the host chose.
fn environment() -> (RawConfig, Option<u16>) {
    let text = std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    let (settings, others): (RawConfig, RawConfig) = text.partition(|(name, _)| name.starts_with("ASSAY_"));
    let port = others.get("FUNCTIONS_CUSTOMHANDLER_PORT").and_then(|p| p.parse().ok());
    (settings, port)
}

/// Log lines are JSON on stdout; the host copies them as they are. A panic's own words may hold content: only its place is written.
fn write_json_lines(settings: &RawConfig) {
    let wanted = settings.get("ASSAY_LOG").map_or("info", String::as_str);
    let filter = EnvFilter::try_new(wanted);
    let unreadable = filter.is_err();
    tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_current_span(true)
        .with_span_list(false)
        .with_env_filter(filter.unwrap_or_else(|_| EnvFilter::new("info")))
        .init();
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
