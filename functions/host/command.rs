//! `assay local`: lays out the app folder in the data folder, runs the stand-in host on it, and with `--demo` brings
//! make-believe clients to life.
//!
//! The handler is this same program as its child, or with `--app` the one of an unpacked package; nothing is shared with it but the app folder and loopback. Words for
//! the terminal go through `say`, so that `main` stays the only place that prints.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

#[cfg(feature = "demo")]
use super::demo;
use super::{
    local::{
        self, Host, LocalError,
        child::{self, HandlerLog},
    },
    package::{self, PackageError},
};
use crate::platform::ports::{Clock, Ids};

pub struct LocalCommand {
    pub data: PathBuf,
    pub port: u16,
    pub demo: bool,
    /// Throw the data away first.
    pub fresh: bool,
    /// An app folder that is there, with its own program; else one is laid out in the data folder.
    pub app: Option<PathBuf>,
    /// The program that the handler is where one is laid out: this one.
    pub executable: PathBuf,
    /// Settings of the environment, handed on to the handler.
    pub settings: BTreeMap<String, String>,
    pub clock: Arc<dyn Clock>,
    pub ids: Arc<dyn Ids>,
}

#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    #[error(transparent)]
    Local(#[from] LocalError),
    #[error(transparent)]
    Package(#[from] PackageError),
    #[error("the folder {} holds other things and is not one of Assay's; choose an empty or a new one with --data", .0.display())]
    NotOurs(PathBuf),
    #[error("the data folder {} cannot be emptied", folder.display())]
    Empty { folder: PathBuf, source: io::Error },
    #[error("the data folder {} cannot be made or looked into", folder.display())]
    Folder { folder: PathBuf, source: io::Error },
    #[cfg(feature = "demo")]
    #[error("the demo could not be brought to life")]
    Demo(#[from] demo::DemoError),
    #[error("this build has no demo; run `assay local` without --demo")]
    NoDemo,
}

/// Runs until Ctrl-C, or until the terminal closes.
pub async fn run(command: LocalCommand, say: impl Fn(&str) + Send + Sync) -> Result<(), CommandError> {
    if command.demo && !cfg!(feature = "demo") {
        return Err(CommandError::NoDemo);
    }
    if is_in_use(&command.data)? && command.fresh {
        empty(&command.data)?;
        say(&format!("The data in {} is thrown away.", command.data.display()));
    }
    #[cfg(feature = "demo")]
    let has_asked = demo::has_asked(&command.data);
    fs::create_dir_all(&command.data).map_err(|source| CommandError::Folder { folder: command.data.clone(), source })?;
    let lock = local::lock(&command.data)?;
    let app_folder = if let Some(there) = command.app {
        there
    } else {
        let folder = command.data.join("app");
        package::stage(&folder, &command.executable)?;
        folder
    };
    let handler_log = command.data.join("handler.log");
    let options = local::Options {
        port: command.port,
        app_folder,
        settings: command.settings,
        handler_log: HandlerLog::File(handler_log.clone()),
        clock: command.clock.clone(),
        ids: command.ids,
        faults: local::faults::Faults::default(),
        lock: Some(lock),
        data: command.data.clone(),
    };
    #[cfg(feature = "demo")]
    let options = if command.demo { demo::prepare(options, command.clock.clone()).await? } else { options };
    let can_sign_in = options.settings.get("ASSAY_SIGN_IN").is_some_and(|way| matches!(way.as_str(), "demo" | "entra"));
    let asked_to_end = local::asked_to_end();
    let host = Host::start(options).await?;
    say(&format!("Assay runs on {}; its data is in {}, its log in {}", host.address, command.data.display(), handler_log.display()));
    let life = async {
        #[cfg(feature = "demo")]
        if command.demo {
            demo::bring_to_life(&host.address, command.clock.as_ref(), &say).await?;
        }
        let problems = local::look::problems(&host.address).await;
        if !problems.is_empty() {
            say("It cannot work like this yet; mend what follows, then run it again:");
            for problem in &problems {
                say(&format!("  {problem}"));
            }
        } else if can_sign_in {
            say(&format!("Dashboard:      {}/api/portal/clients", host.address));
        } else {
            say("Nobody can sign in: webhooks are taken in, but the pages need ASSAY_SIGN_IN (or --demo).");
        }
        #[cfg(feature = "demo")]
        if command.demo {
            let first = if has_asked {
                format!("Approvals:      {}/api/portal/inbox", host.address)
            } else {
                demo::first_approval(&host.address, &command.data).await
            };
            say(&first);
        }
        say("Ctrl-C ends it.");
        std::future::pending::<Result<(), CommandError>>().await
    };
    let result = tokio::select! {
        () = asked_to_end => Ok(()),
        why = host.worker.stopped() => Err(LocalError::Stopped(why).into()),
        failed = life => failed,
    };
    host.stop().await;
    if result.is_ok() {
        say("Ended. The data stays; run the same command to go on.");
    }
    result
}

/// What a run leaves: this command, or a handler that somebody ran without it.
const LEFT: [&str; 2] = ["host.lock", "documents.redb"];
/// Where somebody may have put secrets before the first start.
const SECRETS: &str = "vault/secrets";

/// Whether an earlier run left something in the folder. What else lies there is refused: nobody's other files come to lie
/// among ours, where --fresh would take them along.
fn is_in_use(data: &Path) -> Result<bool, CommandError> {
    let failed = |source| CommandError::Folder { folder: data.to_owned(), source };
    if !data.exists() || fs::read_dir(data).map_err(failed)?.next().is_none() {
        return Ok(false);
    }
    let is_left = LEFT.iter().any(|left| data.join(left).exists());
    if is_left || data.join(SECRETS).is_dir() { Ok(is_left) } else { Err(CommandError::NotOurs(data.to_owned())) }
}

fn empty(data: &Path) -> Result<(), CommandError> {
    let failed = |source| CommandError::Empty { folder: data.to_owned(), source };
    let _lock = local::lock(data)?;
    // With the folder would go the note of what still runs.
    child::end_leftover(&data.join(local::PID_FILE));
    fs::remove_dir_all(data).map_err(failed)
}
