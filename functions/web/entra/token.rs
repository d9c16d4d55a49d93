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
            // It took the code all the same.
            let unreadable = |_| unusable(settings, PortErrorKind::Unreadable).at_its_end();
            let answer: Answer = serde_json::from_slice(&answer.body).map_err(unreadable)?;
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

/// Entra's own numbers (AADSTS...) for a secret that is over, wrong or of another kind, and for an assertion or an issuer
/// that the registration does not trust.
const OF_THE_CREDENTIAL: &[u64] = &[7_000_222, 7_000_215, 7_002_137, 700_213, 70_021];
/// The address to come back to is not one of the registration's.
const OF_THE_ADDRESS: u64 = 50_011;

/// Whether it is the code that was refused, or we (RFC 6749 5.2), with the numbers for the log.
fn refused(body: &[u8]) -> EntraError {
    #[derive(Default, Deserialize)]
    struct Answer {
        error: Option<String>,
        #[serde(default)]
        error_codes: Vec<u64>,
    }
    const MOST: usize = 5;
    let Answer { error, error_codes: numbers } = serde_json::from_slice(body).unwrap_or_default();
    let error = word(error);
    let said = numbers.iter().take(MOST).fold(error.clone(), |said, number| format!("{said} AADSTS{number}"));
    let ours = matches!(error.as_str(), "invalid_client" | "unauthorized_client");
    if numbers.contains(&OF_THE_ADDRESS) {
        EntraError::AddressRefused(said)
    } else if ours || numbers.iter().any(|number| OF_THE_CREDENTIAL.contains(number)) {
        EntraError::CredentialRefused(said)
    } else {
        EntraError::CodeRefused(said)
    }
}

/// An error code of OAuth as it may stand in a log: a short word, whatever came.
pub(super) fn word(code: Option<String>) -> String {
    const MAX: usize = 64;
    let plain = |text: &String| !text.is_empty() && text.len() <= MAX && text.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
    code.filter(plain).unwrap_or_else(|| "no code of OAuth".into())
}
