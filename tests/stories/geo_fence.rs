//! A client whose records may be read in some regions only, and an instance that runs elsewhere: it unwraps nothing, puts
//! the client's messages back for others, and says so in the log; the other client is served.

use assay::{
    audit::refusal::{Refusal, Refused},
    connectors::demo::{self, What},
    gate::Verdict,
    tenancy::{
        DeploymentPlace, StoreError,
        key_change::{self, Change},
        keys::{self, Owner},
        regions::Regions,
    },
};

use crate::support::{
    TestApp,
    browser::{Browser, approves, text},
    clock::START,
    end_state::{EndState, all},
    flow::{Extent, Flow, HARBOR, RIDGE, deliveries_of, person},
};

const OBJECTIVE: &str = "3.4.1[d]";

fn region(name: &str) -> [(&str, &str); 2] {
    [("ASSAY_SIGN_IN", "demo"), ("ASSAY_REGION", name)]
}

async fn confine(flow: &Flow, regions: &str) {
    let (app, owner) = (flow.app(), Owner::Tenant(HARBOR));
    let facts = key_change::facts(app, owner).await.unwrap().unwrap();
    let regions = Regions::parse(regions).unwrap();
    assert_eq!(key_change::change(app, owner, &facts, Change::Regions(regions.clone())).await.unwrap().unwrap().regions, regions);
}

#[tokio::test]
async fn an_instance_in_a_foreign_region_unwraps_nothing_and_leaves_the_work_to_one_that_may() {
    let mut flow = Flow::begun(TestApp::with(&region("usgovvirginia")), Extent::Both).await;
    let asked = flow.mailed(person(What::Approver), HARBOR, OBJECTIVE).await;
    flow.settle().await;
    confine(&flow, "usgovvirginia, usgovarizona").await;
    flow.vendor_sends(&deliveries_of(demo::CONNECTWISE, START)[0]).await;
    // The webhook's message is nobody's yet; what follows from it is Harbor's.
    flow.deliver_one().await;
    assert!(!flow.test.queue.bodies("analyze").is_empty(), "{:?}", flow.test.filled_queues());

    flow.test.restart_with(&region("eastus"));
    let refused = keys::find(flow.app(), Owner::Tenant(HARBOR)).await.unwrap_err();
    assert!(matches!(&refused, StoreError::Elsewhere { owner } if *owner == HARBOR.to_string()), "{refused:?}");
    assert!(!flow.test.faults.calls().ends_with(&["vault.unwrap"]));
    let bodies = flow.test.queue.bodies("analyze");
    for _ in 0..10 {
        flow.test.clock.advance(time::Duration::minutes(2));
        flow.pump_once("analyze").await;
    }
    assert_eq!(flow.test.queue.bodies("analyze"), bodies, "put back as it was, however often it is met");
    assert!(flow.test.queue.bodies("analyze-poison").is_empty());
    let refusals = all::<Refusal, _>(&flow.deployment().await, DeploymentPlace::Operations).await;
    let refusals: Vec<_> = refusals.into_iter().filter(|refusal| refusal.what == Refused::Region).collect();
    let times: u64 = refusals.iter().map(|refusal| refusal.count).sum();
    assert!(times >= 10 && refusals.len() <= 2, "counted by the hour: {refusals:?}");
    assert!(refusals.iter().all(|refusal| refusal.reason.contains(&HARBOR.to_string())), "{refusals:?}");
    let priya = Browser::of(&flow, What::Approver).await;
    let told = priya.get(&format!("portal/proposals/{HARBOR}/{asked}")).await;
    assert_eq!(told.status, 423);
    assert!(text(&told).contains("only in regions that it named"));
    assert_eq!(priya.get(&format!("portal/clients/{RIDGE}")).await.status, 200);

    flow.test.restart_with(&region("usgovarizona"));
    flow.answer(person(What::Approver), HARBOR, OBJECTIVE, Verdict::Approve).await;
    flow.settle().await;
    assert_eq!(EndState::of(&flow).await.left_over, Vec::<String>::new());
}

#[tokio::test]
async fn an_instance_that_does_not_say_where_it_runs_reads_nothing_of_a_client_that_names_regions() {
    let mut flow = Flow::begun(TestApp::with(&region("usgovvirginia")), Extent::Small).await;
    keys::data_key(flow.app(), Owner::Tenant(HARBOR)).await.unwrap();
    confine(&flow, "usgovvirginia").await;
    flow.test.restart_with(&region(""));
    assert!(matches!(keys::find(flow.app(), Owner::Tenant(HARBOR)).await, Err(StoreError::Elsewhere { .. })));
}

#[tokio::test]
async fn the_owner_says_with_a_new_client_where_it_may_be_read() {
    let flow = Flow::begun(TestApp::with(&region("usgovvirginia")), Extent::Small).await;
    let olivia = Browser::of(&flow, What::Owner).await;
    let checkbox = approves(What::Approver);
    for (regions, status, words) in [
        ("Virginia!", 422, "names of regions, in lower case"),
        ("usgovarizona", 422, "Assay itself runs in none of these regions"),
        ("usgovvirginia, usgovarizona", 303, ""),
    ] {
        let typed = [("name", "Kestrel"), ("regions", regions), (checkbox.as_str(), "yes")];
        let reply = olivia.fill_in("portal/clients/new", "portal/clients", &typed).await;
        assert_eq!(reply.status, status, "{regions}");
        assert!(text(&reply).contains(words), "{regions}: {}", text(&reply));
    }
    let tenants = assay::tenancy::Roster::read(&flow.deployment().await).await.unwrap().tenants.clone();
    let kestrel = tenants.iter().find(|tenant| tenant.name == "Kestrel").unwrap();
    let facts = key_change::facts(flow.app(), Owner::Tenant(kestrel.id)).await.unwrap().unwrap();
    assert_eq!(facts.regions.text(), "usgovarizona, usgovvirginia");
}
