//! The gate's policy: how each kind of action is gated for one client. One versioned, signed record ([`record`]); changing
//! it is a gated action itself ([`super::amend`]).
//!
//! What is not written there has a default here, and nobody can go under the floor of a kind: whatever stands in the
//! record, [`Policy::terms`] never says less. A proposal keeps the terms under which it was staged, and its hash covers
//! them; the executor compares them with the policy of the moment.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use time::Duration;

pub mod care;
pub mod reach;
pub mod record;
pub mod search;
pub mod words;

pub use self::record::{SignedPolicy, Unsound, shown, standing};
use super::level::Level;
use crate::tenancy::{PersonId, ProposalId};

/// The action that changes the policy.
pub const CHANGE_POLICY: &str = "change_policy";

/// The action that lets a demoted rule run by itself again.
pub const ACCEPT_RULE: &str = "accept_rule";

/// The kinds this release knows, with the level that nobody can go under, and what each is in words. A kind that is not
/// listed needs people.
pub const KINDS: &[(&str, Level, &str)] = &[
    ("collect_evidence", Level::L0, "Collect evidence from a connected tool"),
    ("hash_evidence", Level::L0, "Hash what was collected"),
    ("assign_training", Level::L1, "Assign training"),
    ("mark_objective", Level::L2, "Mark an objective"),
    ("roll_back_objective", Level::L2, "Take back a finding"),
    (CHANGE_POLICY, Level::L2, "Change this policy"),
    (ACCEPT_RULE, Level::L2, "Let a rule run with less approval"),
    ("publish_package", Level::L2, "Publish the package"),
    ("submit_sprs_score", Level::L3, "Submit the score to SPRS"),
    ("affirm", Level::L3, "Affirm"),
    ("lock_worm", Level::L3, "Lock the archive"),
];

/// What a kind of action is called; `None` for what this release does not know.
pub fn words(kind: &str) -> Option<&'static str> {
    KINDS.iter().find(|(known, ..)| *known == kind).map(|(_, _, words)| *words)
}

pub fn floor(kind: &str) -> Level {
    KINDS.iter().find(|(known, ..)| *known == kind).map_or(Level::L2, |(_, floor, _)| *floor)
}

/// How fresh a sign-in has to be for what has great effect, in minutes, whatever a policy says: it can ask for less (RFC 9470).
pub const SIGN_IN_AT_MOST: u32 = 10;
/// A policy asks for no fresher one: nobody could sign in, read and decide in less.
const SIGN_IN_AT_LEAST: u32 = 5;
/// As old as a session gets, in minutes.
const SIGN_IN_OF_A_DAY: u32 = 8 * 60;

/// Whether deciding it has great effect: how everything else is gated, what then runs with less approval, what leaves the house, and the deeds that only a
/// person does. The other things of great effect are no kinds of action: an emergency has [`BREAK_GLASS_SIGN_IN`], and what
/// destroys a client's keys, adds people or gives access is asked on pages that want the same of whoever asks.
pub fn has_great_effect(kind: &str) -> bool {
    [CHANGE_POLICY, ACCEPT_RULE, "publish_package"].contains(&kind) || floor(kind) == Level::L3
}

/// A reason for breaking the glass says something.
pub const BREAK_GLASS_REASON: usize = 20;
/// How fresh a sign-in has to be to break the glass, in minutes.
pub const BREAK_GLASS_SIGN_IN: u32 = SIGN_IN_AT_MOST;
/// When what was done so has to be reviewed.
pub const REVIEW_WITHIN: Duration = Duration::hours(24);

/// How one kind of action is gated.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    pub level: Level,
    /// How many approvals it takes; counts at L2.
    pub approvals: u8,
    /// Groups of which each wants an approval of its own.
    #[serde(default)]
    pub one_from_each: Vec<String>,
    /// Whether who stands in for a member of a group fills its place without being one of it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub outside_stand_ins: bool,
    /// Whether an approval needs a comment too; a rejection always does.
    #[serde(default)]
    pub comment_needed: bool,
    /// How old a sign-in may be when somebody approves, or records a deed, in minutes; `None`: as long as the session lasts,
    /// and where it [has great effect](has_great_effect), [`SIGN_IN_AT_MOST`].
    #[serde(default)]
    pub sign_in_minutes: Option<u32>,
    /// From staging on, until when it may be decided, in hours.
    pub decide_within: u32,
    /// From the last approval on, until when it may run, in hours.
    pub run_within: u32,
    /// How long it can be undone by one person after it ran, in hours; counts at L1.
    #[serde(default)]
    pub undo_within: u32,
    /// How long before the deadline those who may decide are reminded, in hours; once for each that lies within the time to
    /// decide.
    #[serde(default = "a_day_before", skip_serializing_if = "is_a_day_before")]
    pub remind_before: Vec<u32>,
    /// How long before the deadline all approvers and the owners are told that it is not decided, in hours; once for each, and
    /// three times at most.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub escalate_before: Vec<u32>,
}

fn a_day_before() -> Vec<u32> {
    vec![24]
}

/// Then it is left out, so that an earlier release reads what is staged under a rule that says nothing new.
fn is_a_day_before(hours: &[u32]) -> bool {
    *hours == [24]
}

/// No more notices of one kind about one proposal.
pub const MOST_NOTICES: usize = 3;

impl Rule {
    /// The default of a kind, at its floor.
    pub fn of_kind(kind: &str) -> Self {
        let level = floor(kind);
        Self {
            level,
            approvals: u8::from(level == Level::L2),
            one_from_each: vec![],
            outside_stand_ins: false,
            comment_needed: false,
            sign_in_minutes: has_great_effect(kind).then_some(SIGN_IN_AT_MOST),
            decide_within: 7 * 24,
            run_within: 2 * 24,
            undo_within: if level == Level::L1 { 72 } else { 0 },
            remind_before: a_day_before(),
            escalate_before: vec![],
        }
    }

    /// For people: what it asks, as a sentence without its end.
    pub fn words(&self) -> String {
        let groups = match &self.one_from_each[..] {
            [] => String::new(),
            groups => format!(", one of them from {}", groups.join(", one from ")),
        };
        let comment = if self.comment_needed { ", with a comment" } else { "" };
        let sign_in = self.sign_in_minutes.map_or_else(String::new, |minutes| format!(", after a sign-in of the last {minutes} minutes"));
        match (self.level, self.approvals) {
            (Level::L0, _) => "runs by rule".into(),
            (Level::L1, _) => format!("runs, and can be undone for {} hours", self.undo_within),
            (Level::L2, 1) => format!("needs 1 approval{groups}{comment}{sign_in}"),
            (Level::L2, n) => format!("needs {n} approvals{groups}{comment}{sign_in}"),
            (Level::L3, _) => format!("is done by a person and recorded{sign_in}"),
        }
    }
}

/// Everything under which one proposal is decided and carried out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Terms {
    /// Version 0: the defaults, nobody changed anything.
    pub policy_version: u32,
    pub floor: Level,
    pub rule: Rule,
    /// The groups that the rule names, as they stood.
    #[serde(default)]
    pub groups: BTreeMap<String, BTreeSet<PersonId>>,
    /// Accounts of one human, together.
    #[serde(default)]
    pub same_human: Vec<BTreeSet<PersonId>>,
    #[serde(default)]
    pub break_glass: BTreeSet<PersonId>,
    /// What the policy alone would ask, where people's overrides made it stricter ([`super::demotion`]).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub demoted_from: Option<Level>,
    /// What the directory says of accounts that are one human's, at this moment. Neither kept nor hashed.
    #[serde(skip)]
    pub linked: Vec<BTreeSet<PersonId>>,
}

impl Terms {
    pub fn level(&self) -> Level {
        self.rule.level.max(self.floor)
    }

    /// Whether the policy asks the same today. Another version that changed other kinds does not matter.
    pub fn is_as(&self, today: &Self) -> bool {
        let Self { policy_version: _, floor, rule, groups, same_human, break_glass, demoted_from: _, linked: _ } = self;
        (floor, rule, groups, same_human, break_glass) == (&today.floor, &today.rule, &today.groups, &today.same_human, &today.break_glass)
    }

    /// The same, and at least this level: for a rule that people overrode too often.
    #[must_use]
    pub fn demoted(self, level: Level) -> Self {
        let from = self.level();
        if level <= from {
            return self;
        }
        let approvals = if level == Level::L2 { self.rule.approvals.max(1) } else { self.rule.approvals };
        Self { demoted_from: Some(from), rule: Rule { level, approvals, ..self.rule }, ..self }
    }

    /// The same for what people are asked about already: no less than their approval, though the policy asks less of what is
    /// new.
    #[must_use]
    pub fn asking_people(self) -> Self {
        if self.level() >= Level::L2 {
            return self;
        }
        Self { demoted_from: None, ..self.demoted(Level::L2) }
    }

    /// The one account that stands for all of a human's.
    pub fn human(&self, person: PersonId) -> PersonId {
        let together = |id: PersonId| self.same_human.iter().chain(&self.linked).filter(move |accounts| accounts.contains(&id));
        let (mut all, mut looked_at) = (vec![person], 0);
        while let Some(id) = all.get(looked_at).copied() {
            looked_at += 1;
            for other in together(id).flatten() {
                if !all.contains(other) {
                    all.push(*other);
                }
            }
        }
        all.into_iter().min().unwrap_or(person)
    }

    pub fn is_same_human(&self, one: PersonId, other: PersonId) -> bool {
        self.human(one) == self.human(other)
    }
}

/// One client's policy.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    pub version: u32,
    /// Kinds whose rule is not the default.
    #[serde(default)]
    pub rules: BTreeMap<String, Rule>,
    #[serde(default)]
    pub groups: BTreeMap<String, BTreeSet<PersonId>>,
    #[serde(default)]
    pub same_human: Vec<BTreeSet<PersonId>>,
    /// Who may break the glass.
    #[serde(default)]
    pub break_glass: BTreeSet<PersonId>,
    /// Whose decisions teach Assay nothing: the log is folded again without them ([`super::learning`]). For approvals they
    /// count as anybody's.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub left_out: BTreeSet<PersonId>,
    /// The proposal that made this version.
    #[serde(default)]
    pub made_by: Option<ProposalId>,
}

/// There is one.
pub const KEY: &str = "gate";

/// Why a policy cannot stand; a sentence for the person who wrote it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Fault(pub String);

impl Policy {
    /// The rule of a kind, as written or by default.
    pub fn rule(&self, kind: &str) -> Rule {
        self.rules.get(kind).cloned().unwrap_or_else(|| Rule::of_kind(kind))
    }

    /// What holds for a kind of action. Never under its floor, whatever is written.
    pub fn terms(&self, kind: &str) -> Terms {
        let (floor, mut rule) = (floor(kind), self.rule(kind));
        rule.level = rule.level.max(floor);
        if rule.level == Level::L2 {
            rule.approvals = rule.approvals.max(1);
        }
        if has_great_effect(kind) || rule.level == Level::L3 {
            rule.sign_in_minutes = Some(rule.sign_in_minutes.map_or(SIGN_IN_AT_MOST, |minutes| minutes.min(SIGN_IN_AT_MOST)));
        }
        let groups = rule.one_from_each.iter().map(|name| (name.clone(), self.groups.get(name).cloned().unwrap_or_default())).collect();
        let (same_human, break_glass) = (self.same_human.clone(), self.break_glass.clone());
        Terms { policy_version: self.version, floor, rule, groups, same_human, break_glass, demoted_from: None, linked: vec![] }
    }

    /// Whether it can stand as it is written.
    pub fn check(&self) -> Result<(), Fault> {
        let no = |text: String| Err(Fault(text));
        for (kind, rule) in &self.rules {
            let Some((_, floor, words)) = KINDS.iter().find(|(known, ..)| known == kind) else {
                return no(format!("There is no kind of action called \u{201c}{kind}\u{201d}."));
            };
            let Rule { level, approvals, one_from_each, decide_within, run_within, undo_within, remind_before, escalate_before, .. } = rule;
            let oldest = if has_great_effect(kind) || *level == Level::L3 { SIGN_IN_AT_MOST } else { SIGN_IN_OF_A_DAY };
            if rule.sign_in_minutes.is_some_and(|minutes| !(SIGN_IN_AT_LEAST..=oldest).contains(&minutes)) {
                return no(format!("For \u{201c}{words}\u{201d} a sign-in may be {SIGN_IN_AT_LEAST} to {oldest} minutes old."));
            }
            if level < floor {
                return no(format!("\u{201c}{words}\u{201d} is never below {}: {}", floor.word(), floor.meaning()));
            }
            if kind == CHANGE_POLICY && *level == Level::L3 {
                return no(format!(
                    "\u{201c}{words}\u{201d} is never {}: Assay carries a change out once it is approved, so after that nobody could change the policy again.",
                    level.word()
                ));
            }
            match level {
                Level::L2 if !(1..=5).contains(approvals) => return no(format!("\u{201c}{words}\u{201d} takes one to five approvals.")),
                Level::L1 if !(1..=168).contains(undo_within) => {
                    return no(format!("\u{201c}{words}\u{201d} can be undone for 1 to 168 hours."));
                }
                _ => {}
            }
            let distinct: BTreeSet<&String> = one_from_each.iter().collect();
            if distinct.len() != one_from_each.len() || one_from_each.len() > usize::from(*approvals) {
                return no(format!("\u{201c}{words}\u{201d} names more groups than it takes approvals."));
            }
            if let Some(group) = one_from_each.iter().find(|name| self.groups.get(*name).is_none_or(BTreeSet::is_empty)) {
                return no(format!("Nobody is in the group \u{201c}{group}\u{201d}, so \u{201c}{words}\u{201d} could never be approved."));
            }
            for notices in [remind_before, escalate_before] {
                let distinct: BTreeSet<&u32> = notices.iter().collect();
                if notices.len() > MOST_NOTICES || distinct.len() != notices.len() {
                    return no(format!(
                        "\u{201c}{words}\u{201d} reminds and escalates at most {MOST_NOTICES} times each, at different hours."
                    ));
                }
                if notices.iter().any(|hours| !(1..=90 * 24).contains(hours)) {
                    return no(format!("\u{201c}{words}\u{201d} reminds and escalates 1 to 2160 hours before its deadline."));
                }
            }
            if !(1..=90 * 24).contains(decide_within) || !(1..=14 * 24).contains(run_within) {
                return no(format!("\u{201c}{words}\u{201d} is decided within 1 to 2160 hours, and carried out within 1 to 336."));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
