//! What people's overrides changed: rules whose actions ran by themselves, and about which people are asked now.
//!
//! The record is a function of the client's log alone ([`learning`](super::learning)); only the sweep writes it, in the
//! batch that says so in the log. Staging, deciding and carrying out take the stricter of policy and record, so a rule that
//! learning demoted needs its approval from the next action on. It never makes anything easier. Who deletes it gains what
//! the policy allows anyway, and that only until the next sweep folds the log again.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::json;
use time::Duration;

use super::{
    learning::Rule,
    level::Level,
    policy::{Policy, Terms},
    proposal::{Occasion, Proposal, advance, object, tell},
    state::State,
};
use crate::{
    audit,
    tenancy::{ClientPlace, Held, Record, Store, StoreError, TenantId},
};

/// The rules of one client that are gated more strictly than their kind begins, and how.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Demoted {
    pub rules: BTreeMap<Rule, Level>,
}

pub const KEY: &str = "learned";

impl Record for Demoted {
    const KIND: &'static str = "demoted";
    const SCHEMA: u32 = 1;

    fn key(&self) -> String {
        KEY.into()
    }
}

/// What the policy asks for a new action of a rule, or more where people overrode it too often. Reads nothing where people
/// are asked anyway.
pub async fn terms(store: &Store<'_, ClientPlace>, policy: &Policy, kind: &str, subject: &str) -> Result<Terms, StoreError> {
    let terms = policy.terms(kind);
    if terms.level() >= Level::L2 {
        return Ok(terms);
    }
    let kept = store.read::<Demoted>(ClientPlace::Assessment, KEY).await?;
    let level = kept.and_then(|kept| kept.value.rules.get(&Rule::of(kind, subject)).copied());
    Ok(level.map_or_else(|| terms.clone(), |level| terms.clone().demoted(level)))
}

/// The same for what is staged already. What came to people stays with them, whatever is learned or written later.
pub(super) async fn today(store: &Store<'_, ClientPlace>, policy: &Policy, proposal: &Proposal) -> Result<Terms, StoreError> {
    let kind = &proposal.draft.kind;
    match &proposal.terms {
        Some(staged) if staged.demoted_from.is_some() => Ok(policy.terms(kind).demoted(staged.level())),
        // The same where the policy asked for people and does not any more: nothing that waits for them runs by itself, and
        // under a level that takes no approvals nobody could end it.
        Some(staged) if staged.level() >= Level::L2 => Ok(policy.terms(kind).asking_people()),
        _ => terms(store, policy, kind, &proposal.draft.subject).await,
    }
}

/// Brings to people what was cleared to run by itself and did not run before its rule needed an approval: another version,
/// open, with a deadline of its own. `None`: it is not such a one.
pub fn recalled(tenant: TenantId, proposal: &Proposal, today: &Terms, now: time::OffsetDateTime) -> Option<Proposal> {
    if !matches!(proposal.state, State::Cleared { .. }) || today.level() < Level::L2 {
        return None;
    }
    let decide_by = now + Duration::hours(today.rule.decide_within.into());
    let open = Proposal { state: State::Open, decide_by, clearance: None, ..proposal.clone() };
    Some(open.revised(tenant, proposal.draft.clone(), today.clone()))
}

/// Writes that in one batch with its audit item and the request to tell those who may approve.
pub(super) async fn recall(store: &Store<'_, ClientPlace>, held: &Held<Proposal>, after: Proposal) -> Result<Proposal, StoreError> {
    let mut batch = store.batch(ClientPlace::Assessment);
    advance(&mut batch, held, after.clone(), None);
    batch.create(&after.mark());
    tell(&mut batch, &after, Occasion::Asked)?;
    let detail = json!({
        "version": after.version, "hash": after.hash, "before": held.value.hash, "approvals_void": 0, "level": after.level(),
        "level_before": held.value.level(),
    });
    audit::record(&mut batch, audit::Event::new("proposal.revised", object(after.id), detail));
    batch.commit().await?;
    Ok(after)
}
