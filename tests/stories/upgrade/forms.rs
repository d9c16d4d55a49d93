//! The forms in which records lie in a store: of each kind its container, its schema, and its fields with their types; of a
//! text that is one word, as those of an enum are, which word.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use serde_json::Value;

use crate::support::next_release::Opened;

/// What differs from the release before, and why that one can be put back all the same.
pub(super) const SINCE: &[(&str, &str)] = &[
    ("heads/access-followed schema 2, which was in audit", HEADS),
    ("heads/access-told schema 2, which was in audit", HEADS),
    ("heads/anchored schema 1, which was in audit", HEADS),
    ("heads/evidence-followed schema 1, which was in audit", HEADS),
    ("heads/evidence-revisions schema 1, which was in audit", HEADS),
    ("heads/followed schema 1, which was in audit", HEADS),
    ("heads/head schema 1, which was in audit", HEADS),
    ("heads/marks-followed schema 1, which was in audit", HEADS),
    ("heads/published schema 1, which was in audit", HEADS),
    ("heads/ran-followed schema 2, which was in audit", HEADS),
    ("heads/ran-week schema 1, which was in audit", HEADS),
    ("+ audit/audit schema 4294967295", "the bar, on which the release before ends in words"),
    ("+ audit/moved schema 1", "that what lies in heads counts; nobody reads it there but who knows it"),
    ("clients/figures schema 1: record.taken_in was not there and is fields", TAKEN_IN),
    ("clients/figures schema 1: record.taken_in.each was not there and is a number", TAKEN_IN),
];

/// The exception of which README says that it cannot be taken back.
const HEADS: &str = "the migration of the logs";
/// A release that drops it when it writes figures costs one reading of a gauge.
const TAKEN_IN: &str = "how much came within the last hour: it fills again";

/// Fields of one kind, by path; a type or word each, or several.
type Fields = BTreeMap<String, BTreeSet<String>>;

#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Forms(BTreeMap<String, Fields>);

impl Forms {
    pub(super) fn of(opened: &Opened) -> Self {
        let mut forms: BTreeMap<String, Fields> = BTreeMap::new();
        for (at, (body, plain)) in opened {
            let form = forms.entry(format!("{}/{} schema {}", at.container, at.kind(), body["schema"])).or_default();
            walk(&mut String::from("document"), body, form);
            if let Some(plain) = plain {
                walk(&mut String::from("record"), plain, form);
            }
        }
        Self(forms)
    }

    /// The same with those of messages, what they say included.
    pub(super) fn with(mut self, messages: &[(String, Bytes)]) -> Self {
        for (queue, bytes) in messages {
            let mut message: Value = serde_json::from_slice(bytes).unwrap();
            message["body"] = serde_json::from_str(message["body"].as_str().unwrap()).unwrap();
            walk(&mut String::from("message"), &message, self.0.entry(format!("queues/{queue}")).or_default());
        }
        self
    }

    /// What stands in `newer` otherwise, a line each: a kind that moved, came or went, or a field of one that stayed.
    pub(super) fn differences(&self, newer: &Self) -> BTreeSet<String> {
        let (old, new) = (&self.0, &newer.0);
        let mut lines = BTreeSet::new();
        let mut left: BTreeSet<&String> = old.keys().filter(|kind| !new.contains_key(*kind)).collect();
        for (kind, fields) in new {
            if let Some(before) = old.get(kind) {
                let paths = before.keys().chain(fields.keys()).filter(|path| before.get(*path) != fields.get(*path));
                lines
                    .extend(paths.map(|path| format!("{kind}: {path} was {} and is {}", words(before.get(path)), words(fields.get(path)))));
                continue;
            }
            let (container, name) = kind.split_once('/').unwrap();
            let moved = left.iter().copied().find(|old_kind| old_kind.ends_with(&format!("/{name}")) && old[*old_kind] == *fields);
            lines.insert(match moved {
                Some(old_kind) => {
                    left.remove(old_kind);
                    format!("{container}/{name}, which was in {}", old_kind.split('/').next().unwrap())
                }
                None => format!("+ {kind}"),
            });
        }
        lines.extend(left.into_iter().map(|kind| format!("- {kind}")));
        lines
    }
}

fn words(types: Option<&BTreeSet<String>>) -> String {
    types.map_or_else(|| "not there".into(), |types| types.iter().cloned().collect::<Vec<_>>().join(" or "))
}

fn walk(path: &mut String, value: &Value, fields: &mut Fields) {
    let kind = match value {
        Value::Null => "nothing",
        Value::Bool(_) => "a yes or no",
        Value::Number(_) => "a number",
        Value::String(text) if is_word(text) => text,
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "fields",
    };
    fields.entry(path.clone()).or_default().insert(kind.to_owned());
    let end = path.len();
    let mut deeper = |name: &str, value| {
        path.push('.');
        path.push_str(name);
        walk(path, value, fields);
        path.truncate(end);
    };
    match value {
        Value::Array(values) => values.iter().for_each(|value| deeper("each", value)),
        Value::Object(named) => named.iter().for_each(|(name, value)| deeper(if is_name(name) { name } else { "each" }, value)),
        _ => {}
    }
}

/// Of a field, and not an id, a number or a day under which something is kept: an id has 32 characters at least.
fn is_name(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_lowercase())
        && name.len() < 32
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
}

fn is_word(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')
}
