//! Azure behind the ports: Cosmos DB, Storage queues and blobs, Key Vault, by the official SDKs.
//!
//! Building it makes no call and fetches no token, so that the handler is ready at once; what is wrong with a resource is
//! found by its first call (or by `assay doctor`) and told by the setting that names it. Nothing is created in Azure: a
//! container, queue or key that is missing is reported. Every call has a deadline and few, short retries: waiting longer
//! is the queue's business, which delivers again.

mod blobs;
pub mod call;
pub mod credential;
mod queue;
mod settings;
mod storage;

pub use self::{
    blobs::AzureBlobs,
    credential::Credential,
    queue::AzureQueue,
    settings::{AzureSettings, CredentialKind},
};
