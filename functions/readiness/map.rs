//! The evidence map: which record type can be evidence for which objective, how strongly, and what it does not show.
//!
//! Product data in `map.json`, in our own words; compared with its source in `tests`. Nothing in it is enough alone for
//! a finding, so no grade is above partial. A record type that is not here says nothing about any objective.

use std::{
    collections::{BTreeMap, HashMap},
    sync::LazyLock,
};

use serde::{Deserialize, Serialize};
use time::{Duration, OffsetDateTime};

use super::catalogue::parse;
use crate::evidence::{Evidence, EvidenceRef};

#[derive(Debug)]
pub struct EvidenceMap {
    pub entries: Vec<Entry>,
    /// Entries by record type.
    index: HashMap<&'static str, usize>,
    /// For every objective that any record type touches: the entries and grades, strongest first.
    touching: HashMap<&'static str, Vec<(usize, Grade)>>,
    /// Why nothing that is read is reason enough to ask, by objective.
    never_alone: HashMap<&'static str, &'static str>,
}

/// The map of this release.
pub fn evidence_map() -> &'static EvidenceMap {
    static MAP: LazyLock<EvidenceMap> = LazyLock::new(EvidenceMap::of_this_release);
    &MAP
}

/// How far a record type goes for an objective; the order is the order of strength.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Grade {
    /// Never counts alone.
    Weak,
    /// Corroborates; a document, a look or an interview is still needed.
    Supporting,
    /// The state that is asked for, for the population it covers.
    Partial,
}

impl Grade {
    pub fn word(self) -> &'static str {
        match self {
            Self::Weak => "weak",
            Self::Supporting => "supporting",
            Self::Partial => "partial",
        }
    }
}

/// What kind of truth a record type carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Basis {
    /// Observed in the tool that holds the state.
    State,
    /// What is demanded; any observed state outranks it.
    Policy,
    /// What people wrote down.
    Claim,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// `rmm_device_inventory`.
    pub record_type: &'static str,
    /// For people: `Device inventory`.
    pub name: &'static str,
    pub basis: Basis,
    #[serde(borrow)]
    objectives: BTreeMap<Grade, Vec<&'static str>>,
    pub why: &'static str,
    pub limits: &'static str,
    max_age_days: i64,
    /// States that speak against the objectives, by a normalized fact of the record.
    pub contradicted_by: Vec<Contradicting>,
}

/// A fact of a record that, with one of these values, contradicts.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Contradicting {
    pub fact: &'static str,
    pub values: Vec<&'static str>,
    /// In words: "a volume is not encrypted".
    pub says: &'static str,
}

impl Entry {
    /// How long after it was read a record of this type still counts.
    pub fn max_age(&self) -> Duration {
        Duration::days(self.max_age_days)
    }

    /// Until when what was read at this moment counts.
    pub fn counts_until(&self, collected_at: OffsetDateTime) -> OffsetDateTime {
        collected_at.saturating_add(self.max_age())
    }

    /// The objectives it touches, with the grade.
    pub fn objectives(&self) -> impl Iterator<Item = (&'static str, Grade)> {
        self.objectives.iter().flat_map(|(grade, ids)| ids.iter().map(move |id| (*id, *grade)))
    }

    /// What in these facts speaks against the objectives, in words.
    pub fn contradiction(&self, facts: &BTreeMap<String, String>) -> Option<&'static str> {
        let holds = |rule: &&Contradicting| {
            facts.get(rule.fact).is_some_and(|value| rule.values.iter().any(|wanted| wanted.eq_ignore_ascii_case(value)))
        };
        self.contradicted_by.iter().find(holds).map(|rule| rule.says)
    }
}

impl EvidenceMap {
    pub fn entry(&self, record_type: &str) -> Option<&Entry> {
        self.index.get(record_type).map(|&at| &self.entries[at])
    }

    /// Refers to a record as it is now, with the time until which it counts.
    pub fn cite(&self, record: &Evidence) -> EvidenceRef {
        let entry = record.record_type.as_deref().and_then(|record_type| self.entry(record_type));
        EvidenceRef { fresh_until: entry.map(|entry| entry.counts_until(record.collected_at)), ..record.reference() }
    }

    /// The record types that touch an objective, strongest first.
    pub fn touching(&self, objective: &str) -> impl Iterator<Item = (&Entry, Grade)> {
        self.touching.get(objective).into_iter().flatten().map(|&(at, grade)| (&self.entries[at], grade))
    }

    /// Why no record of any type is reason enough to suggest that this objective is met; `None` for nearly all.
    pub fn never_alone(&self, objective: &str) -> Option<&'static str> {
        self.never_alone.get(objective).copied()
    }

    fn of_this_release() -> Self {
        let file: File = parse(include_str!("map.json"));
        let mut touching: HashMap<&'static str, Vec<(usize, Grade)>> = HashMap::new();
        for (at, entry) in file.map.iter().enumerate() {
            for (objective, grade) in entry.objectives() {
                touching.entry(objective).or_default().push((at, grade));
            }
        }
        for entries in touching.values_mut() {
            entries.sort_by_key(|&(at, grade)| (std::cmp::Reverse(grade), at));
        }
        Self {
            index: file.map.iter().enumerate().map(|(at, e)| (e.record_type, at)).collect(),
            touching,
            never_alone: file.never_alone.iter().map(|exception| (exception.objective, exception.why)).collect(),
            entries: file.map,
        }
    }
}

#[derive(Deserialize)]
#[serde(bound(deserialize = "'de: 'static"))]
struct File {
    never_alone: Vec<NeverAlone>,
    map: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NeverAlone {
    objective: &'static str,
    why: &'static str,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::readiness::catalogue;

    #[test]
    fn every_objective_of_the_map_is_in_the_catalogue_and_no_type_touches_one_twice() {
        for entry in &evidence_map().entries {
            let mut ids: Vec<_> = entry.objectives().map(|(id, _)| id).collect();
            assert!(ids.iter().all(|id| catalogue().objective(id).is_some()), "{}", entry.record_type);
            ids.sort_unstable();
            ids.dedup();
            assert_eq!(ids.len(), entry.objectives().count());
            assert!(entry.max_age() > Duration::ZERO);
        }
        for objective in evidence_map().never_alone.keys() {
            assert!(evidence_map().touching(objective).next().is_some(), "{objective}: an exception to nothing");
        }
        assert_eq!(evidence_map().index.len(), evidence_map().entries.len(), "no type twice");
    }

    #[test]
    fn a_batch_of_one_record_type_always_fits() {
        // Per objective at most its record and a superseded and a new proposal, with what belongs to them.
        let widest = evidence_map().entries.iter().map(|e| e.objectives().count()).max().expect("entries");
        assert!(widest * 9 + 4 <= crate::platform::ports::MAX_BATCH_OPS, "{widest}");
    }
}
