//! A callback's body, and a row of the API: the same record in two envelopes.
//!
//! The record comes as JSON text inside a string and is null on delete. Older payloads lack a message id.

use serde_json::Value;

use crate::{
    connectors::{
        body,
        event::{ACTIVE, Action, BOARD, Entity, Event, Fields, Judged, TITLE, TYPE, TYPE_NAME, id, keep, text, time, truth, yes_or_no},
    },
    tenancy::seal::sha256,
};

/// What a verified callback says.
pub fn judge(body: &Value, raw: &[u8]) -> Judged {
    let record = record(&body["Entity"]);
    let kind = text(&body["Type"]).unwrap_or_default().to_lowercase();
    let Some(id) = id(&body["ID"]).or_else(|| id(&record["id"])) else { return Judged::Reject { reason: "no_record_id" } };
    let action = text(&body["Action"]).unwrap_or_default().to_lowercase();
    // Before message ids came, the same record with the same bytes was the same event.
    let dedupe_key = text(&body["MessageId"]).unwrap_or_else(|| format!("{kind}:{id}:{action}:{}", sha256(raw)));
    let entity = match kind.as_str() {
        "ticket" => Entity::Ticket,
        "configuration" => Entity::Configuration,
        _ => return Judged::Ignore { reason: "not_collected", dedupe_key },
    };
    let action = match action.as_str() {
        "added" => Action::Created,
        "deleted" => Action::Deleted,
        _ => Action::Updated,
    };
    if action != Action::Deleted && !record.is_object() {
        return Judged::Reject { reason: "no_record" };
    }
    Judged::Event(Box::new(event(entity, action, id, dedupe_key, &record)))
}

/// Which record a callback is about, whether it is collected or not: `time:55`.
pub fn record_key(body: &Value) -> Option<String> {
    let kind = id(&body["Type"])?.to_lowercase();
    let id = id(&body["ID"]).or_else(|| id(&record(&body["Entity"])["id"]))?;
    Some(format!("{kind}:{id}"))
}

/// A row that the API gave, seen as an update of the whole record.
pub fn row(entity: Entity, row: &Value, dedupe_key: String) -> Option<Event> {
    Some(event(entity, Action::Updated, id(&row["id"])?, dedupe_key, row))
}

fn event(entity: Entity, action: Action, id: String, dedupe_key: String, record: &Value) -> Event {
    let mut fields = Fields::new();
    match entity {
        Entity::Ticket => ticket(record, &mut fields),
        Entity::Configuration => configuration(record, &mut fields),
    }
    Event {
        entity,
        kind: entity.word().into(),
        action,
        company: crate::connectors::event::id(&record["company"]["id"]),
        company_name: text(&record["company"]["name"]),
        occurred_at: time(&record["_info"]["lastUpdated"]).or_else(|| time(&record["lastUpdated"])),
        sequence: 0,
        closed: (entity == Entity::Ticket).then(|| truth(&record["closedFlag"])).flatten(),
        number: (entity == Entity::Ticket).then(|| id.clone()),
        whole: action != Action::Deleted,
        fields,
        dedupe_key,
        id,
    }
}

fn ticket(record: &Value, fields: &mut Fields) {
    keep(fields, TITLE, text(&record["summary"]));
    keep(fields, BOARD, text(&record["board"]["id"]));
    keep(fields, TYPE, text(&record["type"]["id"]));
    keep(fields, "number", text(&record["id"]));
    keep(fields, "board", text(&record["board"]["name"]));
    keep(fields, "type", text(&record["type"]["name"]));
    keep(fields, "status", text(&record["status"]["name"]));
    keep(fields, "priority", text(&record["priority"]["name"]));
    keep(fields, "severity", text(&record["severity"]));
    keep(fields, "impact", text(&record["impact"]));
    keep(fields, "approved", text(&record["approved"]));
    keep(fields, "closed", text(&record["closedFlag"]));
    keep(fields, "closed on", text(&record["closedDate"]));
    keep(fields, "entered on", text(&record["_info"]["dateEntered"]));
    keep(fields, "external reference", text(&record["externalXRef"]));
}

fn configuration(record: &Value, fields: &mut Fields) {
    keep(fields, TITLE, text(&record["name"]));
    keep(fields, TYPE, text(&record["type"]["id"]));
    keep(fields, TYPE_NAME, text(&record["type"]["name"]));
    keep(fields, "status", text(&record["status"]["name"]));
    keep(fields, ACTIVE, yes_or_no(&record["activeFlag"]));
    keep(fields, "serial number", text(&record["serialNumber"]));
    keep(fields, "model", text(&record["modelNumber"]));
    keep(fields, "operating system", text(&record["osType"]));
    keep(fields, "operating system version", text(&record["osInfo"]));
    keep(fields, "last backup", text(&record["lastBackupDate"]));
}

fn record(entity: &Value) -> Value {
    match entity {
        Value::String(text) => body::read(text.as_bytes()).unwrap_or(Value::Null),
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_ticket_is_read_from_the_json_inside_the_string() {
        let record = json!({ "id": 7, "summary": "BitLocker off", "closedFlag": true, "company": { "id": 250, "name": "Harbor" },
            "status": { "name": "Closed" }, "board": { "id": 14 }, "initialDescription": "secret text", "_info": { "lastUpdated": "2026-11-10T15:04:02Z" } });
        let body = json!({ "MessageId": "m1", "Action": "updated", "Type": "ticket", "ID": 7, "Entity": record.to_string() });
        let Judged::Event(event) = judge(&body, b"raw") else { panic!("an event") };
        assert_eq!((event.id.as_str(), event.company.as_deref(), event.closed), ("7", Some("250"), Some(true)));
        assert_eq!(event.dedupe_key, "m1");
        assert_eq!(event.fields[BOARD], "14");
        assert!(!format!("{event:?}").contains("secret text"));
    }

    #[test]
    fn a_delete_has_no_record_and_an_old_payload_no_message_id() {
        let body = json!({ "Action": "deleted", "Type": "configuration", "ID": "7731", "Entity": null });
        let Judged::Event(event) = judge(&body, b"raw") else { panic!("an event") };
        assert_eq!(event.action, Action::Deleted);
        assert_eq!(event.company, None);
        assert!(event.dedupe_key.starts_with("configuration:7731:deleted:"));
    }

    #[test]
    fn what_is_not_collected_is_ignored_and_what_has_no_id_is_refused() {
        let contact = json!({ "MessageId": "m2", "Action": "added", "Type": "contact", "ID": 1, "Entity": "{}" });
        assert_eq!(judge(&contact, b""), Judged::Ignore { reason: "not_collected", dedupe_key: "m2".into() });
        assert_eq!(judge(&json!({ "Type": "ticket" }), b""), Judged::Reject { reason: "no_record_id" });
        assert_eq!(judge(&json!([1, 2]), b""), Judged::Reject { reason: "no_record_id" });
    }
}
