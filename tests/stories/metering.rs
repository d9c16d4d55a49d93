//! Metered billing of the managed plan: each client is on the bill once for each month in which it was on, nobody twice
//! wherever it stops, nobody silently not, and nothing but a number leaves.

use std::{collections::BTreeSet, sync::Arc};

use assay::{
    app::App,
    audit::Item,
    connectors::demo::What,
    metering::{self, Month, UsageEvent},
    tenancy::{
        DeploymentPlace, DeploymentScope, Held, PersonId, Roster, Store, StoreError, TenantId,
        directory::{SwitchedOff, Tenant},
    },
    triggers::health::doctor::{self, Finding},
};
use serde_json::{Value, json};
use time::{Duration, OffsetDateTime, macros::datetime};
use uuid::Uuid;

use crate::support::{
    TestApp,
    browser::{Browser, text},
    clock::START,
    end_state::all,
    faults::Fault,
    flow::{Extent, Flow, HARBOR, RIDGE, vendors_answer},
    marketplace::{APP, METERED, Marketplace, Saying},
    meeting::two_at_once,
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
        metering::run(app, &roster, "c").await
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

#[tokio::test]
async fn each_client_is_reported_once_a_month_when_its_hour_is_over_and_nothing_but_the_number_leaves() {
    let house = house(2, &[]).await;
    house.sweep_at(datetime!(2026-03-02 09:10 UTC)).await;
    house.adds(2).await;
    house.sweep_at(datetime!(2026-03-02 09:15 UTC)).await;
    house.sweep_at(datetime!(2026-03-02 09:55 UTC)).await;
    assert_eq!(house.marketplace.asked(), [Value::Null; 0], "the hour is not over");
    house.sweep_at(datetime!(2026-03-02 10:00 UTC)).await;
    let body = json!({
        "resourceUri": APP,
        "planId": "managed",
        "dimension": "clients",
        "quantity": 3,
        "effectiveStartTime": "2026-03-02T09:10:00Z",
    });
    assert_eq!(house.marketplace.asked(), [body]);
    let sent = house.told("metering.sent").await;
    assert_eq!(sent.len(), 1);
    assert_eq!((&sent[0]["quantity"], &sent[0]["usage_event"]), (&json!(3), &json!("event of 2026-03-02T09")));

    // For the rest of the month they cost nothing more, and one that comes then is one more.
    house.sweep_at(datetime!(2026-03-20 12:00 UTC)).await;
    house.adds(3).await;
    house.sweep_at(datetime!(2026-03-31 23:40 UTC)).await;
    house.sweep_at(datetime!(2026-04-01 00:05 UTC)).await;
    assert_eq!(house.marketplace.billed("2026-03"), 4);
    house.sweep_at(datetime!(2026-04-01 01:00 UTC)).await;
    assert_eq!((house.marketplace.billed("2026-03"), house.marketplace.billed("2026-04")), (4, 4));
    assert_eq!((house.waiting().await, house.told("metering.missed").await.len()), (0, 0));

    // Whose the numbers are is said in the log alone.
    let counted = house.told("metering.counted").await;
    let ids: Vec<_> = counted.iter().map(|detail| detail["clients"].as_array().unwrap().len()).collect();
    assert_eq!((ids, &counted[1]["clients"][0]), (vec![2, 1, 1, 4], &json!(client(2))));
    for call in house.test.http.calls() {
        let all = format!("{:?} {}", call.headers, String::from_utf8_lossy(&call.body));
        assert!(!all.contains("Harbor"), "{all}");
        assert!((0..4).all(|n| !all.contains(&client(n).to_string())), "{all}");
    }
}

#[tokio::test]
async fn what_the_base_fee_includes_is_counted_and_not_reported() {
    let house = house(2, &[("ASSAY_METERING_INCLUDED", "3"), ("ASSAY_METERING_DIMENSION", "tenants")]).await;
    house.sweep_at(datetime!(2026-03-02 09:10 UTC)).await;
    house.sweep_at(datetime!(2026-03-02 10:10 UTC)).await;
    assert_eq!(house.marketplace.asked().len(), 0);
    for n in 2..5 {
        house.adds(n).await;
    }
    house.sweep_at(datetime!(2026-03-02 10:15 UTC)).await;
    house.sweep_at(datetime!(2026-03-02 11:00 UTC)).await;
    let asked = house.marketplace.asked();
    assert_eq!((asked.len(), &asked[0]["quantity"], &asked[0]["dimension"]), (1, &json!(2), &json!("tenants")));
    let counted = house.told("metering.counted").await;
    let said: Vec<_> = counted.iter().map(|detail| (detail["counted"].clone(), detail["billable"].clone())).collect();
    assert_eq!(said, [(json!(2), json!(0)), (json!(5), json!(2))]);
}

#[tokio::test]
async fn who_is_off_is_not_counted_and_who_is_switched_off_and_on_again_is_counted_once() {
    let house = house(3, &[]).await;
    house.switches(0, false).await;
    house.sweep_at(datetime!(2026-03-02 09:10 UTC)).await;
    house.switches(1, false).await;
    house.sweep_at(datetime!(2026-03-02 10:10 UTC)).await;
    assert_eq!(house.marketplace.billed("2026-03"), 2, "it was on for a sweep");
    house.switches(1, true).await;
    house.sweep_at(datetime!(2026-03-05 09:00 UTC)).await;
    house.sweep_at(datetime!(2026-03-05 10:00 UTC)).await;
    assert_eq!(house.marketplace.billed("2026-03"), 2);
    // The first comes in the month after, in which the second is off all the time.
    house.switches(0, true).await;
    house.switches(1, false).await;
    house.sweep_at(datetime!(2026-04-05 09:00 UTC)).await;
    house.sweep_at(datetime!(2026-04-05 10:00 UTC)).await;
    assert_eq!((house.marketplace.billed("2026-03"), house.marketplace.billed("2026-04")), (2, 2));
}

#[tokio::test]
async fn what_is_not_taken_is_sent_again_with_the_same_hour_and_number_and_a_duplicate_is_ours() {
    let house = house(2, &[]).await;
    house.marketplace.says(&[Saying::Status(429), Saying::Status(503), Saying::Lost]);
    house.sweep_at(datetime!(2026-03-02 09:10 UTC)).await;
    house.test.clock.set(datetime!(2026-03-02 10:00 UTC));
    house.sweep().await;
    // Who comes meanwhile is of another hour.
    house.adds(2).await;
    for _ in 0..4 {
        house.test.clock.advance(Duration::minutes(5));
        house.sweep().await;
    }
    let asked = house.marketplace.asked();
    assert_eq!(asked.len(), 4, "and not again once it is taken");
    assert!(asked.iter().all(|body| *body == asked[0]) && asked[0]["quantity"] == 2, "{asked:?}");
    let sent = house.told("metering.sent").await;
    assert_eq!((sent.len(), &sent[0]["before"]), (1, &json!(true)));
    house.sweep_at(datetime!(2026-03-02 11:00 UTC)).await;
    assert_eq!((house.marketplace.billed("2026-03"), house.quantities("metering.sent").await), (3, vec![2, 1]));
    assert_eq!(house.waiting().await, 0);
}

#[tokio::test]
async fn an_identity_that_may_not_report_is_named_by_the_doctor_until_it_may() {
    let house = house(1, &[]).await;
    house.sweep_at(datetime!(2026-03-02 09:10 UTC)).await;
    assert!(house.doctors().await.iter().all(|finding| finding.outcome.is_ok()));
    house.marketplace.says(&[Saying::Status(403)]);
    house.sweep_at(datetime!(2026-03-02 10:00 UTC)).await;
    let found = house.doctors().await;
    let line = found[0].to_string();
    assert!(line.starts_with("BAD   metered billing, since 2026-03-02T09:10:00Z") && line.contains("ASSAY_METERING_RESOURCE"), "{line}");
    assert!(line.contains("nothing is lost yet") && found[0].ailment(true).is_some(), "{line}");
    house.sweep_at(datetime!(2026-03-02 10:05 UTC)).await;
    assert!(house.doctors().await.iter().all(|finding| finding.outcome.is_ok()));
    assert_eq!(house.marketplace.billed("2026-03"), 1);

    // Where there is no identity at all.
    let nobody = TestApp::with(METERED);
    let found = doctor::glance(nobody.app()).await;
    let line = found.iter().find(|finding| finding.what == "metered billing").unwrap();
    assert!(line.outcome.is_err() && line.ailment(false).is_some(), "{line}");
}

#[tokio::test]
async fn what_is_not_taken_within_a_day_is_an_alarm_and_a_line_and_is_never_billed_later() {
    let house = house(3, &[]).await;
    house.sweep_at(datetime!(2026-03-02 09:10 UTC)).await;
    house.marketplace.says(&[Saying::Status(403); 2]);
    house.sweep_at(datetime!(2026-03-02 10:00 UTC)).await;
    house.sweep_at(datetime!(2026-03-03 09:10 UTC)).await;
    assert_eq!((house.waiting().await, house.marketplace.asked().len()), (1, 2), "to the last moment");
    house.sweep_at(datetime!(2026-03-03 09:15 UTC)).await;
    let missed = house.told("metering.missed").await;
    assert_eq!((missed.len(), &missed[0]["quantity"], &missed[0]["tried"]), (1, &json!(3), &json!(true)));
    assert!(missed[0]["why"].as_str().unwrap().contains("does not let Assay's identity report"), "{missed:?}");
    // The day after, whatever comes: these three are not billed for this month.
    house.adds(3).await;
    house.sweep_at(datetime!(2026-03-03 09:20 UTC)).await;
    house.sweep_at(datetime!(2026-03-03 10:00 UTC)).await;
    assert_eq!((house.marketplace.billed("2026-03"), house.quantities("metering.sent").await), (1, vec![1]));

    let found = house.doctors().await;
    assert!(found[0].outcome.is_ok(), "nothing waits");
    let line = &found[1];
    assert_eq!(line.what, "metered billing of 2026-03, 3 never reported");
    assert!(line.outcome.is_err() && line.ailment(true).is_none(), "nobody can mend it: {line}");
    house.test.clock.set(datetime!(2026-04-30 12:00 UTC));
    assert_eq!(house.doctors().await.len(), 2, "in the month after too");
    house.test.clock.set(datetime!(2026-05-01 12:00 UTC));
    assert_eq!(house.doctors().await.len(), 1);
}

/// Assay did not run for two days.
#[tokio::test]
async fn what_was_never_sent_in_its_day_is_missed_too_and_called_that() {
    let house = house(1, &[]).await;
    house.sweep_at(datetime!(2026-03-31 23:30 UTC)).await;
    house.sweep_at(datetime!(2026-06-02 12:00 UTC)).await;
    let missed = house.told("metering.missed").await;
    assert_eq!((missed.len(), &missed[0]["month"], &missed[0]["tried"]), (1, &json!("2026-03"), &json!(false)));
    house.sweep_at(datetime!(2026-06-02 13:00 UTC)).await;
    assert_eq!((house.marketplace.billed("2026-03"), house.marketplace.billed("2026-06")), (0, 1));
}

#[tokio::test]
async fn an_hour_that_has_another_event_takes_none_of_ours_and_that_is_not_called_sent() {
    let house = house(2, &[]).await;
    house.marketplace.has("2026-03-02T09", 7);
    house.sweep_at(datetime!(2026-03-02 09:10 UTC)).await;
    house.sweep_at(datetime!(2026-03-02 10:00 UTC)).await;
    let missed = house.told("metering.missed").await;
    assert!(missed.len() == 1 && missed[0]["why"].as_str().unwrap().contains("with the quantity 7"), "{missed:?}");
    assert_eq!((house.told("metering.sent").await.len(), house.waiting().await), (0, 0));
}

/// Another dimension within the hour: the event that is begun stays as it is.
#[tokio::test]
async fn settings_that_change_within_an_hour_change_no_event_that_is_begun() {
    let mut house = house(1, &[]).await;
    house.sweep_at(datetime!(2026-03-02 09:10 UTC)).await;
    house.test.restart_with(&[METERED, &[("ASSAY_SIGN_IN", "demo"), ("ASSAY_METERING_DIMENSION", "tenants")]].concat());
    house.adds(1).await;
    house.sweep_at(datetime!(2026-03-02 09:20 UTC)).await;
    house.sweep_at(datetime!(2026-03-02 10:00 UTC)).await;
    house.sweep_at(datetime!(2026-03-02 11:00 UTC)).await;
    let asked = house.marketplace.asked();
    let said: Vec<_> = asked.iter().map(|body| (body["dimension"].as_str().unwrap(), body["quantity"].as_u64().unwrap())).collect();
    assert_eq!(said, [("clients", 1), ("tenants", 1)]);
}

#[tokio::test]
async fn two_sweeps_at_once_count_and_send_as_one() {
    let house = house(2, &[]).await;
    let at_once = async || {
        let one = two_at_once(house.test.app());
        let other = App { memory: Arc::default(), cache: Arc::default(), ..one.clone() };
        let (first, second) = tokio::join!(swept_by(&one), swept_by(&other));
        first.and(second).unwrap();
    };
    house.test.clock.set(datetime!(2026-03-02 09:10 UTC));
    at_once().await;
    assert_eq!(house.told("metering.counted").await.len(), 1);
    // Both close the hour.
    house.test.clock.set(datetime!(2026-03-02 10:00 UTC));
    house.marketplace.says(&[Saying::Status(503)]);
    at_once().await;
    assert_eq!(house.marketplace.asked().len(), 1, "who was overtaken leaves it to the other");
    // Both send what is closed.
    at_once().await;
    assert_eq!((house.marketplace.asked().len(), house.marketplace.billed("2026-03")), (2, 2));
    assert_eq!((house.quantities("metering.sent").await, house.waiting().await), (vec![2], 0));
    let month = all::<Month, _>(&deployment(house.test.app()).await, DeploymentPlace::Operations).await;
    assert_eq!((month[0].accepted, month[0].missed), (2, 0));
}

/// A clock that is a few minutes behind, on another instance: what was sent stays as it was sent.
#[tokio::test]
async fn an_instance_whose_clock_is_behind_adds_nothing_to_an_hour_that_was_sent() {
    let house = house(1, &[]).await;
    house.sweep_at(datetime!(2026-03-02 09:10 UTC)).await;
    house.sweep_at(datetime!(2026-03-02 10:00 UTC)).await;
    house.adds(1).await;
    house.sweep_at(datetime!(2026-03-02 09:58 UTC)).await;
    assert_eq!(house.waiting().await, 0);
    house.sweep_at(datetime!(2026-03-02 10:03 UTC)).await;
    house.sweep_at(datetime!(2026-03-02 11:00 UTC)).await;
    assert_eq!((house.marketplace.billed("2026-03"), house.told("metering.missed").await.len()), (2, 0));
}

/// Two months of three clients; the process dies at one of its calls, and another takes its place.
#[tokio::test]
async fn wherever_it_stops_every_client_is_billed_once_a_month_and_the_log_says_so() {
    let mut call = 0;
    loop {
        let mut struck = false;
        for fault in [Fault::BeforeEffect, Fault::AnswerLost] {
            let mut house = house(3, &[]).await;
            struck |= stopped(&mut house, call, fault).await;
            let at = format!("call {call}, {fault:?}");
            let counted = house.told("metering.counted").await;
            for month in ["2026-03", "2026-04"] {
                assert_eq!(house.marketplace.billed(month), 3, "{month}, {at}");
                let ids = counted.iter().filter(|detail| detail["month"] == month).flat_map(|detail| detail["clients"].as_array().unwrap());
                assert_eq!(ids.cloned().collect::<Vec<_>>(), (0..3).map(|n| json!(client(n))).collect::<Vec<_>>(), "{month}, {at}");
            }
            assert_eq!(house.quantities("metering.sent").await, [3, 3], "{at}");
            let said: BTreeSet<String> = house.marketplace.asked().iter().map(ToString::to_string).collect();
            assert_eq!(said.len(), 2, "every try says the same: {at}: {said:?}");
            assert_eq!((house.waiting().await, house.told("metering.missed").await.len()), (0, 0), "{at}");
            let months = all::<Month, _>(&deployment(house.test.app()).await, DeploymentPlace::Operations).await;
            assert!(months.len() == 2 && months.iter().all(|month| month.accepted == 3), "{at}: {months:?}");
        }
        if !struck {
            break;
        }
        call += 1;
    }
    println!("{call} calls, each stopped before and after its effect");
    assert!(call > 15, "{call}");
}

/// The last hours of a month and the first of the next, stopped at this call; whether there was one.
async fn stopped(house: &mut House, call: usize, fault: Fault) -> bool {
    house.test.faults.stop_at(call, fault);
    let mut struck = false;
    // Another try falls into another hour.
    for minutes in [10, 15, 60, 121, 135, 190, 245] {
        house.test.clock.set(datetime!(2026-03-31 22:00 UTC) + Duration::minutes(minutes));
        let swept = swept_by(house.test.app()).await;
        if !struck && house.test.faults.struck() {
            struck = true;
            house.test.faults.mend();
            house.test.restart();
        } else {
            swept.unwrap();
        }
    }
    house.test.faults.mend();
    struck
}

#[tokio::test]
async fn a_sweep_of_the_whole_house_reports_and_the_owner_reads_it_in_the_installations_log() {
    let mut test = TestApp::with(METERED);
    let marketplace = Marketplace::of(&mut test);
    let mut flow = Flow::begun(test, Extent::Small).await;
    let answers = marketplace.clone();
    flow.test.http.answer_with(move |request| answers.answer(request).or_else(|| Some(Ok(vendors_answer(request, START, 3)))));
    flow.pass(Duration::minutes(70)).await;
    assert_eq!(flow.swept, Ok(()));
    assert_eq!(marketplace.billed("2026-03"), 2);
    let owner = Browser::of(&flow, What::Owner).await;
    let trail = text(&owner.get("portal/audit?kind=metering").await);
    assert!(trail.contains("counted 2 clients for metered billing in 2026-03, 2 of them above what the base fee includes"), "{trail}");
    assert!(trail.contains("reported 2 clients of 2026-03 for metered billing, and the Marketplace took it"), "{trail}");
    for asked in marketplace.asked() {
        assert!([HARBOR, RIDGE].iter().all(|client| !asked.to_string().contains(&client.to_string())), "{asked}");
    }
}

#[tokio::test]
async fn without_a_plan_nothing_is_counted_kept_or_asked_and_no_line_says_anything_of_it() {
    let mut test = TestApp::new();
    let marketplace = Marketplace::of(&mut test);
    let house = House { test, marketplace };
    house.adds(0).await;
    let roster = Roster::read(&deployment(house.test.app()).await).await.unwrap();
    let before = house.test.faults.count();
    metering::run(house.test.app(), &roster, "c").await.unwrap();
    assert_eq!(house.test.faults.count(), before, "nothing is read for it");
    house.sweep_at(datetime!(2026-03-02 10:10 UTC)).await;
    assert_eq!((house.marketplace.asked().len(), house.doctors().await.len()), (0, 0));
    let months: Vec<Held<Month>> = deployment(house.test.app()).await.all(DeploymentPlace::Operations, "").await.unwrap();
    assert!(months.is_empty());
}
