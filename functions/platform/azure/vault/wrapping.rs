//! A key that wraps a client's data key: which version is the newest, and making one for a new client.
//!
//! The app may make keys and never delete or purge one: that is another identity's right (README, "The app's rights").

use azure_security_keyvault_keys::{
    KeyClient,
    models::{CreateKeyParameters, JsonWebKey, KeyOperation, KeyType},
};

use super::refused;
use crate::platform::{
    azure::call,
    key_uri::KeyUri,
    limits::check_key_name,
    ports::{PortError, PortErrorKind},
};

/// RSA of 3072 bits is as strong as AES-128 (NIST SP 800-57 part 1, table 2).
const BITS: i32 = 3072;

/// A key of that name that is there is left as it is: making it again would be a new version.
pub(super) async fn make(client: &KeyClient, key: &KeyUri, resource: &str) -> Result<(), PortError> {
    if newest_version(client, key, resource).await?.is_some() {
        return Ok(());
    }
    let parameters = CreateKeyParameters {
        kty: Some(KeyType::Rsa),
        key_size: Some(BITS),
        key_ops: Some(vec![KeyOperation::WrapKey, KeyOperation::UnwrapKey]),
        ..CreateKeyParameters::default()
    };
    let call = async { client.create_key(key.name(), parameters.try_into()?, None).await?.into_model() };
    // 409 is a deleted key of this name, which only somebody else may recover or purge.
    let made = call::within(resource, call).await.map_err(PortError::from)?;
    made.key.and_then(|made| version(key, &made)).map(|_| ()).ok_or_else(|| PortError::new(resource, PortErrorKind::Unavailable))
}

/// `None`: there is no such key.
pub(super) async fn newest_version(client: &KeyClient, key: &KeyUri, resource: &str) -> Result<Option<String>, PortError> {
    let call = async { client.get_key(key.name(), None).await?.into_model() };
    let found = match call::within(resource, call).await {
        Ok(found) => found,
        Err(failure) if failure.status() == Some(404) => return Ok(None),
        Err(failure) => return Err(refused(failure)),
    };
    let unreadable = || PortError::new(resource, PortErrorKind::Unavailable);
    found.key.and_then(|found| version(key, &found)).map(Some).ok_or_else(unreadable)
}

/// The soft-delete retention of its vault, which every key of it says.
pub(super) async fn recoverable_days(client: &KeyClient, key: &KeyUri, resource: &str) -> Result<Option<u16>, PortError> {
    let call = async { client.get_key(key.name(), None).await?.into_model() };
    let found = call::within(resource, call).await.map_err(refused)?;
    Ok(found.attributes.and_then(|attributes| attributes.recoverable_days).and_then(|days| u16::try_from(days).ok()))
}

fn version(asked: &KeyUri, key: &JsonWebKey) -> Option<String> {
    let (of, version) = key.kid.as_deref()?.rsplit_once('/')?;
    check_key_name(version).ok()?;
    KeyUri::parse(of).filter(|of| of.is(asked))?;
    Some(version.to_owned())
}
