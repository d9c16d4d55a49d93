//! Refusals that concern trust: a sign-in or a form that was turned away (design I5, I15).
//!
//! One record per kind, person, reason and hour; the deployment's log hears when a count starts, not of every repeat, so
//! that who keeps trying cannot fill it.

use serde::{Deserialize, Serialize};
use serde_json::json;
use time::{Duration, OffsetDateTime};

use super::{Event, counted};
use crate::{
    app::App,
    tenancy::{Actor, DeploymentPlace, DeploymentScope, Record, Store, StoreError},
};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Refused {
    SignIn,
    Form,
    /// A client's records, in a region that the client does not name.
    Region,
    /// A client's records, whose key could not be used.
    Key,
    /// A message of a client that is switched off.
    SwitchedOff,
}

impl Refused {
    fn event(self) -> &'static str {
        match self {
            Self::SignIn => "session.refused",
            Self::Form => "form.refused",
            Self::Region => "geo.refused",
            Self::Key => "key.unavailable",
            Self::SwitchedOff => "client.held",
        }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Refusal {
    pub what: Refused,
    /// A word of ours, never what a stranger wrote.
    pub reason: String,
    pub actor: Actor,
    #[serde(with = "time::serde::rfc3339")]
    pub first_at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339")]
    pub last_at: OffsetDateTime,
    pub count: u64,
}

impl Record for Refusal {
    const KIND: &'static str = "refusal";
    const SCHEMA: u32 = 1;

    fn key(&self) -> String {
        key(self.first_at, self.what, &self.actor, &self.reason)
    }
}

/// By hour first: what is recent stands together.
fn key(at: OffsetDateTime, what: Refused, actor: &Actor, reason: &str) -> String {
    let actor = actor.to_string().replace(' ', ":");
    format!("{:010}:{}:{actor}:{reason}", at.unix_timestamp() / 3600, what.event())
}

/// Counts a refusal in the name of the scope's actor; the first of an hour is audited.
pub async fn count(app: &App, scope: &DeploymentScope, what: Refused, reason: &str) -> Result<(), StoreError> {
    count_of(&scope.store(app).await?, scope.actor(), what, reason).await
}

/// The same of somebody else than who says so.
pub(super) async fn count_of(store: &Store<'_, DeploymentPlace>, actor: &Actor, what: Refused, reason: &str) -> Result<(), StoreError> {
    let now = store.app().now();
    let again = |refusal: &mut Refusal| {
        refusal.count += 1;
        refusal.last_at = now;
    };
    counted::count(store, &key(now, what, actor, reason), again, || {
        let first = Refusal { what, reason: reason.into(), actor: actor.clone(), first_at: now, last_at: now, count: 1 };
        (first, Event::new(what.event(), actor.to_string(), json!({ "why": reason.replace(['-', '_'], " ") })))
    })
    .await
}

/// Refusals of the last 24 hours, each counted.
pub async fn lately(store: &Store<'_, DeploymentPlace>) -> Result<u64, StoreError> {
    let since = store.app().now() - Duration::hours(24);
    let refusals = counted::begun_since(store, "", since, |refusal: &Refusal| refusal.first_at).await?;
    let of_trust = refusals.iter().filter(|refusal| matches!(refusal.what, Refused::SignIn | Refused::Form));
    Ok(of_trust.map(|refusal| refusal.count).sum())
}
