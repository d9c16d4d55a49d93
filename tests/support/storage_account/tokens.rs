//! Tokens of Entra ID as far as Azure Storage and Azurite look at them: for whom they are made out, and until when.

use std::sync::Mutex;

use async_trait::async_trait;
use azure_core::{
    credentials::{AccessToken, TokenCredential, TokenRequestOptions},
    error::ErrorKind,
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL};
use serde_json::{Value, json};
use time::macros::datetime;

use super::{Answer, Call, refused};

/// Gives a token for whatever is asked, unless it was told to refuse.
#[derive(Debug, Default)]
pub struct Tokens {
    asked: Mutex<Vec<String>>,
    refusal: Option<&'static str>,
    silent: bool,
}

impl Tokens {
    pub fn refusing(reason: &'static str) -> Self {
        Self { refusal: Some(reason), ..Self::default() }
    }

    /// Never gives one.
    pub fn silent() -> Self {
        Self { silent: true, ..Self::default() }
    }

    /// The scopes that were asked for.
    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

#[async_trait]
impl TokenCredential for Tokens {
    async fn get_token(&self, scopes: &[&str], _: Option<TokenRequestOptions<'_>>) -> azure_core::Result<AccessToken> {
        let [scope] = scopes else { panic!("a managed identity takes exactly one scope: {scopes:?}") };
        self.asked.lock().unwrap().push((*scope).to_owned());
        if self.silent {
            std::future::pending::<()>().await;
        }
        if let Some(reason) = self.refusal {
            return Err(azure_core::Error::with_message(ErrorKind::Credential, reason));
        }
        let until = datetime!(2100-01-01 00:00 UTC);
        let claims = json!({
            "iss": "https://sts.windows.net/11111111-1111-1111-1111-111111111111/",
            "aud": scope.trim_end_matches("/.default"),
            "iat": datetime!(2020-01-01 00:00 UTC).unix_timestamp(),
            "nbf": datetime!(2020-01-01 00:00 UTC).unix_timestamp(),
            "exp": until.unix_timestamp(),
        });
        let part = |value: Value| BASE64URL.encode(value.to_string());
        let token = format!("{}.{}.{}", part(json!({ "alg": "RS256", "typ": "JWT" })), part(claims), BASE64URL.encode("signature"));
        Ok(AccessToken::new(token, until))
    }
}

/// What the service says to a request without a token, or with one that is made out for somebody else.
pub(super) fn check(call: &Call) -> Result<(), Answer> {
    let Some(token) = call.optional_header("authorization").and_then(|value| value.strip_prefix("Bearer ")) else {
        return Err(refused(401, "NoAuthenticationInformation", "Server failed to authenticate the request."));
    };
    let claims = token.split('.').nth(1).and_then(|claims| BASE64URL.decode(claims).ok());
    let claims: Option<Value> = claims.and_then(|claims| serde_json::from_slice(&claims).ok());
    match claims.as_ref().and_then(|claims| claims["aud"].as_str()) {
        Some("https://storage.azure.com") => Ok(()),
        _ => Err(refused(401, "InvalidAuthenticationInfo", "Audience validation failed.")),
    }
}
