//! The one credential: made once, shared by every client, its tokens cached by the SDK.
//!
//! Making it calls nothing. Each service's SDK asks for the public cloud's audience; here it becomes the one of the cloud
//! that was configured. A token endpoint that does not answer is given up soon, so that an invocation fails by itself.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use azure_core::{
    credentials::{AccessToken, TokenCredential, TokenRequestOptions},
    error::ErrorKind,
    http::Transport,
};
use azure_identity::{
    DeveloperToolsCredential, ManagedIdentityCredential, ManagedIdentityCredentialOptions, UserAssignedId, WorkloadIdentityCredential,
    WorkloadIdentityCredentialOptions,
};

use zeroize::Zeroizing;

use super::{AzureSettings, CredentialKind, call};
use crate::platform::ports::{Identity, PortError};

/// A managed identity's endpoint answers within moments or not at all.
const TOKEN_DEADLINE: Duration = Duration::from_secs(10);

const NO_TOKEN: &str = "see that ASSAY_CREDENTIAL says as whom Assay runs here, that ASSAY_IDENTITY is the client id of that identity, and that it is assigned to this app";

const NOT_SIGNED_IN: &str = "install the Azure CLI and sign in (az login), or azd, as somebody who has the roles that the guide names";

/// What the SDKs of Storage and Cosmos DB ask for, whatever the cloud.
const STORAGE: &str = "https://storage.azure.com/.default";
const COSMOS: &str = "https://cosmos.azure.com/.default";

/// Of Azure Communication Services in the public cloud, the only one whose hosts the settings take.
const MAIL: &str = "https://communication.azure.com/.default";

/// The application id of the Marketplace's metering service, in the public cloud, the only one that has it.
const METERING: &str = "20e940b3-4c77-4b0b-9a53-9e16a1b010a7/.default";

#[derive(Debug)]
pub struct Credential {
    source: Arc<dyn TokenCredential>,
    /// What to do where it has no token.
    no_token: &'static str,
    storage: String,
    cosmos: String,
    exchange: String,
}

impl Credential {
    /// The credential that the settings name; calls nothing.
    pub fn new(settings: &AzureSettings, transport: &Transport) -> azure_core::Result<Arc<Self>> {
        let client_options = call::options(Some(transport));
        let source: Arc<dyn TokenCredential> = match &settings.credential {
            CredentialKind::ManagedIdentity { client_id } => ManagedIdentityCredential::new(Some(ManagedIdentityCredentialOptions {
                user_assigned_id: Some(UserAssignedId::ClientId(client_id.clone())),
                client_options,
            }))?,
            CredentialKind::WorkloadIdentity { client_id } => {
                let mut options = WorkloadIdentityCredentialOptions { client_id: client_id.clone(), ..Default::default() };
                options.credential_options.client_options = client_options;
                let authority = settings.cloud.authority.as_str().trim_end_matches('/').to_owned();
                let mut custom = azure_core::cloud::CustomConfiguration::default();
                custom.authority_host = authority;
                options.credential_options.client_options.cloud = Some(Arc::new(custom.into()));
                WorkloadIdentityCredential::new(Some(options))?
            }
            CredentialKind::Developer => DeveloperToolsCredential::new(None)?,
        };
        Ok(Self::of(source, settings))
    }

    /// Any source of tokens, with the audiences of the configured cloud.
    pub fn of(source: Arc<dyn TokenCredential>, settings: &AzureSettings) -> Arc<Self> {
        let scope = |audience: &str| format!("{}/.default", audience.trim_end_matches('/'));
        let account = settings.cosmos.origin().ascii_serialization();
        let no_token = if matches!(settings.credential, CredentialKind::Developer) { NOT_SIGNED_IN } else { NO_TOKEN };
        Arc::new(Self {
            source,
            no_token,
            storage: scope(&settings.cloud.storage_audience),
            exchange: scope(&settings.cloud.exchange_audience),
            cosmos: scope(settings.cloud.cosmos_audience.as_deref().unwrap_or(&account)),
        })
    }
}

impl Credential {
    async fn token(&self, scope: &str) -> Result<AccessToken, PortError> {
        let resource = "identity (ASSAY_CREDENTIAL, ASSAY_IDENTITY)";
        let token = self.get_token(&[scope], None).await;
        token.map_err(|error| PortError::because(resource, call::kind_of_no_token(&error), error).advising(self.no_token))
    }
}

#[async_trait]
impl TokenCredential for Credential {
    async fn get_token(&self, scopes: &[&str], options: Option<TokenRequestOptions<'_>>) -> azure_core::Result<AccessToken> {
        let scopes: Vec<&str> = scopes
            .iter()
            .map(|scope| match *scope {
                STORAGE => self.storage.as_str(),
                COSMOS => self.cosmos.as_str(),
                other => other,
            })
            .collect();
        let token = tokio::time::timeout(TOKEN_DEADLINE, self.source.get_token(&scopes, options)).await;
        token.unwrap_or_else(|_| {
            // What a token lacks is never tried again by the SDK; that it is away and not refused, the cause says.
            let slow = azure_core::Error::with_message(ErrorKind::Io, "the place that gives tokens does not answer");
            Err(azure_core::Error::with_error(ErrorKind::Credential, slow, "no token within 10 seconds"))
        })
    }
}

/// Entra ID takes it for an app registration that trusts this identity (a federated credential); there is no secret that
/// could leak or expire.
#[async_trait]
impl Identity for Credential {
    async fn assertion(&self) -> Result<Zeroizing<String>, PortError> {
        Ok(Zeroizing::new(self.token(&self.exchange).await?.token.secret().to_owned()))
    }

    async fn mail_token(&self) -> Result<Zeroizing<String>, PortError> {
        Ok(Zeroizing::new(self.token(MAIL).await?.token.secret().to_owned()))
    }

    async fn metering_token(&self) -> Result<Zeroizing<String>, PortError> {
        Ok(Zeroizing::new(self.token(METERING).await?.token.secret().to_owned()))
    }

    async fn check(&self) -> Result<(), PortError> {
        self.token(&self.storage).await.map(|_| ())
    }
}
