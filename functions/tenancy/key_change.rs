//! What happens to an owner's data keys after the first was made: a further one, another version of the vault key around
//! them, this release's form, and a count.
//!
//! Each is one conditional replace of the owner's key record, so a stop leaves the old record or the new one, and of two
//! processes one is refused and finds the other's work done. Nothing that was sealed is touched: the older data keys stay
//! in the record. Who asks for it says so in the log ([`facts`] shows what came of it).

use serde_json::Value;
use time::OffsetDateTime;

use super::{
    Batch, DeploymentPlace, Store, StoreError, TenantId,
    error::KeyTrouble,
    key_record::{About, DOCUMENT, KeyRecord},
    keys::{self, Owner},
    regions::Regions,
    seal::{DataKey, FIRST_EPOCH},
};
use crate::{
    app::App,
    platform::ports::{BatchOutcome, Etag, Op},
};

/// What the record says, without a key being unwrapped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// What names the vault key, and which version of it is needed.
    pub vault_key: String,
    pub vault_version: String,
    /// Of the data key that seals.
    pub epoch: u32,
    /// Since when it seals, and how often it did as far as the processes told; `None` in a record of an earlier release.
    pub since: Option<OffsetDateTime>,
    pub seals: u64,
    /// Where the owner's records may be read.
    pub regions: Regions,
    /// The name of the key that signed it; `None` in a record of an earlier release.
    pub signed_by: Option<String>,
}

impl Facts {
    fn of(record: &KeyRecord) -> Self {
        let keys = record.keys();
        Self {
            vault_key: record.wrapped.key.clone(),
            vault_version: record.wrapped.version.clone(),
            epoch: keys.map_or(FIRST_EPOCH, |keys| keys.epoch),
            since: keys.map(|keys| keys.since),
            seals: keys.map_or(0, |keys| keys.seals),
            regions: keys.map(|keys| keys.regions.clone()).unwrap_or_default(),
            signed_by: record.signed_by().map(str::to_owned),
        }
    }
}

/// `None`: the owner has no data key.
pub async fn facts(app: &App, owner: Owner) -> Result<Option<Facts>, StoreError> {
    let Some(document) = app.documents.read(&keys::partition(owner), DOCUMENT).await? else { return Ok(None) };
    Ok(Some(Facts::of(&KeyRecord::of(app, owner, &document.body).await?)))
}

/// The same, only of a record that Assay signed, or that is taken unsigned ([`super::key_record`]).
pub async fn signed_facts(app: &App, owner: Owner) -> Result<Option<Facts>, StoreError> {
    let Some(document) = app.documents.read(&keys::partition(owner), DOCUMENT).await? else { return Ok(None) };
    Ok(Some(Facts::of(&signed(app, owner, &document.body).await?)))
}

async fn signed(app: &App, owner: Owner, body: &Value) -> Result<KeyRecord, StoreError> {
    let record = KeyRecord::of(app, owner, body).await?;
    record.must_be_signed(app, owner).await.map_err(|source| keys::refused(owner, source))?;
    Ok(record)
}

/// One change of the record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Into this release's form, signed by the newest key. After a record of one data key values are sealed as `s3`; an earlier
    /// release says that it is too old.
    Lift,
    /// A further data key, which seals from now on.
    NextKey,
    /// The same data keys under the newest version of the vault key.
    Rewrap,
    /// The same data keys under another key of a vault, by its whole address.
    VaultKey(String),
    /// Other regions. Who has the keys in memory already forgets them within five minutes.
    Regions(Regions),
}

/// Makes the change of a record that still is as `seen`; the facts are those afterwards, whoever made them. `None`: the
/// owner has no data key.
pub async fn change(app: &App, owner: Owner, seen: &Facts, change: Change) -> Result<Option<Facts>, StoreError> {
    let (changed, replace) = match prepared(app, owner, seen, change).await? {
        Prepared::Ready(changed, replace) => (changed, replace),
        Prepared::Moved(now) => return Ok(now),
    };
    let outcome = app.documents.batch(&keys::partition(owner), vec![replace]).await?;
    // Whatever came of it: what is kept may be of before.
    app.cache.forget(&keys::cached(owner));
    match outcome {
        BatchOutcome::Committed(_) => Ok(Some(changed)),
        BatchOutcome::Refused(_) => facts(app, owner).await,
    }
}

/// Whether a vault wraps with this key for the owner, and unwraps again: with bytes that protect nothing.
///
/// # Errors
/// [`StoreError::Key`] as the vault refuses, whatever becomes of the key that the owner has.
pub async fn try_vault_key(app: &App, owner: Owner, address: &str) -> Result<(), StoreError> {
    keys::wrap(app, owner, address, &keys::new_key(app)).await.map(drop)
}

/// So many seals more, of which the record has only what the processes tell. The vault is not asked: the data key in memory
/// makes the record's MAC as well. `false`: somebody else wrote the record just now, or it is of an earlier release.
pub async fn count(app: &App, owner: Owner, more: u64) -> Result<bool, StoreError> {
    let Some(key) = keys::find(app, owner).await? else { return Ok(false) };
    let Some(document) = app.documents.read(&keys::partition(owner), DOCUMENT).await? else { return Ok(false) };
    let record = KeyRecord::of(app, owner, &document.body).await?;
    if record.keys().is_none_or(|counted| counted.epoch != key.epoch()) {
        return Ok(false);
    }
    let broken = keys::broken(owner);
    let all = record.open(owner, key.newest().bytes()).map_err(&broken)?;
    let Some(counted) = record.counting(owner, &all, more).map_err(&broken)? else { return Ok(false) };
    let body = counted.body();
    let replace = Op::Replace { id: DOCUMENT.into(), body, if_match: document.etag };
    Ok(matches!(app.documents.batch(&keys::partition(owner), vec![replace]).await?, BatchOutcome::Committed(_)))
}

/// [`change`], in one batch with what the installation says of it (`add`: beside the key record).
/// `false`: somebody else was faster, and nothing was written.
pub async fn change_with(
    store: &Store<'_, DeploymentPlace>,
    owner: Owner,
    seen: &Facts,
    change: Change,
    add: impl FnOnce(&mut Batch<'_, '_, DeploymentPlace>),
) -> Result<bool, StoreError> {
    match prepared(store.app(), owner, seen, change).await? {
        Prepared::Ready(_, replace) => commit(store, owner, replace, add).await,
        Prepared::Moved(_) => Ok(false),
    }
}

/// A client's key record as it was seen, also where it cannot be read any more.
#[derive(Clone, Debug)]
pub struct Standing {
    /// `None`: there is no record, or none that Assay signed.
    pub facts: Option<Facts>,
    /// `None`: there is no record.
    etag: Option<Etag>,
}

impl Standing {
    /// Whether there is a record, in whatever state.
    pub fn is_there(&self) -> bool {
        self.etag.is_some()
    }
}

/// [`StoreError::Destroyed`] when the data keys are destroyed already.
pub async fn standing(app: &App, owner: Owner) -> Result<Standing, StoreError> {
    let Some(document) = app.documents.read(&keys::partition(owner), DOCUMENT).await? else {
        return Ok(Standing { facts: None, etag: None });
    };
    let facts = match signed(app, owner, &document.body).await {
        Ok(record) => Some(Facts::of(&record)),
        Err(error) if matches!(error.key_trouble(), Some(KeyTrouble::Damaged | KeyTrouble::Lost | KeyTrouble::Unsigned)) => None,
        Err(error) => return Err(error),
    };
    Ok(Standing { facts, etag: Some(document.etag) })
}

/// Destroys a client's data keys, all of them, in one batch with what the installation says of it; nothing is unwrapped.
/// Where the record is lost, what is left behind is the mark alone, so that no key is made anew.
/// `false`: the record is not as `seen` any more, and nothing was written.
pub async fn destroy(
    store: &Store<'_, DeploymentPlace>,
    tenant: TenantId,
    seen: &Standing,
    add: impl FnOnce(&mut Batch<'_, '_, DeploymentPlace>),
) -> Result<bool, StoreError> {
    let (id, body) = (DOCUMENT.to_owned(), KeyRecord::tombstone(store.app().now()));
    let op = match &seen.etag {
        Some(etag) => Op::Replace { id, body, if_match: etag.clone() },
        None => Op::Create { id, body },
    };
    commit(store, Owner::Tenant(tenant), op, add).await
}

async fn commit(
    store: &Store<'_, DeploymentPlace>,
    owner: Owner,
    replace: Op,
    add: impl FnOnce(&mut Batch<'_, '_, DeploymentPlace>),
) -> Result<bool, StoreError> {
    let mut batch = store.batch(match owner {
        Owner::Tenant(tenant) => DeploymentPlace::Keys(tenant),
        Owner::Deployment => DeploymentPlace::OwnKeys,
    });
    batch.plainly(replace);
    add(&mut batch);
    let outcome = batch.commit_unless_overtaken().await;
    store.app().cache.forget(&keys::cached(owner));
    outcome
}

enum Prepared {
    /// What it will be, and how it comes there.
    Ready(Facts, Op),
    /// It is not as it was seen any more.
    Moved(Option<Facts>),
}

async fn prepared(app: &App, owner: Owner, seen: &Facts, change: Change) -> Result<Prepared, StoreError> {
    let Some(document) = app.documents.read(&keys::partition(owner), DOCUMENT).await? else { return Ok(Prepared::Moved(None)) };
    let record = KeyRecord::of(app, owner, &document.body).await?;
    let now = Facts::of(&record);
    if now != *seen {
        return Ok(Prepared::Moved(Some(now)));
    }
    keys::must_be_admitted(app, owner, &record)?;
    record.must_be_signed(app, owner).await.map_err(|source| keys::refused(owner, source))?;
    let unwrapped = app.vault.unwrap(&record.wrapped).await.map_err(|source| keys::refused(owner, source))?;
    let key = record.open(owner, &unwrapped).map_err(keys::broken(owner))?;
    let changed = Next { app, owner, record: &record, key: &key, facts: &now }.after(change).await?;
    let replace = Op::Replace { id: DOCUMENT.into(), body: changed.body(), if_match: document.etag };
    Ok(Prepared::Ready(Facts::of(&changed), replace))
}

struct Next<'a> {
    app: &'a App,
    owner: Owner,
    record: &'a KeyRecord,
    key: &'a DataKey,
    facts: &'a Facts,
}

impl Next<'_> {
    async fn after(&self, change: Change) -> Result<KeyRecord, StoreError> {
        let Self { app, owner, record, key, facts } = *self;
        let broken = keys::broken(owner);
        let (mut wrapped, mut next) = (record.wrapped.clone(), key.in_present_form());
        let mut about = About { since: facts.since.unwrap_or(app.now()), seals: facts.seals, regions: facts.regions.clone() };
        match change {
            Change::Lift => {}
            Change::Regions(regions) => about.regions = regions,
            Change::Rewrap => wrapped = keys::wrap(app, owner, &facts.vault_key, key.newest().bytes()).await?,
            Change::VaultKey(address) => wrapped = keys::wrap(app, owner, &address, key.newest().bytes()).await?,
            Change::NextKey => {
                let bytes = keys::new_key(app);
                wrapped = keys::wrap(app, owner, &facts.vault_key, &bytes).await?;
                next = key.with_next(&bytes);
                about = About { since: app.now(), seals: 0, ..about };
            }
        }
        KeyRecord::signed(app, owner, wrapped, &next.map_err(&broken)?, about).await
    }
}
