//! Data keys: one per client and one for the deployment, wrapped by the vault's key of the same owner.
//!
//! Made on first use; two processes that make one at the same time end with the same one (create-if-absent). The
//! unwrapped key is kept in memory for a few minutes, so a revoked vault key takes effect without a restart.

use std::{fmt, sync::Arc, time::Duration};

use serde_json::json;
use zeroize::Zeroizing;

use super::{
    StoreError, TenantId,
    seal::{DataKey, KEY_BYTES},
};
use crate::{
    app::App,
    platform::ports::{BatchOutcome, Container, Op, Partition, Wrapped},
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

/// The owner's data key, unwrapped; made when there is none yet.
pub async fn data_key(app: &App, owner: Owner) -> Result<DataKey, StoreError> {
    let name = format!("data-key/{owner}");
    let bytes = if let Some(bytes) = app.cache.get(&name, app.now()) {
        bytes
    } else {
        let bytes = load_or_make(app, owner).await?;
        app.cache.put(&name, bytes, app.now(), KEEP)
    };
    DataKey::new(&bytes).map_err(|source| StoreError::Sealed { document: DOCUMENT.into(), source })
}

async fn load_or_make(app: &App, owner: Owner) -> Result<Zeroizing<Vec<u8>>, StoreError> {
    let partition = Partition::reserved_for_tenancy(Container::Deployment, format!("keys/{owner}"));
    loop {
        if let Some(document) = app.documents.read(&partition, DOCUMENT).await? {
            let wrapped: Wrapped = serde_json::from_value(document.body["wrapped"].clone())
                .map_err(|source| StoreError::Shape { document: DOCUMENT.into(), source: Arc::new(source) })?;
            return app.vault.unwrap(&wrapped).await.map_err(|source| StoreError::Key { owner: owner.to_string(), source });
        }
        let mut key = Zeroizing::new(vec![0; KEY_BYTES]);
        app.ids.random(&mut key);
        let wrapped =
            app.vault.wrap(&owner.to_string(), &key).await.map_err(|source| StoreError::Key { owner: owner.to_string(), source })?;
        let create = Op::Create { id: DOCUMENT.into(), body: json!({ "schema": 1, "kind": DOCUMENT, "wrapped": wrapped }) };
        // When another process was faster, the next round reads its key.
        if let BatchOutcome::Committed(_) = app.documents.batch(&partition, vec![create]).await? {
            return Ok(key);
        }
    }
}
