//! The fold: from a prefix of the log, and nothing else, to what was learned of each rule and how it is gated.
//!
//! However the prefix is cut and however often a piece is delivered again, the same prefix ends in the same bytes (design
//! I11): an entry is known by its place, times are those of the log, and numbers are whole. To leave a reviewer out whose
//! labels are not to be trusted, the log is folded again with [`Config::excluded`].

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::json;
use time::{Date, Duration, OffsetDateTime};

use super::{Fact, Learned, Missing, Observed, Rule, Sign, label, pool::start_of_quarter};
use crate::{
    gate::level::Level,
    tenancy::{PersonId, ProposalId, seal::sha256},
};

/// Where learning moves a kind of action: it begins at `start`, never goes under `floor`, and a bad sign puts a rule at
/// `safest`, or where it is there already, has people told to look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    pub start: Level,
    pub floor: Level,
    pub safest: Level,
}

/// The form of the fold: another number, and every log is folded anew.
const FORM: u32 = 2;

/// What the fold needs besides the log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Config {
    /// By kind of action; a kind that is not named needs people and stays so.
    pub kinds: BTreeMap<String, Terms>,
    /// Whose decisions teach nothing.
    pub excluded: BTreeSet<PersonId>,
}

impl Config {
    pub fn terms(&self, kind: &str) -> Terms {
        self.kinds.get(kind).copied().unwrap_or(Terms { start: Level::L2, floor: Level::L2, safest: Level::L2 })
    }

    /// Another configuration has another one: what was folded under it is folded anew.
    pub fn hash(&self) -> String {
        let kinds = self.kinds.iter().map(|(kind, Terms { start, floor, safest })| (kind, [start.word(), floor.word(), safest.word()]));
        let kinds: BTreeMap<_, _> = kinds.collect();
        sha256(json!({ "form": FORM, "kinds": kinds, "excluded": self.excluded }).to_string().as_bytes())
    }
}

/// What was learned up to a place of the log.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Ledger {
    /// The place of the first entry that was not taken in.
    next: u64,
    /// The newest time of the prefix.
    #[serde(with = "time::serde::rfc3339::option")]
    newest: Option<OffsetDateTime>,
    rules: BTreeMap<Rule, Learned>,
    items: BTreeMap<ProposalId, Item>,
    seeded: Seeded,
    /// `None` before the first entry.
    #[serde(default)]
    began: Option<Began>,
}

/// Labels and overrides of each rule as a quarter began: what a client that takes part lends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Began {
    quarter: Date,
    totals: BTreeMap<Rule, (u64, u64)>,
}

/// Drawn items that were wrong on purpose: how many people answered, and at how many they noticed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seeded {
    pub shown: u64,
    pub caught: u64,
}

/// An item of a rule on which a label can still come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Item {
    rule: Rule,
    /// Whether its label was an override; `None` without a label.
    overridden: Option<bool>,
    #[serde(with = "time::serde::rfc3339")]
    staged_at: OffsetDateTime,
}

/// How long after it was staged an item can still get a label.
const FOLLOWED: Duration = Duration::days(100);

/// A rule that is gated otherwise from this entry on: what the log says about it, with its evidence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    pub rule: Rule,
    /// The entry that brought it about.
    pub seq: u64,
    pub sign: Sign,
    pub before: Gating,
    pub after: Gating,
    /// Labels and overrides since the change before this one, and the sum of the drift alarm in millionths.
    pub labels: u64,
    pub overrides: u64,
    pub cusum: u32,
    pub reviewers: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gating {
    pub level: Level,
    pub watched: bool,
}

/// The thresholds that hold after a prefix of the log.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Thresholds(pub BTreeMap<Rule, Threshold>);

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Threshold {
    pub level: Level,
    pub watched: bool,
    /// Labels and overrides since it is gated so.
    pub labels: u64,
    pub overrides: u64,
    /// The level that a named human may accept.
    pub open_to: Option<Level>,
}

impl Thresholds {
    /// The same thresholds are the same bytes, on every machine.
    pub fn bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// How a rule is gated: without data, as its kind begins.
    pub fn level(&self, rule: &Rule, terms: Terms) -> Level {
        self.0.get(rule).map_or(terms.start, |threshold| threshold.level).max(terms.floor)
    }
}

impl Ledger {
    /// What a whole log, or a prefix of it, teaches.
    pub fn fold<'o>(log: impl IntoIterator<Item = &'o Observed>, config: &Config) -> Self {
        let mut ledger = Self::default();
        for observed in log {
            ledger.take_in(observed, config);
        }
        ledger
    }

    /// Goes on with one entry; what was taken in before is passed over. Entries come in the order of the log.
    pub fn take_in(&mut self, observed: &Observed, config: &Config) -> Vec<Change> {
        if observed.seq < self.next {
            return Vec::new();
        }
        self.next = observed.seq + 1;
        let now = self.newest.map_or(observed.at, |newest| newest.max(observed.at));
        // Once for each day of the log: every entry would go through all items.
        if self.newest.is_none_or(|newest| newest.date() != now.date()) {
            self.items.retain(|_, item| now - item.staged_at < FOLLOWED);
        }
        self.newest = Some(now);
        let quarter = start_of_quarter(now.date());
        if self.began.as_ref().is_none_or(|began| began.quarter < quarter) {
            self.began = Some(Began { quarter, totals: self.totals() });
        }
        let Some((rule, sign, level)) = self.learn(observed, config, now) else { return Vec::new() };
        let Some(learned) = self.rules.get_mut(&rule) else { return Vec::new() };
        let (before, evidence) = (Gating { level: learned.level, watched: learned.watched }, learned.clone());
        match sign {
            Sign::Accepted => learned.gate(level, false, now),
            // Where people approve it already, there is nothing safer to go to by itself: they are told to look.
            Sign::Drift | Sign::Posterior => learned.gate(before.level.max(level), before.level >= level, now),
            Sign::Recovered => learned.watched = false,
        }
        let after = Gating { level: learned.level, watched: learned.watched };
        // Another bad sign of a rule that people look at already begins a new count and says nothing new.
        if before == after {
            return Vec::new();
        }
        vec![Change {
            rule,
            seq: observed.seq,
            sign,
            before,
            after,
            labels: evidence.n,
            overrides: evidence.k,
            cusum: evidence.cusum.millionths(),
            reviewers: evidence.reviewers.len(),
        }]
    }

    /// Counts what an entry says; returns the rule whose gate moves for it, the sign, and the level.
    fn learn(&mut self, observed: &Observed, config: &Config, now: OffsetDateTime) -> Option<(Rule, Sign, Level)> {
        match &observed.fact {
            Fact::Staged { item, kind, subject, by_rule: true, .. } => {
                let rule = Rule::of(kind, subject);
                let start = config.terms(kind).start;
                self.rules.entry(rule.clone()).or_insert_with(|| Learned::new(start, now));
                self.items.entry(*item).or_insert(Item { rule, overridden: None, staged_at: now });
                None
            }
            Fact::Decided { reviewer, .. } | Fact::Sampled { reviewer, .. } if config.excluded.contains(reviewer) => None,
            // Also at a glance: who says that it holds did not notice. It says nothing about the rule.
            Fact::Sampled { seeded: true, agrees, .. } => {
                self.seeded.shown += 1;
                self.seeded.caught += u64::from(!agrees);
                None
            }
            // What ran by itself and was drawn: of an action, the same item as any other look at it.
            Fact::Sampled { rule, item: None, reviewer, agrees, because, viewed, .. } => {
                let label = label(*agrees, *because, *viewed)?;
                let terms = config.terms(rule.kind());
                let learned = self.rules.entry(rule.clone()).or_insert_with(|| Learned::new(terms.start, now));
                learned.note(label, *reviewer, false);
                let recovered = learned.has_recovered().then_some(Sign::Recovered);
                learned.bad_sign().or(recovered).map(|sign| (rule.clone(), sign, terms.safest))
            }
            Fact::Decided { item, reviewer, approved, because, viewed }
            | Fact::Sampled { item: Some(item), reviewer, agrees: approved, because, viewed, .. } => {
                let item = self.items.get_mut(item)?;
                let label = label(*approved, *because, *viewed)?;
                let learned = self.rules.get_mut(&item.rule)?;
                match (item.overridden, label.overridden) {
                    // One item is one label; of several people's, the one that overrides.
                    (Some(true), _) | (Some(false), false) => return None,
                    (before, overridden) => {
                        learned.note(label, *reviewer, before.is_some());
                        item.overridden = Some(overridden);
                    }
                }
                let recovered = learned.has_recovered().then_some(Sign::Recovered);
                let safest = config.terms(item.rule.kind()).safest;
                learned.bad_sign().or(recovered).map(|sign| (item.rule.clone(), sign, safest))
            }
            Fact::Accepted { rule, level, .. } => {
                let learned = self.rules.get(rule)?;
                // Whether these accounts are that many people was asked when it was carried out; the log does not know.
                let open = learned.promotion(config.terms(rule.kind()), self.seeded, learned.reviewers.len(), now).ok()?;
                (open == *level).then(|| (rule.clone(), Sign::Accepted, *level))
            }
            // What ran by itself taught nothing, and how a proposal ended says nothing about its rule.
            _ => None,
        }
    }

    pub fn thresholds(&self, config: &Config) -> Thresholds {
        let now = self.newest.unwrap_or(OffsetDateTime::UNIX_EPOCH);
        let threshold = |rule: &Rule, learned: &Learned| Threshold {
            level: learned.level,
            watched: learned.watched,
            labels: learned.n,
            overrides: learned.k,
            open_to: learned.promotion(config.terms(rule.kind()), self.seeded, learned.reviewers.len(), now).ok(),
        };
        Thresholds(self.rules.iter().map(|(rule, learned)| (rule.clone(), threshold(rule, learned))).collect())
    }

    /// Labels and overrides of each rule, ever, by the entries before the first instant of this quarter (UTC).
    pub fn as_quarter_began(&self, quarter: Date) -> BTreeMap<Rule, (u64, u64)> {
        match &self.began {
            Some(began) if began.quarter >= quarter => began.totals.clone(),
            // Nothing was said in it yet.
            _ => self.totals(),
        }
    }

    fn totals(&self) -> BTreeMap<Rule, (u64, u64)> {
        self.rules.iter().map(|(rule, learned)| (rule.clone(), learned.total)).collect()
    }

    /// The rules that are gated more strictly than their kind begins.
    pub fn demoted(&self, config: &Config) -> BTreeMap<Rule, Level> {
        let stricter = self.rules.iter().filter(|(rule, learned)| learned.level > config.terms(rule.kind()).start);
        stricter.map(|(rule, learned)| (rule.clone(), learned.level)).collect()
    }

    /// What keeps a rule from being gated less strictly, or the level that a named human may accept. `human`: whose account
    /// it is; two accounts of one person are one reviewer.
    pub fn promotion(&self, rule: &Rule, config: &Config, human: impl Fn(PersonId) -> PersonId) -> Option<Result<Level, Vec<Missing>>> {
        let learned = self.rules.get(rule)?;
        let now = self.newest.unwrap_or(learned.since);
        Some(learned.promotion(config.terms(rule.kind()), self.seeded, learned.humans(human), now))
    }

    pub fn rules(&self) -> &BTreeMap<Rule, Learned> {
        &self.rules
    }

    /// The place up to which the log was taken in.
    pub fn next(&self) -> u64 {
        self.next
    }
}
