//! Taking a person's access away: they are signed out at once, their grants are gone, and their name stays with what they
//! decided.
//!
//! Nobody takes away their own, so an owner always remains; of two owners who do it to each other, one is refused.

use serde_json::json;

use crate::{
    app::App,
    audit,
    tenancy::{
        DeploymentPlace, DeploymentScope, Held, PersonId, Store, StoreError,
        directory::{Grant, Person},
    },
    web::session,
};

/// Grants that one batch deletes; the person, who says it and the audit item come along.
const TOGETHER: usize = 90;

#[derive(Debug, thiserror::Error)]
pub enum AccessError {
    /// Only an owner may, and not to themselves.
    #[error("not theirs to take away")]
    NotYours,
    #[error("there is no such person")]
    Unknown,
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Takes it away, in the name of `owner`. Doing it again ends what an interrupted time left.
pub async fn end(store: &Store<'_, DeploymentPlace>, owner: PersonId, person: PersonId) -> Result<(), AccessError> {
    let owner = read(store, owner).await?;
    let mut held = read(store, person).await?;
    if owner.value.id == person || !owner.value.is_owner || !owner.value.has_access() {
        return Err(AccessError::NotYours);
    }
    let all = store.all::<Grant>(DeploymentPlace::Directory, "").await?;
    let mut grants: Vec<&Held<Grant>> = all.iter().filter(|held| held.value.person == person).collect();
    if held.value.has_access() {
        held.value = Person { is_owner: false, operates: false, access_ended_at: Some(store.app().now()), ..held.value };
        let first = grants.split_off(grants.len().saturating_sub(TOGETHER));
        let mut batch = store.batch(DeploymentPlace::Directory);
        batch.replace(&held);
        // Its content stays; its etag goes on, so that of two at once one is refused.
        batch.replace(&owner);
        take(&mut batch, &held.value, &first);
        batch.commit().await?;
    }
    for some in grants.chunks(TOGETHER) {
        let mut batch = store.batch(DeploymentPlace::Directory);
        take(&mut batch, &held.value, some);
        batch.commit().await?;
    }
    Ok(end_sessions(store.app(), store.correlation(), person).await?)
}

fn take(batch: &mut crate::tenancy::Batch<'_, '_, DeploymentPlace>, person: &Person, grants: &[&Held<Grant>]) {
    for grant in grants {
        batch.delete(*grant);
    }
    let clients: Vec<String> = grants.iter().map(|held| held.value.tenant.to_string()).collect();
    let detail = json!({ "name": person.name, "clients": clients });
    audit::record(batch, audit::Event::new("person.access_ended", format!("person {}", person.id), detail));
}

pub(super) async fn end_sessions(app: &App, correlation: &str, person: PersonId) -> Result<(), StoreError> {
    session::end_all_of(&DeploymentScope::of_function("sign-in", correlation).store(app).await?, person).await
}

async fn read(store: &Store<'_, DeploymentPlace>, person: PersonId) -> Result<Held<Person>, AccessError> {
    store.read(DeploymentPlace::Directory, &person.to_string()).await?.ok_or(AccessError::Unknown)
}
