//! A client's key when many ask at once: unwrapped once for all, whether that works, fails, or is given up half-way.

use std::sync::Arc;

use assay::{
    app::App,
    platform::ports::PortErrorKind,
    tenancy::{
        StoreError,
        keys::{self, Owner},
    },
};
use tokio::task::{JoinHandle, yield_now};

use crate::support::{
    TestApp,
    faults::Hold,
    flow::HARBOR,
    key_vault::{FakeVaults, installation_of, key_uri},
};

const OWNER: Owner = Owner::Tenant(HARBOR);
/// Looking for the record, and for the key that signed it, comes before it.
const FIRST_UNWRAP: usize = 2;

/// A process that has just begun, with the client's key in Key Vault.
async fn begun() -> (TestApp, Arc<FakeVaults>) {
    let (mut test, fake) = installation_of(OWNER).await;
    test.restart();
    (test, fake)
}

type Asked = JoinHandle<Result<bool, StoreError>>;

fn ask(app: &App) -> Asked {
    let app = app.clone();
    tokio::spawn(async move { keys::find(&app, OWNER).await.map(|key| key.is_some()) })
}

/// Twenty, of whom the first stands before the vault and the others behind it.
async fn twenty(test: &TestApp) -> (Asked, Vec<Asked>, Arc<Hold>) {
    let hold = test.faults.hold_at(FIRST_UNWRAP);
    let first = ask(test.app());
    hold.reached().await;
    let others = (1..20).map(|_| ask(test.app())).collect();
    for _ in 0..20 {
        yield_now().await;
    }
    (first, others, hold)
}

fn unwraps(test: &TestApp) -> usize {
    test.faults.calls().into_iter().filter(|call| *call == "vault.unwrap").count()
}

#[tokio::test]
async fn a_key_that_many_ask_for_at_once_is_unwrapped_once() {
    let (test, _) = begun().await;
    let (first, others, hold) = twenty(&test).await;
    hold.let_go();
    for asked in std::iter::once(first).chain(others) {
        assert!(asked.await.unwrap().unwrap());
    }
    assert_eq!(unwraps(&test), 1);
}

#[tokio::test]
async fn a_key_that_cannot_be_unwrapped_is_refused_to_all_who_asked_and_asked_for_anew_by_the_next() {
    let (test, fake) = begun().await;
    let (first, others, hold) = twenty(&test).await;
    fake.refuse(&key_uri("harbor"), Some((403, "KeyDisabled")));
    hold.let_go();
    for asked in std::iter::once(first).chain(others) {
        let error = asked.await.unwrap().unwrap_err();
        assert!(matches!(&error, StoreError::Key { source, .. } if source.kind == PortErrorKind::Disabled), "{error:?}");
    }
    assert_eq!(unwraps(&test), 1, "nobody waits for more than one refusal");

    fake.refuse(&key_uri("harbor"), None);
    assert!(ask(test.app()).await.unwrap().unwrap());
    assert_eq!(unwraps(&test), 2);
}

#[tokio::test]
async fn another_unwraps_when_the_one_who_did_goes_away() {
    let (test, _) = begun().await;
    let (first, others, _) = twenty(&test).await;
    first.abort();
    assert!(first.await.unwrap_err().is_cancelled());
    for asked in others {
        assert!(asked.await.unwrap().unwrap());
    }
    assert_eq!(unwraps(&test), 2);
}
