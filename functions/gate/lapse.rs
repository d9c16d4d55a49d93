//! How proposals end without a human: they expire, or new evidence, or evidence that grew too old, takes their ground.
//!
//! Both are audited; neither approves anything (I4). Expiry is sticky: once written, a clock that goes back reopens nothing.

use serde_json::json;

use super::{
    machine::{Event, Refusal, next},
    proposal::{ApprovedMark, Cause, OpenMark, Proposal, State, advance, object},
};
use crate::{
    app::App,
    audit,
    tenancy::{Batch, ClientPlace, Held, ProposalId, Scope, Store, StoreError},
};

/// Adds to the caller's batch that this proposal no longer stands (three operations); `by` is the one staged in its
/// place, if one is. Refused when it has ended already: then there is nothing to supersede.
pub fn supersede(
    batch: &mut Batch<'_, '_, ClientPlace>,
    held: &Held<Proposal>,
    by: Option<ProposalId>,
    cause: Cause,
) -> Result<(), Refusal> {
    let state = next(&held.value, Event::Supersede { by, cause }, batch.store().app().now())?;
    advance(batch, held, state);
    let detail = json!({ "version": held.value.version, "hash": held.value.hash, "by": by, "cause": cause });
    audit::record(batch, audit::Event::new("proposal.superseded", object(held.value.id), detail));
    Ok(())
}

/// Expires what nobody decided, or what was approved and did not run, in time; returns how many. For the sweep.
pub async fn expire(app: &App, scope: &Scope) -> Result<usize, StoreError> {
    let store = scope.store(app).await?;
    let now = app.now();
    let open = store.all::<OpenMark>(ClientPlace::Assessment, "").await?;
    let approved = store.all::<ApprovedMark>(ClientPlace::Assessment, "").await?;
    let due = (open.iter().filter(|held| held.value.decide_by <= now).map(|held| held.value.proposal))
        .chain(approved.iter().filter(|held| held.value.run_by <= now).map(|held| held.value.proposal));
    let mut expired = 0;
    for id in due {
        let Some(held) = store.read::<Proposal>(ClientPlace::Assessment, &id.to_string()).await? else { continue };
        let Ok(state) = next(&held.value, Event::Expire, now) else { continue };
        match write(&store, &held, state).await {
            Ok(()) => expired += 1,
            // Somebody moved it just now; the next sweep looks again.
            Err(error) if error.is_conflict() => {}
            Err(error) => return Err(error),
        }
    }
    Ok(expired)
}

pub(super) async fn write(store: &Store<'_, ClientPlace>, held: &Held<Proposal>, state: State) -> Result<(), StoreError> {
    let mut batch = store.batch(ClientPlace::Assessment);
    let detail = json!({ "version": held.value.version, "hash": held.value.hash, "was_approved": state.decision().is_some() });
    advance(&mut batch, held, state);
    audit::record(&mut batch, audit::Event::new("proposal.expired", object(held.value.id), detail));
    batch.commit().await
}
