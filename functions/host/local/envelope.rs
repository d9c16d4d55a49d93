//! The JSON envelope the host sends to queue and timer functions: `{"Data": {..}, "Metadata": {..}}`.
//!
//! Rules of azure-functions-host, `ScriptInvocationContextExtensions.cs` and `Utility.cs`: bytes are base64 once, text is
//! JSON inside a JSON string, members of a JSON message are splatted into Metadata and overwrite what stands there.
//! That splat is why a handler must take nothing of weight from Metadata; it is imitated so that tests can show it.

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use serde_json::{Map, Value, json};
use time::{OffsetDateTime, UtcOffset, format_description::well_known::Rfc3339, macros::format_description};
use uuid::Uuid;

use super::{appfolder::DataType, queues::Leased};

/// What a timer run tells its function about the schedule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ScheduleStatus {
    /// `None`: never, which .NET writes as year 1.
    pub last: Option<OffsetDateTime>,
    pub next: Option<OffsetDateTime>,
    pub last_updated: Option<OffsetDateTime>,
}

/// `sys` of every envelope.
#[derive(Clone, Copy, Debug)]
pub struct Sys<'a> {
    pub function: &'a str,
    pub now: OffsetDateTime,
    pub random: Uuid,
}

/// `None` when the message is not text but the binding wants text: the real host poisons it without calling anybody.
pub fn of_queue_message(binding: &str, data_type: DataType, message: &Leased, sys: &Sys<'_>) -> Option<Value> {
    let mut metadata = Map::new();
    metadata.insert("DequeueCount".into(), message.dequeue_count.to_string().into());
    metadata.insert("ExpirationTime".into(), whole_seconds(message.expires_at).into());
    metadata.insert("Id".into(), twice(&message.id.to_string().into()));
    metadata.insert("InsertionTime".into(), whole_seconds(message.inserted_at).into());
    metadata.insert("NextVisibleTime".into(), whole_seconds(message.next_visible_at).into());
    metadata.insert("PopReceipt".into(), twice(&message.pop_receipt.simple().to_string().into()));
    metadata.insert("sys".into(), sys.value());
    let data = match data_type {
        DataType::Binary => BASE64.encode(&message.body).into(),
        DataType::Text => {
            let text = std::str::from_utf8(&message.body).ok()?;
            splat(text, &mut metadata);
            twice(&text.into())
        }
    };
    Some(json!({ "Data": { binding: data }, "Metadata": metadata }))
}

/// `status` is `None` when the schedule is not monitored.
pub fn of_timer(binding: &str, status: Option<&ScheduleStatus>, past_due: bool, sys: &Sys<'_>) -> Value {
    let status = status.map_or(
        Value::Null,
        |s| json!({ "Last": or_year_one(s.last), "Next": or_year_one(s.next), "LastUpdated": or_year_one(s.last_updated) }),
    );
    json!({
        "Data": { binding: { "Schedule": { "AdjustForDST": true }, "ScheduleStatus": status, "IsPastDue": past_due } },
        "Metadata": { "sys": sys.value() },
    })
}

/// A run asked for by hand at the admin route: the input as the message, no id, no pop receipt (measured).
pub fn of_manual_run(binding: &str, input: &str, sys: &Sys<'_>) -> Value {
    json!({
        "Data": { binding: twice(&input.into()) },
        "Metadata": { "input": twice(&input.into()), "ExpirationTime": "9999-12-31T23:59:59+00:00", "sys": sys.value() },
    })
}

impl Sys<'_> {
    fn value(&self) -> Value {
        json!({ "MethodName": self.function, "UtcNow": utc_now(self.now), "RandGuid": self.random })
    }
}

/// Top-level members of a JSON-object message become metadata: objects as they are, scalars as text, arrays and nulls
/// not at all; names compare without case and the built-in spelling stays; names ending in "trigger" are left out.
fn splat(text: &str, metadata: &mut Map<String, Value>) {
    let Ok(Value::Object(message)) = serde_json::from_str::<Value>(text) else { return };
    for (key, value) in message {
        let value = match value {
            Value::Null | Value::Array(_) => continue,
            Value::Object(_) => value,
            Value::Bool(yes) => twice(&if yes { "True" } else { "False" }.into()),
            Value::Number(number) => twice(&number.to_string().into()),
            Value::String(text) => twice(&dotnet_date(&text).unwrap_or(text).into()),
        };
        if key.to_lowercase().ends_with("trigger") {
            continue;
        }
        let name = metadata.keys().find(|name| name.eq_ignore_ascii_case(&key)).cloned().unwrap_or(key);
        metadata.insert(name, value);
    }
}

/// A date string turns into .NET's invariant form on its way through the splat (measured): `03/02/2026 09:15:00`.
fn dotnet_date(text: &str) -> Option<String> {
    let at = OffsetDateTime::parse(text, &Rfc3339).ok()?.to_offset(UtcOffset::UTC);
    at.format(format_description!("[month]/[day]/[year] [hour]:[minute]:[second]")).ok()
}

/// JSON text inside a JSON string.
fn twice(value: &Value) -> Value {
    value.to_string().into()
}

fn whole_seconds(at: OffsetDateTime) -> String {
    at.to_offset(UtcOffset::UTC).format(format_description!("[year]-[month]-[day]T[hour]:[minute]:[second]+00:00")).unwrap_or_default()
}

fn utc_now(at: OffsetDateTime) -> String {
    at.to_offset(UtcOffset::UTC)
        .format(format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:7]Z"))
        .unwrap_or_default()
}

/// Fraction of a second only where there is one, seven digits at most.
fn or_year_one(at: Option<OffsetDateTime>) -> String {
    let Some(at) = at.map(|at| at.to_offset(UtcOffset::UTC)) else { return "0001-01-01T00:00:00+00:00".into() };
    let fraction = format!(".{:07}", at.nanosecond() / 100);
    let fraction = fraction.trim_end_matches('0').trim_end_matches('.');
    whole_seconds(at).replace("+00:00", &format!("{fraction}+00:00"))
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    #[test]
    fn dates_of_a_json_message_are_rewritten_in_metadata() {
        let mut metadata = Map::new();
        splat(r#"{"at":"2026-03-02T09:15:00Z","yes":true,"list":[1],"none":null,"QueueTrigger":"x"}"#, &mut metadata);
        assert_eq!(Value::from(metadata), json!({ "at": "\"03/02/2026 09:15:00\"", "yes": "\"True\"" }));
    }

    #[test]
    fn never_is_year_one_and_fractions_stay_only_where_there_are_some() {
        assert_eq!(or_year_one(None), "0001-01-01T00:00:00+00:00");
        assert_eq!(or_year_one(Some(datetime!(2026-03-02 09:15 UTC))), "2026-03-02T09:15:00+00:00");
        assert_eq!(or_year_one(Some(datetime!(2026-03-02 09:10:00.001_234_5 UTC))), "2026-03-02T09:10:00.0012345+00:00");
    }
}
