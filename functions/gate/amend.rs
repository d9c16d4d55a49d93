//! Changing the policy: an action of the gate's own, gated as any other (L2). Who asks for easier terms does not grant them.
//!
//! The whole policy that would stand is the action's bytes. It is carried out only while the version stands that its
//! approvers compared it with.

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{
    execute::NotPerformed,
    policy::{
        self, CHANGE_POLICY, Fault, Policy, SignedPolicy, Unsound,
        reach::{self, People},
        words::{self, Change},
    },
    proposal::{Draft, OpenMark, Proposal, stage},
    state::Decision,
};
use crate::{
    app::App,
    audit,
    evidence::cui,
    tenancy::{Batch, ClientPlace, ProposalId, Scope, Store, StoreError, keys::Owner, outbox},
};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ChangePolicy {
    /// The version that it replaces.
    from: u32,
    to: Policy,
}

/// For people, at the reason's field.
pub const MARKED: &str = "The reason carries a CUI marking; nothing was kept. Say it without.";

/// For people whose change is not asked, beside the way to the one that waits.
pub const WAITS: &str = "Another change of the policy waits for its decision, so nothing was asked. What you typed is kept here: ask again when that one is decided.";

#[derive(Debug, thiserror::Error)]
pub enum AmendError {
    #[error(transparent)]
    Fault(#[from] Fault),
    #[error("the policy is unsound: {0}")]
    Unsound(#[from] Unsound),
    /// The reason carries a CUI marking: it would stand in mails and cards (design I12).
    #[error("the reason carries a CUI marking")]
    Marked,
    /// Another version stands than the one that was changed.
    #[error("the policy changed at this moment")]
    Moved,
    #[error("a change of the policy waits already")]
    Waits(ProposalId),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Stages the change in the name of the scope's person. Of `wanted`, version and origin do not count. `client` is the
/// client's name, for sentences.
pub async fn propose(app: &App, scope: &Scope, client: &str, wanted: Policy, reason: &str) -> Result<ProposalId, AmendError> {
    propose_over(app, scope, client, (wanted, None), reason).await
}

/// The same, where `wanted` was made from the policy of this version: nothing is asked when another one stands.
pub async fn propose_over(
    app: &App,
    scope: &Scope,
    client: &str,
    (wanted, seen): (Policy, Option<u32>),
    reason: &str,
) -> Result<ProposalId, AmendError> {
    if cui::find(reason).is_some() {
        return Err(AmendError::Marked);
    }
    let store = scope.store(app).await?;
    let open = store.all::<OpenMark>(ClientPlace::Assessment, "").await?;
    if let Some(mark) = open.into_iter().map(|held| held.value).find(|mark| mark.kind == CHANGE_POLICY) {
        return Err(AmendError::Waits(mark.proposal));
    }
    let now = Policy::read(&store).await??;
    if seen.is_some_and(|seen| seen != now.version) {
        return Err(AmendError::Moved);
    }
    let to = Policy { version: now.version, made_by: now.made_by, ..wanted };
    to.check()?;
    let (roster, people) = People::read(app, &store).await?;
    reach::check(&now, &to, &people)?;
    let changes = words::changes(&now, &to, &|person| roster.person_name(person));
    if changes.is_empty() {
        return Err(Fault("Nothing in it is different from the policy that stands.".into()).into());
    }
    let mut batch = store.batch(ClientPlace::Assessment);
    let id = stage(&mut batch, draft(client, &now, to, &changes, reason)?).await?;
    batch.commit().await?;
    if let Err(error) = outbox::flush(&store, ClientPlace::Assessment).await {
        tracing::warn!(error = %error, "the outbox waits for the sweep");
    }
    Ok(id)
}

fn draft(client: &str, now: &Policy, to: Policy, changes: &[Change], reason: &str) -> Result<Draft, Fault> {
    let action = serde_json::to_string(&ChangePolicy { from: now.version, to }).map_err(|error| Fault(error.to_string()))?;
    Ok(Draft {
        kind: CHANGE_POLICY.into(),
        subject: "policy".into(),
        question: format!("Change the approval policy for {client}?"),
        explanation: "The policy says what needs whose approval for this client.".into(),
        action,
        evidence: vec![],
        // What mails and cards say; all of it stands in `after`, a line for each.
        reasons: std::iter::once(reason.to_owned()).filter(|reason| !reason.is_empty()).chain([words::summary(changes)]).collect(),
        limits: vec!["What waits for a decision and is affected begins anew under the new policy.".into()],
        before: format!("Version {} stands.", now.version),
        after: changes.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"),
        approve_verb: "change the policy".into(),
        on_approve: format!("Version {} stands from then on. It can be changed again; that is a decision of its own.", now.version + 1),
        on_reject: "The policy stays as it is.".into(),
        undo: None,
    })
}

/// The version that a proposal makes when it is carried out.
pub fn made_by(proposal: &Proposal) -> Option<Policy> {
    let ChangePolicy { from, to } = serde_json::from_str(&proposal.draft.action).ok()?;
    Some(Policy { version: from.checked_add(1)?, made_by: Some(proposal.id), ..to })
}

/// The policy as it stood in an earlier version, from the proposals that made one of the other; `None` where one of them is
/// not there or not of this form.
pub async fn as_of(store: &Store<'_, ClientPlace>, today: &Policy, version: u32) -> Result<Option<Policy>, StoreError> {
    /// Longer than any page stays open.
    const STEPS: usize = 50;
    let mut policy = today.clone();
    for _ in 0..STEPS {
        if policy.version == version {
            return Ok(Some(policy));
        }
        let Some(id) = policy.made_by else { return Ok(None) };
        let Some(held) = store.read::<Proposal>(ClientPlace::Assessment, &id.to_string()).await? else { return Ok(None) };
        let Ok(ChangePolicy { from, to }) = serde_json::from_str::<ChangePolicy>(&held.value.draft.action) else { return Ok(None) };
        policy = match to.made_by {
            // What is asked keeps in its origin the decision that made the version which it replaces.
            Some(before) => {
                let held = store.read::<Proposal>(ClientPlace::Assessment, &before.to_string()).await?;
                let Some(made) = held.and_then(|held| made_by(&held.value)).filter(|made| made.version == from) else { return Ok(None) };
                made
            }
            None if from == 0 => Policy::default(),
            None => return Ok(None),
        };
    }
    Ok(None)
}

/// Adds to the gate's batch what the approved change does.
pub async fn perform(proposal: &Proposal, decision: Option<&Decision>, batch: &mut Batch<'_, '_, ClientPlace>) -> Result<(), NotPerformed> {
    let refused = |why: &str| Err(NotPerformed::Refused(why.into()));
    if decision.is_none() {
        return refused("Nobody approved it.");
    }
    let Some(to) = made_by(proposal) else {
        return Err(NotPerformed::Failed("The stored action is not in a form that this release knows.".into()));
    };
    if let Err(fault) = to.check() {
        return Err(NotPerformed::Refused(fault.0));
    }
    let (store, app) = (batch.store(), batch.store().app());
    let Owner::Tenant(tenant) = store.owner() else { return refused("It is no client's.") };
    let held = store.read::<SignedPolicy>(batch.place(), policy::KEY).await?;
    // Whether it was put back, the gate has asked.
    let now = match policy::standing(app, tenant, held.as_ref(), 0).await? {
        Ok(now) => now,
        Err(unsound) => return Err(NotPerformed::Refused(unsound.sentence())),
    };
    if now.version + 1 != to.version {
        return refused("The policy was changed otherwise after this was proposed; nothing was changed.");
    }
    // People may have left since it was asked.
    let (roster, people) = People::read(app, store).await?;
    if let Err(fault) = reach::check(&now, &to, &people) {
        return Err(NotPerformed::Refused(fault.0));
    }
    let signed = SignedPolicy::sign(app, tenant, &to, &proposal.hash).await?;
    let changes: Vec<String> = words::changes(&now, &to, &|person| roster.person_name(person)).iter().map(ToString::to_string).collect();
    let detail = json!({ "version": to.version, "proposal": proposal.id, "changes": changes, "before": now, "after": to });
    audit::record(batch, audit::Event::new("policy.changed", "policy", detail));
    batch.put(signed, held.map(|held| held.etag));
    Ok(())
}
