//! `assay local`: lays out the app folder in the data folder, runs the stand-in host on it, and with `--demo` brings
//! make-believe clients to life.
//!
//! The handler is this same program as its child; nothing is shared with it but the app folder and loopback. Words for
//! the terminal go through `say`, so that `main` stays the only place that prints.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{
    local::{self, Host, LocalError, child::HandlerLog},
    package::{self, PackageError},
};
use crate::platform::ports::{Clock, Ids};

pub struct LocalCommand {
    pub data: PathBuf,
    pub port: u16,
    pub demo: bool,
    /// Throw the data away first.
    pub fresh: bool,
    /// The program that the handler is: this one.
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
    #[error("the folder {} is not one of Assay's, so --fresh leaves it alone; choose another with --data", .0.display())]
    NotOurs(PathBuf),
    #[error("the data folder {} cannot be emptied", folder.display())]
    Empty { folder: PathBuf, source: io::Error },
    #[cfg(feature = "demo")]
    #[error("the demo could not be brought to life")]
    Demo(#[from] super::demo::DemoError),
    #[cfg(not(feature = "demo"))]
    #[error("this build has no demo; run `assay local` without --demo")]
    NoDemo,
}

/// Runs until Ctrl-C.
pub async fn run(command: LocalCommand, say: impl Fn(&str) + Send + Sync) -> Result<(), CommandError> {
    if command.fresh {
        empty(&command.data)?;
    }
    fs::create_dir_all(&command.data).map_err(|source| CommandError::Empty { folder: command.data.clone(), source })?;
    let app_folder = command.data.join("app");
    let lock = local::lock(&command.data)?;
    package::stage(&app_folder, &command.executable)?;
    let handler_log = command.data.join("handler.log");
    let mut options = local::Options {
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
    if command.demo {
        demo_settings(&mut options, &command.clock).await?;
    }
    let host = Host::start(options).await?;
    say(&format!("Assay runs on {}; its data is in {}, its log in {}", host.address, command.data.display(), handler_log.display()));
    let life = async {
        if command.demo {
            bring_to_life(&host, &command.data, command.clock.as_ref(), &say).await?;
        } else {
            say(&format!("Dashboard: {}/api/portal/clients", host.address));
        }
        say("Ctrl-C ends it.");
        std::future::pending::<Result<(), CommandError>>().await
    };
    let result = tokio::select! {
        _ = tokio::signal::ctrl_c() => Ok(()),
        why = host.worker.stopped() => Err(LocalError::Stopped(why).into()),
        failed = life => failed,
    };
    host.stop().await;
    if result.is_ok() {
        say("Ended. The data stays; run the same command to go on.");
    }
    result
}

/// Empties a folder that an earlier run made, and no other.
fn empty(data: &Path) -> Result<(), CommandError> {
    let failed = |source| CommandError::Empty { folder: data.to_owned(), source };
    if !data.exists() || fs::read_dir(data).map_err(failed)?.next().is_none() {
        return Ok(());
    }
    if !data.join("host.lock").is_file() {
        return Err(CommandError::NotOurs(data.to_owned()));
    }
    let _lock = local::lock(data)?;
    fs::remove_dir_all(data).map_err(failed)
}

#[cfg(not(feature = "demo"))]
async fn demo_settings(_options: &mut local::Options, _clock: &Arc<dyn Clock>) -> Result<(), CommandError> {
    Err(CommandError::NoDemo)
}

#[cfg(not(feature = "demo"))]
async fn bring_to_life(_host: &Host, _data: &Path, _clock: &dyn Clock, _say: &(impl Fn(&str) + Sync)) -> Result<(), CommandError> {
    Err(CommandError::NoDemo)
}

#[cfg(feature = "demo")]
async fn demo_settings(options: &mut local::Options, clock: &Arc<dyn Clock>) -> Result<(), CommandError> {
    let vendor = super::demo::serve_vendor(clock.clone()).await?;
    options.settings.insert("ASSAY_SIGN_IN".into(), "demo".into());
    options.settings.insert("ASSAY_DEMO_VENDOR_URL".into(), format!("http://{vendor}"));
    Ok(())
}

#[cfg(feature = "demo")]
async fn bring_to_life(host: &Host, data: &Path, clock: &dyn Clock, say: &(impl Fn(&str) + Sync)) -> Result<(), CommandError> {
    use super::demo;
    say(
        "Demo: a make-believe MSP, Northgate IT, with two clients. Anyone on this computer can act as anyone; never use it with real data.",
    );
    demo::wait_until_ready(&host.address).await?;
    let events = demo::post_events(&host.address, clock).await?;
    say(&format!("{events} events of ConnectWise and Autotask came in through the webhook route; two inventories are being read ..."));
    let link = demo::first_link(&data.join("mailbox"), &format!("{}/api/portal/proposals/", host.address)).await;
    say(&format!("Dashboard:      {}/api/portal/clients", host.address));
    match link {
        Some(link) => say(&format!("First approval: {link}")),
        None => say("No proposal waits: all that the demo raises is decided. --fresh starts over."),
    }
    Ok(())
}
