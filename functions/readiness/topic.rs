//! A topic: what the analysis remembers of all evidence of one record type of one client.
//!
//! It exists so that the cost of an analysis does not grow with the evidence: a few newest references, the newest
//! population, and what contradicts. Taking in a record is idempotent, and the order of records does not matter,
//! because a record is always taken in as it is kept now (its newest state by the source's time).

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::map::Entry;
use crate::{
    evidence::{Evidence, EvidenceRef, Origin, Population},
    tenancy::Record,
};

/// How many of the newest records are remembered: more than are cited, so that when some are deleted others are left.
const NEWEST: usize = 25;
/// How many of them are cited.
const CITED: usize = 5;
/// How many tools' readings are remembered: more than a client has tools of one kind.
const POPULATIONS: usize = 8;
/// How many contradicting records are remembered by name; beyond it only that there are more.
const CONTRADICTIONS: usize = 50;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Topic {
    /// `rmm_device_inventory`.
    pub record_type: String,
    /// Single records, newest first; after all of those the deleted ones, for which there is a place while nothing that
    /// exists needs it: so an older state of one does not bring it back.
    pub newest: Vec<Seen>,
    /// The newest reading of each tool that says how many of how many it read, newest first.
    pub populations: Vec<Seen>,
    /// Records whose newest state speaks against the objectives, newest first.
    pub contradictions: Vec<Contradiction>,
    /// There were more contradictions than are remembered; stays until the topic is read anew.
    pub more_contradictions: bool,
    /// There were more records than are remembered, so some may exist though all that are remembered were deleted. Stays
    /// until the topic is read anew, also when those were deleted too: nobody can say.
    #[serde(default)]
    pub more: bool,
}

/// A record as the topic knows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    #[serde(with = "time::serde::rfc3339")]
    pub occurred_at: OffsetDateTime,
    pub reference: EvidenceRef,
    pub deleted: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contradiction {
    pub seen: Seen,
    /// In words: "a volume is not encrypted".
    pub says: String,
}

impl Record for Topic {
    const KIND: &'static str = "topic";
    const SCHEMA: u32 = 1;

    fn key(&self) -> String {
        self.record_type.clone()
    }
}

impl Topic {
    pub fn new(record_type: &str) -> Self {
        Self {
            record_type: record_type.into(),
            newest: Vec::new(),
            populations: Vec::new(),
            contradictions: Vec::new(),
            more_contradictions: false,
            more: false,
        }
    }

    /// Takes in a record as it is kept now.
    pub fn take_in(&mut self, entry: &Entry, evidence: &Evidence) {
        let seen = Seen { occurred_at: evidence.occurred_at, reference: evidence.reference(), deleted: evidence.deleted };
        self.contradict(entry, evidence, &seen);
        self.more |= if evidence.population == Population::Unknown {
            insert(&mut self.newest, seen, NEWEST)
        } else {
            insert(&mut self.populations, seen, POPULATIONS)
        };
    }

    /// Whether there is anything that still exists, or may: what was read is not unread because it is not remembered.
    pub fn is_read(&self) -> bool {
        self.more || self.populations.iter().chain(&self.newest).any(|seen| !seen.deleted)
    }

    /// The newest single records that still exist.
    pub fn to_cite(&self) -> impl Iterator<Item = &Seen> {
        self.newest.iter().filter(|seen| !seen.deleted).take(CITED)
    }

    pub fn is_contradicted(&self) -> bool {
        self.more_contradictions || !self.contradictions.is_empty()
    }

    fn contradict(&mut self, entry: &Entry, evidence: &Evidence, seen: &Seen) {
        self.contradictions.retain(|known| known.seen.reference.source_key != evidence.source_key);
        let says = match &evidence.origin {
            Origin::Observed(observed) if !evidence.deleted => entry.contradiction(&observed.facts),
            _ => None,
        };
        let Some(says) = says else { return };
        self.contradictions.push(Contradiction { seen: seen.clone(), says: says.into() });
        self.contradictions.sort_by(|a, b| b.seen.rank().cmp(&a.seen.rank()));
        if self.contradictions.len() > CONTRADICTIONS {
            self.contradictions.truncate(CONTRADICTIONS);
            self.more_contradictions = true;
        }
    }
}

impl Seen {
    /// The order of records: by the source's time, then by name, so that it is the same whoever comes first.
    fn rank(&self) -> (OffsetDateTime, &str, OffsetDateTime, &str) {
        (self.occurred_at, &self.reference.source_key, self.reference.collected_at, &self.reference.hash)
    }

    /// The order of states of one record.
    fn version(&self) -> (OffsetDateTime, OffsetDateTime, &str) {
        (self.occurred_at, self.reference.collected_at, &self.reference.hash)
    }
}

/// What exists before what is deleted, newest first, each record once in its newest state, at most `keep`.
/// Returns whether one that exists found no place.
fn insert(list: &mut Vec<Seen>, seen: Seen, keep: usize) -> bool {
    match list.iter_mut().find(|known| known.reference.source_key == seen.reference.source_key) {
        Some(known) if known.version() < seen.version() => *known = seen,
        Some(_) => {}
        None => list.push(seen),
    }
    list.sort_by(|a, b| (a.deleted, b.rank()).cmp(&(b.deleted, a.rank())));
    let left_out = list.split_off(keep.min(list.len()));
    left_out.iter().any(|seen| !seen.deleted)
}
