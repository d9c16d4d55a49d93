//! Evidence that grows too old while a proposal waits for its approver.
//!
//! Time passes without a message, so the sweep looks: for what Assay raised by itself it asks for an analysis, which
//! brings the proposal up to date or withdraws it. What a person proposed stays: its approver sees that it is too old,
//! cannot approve it, and can reject it. Nothing here decides.

use std::collections::BTreeSet;

use time::OffsetDateTime;

use super::{catalogue::catalogue, map::Entry, mark::MARK, objective};
use crate::{
    app::App,
    evidence::AnalyzeV1,
    gate::{Proposal, State, machine, proposal::OpenMark},
    tenancy::{Actor, ClientPlace, Passed, Scope, Store, StoreError, outbox},
};

/// Messages of one batch, far below what a batch may hold.
const PORTION: usize = 50;

/// Asks for an analysis of what an open proposal rests on that was raised by rule and could not be approved as it stands:
/// something in it is too old, or another release staged it. Returns how many records. For the sweep.
pub async fn wake(app: &App, scope: &Scope) -> Result<usize, StoreError> {
    let store = scope.store(app).await?;
    let now = app.now();
    let (mut stale, mut passed) = (BTreeSet::new(), Passed::default());
    for mark in passed.all(store.all_of_each::<OpenMark>(ClientPlace::Assessment, "").await?)? {
        if mark.value.kind != MARK || matches!(mark.value.requester, Actor::Person(_)) {
            continue;
        }
        let found = store.read::<Proposal>(ClientPlace::Assessment, &mark.value.proposal.to_string()).await;
        let held = passed.by(found)?.flatten();
        let Some(proposal) = held.map(|held| held.value).filter(|proposal| is_blocked(proposal, now)) else { continue };
        let evidence = &proposal.draft.evidence;
        let telling = evidence.iter().find(|e| e.is_stale(now)).or(evidence.first());
        stale.extend(telling.map(|e| e.source_key.clone()));
    }
    let stale: Vec<String> = stale.into_iter().collect();
    for portion in stale.chunks(PORTION) {
        let mut batch = store.batch(ClientPlace::Assessment);
        for source_key in portion {
            let message = AnalyzeV1 { source_key: source_key.clone() };
            outbox::send(&mut batch, "analyze", &message, std::time::Duration::ZERO)?;
        }
        batch.commit().await?;
    }
    if !stale.is_empty() {
        outbox::flush(&store, ClientPlace::Assessment).await?;
    }
    passed.end(stale.len())
}

/// Whether an open proposal about an objective of this record type, raised by rule, could not be approved as it stands.
pub(super) async fn is_any_blocked(store: &Store<'_, ClientPlace>, entry: &Entry, now: OffsetDateTime) -> Result<bool, StoreError> {
    for (id, _) in entry.objectives().filter(|(id, _)| catalogue().objective(id).is_some()) {
        let Some(last) = objective::read(store, id).await?.value.last_proposal.filter(|last| !last.by_hand) else { continue };
        let held = store.read::<Proposal>(ClientPlace::Assessment, &last.id.to_string()).await?;
        if held.is_some_and(|held| is_blocked(&held.value, now)) {
            return Ok(true);
        }
    }
    Ok(false)
}

fn is_blocked(proposal: &Proposal, now: OffsetDateTime) -> bool {
    proposal.state == State::Open && machine::blocked(proposal, now).is_some()
}
