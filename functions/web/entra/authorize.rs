//! The address at the authority where a person signs in: authorization code with PKCE S256, `state` and `nonce`
//! (OpenID Connect Core 3.1.2.1, RFC 7636 4.3).

use aws_lc_rs::digest::{SHA256, digest};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::json;
use url::Url;

use super::{Prompt, attempt::Begun, keys::Authority};
use crate::{app::App, config::EntraSettings, web::pages::paths};

/// What we want to know: that it is they, their name, their address. Access to anything is not asked for.
pub const SCOPE: &str = "openid profile email";

pub(super) fn address(app: &App, settings: &EntraSettings, authority: &Authority, attempt: &Begun, prompt: Prompt) -> Url {
    let challenge = URL_SAFE_NO_PAD.encode(digest(&SHA256, attempt.verifier.as_bytes()));
    let mut address = authority.authorization_endpoint.clone();
    let mut query = address.query_pairs_mut();
    query
        .append_pair("client_id", &settings.client_id.to_string())
        .append_pair("response_type", "code")
        .append_pair("response_mode", "query")
        .append_pair("redirect_uri", &redirect_uri(app))
        .append_pair("scope", SCOPE)
        .append_pair("state", &attempt.state)
        .append_pair("nonce", &attempt.nonce)
        .append_pair("code_challenge", &challenge)
        .append_pair("code_challenge_method", "S256");
    match prompt {
        Prompt::Any => {}
        Prompt::OtherAccount => {
            query.append_pair("prompt", "select_account");
        }
        // An answer from an open sign-in would prove nothing (OpenID Connect Core 3.1.2.1).
        Prompt::Again => {
            query.append_pair("prompt", "login");
            if let Some(context) = &settings.auth_context {
                let claims = json!({ "id_token": { "acrs": { "essential": true, "value": context } } });
                query.append_pair("claims", &claims.to_string());
            }
        }
    }
    drop(query);
    address
}

/// Where an administrator of a directory consents to that for everybody in it. It leads back to the redirect URI.
pub fn admin_consent(app: &App, settings: &EntraSettings, directory: &str) -> String {
    let query = url::form_urlencoded::Serializer::new(String::new())
        .append_pair("client_id", &settings.client_id.to_string())
        .append_pair("scope", SCOPE)
        .append_pair("redirect_uri", &redirect_uri(app))
        .finish();
    format!("{}/adminconsent?{query}", settings.issuer(directory))
}

/// As it is registered with the app: from configuration, never from a request.
pub(super) fn redirect_uri(app: &App) -> String {
    app.config.link(paths::signed_in().trim_start_matches("/api/"))
}
