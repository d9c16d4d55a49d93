//! What is sent until it is taken, once, wherever it stops.

use std::{collections::BTreeSet, sync::Arc};

use assay::{app::App, metering::Month, tenancy::DeploymentPlace};
use serde_json::json;
use time::{Duration, macros::datetime};

use super::{House, client, deployment, house, swept_by};
use crate::support::{end_state::all, faults::Fault, marketplace::Saying, meeting::two_at_once};

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
