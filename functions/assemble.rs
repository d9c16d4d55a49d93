//! Builds [`App`] from local parts (and, next, from Azure parts). The only file that names an adapter.
//!
//! Blocking, and it may fail: the handler listens first, calls this off its async threads, and reports a failure on
//! health instead of ending (design I14).

use std::{path::Path, sync::Arc};

use crate::{
    app::App,
    config::{Config, ConfigError, StoreKind},
    platform::{
        local::{LocalStore, OpenError, QueueClient},
        ports::{Clock, Ids},
        process::{HttpClient, ProcessIds, SystemClock},
    },
};

#[derive(Debug, thiserror::Error)]
pub enum AssembleError {
    #[error(transparent)]
    Store(#[from] OpenError),
    #[error("the Azure store is not built yet")]
    NotYet,
}

impl AssembleError {
    /// For health, which anybody may read: the setting to mend and what is wrong with it, without its value.
    pub fn reason(&self) -> ConfigError {
        let Self::Store(error) = self else {
            return ConfigError { setting: "ASSAY_STORE", problem: "azure is not built yet; set it to local".into() };
        };
        let problem = match error {
            OpenError::InUse(_) => "the data folder is in use by another Assay process",
            OpenError::NewerRelease { .. } => "the store was written by a newer release; install that one or a newer one",
            OpenError::Denied { .. } => "the data folder cannot be written by this account",
            OpenError::Full { .. } => "there is no space left for the data folder",
            OpenError::Damaged { .. } => "the store is damaged; put a backup of the whole folder in its place",
            OpenError::Io { .. } => "the data folder cannot be opened; the log has the reason",
        };
        ConfigError { setting: "ASSAY_DATA", problem: problem.into() }
    }

    /// Whether a later try may succeed without a new process: after a slow stop of the host, the handler before us
    /// may still hold the store for a while.
    pub fn may_pass(&self) -> bool {
        matches!(self, Self::Store(OpenError::InUse(_) | OpenError::Full { .. } | OpenError::Io { .. }))
    }
}

/// The machine's clock, and ids of this process, for what is not an `App`: the stand-in host.
pub fn clock_and_ids() -> (Arc<dyn Clock>, Arc<dyn Ids>) {
    let clock = Arc::new(SystemClock);
    (clock.clone(), Arc::new(ProcessIds::new(clock)))
}

/// Whether the store that the configuration names is there; looking makes nothing.
pub fn is_there(config: &Config) -> bool {
    match &config.store {
        StoreKind::Local { data, .. } => LocalStore::is_in(data),
        StoreKind::Azure(_) => true,
    }
}

/// The App that the configuration describes.
pub fn app(config: Config) -> Result<App, AssembleError> {
    let StoreKind::Local { data, queue_url, queue_token } = &config.store else { return Err(AssembleError::NotYet) };
    let store = LocalStore::open(Path::new(data))?;
    let queue = QueueClient::new(queue_url.clone(), queue_token.clone());
    let http = HttpClient::new(config.demo_vendor.clone()).trusting(config.entra().map(|entra| entra.authority.clone()));
    let clock = Arc::new(SystemClock);
    Ok(App {
        documents: store.documents,
        blobs: store.blobs,
        vault: store.vault,
        queue: Arc::new(queue),
        ids: Arc::new(ProcessIds::new(clock.clone())),
        clock,
        http: Arc::new(http),
        cache: Arc::default(),
        config: Arc::new(config),
    })
}
