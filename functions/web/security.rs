//! What protects a page and a form: response headers, same origin, and the anti-forgery token.
//!
//! A POST of ours needs a session, our own origin and a token that is bound to the session and to exactly what is
//! decided. `Host` proves nothing: behind the Functions host it is the handler's own address.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

use super::{Reply, Request};
use crate::{
    config::Config,
    tenancy::{directory::Session, seal::DataKey},
};

/// No script at all, style and forms from our own origin only, never in a frame.
const CONTENT_SECURITY_POLICY: &str =
    "default-src 'none'; style-src 'self'; img-src 'self' data:; form-action 'self'; frame-ancestors 'none'; base-uri 'none'";

/// The headers of everything a browser gets from us; whoever builds the reply says how long it may be kept.
pub fn guard(reply: Reply) -> Reply {
    reply
        .with("content-security-policy", CONTENT_SECURITY_POLICY)
        .with("referrer-policy", "no-referrer")
        .with("x-content-type-options", "nosniff")
        .with("x-robots-tag", "noindex")
        .with("cross-origin-opener-policy", "same-origin")
        .with("cross-origin-resource-policy", "same-origin")
}

/// Whether a form came from one of our own pages: `Origin` is ours, or a browser that sends none says `same-origin`.
///
/// Our pages send no referrer, and under that policy some browsers write `Origin: null` on a form; then too
/// `Sec-Fetch-Site`, which no page can set, decides.
pub fn same_origin(request: &Request, config: &Config) -> bool {
    let fetched_by_us = request.header("sec-fetch-site") == Some("same-origin");
    match request.header("origin") {
        Some("null") | None => fetched_by_us,
        Some(origin) => origin == config.origin() && (fetched_by_us || request.header("sec-fetch-site").is_none()),
    }
}

/// A token for one form: HMAC under the deployment's key over the session and what is decided, such as
/// `["decide", proposal, version, hash]`.
pub fn form_token(key: &DataKey, session: &Session, what: &[&str]) -> String {
    URL_SAFE_NO_PAD.encode(key.mac(&parts(session, what)))
}

/// Compares in constant time. Anything that is not exactly the token of this session and these words does not hold.
pub fn form_token_holds(key: &DataKey, session: &Session, what: &[&str], token: &str) -> bool {
    URL_SAFE_NO_PAD.decode(token).is_ok_and(|mac| key.mac_holds(&parts(session, what), &mac))
}

fn parts<'a>(session: &'a Session, what: &[&'a str]) -> Vec<&'a [u8]> {
    [b"assay form 1".as_slice(), session.token_hash.as_bytes()].into_iter().chain(what.iter().map(|w| w.as_bytes())).collect()
}
