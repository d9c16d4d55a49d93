//! Who stood in for whom, as the client's log tells it: what a run goes by. The records of it are for pages and decisions;
//! whoever can write the database can delete one or put an older one back, and gets nothing run by it.
//!
//! Told item by item in the log's order; one that is told twice, since it waits for its place and has it already, counts
//! once. Times come from the items, so they may be later than a record's by the moment that the write took.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use time::{Duration, OffsetDateTime};

use super::{Delegation, LONGEST, REMEMBERED, Span};
use crate::tenancy::{PersonId, Record};

/// The kinds of items that tell of it.
pub const KINDS: [&str; 3] = ["approval.delegated", "approval.stand_in_ended", "approval.stand_in_declined"];

/// What was told of each two.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told(BTreeMap<String, Pair>);

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Pair {
    from: PersonId,
    to: PersonId,
    steps: Vec<Step>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Step {
    #[serde(with = "time::serde::rfc3339")]
    at: OffsetDateTime,
    what: What,
    #[serde(with = "time::serde::rfc3339")]
    until: OffsetDateTime,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum What {
    Agreed,
    Ended,
}

impl Told {
    /// One more item of [`KINDS`]; others say nothing.
    pub fn take(&mut self, kind: &str, detail: &Value, at: OffsetDateTime) {
        let what = match kind {
            "approval.delegated" => What::Agreed,
            "approval.stand_in_ended" | "approval.stand_in_declined" => What::Ended,
            _ => return,
        };
        let person = |name: &str| serde_json::from_value::<PersonId>(detail[name].clone()).ok();
        let until = detail["until"].as_i64().and_then(|seconds| OffsetDateTime::from_unix_timestamp(seconds).ok());
        let (Some(from), Some(to), Some(until)) = (person("from"), person("to"), until) else { return };
        let pair = self.0.entry(Delegation::none(from, to).key()).or_insert_with(|| Pair { from, to, steps: vec![] });
        // An item has whole seconds; what ends at once ends when it says so.
        let until = if what == What::Ended { until.max(at) } else { until };
        let step = Step { at, what, until };
        // Saying no to what is only asked ends nothing.
        let ends_nothing = || what == What::Ended && pair.delegation().held.iter().all(|span| span.end() <= until);
        if !pair.steps.contains(&step) && !ends_nothing() {
            pair.steps.push(step);
        }
    }

    /// Without what reaches into no time that is remembered.
    pub fn forget(&mut self, now: OffsetDateTime) {
        for pair in self.0.values_mut() {
            pair.steps.retain(|step| now - REMEMBERED - LONGEST < step.at);
        }
        self.0.retain(|_, pair| !pair.steps.is_empty());
    }

    /// When each held; what is asked is not among it.
    pub fn delegations(&self) -> Vec<Delegation> {
        self.0.values().map(Pair::delegation).collect()
    }

    /// Where a record says another time than was told, in words; a record that is gone says none.
    pub fn differences(&self, records: &[Delegation], now: OffsetDateTime) -> Vec<String> {
        let told: BTreeMap<String, Delegation> = self.0.iter().map(|(key, pair)| (key.clone(), pair.delegation())).collect();
        let stored: BTreeMap<String, Delegation> = records.iter().map(|one| (one.key(), one.clone())).collect();
        let pairs: BTreeMap<&String, &Delegation> = told.iter().chain(&stored).collect();
        let times =
            |all: &BTreeMap<String, Delegation>, key: &str| all.get(key).map_or_else(Vec::new, |one| one.clone().remembering(now).held);
        let differ = |key: &str| {
            let (told, stored) = (times(&told, key), times(&stored, key));
            told.len() != stored.len() || told.iter().zip(&stored).any(|(told, stored)| !is_about(told, stored))
        };
        let words = |one: &Delegation| {
            let Delegation { from, to, .. } = one;
            format!(
                "when person {to} stood in for person {from} is not in the store as the log tells it: a record was put back, or is gone"
            )
        };
        pairs.into_iter().filter(|(key, _)| differ(key)).map(|(_, one)| words(one)).collect()
    }
}

impl Pair {
    fn delegation(&self) -> Delegation {
        self.steps.iter().fold(Delegation::none(self.from, self.to), |was, step| match step.what {
            What::Ended => was.cut(step.until),
            What::Agreed => {
                let mut after = was.cut(step.at);
                after.held.push(Span { begins_at: step.at, ends_at: step.until });
                after
            }
        })
    }
}

/// The same but for the moment that a write takes.
fn is_about(told: &Span, stored: &Span) -> bool {
    const SLACK: Duration = Duration::seconds(5);
    (told.begins_at - stored.begins_at).abs() <= SLACK && (told.end() - stored.end()).abs() <= SLACK
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;
    use time::macros::datetime;
    use uuid::Uuid;

    use super::*;

    const START: OffsetDateTime = datetime!(2026-11-25 09:00:00.7 UTC);

    /// What one of the two does after this many minutes.
    #[derive(Clone, Copy, Debug)]
    enum Does {
        Asks { days: i64 },
        Agrees,
        Ends,
    }

    fn does() -> impl Strategy<Value = (i64, Does)> {
        (0..4000i64, prop_oneof![(1..30i64).prop_map(|days| Does::Asks { days }), Just(Does::Agrees), Just(Does::Ends)])
    }

    /// The record after it, and the item that is written with it.
    fn done(was: &Delegation, does: Does, now: OffsetDateTime) -> Option<(Delegation, &'static str, OffsetDateTime)> {
        match does {
            Does::Asks { days } => {
                let after = was.asked(now + Duration::days(days), now);
                Some(match after.offered(now) {
                    Some(offer) => (after, "approval.stand_in_asked", offer.until),
                    None => (after.clone(), "approval.stand_in_ended", after.until(now).unwrap_or(now)),
                })
            }
            Does::Agrees => was.agreed(now).map(|after| (after.clone(), "approval.delegated", after.until(now).unwrap_or(now))),
            Does::Ends => Some((was.ended(now, now), "approval.stand_in_declined", now)),
        }
    }

    proptest! {
        #[test]
        fn what_was_told_is_what_the_record_says_also_where_something_is_told_twice(
            steps in proptest::collection::vec((does(), any::<bool>()), 0..40),
        ) {
            let (from, to) = (PersonId(Uuid::from_u128(1)), PersonId(Uuid::from_u128(2)));
            let (mut record, mut told, mut now) = (Delegation::none(from, to), Told::default(), START);
            for ((minutes, does), twice) in steps {
                now += Duration::minutes(minutes + 1);
                let Some((after, kind, until)) = done(&record, does, now) else { continue };
                record = after;
                let detail = json!({ "from": from, "to": to, "until": until.unix_timestamp() });
                for _ in 0..=u8::from(twice) {
                    told.take(kind, &detail, now);
                }
                let mut kept = told.clone();
                kept.forget(now);
                for told in [&told, &kept] {
                    prop_assert_eq!(told.differences(std::slice::from_ref(&record), now), Vec::<String>::new());
                }
            }
            let held = record.held.last().is_some_and(|span| span.begins_at < span.end() - Duration::MINUTE);
            prop_assert_eq!(held, !told.differences(&[], now).is_empty() && held, "a record that is gone is named");
        }
    }

    fn told(items: &[(&str, i64, OffsetDateTime)]) -> Told {
        let (from, to) = (PersonId(Uuid::from_u128(1)), PersonId(Uuid::from_u128(2)));
        let mut told = Told::default();
        for (kind, until, at) in items {
            told.take(kind, &json!({ "from": from, "to": to, "until": until }), *at);
        }
        told
    }

    #[test]
    fn a_record_with_another_begin_or_another_end_is_named_and_the_moment_of_a_write_is_none() {
        let until = START + Duration::days(2);
        let told = told(&[("approval.delegated", until.unix_timestamp(), START)]);
        let is_named = |begins_at, ends_at| {
            let [mut record] = told.delegations().try_into().expect("one");
            record.held = vec![Span { begins_at, ends_at }];
            !told.differences(&[record], START + Duration::HOUR).is_empty()
        };
        let (soon, late) = (Duration::seconds(4), Duration::seconds(7));
        assert!(!is_named(START, until) && !is_named(START - soon, until - soon));
        assert!(is_named(START - late, until) && is_named(START, until - late) && is_named(START + late, until + late));
    }

    #[test]
    fn what_ends_at_once_ends_then_what_was_only_asked_leaves_nothing_and_what_is_long_ago_is_forgotten() {
        let (until, after) = ((START + Duration::days(2)).unix_timestamp(), START + Duration::HOUR);
        let ended = told(&[("approval.delegated", until, START), ("approval.stand_in_ended", after.unix_timestamp(), after)]);
        assert_eq!(ended.delegations()[0].held, [Span { begins_at: START, ends_at: after }]);
        let mut declined = told(&[("approval.stand_in_declined", START.unix_timestamp(), START)]);
        declined.forget(START);
        assert_eq!(declined, Told::default());
        let mut old = told(&[("approval.delegated", until, START)]);
        let last = START + REMEMBERED + LONGEST;
        old.forget(last - Duration::SECOND);
        assert_eq!(old.delegations().len(), 1);
        old.forget(last);
        assert_eq!(old, Told::default());
    }
}
