//! The code for an ID token, at the authority's token endpoint (OpenID Connect Core 3.1.3), with the app registration's
//! own credential. The access token that comes along is not even read.

use serde::Deserialize;
use url::form_urlencoded;
use zeroize::Zeroizing;

use super::{
    EntraError,
    authorize::{SCOPE, redirect_uri},
    keys::{Authority, TIMEOUT, unusable},
};
use crate::{
    app::App,
    config::{EntraCredential, EntraSettings},
    platform::ports::{HttpMethod, HttpRequest, PortErrorKind},
};

const MAX_BYTES: usize = 64 * 1024;
/// RFC 7523 2.2.
const JWT_BEARER: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

pub(super) async fn exchange(
    app: &App,
    settings: &EntraSettings,
    authority: &Authority,
    code: &str,
    verifier: &str,
) -> Result<Zeroizing<String>, EntraError> {
    #[derive(Deserialize)]
    struct Answer {
        id_token: String,
    }
    let credential = credential(app, settings).await?;
    let form = form_urlencoded::Serializer::new(String::new())
        .append_pair("client_id", &settings.client_id.to_string())
        .append_pair("grant_type", "authorization_code")
        .append_pair("code", code)
        .append_pair("redirect_uri", &redirect_uri(app))
        .append_pair("code_verifier", verifier)
        .append_pair("scope", SCOPE)
        .extend_pairs(credential.iter().map(|(name, value)| (name, value.as_str())))
        .finish();
    let request = HttpRequest {
        method: HttpMethod::Post,
        url: authority.token_endpoint.clone(),
        headers: vec![("Content-Type".into(), "application/x-www-form-urlencoded".into()), ("Accept".into(), "application/json".into())],
        body: form.into(),
        timeout: TIMEOUT,
        max_response_bytes: MAX_BYTES,
    };
    let answer = app.http.send(request).await.map_err(EntraError::Unavailable)?;
    match answer.status {
        200 => {
            let answer: Answer = serde_json::from_slice(&answer.body).map_err(|_| unusable(settings, PortErrorKind::Unreadable))?;
            Ok(Zeroizing::new(answer.id_token))
        }
        400..=499 if answer.status != 429 => Err(refused(&answer.body)),
        _ => Err(unusable(settings, PortErrorKind::Unavailable)),
    }
}

/// What proves that this is the app: form fields of the exchange.
pub(super) async fn credential(app: &App, settings: &EntraSettings) -> Result<Vec<(&'static str, Zeroizing<String>)>, EntraError> {
    match &settings.credential {
        EntraCredential::Secret(name) => {
            let secret = app.vault.secret(name).await.map_err(EntraError::NoCredential)?;
            Ok(vec![("client_secret", secret)])
        }
        EntraCredential::ManagedIdentity => {
            let assertion = app.identity.assertion().await.map_err(EntraError::NoCredential)?;
            Ok(vec![("client_assertion_type", Zeroizing::new(JWT_BEARER.into())), ("client_assertion", assertion)])
        }
    }
}

/// Whether it is the code that was refused, or we (RFC 6749 5.2).
fn refused(body: &[u8]) -> EntraError {
    #[derive(Deserialize)]
    struct Answer {
        error: Option<String>,
    }
    let error = word(serde_json::from_slice::<Answer>(body).ok().and_then(|answer| answer.error));
    if matches!(error.as_str(), "invalid_client" | "unauthorized_client") {
        EntraError::CredentialRefused(error)
    } else {
        EntraError::CodeRefused(error)
    }
}

/// An error code of OAuth as it may stand in a log: a short word, whatever came.
pub(super) fn word(code: Option<String>) -> String {
    const MAX: usize = 64;
    let plain = |text: &String| !text.is_empty() && text.len() <= MAX && text.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
    code.filter(plain).unwrap_or_else(|| "no code of OAuth".into())
}
