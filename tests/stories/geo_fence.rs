//! A client whose records may be read in some regions only, and an instance that runs elsewhere: it unwraps nothing, puts
//! the client's messages back for others, and says so in the log; the other client is served.

use std::sync::Arc;

use assay::{
    app::App,
    audit::{
        Item,
        entry::Entry,
        refusal::{Refusal, Refused},
    },
    connectors::demo::{self, What},
    custody::change,
    gate::Verdict,
    tenancy::{
        ClientPlace, DeploymentPlace, DeploymentScope, Roster, StoreError,
        key_change::{self, Change},
        keys::{self, Owner},
        place::AuditPart,
        regions::Regions,
    },
};

use crate::support::{
    TestApp,
    browser::{Browser, approves, text},
    clock::START,
    end_state::{EndState, all},
    faults::Fault,
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
    let tenants = Roster::read(&flow.deployment().await).await.unwrap().tenants.clone();
    let kestrel = tenants.iter().find(|tenant| tenant.name == "Kestrel").unwrap();
    let facts = key_change::facts(flow.app(), Owner::Tenant(kestrel.id)).await.unwrap().unwrap();
    assert_eq!(facts.regions.text(), "usgovarizona, usgovvirginia");
}

#[tokio::test]
async fn the_owner_changes_the_regions_later_and_no_instance_goes_on_with_a_key_in_memory() {
    let mut flow = Flow::begun(TestApp::with(&region("usgovvirginia")), Extent::Both).await;
    flow.vendor_sends(&deliveries_of(demo::CONNECTWISE, START)[0]).await;
    flow.settle().await;
    let page = format!("portal/clients/{HARBOR}/keys");
    // Another instance, which has Harbor's key in memory.
    let mut config = (*flow.app().config).clone();
    config.region = Some("usgovarizona".into());
    let arizona = App { config: Arc::new(config), memory: Arc::default(), cache: Arc::default(), ..flow.app().clone() };
    let roster = async || {
        let store = DeploymentScope::of_function("story", "c").store(&arizona).await.unwrap();
        Roster::read(&store).await.map(drop).unwrap();
    };
    roster().await;
    assert!(keys::find(&arizona, Owner::Tenant(HARBOR)).await.unwrap().is_some());

    let engineer = Browser::of(&flow, What::Engineer).await;
    assert_eq!(engineer.get(&page).await.status, 403);
    let olivia = Browser::of(&flow, What::Owner).await;
    for (typed, words) in [("Virginia!", "names of regions, in lower case"), ("usgovarizona", "Assay itself runs in none of these regions")]
    {
        let reply = olivia.press(&page, &format!("{page}/regions"), &[("regions", typed)]).await;
        assert!(reply.status == 422 && text(&reply).contains(words), "{typed}: {}", text(&reply));
    }
    let reply = olivia.press(&page, &format!("{page}/regions"), &[("regions", "usgovvirginia")]).await;
    assert_eq!(reply.status, 303, "{}", text(&reply));
    assert!(text(&olivia.follow(&reply).await).contains("Changed. This is what holds now."));
    // As with every request and message: the roster first.
    roster().await;
    assert!(matches!(keys::find(&arizona, Owner::Tenant(HARBOR)).await, Err(StoreError::Elsewhere { .. })), "at once");
    assert!(keys::find(&arizona, Owner::Tenant(RIDGE)).await.unwrap().is_some());

    flow.pump().await;
    flow.sweep().await;
    let first = DeploymentPlace::Log(AuditPart::Entries(0));
    let said: Vec<Entry> = all(&flow.deployment().await, first).await;
    let said: Vec<_> = said.into_iter().filter(|entry| entry.leaf.contains("key.regions_changed")).collect();
    assert!(said.len() == 1 && said[0].content.contains("usgovvirginia"), "{said:?}");
    // And in the client's own log within a day.
    flow.clock_jumps(time::Duration::days(1));
    flow.sweep().await;
    flow.settle().await;
    let said: Vec<Entry> = all(&flow.client(HARBOR).await, ClientPlace::Log(AuditPart::Entries(0))).await;
    assert_eq!(said.iter().filter(|entry| entry.leaf.contains("key.regions_changed")).count(), 1);
}

#[tokio::test]
async fn a_key_that_is_being_unwrapped_while_the_regions_change_is_not_kept() {
    let mut flow = Flow::begun(TestApp::with(&region("usgovarizona")), Extent::Small).await;
    flow.vendor_sends(&deliveries_of(demo::CONNECTWISE, START)[0]).await;
    flow.settle().await;
    flow.test.restart();
    // Before the vault; looking for the record comes first.
    let hold = flow.test.faults.hold_at(1);
    let app = flow.app().clone();
    let asked = tokio::spawn(async move { keys::find(&app, Owner::Tenant(HARBOR)).await.map(|key| key.is_some()) });
    hold.reached().await;
    // Another instance, which runs in the region that stays.
    let mut config = (*flow.app().config).clone();
    config.region = Some("usgovvirginia".into());
    let virginia = App { config: Arc::new(config), memory: Arc::default(), cache: Arc::default(), ..flow.app().clone() };
    let facts = key_change::facts(&virginia, Owner::Tenant(HARBOR)).await.unwrap().unwrap();
    let change = Change::Regions(Regions::parse("usgovvirginia").unwrap());
    key_change::change(&virginia, Owner::Tenant(HARBOR), &facts, change).await.unwrap();
    // What the roster says to every instance after such a change.
    flow.app().cache.forget(&format!("data-key/{HARBOR}"));
    hold.let_go();
    assert!(asked.await.unwrap().unwrap(), "it was asked for before");
    assert!(matches!(keys::find(flow.app(), Owner::Tenant(HARBOR)).await, Err(StoreError::Elsewhere { .. })), "and not kept");
}

#[tokio::test]
async fn wherever_a_change_of_regions_stops_there_are_both_change_and_audit_item_or_neither() {
    for fault in [Fault::BeforeEffect, Fault::AnswerLost] {
        for stop in 0..40 {
            let mut flow = Flow::begun(TestApp::with(&region("usgovvirginia")), Extent::Small).await;
            keys::data_key(flow.app(), Owner::Tenant(HARBOR)).await.unwrap();
            flow.test.faults.stop_at(stop, fault);
            let changed = async {
                let store = DeploymentScope::of_function("story", "c").store(flow.app()).await?;
                change::change_regions(&store, HARBOR, "usgovvirginia").await
            };
            let done = changed.await.is_ok();
            let struck = flow.test.faults.struck();
            flow.test.faults.mend();
            flow.test.restart();
            let facts = key_change::facts(flow.app(), Owner::Tenant(HARBOR)).await.unwrap().unwrap();
            let items = all::<Item, _>(&flow.deployment().await, DeploymentPlace::Keys(HARBOR)).await;
            assert_eq!(facts.regions.is_anywhere(), items.is_empty(), "{fault:?} {stop}");
            if !struck {
                assert!(done && items.len() == 1);
                break;
            }
            assert!(stop < 39, "it makes fewer calls");
        }
    }
}
