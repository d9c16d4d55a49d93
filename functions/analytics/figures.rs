//! The figures, each with its exact definition. All look at the last [`WINDOW`] up to the moment they are asked for.
//!
//! **Staged, decided, carried out**: proposals that were asked, decisions that people made, actions that ran.
//! **Error rate**: of the actions that ran in the window, those that were taken back since or could not be although somebody
//! wanted it, or whose finding gave way to another answer. A changed world counts as well as a mistake; the page says so.
//! **Override frequency**: of the proposals that a rule raised, and a person decided in the window after a look of at
//! least five seconds, those that somebody rejected. One proposal counts once.
//! **Error rate of what ran by itself**: of what ran without anybody's approval, was drawn at random, and a person looked
//! at in the window for at least five seconds, that of which they said that it does not hold.
//! **Time to decision**: from the signed-in view of the page from which it was decided, to the decision; percentiles by
//! nearest rank. Earlier looks at the same page write nothing (design I10), so they are not known.
//! **Expiry rate**: of the proposals that were decided, or whose time was over undecided, in the window, the latter.
//! **Rubber-stamp index**: of the decisions whose view is known, those made less than five seconds after it.
//! **Agreement**: of the proposals that two or more people decided, those where all gave the same answer.
//!
//! There is no calibration figure: suggestions carry no probability. If they ever do, an expected calibration error says
//! nothing below 1,000 labels.

use std::collections::{BTreeMap, BTreeSet};

use time::{Duration, OffsetDateTime};

use super::tally::{Given, Item, Looked};
use crate::gate::{
    learning::{Label, MIN_VIEW, bounds, label},
    level::Level,
};

pub const WINDOW: Duration = Duration::days(90);

/// So many of so many; never a bare percentage.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Share {
    pub k: u64,
    pub n: u64,
}

impl Share {
    pub(super) fn add(&mut self, counts: bool) {
        self.n += 1;
        self.k += u64::from(counts);
    }

    /// The 95 % interval; `None` without data.
    pub fn interval(self) -> Option<(f64, f64)> {
        bounds::interval(self.k, self.n)
    }
}

/// Of `n` times, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Times {
    pub p50: u64,
    pub p90: u64,
    pub n: usize,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    pub staged: u64,
    pub decided: u64,
    pub executed: u64,
    pub errors: Share,
    pub sampled: Share,
    pub overrides: Share,
    pub overrides_by_level: BTreeMap<Level, Share>,
    /// Overrides by reason; the last without one.
    pub reasons: [u64; 4],
    pub time_to_decision: Option<Times>,
    pub expired: Share,
    pub rubber_stamped: Share,
    pub agreed: Share,
}

impl Figures {
    /// Of these items and answers, which may be of several clients.
    pub fn of<'i>(items: impl IntoIterator<Item = &'i Item>, looked: impl IntoIterator<Item = &'i Looked>, now: OffsetDateTime) -> Self {
        let mut figures = Self::default();
        let mut times = Vec::new();
        for item in items {
            figures.count(item, now, &mut times);
        }
        for looked in looked.into_iter().filter(|looked| looked.at <= now && now - looked.at < WINDOW) {
            figures.sampled.add(!looked.agrees);
        }
        figures.time_to_decision = Times::of(times);
        figures
    }

    fn count(&mut self, item: &Item, now: OffsetDateTime, times: &mut Vec<u64>) {
        let in_window = |at: OffsetDateTime| at <= now && now - at < WINDOW;
        let decisions = decided_within(item, now, WINDOW);
        self.staged += u64::from(in_window(item.staged_at));
        self.decided += decisions.len() as u64;
        if item.executed_at.is_some_and(in_window) {
            self.executed += 1;
            self.errors.add(item.undone);
        }
        for viewed in decisions.iter().filter_map(|given| given.viewed_ms) {
            times.push(viewed);
            self.rubber_stamped.add(u128::from(viewed) < MIN_VIEW.whole_milliseconds().unsigned_abs());
        }
        if !decisions.is_empty() {
            self.expired.add(false);
        } else if item.decisions.is_empty() && item.expired_at.is_some_and(in_window) {
            self.expired.add(true);
        }
        let people: BTreeSet<_> = decisions.iter().map(|given| given.by).collect();
        if people.len() > 1 {
            self.agreed.add(decisions.iter().all(|given| given.approved == decisions[0].approved));
        }
        if let Some(label) = label_of(item, &decisions) {
            self.overrides.add(label.overridden);
            self.overrides_by_level.entry(item.level).or_default().add(label.overridden);
            if label.overridden {
                self.reasons[label.because.map_or(3, |because| because as usize)] += 1;
            }
        }
    }
}

/// What people decided about it in the last `window`.
pub(super) fn decided_within(item: &Item, now: OffsetDateTime, window: Duration) -> Vec<&Given> {
    item.decisions.iter().filter(|given| given.at <= now && now - given.at < window).collect()
}

/// What a rule's item teaches: of several people who truly saw it, the one who overrides counts.
pub(super) fn label_of(item: &Item, decisions: &[&Given]) -> Option<Label> {
    let viewed = |given: &Given| given.viewed_ms.and_then(|ms| i64::try_from(ms).ok()).map(Duration::milliseconds);
    let of_rule = decisions.iter().filter(|given| item.by_rule && !given.left_out);
    of_rule.filter_map(|given| label(given.approved, given.because, viewed(given))).max_by_key(|label| label.overridden)
}

impl Times {
    fn of(mut times: Vec<u64>) -> Option<Self> {
        times.sort_unstable();
        let n = times.len();
        let rank = |percent: usize| times.get((n * percent).div_ceil(100).max(1) - 1).copied();
        Some(Self { p50: rank(50)?, p90: rank(90)?, n })
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::tally::tests::{Log, START},
        *,
    };
    use crate::gate::learning::Fact;

    fn share(k: u64, n: u64) -> Share {
        Share { k, n }
    }

    #[test]
    fn without_data_every_figure_is_unknown_and_none_is_zero_percent() {
        let figures = Figures::of([], [], START);
        assert_eq!(figures, Figures::default());
        assert_eq!((figures.overrides.interval(), figures.time_to_decision), (None, None));
    }

    #[test]
    fn what_somebody_wanted_undone_and_could_not_be_is_an_error() {
        let mut log = Log::default();
        let stuck = log.staged("a", true);
        log.carried_out(stuck, "a", false, true).decided(stuck, 1, false, Some(9_000));
        let item = format!("proposal {stuck}");
        let by_rule = crate::tenancy::Actor::Function("execute".into());
        log.add(crate::gate::learning::fact("proposal.not_undone", &item, &by_rule, &serde_json::json!({})).expect("a fact"));
        assert_eq!(Figures::of(log.tally().items(), [], START + log.now).errors, share(1, 1));
    }

    #[test]
    fn the_figures_of_a_quarter_are_what_their_definitions_say() {
        let mut log = Log::default();
        // By rule: approved after 40 s and carried out; approved at a glance; rejected after a minute; left to expire.
        let [met, glance, no, left] = ["a", "b", "c", "d"].map(|subject| log.staged(subject, true));
        let by_hand = log.staged("e", false);
        log.passes(Duration::hours(2)).decided(met, 1, true, Some(40_000)).carried_out(met, "a", false, true);
        log.decided(glance, 1, true, Some(4_999)).carried_out(glance, "b", false, true);
        log.decided(no, 2, false, Some(60_000)).decided(by_hand, 2, true, Some(90_000));
        // A decision of an earlier release: nobody knows what was seen.
        let old = log.staged("f", true);
        log.decided(old, 1, true, None);
        // Two people about one: the one who says no overrides.
        let both = log.staged("g", true);
        log.decided(both, 1, true, Some(10_000)).decided(both, 2, false, Some(20_000));
        log.passes(Duration::days(7)).add(Fact::Expired { item: left });
        let back = log.staged("a", false);
        log.decided(back, 2, true, Some(30_000)).carried_out(back, "a", true, true);

        let figures = Figures::of(log.tally().items(), [], START + log.now);
        assert_eq!((figures.staged, figures.decided, figures.executed), (8, 8, 3));
        assert_eq!(figures.errors, share(1, 3), "the finding about a was taken back");
        assert_eq!(figures.overrides, share(2, 3), "a, c and g: seen, and raised by a rule");
        assert_eq!(figures.overrides_by_level, [(Level::L2, share(2, 3))].into());
        assert_eq!(figures.reasons, [0, 2, 0, 0]);
        assert_eq!(figures.time_to_decision, Some(Times { p50: 30_000, p90: 90_000, n: 7 }));
        assert_eq!(figures.rubber_stamped, share(1, 7));
        assert_eq!(figures.expired, share(1, 8), "of what ended");
        assert_eq!(figures.agreed, share(0, 1));

        let later = Figures::of(log.tally().items(), [], START + Duration::days(95));
        assert_eq!((later.staged, later.decided, later.executed), (1, 1, 1), "only the last week is in the window then");
    }

    #[test]
    fn percentiles_are_times_that_really_occurred() {
        let of = |times: &[u64]| Times::of(times.to_vec());
        assert_eq!(of(&[]), None);
        assert_eq!(of(&[7]), Some(Times { p50: 7, p90: 7, n: 1 }));
        assert_eq!(of(&[9, 1, 5, 3]), Some(Times { p50: 3, p90: 9, n: 4 }));
        assert_eq!(of(&(1..=100).collect::<Vec<_>>()), Some(Times { p50: 50, p90: 90, n: 100 }));
    }
}
