//! The authority's endpoints and signing keys, fetched from the address that configuration chose and kept for a day.
//!
//! A key id that is not known fetches the keys once more, three times in five minutes at most: keys rotate, a fetch may
//! fail, and a flood of invented ids must not become a flood of calls. No address in an answer is followed to another origin.

use std::time::Duration;

use aws_lc_rs::signature::{RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use bytes::Bytes;
use serde::{Deserialize, Deserializer, de::Error as _};
use url::Url;
use zeroize::Zeroizing;

use super::EntraError;
use crate::{
    app::App,
    config::EntraSettings,
    platform::ports::{HttpMethod, HttpRequest, PortError, PortErrorKind},
    web::entra::verify::TokenError,
};

const KEEP: Duration = Duration::from_hours(24);
const REFRESH_WINDOW: Duration = Duration::from_mins(5);
const REFRESHES: u8 = 3;
pub(super) const TIMEOUT: Duration = Duration::from_secs(10);
const MAX_BYTES: usize = 256 * 1024;

const AUTHORITY: &str = "entra/authority";
const KEYS: &str = "entra/keys";
const REFRESH: &str = "entra/refresh";

/// What we use of the authority's discovery document (OpenID Connect Discovery 3).
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Authority {
    #[serde(deserialize_with = "address")]
    pub(super) authorization_endpoint: Url,
    #[serde(deserialize_with = "address")]
    pub(super) token_endpoint: Url,
    #[serde(deserialize_with = "address")]
    jwks_uri: Url,
}

fn address<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Url, D::Error> {
    Url::parse(&String::deserialize(deserializer)?).map_err(D::Error::custom)
}

/// A public key of the authority (RFC 7517, RFC 7518 6.3.1).
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Key {
    kty: String,
    kid: String,
    #[serde(rename = "use")]
    usage: Option<String>,
    alg: Option<String>,
    n: String,
    e: String,
    /// Entra's: whose tokens it signs, `{tenantid}` standing for the directory.
    issuer: Option<String>,
}

impl Key {
    fn may_sign(&self) -> bool {
        let is = |member: &Option<String>, only: &str| member.as_deref().is_none_or(|text| text == only);
        self.kty == "RSA" && is(&self.usage, "sig") && is(&self.alg, "RS256")
    }

    /// Whether it signs for this issuer, of this directory.
    pub(super) fn is_of(&self, issuer: &str, directory: &str) -> bool {
        self.issuer.as_deref().is_none_or(|template| template.replace("{tenantid}", directory) == issuer)
    }

    /// RSASSA-PKCS1-v1_5 with SHA-256, and a modulus of at least 2,048 bits.
    pub(super) fn signed(&self, text: &[u8], signature: &[u8]) -> bool {
        let (Ok(n), Ok(e)) = (URL_SAFE_NO_PAD.decode(&self.n), URL_SAFE_NO_PAD.decode(&self.e)) else { return false };
        RsaPublicKeyComponents { n, e }.verify(&RSA_PKCS1_2048_8192_SHA256, text, signature).is_ok()
    }
}

pub(super) async fn authority(app: &App, settings: &EntraSettings) -> Result<Authority, EntraError> {
    let now = app.now();
    if let Some(authority) = app.cache.get(AUTHORITY, now).and_then(|bytes| serde_json::from_slice(&bytes).ok()) {
        return Ok(authority);
    }
    let address = settings.address("v2.0/.well-known/openid-configuration");
    let address = Url::parse(&address).map_err(|_| unusable(settings, PortErrorKind::Invalid))?;
    let bytes = fetch(app, settings, address).await?;
    let authority: Authority = serde_json::from_slice(&bytes).map_err(|_| unusable(settings, PortErrorKind::Unreadable))?;
    let endpoints = [&authority.authorization_endpoint, &authority.token_endpoint, &authority.jwks_uri];
    if endpoints.iter().any(|url| url.origin() != settings.authority.origin()) {
        return Err(unusable(settings, PortErrorKind::Denied));
    }
    app.cache.put(AUTHORITY, Zeroizing::new(bytes.to_vec()), now, KEEP);
    Ok(authority)
}

/// The keys of this id: none is [`TokenError::UnknownKey`].
pub(super) async fn of_kid(app: &App, settings: &EntraSettings, authority: &Authority, kid: &str) -> Result<Vec<Key>, EntraError> {
    let now = app.now();
    let kept = app.cache.get(KEYS, now);
    if let Some(found) = kept.as_ref().map(|bytes| pick(bytes, kid)).filter(|found| !found.is_empty()) {
        return Ok(found);
    }
    if kept.is_some() && !app.cache.allow(REFRESH, REFRESHES, now, REFRESH_WINDOW) {
        return Err(TokenError::UnknownKey.into());
    }
    let bytes = published(app, settings, authority).await?;
    let bytes = app.cache.put(KEYS, Zeroizing::new(bytes.to_vec()), now, KEEP);
    let found = pick(&bytes, kid);
    if found.is_empty() { Err(TokenError::UnknownKey.into()) } else { Ok(found) }
}

/// The key set as it is now, with a key in it that may sign.
pub(super) async fn published(app: &App, settings: &EntraSettings, authority: &Authority) -> Result<Bytes, EntraError> {
    let bytes = fetch(app, settings, authority.jwks_uri.clone()).await?;
    if parse(&bytes).is_empty() { Err(unusable(settings, PortErrorKind::Unreadable)) } else { Ok(bytes) }
}

fn pick(bytes: &[u8], kid: &str) -> Vec<Key> {
    parse(bytes).into_iter().filter(|key| key.kid == kid).collect()
}

/// Keys of another kind are left out, as RFC 7517 5 asks.
fn parse(bytes: &[u8]) -> Vec<Key> {
    #[derive(Deserialize)]
    struct Set {
        keys: Vec<serde_json::Value>,
    }
    let set: Set = serde_json::from_slice(bytes).unwrap_or(Set { keys: Vec::new() });
    set.keys.into_iter().filter_map(|key| serde_json::from_value::<Key>(key).ok()).filter(Key::may_sign).collect()
}

async fn fetch(app: &App, settings: &EntraSettings, url: Url) -> Result<Bytes, EntraError> {
    let request = HttpRequest {
        method: HttpMethod::Get,
        url,
        headers: vec![("Accept".into(), "application/json".into())],
        body: Bytes::new(),
        timeout: TIMEOUT,
        max_response_bytes: MAX_BYTES,
    };
    let answer = app.http.send(request).await.map_err(EntraError::Unavailable)?;
    if answer.status == 200 { Ok(answer.body) } else { Err(unusable(settings, PortErrorKind::Unavailable)) }
}

/// By the authority's name; what it said goes nowhere.
pub(super) fn unusable(settings: &EntraSettings, kind: PortErrorKind) -> EntraError {
    EntraError::Unavailable(PortError::new(settings.origin(), kind))
}
