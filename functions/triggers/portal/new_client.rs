//! Adding a client: only the owner does, and says with it who may do what for it.

use super::{Reader, people};
use crate::{
    audit,
    connectors::client::{self, ClientError, Given, NewClient},
    tenancy::{
        ClientPlace, DeploymentPlace, Store, StoreError, TenantId, demo_mark,
        directory::{self, Role},
    },
    web::{
        Problem, Reply,
        pages::{Field, FieldError, FieldKind, NewClientPage, Section, paths},
        reply,
    },
};

const KEY_HINT: &str = "Leave it empty, and Assay makes a key of its own for this client in its vault. Or give the address of one (RSA, 3072 bits), such as https://VAULT/keys/NAME, without a version: it may lie in a vault that the client runs, if that is in the same Entra directory as this app; there the app's identity needs the role Key Vault Crypto Service Encryption User on it.";

const REGIONS_HINT: &str = "The Azure regions in which this client's records may be read, with commas between them, such as usgovvirginia, usgovarizona. Empty: in any. Elsewhere its keys are not even unwrapped.";

pub(super) async fn show(reader: &Reader<'_>) -> Result<Reply, Problem> {
    must_own(reader)?;
    page(reader, &TenantId(reader.app.ids.uuid()).to_string(), None).await
}

pub(super) async fn add(reader: &Reader<'_>) -> Result<Reply, Problem> {
    must_own(reader)?;
    let id = reader.field("id");
    reader.must_be_own_form(&["add client", &id])?;
    let tenant: TenantId = id.parse().map_err(|_| Problem::not_found())?;
    let store = reader.deployment().await?;
    let people = reader.roster.people_who_may_sign_in(&reader.app.config, reader.app.now());
    let Some(others) = people::given(reader, people.filter(|person| person.id != reader.person.id)) else {
        return page(reader, &id, Some(FieldError { field: "roles", message: people::NO_DAY.into() })).await;
    };
    let mut grants = vec![Given { person: reader.person.id, roles: vec![Role::Engineer], until: None }];
    grants.extend(others);
    let [name, key, regions] = ["name", "key", "regions"].map(|field| reader.field(field));
    match client::add(&store, NewClient { id: tenant, name: &name, key: &key, regions: &regions, grants }).await {
        Ok(()) => {
            if demo_mark::is_demo(reader.app).await? {
                mark(reader, &store, tenant).await?;
            }
            Ok(reader.back_to(&paths::clients(), "added", "1"))
        }
        Err(ClientError::Form(error)) => page(reader, &id, Some(error)).await,
        Err(ClientError::Store(error)) => Err(error.into()),
    }
}

/// A demo's client says in its own log that it is one.
async fn mark(reader: &Reader<'_>, store: &Store<'_, DeploymentPlace>, tenant: TenantId) -> Result<(), StoreError> {
    let Some(grant) = directory::grant(store, tenant, reader.person.id).await? else { return Ok(()) };
    audit::demo::mark(&reader.scope(&grant).store(reader.app).await?, ClientPlace::Assessment).await
}

async fn page(reader: &Reader<'_>, id: &str, error: Option<FieldError>) -> Result<Reply, Problem> {
    let status = if error.is_some() { 422 } else { 200 };
    let errors: Vec<FieldError> = error.into_iter().collect();
    let mut name = Field::new("name", "Company", "As its people write it", FieldKind::Text, reader.field("name")).with_errors(&errors);
    name.required = true;
    // Where the vault makes keys, there is nothing to name.
    let key = (!reader.app.vault.makes_keys())
        .then(|| Field::new("key", "Key", KEY_HINT, FieldKind::Text, reader.field("key")).with_errors(&errors));
    let people = reader.roster.people_who_may_sign_in(&reader.app.config, reader.app.now()).filter(|person| person.id != reader.person.id);
    // Without a region of one's own there is nothing to compare with.
    let regions = reader
        .app
        .config
        .region
        .is_some()
        .then(|| Field::new("regions", "Regions", REGIONS_HINT, FieldKind::Text, reader.field("regions")).with_errors(&errors));
    let page = NewClientPage {
        regions,
        frame: reader.frame(Section::Clients).await?,
        clients_href: paths::clients(),
        action: paths::clients(),
        token: reader.token(&["add client", id]),
        id: id.to_owned(),
        name,
        key,
        roles_error: errors.iter().find(|error| error.field == "roles").map(|error| error.message.clone()),
        people: people.map(|person| people::row(person.clone(), &|person| people::typed(reader, person))).collect(),
    };
    Ok(reply::page(status, &page))
}

fn must_own(reader: &Reader<'_>) -> Result<(), Problem> {
    if reader.person.is_owner {
        return Ok(());
    }
    Err(Problem::forbidden("Only the owner can add a client. Nothing was done; ask them."))
}
