//! Taking a person's access away: they are signed out at once, their grants are gone, and their name stays with what they
//! decided.
//!
//! Nobody takes away their own, so an owner always remains; of two owners who do it to each other, one is refused.

use serde_json::json;
use time::OffsetDateTime;

use crate::{
    app::App,
    audit,
    tenancy::{
        Batch, DeploymentPlace, DeploymentScope, Held, PersonId, Roster, Store, StoreError,
        directory::{Grant, Person, Standing},
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

/// Takes it away, in the name of `owner`. What an interruption leaves of it, [`finish`] ends.
pub async fn end(store: &Store<'_, DeploymentPlace>, owner: PersonId, person: PersonId) -> Result<(), AccessError> {
    let owner = read(store, owner).await?;
    let mut held = read(store, person).await?;
    if owner.value.id == person || !owner.value.is_owner || !owner.value.has_access() {
        return Err(AccessError::NotYours);
    }
    if held.value.has_access() {
        held.value = ended(&held.value, store.app().now());
        let grants = store.all::<Grant>(DeploymentPlace::Directory, "").await?;
        let theirs: Vec<&Held<Grant>> = grants.iter().filter(|grant| grant.value.person == person).take(TOGETHER).collect();
        let mut batch = store.batch(DeploymentPlace::Directory);
        batch.replace(&held);
        // Its content stays; its etag goes on, so that of two at once one is refused.
        batch.replace(&owner);
        take(&mut batch, &held.value, &theirs);
        batch.commit().await?;
    }
    Ok(clear(store, &[&held.value]).await?)
}

/// Somebody as they stand once their access is taken away.
pub fn ended(person: &Person, now: OffsetDateTime) -> Person {
    let standing = Standing { ownership: None, until: None, ..person.standing.clone() };
    Person { is_owner: false, operates: false, access_ended_at: Some(now), standing, ..person.clone() }
}

/// The audit item of an end that comes without a grant of theirs.
pub fn ended_event(person: &Person, why: &str) -> audit::Event {
    let detail = json!({ "name": person.name, "why": why, "owner": person.is_owner });
    audit::Event::new("person.access_ended", format!("person {}", person.id), detail)
}

/// What is left of people whose access ended or whose last day has passed: grants beyond one batch, sessions. For the sweep.
pub async fn finish(app: &App, correlation: &str) -> Result<(), StoreError> {
    let store = DeploymentScope::of_function("sweep", correlation).store(app).await?;
    let roster = Roster::read(&store).await?;
    let is_over = |person: &Person| person.has_access() && person.is_over(app.now());
    let over: Vec<PersonId> = roster.people.iter().filter(|person| is_over(person)).map(|person| person.id).collect();
    for id in &over {
        let Some(mut held) = store.read::<Person>(DeploymentPlace::Directory, &id.to_string()).await?.filter(|held| is_over(&held.value))
        else {
            continue;
        };
        let mut batch = store.batch(DeploymentPlace::Directory);
        audit::record(&mut batch, ended_event(&held.value, "their last day has passed"));
        held.value = ended(&held.value, app.now());
        batch.replace(&held);
        match batch.commit().await {
            // Somebody changes them at this moment; the next sweep looks again.
            Err(error) if error.is_conflict() => {}
            other => other?,
        }
    }
    let roster = if over.is_empty() { roster } else { Roster::read(&store).await? };
    let gone: Vec<&Person> = roster.people.iter().filter(|person| !person.has_access()).collect();
    if gone.is_empty() { Ok(()) } else { clear(&store, &gone).await }
}

/// Without a session or a grant, whatever these people had. Their number does not tell how much is read.
pub async fn clear(store: &Store<'_, DeploymentPlace>, people: &[&Person]) -> Result<(), StoreError> {
    let grants = store.all::<Grant>(DeploymentPlace::Directory, "").await?;
    for person in people {
        let theirs: Vec<&Held<Grant>> = grants.iter().filter(|held| held.value.person == person.id).collect();
        for some in theirs.chunks(TOGETHER) {
            let mut batch = store.batch(DeploymentPlace::Directory);
            take(&mut batch, person, some);
            batch.commit().await?;
        }
    }
    session::end_all_of(store, people).await
}

fn take(batch: &mut Batch<'_, '_, DeploymentPlace>, person: &Person, grants: &[&Held<Grant>]) {
    for grant in grants {
        batch.delete(*grant);
    }
    let clients: Vec<String> = grants.iter().map(|held| held.value.tenant().to_string()).collect();
    let detail = json!({ "name": person.name, "clients": clients });
    audit::record(batch, audit::Event::new("person.access_ended", format!("person {}", person.id), detail));
}

async fn read(store: &Store<'_, DeploymentPlace>, person: PersonId) -> Result<Held<Person>, AccessError> {
    store.read(DeploymentPlace::Directory, &person.to_string()).await?.ok_or(AccessError::Unknown)
}
