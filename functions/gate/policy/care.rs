//! Looks after the stored policies: the highest version that stood, what an earlier release left unsigned, and what
//! somebody changed without a decision.
//!
//! A version follows from the proposal that approved it: its bytes are the action, and its approvals are signed receipts.
//! So what an earlier release left unsigned is signed once, if it is what its approvers signed, and what was lost or put
//! back is made again from the one proposal whose hash stands in the directory, under another key than the client's. Where
//! no hash is known, nothing is put back. Nothing here takes a policy from the store on its word.

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{
    super::{
        amend,
        proposal::Proposal,
        quorum, ran, receipt,
        state::{Decision, State},
    },
    CHANGE_POLICY, KEY, Policy, SignedPolicy, Unsound, reach, search, standing,
};
use crate::{
    app::App,
    audit,
    tenancy::{
        ClientPlace, DeploymentScope, Held, ProposalId, Record, Roster, Scope, Store, StoreError, TenantId, Wanted,
        keys::Owner,
        policy_mark::{self, PolicyMark},
    },
};

/// The highest version that stood, as the directory says it. Where it says nothing, nobody can tell whether an older policy
/// was put back: the sweep finds out ([`look_after`]), and until then nothing is approved or carried out.
pub fn highest(store: &Store<'_, ClientPlace>, roster: &Roster) -> Result<u32, Unsound> {
    let Owner::Tenant(tenant) = store.owner() else { return Ok(0) };
    roster.policy_mark(tenant).map(|mark| mark.version).ok_or(Unsound::Unmarked)
}

/// For a client of an earlier release, or one whose mark somebody deleted: signs what an earlier release stored, if it is
/// what was approved, and marks the highest version: its number, and nothing of what it asks. `None`: the log is long, and
/// the next run goes on.
async fn establish(store: &Store<'_, ClientPlace>, tenant: TenantId) -> Result<Option<PolicyMark>, StoreError> {
    let app = store.app();
    let Some(mut version) = search::highest_in_log(store).await? else { return Ok(None) };
    if let Some(held) = store.read::<SignedPolicy>(ClientPlace::Assessment, KEY).await? {
        if let Some(policy) = held.value.proved(app, tenant).await? {
            version = version.max(policy.version);
        } else if let Some(policy) = held.value.unproved().filter(|policy| held.value.is_of_earlier_release() && policy.version >= version)
            && let Some(made) = made_by(store, tenant, policy.made_by).await?.filter(|made| made.policy == policy)
        {
            version = policy.version;
            write(store, tenant, made, Some(held), "policy.signed").await?;
        }
    }
    let found = PolicyMark { version, ..PolicyMark::first(tenant) };
    mark(app, store.correlation(), found.clone()).await?;
    Ok(Some(found))
}

/// Says in the directory that this policy stands, and the hash of the proposal that approved it.
pub async fn raise(app: &App, correlation: &str, tenant: TenantId, policy: &Policy, approved: &str) -> Result<(), StoreError> {
    let (version, made_by, needs) = (policy.version, policy.made_by, reach::needs(policy));
    mark(app, correlation, PolicyMark { tenant, version, made_by, approved: approved.into(), needs }).await
}

async fn mark(app: &App, correlation: &str, mark: PolicyMark) -> Result<(), StoreError> {
    let directory = DeploymentScope::of_function("policy", correlation).store(app).await?;
    policy_mark::raise(&directory, mark).await
}

/// A version with the hash of the proposal that approved it.
struct Made {
    policy: Policy,
    approved: String,
}

/// What this proposal of the client made, if it was carried out and enough signed approvals stand in it.
async fn made_by(store: &Store<'_, ClientPlace>, tenant: TenantId, id: Option<ProposalId>) -> Result<Option<Made>, StoreError> {
    let Some(id) = id else { return Ok(None) };
    let Some(held) = store.read::<Proposal>(ClientPlace::Assessment, &id.to_string()).await? else { return Ok(None) };
    let policy = was_approved(store.app(), tenant, &held.value).await?;
    Ok(policy.map(|policy| Made { policy, approved: held.value.hash }))
}

/// The version that this proposal made, if it was carried out and enough signed approvals stand in it.
async fn was_approved(app: &App, tenant: TenantId, proposal: &Proposal) -> Result<Option<Policy>, StoreError> {
    let Some(terms) = proposal.terms.as_ref().filter(|_| super::super::hash::hash_of(tenant, proposal) == proposal.hash) else {
        return Ok(None);
    };
    if proposal.draft.kind != CHANGE_POLICY || !matches!(proposal.state, State::Executed { .. }) {
        return Ok(None);
    }
    let mut signed: Vec<&Decision> = Vec::new();
    for decision in proposal.approvals().filter(|decision| decision.hash == proposal.hash) {
        if Box::pin(receipt::holds(app, tenant, proposal, decision)).await? {
            signed.push(decision);
        }
    }
    let alone = signed.iter().any(|decision| decision.broke_glass && terms.break_glass.contains(&decision.person));
    let enough = alone || quorum::progress(terms, signed.iter().copied()).is_reached();
    Ok(amend::made_by(proposal).filter(|_| enough))
}

/// That a policy is not as it was approved was said in the log, and for which version; there while it is so.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Alarm {
    found: String,
}

impl Record for Alarm {
    const KIND: &'static str = "policy-alarm";
    const SCHEMA: u32 = 1;

    fn key(&self) -> String {
        KEY.into()
    }
}

/// The policy under which the client's proposals stand, with its mark raised; what was changed without a decision is put
/// back from the approvals that made it, and said in the log once. For the sweep. `roster` was read before.
pub async fn look_after(app: &App, scope: &Scope, roster: &Roster) -> Result<Result<Policy, Unsound>, StoreError> {
    let (store, tenant) = (scope.store(app).await?, scope.tenant());
    let mark = match roster.policy_mark(tenant) {
        Some(mark) => mark.clone(),
        // Boxed: once for a client.
        None => match Box::pin(establish(&store, tenant)).await? {
            Some(mark) => mark,
            None => return Ok(Err(Unsound::Unmarked)),
        },
    };
    let mark = as_told(&store, mark).await?;
    let read = store.gather(ClientPlace::Assessment, vec![Wanted::one::<SignedPolicy>(KEY), Wanted::one::<Alarm>(KEY)]).await?;
    let (found, alarm) = (read.one::<SignedPolicy>(KEY).await?, read.one::<Alarm>(KEY).await);
    match standing(app, tenant, found.as_ref(), mark.version).await? {
        Ok(policy) => {
            let approved = found.as_ref().map(|held| held.value.approved()).unwrap_or_default();
            if mark.approved != approved {
                raise(app, store.correlation(), tenant, &policy, approved).await?;
            }
            // One that cannot be read says nothing, and keeps no sound policy from being followed.
            if let Ok(Some(alarm)) = alarm {
                // Somebody put it right, as from a backup.
                let mut batch = store.batch(ClientPlace::Assessment);
                batch.delete(&alarm);
                batch.commit_unless_overtaken().await?;
            }
            Ok(Ok(policy))
        }
        Err(unsound) => {
            if let Some(policy) = Box::pin(restore(&store, &mark, found)).await? {
                return Ok(Ok(policy));
            }
            say(&store, unsound, alarm?).await?;
            Ok(Err(unsound))
        }
    }
}

/// The mark, raised to the version of which the log tells where it was put back itself: its number, and nothing of what it
/// asked.
async fn as_told(store: &Store<'_, ClientPlace>, known: PolicyMark) -> Result<PolicyMark, StoreError> {
    let told = ran::policy_told(store).await?;
    if told <= known.version {
        return Ok(known);
    }
    let raised = PolicyMark { version: told, ..PolicyMark::first(known.tenant) };
    mark(store.app(), store.correlation(), raised.clone()).await?;
    Ok(raised)
}

/// Writes the version that stood last again, from the proposal of which the directory says that it made it. Neither the
/// client's log nor what the proposal says of its own fate is asked: both lie under the client's key, and whoever holds
/// that could name another proposal that was approved once and never came to stand.
async fn restore(
    store: &Store<'_, ClientPlace>,
    mark: &PolicyMark,
    found: Option<Held<SignedPolicy>>,
) -> Result<Option<Policy>, StoreError> {
    let is_it = |made: &Made| made.policy.version == mark.version && made.approved == mark.approved;
    let Some(made) = made_by(store, mark.tenant, mark.made_by).await?.filter(is_it) else { return Ok(None) };
    let policy = made.policy.clone();
    write(store, mark.tenant, made, found, "policy.restored").await?;
    tracing::error!(tenant = %mark.tenant, version = mark.version, "a policy was not as it was approved, and is put back");
    Ok(Some(policy))
}

/// Signs it and writes it, and says so in the log.
async fn write(
    store: &Store<'_, ClientPlace>,
    tenant: TenantId,
    Made { policy, approved }: Made,
    found: Option<Held<SignedPolicy>>,
    kind: &'static str,
) -> Result<(), StoreError> {
    let signed = SignedPolicy::sign(store.app(), tenant, &policy, &approved).await?;
    let alarm: Option<Held<Alarm>> = store.read(ClientPlace::Assessment, KEY).await?;
    let mut batch = store.batch(ClientPlace::Assessment);
    batch.put(signed, found.map(|held| held.etag));
    if let Some(alarm) = &alarm {
        batch.delete(alarm);
    }
    let detail = json!({ "version": policy.version, "proposal": policy.made_by });
    audit::record(&mut batch, audit::Event::new(kind, "policy", detail));
    batch.commit_unless_overtaken().await.map(drop)
}

async fn say(store: &Store<'_, ClientPlace>, unsound: Unsound, held: Option<Held<Alarm>>) -> Result<(), StoreError> {
    tracing::error!(owner = %store.owner(), %unsound, "nothing is approved or carried out under this policy");
    let alarm = Alarm { found: unsound.to_string() };
    if held.as_ref().is_some_and(|held| held.value.found == alarm.found) {
        return Ok(());
    }
    let mut batch = store.batch(ClientPlace::Assessment);
    audit::record(&mut batch, audit::Event::new("policy.unsound", "policy", json!({ "why": alarm.found })));
    batch.put(alarm, held.map(|held| held.etag));
    batch.commit_unless_overtaken().await.map(drop)
}
