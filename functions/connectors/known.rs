//! What is known of one vendor record, put together from events in any order.
//!
//! Webhooks come twice, late and out of order, and some show only what changed. So every field remembers the version it
//! came with, and the later version wins: any order and any number of repeats ends in the same state (design I2; the
//! property test below). A body that shows the whole record also drops what it does not show.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::event::Fields;
use crate::tenancy::Record;

/// Orders events of one record: the vendor's time, then its sequence number; the hash only makes the order total.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Version {
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
    pub sequence: u64,
    pub hash: String,
}

/// One event's effect on the record.
#[derive(Clone, Debug)]
pub struct Change {
    pub version: Version,
    pub whole: bool,
    pub deleted: bool,
    /// The vendor did not say when: the time of the version is ours.
    pub undated: bool,
    /// When we heard the event. A row that was read has only its version's time.
    pub heard: Option<OffsetDateTime>,
    pub fields: Fields,
    /// The blob it was read from, when the bytes are kept.
    pub raw: Option<String>,
}

/// Lies beside the evidence record that is made from it, under the same source key.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Known {
    pub source_key: String,
    /// The newest event of all.
    pub newest: Version,
    /// When we heard it, by our clock: the vendor's may be slow, and a read is held against ours.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "time::serde::rfc3339::option")]
    heard: Option<OffsetDateTime>,
    pub deleted: bool,
    pub raw: Option<String>,
    /// When the read of many pages began that did not list it; nothing was heard of it since.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "time::serde::rfc3339::option")]
    missed: Option<OffsetDateTime>,
    /// When we heard of a delete that did not say when it was. Our clock cannot be held against the vendor's, and vendors
    /// do not use an id again: no event is newer, in whatever order they come; only a later read that lists it is.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "time::serde::rfc3339::option")]
    removed: Option<OffsetDateTime>,
    /// The newest event that showed the whole record.
    whole: Option<Version>,
    fields: BTreeMap<String, Field>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Field {
    value: String,
    version: Version,
}

/// What it means that a read does not list a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missing {
    /// The next read decides.
    First,
    /// This read said so before.
    Known,
    Gone,
}

impl Known {
    pub fn first(source_key: &str, change: &Change) -> Self {
        let mut known = Self {
            source_key: source_key.into(),
            newest: change.version.clone(),
            heard: change.heard,
            deleted: change.deleted,
            raw: change.raw.clone(),
            missed: None,
            removed: None,
            whole: None,
            fields: BTreeMap::new(),
        };
        known.apply(change);
        known
    }

    /// Whether the change told anything new.
    pub fn apply(&mut self, change: &Change) -> bool {
        let version = &change.version;
        let mut news = false;
        if change.whole && self.whole.as_ref().is_none_or(|whole| version > whole) {
            self.whole = Some(version.clone());
            self.fields.retain(|_, field| field.version >= *version);
            news = true;
        }
        if self.whole.as_ref().is_none_or(|whole| version >= whole) {
            for (name, value) in &change.fields {
                if self.fields.get(name).is_none_or(|field| field.version < *version) {
                    self.fields.insert(name.clone(), Field { value: value.clone(), version: version.clone() });
                    news = true;
                }
            }
        }
        if change.deleted && change.undated && self.removed.is_none_or(|at| at < version.at) {
            self.removed = Some(version.at);
            self.deleted = true;
            news = true;
        }
        if *version > self.newest {
            self.newest = version.clone();
            self.heard = change.heard;
            self.deleted = change.deleted || self.removed.is_some();
            self.raw.clone_from(&change.raw);
            self.missed = None;
            news = true;
        }
        news
    }

    /// A read that began then lists it: it is there, although it was gone or missed before and did not change since.
    pub fn listed(&mut self, change: &Change, began: OffsetDateTime) -> bool {
        let was_missed = self.missed.take().is_some();
        let is_back = self.deleted && self.removed.unwrap_or(self.heard_at()) < began;
        let at = if is_back { change.version.at.max(began) } else { change.version.at };
        if is_back {
            self.removed = None;
            self.deleted = false;
        }
        let news = self.apply(&Change { version: Version { at, ..change.version.clone() }, ..change.clone() });
        news || was_missed || is_back
    }

    fn heard_at(&self) -> OffsetDateTime {
        self.heard.unwrap_or(self.newest.at)
    }

    /// Whether it came after a read began: then the read need not have listed it as it is.
    pub fn is_since(&self, began: OffsetDateTime) -> bool {
        self.heard_at().max(self.newest.at) >= began
    }

    /// Whether a read that lists this row as it was tells anything.
    pub fn is_as_listed(&self, hash: &str) -> bool {
        self.newest.hash == hash && !self.deleted && self.missed.is_none()
    }

    /// A read that began then does not list it. Pages shift while they are read, so of several pages only the second
    /// read in a row proves that it is gone.
    pub fn not_listed(&mut self, began: OffsetDateTime, one_answer: bool) -> Missing {
        match self.missed {
            // The same step again.
            Some(at) if at == began && !one_answer => Missing::Known,
            None if !one_answer => {
                self.missed = Some(began);
                Missing::First
            }
            _ => {
                let version = Version { at: began, sequence: 0, hash: self.newest.hash.clone() };
                let fields = Fields::new();
                self.apply(&Change { version, whole: false, deleted: true, undated: false, heard: None, fields, raw: None });
                Missing::Gone
            }
        }
    }

    pub fn get(&self, name: &str) -> Option<&str> {
        self.fields.get(name).map(|field| field.value.as_str())
    }

    /// What people are shown.
    pub fn facts(&self) -> Fields {
        self.fields.iter().filter(|(name, _)| !name.starts_with('_')).map(|(name, field)| (name.clone(), field.value.clone())).collect()
    }
}

impl Record for Known {
    const KIND: &'static str = "known";
    const SCHEMA: u32 = 1;

    fn key(&self) -> String {
        self.source_key.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn change() -> impl Strategy<Value = Change> {
        let fields = prop::collection::btree_map("[abc]", "[xyz]", 0..3);
        (0i64..4, 0u64..2, any::<bool>(), any::<bool>(), any::<bool>(), fields).prop_map(
            |(at, sequence, whole, deleted, undated, fields)| Change {
                version: Version {
                    at: OffsetDateTime::UNIX_EPOCH + time::Duration::seconds(at),
                    sequence,
                    // As with real bodies: other content, other hash.
                    hash: format!("{whole}{deleted}{undated}{fields:?}"),
                },
                whole,
                deleted,
                undated,
                heard: None,
                fields,
                raw: None,
            },
        )
    }

    fn end(changes: &[Change]) -> Option<Known> {
        let (first, rest) = changes.split_first()?;
        let mut known = Known::first("k", first);
        for change in rest {
            known.apply(change);
        }
        Some(known)
    }

    proptest! {
        #[test]
        fn any_order_and_any_repeats_end_in_the_same_state(
            (changes, shuffled) in prop::collection::vec(change(), 1..7).prop_flat_map(|changes| {
                let twice: Vec<Change> = changes.iter().chain(&changes).cloned().collect();
                (Just(changes), Just(twice).prop_shuffle())
            })
        ) {
            prop_assert_eq!(end(&changes), end(&shuffled));
        }

        #[test]
        fn after_a_delete_of_an_unknown_time_no_event_brings_it_back_and_a_later_read_does(
            (mut changes, at) in (prop::collection::vec(change(), 1..7), any::<prop::sample::Index>())
        ) {
            let delete = at.index(changes.len());
            (changes[delete].deleted, changes[delete].undated) = (true, true);
            if let Some(mut known) = end(&changes) {
                prop_assert!(known.deleted);
                let began = OffsetDateTime::UNIX_EPOCH + time::Duration::seconds(5);
                let row = Change { whole: true, deleted: false, undated: false, ..changes[0].clone() };
                prop_assert!(known.listed(&row, began) && !known.deleted);
            }
        }

        #[test]
        fn a_repeat_is_no_news(changes in prop::collection::vec(change(), 1..7), which in any::<prop::sample::Index>()) {
            if let Some(mut known) = end(&changes) {
                prop_assert!(!known.apply(which.get(&changes)));
            }
        }
    }
}
