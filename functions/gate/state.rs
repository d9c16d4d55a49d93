//! Where a proposal stands, and what people said about it.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::{event::Verdict, receipt::SignedReceipt};
use crate::{
    evidence::EvidenceRef,
    tenancy::{PersonId, ProposalId},
};

/// Where a proposal stands. Only [`State::Open`] can be approved; only what is approved, or cleared by its level, can run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Staged. So far k of n may have approved it: [`super::Proposal::approvals`].
    Open,
    /// Its level lets it run without anybody's approval (L0, L1); it has not run yet.
    Cleared {
        #[serde(with = "time::serde::rfc3339")]
        run_by: OffsetDateTime,
    },
    /// The quorum approved it; it has not run yet.
    Approved {
        #[serde(with = "time::serde::rfc3339")]
        run_by: OffsetDateTime,
    },
    Rejected {
        #[serde(with = "time::serde::rfc3339")]
        at: OffsetDateTime,
    },
    /// Not enough people decided in time, or it might have run (`approved`) and did not in time.
    Expired {
        #[serde(with = "time::serde::rfc3339")]
        at: OffsetDateTime,
        #[serde(default)]
        approved: bool,
    },
    /// It no longer stands; `by` is the proposal that stands in its place, if one does.
    Superseded {
        #[serde(with = "time::serde::rfc3339")]
        at: OffsetDateTime,
        by: Option<ProposalId>,
        #[serde(default)]
        cause: Cause,
    },
    /// Who asked took it back before it ran.
    Withdrawn {
        #[serde(with = "time::serde::rfc3339")]
        at: OffsetDateTime,
    },
    /// An outward action has begun: its call may or may not have had its effect.
    Executing {
        #[serde(with = "time::serde::rfc3339")]
        since: OffsetDateTime,
    },
    Executed {
        #[serde(with = "time::serde::rfc3339")]
        at: OffsetDateTime,
        /// Until when one person can undo it (L1).
        #[serde(default, with = "time::serde::rfc3339::option")]
        undo_until: Option<OffsetDateTime>,
    },
    /// A person overrode it in time; the compensating action has not run yet, and has as long as the action itself had.
    Undoing {
        #[serde(with = "time::serde::rfc3339")]
        since: OffsetDateTime,
        /// When it ran.
        #[serde(with = "time::serde::rfc3339")]
        ran_at: OffsetDateTime,
    },
    /// A person overrode it in time, and its compensating action does not work: what it did stands, and people see to it.
    NotUndone {
        #[serde(with = "time::serde::rfc3339")]
        at: OffsetDateTime,
        /// When it ran.
        #[serde(with = "time::serde::rfc3339")]
        ran_at: OffsetDateTime,
        why: String,
    },
    /// L3: a person did it and said so, with evidence.
    Recorded {
        #[serde(with = "time::serde::rfc3339")]
        at: OffsetDateTime,
    },
    /// It was tried and does not work, now or later. Of an action on our own data nothing was done; of an outward one that had
    /// begun, nobody knows.
    Failed {
        #[serde(with = "time::serde::rfc3339")]
        at: OffsetDateTime,
        why: String,
    },
    /// It was approved, and at execution something no longer held; nothing ran.
    Refused {
        #[serde(with = "time::serde::rfc3339")]
        at: OffsetDateTime,
        why: String,
    },
    /// It ran, and was taken back: by the proposal `by`, or by its own compensating action.
    RolledBack {
        #[serde(with = "time::serde::rfc3339")]
        at: OffsetDateTime,
        by: Option<ProposalId>,
        /// When it ran.
        #[serde(with = "time::serde::rfc3339")]
        ran_at: OffsetDateTime,
    },
}

impl State {
    /// Whether nothing waits any more. What was carried out can still be taken back.
    pub fn is_final(&self) -> bool {
        !matches!(self, Self::Open | Self::Cleared { .. } | Self::Approved { .. } | Self::Executing { .. } | Self::Undoing { .. })
    }

    /// Whether it may run as it stands: the sweep looks after these, so that their clock ends.
    pub fn may_run(&self) -> bool {
        matches!(self, Self::Approved { .. } | Self::Cleared { .. })
    }

    /// Since when, or until when for what has not run, in words of the record: for what can end by itself.
    pub(super) fn run_by(&self) -> Option<OffsetDateTime> {
        match self {
            Self::Approved { run_by } | Self::Cleared { run_by } => Some(*run_by),
            _ => None,
        }
    }
}

/// Why a proposal no longer stands although nobody decided it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    #[default]
    NewEvidence,
    /// Time passed, and what it rests on does not count any more.
    EvidenceTooOld,
    /// A person asked about the same.
    AskedByHand,
    /// It asks to submit a score that is not so any more.
    ScoreChanged,
}

impl Cause {
    /// One sentence for people.
    pub fn sentence(self, has_successor: bool) -> &'static str {
        match (self, has_successor) {
            (Self::NewEvidence, true) => "New evidence changed this proposal, and another one stands in its place.",
            (Self::NewEvidence, false) => "New evidence changed the picture, so this proposal no longer stands.",
            (Self::EvidenceTooOld, _) => {
                "Its evidence became too old to count, so this proposal no longer stands. Assay asks again when there is a newer reading."
            }
            (Self::AskedByHand, _) => "A colleague asked about the same by hand, and that proposal stands in its place.",
            (Self::ScoreChanged, _) => {
                "The score is another one by now, so what this asks for is not to be submitted. An engineer can ask again, with the score that stands."
            }
        }
    }
}

/// A named human's answer to one proposal version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    pub person: PersonId,
    /// The name as it was shown then.
    pub name: String,
    #[serde(default)]
    pub verdict: Verdict,
    pub version: u32,
    /// The hash the page showed.
    pub hash: String,
    pub comment: String,
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
    /// For whom they stood.
    #[serde(default)]
    pub on_behalf_of: Option<Seat>,
    /// They approved alone, in an emergency; somebody else reviews it.
    #[serde(default)]
    pub broke_glass: bool,
    /// When they signed in, and how strongly (claim `acrs`), where that is known.
    #[serde(default, with = "time::serde::rfc3339::option")]
    pub signed_in_at: Option<OffsetDateTime>,
    #[serde(default)]
    pub acrs: Option<String>,
    /// Of something done outside (L3): what shows it.
    #[serde(default)]
    pub evidence: Vec<EvidenceRef>,
    /// `None` for answers to an earlier release, which carry nothing out any more.
    #[serde(default)]
    pub receipt: Option<SignedReceipt>,
}

/// Whose right somebody used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seat {
    pub person: PersonId,
    pub name: String,
}

impl Decision {
    /// Whose approval it is: the giver's own, or that of the person for whom they stood.
    pub fn seat(&self) -> PersonId {
        self.on_behalf_of.as_ref().map_or(self.person, |seat| seat.person)
    }

    /// `Priya Nair for Sam Okafor`.
    pub fn names(&self) -> String {
        match &self.on_behalf_of {
            Some(seat) => format!("{} for {}", self.name, seat.name),
            None => self.name.clone(),
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use time::macros::datetime;
    use uuid::Uuid;

    use super::*;

    pub(in crate::gate) fn approval(person: u128) -> Decision {
        Decision {
            person: PersonId(Uuid::from_u128(person)),
            name: format!("Person {person}"),
            verdict: Verdict::Approve,
            version: 1,
            hash: "0".repeat(64),
            comment: String::new(),
            at: datetime!(2026-11-24 17:00 UTC),
            on_behalf_of: None,
            broke_glass: false,
            signed_in_at: None,
            acrs: None,
            evidence: vec![],
            receipt: None,
        }
    }
}
