//! The make-believe Autotask PSA of Northgate IT: signed webhooks and the REST API.

use aws_lc_rs::hmac;
use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use serde_json::{Value, json};
use time::{Duration, OffsetDateTime};

use super::{AUTOTASK, Answer, Delivery, stamp};

pub const HOST: &str = "webservices5.autotask.net";
pub const USER: &str = "api@northgate.example";
pub const SECRET: &str = "demo-api-secret";
pub const INTEGRATION_CODE: &str = "DEMOINTEGRATIONCODE";
pub const WEBHOOK_SECRET: &str = "demo-webhook-secret-of-northgate-it";
pub const WEBHOOK_GUID: &str = "0f5a2f6e-2f0b-4b7e-8a0e-5a0c7c6d9f21";
/// Ridge Composites, mapped in the demo.
pub const RIDGE: u32 = 174;

/// Ticket types, and what their tickets are evidence of.
pub const INCIDENT_TYPE: u32 = 2;
/// The type of the devices among the configuration items.
pub const DEVICE_TYPE: u32 = 10;

pub(super) fn deliveries(now: OffsetDateTime) -> Vec<Delivery> {
    // The same numbers all day: a demo that is started again repeats its events as duplicates.
    let sequence = u32::from(now.ordinal()) * 10;
    vec![
        ticket(351_201, "0201", "Lost badge reported and disabled", "Create", sequence + 1, now - Duration::minutes(9)),
        ticket(351_201, "0201", "Lost badge reported and disabled", "Update", sequence + 2, now - Duration::minutes(3)),
    ]
}

pub(super) fn answer(path: &str, body: &[u8], now: OffsetDateTime) -> Answer {
    let path = path.to_ascii_lowercase();
    if path.ends_with("/zoneinformation") {
        return Answer::json(&json!({
            "zoneName": "America East 2", "url": format!("https://{HOST}/ATServicesRest/"), "webUrl": "https://ww5.autotask.net/", "ci": 1234
        }));
    }
    if path.ends_with("/thresholdinformation") {
        return Answer::json(
            &json!({ "externalRequestThreshold": 10_000, "requestThresholdTimeframe": 60, "currentTimeframeRequestCount": 812 }),
        );
    }
    if path.ends_with("/configurationitems/query") {
        let query: Value = serde_json::from_slice(body).unwrap_or_default();
        let company =
            query["filter"].as_array().and_then(|f| f.iter().find(|f| f["field"] == "companyID")).and_then(|f| f["value"].as_u64());
        let mut items = if company.is_none_or(|company| company == u64::from(RIDGE)) { configuration_items(now) } else { Vec::new() };
        items.truncate(query["MaxRecords"].as_u64().and_then(|most| usize::try_from(most).ok()).unwrap_or(usize::MAX));
        return Answer::json(&json!({
            "pageDetails": { "count": items.len(), "requestCount": 500, "prevPageUrl": null, "nextPageUrl": null },
            "items": items
        }));
    }
    Answer::not_found()
}

fn configuration_items(now: OffsetDateTime) -> Vec<Value> {
    const DEVICES: &[(&str, &str)] = &[
        ("RC-LT-22", "Windows 11 Pro"),
        ("RC-LT-23", "Windows 11 Pro"),
        ("RC-WS-01", "Windows 11 Pro"),
        ("RC-WS-02", "Windows 11 Pro"),
        ("RC-FS-01", "Windows Server 2022"),
    ];
    let modified = stamp(now - Duration::hours(5));
    DEVICES
        .iter()
        .zip(9917u32..)
        .map(|((name, os), id)| {
            json!({
                "id": id, "companyID": RIDGE, "referenceTitle": name, "serialNumber": format!("RC{id}"),
                "configurationItemCategoryID": 2, "configurationItemType": DEVICE_TYPE, "isActive": true,
                "rmmDeviceAuditHostname": name, "rmmDeviceAuditOperatingSystem": os,
                "lastModifiedTime": modified, "userDefinedFields": []
            })
        })
        .collect()
}

fn ticket(id: u32, number: &str, title: &str, action: &str, sequence: u32, at: OffsetDateTime) -> Delivery {
    let number = format!("T{:04}{:02}{:02}.{number}", at.year(), u8::from(at.month()), at.day());
    let body = json!({
        "Action": action, "Guid": WEBHOOK_GUID, "EntityType": "Ticket", "Id": id,
        "Fields": {
            "TicketNumber": number, "CompanyID": RIDGE.to_string(), "Status": if action == "Create" { "1" } else { "5" },
            "Priority": "2", "TicketType": INCIDENT_TYPE.to_string(), "Title": title
        },
        "EventTime": stamp(at), "SequenceNumber": sequence, "PersonID": 30_691_780
    })
    .to_string();
    let signature = signature(body.as_bytes());
    Delivery {
        connector: "autotask",
        connection: AUTOTASK,
        query: String::new(),
        headers: vec![("content-type", "application/json".into()), ("x-hook-signature", signature)],
        body,
    }
}

/// `sha1=` base64(HMAC-SHA1(secret, body)), as Autotask signs callbacks.
pub fn signature(body: &[u8]) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, WEBHOOK_SECRET.as_bytes());
    format!("sha1={}", BASE64.encode(hmac::sign(&key, body)))
}
