//! The event schema: every kind of audit event that this release writes, with its meaning and its fields.
//!
//! The one list. The pages take their words from it, the filter its kinds, and auditors get it as a document ([`document`]).
//! While tests run, an event that the list does not know, or that has other fields than the list says, fails where it is
//! written. What an event says is content: it is sealed, and a leaf only commits to it.
//!
//! Kinds and fields are a promise: whoever changes them raises [`VERSION`], and never takes a kind away that lies in logs.

mod clients;
mod decisions;
mod document;
mod evidence;
mod metering;
mod people;

use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use document::{document, field_of_leaf};

/// Of the list of kinds and their fields; words may change without a new one.
pub const VERSION: u32 = 2;

/// In the order in which people look for them.
pub const AREAS: &[Area] = &[
    decisions::PROPOSALS,
    decisions::NOTICES,
    decisions::POLICY,
    evidence::EVIDENCE,
    evidence::TOOLS,
    people::SIGN_IN,
    people::PEOPLE,
    clients::CLIENTS,
    clients::KEYS,
    clients::LOG,
    metering::METERING,
];

/// Kinds that belong together.
#[derive(Clone, Copy, Debug)]
pub struct Area {
    /// For addresses.
    pub name: &'static str,
    pub title: &'static str,
    pub kinds: &'static [Kind],
}

#[derive(Clone, Copy, Debug)]
pub struct Kind {
    /// The stable word in the leaf, such as `proposal.approved`.
    pub name: &'static str,
    pub outcome: Outcome,
    /// What the leaf's object names: words in capitals stand for an id or a name of ours.
    pub object: &'static str,
    /// What the actor did, as the rest of a sentence: `approved a proposal`.
    pub says: &'static str,
    /// Members of the content's `detail`.
    pub fields: &'static [Field],
}

/// How it went, in one word for all kinds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    Done,
    /// A person or a rule said no.
    Refused,
    /// Something that people must look at.
    Alarm,
}

impl Outcome {
    pub const ALL: [Self; 3] = [Self::Done, Self::Refused, Self::Alarm];

    pub fn word(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Refused => "refused",
            Self::Alarm => "alarm",
        }
    }

    pub fn meaning(self) -> &'static str {
        match self {
            Self::Done => "It happened",
            Self::Refused => "A person or a rule said no",
            Self::Alarm => "Something that a person must look at",
        }
    }
}

#[derive(Clone, Copy, Debug)]
pub struct Field {
    pub name: &'static str,
    pub form: Form,
    /// Otherwise it may be missing or null.
    pub always: bool,
    pub meaning: &'static str,
}

/// The JSON of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    Text,
    Number,
    /// Seconds since 1970.
    Time,
    Flag,
    /// An object; its members are named in the meaning.
    Map,
    List(&'static Form),
    /// A word, or an object when there is more to say.
    WordOrMap,
}

impl Form {
    pub fn word(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Number => "number",
            Self::Time => "time (seconds since 1970)",
            Self::Flag => "true or false",
            Self::Map => "object",
            Self::List(Self::Text) => "list of texts",
            Self::List(_) => "list of objects",
            Self::WordOrMap => "text or object",
        }
    }

    fn holds(self, value: &Value) -> bool {
        match self {
            Self::Text => value.is_string(),
            Self::Number => value.is_number(),
            Self::Time => value.is_i64(),
            Self::Flag => value.is_boolean(),
            Self::Map => value.is_object(),
            Self::List(form) => value.as_array().is_some_and(|values| values.iter().all(|value| form.holds(value))),
            Self::WordOrMap => value.is_string() || value.is_object(),
        }
    }
}

const TEXTS: Form = Form::List(&Form::Text);
const MAPS: Form = Form::List(&Form::Map);

const fn kind(name: &'static str, outcome: Outcome, object: &'static str, says: &'static str, fields: &'static [Field]) -> Kind {
    Kind { name, outcome, object, says, fields }
}

const fn always(name: &'static str, form: Form, meaning: &'static str) -> Field {
    Field { name, form, always: true, meaning }
}

const fn sometimes(name: &'static str, form: Form, meaning: &'static str) -> Field {
    Field { name, form, always: false, meaning }
}

/// Every kind, in the order of the areas.
pub fn kinds() -> impl Iterator<Item = &'static Kind> {
    AREAS.iter().flat_map(|area| area.kinds)
}

/// `None`: of a newer release.
pub fn find(name: &str) -> Option<&'static Kind> {
    kinds().find(|kind| kind.name == name)
}

/// Whether a kind is of the area of this name.
pub fn is_of_area(kind: &str, area: &str) -> bool {
    AREAS.iter().any(|known| known.name == area && known.kinds.iter().any(|known| known.name == kind))
}

/// What is written when the detail is too long to keep (see `item`).
pub(super) const LEFT_OUT: &[Field] = &[
    always("left_out", Form::Text, "why the detail is not there"),
    always("bytes", Form::Number, "how long it was"),
    always("sha256", Form::Text, "SHA-256 of it, in hex"),
];

/// Why an event is not one of the list, if it is not.
pub(super) fn fault(name: &str, detail: &Value) -> Option<String> {
    let Some(kind) = find(name) else { return Some(format!("{name} is no kind of the schema")) };
    let empty = serde_json::Map::new();
    let members = match detail {
        Value::Object(members) => members,
        Value::Null => &empty,
        _ => return Some(format!("the detail of {name} is no object")),
    };
    if members.contains_key(LEFT_OUT[0].name) {
        return None;
    }
    if let Some(other) = members.keys().find(|member| kind.fields.iter().all(|field| field.name != **member)) {
        return Some(format!("{name} has the field {other}, which the schema does not list"));
    }
    kind.fields.iter().find_map(|field| match members.get(field.name) {
        None | Some(Value::Null) => field.always.then(|| format!("{name} is without the field {}", field.name)),
        Some(value) => {
            (!field.form.holds(value)).then(|| format!("the field {} of {name} is no {}: {value}", field.name, field.form.word()))
        }
    })
}

#[cfg(test)]
mod tests {
    use std::{
        collections::BTreeSet,
        fmt::Write as _,
        fs,
        path::{Path, PathBuf},
    };

    use serde_json::json;

    use super::*;
    use crate::tenancy::seal::sha256;

    /// Each version's list of kinds and fields, by hash: a list that was published never changes again.
    const PUBLISHED: [(u32, &str); 2] = [
        // 0.1.0
        (1, "19051f8e79e51ac175ba2c36e13a678637e3378455916a8b1ea45ec60cedb952"),
        // 0.2.0
        (2, "28c8221b2b8b86d5064dc9ac551fb7a47bd9e95ef01e0ff70f8a84a0e26ea923"),
    ];

    #[test]
    fn a_change_of_kinds_or_fields_is_a_new_version() {
        let mut list = String::new();
        for kind in kinds() {
            let _ = write!(list, "{} {}", kind.name, kind.outcome.word());
            for field in kind.fields {
                let _ = write!(list, " {}:{:?}:{}", field.name, field.form, field.always);
            }
            list.push('\n');
        }
        let now = sha256(list.as_bytes());
        let published = PUBLISHED.last().expect("one at least");
        assert_eq!(
            (VERSION, now.as_str()),
            *published,
            "kinds or fields changed: raise VERSION, and add it with this hash to PUBLISHED, whose lines stay as they are"
        );
        assert!(PUBLISHED.iter().zip(1..).all(|((version, _), number)| *version == number));
    }

    /// Every text of our sources in the form of a kind: lower-case words around one dot or two, and no file's name.
    fn recorded_kinds() -> BTreeSet<String> {
        const NAMES: [&str; 14] = ["html", "css", "js", "json", "redb", "log", "lock", "pid", "tmp", "net", "example", "txt", "pem", "sig"];
        let word = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_lowercase() || matches!(b, b'_' | b'-'));
        let mut kinds = BTreeSet::new();
        for file in sources(&PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("functions")) {
            let source = fs::read_to_string(&file).expect("readable");
            let product = source.split("#[cfg(test)]").next().unwrap_or_default();
            let texts =
                product.lines().filter(|line| !line.trim_start().starts_with("//")).flat_map(|line| line.split('"').skip(1).step_by(2));
            let kind = |text: &&str| {
                let parts: Vec<&str> = text.split('.').collect();
                matches!(parts.len(), 2 | 3)
                    && parts.iter().all(|part| word(part))
                    && parts.last().is_some_and(|last| !NAMES.contains(last))
            };
            kinds.extend(texts.filter(kind).map(str::to_owned));
        }
        kinds
    }

    fn sources(folder: &Path) -> Vec<PathBuf> {
        let entries = fs::read_dir(folder).expect("readable").map(|entry| entry.expect("readable").path());
        let (folders, files): (Vec<_>, Vec<_>) = entries.filter(|path| !path.ends_with("audit/schema")).partition(|path| path.is_dir());
        let own = |path: &PathBuf| path.extension().is_some_and(|e| e == "rs") && !path.ends_with("portal/words.rs");
        files.into_iter().filter(own).chain(folders.iter().flat_map(|folder| sources(folder))).collect()
    }

    #[test]
    fn the_list_has_exactly_the_kinds_that_our_sources_write_each_once() {
        let recorded = recorded_kinds();
        for known in ["objective.marked", "pull.finished", "alert.raised", "client.added", "log.exported", "client.offboarding.begun"] {
            assert!(recorded.contains(known), "the search misses {known}: {recorded:?}");
        }
        let listed: BTreeSet<String> = kinds().map(|kind| kind.name.to_owned()).collect();
        assert_eq!(recorded.difference(&listed).collect::<Vec<_>>(), Vec::<&String>::new(), "written and not listed");
        assert_eq!(listed.difference(&recorded).collect::<Vec<_>>(), Vec::<&String>::new(), "listed and never written");
        assert_eq!(kinds().count(), listed.len(), "a kind is listed twice");
    }

    #[test]
    fn the_words_of_each_kind_fit_into_a_sentence_and_a_table() {
        for kind in kinds() {
            assert!(kind.says.starts_with(|c: char| c.is_ascii_lowercase()) && !kind.says.ends_with('.'), "{}", kind.name);
            let names: BTreeSet<&str> = kind.fields.iter().map(|field| field.name).collect();
            assert_eq!(names.len(), kind.fields.len(), "{}: a field is listed twice", kind.name);
            for words in kind.fields.iter().map(|field| field.meaning).chain([kind.says, kind.object]) {
                assert!(!words.is_empty() && !words.contains(['|', '\n', '`', '<']), "{}: {words}", kind.name);
            }
        }
    }

    #[test]
    fn an_event_with_other_fields_than_the_list_says_is_found() {
        let good = json!({ "before": "any", "after": null });
        assert_eq!(fault("key.regions_changed", &good), None);
        assert_eq!(fault("key.lifted", &Value::Null), None);
        assert_eq!(fault("key.lifted", &json!({ "left_out": "longer", "bytes": 7, "sha256": "ab" })), None);
        for (kind, detail, says) in [
            ("key.shouted", json!({}), "no kind of the schema"),
            ("key.lifted", json!({ "more": 1 }), "the field more, which the schema does not list"),
            ("key.rotated", json!({ "before": 1 }), "without the field after"),
            ("key.rotated", json!({ "before": 1, "after": null }), "without the field after"),
            ("key.rotated", json!({ "before": 1, "after": "2" }), "the field after of key.rotated is no number"),
            ("policy.changed", json!({ "version": 1, "proposal": "p", "changes": [1], "before": {}, "after": {} }), "no list of texts"),
            ("key.lifted", json!([]), "no object"),
        ] {
            let found = fault(kind, &detail).expect("found");
            assert!(found.contains(says), "{found}");
        }
    }
}
