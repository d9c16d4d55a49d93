//! What the Azure adapters need to know, already checked by `config`.

use url::Url;

use crate::platform::cloud::CloudProfile;

#[derive(Clone, Debug)]
pub struct AzureSettings {
    pub cloud: CloudProfile,
    pub credential: CredentialKind,
    pub cosmos: Url,
    pub database: String,
    pub queues: Url,
    pub blobs: Url,
    /// The key URI of the deployment's own key.
    pub deployment_key: Url,
}

/// As whom Assay acts. Chosen, never guessed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CredentialKind {
    ManagedIdentity {
        client_id: String,
    },
    /// `None`: what the platform set.
    WorkloadIdentity {
        client_id: Option<String>,
    },
    /// Azure CLI, then Azure Developer CLI.
    Developer,
}
