//! The fold behind the figures: what became of each proposal, from a prefix of the log.
//!
//! Pure, and the same rules as in [`crate::gate::learning`]: an entry is known by its place, so one that comes again
//! changes nothing, and times are those of the log. Items that no figure looks at any more are let go.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use time::{Duration, OffsetDateTime};

use super::figures::WINDOW;
use crate::{
    gate::{
        learning::{Because, Config, Fact, Observed, label},
        level::Level,
    },
    tenancy::{PersonId, ProposalId},
};

/// Since the last that happened to it: longer than the window, and than anything waits for its decision (90 days at most).
const KEPT: Duration = Duration::days(WINDOW.whole_days() + 30);

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Tally {
    next: u64,
    #[serde(with = "time::serde::rfc3339::option")]
    newest: Option<OffsetDateTime>,
    items: BTreeMap<ProposalId, Item>,
    /// Whose finding stands, by subject.
    standing: BTreeMap<String, ProposalId>,
    /// What people said of what ran by itself and was drawn.
    #[serde(default)]
    sampled: Vec<Looked>,
}

/// One answer about what ran without anybody's approval.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Looked {
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
    pub agrees: bool,
}

/// One proposal, as far as the log tells of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Item {
    pub kind: String,
    pub subject: String,
    pub level: Level,
    pub by_rule: bool,
    #[serde(with = "time::serde::rfc3339")]
    pub staged_at: OffsetDateTime,
    pub decisions: Vec<Given>,
    #[serde(with = "time::serde::rfc3339::option")]
    pub executed_at: Option<OffsetDateTime>,
    #[serde(with = "time::serde::rfc3339::option")]
    pub expired_at: Option<OffsetDateTime>,
    /// What it did was taken back, or replaced by another answer.
    pub undone: bool,
}

/// One person's decision.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Given {
    pub by: PersonId,
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
    pub approved: bool,
    pub because: Option<Because>,
    /// From the signed-in view to the decision, in milliseconds.
    pub viewed_ms: Option<u64>,
    /// They are left out: what they say teaches nothing.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub left_out: bool,
}

impl Item {
    /// When something last happened to it that a figure counts.
    fn last_at(&self) -> OffsetDateTime {
        let decided = self.decisions.iter().map(|given| given.at).max();
        [decided, self.executed_at, self.expired_at].into_iter().flatten().fold(self.staged_at, OffsetDateTime::max)
    }
}

impl Tally {
    /// Goes on with one entry; entries come in the order of the log.
    pub fn take_in(&mut self, observed: &Observed, config: &Config) {
        if observed.seq < self.next {
            return;
        }
        self.next = observed.seq + 1;
        let now = self.newest.map_or(observed.at, |newest| newest.max(observed.at));
        // Once for each day of the log: every entry would go through all items.
        if self.newest.is_none_or(|newest| newest.date() != now.date()) {
            self.items.retain(|_, item| now - item.last_at() < KEPT);
            self.sampled.retain(|looked| now - looked.at < KEPT);
        }
        self.newest = Some(now);
        let at = observed.at;
        match &observed.fact {
            // What was wrong on purpose, to see whether people look, says nothing of what ran.
            Fact::Sampled { seeded: true, .. } | Fact::Ended { .. } | Fact::Accepted { .. } => {}
            Fact::Staged { item, kind, subject, level, by_rule, .. } => {
                let (kind, subject, level, by_rule) = (kind.clone(), subject.clone(), *level, *by_rule);
                let item_of_it = Item {
                    kind,
                    subject,
                    level,
                    by_rule,
                    staged_at: at,
                    decisions: Vec::new(),
                    executed_at: None,
                    expired_at: None,
                    undone: false,
                };
                self.items.entry(*item).or_insert(item_of_it);
            }
            Fact::Decided { item, reviewer, approved, because, viewed } => {
                if let Some(item) = self.items.get_mut(item) {
                    let viewed_ms = viewed.and_then(|viewed| u64::try_from(viewed.whole_milliseconds()).ok());
                    let left_out = config.excluded.contains(reviewer);
                    item.decisions.push(Given { by: *reviewer, at, approved: *approved, because: *because, viewed_ms, left_out });
                }
            }
            Fact::Sampled { reviewer, agrees, because, viewed, .. } => {
                if label(*agrees, *because, *viewed).is_some() && !config.excluded.contains(reviewer) {
                    self.sampled.push(Looked { at, agrees: *agrees });
                }
            }
            Fact::Recalled { item, level } => self.with(*item, |item| item.level = *level),
            Fact::Executed { item } => self.with(*item, |item| item.executed_at = Some(at)),
            Fact::Undone { item } => self.with(*item, |item| item.undone = true),
            Fact::Expired { item } => self.with(*item, |item| item.expired_at = Some(at)),
            Fact::Found { item, subject, taken_back, changed } => {
                let before = if *taken_back { self.standing.remove(subject) } else { self.standing.insert(subject.clone(), *item) };
                if let Some(before) = before.filter(|_| *taken_back || *changed) {
                    self.with(before, |item| item.undone = true);
                }
            }
        }
    }

    fn with(&mut self, item: ProposalId, change: impl FnOnce(&mut Item)) {
        if let Some(item) = self.items.get_mut(&item) {
            change(item);
        }
    }

    /// What people said of what was drawn.
    pub fn looked(&self) -> impl Iterator<Item = &Looked> {
        self.sampled.iter()
    }

    /// What a proposal is about, while it is remembered.
    pub(super) fn subject(&self, item: ProposalId) -> String {
        self.items.get(&item).map(|item| item.subject.clone()).unwrap_or_default()
    }

    pub fn items(&self) -> impl Iterator<Item = &Item> {
        self.items.values()
    }
}

#[cfg(test)]
pub(super) mod tests {
    use time::macros::datetime;
    use uuid::Uuid;

    use super::*;

    pub(in crate::analytics) const START: OffsetDateTime = datetime!(2026-09-01 09:00 UTC);

    /// A log that a story writes.
    #[derive(Default)]
    pub(in crate::analytics) struct Log {
        pub(in crate::analytics) entries: Vec<Observed>,
        pub(in crate::analytics) now: Duration,
        items: u128,
    }

    impl Log {
        pub(in crate::analytics) fn passes(&mut self, time: Duration) -> &mut Self {
            self.now += time;
            self
        }

        pub(in crate::analytics) fn add(&mut self, fact: Fact) -> &mut Self {
            self.entries.push(Observed { seq: self.entries.len() as u64, at: START + self.now, fact });
            self
        }

        pub(in crate::analytics) fn staged(&mut self, subject: &str, by_rule: bool) -> ProposalId {
            self.items += 1;
            let item = ProposalId(Uuid::from_u128(self.items));
            let (kind, subject) = ("mark_objective".into(), subject.into());
            self.add(Fact::Staged { item, kind, subject, level: Level::L2, by_rule });
            item
        }

        pub(in crate::analytics) fn decided(&mut self, item: ProposalId, by: u128, approved: bool, viewed: Option<i64>) -> &mut Self {
            let because = (!approved).then_some(Because::ContextMissing);
            let viewed = viewed.map(Duration::milliseconds);
            self.add(Fact::Decided { item, reviewer: PersonId(Uuid::from_u128(by)), approved, because, viewed })
        }

        pub(in crate::analytics) fn carried_out(&mut self, item: ProposalId, subject: &str, taken_back: bool, changed: bool) -> &mut Self {
            self.add(Fact::Found { item, subject: subject.into(), taken_back, changed }).add(Fact::Executed { item })
        }

        pub(in crate::analytics) fn tally(&self) -> Tally {
            let mut tally = Tally::default();
            self.entries.iter().for_each(|observed| tally.take_in(observed, &Config::default()));
            tally
        }
    }

    #[test]
    fn what_was_carried_out_is_undone_when_it_is_taken_back_or_another_answer_takes_its_place() {
        let mut log = Log::default();
        let [first, second, third, back] = ["a", "a", "a", "a"].map(|subject| log.staged(subject, true));
        log.carried_out(first, "a", false, true);
        assert_eq!(log.tally().items().filter(|item| item.undone).count(), 0);
        // The same answer on newer evidence contradicts nothing.
        log.carried_out(second, "a", false, false);
        assert_eq!(log.tally().items().filter(|item| item.undone).count(), 0);
        log.carried_out(third, "a", false, true);
        assert!(log.tally().items[&second].undone && !log.tally().items[&first].undone);
        log.carried_out(back, "a", true, true);
        let tally = log.tally();
        assert!(tally.items[&third].undone && !tally.items[&back].undone && tally.items[&back].executed_at.is_some());
    }

    #[test]
    fn an_entry_that_comes_again_changes_nothing_and_old_items_are_let_go() {
        let mut log = Log::default();
        let item = log.staged("a", true);
        log.decided(item, 1, true, Some(9_000));
        let mut tally = log.tally();
        for observed in &log.entries {
            tally.take_in(observed, &Config::default());
        }
        assert_eq!((&tally, tally.items[&item].decisions.len()), (&log.tally(), 1));
        log.passes(KEPT).staged("b", true);
        assert_eq!(log.tally().items().map(|item| item.subject.as_str()).collect::<Vec<_>>(), ["b"]);
    }

    /// A policy may leave people 90 days to decide.
    #[test]
    fn what_was_decided_late_counts_as_long_as_what_was_decided_at_once() {
        let mut log = Log::default();
        let late = log.staged("a", true);
        log.passes(Duration::days(85)).decided(late, 1, true, Some(9_000)).carried_out(late, "a", false, true);
        log.passes(Duration::days(36)).staged("b", true);
        assert!(log.tally().items[&late].executed_at.is_some(), "36 days after its decision");
        log.passes(Duration::days(4)).add(Fact::Undone { item: late });
        assert!(log.tally().items[&late].undone);
        log.passes(KEPT).staged("c", true);
        assert!(!log.tally().items.contains_key(&late));
    }
}
