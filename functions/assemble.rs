//! Builds [`App`] from Azure parts or from local parts. The only file that names an adapter.
//!
//! Azure parts are built without a call; local ones open their files. Blocking, and it may fail: the handler listens first, calls this off its async threads, and reports a failure on
//! health instead of ending (design I14).

use std::{path::Path, sync::Arc};

use crate::{
    app::App,
    config::{Config, ConfigError, StoreKind},
    platform::{
        append_only::AppendOnly,
        azure::{self, AzureStore, Below, Credential},
        local::{LocalStore, NoIdentity, OpenError, QueueClient},
        ports::{Clock, Ids, PortError},
        process::{HttpClient, ProcessIds, SystemClock},
    },
};

#[derive(Debug, thiserror::Error)]
pub enum AssembleError {
    #[error(transparent)]
    Store(#[from] OpenError),
    #[error("the credential cannot be made")]
    Credential(#[source] Box<dyn std::error::Error + Send + Sync>),
    #[error("a client for Azure cannot be made")]
    Client(#[from] PortError),
}

impl AssembleError {
    /// For health, which anybody may read: the setting to mend and what is wrong with it, without its value.
    pub fn reason(&self) -> ConfigError {
        let error = match self {
            Self::Store(error) => error,
            Self::Credential(_) => {
                let problem = "this kind of credential is not to be had here; the log has the reason";
                return ConfigError { setting: "ASSAY_CREDENTIAL", problem: problem.into() };
            }
            // It names the setting itself.
            Self::Client(error) => return ConfigError { setting: "ASSAY_STORE", problem: error.to_string() },
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
    let clock = Arc::new(SystemClock);
    let ids = Arc::new(ProcessIds::new(clock.clone()));
    let chosen =
        config.entra().map(|entra| entra.authority.clone()).into_iter().chain(config.witness.as_ref().map(|witness| witness.url.clone()));
    let http = Arc::new(HttpClient::new(config.demo_vendor.clone()).trusting(chosen));
    let (cache, memory) = Default::default();
    Ok(match &config.store {
        StoreKind::Local { data, queue_url, queue_token } => {
            let LocalStore { documents, blobs, vault } = LocalStore::open(Path::new(data), clock.clone())?;
            let queue = Arc::new(QueueClient::new(queue_url.clone(), queue_token.clone()));
            App {
                documents: AppendOnly::over(documents),
                blobs,
                vault,
                queue,
                clock,
                ids,
                http,
                identity: Arc::new(NoIdentity),
                cache,
                memory,
                config: Arc::new(config),
            }
        }
        StoreKind::Azure(settings) => {
            let transport = azure::transport();
            let credential = Credential::new(settings, &transport).map_err(|error| AssembleError::Credential(error.into()))?;
            let below = Below { transport: Some(transport), runtime: None };
            let AzureStore { documents, queue, blobs, vault, .. } = AzureStore::new(settings, &credential, ids.clone(), below)?;
            let documents = AppendOnly::over(documents);
            App { documents, blobs, vault, queue, clock, ids, http, identity: credential, cache, memory, config: Arc::new(config) }
        }
    })
}
