//! What happened lately at a client, for who looks after the installation: records taken in, and what people overrode.
//!
//! Folded with the figures from the same entries, and defined as they are ([`super::figures`]). The window is shorter: a
//! page judges a quarter, a workbook asks how it goes now. Numbers that are added up over all clients, nothing that says
//! whose.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use time::{Duration, OffsetDateTime};

use super::{
    Item, Share,
    figures::{decided_within, label_of},
};

/// How far back.
pub const WINDOW: Duration = Duration::days(28);

/// What one client's log says of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lately {
    /// Records of tools that became evidence, or newer evidence.
    pub taken_in: u64,
    /// Of the proposals that a rule raised and somebody decided after a look: those that were rejected.
    pub overrides: Share,
}

impl Lately {
    pub(super) fn of<'i>(taken_in: &TakenIn, items: impl IntoIterator<Item = &'i Item>, now: OffsetDateTime) -> Self {
        let mut overrides = Share::default();
        for label in items.into_iter().filter_map(|item| label_of(item, &decided_within(item, now, WINDOW))) {
            overrides.add(label.overridden);
        }
        Self { taken_in: taken_in.until(now), overrides }
    }
}

/// Records by the day on which they were taken in, as far back as anybody asks. Days are those of UTC.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct TakenIn(BTreeMap<i64, u64>);

impl TakenIn {
    /// Goes on with one entry of the log; those of other kinds say nothing of it. An inventory brings many records.
    pub(super) fn take_in(&mut self, kind: &str, at: OffsetDateTime, detail: &Value) {
        if kind != "evidence.observed" {
            return;
        }
        *self.0.entry(day_of(at)).or_default() += detail["records"].as_array().map_or(1, |records| records.len() as u64);
        if let Some(newest) = self.0.keys().next_back().copied() {
            self.0.retain(|day, _| newest - *day < WINDOW.whole_days());
        }
    }

    /// With the day that is not over.
    fn until(&self, now: OffsetDateTime) -> u64 {
        let today = day_of(now);
        self.0.range(today - WINDOW.whole_days() + 1..=today).map(|(_, records)| records).sum()
    }
}

fn day_of(at: OffsetDateTime) -> i64 {
    at.unix_timestamp().div_euclid(Duration::DAY.whole_seconds())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{
        super::tally::tests::{Log, START},
        *,
    };

    #[test]
    fn records_are_counted_by_the_day_for_four_weeks_and_then_let_go() {
        let mut taken_in = TakenIn::default();
        taken_in.take_in("evidence.observed", START, &json!({ "hash": "a" }));
        taken_in.take_in("evidence.observed", START + Duration::minutes(20), &json!({ "records": [1, 2, 3] }));
        taken_in.take_in("evidence.missed", START, &json!({}));
        assert_eq!(taken_in.until(START + Duration::days(27)), 4);
        assert_eq!(taken_in.until(START + Duration::days(28)), 0);
        taken_in.take_in("evidence.observed", START + Duration::days(30), &json!({}));
        assert_eq!(taken_in.0.len(), 1, "nobody asks for the first day any more");
        // A clock that was ahead: what is of tomorrow does not count yet.
        assert_eq!(taken_in.until(START + Duration::days(29)), 0);
    }

    #[test]
    fn decisions_count_for_four_weeks_and_only_after_a_look() {
        let mut log = Log::default();
        let [first, glance, no] = ["a", "b", "c"].map(|subject| log.staged(subject, true));
        log.decided(first, 1, false, Some(9_000)).passes(Duration::days(20));
        log.decided(glance, 1, false, Some(1_000)).decided(no, 1, true, Some(9_000));
        let of = |days| Lately::of(&TakenIn::default(), log.tally().items(), START + Duration::days(days));
        assert_eq!(of(20).overrides, Share { k: 1, n: 2 });
        assert_eq!(of(28).overrides, Share { k: 0, n: 1 });
    }
}
