//! Whose a vendor's record is, by the newest event or read that named its company.
//!
//! The owner is written before the evidence, and only over what is older: it never goes back, whatever comes late, twice
//! or at the same moment. Which client a company is, the client map says, not this.

use std::collections::{HashMap, HashSet};

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::{
    Connection,
    delivery::{Quarantined, UNKNOWN_COMPANY},
    event::Entity,
    intake::{DeliveryV1, IntakeV1},
    known::Version,
    mapping,
    page::{Page, Row},
    population::{ROWS_PER_BATCH, version_of},
    waiting,
};
use crate::tenancy::{ConnectionId, ConnectionPlace, DeploymentPlace, Held, Record, Store, StoreError, outbox};

/// Which company a vendor's record belongs to, by the newest event or read that said so.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OwnedRecord {
    /// `ticket:918204`.
    pub record: String,
    pub company: String,
    #[serde(with = "time::serde::rfc3339")]
    pub as_of: OffsetDateTime,
    /// With the hash, the order of what was said of the same moment, as in [`Version`].
    #[serde(default)]
    pub sequence: u64,
    #[serde(default)]
    pub hash: String,
    /// When we heard the event that said so, by our clock. What a read said has only the time above.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "time::serde::rfc3339::option")]
    pub heard: Option<OffsetDateTime>,
    /// The delete that named no company and came here. News of a move that is worked off later takes it along.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deleted_by: Option<DeliveryV1>,
}

impl Record for OwnedRecord {
    const KIND: &'static str = "owner";
    const SCHEMA: u32 = 1;

    fn key(&self) -> String {
        self.record.clone()
    }
}

impl OwnedRecord {
    pub fn of(record: &str, company: &str, version: &Version) -> Self {
        let Version { at, sequence, hash } = version.clone();
        Self { record: record.into(), company: company.into(), as_of: at, sequence, hash, heard: None, deleted_by: None }
    }

    pub fn place(connection: ConnectionId, record: &str) -> DeploymentPlace {
        DeploymentPlace::Connection(connection, ConnectionPlace::deliveries_of(record))
    }

    /// Whose what is held back is: by itself, and where it names no company by its record. One that does not open names none:
    /// it stands in nobody else's way.
    pub async fn company_of(
        store: &Store<'_, DeploymentPlace>,
        connection: ConnectionId,
        held_back: &Quarantined,
    ) -> Result<Option<String>, StoreError> {
        let Quarantined { company, record, .. } = held_back;
        if company.is_some() {
            return Ok(company.clone());
        }
        let owner = store.read_if_it_opens::<Self>(Self::place(connection, record), record).await?;
        Ok(owner.map(|held| held.value.company))
    }

    pub fn version(&self) -> Version {
        Version { at: self.as_of, sequence: self.sequence, hash: self.hash.clone() }
    }

    pub async fn read(
        store: &Store<'_, DeploymentPlace>,
        connection: ConnectionId,
        record: &str,
    ) -> Result<Option<Held<Self>>, StoreError> {
        store.read(Self::place(connection, record), record).await
    }

    /// Writes it over what was held, unless that says as much already; false when somebody was faster.
    pub async fn put(
        mut self,
        store: &Store<'_, DeploymentPlace>,
        connection: ConnectionId,
        held: Option<&Held<Self>>,
    ) -> Result<bool, StoreError> {
        let place = Self::place(connection, &self.record);
        let mut batch = store.batch(place);
        let mut says_more = true;
        if let Some(Held { value: before, .. }) = held {
            let moved = self.company != before.company;
            self.deleted_by = self.deleted_by.or_else(|| before.deleted_by.clone());
            says_more = *before != self && (moved || self.version() >= before.version());
            if let Some(delete) = self.deleted_by.as_ref().filter(|_| moved) {
                outbox::send(&mut batch, "intake", &IntakeV1::Delivery(delete.clone()), std::time::Duration::ZERO)?;
            }
        }
        let deleted = self.deleted_by.is_some();
        if says_more {
            batch.put(self, held.map(|held| held.etag.clone()));
            if !batch.commit_unless_overtaken().await? {
                return Ok(false);
            }
        }
        if deleted {
            // Also what a try before this one could not send.
            outbox::flush(store, place).await?;
        }
        Ok(true)
    }
}

/// What came of the rows' owners.
#[derive(Default)]
pub(super) struct Owned {
    /// Ids of rows that belong to another company by something newer, heard since the read began.
    pub elsewhere: HashSet<String>,
    /// Where a delete that named no company follows a row to its new one: sent when the rows are written.
    pub deleted: Vec<DeploymentPlace>,
}

/// Remembers whose the rows are, so that a later delete finds its client.
pub(super) async fn own_all(
    store: &Store<'_, DeploymentPlace>,
    connection: &Connection,
    company: &str,
    began: OffsetDateTime,
    asked: OffsetDateTime,
    page: &Page,
) -> Result<Owned, StoreError> {
    let mut shards: Vec<(DeploymentPlace, Vec<&Row>)> = Vec::new();
    for row in &page.rows {
        let place = OwnedRecord::place(connection.id, &row.event.record_key());
        match shards.iter_mut().find(|(known, _)| *known == place) {
            Some((_, rows)) => rows.push(row),
            None => shards.push((place, vec![row])),
        }
    }
    let mut found = Owned::default();
    for (place, rows) in shards {
        let prefix = format!("{}:", Entity::Configuration.word());
        let held = store.all::<OwnedRecord>(place, &prefix).await?;
        let mut owners: HashMap<String, Held<OwnedRecord>> = held.into_iter().map(|held| (held.value.record.clone(), held)).collect();
        for portion in rows.chunks(ROWS_PER_BATCH) {
            let mut batch = store.batch(place);
            for row in portion {
                let record = row.event.record_key();
                let version = version_of(row, asked);
                let Some(held) = owners.remove(&record) else {
                    batch.create(&OwnedRecord::of(&record, company, &version));
                    continue;
                };
                let before = &held.value;
                // The vendor lists what it had called deleted.
                let is_back = before.deleted_by.as_ref().is_some_and(|delete| delete.received_at < began);
                let is_news = row.event.occurred_at.is_some_and(|at| at > before.as_of);
                if before.deleted_by.is_some() && !found.deleted.contains(&place) {
                    // Also what a try before this one could not send.
                    found.deleted.push(place);
                }
                if before.company == company && !is_back && !is_news {
                    continue;
                }
                let heard = before.heard.unwrap_or(before.as_of);
                // The vendor's times are held against each other, and ours against ours.
                let is_newer = if row.event.occurred_at.is_some() { before.version() >= version } else { heard >= asked };
                if before.company != company && heard >= began && is_newer {
                    found.elsewhere.insert(row.event.id.clone());
                    continue;
                }
                let deleted_by = before.deleted_by.clone().filter(|_| !is_back);
                if let Some(delete) = deleted_by.as_ref().filter(|_| before.company != company) {
                    outbox::send(&mut batch, "intake", &IntakeV1::Delivery(delete.clone()), std::time::Duration::ZERO)?;
                }
                // It may have moved without the vendor noting a time: what was said before stays said before.
                let owner = OwnedRecord { deleted_by, ..OwnedRecord::of(&record, company, &version.max(before.version())) };
                batch.put(owner, Some(held.etag));
            }
            batch.commit().await?;
        }
    }
    Ok(found)
}

/// Frees what waited to hear whose its record is.
pub(super) async fn free_all(store: &Store<'_, DeploymentPlace>, connection: &Connection, page: &Page) -> Result<(), StoreError> {
    let prefix = format!("{UNKNOWN_COMPANY}:{}:", Entity::Configuration.word());
    // One that cannot be read must not stop the read of everything else.
    let waits: HashSet<String> =
        mapping::waiting(store, connection.id, &prefix).await?.into_iter().flatten().map(|held| held.value.record).collect();
    for record in page.rows.iter().map(|row| row.event.record_key()).filter(|record| waits.contains(record)) {
        waiting::free(store, connection.id, &record).await?;
    }
    Ok(())
}
