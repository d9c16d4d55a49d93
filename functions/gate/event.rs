//! What can happen to a proposal: the events of the state machine, and the facts that their callers read for it.

use std::{collections::BTreeSet, sync::Arc};

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::{delegation::Delegation, learning::Look, link::Permit, policy::Terms, state::Cause};
use crate::{
    evidence::EvidenceRef,
    tenancy::{PersonId, ProposalId, Roster, TenantId},
};

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    #[default]
    Approve,
    Reject,
    /// L3: I did it, and this shows it.
    Done,
    /// Of what ran already: I looked, and it stands.
    Uphold,
    /// Of what ran already (L1): undo it.
    Override,
    /// Of what ran already: somebody else has to look.
    Escalate,
}

/// What a person answers, and what they saw when they did.
#[derive(Clone, Debug)]
pub struct Answer {
    pub verdict: Verdict,
    pub version: u32,
    /// The hash the page showed.
    pub hash: String,
    /// Needed for everything but an approval, and for that where the policy says so.
    pub comment: String,
}

/// In what capacity a person answers; by default in their own name.
#[derive(Clone, Default)]
pub struct Capacity {
    /// Whose seat they fill, by a delegation.
    pub stands_for: Option<Represented>,
    pub signed_in_at: Option<OffsetDateTime>,
    /// The authentication context of the sign-in (claim `acrs`), where one is known.
    pub acrs: Option<String>,
    /// To approve alone, in an emergency.
    pub break_glass: bool,
    /// What shows that it was done (L3).
    pub evidence: Vec<EvidenceRef>,
    /// What a form's decision uses up.
    pub permit: Option<Permit>,
    /// What is known of how they looked at it; the log keeps it, nothing rests on it.
    pub look: Look,
    /// Who is who, so that one human with two accounts counts once; read anew where it is not given.
    pub roster: Option<Arc<Roster>>,
}

#[derive(Clone, Debug)]
pub struct Represented {
    pub person: PersonId,
    pub name: String,
    /// Whether their own grant for the client says approver.
    pub may_approve: bool,
}

#[derive(Clone)]
pub enum Event<'a> {
    Decide(Deciding<'a>),
    /// Who asked takes it back.
    Withdraw {
        person: PersonId,
    },
    /// A clock ran out: to decide, to run, or to undo.
    Expire,
    Supersede {
        by: Option<ProposalId>,
        cause: Cause,
    },
    /// Carried out on our own data, in the batch that writes this.
    Execute(Facts),
    /// An outward action begins: written before its call.
    Begin(Facts),
    /// The call of an outward action worked.
    Complete,
    /// It was tried, and does not work, now or later.
    Fail {
        why: String,
    },
    /// At execution something no longer held.
    Refuse {
        why: String,
    },
    /// The compensating action ran, in the batch that writes this.
    Undo(Facts),
    /// The compensating action does not work.
    CannotUndo {
        why: String,
    },
    /// Another proposal took back what this one did.
    RollBack {
        by: ProposalId,
    },
}

/// Somebody answers.
#[derive(Clone, Copy)]
pub struct Deciding<'a> {
    /// The client in whose store the proposal was read.
    pub tenant: TenantId,
    pub person: PersonId,
    pub name: &'a str,
    /// Whether this person's grant for the client says approver.
    pub may_approve: bool,
    pub answer: &'a Answer,
    pub capacity: &'a Capacity,
    /// What the policy asks of this kind now.
    pub today: &'a Terms,
    pub delegations: &'a [Delegation],
    /// Accounts of one human, together, as the directory says it.
    pub linked: &'a [BTreeSet<PersonId>],
}

/// What the executor read just now.
#[derive(Clone, Debug)]
pub struct Facts {
    /// The client in whose store the proposal was read.
    pub tenant: TenantId,
    /// The version that the message asks for.
    pub version: u32,
    /// What the policy asks of this kind now.
    pub today: Terms,
    /// For each of the proposal's decisions, in their order.
    pub voices: Vec<Voice>,
    /// Accounts of one human, together, as the directory says it.
    pub linked: Vec<BTreeSet<PersonId>>,
    /// Whether what cleared it (L0, L1) is signed.
    pub is_clearance_signed: bool,
    /// Those of the client.
    pub delegations: Vec<Delegation>,
    /// Records referred to that are gone or changed, by title.
    pub changed_evidence: Vec<String>,
}

/// What a decision is worth at execution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Voice {
    /// Its receipt verifies, and says what the decision says.
    pub is_signed: bool,
    /// Its giver, and for whom they stood, may still approve.
    pub may_approve: bool,
}
