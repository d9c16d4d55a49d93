//! Somebody who can write the database puts an evidence record back as it was: the action that rests on it does not run, the
//! sweep says so in the log, and a check of the store against the log names the record. Nothing is said of records that are
//! as they were written.

use std::cell::RefCell;

use assay::{
    audit::{Item, entry::Entry, replay::Outside},
    connectors::demo::{self, What},
    evidence::{self, Evidence, PutBack},
    gate::{Proposal, State, Verdict},
    host::verify_store,
    platform::ports::{Container, Document, Op, Partition},
    tenancy::{ClientPlace, Place as _, place::AuditPart},
};
use time::Duration;

use crate::support::{
    clock::START,
    end_state::all,
    flow::{Extent, Flow, HARBOR, deliveries_of, person},
};

const OBJECTIVE: &str = "3.4.1[d]";

fn shard(source_key: &str) -> Partition {
    Partition::reserved_for_tenancy(Container::Clients, format!("{HARBOR}/{}", Evidence::place(source_key).key()))
}

async fn document(flow: &Flow, source_key: &str) -> Document {
    flow.app().documents.read(&shard(source_key), &format!("evidence:{source_key}")).await.unwrap().unwrap()
}

/// Exactly the bytes of before, over what is there now.
async fn put_back(flow: &Flow, source_key: &str, before: &Document) {
    let now = document(flow, source_key).await;
    let replace = Op::Replace { id: now.id, body: before.body.clone(), if_match: now.etag };
    let _ = flow.app().documents.batch(&shard(source_key), vec![replace]).await.unwrap();
}

async fn said(flow: &Flow) -> usize {
    let store = flow.client(HARBOR).await;
    let mut said = 0;
    for place in ClientPlace::with_outbox() {
        said += all::<Item, _>(&store, place).await.iter().filter(|item| item.kind == "evidence.put_back").count();
    }
    let entries = all::<Entry, _>(&store, ClientPlace::Log(AuditPart::Entries(0))).await;
    said + entries.iter().filter(|entry| entry.leaf.contains("evidence.put_back")).count()
}

/// The record that the waiting proposal rests on, as it is now.
async fn cited(flow: &Flow) -> (Proposal, Evidence) {
    let store = flow.client(HARBOR).await;
    let proposals = store.all::<Proposal>(ClientPlace::Assessment, "").await.unwrap();
    let proposal = proposals.into_iter().map(|held| held.value).find(|one| one.draft.subject == OBJECTIVE).unwrap();
    let key = proposal.draft.evidence[0].source_key.clone();
    let held = store.read::<Evidence>(Evidence::place(&key), &key).await.unwrap().unwrap();
    (proposal, held.value)
}

/// The record is read again with the same content, as every day: only when it was read is another.
async fn read_again(flow: &mut Flow, before: &Evidence) -> Evidence {
    for _ in 0..40 {
        flow.pass(Duration::hours(1)).await;
        let (_, now) = cited(flow).await;
        if now.revision > before.revision {
            return now;
        }
    }
    panic!("it is not read again: {before:?}");
}

#[tokio::test]
async fn an_older_state_of_a_record_runs_nothing_and_is_named_by_the_sweep_and_by_a_check() {
    for puts_back in [false, true] {
        let mut flow = Flow::new(Extent::Small).await;
        flow.vendor_sends(&deliveries_of(demo::CONNECTWISE, START)[0]).await;
        let id = flow.mailed(person(What::Approver), HARBOR, OBJECTIVE).await;
        let (_, first) = cited(&flow).await;
        assert!(first.revision > 0, "each write counts");
        let old = document(&flow, &first.source_key).await;
        let second = read_again(&mut flow, &first).await;
        assert_eq!(second.hash, first.hash, "what the proposal cites is in both");
        flow.sweep().await;
        assert_eq!(evidence::check(&flow.client(HARBOR).await).await.unwrap(), []);

        if puts_back {
            put_back(&flow, &first.source_key, &old).await;
            let there = flow.client(HARBOR).await.read::<Evidence>(Evidence::place(&first.source_key), &first.source_key).await.unwrap();
            assert_eq!(there.unwrap().value, first, "it opens, as it did then");
        }
        flow.answer_once(person(What::Approver), HARBOR, id, Verdict::Approve).await.unwrap();
        flow.pump().await;
        let state = cited(&flow).await.0.state;
        if !puts_back {
            assert!(matches!(state, State::Executed { .. }), "{state:?}");
            assert_eq!(said(&flow).await, 0);
            continue;
        }
        assert!(matches!(&state, State::Refused { why, .. } if why.contains("changed after it was proposed")), "{state:?}");
        let found = evidence::check(&flow.client(HARBOR).await).await.unwrap();
        let expected = PutBack { source_key: first.source_key.clone(), expected: second.revision, found: Some(first.revision) };
        assert_eq!(found, [expected]);
        let words = RefCell::new(String::new());
        let checked = verify_store::run(flow.app(), Outside::default(), |said| words.borrow_mut().push_str(said)).await;
        let words = words.into_inner();
        assert!(checked.is_err() && words.contains(&format!("evidence {} is revision", first.source_key)), "{words}");

        // Each sweep looks at one shard; it is said once, however often it is seen.
        for _ in 0..40 {
            flow.test.clock.advance(Duration::minutes(5));
            evidence::ledger::watch(&flow.client(HARBOR).await).await.unwrap();
        }
        assert_eq!(said(&flow).await, 1);
    }
}

#[tokio::test]
async fn a_record_that_is_taken_away_is_named_too_and_a_later_write_over_it_is_not_behind() {
    let mut flow = Flow::new(Extent::Small).await;
    flow.vendor_sends(&deliveries_of(demo::CONNECTWISE, START)[0]).await;
    flow.mailed(person(What::Approver), HARBOR, OBJECTIVE).await;
    flow.settle().await;
    let (_, record) = cited(&flow).await;
    let there = document(&flow, &record.source_key).await;
    let delete = Op::Delete { id: there.id, if_match: None };
    let _ = flow.app().documents.batch(&shard(&record.source_key), vec![delete]).await.unwrap();
    let found = evidence::check(&flow.client(HARBOR).await).await.unwrap();
    assert_eq!(found, [PutBack { source_key: record.source_key.clone(), expected: record.revision, found: None }]);
    // What is read from the source anew is the newest state again.
    let id = format!("evidence:{}", record.source_key);
    for _ in 0..40 {
        flow.pass(Duration::hours(1)).await;
        if flow.app().documents.read(&shard(&record.source_key), &id).await.unwrap().is_some() {
            break;
        }
    }
    assert!(cited(&flow).await.1.revision > record.revision);
    assert_eq!(evidence::check(&flow.client(HARBOR).await).await.unwrap(), []);
}
