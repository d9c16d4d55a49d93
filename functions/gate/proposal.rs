//! Proposals: a staged action with its exact bytes, their hash, and everything an approver must see to decide.

use serde::{Deserialize, Serialize};
use time::{Duration, OffsetDateTime};

use crate::{
    audit,
    evidence::EvidenceRef,
    tenancy::{Actor, Batch, ClientPlace, PersonId, ProposalId, Record, StoreError, outbox, seal::sha256},
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
    pub on_approve: String,
    pub on_reject: String,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Proposal {
    pub id: ProposalId,
    /// Goes up with every change of the draft; a decision names the version it saw.
    pub version: u32,
    pub draft: Draft,
    /// SHA-256 over a domain tag and the length-prefixed action and evidence hashes, lower-case hex.
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
    Expired {
        #[serde(with = "time::serde::rfc3339")]
        at: OffsetDateTime,
    },
    /// New evidence changed the draft; `by` is the proposal that stands in its place, if one does.
    Superseded {
        #[serde(with = "time::serde::rfc3339")]
        at: OffsetDateTime,
        by: Option<ProposalId>,
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

impl Record for Proposal {
    const KIND: &'static str = "proposal";
    const SCHEMA: u32 = 1;

    fn key(&self) -> String {
        self.id.to_string()
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

/// Stages a draft: proposal, audit item and the request to notify, all in the caller's batch.
pub fn stage(batch: &mut Batch<'_, '_, ClientPlace>, draft: Draft) -> Result<ProposalId, StoreError> {
    let store = batch.store();
    let app = store.app();
    let now = app.now();
    let proposal = Proposal {
        id: ProposalId(app.ids.uuid()),
        version: 1,
        hash: hash_of(&draft),
        draft,
        requester: store.actor().clone(),
        staged_at: now,
        decide_by: now + APPROVAL_EXPIRY,
        state: State::Open,
    };
    audit::record(
        batch,
        audit::Event::new(
            "proposal.staged",
            format!("proposal {}", proposal.id),
            serde_json::json!({ "kind": proposal.draft.kind, "subject": proposal.draft.subject, "hash": proposal.hash, "version": 1 }),
        ),
    );
    outbox::send(batch, "notify", &NotifyV1 { proposal: proposal.id, version: 1 }, std::time::Duration::ZERO)?;
    batch.create(&proposal);
    Ok(proposal.id)
}

/// Covers the action's bytes and the hash of every record referred to: same ids with other content is another hash.
pub fn hash_of(draft: &Draft) -> String {
    let mut bytes = b"assay proposal 1".to_vec();
    let mut part = |text: &str| {
        bytes.extend_from_slice(&(text.len() as u64).to_be_bytes());
        bytes.extend_from_slice(text.as_bytes());
    };
    part(&draft.kind);
    part(&draft.subject);
    part(&draft.action);
    for record in &draft.evidence {
        part(&record.source_key);
        part(&record.hash);
    }
    sha256(&bytes)
}
