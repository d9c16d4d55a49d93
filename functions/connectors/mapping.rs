//! The client map: which company of the vendor is which client, said by a named human and never guessed.
//!
//! A mapping is confirmed once and stays: evidence lies with the client it was confirmed for. Only when the data keys of that
//! client are destroyed, so that nobody reads it any more, is its company mapped anew. What waited for a company goes on through
//! the outbox, in portions; what cannot be read becomes a dead letter with its reason and holds up nothing.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use serde_json::json;
use time::OffsetDateTime;

use uuid::Uuid;

use super::{
    ConnectorError, connection,
    delivery::{Delivery, Outcome, UNKNOWN_COMPANY, UNREADABLE, Waiting},
    event,
    intake::{self, Company, IntakeV1, ReleaseV1},
    population, unread,
};
use crate::{
    app::App,
    audit::{self, dead_letter},
    platform::ports::Continuation,
    tenancy::{
        Actor, ConnectionId, ConnectionPlace, DeploymentPlace, DeploymentScope, Held, PersonId, Roster, Scope, Store, StoreError, TenantId,
        directory::{self, MappedCompany},
        message, outbox,
        seal::sha256,
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
    /// Older changes of these records that were let go for newer ones.
    pub let_go: u64,
    /// False for records whose company no body named: there is nothing to map, they wait for a read that tells.
    pub can_be_mapped: bool,
}

pub async fn unmapped(store: &Store<'_, DeploymentPlace>, connection: ConnectionId) -> Result<Vec<Unmapped>, StoreError> {
    let mut companies: BTreeMap<String, Unmapped> = BTreeMap::new();
    for record in waiting(store, connection, "").await? {
        // One that cannot be read is shown too: its key says whose it is.
        let company = match &record {
            Ok(held) => held.value.company.clone(),
            Err(error) => error.unreadable::<Waiting>().and_then(|key| key.split(':').next()).unwrap_or(UNKNOWN_COMPANY).to_owned(),
        };
        let can_be_mapped = company != UNKNOWN_COMPANY;
        let entry = companies.entry(company.clone()).or_insert(Unmapped {
            company,
            name: None,
            waiting: 0,
            since: store.app().now(),
            let_go: 0,
            can_be_mapped,
        });
        entry.waiting += 1;
        let Ok(Held { value: waiting, .. }) = record else { continue };
        entry.let_go += waiting.let_go;
        entry.since = waiting.deliveries.iter().map(|delivery| delivery.received_at).chain([entry.since]).min().unwrap_or(entry.since);
        entry.name = waiting.company_name.or(entry.name.take());
    }
    for entry in mapped(store, connection).await? {
        companies.remove(entry.company());
    }
    Ok(companies.into_values().collect())
}

/// What waits under this prefix of the key (`{company}:{record}`), each record by itself.
pub(super) async fn waiting(
    store: &Store<'_, DeploymentPlace>,
    connection: ConnectionId,
    prefix: &str,
) -> Result<Vec<Result<Held<Waiting>, StoreError>>, StoreError> {
    store.all_of_each(place(connection), prefix).await
}

pub async fn mapped(store: &Store<'_, DeploymentPlace>, connection: ConnectionId) -> Result<Vec<MappedCompany>, StoreError> {
    Ok(store.all::<MappedCompany>(place(connection), "").await?.into_iter().map(|held| held.value).collect())
}

/// Companies whose client's data keys were destroyed: nothing that comes of them is kept until somebody maps them anew.
pub async fn left_behind(store: &Store<'_, DeploymentPlace>, connection: ConnectionId) -> Result<Vec<MappedCompany>, StoreError> {
    let (roster, mut left) = (Roster::read(store).await?, Vec::new());
    for entry in mapped(store, connection).await?.into_iter().filter(|entry| roster.is_off(entry.tenant())) {
        // One whose keys are in trouble is not let go.
        if matches!(intake::open_to(store, connection, entry.company()).await, Ok(Company::Destroyed)) {
            left.push(entry);
        }
    }
    Ok(left)
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
    let before = store.read::<MappedCompany>(place, &company).await?;
    if let Some(held) = &before {
        if held.value.tenant() == tenant {
            return Ok(held.value.clone());
        }
        if !matches!(intake::open_to(store, connection, &company).await?, Company::Destroyed) {
            return Err(Problem::conflict(
                "This company is mapped to another client already. A mapping stays, because evidence lies with that client.",
            ));
        }
        // What the earlier client left goes with it, and never to another.
        Box::pin(unread::delete_of(store, connection, &HashSet::from([company.clone()]))).await?;
    }
    let name = before.as_ref().map(|held| held.value.company_name.as_str()).filter(|_| company_name.trim().is_empty());
    let name = name.unwrap_or(company_name).trim();
    let entry = MappedCompany::confirmed(connection, &company, name, tenant, person, store.app().now());
    let mut batch = store.batch(place);
    audit::record(&mut batch, said(&entry, before.as_ref().map(|held| held.value.tenant())));
    batch.put(entry.clone(), before.map(|held| held.etag));
    outbox::send(
        &mut batch,
        "intake",
        &IntakeV1::Release(ReleaseV1 { connection, company, after: None, record: None }),
        std::time::Duration::ZERO,
    )?;
    batch.commit().await?;
    outbox::flush(store, place).await?;
    Ok(entry)
}

/// `before`: the client that it was until then.
pub(super) fn said(entry: &MappedCompany, before: Option<TenantId>) -> audit::Event {
    let (connection, company) = (entry.connection(), entry.company());
    let detail = json!({ "connection": connection, "company": company, "client": entry.tenant(), "before": before });
    audit::Event::new("company.mapped", format!("connection {connection} company {company}"), detail)
}

/// Waiting records that one message takes along.
const PORTION: usize = 20;

/// Works off what waited for a company that is mapped now; asks for another round while something is left.
pub async fn release(store: &Store<'_, DeploymentPlace>, release: &ReleaseV1) -> Result<(), ConnectorError> {
    let place = place(release.connection);
    // What waits for a client that is switched off goes on waiting.
    let Company::Open(entry, roster) = intake::open_to(store, release.connection, &release.company).await? else { return Ok(()) };
    if let Some(record) = &release.record {
        return match store.read::<Waiting>(place, &format!("{}:{record}", release.company)).await? {
            Some(held) => work_off(store, release.connection, &held).await,
            None => Ok(()),
        };
    }
    let after = release.after.clone().map(Continuation);
    let (waiting, next) = store.page_of_each::<Waiting>(place, &format!("{}:", release.company), false, PORTION, after).await?;
    for record in waiting {
        match record {
            Ok(held) => work_off(store, release.connection, &held).await?,
            Err(error) => set_record_aside(store, release, error).await?,
        }
    }
    if let Some(Continuation(after)) = next {
        let mut batch = store.batch(place);
        let release = ReleaseV1 { after: Some(after), ..release.clone() };
        outbox::send(&mut batch, "intake", &IntakeV1::Release(release), std::time::Duration::ZERO)?;
        batch.commit().await?;
    }
    outbox::flush(store, place).await?;
    if release.after.is_none()
        && let Some(connection) = connection::read(store, release.connection).await?
    {
        let client = Scope::of_client_map(&entry, &roster, store.correlation())?.store(store.app()).await?;
        population::add_unread(&client, &connection, &entry).await?;
    }
    Ok(())
}

/// Asks for what waits although its company is mapped and its client is on: one that was switched on again, and what a
/// process that died left. For the sweep, and for whoever switches a client on. How many companies that are.
pub async fn release_forgotten(app: &App, correlation: &str) -> Result<usize, StoreError> {
    let store = DeploymentScope::of_function("sweep", correlation).store(app).await?;
    let mut asked = 0;
    for connection in connection::all(&store).await? {
        let known = waiting(&store, connection.id, "").await?;
        let companies: BTreeSet<String> = known.into_iter().filter_map(Result::ok).map(|held| held.value.company).collect();
        for company in companies {
            if !matches!(intake::open_to(&store, connection.id, &company).await?, Company::Open(..)) {
                continue;
            }
            let release = IntakeV1::Release(ReleaseV1 { connection: connection.id, company, after: None, record: None });
            let message = message::seal(app, "intake", None, app.ids.uuid(), &release).await?;
            app.queue.send("intake", message, std::time::Duration::ZERO).await?;
            asked += 1;
        }
    }
    Ok(asked)
}

async fn work_off(store: &Store<'_, DeploymentPlace>, connection: ConnectionId, held: &Held<Waiting>) -> Result<(), ConnectorError> {
    for delivery in &held.value.deliveries {
        match intake::work_off(store, delivery).await {
            Err(error @ (ConnectorError::RawMissing(_) | ConnectorError::Store(StoreError::Sealed { .. }))) => {
                let message = message::seal(store.app(), "intake", None, delivery.delivery, &IntakeV1::Delivery(delivery.clone())).await?;
                bury(store, &message, &error.to_string()).await?;
                Delivery::set_aside(store, delivery, Outcome::Reject, UNREADABLE).await?;
            }
            other => other?,
        }
    }
    let mut batch = store.batch(place(connection));
    batch.delete(held);
    let object = format!("connection {connection} {}", held.value.record);
    audit::record(&mut batch, audit::Event::new("intake.released", object, json!({})));
    // Overtaken where the message ran twice at once, or more came to wait, which is for the next look.
    batch.commit_unless_overtaken().await?;
    Ok(())
}

/// A waiting record that cannot be read stays where it is; its dead letter, sent again, tries this one record.
async fn set_record_aside(store: &Store<'_, DeploymentPlace>, release: &ReleaseV1, error: StoreError) -> Result<(), ConnectorError> {
    let Some(record) = error.unreadable::<Waiting>().and_then(|key| key.split_once(':')).map(|(_, record)| record.to_owned()) else {
        return Err(error.into());
    };
    let connection = release.connection;
    // The same bytes each time, so that the same record is one dead letter.
    let id = Uuid::parse_str(&sha256(format!("{connection} {} {record}", release.company).as_bytes())[..32]).unwrap_or_default();
    let again = ReleaseV1 { connection, company: release.company.clone(), after: None, record: Some(record) };
    let message = message::seal(store.app(), "intake", None, id, &IntakeV1::Release(again)).await?;
    bury(store, &message, &error.to_string()).await
}

async fn bury(store: &Store<'_, DeploymentPlace>, message: &[u8], reason: &str) -> Result<(), ConnectorError> {
    let scope = DeploymentScope::of_function("intake", store.correlation());
    Ok(dead_letter::keep(store.app(), &scope, "intake", message, reason).await?)
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
