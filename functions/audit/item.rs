//! Audit items as they wait, in the batch of what they record, for the sequencer.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::tenancy::{Actor, Batch, Place, Record, seal::hex};

/// What happened. The kind is a stable word such as `proposal.approved`; the object names what it happened to.
#[derive(Clone, Debug)]
pub struct Event {
    pub kind: &'static str,
    pub object: String,
    /// For people with access: may name persons and content, so it is only ever committed to by a salted hash.
    pub detail: Value,
}

impl Event {
    pub fn new(kind: &'static str, object: impl Into<String>, detail: Value) -> Self {
        Self { kind, object: object.into(), detail }
    }
}

/// An item without a place in the log yet.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Item {
    pub id: Uuid,
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
    pub kind: String,
    pub object: String,
    pub actor: Actor,
    pub correlation: String,
    pub detail: Value,
    /// 32 random bytes as hex: without it the commitment of the detail cannot be guessed.
    pub salt: String,
}

impl Record for Item {
    const KIND: &'static str = "audit";
    const SCHEMA: u32 = 1;

    /// Version 7, so items of one process come in the order they were made.
    fn key(&self) -> String {
        self.id.simple().to_string()
    }
}

/// Adds the item to the batch: if the batch fails, nothing happened and nothing is logged (I5).
pub fn record<P: Place>(batch: &mut Batch<'_, '_, P>, event: Event) {
    let store = batch.store();
    let app = store.app();
    let mut salt = [0; 32];
    app.ids.random(&mut salt);
    let item = Item {
        id: app.ids.uuid(),
        at: app.now(),
        kind: event.kind.into(),
        object: event.object,
        actor: store.actor().clone(),
        correlation: store.correlation().into(),
        detail: event.detail,
        salt: hex(&salt),
    };
    batch.create(&item);
}
