//! Key Vault: data keys wrapped by RSA keys, ES256 signatures, secrets.
//!
//! A key is named by its address without a version, by the word `deployment` for the installation's own, or by another
//! word for one in the same vault; the newest version wraps and signs, and what is kept says which one unwraps. Nothing
//! is made on the way: a key that is not there is reported. Only a new client's key is made, when its owner asks for it;
//! nothing is ever deleted.
//!
//! A plain data key is wiped where it is ours. The SDK keeps a request's and an answer's body as shared bytes, and the
//! TLS layer its buffers: those few copies are freed without being wiped.

mod body;
mod public;
mod wrapping;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use async_trait::async_trait;
use azure_core::{
    credentials::TokenCredential,
    http::{Body, ClientOptions, RequestContent, Transport},
};
use azure_security_keyvault_keys::{
    KeyClient, KeyClientOptions,
    models::{EncryptionAlgorithm, KeyOperationParameters, KeyOperationResult, SignParameters, SignatureAlgorithm},
};
use azure_security_keyvault_secrets::{SecretClient, SecretClientOptions};
use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use zeroize::{Zeroize as _, Zeroizing};

use self::body::KeepsBody;
use super::{
    AzureSettings, Credential,
    call::{self, Failure},
};
use crate::platform::{
    key_uri::KeyUri,
    limits::{check_key_name, invalid},
    ports::{PortError, PortErrorKind, PublicKey, Signature, Vault, Wrapped},
};

/// What callers call the installation's own key.
const DEPLOYMENT: &str = "deployment";
/// `r` and `s` of P-256.
const SIGNATURE_BYTES: usize = 64;

pub struct KeyVault {
    deployment_key: KeyUri,
    vaults: Vaults,
    credential: Arc<dyn TokenCredential>,
    transport: Option<Transport>,
    // By the vault's address. Std mutexes: held for a map look-up, never across an await.
    keys: Mutex<HashMap<String, Arc<KeyClient>>>,
    secrets: Mutex<HashMap<String, Arc<SecretClient>>>,
}

/// Which hosts are vaults of the configured cloud. What is kept names a host, and no other one is asked.
enum Vaults {
    EndingIn(String),
    /// A custom cloud on this machine.
    Only(String),
}

impl Vaults {
    fn of(settings: &AzureSettings, deployment_key: &KeyUri) -> Self {
        let host = deployment_key.host();
        if !settings.cloud.vault_suffix.is_empty() {
            return Self::EndingIn(settings.cloud.vault_suffix.to_owned());
        }
        // A custom cloud has no table of suffixes: its vaults are beside the deployment's.
        match (is_this_machine(host), host.find('.')) {
            (false, Some(dot)) => Self::EndingIn(host[dot..].to_owned()),
            _ => Self::Only(host.to_owned()),
        }
    }

    fn contain(&self, host: &str) -> bool {
        match self {
            Self::EndingIn(suffix) => host.len() > suffix.len() && host.ends_with(suffix),
            Self::Only(only) => host == only,
        }
    }
}

fn is_this_machine(host: &str) -> bool {
    matches!(host, "127.0.0.1" | "localhost" | "[::1]")
}

impl KeyVault {
    /// Calls nothing. `transport` is the tests' way in.
    pub fn new(settings: &AzureSettings, credential: Arc<Credential>, transport: Option<&Transport>) -> Result<Self, PortError> {
        let deployment_key = KeyUri::parse(settings.deployment_key.as_str()).ok_or_else(|| invalid("setting ASSAY_DEPLOYMENT_KEY"))?;
        Ok(Self {
            vaults: Vaults::of(settings, &deployment_key),
            deployment_key,
            credential,
            transport: transport.cloned(),
            keys: Mutex::default(),
            secrets: Mutex::default(),
        })
    }

    /// The key that a caller names.
    fn key(&self, name: &str) -> Result<KeyUri, PortError> {
        if name == DEPLOYMENT {
            return Ok(self.deployment_key.clone());
        }
        if name.contains('/') {
            return self.key_at(name);
        }
        self.deployment_key.key_beside(name).ok_or_else(|| invalid("the name of a key in Key Vault"))
    }

    fn key_at(&self, address: &str) -> Result<KeyUri, PortError> {
        KeyUri::parse(address).filter(|key| self.vaults.contain(key.host())).ok_or_else(|| invalid("the address of a key in Key Vault"))
    }

    fn secret_at(&self, name: &str) -> Result<KeyUri, PortError> {
        let found = if name.contains('/') { KeyUri::parse_secret(name) } else { self.deployment_key.secret_beside(name) };
        found.filter(|secret| self.vaults.contain(secret.host())).ok_or_else(|| invalid("the name or address of a secret in Key Vault"))
    }

    /// For messages: an address is no secret, and the installation's own key is mended where its setting is.
    fn resource(&self, key: &KeyUri) -> String {
        let setting = if key.is(&self.deployment_key) { " (ASSAY_DEPLOYMENT_KEY)" } else { "" };
        format!("key {}{setting}", key.url())
    }

    fn options(&self) -> ClientOptions {
        let mut options = call::options(self.transport.as_ref());
        options.per_call_policies.push(Arc::new(KeepsBody));
        options
    }

    /// Whether a vault's challenge must name the vault's own domain. One on this machine has none.
    fn verifies(key: &KeyUri) -> bool {
        !is_this_machine(key.host())
    }

    fn keys(&self, key: &KeyUri) -> Result<Arc<KeyClient>, PortError> {
        let mut clients = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        let vault = key.vault().to_string();
        if let Some(client) = clients.get(&vault) {
            return Ok(client.clone());
        }
        let options =
            KeyClientOptions { client_options: self.options(), verify_challenge_resource: Some(Self::verifies(key)), ..Default::default() };
        let made = KeyClient::new(&vault, self.credential.clone(), Some(options));
        let client = Arc::new(made.map_err(|error| PortError::because(self.resource(key), PortErrorKind::Invalid, error))?);
        clients.insert(vault, client.clone());
        Ok(client)
    }

    fn secrets(&self, secret: &KeyUri) -> Result<Arc<SecretClient>, PortError> {
        let mut clients = self.secrets.lock().unwrap_or_else(PoisonError::into_inner);
        let vault = secret.vault().to_string();
        if let Some(client) = clients.get(&vault) {
            return Ok(client.clone());
        }
        let options = SecretClientOptions {
            client_options: self.options(),
            verify_challenge_resource: Some(Self::verifies(secret)),
            ..Default::default()
        };
        let made = SecretClient::new(&vault, self.credential.clone(), Some(options));
        let client = Arc::new(made.map_err(|error| PortError::because(secret_resource(secret), PortErrorKind::Invalid, error))?);
        clients.insert(vault, client.clone());
        Ok(client)
    }
}

#[async_trait]
impl Vault for KeyVault {
    async fn wrap(&self, key: &str, plain: &[u8]) -> Result<Wrapped, PortError> {
        let key = self.key(key)?;
        let (client, resource) = (self.keys(&key)?, self.resource(&key));
        let call = async {
            let answer = client.wrap_key(key.name(), oaep(plain)?, None).await?;
            answer.into_model()
        };
        let answer = call::within(&resource, call).await.map_err(refused)?;
        let (version, bytes) = of_key(&key, answer).ok_or_else(|| PortError::new(resource, PortErrorKind::Unavailable))?;
        Ok(Wrapped { key: key.url().to_string(), version, bytes: BASE64.encode(&*bytes) })
    }

    async fn unwrap(&self, wrapped: &Wrapped) -> Result<Zeroizing<Vec<u8>>, PortError> {
        // Not by the word: what is kept says which key it was.
        let key = self.key_at(&wrapped.key)?;
        let (client, resource) = (self.keys(&key)?, self.resource(&key));
        let unreadable = || PortError::new(resource.clone(), PortErrorKind::Unreadable);
        check_key_name(&wrapped.version).map_err(|_| unreadable())?;
        let bytes = BASE64.decode(&wrapped.bytes).map_err(|_| unreadable())?;
        let call = async {
            let answer = client.unwrap_key(key.name(), &wrapped.version, oaep(&bytes)?, None).await?;
            answer.into_model()
        };
        let answer = call::within(&resource, call).await.map_err(|failure| {
            // Key Vault's word for bytes that this key did not wrap.
            if failure.status() == Some(400) { unreadable() } else { refused(failure) }
        })?;
        of_key(&key, answer).filter(|(version, _)| *version == wrapped.version).map(|(_, plain)| plain).ok_or_else(unreadable)
    }

    async fn sign(&self, key: &str, digest: &[u8; 32]) -> Result<Signature, PortError> {
        let key = self.key(key)?;
        let (client, resource) = (self.keys(&key)?, self.resource(&key));
        let parameters = SignParameters { algorithm: Some(SignatureAlgorithm::Es256), value: Some(digest.to_vec()) };
        let call = async { client.sign(key.name(), parameters.try_into()?, None).await?.into_model() };
        let answer = call::within(&resource, call).await.map_err(refused)?;
        let signed = of_key(&key, answer).filter(|(_, bytes)| bytes.len() == SIGNATURE_BYTES);
        let (version, bytes) = signed.ok_or_else(|| PortError::new(resource, PortErrorKind::Unavailable))?;
        Ok(Signature { key: key.url().to_string(), version, bytes: bytes.to_vec() })
    }

    async fn public_keys(&self, key: &str) -> Result<Vec<PublicKey>, PortError> {
        let key = self.key(key)?;
        let (client, resource) = (self.keys(&key)?, self.resource(&key));
        public::of(&client, &key, &resource).await
    }

    async fn secret(&self, name: &str) -> Result<Zeroizing<String>, PortError> {
        let secret = self.secret_at(name)?;
        let (client, resource) = (self.secrets(&secret)?, secret_resource(&secret));
        let call = async { client.get_secret(secret.name(), None).await?.into_model() };
        let answer = call::within(&resource, call).await.map_err(refused)?;
        answer.value.map(Zeroizing::new).ok_or_else(|| PortError::new(resource, PortErrorKind::Unavailable))
    }

    fn makes_keys(&self) -> bool {
        false
    }

    async fn create_key(&self, name: &str) -> Result<String, PortError> {
        let key = self.deployment_key.key_beside(name).ok_or_else(|| invalid("the name of a key in Key Vault"))?;
        let (client, resource) = (self.keys(&key)?, self.resource(&key));
        wrapping::make(&client, &key, &resource).await?;
        Ok(key.url().to_string())
    }

    async fn newest_version(&self, key: &str) -> Result<String, PortError> {
        let key = self.key(key)?;
        let (client, resource) = (self.keys(&key)?, self.resource(&key));
        let missing = || PortError::new(resource.clone(), PortErrorKind::Missing);
        wrapping::newest_version(&client, &key, &resource).await?.ok_or_else(missing)
    }

    async fn recoverable_days(&self, key: &str) -> Result<Option<u16>, PortError> {
        let key = self.key(key)?;
        let (client, resource) = (self.keys(&key)?, self.resource(&key));
        wrapping::recoverable_days(&client, &key, &resource).await
    }
}

fn secret_resource(secret: &KeyUri) -> String {
    format!("secret {}", secret.url())
}

/// The operation's body. Our copies are wiped, the one that goes out is the SDK's.
fn oaep(value: &[u8]) -> azure_core::Result<RequestContent<KeyOperationParameters>> {
    let mut parameters = KeyOperationParameters {
        algorithm: Some(EncryptionAlgorithm::RsaOaep256),
        value: Some(value.to_vec()),
        ..KeyOperationParameters::default()
    };
    let body = azure_core::json::to_json(&parameters);
    parameters.value.zeroize();
    Ok(Body::from(body?).into())
}

/// The version that did it and the result; `None` when the answer is about another key or not an answer.
fn of_key(asked: &KeyUri, answer: KeyOperationResult) -> Option<(String, Zeroizing<Vec<u8>>)> {
    let result = Zeroizing::new(answer.result?);
    let kid = answer.kid?;
    let (key, version) = kid.rsplit_once('/')?;
    check_key_name(version).ok()?;
    KeyUri::parse(key).filter(|key| key.is(asked))?;
    Some((version.to_owned(), result))
}

fn refused(failure: Failure) -> PortError {
    // A key that is just being deleted is as good as gone.
    let kind = match failure.status() {
        Some(409) => Some(PortErrorKind::Missing),
        Some(403) if failure.says("KeyDisabled") => Some(PortErrorKind::Disabled),
        _ => None,
    };
    let error = PortError::from(failure);
    kind.map_or(error.clone(), |kind| PortError { kind, ..error })
}
