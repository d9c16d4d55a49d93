//! The state machine of an L2 proposal: what may follow what, as one pure function.
//!
//! executed => one valid approval of that exact version and hash, by somebody who may approve and did not ask, before
//! both clocks ran out (design I4), on evidence that still counted at both moments. Silence never approves; a final state stays. No I/O here: the callers read the
//! facts (grants, evidence, the time) and write the answer.

use time::OffsetDateTime;

use super::{
    hash::{FORM, hash_of},
    proposal::{Cause, Decision, EXECUTION_EXPIRY, Proposal, State},
};
use crate::{
    evidence::cui,
    tenancy::{Actor, PersonId, ProposalId, TenantId},
};

/// The longest comment a decision keeps, in characters.
pub const MAX_COMMENT: usize = 2000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Approve,
    Reject,
}

/// What a person answers, and what they saw when they did.
#[derive(Clone, Debug)]
pub struct Answer {
    pub verdict: Verdict,
    pub version: u32,
    /// The hash the page showed.
    pub hash: String,
    /// Needed to reject.
    pub comment: String,
}

#[derive(Clone, Debug)]
pub enum Event<'a> {
    Decide {
        /// The client in whose store the proposal was read.
        tenant: TenantId,
        person: PersonId,
        name: &'a str,
        /// Whether this person's grant for the client says approver.
        may_approve: bool,
        answer: &'a Answer,
    },
    Expire,
    Supersede {
        by: Option<ProposalId>,
        cause: Cause,
    },
    Execute(Facts),
    /// At execution something no longer held.
    Refuse {
        why: String,
    },
}

/// What the executor read just now.
#[derive(Clone, Debug)]
pub struct Facts {
    /// The client in whose store the proposal was read.
    pub tenant: TenantId,
    /// The version that the message asks for.
    pub version: u32,
    /// Whether the one who approved still may.
    pub may_approve: bool,
    /// Records referred to that are gone or changed, by title.
    pub changed_evidence: Vec<String>,
}

/// Why an event does not move a proposal.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("already decided")]
    AlreadyDecided { name: String, approved: bool, at: OffsetDateTime },
    #[error("expired")]
    Expired { at: OffsetDateTime },
    #[error("superseded")]
    Superseded { by: Option<ProposalId>, cause: Cause },
    /// Who asks does not decide.
    #[error("the requester cannot decide")]
    NotYours,
    #[error("not an approver of this client")]
    NotApprover,
    /// It changed after the page was shown.
    #[error("another version was seen")]
    WrongVersion { current: u32 },
    #[error("another hash was seen")]
    WrongHash,
    #[error("a rejection needs a comment")]
    CommentNeeded,
    #[error("the comment is too long")]
    CommentTooLong,
    #[error("the comment carries a CUI marking")]
    CommentMarked,
    #[error("nobody approved it")]
    NotApproved,
    /// The stored bytes are not those that were hashed.
    #[error("the stored action does not match its hash")]
    Tampered,
    /// Its hash was made by another release and does not say all that it must.
    #[error("the hash is of another form")]
    OtherForm,
    #[error("who approved it may not approve any more")]
    AuthorityGone { name: String },
    #[error("evidence changed after the approval")]
    EvidenceChanged { titles: Vec<String> },
    /// What the proposal refers to does not count any more; it can still be rejected.
    #[error("evidence is too old to count")]
    EvidenceStale { titles: Vec<String> },
    #[error("not due yet")]
    NotDue,
}

/// The state after the event, or why there is none.
pub fn next(proposal: &Proposal, event: Event<'_>, now: OffsetDateTime) -> Result<State, Refusal> {
    match event {
        Event::Decide { tenant, person, name, may_approve, answer } => {
            if !may_approve {
                return Err(Refusal::NotApprover);
            }
            decide(proposal, tenant, person, name, answer, now)
        }
        Event::Expire => expire(proposal, now),
        Event::Supersede { by, cause } => match settled(&proposal.state) {
            Some(refusal) if proposal.state.is_final() => Err(refusal),
            _ => Ok(State::Superseded { at: now, by, cause, decision: proposal.state.decision().cloned() }),
        },
        Event::Execute(facts) => execute(proposal, &facts, now),
        Event::Refuse { why } => approved(proposal).map(|(decision, _)| State::Refused { decision: decision.clone(), at: now, why }),
    }
}

/// What a decided or otherwise ended proposal answers to another decision; `None` while it is open.
pub fn settled(state: &State) -> Option<Refusal> {
    match state {
        State::Open => None,
        State::Expired { at, .. } => Some(Refusal::Expired { at: *at }),
        State::Superseded { by, cause, .. } => Some(Refusal::Superseded { by: *by, cause: *cause }),
        State::Rejected { decision } => Some(decided(decision, false)),
        State::Approved { decision, .. } | State::Executed { decision, .. } | State::Refused { decision, .. } => {
            Some(decided(decision, true))
        }
    }
}

impl Refusal {
    /// One sentence for the person who asked, without the way on.
    pub fn sentence(&self) -> String {
        match self {
            Self::AlreadyDecided { name, approved, .. } => {
                format!("{name} has already {} this.", if *approved { "approved" } else { "rejected" })
            }
            Self::Expired { .. } => {
                "This proposal has expired: the time to decide or to carry it out is over, and nothing was done.".into()
            }
            Self::Superseded { by, cause } => cause.sentence(by.is_some()).into(),
            Self::NotYours => "You asked for this, so somebody else decides it.".into(),
            Self::NotApprover => "Only an approver of this client can decide this.".into(),
            Self::WrongVersion { .. } | Self::WrongHash => {
                "This proposal changed after you opened it. Nothing was recorded; look at what it says now.".into()
            }
            Self::CommentNeeded => "Say why you reject it: the comment is needed and kept in the audit trail.".into(),
            Self::CommentMarked => "The comment carries a CUI marking; nothing was kept. Say it without.".into(),
            Self::CommentTooLong => format!("The comment is longer than {MAX_COMMENT} characters. Nothing was recorded."),
            Self::NotApproved => "Nobody has approved this.".into(),
            Self::Tampered => "What is stored does not match its hash, so it cannot be decided or carried out.".into(),
            Self::OtherForm => {
                "Another release of Assay staged this, and its hash does not name client and proposal, so it cannot be approved or carried out.".into()
            }
            Self::AuthorityGone { name } => format!("{name} approved this and is no longer an approver of this client."),
            Self::EvidenceChanged { titles } => format!("This evidence changed after it was proposed: {}.", titles.join(", ")),
            Self::EvidenceStale { titles } => format!("This evidence is too old to count by now: {}.", titles.join(", ")),
            Self::NotDue => "Its time is not over yet.".into(),
        }
    }
}

fn decide(
    proposal: &Proposal,
    tenant: TenantId,
    person: PersonId,
    name: &str,
    answer: &Answer,
    now: OffsetDateTime,
) -> Result<State, Refusal> {
    if let Some(refusal) = settled(&proposal.state) {
        return Err(refusal);
    }
    if proposal.requester == Actor::Person(person) {
        return Err(Refusal::NotYours);
    }
    if now >= proposal.decide_by {
        return Err(Refusal::Expired { at: proposal.decide_by });
    }
    if answer.version != proposal.version {
        return Err(Refusal::WrongVersion { current: proposal.version });
    }
    if answer.hash != proposal.hash {
        return Err(Refusal::WrongHash);
    }
    if let (Verdict::Approve, Some(refusal)) = (answer.verdict, blocked(proposal, now)) {
        return Err(refusal);
    }
    if proposal.form == FORM && hash_of(tenant, proposal) != proposal.hash {
        return Err(Refusal::Tampered);
    }
    let comment = answer.comment.trim();
    if comment.chars().count() > MAX_COMMENT {
        return Err(Refusal::CommentTooLong);
    }
    // It would stand in the log for good (design I12).
    if cui::find(comment).is_some() {
        return Err(Refusal::CommentMarked);
    }
    if answer.verdict == Verdict::Reject && comment.is_empty() {
        return Err(Refusal::CommentNeeded);
    }
    let decision =
        Decision { person, name: name.into(), version: answer.version, hash: answer.hash.clone(), comment: comment.into(), at: now };
    Ok(match answer.verdict {
        Verdict::Approve => State::Approved { decision, run_by: now + EXECUTION_EXPIRY },
        Verdict::Reject => State::Rejected { decision },
    })
}

fn expire(proposal: &Proposal, now: OffsetDateTime) -> Result<State, Refusal> {
    let due = match &proposal.state {
        State::Open => proposal.decide_by,
        State::Approved { run_by, .. } => *run_by,
        state => return Err(settled(state).unwrap_or(Refusal::NotDue)),
    };
    if now < due {
        return Err(Refusal::NotDue);
    }
    Ok(State::Expired { at: now, decision: proposal.state.decision().cloned() })
}

/// Trusts nothing that the decision checked: the record may have been changed or rolled back in between.
fn execute(proposal: &Proposal, facts: &Facts, now: OffsetDateTime) -> Result<State, Refusal> {
    let (decision, run_by) = approved(proposal)?;
    if proposal.form != FORM {
        return Err(Refusal::OtherForm);
    }
    if hash_of(facts.tenant, proposal) != proposal.hash {
        return Err(Refusal::Tampered);
    }
    if decision.version != proposal.version || facts.version != proposal.version {
        return Err(Refusal::WrongVersion { current: proposal.version });
    }
    if decision.hash != proposal.hash {
        return Err(Refusal::WrongHash);
    }
    if proposal.requester == Actor::Person(decision.person) {
        return Err(Refusal::NotYours);
    }
    if decision.at >= proposal.decide_by || now >= run_by || run_by > decision.at + EXECUTION_EXPIRY {
        return Err(Refusal::Expired { at: run_by });
    }
    if !facts.may_approve {
        return Err(Refusal::AuthorityGone { name: decision.name.clone() });
    }
    if !facts.changed_evidence.is_empty() {
        return Err(Refusal::EvidenceChanged { titles: facts.changed_evidence.clone() });
    }
    match blocked(proposal, now) {
        Some(refusal) => Err(refusal),
        None => Ok(State::Executed { decision: decision.clone(), at: now }),
    }
}

/// What keeps anybody from approving it as it stands, and it from running. A proposal says until when its evidence
/// counts; after that the evidence shows nothing about today. It can still be rejected.
pub fn blocked(proposal: &Proposal, now: OffsetDateTime) -> Option<Refusal> {
    if proposal.form != FORM {
        return Some(Refusal::OtherForm);
    }
    let stale: Vec<String> = proposal.draft.evidence.iter().filter(|e| e.is_stale(now)).map(|e| e.title.clone()).collect();
    (!stale.is_empty()).then_some(Refusal::EvidenceStale { titles: stale })
}

fn approved(proposal: &Proposal) -> Result<(&Decision, OffsetDateTime), Refusal> {
    match &proposal.state {
        State::Approved { decision, run_by } => Ok((decision, *run_by)),
        State::Open => Err(Refusal::NotApproved),
        state => Err(settled(state).unwrap_or(Refusal::NotApproved)),
    }
}

fn decided(decision: &Decision, approved: bool) -> Refusal {
    Refusal::AlreadyDecided { name: decision.name.clone(), approved, at: decision.at }
}
