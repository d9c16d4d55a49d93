//! A client's own vault key later: its data keys wrapped by another key of a vault, such as one that the client now holds.
//!
//! The new key is tried first, then one batch rewrites the key record, notes which key wrapped it before, and says so in the
//! installation's log. Nothing is sealed anew, and a stop leaves the old key or the new one. The key before stays named
//! ([`FormerVaultKeys`]): a copy of the database from before opens with it, so the end of the client asks for its deletion too.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use time::OffsetDateTime;

use super::change::{self, ChangeError, NO_KEYS};
use crate::{
    audit::{
        self, Item,
        entry::Entry,
        walk::{published, walk},
    },
    platform::key_uri::KeyUri,
    tenancy::{
        Batch, DeploymentPlace, Held, Record, Roster, Store, StoreError, TenantId,
        key_change::{self, Change},
        keys::Owner,
        vault_key::{self, Reservation},
    },
};

type Directory<'a> = Store<'a, DeploymentPlace>;

/// Which keys of a vault wrapped a client's data keys before; written in the batch that takes another one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FormerVaultKeys {
    pub tenant: TenantId,
    /// Oldest first; none stands here twice, and not the one that wraps now.
    pub keys: Vec<FormerVaultKey>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FormerVaultKey {
    pub key: String,
    #[serde(with = "time::serde::rfc3339")]
    pub until: OffsetDateTime,
}

impl Record for FormerVaultKeys {
    const KIND: &'static str = "former-vault-keys";
    const SCHEMA: u32 = 1;

    fn key(&self) -> String {
        self.tenant.to_string()
    }
}

/// Beside the client's key record; empty for a client that has its first one.
pub async fn former(store: &Directory<'_>, tenant: TenantId) -> Result<Vec<FormerVaultKey>, StoreError> {
    let held = store.read::<FormerVaultKeys>(DeploymentPlace::Keys(tenant), &tenant.to_string()).await?;
    Ok(held.map(|held| held.value.keys).unwrap_or_default())
}

/// Vault keys that the installation's log names for a client.
pub(super) struct Logged {
    /// Those that wrapped its data keys, or do.
    pub keys: Vec<String>,
    /// Whether every entry since the client was added could be read.
    pub is_whole: bool,
}

/// Entries that are read back at most before the published end: a round trip for each hundred.
const READ_BACK: u64 = 50_000;

/// Whoever holds the store can delete the record of former keys, or put an older one back; each change stands in the log too,
/// or waits for its place there. How long that log is, its entries say and its checkpoint, not its head, which can be put back
/// as well.
pub(super) async fn named_in_log(store: &Directory<'_>, tenant: TenantId) -> Result<Logged, StoreError> {
    let (object, mut keys, mut is_added) = (format!("client {tenant}"), Vec::new(), false);
    let mut take = |kind: &str, of: &str, detail: &Value| {
        if of == object && KINDS.contains(&kind) {
            is_added |= kind == ADDED;
            keys.extend(["before", "after", "key"].iter().filter_map(|side| detail[side].as_str()).map(str::to_owned));
        }
    };
    // Before the log: what gets its place meanwhile is then seen there.
    for waiting in store.all::<Item>(DeploymentPlace::Keys(tenant), "").await? {
        take(&waiting.value.kind, &waiting.value.object, &waiting.value.detail);
    }
    let published = published(store).await?;
    let from = published.saturating_sub(READ_BACK);
    let each = |entry: &Entry| entry.of_kind(&KINDS).iter().for_each(|(leaf, detail)| take(&leaf.kind, &leaf.object, detail));
    let walked = walk(store, from, 2 * READ_BACK, each).await?;
    keys.sort_unstable();
    keys.dedup();
    let is_whole = walked.ended && published > 0 && walked.next >= published && (from == 0 || is_added);
    Ok(Logged { keys, is_whole })
}

const ADDED: &str = "client.added";
const KINDS: [&str; 2] = ["key.vault_key_changed", ADDED];

/// Whether both name the same key: addresses as Key Vault compares them, other names as they are.
pub(super) fn is_same(one: &str, other: &str) -> bool {
    match (KeyUri::parse(one), KeyUri::parse(other)) {
        (Some(one), Some(other)) => one.is(&other),
        _ => one == other,
    }
}

const MADE_BY_ITSELF: &str = "This installation's vault makes keys by itself, so no other one can be named. Nothing was changed.";

/// Takes the key of this address; the same one again changes nothing.
pub async fn change(store: &Directory<'_>, tenant: TenantId, address: &str) -> Result<(), ChangeError> {
    let (app, owner) = (store.app(), Owner::Tenant(tenant));
    if app.vault.makes_keys() {
        return Err(ChangeError::Refused(MADE_BY_ITSELF));
    }
    let key = KeyUri::parse(address.trim()).ok_or(ChangeError::Refused(vault_key::NO_ADDRESS))?;
    let seen = change::facts(store, tenant).await?.ok_or(ChangeError::Refused(NO_KEYS))?;
    if KeyUri::parse(&seen.vault_key).is_some_and(|used| used.is(&key)) {
        take(store, tenant, &key).await?;
        return change::tell(store, tenant).await;
    }
    let roster = Roster::read(store).await?;
    let others = roster.tenants.iter().filter(|other| other.id != tenant).map(|other| Owner::Tenant(other.id));
    match vault_key::user(app, others.chain([Owner::Deployment]).collect(), &key).await? {
        Some(Owner::Deployment) => return Err(ChangeError::Refused(vault_key::OF_THE_INSTALLATION)),
        Some(Owner::Tenant(_)) => return Err(ChangeError::Refused(vault_key::USED)),
        None => {}
    }
    if vault_key::reserve(store, tenant, &key).await?.is_none() {
        return Err(ChangeError::Refused(vault_key::USED));
    }
    let address = key.url().to_string();
    // So that what is wrong with the new one is told from what is wrong with the old one.
    match key_change::try_vault_key(app, owner, &address).await {
        Err(StoreError::Key { source, .. }) => {
            return Err(vault_key::why_not(source.kind).map_or_else(|| StoreError::from(source).into(), ChangeError::Refused));
        }
        other => other?,
    }
    // Before it wraps anything: from now on no other form can name it.
    take(store, tenant, &key).await?;
    let held = store.read::<FormerVaultKeys>(DeploymentPlace::Keys(tenant), &tenant.to_string()).await?;
    let (mut former, etag) = match held {
        Some(Held { value, etag }) => (value, Some(etag)),
        None => (FormerVaultKeys { tenant, keys: Vec::new() }, None),
    };
    former.keys.retain(|one| one.key != seen.vault_key && one.key != address);
    former.keys.push(FormerVaultKey { key: seen.vault_key.clone(), until: app.now() });
    let detail = json!({ "before": seen.vault_key, "before_version": seen.vault_version, "after": address });
    let add = |batch: &mut Batch<'_, '_, DeploymentPlace>| {
        batch.put(former, etag);
        audit::record(batch, audit::Event::new("key.vault_key_changed", format!("client {tenant}"), detail));
    };
    if !key_change::change_with(store, owner, &seen, Change::VaultKey(address), add).await? {
        return Err(StoreError::Refused { refused: vec![] }.into());
    }
    change::tell(store, tenant).await
}

/// No other form can name it any more.
async fn take(store: &Directory<'_>, tenant: TenantId, key: &KeyUri) -> Result<(), ChangeError> {
    let Some(held) = vault_key::reserve(store, tenant, key).await? else { return Err(ChangeError::Refused(vault_key::USED)) };
    if held.value.taken {
        return Ok(());
    }
    let mut batch = store.batch(DeploymentPlace::Directory);
    batch.replace(&Held { value: Reservation { taken: true, ..held.value }, etag: held.etag });
    match batch.commit().await {
        Err(error) if error.is_conflict() => Err(ChangeError::Refused(vault_key::USED)),
        other => Ok(other?),
    }
}
