//! Works off the intake queue: a delivery becomes evidence of the client whose company the client map names.
//!
//! Judge the body, hold back what is marked CUI, find the client, write, then say in a delivery record what became of
//! it. A company that nobody mapped waits and is never guessed; a record without a company follows its earlier owner.
//! Every step may run again: each writes once, by the delivery's id or the vendor's own key.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use time::OffsetDateTime;
use uuid::Uuid;

use super::{
    Connection, ConnectorError, Credentials,
    apply::{self, Applied, Arrival},
    autotask, connection, connectwise_manage,
    delivery::{CROWDED_OUT, Delivery, Handling, MAX_WAITING, Outcome, OwnedRecord, Quarantined, UNKNOWN_COMPANY, WAITS, Waiting},
    event::{self, Action, Event, Judged},
    health::{self, Alarm},
    known::{Change, Version},
    mapping,
    pull::{self, PullV1},
};
use crate::{
    app::App,
    audit,
    platform::ports::BlobContainer,
    tenancy::{
        ConnectionId, ConnectionPlace, DeploymentPlace, IntakeScope, Scope, Store, StoreError, directory::MappedCompany, message::Verified,
        outbox, seal::sha256,
    },
};

/// The body of a message for `intake`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IntakeV1 {
    Delivery(DeliveryV1),
    /// A company was mapped: its waiting deliveries may go on.
    Release(ReleaseV1),
    Pull(PullV1),
}

/// A verified webhook whose bytes are kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeliveryV1 {
    pub connection: ConnectionId,
    /// Ours: the same on every redelivery of the message, another one when the vendor sends again.
    pub delivery: Uuid,
    pub blob: String,
    #[serde(with = "time::serde::rfc3339")]
    pub received_at: OffsetDateTime,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReleaseV1 {
    pub connection: ConnectionId,
    pub company: String,
    /// Where the round before this one ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// Only this record: one that could not be read, sent again by a person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub record: Option<String>,
}

pub async fn run(app: &App, message: &Verified) -> Result<(), ConnectorError> {
    match message.body::<IntakeV1>()? {
        IntakeV1::Delivery(delivery) => {
            let store = open(app, delivery.connection, message).await?;
            work_off(&store, &delivery).await
        }
        IntakeV1::Release(release) => {
            let store = open(app, release.connection, message).await?;
            mapping::release(&store, &release).await
        }
        IntakeV1::Pull(pull) => {
            let store = open(app, pull.connection, message).await?;
            Ok(pull::step(&store, &pull).await?)
        }
    }
}

async fn open<'a>(app: &'a App, connection: ConnectionId, message: &Verified) -> Result<Store<'a, DeploymentPlace>, StoreError> {
    IntakeScope::of_delivery(connection, &message.id().to_string()).store(app).await
}

/// One delivery from its bytes to its delivery record.
pub(super) async fn work_off(store: &Store<'_, DeploymentPlace>, delivery: &DeliveryV1) -> Result<(), ConnectorError> {
    let app = store.app();
    let mut record = Delivery {
        id: delivery.delivery,
        received_at: delivery.received_at,
        outcome: Outcome::Ignore,
        reason: None,
        dedupe_key: None,
        events: Vec::new(),
        blob: delivery.blob.clone(),
    };
    let Some(connection) = connection::read(store, delivery.connection).await? else {
        record.reason = Some("connection_removed".into());
        return Ok(record.save(store, delivery.connection).await?);
    };
    let sealed = app.blobs.read(BlobContainer::Raw, &delivery.blob).await?;
    let sealed = sealed.ok_or_else(|| ConnectorError::RawMissing(delivery.blob.clone()))?;
    let raw = store.open_blob(BlobContainer::Raw.name(), &delivery.blob, sealed.to_vec())?;

    let body = serde_json::from_slice::<Value>(&raw);
    let judged = match &body {
        Ok(body) => judge(&connection, body, &raw, delivery.received_at),
        Err(_) => Judged::Reject { reason: "malformed" },
    };
    let (outcome, reason) = match judged {
        Judged::Event(event) => {
            record.dedupe_key = Some(event.dedupe_key.clone());
            let marking = body.ok().as_ref().and_then(event::marking);
            let outcome = match marking {
                Some(marking) => {
                    let held_back = Quarantined {
                        record: event.record_key(),
                        dedupe_key: event.dedupe_key.clone(),
                        company: event.company.clone(),
                        marking,
                        blob: Some(delivery.blob.clone()),
                        at: delivery.received_at,
                        handling: Handling::default(),
                    };
                    held_back.save(store, connection.id).await?;
                    (Outcome::Quarantined, Some("cui_marking"))
                }
                None => place(store, &connection, &event, delivery, &sha256(&raw)).await?,
            };
            if outcome.0 == Outcome::Accept {
                record.events.push(event.facts());
            }
            outcome
        }
        Judged::Reject { reason } => (Outcome::Reject, Some(reason)),
        Judged::Stale { reason, dedupe_key } => {
            record.dedupe_key = Some(dedupe_key);
            (Outcome::Stale, Some(reason))
        }
        Judged::Ignore { reason, dedupe_key } => {
            record.dedupe_key = Some(dedupe_key);
            (Outcome::Ignore, Some(reason))
        }
        Judged::Hint { reason } => {
            health::alarm(store, Some(connection.id), Alarm::DeactivationNotice, reason).await?;
            (Outcome::HintOnly, Some(reason))
        }
    };
    record.outcome = outcome;
    record.reason = reason.map(str::to_owned);
    Ok(record.save(store, connection.id).await?)
}

fn judge(connection: &Connection, body: &Value, raw: &[u8], received_at: OffsetDateTime) -> Judged {
    match &connection.credentials {
        Credentials::ConnectwiseManage { .. } => connectwise_manage::event::judge(body, raw),
        Credentials::Autotask { webhook_guids, .. } => autotask::event::judge(body, webhook_guids, received_at),
    }
}

type Placed = (Outcome, Option<&'static str>);

/// Finds the client and writes, or waits.
async fn place(
    store: &Store<'_, DeploymentPlace>,
    connection: &Connection,
    event: &Event,
    delivery: &DeliveryV1,
    hash: &str,
) -> Result<Placed, ConnectorError> {
    let at = event.occurred_at.unwrap_or(delivery.received_at);
    let record = event.record_key();
    let owner = store.read::<OwnedRecord>(OwnedRecord::place(connection.id, &record), &record).await?;
    let earlier = owner.as_ref().map(|held| &held.value);
    let company = match (&event.company, earlier) {
        (Some(company), Some(earlier)) if *company != earlier.company && at < earlier.as_of => {
            // The record belongs to another company since.
            return Ok((Outcome::Stale, Some("older_than_last_applied")));
        }
        (Some(company), _) => company,
        (None, Some(earlier)) => &earlier.company,
        (None, None) => {
            return Ok(match wait(store, connection, event, UNKNOWN_COMPANY, delivery).await? {
                Wait::CrowdedOut => (Outcome::Ignore, Some(CROWDED_OUT)),
                Wait::Waits | Wait::MappedMeanwhile => (Outcome::Accept, Some(WAITS)),
            });
        }
    };
    let version = Version { at, sequence: event.sequence, hash: hash.into() };
    if let Some(earlier) = earlier.filter(|earlier| earlier.company != *company) {
        retire(store, connection, event, delivery, &earlier.company, version.clone()).await?;
    }
    let placed = match mapped(store, connection.id, company).await? {
        Some(entry) => {
            let change = Change {
                version,
                whole: event.whole,
                deleted: event.action == Action::Deleted,
                fields: event.fields.clone(),
                raw: Some(delivery.blob.clone()),
            };
            write(store, connection, event, delivery, &entry, change, &event.dedupe_key).await?
        }
        None => match wait(store, connection, event, company, delivery).await? {
            Wait::Waits => (Outcome::Accept, Some(WAITS)),
            Wait::CrowdedOut => (Outcome::Ignore, Some(CROWDED_OUT)),
            // At the very moment: go round once more.
            Wait::MappedMeanwhile => return Box::pin(place(store, connection, event, delivery, hash)).await,
        },
    };
    if event.company.is_some() && placed.0 == Outcome::Accept {
        own(store, connection.id, &record, company, at).await?;
    }
    Ok(placed)
}

async fn write(
    store: &Store<'_, DeploymentPlace>,
    connection: &Connection,
    event: &Event,
    delivery: &DeliveryV1,
    entry: &MappedCompany,
    change: Change,
    dedupe_key: &str,
) -> Result<Placed, ConnectorError> {
    let scope = Scope::of_client_map(entry, store.correlation());
    let arrival = Arrival {
        entity: event.entity,
        id: &event.id,
        change,
        dedupe_key,
        delivery: delivery.delivery,
        collected_at: delivery.received_at,
    };
    Ok(match apply::apply(store.app(), &scope, connection, &arrival).await? {
        Applied::New | Applied::Again => (Outcome::Accept, None),
        Applied::Duplicate => (Outcome::Duplicate, None),
        Applied::Older => (Outcome::Stale, Some("older_than_last_applied")),
    })
}

/// The record went to another company: for its earlier client it is gone.
async fn retire(
    store: &Store<'_, DeploymentPlace>,
    connection: &Connection,
    event: &Event,
    delivery: &DeliveryV1,
    company: &str,
    version: Version,
) -> Result<(), ConnectorError> {
    let Some(entry) = mapped(store, connection.id, company).await? else { return Ok(()) };
    if let Some(name) = &event.company
        && mapped(store, connection.id, name).await?.is_some_and(|new| new.tenant() == entry.tenant())
    {
        return Ok(());
    }
    let gone = Change { version, whole: false, deleted: true, fields: event::Fields::new(), raw: None };
    write(store, connection, event, delivery, &entry, gone, &format!("moved:{}", event.dedupe_key)).await?;
    Ok(())
}

/// Remembers whose the record is; what waited because nobody knew is sent round again.
pub(super) async fn own(
    store: &Store<'_, DeploymentPlace>,
    connection: ConnectionId,
    record: &str,
    company: &str,
    at: OffsetDateTime,
) -> Result<(), StoreError> {
    let place = OwnedRecord::place(connection, record);
    let held = store.read::<OwnedRecord>(place, record).await?;
    if held.as_ref().is_none_or(|held| held.value.as_of < at || held.value.company != company) {
        let first = held.is_none();
        let mut batch = store.batch(place);
        batch.put(OwnedRecord { record: record.into(), company: company.into(), as_of: at }, held.map(|held| held.etag));
        batch.commit().await?;
        if !first {
            return Ok(());
        }
    }
    let mapping = DeploymentPlace::Connection(connection, ConnectionPlace::Mapping);
    if let Some(waiting) = store.read::<Waiting>(mapping, &format!("{UNKNOWN_COMPANY}:{record}")).await? {
        let mut batch = store.batch(mapping);
        for delivery in &waiting.value.deliveries {
            outbox::send(&mut batch, "intake", &IntakeV1::Delivery(delivery.clone()), std::time::Duration::ZERO)?;
        }
        batch.delete(&waiting);
        audit::record(&mut batch, audit::Event::new("intake.released", format!("connection {connection} {record}"), Value::Null));
        batch.commit().await?;
        outbox::flush(store, mapping).await?;
    }
    Ok(())
}

enum Wait {
    Waits,
    /// More than enough newer ones of its record wait already.
    CrowdedOut,
    /// The company was mapped meanwhile, and it need not wait.
    MappedMeanwhile,
}

/// Keeps the delivery waiting, the newest of each record; what is let go for them is audited and counted.
async fn wait(
    store: &Store<'_, DeploymentPlace>,
    connection: &Connection,
    event: &Event,
    company: &str,
    delivery: &DeliveryV1,
) -> Result<Wait, StoreError> {
    let place = DeploymentPlace::Connection(connection.id, ConnectionPlace::Mapping);
    let record = event.record_key();
    let held = store.read::<Waiting>(place, &format!("{company}:{record}")).await?;
    let (mut waiting, etag) = match held {
        Some(held) => (held.value, Some(held.etag)),
        None => (Waiting::none_yet(company, &record), None),
    };
    let is_this = |known: &DeliveryV1| known.delivery == delivery.delivery;
    if waiting.gone.iter().any(is_this) {
        return Ok(Wait::CrowdedOut);
    }
    if waiting.deliveries.iter().any(is_this) {
        // The try before may have ended between its two writes.
        say_let_go(store, &waiting.gone).await?;
        return Ok(Wait::Waits);
    }
    // The same bytes again: the earlier copy waits already.
    let known = waiting.deliveries.iter().any(|known| known.blob == delivery.blob);
    if !known {
        waiting.company_name = event.company_name.clone().or(waiting.company_name);
        waiting.deliveries.push(delivery.clone());
        waiting.deliveries.sort_by_key(|delivery| (delivery.received_at, delivery.delivery));
        let surplus = waiting.deliveries.len().saturating_sub(MAX_WAITING);
        let let_go: Vec<DeliveryV1> = waiting.deliveries.drain(..surplus).collect();
        waiting.let_go += u64::try_from(let_go.len()).unwrap_or(u64::MAX);
        waiting.gone.extend(let_go.iter().cloned());
        waiting.gone.drain(..waiting.gone.len().saturating_sub(MAX_WAITING));
        let mut batch = store.batch(place);
        let object = format!("connection {} {record}", connection.id);
        let detail = |of: &DeliveryV1| serde_json::json!({ "company": company, "delivery": of.delivery.simple().to_string() });
        audit::record(&mut batch, audit::Event::new("intake.waiting", object.clone(), detail(delivery)));
        for of in &let_go {
            audit::record(&mut batch, audit::Event::new("intake.crowded_out", object.clone(), detail(of)));
        }
        batch.put(waiting, etag);
        batch.commit().await?;
        say_let_go(store, &let_go).await?;
        if let_go.contains(delivery) {
            return Ok(Wait::CrowdedOut);
        }
    }
    // A person may have mapped the company between our look and our write; then nobody would come for what waits.
    Ok(if mapped(store, connection.id, company).await?.is_none() { Wait::Waits } else { Wait::MappedMeanwhile })
}

/// In their delivery records; once, however often it is said.
async fn say_let_go(store: &Store<'_, DeploymentPlace>, let_go: &[DeliveryV1]) -> Result<(), StoreError> {
    for of in let_go {
        Delivery::set_aside(store, of, Outcome::Ignore, CROWDED_OUT).await?;
    }
    Ok(())
}

pub(super) async fn mapped(
    store: &Store<'_, DeploymentPlace>,
    connection: ConnectionId,
    company: &str,
) -> Result<Option<MappedCompany>, StoreError> {
    let place = DeploymentPlace::Connection(connection, ConnectionPlace::Mapping);
    Ok(store.read::<MappedCompany>(place, company).await?.map(|held| held.value))
}
