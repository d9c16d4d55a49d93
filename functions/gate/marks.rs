//! Marks: small records beside the proposals that wait for something, made and deleted in the batch that moves the proposal.
//!
//! Inbox and sweep read these, never all proposals ever staged.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::tenancy::{Actor, PersonId, ProposalId, Record};

/// Stands beside every open proposal, made and deleted in the batch that opens and closes it: the inbox and the sweep
/// read these, never all proposals ever staged. Ids are version 7, so they come oldest first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenMark {
    pub proposal: ProposalId,
    pub kind: String,
    pub subject: String,
    pub question: String,
    pub requester: Actor,
    #[serde(with = "time::serde::rfc3339")]
    pub staged_at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339")]
    pub decide_by: OffsetDateTime,
    /// Who does not decide it, whatever their grant says.
    #[serde(default)]
    pub not_for: BTreeSet<PersonId>,
    #[serde(default = "one")]
    pub needed: u8,
    /// Those who approved it, and for whom they stood.
    #[serde(default)]
    pub approved_by: BTreeSet<PersonId>,
    /// `1 of 2`, for people.
    #[serde(default)]
    pub progress: String,
    /// The policy under which it was staged.
    #[serde(default)]
    pub policy_version: u32,
    /// How long before its deadline the first notice about it may be due, in hours.
    #[serde(default = "a_day")]
    pub notices_from: u32,
}

fn a_day() -> u32 {
    24
}

fn one() -> u8 {
    1
}

impl OpenMark {
    /// A person asks for it; the others are raised from evidence.
    pub fn is_by_hand(&self) -> bool {
        matches!(self.requester, Actor::Person(_))
    }
}

impl Record for OpenMark {
    const KIND: &'static str = "open";
    const SCHEMA: u32 = 1;

    fn key(&self) -> String {
        self.proposal.to_string()
    }
}

/// The same for what is approved, or to be undone, and has not run yet.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ApprovedMark {
    pub proposal: ProposalId,
    #[serde(with = "time::serde::rfc3339")]
    pub run_by: OffsetDateTime,
}

impl Record for ApprovedMark {
    const KIND: &'static str = "approved";
    const SCHEMA: u32 = 1;

    fn key(&self) -> String {
        self.proposal.to_string()
    }
}

/// The same for what ran by its level, while one person can undo it and nobody has looked at it yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UndoMark {
    pub proposal: ProposalId,
    pub question: String,
    #[serde(with = "time::serde::rfc3339")]
    pub ran_at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339")]
    pub undo_until: OffsetDateTime,
}

impl Record for UndoMark {
    const KIND: &'static str = "undoable";
    const SCHEMA: u32 = 1;

    fn key(&self) -> String {
        self.proposal.to_string()
    }
}

/// The same for what cannot be undone although somebody asked, and for what somebody approved alone, or escalated, until another person has reviewed it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReviewMark {
    pub proposal: ProposalId,
    pub question: String,
    /// Who approved it alone, wanted it undone, or asked for the review.
    pub by: PersonId,
    pub by_name: String,
    /// Whether they may look at it too: it cannot be undone, and whoever wanted that puts it right.
    #[serde(default)]
    pub own_too: bool,
    #[serde(with = "time::serde::rfc3339")]
    pub due: OffsetDateTime,
}

impl Record for ReviewMark {
    const KIND: &'static str = "review";
    const SCHEMA: u32 = 1;

    fn key(&self) -> String {
        self.proposal.to_string()
    }
}
