//! What protects a page and a form: response headers, same origin, and the anti-forgery token.
//!
//! A POST of ours needs a session, our own origin and a token that is bound to the session and to exactly what is
//! decided. `Host` proves nothing: behind the Functions host it is the handler's own address.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

use time::OffsetDateTime;

use super::{Reply, Request};
use crate::{
    config::Config,
    tenancy::{directory::Session, seal::DataKey},
};

/// No script at all (one page has one, see [`guard_with_script`]), style and forms from our own origin only, never in a frame.
const CONTENT_SECURITY_POLICY: &str =
    "default-src 'none'; style-src 'self'; img-src 'self' data:; form-action 'self'; frame-ancestors 'none'; base-uri 'none'";

/// The headers of everything a browser gets from us; whoever builds the reply says how long it may be kept.
pub fn guard(reply: Reply) -> Reply {
    guarded(reply, CONTENT_SECURITY_POLICY.to_owned())
}

/// The same for a page with our own script, and nothing but that file: inline text still runs nowhere, and the script may
/// make no HTML of texts and ask nobody.
pub fn guard_with_script(reply: Reply, origin: &str, script: &str) -> Reply {
    guarded(reply, format!("{CONTENT_SECURITY_POLICY}; script-src {origin}{script}; require-trusted-types-for 'script'"))
}

fn guarded(reply: Reply, policy: String) -> Reply {
    reply
        .with("content-security-policy", policy)
        .with("referrer-policy", "no-referrer")
        .with("x-content-type-options", "nosniff")
        .with("x-robots-tag", "noindex")
        .with("cross-origin-opener-policy", "same-origin")
        .with("cross-origin-resource-policy", "same-origin")
}

/// A year (RFC 6797 6.1.1).
const STAY_WITH_HTTPS: &str = "max-age=31536000; includeSubDomains";

/// What every answer to an HTTP request says, also one that is no page: that a browser guesses no type, frames nothing, and
/// where the installation's address is https, stays with it.
pub fn guard_all(reply: Reply, https: bool) -> Reply {
    let mut reply = reply;
    for (name, value) in [("x-content-type-options", "nosniff"), ("content-security-policy", "default-src 'none'; frame-ancestors 'none'")]
    {
        if reply.header(name).is_none() {
            reply = reply.with(name, value);
        }
    }
    if https { reply.with("strict-transport-security", STAY_WITH_HTTPS) } else { reply }
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

/// The same for a page whose form says when it was shown: the time stands before the MAC, which covers it, so a decision can
/// say how long its page was open although no GET wrote anything.
pub fn timed_form_token(key: &DataKey, session: &Session, what: &[&str], shown_at: OffsetDateTime) -> String {
    let millis = (shown_at.unix_timestamp_nanos() / NANOS_OF_A_MILLI).to_string();
    format!("{millis}.{}", form_token(key, session, &timed(what, &millis)))
}

/// When the page of this token was shown; `None` when it is not exactly the token of this session and these words.
pub fn timed_form_token_holds(key: &DataKey, session: &Session, what: &[&str], token: &str) -> Option<OffsetDateTime> {
    let (millis, mac) = token.split_once('.')?;
    if !form_token_holds(key, session, &timed(what, millis), mac) {
        return None;
    }
    OffsetDateTime::from_unix_timestamp_nanos(millis.parse::<i128>().ok()? * NANOS_OF_A_MILLI).ok()
}

const NANOS_OF_A_MILLI: i128 = 1_000_000;

fn timed<'a>(what: &[&'a str], millis: &'a str) -> Vec<&'a str> {
    [what, &["shown at", millis]].concat()
}

fn parts<'a>(session: &'a Session, what: &[&'a str]) -> Vec<&'a [u8]> {
    [b"assay form 1".as_slice(), session.token_hash.as_bytes()].into_iter().chain(what.iter().map(|w| w.as_bytes())).collect()
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proptest::prelude::*;
    use time::{Duration, macros::datetime};

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
            led_to: None,
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
    fn a_token_says_when_its_page_was_shown_and_nobody_can_say_otherwise() {
        let key = DataKey::new(&[7; 32]).expect("a key");
        let what = ["decide", "p1", "2", "9329e974"];
        let token = timed_form_token(&key, &session("s1"), &what, AT + Duration::microseconds(1_500_700));
        let holds = |session_of: &str, what: &[&str], token: &str| timed_form_token_holds(&key, &session(session_of), what, token);
        assert_eq!(holds("s1", &what, &token), Some(AT + Duration::milliseconds(1_500)), "to the millisecond");
        assert_eq!((holds("s2", &what, &token), holds("s1", &["decide", "p1", "3", "9329e974"], &token)), (None, None));
        let (millis, mac) = token.split_once('.').expect("two parts");
        let earlier = format!("{}.{mac}", millis.parse::<i64>().expect("a number") - 60_000);
        for forged in
            [earlier, format!("0{token}"), format!("+{token}"), mac.into(), form_token(&key, &session("s1"), &what), String::new()]
        {
            assert_eq!(holds("s1", &what, &forged), None, "{forged}");
        }
        assert!(!form_token_holds(&key, &session("s1"), &what, &token), "nor is it the token of another form");
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

    #[test]
    fn every_answer_forbids_guessing_and_framing_and_stays_with_https_where_that_is_the_address() {
        let json = guard_all(Reply::json(200, &serde_json::json!({})), true);
        assert_eq!(json.header("x-content-type-options"), Some("nosniff"));
        assert!(json.header("content-security-policy").is_some_and(|policy| policy.contains("frame-ancestors 'none'")));
        assert_eq!(json.header("strict-transport-security"), Some("max-age=31536000; includeSubDomains"));
        let page = guard_all(guard(Reply::see_other("/api/portal/inbox")), false);
        assert_eq!(page.headers.iter().filter(|(name, _)| *name == "content-security-policy").count(), 1, "a page keeps its own");
        assert_eq!(page.header("strict-transport-security"), None, "on one's own machine");
    }

    proptest! {
        #[test]
        fn no_other_text_passes_as_a_token(text in ".{0,80}") {
            let key = DataKey::new(&[7; 32]).expect("a key");
            prop_assert!(!form_token_holds(&key, &session("s1"), &["decide"], &text));
        }
    }
}
