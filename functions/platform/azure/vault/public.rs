//! The public halves of a signing key: each enabled version is asked for by itself, since a list has none of them.

use azure_security_keyvault_keys::{
    KeyClient,
    models::{CurveName, JsonWebKey, KeyClientGetKeyOptions, KeyProperties},
};
use futures_util::{TryStreamExt as _, future::try_join_all};

use super::refused;
use crate::platform::{
    azure::call,
    key_uri::KeyUri,
    limits::check_key_name,
    ports::{POINT_BYTES, PortError, PortErrorKind, PublicKey},
};

/// More than a key has that is rotated every month for two years; beyond it the oldest no longer verify.
const MAX_VERSIONS: usize = 24;

pub(super) async fn of(client: &KeyClient, key: &KeyUri, resource: &str) -> Result<Vec<PublicKey>, PortError> {
    let list = async { client.list_key_properties_versions(key.name(), None)?.try_collect::<Vec<_>>().await };
    let mut versions = call::within(resource, list).await.map_err(refused)?;
    versions.retain(|version| version.attributes.as_ref().is_some_and(|of| of.enabled == Some(true)));
    versions.sort_by_key(|version| std::cmp::Reverse(version.attributes.as_ref().and_then(|of| of.created)));
    versions.truncate(MAX_VERSIONS);
    if versions.is_empty() {
        // A key without an enabled version is there and cannot be used; one that is not there has none at all.
        return Err(PortError::new(resource, PortErrorKind::Missing));
    }
    let unreadable = || PortError::new(resource, PortErrorKind::Unreadable);
    let versions: Vec<String> = versions.into_iter().map(|of| version(key, of).ok_or_else(unreadable)).collect::<Result<_, _>>()?;
    try_join_all(versions.into_iter().map(|version| async {
        let options = KeyClientGetKeyOptions { key_version: Some(version.clone()), ..Default::default() };
        let get = async { client.get_key(key.name(), Some(options.clone())).await?.into_model() };
        let found = call::within(resource, get).await.map_err(refused)?;
        let point = found.key.and_then(point).ok_or_else(unreadable)?;
        Ok(PublicKey { version, point })
    }))
    .await
}

fn version(key: &KeyUri, properties: KeyProperties) -> Option<String> {
    let kid = properties.kid?;
    let (of, version) = kid.rsplit_once('/')?;
    check_key_name(version).ok()?;
    KeyUri::parse(of).filter(|of| of.is(key))?;
    Some(version.to_owned())
}

/// 0x04, x and y; `None` for a key of another sort.
fn point(key: JsonWebKey) -> Option<Vec<u8>> {
    let (x, y) = (key.x?, key.y?);
    let point = [&[4], x.as_slice(), &y].concat();
    (key.crv == Some(CurveName::P256) && x.len() == 32 && point.len() == POINT_BYTES).then_some(point)
}
