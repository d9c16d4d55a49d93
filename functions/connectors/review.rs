//! The review of access: for each client, who may do what, and when somebody last said that it is still right.
//!
//! Due every 90 days (NIST SP 800-171 r2 3.1.1 and 3.1.2 ask who is authorized; the interval is ours). A review changes
//! nothing but its date; who should lose something loses it on the client's own page, which counts as a review too.

use std::collections::HashMap;

use serde_json::json;
use time::{Duration, OffsetDateTime};

use super::client::ClientError;
use crate::{
    audit,
    tenancy::{
        DeploymentPlace, Roster, Store, StoreError, TenantId,
        directory::{Grant, Person, Tenant},
        seal::sha256,
    },
};

/// How long a confirmation counts.
pub const DUE_AFTER: Duration = Duration::days(90);
/// Grants that one batch confirms, with the client and the audit item.
const TOGETHER: usize = 90;

/// Who may do what for one client.
#[derive(Clone, Debug)]
pub struct Review {
    pub client: Tenant,
    /// With whose they are, by name; what nobody can use is among it, and said to be so.
    pub grants: Vec<(Grant, Option<Person>)>,
    /// When the oldest of them was last confirmed; `None` when one never was.
    pub confirmed_at: Option<OffsetDateTime>,
    pub is_due: bool,
}

type Directory<'a> = Store<'a, DeploymentPlace>;

/// All clients, those first whose review is due longest.
pub async fn all(store: &Directory<'_>) -> Result<Vec<Review>, StoreError> {
    let (roster, now) = (Roster::read(store).await?, store.app().now());
    let mut reviews: Vec<Review> = roster.tenants.iter().map(|tenant| review(&roster, tenant, now)).collect();
    reviews.sort_by(|a, b| (a.confirmed_at, &a.client.name).cmp(&(b.confirmed_at, &b.client.name)));
    Ok(reviews)
}

/// How many clients are due: a number for the owner's pages, from one look at all grants.
pub fn due(roster: &Roster, now: OffsetDateTime) -> usize {
    let mut oldest: HashMap<TenantId, Option<OffsetDateTime>> = HashMap::new();
    for grant in roster.every_grant() {
        oldest.entry(grant.tenant).and_modify(|at| *at = (*at).min(grant.confirmed_at)).or_insert(grant.confirmed_at);
    }
    let of = |tenant: &Tenant| oldest.get(&tenant.id).copied().unwrap_or(Some(tenant.created_at));
    roster.tenants.iter().filter(|tenant| is_due(of(tenant), now)).count()
}

/// Never confirmed, or too long ago.
fn is_due(confirmed_at: Option<OffsetDateTime>, now: OffsetDateTime) -> bool {
    confirmed_at.is_none_or(|at| at + DUE_AFTER <= now)
}

fn review(roster: &Roster, tenant: &Tenant, now: OffsetDateTime) -> Review {
    let mut grants: Vec<_> = roster.every_grant_of(tenant.id).map(|grant| (grant.clone(), roster.person(grant.person).cloned())).collect();
    grants.sort_by_key(|(grant, person)| (person.as_ref().map(|person| person.name.to_lowercase()), grant.person.0));
    // A client that has nobody was looked at when it was added.
    let oldest = grants.iter().map(|(grant, _)| grant.confirmed_at).min().unwrap_or(Some(tenant.created_at));
    Review { client: tenant.clone(), grants, confirmed_at: oldest, is_due: is_due(oldest, now) }
}

impl Review {
    /// What a form was made from.
    pub fn fingerprint(&self) -> String {
        let lines: Vec<String> =
            self.grants.iter().map(|(grant, _)| format!("{} {:?} {:?}", grant.person, grant.roles, grant.until)).collect();
        sha256(lines.join("\n").as_bytes())
    }
}

/// Says that all of a client's access is still right, for a caller who has checked that an owner says so and saw exactly
/// this (`seen`). Refused when it changed since.
pub async fn confirm(store: &Directory<'_>, id: TenantId, seen: &str) -> Result<(), ClientError> {
    let (roster, now) = (Roster::read(store).await?, store.app().now());
    let Some(tenant) = roster.tenant(id) else { return Ok(()) };
    let review = review(&roster, tenant, now);
    if review.fingerprint() != seen {
        return Err(ClientError::overtaken());
    }
    let held = store.all::<Grant>(DeploymentPlace::Directory, &format!("{id}:")).await?;
    let known = |grant: &Grant| {
        review.grants.iter().any(|(seen, _)| (seen.person, &seen.roles, seen.until) == (grant.person, &grant.roles, grant.until))
    };
    if held.len() != review.grants.len() || !held.iter().all(|held| known(&held.value)) {
        return Err(ClientError::overtaken());
    }
    for some in held.chunks(TOGETHER) {
        let mut batch = store.batch(DeploymentPlace::Directory);
        for one in some {
            let mut confirmed = one.clone();
            confirmed.value.confirmed_at = Some(now);
            batch.replace(&confirmed);
        }
        let people: Vec<_> = some.iter().map(|one| json!({ "person": one.value.person, "roles": one.value.roles })).collect();
        audit::record(&mut batch, audit::Event::new("client.access_reviewed", format!("client {id}"), json!({ "grants": people })));
        match batch.commit().await {
            Err(error) if error.is_conflict() => return Err(ClientError::overtaken()),
            other => other?,
        }
    }
    Ok(())
}
