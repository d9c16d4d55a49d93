//! What a vendor's body says, in one form for all vendors: which record, what happened to it, when, whose it is.
//!
//! Parsing is lenient: unknown fields and values are passed over, a number may come as text and text as a number. Only
//! the fixed list of fields that a vendor's folder names leaves the body; descriptions and notes never do (design I12).

use std::collections::BTreeMap;

use serde_json::{Value, json};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use super::body;
use crate::evidence::cui;

/// A vendor's event about one record.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    pub entity: Entity,
    /// The record's type in words of the vendor: `ticket`, `configuration`, `configuration_item`.
    pub kind: String,
    pub action: Action,
    pub id: String,
    /// The vendor's id of the company; `None` when the body does not say.
    pub company: Option<String>,
    pub company_name: Option<String>,
    /// When the vendor says it was so.
    pub occurred_at: Option<OffsetDateTime>,
    /// The sender's own order of events of the same second; 0 where there is none.
    pub sequence: u64,
    pub closed: Option<bool>,
    pub number: Option<String>,
    /// Whether the body shows the whole record; else only what changed.
    pub whole: bool,
    /// What is kept, in words for people; names that start with an underscore are not shown.
    pub fields: Fields,
    /// What makes a second delivery the same event.
    pub dedupe_key: String,
}

pub type Fields = BTreeMap<String, String>;

/// The title of a record and the vendor's ids that decide its record type, among the fields.
pub const TITLE: &str = "_title";
pub const BOARD: &str = "_board";
pub const TYPE: &str = "_type";
/// The vendor's name of the type, and whether the record is in use there, among the fields that people are shown.
pub const TYPE_NAME: &str = "type";
pub const ACTIVE: &str = "active";

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Entity {
    Ticket,
    Configuration,
}

impl Entity {
    pub fn word(self) -> &'static str {
        match self {
            Self::Ticket => "ticket",
            Self::Configuration => "configuration",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    Created,
    Updated,
    Deleted,
}

impl Action {
    pub fn word(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Updated => "updated",
            Self::Deleted => "deleted",
        }
    }
}

/// What a verified body turns out to be.
#[derive(Clone, Debug, PartialEq)]
pub enum Judged {
    Event(Box<Event>),
    /// Not for this connection, or not readable.
    Reject {
        reason: &'static str,
    },
    /// Too old to be a first delivery.
    Stale {
        reason: &'static str,
        dedupe_key: String,
    },
    /// About something that Assay does not collect.
    Ignore {
        reason: &'static str,
        dedupe_key: String,
    },
    /// The vendor says something about the webhook itself; it is looked into, not believed.
    Hint {
        reason: &'static str,
    },
}

impl Event {
    /// `ticket:918204`: the record within its connection.
    pub fn record_key(&self) -> String {
        format!("{}:{}", self.entity.word(), self.id)
    }

    /// Whether the vendor says that the record is not in use any more. One that does not say counts.
    pub fn is_inactive(&self) -> bool {
        self.fields.get(ACTIVE).is_some_and(|active| active == NO)
    }

    /// The facts that a delivery record shows; no content.
    pub fn facts(&self) -> Value {
        let id = self.id.parse::<i64>().map_or_else(|_| json!(self.id), |id| json!(id));
        let mut facts = json!({ "type": self.kind, "action": self.action.word(), "id": id });
        if let Some(company) = &self.company {
            facts["company_id"] = company.parse::<i64>().map_or_else(|_| json!(company), |id| json!(id));
        }
        if let Some(at) = self.occurred_at.and_then(|at| at.format(&Rfc3339).ok()) {
            facts["occurred_at"] = json!(at);
        }
        if let Some(closed) = self.closed {
            facts["closed"] = json!(closed);
        }
        if let Some(number) = &self.number {
            facts["number"] = json!(number);
        }
        if let Some(status) = self.fields.get("status") {
            facts["status"] = json!(status);
        }
        facts
    }
}

/// Text, number or truth value as text; `None` for nothing, null and blank.
pub fn text(value: &Value) -> Option<String> {
    let text = match value {
        Value::String(text) => text.trim().to_owned(),
        Value::Number(number) => number.to_string(),
        Value::Bool(truth) => if *truth { YES } else { NO }.to_owned(),
        _ => return None,
    };
    (!text.is_empty()).then_some(text)
}

const YES: &str = "yes";
const NO: &str = "no";

/// A truth value in words, however it was sent; what is none stays as it is.
pub fn yes_or_no(value: &Value) -> Option<String> {
    truth(value).map_or_else(|| text(value), |truth| Some(if truth { YES } else { NO }.to_owned()))
}

/// A vendor's id: digits, letters, dash or underscore, so that it can stand in a key.
pub fn id(value: &Value) -> Option<String> {
    text(value).filter(|id| id.len() <= 64 && id.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_')))
}

pub fn truth(value: &Value) -> Option<bool> {
    match value {
        Value::Bool(truth) => Some(*truth),
        Value::String(text) if text.eq_ignore_ascii_case("true") => Some(true),
        Value::String(text) if text.eq_ignore_ascii_case("false") => Some(false),
        _ => None,
    }
}

/// A time with or without zone (then UTC), in UTC.
pub fn time(value: &Value) -> Option<OffsetDateTime> {
    let text = value.as_str()?.trim();
    let parse = |text: &str| OffsetDateTime::parse(text, &Rfc3339).ok();
    parse(text).or_else(|| parse(&format!("{text}Z"))).map(|at| at.to_offset(time::UtcOffset::UTC))
}

/// Longest text of one field that is kept.
const MAX_FIELD_CHARS: usize = 160;

/// Puts the field when there is something to put: one line, no control characters, cut at a length.
pub fn keep(fields: &mut Fields, name: &str, value: Option<String>) {
    if let Some(value) = value {
        let line: String = value.chars().map(|c| if c.is_control() { ' ' } else { c }).take(MAX_FIELD_CHARS).collect();
        fields.insert(name.to_owned(), line);
    }
}

/// The first CUI marking in any text of the body, also in JSON inside a string.
pub fn marking(value: &Value) -> Option<cui::Marking> {
    match value {
        Value::String(text) => cui::find(text).or_else(|| nested(text)),
        Value::Array(items) => items.iter().find_map(marking),
        Value::Object(fields) => fields.values().find_map(marking),
        _ => None,
    }
}

fn nested(text: &str) -> Option<cui::Marking> {
    if !text.trim_start().starts_with(['{', '[']) {
        return None;
    }
    match body::read(text.as_bytes()) {
        Some(value) => marking(&value),
        None => unread(text),
    }
}

/// The first CUI marking in what looks like JSON and cannot be read in one way: each text of it is taken for lines of its own,
/// with what its sender escaped (RFC 8259 7) as it was before.
pub fn unread(text: &str) -> Option<cui::Marking> {
    let mut plain = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        plain.push(match (c, (c == '\\').then(|| chars.next()).flatten()) {
            ('"', _) | (_, Some('n' | 'r' | 'f')) => '\n',
            (_, Some('t' | 'b')) => ' ',
            (_, Some('u')) => {
                let code = chars.by_ref().take(4).collect::<String>();
                u32::from_str_radix(&code, 16).ok().and_then(char::from_u32).unwrap_or(' ')
            }
            (_, Some(escaped)) => escaped,
            (c, None) => c,
        });
    }
    cui::find(text).or_else(|| cui::find(&plain))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_marking_is_found_inside_json_inside_a_string() {
        let body = json!({ "Entity": "{\"notes\":[{\"text\":\"see (CUI) drawing\"}]}" });
        assert!(marking(&body).is_some());
        assert!(marking(&json!({ "Entity": "{\"summary\":\"circuit board\"}" })).is_none());
    }

    #[test]
    fn a_marking_is_found_in_json_that_can_be_read_in_two_ways_however_it_is_escaped() {
        for text in [
            r#"{"Id":1,"Id":2,"Summary":"CUI\nDrawing 17"}"#,
            r#"{"Id":1,"Id":2,"Summary":"CUI\/\/SP-CTI"}"#,
            r#"{"Id":1,"Summary":"see \u0028CUI\u0029 drawing"} and more"#,
            r#"{"Summary":"\u0043\u0055\u0049""#,
        ] {
            assert!(unread(text).is_some() && marking(&json!({ "Entity": text })).is_some(), "{text}");
        }
        assert_eq!(unread(r#"{"Id":1,"Id":2,"Summary":"circuit \u00e9 \uD83D board\\"}"#), None);
        assert_eq!(marking(&json!({ "Entity": r#"{"a":"(CUI)","a":"first of two"}"# })), Some(cui::Marking::Portion));
    }

    #[test]
    fn times_are_read_with_and_without_a_zone() {
        let expected = time(&json!("2026-11-10T15:04:02Z"));
        assert!(expected.is_some());
        assert_eq!(time(&json!("2026-11-10T15:04:02")), expected);
        assert_eq!(time(&json!("2026-11-10T17:04:02+02:00")), expected);
        assert_eq!(time(&json!("yesterday")), None);
    }

    #[test]
    fn an_id_that_could_break_a_key_is_no_id() {
        assert_eq!(id(&json!(918_204)), Some("918204".into()));
        assert_eq!(id(&json!("a/b")), None);
        assert_eq!(id(&json!("")), None);
    }
}
