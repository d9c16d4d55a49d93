//! Audit items as they wait, in the batch of what they record, for the sequencer.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use time::OffsetDateTime;
use uuid::Uuid;

use super::{chain::Hash, request, schema};
use crate::tenancy::{
    Actor, Batch, Place, Record,
    seal::sha256,
    tail::{Appended, Link},
};

/// What happened. The kind is a stable word such as `proposal.approved`; the object names what it happened to.
#[derive(Clone, Debug)]
pub struct Event {
    pub kind: &'static str,
    /// Ids and catalogue names only (`proposal 0192..`, `objective 3.4.1[d]`): it stands readable in the log for ever,
    /// also when the owner's key is gone. `person` and an id becomes a pseudonym there; a person's or company's name, an address or a vendor's text goes into `detail`.
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
    /// 32 random bytes: without it the commitment of the detail cannot be guessed.
    pub salt: Hash,
    /// Which of its place's items it is; `None`: written by an earlier release.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link: Option<Link>,
}

impl Record for Item {
    const KIND: &'static str = "audit";
    const SCHEMA: u32 = 1;

    /// In the order in which they were written. Items without a number come first; an id begins with digits of the time.
    fn key(&self) -> String {
        let id = self.id.simple();
        self.link.as_ref().map_or_else(|| id.to_string(), |link| format!("n{:016}-{id}", link.number))
    }
}

impl Appended for Item {
    fn linked(&self, link: Link) -> Self {
        Self { link: Some(link), ..self.clone() }
    }

    fn link(&self) -> Option<&Link> {
        self.link.as_ref()
    }

    /// The salt is drawn for this item alone, and sealed with all that it says.
    fn mark(&self) -> Vec<u8> {
        [self.id.as_bytes().as_slice(), self.salt.bytes()].concat()
    }
}

/// Longest object or correlation in a leaf, in bytes: ids are shorter, and a leaf must stay small.
const MAX_NAME_BYTES: usize = 256;
/// Longest detail; what is longer is replaced by its hash, because an item that is too large could never get its place.
const MAX_DETAIL_BYTES: usize = 64 * 1024;

/// Adds the item to the batch: if the batch fails, nothing happened and nothing is logged (I5).
pub fn record<P: Place>(batch: &mut Batch<'_, '_, P>, event: Event) {
    debug_assert_eq!(schema::fault(event.kind, &event.detail), None, "an event that `audit/schema` does not describe");
    let store = batch.store();
    let app = store.app();
    let mut salt = [0; 32];
    app.ids.random(&mut salt);
    let item = Item {
        id: app.ids.uuid(),
        at: app.now(),
        kind: event.kind.into(),
        object: shortened(event.object),
        actor: store.actor().clone(),
        correlation: shortened(store.correlation().into()),
        detail: bounded(event.detail),
        salt: Hash::from_bytes(salt),
        link: None,
    };
    batch.append(&item);
    request::note(app, store.owner(), &batch.place());
}

fn shortened(mut text: String) -> String {
    if text.len() > MAX_NAME_BYTES {
        text.truncate(text.floor_char_boundary(MAX_NAME_BYTES));
    }
    text
}

fn bounded(detail: Value) -> Value {
    let text = detail.to_string();
    if text.len() <= MAX_DETAIL_BYTES {
        return detail;
    }
    json!({ "left_out": "longer than the log keeps", "bytes": text.len(), "sha256": sha256(text.as_bytes()) })
}
