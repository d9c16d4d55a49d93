//! One rule of one client: what people said of its items, where it is gated for that, and what a promotion would take.
//!
//! Demotion is automatic and fast: all the way to L2, where a person approves first, at one bad sign. Promotion
//! is slow: one level at a time, with the labels that the table demands, at least two reviewers who notice seeded errors,
//! a dwell time, never under the floor of the policy, and only when a named human accepts it. A tie goes to the safer gate.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use time::{Duration, OffsetDateTime};

use super::{Label, Seeded, Terms, bounds, cusum::Cusum};
use crate::{gate::level::Level, tenancy::PersonId};

/// `mark_objective 3.4.1[d]`: the kind of action and what it is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Rule(String);

impl Rule {
    pub fn of(kind: &str, subject: &str) -> Self {
        Self(format!("{kind} {subject}"))
    }

    /// As an entry of the log, or a form, names it.
    pub fn of_name(name: String) -> Self {
        Self(name)
    }

    pub fn kind(&self) -> &str {
        self.0.split_once(' ').map_or(&self.0, |(kind, _)| kind)
    }

    pub fn subject(&self) -> &str {
        self.0.split_once(' ').map_or("", |(_, subject)| subject)
    }

    pub fn name(&self) -> &str {
        &self.0
    }
}

/// A rate of overrides that a rule must not have: the demotion by posterior is about it.
pub const TOO_OFTEN: f64 = 0.05;
/// How sure one has to be of that.
const SURE: f64 = 0.9;
/// Fewer labels say too little for the posterior; the prior alone would demote.
pub const FEWEST_LABELS: u64 = 10;
/// Reviewers whose labels a promotion rests on.
pub const REVIEWERS: usize = 2;
/// Of the seeded errors, how many people have to notice, in percent.
pub const CATCH_PERCENT: u64 = 80;
/// How long a rule stays at a level before it can be promoted from it.
pub const DWELL: Duration = Duration::days(30);

/// The rate below which the upper bound has to be before a rule may be gated at this level.
pub fn limit(level: Level) -> f64 {
    match level {
        Level::L0 => 0.01,
        _ => 0.05,
    }
}

/// What people said of one rule, in the order of the log. Counts are those since the gate last changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Learned {
    pub level: Level,
    /// A bad sign while the rule was at its safest level: people should look at the rule.
    pub watched: bool,
    /// When the level last changed, or the first item came.
    #[serde(with = "time::serde::rfc3339")]
    pub since: OffsetDateTime,
    /// Labels, and the overrides among them.
    pub n: u64,
    pub k: u64,
    pub cusum: Cusum,
    /// Labels by reviewer.
    pub reviewers: BTreeMap<PersonId, u64>,
    /// Overrides by their reason, ever; the last are those without one.
    pub reasons: [u64; 4],
    /// Labels and overrides, ever.
    pub total: (u64, u64),
}

/// Why a rule is gated otherwise than before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sign {
    /// The overrides came too fast one after another.
    Drift,
    /// The rate is above 5 % with more than 90 % probability.
    Posterior,
    /// A watched rule has shown itself again.
    Recovered,
    /// A named human accepted it.
    Accepted,
}

/// What a promotion still needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missing {
    /// The policy goes no further.
    Floor,
    Labels {
        have: u64,
        need: u64,
    },
    Reviewers {
        have: usize,
    },
    Seeded {
        caught: u64,
        of: u64,
    },
    Dwell {
        until: OffsetDateTime,
    },
    Watched,
}

impl Learned {
    pub(super) fn new(level: Level, since: OffsetDateTime) -> Self {
        Self {
            level,
            watched: false,
            since,
            n: 0,
            k: 0,
            cusum: Cusum::default(),
            reviewers: BTreeMap::new(),
            reasons: [0; 4],
            total: (0, 0),
        }
    }

    /// Takes a label in. `again`: the item was counted as agreed with before, and now somebody overrode it.
    pub(super) fn note(&mut self, label: Label, reviewer: PersonId, again: bool) {
        if !again {
            self.n += 1;
            self.total.0 += 1;
        }
        if label.overridden {
            self.k += 1;
            self.total.1 += 1;
            self.reasons[label.because.map_or(3, |because| because as usize)] += 1;
        }
        self.cusum = self.cusum.after(label.overridden);
        *self.reviewers.entry(reviewer).or_default() += 1;
    }

    /// The sign on which the rule is gated more strictly, if there is one.
    pub fn bad_sign(&self) -> Option<Sign> {
        if self.cusum.is_alarm() {
            return Some(Sign::Drift);
        }
        (self.n >= FEWEST_LABELS && bounds::above(TOO_OFTEN, self.k, self.n) >= SURE).then_some(Sign::Posterior)
    }

    /// Goes to this level and counts anew.
    pub(super) fn gate(&mut self, level: Level, watched: bool, at: OffsetDateTime) {
        let (reasons, total) = (self.reasons, self.total);
        *self = Self { watched, reasons, total, ..Self::new(level, at) };
    }

    /// A watched rule that has shown itself again is watched no more.
    pub(super) fn has_recovered(&self) -> bool {
        self.watched && self.n > 0 && bounds::upper(self.k, self.n) < 2.0 * TOO_OFTEN
    }

    /// How many people that were: `human` says whose account it is, as the directory does today. The log knows accounts.
    pub fn humans(&self, human: impl Fn(PersonId) -> PersonId) -> usize {
        self.reviewers.keys().map(|account| human(*account)).collect::<BTreeSet<_>>().len()
    }

    /// The next level towards automatic, or all that is missing for it. `humans`: how many reviewers there were.
    pub fn promotion(&self, terms: Terms, seeded: Seeded, humans: usize, now: OffsetDateTime) -> Result<Level, Vec<Missing>> {
        // What only people do is not a matter of counts.
        let next = match self.level {
            Level::L2 => Level::L1,
            Level::L1 => Level::L0,
            Level::L0 | Level::L3 => return Err(vec![Missing::Floor]),
        };
        if next < terms.floor {
            return Err(vec![Missing::Floor]);
        }
        let mut missing = Vec::new();
        // Below, not at: a tie goes to the safer gate.
        if bounds::upper(self.k, self.n) >= limit(next) {
            missing.push(Missing::Labels { have: self.n, need: bounds::needed(self.k, limit(next)) });
        }
        if humans < REVIEWERS {
            missing.push(Missing::Reviewers { have: humans });
        }
        if seeded.shown == 0 || seeded.caught * 100 < seeded.shown * CATCH_PERCENT {
            missing.push(Missing::Seeded { caught: seeded.caught, of: seeded.shown });
        }
        if now < self.since + DWELL {
            missing.push(Missing::Dwell { until: self.since + DWELL });
        }
        if self.watched {
            missing.push(Missing::Watched);
        }
        if missing.is_empty() { Ok(next) } else { Err(missing) }
    }
}

impl Missing {
    /// For people, as the end of "Before people are asked less:".
    pub fn words(self) -> String {
        match self {
            Self::Floor => "the policy goes no further for this kind of action".into(),
            Self::Labels { have, need } => format!("{need} decisions with a look at the page; {have} so far"),
            Self::Reviewers { have } => format!("{REVIEWERS} people who decide; {have} so far"),
            Self::Seeded { of: 0, .. } => "test items with a known error; none yet".into(),
            Self::Seeded { caught, of } => format!("{CATCH_PERCENT} % of test errors noticed; {caught} of {of} were"),
            Self::Dwell { until } => format!("time: not before {}", until.date()),
            Self::Watched => "the overrides to become rarer again".into(),
        }
    }
}
