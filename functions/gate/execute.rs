//! Runs what was approved: trusts nothing that the decision checked, then commits the area's changes, the proposal's
//! new state and the audit item in ONE batch.
//!
//! The gate does not know what an action does: `perform` is given by `triggers/execute` and only adds operations to
//! the batch. Delivered again, it finds the proposal settled and sends what is left in the outbox (I2).

use std::{future::Future, pin::Pin};

use futures_util::future::try_join_all;
use serde_json::json;

use super::{
    machine::{Event, Facts, Refusal, next},
    proposal::{Decision, ExecuteV1, Proposal, Receipt, State, advance, object},
};
use crate::{
    app::App,
    audit,
    evidence::{Evidence, EvidenceRef},
    tenancy::{
        Batch, ClientPlace, DeploymentPlace, DeploymentScope, Held, Scope, Store, StoreError, TenantId, Wanted,
        directory::{self, Grant, Person, Role},
        keys::Owner,
        message::{MessageError, Verified},
        outbox::{self, Pending},
    },
};

/// How often a lost race is run again before the message is left to redelivery.
const ATTEMPTS: usize = 4;

/// What `perform` returns: `Box::pin(async move { .. })`.
pub type Performing<'x> = Pin<Box<dyn Future<Output = Result<(), NotPerformed>> + Send + 'x>>;

/// Why an area added nothing to the batch.
#[derive(Debug, thiserror::Error)]
pub enum NotPerformed {
    /// The action does not apply any more; a sentence for people.
    #[error("the action does not apply")]
    Refused(String),
    #[error(transparent)]
    Store(#[from] StoreError),
}

#[derive(Debug, thiserror::Error)]
pub enum ExecuteError {
    #[error(transparent)]
    Message(#[from] MessageError),
    #[error("the message names no proposal of a client")]
    NotFound,
    #[error("the proposal was never approved")]
    NotApproved,
    /// The stored proposal contradicts the receipt of its decision.
    #[error("the proposal does not match the receipt of its decision")]
    Tampered,
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl ExecuteError {
    /// Whether redelivery may help; everything else is a dead letter.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Message(error) => error.is_transient(),
            Self::Store(error) => error.is_transient(),
            Self::NotFound | Self::NotApproved | Self::Tampered => false,
        }
    }
}

/// Executes the proposal that the message names, and returns it as it stands now: executed, refused, expired, or
/// settled before. `perform` may be called more than once, each time with a fresh batch of [`ClientPlace::Assessment`].
pub async fn execute<F>(app: &App, message: &Verified, perform: F) -> Result<Proposal, ExecuteError>
where
    F: for<'x, 's, 'a> Fn(&'x Proposal, &'x Decision, &'x mut Batch<'s, 'a, ClientPlace>) -> Performing<'x> + Send + Sync,
{
    let ExecuteV1 { proposal: id, version } = message.body()?;
    let scope = Scope::of_message(message).ok_or(ExecuteError::NotFound)?;
    let store = scope.store(app).await?;
    let mut lost = StoreError::Refused { refused: vec![] };
    for _ in 0..ATTEMPTS {
        let key = id.to_string();
        let wanted = vec![Wanted::one::<Proposal>(&key), Wanted::one::<Receipt>(&key), outbox::waiting(message)];
        let found = store.gather(ClientPlace::Assessment, wanted).await?;
        let held = found.one::<Proposal>(&key).await?.ok_or(ExecuteError::NotFound)?;
        let asked = outbox::of(message, &found).await?;
        let decision = match &held.value.state {
            State::Approved { decision, .. } => decision.clone(),
            State::Open => return Err(ExecuteError::NotApproved),
            _ => {
                done(&store, asked.as_ref()).await?;
                return Ok(held.value);
            }
        };
        let approved = Approved { held: &held, decision: &decision, receipt: found.one(&key).await?, asked: asked.as_ref(), version };
        match attempt(app, &store, approved, &perform).await {
            Ok(state) => {
                let asked = asked.filter(|_| !matches!(state, State::Executed { .. }));
                done(&store, asked.as_ref()).await?;
                return Ok(Proposal { state, ..held.value });
            }
            Err(ExecuteError::Store(error)) if error.is_conflict() => lost = error,
            // The same message, delivered twice at once: the other one ran it between our reading of proposal and receipt.
            Err(ExecuteError::Tampered) if has_moved(&store, &held).await? => {}
            Err(error) => return Err(error),
        }
    }
    Err(lost.into())
}

async fn has_moved(store: &Store<'_, ClientPlace>, held: &Held<Proposal>) -> Result<bool, StoreError> {
    let now = store.read::<Proposal>(ClientPlace::Assessment, &held.value.id.to_string()).await?;
    Ok(now.is_some_and(|now| now.etag != held.etag))
}

/// Nothing is to do any more: the item that asked for it goes, and what else is left is sent.
async fn done(store: &Store<'_, ClientPlace>, asked: Option<&Held<Pending>>) -> Result<(), StoreError> {
    if let Some(asked) = asked {
        outbox::clear(store, ClientPlace::Assessment, asked).await?;
    }
    outbox::flush(store, ClientPlace::Assessment).await.map(drop)
}

/// What an attempt rests on, read in one round trip.
struct Approved<'a> {
    held: &'a Held<Proposal>,
    decision: &'a Decision,
    receipt: Option<Held<Receipt>>,
    /// The outbox item of the message, while it is there.
    asked: Option<&'a Held<Pending>>,
    version: u32,
}

async fn attempt<F>(app: &App, store: &Store<'_, ClientPlace>, approved: Approved<'_>, perform: &F) -> Result<State, ExecuteError>
where
    F: for<'x, 's, 'a> Fn(&'x Proposal, &'x Decision, &'x mut Batch<'s, 'a, ClientPlace>) -> Performing<'x> + Send + Sync,
{
    let Approved { held, decision, receipt, asked, version } = approved;
    let proposal = &held.value;
    let receipt = receipt.ok_or(ExecuteError::Tampered)?;
    if receipt.value.decision != *decision || !receipt.value.approved || receipt.value.executed_at.is_some() {
        return Err(ExecuteError::Tampered);
    }
    let Owner::Tenant(tenant) = store.owner() else { return Err(ExecuteError::NotFound) };
    let facts = Facts {
        tenant,
        version,
        may_approve: may_approve(app, store, tenant, decision).await?,
        changed_evidence: changed_evidence(store, proposal).await?,
    };
    let now = app.now();
    match next(proposal, Event::Execute(facts), now) {
        Ok(state) => {
            let mut batch = store.batch(ClientPlace::Assessment);
            match perform(proposal, decision, &mut batch).await {
                Ok(()) => {}
                Err(NotPerformed::Refused(why)) => return refuse(store, held, why).await,
                Err(NotPerformed::Store(error)) => return Err(error.into()),
            }
            advance(&mut batch, held, state.clone());
            batch.replace(&Held { value: Receipt { executed_at: Some(now), ..receipt.value }, etag: receipt.etag });
            if let Some(asked) = asked {
                batch.delete(asked);
            }
            let detail = json!({ "version": proposal.version, "hash": proposal.hash, "kind": proposal.draft.kind });
            audit::record(&mut batch, audit::Event::new("proposal.executed", object(proposal.id), detail));
            batch.commit().await?;
            Ok(state)
        }
        Err(Refusal::Expired { .. }) => match next(proposal, Event::Expire, now) {
            Ok(state) => {
                super::lapse::write(store, held, state.clone()).await?;
                Ok(state)
            }
            Err(refusal) => refuse(store, held, refusal.sentence()).await,
        },
        Err(refusal) => refuse(store, held, refusal.sentence()).await,
    }
}

async fn refuse(store: &Store<'_, ClientPlace>, held: &Held<Proposal>, why: String) -> Result<State, ExecuteError> {
    let event = Event::Refuse { why: why.clone() };
    let state = next(&held.value, event, store.app().now()).map_err(|_| ExecuteError::NotApproved)?;
    let mut batch = store.batch(ClientPlace::Assessment);
    advance(&mut batch, held, state.clone());
    let detail = json!({ "version": held.value.version, "hash": held.value.hash, "why": why });
    audit::record(&mut batch, audit::Event::new("proposal.refused", object(held.value.id), detail));
    batch.commit().await?;
    Ok(state)
}

/// Authority is asked for again when the action runs, not only when it was decided (ASVS 5.0, 8.3.2).
async fn may_approve(app: &App, store: &Store<'_, ClientPlace>, tenant: TenantId, decision: &Decision) -> Result<bool, ExecuteError> {
    let directory = DeploymentScope::of_function("execute", store.correlation()).store(app).await?;
    let (grant, person) = (directory::grant_key(tenant, decision.person), decision.person.to_string());
    // Not from the roster: it leaves out what cannot be read, and then nobody knows yet.
    let found = directory.gather(DeploymentPlace::Directory, vec![Wanted::one::<Grant>(&grant), Wanted::one::<Person>(&person)]).await?;
    let (grant, person) = (found.one::<Grant>(&grant).await?, found.one::<Person>(&person).await?);
    Ok(grant.is_some_and(|held| held.value.has(Role::Approver) && held.value.holds(app.now()))
        && person.is_some_and(|held| held.value.may_sign_in(&app.config)))
}

/// Records referred to that are gone, deleted at their source, or not in the state that was approved.
async fn changed_evidence(store: &Store<'_, ClientPlace>, proposal: &Proposal) -> Result<Vec<String>, StoreError> {
    let as_approved = |reference: &EvidenceRef, held: Held<Evidence>| held.value.hash == reference.hash && !held.value.deleted;
    let reads = proposal.draft.evidence.iter().map(async |reference| {
        let held = store.read::<Evidence>(Evidence::place(&reference.source_key), &reference.source_key).await?;
        let changed = !held.is_some_and(|held| as_approved(reference, held));
        Ok::<_, StoreError>(changed.then(|| reference.title.clone()))
    });
    Ok(try_join_all(reads).await?.into_iter().flatten().collect())
}
