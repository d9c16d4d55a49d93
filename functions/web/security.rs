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

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proptest::prelude::*;
    use time::{OffsetDateTime, macros::datetime};

    use super::*;
    use crate::{
        config::{self, RawConfig},
        tenancy::{PersonId, directory::Proof},
        web::Method,
    };

    const AT: OffsetDateTime = datetime!(2026-11-25 02:52:09 UTC);

    fn post(headers: &[(&str, &str)]) -> Request {
        Request {
            method: Method::Post,
            path: "portal/proposals".into(),
            query: String::new(),
            headers: headers.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect(),
            body: Bytes::new(),
            invocation_id: "i".into(),
        }
    }

    fn config() -> Config {
        config::check(&RawConfig::from([("ASSAY_PUBLIC_URL".into(), "https://assay.example.net".into())])).expect("good")
    }

    fn session(token_hash: &str) -> Session {
        Session {
            token_hash: token_hash.into(),
            person: PersonId(uuid::Uuid::nil()),
            signed_in_at: AT,
            expires_at: AT,
            demo: true,
            proof: Proof::default(),
        }
    }

    #[test]
    fn a_form_counts_only_when_it_came_from_our_own_pages() {
        let ours = "https://assay.example.net";
        let cases: &[(&[(&str, &str)], bool)] = &[
            (&[("origin", ours)], true),
            (&[("origin", ours), ("sec-fetch-site", "same-origin")], true),
            (&[("sec-fetch-site", "same-origin")], true),
            (&[("origin", "null"), ("sec-fetch-site", "same-origin")], true),
            (&[], false),
            (&[("origin", "null")], false),
            (&[("origin", "null"), ("sec-fetch-site", "cross-site")], false),
            (&[("origin", "https://evil.example")], false),
            (&[("origin", "https://evil.example"), ("sec-fetch-site", "same-origin")], false),
            (&[("origin", ours), ("sec-fetch-site", "cross-site")], false),
            (&[("origin", ours), ("sec-fetch-site", "same-site")], false),
            (&[("origin", "http://assay.example.net")], false),
            (&[("origin", "https://assay.example.net:8443")], false),
            (&[("origin", "https://assay.example.net.evil.example")], false),
            (&[("origin", "https://assay.example.net, https://evil.example")], false),
            (&[("sec-fetch-site", "none")], false),
            (&[("host", "assay.example.net"), ("x-forwarded-host", "assay.example.net")], false),
        ];
        for (headers, expected) in cases {
            assert_eq!(same_origin(&post(headers), &config()), *expected, "{headers:?}");
        }
    }

    #[test]
    fn a_token_holds_for_its_session_and_its_words_only() {
        let key = DataKey::new(&[7; 32]).expect("a key");
        let what = ["decide", "p1", "2", "9329e974"];
        let token = form_token(&key, &session("s1"), &what);
        assert!(form_token_holds(&key, &session("s1"), &what, &token));
        assert!(!form_token_holds(&key, &session("s2"), &what, &token), "another session");
        assert!(!form_token_holds(&key, &session("s1"), &["decide", "p1", "3", "9329e974"], &token), "another version");
        assert!(!form_token_holds(&key, &session("s1"), &["decide", "p12", "", "9329e974"], &token), "parts moved");
        assert!(!form_token_holds(&DataKey::new(&[8; 32]).expect("a key"), &session("s1"), &what, &token), "another deployment");
        assert!(!form_token_holds(&key, &session("s1"), &what, ""));
        assert!(!form_token_holds(&key, &session("s1"), &what, &token[1..]));
    }

    #[test]
    fn every_reply_forbids_scripts_frames_guessing_and_indexing() {
        let reply = guard(Reply::see_other("/api/portal/inbox"));
        let policy = reply.header("content-security-policy").expect("a policy");
        assert!(policy.starts_with("default-src 'none'") && policy.contains("frame-ancestors 'none'") && !policy.contains("unsafe"));
        assert_eq!(reply.header("referrer-policy"), Some("no-referrer"));
        assert_eq!(reply.header("x-content-type-options"), Some("nosniff"));
        assert_eq!(reply.header("x-robots-tag"), Some("noindex"));
    }

    proptest! {
        #[test]
        fn no_other_text_passes_as_a_token(text in ".{0,80}") {
            let key = DataKey::new(&[7; 32]).expect("a key");
            prop_assert!(!form_token_holds(&key, &session("s1"), &["decide"], &text));
        }
    }
}
