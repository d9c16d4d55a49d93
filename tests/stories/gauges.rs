//! What Azure's alerts and workbook read: one line of numbers after each sweep, right after a day's work, honest when a
//! part of the store fails or the deadline cuts it off, and of nobody.

use std::{collections::BTreeSet, time::Duration as Wait};

use assay::{
    audit::watch,
    connectors::demo::{self, What},
    gate::proposal::OpenMark,
    platform::ports::Queue as _,
    tenancy::{ClientPlace, keys::Owner, signing::SigningUse},
    triggers::{
        Tick,
        sweep::{
            self,
            gauges::{FIELDS, MESSAGE},
        },
    },
};
use bytes::Bytes;
use serde_json::{Map, Value, json};
use time::Duration;

use crate::support::{
    browser::{Browser, hidden_of_form},
    clock::START,
    end_state::all,
    faults::Fault,
    flow::{Extent, Flow, HARBOR, RIDGE, deliveries_of, person},
    key_vault::{installation_of, key_uri, signing_key},
    lines::Lines,
};

/// The figures of the newest line; it has nothing else in it but what every line of the handler has.
fn newest(lines: &Lines) -> Map<String, Value> {
    let Some(Value::Object(mut line)) = lines.of(MESSAGE).pop() else { panic!("no line") };
    assert_eq!(line.remove("level"), Some(json!("INFO")));
    for every in ["timestamp", "target", "message"] {
        line.remove(every);
    }
    // A run within the host has its invocation's span; here none is around it.
    for (name, value) in &line {
        let is_figure = FIELDS.contains(&name.as_str()) && value.is_u64();
        assert!(is_figure || (name == "incomplete" && value == true), "{name} is no figure: {value}");
    }
    line
}

async fn swept(flow: &mut Flow, lines: &Lines) -> Map<String, Value> {
    let before = lines.of(MESSAGE).len();
    flow.sweep().await;
    assert_eq!(lines.of(MESSAGE).len(), before + 1, "one line for each sweep");
    newest(lines)
}

/// An approver looks at a question for a while, and answers it.
async fn answer(flow: &Flow, proposal: &OpenMark, decision: &str) {
    let page = format!("portal/proposals/{HARBOR}/{}", proposal.proposal);
    let browser = Browser::of(flow, What::Approver).await;
    let form = hidden_of_form(&browser.get(&page).await);
    flow.test.clock.advance(Duration::seconds(95));
    let mut typed = vec![("decision", decision), ("comment", "I compared it with the RMM.")];
    typed.extend((decision == "reject").then_some(("because", "context_missing")));
    assert_eq!(browser.send(form, &format!("{page}/decide"), &typed).await.status, 303);
}

async fn open(flow: &Flow) -> Vec<OpenMark> {
    all(&flow.client(HARBOR).await, ClientPlace::Assessment).await
}

/// Two deliveries, three devices; one question approved, one rejected, the others wait; a request refused, a message dead.
async fn a_days_work(flow: &mut Flow) {
    for delivery in &deliveries_of(demo::CONNECTWISE, START)[..2] {
        flow.vendor_sends(delivery).await;
    }
    flow.mailed(person(What::Approver), HARBOR, "3.4.1[d]").await;
    flow.settle().await;
    let asked = open(flow).await;
    answer(flow, &asked[0], "approve").await;
    answer(flow, &asked[1], "reject").await;
    flow.settle().await;
    let mut forged = deliveries_of(demo::CONNECTWISE, START)[2].clone();
    forged.body.push(' ');
    assert_eq!(flow.post(&forged).await.unwrap().status, 401);
    flow.test.queue.send("intake-poison", Bytes::from_static(b"a message"), Wait::ZERO).await.unwrap();
}

#[tokio::test]
async fn the_line_after_a_days_work_has_its_numbers_and_says_of_nobody_whose_they_are() {
    let mut flow = Flow::new(Extent::Small).await;
    let (lines, _listening) = Lines::listen("info");
    a_days_work(&mut flow).await;
    let line = swept(&mut flow, &lines).await;
    assert_eq!(line.keys().map(String::as_str).collect::<BTreeSet<_>>(), FIELDS.iter().copied().collect());
    let asked = open(&flow).await;
    let said = json!({
        "clients": 2, "dead_letters": 1, "poisoned": 1, "checkpoint_age_seconds": 0,
        "approvals_waiting": asked.len(), "oldest_approval_hours": 0,
        "usage_waits_hours": 0, "usage_missed": 0,
        // The two deliveries, the three devices, and how many there are.
        "taken_in_28d": 6, "refused_28d": 1, "failed_28d": 1,
        "decided_28d": 2, "overridden_28d": 1,
    });
    assert!(!asked.is_empty());
    assert_eq!(Value::Object(line), said);

    flow.test.clock.advance(Duration::hours(5));
    let line = swept(&mut flow, &lines).await;
    let oldest = asked.iter().map(|mark| mark.staged_at).min().unwrap();
    assert_eq!((&line["oldest_approval_hours"], &line["poisoned"]), (&json!((flow.app().now() - oldest).whole_hours()), &json!(0)));
    let text = lines.text();
    let of_gauges = text.lines().filter(|line| line.contains(MESSAGE)).collect::<Vec<_>>().join("\n");
    for whose in [&HARBOR.to_string(), &RIDGE.to_string(), "Harbor", "Ridge"] {
        assert!(!of_gauges.contains(whose), "{whose}");
    }
}

/// Figures that one look gives whole or not at all; the others are added up over clients and logs.
const OF_ONE_LOOK: [&str; 5] = ["clients", "dead_letters", "poisoned", "failed_28d", "refused_28d"];

/// That the line says nothing that is not so.
fn is_honest(line: &Map<String, Value>, whole: &Map<String, Value>) {
    if !line.contains_key("incomplete") {
        assert_eq!(line, whole, "it calls itself whole");
    }
    for (name, value) in line.iter().filter(|(name, _)| *name != "incomplete") {
        let most = &whole[name];
        assert!(
            value == most || (!OF_ONE_LOOK.contains(&name.as_str()) && value.as_u64() < most.as_u64()),
            "{name} is {value}, not {most}"
        );
    }
}

#[tokio::test]
async fn a_line_that_the_store_failed_is_incomplete_and_no_figure_in_it_is_a_zero_that_is_none() {
    let mut flow = Flow::new(Extent::Small).await;
    a_days_work(&mut flow).await;
    flow.sweep().await;
    let (lines, _listening) = Lines::listen("info");
    let whole = swept(&mut flow, &lines).await;
    assert!(!whole.contains_key("incomplete") && whole["dead_letters"] == 1, "{whole:?}");
    let (mut failed, mut incomplete) = (0, 0);
    for call in (0..).step_by(5) {
        flow.test.faults.fail_at(call, Fault::BeforeEffect);
        let line = swept(&mut flow, &lines).await;
        if !flow.test.faults.struck() {
            break;
        }
        is_honest(&line, &whole);
        failed += 1;
        incomplete += usize::from(line.contains_key("incomplete"));
    }
    assert!(failed > 20 && incomplete > failed / 2, "{incomplete} of {failed}");

    // Nothing can be read at all: the first call of a sweep, and all behind it.
    flow.test.faults.stop_at(0, Fault::BeforeEffect);
    let line = swept(&mut flow, &lines).await;
    assert_eq!(Value::Object(line), json!({ "incomplete": true }));
}

#[tokio::test]
async fn a_sweep_that_its_deadline_cuts_off_still_says_what_it_had_read() {
    let mut flow = Flow::new(Extent::Small).await;
    a_days_work(&mut flow).await;
    flow.sweep().await;
    let (lines, _listening) = Lines::listen("info");
    let whole = swept(&mut flow, &lines).await;
    flow.test.faults.mend();
    flow.sweep().await;
    let hold = flow.test.faults.hold_at(flow.test.faults.count() / 2);
    let tick = Tick { past_due: false, invocation_id: "cut-off".into() };
    tokio::select! {
        _ = sweep::run(tick, flow.app()) => panic!("it was to be cut off"),
        () = hold.reached() => {}
    }
    let line = newest(&lines);
    is_honest(&line, &whole);
    assert!(line.contains_key("incomplete") && line["dead_letters"] == 1, "{line:?}");
}

#[tokio::test(start_paused = true)]
async fn what_no_checkpoint_covers_grows_old_until_the_vault_signs_again() {
    let (test, fake) = installation_of(Owner::Tenant(HARBOR)).await;
    let mut flow = Flow::begun(test, Extent::Small).await;
    flow.vendor_sends(&deliveries_of(demo::CONNECTWISE, START)[0]).await;
    flow.settle().await;
    let (lines, _listening) = Lines::listen("info");
    let line = swept(&mut flow, &lines).await;
    assert!(line["checkpoint_age_seconds"] == 0 && !line.contains_key("incomplete"), "{line:?}");

    fake.refuse(&signing_key(SigningUse::Checkpoints), Some((403, "KeyDisabled")));
    let recorded = flow.app().now();
    flow.vendor_sends(&deliveries_of(demo::CONNECTWISE, START)[1]).await;
    flow.pump_once("intake").await;
    // What happened waits for its place in the log still.
    let (store, places) = (flow.client(HARBOR).await, ClientPlace::with_outbox().collect::<Vec<_>>());
    assert_eq!(watch::waits_since(&store, &places).await.unwrap(), Some(recorded));
    assert_eq!(watch::waits_since(&store, &[]).await.unwrap(), None);
    drop(store);
    flow.pass(Duration::minutes(20)).await;
    let line = swept(&mut flow, &lines).await;
    let age = (flow.app().now() - recorded).whole_seconds();
    assert!(line["checkpoint_age_seconds"] == age && line["incomplete"] == true, "{age}: {line:?}");

    fake.refuse(&signing_key(SigningUse::Checkpoints), None);
    flow.pass(Duration::minutes(5)).await;
    let line = swept(&mut flow, &lines).await;
    assert!(line["checkpoint_age_seconds"] == 0 && !line.contains_key("incomplete"), "{line:?}");
}

#[tokio::test(start_paused = true)]
async fn a_client_whose_key_is_revoked_blinds_no_alert_about_the_others() {
    let (test, fake) = installation_of(Owner::Tenant(HARBOR)).await;
    let mut flow = Flow::begun(test, Extent::Small).await;
    flow.vendor_sends(&deliveries_of(demo::CONNECTWISE, START)[0]).await;
    flow.settle().await;
    let (lines, _listening) = Lines::listen("info");
    let whole = swept(&mut flow, &lines).await;
    fake.refuse(&key_uri("harbor"), Some((403, "KeyDisabled")));
    flow.test.clock.advance(Duration::minutes(6));
    let line = swept(&mut flow, &lines).await;
    is_honest(&line, &whole);
    let absent: Vec<_> = FIELDS.iter().filter(|name| !line.contains_key(**name)).collect();
    assert!(line["incomplete"] == true && absent.is_empty(), "{absent:?}: {line:?}");
    assert!(line["approvals_waiting"].as_u64() < whole["approvals_waiting"].as_u64(), "{line:?}: {whole:?}");
}
