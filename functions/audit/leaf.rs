//! The leaf: the part of an audit item that stands in the log for ever, as exact bytes.
//!
//! Small, versioned, free of personal data, and without its own position: the place in a log belongs to the log, so the
//! same leaves can stand in another one. A leaf is written once and from then on handled as text, never written again
//! from its parts. A person appears as a pseudonym under the owner's key; what people may read is committed to by a
//! salted hash, so that the key can be destroyed and the log still verifies (design I6).

use serde::{Deserialize, Serialize};
use serde_json::Value;
use time::{OffsetDateTime, UtcOffset};
use uuid::Uuid;

use super::{Item, chain::Hash};
use crate::tenancy::{Actor, PersonId, seal::DataKey};

/// The form this release writes.
pub const VERSION: u32 = 1;

/// More than any leaf has: what an entry of a bundle can be.
pub const MAX_LEAF_BYTES: usize = super::tlog::bundle::MAX_ENTRY_BYTES;

/// The members in the order in which they are written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Leaf {
    pub v: u32,
    /// The item's id: the same item never stands in a log twice.
    #[serde(with = "uuid::serde::simple")]
    pub id: Uuid,
    /// When it happened, by the clock of the process that recorded it.
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
    /// A stable word such as `proposal.approved`.
    pub kind: String,
    /// What it happened to, by ids only: `proposal 0192..`; a person by the pseudonym, as in `person 7c4e..`.
    pub object: String,
    /// `person:` and a pseudonym, `function:` and a name, or `connection:` and an id.
    pub actor: String,
    /// The invocation or message that ties entries of one cause together; absent when nothing does. An id, never a name.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub correlation: String,
    /// SHA-256 over the 32 salt bytes and the exact content bytes.
    pub commitment: Hash,
}

/// What a leaf commits to, as exact bytes: who really acted, on whom where the leaf has a pseudonym, and the detail.
#[derive(Serialize)]
struct Content<'a> {
    actor: &'a Actor,
    #[serde(skip_serializing_if = "Option::is_none")]
    object: Option<&'a str>,
    detail: &'a Value,
}

/// A leaf and what it commits to, both as exact bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    pub leaf: String,
    pub content: String,
}

/// Writes the leaf of an item: the one place where leaf and content get their bytes.
pub fn write(item: &Item, key: &DataKey) -> Result<Written, serde_json::Error> {
    let object = without_persons(&item.object, key);
    let content = Content { actor: &item.actor, object: (object != item.object).then_some(&item.object), detail: &item.detail };
    let content = serde_json::to_string(&content)?;
    let leaf = Leaf {
        v: VERSION,
        id: item.id,
        at: item.at.to_offset(UtcOffset::UTC),
        kind: item.kind.clone(),
        object,
        actor: match &item.actor {
            Actor::Person(id) => format!("person:{}", key.pseudonym(&id.to_string())),
            Actor::Function(name) => format!("function:{name}"),
            Actor::Connection(id) => format!("connection:{id}"),
        },
        correlation: item.correlation.clone(),
        commitment: commitment(&item.salt, &content),
    };
    Ok(Written { leaf: serde_json::to_string(&leaf)?, content })
}

/// `person` and an id becomes `person` and the same pseudonym that the person has as an actor.
fn without_persons(object: &str, key: &DataKey) -> String {
    if !object.contains("person ") {
        return object.to_owned();
    }
    let mut words: Vec<String> = object.split(' ').map(str::to_owned).collect();
    for n in 1..words.len() {
        if words[n - 1] == "person"
            && let Ok(id) = words[n].parse::<PersonId>()
        {
            words[n] = key.pseudonym(&id.to_string());
        }
    }
    words.join(" ")
}

/// The salt is 64 hex digits and stands for its 32 bytes, so no content can be read as part of a salt.
pub fn commitment(salt: &Hash, content: &str) -> Hash {
    Hash::over(&[salt.bytes(), content.as_bytes()])
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LeafError {
    #[error("its leaf has version {0}, which this release does not know")]
    Version(u32),
    #[error("its leaf does not have the form of version 1")]
    Form,
}

/// Reads a leaf strictly: exactly the known members, each once, spelled as [`write`] spells them.
pub fn read(text: &str) -> Result<Leaf, LeafError> {
    #[derive(Deserialize)]
    struct Versioned {
        v: u32,
    }
    if text.len() > MAX_LEAF_BYTES {
        return Err(LeafError::Form);
    }
    let leaf = match serde_json::from_str::<Leaf>(text) {
        Ok(leaf) if leaf.v == VERSION => leaf,
        _ => {
            return Err(match serde_json::from_str::<Versioned>(text) {
                Ok(Versioned { v }) if v != VERSION => LeafError::Version(v),
                _ => LeafError::Form,
            });
        }
    };
    let spelled_alike = serde_json::to_string(&leaf).is_ok_and(|again| again == text);
    let actor_known =
        leaf.actor.split_once(':').is_some_and(|(sort, name)| matches!(sort, "person" | "function" | "connection") && !name.is_empty());
    if spelled_alike && actor_known && !leaf.kind.is_empty() { Ok(leaf) } else { Err(LeafError::Form) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use time::macros::datetime;

    use super::*;

    fn item() -> Item {
        Item {
            id: Uuid::from_u128(7),
            at: datetime!(2026-03-01 09:30 UTC),
            kind: "proposal.approved".into(),
            object: "proposal 5".into(),
            actor: Actor::Person(PersonId(Uuid::from_u128(9))),
            correlation: "c-1".into(),
            detail: json!({ "name": "Dana Whitfield", "comment": "seen" }),
            salt: Hash::over(&[b"salt"]),
            link: None,
        }
    }

    fn key() -> DataKey {
        DataKey::new(&[1; 32]).expect("a key")
    }

    #[test]
    fn the_form_of_a_leaf_is_pinned() {
        let leaf = write(&item(), &key()).expect("written").leaf;
        let pseudonym = key().pseudonym(&PersonId(Uuid::from_u128(9)).to_string());
        assert_eq!(
            leaf,
            format!(
                r#"{{"v":1,"id":"00000000000000000000000000000007","at":"2026-03-01T09:30:00Z","kind":"proposal.approved","object":"proposal 5","actor":"person:{pseudonym}","correlation":"c-1","commitment":"{}"}}"#,
                commitment(&item().salt, &write(&item(), &key()).expect("written").content)
            )
        );
        assert_eq!(read(&leaf).expect("own form").kind, "proposal.approved");
    }

    #[test]
    fn nothing_that_people_may_read_is_in_a_leaf() {
        let Written { leaf, content } = write(&item(), &key()).expect("written");
        assert!(content.contains("Dana Whitfield"));
        let person = Uuid::from_u128(9);
        for secret in ["Dana", "Whitfield", "seen", &person.to_string(), &person.simple().to_string(), &item().salt.to_string()] {
            assert!(!leaf.contains(secret), "{secret} is in {leaf}");
        }
    }

    #[test]
    fn a_person_as_the_object_appears_as_a_pseudonym_too() {
        let person = PersonId(Uuid::from_u128(9));
        for text in [person.to_string(), person.0.to_string()] {
            let Written { leaf, content } =
                write(&Item { object: format!("person {text} of client 4"), ..item() }, &key()).expect("written");
            let pseudonym = key().pseudonym(&person.to_string());
            assert_eq!(read(&leaf).expect("own form").object, format!("person {pseudonym} of client 4"));
            assert!(content.contains(&format!("person {text} of client 4")));
        }
    }

    #[test]
    fn a_leaf_is_at_most_as_long_as_an_entry_may_be() {
        let of_length = |length: usize| {
            let leaf = write(&item(), &key()).expect("written").leaf;
            leaf.replacen("proposal 5", &format!("proposal 5{}", "0".repeat(length - leaf.len())), 1)
        };
        assert!(read(&of_length(MAX_LEAF_BYTES)).is_ok());
        assert_eq!(read(&of_length(MAX_LEAF_BYTES + 1)), Err(LeafError::Form));
    }

    #[test]
    fn other_spellings_of_a_leaf_are_refused() {
        let good = write(&item(), &key()).expect("written").leaf;
        let bad = [
            good.replacen(':', ": ", 1),
            good.replacen("{\"v\":1,", "{\"v\":1,\"v\":1,", 1),
            good.replacen("{\"v\":1,", "{\"v\":1,\"seq\":1,", 1),
            good.replacen("proposal 5", "proposal\\u00205", 1),
            good.replacen("09:30:00Z", "09:30:00+00:00", 1),
            good.replacen("person:", "robot:", 1),
            good.replacen("proposal.approved", "", 1),
            good.replacen("\"c-1\"", "\"\"", 1),
            format!("{good} "),
        ];
        for text in bad {
            assert_eq!(read(&text), Err(LeafError::Form), "{text}");
        }
        assert_eq!(read(&good.replacen("\"v\":1", "\"v\":2,\"new\":true", 1)), Err(LeafError::Version(2)));
    }
}
