//! The mark of the highest policy version in the directory: it only rises, whoever is faster, and says what it is of.

use assay::{
    app::App,
    platform::ports::{Container, Partition},
    tenancy::{
        DeploymentPlace, DeploymentScope, ProposalId, StoreError, TenantId,
        policy_mark::{self, Need, PolicyMark},
    },
};
use serde_json::json;
use uuid::Uuid;

use crate::support::{TestApp, faults::Fault, meeting::two_at_once};

const HARBOR: TenantId = TenantId(Uuid::from_u128(100));

/// `approved`: the hash of what made it; empty where a release did not say.
fn mark(version: u32, approved: &str) -> PolicyMark {
    let made_by = (!approved.is_empty()).then_some(ProposalId(Uuid::from_u128(version.into())));
    let need = Need { kind: "mark_objective".into(), what: "Mark an objective".into(), approvals: 2, groups: [].into() };
    PolicyMark { tenant: HARBOR, version, made_by, approved: approved.into(), needs: vec![need] }
}

async fn raise(app: &App, mark: PolicyMark) -> Result<(), StoreError> {
    policy_mark::raise(&DeploymentScope::of_function("test", "c").store(app).await.unwrap(), mark).await
}

async fn stands(app: &App) -> Option<PolicyMark> {
    let store = DeploymentScope::of_function("test", "c").store(app).await.unwrap();
    store.read::<PolicyMark>(DeploymentPlace::Directory, &HARBOR.to_string()).await.unwrap().map(|held| held.value)
}

#[tokio::test]
async fn a_mark_only_rises_and_of_the_same_version_only_what_nobody_knew_is_taken() {
    let test = TestApp::new();
    let app = test.app();
    let after = async |next: PolicyMark| {
        raise(app, next).await.unwrap();
        stands(app).await.unwrap()
    };
    assert_eq!(after(mark(2, "")).await, mark(2, ""));
    assert_eq!(after(mark(1, "a1")).await, mark(2, ""), "a lower one changes nothing");
    assert_eq!(after(PolicyMark { needs: vec![], ..mark(2, "") }).await, mark(2, ""), "nor does one that says no more");
    assert_eq!(after(mark(2, "a2")).await, mark(2, "a2"));
    assert_eq!(after(mark(2, "another")).await, mark(2, "a2"), "which proposal made it is said once");
    assert_eq!(after(mark(2, "")).await, mark(2, "a2"));
    assert_eq!(after(mark(3, "")).await, mark(3, ""), "a higher one stands whatever it knows");
}

#[tokio::test]
async fn of_two_who_raise_it_at_once_the_higher_stands_whoever_was_faster() {
    for (one, other) in [(2, 3), (3, 2)] {
        let test = TestApp::new();
        raise(test.app(), mark(1, "a1")).await.unwrap();
        let both = two_at_once(test.app());
        let (first, second) = tokio::join!(raise(&both, mark(one, "a")), raise(&both, mark(other, "a")));
        first.unwrap();
        second.unwrap();
        assert_eq!(stands(test.app()).await.unwrap().version, 3);
    }
}

#[tokio::test]
async fn a_store_that_fails_is_no_lost_race_and_is_said_at_once() {
    let test = TestApp::new();
    raise(test.app(), mark(1, "a1")).await.unwrap();
    test.faults.mend();
    raise(test.app(), mark(2, "a2")).await.unwrap();
    let writes = test.faults.calls().iter().position(|call| *call == "documents.batch").unwrap();
    test.faults.fail_at(writes, Fault::BeforeEffect);
    let failed = raise(test.app(), mark(3, "a3")).await.unwrap_err();
    assert!(test.faults.struck() && !failed.is_conflict(), "{failed:?}");
    assert_eq!(stands(test.app()).await.unwrap(), mark(2, "a2"));
}

#[tokio::test]
async fn a_mark_is_sealed_as_the_version_that_it_says() {
    let test = TestApp::new();
    raise(test.app(), mark(2, "a2")).await.unwrap();
    let directory = Partition::reserved_for_tenancy(Container::Deployment, "deployment/directory".into());
    let stored = test.app().documents.read(&directory, &format!("policy-mark:{HARBOR}")).await.unwrap().unwrap();
    assert_eq!(stored.body["revision"], json!(2));
}
