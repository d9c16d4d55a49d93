//! Seeds the demo: an MSP, two client companies, four people, two connections and a client map.
//!
//! Everything is create-if-absent, so a start that was cut off is finished by the next. Reads of the inventories are
//! asked for once; the daily timer goes on from there.

use std::collections::BTreeMap;

use serde_json::json;

use super::{AUTOTASK, CONNECTWISE, HARBOR, PEOPLE, RIDGE, What, autotask, connectwise};
use crate::{
    app::App,
    audit::{self, Event},
    connectors::{
        client,
        connection::{Connection, Credentials, Secret, Settings, changed},
        mapping, pull,
    },
    tenancy::{
        Batch, ClientPlace, ConnectionId, ConnectionPlace, DeploymentPlace, DeploymentScope, Record, Roster, Scope, Store, StoreError,
        TenantId,
        directory::{Grant, MappedCompany, Origin, Person, Role, Standing, Tenant},
        keys::{self, Owner},
        policy_mark::PolicyMark,
    },
};

/// Companies of the demo's client map: connection, the vendor's id, its name, the client.
fn companies() -> [(ConnectionId, String, &'static str, TenantId); 2] {
    [
        (CONNECTWISE, connectwise::HARBOR.to_string(), "Harbor Precision Machining LLC", HARBOR),
        (AUTOTASK, autotask::RIDGE.to_string(), "Ridge Composites Inc", RIDGE),
    ]
}

pub async fn seed(app: &App) -> Result<(), StoreError> {
    let store = DeploymentScope::of_function("demo", "demo").store(app).await?;
    let now = app.now();
    let seeded = Origin { at: Some(now), by: None };
    // First: whatever comes of this start, the store was a demo's from here on.
    audit::demo::mark(&store, DeploymentPlace::Directory).await?;
    for person in PEOPLE {
        let record = Person {
            id: person.id,
            name: person.name.into(),
            email: person.email.into(),
            is_owner: person.what == What::Owner,
            operates: person.what == What::Engineer,
            identity: None,
            sign_in_name: None,
            same_as: None,
            access_ended_at: None,
            standing: Standing { given: seeded, confirmed_at: Some(now), ..Standing::default() },
        };
        let added = Event::new("person.added", format!("person {}", person.id), json!({ "name": person.name }));
        create(&store, DeploymentPlace::Directory, &record, |_| {}, added).await?;
    }
    for (id, name) in [(HARBOR, "Harbor Precision Machining"), (RIDGE, "Ridge Composites")] {
        keys::data_key(app, Owner::Tenant(id)).await?;
        let role = |what| if what == What::Approver { Role::Approver } else { Role::Engineer };
        let grants: Vec<Grant> = PEOPLE
            .iter()
            .map(|person| {
                let mut grant = Grant::of(id, person.id, vec![role(person.what)]);
                (grant.confirmed_at, grant.given) = (Some(now), seeded);
                grant
            })
            .collect();
        let tenant = Tenant { id, name: name.into(), created_at: now };
        let beside = |batch: &mut Batch<'_, '_, DeploymentPlace>| {
            for grant in &grants {
                batch.create(grant);
            }
            batch.create(&PolicyMark::first(id));
        };
        create(&store, DeploymentPlace::Directory, &tenant, beside, client::added(&tenant, &grants, None)).await?;
    }
    // Each client's log says it too, before anything can come for the client: an export of it stands alone.
    for tenant in &Roster::read(&store).await?.tenants {
        audit::demo::mark(&Scope::of_command(tenant, "demo").store(app).await?, ClientPlace::Assessment).await?;
    }
    for connection in connections() {
        let added = changed("connection.added", &connection);
        create(&store, DeploymentPlace::Directory, &connection, |_| {}, added).await?;
    }
    for (connection, company, name, tenant) in companies() {
        let entry = MappedCompany::confirmed(connection, &company, name, tenant, PEOPLE[0].id, now);
        let mapping = DeploymentPlace::Connection(connection, ConnectionPlace::Mapping);
        create(&store, mapping, &entry, |_| {}, mapping::said(&entry, None)).await?;
        if pull::report(&store, connection).await?.is_none() {
            pull::request_pull(&store, connection).await?;
        }
    }
    Ok(())
}

/// Creates the record with what is beside it and its audit item, if it is not there.
async fn create<T: Record>(
    store: &Store<'_, DeploymentPlace>,
    place: DeploymentPlace,
    record: &T,
    beside: impl FnOnce(&mut Batch<'_, '_, DeploymentPlace>),
    event: Event,
) -> Result<(), StoreError> {
    let mut batch = store.batch(place);
    batch.create(record);
    beside(&mut batch);
    audit::record(&mut batch, event);
    match batch.commit().await {
        Err(error) if error.exists::<T>(&record.key()) => Ok(()),
        other => other,
    }
}

/// What the demo's people connected: ConnectWise for Harbor Precision, Autotask for Ridge Composites.
pub fn connections() -> [Connection; 2] {
    [connectwise(), autotask()]
}

fn connectwise() -> Connection {
    let meanings = [(connectwise::INCIDENTS, "psa_ticket_incident"), (connectwise::CHANGES, "psa_ticket_change")];
    Connection {
        id: CONNECTWISE,
        name: "Northgate ConnectWise".into(),
        host: connectwise::HOST.into(),
        credentials: Credentials::ConnectwiseManage {
            company: connectwise::COMPANY.into(),
            public_key: Secret(connectwise::PUBLIC_KEY.into()),
            private_key: Secret(connectwise::PRIVATE_KEY.into()),
            client_id: connectwise::CLIENT_ID.into(),
        },
        settings: Settings {
            boards: by_id(&meanings),
            configuration_types: by_id(&[connectwise::WORKSTATIONS, connectwise::SERVERS].map(|of| (of, "rmm_device_inventory"))),
            ..Settings::default()
        },
    }
}

fn autotask() -> Connection {
    Connection {
        id: AUTOTASK,
        name: "Northgate Autotask".into(),
        host: autotask::HOST.into(),
        credentials: Credentials::Autotask {
            user: autotask::USER.into(),
            secret: Secret(autotask::SECRET.into()),
            integration_code: Secret(autotask::INTEGRATION_CODE.into()),
            webhook_secret: Secret(autotask::WEBHOOK_SECRET.into()),
            previous_webhook_secret: None,
            webhook_guids: vec![autotask::WEBHOOK_GUID.into()],
        },
        settings: Settings {
            ticket_types: by_id(&[(autotask::INCIDENT_TYPE, "psa_ticket_incident")]),
            configuration_types: by_id(&[(autotask::DEVICE_TYPE, "rmm_device_inventory")]),
            ..Settings::default()
        },
    }
}

fn by_id(meanings: &[(u32, &str)]) -> BTreeMap<String, String> {
    meanings.iter().map(|(id, meaning)| (id.to_string(), (*meaning).to_owned())).collect()
}
