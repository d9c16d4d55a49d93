//! The make-believe ConnectWise PSA of Northgate IT: callbacks, the key they are signed with, and the API.

use aws_lc_rs::{digest, hmac};
use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use serde_json::{Value, json};
use time::{Duration, OffsetDateTime};

use super::{Answer, CONNECTWISE, Delivery, event_id, stamp};

pub const HOST: &str = "na.myconnectwise.net";
pub const COMPANY: &str = "northgateit";
pub const PUBLIC_KEY: &str = "DEMOPUBLICKEY";
pub const PRIVATE_KEY: &str = "DEMOPRIVATEKEY";
pub const CLIENT_ID: &str = "0d3f6a52-3c55-4f0e-8f5e-000000000001";
/// Harbor Precision Machining, mapped in the demo.
pub const HARBOR: u32 = 250;
/// A company that nobody has mapped yet: it waits on the mapping page.
pub const TIDEWATER: u32 = 261;

/// Boards, and what their tickets are evidence of.
pub const INCIDENTS: u32 = 21;
pub const CHANGES: u32 = 30;

/// Configuration types, all of them devices.
pub const WORKSTATIONS: u32 = 17;
pub const SERVERS: u32 = 21;

const SIGNING_KEY: &str = "demo-callback-key-of-northgate-it";
const KEY_URL: &str =
    "https://na.myconnectwise.net/v2026_1//system/callbackkey/index.rails?companyName=northgateit&id=3f7c1a2e-77d1-4a8e-9a55-5d1f0c2b9e11";

pub(super) fn deliveries(now: OffsetDateTime) -> Vec<Delivery> {
    let at = |minutes| now - Duration::minutes(minutes);
    vec![
        ticket(now, at(190), 918_311, HARBOR, INCIDENTS, "Phishing mail reported by the shop floor", "Closed - Verified", true),
        ticket(now, at(122), 918_340, HARBOR, CHANGES, "Move the CNC workstations to the new baseline", "Approved", false),
        ticket(now, at(61), 918_355, TIDEWATER, INCIDENTS, "Blocked sign-in from abroad", "New", false),
        ticket(now, at(4), 918_362, HARBOR, INCIDENTS, "Malware alert on HPM-CAD-03, contained", "In Progress", false),
    ]
}

pub(super) fn answer(path: &str, query: &str, now: OffsetDateTime) -> Answer {
    if path.contains("/system/callbackkey/") {
        return Answer { status: 200, content_type: "text/plain", body: json!({ "signing_key": SIGNING_KEY }).to_string() };
    }
    if path.ends_with(&format!("/login/companyinfo/{COMPANY}")) {
        return Answer::json(&json!({
            "CompanyName": "Northgate IT", "Codebase": "v2026_1/", "VersionCode": "v2026.1", "CompanyID": COMPANY,
            "IsCloud": true, "SiteUrl": "api-na.myconnectwise.net"
        }));
    }
    if path.ends_with("/company/configurations") {
        let conditions = url::form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "conditions").map(|(_, v)| v.into_owned());
        let harbor = conditions.is_none_or(|c| c.contains(&format!("company/id={HARBOR}")));
        let size = url::form_urlencoded::parse(query.as_bytes()).find_map(|(name, v)| (name == "pageSize").then(|| v.parse().ok())?);
        return Answer::json(&if harbor { configurations(now, size.unwrap_or(usize::MAX)) } else { json!([]) });
    }
    Answer::not_found()
}

/// The devices of Harbor Precision as the RMM last synced them.
fn configurations(now: OffsetDateTime, most: usize) -> Value {
    const DEVICES: &[(&str, &str, &str)] = &[
        ("HPM-CNC-01", "Managed Workstation", "Windows 11 Pro"),
        ("HPM-CNC-02", "Managed Workstation", "Windows 11 Pro"),
        ("HPM-CNC-07", "Managed Workstation", "Windows 11 Pro"),
        ("HPM-CAD-01", "Managed Workstation", "Windows 11 Pro"),
        ("HPM-CAD-03", "Managed Workstation", "Windows 11 Pro"),
        ("HPM-QA-02", "Managed Workstation", "Windows 11 Pro"),
        ("HPM-OFFICE-04", "Managed Workstation", "Windows 11 Pro"),
        ("HPM-OFFICE-05", "Managed Workstation", "Windows 11 Pro"),
        ("HPM-LT-11", "Managed Laptop", "Windows 11 Pro"),
        ("HPM-LT-12", "Managed Laptop", "Windows 11 Pro"),
        ("HPM-DC-01", "Managed Server", "Windows Server 2022"),
        ("HPM-FS-01", "Managed Server", "Windows Server 2022"),
    ];
    let synced = stamp(now - Duration::hours(2));
    let rows = DEVICES.iter().zip(7701u32..).take(most).map(|((name, kind, os), id)| {
        json!({
            "id": id, "name": name,
            "type": { "id": if *kind == "Managed Server" { SERVERS } else { WORKSTATIONS }, "name": kind },
            "status": { "id": 2, "name": "Active" },
            "company": { "id": HARBOR, "identifier": "HarborPrecision", "name": "Harbor Precision Machining LLC" },
            "serialNumber": format!("HPM{id}"), "osType": os, "osInfo": "10.0.26100",
            "activeFlag": true,
            "_info": { "lastUpdated": synced, "updatedBy": "RMMSync" }
        })
    });
    Value::Array(rows.collect())
}

#[expect(clippy::too_many_arguments, reason = "a row of the demo's story reads best as one line")]
fn ticket(
    now: OffsetDateTime,
    at: OffsetDateTime,
    id: u32,
    company: u32,
    board: u32,
    summary: &str,
    status: &str,
    closed: bool,
) -> Delivery {
    let action = if closed { "updated" } else { "added" };
    let (identifier, name) =
        if company == HARBOR { ("HarborPrecision", "Harbor Precision Machining LLC") } else { ("TidewaterTool", "Tidewater Tooling Inc") };
    let mut entity = json!({
        "id": id, "summary": summary, "recordType": "ServiceTicket",
        "board": { "id": board, "name": if board == INCIDENTS { "Security Incidents" } else { "Change Control" } },
        "status": { "id": 300, "name": status },
        "company": { "id": company, "identifier": identifier, "name": name },
        "priority": { "id": 8, "name": "Priority 2 - High" },
        "severity": "High", "impact": "Medium", "closedFlag": closed, "customFields": [],
        "_info": { "lastUpdated": stamp(at), "updatedBy": "mreyes", "dateEntered": stamp(at - Duration::minutes(35)), "enteredBy": "RMMSync" }
    });
    if closed {
        entity["closedDate"] = json!(stamp(at));
        entity["closedBy"] = json!("mreyes");
    }
    let body = json!({
        "MessageId": event_id(now, &format!("connectwise ticket {id} {action}")),
        "FromUrl": HOST, "CompanyId": COMPANY, "MemberId": "mreyes", "Action": action, "Type": "ticket", "ID": id,
        "ProductInstanceId": null, "PartnerId": "61ddc2817bcddc0001c7aa01",
        "Entity": entity.to_string(),
        "Metadata": { "key_url": KEY_URL },
        "CallbackObjectRecId": 1187
    })
    .to_string();
    Delivery {
        connector: "connectwise_manage",
        connection: CONNECTWISE,
        query: format!("id={id}&action={action}"),
        headers: vec![("content-type", "application/json; charset=utf-8".into()), ("x-content-signature", signature(body.as_bytes()))],
        body,
    }
}

/// base64(HMAC-SHA256(SHA-256(signing key), body)), as ConnectWise signs callbacks.
pub fn signature(body: &[u8]) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, digest::digest(&digest::SHA256, SIGNING_KEY.as_bytes()).as_ref());
    BASE64.encode(hmac::sign(&key, body))
}
