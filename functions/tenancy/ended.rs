//! That a client's data keys were destroyed, by the record that the batch which did it left beside them, sealed under the
//! installation's key. Who writes it, and reads all of it, is `custody::offboarding::destroy`.
//!
//! What stands in place of the data keys is in clear, so whoever can write the database can write it. It is believed only
//! with this record beside it; without it nothing may be deleted, let go or left undone for its sake.

use serde::{Deserialize, Serialize};

use super::{DeploymentPlace, DeploymentScope, Record, StoreError, TenantId};
use crate::app::App;

/// As much of the record as is needed here.
#[derive(Serialize, Deserialize)]
pub struct Ended {
    tenant: TenantId,
}

impl Record for Ended {
    const KIND: &'static str = "destroyed";
    const SCHEMA: u32 = 1;

    fn key(&self) -> String {
        self.tenant.to_string()
    }
}

/// Whether it is there, and opens.
pub(super) async fn is_recorded(app: &App, tenant: TenantId) -> Result<bool, StoreError> {
    let store = DeploymentScope::of_function("keys", "keys").store(app).await?;
    Ok(store.read_if_it_opens::<Ended>(DeploymentPlace::Keys(tenant), &tenant.to_string()).await?.is_some())
}
