//! Runs what was approved, or what its level lets run: trusts nothing that the decision checked, counts only receipts
//! that verify, then commits the area's changes, the proposal's new state and the audit item in ONE batch.
//!
//! The gate does not know what an action does: `perform` is given by `triggers/execute` and only adds operations to
//! the batch. Delivered again, it finds the proposal settled and sends what is left in the outbox (I2).

use std::{collections::BTreeSet, future::Future, pin::Pin, sync::Arc};

use futures_util::future::try_join_all;
use serde_json::json;

use super::{
    authority,
    delegation::Delegation,
    demotion,
    event::{Event, Facts, Verdict, Voice},
    level::Level,
    machine::next,
    policy::{self, CHANGE_POLICY, Policy, SignedPolicy, Unsound, care, standing},
    proposal::{Answers, ExecuteV1, Occasion, Proposal, Ran, advance, linked, object, tell},
    ran, receipt,
    refusal::Refusal,
    state::{Decision, State},
};
use crate::{
    app::App,
    audit,
    evidence::{Evidence, EvidenceRef, ledger},
    tenancy::{
        Batch, ClientPlace, DeploymentPlace, DeploymentScope, Held, PersonId, Roster, Scope, Store, StoreError, TenantId, Wanted,
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
    /// It does not work, now or later; a sentence for people.
    #[error("the action does not work")]
    Failed(String),
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
    /// The stored proposal contradicts what was answered, or what was answered is not signed.
    #[error("the proposal does not match the signed receipts of its decisions")]
    Tampered,
    /// Nothing runs under it. The sweep may put it right, so the message comes again.
    #[error("the client's policy is unsound: {0}")]
    Policy(Unsound),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl ExecuteError {
    /// Whether redelivery may help; everything else is a dead letter.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Message(error) => error.is_transient(),
            Self::Store(error) => error.is_transient(),
            Self::Policy(_) => true,
            Self::NotFound | Self::NotApproved | Self::Tampered => false,
        }
    }
}

/// Executes the proposal that the message names, and returns it as it stands now: executed, undone, refused, expired, or
/// settled before. `perform` may be called more than once, each time with a fresh batch of [`ClientPlace::Assessment`]; it
/// gets the decision that made the quorum, or none for what ran by its level.
pub async fn execute<F>(app: &App, message: &Verified, perform: F) -> Result<Proposal, ExecuteError>
where
    F: for<'x, 's, 'a> Fn(&'x Proposal, Option<&'x Decision>, &'x mut Batch<'s, 'a, ClientPlace>) -> Performing<'x> + Send + Sync,
{
    let ExecuteV1 { proposal: id, version } = message.body()?;
    let scope = Scope::of_message(message).ok_or(ExecuteError::NotFound)?;
    let store = scope.store(app).await?;
    let mut lost = StoreError::Refused { refused: vec![] };
    for _ in 0..ATTEMPTS {
        let key = id.to_string();
        let wanted = vec![
            Wanted::one::<Proposal>(&key),
            Wanted::one::<Answers>(&key),
            Wanted::one::<SignedPolicy>(policy::KEY),
            outbox::waiting(message),
            ran::waiting(),
        ];
        let found = store.gather(ClientPlace::Assessment, wanted).await?;
        let held = found.one::<Proposal>(&key).await?.ok_or(ExecuteError::NotFound)?;
        let asked = outbox::of(message, &found).await?;
        // For a version that has come to people since: whatever they answer is asked for by a message of its own.
        if version < held.value.version {
            done(&store, asked.as_ref()).await?;
            return Ok(held.value);
        }
        match &held.value.state {
            State::Approved { .. } | State::Cleared { .. } | State::Undoing { .. } => {}
            State::Open => return Err(ExecuteError::NotApproved),
            _ => {
                done(&store, asked.as_ref()).await?;
                return Ok(held.value);
            }
        }
        let policy = found.one::<SignedPolicy>(policy::KEY).await?;
        // All records of it may have been put back together; the log has not.
        let said = ran::said_of(&store, &found, &held.value, matches!(held.value.state, State::Undoing { .. })).await?;
        if said.is_over {
            if has_moved(&store, &held).await? {
                continue;
            }
            return Err(ExecuteError::Tampered);
        }
        let answers = found.one(&key).await?;
        let waiting = Waiting { held: &held, answers, asked: asked.as_ref(), version, policy, said };
        match Box::pin(attempt(app, &store, waiting, &perform)).await {
            Ok(after) => {
                let ran = matches!(after.state, State::Executed { .. } | State::RolledBack { .. });
                done(&store, asked.as_ref().filter(|_| !ran)).await?;
                return Ok(after);
            }
            Err(ExecuteError::Store(error)) if error.is_conflict() => {
                // The operation ran, and the proposal says that it did not: an older one was put back.
                if error.exists::<Ran>(&operation(&held.value)) && !has_moved(&store, &held).await? {
                    return Err(ExecuteError::Tampered);
                }
                lost = error;
            }
            // The same message, delivered twice at once: the other one ran it between our reading of proposal and answers.
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
struct Waiting<'a> {
    held: &'a Held<Proposal>,
    answers: Option<Held<Answers>>,
    /// The outbox item of the message, while it is there.
    asked: Option<&'a Held<Pending>>,
    version: u32,
    policy: Option<Held<SignedPolicy>>,
    said: ran::Said,
}

async fn attempt<F>(app: &App, store: &Store<'_, ClientPlace>, waiting: Waiting<'_>, perform: &F) -> Result<Proposal, ExecuteError>
where
    F: for<'x, 's, 'a> Fn(&'x Proposal, Option<&'x Decision>, &'x mut Batch<'s, 'a, ClientPlace>) -> Performing<'x> + Send + Sync,
{
    let Waiting { held, answers, asked, version, policy, said } = waiting;
    let proposal = &held.value;
    let undoes = matches!(proposal.state, State::Undoing { .. });
    // What its level cleared has no answers before somebody reviews it.
    let is_known = answers.as_ref().map_or(proposal.decisions.is_empty(), |answers| answers.value.decisions == proposal.decisions);
    let has_run = answers.as_ref().is_some_and(|answers| answers.value.executed_at.is_some());
    if !is_known || (has_run && !undoes) {
        return Err(ExecuteError::Tampered);
    }
    let Owner::Tenant(tenant) = store.owner() else { return Err(ExecuteError::NotFound) };
    let (roster, approvers) = approvers(app, store, tenant, proposal).await?;
    let policy = match care::highest(store, &roster) {
        // The mark may have been put back with the policy; the log has not.
        Ok(highest) => standing(app, tenant, policy.as_ref(), highest.max(said.policy)).await?,
        Err(unmarked) => Err(unmarked),
    };
    let policy = match policy {
        Ok(policy) => policy,
        // What was done is undone whatever the policy says today.
        Err(_) if undoes => Policy::default(),
        Err(unsound) => return Err(ExecuteError::Policy(unsound)),
    };
    let facts = facts(app, store, (tenant, proposal, version), &policy, (&roster, &approvers, said.delegations)).await?;
    let now = app.now();
    let recalled = demotion::recalled(tenant, proposal, &facts.today, now);
    let event = if undoes { Event::Undo(facts) } else { Event::Execute(facts) };
    let after = match next(proposal, event, now) {
        Ok(after) => after,
        Err(Refusal::NotSigned { .. }) => return Err(ExecuteError::Tampered),
        Err(refusal @ Refusal::StoodInForNobody { .. }) if undoes => {
            return end(store, held, Event::CannotUndo { why: refusal.sentence() }).await;
        }
        Err(Refusal::AuthorityGone { name }) if undoes => {
            let why = format!("{name} wanted it undone and is no longer an approver of this client.");
            return end(store, held, Event::CannotUndo { why }).await;
        }
        Err(refusal) if undoes && !matches!(refusal, Refusal::Expired { .. }) => return Err(ExecuteError::Tampered),
        // Its rule, or the policy, asks people now. Its bytes and its version are the ones that were staged.
        Err(Refusal::PolicyChanged) if recalled.is_some() => {
            let Some(open) = recalled else { return Err(ExecuteError::NotApproved) };
            return Ok(demotion::recall(store, held, open).await?);
        }
        Err(Refusal::PolicyChanged) => return refuse(store, held, POLICY_CHANGED.into()).await,
        Err(Refusal::Expired { .. }) => {
            return match next(proposal, Event::Expire, now) {
                Ok(after) => {
                    let mut batch = store.batch(ClientPlace::Assessment);
                    super::lapse::end(&mut batch, held, after.clone())?;
                    batch.commit().await?;
                    Ok(after)
                }
                Err(refusal) => refuse(store, held, refusal.sentence()).await,
            };
        }
        Err(refusal) => return refuse(store, held, refusal.sentence()).await,
    };
    let mut batch = store.batch(ClientPlace::Assessment);
    let deciding = |verdict| proposal.decisions.iter().rev().find(|decision| decision.verdict == verdict);
    let performed = if undoes {
        let undo = proposal.draft.undo.clone().unwrap_or_default();
        let mut compensating = proposal.clone();
        compensating.draft.action = undo;
        perform(&compensating, deciding(Verdict::Override), &mut batch).await
    } else {
        perform(proposal, deciding(Verdict::Approve), &mut batch).await
    };
    match performed {
        Ok(()) => {}
        Err(NotPerformed::Refused(why) | NotPerformed::Failed(why)) if undoes => return end(store, held, Event::CannotUndo { why }).await,
        Err(NotPerformed::Refused(why)) => return refuse(store, held, why).await,
        Err(NotPerformed::Failed(why)) => return end(store, held, Event::Fail { why }).await,
        // Trying again makes no damaged record whole: people hear of it now, not when the time to run is over.
        Err(NotPerformed::Store(error)) if is_damaged(&error) => {
            tracing::error!(proposal = %proposal.id, error = %error, "what it would change cannot be read");
            let why = "What it would change cannot be read: its record is damaged.".into();
            return end(store, held, if undoes { Event::CannotUndo { why } } else { Event::Fail { why } }).await;
        }
        Err(NotPerformed::Store(error)) => return Err(error.into()),
    }
    advance(&mut batch, held, after.clone(), None);
    batch.create(&Ran { operation: operation(proposal), proposal: proposal.id });
    if let Some(answers) = answers {
        batch.replace(&Held { value: Answers { executed_at: Some(now), ..answers.value }, etag: answers.etag });
    }
    if let Some(asked) = asked {
        batch.delete(asked);
    }
    let kind = if undoes { "proposal.undone" } else { "proposal.executed" };
    let detail = json!({
        "version": proposal.version, "hash": proposal.hash, "kind": proposal.draft.kind, "level": proposal.level(),
        "operation": operation(proposal),
    });
    audit::record(&mut batch, audit::Event::new(kind, object(proposal.id), detail));
    if matches!(after.state, State::Executed { undo_until: Some(_), .. }) {
        tell(&mut batch, proposal, Occasion::Ran)?;
    }
    batch.commit().await?;
    if proposal.draft.kind == CHANGE_POLICY
        && let Some(policy) = super::amend::made_by(proposal)
        && let Err(error) = care::raise(app, store.correlation(), tenant, &policy, &proposal.hash).await
    {
        tracing::warn!(error = %error, "the sweep writes down that this policy stands");
    }
    Ok(after)
}

/// What names this run: the compensating one has a name of its own.
fn operation(proposal: &Proposal) -> String {
    let undone = if matches!(proposal.state, State::Undoing { .. }) { ".undo" } else { "" };
    format!("{}{undone}", proposal.operation())
}

/// Everything the machine has to know of the world, as it is now.
async fn facts(
    app: &App,
    store: &Store<'_, ClientPlace>,
    (tenant, proposal, version): (TenantId, &Proposal, u32),
    policy: &Policy,
    (roster, approvers, delegations): (&Roster, &BTreeSet<PersonId>, Vec<Delegation>),
) -> Result<Facts, ExecuteError> {
    let mut voices = Vec::with_capacity(proposal.decisions.len());
    for decision in &proposal.decisions {
        voices.push(Voice {
            is_signed: Box::pin(receipt::holds(app, tenant, proposal, decision)).await?,
            may_approve: approvers.contains(&decision.person) && approvers.contains(&decision.seat()),
        });
    }
    Ok(Facts {
        tenant,
        version,
        today: demotion::today(store, policy, proposal).await?,
        voices,
        linked: linked(roster, proposal, delegations.iter().flat_map(|one| [one.from, one.to])),
        delegations,
        is_clearance_signed: Box::pin(receipt::is_cleared(app, tenant, proposal)).await?,
        // What was done is undone whatever became of what it rested on.
        changed_evidence: if matches!(proposal.state, State::Undoing { .. }) { vec![] } else { changed_evidence(store, proposal).await? },
    })
}

/// What a person asked for is not asked again by itself; what Assay raised is, with its next reading.
const POLICY_CHANGED: &str = "The client's policy changed after this was approved, so it was not carried out. It can be asked again, under the policy that holds now.";

async fn refuse(store: &Store<'_, ClientPlace>, held: &Held<Proposal>, why: String) -> Result<Proposal, ExecuteError> {
    end(store, held, Event::Refuse { why }).await
}

/// Nothing more is tried: refused, failed, or not undone. What people approved, and what ran without being asked, they are
/// told of.
async fn end(store: &Store<'_, ClientPlace>, held: &Held<Proposal>, event: Event<'_>) -> Result<Proposal, ExecuteError> {
    let after = next(&held.value, event, store.app().now()).map_err(|_| ExecuteError::NotApproved)?;
    let (kind, why) = match &after.state {
        State::Failed { why, .. } => ("proposal.failed", why),
        State::NotUndone { why, .. } => ("proposal.not_undone", why),
        State::Refused { why, .. } => ("proposal.refused", why),
        _ => return Err(ExecuteError::NotApproved),
    };
    let mut batch = store.batch(ClientPlace::Assessment);
    let detail = json!({ "version": held.value.version, "hash": held.value.hash, "why": why });
    audit::record(&mut batch, audit::Event::new(kind, object(held.value.id), detail));
    advance(&mut batch, held, after.clone(), None);
    if after.level() > Level::L0 {
        tell(&mut batch, &after, Occasion::NotDone)?;
    }
    batch.commit().await?;
    Ok(after)
}

/// Who is who, and of those who decided, and for whom they stood: who may approve for this client now.
/// Authority is asked for again when the action runs, not only when it was decided (ASVS 5.0, 8.3.2), and not only of the
/// directory, where somebody may have put a grant back.
async fn approvers(
    app: &App,
    store: &Store<'_, ClientPlace>,
    tenant: TenantId,
    proposal: &Proposal,
) -> Result<(Arc<Roster>, BTreeSet<PersonId>), ExecuteError> {
    let people: BTreeSet<PersonId> = proposal.decisions.iter().flat_map(|decision| [decision.person, decision.seat()]).collect();
    let directory = DeploymentScope::of_function("execute", store.correlation()).store(app).await?;
    let of_person =
        |person: &PersonId| [Wanted::one::<Grant>(&directory::grant_key(tenant, *person)), Wanted::one::<Person>(&person.to_string())];
    // Not from the roster: it leaves out what cannot be read, and then nobody knows yet.
    let wanted = people.iter().flat_map(of_person).chain([Roster::stamp(), authority::waiting()]).collect();
    let found = directory.gather(DeploymentPlace::Directory, wanted).await?;
    let told = authority::told(&directory, &found.all("").await?, tenant).await?;
    if told.is_off(tenant) {
        return Err(StoreError::SwitchedOff { owner: Owner::Tenant(tenant).to_string() }.into());
    }
    let now = app.now();
    let mut approvers = BTreeSet::new();
    for id in people {
        let grant = found.one::<Grant>(&directory::grant_key(tenant, id)).await?;
        let person = found.one::<Person>(&id.to_string()).await?;
        let may = |grant: &Grant| grant.has(Role::Approver) && grant.holds(now);
        let may_still = grant.is_some_and(|held| may(&held.value)) && person.is_some_and(|held| held.value.may_sign_in(&app.config, now));
        if may_still && !authority::is_taken_away(&told, tenant, id, now) {
            approvers.insert(id);
        }
    }
    let roster = Roster::among(&directory, &found).await?;
    Ok((roster.with_people(|person| told.put_right(person)).map_or(roster, Arc::new), approvers))
}

/// Records referred to that are gone, deleted at their source, not in the state that was approved, or put back as they were
/// before the log says they were last written.
async fn changed_evidence(store: &Store<'_, ClientPlace>, proposal: &Proposal) -> Result<Vec<String>, StoreError> {
    let keys = proposal.draft.evidence.iter().map(|reference| reference.source_key.as_str());
    let known = ledger::expected(store, keys).await?;
    let as_approved = |reference: &EvidenceRef, held: Held<Evidence>| {
        let newest = known.get(&reference.source_key).copied().unwrap_or_default();
        held.value.hash == reference.hash && !held.value.deleted && held.value.revision >= newest
    };
    let reads = proposal.draft.evidence.iter().map(async |reference| {
        let held = store.read::<Evidence>(Evidence::place(&reference.source_key), &reference.source_key).await?;
        let changed = !held.is_some_and(|held| as_approved(reference, held));
        Ok::<_, StoreError>(changed.then(|| reference.title.clone()))
    });
    Ok(try_join_all(reads).await?.into_iter().flatten().collect())
}

/// Of one record that stays as it is. What a newer release wrote, this one does not judge: it waits for that release.
fn is_damaged(error: &StoreError) -> bool {
    error.concerns_one_record() && !matches!(error, StoreError::NewerRelease { .. })
}
