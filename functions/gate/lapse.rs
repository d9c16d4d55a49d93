//! How proposals end without a human: they expire, or new evidence, or evidence that grew too old, takes their ground.
//!
//! Both are audited; neither approves anything (I4). Expiry is sticky: once written, a clock that goes back reopens nothing.

use serde_json::json;

use super::{
    demotion,
    event::Event,
    level::Level,
    machine::next,
    policy::{care, has_great_effect},
    proposal::{ApprovedMark, Occasion, OpenMark, Proposal, UndoMark, advance, object, revise_under, tell},
    refusal::Refusal,
    state::{Cause, State},
};
use crate::{
    app::App,
    audit,
    tenancy::{Batch, ClientPlace, Held, Passed, ProposalId, Roster, Scope, Store, StoreError, Wanted, outbox},
};

/// Adds to the caller's batch that what this proposal did was taken back by another (two operations); nothing where it did
/// not run.
pub fn rolled_back(batch: &mut Batch<'_, '_, ClientPlace>, held: &Held<Proposal>, by: ProposalId) {
    let Ok(after) = next(&held.value, Event::RollBack { by }, batch.store().app().now()) else { return };
    advance(batch, held, after, None);
    let detail = json!({ "version": held.value.version, "hash": held.value.hash, "by": by });
    audit::record(batch, audit::Event::new("proposal.rolled_back", object(held.value.id), detail));
}

/// Adds to the caller's batch that this proposal no longer stands (three operations); `by` is the one staged in its
/// place, if one is. Refused when it has ended already: then there is nothing to supersede.
pub fn supersede(
    batch: &mut Batch<'_, '_, ClientPlace>,
    held: &Held<Proposal>,
    by: Option<ProposalId>,
    cause: Cause,
) -> Result<(), Refusal> {
    let after = next(&held.value, Event::Supersede { by, cause }, batch.store().app().now())?;
    advance(batch, held, after, None);
    let detail = json!({ "version": held.value.version, "hash": held.value.hash, "by": by, "cause": cause });
    audit::record(batch, audit::Event::new("proposal.superseded", object(held.value.id), detail));
    Ok(())
}

/// Expires what nobody decided, or what was approved and did not run, or was overridden and not undone, in time; returns how
/// many. For the sweep.
pub async fn expire(app: &App, scope: &Scope) -> Result<usize, StoreError> {
    let store = scope.store(app).await?;
    let now = app.now();
    let wanted = vec![Wanted::all::<OpenMark>(""), Wanted::all::<ApprovedMark>(""), Wanted::all::<UndoMark>("")];
    let found = store.gather(ClientPlace::Assessment, wanted).await?;
    let mut passed = Passed::default();
    let open = passed.all(found.all_of_each::<OpenMark>("").await?)?;
    let approved = passed.all(found.all_of_each::<ApprovedMark>("").await?)?;
    let undoable = passed.all(found.all_of_each::<UndoMark>("").await?)?;
    forget(&store, undoable.into_iter().filter(|held| held.value.undo_until <= now).collect()).await?;
    let due = (open.iter().filter(|held| held.value.decide_by <= now).map(|held| held.value.proposal))
        .chain(approved.iter().filter(|held| held.value.run_by <= now).map(|held| held.value.proposal));
    let mut expired = 0;
    for id in due {
        let found = store.read::<Proposal>(ClientPlace::Assessment, &id.to_string()).await;
        let Some(held) = passed.by(found)?.flatten() else { continue };
        let Ok(after) = next(&held.value, Event::Expire, now) else { continue };
        let mut batch = store.batch(ClientPlace::Assessment);
        end(&mut batch, &held, after)?;
        // Where somebody moved it just now, the next sweep looks again.
        expired += usize::from(batch.commit_unless_overtaken().await?);
    }
    if expired > 0 {
        outbox::flush(&store, ClientPlace::Assessment).await?;
    }
    passed.end(expired)
}

/// The marks of what one person cannot undo any more. Bookkeeping: the proposal says so itself.
async fn forget(store: &Store<'_, ClientPlace>, over: Vec<Held<UndoMark>>) -> Result<(), StoreError> {
    for some in over.chunks(50) {
        let mut batch = store.batch(ClientPlace::Assessment);
        for mark in some {
            batch.delete(mark);
        }
        // Where somebody answered one just now, the next sweep looks again.
        batch.commit_unless_overtaken().await?;
    }
    Ok(())
}

/// Puts open proposals under the client's policy of today, where it asks something else than when they were staged: a new
/// version, whose approvals begin anew. Returns how many: none under a policy that is not as it was approved, which is
/// put right first where that is possible. For the sweep; `roster` was read before.
pub async fn bring_under_policy(app: &App, scope: &Scope, roster: &Roster) -> Result<usize, StoreError> {
    let Ok(policy) = Box::pin(care::look_after(app, scope, roster)).await? else { return Ok(0) };
    let store = scope.store(app).await?;
    let (mut brought, mut passed) = (0, Passed::default());
    for mark in passed.all(store.all_of_each::<OpenMark>(ClientPlace::Assessment, "").await?)? {
        // A release may ask more of what has great effect than the one under which it was staged; the version says nothing of that.
        if mark.value.policy_version >= policy.version && !has_great_effect(&mark.value.kind) {
            continue;
        }
        let found = store.read::<Proposal>(ClientPlace::Assessment, &mark.value.proposal.to_string()).await;
        let Some(held) = passed.by(found)?.flatten() else { continue };
        let today = demotion::today(&store, &policy, &held.value).await?;
        if held.value.terms.as_ref().is_none_or(|terms| terms.is_as(&today)) {
            continue;
        }
        let mut batch = store.batch(ClientPlace::Assessment);
        if revise_under(&mut batch, &held, held.value.draft.clone(), &policy).await?.is_err() {
            continue;
        }
        brought += usize::from(batch.commit_unless_overtaken().await?);
    }
    if brought > 0 {
        outbox::flush(&store, ClientPlace::Assessment).await?;
    }
    passed.end(brought)
}

/// Adds to the batch that it ended so, without anybody.
pub(super) fn end(batch: &mut Batch<'_, '_, ClientPlace>, held: &Held<Proposal>, after: Proposal) -> Result<(), StoreError> {
    let (version, hash) = (held.value.version, &held.value.hash);
    let (kind, detail, owed) = match &after.state {
        State::NotUndone { why, .. } => ("proposal.not_undone", json!({ "version": version, "hash": hash, "why": why }), true),
        state => {
            let was_approved = matches!(state, State::Expired { approved: true, .. });
            ("proposal.expired", json!({ "version": version, "hash": hash, "was_approved": was_approved }), was_approved)
        }
    };
    if owed && after.level() > Level::L0 {
        tell(batch, &after, Occasion::NotDone)?;
    }
    advance(batch, held, after, None);
    audit::record(batch, audit::Event::new(kind, object(held.value.id), detail));
    Ok(())
}
