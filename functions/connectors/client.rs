//! A client company of the MSP, added by its owner: the record, who may do what for it, and the audit item in one batch;
//! and who may do what for it later.
//!
//! Its key is made first, so that a client that can be looked at has one and looking makes nothing (design I10); its
//! evidence comes with a company that is mapped to it.

use serde_json::json;

use crate::{
    audit,
    tenancy::{
        DeploymentPlace, Held, PersonId, Record as _, Store, StoreError, TenantId,
        directory::{self, Grant, Role, Tenant},
        keys::{self, Owner},
    },
    web::pages::FieldError,
};

type Directory<'a> = Store<'a, DeploymentPlace>;

const MAX_NAME_CHARS: usize = 120;

/// Why nothing was done. The caller has checked that the person is the owner.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// By the field of the form: `name` or `roles`.
    #[error("the form is not in order")]
    Form(FieldError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl ClientError {
    fn form(field: &'static str, message: impl Into<String>) -> Self {
        Self::Form(FieldError { field, message: message.into() })
    }
}

/// Why these people cannot work for a client: what one asks for, another decides.
fn nobody_decides(grants: &[(PersonId, Vec<Role>)]) -> Option<&'static str> {
    let with = |role| grants.iter().filter(move |(_, roles)| roles.contains(&role)).map(|(person, _)| *person);
    if with(Role::Approver).next().is_none() {
        return Some("Nobody could decide anything: tick an approver.");
    }
    let somebody_else = with(Role::Approver).any(|approver| with(Role::Engineer).any(|engineer| engineer != approver));
    (!somebody_else).then_some("Who asks cannot decide: tick an engineer and, as approver, somebody else.")
}

/// Adds the client with these grants; the same id again adds nothing.
pub async fn add(store: &Directory<'_>, id: TenantId, name: &str, grants: Vec<(PersonId, Vec<Role>)>) -> Result<(), ClientError> {
    let name = name.trim();
    if name.is_empty() || name.chars().count() > MAX_NAME_CHARS || name.chars().any(char::is_control) {
        return Err(ClientError::form("name", format!("Give the company's name, at most {MAX_NAME_CHARS} characters.")));
    }
    let (known, several) = (directory::tenants(store).await?, directory::people_with_access(store).await?.len() > 1);
    if known.iter().any(|tenant| tenant.id == id) {
        return Ok(());
    }
    if known.iter().any(|tenant| tenant.name.to_lowercase() == name.to_lowercase()) {
        return Err(ClientError::form("name", "There is a client of this name already. Nothing was added."));
    }
    // As long as only one person can sign in, nobody could be ticked.
    if let Some(why) = nobody_decides(&grants).filter(|_| several) {
        return Err(ClientError::form("roles", why));
    }
    keys::data_key(store.app(), Owner::Tenant(id)).await?;
    let tenant = Tenant { id, name: name.into(), created_at: store.app().now() };
    let mut batch = store.batch(DeploymentPlace::Directory);
    batch.create(&tenant);
    let grants = grants_of(id, &grants);
    for grant in &grants {
        batch.create(grant);
    }
    audit::record(&mut batch, added(&tenant, &grants));
    match batch.commit().await {
        // The same form, sent twice at once.
        Err(error) if error.exists::<Tenant>(&tenant.key()) => Ok(()),
        other => Ok(other?),
    }
}

/// Who may do what for a client, as it was read; the client's own record, read first, tells whether it still holds.
pub struct Access {
    pub client: Held<Tenant>,
    grants: Vec<Held<Grant>>,
}

impl Access {
    pub async fn read(store: &Directory<'_>, id: TenantId) -> Result<Option<Self>, StoreError> {
        let Some(client) = store.read::<Tenant>(DeploymentPlace::Directory, &id.to_string()).await? else { return Ok(None) };
        Ok(Some(Self { client, grants: store.all(DeploymentPlace::Directory, &format!("{id}:")).await? }))
    }

    pub fn grants(&self) -> impl Iterator<Item = &Grant> {
        self.grants.iter().map(|held| &held.value)
    }

    fn is(&self, wanted: &[Grant]) -> bool {
        self.grants.len() == wanted.len() && self.grants().all(|grant| wanted.contains(grant))
    }

    /// Whether these roles are what stands there.
    pub fn gives(&self, wanted: &[(PersonId, Vec<Role>)]) -> bool {
        self.is(&grants_of(self.client.value.id, wanted))
    }
}

fn grants_of(tenant: TenantId, roles: &[(PersonId, Vec<Role>)]) -> Vec<Grant> {
    roles.iter().map(|(person, roles)| Grant { tenant, person: *person, roles: roles.clone() }).collect()
}

/// Says anew who may do what for the client, for a caller that looked at what was there: who was faster in between wins.
pub async fn change_access(store: &Directory<'_>, access: &Access, wanted: &[(PersonId, Vec<Role>)]) -> Result<(), ClientError> {
    if let Some(why) = nobody_decides(wanted) {
        return Err(ClientError::form("roles", why));
    }
    let id = access.client.value.id;
    let wanted = grants_of(id, wanted);
    let mut batch = store.batch(DeploymentPlace::Directory);
    let detail = json!({ "before": listed(access.grants()), "after": listed(&wanted) });
    audit::record(&mut batch, audit::Event::new("client.grants_changed", format!("client {id}"), detail));
    // Its content stays; its etag goes on, so that of two changes at once one is refused.
    batch.replace(&access.client);
    for held in &access.grants {
        match wanted.iter().find(|grant| grant.person == held.value.person) {
            Some(grant) => batch.put(grant.clone(), Some(held.etag.clone())),
            None => batch.delete(held),
        };
    }
    for grant in wanted.iter().filter(|grant| access.grants().all(|held| held.person != grant.person)) {
        batch.create(grant);
    }
    Ok(batch.commit().await?)
}

pub(super) fn added(tenant: &Tenant, grants: &[Grant]) -> audit::Event {
    audit::Event::new("client.added", format!("client {}", tenant.id), json!({ "name": tenant.name, "grants": listed(grants) }))
}

fn listed<'g>(grants: impl IntoIterator<Item = &'g Grant>) -> Vec<serde_json::Value> {
    grants.into_iter().map(|grant| json!({ "person": grant.person, "roles": grant.roles })).collect()
}
