//! Timer `sweep`, every five minutes: whatever a crash, a lost message or the passing of time left to do.
//!
//! Each step is idempotent and stands alone: one that fails is logged, the others still run, and the invocation fails at
//! the end so that the failure is seen. A client whose key cannot be used does not hold up the others (design I7). What was
//! read on the way is one line for Azure's alerts ([`gauges`]).

pub mod gauges;

use std::future::Future;

use time::Duration;

use self::gauges::Gauges;
use super::{
    Failure, Tick,
    publish::{self, Brought},
};
use crate::{
    analytics,
    app::App,
    audit::{self, PublishError, anchor, dead_letter, watch},
    connectors,
    custody::{self, offboarding},
    evidence, gate, metering, readiness,
    tenancy::{
        ClientPlace, ConnectionPlace, DeploymentPlace, DeploymentScope, Place, Roster, Scope, Store, StoreError, directory::Tenant, outbox,
    },
    web::{entra, session},
};

/// As `function.json` says.
const EVERY: Duration = Duration::minutes(5);

pub async fn run(tick: Tick, app: &App) -> Result<(), Failure> {
    let correlation = tick.invocation_id.as_str();
    let mut sweep = Sweep::default();
    app.cache.wipe_expired(app.now());
    let deployment = DeploymentScope::of_function("sweep", correlation);
    sweep.poison(app, &deployment).await;
    sweep.step("sessions", session::drop_expired(app, correlation)).await;
    sweep.step("sign-ins", entra::drop_expired(app, correlation)).await;
    sweep.step("access that ended", entra::access::finish(app, correlation)).await;
    sweep.step("people who asked", entra::let_in::drop_expired(app, correlation)).await;
    sweep.step("pulls", connectors::pull::run_due(app, correlation)).await;
    sweep.step("what waits", connectors::mapping::release_forgotten(app, correlation)).await;
    // Before the clients: their number grows, and a run that its deadline cuts off among them must not starve this.
    let store = deployment.store(app).await?;
    sweep.deployment(app, &deployment, &store).await;
    if let Some(refused) =
        sweep.figure("refused requests", connectors::health::refused(&store, app.now() - analytics::lately::WINDOW)).await
    {
        sweep.gauges.refused(refused);
    }
    let roster = Roster::read(&store).await?;
    sweep.gauges.clients(roster.tenants_on().count());
    if let Some(usage) = sweep.step("metering", Box::pin(metering::run(app, &roster, correlation))).await {
        sweep.gauges.usage(&usage, app.now());
        if let Some(error) = &usage.failed {
            sweep.note("metering", error);
        }
    }
    sweep.step("sharing", Box::pin(analytics::sharing::lend_due(app, &roster, correlation))).await;
    let mut tenants = roster.tenants.clone();
    // Each run begins with another client, so that one that is cut off by its deadline leaves nobody out for good.
    let turn = usize::try_from(app.now().unix_timestamp() / EVERY.whole_seconds()).unwrap_or_default();
    let first = turn % tenants.len().max(1);
    tenants.rotate_left(first);
    sweep.step("log of keys", audit::sequence(&store, [DeploymentPlace::OwnKeys])).await;
    for tenant in tenants {
        // What was said beside its keys: looked for here, since the installation has one such place for each client.
        sweep.step("log of keys", audit::sequence(&store, [DeploymentPlace::Keys(tenant.id)])).await;
        if roster.is_off(tenant.id) {
            Box::pin(sweep.switched_off(app, &store, &tenant, correlation)).await;
        } else {
            Box::pin(sweep.client(app, &store, &tenant, &roster, correlation)).await;
        }
    }
    // Last: a run that its deadline cuts off among the clients has not looked after all of them.
    sweep.step("freshness of logs", watch::looks(&store)).await;
    sweep.gauges.ended();
    if sweep.failed.is_empty() { Ok(()) } else { Err(Failure::Other(format!("not done: {}", sweep.failed.join(", ")))) }
}

/// The same with those beside the keys of each client and of the installation.
pub async fn every_place(app: &App, scope: &DeploymentScope) -> Result<Vec<DeploymentPlace>, StoreError> {
    let roster = Roster::read(&scope.store(app).await?).await?;
    let beside_keys = roster.tenants.iter().map(|tenant| DeploymentPlace::Keys(tenant.id));
    Ok(deployment_places(app, scope).await?.into_iter().chain([DeploymentPlace::OwnKeys]).chain(beside_keys).collect())
}

/// Every place of the deployment in which messages or audit items can wait, but for those beside keys, whose number grows
/// with the clients and which are nearly always empty.
pub async fn deployment_places(app: &App, scope: &DeploymentScope) -> Result<Vec<DeploymentPlace>, StoreError> {
    let connections = connectors::connection::all(&scope.store(app).await?).await?;
    let theirs = connections.iter().flat_map(|c| ConnectionPlace::all().map(|place| DeploymentPlace::Connection(c.id, place)));
    Ok([DeploymentPlace::Directory, DeploymentPlace::Operations].into_iter().chain(theirs).collect())
}

#[derive(Default)]
struct Sweep {
    failed: Vec<&'static str>,
    gauges: Gauges,
}

impl Sweep {
    async fn poison(&mut self, app: &App, scope: &DeploymentScope) {
        if let Some(drained) = self.step("poison queues", dead_letter::drain_poison(app, scope)).await {
            self.gauges.poisoned(drained);
        }
        if let Some(letters) = self.figure("dead letters", dead_letter::each(app, scope)).await {
            self.gauges.letters(&letters, app.now());
        }
    }

    async fn deployment(&mut self, app: &App, scope: &DeploymentScope, store: &Store<'_, DeploymentPlace>) {
        let places = match deployment_places(app, scope).await {
            Ok(places) => places,
            Err(error) => return self.note("connections", &error),
        };
        for place in &places {
            self.step("outbox", outbox::sweep(store, *place)).await;
        }
        match every_place(app, scope).await {
            Ok(all) => {
                self.step("keys", custody::care(store, DeploymentPlace::Directory, all)).await;
            }
            Err(error) => self.note("keys", &error),
        }
        if self.log(store, store, places).await {
            self.step("access", gate::authority::watch(store)).await;
        }
    }

    async fn client(&mut self, app: &App, installation: &Store<'_, DeploymentPlace>, tenant: &Tenant, roster: &Roster, correlation: &str) {
        let has_last_key = self.has_last_key(installation, tenant).await;
        let scope = Scope::of_sweep(tenant, correlation);
        let store = match scope.store(app).await {
            Ok(store) => store,
            Err(error) => return self.note("client", &error),
        };
        for place in ClientPlace::with_outbox() {
            self.step("outbox", outbox::sweep(&store, place)).await;
        }
        self.step("analysis", readiness::leftovers(app, &scope)).await;
        self.step("freshness", readiness::freshness::wake(app, &scope)).await;
        self.step("marks", Box::pin(gate::remake(&store))).await;
        self.step("submission", Box::pin(readiness::submission::end_overtaken(app, &scope))).await;
        self.step("expiries", gate::expire(app, &scope)).await;
        self.step("policy", gate::bring_under_policy(app, &scope, roster)).await;
        if let Some(reminded) = self.step("reminders", Box::pin(gate::remind(app, &scope))).await {
            self.gauges.approvals(&reminded, app.now());
        }
        // A further data key would take the number of one that is lost, and a new signature would hide that.
        if has_last_key {
            self.step("keys", custody::care(&store, ClientPlace::Assessment, ClientPlace::with_outbox())).await;
        }
        if !self.log(&store, installation, ClientPlace::with_outbox().collect()).await {
            return;
        }
        self.step("evidence", evidence::ledger::watch(&store)).await;
        self.step("runs", gate::ran::follow(&store)).await;
        match self.step("figures", Box::pin(analytics::follow(app, &scope, roster))).await.and_then(|followed| followed.lately) {
            Some(lately) => self.gauges.lately(&lately),
            None => self.gauges.missed(),
        }
    }

    /// Whether the client's key record is the last that was seen of it.
    async fn has_last_key(&mut self, installation: &Store<'_, DeploymentPlace>, tenant: &Tenant) -> bool {
        match custody::watch(installation, tenant.id).await {
            Ok(is_last) => is_last,
            Err(error) => {
                self.note("key record", &error);
                false
            }
        }
    }

    /// Of a client that is switched off only the log goes on; of one whose data keys were destroyed, what is left to delete.
    async fn switched_off(&mut self, app: &App, installation: &Store<'_, DeploymentPlace>, tenant: &Tenant, correlation: &str) {
        self.has_last_key(installation, tenant).await;
        match Scope::of_sweep(tenant, correlation).store(app).await {
            Ok(store) => {
                self.log(&store, installation, ClientPlace::with_outbox().collect()).await;
            }
            Err(StoreError::Destroyed { .. }) => {
                self.step("raw bytes", offboarding::destroy::finish(installation, tenant.id)).await;
                self.step("what waited", Box::pin(connectors::unread::delete(installation, tenant.id))).await;
            }
            Err(error) => self.note("client", &error),
        }
    }

    /// What was recorded gets its place, is published, and is copied where nobody can take it back. `false`: after an upgrade
    /// the log rests for a sweep, and so does who follows it.
    async fn log<P: Place>(&mut self, store: &Store<'_, P>, installation: &Store<'_, DeploymentPlace>, places: Vec<P>) -> bool {
        let Brought { is_placed, published } = match Box::pin(store.move_head()).await {
            Ok(true) => publish::bring_up_to_date(store, places.clone()).await,
            Ok(false) => {
                self.gauges.missed();
                return false;
            }
            Err(error) => Brought { is_placed: false, published: Err(error.into()) },
        };
        let came_through = published.is_ok();
        // Otherwise nothing waits that was recorded before, and nothing is read for it.
        let since = if came_through && is_placed {
            Some(None)
        } else {
            let unplaced = if is_placed { &[][..] } else { &places };
            self.figure("age of the checkpoint", Box::pin(watch::waits_since(store, unplaced))).await
        };
        if let Some(since) = since {
            self.gauges.log(since, store.app().now());
        }
        match published {
            Ok(()) => {
                self.step("anchor", Box::pin(anchor::anchor(store))).await;
            }
            Err(PublishError::Store(error)) => self.note("log", &error),
            // Said by the publisher; the sweep fails until somebody has seen to it.
            Err(PublishError::Alarm { .. }) => self.fail("log"),
        }
        self.step("alarms", watch::tell(store, installation, came_through)).await;
        true
    }

    async fn step<T>(&mut self, what: &'static str, work: impl Future<Output = Result<T, StoreError>>) -> Option<T> {
        work.await.inspect_err(|error| self.note(what, error)).ok()
    }

    /// Reads what only the gauges show: where that fails, nothing is left to do.
    async fn figure<T>(&mut self, what: &'static str, work: impl Future<Output = Result<T, StoreError>>) -> Option<T> {
        let read = work.await.inspect_err(|error| tracing::warn!(figure = what, error = %error, "not read; the line goes without it"));
        if read.is_err() {
            self.gauges.missed();
        }
        read.ok()
    }

    fn note(&mut self, what: &'static str, error: &StoreError) {
        tracing::warn!(step = what, error = %error, "sweep step failed; the next sweep tries again");
        self.fail(what);
    }

    fn fail(&mut self, what: &'static str) {
        self.gauges.missed();
        if !self.failed.contains(&what) {
            self.failed.push(what);
        }
    }
}
