//! Why people are told of a proposal: to whom it goes, until when it is owed, and what the notice says first.
//!
//! The loud ones go to every approver and every owner at once and never into a digest: somebody approved alone, a review
//! is overdue, or a deadline comes near and nobody decided.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::{
    delivery::Notice,
    notify::EXACT,
    proposal::{Decision, Proposal},
    state::State,
};
use crate::{
    app::App,
    config::Config,
    tenancy::{
        Actor, Roster, TenantId,
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
}

impl Occasion {
    const ALL: [Self; 5] = [Self::Asked, Self::Reminded, Self::Escalated, Self::GlassBroken, Self::ReviewOverdue];

    /// As it stands in the keys of notices.
    pub fn word(self) -> &'static str {
        match self {
            Self::Asked => "asked",
            Self::Reminded => "reminded",
            Self::Escalated => "escalated",
            Self::GlassBroken => "glass",
            Self::ReviewOverdue => "review",
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
        }
    }

    /// For the history: `mailed Priya Nair`.
    pub fn verb(self) -> &'static str {
        match self {
            Self::Asked => "mailed",
            Self::Reminded => "reminded",
            Self::Escalated => "told, because nobody had decided,",
            Self::GlassBroken => "told, because somebody approved alone,",
            Self::ReviewOverdue => "told, because the review was overdue,",
        }
    }

    pub fn is_loud(self) -> bool {
        matches!(self, Self::Escalated | Self::GlassBroken | Self::ReviewOverdue)
    }

    /// Whether a notice that was made for this is still to be sent.
    pub(super) fn is_owed(self, proposal: &Proposal, now: OffsetDateTime) -> bool {
        match self {
            Self::Asked | Self::Reminded | Self::Escalated => proposal.state == State::Open && now < proposal.decide_by,
            Self::GlassBroken => true,
            Self::ReviewOverdue => proposal.review_by.is_some(),
        }
    }

    /// The subject of a mail.
    pub(super) fn subject(self, client: &str, proposal: &Proposal, day: &str) -> String {
        let label = proposal.draft.label();
        match self {
            Self::Asked => format!("{client}: approve {label} by {day}"),
            Self::Reminded => format!("Reminder: {client}: approve {label} by {day}"),
            Self::Escalated => format!("Nobody has decided: {client}: {label} closes {day}"),
            Self::GlassBroken => format!("EMERGENCY: {client}: {label} was approved by one person alone"),
            Self::ReviewOverdue => format!("OVERDUE REVIEW: {client}: {label} was approved by one person alone"),
        }
    }

    /// Who is told.
    pub(super) fn recipients<'p>(
        self,
        config: &'p Config,
        roster: &'p Roster,
        tenant: TenantId,
        requester: &Actor,
        now: OffsetDateTime,
    ) -> Vec<&'p Person> {
        let approves = |person: &Person| roster.grants_of(tenant, now).any(|grant| grant.person == person.id && grant.has(Role::Approver));
        let is_told = |person: &&Person| {
            if self.is_loud() { person.is_owner || approves(person) } else { approves(person) && *requester != Actor::Person(person.id) }
        };
        roster.people_who_may_sign_in(config, now).filter(is_told).collect()
    }

    /// What mail and card say of a loud one; the others say what is asked.
    pub(super) fn notice(self, app: &App, proposal: &Proposal, link: String) -> Option<Notice> {
        let exact = |at: OffsetDateTime| at.format(EXACT).unwrap_or_default();
        let question = &proposal.draft.question;
        let alone = proposal.decisions.iter().rev().find(|decision| decision.broke_glass);
        let (title, facts) = match self {
            Self::Asked | Self::Reminded => return None,
            Self::Escalated => {
                let facts = vec![("Nobody has decided", proposal.progress().words()), ("It closes", exact(proposal.decide_by))];
                (format!("Not decided yet: {question}"), facts)
            }
            Self::GlassBroken => (format!("Approved by one person alone: {question}"), by_whom(alone, proposal, exact)),
            Self::ReviewOverdue => (format!("The review is overdue: {question}"), by_whom(alone, proposal, exact)),
        };
        Some(Notice {
            title,
            facts,
            link: ("Sign in and look at it", link),
            ..Notice::of_proposal("", "", &[], String::new(), String::new(), app.config.is_demo())
        })
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
