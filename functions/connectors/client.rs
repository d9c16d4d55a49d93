//! A client company of the MSP, added by its owner: the record, who may do what for it, and the audit item in one batch.
//!
//! Its key is made first, so that a client that can be looked at has one and looking makes nothing (design I10); its
//! evidence comes with a company that is mapped to it.

use serde_json::json;

use crate::{
    audit,
    tenancy::{
        DeploymentPlace, PersonId, Record as _, Store, TenantId,
        directory::{self, Grant, Role, Tenant},
        keys::{self, Owner},
    },
    web::Problem,
};

const MAX_NAME_CHARS: usize = 120;

/// Adds the client with these grants; the same id again adds nothing. The caller has checked that the person is the owner.
pub async fn add(store: &Store<'_, DeploymentPlace>, id: TenantId, name: &str, grants: Vec<(PersonId, Vec<Role>)>) -> Result<(), Problem> {
    let name = name.trim();
    if name.is_empty() || name.chars().count() > MAX_NAME_CHARS || name.chars().any(char::is_control) {
        return Err(Problem::bad_request(format!("Give the company's name, at most {MAX_NAME_CHARS} characters.")));
    }
    let known = directory::tenants(store).await?;
    if known.iter().any(|tenant| tenant.id == id) {
        return Ok(());
    }
    if known.iter().any(|tenant| tenant.name.to_lowercase() == name.to_lowercase()) {
        return Err(Problem::bad_request("There is a client of this name already. Nothing was added."));
    }
    keys::data_key(store.app(), Owner::Tenant(id)).await?;
    let tenant = Tenant { id, name: name.into(), created_at: store.app().now() };
    let mut batch = store.batch(DeploymentPlace::Directory);
    batch.create(&tenant);
    let grants: Vec<Grant> = grants.into_iter().map(|(person, roles)| Grant { tenant: id, person, roles }).collect();
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

pub(super) fn added(tenant: &Tenant, grants: &[Grant]) -> audit::Event {
    let grants: Vec<_> = grants.iter().map(|grant| json!({ "person": grant.person, "roles": grant.roles })).collect();
    audit::Event::new("client.added", format!("client {}", tenant.id), json!({ "name": tenant.name, "grants": grants }))
}
