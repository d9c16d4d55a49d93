//! Deliveries that wait: for a person to map their company, for their client to be switched on again, or for an event that
//! tells whose their record is.
//!
//! What waits is a pointer to sealed bytes. Nothing waits unseen: whoever lets it wait looks once more afterwards whether
//! its answer came meanwhile.

use serde_json::{Value, json};

use super::{
    Connection,
    delivery::{CROWDED_OUT, Delivery, MAX_WAITING, Outcome, UNKNOWN_COMPANY, Waiting},
    event::Event,
    intake::{self, Company, DeliveryV1, IntakeV1},
    owner::OwnedRecord,
};
use crate::{
    audit,
    tenancy::{ConnectionId, ConnectionPlace, DeploymentPlace, Store, StoreError, outbox},
};

pub(super) enum Wait {
    Waits,
    /// More than enough newer ones of its record wait already.
    CrowdedOut,
    /// The company was mapped meanwhile, and it need not wait.
    MappedMeanwhile,
}

/// Keeps the delivery waiting, the newest of each record; what is let go for them is audited and counted.
pub(super) async fn wait(
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
        let detail = |of: &DeliveryV1| json!({ "company": company, "delivery": of.delivery.simple().to_string() });
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
    // A person may have mapped the company, or an event have told it, between our look and our write; then nobody would
    // come for what waits.
    if company == UNKNOWN_COMPANY {
        if OwnedRecord::read(store, connection.id, &record).await?.is_some() {
            free(store, connection.id, &record).await?;
        }
        return Ok(Wait::Waits);
    }
    let is_open = matches!(intake::open_to(store, connection.id, company).await?, Company::Open(..));
    Ok(if is_open { Wait::MappedMeanwhile } else { Wait::Waits })
}

/// In their delivery records; once, however often it is said.
async fn say_let_go(store: &Store<'_, DeploymentPlace>, let_go: &[DeliveryV1]) -> Result<(), StoreError> {
    for of in let_go {
        Delivery::set_aside(store, of, Outcome::Ignore, CROWDED_OUT).await?;
    }
    Ok(())
}

/// It is known whose the record is: what waited because nobody knew is sent round again.
pub(super) async fn free(store: &Store<'_, DeploymentPlace>, connection: ConnectionId, record: &str) -> Result<(), StoreError> {
    let place = DeploymentPlace::Connection(connection, ConnectionPlace::Mapping);
    let Some(waiting) = store.read::<Waiting>(place, &format!("{UNKNOWN_COMPANY}:{record}")).await? else { return Ok(()) };
    let mut batch = store.batch(place);
    for delivery in &waiting.value.deliveries {
        outbox::send(&mut batch, "intake", &IntakeV1::Delivery(delivery.clone()), std::time::Duration::ZERO)?;
    }
    batch.delete(&waiting);
    audit::record(&mut batch, audit::Event::new("intake.released", format!("connection {connection} {record}"), Value::Null));
    // Not written: somebody else frees it, or more came to wait, and looks itself.
    if !batch.commit_unless_overtaken().await? {
        return Ok(());
    }
    outbox::flush(store, place).await?;
    Ok(())
}
