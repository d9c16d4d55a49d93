//! Builds [`App`] from local parts (and, next, from Azure parts). The only file that names an adapter.
//!
//! Blocking, and it may fail: the handler listens first, calls this off its async threads, and reports a failure on
//! health instead of ending (design I14).

use std::{path::Path, sync::Arc};

use crate::{
    app::App,
    config::{Config, StoreKind},
    platform::local::{HttpClient, LocalStore, OpenError, ProcessIds, QueueClient, SystemClock},
};

#[derive(Debug, thiserror::Error)]
pub enum AssembleError {
    #[error(transparent)]
    Store(#[from] OpenError),
}

/// The App that the configuration describes.
pub fn app(config: Config) -> Result<App, AssembleError> {
    let StoreKind::Local { data, queue_url, queue_token } = &config.store;
    let store = LocalStore::open(Path::new(data))?;
    let queue = QueueClient::new(queue_url.clone(), queue_token.clone());
    let http = HttpClient::new(config.demo_vendor.clone());
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
