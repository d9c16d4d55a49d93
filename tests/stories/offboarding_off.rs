//! A client that is switched off: from the next request and message on nothing of it is read, changed or decided, on every
//! instance, and other clients notice nothing. Switched on again, nothing is missing.

use std::sync::Arc;

use assay::{
    analytics::sharing::{Sharing, Together},
    app::App,
    audit::{dead_letter, entry::Entry},
    connectors::demo::{self, What},
    custody::offboarding,
    gate::learning::{Rule, pool},
    tenancy::{
        ClientPlace, DeploymentPlace, DeploymentScope, Held, Roster, TenantId,
        key_change::{self, Change},
        keys::{self, Owner},
        place::AuditPart,
    },
};
use time::Duration;

use super::offboarding::{known, step, switched_off, world};
use crate::support::{
    browser::{Browser, text},
    clock::START,
    end_state::{EndState, all},
    flow::{Extent, Flow, HARBOR, RIDGE, deliveries_of, link_in, mails_to, person, pointed_to},
};

#[tokio::test]
async fn what_another_instance_switched_off_is_off_with_the_next_request() {
    let flow = world(Extent::Both).await;
    let approver = Browser::of(&flow, What::Approver).await;
    let harbor = format!("portal/clients/{HARBOR}");
    let link = link_in(&mails_to(&flow.test, person(What::Approver), HARBOR)[0]);
    let proposal = format!("portal/proposals/{HARBOR}/{}", pointed_to(&link).1);
    assert_eq!(
        [approver.get(&harbor).await.status, approver.get(&proposal).await.status, approver.get(&link).await.status],
        [200, 200, 303]
    );
    switched_off(&flow).await;
    for waits in [&link, &proposal] {
        let told = approver.get(waits).await;
        assert!(told.status == 423 && text(&told).contains("switched this client off"), "{waits}: {}", told.status);
    }
    // The instance that answered before knew the client as on, and has its key in memory.
    assert!(keys::find(flow.app(), Owner::Tenant(HARBOR)).await.unwrap().is_some());
    assert_off(&flow, &approver, &harbor).await;

    // And the other way round: another process takes it back.
    let elsewhere = App { memory: Arc::default(), cache: Arc::default(), ..flow.app().clone() };
    let store = DeploymentScope::of_function("story", "c").store(&elsewhere).await.unwrap();
    let now = offboarding::read(&store, HARBOR).await.unwrap().unwrap();
    offboarding::take_back(&store, &now).await.unwrap();
    assert_eq!(approver.get(&harbor).await.status, 200);
}

async fn assert_off(flow: &Flow, approver: &Browser<'_>, harbor: &str) {
    for address in ["", "/requirements/CM.L2-3.4.1", "/policy"] {
        let told = approver.get(&format!("{harbor}{address}")).await;
        assert!(told.status == 423 && text(&told).contains("switched this client off"), "{address}: {}", told.status);
    }
    assert_eq!(approver.get(&format!("portal/audit/{HARBOR}")).await.status, 423);
    assert_eq!(approver.post(&format!("portal/audit/{HARBOR}/export"), &[]).await.status, 423);
    let clients = text(&approver.get("portal/clients").await);
    assert!(clients.contains("Harbor Precision") && clients.contains("Ridge Composites") && clients.contains("switched this client off"));
    assert_eq!(approver.get(&format!("portal/clients/{RIDGE}")).await.status, 200, "others notice nothing");
    let roster = Roster::read(&flow.deployment().await).await.unwrap();
    assert_eq!(roster.grants_of(HARBOR, flow.app().now()).count(), 0, "nobody is told anything of it");
    assert!(roster.every_grant_of(HARBOR).count() > 0, "what they may comes back with it");
    let nobody = Browser::of(flow, What::Engineer).await;
    let absent = nobody.get(&format!("portal/clients/{}", uuid::Uuid::from_u128(5).simple())).await;
    assert_eq!(absent.status, 404);
}

/// Six take part. One that is switched off lends nothing any more, and keeps the others from nothing.
#[tokio::test]
async fn who_is_switched_off_takes_no_part_in_what_clients_say_together() {
    let mut flow = world(Extent::Both).await;
    let (rule, now) = (Rule::of("mark_objective", "3.4.1[d]"), flow.app().now());
    let began = pool::start_of_quarter(now.date());
    let lends = |n: u128| Sharing {
        tenant: if n == 0 { HARBOR } else { TenantId(uuid::Uuid::from_u128(n)) },
        opted_in: began.previous_day(),
        opted_out: None,
        counted: Some(began),
        counts: [(rule.clone(), (60, 1))].into(),
    };
    let store = flow.deployment().await;
    let mut batch = store.batch(DeploymentPlace::Operations);
    for n in 0..6 {
        batch.create(&lends(n));
    }
    batch.commit().await.unwrap();
    drop(store);
    let said = async |flow: &Flow| {
        let together = Together::read(&flow.deployment().await).await.unwrap();
        (together.takes_part(HARBOR), together.of(&rule, TenantId(uuid::Uuid::from_u128(1)), flow.app().now()).is_some())
    };
    assert_eq!(said(&flow).await, (true, true));
    switched_off(&flow).await;
    flow.sweep().await;
    assert_eq!(said(&flow).await, (false, false), "until the quarter ends nobody can tell what was its part");
    let harbor = flow.deployment().await.read::<Sharing>(DeploymentPlace::Operations, &HARBOR.to_string()).await.unwrap().unwrap();
    assert!(harbor.value.counts.is_empty() && harbor.value.opted_out == Some(now.date()), "{harbor:?}");
    // In the next quarter the five others say something again, once they are counted.
    let next = pool::start_of_quarter((now + Duration::days(95)).date());
    let cells = |all: Vec<Held<Sharing>>| {
        let cell = |held: Held<Sharing>| {
            let Sharing { opted_in, opted_out, .. } = held.value;
            pool::Cell { n: 60, k: 1, counted: opted_in.map(|_| next), opted_in, opted_out }
        };
        all.into_iter().map(cell).collect::<Vec<_>>()
    };
    let all = flow.deployment().await.all::<Sharing>(DeploymentPlace::Operations, "").await.unwrap();
    assert!(pool::pool(&cells(all), next).is_some());
}

/// The same day twice, once with Harbor switched off for a while in the middle of it.
#[tokio::test]
async fn what_came_while_it_was_off_waits_and_switched_on_again_it_ends_as_if_nothing_had_been() {
    let mut ends = Vec::new();
    for goes_off in [false, true] {
        let mut flow = world(Extent::Both).await;
        let deliveries = deliveries_of(demo::CONNECTWISE, START);
        if goes_off {
            switched_off(&flow).await;
        }
        for delivery in &deliveries[1..] {
            flow.vendor_sends(delivery).await;
        }
        flow.pass(Duration::minutes(40)).await;
        flow.swept.clone().unwrap();
        if goes_off {
            let seen = step(&flow, "take-back", &[]).await;
            assert_eq!(seen.status, 303, "{}", text(&seen));
            assert!(known(&flow).await.held.is_none());
        }
        flow.pass(Duration::minutes(40)).await;
        flow.settle().await;
        let EndState { evidence, suggestions, findings, left_over, dead_letters, .. } = EndState::of(&flow).await;
        assert_eq!((left_over, dead_letters), (Vec::<String>::new(), Vec::<String>::new()));
        ends.push((evidence, suggestions, findings));
    }
    assert_eq!(ends[0], ends[1]);
}

#[tokio::test]
async fn what_was_approved_before_it_was_off_does_not_run_until_it_is_on_again() {
    let mut flow = world(Extent::Small).await;
    let deliveries = deliveries_of(demo::CONNECTWISE, START);
    flow.vendor_sends(&deliveries[1]).await;
    flow.pump().await;
    switched_off(&flow).await;
    let waiting = flow.test.filled_queues();
    flow.pass(Duration::hours(2)).await;
    flow.swept.clone().unwrap();
    assert!(flow.test.filled_queues().iter().all(|queue| !queue.ends_with("-poison")), "{waiting:?}");
    let refused = Browser::of(&flow, What::Approver).await.get("portal/inbox").await;
    assert!(refused.status == 200 && !text(&refused).contains("Harbor Precision"));
    let told = flow.reader(person(What::Approver), HARBOR).await.unwrap().1;
    assert!(told.holds(flow.app().now()), "the grant stays; the roster gives none");
}

/// What is put back again and again outlives the key that it was sent under.
#[tokio::test]
async fn a_message_that_waits_for_its_client_for_longer_than_its_key_counts_is_worked_off_when_the_client_is_on_again() {
    let mut flow = world(Extent::Small).await;
    let looked_at = async |flow: &Flow| {
        let log = all::<Entry, _>(&flow.client(HARBOR).await, ClientPlace::Log(AuditPart::Entries(0))).await;
        log.iter().filter(|entry| entry.leaf.contains("analysis.recorded")).count()
    };
    let before = looked_at(&flow).await;
    flow.vendor_sends(&deliveries_of(demo::CONNECTWISE, START)[1]).await;
    flow.pump_once("intake").await;
    assert_eq!(flow.test.queue.bodies("analyze").len(), 1);
    switched_off(&flow).await;
    flow.pump().await;
    let seen = key_change::facts(flow.app(), Owner::Deployment).await.unwrap().unwrap();
    key_change::change(flow.app(), Owner::Deployment, &seen, Change::NextKey).await.unwrap();
    for _ in 0..9 {
        flow.test.clock.advance(Duration::days(1));
        flow.pump().await;
    }
    let taken_back = step(&flow, "take-back", &[]).await;
    assert_eq!(taken_back.status, 303, "{}", text(&taken_back));
    flow.test.clock.advance(Duration::minutes(15));
    flow.pump().await;
    flow.settle().await;
    let scope = DeploymentScope::of_function("story", "c");
    assert_eq!(dead_letter::all(flow.app(), &scope).await.unwrap(), Vec::new());
    assert_eq!(looked_at(&flow).await, before + 1);
}
