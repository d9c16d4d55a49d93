//! What a whole read makes of records that it did not list.
//!
//! Only what the read must have listed is judged: not what came after it began, and not records of a company that was
//! mapped meanwhile. Where rows can slip between pages, the second read in a row decides.

use std::collections::HashSet;

use serde_json::json;
use time::OffsetDateTime;

use super::{
    Connection,
    apply::{evidence_of, observed},
    event::Entity,
    intake,
    known::{Known, Missing},
    owner::OwnedRecord,
};
use crate::{
    audit,
    evidence::Evidence,
    tenancy::{ClientPlace, DeploymentPlace, Store, StoreError, TenantId},
};

/// How a client was read.
pub struct Reading<'a> {
    pub client: TenantId,
    pub began: OffsetDateTime,
    /// Its companies that were read. One that was mapped meanwhile is not among them.
    pub companies: &'a [String],
    /// All of it was one answer of the vendor, to one query: no row can have slipped from one page to another meanwhile.
    pub one_answer: bool,
}

impl Reading<'_> {
    pub(super) fn has(&self, company: &str) -> bool {
        self.companies.iter().any(|read| read == company)
    }

    /// Whether the record would have been listed if it were there. Asked after the record was read: whatever came of a
    /// company that was mapped meanwhile came after its mapping.
    async fn would_list(&self, store: &Store<'_, DeploymentPlace>, connection: &Connection, id: &str) -> Result<bool, StoreError> {
        let record = format!("{}:{id}", Entity::Configuration.word());
        let owner = OwnedRecord::read(store, connection.id, &record).await?;
        let Some(company) = owner.map(|held| held.value.company) else { return Ok(false) };
        let is_theirs = async || intake::mapped(store, connection.id, &company).await;
        Ok(self.has(&company) || is_theirs().await?.is_none_or(|entry| entry.tenant() != self.client))
    }
}

/// Marks what this read should have listed and did not.
pub(super) async fn mark(
    store: &Store<'_, DeploymentPlace>,
    client: &Store<'_, ClientPlace>,
    connection: &Connection,
    shard: u8,
    present: &HashSet<&str>,
    reading: &Reading<'_>,
) -> Result<(), StoreError> {
    let place = ClientPlace::Evidence(shard);
    let prefix = format!("{}:{}:", connection.id, Entity::Configuration.word());
    for mut held in client.all::<Known>(place, &prefix).await? {
        let id = held.value.source_key.strip_prefix(&prefix).unwrap_or_default().to_owned();
        // What came after the read began cannot have been in it.
        if held.value.deleted || present.contains(id.as_str()) || held.value.is_since(reading.began) {
            continue;
        }
        if !reading.would_list(store, connection, &id).await? {
            continue;
        }
        let mut batch = client.batch(place);
        match held.value.not_listed(reading.began, reading.one_answer) {
            Missing::Known => continue,
            Missing::First => {
                audit::record(&mut batch, audit::Event::new("evidence.missed", held.value.source_key.clone(), json!({})));
            }
            Missing::Gone => {
                let before = client.read::<Evidence>(place, &held.value.source_key).await?;
                let record = evidence_of(connection, Entity::Configuration, &id, &held.value, client.app().now());
                let record = record.after(before.as_ref().map(|held| &held.value));
                audit::record(&mut batch, observed(&record, None));
                batch.put(record, before.map(|held| held.etag));
            }
        }
        batch.replace(&held);
        batch.commit().await?;
    }
    Ok(())
}
