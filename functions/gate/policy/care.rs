//! Looks after the stored policies: the highest version that stood, what an earlier release left unsigned, and what
//! somebody changed without a decision.
//!
//! A version follows from the proposal that approved it: its bytes are the action, and its approvals are signed receipts.
//! So what an earlier release left unsigned is signed once, if it is what its approvers signed, and what was lost or put
//! back is made again from the proposal that the log names. Nothing here takes a policy from the store on its word.

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{
    super::{
        amend,
        proposal::Proposal,
        quorum, receipt,
        state::{Decision, State},
    },
    CHANGE_POLICY, KEY, Policy, SignedPolicy, Unsound, reach, standing,
};
use crate::{
    app::App,
    audit::{
        self,
        entry::{HEAD_KEY, Head},
        trail,
    },
    tenancy::{
        ClientPlace, DeploymentScope, Held, Place as _, ProposalId, Record, Roster, Scope, Store, StoreError, TenantId,
        keys::Owner,
        place::AuditPart,
        policy_mark::{self, PolicyMark},
    },
};

/// The highest version that stood, as the directory says it. A client of an earlier release, or one whose mark somebody
/// deleted, gets it here: from the log, and from a policy that is proved.
pub async fn highest(store: &Store<'_, ClientPlace>, roster: &Roster) -> Result<u32, StoreError> {
    let Owner::Tenant(tenant) = store.owner() else { return Ok(0) };
    match roster.policy_mark(tenant) {
        Some(mark) => Ok(mark.version),
        // Boxed: once for a client, and part of every future that decides.
        None => Box::pin(establish(store, tenant)).await,
    }
}

/// Once for a client: signs what an earlier release stored, if it is what was approved, and writes the mark.
async fn establish(store: &Store<'_, ClientPlace>, tenant: TenantId) -> Result<u32, StoreError> {
    let app = store.app();
    let logged = last_in_log(store).await?.map_or(0, |(version, _)| version);
    let mut stands = None;
    if let Some(held) = store.read::<SignedPolicy>(ClientPlace::Assessment, KEY).await? {
        if let Some(policy) = held.value.proved(app, tenant).await? {
            stands = Some(policy);
        } else if let Some(policy) = held.value.unproved().filter(|policy| held.value.is_of_earlier_release() && policy.version >= logged)
            && let Some(made) = made_by(store, tenant, policy.made_by).await?.filter(|made| made.policy == policy)
        {
            stands = Some(policy);
            write(store, tenant, made, Some(held), "policy.signed").await?;
        }
    }
    let policy = stands.unwrap_or_default();
    // What stood and is not there any more: its number, and nothing of what it asked.
    let highest = logged.max(policy.version);
    let needs = if highest == policy.version { reach::needs(&policy) } else { vec![] };
    mark(app, store.correlation(), PolicyMark { tenant, version: highest, needs }).await?;
    Ok(highest)
}

/// Says in the directory that this policy stands.
pub async fn raise(app: &App, correlation: &str, tenant: TenantId, policy: &Policy) -> Result<(), StoreError> {
    mark(app, correlation, PolicyMark { tenant, version: policy.version, needs: reach::needs(policy) }).await
}

async fn mark(app: &App, correlation: &str, mark: PolicyMark) -> Result<(), StoreError> {
    let directory = DeploymentScope::of_function("policy", correlation).store(app).await?;
    policy_mark::raise(&directory, mark).await
}

/// The version of which the client's log says last that it came to stand, and the proposal that made it.
async fn last_in_log(store: &Store<'_, ClientPlace>) -> Result<Option<(u32, Option<ProposalId>)>, StoreError> {
    let head = store.read::<Head>(ClientPlace::audit(AuditPart::Head), HEAD_KEY).await?;
    let mut before = head.map(|head| head.value.next).filter(|next| *next > 0);
    while let Some(end) = before {
        let page = trail::page(store, std::iter::empty(), Some(end)).await?;
        let says = |shown: &trail::Shown| {
            let is_one = ["policy.changed", "policy.signed", "policy.restored"].contains(&shown.kind.as_str());
            let version = u32::try_from(shown.detail["version"].as_u64().filter(|_| is_one)?).ok()?;
            Some((version, shown.detail["proposal"].as_str().and_then(|id| id.parse().ok())))
        };
        if let Some(said) = page.entries.iter().find_map(says) {
            return Ok(Some(said));
        }
        before = page.older;
    }
    Ok(None)
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
    let highest = highest(&store, roster).await?;
    let found = store.read::<SignedPolicy>(ClientPlace::Assessment, KEY).await?;
    match standing(app, tenant, found.as_ref(), highest).await? {
        Ok(policy) => {
            if policy.version > highest {
                raise(app, store.correlation(), tenant, &policy).await?;
            }
            Ok(Ok(policy))
        }
        Err(unsound) => {
            if let Some(policy) = Box::pin(restore(&store, tenant, found, highest)).await? {
                return Ok(Ok(policy));
            }
            say(&store, unsound).await?;
            Ok(Err(unsound))
        }
    }
}

/// Writes the version that stood last again, from the proposal of which the log says that it made it.
async fn restore(
    store: &Store<'_, ClientPlace>,
    tenant: TenantId,
    found: Option<Held<SignedPolicy>>,
    highest: u32,
) -> Result<Option<Policy>, StoreError> {
    let Some((_, id)) = last_in_log(store).await?.filter(|(version, _)| *version == highest) else { return Ok(None) };
    let Some(made) = made_by(store, tenant, id).await?.filter(|made| made.policy.version == highest) else { return Ok(None) };
    let policy = made.policy.clone();
    write(store, tenant, made, found, "policy.restored").await?;
    tracing::error!(%tenant, version = highest, "a policy was not as it was approved, and is put back");
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
    match batch.commit().await {
        // Another process did the same.
        Err(error) if error.is_conflict() => Ok(()),
        other => other,
    }
}

async fn say(store: &Store<'_, ClientPlace>, unsound: Unsound) -> Result<(), StoreError> {
    tracing::error!(owner = %store.owner(), %unsound, "nothing is approved or carried out under this policy");
    let held: Option<Held<Alarm>> = store.read(ClientPlace::Assessment, KEY).await?;
    let alarm = Alarm { found: unsound.to_string() };
    if held.as_ref().is_some_and(|held| held.value.found == alarm.found) {
        return Ok(());
    }
    let mut batch = store.batch(ClientPlace::Assessment);
    audit::record(&mut batch, audit::Event::new("policy.unsound", "policy", json!({ "why": alarm.found })));
    batch.put(alarm, held.map(|held| held.etag));
    match batch.commit().await {
        Err(error) if error.is_conflict() => Ok(()),
        other => other,
    }
}
