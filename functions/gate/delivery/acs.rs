//! Mails by Azure Communication Services, over its REST interface (api-version 2023-03-31) and as this app's own identity:
//! there is no access key that could leak.
//!
//! The service takes a mail and sends it later; that it took one (202) is all that is known here. The same mail asked for
//! again carries the same operation id.

use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use bytes::Bytes;
use serde_json::json;

use super::{A_MINUTE, Answer, MAX_ANSWER_BYTES, TIMEOUT, ask};
use crate::{
    app::App,
    config::AcsSettings,
    gate::mail::Mail,
    platform::ports::{HttpMethod, HttpRequest, PortErrorKind},
};

/// `name`: of the mail, the same however often it is sent.
pub(super) async fn send(app: &App, settings: &AcsSettings, mail: &Mail, name: &str) -> Answer {
    let token = match app.identity.mail_token().await {
        Ok(token) => token,
        Err(error) if error.kind == PortErrorKind::Unavailable => {
            return Answer::Later { wait: A_MINUTE, why: "The place that gives tokens does not answer." };
        }
        Err(_) => return Answer::Refused { why: "Assay has no token for Azure Communication Services: see its identity and role." },
    };
    let mut url = settings.endpoint.clone();
    url.set_path("emails:send");
    url.set_query(Some("api-version=2023-03-31"));
    let (text, html) = mail.parts();
    let body = json!({
        "senderAddress": settings.from,
        "content": { "subject": mail.plain_subject(), "plainText": text, "html": html },
        "recipients": { "to": [{ "address": mail.to.address, "displayName": mail.to.name }] },
        "userEngagementTrackingDisabled": true,
    });
    let request = HttpRequest {
        method: HttpMethod::Post,
        url,
        headers: vec![
            ("Authorization".into(), format!("Bearer {}", token.as_str())),
            ("Content-Type".into(), "application/json".into()),
            ("Operation-Id".into(), operation(name)),
        ],
        body: Bytes::from(body.to_string()),
        timeout: TIMEOUT,
        max_response_bytes: MAX_ANSWER_BYTES,
    };
    let silent = "The mail service does not answer.";
    ask(app, request, of_status, silent, "The address of the mail service cannot be called.").await
}

/// A UUID made from the mail's name.
fn operation(name: &str) -> String {
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest(&SHA256, name.as_bytes()).as_ref()[..16]);
    uuid::Builder::from_custom_bytes(bytes).into_uuid().hyphenated().to_string()
}

fn of_status(status: u16, asked: Option<Duration>) -> Answer {
    match status {
        200..=299 => Answer::Accepted,
        429 => Answer::Later { wait: asked.unwrap_or(A_MINUTE), why: "The mail service asks to wait." },
        408 | 500..=599 => Answer::Later { wait: asked.unwrap_or(A_MINUTE), why: "The mail service could not take it just now." },
        401 | 403 => Answer::Refused { why: "Assay may not send by this mail service: give its identity the role on the resource." },
        404 => Answer::Refused { why: "The mail service or its sender domain is not there." },
        _ => Answer::Refused { why: "The mail service refused the mail; see that the sender address belongs to a domain of the resource." },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mail_has_one_operation_and_every_status_its_answer() {
        assert_eq!(operation("a/b.eml"), operation("a/b.eml"));
        assert_ne!(operation("a/b.eml"), operation("a/c.eml"));
        assert!(uuid::Uuid::parse_str(&operation("x")).is_ok());
        assert_eq!(of_status(202, None), Answer::Accepted);
        assert!(matches!(of_status(429, Some(Duration::from_secs(3))), Answer::Later { wait, .. } if wait.as_secs() == 3));
        for status in [400, 401, 403, 404, 409] {
            assert!(matches!(of_status(status, None), Answer::Refused { .. }), "{status}");
        }
    }
}
