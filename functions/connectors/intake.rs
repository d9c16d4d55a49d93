//! Works off the intake queue: a delivery becomes evidence of the client whose company the client map names.
//!
//! Judge the body, hold back what is marked CUI, find the client, write, then say in a delivery record what became of
//! it. A company that nobody mapped waits and is never guessed; a record without a company follows its earlier owner.
//! Every step may run again: each writes once, by the delivery's id or the vendor's own key.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use uuid::Uuid;

use super::{
    Connection, ConnectorError,
    apply::{self, Applied, Arrival},
    connection,
    delivery::{CLIENT_GONE, CROWDED_OUT, Delivery, Outcome, UNKNOWN_COMPANY, WAITS},
    event::{Action, Event, Fields, Judged},
    known::{Change, Version},
    mapping,
    marked::{self, Looked},
    owner::OwnedRecord,
    pull::{self, PullV1},
    waiting::{self, Wait},
};
use crate::{
    app::App,
    platform::ports::BlobContainer,
    tenancy::{
        ConnectionId, ConnectionPlace, DeploymentPlace, IntakeScope, KeyTrouble, Record as _, Roster, Scope, Store, StoreError,
        directory::MappedCompany,
        keys::{self, Owner},
        message::Verified,
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
    let mut record = Delivery::of(delivery);
    let Some(connection) = connection::read(store, delivery.connection).await? else {
        record.reason = Some("connection_removed".into());
        return Ok(record.save(store, delivery.connection).await?);
    };
    let Some(sealed) = app.blobs.read(BlobContainer::Raw, &delivery.blob).await? else {
        let said = store.read::<Delivery>(Delivery::place(delivery.connection, delivery.delivery), &record.key()).await?;
        return match said {
            // The message came again after its end, and after its client's.
            Some(said) if matches!(said.value.reason.as_deref(), Some(CLIENT_GONE | CROWDED_OUT)) => Ok(()),
            // Its bytes were destroyed for their marking; a stop before that was written down is made good.
            Some(said) if said.value.is_over() => Ok(marked::no_cui_stays(store, &connection, &delivery.blob).await?),
            // The tool sent the same twice: the other message found the marking.
            None if marked::was_destroyed(store, &connection, &delivery.blob).await? => {
                (record.outcome, record.reason) = (Outcome::Quarantined, Some(marked::MARKED.into()));
                Ok(record.save(store, connection.id).await?)
            }
            _ => Err(ConnectorError::RawMissing(delivery.blob.clone())),
        };
    };
    let raw = store.open_blob(BlobContainer::Raw.name(), &delivery.blob, sealed.to_vec()).await?;

    let Looked { judged, held_back, hash } = marked::look(&connection, delivery, &raw);
    let marked = held_back.as_ref().map(|held_back| held_back.record.clone());
    if let Some(held_back) = held_back {
        held_back.save(store, connection.id).await?;
    }
    match judged {
        Judged::Event(event) if marked.is_none() => {
            record.dedupe_key = Some(event.dedupe_key.clone());
            let (outcome, reason) = place(store, &connection, &event, delivery, &hash).await?;
            if outcome == Outcome::Accept {
                record.events.push(event.facts());
            }
            (record.outcome, record.reason) = (outcome, reason.map(str::to_owned));
        }
        judged => marked::put_down(store, &connection, judged, &mut record).await?,
    }
    let is_gone = record.reason.as_deref() == Some(CLIENT_GONE);
    record.save(store, connection.id).await?;
    // After the record, or a second try would miss the bytes.
    if let Some(marked) = marked {
        marked::destroy_copy(store, &connection, &marked, &delivery.blob).await?;
    }
    if is_gone {
        // Nobody will ever take it in: its bytes go too.
        app.blobs.delete(BlobContainer::Raw, &delivery.blob).await?;
    }
    Ok(())
}

type Placed = (Outcome, Option<&'static str>);

const OLDER: &str = "older_than_last_applied";

/// Finds the client and writes, or waits.
///
/// For its earlier client the record is gone, then its owner is claimed, then its evidence is written: whoever comes
/// late or at the same moment finds what is newer on the way, and a try that stopped in between goes on where it was.
async fn place(
    store: &Store<'_, DeploymentPlace>,
    connection: &Connection,
    event: &Event,
    delivery: &DeliveryV1,
    hash: &str,
) -> Result<Placed, ConnectorError> {
    let at = event.occurred_at.unwrap_or(delivery.received_at);
    let version = Version { at, sequence: event.sequence, hash: hash.into() };
    let record = event.record_key();
    let owner = OwnedRecord::read(store, connection.id, &record).await?;
    let earlier = owner.as_ref().map(|held| &held.value);
    let company = match (&event.company, earlier) {
        (Some(company), Some(earlier)) if *company != earlier.company && version <= earlier.version() => {
            // The record belongs to another company since.
            return Ok((Outcome::Stale, Some(OLDER)));
        }
        (Some(company), _) => company,
        (None, Some(earlier)) => &earlier.company,
        (None, None) => {
            return Ok(match waiting::wait(store, connection, event, UNKNOWN_COMPANY, delivery).await? {
                Wait::CrowdedOut => (Outcome::Ignore, Some(CROWDED_OUT)),
                Wait::Waits | Wait::MappedMeanwhile => (Outcome::Accept, Some(WAITS)),
            });
        }
    };
    let deleted = event.action == Action::Deleted;
    if let Some(earlier) = earlier.filter(|earlier| earlier.company != *company) {
        retire(store, connection, event, delivery, &earlier.company, version.clone()).await?;
    }
    let claim = match (&event.company, earlier) {
        (None, Some(earlier)) if deleted => OwnedRecord { deleted_by: Some(delivery.clone()), ..earlier.clone() },
        (None, Some(earlier)) => earlier.clone(),
        _ => OwnedRecord { heard: Some(delivery.received_at), ..OwnedRecord::of(&record, company, &version) },
    };
    if !claim.put(store, connection.id, owner.as_ref()).await? {
        return Box::pin(place(store, connection, event, delivery, hash)).await;
    }
    let placed = match open_to(store, connection.id, company).await? {
        Company::Destroyed => return Ok((Outcome::Ignore, Some(CLIENT_GONE))),
        Company::Open(entry, roster) => {
            let change = Change {
                version,
                whole: event.whole,
                deleted,
                undated: event.occurred_at.is_none(),
                heard: Some(delivery.received_at),
                fields: event.fields.clone(),
                raw: Some(delivery.blob.clone()),
            };
            let scope = Scope::of_client_map(&entry, &roster, store.correlation())?;
            write(store, connection, event, delivery, &scope, change, &event.dedupe_key).await?
        }
        Company::Waits => match waiting::wait(store, connection, event, company, delivery).await? {
            Wait::Waits => (Outcome::Accept, Some(WAITS)),
            Wait::CrowdedOut => (Outcome::Ignore, Some(CROWDED_OUT)),
            // At the very moment: go round once more.
            Wait::MappedMeanwhile => return Box::pin(place(store, connection, event, delivery, hash)).await,
        },
    };
    waiting::free(store, connection.id, &record).await?;
    Ok(placed)
}

async fn write(
    store: &Store<'_, DeploymentPlace>,
    connection: &Connection,
    event: &Event,
    delivery: &DeliveryV1,
    scope: &Scope,
    change: Change,
    dedupe_key: &str,
) -> Result<Placed, ConnectorError> {
    let arrival = Arrival {
        entity: event.entity,
        id: &event.id,
        change,
        dedupe_key,
        delivery: delivery.delivery,
        collected_at: delivery.received_at,
    };
    Ok(match apply::apply(store.app(), scope, connection, &arrival).await? {
        Applied::New | Applied::Again => (Outcome::Accept, None),
        Applied::Duplicate => (Outcome::Duplicate, None),
        Applied::Older => (Outcome::Stale, Some(OLDER)),
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
    // For one that is switched off a read says so when it is on again.
    let Company::Open(entry, roster) = open_to(store, connection.id, company).await? else { return Ok(()) };
    if let Some(name) = &event.company
        && mapped(store, connection.id, name).await?.is_some_and(|new| new.tenant() == entry.tenant())
    {
        return Ok(());
    }
    let heard = Some(delivery.received_at);
    let gone = Change { version, whole: false, deleted: true, undated: false, heard, fields: Fields::new(), raw: None };
    let scope = Scope::of_client_map(&entry, &roster, store.correlation())?;
    write(store, connection, event, delivery, &scope, gone, &format!("moved:{}", event.dedupe_key)).await?;
    Ok(())
}

/// Whether what comes from a company can be written.
pub(super) enum Company {
    /// With the roster by which its client is on.
    Open(MappedCompany, Arc<Roster>),
    /// Nobody mapped it, or its client is switched off: what comes waits, sealed.
    Waits,
    /// The data keys of its client were destroyed.
    Destroyed,
}

pub(super) async fn open_to(store: &Store<'_, DeploymentPlace>, connection: ConnectionId, company: &str) -> Result<Company, StoreError> {
    let Some(entry) = mapped(store, connection, company).await? else { return Ok(Company::Waits) };
    let roster = Roster::read(store).await?;
    if !roster.is_off(entry.tenant()) {
        return Ok(Company::Open(entry, roster));
    }
    match keys::vault_key(store.app(), Owner::Tenant(entry.tenant())).await {
        Err(StoreError::Destroyed { .. }) => Ok(Company::Destroyed),
        // Until the record is back.
        Err(error) if error.key_trouble() == Some(KeyTrouble::Lost) => Ok(Company::Waits),
        Err(error) => Err(error),
        Ok(_) => Ok(Company::Waits),
    }
}

pub(super) async fn mapped(
    store: &Store<'_, DeploymentPlace>,
    connection: ConnectionId,
    company: &str,
) -> Result<Option<MappedCompany>, StoreError> {
    let place = DeploymentPlace::Connection(connection, ConnectionPlace::Mapping);
    Ok(store.read::<MappedCompany>(place, company).await?.map(|held| held.value))
}
