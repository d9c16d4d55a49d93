//! What a connection remembers of deliveries: what became of each, what waits, what is held back.
//!
//! All of it is sealed under the deployment's key and holds no content: the bytes stay in the raw blob.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use time::OffsetDateTime;
use uuid::Uuid;

use super::intake::DeliveryV1;
use crate::{
    audit::{self, Handled},
    evidence::cui::Marking,
    platform::ports::BlobContainer,
    tenancy::{ConnectionId, ConnectionPlace, DeploymentPlace, Held, Record, Store, StoreError, seal::sha256},
};

/// What became of one delivery; written last, for people.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Delivery {
    pub id: Uuid,
    #[serde(with = "time::serde::rfc3339")]
    pub received_at: OffsetDateTime,
    pub outcome: Outcome,
    pub reason: Option<String>,
    pub dedupe_key: Option<String>,
    /// Normalized facts without content.
    pub events: Vec<Value>,
    /// The raw blob.
    pub blob: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It became evidence, or waits for its company to be mapped.
    Accept,
    Duplicate,
    Stale,
    Ignore,
    Reject,
    HintOnly,
    Quarantined,
}

impl Outcome {
    pub fn word(self) -> &'static str {
        match self {
            Self::Accept => "accept",
            Self::Duplicate => "duplicate",
            Self::Stale => "stale",
            Self::Ignore => "ignore",
            Self::Reject => "reject",
            Self::HintOnly => "hint_only",
            Self::Quarantined => "quarantined",
        }
    }
}

impl Record for Delivery {
    const KIND: &'static str = "delivery";
    const SCHEMA: u32 = 1;

    /// Version 7: newest last.
    fn key(&self) -> String {
        self.id.simple().to_string()
    }
}

impl Delivery {
    /// Of which nothing is said yet.
    pub(super) fn of(delivery: &DeliveryV1) -> Self {
        Self {
            id: delivery.delivery,
            received_at: delivery.received_at,
            outcome: Outcome::Ignore,
            reason: None,
            dedupe_key: None,
            events: Vec::new(),
            blob: delivery.blob.clone(),
        }
    }

    pub fn place(connection: ConnectionId, id: Uuid) -> DeploymentPlace {
        DeploymentPlace::Connection(connection, ConnectionPlace::deliveries_of(&id.simple().to_string()))
    }

    /// Once per delivery; a waiting one that was processed later replaces what it said before.
    pub async fn save(self, store: &Store<'_, DeploymentPlace>, connection: ConnectionId) -> Result<(), StoreError> {
        let place = Self::place(connection, self.id);
        let held = store.read::<Self>(place, &self.key()).await?;
        if held.as_ref().is_some_and(|held| held.value == self || !held.value.may_go_on()) {
            return Ok(());
        }
        let mut batch = store.batch(place);
        let detail = serde_json::json!({ "outcome": self.outcome, "reason": self.reason, "dedupe_key": self.dedupe_key });
        audit::record(&mut batch, audit::Event::new("webhook.delivery", format!("delivery {}", self.id.simple()), detail));
        batch.put(self, held.map(|held| held.etag));
        // Where the same message ran twice at once, what the other one said stands.
        batch.commit_unless_overtaken().await.map(drop)
    }
}

impl Delivery {
    /// It became no evidence and never will: its bytes may be gone.
    pub(super) fn is_over(&self) -> bool {
        self.outcome != Outcome::Accept && !self.may_go_on()
    }

    /// What it says now is not the last word.
    fn may_go_on(&self) -> bool {
        matches!(self.reason.as_deref(), Some(WAITS | UNREADABLE))
    }

    /// Says that a waiting delivery will not be processed after all, or not before somebody mends it.
    pub async fn set_aside(
        store: &Store<'_, DeploymentPlace>,
        delivery: &DeliveryV1,
        outcome: Outcome,
        reason: &str,
    ) -> Result<(), StoreError> {
        let id = delivery.delivery;
        let Some(held) = store.read::<Self>(Self::place(delivery.connection, id), &id.simple().to_string()).await? else {
            return Ok(());
        };
        Self { outcome, reason: Some(reason.into()), events: Vec::new(), ..held.value }.save(store, delivery.connection).await
    }
}

/// The reason of an accepted delivery that waits for its company to be mapped.
pub const WAITS: &str = "waits_for_mapping";

/// The reason of one that waited and could not be read when its turn came: it is a dead letter.
pub const UNREADABLE: &str = "unreadable";

/// The reason of one that waited behind more than [`MAX_WAITING`] newer ones of its record.
pub const CROWDED_OUT: &str = "crowded_out_while_waiting";

/// The reason of one for a client whose data keys were destroyed.
pub const CLIENT_GONE: &str = "client_gone";

/// Deliveries of one record that wait for their company to be mapped. The bytes wait in their blobs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Waiting {
    /// The vendor's company id, or [`UNKNOWN_COMPANY`].
    pub company: String,
    pub company_name: Option<String>,
    pub record: String,
    /// Newest last, at most [`MAX_WAITING`].
    pub deliveries: Vec<DeliveryV1>,
    /// Older ones that were let go for newer ones.
    #[serde(default)]
    pub let_go: u64,
    /// The last of those, at most [`MAX_WAITING`]: a message that comes again after a crash tells itself by them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gone: Vec<DeliveryV1>,
}

/// Stands for the company of a record whose body does not name one.
pub const UNKNOWN_COMPANY: &str = "unknown";

/// Partial bodies of one record that are kept waiting.
pub const MAX_WAITING: usize = 20;

impl Record for Waiting {
    const KIND: &'static str = "waiting";
    const SCHEMA: u32 = 1;

    fn key(&self) -> String {
        format!("{}:{}", self.company, self.record)
    }
}

impl Waiting {
    pub fn none_yet(company: &str, record: &str) -> Self {
        Self { company: company.into(), company_name: None, record: record.into(), deliveries: Vec::new(), let_go: 0, gone: Vec::new() }
    }
}

/// A body held back because it carries a CUI marking. The raw bytes stay sealed where they are until a
/// person has them destroyed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Quarantined {
    pub record: String,
    pub dedupe_key: String,
    pub company: Option<String>,
    pub marking: Marking,
    /// `None` for a row that was pulled: its bytes are not kept.
    pub blob: Option<String>,
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
    #[serde(default)]
    pub handling: Handling,
    /// It came by a webhook and was found before it was kept: there never was a copy.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub never_kept: bool,
}

/// What became of it since.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Handling {
    /// Further copies of the bytes: the vendor sent the same again on another day, or after the first was destroyed.
    #[serde(default)]
    pub also: Vec<String>,
    /// Who destroyed our copies last.
    #[serde(default)]
    pub purged: Option<Handled>,
    /// Who has seen to the record in the tool itself.
    #[serde(default)]
    pub seen: Option<Handled>,
}

impl Record for Quarantined {
    const KIND: &'static str = "quarantined";
    const SCHEMA: u32 = 1;

    fn key(&self) -> String {
        sha256(self.dedupe_key.as_bytes())
    }
}

impl Quarantined {
    pub(super) fn place(connection: ConnectionId, record: &str) -> DeploymentPlace {
        DeploymentPlace::Connection(connection, ConnectionPlace::deliveries_of(record))
    }

    /// Holds it back, once, audited.
    pub async fn save(self, store: &Store<'_, DeploymentPlace>, connection: ConnectionId) -> Result<(), StoreError> {
        let place = Self::place(connection, &self.record);
        let mut batch = store.batch(place);
        batch.create(&self);
        let mut detail = serde_json::json!({ "record": self.record, "marking": self.marking });
        if self.never_kept {
            detail["kept"] = false.into();
        }
        audit::record(&mut batch, audit::Event::new("evidence.quarantined", object(connection, &self.record), detail));
        match batch.commit().await {
            Err(error) if error.is_conflict() => self.came_again(store, place).await,
            other => other,
        }
    }

    /// A copy that the row does not know would stay for ever when a person destroys what it knows.
    async fn came_again(self, store: &Store<'_, DeploymentPlace>, place: DeploymentPlace) -> Result<(), StoreError> {
        let Some(mut held) = store.read::<Self>(place, &self.key()).await? else { return Ok(()) };
        match self.blob {
            Some(blob) if held.value.copies().all(|known| *known != blob) => held.value.handling.also.push(blob),
            _ => return Ok(()),
        }
        if held.value.handling.purged.is_some() {
            held.value.handling.seen = None;
        }
        let mut batch = store.batch(place);
        batch.replace(&held);
        batch.commit().await
    }

    /// The raw blobs that are still in our store.
    pub fn copies(&self) -> impl Iterator<Item = &String> {
        self.blob.iter().filter(|_| self.handling.purged.is_none()).chain(&self.handling.also)
    }

    /// Deletes every copy of `those` that are held back of this record; again does nothing. Who ordered it is in the log before the
    /// first byte goes (design I5), that it is done only after the last: a crash in between leaves a row that can be
    /// pressed again, never one that says more than is true.
    pub async fn purge(
        store: &Store<'_, DeploymentPlace>,
        connection: ConnectionId,
        record: &str,
        by: &str,
        those: impl Fn(&Self) -> bool,
    ) -> Result<(), StoreError> {
        let mut each = Self::of_record(store, connection, record).await?;
        each.retain(|held| those(&held.value));
        for mut held in each {
            let copies: Vec<String> = held.value.copies().cloned().collect();
            if copies.is_empty() {
                continue;
            }
            // A raw blob's name ends with the hash of its bytes.
            let hashes: Vec<&str> = copies.iter().filter_map(|blob| blob.rsplit('/').next()).collect();
            let detail = serde_json::json!({ "record": record, "copies": copies.len(), "sha256": hashes });
            let mut order = store.batch(Self::place(connection, record));
            audit::record(&mut order, audit::Event::new("evidence.purge_ordered", object(connection, record), detail.clone()));
            order.commit().await?;
            for blob in &copies {
                store.app().blobs.delete(BlobContainer::Raw, blob).await?;
            }
            // The newest name stays, for a message about the same bytes that comes late.
            held.value.blob = held.value.handling.also.pop().or(held.value.blob.take());
            held.value.handling.also.clear();
            held.value.handling.purged = Some(Handled { by: by.into(), at: store.app().now() });
            handled(store, connection, &held, "evidence.purged", detail).await?;
        }
        Ok(())
    }

    /// A person has seen to the record in the tool; again does nothing.
    pub async fn see_to(store: &Store<'_, DeploymentPlace>, connection: ConnectionId, record: &str, by: &str) -> Result<(), StoreError> {
        for mut held in Self::of_record(store, connection, record).await? {
            if held.value.handling.seen.is_none() {
                held.value.handling.seen = Some(Handled { by: by.into(), at: store.app().now() });
                let detail = serde_json::json!({ "record": record });
                handled(store, connection, &held, "evidence.seen_to", detail).await?;
            }
        }
        Ok(())
    }

    async fn of_record(store: &Store<'_, DeploymentPlace>, connection: ConnectionId, record: &str) -> Result<Vec<Held<Self>>, StoreError> {
        let mut held = store.all::<Self>(Self::place(connection, record), "").await?;
        held.retain(|held| held.value.record == record);
        Ok(held)
    }

    /// What is held back of a connection, and how many of its records cannot be read: a damaged one hides no other.
    pub async fn each(store: &Store<'_, DeploymentPlace>, connection: ConnectionId) -> Result<(Vec<Self>, usize), StoreError> {
        let (mut found, mut unreadable) = (Vec::new(), 0);
        for shard in ConnectionPlace::all().filter(|place| *place != ConnectionPlace::Mapping) {
            for read in store.all_of_each::<Self>(DeploymentPlace::Connection(connection, shard), "").await? {
                match read {
                    Ok(held) => found.push(held.value),
                    Err(error) if error.unreadable::<Self>().is_some() => unreadable += 1,
                    Err(error) => return Err(error),
                }
            }
        }
        Ok((found, unreadable))
    }
}

/// Writes what a person did for it, audited.
async fn handled(
    store: &Store<'_, DeploymentPlace>,
    connection: ConnectionId,
    held: &Held<Quarantined>,
    kind: &'static str,
    detail: Value,
) -> Result<(), StoreError> {
    let record = &held.value.record;
    let mut batch = store.batch(Quarantined::place(connection, record));
    batch.replace(held);
    audit::record(&mut batch, audit::Event::new(kind, object(connection, record), detail));
    batch.commit().await
}

/// A record as the log names it.
fn object(connection: ConnectionId, record: &str) -> String {
    format!("connection {connection} {record}")
}
