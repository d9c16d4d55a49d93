//! The queue engine under a clock moved by hand: leases, pop receipts, counts, poison, time to live, group commit.

use std::{sync::Arc, time::Duration};

use assay::{
    host::local::{
        queue_api,
        queues::{Depth, Held, QueueError, Queues, TIME_TO_LIVE, poison_queue_of},
    },
    platform::limits::is_queue_name,
};
use bytes::Bytes;
use serde_json::Value;

use super::support::{CountingIds, HandClock, Store};
use crate::support::disk::Disk;

const LEASE: Duration = Duration::from_mins(10);
const NOW: Duration = Duration::ZERO;

fn body(text: &'static str) -> Bytes {
    Bytes::from_static(text.as_bytes())
}

#[tokio::test]
async fn a_message_is_hidden_while_leased_and_comes_back_when_the_lease_runs_out() {
    let store = Store::new();
    store.queues.send("work", body("a"), NOW).await.unwrap();
    let first = store.queues.receive("work", 10, LEASE).await.unwrap();
    assert_eq!((first.len(), first[0].dequeue_count, &first[0].body[..]), (1, 1, &b"a"[..]));
    assert!(store.queues.receive("work", 10, LEASE).await.unwrap().is_empty());
    assert_eq!(store.queues.depth("work").unwrap(), Depth { due: 0, hidden: 1 });
    store.clock.advance(LEASE);
    let second = store.queues.receive("work", 10, LEASE).await.unwrap();
    assert_eq!((second[0].id, second[0].dequeue_count), (first[0].id, 2));
}

#[tokio::test]
async fn only_the_holder_of_the_newest_pop_receipt_may_delete() {
    let store = Store::new();
    store.queues.send("work", body("a"), NOW).await.unwrap();
    let first = store.queues.receive("work", 1, LEASE).await.unwrap().remove(0);
    store.clock.advance(LEASE);
    let second = store.queues.receive("work", 1, LEASE).await.unwrap().remove(0);
    assert_eq!(store.queues.delete("work", first.id, first.pop_receipt).await.unwrap(), Held::Lost);
    assert!(matches!(store.queues.delete("work", second.id, second.pop_receipt).await.unwrap(), Held::Done(_)));
    assert_eq!(store.queues.delete("work", second.id, second.pop_receipt).await.unwrap(), Held::Gone);
}

#[tokio::test]
async fn a_renewed_lease_holds_from_the_renewal_on_under_a_new_pop_receipt() {
    let store = Store::new();
    store.queues.send("work", body("a"), NOW).await.unwrap();
    let message = store.queues.receive("work", 1, LEASE).await.unwrap().remove(0);
    store.clock.advance(LEASE / 2);
    let Held::Done(receipt) = store.queues.hide("work", message.id, message.pop_receipt, LEASE).await.unwrap() else { panic!("held") };
    store.clock.advance(LEASE / 2);
    assert!(store.queues.receive("work", 1, LEASE).await.unwrap().is_empty());
    assert_eq!(store.queues.delete("work", message.id, message.pop_receipt).await.unwrap(), Held::Lost);
    assert!(matches!(store.queues.delete("work", message.id, receipt).await.unwrap(), Held::Done(_)));
}

#[tokio::test]
async fn a_delayed_message_is_not_there_before_its_time() {
    let store = Store::new();
    store.queues.send("work", body("later"), Duration::from_secs(30)).await.unwrap();
    assert!(!store.queues.has_due("work").unwrap());
    store.clock.advance(Duration::from_secs(29));
    assert!(store.queues.receive("work", 1, LEASE).await.unwrap().is_empty());
    store.clock.advance(Duration::from_secs(1));
    assert!(store.queues.has_due("work").unwrap());
    assert_eq!(store.queues.receive("work", 1, LEASE).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_poisoned_message_lies_in_the_poison_queue_with_a_new_id_and_the_same_bytes() {
    let store = Store::new();
    store.queues.send("work", body("bad"), NOW).await.unwrap();
    let message = store.queues.receive("work", 1, LEASE).await.unwrap().remove(0);
    store.queues.poison("work", message.id, message.pop_receipt).await.unwrap();
    assert_eq!(store.queues.depth("work").unwrap(), Depth::default());
    let dead = store.queues.receive("work-poison", 1, LEASE).await.unwrap().remove(0);
    assert_eq!((&dead.body[..], dead.dequeue_count), (&b"bad"[..], 1));
    assert_ne!(dead.id, message.id);
}

#[tokio::test]
async fn a_message_nobody_took_is_gone_after_seven_days() {
    let store = Store::new();
    store.queues.send("work", body("old"), NOW).await.unwrap();
    store.clock.advance(TIME_TO_LIVE);
    assert!(store.queues.receive("work", 1, LEASE).await.unwrap().is_empty());
    assert_eq!(store.queues.depth("work").unwrap(), Depth::default());
}

#[tokio::test]
async fn what_was_sent_and_what_was_leased_is_still_so_after_the_process_is_gone() {
    let mut store = Store::new();
    for text in ["a", "b"] {
        store.queues.send("work", body(text), NOW).await.unwrap();
    }
    let leased = store.queues.receive("work", 1, LEASE).await.unwrap().remove(0);
    store = store.reopen();
    assert_eq!(store.queues.depth("work").unwrap(), Depth { due: 1, hidden: 1 });
    assert!(matches!(store.queues.delete("work", leased.id, leased.pop_receipt).await.unwrap(), Held::Done(_)));
}

#[tokio::test]
async fn a_disk_that_was_full_once_leaves_nothing_broken_and_nothing_lost() {
    let (clock, ids, disk) = (HandClock::new(), Arc::new(CountingIds::default()), Arc::new(Disk::default()));
    let folder = tempfile::tempdir().unwrap();
    let queues = Queues::open_with(&folder.path().join("queues.redb"), disk.opener(), clock, ids).unwrap();
    queues.send("work", body("before"), NOW).await.unwrap();
    disk.refuse_writes(Some(std::io::ErrorKind::StorageFull));
    for _ in 0..2 {
        assert!(matches!(queues.send("work", body("during"), NOW).await, Err(QueueError::Full)));
        assert!(queues.receive("work", 1, LEASE).await.is_err());
    }
    disk.refuse_writes(None);
    assert!(queues.has_due("work").unwrap());
    queues.send("work", body("after"), NOW).await.unwrap();
    let received = queues.receive("work", 10, LEASE).await.unwrap();
    assert_eq!(received.iter().map(|message| &message.body[..]).collect::<Vec<_>>(), [&b"before"[..], b"after"]);
}

#[tokio::test]
async fn queues_do_not_see_each_other_and_many_senders_lose_nothing() {
    let store = Store::new();
    let sends = (0..200u8).map(|n| {
        let queues = store.queues.clone();
        async move { queues.send(if n % 2 == 0 { "even" } else { "odd" }, Bytes::from(vec![n]), NOW).await }
    });
    for sent in futures_util::future::join_all(sends).await {
        sent.unwrap();
    }
    let even: Vec<u8> = store.queues.receive("even", 200, LEASE).await.unwrap().iter().map(|m| m.body[0]).collect();
    assert_eq!(even.len(), 100);
    assert!(even.iter().all(|n| n % 2 == 0));
    assert_eq!(store.queues.depth("odd").unwrap().due, 100);
}

#[tokio::test]
async fn a_message_longer_than_azure_takes_is_refused() {
    let store = Store::new();
    let error = store.queues.send("work", Bytes::from(vec![0; 48 * 1024 + 1]), NOW).await.unwrap_err();
    assert!(matches!(error, QueueError::TooLarge));
}

#[test]
fn queue_names_follow_the_rules_of_azure() {
    for good in ["work", "a-1", "abc", &"x".repeat(63)] {
        assert!(is_queue_name(good), "{good}");
    }
    for bad in ["", "ab", "Work", "-work", "work-", "wo--rk", "wo_rk", &"x".repeat(64)] {
        assert!(!is_queue_name(bad), "{bad}");
    }
    assert_eq!(poison_queue_of("work").as_deref(), Some("work-poison"));
    assert_eq!(poison_queue_of("work-poison"), None);
    assert_eq!(poison_queue_of(&"x".repeat(60)), None);
}

#[tokio::test]
async fn the_loopback_api_sends_receives_and_deletes_for_the_token_only() {
    let store = Store::new();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}/queues", listener.local_addr().unwrap());
    let server = tokio::spawn(queue_api::serve(listener, store.queues.clone(), "secret".into()));
    let client = reqwest::Client::new();
    let post = |path: &str, token: &str| client.post(format!("{base}{path}")).bearer_auth(token);

    assert_eq!(post("/work/messages", "wrong").body("x").send().await.unwrap().status(), 401);
    assert_eq!(client.post(format!("{base}/work/messages")).body("x").send().await.unwrap().status(), 401);
    assert_eq!(post("/work/messages?delay=0", "secret").body(vec![0u8, 255]).send().await.unwrap().status(), 201);
    assert_eq!(post("/Work/messages", "secret").body("x").send().await.unwrap().status(), 400);
    assert_eq!(post("/work/messages", "secret").body(vec![0u8; 49_153]).send().await.unwrap().status(), 413);

    let list: Value = post("/work/receive?max=32&lease=30", "secret").send().await.unwrap().json().await.unwrap();
    assert_eq!(list.as_array().unwrap().len(), 1);
    assert_eq!((&list[0]["body"], &list[0]["dequeue_count"]), (&Value::from("AP8="), &Value::from(1)));
    assert_eq!(list[0]["inserted_at"], "2026-03-02T09:15:02Z");

    let message = format!("{base}/work/messages/{}", list[0]["id"].as_str().unwrap());
    let delete = |receipt: String| client.delete(format!("{message}?pop_receipt={receipt}")).bearer_auth("secret").send();
    assert_eq!(delete(uuid::Uuid::nil().to_string()).await.unwrap().status(), 412);
    assert_eq!(delete(list[0]["pop_receipt"].as_str().unwrap().into()).await.unwrap().status(), 204);
    assert_eq!(delete(list[0]["pop_receipt"].as_str().unwrap().into()).await.unwrap().status(), 404);
    server.abort();
}
