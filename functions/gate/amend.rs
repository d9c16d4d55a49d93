//! Changing the policy: an action of the gate's own, gated as any other (L2). Who asks for easier terms does not grant them.
//!
//! The whole policy that would stand is the action's bytes. It is carried out only while the version stands that its
//! approvers compared it with.

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{
    execute::NotPerformed,
    policy::{self, CHANGE_POLICY, Fault, Policy},
    proposal::{Draft, OpenMark, Proposal, stage},
    state::Decision,
};
use crate::{
    app::App,
    audit,
    tenancy::{Batch, ClientPlace, Held, ProposalId, Scope, StoreError, outbox},
};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ChangePolicy {
    /// The version that it replaces.
    from: u32,
    to: Policy,
}

#[derive(Debug, thiserror::Error)]
pub enum AmendError {
    #[error(transparent)]
    Fault(#[from] Fault),
    #[error("a change of the policy waits already")]
    Waits(ProposalId),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Stages the change in the name of the scope's person. Of `wanted`, version and origin do not count. `client` is the
/// client's name, for sentences.
pub async fn propose(app: &App, scope: &Scope, client: &str, wanted: Policy, reason: &str) -> Result<ProposalId, AmendError> {
    let store = scope.store(app).await?;
    let open = store.all::<OpenMark>(ClientPlace::Assessment, "").await?;
    if let Some(mark) = open.into_iter().map(|held| held.value).find(|mark| mark.kind == CHANGE_POLICY) {
        return Err(AmendError::Waits(mark.proposal));
    }
    let now = Policy::read(&store).await?;
    let to = Policy { version: now.version, made_by: now.made_by, ..wanted };
    to.check()?;
    let changes = differences(&now, &to);
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

fn draft(client: &str, now: &Policy, to: Policy, changes: &[String], reason: &str) -> Result<Draft, Fault> {
    let action = serde_json::to_string(&ChangePolicy { from: now.version, to }).map_err(|error| Fault(error.to_string()))?;
    Ok(Draft {
        kind: CHANGE_POLICY.into(),
        subject: "policy".into(),
        question: format!("Change the approval policy for {client}?"),
        explanation: "The policy says what needs whose approval for this client.".into(),
        action,
        evidence: vec![],
        reasons: std::iter::once(reason.to_owned()).filter(|reason| !reason.is_empty()).chain(changes.iter().cloned()).collect(),
        limits: vec!["What waits for a decision and is affected begins anew under the new policy.".into()],
        before: format!("Version {} stands.", now.version),
        after: format!("{}.", changes.join("; ")),
        approve_verb: "change the policy".into(),
        on_approve: format!("Version {} stands from then on. It can be changed again; that is a decision of its own.", now.version + 1),
        on_reject: "The policy stays as it is.".into(),
        undo: None,
    })
}

/// Each difference as words: `Mark an objective: needs 1 approval -> needs 2 approvals`.
pub fn differences(now: &Policy, to: &Policy) -> Vec<String> {
    let mut changes = Vec::new();
    for (kind, _, words) in policy::KINDS {
        let (before, after) = (now.terms(kind).rule, to.terms(kind).rule);
        if before == after {
            continue;
        }
        let (was, is) = (before.words(), after.words());
        changes.push(if was == is { format!("{words}: other clocks or conditions") } else { format!("{words}: {was} \u{2192} {is}") });
    }
    if now.groups != to.groups {
        changes.push("other people in the groups".into());
    }
    if now.same_human != to.same_human {
        changes.push("other accounts of one person".into());
    }
    if now.break_glass != to.break_glass {
        changes.push("other people may approve alone in an emergency".into());
    }
    changes
}

/// Adds to the gate's batch what the approved change does.
pub async fn perform(proposal: &Proposal, decision: Option<&Decision>, batch: &mut Batch<'_, '_, ClientPlace>) -> Result<(), NotPerformed> {
    let refused = |why: &str| Err(NotPerformed::Refused(why.into()));
    if decision.is_none() {
        return refused("Nobody approved it.");
    }
    let Ok(ChangePolicy { from, to }) = serde_json::from_str::<ChangePolicy>(&proposal.draft.action) else {
        return refused("The stored action is not in a form that this release knows.");
    };
    if let Err(fault) = to.check() {
        return Err(NotPerformed::Refused(fault.0));
    }
    let held = batch.store().read::<Policy>(batch.place(), policy::KEY).await?;
    let now = held.as_ref().map(|held| held.value.clone()).unwrap_or_default();
    if now.version != from {
        return refused("The policy was changed otherwise after this was proposed; nothing was changed.");
    }
    let to = Policy { version: from + 1, made_by: Some(proposal.id), ..to };
    let detail = json!({ "version": to.version, "proposal": proposal.id, "changes": differences(&now, &to), "before": now, "after": to });
    audit::record(batch, audit::Event::new("policy.changed", "policy", detail));
    match held {
        Some(Held { etag, .. }) => batch.replace(&Held { value: to, etag }),
        None => batch.create(&to),
    };
    Ok(())
}
