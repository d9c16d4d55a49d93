//! Proposals: a staged action with its exact bytes, their hash, and everything an approver must see to decide.

use serde::{Deserialize, Serialize};
use serde_json::json;
use time::{Duration, OffsetDateTime};

use super::{
    hash::{FORM, hash_of},
    machine::{Refusal, settled},
};
use crate::{
    audit,
    evidence::EvidenceRef,
    tenancy::{Actor, Batch, ClientPlace, Held, PersonId, ProposalId, Record, StoreError, TenantId, keys::Owner, outbox},
};

/// Until when a proposal may be decided, and from the decision on, until when it may run.
pub const APPROVAL_EXPIRY: Duration = Duration::days(7);
pub const EXECUTION_EXPIRY: Duration = Duration::days(2);

/// What an area hands to the gate.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Draft {
    /// The kind of action, by which `triggers/execute` finds the area: `mark_objective`, `roll_back_objective`.
    pub kind: String,
    /// What it is about, such as `3.4.1[d]`; at most one open proposal per kind and subject.
    pub subject: String,
    /// The question as a sentence: "Mark CM.L2-3.4.1[d] as MET for Harbor Precision?"
    pub question: String,
    /// The subject in words, for the line below the question.
    pub explanation: String,
    /// The exact bytes that will run: JSON text, made once, never re-serialized.
    pub action: String,
    pub evidence: Vec<EvidenceRef>,
    /// Why now, and what the evidence does not show, one sentence each.
    pub reasons: Vec<String>,
    pub limits: Vec<String>,
    pub before: String,
    pub after: String,
    /// The end of the approve button, after "Approve and": `mark MET`.
    pub approve_verb: String,
    pub on_approve: String,
    pub on_reject: String,
}

impl Draft {
    /// The subject as people write it: the word of the question that ends in it (`CM.L2-3.4.1[d]` for `3.4.1[d]`).
    pub fn label(&self) -> &str {
        self.question.split_whitespace().find(|word| word.ends_with(&self.subject)).unwrap_or(&self.subject)
    }
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Proposal {
    pub id: ProposalId,
    /// Goes up with every change of the draft; a decision names the version it saw.
    pub version: u32,
    pub draft: Draft,
    /// How the hash was made; see [`super::hash`].
    #[serde(default = "first_form")]
    pub form: u32,
    /// [`hash_of`] this proposal.
    pub hash: String,
    /// Who asks; never among those who decide.
    pub requester: Actor,
    #[serde(with = "time::serde::rfc3339")]
    pub staged_at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339")]
    pub decide_by: OffsetDateTime,
    pub state: State,
}

/// Where a proposal stands. Only [`State::Open`] can be decided, only [`State::Approved`] can run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    Open,
    Approved {
        decision: Decision,
        #[serde(with = "time::serde::rfc3339")]
        run_by: OffsetDateTime,
    },
    Rejected {
        decision: Decision,
    },
    /// Nobody decided in time, or it was approved (`decision`) and did not run in time.
    Expired {
        #[serde(with = "time::serde::rfc3339")]
        at: OffsetDateTime,
        decision: Option<Decision>,
    },
    /// It no longer stands; `by` is the proposal that stands in its place, if one does.
    Superseded {
        #[serde(with = "time::serde::rfc3339")]
        at: OffsetDateTime,
        by: Option<ProposalId>,
        #[serde(default)]
        cause: Cause,
        decision: Option<Decision>,
    },
    Executed {
        decision: Decision,
        #[serde(with = "time::serde::rfc3339")]
        at: OffsetDateTime,
    },
    /// It was approved, and at execution something no longer held; nothing ran.
    Refused {
        decision: Decision,
        #[serde(with = "time::serde::rfc3339")]
        at: OffsetDateTime,
        why: String,
    },
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
        }
    }
}

impl State {
    /// The decision that was made, whatever became of it.
    pub fn decision(&self) -> Option<&Decision> {
        match self {
            Self::Open => None,
            Self::Approved { decision, .. }
            | Self::Rejected { decision }
            | Self::Executed { decision, .. }
            | Self::Refused { decision, .. } => Some(decision),
            Self::Expired { decision, .. } | Self::Superseded { decision, .. } => decision.as_ref(),
        }
    }

    /// Whether nothing can change it any more.
    pub fn is_final(&self) -> bool {
        !matches!(self, Self::Open | Self::Approved { .. })
    }
}

/// A named human's answer to one proposal version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    pub person: PersonId,
    /// The name as it was shown then.
    pub name: String,
    pub version: u32,
    /// The hash the page showed.
    pub hash: String,
    pub comment: String,
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
}

impl Proposal {
    /// With the hash of what it holds now.
    fn hashed(self, tenant: TenantId) -> Self {
        let hash = hash_of(tenant, &self);
        Self { form: FORM, hash, ..self }
    }
}

/// Records of before the form was written down.
fn first_form() -> u32 {
    1
}

impl Record for Proposal {
    const KIND: &'static str = "proposal";
    const SCHEMA: u32 = 1;

    fn key(&self) -> String {
        self.id.to_string()
    }

    fn revision(&self) -> u64 {
        self.version.into()
    }
}

/// Made once, in the batch of the decision, and marked in the batch of the execution: if somebody with access to the
/// store puts an older proposal back, it contradicts its receipt, and neither a second decision nor a second run follows.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Receipt {
    pub proposal: ProposalId,
    pub approved: bool,
    pub decision: Decision,
    #[serde(with = "time::serde::rfc3339::option")]
    pub executed_at: Option<OffsetDateTime>,
}

impl Record for Receipt {
    const KIND: &'static str = "decision";
    const SCHEMA: u32 = 1;

    fn key(&self) -> String {
        self.proposal.to_string()
    }
}

/// Stands beside every open proposal, made and deleted in the batch that opens and closes it: the inbox and the sweep
/// read these, never all proposals ever staged. Ids are version 7, so they come oldest first.
#[derive(Clone, Debug, Serialize, Deserialize)]
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

/// The same for what is approved and has not run yet.
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

/// What `notify` is asked to do: mail one proposal version to its approvers.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct NotifyV1 {
    pub proposal: ProposalId,
    pub version: u32,
}

/// What `execute` is asked to do.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ExecuteV1 {
    pub proposal: ProposalId,
    pub version: u32,
}

/// Stages a draft: proposal, audit item and the request to notify, all in the caller's batch (five operations).
pub fn stage(batch: &mut Batch<'_, '_, ClientPlace>, draft: Draft) -> Result<ProposalId, StoreError> {
    let store = batch.store();
    let app = store.app();
    let now = app.now();
    let Owner::Tenant(tenant) = store.owner() else { return Err(StoreError::Refused { refused: vec![] }) };
    let proposal = Proposal {
        id: ProposalId(app.ids.uuid()),
        version: 1,
        form: FORM,
        hash: String::new(),
        draft,
        requester: store.actor().clone(),
        staged_at: now,
        decide_by: now + APPROVAL_EXPIRY,
        state: State::Open,
    }
    .hashed(tenant);
    let detail = json!({ "kind": proposal.draft.kind, "subject": proposal.draft.subject, "hash": proposal.hash, "version": 1 });
    audit::record(batch, audit::Event::new("proposal.staged", object(proposal.id), detail));
    outbox::send(batch, "notify", &NotifyV1 { proposal: proposal.id, version: 1 }, std::time::Duration::ZERO)?;
    batch.create(&OpenMark {
        proposal: proposal.id,
        kind: proposal.draft.kind.clone(),
        subject: proposal.draft.subject.clone(),
        question: proposal.draft.question.clone(),
        requester: proposal.requester.clone(),
        staged_at: now,
        decide_by: proposal.decide_by,
    });
    batch.create(&proposal);
    Ok(proposal.id)
}

/// Puts a fresh draft into an open proposal, in the caller's batch (two operations): a new version and hash, the same
/// deadline, and no second mail; kind, subject and question stay. For what does not change the answer, such as evidence that was read again with the same
/// result; a changed answer is a new proposal that supersedes. Whoever has the page open hears that it changed.
pub fn revise(batch: &mut Batch<'_, '_, ClientPlace>, held: &Held<Proposal>, draft: Draft) -> Result<(), Refusal> {
    if let Some(refusal) = settled(&held.value.state) {
        return Err(refusal);
    }
    let old = &held.value;
    let Owner::Tenant(tenant) = batch.store().owner() else { return Err(Refusal::Tampered) };
    let proposal = Proposal { version: old.version + 1, draft, ..old.clone() }.hashed(tenant);
    let detail = json!({ "version": proposal.version, "hash": proposal.hash, "before": old.hash });
    audit::record(batch, audit::Event::new("proposal.revised", object(proposal.id), detail));
    batch.replace(&Held { value: proposal, etag: held.etag.clone() });
    Ok(())
}

/// Writes the next state: replaces the proposal and keeps the marks of open and approved ones in step.
pub(super) fn advance(batch: &mut Batch<'_, '_, ClientPlace>, held: &Held<Proposal>, next: State) {
    let id = held.value.id.to_string();
    match (&held.value.state, &next) {
        (State::Open, State::Approved { run_by, .. }) => {
            batch.remove::<OpenMark>(&id).create(&ApprovedMark { proposal: held.value.id, run_by: *run_by });
        }
        (State::Open, _) => {
            batch.remove::<OpenMark>(&id);
        }
        (State::Approved { .. }, _) => {
            batch.remove::<ApprovedMark>(&id);
        }
        _ => {}
    }
    batch.replace(&Held { value: Proposal { state: next, ..held.value.clone() }, etag: held.etag.clone() });
}

/// How audit items name a proposal.
pub(super) fn object(id: ProposalId) -> String {
    format!("proposal {id}")
}
