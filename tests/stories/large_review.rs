//! A review of access that does not fit into one batch: each batch says what it does, so that the log says what stands
//! also where the rest was never done.

use assay::{
    audit::{Event, record, replay::Outside},
    connectors::demo::What,
    host::verify_store,
    tenancy::{
        DeploymentPlace, PersonId,
        directory::{Grant, Person, Role},
    },
};
use serde_json::json;
use uuid::Uuid;

use crate::support::{
    browser::Browser,
    clock::START,
    faults::Fault,
    flow::{Extent, Flow, HARBOR, RIDGE, somebody},
};

/// Of whom all are ended, in more than one batch.
const AUDITORS: u128 = 60;

fn auditor(n: u128) -> PersonId {
    PersonId(Uuid::from_u128(0xa0d1_0000 + n))
}

/// Two clients whose grants the log was told of; one has sixty auditors.
async fn world() -> Flow {
    let flow = Flow::new(Extent::Small).await;
    let store = flow.deployment().await;
    for some in (0..AUDITORS).collect::<Vec<_>>().chunks(40) {
        let mut batch = store.batch(DeploymentPlace::Directory);
        for n in some {
            let id = auditor(*n);
            let mut grant = Grant::of(HARBOR, id, vec![Role::Auditor]);
            grant.confirmed_at = Some(START);
            batch.create(&grant);
            batch.create(&Person { email: format!("auditor{n}@northgate.example"), ..somebody(id, &format!("Auditor {n}")) });
        }
        batch.commit().await.unwrap();
    }
    let grants = store.all::<Grant>(DeploymentPlace::Directory, "").await.unwrap();
    let mut batch = store.batch(DeploymentPlace::Directory);
    for client in [HARBOR, RIDGE] {
        let theirs = grants.iter().map(|held| &held.value).filter(|grant| grant.tenant() == client);
        let listed: Vec<_> = theirs.map(|grant| json!({ "person": grant.person, "roles": grant.roles, "until": null })).collect();
        record(&mut batch, Event::new("client.added", format!("client {client}"), json!({ "name": "A client", "grants": listed })));
    }
    batch.commit().await.unwrap();
    drop(store);
    flow
}

/// Olivia ends what all auditors may do; the status of the answer.
async fn ends_all(flow: &Flow, fault: Option<usize>) -> u16 {
    let olivia = Browser::of(flow, What::Owner).await;
    let action = format!("portal/access/{HARBOR}/confirm");
    let form = crate::support::browser::hidden_of(&olivia.get("portal/access").await, &action);
    let ends: Vec<String> = (0..AUDITORS).map(|n| format!("answer-{}", auditor(n))).collect();
    let typed: Vec<(&str, &str)> = ends.iter().map(|name| (name.as_str(), "end")).collect();
    match fault {
        Some(call) => flow.test.faults.fail_at(call, Fault::BeforeEffect),
        None => flow.test.faults.mend(),
    }
    olivia.send(form, &action, &typed).await.status
}

#[tokio::test]
async fn a_review_that_stops_half_way_left_nothing_that_the_log_does_not_say() {
    let undisturbed = world().await;
    assert_eq!(ends_all(&undisturbed, None).await, 303);
    let calls = undisturbed.test.faults.calls();
    let batches: Vec<usize> = (0..calls.len()).filter(|n| calls[*n] == "documents.batch").collect();
    assert!(batches.len() >= 2, "{calls:?}");

    for fault in [None, Some(batches[1])] {
        let mut flow = world().await;
        let status = ends_all(&flow, fault).await;
        flow.test.faults.mend();
        assert_eq!(status, if fault.is_some() { 503 } else { 303 });
        let left = flow.deployment().await.all::<Grant>(DeploymentPlace::Directory, "").await.unwrap();
        let auditors = left.iter().filter(|held| held.value.has(Role::Auditor)).count();
        assert!(if fault.is_some() { (1..60).contains(&auditors) } else { auditors == 0 }, "{auditors} are left");
        drop(left);
        flow.settle().await;
        let said = std::cell::RefCell::new(Vec::new());
        let outcome = verify_store::run(flow.app(), Outside::default(), |words| said.borrow_mut().push(words.to_owned())).await;
        assert!(outcome.is_ok(), "{:#?}", said.into_inner());
    }
}
