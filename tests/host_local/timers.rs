//! Timer functions on a clock moved by hand: due, past due at start, on startup, collapsed, never two at once.

use std::{path::Path, sync::Arc, time::Duration};

use assay::host::local::{faults::Faults, invoke::Invoker, timers::Timer, worker::Worker};
use serde_json::{Value, json};
use time::macros::datetime;

use super::{
    handler::{Handler, json as answer, success},
    support::{CountingIds, HandClock, function},
};

fn timer(folder: &Path, handler: &Handler, clock: &Arc<HandClock>, extra: &Value) -> Timer {
    let worker = Worker::at(handler.port);
    let ids = Arc::new(CountingIds::default());
    let invoker = Arc::new(Invoker::new(worker, Faults::default(), clock.clone(), ids, None));
    let mut binding = json!({ "type": "timerTrigger", "direction": "in", "name": "timer", "schedule": "0 */5 * * * *" });
    binding.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
    Timer::of(&function("Sweep", &json!({ "bindings": [binding] })), folder, &invoker).unwrap()
}

fn data(handler: &Handler) -> Value {
    handler.last().json()["Data"]["timer"].clone()
}

#[tokio::test]
async fn a_timer_runs_at_its_times_and_tells_the_last_and_the_next() {
    let (handler, clock, folder) = (Handler::start(|_| async { success() }).await, HandClock::new(), tempfile::tempdir().unwrap());
    let mut timer = timer(folder.path(), &handler, &clock, &json!({}));
    assert!(!timer.tick().await, "09:15:02: nothing was missed, nothing is due");
    clock.set(datetime!(2026-03-02 09:20 UTC));
    assert!(timer.tick().await);
    assert_eq!(handler.last().path, "/Sweep");
    assert_eq!(
        (&data(&handler)["IsPastDue"], &data(&handler)["ScheduleStatus"]["Last"]),
        (&json!(false), &json!("0001-01-01T00:00:00+00:00"))
    );
    assert!(!timer.tick().await, "once");
    clock.set(datetime!(2026-03-02 09:25:01 UTC));
    assert!(timer.tick().await);
    let expected =
        json!({ "Last": "2026-03-02T09:20:00+00:00", "Next": "2026-03-02T09:25:00+00:00", "LastUpdated": "2026-03-02T09:20:00+00:00" });
    assert_eq!(data(&handler)["ScheduleStatus"], expected);
}

#[tokio::test]
async fn missed_runs_collapse_into_one_past_due_run_at_the_next_start() {
    let (handler, clock, folder) = (Handler::start(|_| async { success() }).await, HandClock::new(), tempfile::tempdir().unwrap());
    let mut before = timer(folder.path(), &handler, &clock, &json!({}));
    before.tick().await;
    clock.set(datetime!(2026-03-02 09:20 UTC));
    before.tick().await;
    drop(before);

    clock.set(datetime!(2026-03-02 11:02 UTC));
    let mut after = timer(folder.path(), &handler, &clock, &json!({}));
    assert!(after.tick().await);
    assert_eq!((handler.count(), &data(&handler)["IsPastDue"]), (2, &json!(true)));
    assert!(!after.tick().await);

    let mut again = timer(folder.path(), &handler, &clock, &json!({}));
    assert!(!again.tick().await, "a restart right after it misses nothing");
}

#[tokio::test]
async fn a_timer_that_never_ran_is_past_due_when_its_first_time_passed_while_the_host_was_down() {
    let (handler, clock, folder) = (Handler::start(|_| async { success() }).await, HandClock::new(), tempfile::tempdir().unwrap());
    timer(folder.path(), &handler, &clock, &json!({})).tick().await;
    clock.advance(Duration::from_mins(10));
    assert!(timer(folder.path(), &handler, &clock, &json!({})).tick().await);
    let status = &data(&handler)["ScheduleStatus"];
    assert_eq!((&status["Last"], &status["LastUpdated"]), (&json!("0001-01-01T00:00:00+00:00"), &json!("2026-03-02T09:15:02+00:00")));
    assert_eq!(data(&handler)["IsPastDue"], true);
}

#[tokio::test]
async fn run_on_startup_runs_at_once_with_year_one_and_without_monitoring_there_is_no_status() {
    let (handler, clock, folder) = (Handler::start(|_| async { success() }).await, HandClock::new(), tempfile::tempdir().unwrap());
    assert!(timer(folder.path(), &handler, &clock, &json!({ "runOnStartup": true })).tick().await);
    let status = data(&handler)["ScheduleStatus"].clone();
    assert!(["Last", "Next", "LastUpdated"].iter().all(|m| status[m] == "0001-01-01T00:00:00+00:00"), "{status}");
    assert_eq!(data(&handler)["IsPastDue"], false);

    let mut unmonitored = timer(folder.path(), &handler, &clock, &json!({ "schedule": "*/10 * * * * *" }));
    unmonitored.tick().await;
    clock.advance(Duration::from_secs(10));
    assert!(unmonitored.tick().await);
    assert_eq!(data(&handler)["ScheduleStatus"], Value::Null);
}

#[tokio::test]
async fn a_failed_run_waits_for_the_next_time() {
    let (handler, clock, folder) = (Handler::start(|_| async { answer(500, "{}") }).await, HandClock::new(), tempfile::tempdir().unwrap());
    let mut timer = timer(folder.path(), &handler, &clock, &json!({}));
    timer.tick().await;
    clock.set(datetime!(2026-03-02 09:20 UTC));
    assert!(timer.tick().await);
    clock.set(datetime!(2026-03-02 09:24:59 UTC));
    assert!(!timer.tick().await);
    assert_eq!(handler.count(), 1);
}
