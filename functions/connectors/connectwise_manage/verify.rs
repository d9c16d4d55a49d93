//! Who sent a callback: `x-content-signature` = base64(HMAC-SHA256(key = SHA-256(signing key), raw body)).
//!
//! The signing key is fetched from the address that the body itself names, so that address is an attacker's input: only
//! https on exactly the connection's host, no user, no port, no redirect, and for the connection's own company. Without
//! a signature, or with a body that does not parse, nothing is fetched. Source of the rule: the vendor's callback
//! documentation and four public receivers that agree on it.

use std::time::Duration;

use aws_lc_rs::{digest, hmac};
use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use serde::Deserialize;
use serde_json::Value;
use url::Url;
use zeroize::Zeroizing;

use crate::{
    app::App,
    connectors::{Connection, Secret, accept::Verdict},
    platform::ports::{HttpMethod, HttpRequest},
    web::Request,
};

const HEADER: &str = "x-content-signature";

/// How long a fetched signing key is kept.
const KEEP: Duration = Duration::from_hours(1);

/// A key that was fetched this recently is not fetched again for a signature that does not hold, or anybody could make
/// us call the vendor once per forged body.
const FRESH: Duration = Duration::from_secs(30);

pub async fn verify(app: &App, connection: &Connection, company: &str, client_id: &str, request: &Request) -> Verdict {
    let Some(signature) = request.header(HEADER) else { return Verdict::unverified("missing_signature") };
    let Ok(body) = serde_json::from_slice::<Value>(&request.body) else { return Verdict::Malformed("bad_signature_or_malformed") };
    let Some(key_url) = body["Metadata"]["key_url"].as_str() else { return Verdict::unverified("missing_key_url") };
    let Some(key_url) = trusted(key_url, &connection.host, company) else { return Verdict::unverified("untrusted_key_url") };
    let Ok(signature) = BASE64.decode(signature.trim()) else { return Verdict::unverified("bad_signature") };

    let cached = format!("connectwise-key/{}/{key_url}", connection.id);
    let fresh = format!("connectwise-key-fresh/{}/{key_url}", connection.id);
    if let Some(key) = app.cache.get(&cached, app.now()) {
        if holds(&key, &request.body, &signature) {
            return Verdict::Verified;
        }
        if app.cache.get(&fresh, app.now()).is_some() {
            return Verdict::unverified("bad_signature");
        }
        app.cache.forget(&cached);
    }
    match fetch(app, key_url, client_id).await {
        Ok(key) => {
            let holds = holds(&key, &request.body, &signature);
            app.cache.put(&fresh, Zeroizing::new(Vec::new()), app.now(), FRESH);
            app.cache.put(&cached, key, app.now(), KEEP);
            if holds { Verdict::Verified } else { Verdict::unverified("bad_signature") }
        }
        Err(verdict) => verdict,
    }
}

/// The address when it may be fetched.
fn trusted(text: &str, host: &str, company: &str) -> Option<Url> {
    let url = Url::parse(text).ok()?;
    let ours = url.scheme() == "https"
        && url.host_str() == Some(host)
        && url.port().is_none()
        && url.username().is_empty()
        && url.password().is_none();
    // The host serves many companies: another company's key would sign for us just as well.
    let own =
        url.query_pairs().filter(|(name, _)| name.eq_ignore_ascii_case("companyName")).all(|(_, of)| of.eq_ignore_ascii_case(company));
    (ours && own).then_some(url)
}

async fn fetch(app: &App, url: Url, client_id: &str) -> Result<Zeroizing<Vec<u8>>, Verdict> {
    #[derive(Deserialize)]
    struct Answer {
        signing_key: Secret,
    }
    let request = HttpRequest {
        method: HttpMethod::Get,
        url,
        headers: vec![("clientId".into(), client_id.into())],
        body: bytes::Bytes::new(),
        timeout: Duration::from_secs(2),
        max_response_bytes: 16 * 1024,
    };
    let Ok(response) = app.http.send(request).await else { return Err(Verdict::KeyUnavailable) };
    match response.status {
        200 => match serde_json::from_slice::<Answer>(&response.body) {
            Ok(answer) if !answer.signing_key.0.is_empty() => {
                Ok(Zeroizing::new(digest::digest(&digest::SHA256, answer.signing_key.bytes()).as_ref().to_vec()))
            }
            // The front end shows pages of its own with 200 while the site is down.
            _ => Err(Verdict::KeyUnavailable),
        },
        300..=399 => Err(Verdict::unverified("untrusted_key_url")),
        400 | 404 | 410 => Err(Verdict::unverified("unknown_signing_key")),
        _ => Err(Verdict::KeyUnavailable),
    }
}

/// `key` is the SHA-256 of the signing key.
fn holds(key: &[u8], body: &[u8], signature: &[u8]) -> bool {
    hmac::verify(&hmac::Key::new(hmac::HMAC_SHA256, key), body, signature).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_comes_only_from_the_configured_host_over_https() {
        let trusted = |url: &str| trusted(url, "na.myconnectwise.net", "northgateit").is_some();
        assert!(trusted("https://na.myconnectwise.net/v2026_1//system/callbackkey/index.rails?companyName=northgateit&id=5"));
        assert!(trusted("https://NA.myconnectwise.net/key?id=5"));
        for url in [
            "http://na.myconnectwise.net/key",
            "https://na.myconnectwise.net.attacker.example/key",
            "https://eu.myconnectwise.net/key",
            "https://na.myconnectwise.net:8443/key",
            "https://na.myconnectwise.net@attacker.example/key",
            "https://user@na.myconnectwise.net/key",
            "https://na.myconnectwise.net./key",
            "https://attacker.example\\@na.myconnectwise.net/key",
            "https://na.myconnectwise.net/key?companyName=somebodyelse&id=5",
            "//na.myconnectwise.net/key",
            "file:///etc/passwd",
            "",
        ] {
            assert!(!trusted(url), "{url}");
        }
    }

    #[test]
    fn the_signature_is_over_the_raw_bytes_under_the_hash_of_the_key() {
        let key = digest::digest(&digest::SHA256, b"cwsk-TEST");
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key.as_ref()), b"{\"a\": 1}");
        assert!(holds(key.as_ref(), b"{\"a\": 1}", tag.as_ref()));
        assert!(!holds(key.as_ref(), b"{\"a\":1}", tag.as_ref()));
        assert!(!holds(key.as_ref(), b"{\"a\": 1}", b""));
    }
}
