//! Data keys: one per client and one for the deployment, each wrapped by a vault key.
//!
//! Made when a client is added or with the deployment's first record, never by reading; two processes that make one at
//! the same time end with the same one (create-if-absent). Where the vault makes keys, the vault key has its owner's name;
//! elsewhere a person names a client's key. The unwrapped key is kept in memory for a few minutes, so a revoked vault key
//! takes effect without a restart; many who ask for it at once unwrap it once.

use std::{fmt, sync::Arc, time::Duration};

use zeroize::Zeroizing;

use super::{
    Place, StoreError, TenantId,
    key_record::{DOCUMENT, KeyRecord},
    seal::{DataKey, KEY_BYTES},
};
use crate::{
    app::App,
    platform::ports::{BatchOutcome, Container, Op, Partition, PortError, PortErrorKind},
};

/// How long an unwrapped key may live in memory.
const KEEP: Duration = Duration::from_mins(5);

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

/// The owner's data key, unwrapped; `None` when there is none yet. Writes nothing, so a page may ask (design I10).
pub async fn find(app: &App, owner: Owner) -> Result<Option<DataKey>, StoreError> {
    let bytes = match app.cache.get(&cached(owner), app.now()) {
        Some(bytes) => Some(bytes),
        // Boxed: it is seldom, and part of every future that reads.
        None => Box::pin(load(app, owner)).await?,
    };
    bytes.map(|bytes| DataKey::new(&bytes).map_err(|_| unreadable(owner))).transpose()
}

/// The owner's data key, unwrapped; made when there is none yet, under the vault key of the owner's name.
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
    let mut bytes = Zeroizing::new(vec![0; KEY_BYTES]);
    app.ids.random(&mut bytes);
    let key = DataKey::new(&bytes).map_err(|_| unreadable(owner))?;
    let name = vault_key.map_or_else(|| owner.to_string(), str::to_owned);
    let wrapped = app.vault.wrap(&name, &bytes).await.map_err(|source| refused(owner, source))?;
    // Wrapping and unwrapping are rights of their own: nothing is sealed under a key that could not be had again.
    if *app.vault.unwrap(&wrapped).await.map_err(|source| refused(owner, source))? != *bytes {
        return Err(unreadable(owner));
    }
    let create = Op::Create { id: DOCUMENT.into(), body: KeyRecord::new(owner, wrapped, &key).body() };
    match app.documents.batch(&partition(owner), vec![create]).await? {
        BatchOutcome::Committed(_) => {
            app.cache.put(&cached(owner), bytes, app.now(), KEEP);
            Ok(Some(key))
        }
        BatchOutcome::Refused(_) => Ok(None),
    }
}

/// Which vault key wraps the owner's data key; nothing is unwrapped. `None` when there is no data key.
pub async fn vault_key(app: &App, owner: Owner) -> Result<Option<String>, StoreError> {
    let document = app.documents.read(&partition(owner), DOCUMENT).await?;
    Ok(document.and_then(|document| KeyRecord::vault_key(&document.body).map(str::to_owned)))
}

async fn load(app: &App, owner: Owner) -> Result<Option<Arc<Zeroizing<Vec<u8>>>>, StoreError> {
    let Some(document) = app.documents.read(&partition(owner), DOCUMENT).await? else { return Ok(None) };
    let record = KeyRecord::parse(owner, &document.body)?;
    let unwrap = async {
        let bytes = app.vault.unwrap(&record.wrapped).await?;
        let is_the_owners = DataKey::new(&bytes).is_ok_and(|key| record.is_of(owner, &key));
        if is_the_owners { Ok(bytes) } else { Err(damaged()) }
    };
    let unwrapped = app.cache.get_or_fetch(&cached(owner), app.now(), KEEP, unwrap).await;
    unwrapped.map(Some).map_err(|source| refused(owner, source))
}

fn partition(owner: Owner) -> Partition {
    Partition::reserved_for_tenancy(Container::Deployment, format!("keys/{owner}"))
}

fn cached(owner: Owner) -> String {
    format!("data-key/{owner}")
}

fn refused(owner: Owner, source: PortError) -> StoreError {
    StoreError::Key { owner: owner.to_string(), source }
}

/// Whatever is wrong with a key concerns its owner only.
pub(super) fn unreadable(owner: Owner) -> StoreError {
    refused(owner, damaged())
}

fn damaged() -> PortError {
    PortError::new(DOCUMENT, PortErrorKind::Unreadable)
}
