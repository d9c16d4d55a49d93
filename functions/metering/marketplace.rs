//! One usage event of the Marketplace's metering API (api-version 2018-08-31), as this app's own identity.
//!
//! The API takes one event for each hour, resource and dimension; another of the same hour is a duplicate (409), whose
//! answer shows the one that it has. So an event whose answer was lost is asked for again, and a duplicate of the same
//! quantity is ours. One that shows no quantity is taken for ours too, and the log says that it was not shown.

use std::time::Duration;

use bytes::Bytes;
use serde_json::{Value, json};
use time::format_description::well_known::Rfc3339;

use super::UsageEvent;
use crate::{
    app::App,
    config::{MeteringSettings, is_usage_id},
    platform::ports::{HttpMethod, HttpRequest, HttpResponse, PortErrorKind},
};

const TIMEOUT: Duration = Duration::from_secs(20);
const MAX_ANSWER_BYTES: usize = 64 * 1024;
const MOST_OF_AN_ID: usize = 64;

#[derive(Debug, PartialEq)]
pub(super) enum Answer {
    /// It has it: now, or from a try before. `id`: its own name for it.
    Accepted { id: Option<String>, which: Which },
    /// It has an event of this hour that is not ours.
    Taken { quantity: f64 },
    /// It does not take this one.
    Refused { why: &'static str },
    /// It takes none just now, or none from us.
    Away { why: &'static str },
}

/// Which event it is that it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Which {
    This,
    /// One of the same quantity, from a try whose answer was lost.
    Before,
    /// One of this hour, and it does not show of which quantity.
    Unshown,
}

const NO_TOKEN: &str = "Assay has no token for the Marketplace: see its identity (ASSAY_CREDENTIAL, ASSAY_IDENTITY).";
const NO_TOKEN_NOW: &str = "The place that gives tokens does not answer.";
const SILENT: &str = "The Marketplace does not answer.";

/// Asks once.
pub(super) async fn report(app: &App, settings: &MeteringSettings, event: &UsageEvent) -> Answer {
    let token = match app.identity.metering_token().await {
        Ok(token) => token,
        Err(error) if error.kind == PortErrorKind::Unavailable => return Answer::Away { why: NO_TOKEN_NOW },
        Err(_) => return Answer::Away { why: NO_TOKEN },
    };
    let mut url = settings.endpoint.clone();
    url.set_path("api/usageEvent");
    url.set_query(Some("api-version=2018-08-31"));
    let request_id = app.ids.uuid();
    let request = HttpRequest {
        method: HttpMethod::Post,
        url,
        headers: vec![
            ("Authorization".into(), format!("Bearer {}", token.as_str())),
            ("Content-Type".into(), "application/json".into()),
            ("x-ms-requestid".into(), request_id.to_string()),
        ],
        body: Bytes::from(body(event)),
        timeout: TIMEOUT,
        max_response_bytes: MAX_ANSWER_BYTES,
    };
    let answer = match app.http.send(request).await {
        Ok(response) => of(&response, event.quantity),
        Err(_) => Answer::Away { why: SILENT },
    };
    if let Answer::Refused { why } | Answer::Away { why } = &answer {
        // The id is what the Marketplace's support asks for.
        tracing::warn!(request = %request_id, why, "a usage event was not taken; the next sweep tries again");
    }
    answer
}

/// A managed application is named by its id (`resourceUri`) or by its usage id (`resourceId`), never by both.
fn body(event: &UsageEvent) -> String {
    let UsageEvent { at, quantity, plan, dimension, resource, .. } = event;
    let named = if is_usage_id(resource) { "resourceId" } else { "resourceUri" };
    json!({
        named: resource,
        "planId": plan,
        "dimension": dimension,
        "quantity": quantity,
        "effectiveStartTime": at.format(&Rfc3339).unwrap_or_default(),
    })
    .to_string()
}

fn of(response: &HttpResponse, quantity: u64) -> Answer {
    let said: Value = serde_json::from_slice(&response.body).unwrap_or_default();
    match response.status {
        200..=299 if said["status"] == "Accepted" => Answer::Accepted { id: id_of(&said), which: Which::This },
        409 => {
            let taken = &said["additionalInfo"]["acceptedMessage"];
            let ours = f64::from(u32::try_from(quantity).unwrap_or(u32::MAX));
            match taken["quantity"].as_f64() {
                // Clients are whole.
                Some(other) if (other - ours).abs() >= 0.5 => Answer::Taken { quantity: other },
                Some(_) => Answer::Accepted { id: id_of(taken), which: Which::Before },
                None => Answer::Accepted { id: id_of(taken), which: Which::Unshown },
            }
        }
        400 => Answer::Refused {
            why: "The Marketplace refuses the event as wrong (400): compare ASSAY_METERING_PLAN and ASSAY_METERING_DIMENSION with the plan as it was published, and this machine's clock.",
        },
        401 | 403 | 404 => Answer::Away {
            why: "The Marketplace does not let Assay's identity report for this resource: ASSAY_METERING_RESOURCE must be the managed application in whose resource group that identity is.",
        },
        429 => Answer::Away { why: "The Marketplace asks to wait." },
        408 | 500..=599 => Answer::Away { why: "The Marketplace could not take it just now." },
        _ => Answer::Refused { why: "The Marketplace gives an answer that Assay does not know." },
    }
}

fn id_of(said: &Value) -> Option<String> {
    said["usageEventId"].as_str().map(|id| id.chars().take(MOST_OF_AN_ID).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(status: u16, body: &Value) -> Answer {
        of(&HttpResponse { status, headers: vec![], body: Bytes::from(body.to_string()) }, 3)
    }

    #[test]
    fn a_duplicate_is_ours_unless_it_shows_another_quantity() {
        let shown = |quantity: Value| json!({ "code": "Conflict", "additionalInfo": { "acceptedMessage": { "usageEventId": "a", "status": "Duplicate", "quantity": quantity } } });
        let ours = |id: Option<&str>, which| Answer::Accepted { id: id.map(str::to_owned), which };
        assert_eq!(said(409, &shown(json!(3.0))), ours(Some("a"), Which::Before));
        assert_eq!(said(409, &shown(json!(3))), ours(Some("a"), Which::Before));
        assert_eq!(said(409, &shown(Value::Null)), ours(Some("a"), Which::Unshown));
        assert_eq!(said(409, &json!({ "code": "Conflict" })), ours(None, Which::Unshown));
        assert_eq!(said(409, &shown(json!(2.0))), Answer::Taken { quantity: 2.0 });
    }

    #[test]
    fn every_status_has_its_answer() {
        let accepted = json!({ "usageEventId": "b", "status": "Accepted", "quantity": 3.0 });
        assert_eq!(said(200, &accepted), Answer::Accepted { id: Some("b".into()), which: Which::This });
        for status in [400, 302] {
            assert!(matches!(said(status, &Value::Null), Answer::Refused { .. }), "{status}");
        }
        for status in [401, 403, 404, 408, 429, 500, 503] {
            assert!(matches!(said(status, &Value::Null), Answer::Away { .. }), "{status}");
        }
    }
}
