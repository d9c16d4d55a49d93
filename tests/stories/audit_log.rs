//! Every item gets its place in the log exactly once: whatever call fails, whoever else runs, whatever the clock does.

use std::{collections::BTreeSet, io::Cursor, sync::Arc};

use assay::{
    app::App,
    audit::{
        self, Event, Item, Report, chain,
        entry::{Entry, HEAD_KEY, Head},
        format, sequence, trail,
        verify::verify,
    },
    tenancy::{
        Actor, ClientPlace, PersonId, Place, Record, Store,
        place::{AUDIT_ENTRIES_PER_PART, AuditPart},
    },
};
use serde_json::Value;
use uuid::Uuid;

use super::audit_store::{Memory, Mishap, Rest, app};
use crate::support::{TestApp, events::approval, faults::Fault, log_copy::single_file, reader::client};

type Client<'a> = Store<'a, ClientPlace>;

/// Records `count` items, spread over the places.
async fn happen(store: &Client<'_>, count: usize, detail: impl Fn(usize) -> Value) {
    let places: Vec<ClientPlace> = ClientPlace::with_outbox().collect();
    for n in 0..count {
        let mut batch = store.batch(places[n % places.len()]);
        audit::record(&mut batch, Event::new("proposal.approved", format!("proposal {n}"), detail(n)));
        batch.commit().await.unwrap();
    }
}

fn numbered(n: usize) -> Value {
    approval(n, "Dana Whitfield", "")
}

async fn run(store: &Client<'_>) -> Result<usize, assay::tenancy::StoreError> {
    Ok(sequence(store, ClientPlace::with_outbox()).await?.placed)
}

async fn waiting(store: &Client<'_>) -> usize {
    let mut count = 0;
    for place in ClientPlace::with_outbox() {
        count += store.all::<Item>(place, "").await.unwrap().len();
    }
    count
}

async fn exported(store: &Client<'_>, disclose: bool) -> (Report, String) {
    let file = single_file(store, disclose).await;
    (verify(Cursor::new(&file)).unwrap(), String::from_utf8(file).unwrap())
}

/// After whatever went wrong: one more run, and all items stand in the log, each once.
async fn all_is_well(store: &Client<'_>, clock: &Rest, items: usize, when: &str) {
    clock.turn_clock(31);
    run(store).await.unwrap();
    assert_eq!(waiting(store).await, 0, "{when}");
    let (report, _) = exported(store, true).await;
    assert_eq!((report.header.entries, report.disclosed), (items as u64, items as u64), "{when}");
    assert!(!report.kinds.contains_key("log.gap"), "nothing was taken away {when}");
}

#[tokio::test]
async fn every_item_gets_its_place_once_in_the_order_it_happened() {
    let (app, _, _) = app(&[]);
    let store = client(&app).await;
    assert_eq!(run(&store).await.unwrap(), 0);
    happen(&store, 120, numbered).await;
    assert_eq!(run(&store).await.unwrap(), 120);
    assert_eq!(run(&store).await.unwrap(), 0);
    let entries = store.all::<Entry>(ClientPlace::Log(AuditPart::Entries(0)), "").await.unwrap();
    let objects: Vec<String> = entries.iter().map(|e| audit::leaf::read(&e.value.leaf).unwrap().object).collect();
    assert_eq!(objects, (0..120).map(|n| format!("proposal {n}")).collect::<Vec<_>>());
    assert_eq!(exported(&store, false).await.0.header.entries, 120);
}

#[tokio::test]
async fn a_run_over_the_places_of_one_cause_leaves_what_waits_elsewhere_to_the_next() {
    let (app, _, _) = app(&[]);
    let store = client(&app).await;
    happen(&store, 40, numbered).await;
    let some = sequence(&store, [ClientPlace::Evidence(0), ClientPlace::Assessment]).await.unwrap();
    assert_eq!((some.placed, waiting(&store).await), (5, 35));
    assert_eq!(run(&store).await.unwrap(), 35);
    assert_eq!(exported(&store, false).await.0.header.entries, 40);
}

#[tokio::test]
async fn a_place_that_holds_more_than_a_round_takes_is_emptied_all_the_same() {
    let (app, _, _) = app(&[]);
    let store = client(&app).await;
    for n in 0..230 {
        let mut batch = store.batch(ClientPlace::Assessment);
        audit::record(&mut batch, Event::new("proposal.approved", format!("proposal {n}"), numbered(n)));
        batch.commit().await.unwrap();
    }
    assert_eq!((run(&store).await.unwrap(), waiting(&store).await), (230, 0));
}

/// Runs over `items` with a mishap at the call; whether the run had that many calls.
async fn survives(items: usize, call: usize, mishap: Mishap, when: &str) -> bool {
    let (app, memory, clock) = app(&[]);
    let store = client(&app).await;
    happen(&store, items, numbered).await;
    memory.at_call(call, mishap);
    let outcome = run(&store).await;
    let (_, struck) = memory.calm();
    if !struck {
        assert_eq!(outcome.unwrap(), items);
    }
    all_is_well(&store, &clock, items, &format!("of {items} items, call {call} {when}")).await;
    struck
}

#[tokio::test]
async fn whatever_call_of_a_run_fails_the_next_run_finishes_what_it_began() {
    let mut call = 0;
    while survives(5, call, Mishap::Fails, "fails").await
        && survives(5, call, Mishap::AnswerLost, "loses its answer").await
        && survives(5, call, Mishap::Dies, "is the last").await
    {
        call += 1;
    }
    assert!(call > 25, "a run has more calls than {call}");
}

#[tokio::test]
async fn a_run_of_more_than_one_batch_may_die_between_them() {
    let mut call = 18;
    while survives(52, call, Mishap::Dies, "is the last").await {
        call += 1;
    }
    assert!(call > 40, "a run has more calls than {call}");
}

#[tokio::test]
async fn items_that_come_after_a_failed_run_stand_behind_those_it_had_placed() {
    for call in 0..50 {
        let (app, memory, clock) = app(&[]);
        let store = client(&app).await;
        happen(&store, 3, numbered).await;
        memory.at_call(call, Mishap::Dies);
        let _ = run(&store).await;
        memory.calm();
        happen(&store, 3, numbered).await;
        all_is_well(&store, &clock, 6, &format!("died at call {call}")).await;
    }
}

/// A second sequencer that believes the first one's lease has run out, and places what it sees, up to its own mishap.
async fn takes_over(app: App, memory: Arc<Memory>, clock: Arc<Rest>, dies_at: Option<usize>) {
    clock.turn_clock(31);
    let store = client(&app).await;
    happen(&store, 1, numbered).await;
    if let Some(call) = dies_at {
        memory.at_call(call, Mishap::Dies);
    }
    let _ = run(&store).await;
    memory.calm();
}

#[tokio::test]
async fn two_sequencers_that_race_at_any_call_place_nothing_twice_and_lose_nothing() {
    // With the lease, with entries behind the head, with the head moved, with some items deleted.
    for dies_at in [None, Some(19), Some(21), Some(22), Some(24)] {
        for call in 0.. {
            let (app, memory, clock) = app(&[]);
            let store = client(&app).await;
            happen(&store, 5, numbered).await;
            let second = takes_over(app.clone(), memory.clone(), clock.clone(), dies_at);
            memory.at_call(call, Mishap::Interrupted(Box::pin(second)));
            run(&store).await.unwrap();
            let (_, struck) = memory.calm();
            let items = 5 + usize::from(struck);
            all_is_well(&store, &clock, items, &format!("overtaken at call {call}, second dies at {dies_at:?}")).await;
            if !struck {
                assert!(call > 25, "a run has more calls than that");
                break;
            }
        }
    }
}

#[tokio::test]
async fn while_one_sequencer_holds_the_lease_another_leaves_the_work_to_it() {
    let (app, memory, _) = app(&[]);
    let store = client(&app).await;
    happen(&store, 2, numbered).await;
    let other = app.clone();
    let second = async move { assert_eq!(run(&client(&other).await).await.unwrap(), 0) };
    memory.at_call(26, Mishap::Interrupted(Box::pin(second)));
    assert_eq!(run(&store).await.unwrap(), 2);
    assert!(memory.calm().1);
}

#[tokio::test]
async fn a_clock_that_jumps_back_a_day_stops_nobody() {
    let (app, memory, clock) = app(&[]);
    let store = client(&app).await;
    happen(&store, 3, numbered).await;
    memory.at_call(27, Mishap::Dies);
    run(&store).await.unwrap_err();
    memory.calm();
    clock.turn_clock(-86_400);
    happen(&store, 3, numbered).await;
    run(&store).await.unwrap();
    assert_eq!((waiting(&store).await, exported(&store, false).await.0.header.entries), (0, 6));
}

#[tokio::test]
async fn a_log_goes_on_in_its_next_part_whatever_call_fails_on_the_way() {
    let begin = AUDIT_ENTRIES_PER_PART - 2;
    for call in 0..120 {
        let (app, memory, clock) = app(&[]);
        let store = client(&app).await;
        let mut batch = store.batch(ClientPlace::audit(AuditPart::Head));
        batch.create(&Head { next: begin, hash: chain::start("earlier"), ..Head::new(store.owner(), Uuid::from_u128(1), app.now()) });
        batch.commit().await.unwrap();
        happen(&store, 5, numbered).await;
        memory.at_call(call, Mishap::Dies);
        let _ = run(&store).await;
        memory.calm();
        clock.turn_clock(31);
        run(&store).await.unwrap();
        let mut hash = chain::start("earlier");
        let mut items = BTreeSet::new();
        for part in 0..2 {
            for entry in store.all::<Entry>(ClientPlace::Log(AuditPart::Entries(part)), "").await.unwrap() {
                assert_eq!((entry.value.seq, entry.value.previous), (begin + items.len() as u64, hash), "died at call {call}");
                hash = entry.value.hash;
                assert!(items.insert(entry.value.item));
            }
        }
        let head = store.read::<Head>(ClientPlace::audit(AuditPart::Head), HEAD_KEY).await.unwrap().unwrap().value;
        assert_eq!((items.len(), head.next, head.hash, waiting(&store).await), (5, begin + 5, hash, 0), "died at call {call}");
    }
}

#[tokio::test]
async fn large_details_fill_several_batches_and_what_is_far_too_large_is_kept_by_its_hash() {
    let (app, _, _) = app(&[]);
    let store = client(&app).await;
    happen(&store, 40, |n| approval(n, "", &"\"".repeat(30_000))).await;
    happen(&store, 1, |_| approval(1, "", &"x".repeat(2_000_000))).await;
    assert_eq!(run(&store).await.unwrap(), 41);
    let (report, text) = exported(&store, true).await;
    assert_eq!(report.header.entries, 41);
    assert!(text.contains("longer than the log keeps"));
}

#[tokio::test]
async fn an_export_without_content_names_nobody_and_a_demo_says_so() {
    let (app, _, _) = app(&[("ASSAY_SIGN_IN", "demo")]);
    let store = client(&app).await;
    happen(&store, 3, numbered).await;
    run(&store).await.unwrap();
    let (report, text) = exported(&store, false).await;
    assert_eq!(report.disclosed, 0);
    for personal in ["Dana", "Whitfield", "Harbor", &PersonId(Uuid::from_u128(77)).to_string(), &Uuid::from_u128(77).to_string()] {
        assert!(!text.contains(personal), "{personal}");
    }
    assert!(text.lines().next().unwrap().contains(format::DEMO_NOTICE));
    assert!(report.to_string().starts_with("DEMO"));
    assert!(exported(&store, true).await.1.contains("Dana Whitfield"));
}

#[tokio::test]
async fn a_store_that_was_ever_a_demos_says_so_also_to_a_program_without_the_demo() {
    let real = [("ASSAY_SIGN_IN", "none"), ("ASSAY_PUBLIC_URL", "https://assay.example.net")];
    let test = TestApp::with(&real);
    let notice = async || {
        let (report, file) = exported(&client(test.app()).await, false).await;
        assert_eq!(report.header.demo, file.lines().next().unwrap().contains(format::DEMO_NOTICE));
        report.header.demo
    };
    assert!(!notice().await);
    assay::connectors::demo::seed(test.app()).await.unwrap();
    assert!(notice().await);
}

#[tokio::test]
async fn the_trail_shows_the_newest_first_and_what_is_still_being_added() {
    let (app, _, _) = app(&[]);
    let store = client(&app).await;
    happen(&store, 230, numbered).await;
    run(&store).await.unwrap();
    happen(&store, 2, |n| approval(n, "Dana Whitfield", "late")).await;
    let mut seen = Vec::new();
    let mut before = None;
    loop {
        let page = trail::page(&store, ClientPlace::with_outbox(), before).await.unwrap();
        assert_eq!(page.total, 230);
        assert_eq!(page.waiting.len(), if before.is_none() { 2 } else { 0 });
        seen.extend(page.entries.iter().map(|e| e.place.unwrap().seq));
        if before.is_none() {
            assert_eq!(page.waiting[0].detail["version"], 1);
            assert_eq!(page.entries[0].detail, numbered(229));
            assert_eq!(page.entries[0].actor, Actor::Person(PersonId(Uuid::from_u128(77))));
            assert!(page.entries.len() >= 50);
            assert_eq!(page.entries[0].text(), "proposal approved: proposal 229");
            assert_eq!((page.entries[0].proof(), page.entries[0].note()), ("in the log, entry 229".into(), None));
            assert_eq!(page.waiting[0].proof(), "waits for its place in the log");
            assert_eq!(page.waiting[0].note(), Some("late"));
        }
        match page.older {
            Some(older) => before = Some(older),
            None => break,
        }
    }
    assert_eq!(seen, (0..230).rev().collect::<Vec<_>>());
}

#[test]
fn entries_sort_by_place_in_their_ids() {
    assert!(audit::entry::entry_key(99_999) < audit::entry::entry_key(100_000));
    assert_eq!(Head::KIND, "head");
}

#[tokio::test]
async fn on_the_real_store_a_process_that_dies_in_a_run_is_followed_after_its_restart() {
    for fault in [Fault::BeforeEffect, Fault::AnswerLost] {
        for call in [0, 3, 17, 18, 19, 20, 21, 22, 23, 24, 25] {
            let mut test = TestApp::new();
            happen(&client(test.app()).await, 3, numbered).await;
            test.faults.stop_at(call, fault);
            // The last message of a run may fail without harm, so nothing is said of its outcome.
            let _ = run(&client(test.app()).await).await;
            assert!(test.faults.struck());
            test.faults.mend();
            test.restart();
            test.clock.advance(time::Duration::seconds(31));
            let store = client(test.app()).await;
            run(&store).await.unwrap();
            let entries = exported(&store, true).await.0.header.entries;
            assert_eq!((waiting(&store).await, entries), (0, 3), "{fault:?} at call {call}");
        }
    }
}
