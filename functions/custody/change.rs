//! What an owner changes of a client's keys: in which regions they may be unwrapped, and a further data key before its time
//! (and, in [`super::vault_key`], which key of a vault wraps them).
//!
//! The change and the installation's audit item are one batch, beside the key record. Then the directory says that the keys
//! changed, and every process that answers a request or a message forgets what it has of them; a stop in between leaves
//! that to the five minutes after which keys are forgotten anyway, and the same form again says it.

use serde_json::json;

use crate::{
    audit,
    tenancy::{
        DeploymentPlace, Store, StoreError, TenantId,
        directory::KeysChanged,
        key_change::{self, Change, Facts},
        keys::Owner,
        regions::Regions,
    },
};

type Directory<'a> = Store<'a, DeploymentPlace>;

#[derive(Debug, thiserror::Error)]
pub enum ChangeError {
    /// Nothing was changed; a sentence for people.
    #[error("{0}")]
    Refused(&'static str),
    #[error(transparent)]
    Store(#[from] StoreError),
}

const NO_REGION: &str = "Give Azure's names of regions, in lower case letters and digits, with commas between them; or nothing, for any.";
const NOT_HERE: &str = "Assay itself runs in none of these regions (or ASSAY_REGION does not say where), so it could not read the client's records. Nothing was changed.";
pub(super) const NO_KEYS: &str = "This client has no data keys yet. Nothing was changed.";

const PUT_BACK: &str = "An earlier record of this client\u{2019}s data keys was put back. Put the last one back from a backup first: a further data key now would take the number of one that is lost. Nothing was changed.";

/// What is known of the client's keys; `None`: it has none yet.
pub async fn facts(store: &Directory<'_>, tenant: TenantId) -> Result<Option<Facts>, StoreError> {
    key_change::facts(store.app(), Owner::Tenant(tenant)).await
}

/// Says anew in which regions the client's records may be read.
pub async fn change_regions(store: &Directory<'_>, tenant: TenantId, regions: &str) -> Result<(), ChangeError> {
    let regions = Regions::parse(regions).ok_or(ChangeError::Refused(NO_REGION))?;
    if !regions.admit(store.app().config.region.as_deref()) {
        return Err(ChangeError::Refused(NOT_HERE));
    }
    let seen = facts(store, tenant).await?.ok_or(ChangeError::Refused(NO_KEYS))?;
    if seen.regions != regions {
        let detail = json!({ "before": seen.regions.text(), "after": regions.text() });
        change(store, Owner::Tenant(tenant), &seen, Change::Regions(regions), "key.regions_changed", detail).await?;
    }
    tell(store, tenant).await
}

/// A further data key now, as after one may have leaked: a client's, or the installation's own.
pub async fn rotate(store: &Directory<'_>, owner: Owner, epoch: &str, reason: &str) -> Result<(), ChangeError> {
    let reason = reason.trim();
    if reason.is_empty() || reason.chars().count() > 500 {
        return Err(ChangeError::Refused("Say why, in at most 500 characters: it stands in the log. Nothing was changed."));
    }
    let seen = key_change::facts(store.app(), owner).await?.ok_or(ChangeError::Refused(NO_KEYS))?;
    if let Owner::Tenant(tenant) = owner
        && super::watch::is_put_back(store, tenant, seen.epoch).await?
    {
        return Err(ChangeError::Refused(PUT_BACK));
    }
    // The same form sent twice makes one.
    if seen.epoch.to_string() == epoch {
        let detail = json!({ "before": seen.epoch, "after": seen.epoch + 1, "reason": reason });
        change(store, owner, &seen, Change::NextKey, "key.rotation_ordered", detail).await?;
    }
    match owner {
        Owner::Tenant(tenant) => tell(store, tenant).await,
        // Every process finds it by itself: what a newer key sealed is looked for, and the older one is forgotten in minutes.
        Owner::Deployment => Ok(()),
    }
}

async fn change(
    store: &Directory<'_>,
    owner: Owner,
    seen: &Facts,
    change: Change,
    kind: &'static str,
    detail: serde_json::Value,
) -> Result<(), StoreError> {
    let add = |batch: &mut crate::tenancy::Batch<'_, '_, DeploymentPlace>| {
        let whose = match owner {
            Owner::Tenant(tenant) => format!("client {tenant}"),
            Owner::Deployment => "installation".into(),
        };
        audit::record(batch, audit::Event::new(kind, whose, detail));
    };
    if key_change::change_with(store, owner, seen, change, add).await? { Ok(()) } else { Err(StoreError::Refused { refused: vec![] }) }
}

/// Makes every process forget the keys that it has in memory.
pub(super) async fn tell(store: &Directory<'_>, tenant: TenantId) -> Result<(), ChangeError> {
    let told = KeysChanged { tenant, at: store.app().now() };
    let held = store.read::<KeysChanged>(DeploymentPlace::Directory, &tenant.to_string()).await?;
    let mut batch = store.batch(DeploymentPlace::Directory);
    batch.put(told, held.map(|held| held.etag));
    // Where it was overtaken, somebody else said the same at this moment.
    batch.commit_unless_overtaken().await?;
    Ok(())
}
