//! From what was read to a suggestion for one objective: a rule, pure, with its reasons in words.
//!
//! A suggestion is never a finding. Unread is `None`: unknown, never compliant. An observed state outranks a policy that
//! demands it; a draft is never evidence, so filed documents without an approval date cannot come this far. "Likely met"
//! needs fresh, population-complete evidence of grade partial for an objective that such a record can carry at all, and
//! even then says what it does not show (design I8).

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::{
    catalogue::Determination,
    map::{Basis, Entry, EvidenceMap, Grade},
    topic::{Seen, Topic},
};
use crate::evidence::{EvidenceRef, Population};

/// What the analysis thinks of an objective, and why.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Suggestion {
    pub result: Outcome,
    /// The strongest grade among what was read; when contradicted, the grade of what contradicts.
    pub grade: Grade,
    /// One plain sentence each, the deciding one first.
    pub reasons: Vec<String>,
    /// Populations first, then the newest single records.
    pub citations: Vec<EvidenceRef>,
    /// What the evidence does not show, one entry per record type.
    pub limits: Vec<String>,
    /// Until when the deciding evidence counts; the past when it was too old already.
    #[serde(with = "time::serde::rfc3339")]
    pub fresh_until: OffsetDateTime,
    /// Whether the deciding evidence covers all there is.
    pub population_complete: bool,
    /// Source keys of what contradicts, in order; a change of this list is a change of the suggestion.
    pub contradictions: Vec<String>,
    #[serde(with = "time::serde::rfc3339")]
    pub made_at: OffsetDateTime,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    LikelyMet,
    /// Something observed speaks against it.
    Contradicted,
    /// Read, but too little, too old, or not of all.
    NotEnough,
}

impl Outcome {
    pub fn words(self) -> &'static str {
        match self {
            // No record of a tool is enough alone, so the best that is said is "in part".
            Self::LikelyMet => "supported in part",
            Self::Contradicted => "contradicted",
            Self::NotEnough => "not enough evidence",
        }
    }
}

impl Suggestion {
    pub fn is_fresh(&self, now: OffsetDateTime) -> bool {
        now <= self.fresh_until
    }

    /// The readings that a proposal for it may rest on now. Not single records, whose every change would make the proposal
    /// outdated, unless they contradict; and nothing that is too old to count.
    pub fn rests_on(&self, now: OffsetDateTime) -> impl Iterator<Item = &EvidenceRef> {
        let contradicted = self.result == Outcome::Contradicted;
        let decides = move |e: &&EvidenceRef| {
            if contradicted { self.contradictions.contains(&e.source_key) } else { e.population != Population::Unknown }
        };
        self.citations.iter().filter(decides).filter(move |e| !e.is_stale(now))
    }

    /// Whether it is another suggestion than before: result, grade or a contradiction changed. New evidence that changes
    /// none of these asks nothing new; where an open proposal refers to an older state of it, the same question gets a new
    /// version (see [`super::raise::step`]), or it could not run.
    pub fn differs_from(&self, before: Option<&Self>) -> bool {
        before.is_none_or(|b| (self.result, self.grade, &self.contradictions) != (b.result, b.grade, &b.contradictions))
    }
}

/// The suggestion for one objective from the client's topics; those that do not touch it are passed over.
pub fn suggest<'t>(
    map: &EvidenceMap,
    objective: &Determination,
    topics: impl Fn(&str) -> Option<&'t Topic>,
    now: OffsetDateTime,
) -> Option<Suggestion> {
    let sources: Vec<Source<'_>> = map
        .touching(objective.id)
        .filter_map(|(entry, grade)| Some(Source { entry, grade, topic: topics(entry.record_type).filter(|t| t.is_read())?, now }))
        .collect();
    let against = contradicting(&sources);
    let never_alone = map.never_alone(objective.id);
    let strongest = sources.iter().filter(|source| source.is_decisive()).max_by_key(|s| s.fresh_until());
    let deciding = strongest.filter(|_| against.is_empty() && never_alone.is_none());
    let (result, first) = match (against.first(), deciding) {
        (Some(source), _) => (Outcome::Contradicted, source.contradiction_in_words()),
        (None, Some(source)) => (Outcome::LikelyMet, source.in_words()),
        (None, None) => {
            let why = match (strongest, never_alone) {
                (Some(source), Some(why)) => format!("{}: {}. {why}", source.entry.name, source.read_in_words()),
                _ => sources.first()?.shortcoming(),
            };
            (Outcome::NotEnough, why)
        }
    };
    let leading = against.first().copied().or(deciding).or(sources.first())?;
    let others = sources.iter().filter(|source| source.entry.record_type != leading.entry.record_type);
    let mut contradictions: Vec<String> =
        against.iter().flat_map(|s| &s.topic.contradictions).map(|c| c.seen.reference.source_key.clone()).collect();
    contradictions.sort();
    Some(Suggestion {
        result,
        grade: if against.is_empty() { sources.iter().map(Source::grade).max()? } else { leading.grade() },
        reasons: std::iter::once(first).chain(others.map(Source::in_words)).collect(),
        citations: citations(leading, &sources),
        limits: sources.iter().map(|s| s.entry.limits.to_owned()).collect(),
        fresh_until: leading.fresh_until(),
        population_complete: leading.covering().is_some(),
        contradictions,
        made_at: now,
    })
}

/// What speaks against the objective. A policy does so only where no observed state shows the opposite.
fn contradicting<'s, 't>(sources: &'s [Source<'t>]) -> Vec<&'s Source<'t>> {
    let state_shows_it = sources.iter().any(|s| s.is_decisive() && !s.topic.is_contradicted());
    sources
        .iter()
        .filter(|s| s.grade > Grade::Weak && s.topic.is_contradicted())
        .filter(|s| s.entry.basis != Basis::Policy || !state_shows_it)
        .collect()
}

const CITED: usize = 10;

fn citations(leading: &Source<'_>, sources: &[Source<'_>]) -> Vec<EvidenceRef> {
    let contradicting = leading.topic.contradictions.iter().map(|c| (leading, &c.seen));
    let populations = sources.iter().flat_map(|s| s.topic.populations.iter().map(move |seen| (s, seen)));
    let newest = sources.iter().flat_map(|s| s.topic.to_cite().map(move |seen| (s, seen)));
    let mut cited: Vec<EvidenceRef> = Vec::new();
    for (source, seen) in contradicting.take(NAMED).chain(populations).chain(newest) {
        if cited.len() < CITED && !seen.deleted && cited.iter().all(|c| c.source_key != seen.reference.source_key) {
            cited.push(EvidenceRef { fresh_until: Some(source.counts_until(seen)), ..seen.reference.clone() });
        }
    }
    cited
}

/// Contradicting records that a sentence names and that are cited first.
const NAMED: usize = 3;

/// One record type that touches the objective and of which something was read.
struct Source<'t> {
    entry: &'t Entry,
    /// As the map says; what counts is [`Source::grade`].
    grade: Grade,
    topic: &'t Topic,
    now: OffsetDateTime,
}

impl Source<'_> {
    /// A policy shows what is demanded, so it never goes further than to corroborate.
    fn grade(&self) -> Grade {
        if self.entry.basis == Basis::Policy { self.grade.min(Grade::Supporting) } else { self.grade }
    }

    /// Fresh, of all there is, and of grade partial.
    fn is_decisive(&self) -> bool {
        self.grade() == Grade::Partial && self.covering().is_some() && self.now <= self.fresh_until()
    }

    /// The tools' readings that count now: those that are fresh, or the newest when none is.
    fn readings(&self) -> impl Iterator<Item = &Seen> {
        let fresh = |seen: &&Seen| !seen.deleted && self.now <= self.counts_until(seen);
        let any_fresh = self.topic.populations.iter().any(|seen| fresh(&seen));
        self.topic.populations.iter().filter(move |seen| !any_fresh || fresh(seen)).take(if any_fresh { usize::MAX } else { 1 })
    }

    /// The newest reading, if every reading that counts covered all.
    fn covering(&self) -> Option<&Seen> {
        self.readings().all(|seen| seen.reference.population.is_complete() && !seen.deleted).then(|| self.readings().next())?
    }

    fn fresh_until(&self) -> OffsetDateTime {
        let readings = self.readings().map(|seen| self.counts_until(seen)).max();
        // That they are gone was read too.
        let all_gone = self.topic.to_cite().next().is_none();
        let singles = || self.topic.newest.iter().filter(|seen| all_gone || !seen.deleted).map(|seen| self.counts_until(seen)).max();
        readings.or_else(singles).unwrap_or(OffsetDateTime::UNIX_EPOCH)
    }

    fn counts_until(&self, seen: &Seen) -> OffsetDateTime {
        self.entry.counts_until(seen.reference.collected_at)
    }

    fn in_words(&self) -> String {
        let read = self.read_in_words();
        format!("{}: {read}. {}", self.entry.name, self.entry.why)
    }

    fn read_in_words(&self) -> String {
        let newest = self.topic.to_cite().next();
        match (self.readings().next(), newest) {
            (Some(seen), _) => format!("{} read on {}", seen.reference.population.words(), day(seen)),
            (None, Some(seen)) => format!("single records, the newest read on {}; how many there are is unknown", day(seen)),
            (None, None) => "the newest were deleted at their source, and older ones are not remembered".into(),
        }
    }

    fn contradiction_in_words(&self) -> String {
        let known = &self.topic.contradictions;
        let Some(first) = known.first() else {
            return format!("{}: more records speak against it than can be named.", self.entry.name);
        };
        let names: Vec<&str> = known.iter().take(NAMED).map(|c| c.seen.reference.title.as_str()).collect();
        let more = if known.len() > NAMED || self.topic.more_contradictions { " and others" } else { "" };
        format!("{}: {} ({}{more}).", self.entry.name, first.says, names.join(", "))
    }

    /// Why this, the strongest that was read, is not enough.
    fn shortcoming(&self) -> String {
        let why_not = if self.entry.basis == Basis::Policy {
            "a policy shows what is demanded, not what is so"
        } else if self.grade < Grade::Partial {
            "this kind of record corroborates; it does not show the objective by itself"
        } else if self.topic.populations.is_empty() {
            "nobody read how many there are, so it is unknown whether this is all"
        } else if self.covering().is_none() {
            "the newest reading did not cover all"
        } else {
            "the reading is too old to count"
        };
        format!("{}: {}; {why_not}.", self.entry.name, self.read_in_words())
    }
}

fn day(seen: &Seen) -> String {
    seen.reference.collected_at.date().to_string()
}
