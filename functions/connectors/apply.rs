//! Writes a change into a client's evidence: seen-record, evidence, audit item and the request to analyze in one batch.
//!
//! Duplicates and older news change nothing. The seen-record holds the delivery's id, so that our own redelivery (go on
//! with what is left to do) is told from the vendor's duplicate (do nothing).

use serde::{Deserialize, Serialize};
use serde_json::json;
use time::OffsetDateTime;
use uuid::Uuid;

use super::{
    Connection,
    event::{BOARD, Entity, TITLE, TYPE},
    known::{Change, Known},
};
use crate::{
    app::App,
    audit,
    evidence::{AnalyzeV1, Evidence, Observed, Origin, Population},
    tenancy::{ClientPlace, ConnectionId, Record, Scope, Store, StoreError, Wanted, outbox, seal::sha256},
};

/// What is to be written, and from where it comes.
#[derive(Clone, Debug)]
pub struct Arrival<'a> {
    pub entity: Entity,
    pub id: &'a str,
    pub change: Change,
    pub dedupe_key: &'a str,
    pub delivery: Uuid,
    pub collected_at: OffsetDateTime,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Applied {
    New,
    /// This very delivery was applied before.
    Again,
    /// Another delivery of the same event was.
    Duplicate,
    /// Something newer was.
    Older,
}

/// That an event was applied, and by which delivery.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Seen {
    pub connection: ConnectionId,
    pub dedupe_key: String,
    pub delivery: Uuid,
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
}

impl Record for Seen {
    const KIND: &'static str = "seen";
    const SCHEMA: u32 = 1;

    fn key(&self) -> String {
        seen_key(self.connection, &self.dedupe_key)
    }
}

fn seen_key(connection: ConnectionId, dedupe_key: &str) -> String {
    // A vendor's key may hold any character; its hash may stand in an id.
    format!("{connection}:{}", sha256(dedupe_key.as_bytes()))
}

/// `{connection}:{entity}:{vendor id}`.
pub fn source_key(connection: ConnectionId, entity: Entity, id: &str) -> String {
    format!("{connection}:{}:{id}", entity.word())
}

/// Tries when others write the same record at the same moment.
const TRIES: usize = 6;

pub async fn apply(app: &App, scope: &Scope, connection: &Connection, arrival: &Arrival<'_>) -> Result<Applied, StoreError> {
    let store = scope.store(app).await?;
    let source_key = source_key(connection.id, arrival.entity, arrival.id);
    let place = Evidence::place(&source_key);
    let mut tries = 0;
    let applied = loop {
        tries += 1;
        match once(&store, place, connection, &source_key, arrival).await {
            Err(error) if error.is_conflict() && tries < TRIES => {}
            other => break other?,
        }
    };
    // Also what a predecessor wrote and could not send.
    outbox::flush(&store, place).await?;
    Ok(applied)
}

async fn once(
    store: &Store<'_, ClientPlace>,
    place: ClientPlace,
    connection: &Connection,
    source_key: &str,
    arrival: &Arrival<'_>,
) -> Result<Applied, StoreError> {
    let seen = seen_key(connection.id, arrival.dedupe_key);
    let wanted = vec![Wanted::one::<Seen>(&seen), Wanted::one::<Known>(source_key), Wanted::one::<Evidence>(source_key)];
    let found = store.gather(place, wanted).await?;
    if let Some(seen) = found.one::<Seen>(&seen).await? {
        return Ok(if seen.value.delivery == arrival.delivery { Applied::Again } else { Applied::Duplicate });
    }
    let held = found.one::<Known>(source_key).await?;
    let (known, etag) = match held {
        Some(mut held) => {
            if !held.value.apply(&arrival.change) {
                return Ok(Applied::Older);
            }
            (held.value, Some(held.etag))
        }
        None => (Known::first(source_key, &arrival.change), None),
    };
    let before = found.one::<Evidence>(source_key).await?;
    let collected_at = before.as_ref().map_or(arrival.collected_at, |held| held.value.collected_at.max(arrival.collected_at));
    let evidence = evidence_of(connection, arrival.entity, arrival.id, &known, collected_at);
    let evidence = evidence.after(before.as_ref().map(|held| &held.value));

    let mut batch = store.batch(place);
    batch.create(&Seen {
        connection: connection.id,
        dedupe_key: arrival.dedupe_key.into(),
        delivery: arrival.delivery,
        at: arrival.collected_at,
    });
    audit::record(&mut batch, observed(&evidence, Some(arrival.delivery)));
    let request = AnalyzeV1 { source_key: source_key.into() };
    outbox::send(&mut batch, "analyze", &request, std::time::Duration::ZERO)?;
    batch.put(evidence, before.map(|held| held.etag));
    batch.put(known, etag);
    batch.commit().await?;
    Ok(Applied::New)
}

/// The evidence record that stands for what is known; its revision is the writer's to say.
pub fn evidence_of(connection: &Connection, entity: Entity, id: &str, known: &Known, collected_at: OffsetDateTime) -> Evidence {
    let settings = &connection.settings;
    let record_type = match entity {
        Entity::Ticket => settings.of_ticket(known.get(BOARD), known.get(TYPE)),
        Entity::Configuration => settings.of_configuration(known.get(TYPE)),
    };
    let title = known.get(TITLE).map_or_else(|| format!("{} {id}", entity.word()), str::to_owned);
    Evidence {
        source_key: known.source_key.clone(),
        record_type: record_type.map(str::to_owned),
        title,
        origin: Origin::Observed(Observed {
            connection: connection.id,
            system: connection.vendor().word().into(),
            entity: entity.word().into(),
            vendor_id: id.into(),
            facts: known.facts(),
            raw: known.raw.clone(),
        }),
        occurred_at: known.newest.at,
        collected_at,
        population: Population::Unknown,
        hash: known.newest.hash.clone(),
        deleted: known.deleted,
        revision: 0,
    }
}

pub fn observed(evidence: &Evidence, delivery: Option<Uuid>) -> audit::Event {
    let detail = json!({
        "record_type": evidence.record_type, "hash": evidence.hash, "deleted": evidence.deleted,
        "delivery": delivery.map(|id| id.simple().to_string()), "population": evidence.population.words(), "revision": evidence.revision,
    });
    audit::Event::new("evidence.observed", evidence.source_key.clone(), detail)
}
