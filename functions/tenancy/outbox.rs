//! The outbox: a message that must follow a batch is written in that batch, sent, then deleted.
//!
//! Crash between write and send: the sweep sends what is left, and a consumer that finds its work done sends its own
//! leftovers before it answers. Crash between send and delete: it is sent twice, which every consumer bears (I2).
//! Where somebody waits for the answer, the writer only sends ([`deliver`]), and the consumer's own batch deletes the item
//! ([`waiting`]); what neither did, the sweep does.

use std::{sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{
    Batch, Gathered, Held, Passed, Place, Record, Store, StoreError, TenantId, Wanted,
    keys::Owner,
    message::{self, Verified},
};

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
        key_of(self.id)
    }
}

/// Adds a message for `function` to the batch, for the batch's owner.
pub fn send<P: Place>(batch: &mut Batch<'_, '_, P>, function: &str, body: &impl Serialize, delay: Duration) -> Result<Pending, StoreError> {
    let store = batch.store();
    let body = serde_json::to_value(body).map_err(|source| StoreError::Shape { document: "message".into(), source: Arc::new(source) })?;
    let tenant = match store.owner() {
        Owner::Tenant(id) => Some(id),
        Owner::Deployment => None,
    };
    let pending = Pending { id: store.app().ids.uuid(), function: function.into(), tenant, body, delay_seconds: delay.as_secs() };
    batch.create(&pending);
    Ok(pending)
}

/// Sends everything that waits in this place; returns how many messages went out. One that cannot be read keeps no other from
/// going, and does not fail whose own work is done: [`sweep`] says that it is there.
pub async fn flush<P: Place>(store: &Store<'_, P>, place: P) -> Result<usize, StoreError> {
    send_all(store, place, &mut Passed::default()).await
}

/// The same, and fails at its end for as long as one of them cannot be read. For the sweep.
pub async fn sweep<P: Place>(store: &Store<'_, P>, place: P) -> Result<usize, StoreError> {
    let mut passed = Passed::default();
    let sent = send_all(store, place, &mut passed).await?;
    passed.end(sent)
}

async fn send_all<P: Place>(store: &Store<'_, P>, place: P, passed: &mut Passed) -> Result<usize, StoreError> {
    let waiting = passed.all(store.all_of_each::<Pending>(place, "").await?)?;
    for pending in &waiting {
        deliver(store, &pending.value).await?;
        clear(store, place, pending).await?;
    }
    Ok(waiting.len())
}

/// Sends it once its batch is written, and leaves it where it is.
pub async fn deliver<P: Place>(store: &Store<'_, P>, pending: &Pending) -> Result<(), StoreError> {
    let Pending { id, function, tenant, body, delay_seconds } = pending;
    let bytes = message::seal(store.app(), function, *tenant, *id, body).await?;
    Ok(store.app().queue.send(function, bytes, Duration::from_secs(*delay_seconds)).await?)
}

/// The item of this message, for the consumer's round trip.
pub fn waiting(message: &Verified) -> Wanted {
    Wanted::one::<Pending>(&key_of(message.id()))
}

/// The same, taken from what was gathered; `None` once it was deleted.
pub async fn of<P: Place>(message: &Verified, found: &Gathered<'_, '_, P>) -> Result<Option<Held<Pending>>, StoreError> {
    found.one(&key_of(message.id())).await
}

/// Deletes an item that needs no sending any more.
pub async fn clear<P: Place>(store: &Store<'_, P>, place: P, pending: &Held<Pending>) -> Result<(), StoreError> {
    let mut batch = store.batch(place);
    batch.delete(pending);
    // Where it was overtaken, somebody else did it.
    batch.commit_unless_overtaken().await.map(drop)
}

fn key_of(id: Uuid) -> String {
    id.simple().to_string()
}
