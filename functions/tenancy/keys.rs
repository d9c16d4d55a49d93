//! Data keys: one per client and one for the deployment, wrapped by the vault's key of the same owner.
//!
//! Made when a client is added or with its first record, never by reading; two processes that make one at the same time
//! end with the same one (create-if-absent). The unwrapped key is kept in memory for a few minutes, so a revoked vault
//! key takes effect without a restart.

use std::{fmt, time::Duration};

use serde_json::json;
use zeroize::Zeroizing;

use super::{
    StoreError, TenantId,
    seal::{DataKey, KEY_BYTES},
};
use crate::{
    app::App,
    platform::ports::{BatchOutcome, Container, Op, Partition, PortError, PortErrorKind, Wrapped},
};

/// How long an unwrapped key may live in memory.
const KEEP: Duration = Duration::from_mins(5);

const DOCUMENT: &str = "data-key";

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

/// The owner's data key, unwrapped; `None` when there is none yet. Writes nothing, so a page may ask (design I10).
pub async fn find(app: &App, owner: Owner) -> Result<Option<DataKey>, StoreError> {
    let bytes = match app.cache.get(&cached(owner), app.now()) {
        Some(bytes) => Some(bytes),
        None => load(app, owner).await?.map(|bytes| app.cache.put(&cached(owner), bytes, app.now(), KEEP)),
    };
    bytes.map(|bytes| DataKey::new(&bytes).map_err(|_| unreadable(owner))).transpose()
}

/// The owner's data key, unwrapped; made when there is none yet: when a client is added, or with its first record.
pub async fn data_key(app: &App, owner: Owner) -> Result<DataKey, StoreError> {
    loop {
        if let Some(key) = find(app, owner).await? {
            return Ok(key);
        }
        let mut key = Zeroizing::new(vec![0; KEY_BYTES]);
        app.ids.random(&mut key);
        let wrapped = app.vault.wrap(&owner.to_string(), &key).await.map_err(|source| refused(owner, source))?;
        let create = Op::Create { id: DOCUMENT.into(), body: json!({ "schema": 1, "kind": DOCUMENT, "wrapped": wrapped }) };
        // When another process was faster, the next round reads its key.
        if let BatchOutcome::Committed(_) = app.documents.batch(&partition(owner), vec![create]).await? {
            let bytes = app.cache.put(&cached(owner), key, app.now(), KEEP);
            return DataKey::new(&bytes).map_err(|_| unreadable(owner));
        }
    }
}

async fn load(app: &App, owner: Owner) -> Result<Option<Zeroizing<Vec<u8>>>, StoreError> {
    let Some(document) = app.documents.read(&partition(owner), DOCUMENT).await? else { return Ok(None) };
    let wrapped: Wrapped = serde_json::from_value(document.body["wrapped"].clone()).map_err(|_| unreadable(owner))?;
    app.vault.unwrap(&wrapped).await.map(Some).map_err(|source| refused(owner, source))
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
    refused(owner, PortError::new(DOCUMENT, PortErrorKind::Unreadable))
}
