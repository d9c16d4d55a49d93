//! Who sent a callback: `x-content-signature` = base64(HMAC-SHA256(key = SHA-256(signing key), raw body)).
//!
//! The signing key is fetched from the address that the body itself names, so that address is an attacker's input: only
//! https on exactly the connection's host, no user, no port, no redirect, the path of callback keys, and the connection's
//! own company. Without a signature, or with a body that does not parse, nothing is fetched, and whoever makes up
//! addresses cannot make us fetch more than a few. Source of the rule: the vendor's callback documentation and four
//! public receivers that agree on it.

use std::time::Duration;

use aws_lc_rs::{digest, hmac};
use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use serde::Deserialize;
use url::Url;
use zeroize::Zeroizing;

use crate::{
    app::App,
    connectors::{Connection, Secret, accept::Verdict, body},
    platform::ports::{HttpMethod, HttpRequest},
    web::Request,
};

const HEADER: &str = "x-content-signature";

/// How long a fetched signing key is kept.
const KEEP: Duration = Duration::from_hours(1);

/// A key that was fetched this recently is not fetched again for a signature that does not hold.
const FRESH: Duration = Duration::from_secs(30);

/// Keys that are fetched for one connection in [`FRESH`]. The body chooses the address, so a limit per address would be
/// none. An address whose key has verified something has a limit of its own: no flood of others can use that up.
const MOST_FETCHES: u8 = 4;

/// How long an address is known by the body that its key verified.
const PROVEN: Duration = Duration::from_hours(30 * 24);

/// The path of every callback key ends so, whatever the release's codebase before it.
const KEY_PATH: &str = "/callbackkey/index.rails";

pub async fn verify(app: &App, connection: &Connection, company: &str, client_id: &str, request: &Request) -> Verdict {
    let Some(signature) = request.header(HEADER) else { return Verdict::unverified("missing_signature") };
    let Some(body) = body::read(&request.body) else { return Verdict::Malformed("bad_signature_or_malformed") };
    let Some(key_url) = body["Metadata"]["key_url"].as_str() else { return Verdict::unverified("missing_key_url") };
    let Some(key_url) = trusted(key_url, &connection.host, company) else { return Verdict::unverified("untrusted_key_url") };
    let Ok(signature) = BASE64.decode(signature.trim()) else { return Verdict::unverified("bad_signature") };

    let name = |what: &str| format!("connectwise-key{what}/{}/{key_url}", connection.id);
    let (cached, fresh, proven) = (name(""), name("-fresh"), name("-proven"));
    let now = app.now();
    if let Some(key) = app.cache.get(&cached, now) {
        if holds(&key, &request.body, &signature) {
            return Verdict::Verified;
        }
        if app.cache.get(&fresh, now).is_some() {
            return Verdict::unverified("bad_signature");
        }
    }
    let is_proven = app.cache.get(&proven, now).is_some();
    let budget = if is_proven { name("-fetches") } else { format!("connectwise-key-fetches/{}", connection.id) };
    if !app.cache.allow(&budget, MOST_FETCHES, now, FRESH) {
        // It may be a true callback among forged ones: the vendor is told to send it again, and no key that is kept is lost.
        tracing::warn!(connection = %connection.id, "more callback keys asked for than are fetched at once");
        return Verdict::KeyUnavailable;
    }
    match fetch(app, key_url, client_id).await {
        Ok(key) => {
            let holds = holds(&key, &request.body, &signature);
            app.cache.put(&fresh, Zeroizing::new(Vec::new()), now, FRESH);
            app.cache.put(&cached, key, now, if holds || is_proven { KEEP } else { FRESH });
            if holds {
                app.cache.put(&proven, Zeroizing::new(Vec::new()), now, PROVEN);
                Verdict::Verified
            } else {
                Verdict::unverified("bad_signature")
            }
        }
        Err(verdict) => {
            if verdict != Verdict::KeyUnavailable {
                app.cache.forget(&cached);
            }
            verdict
        }
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
    (ours && url.path().ends_with(KEY_PATH) && is_only_for(&url, company)).then_some(url)
}

/// Whether the query names this company once and no other: the host serves many companies, and another company's key
/// would sign for us just as well. A name that two readers could spell in two ways, or a second separator, is refused.
fn is_only_for(url: &Url, company: &str) -> bool {
    let plain = |name: &str| name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'));
    if url.query().is_none_or(|query| query.contains(';')) || !url.query_pairs().all(|(name, _)| plain(&name)) {
        return false;
    }
    let mut companies = url.query_pairs().filter(|(name, _)| name.eq_ignore_ascii_case("companyName"));
    match (companies.next(), companies.next()) {
        (Some((name, of)), None) => name == "companyName" && of.eq_ignore_ascii_case(company),
        _ => false,
    }
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
        let key = |host: &str, query: &str| format!("https://{host}/v2026_1//system/callbackkey/index.rails?{query}");
        for good in [
            key("na.myconnectwise.net", "companyName=northgateit&id=5"),
            key("NA.myconnectwise.net", "id=5&companyName=NorthgateIT"),
            key("na.myconnectwise.net:443", "companyName=northgateit&id=5&more=1"),
        ] {
            assert!(trusted(&good), "{good}");
        }
        for host in [
            "na.myconnectwise.net.attacker.example",
            "eu.myconnectwise.net",
            "na.myconnectwise.net:8443",
            "na.myconnectwise.net@attacker.example",
            "user@na.myconnectwise.net",
            "na.myconnectwise.net.",
            "attacker.example\\@na.myconnectwise.net",
        ] {
            assert!(!trusted(&key(host, "companyName=northgateit&id=5")), "{host}");
        }
        for url in [
            "http://na.myconnectwise.net/system/callbackkey/index.rails?companyName=northgateit&id=5",
            "//na.myconnectwise.net/system/callbackkey/index.rails?companyName=northgateit&id=5",
            "https://na.myconnectwise.net/key?companyName=northgateit&id=5",
            "https://na.myconnectwise.net/callbackkey/index.rails/../../files/1?companyName=northgateit",
            "https://na.myconnectwise.net/files/1?companyName=northgateit&x=/callbackkey/index.rails",
            "https://na.myconnectwise.net/files/1?companyName=northgateit#/callbackkey/index.rails",
            "file:///callbackkey/index.rails?companyName=northgateit",
            "",
        ] {
            assert!(!trusted(url), "{url}");
        }
    }

    #[test]
    fn a_key_is_that_of_our_own_company_and_of_no_other() {
        for query in [
            "id=5",
            "companyName=&id=5",
            "companyName=somebodyelse&id=5",
            "companyName=northgateit&companyName=somebodyelse&id=5",
            "companyName=somebodyelse&companyName=northgateit&id=5",
            "companyName=northgateit&companyname=somebodyelse&id=5",
            "companyName=northgateit&%63ompanyName=somebodyelse&id=5",
            "companyName=northgateit&%u0063ompanyName=somebodyelse&id=5",
            "companyName=northgateit&companyName[]=somebodyelse&id=5",
            "id=5;companyName=somebodyelse&companyName=northgateit",
            "COMPANYNAME=northgateit&id=5",
        ] {
            let url = format!("https://na.myconnectwise.net/v2026_1//system/callbackkey/index.rails?{query}");
            assert!(trusted(&url, "na.myconnectwise.net", "northgateit").is_none(), "{query}");
        }
        let bare = "https://na.myconnectwise.net/v2026_1//system/callbackkey/index.rails";
        assert!(trusted(bare, "na.myconnectwise.net", "northgateit").is_none());
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
