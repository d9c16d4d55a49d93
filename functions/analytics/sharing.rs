//! Taking part in what clients say together about a rule: opted into by the owner for one client, and never else.
//!
//! A client that takes part lends counts, once a quarter: for each rule its labels and overrides, nothing more, under the
//! deployment's key, since several clients' counts can only be added up there. That moves no gate, and shows to a client
//! that takes part only what [`pool()`] lets through. Who stops to take part has their counts deleted at once, and who is
//! switched off stops: a client that is not counted would keep the others from being shown anything, and what it lent would
//! outlive its keys.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::json;
use time::{Date, OffsetDateTime};

use super::keep;
use crate::{
    app::App,
    audit,
    gate::learning::{
        Rule,
        pool::{Cell, Pooled, pool, start_of_quarter},
    },
    tenancy::{DeploymentPlace, DeploymentScope, Held, Record, Roster, Scope, Store, StoreError, TenantId, directory::Tenant},
};

/// Whether a client takes part, and what it lends.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sharing {
    pub tenant: TenantId,
    pub opted_in: Option<Date>,
    /// The last time that it stopped.
    pub opted_out: Option<Date>,
    /// The first day of the quarter for which it was counted.
    pub counted: Option<Date>,
    /// Labels and overrides by rule, by the entries before that quarter's first instant, whenever it was counted.
    pub counts: BTreeMap<Rule, (u64, u64)>,
}

impl Record for Sharing {
    const KIND: &'static str = "sharing";
    const SCHEMA: u32 = 1;

    fn key(&self) -> String {
        self.tenant.to_string()
    }
}

const PLACE: DeploymentPlace = DeploymentPlace::Operations;

async fn held(store: &Store<'_, DeploymentPlace>, tenant: TenantId) -> Result<Option<Held<Sharing>>, StoreError> {
    store.read(PLACE, &tenant.to_string()).await
}

/// Begins or ends that a client takes part, in the name of the store's person. The same again changes nothing.
pub async fn choose(store: &Store<'_, DeploymentPlace>, tenant: TenantId, takes_part: bool) -> Result<(), StoreError> {
    let (held, today) = (held(store, tenant).await?, store.app().now().date());
    let before = held.as_ref().and_then(|held| held.value.opted_in);
    if before.is_some() == takes_part {
        return Ok(());
    }
    let (etag, opted_out) = held.map_or((None, None), |held| (Some(held.etag), held.value.opted_out));
    let opted_out = if takes_part { opted_out } else { Some(today) };
    let sharing = Sharing { tenant, opted_in: takes_part.then_some(today), opted_out, counted: None, counts: BTreeMap::new() };
    let mut batch = store.batch(PLACE);
    let detail = json!({ "client": tenant, "takes_part": takes_part });
    audit::record(&mut batch, audit::Event::new("sharing.changed", format!("client {tenant}"), detail));
    batch.put(sharing, etag);
    batch.commit().await
}

/// Lends the counts of every client that takes part and was not counted for this quarter, and ends it for who was switched
/// off. For the sweep. A client that cannot be read now is counted by a later one; until then nobody is shown anything.
pub async fn lend_due(app: &App, roster: &Roster, correlation: &str) -> Result<(), StoreError> {
    let store = DeploymentScope::of_function("sweep", correlation).store(app).await?;
    let quarter = start_of_quarter(app.now().date());
    for held in store.all::<Sharing>(PLACE, "").await? {
        if held.value.opted_in.is_some() && roster.is_off(held.value.tenant) {
            choose(&store, held.value.tenant, false).await?;
            continue;
        }
        let due = held.value.opted_in.is_some() && held.value.counted != Some(quarter);
        let Some(tenant) = roster.tenants_on().find(|tenant| due && tenant.id == held.value.tenant) else { continue };
        match lend(app, &store, tenant, held, quarter).await {
            Err(error) if error.is_conflict() || error.concerns_one_owner() => {
                tracing::warn!(tenant = %tenant.id, error = %error, "not counted for the quarter yet");
            }
            other => other?,
        }
    }
    Ok(())
}

async fn lend(
    app: &App,
    deployment: &Store<'_, DeploymentPlace>,
    tenant: &Tenant,
    held: Held<Sharing>,
    quarter: Date,
) -> Result<(), StoreError> {
    let (known, behind) = keep::known(&Scope::of_sweep(tenant, deployment.correlation()).store(app).await?).await?;
    if behind > 0 {
        return Ok(());
    }
    let counts = known.ledger.as_quarter_began(quarter);
    let mut batch = deployment.batch(PLACE);
    batch.replace(&Held { value: Sharing { counted: Some(quarter), counts, ..held.value }, etag: held.etag });
    batch.commit().await
}

/// What a client that takes part is shown.
#[derive(Clone, Debug, Default)]
pub struct Together {
    all: Vec<Sharing>,
}

impl Together {
    pub async fn read(store: &Store<'_, DeploymentPlace>) -> Result<Self, StoreError> {
        Ok(Self { all: store.all::<Sharing>(PLACE, "").await?.into_iter().map(|held| held.value).collect() })
    }

    pub fn takes_part(&self, tenant: TenantId) -> bool {
        self.all.iter().any(|sharing| sharing.tenant == tenant && sharing.opted_in.is_some())
    }

    /// Of one rule, to one client; nothing to who does not take part.
    pub fn of(&self, rule: &Rule, shown_to: TenantId, now: OffsetDateTime) -> Option<Pooled> {
        if !self.takes_part(shown_to) {
            return None;
        }
        let cell = |sharing: &Sharing| {
            let (n, k) = sharing.counts.get(rule).copied().unwrap_or_default();
            Cell { n, k, counted: sharing.counted, opted_in: sharing.opted_in, opted_out: sharing.opted_out }
        };
        pool(&self.all.iter().map(cell).collect::<Vec<_>>(), now.date())
    }
}

#[cfg(test)]
mod tests {
    use time::macros::{date, datetime};
    use uuid::Uuid;

    use super::*;
    use crate::gate::learning::pool::Frequency;

    #[test]
    fn only_who_takes_part_is_shown_what_five_clients_say_and_never_of_a_rule_that_fewer_know() {
        let (rule, rare) = (Rule::of("mark_objective", "3.4.1[d]"), Rule::of("mark_objective", "3.1.1[a]"));
        let sharing = |n: u128| Sharing {
            tenant: TenantId(Uuid::from_u128(n)),
            opted_in: (n < 5).then_some(date!(2026 - 08 - 01)),
            opted_out: None,
            counted: Some(date!(2026 - 10 - 01)),
            counts: [(rule.clone(), (60, 1)), (rare.clone(), (if n < 4 { 60 } else { 0 }, 1))].into(),
        };
        let together = Together { all: (0..6).map(sharing).collect() };
        let (now, of) = (datetime!(2026-11-25 09:00 UTC), |n: u128| TenantId(Uuid::from_u128(n)));
        assert_eq!(together.of(&rule, of(0), now), Some(Pooled { often: Frequency::Sometimes, n: 300, k: 5 }));
        assert_eq!(together.of(&rare, of(0), now), None, "four know it");
        assert_eq!((together.of(&rule, of(5), now), together.of(&rule, of(9), now)), (None, None), "they take no part");
        assert_eq!(together.of(&rule, of(0), datetime!(2027-01-01 00:00 UTC)), None, "not before all were counted");
    }
}
