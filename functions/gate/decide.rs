//! A named human's answer: decision, audit item and the request to execute in one batch, or nothing.
//!
//! The etag of the proposal is the race control: of two approvers one writes, the other reads again and hears who was
//! faster. The same answer of the same person again (a browser that repeats its POST) is the same success. Session,
//! origin and anti-forgery token are the page's business and were checked before.

use serde_json::json;

use super::{
    learning::{self, Look},
    machine::{Answer, Event, Refusal, Verdict, next},
    proposal::{Decision, ExecuteV1, Proposal, Receipt, State, advance, object},
};
use crate::{
    app::App,
    audit,
    tenancy::{
        Actor, ClientPlace, Held, ProposalId, Scope, Store, StoreError,
        directory::{Grant, Person, Role},
        outbox::{self, Pending},
    },
};

/// How often a lost race is looked at again before the caller is asked to repeat.
const ATTEMPTS: usize = 4;

/// What was recorded.
#[derive(Clone, Debug)]
pub struct Decided {
    pub proposal: Proposal,
    pub decision: Decision,
    /// It was recorded before; this was the same answer once more.
    pub repeated: bool,
}

#[derive(Debug, thiserror::Error)]
pub enum DecideError {
    #[error("no such proposal")]
    NotFound,
    /// Nothing was recorded; [`Refusal::sentence`] says why.
    #[error("the decision was not taken")]
    Refused(#[source] Refusal),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// How somebody decides, besides what they answer.
#[derive(Clone, Debug, Default)]
pub struct Capacity {
    /// What is known of how they looked at it.
    pub look: Look,
}

/// Decides one proposal as `person`, whose `grant` was read for this request.
pub async fn decide(
    app: &App,
    scope: &Scope,
    grant: &Grant,
    person: &Person,
    id: ProposalId,
    answer: &Answer,
) -> Result<Decided, DecideError> {
    decide_as(app, scope, grant, person, id, answer, &Capacity::default()).await
}

/// The same, and in what capacity.
pub async fn decide_as(
    app: &App,
    scope: &Scope,
    grant: &Grant,
    person: &Person,
    id: ProposalId,
    answer: &Answer,
    capacity: &Capacity,
) -> Result<Decided, DecideError> {
    let may_approve = grant.has(Role::Approver)
        && grant.tenant == scope.tenant()
        && grant.person == person.id
        && *scope.actor() == Actor::Person(person.id);
    let store = scope.store(app).await?;
    let mut lost = None;
    for _ in 0..ATTEMPTS {
        let held = store.read::<Proposal>(ClientPlace::Assessment, &id.to_string()).await?.ok_or(DecideError::NotFound)?;
        if let Some(decision) = repeated(&held.value, person, answer).filter(|_| may_approve) {
            sent(outbox::flush(&store, ClientPlace::Assessment).await.map(drop));
            return Ok(Decided { decision: decision.clone(), proposal: held.value, repeated: true });
        }
        let event = Event::Decide { tenant: scope.tenant(), person: person.id, name: &person.name, may_approve, answer };
        let state = next(&held.value, event, app.now()).map_err(DecideError::Refused)?;
        match write(&store, &held, &state, answer.verdict, &capacity.look).await {
            Ok((decision, execute)) => {
                if let Some(execute) = execute {
                    sent(outbox::deliver(&store, &execute).await);
                }
                return Ok(Decided { decision, proposal: Proposal { state, ..held.value }, repeated: false });
            }
            Err(error) if error.is_conflict() => {
                // A receipt beside a proposal that still reads as open: an older one was put back.
                if error.exists::<Receipt>(&id.to_string()) && lost.is_some() {
                    return Err(DecideError::Refused(Refusal::Tampered));
                }
                lost = Some(error);
            }
            Err(error) => return Err(error.into()),
        }
    }
    Err(lost.map_or(DecideError::NotFound, DecideError::Store))
}

/// The decision as it is written, and the message that it demands.
async fn write(
    store: &Store<'_, ClientPlace>,
    held: &Held<Proposal>,
    state: &State,
    verdict: Verdict,
    look: &Look,
) -> Result<(Decision, Option<Pending>), StoreError> {
    let Proposal { id, version, .. } = held.value;
    let approved = verdict == Verdict::Approve;
    let mut batch = store.batch(ClientPlace::Assessment);
    advance(&mut batch, held, state.clone());
    let Some(decision) = state.decision() else { return Err(StoreError::Refused { refused: vec![] }) };
    batch.create(&Receipt { proposal: id, approved, decision: decision.clone(), executed_at: None });
    let kind = if approved { "proposal.approved" } else { "proposal.rejected" };
    let mut detail = json!({ "version": version, "hash": decision.hash, "name": decision.name, "comment": decision.comment });
    learning::note_look(&mut detail, look, decision.at);
    audit::record(&mut batch, audit::Event::new(kind, object(id), detail));
    let execute = approved
        .then(|| outbox::send(&mut batch, "execute", &ExecuteV1 { proposal: id, version }, std::time::Duration::ZERO))
        .transpose()?;
    batch.commit().await?;
    Ok((decision.clone(), execute))
}

/// The decision that is recorded, if this is the same answer by the same person.
fn repeated<'p>(proposal: &'p Proposal, person: &Person, answer: &Answer) -> Option<&'p Decision> {
    let verdict = if matches!(proposal.state, State::Rejected { .. }) { Verdict::Reject } else { Verdict::Approve };
    proposal.state.decision().filter(|decision| {
        decision.person == person.id && decision.version == answer.version && decision.hash == answer.hash && verdict == answer.verdict
    })
}

/// The decision is durable; what cannot be sent now is sent by the sweep.
fn sent(outcome: Result<(), StoreError>) {
    if let Err(error) = outcome {
        tracing::warn!(error = %error, "the outbox waits for the sweep");
    }
}
