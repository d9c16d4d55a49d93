//! Mails by Azure Communication Services, over its REST interface (api-version 2023-03-31) and as this app's own identity:
//! there is no access key that could leak.
//!
//! The service takes a mail and sends it later; that it took one (202) is all that is known here. The same mail asked for
//! again carries the same operation id, and within minutes the same request id, moment and bytes, so that it is not sent twice.

use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use bytes::Bytes;
use serde_json::json;
use time::{UtcOffset, format_description::BorrowedFormatItem, macros::format_description};

use super::{A_MINUTE, Answer, MAX_ANSWER_BYTES, Outgoing, TIMEOUT, ask};
use crate::{
    app::App,
    config::AcsSettings,
    gate::mail::Mail,
    platform::ports::{HttpMethod, HttpRequest, PortErrorKind},
};

/// `name`: of the mail, the same however often it is sent.
pub(super) async fn send(app: &App, settings: &AcsSettings, outgoing: &Outgoing, name: &str) -> Answer {
    let token = match app.identity.mail_token().await {
        Ok(token) => token,
        Err(error) if error.kind == PortErrorKind::Unavailable => {
            return Answer::Later { wait: A_MINUTE, why: "The place that gives tokens does not answer.", may_have_it: false };
        }
        Err(_) => return Answer::Refused { why: "Assay has no token for Azure Communication Services: see its identity and role." },
    };
    let mut url = settings.endpoint.clone();
    url.set_path("emails:send");
    url.set_query(Some("api-version=2023-03-31"));
    let request = HttpRequest {
        method: HttpMethod::Post,
        url,
        headers: vec![
            ("Authorization".into(), format!("Bearer {}", token.as_str())),
            ("Content-Type".into(), "application/json".into()),
            ("Operation-Id".into(), operation(name)),
            ("Repeatability-Request-Id".into(), operation(&format!("{name} {}", outgoing.first_sent.unix_timestamp()))),
            ("Repeatability-First-Sent".into(), outgoing.first_sent.to_offset(UtcOffset::UTC).format(FIXDATE).unwrap_or_default()),
        ],
        body: Bytes::from(outgoing.body.clone()),
        timeout: TIMEOUT,
        max_response_bytes: MAX_ANSWER_BYTES,
    };
    let silent = "The mail service does not answer.";
    ask(app, request, of_status, silent, "The address of the mail service cannot be called.").await
}

/// The body of the POST.
pub(super) fn body(settings: &AcsSettings, mail: &Mail) -> String {
    let (text, html) = mail.parts();
    let body = json!({
        "senderAddress": settings.from,
        "content": { "subject": mail.plain_subject(), "plainText": text, "html": html },
        "recipients": { "to": [{ "address": mail.to.address, "displayName": mail.to.name }] },
        "userEngagementTrackingDisabled": true,
    });
    body.to_string()
}

/// IMF-fixdate (RFC 9110 5.6.7).
const FIXDATE: &[BorrowedFormatItem<'_>] =
    format_description!("[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT");

/// A UUID made from the mail's name.
fn operation(name: &str) -> String {
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest(&SHA256, name.as_bytes()).as_ref()[..16]);
    uuid::Builder::from_custom_bytes(bytes).into_uuid().hyphenated().to_string()
}

fn of_status(status: u16, asked: Option<Duration>) -> Answer {
    match status {
        200..=299 => Answer::Accepted,
        429 => Answer::Later { wait: asked.unwrap_or(A_MINUTE), why: "The mail service asks to wait.", may_have_it: false },
        408 | 500..=599 => {
            Answer::Later { wait: asked.unwrap_or(A_MINUTE), why: "The mail service could not take it just now.", may_have_it: true }
        }
        // The same request is under way.
        409 => Answer::Later { wait: asked.unwrap_or(A_MINUTE), why: "The mail service works on the same mail.", may_have_it: true },
        412 => Answer::Later { wait: A_MINUTE, why: "The mail service takes this machine's clock to be wrong.", may_have_it: false },
        401 | 403 => Answer::Refused { why: "Assay may not send by this mail service: give its identity the role on the resource." },
        404 => Answer::Refused { why: "The mail service or its sender domain is not there." },
        _ => Answer::Refused { why: "The mail service refused the mail; see that the sender address belongs to a domain of the resource." },
    }
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    #[test]
    fn the_moment_is_written_as_http_has_it() {
        assert_eq!(datetime!(2026-03-09 09:05 UTC).format(FIXDATE).expect("a date"), "Mon, 09 Mar 2026 09:05:00 GMT");
    }

    #[test]
    fn a_mail_has_one_operation_and_every_status_its_answer() {
        assert_eq!(operation("a/b.eml"), operation("a/b.eml"));
        assert_ne!(operation("a/b.eml"), operation("a/c.eml"));
        assert!(uuid::Uuid::parse_str(&operation("x")).is_ok());
        assert_eq!(of_status(202, None), Answer::Accepted);
        assert!(matches!(of_status(429, Some(Duration::from_secs(3))), Answer::Later { wait, .. } if wait.as_secs() == 3));
        for status in [400, 401, 403, 404] {
            assert!(matches!(of_status(status, None), Answer::Refused { .. }), "{status}");
        }
    }
}
