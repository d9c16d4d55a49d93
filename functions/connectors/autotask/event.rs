//! A webhook's body and a row of the API.
//!
//! Field values come as text and only those that changed; entity names may be the legacy ones. The signed time decides
//! whether a body can be a first delivery.

use serde_json::Value;
use time::{Duration, OffsetDateTime};

use crate::connectors::event::{ACTIVE, Action, BOARD, Entity, Event, Fields, Judged, TITLE, TYPE, id, keep, text, time, yes_or_no};

/// The sender's last try is two minutes after the event; the rest is for clocks and queues on the way.
pub const WINDOW: Duration = Duration::minutes(15);

/// What a verified webhook says. `guids` are the connection's own webhooks.
pub fn judge(body: &Value, guids: &[String], received_at: OffsetDateTime) -> Judged {
    let guid = text(&body["Guid"]).unwrap_or_default();
    if !guids.iter().any(|known| known.eq_ignore_ascii_case(&guid)) {
        return Judged::Reject { reason: "unknown_webhook_guid" };
    }
    let action = text(&body["Action"]).unwrap_or_default();
    if action.eq_ignore_ascii_case("deactivated") {
        return Judged::Hint { reason: "deactivation_notice" };
    }
    let Some(id) = id(&body["Id"]) else { return Judged::Reject { reason: "no_record_id" } };
    let named = text(&body["EntityType"]).unwrap_or_default();
    let sequence = text(&body["SequenceNumber"]).and_then(|number| number.parse().ok()).unwrap_or(0);
    let dedupe_key = format!("{guid}:{sequence}:{action}:{named}:{id}");
    let occurred_at = time(&body["EventTime"]);
    if let Some(at) = occurred_at {
        if received_at - at > WINDOW {
            return Judged::Stale { reason: "event_time_older_than_window", dedupe_key };
        }
        if at - received_at > WINDOW {
            return Judged::Stale { reason: "event_time_in_the_future", dedupe_key };
        }
    }
    let Some((entity, kind)) = entity(&named) else { return Judged::Ignore { reason: "not_collected", dedupe_key } };
    let action = match action.to_lowercase().as_str() {
        "create" => Action::Created,
        "delete" => Action::Deleted,
        _ => Action::Updated,
    };
    let record = Record(&body["Fields"]);
    Judged::Event(Box::new(Event {
        entity,
        kind: kind.into(),
        action,
        occurred_at,
        sequence,
        whole: false,
        dedupe_key,
        ..record.event(entity, id)
    }))
}

/// What is collected, by the name of its type or the legacy one.
fn entity(named: &str) -> Option<(Entity, &'static str)> {
    match named.to_lowercase().as_str() {
        "ticket" | "tickets" => Some((Entity::Ticket, "ticket")),
        "configurationitem" | "configurationitems" | "installedproduct" => Some((Entity::Configuration, "configuration_item")),
        _ => None,
    }
}

/// Which record a webhook is about, whether it is collected or not: `ticketnotes:55`.
pub fn record_key(body: &Value) -> Option<String> {
    let named = id(&body["EntityType"])?;
    let kind = entity(&named).map_or_else(|| named.to_lowercase(), |(entity, _)| entity.word().to_owned());
    Some(format!("{kind}:{}", id(&body["Id"])?))
}

/// A row that the API gave, seen as an update of the whole record.
pub fn row(entity: Entity, row: &Value, dedupe_key: String) -> Option<Event> {
    Some(Event { dedupe_key, ..Record(row).event(entity, id(&row["id"])?) })
}

/// The fields of a record, found without regard to case: webhooks and the API spell them differently.
struct Record<'a>(&'a Value);

impl Record<'_> {
    fn event(&self, entity: Entity, id: String) -> Event {
        let mut fields = Fields::new();
        match entity {
            Entity::Ticket => self.ticket(&mut fields),
            Entity::Configuration => self.configuration(&mut fields),
        }
        let ticket = entity == Entity::Ticket;
        Event {
            entity,
            kind: if ticket { "ticket" } else { "configuration_item" }.into(),
            action: Action::Updated,
            id,
            // `AccountID` is the legacy name.
            company: crate::connectors::event::id(self.get("companyID")).or_else(|| crate::connectors::event::id(self.get("accountID"))),
            company_name: None,
            occurred_at: time(self.get("lastActivityDate")).or_else(|| time(self.get("lastModifiedTime"))),
            sequence: 0,
            closed: (ticket && text(self.get("completedDate")).is_some()).then_some(true),
            number: text(self.get("ticketNumber")),
            whole: true,
            fields,
            dedupe_key: String::new(),
        }
    }

    fn ticket(&self, fields: &mut Fields) {
        keep(fields, TITLE, text(self.get("title")));
        keep(fields, BOARD, text(self.get("queueID")));
        keep(fields, TYPE, text(self.get("ticketType")));
        keep(fields, "number", text(self.get("ticketNumber")));
        keep(fields, "status", text(self.get("status")));
        keep(fields, "priority", text(self.get("priority")));
        keep(fields, "completed on", text(self.get("completedDate")));
        keep(fields, "created on", text(self.get("createDate")));
        keep(fields, "change approval", text(self.get("changeApprovalStatus")));
        keep(fields, "external reference", text(self.get("externalID")));
    }

    fn configuration(&self, fields: &mut Fields) {
        keep(fields, TITLE, text(self.get("referenceTitle")).or_else(|| text(self.get("rmmDeviceAuditHostname"))));
        keep(fields, TYPE, text(self.get("configurationItemType")));
        keep(fields, ACTIVE, yes_or_no(self.get("isActive")));
        keep(fields, "serial number", text(self.get("serialNumber")));
        keep(fields, "host name", text(self.get("rmmDeviceAuditHostname")));
        keep(fields, "operating system", text(self.get("rmmDeviceAuditOperatingSystem")));
        keep(fields, "installed on", text(self.get("installDate")));
        keep(fields, "missing patches", text(self.get("rmmDeviceAuditMissingPatchCount")));
    }

    fn get(&self, name: &str) -> &Value {
        let fields = self.0.as_object();
        fields.and_then(|fields| fields.iter().find(|(key, _)| key.eq_ignore_ascii_case(name))).map_or(&Value::Null, |(_, value)| value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const GUID: &str = "a1da62a4-2c49-40a8-8183-69994ce5b3eb";

    fn judged(body: &Value, received_at: &str) -> Judged {
        let received_at = time(&json!(received_at)).expect("a time");
        judge(body, &[GUID.to_owned()], received_at)
    }

    fn body(entity: &str) -> Value {
        json!({ "Action": "Update", "Guid": GUID, "EntityType": entity, "Id": 9, "Fields": { "AccountID": "174", "Resolution": "secret text" },
            "EventTime": "2026-11-10T15:04:03Z", "SequenceNumber": 44 })
    }

    #[test]
    fn a_legacy_entity_name_is_the_same_record() {
        let Judged::Event(event) = judged(&body("InstalledProduct"), "2026-11-10T15:04:07Z") else { panic!("an event") };
        assert_eq!((event.kind.as_str(), event.company.as_deref(), event.sequence), ("configuration_item", Some("174"), 44));
        assert_eq!(event.dedupe_key, format!("{GUID}:44:Update:InstalledProduct:9"));
        assert!(!format!("{event:?}").contains("secret text"));
    }

    #[test]
    fn a_body_out_of_the_window_is_stale_on_both_sides() {
        assert!(matches!(judged(&body("Ticket"), "2026-11-10T15:19:03Z"), Judged::Event(_)));
        assert!(matches!(judged(&body("Ticket"), "2026-11-10T15:19:04Z"), Judged::Stale { .. }));
        assert!(matches!(judged(&body("Ticket"), "2026-11-10T14:00:00Z"), Judged::Stale { .. }));
    }

    #[test]
    fn another_webhook_is_refused_and_a_deactivation_is_a_hint() {
        let mut other = body("Ticket");
        other["Guid"] = json!("4e781bce-ff16-4d25-9280-cf3810f44545");
        assert_eq!(judged(&other, "2026-11-10T15:04:07Z"), Judged::Reject { reason: "unknown_webhook_guid" });
        let mut off = body("Ticket");
        off["Action"] = json!("Deactivated");
        assert_eq!(judged(&off, "2026-11-10T15:04:07Z"), Judged::Hint { reason: "deactivation_notice" });
    }
}
