//! What cannot be sent: said while somebody can mend it, and afterwards that it was missed.

use assay::{
    tenancy::DeploymentPlace,
    triggers::{
        Tick,
        health::doctor,
        sweep::{self, gauges::MESSAGE},
    },
};
use serde_json::json;
use time::{OffsetDateTime, macros::datetime};

use super::{house, swept_by};
use crate::{
    stories::put_away::damage,
    support::{
        TestApp,
        lines::Lines,
        marketplace::{METERED, Saying},
    },
};

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

/// Approvals and evidence matter more than bills.
#[tokio::test]
async fn wrong_settings_turn_metered_billing_off_by_their_names_and_stop_nothing_else() {
    let mut house = house(1, &[]).await;
    house.sweep_at(datetime!(2026-03-02 09:10 UTC)).await;
    let demo: &[(&str, &str)] = &[("ASSAY_SIGN_IN", "demo")];
    house.test.restart_with(&[METERED, demo, &[("ASSAY_METERING_RESOURCE", "assay")]].concat());
    house.adds(1).await;
    house.sweep_at(datetime!(2026-03-02 10:00 UTC)).await;
    assert_eq!((house.marketplace.asked().len(), house.told("metering.counted").await.len(), house.waiting().await), (0, 1, 1));
    let found = house.doctors().await;
    let line = found[0].to_string();
    assert!(line.starts_with("BAD   metered billing is off: expected the managed application's id"), "{line}");
    assert!(line.contains("(ASSAY_METERING_RESOURCE, ") && found[0].ailment(false).is_some(), "{line}");
    // Mended within the day, everybody is on the bill.
    house.test.restart_with(&[METERED, demo].concat());
    house.sweep_at(datetime!(2026-03-02 10:05 UTC)).await;
    house.sweep_at(datetime!(2026-03-02 11:00 UTC)).await;
    assert_eq!((house.marketplace.billed("2026-03"), house.doctors().await.iter().all(|finding| finding.outcome.is_ok())), (2, true));
}

/// Accepted, and with which number nobody knows: not guessed.
#[tokio::test]
async fn a_duplicate_that_shows_no_number_is_called_that() {
    let house = house(2, &[]).await;
    house.marketplace.says(&[Saying::Status(409)]);
    house.sweep_at(datetime!(2026-03-02 09:10 UTC)).await;
    house.sweep_at(datetime!(2026-03-02 10:00 UTC)).await;
    let sent = house.told("metering.sent").await;
    assert_eq!((sent.len(), &sent[0]["unshown"], &sent[0]["before"]), (1, &json!(true), &json!(true)));
    assert_eq!(house.waiting().await, 0);
}

/// What Azure's alerts read of it, in the line of each sweep.
#[tokio::test]
async fn what_waits_and_what_was_missed_are_numbers_of_the_sweeps_line() {
    let house = house(1, &[]).await;
    let (lines, _listening) = Lines::listen("info");
    let gauges = async |now: OffsetDateTime| {
        house.test.clock.set(now);
        let tick = Tick { past_due: false, invocation_id: "c".into() };
        house.test.faults.product(Box::pin(sweep::run(tick, house.test.app()))).await.unwrap();
        let line = lines.of(MESSAGE).pop().unwrap();
        (line["usage_waits_hours"].as_u64().unwrap(), line["usage_missed"].as_u64().unwrap())
    };
    assert_eq!(gauges(datetime!(2026-03-02 09:10 UTC)).await, (0, 0), "its hour is not over");
    house.marketplace.says(&[Saying::Status(503); 2]);
    assert_eq!(gauges(datetime!(2026-03-02 10:00 UTC)).await, (0, 0));
    assert_eq!(gauges(datetime!(2026-03-02 13:30 UTC)).await, (3, 0));
    assert_eq!(gauges(datetime!(2026-03-03 09:15 UTC)).await, (0, 1));
    assert_eq!(gauges(datetime!(2026-03-03 09:20 UTC)).await, (0, 0), "each is told by one sweep");
}

/// Somebody's restore, or a disk: the other hours are reported all the same.
#[tokio::test]
async fn an_event_that_cannot_be_read_holds_up_no_other_and_the_sweep_says_so() {
    let house = house(1, &[]).await;
    house.sweep_at(datetime!(2026-03-02 09:10 UTC)).await;
    damage(house.test.app(), DeploymentPlace::Operations, "usage-event:2026-03-02T09").await;
    house.adds(1).await;
    house.test.clock.set(datetime!(2026-03-02 10:10 UTC));
    swept_by(house.test.app()).await.unwrap_err();
    house.test.clock.set(datetime!(2026-03-02 11:00 UTC));
    swept_by(house.test.app()).await.unwrap_err();
    assert_eq!((house.marketplace.billed("2026-03"), house.quantities("metering.sent").await), (1, vec![1]));
}

#[tokio::test]
async fn a_plan_that_is_emptied_is_said_once_and_what_waited_is_missed_for_that_reason() {
    let mut house = house(2, &[]).await;
    house.sweep_at(datetime!(2026-03-02 09:10 UTC)).await;
    let demo: &[(&str, &str)] = &[("ASSAY_SIGN_IN", "demo")];
    house.test.restart_with(demo);
    house.adds(2).await;
    house.sweep_at(datetime!(2026-03-02 10:00 UTC)).await;
    house.sweep_at(datetime!(2026-03-02 10:05 UTC)).await;
    let found = house.doctors().await;
    let line = found[0].to_string();
    assert!(
        found.len() == 1 && line.starts_with("BAD   metered billing, since 2026-03-02T09:10:00Z: ASSAY_METERING_PLAN is empty"),
        "{line}"
    );
    house.sweep_at(datetime!(2026-03-03 09:15 UTC)).await;
    house.sweep_at(datetime!(2026-03-03 09:20 UTC)).await;
    let missed = house.told("metering.missed").await;
    assert!(missed.len() == 1 && missed[0]["why"].as_str().unwrap().starts_with("ASSAY_METERING_PLAN is empty"), "{missed:?}");
    assert_eq!((house.told("metering.off").await, house.marketplace.asked().len()), (vec![json!({ "month": "2026-03" })], 0));
    let found = house.doctors().await;
    let line = found[0].to_string();
    assert!(line.starts_with("good  metered billing (") && line.contains("off since 2026-03-02T10:00:00Z"), "{line}");
    assert_eq!(found[1].what, "metered billing of 2026-03, 2 never reported");

    // Set again, it goes on with whom it had not counted; emptied again, that is said again.
    house.test.restart_with(&[METERED, demo].concat());
    house.sweep_at(datetime!(2026-03-03 10:00 UTC)).await;
    house.sweep_at(datetime!(2026-03-03 11:00 UTC)).await;
    assert_eq!((house.marketplace.billed("2026-03"), house.told("metering.off").await.len()), (1, 1));
    house.test.restart_with(demo);
    house.sweep_at(datetime!(2026-03-04 09:00 UTC)).await;
    assert_eq!(house.told("metering.off").await.len(), 2);
}

/// By mistake, and mended within the day.
#[tokio::test]
async fn a_plan_that_is_emptied_for_an_hour_loses_nothing() {
    let mut house = house(1, &[]).await;
    house.sweep_at(datetime!(2026-03-02 09:10 UTC)).await;
    let demo: &[(&str, &str)] = &[("ASSAY_SIGN_IN", "demo")];
    house.test.restart_with(demo);
    house.sweep_at(datetime!(2026-03-02 10:00 UTC)).await;
    house.test.restart_with(&[METERED, demo].concat());
    house.sweep_at(datetime!(2026-03-02 11:00 UTC)).await;
    assert_eq!((house.marketplace.billed("2026-03"), house.told("metering.missed").await.len()), (1, 0));
}
