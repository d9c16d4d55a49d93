//! Who is counted, in which month and hour, and what is told of it.

use assay::{
    connectors::demo::What,
    metering::Month,
    tenancy::{DeploymentPlace, Held},
};
use serde_json::{Value, json};
use time::{Duration, macros::datetime};

use super::{House, client, deployment, house};
use crate::support::{
    TestApp,
    browser::{Browser, text},
    clock::START,
    flow::{Extent, Flow, HARBOR, RIDGE, vendors_answer},
    marketplace::{APP, METERED, Marketplace},
};

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
async fn a_managed_application_may_be_named_by_its_usage_id() {
    let usage_id = "89abcdef-0123-4567-89ab-cdef01234567";
    let house = house(1, &[("ASSAY_METERING_RESOURCE", usage_id)]).await;
    house.sweep_at(datetime!(2026-03-02 09:10 UTC)).await;
    house.sweep_at(datetime!(2026-03-02 10:00 UTC)).await;
    let asked = house.marketplace.asked();
    assert_eq!((&asked[0]["resourceId"], asked[0].get("resourceUri")), (&json!(usage_id), None));
    assert_eq!(house.marketplace.billed("2026-03"), 1);
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
    house.sweep_at(datetime!(2026-03-02 10:10 UTC)).await;
    assert_eq!((house.marketplace.asked().len(), house.doctors().await.len()), (0, 0));
    let months: Vec<Held<Month>> = deployment(house.test.app()).await.all(DeploymentPlace::Operations, "").await.unwrap();
    assert!(months.is_empty());
}
