//! Metered billing of the managed plan: each client is on the bill once for each month in which it was on, nobody twice
//! wherever it stops, nobody silently not, and nothing but a number leaves.

mod alarm;
mod count;
mod put_back;
mod send;

use std::sync::Arc;

use assay::{
    app::App,
    audit::Item,
    metering::{self, UsageEvent},
    tenancy::{
        DeploymentPlace, DeploymentScope, PersonId, Roster, Store, StoreError, TenantId,
        directory::{SwitchedOff, Tenant},
    },
    triggers::health::doctor::{self, Finding},
};
use serde_json::Value;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::support::{
    TestApp,
    clock::START,
    end_state::all,
    marketplace::{METERED, Marketplace},
};

struct House {
    test: TestApp,
    marketplace: Arc<Marketplace>,
}

/// An installation of the managed plan with so many clients, at nine o'clock.
async fn house(clients: u128, settings: &[(&str, &str)]) -> House {
    let mut test = TestApp::with(&[METERED, settings].concat());
    let marketplace = Marketplace::of(&mut test);
    let house = House { test, marketplace };
    for n in 0..clients {
        house.adds(n).await;
    }
    house
}

fn client(n: u128) -> TenantId {
    TenantId(Uuid::from_u128(n + 1))
}

async fn deployment(app: &App) -> Store<'_, DeploymentPlace> {
    DeploymentScope::of_function("story", "story").store(app).await.unwrap()
}

/// What the sweep does of it.
async fn swept_by(app: &App) -> Result<(), StoreError> {
    let work = async {
        let roster = Roster::read(&DeploymentScope::of_function("sweep", "c").store(app).await?).await?;
        match metering::run(app, &roster, "c").await?.failed {
            Some(error) => Err(error),
            None => Ok(()),
        }
    };
    Box::pin(work).await
}

impl House {
    async fn adds(&self, n: u128) {
        let store = deployment(self.test.app()).await;
        let mut batch = store.batch(DeploymentPlace::Directory);
        batch.create(&Tenant { id: client(n), name: format!("Harbor Precision {n}"), created_at: START });
        batch.commit().await.unwrap();
    }

    async fn switches(&self, n: u128, on: bool) {
        let store = deployment(self.test.app()).await;
        let held = store.read::<SwitchedOff>(DeploymentPlace::Directory, &client(n).to_string()).await.unwrap();
        let mut batch = store.batch(DeploymentPlace::Directory);
        match held {
            Some(held) if on => batch.delete(&held),
            None if !on => batch.create(&SwitchedOff::of(client(n), PersonId(Uuid::from_u128(9)), START)),
            _ => panic!("it is so already"),
        };
        batch.commit().await.unwrap();
    }

    async fn sweep(&self) {
        self.test.faults.product(swept_by(self.test.app())).await.unwrap();
    }

    async fn sweep_at(&self, now: OffsetDateTime) {
        self.test.clock.set(now);
        self.sweep().await;
    }

    /// Fields of what was recorded of this kind, such as `metering.sent`.
    async fn told(&self, kind: &str) -> Vec<Value> {
        let items = all::<Item, _>(&deployment(self.test.app()).await, DeploymentPlace::Operations).await;
        items.into_iter().filter(|item| item.kind == kind).map(|item| item.detail).collect()
    }

    async fn quantities(&self, kind: &str) -> Vec<u64> {
        self.told(kind).await.iter().map(|detail| detail["quantity"].as_u64().unwrap()).collect()
    }

    async fn waiting(&self) -> usize {
        all::<UsageEvent, _>(&deployment(self.test.app()).await, DeploymentPlace::Operations).await.len()
    }

    /// The doctor's lines of metered billing.
    async fn doctors(&self) -> Vec<Finding> {
        let findings = doctor::glance(self.test.app()).await;
        findings.into_iter().filter(|finding| finding.what.starts_with("metered billing")).collect()
    }
}
