//! The client map: which company of the vendor is which client, said by a named human and never guessed.
//!
//! A mapping is confirmed once and stays: evidence lies with the client it was confirmed for. What waited for it goes on
//! through the outbox, in portions.

use std::collections::BTreeMap;

use serde_json::json;
use time::OffsetDateTime;

use super::{
    ConnectorError, connection,
    delivery::{UNKNOWN_COMPANY, Waiting},
    event,
    intake::{self, IntakeV1, ReleaseV1},
};
use crate::{
    audit,
    tenancy::{
        Actor, ConnectionId, ConnectionPlace, DeploymentPlace, PersonId, Store, StoreError, TenantId,
        directory::{self, MappedCompany},
        outbox,
    },
    web::Problem,
};

/// A company that was seen and that nobody has mapped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unmapped {
    pub company: String,
    /// The vendor's name for it, when a body said it.
    pub name: Option<String>,
    /// Records that wait for it, and since when the first does.
    pub waiting: usize,
    pub since: OffsetDateTime,
    /// False for records whose company no body named: there is nothing to map, they wait for a read that tells.
    pub can_be_mapped: bool,
}

pub async fn unmapped(store: &Store<'_, DeploymentPlace>, connection: ConnectionId) -> Result<Vec<Unmapped>, StoreError> {
    let mut companies: BTreeMap<String, Unmapped> = BTreeMap::new();
    for held in store.all::<Waiting>(place(connection), "").await? {
        let waiting = held.value;
        let can_be_mapped = waiting.company != UNKNOWN_COMPANY;
        let entry = companies.entry(waiting.company.clone()).or_insert(Unmapped {
            company: waiting.company,
            name: None,
            waiting: 0,
            since: store.app().now(),
            can_be_mapped,
        });
        entry.waiting += 1;
        entry.since = waiting.deliveries.iter().map(|delivery| delivery.received_at).chain([entry.since]).min().unwrap_or(entry.since);
        entry.name = waiting.company_name.or(entry.name.take());
    }
    for entry in mapped(store, connection).await? {
        companies.remove(entry.company());
    }
    Ok(companies.into_values().collect())
}

pub async fn mapped(store: &Store<'_, DeploymentPlace>, connection: ConnectionId) -> Result<Vec<MappedCompany>, StoreError> {
    Ok(store.all::<MappedCompany>(place(connection), "").await?.into_iter().map(|held| held.value).collect())
}

/// A signed-in person says which client the company is. The caller has checked that the person may see the client.
pub async fn confirm(
    store: &Store<'_, DeploymentPlace>,
    connection: ConnectionId,
    company: &str,
    company_name: &str,
    tenant: TenantId,
) -> Result<MappedCompany, Problem> {
    let person = person(store)?;
    let company = event::id(&json!(company)).filter(|company| company != UNKNOWN_COMPANY);
    let company = company.ok_or_else(|| Problem::bad_request("That is not a company id of the vendor."))?;
    if connection::read(store, connection).await?.is_none() || directory::tenant(store, tenant).await?.is_none() {
        return Err(Problem::not_found());
    }
    let place = place(connection);
    if let Some(held) = store.read::<MappedCompany>(place, &company).await? {
        return if held.value.tenant() == tenant {
            Ok(held.value)
        } else {
            Err(Problem::conflict(
                "This company is mapped to another client already. A mapping stays, because evidence lies with that client.",
            ))
        };
    }
    let entry = MappedCompany::confirmed(connection, &company, company_name.trim(), tenant, person, store.app().now());
    let mut batch = store.batch(place);
    batch.create(&entry);
    let detail = json!({ "connection": connection, "company": company, "client": tenant });
    audit::record(&mut batch, audit::Event::new("company.mapped", format!("connection {connection} company {company}"), detail));
    outbox::send(&mut batch, "intake", &IntakeV1::Release(ReleaseV1 { connection, company }), std::time::Duration::ZERO)?;
    batch.commit().await?;
    outbox::flush(store, place).await?;
    Ok(entry)
}

/// Waiting records that one message takes along.
const PORTION: usize = 20;

/// Works off what waited for a company that is mapped now; asks for another round while something is left.
pub async fn release(store: &Store<'_, DeploymentPlace>, release: &ReleaseV1) -> Result<(), ConnectorError> {
    let place = place(release.connection);
    if intake::mapped(store, release.connection, &release.company).await?.is_none() {
        return Ok(());
    }
    let (waiting, next) = store.page::<Waiting>(place, &format!("{}:", release.company), false, PORTION, None).await?;
    for held in waiting {
        for delivery in &held.value.deliveries {
            intake::work_off(store, delivery).await?;
        }
        let mut batch = store.batch(place);
        batch.delete(&held);
        audit::record(
            &mut batch,
            audit::Event::new("intake.released", format!("connection {} {}", release.connection, held.value.record), json!({})),
        );
        match batch.commit().await {
            // The message ran twice at once.
            Err(error) if error.is_conflict() => {}
            other => other?,
        }
    }
    if next.is_some() {
        let mut batch = store.batch(place);
        outbox::send(&mut batch, "intake", &IntakeV1::Release(release.clone()), std::time::Duration::ZERO)?;
        batch.commit().await?;
    }
    outbox::flush(store, place).await?;
    Ok(())
}

fn place(connection: ConnectionId) -> DeploymentPlace {
    DeploymentPlace::Connection(connection, ConnectionPlace::Mapping)
}

fn person(store: &Store<'_, DeploymentPlace>) -> Result<PersonId, Problem> {
    match store.actor() {
        Actor::Person(id) => Ok(*id),
        _ => Err(Problem::forbidden("Only a signed-in person can say which client a company is.")),
    }
}
