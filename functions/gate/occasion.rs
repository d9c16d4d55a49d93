//! Why people are told of a proposal: to whom it goes, until when it is owed, and what the notice says first.
//!
//! Whoever approved what changed afterwards is told that their approval is void, once for each version.
//!
//! The loud ones go to every approver and every owner at once and never into a digest: somebody approved alone, a review
//! is overdue, or a deadline comes near and it is not decided.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::{
    delivery::Notice,
    level::Level,
    notify::EXACT,
    proposal::{Decision, Proposal},
    reviewers::{NOBODY, is_nobodys},
    state::State,
};
use crate::{
    app::App,
    config::Config,
    tenancy::{
        PersonId, Roster, TenantId,
        directory::{Person, Role},
    },
};

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Occasion {
    #[default]
    Asked,
    Reminded,
    /// The deadline comes near, and those who may decide did not.
    Escalated,
    /// Somebody approved alone, in an emergency.
    GlassBroken,
    /// What was approved alone was not reviewed in time.
    ReviewOverdue,
    /// It ran by its level, and one person can undo it.
    Ran,
    /// It was approved, or its undoing was, and it is not done.
    NotDone,
    /// It changed after they approved it: their approval is void.
    Changed,
}

impl Occasion {
    const ALL: [Self; 8] =
        [Self::Asked, Self::Reminded, Self::Escalated, Self::GlassBroken, Self::ReviewOverdue, Self::Ran, Self::NotDone, Self::Changed];

    /// As it stands in the keys of notices.
    pub fn word(self) -> &'static str {
        match self {
            Self::Asked => "asked",
            Self::Reminded => "reminded",
            Self::Escalated => "escalated",
            Self::GlassBroken => "glass",
            Self::ReviewOverdue => "review",
            Self::Ran => "ran",
            Self::NotDone => "failed",
            Self::Changed => "changed",
        }
    }

    /// Of a notice's key, which ends in it.
    pub fn of_key(key: &str) -> Self {
        Self::ALL.into_iter().find(|one| key.rsplit(':').next() == Some(one.word())).unwrap_or_default()
    }

    pub(super) fn event(self) -> &'static str {
        match self {
            Self::Asked => "proposal.notified",
            Self::Reminded => "proposal.reminded",
            Self::Escalated => "proposal.escalated_notice",
            Self::GlassBroken => "proposal.glass_told",
            Self::ReviewOverdue => "proposal.review_overdue",
            Self::Ran => "proposal.ran_told",
            Self::NotDone => "proposal.failure_told",
            Self::Changed => "proposal.change_told",
        }
    }

    /// For the history: `mailed Priya Nair`.
    pub fn verb(self) -> &'static str {
        match self {
            Self::Asked => "mailed",
            Self::Reminded => "reminded",
            Self::Escalated => "told, because it was not decided yet,",
            Self::GlassBroken => "told, because somebody approved alone,",
            Self::ReviewOverdue => "told, because the review was overdue,",
            Self::Ran => "told, because it ran by its level,",
            Self::NotDone => "told, because it was not done,",
            Self::Changed => "told, because what they had approved changed,",
        }
    }

    pub fn is_loud(self) -> bool {
        matches!(self, Self::Escalated | Self::GlassBroken | Self::ReviewOverdue | Self::NotDone)
    }

    /// Somebody approved alone, and others look at it: for this a part of what may be sent is kept.
    pub(super) fn is_emergency(self) -> bool {
        matches!(self, Self::GlassBroken | Self::ReviewOverdue)
    }

    /// Whether it has a mail and card of its own, however many there are: what does not ask for an approval is in no list of
    /// those that wait for one.
    pub(super) fn stands_alone(self) -> bool {
        self.is_loud() || matches!(self, Self::Ran | Self::Changed)
    }

    /// Whether a notice that was made for this is still to be sent.
    pub(super) fn is_owed(self, proposal: &Proposal, now: OffsetDateTime) -> bool {
        match self {
            Self::Asked | Self::Reminded | Self::Escalated | Self::Changed => proposal.state == State::Open && now < proposal.decide_by,
            Self::GlassBroken => true,
            Self::ReviewOverdue => proposal.review_by.is_some(),
            Self::Ran => matches!(proposal.state, State::Executed { undo_until: Some(until), .. } if now < until),
            Self::NotDone => not_done(proposal).is_some(),
        }
    }

    /// From when on nobody can do any more what it asks for, while it stands as it is.
    pub(super) fn ends(self, proposal: &Proposal) -> Option<OffsetDateTime> {
        match (self, &proposal.state) {
            (Self::Asked | Self::Reminded | Self::Escalated | Self::Changed, State::Open | State::Expired { approved: false, .. }) => {
                Some(proposal.decide_by)
            }
            (Self::Ran, State::Executed { undo_until, .. }) => *undo_until,
            _ => None,
        }
    }

    /// The subject of a mail.
    pub(super) fn subject(self, client: &str, proposal: &Proposal, day: &str) -> String {
        let label = proposal.draft.label();
        let asked = if proposal.level() == Level::L3 { "do and record" } else { "approve" };
        match self {
            Self::Asked => format!("{client}: {asked} {label} by {day}"),
            Self::Reminded => format!("Reminder: {client}: {asked} {label} by {day}"),
            Self::Escalated if proposal.approvals().next().is_some() => {
                format!("Not enough have approved: {client}: {label} closes {day}")
            }
            Self::Escalated => format!("Nobody has decided: {client}: {label} closes {day}"),
            Self::GlassBroken => format!("EMERGENCY: {client}: {label} was approved by one person alone"),
            Self::ReviewOverdue => format!("OVERDUE REVIEW: {client}: {label}"),
            Self::Ran => format!("Done, and can be undone: {client}: {label}"),
            Self::NotDone if matches!(proposal.state, State::NotUndone { .. }) => format!("NOT UNDONE: {client}: {label}"),
            Self::Changed => format!("Please look again: {client}: {label} changed after you approved it"),
            Self::NotDone => format!("NOT DONE: {client}: {label} is not carried out"),
        }
    }

    /// Who is told.
    pub(super) fn recipients<'p>(
        self,
        config: &'p Config,
        roster: &'p Roster,
        tenant: TenantId,
        proposal: &Proposal,
        now: OffsetDateTime,
    ) -> Vec<&'p Person> {
        // Who asks, and whose evidence it rests on, decide it under none of their accounts.
        let mut not_for: BTreeSet<PersonId> = proposal.not_for().into_iter().map(|id| roster.human(id)).collect();
        // Who has approved what it says now, or in whose place somebody did, is asked for nothing more.
        if matches!(self, Self::Asked | Self::Reminded | Self::Changed) {
            not_for.extend(proposal.approvals().flat_map(|one| [one.person, one.seat()]).map(|id| roster.human(id)));
        }
        let approves = |person: &Person| roster.grants_of(tenant, now).any(|grant| grant.person == person.id && grant.has(Role::Approver));
        let is_told = |person: &&Person| {
            if self.is_loud() {
                person.is_owner || approves(person)
            } else {
                approves(person) && !not_for.contains(&roster.human(person.id))
            }
        };
        roster.people_who_may_sign_in(config, now).filter(is_told).collect()
    }

    /// What the link does and what silence does, where that is not what it is of an approval that waits.
    fn foot(self) -> Option<&'static str> {
        match self {
            Self::Asked | Self::Reminded | Self::Escalated | Self::Changed => None,
            Self::GlassBroken => Some(
                "It is carried out whether or not anybody answers; what is asked of you is the review. The link only shows the way: nobody can review it without signing in.",
            ),
            Self::ReviewOverdue => Some(
                "The link only shows the way: nobody can review it without signing in. What was approved alone stands, also while nobody does.",
            ),
            Self::Ran => Some("The link only shows the way: nobody can undo it without signing in. If nobody does, it stands."),
            Self::NotDone => {
                Some("The link only shows the way: nobody can see to it without signing in. If nobody does, it stays as it is.")
            }
        }
    }

    /// What mail and card say of one that stands alone; the others say what is asked.
    pub(super) fn notice(self, app: &App, (roster, tenant): (&Roster, TenantId), proposal: &Proposal, link: String) -> Option<Notice> {
        let exact = |at: OffsetDateTime| at.format(EXACT).unwrap_or_default();
        let question = &proposal.draft.question;
        let alone = proposal.decisions.iter().rev().find(|decision| decision.broke_glass);
        let nobodys = is_nobodys(&app.config, roster, tenant, proposal, app.now());
        let (title, facts) = match self {
            Self::Asked | Self::Reminded => return None,
            Self::Escalated => {
                let facts = vec![("Approvals until now", proposal.progress().words()), ("It closes", exact(proposal.decide_by))];
                (format!("Not decided yet: {question}"), facts)
            }
            Self::GlassBroken => {
                let mut facts = by_whom(alone, proposal, exact);
                facts.extend(nobodys.then(|| ("Who can review it", NOBODY.to_owned())));
                (format!("Approved by one person alone: {question}"), facts)
            }
            Self::ReviewOverdue => {
                let mut facts = by_whom(alone, proposal, exact);
                facts.extend(overdue_since(proposal, app.now()));
                facts.extend(nobodys.then(|| ("Who can review it", NOBODY.to_owned())));
                (format!("The review is overdue: {question}"), facts)
            }
            Self::Changed => {
                let void = "It was for an earlier version, which does not stand any more. It does not count: look at what it says now.";
                let facts = vec![
                    ("Your approval", void.to_owned()),
                    ("Approvals of this version", proposal.progress().words()),
                    ("It closes", exact(proposal.decide_by)),
                ];
                (format!("What you approved changed: {question}"), facts)
            }
            Self::Ran => {
                let State::Executed { at, undo_until } = proposal.state else { return None };
                let mut facts = vec![("It ran", exact(at)), ("Why", proposal.draft.reasons.join(" "))];
                facts.extend(undo_until.map(|until| ("One person can undo it until", exact(until))));
                (format!("Done without asking: {question}"), facts)
            }
            Self::NotDone => {
                let (why, stands) = not_done(proposal)?;
                let title = if matches!(proposal.state, State::NotUndone { .. }) { "Could not be undone" } else { "Not carried out" };
                (format!("{title}: {question}"), vec![("Why", why.to_owned()), ("What stands", stands.to_owned())])
            }
        };
        let notice = Notice::of_proposal("", "", &[], String::new(), String::new(), app.config.is_demo());
        let mut foot = notice.foot.clone();
        if let Some(own) = self.foot() {
            foot[0] = own.into();
        }
        Some(Notice { title, facts, link: ("Sign in and look at it", link), foot, ..notice })
    }
}

/// A review that nobody does is asked for once a day, so many times in all.
pub const MOST_OVERDUE: i64 = 5;

/// How often it was asked for before, from the days that it is overdue.
pub(super) fn overdue_days(due: OffsetDateTime, now: OffsetDateTime) -> i64 {
    (now - due).whole_days().clamp(0, MOST_OVERDUE - 1)
}

/// From the second time on: for how long, and what is left to do.
fn overdue_since(proposal: &Proposal, now: OffsetDateTime) -> Vec<(&'static str, String)> {
    let Some(due) = proposal.review_by.filter(|due| overdue_days(*due, now) > 0) else { return vec![] };
    let days = (now - due).whole_days();
    let mut facts = vec![
        ("Overdue for", if days == 1 { "1 day".into() } else { format!("{days} days") }),
        ("What an owner can do", "Ask an approver of this client in person, or let another person approve for it.".into()),
    ];
    if overdue_days(due, now) == MOST_OVERDUE - 1 {
        facts.push(("This is the last reminder", "It stays under Approvals until somebody has reviewed it.".into()));
    }
    facts
}

/// Why it is not done, and what stands for that.
fn not_done(proposal: &Proposal) -> Option<(&str, &'static str)> {
    match &proposal.state {
        State::NotUndone { why, .. } => {
            Some((why, "What it did stands. Somebody has to put it right by hand, or ask for it to be taken back."))
        }
        State::Failed { why, .. } => Some((why, "It does not work as it was asked. Ask again when the cause is gone.")),
        State::Refused { why, .. } => Some((why, "Nothing was changed.")),
        State::Expired { approved: true, .. } => Some(("It was not carried out in time.", "Nothing was changed. It can be asked again.")),
        _ => None,
    }
}

fn by_whom(alone: Option<&Decision>, proposal: &Proposal, exact: impl Fn(OffsetDateTime) -> String) -> Vec<(&'static str, String)> {
    let mut facts = Vec::new();
    if let Some(alone) = alone {
        facts.extend([("Approved alone by", alone.name.clone()), ("Their reason", alone.comment.clone()), ("When", exact(alone.at))]);
    }
    facts.extend(proposal.review_by.map(|due| ("Somebody else reviews it by", exact(due))));
    facts
}
