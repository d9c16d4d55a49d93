//! Data keys: those of each client and of the deployment, the newest of each owner wrapped by a vault key.
//!
//! The first is made when a client is added or with the deployment's first record, never by reading, and never for an
//! owner that has records: then its key record is lost, and a new key would hide that. Two processes that make one at
//! the same time end with the same one (create-if-absent). What changes them later is [`super::key_change`]. Unwrapped
//! keys are kept in memory for a few minutes, so a revoked vault key takes effect without a restart; many who ask at
//! once unwrap once.

use std::{fmt, sync::Arc, time::Duration};

use futures_util::future::try_join_all;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::{
    Actor, ClientPlace, DeploymentPlace, Place, StoreError, TenantId,
    error::KeyTrouble,
    heads,
    key_record::{About, DOCUMENT, KeyRecord},
    place::AuditPart,
    regions::Regions,
    seal::{DataKey, KEY_BYTES, SealError},
};
use crate::{
    app::App,
    platform::ports::{BatchOutcome, Container, Op, Partition, PortError, PortErrorKind, Query, Wrapped},
};

/// How long an unwrapped key may live in memory, at most, and how much earlier it may go: instances that began together
/// do not ask the vault together for ever.
const KEEP: Duration = Duration::from_mins(5);
const JITTER: Duration = Duration::from_mins(1);

/// How often a process looks for data keys that it does not know, in a minute and for one owner: a damaged value may name
/// any.
const LOOKS: u8 = 5;

/// Longer than a message waits in a queue (7 days at most): so long after a rotation the data key before still
/// authenticates messages.
const MESSAGES_WAIT: time::Duration = time::Duration::days(8);

/// Whose key, and whose records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    Deployment,
    Tenant(TenantId),
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Deployment => f.write_str("deployment"),
            Self::Tenant(id) => write!(f, "{id}"),
        }
    }
}

impl Owner {
    /// Under which name a process remembers records of this kind: forgotten when it writes one of them.
    pub fn remembers(self, place: impl Place, kind: &str) -> String {
        format!("{self}/{}/{kind}", place.key())
    }
}

/// The owner's data keys, unwrapped; `None` when there are none yet. Writes nothing, so a page may ask (design I10).
pub async fn find(app: &App, owner: Owner) -> Result<Option<DataKey>, StoreError> {
    let bytes = match app.cache.get(&cached(owner), app.now()) {
        Some(bytes) => Some(bytes),
        // Boxed: it is seldom, and part of every future that reads.
        None => Box::pin(load(app, owner)).await?,
    };
    bytes.map(|bytes| DataKey::of_kept(&bytes).map_err(|_| unreadable(owner))).transpose()
}

/// The same for who wants to read or write the owner's records: what becomes of a client's key is noted.
pub async fn find_for(app: &App, owner: Owner, by: &Actor) -> Result<Option<DataKey>, StoreError> {
    let found = find(app, owner).await;
    if let (Owner::Tenant(tenant), Err(error)) = (owner, &found)
        && let Some(trouble) = error.key_trouble().filter(|trouble| *trouble != KeyTrouble::Destroyed)
    {
        let why = trouble.word().to_owned();
        let outcome = if trouble == KeyTrouble::Elsewhere { KeyOutcome::Elsewhere } else { KeyOutcome::Refused { why } };
        KeyNote { tenant, by: by.clone(), outcome }.again(app);
    }
    found
}

/// What became of a client's key, until it is in the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyNote {
    pub tenant: TenantId,
    /// Who wanted its records.
    pub by: Actor,
    pub outcome: KeyOutcome,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum KeyOutcome {
    /// The vault unwrapped the data key.
    Used { vault_key: String, vault_version: String },
    /// The client names other regions.
    Elsewhere,
    /// A word of [`KeyTrouble`].
    Refused { why: String },
}

const NOTES: &str = "keys";

impl KeyNote {
    pub fn again(&self, app: &App) {
        app.memory.note(NOTES, &serde_json::to_string(self).unwrap_or_default());
    }
}

/// What was noted since they were taken last.
pub fn take_notes(app: &App) -> Vec<KeyNote> {
    app.memory.take_notes(NOTES).iter().filter_map(|note| serde_json::from_str(note).ok()).collect()
}

/// Once a day for each client and process.
fn note_use(app: &App, owner: Owner, wrapped: &Wrapped) {
    if let Owner::Tenant(tenant) = owner
        && app.cache.allow(&format!("{}/used", cached(owner)), 1, app.now(), Duration::from_hours(24))
    {
        let outcome = KeyOutcome::Used { vault_key: wrapped.key.clone(), vault_version: wrapped.version.clone() };
        KeyNote { tenant, by: Actor::Function("keys".into()), outcome }.again(app);
    }
}

/// The same, asked of the store again: another process may have made a newer one a moment ago.
pub(super) async fn find_again(app: &App, owner: Owner) -> Result<Option<DataKey>, StoreError> {
    if app.cache.allow(&format!("{}/again", cached(owner)), LOOKS, app.now(), Duration::from_mins(1)) {
        app.cache.forget(&cached(owner));
    }
    find(app, owner).await
}

/// The owner's data keys, unwrapped; the first is made when there is none yet, under the vault key of the owner's name.
pub async fn data_key(app: &App, owner: Owner) -> Result<DataKey, StoreError> {
    make(app, owner, None).await
}

/// The same, under the vault key that somebody named for the owner. An owner that has a data key keeps it.
pub async fn make(app: &App, owner: Owner, vault_key: Option<&str>) -> Result<DataKey, StoreError> {
    loop {
        if let Some(key) = find(app, owner).await? {
            return Ok(key);
        }
        // Boxed: it happens once for an owner, and is part of every future that writes.
        if let Some(key) = Box::pin(create(app, owner, vault_key)).await? {
            return Ok(key);
        }
    }
}

/// `None` when another process was faster: its key is there now.
async fn create(app: &App, owner: Owner, vault_key: Option<&str>) -> Result<Option<DataKey>, StoreError> {
    if has_records(app, owner).await? {
        // Whoever wrote them made a key before, perhaps a moment ago.
        let found = find(app, owner).await?;
        return found.map(Some).ok_or_else(|| lost(owner));
    }
    let bytes = new_key(app);
    let key = DataKey::new(&bytes).map_err(|_| unreadable(owner))?;
    let name = vault_key.map_or_else(|| owner.to_string(), str::to_owned);
    let wrapped = wrap(app, owner, &name, &bytes).await?;
    let about = About { since: app.now(), seals: 0, regions: Regions::default() };
    let record = KeyRecord::signed(app, owner, wrapped, &key, about).await?;
    let create = Op::Create { id: DOCUMENT.into(), body: record.body() };
    match app.documents.batch(&partition(owner), vec![create]).await? {
        BatchOutcome::Committed(_) => {
            app.cache.put(&cached(owner), key.kept(), app.now(), keep(app));
            Ok(Some(key))
        }
        BatchOutcome::Refused(_) => Ok(None),
    }
}

pub(super) fn new_key(app: &App) -> Zeroizing<Vec<u8>> {
    let mut bytes = Zeroizing::new(vec![0; KEY_BYTES]);
    app.ids.random(&mut bytes);
    bytes
}

/// Wrapped by the newest version of the vault key, and looked at.
pub(super) async fn wrap(app: &App, owner: Owner, vault_key: &str, bytes: &[u8]) -> Result<Wrapped, StoreError> {
    let wrapped = app.vault.wrap(vault_key, bytes).await.map_err(|source| refused(owner, source))?;
    // Wrapping and unwrapping are rights of their own: nothing is sealed under a key that could not be had again.
    if **app.vault.unwrap(&wrapped).await.map_err(|source| refused(owner, source))? == *bytes {
        Ok(wrapped)
    } else {
        Err(unreadable(owner))
    }
}

/// Whether anything of the owner's was ever written in the places with which every owner begins.
async fn has_records(app: &App, owner: Owner) -> Result<bool, StoreError> {
    const LOG: [AuditPart; 2] = [AuditPart::Head, AuditPart::FormerHead];
    let own = |container, key: String| Partition::reserved_for_tenancy(container, format!("{owner}/{key}"));
    let places: Vec<Partition> = match owner {
        Owner::Tenant(_) => {
            let places = ClientPlace::with_outbox().chain(LOG.map(ClientPlace::Log));
            places.map(|place| own(place.container(), place.key())).collect()
        }
        Owner::Deployment => {
            let places = [DeploymentPlace::Directory, DeploymentPlace::Operations].into_iter().chain(LOG.map(DeploymentPlace::Log));
            places.map(|place| own(place.container(), place.key())).collect()
        }
    };
    let first = Query { limit: 1 + heads::MARKS.len(), ..Query::prefix("") };
    let pages = try_join_all(places.iter().map(|place| app.documents.query(place, &first))).await?;
    Ok(pages.iter().flat_map(|page| &page.documents).any(|document| !heads::is_mark(&document.id)))
}

/// Why the owner's data keys cannot be used until somebody does something about it; `None` when they can be, or when there
/// is nothing that they would open.
///
/// # Errors
/// What passes by itself, and what is no trouble of the key: other regions, keys that were destroyed.
pub async fn lasting_trouble(app: &App, owner: Owner) -> Result<Option<KeyTrouble>, StoreError> {
    match find(app, owner).await {
        Ok(Some(_)) => Ok(None),
        Ok(None) => Ok(has_records(app, owner).await?.then_some(KeyTrouble::Lost)),
        Err(error) => match error.key_trouble() {
            Some(trouble) if trouble.lasts() && !matches!(trouble, KeyTrouble::Elsewhere | KeyTrouble::Destroyed) => Ok(Some(trouble)),
            _ => Err(error),
        },
    }
}

/// Which vault key wraps the owner's data key; nothing is unwrapped. `None` when there is no data key,
/// [`StoreError::Destroyed`] when they were destroyed.
pub async fn vault_key(app: &App, owner: Owner) -> Result<Option<String>, StoreError> {
    let Some(document) = app.documents.read(&partition(owner), DOCUMENT).await? else { return Ok(None) };
    KeyRecord::must_stand(app, owner, &document.body).await?;
    Ok(KeyRecord::vault_key(&document.body).map(str::to_owned))
}

async fn load(app: &App, owner: Owner) -> Result<Option<Arc<Zeroizing<Vec<u8>>>>, StoreError> {
    let moment = app.cache.moment();
    let Some(document) = app.documents.read(&partition(owner), DOCUMENT).await? else { return Ok(None) };
    let record = KeyRecord::of(app, owner, &document.body).await?;
    must_be_admitted(app, owner, &record)?;
    let unwrap = async {
        record.must_be_signed(app, owner).await?;
        let bytes = app.vault.unwrap(&record.wrapped).await?;
        note_use(app, owner, &record.wrapped);
        let key = record.open(owner, &bytes).map_err(|_| damaged())?;
        let is_new = record.keys().is_some_and(|keys| app.now() - keys.since < MESSAGES_WAIT);
        Ok(key.taking_previous(is_new).kept())
    };
    let unwrapped = app.cache.get_or_fetch(&cached(owner), moment, app.now(), keep(app), unwrap).await;
    unwrapped.map(Some).map_err(|source| refused(owner, source))
}

/// Before anything is unwrapped: this instance is in a region that the owner names.
pub(super) fn must_be_admitted(app: &App, owner: Owner, record: &KeyRecord) -> Result<(), StoreError> {
    if record.admits(app.config.region.as_deref()) { Ok(()) } else { Err(StoreError::Elsewhere { owner: owner.to_string() }) }
}

pub(super) fn partition(owner: Owner) -> Partition {
    Partition::reserved_for_tenancy(Container::Deployment, format!("keys/{owner}"))
}

pub(super) fn cached(owner: Owner) -> String {
    format!("data-key/{owner}")
}

fn keep(app: &App) -> Duration {
    let mut less = [0];
    app.ids.random(&mut less);
    KEEP.saturating_sub(JITTER * u32::from(less[0]) / 256)
}

pub(super) fn refused(owner: Owner, source: PortError) -> StoreError {
    StoreError::Key { owner: owner.to_string(), source }
}

/// Whatever is wrong with a key concerns its owner only.
pub(super) fn unreadable(owner: Owner) -> StoreError {
    refused(owner, damaged())
}

pub(super) fn broken(owner: Owner) -> impl Fn(SealError) -> StoreError {
    move |_| unreadable(owner)
}

fn lost(owner: Owner) -> StoreError {
    refused(owner, PortError::new(DOCUMENT, PortErrorKind::Missing).advising(LOST))
}

const LOST: &str = "there are records, and the key record that opens them is gone: put it back from a backup";

pub(super) fn damaged() -> PortError {
    PortError::new(DOCUMENT, PortErrorKind::Unreadable)
}
