//! What a client's tools sent and what never became evidence: deliveries that wait for it, and bodies that are held back for a
//! CUI marking.
//!
//! Their bytes lie under the installation's key, so the end of the client's data keys does not close them. Whose they are the
//! client map says, and of a body that names no company the record's owner; what nobody can tell the company of stays.

use std::collections::{BTreeSet, HashSet};

use serde_json::json;

use super::{
    connection,
    delivery::{CLIENT_GONE, Delivery, Outcome, Quarantined, Waiting},
    mapping,
    owner::OwnedRecord,
};
use crate::{
    audit,
    platform::ports::BlobContainer,
    tenancy::{ConnectionId, ConnectionPlace, DeploymentPlace, Held, Record as _, Store, StoreError, TenantId},
};

type Directory<'a> = Store<'a, DeploymentPlace>;

/// The names of its raw bytes, for who destroys the client's data keys. A note that does not open names none.
pub async fn raw_names(store: &Directory<'_>, client: TenantId) -> Result<Vec<String>, StoreError> {
    let mut names = BTreeSet::new();
    for connection in connection::all(store).await? {
        let companies = companies_of(store, connection.id, client).await?;
        for company in &companies {
            names.extend(waiting(store, connection.id, company).await?.iter().flat_map(|held| blobs(&held.value)).cloned());
        }
        names.extend(held_back(store, connection.id, &companies).await?.iter().flat_map(|(_, one)| one.copies()).cloned());
    }
    Ok(names.into_iter().collect())
}

/// Deletes all of it, bytes and notes, of a client whose data keys were destroyed; again finds what came at that moment.
pub async fn delete(store: &Directory<'_>, client: TenantId) -> Result<(), StoreError> {
    for connection in connection::all(store).await? {
        let companies = companies_of(store, connection.id, client).await?;
        delete_of(store, connection.id, &companies).await?;
    }
    Ok(())
}

/// The same of these companies.
pub(super) async fn delete_of(store: &Directory<'_>, connection: ConnectionId, companies: &HashSet<String>) -> Result<(), StoreError> {
    for company in companies {
        for held in waiting(store, connection, company).await? {
            drop_waiting(store, connection, &held).await?;
        }
    }
    for (company, one) in held_back(store, connection, companies).await? {
        Quarantined::purge(store, connection, &one.record, BY, |other| other.key() == one.key()).await?;
        forget(store, connection, &company, &one).await?;
    }
    Ok(())
}

/// Who destroyed what was held back, as the page of records set aside says it.
const BY: &str = "Assay, with the data keys of its client";

async fn companies_of(store: &Directory<'_>, connection: ConnectionId, client: TenantId) -> Result<HashSet<String>, StoreError> {
    let mapped = mapping::mapped(store, connection).await?;
    Ok(mapped.iter().filter(|entry| entry.tenant() == client).map(|entry| entry.company().to_owned()).collect())
}

async fn waiting(store: &Directory<'_>, connection: ConnectionId, company: &str) -> Result<Vec<Held<Waiting>>, StoreError> {
    let each = mapping::waiting(store, connection, &format!("{company}:")).await?;
    each.into_iter().filter(|read| !read.as_ref().is_err_and(|error| error.unreadable::<Waiting>().is_some())).collect()
}

/// Also of what was let go for newer ones, as far as the note still names it.
fn blobs(waiting: &Waiting) -> impl Iterator<Item = &String> {
    waiting.deliveries.iter().chain(&waiting.gone).map(|delivery| &delivery.blob)
}

/// With the company of each.
async fn held_back(
    store: &Directory<'_>,
    connection: ConnectionId,
    companies: &HashSet<String>,
) -> Result<Vec<(String, Quarantined)>, StoreError> {
    if companies.is_empty() {
        return Ok(Vec::new());
    }
    let mut theirs = Vec::new();
    for one in Quarantined::each(store, connection).await?.0 {
        if let Some(company) = OwnedRecord::company_of(store, connection, &one).await?.filter(|company| companies.contains(company)) {
            theirs.push((company, one));
        }
    }
    Ok(theirs)
}

/// The note goes with its bytes: the company may be another client's by then, whose people see what is held back of it.
async fn forget(store: &Directory<'_>, connection: ConnectionId, company: &str, one: &Quarantined) -> Result<(), StoreError> {
    let place = Quarantined::place(connection, &one.record);
    let Some(held) = store.read::<Quarantined>(place, &one.key()).await? else { return Ok(()) };
    // It came once more since its copies were deleted: that one is for the next look.
    if held.value.copies().next().is_some() {
        return Ok(());
    }
    let mut batch = store.batch(place);
    batch.delete(&held);
    audit::record(&mut batch, dropped(connection, &one.record, company, 1));
    // The same where it comes at this moment.
    batch.commit_unless_overtaken().await.map(drop)
}

fn dropped(connection: ConnectionId, record: &str, company: &str, deliveries: usize) -> audit::Event {
    let detail = json!({ "company": company, "deliveries": deliveries });
    audit::Event::new("intake.dropped", format!("connection {connection} {record}"), detail)
}

async fn drop_waiting(store: &Directory<'_>, connection: ConnectionId, held: &Held<Waiting>) -> Result<(), StoreError> {
    // Said before the bytes go: a message that comes again finds it.
    for delivery in &held.value.deliveries {
        Delivery::set_aside(store, delivery, Outcome::Ignore, CLIENT_GONE).await?;
    }
    for blob in blobs(&held.value) {
        store.app().blobs.delete(BlobContainer::Raw, blob).await?;
    }
    let Waiting { company, record, deliveries, .. } = &held.value;
    let mut batch = store.batch(DeploymentPlace::Connection(connection, ConnectionPlace::Mapping));
    batch.delete(held);
    audit::record(&mut batch, dropped(connection, record, company, deliveries.len()));
    // Where more came to wait at this moment, the next look finds it.
    batch.commit_unless_overtaken().await.map(drop)
}
