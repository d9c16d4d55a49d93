//! Whether a client's key record is an earlier one that somebody put back: it is as genuine as the last one, and a data key
//! that leaked would seal again. And whether it is gone, or says that the data keys were destroyed where they were not.
//!
//! The sweep keeps the highest epoch that it saw of each client among the installation's records, and a record that has fewer
//! is an alarm in the installation's log, once for each that is put back; one that Assay did not sign counts as neither. What
//! was sealed under a later data key does not open then, which is said as well (`record.unreadable`). A record of data keys
//! that were destroyed is overwritten again. Not found here: a record that is put back together with its mark, or before the
//! sweep after the change; and the installation's own, without which nothing of the installation opens.

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::offboarding::destroy::Destroyed;
use crate::{
    audit,
    tenancy::{DeploymentPlace, Held, KeyTrouble, Record, Store, StoreError, TenantId, key_change, keys::Owner},
};

/// The highest epoch that a client's key record had.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct EpochMark {
    tenant: TenantId,
    epoch: u32,
    /// The lower one of which the log has been told; 0: that there is none.
    told: Option<u32>,
}

impl Record for EpochMark {
    const KIND: &'static str = "epoch-mark";
    const SCHEMA: u32 = 1;

    fn key(&self) -> String {
        self.tenant.to_string()
    }
}

/// Whether a key record of this epoch is an earlier one of the client's.
pub(super) async fn is_put_back(store: &Store<'_, DeploymentPlace>, tenant: TenantId, epoch: u32) -> Result<bool, StoreError> {
    let mark = store.read::<EpochMark>(DeploymentPlace::Directory, &tenant.to_string()).await?;
    Ok(mark.is_some_and(|mark| epoch < mark.value.epoch))
}

/// Looks at one client's key record, which needs no key of the client's; whether it is the last that was seen.
pub async fn watch(store: &Store<'_, DeploymentPlace>, tenant: TenantId) -> Result<bool, StoreError> {
    if let Some(destroyed) = Destroyed::of(store, tenant).await? {
        return stays_destroyed(store, &destroyed).await;
    }
    // The mark first: an epoch only rises, so one that is read later is never lower by itself.
    let held = store.read::<EpochMark>(DeploymentPlace::Directory, &tenant.to_string()).await?;
    let (found, is_lost) = match key_change::signed_facts(store.app(), Owner::Tenant(tenant)).await {
        Ok(found) => (found.map_or(0, |facts| facts.epoch), false),
        // At this moment.
        Err(StoreError::Destroyed { .. }) => return Ok(true),
        Err(error) if error.key_trouble() == Some(KeyTrouble::Lost) => (0, true),
        Err(error) => return Err(error),
    };
    let (known, etag) = match held {
        Some(Held { value, etag }) => (value, Some(etag)),
        None => (EpochMark { tenant, epoch: 0, told: None }, None),
    };
    let fell = is_lost || found < known.epoch;
    let now = EpochMark { tenant, epoch: known.epoch.max(found), told: fell.then_some(found) };
    if now == known {
        return Ok(!fell);
    }
    let mut batch = store.batch(DeploymentPlace::Directory);
    if fell {
        let (kind, detail) = match found {
            0 => ("key.lost", json!({ "before": known.epoch })),
            _ => ("key.put_back", json!({ "before": known.epoch, "after": found })),
        };
        audit::record(&mut batch, audit::Event::new(kind, format!("client {tenant}"), detail));
    }
    batch.put(now, etag);
    // Where the sweep of another instance was faster, it said the same.
    batch.commit_unless_overtaken().await?;
    Ok(!fell)
}

/// Whatever somebody put in place of data keys that were destroyed: it opens nothing for longer than until here.
async fn stays_destroyed(store: &Store<'_, DeploymentPlace>, destroyed: &Destroyed) -> Result<bool, StoreError> {
    let found = match key_change::standing(store.app(), Owner::Tenant(destroyed.tenant)).await {
        Err(StoreError::Destroyed { .. }) => return Ok(true),
        other => other?,
    };
    let after = found.facts.as_ref().map_or(0, |facts| facts.epoch);
    key_change::destroy(store, destroyed.tenant, &found, |batch| {
        let detail = json!({ "before": destroyed.epochs, "after": after, "destroyed_at": destroyed.at.unix_timestamp() });
        audit::record(batch, audit::Event::new("key.put_back", format!("client {}", destroyed.tenant), detail));
    })
    .await?;
    Ok(false)
}
