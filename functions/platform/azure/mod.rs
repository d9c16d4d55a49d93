//! Azure behind the ports: Cosmos DB, Storage queues and blobs, Key Vault, by the official SDKs.
//!
//! Building it makes no call and fetches no token, so that the handler is ready at once; what is wrong with a resource is
//! found by its first call (or by `assay doctor`) and told by the setting that names it. Nothing is created in Azure: a
//! container, queue or key that is missing is reported. Every call has a deadline and few, short retries: waiting longer
//! is the queue's business, which delivers again.

mod blobs;
pub mod call;
mod cosmos;
pub mod credential;
mod documents;
mod growing;
mod queue;
mod settings;
mod storage;
mod transport;
mod vault;

use std::sync::Arc;

use azure_core::http::Transport;
use azure_data_cosmos::CosmosRuntime;

pub use self::{
    blobs::AzureBlobs,
    cosmos::{Cosmos, DATA_ACTIONS, PARTITION_KEY_PATH},
    credential::Credential,
    documents::CosmosDocuments,
    queue::AzureQueue,
    settings::{AzureSettings, CredentialKind},
    transport::transport,
    vault::KeyVault,
};
use super::ports::{Ids, PortError};

/// Every adapter of one installation, on one credential.
pub struct AzureStore {
    /// For what its calls cost.
    pub cosmos: Arc<Cosmos>,
    pub documents: Arc<CosmosDocuments>,
    pub queue: Arc<AzureQueue>,
    pub blobs: Arc<AzureBlobs>,
    pub vault: Arc<KeyVault>,
}

/// What lies below the SDKs.
#[derive(Default)]
pub struct Below {
    /// The credential's too.
    pub transport: Option<Transport>,
    /// The tests' way in; not set in a running installation.
    pub runtime: Option<CosmosRuntime>,
}

impl AzureStore {
    /// Calls nothing.
    pub fn new(settings: &AzureSettings, credential: &Arc<Credential>, ids: Arc<dyn Ids>, below: Below) -> Result<Self, PortError> {
        let transport = Some(&below.transport.unwrap_or_else(transport));
        let cosmos = Arc::new(Cosmos::new(settings, credential.clone(), below.runtime));
        Ok(Self {
            documents: Arc::new(CosmosDocuments::new(cosmos.clone(), ids)),
            cosmos,
            queue: Arc::new(AzureQueue::new(settings, credential.clone(), transport)?),
            blobs: Arc::new(AzureBlobs::new(settings, credential.clone(), transport)?),
            vault: Arc::new(KeyVault::new(settings, credential.clone(), transport)?),
        })
    }
}
