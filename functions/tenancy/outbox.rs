//! The outbox: a message that must follow a batch is written in that batch, sent, then deleted.
//!
//! Crash between write and send: the sweep sends what is left, and a consumer that finds its work done sends its own
//! leftovers before it answers. Crash between send and delete: it is sent twice, which every consumer bears (I2).

use std::{sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Batch, Place, Record, Store, StoreError, TenantId, keys::Owner, message};

/// A message waiting to be sent.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Pending {
    /// Also the message's payload id.
    id: Uuid,
    /// The function, which is also the queue's name.
    function: String,
    tenant: Option<TenantId>,
    body: serde_json::Value,
    delay_seconds: u64,
}

impl Record for Pending {
    const KIND: &'static str = "send";
    const SCHEMA: u32 = 1;

    fn key(&self) -> String {
        self.id.simple().to_string()
    }
}

/// Adds a message for `function` to the batch, for the batch's owner.
pub fn send<P: Place>(batch: &mut Batch<'_, '_, P>, function: &str, body: &impl Serialize, delay: Duration) -> Result<(), StoreError> {
    let store = batch.store();
    let body = serde_json::to_value(body).map_err(|source| StoreError::Shape { document: "message".into(), source: Arc::new(source) })?;
    let tenant = match store.owner() {
        Owner::Tenant(id) => Some(id),
        Owner::Deployment => None,
    };
    let pending = Pending { id: store.app().ids.uuid(), function: function.into(), tenant, body, delay_seconds: delay.as_secs() };
    batch.create(&pending);
    Ok(())
}

/// Sends everything that waits in this place; returns how many messages went out.
pub async fn flush<P: Place>(store: &Store<'_, P>, place: P) -> Result<usize, StoreError> {
    let app = store.app();
    let waiting = store.all::<Pending>(place, "").await?;
    for pending in &waiting {
        let Pending { id, function, tenant, body, delay_seconds } = &pending.value;
        let bytes = message::seal(app, function, *tenant, *id, body).await?;
        app.queue.send(function, bytes, Duration::from_secs(*delay_seconds)).await?;
        let mut batch = store.batch(place);
        batch.delete(pending);
        match batch.commit().await {
            // Somebody else sent it too.
            Err(error) if error.is_conflict() => {}
            other => other?,
        }
    }
    Ok(waiting.len())
}
