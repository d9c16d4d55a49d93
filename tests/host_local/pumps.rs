//! Delivery from queue to function: at least once, whatever goes wrong; leases, retries, poison and functionTimeout on a
//! clock moved by hand.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
    time::Duration,
};

use assay::host::local::{
    faults::{Fault, Faults},
    hostjson::QueueSettings,
    invoke::Invoker,
    pump::{LEASE, Pump},
    queues::Depth,
    worker::{Phase, Worker},
};
use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use bytes::Bytes;
use proptest::prelude::*;
use serde_json::json;
use tokio::sync::Semaphore;

use super::{
    handler::{Handler, Seen, json as answer, success},
    support::{Store, function},
};

const RETRY: Duration = Duration::from_secs(30);
const TIMEOUT: Duration = Duration::from_mins(5);

struct Bench {
    store: Store,
    faults: Faults,
    invoker: Arc<Invoker>,
    pump: Arc<Pump>,
}

impl Bench {
    fn new(handler: &Handler, max_dequeue_count: u32) -> Self {
        let (store, faults) = (Store::new(), Faults::default());
        let worker = Worker::at(handler.port);
        let invoker = Arc::new(Invoker::new(worker, faults.clone(), store.clock.clone(), store.ids.clone(), Some(TIMEOUT)));
        let settings = QueueSettings {
            batch_size: 16,
            new_batch_threshold: 8,
            max_dequeue_count,
            visibility_timeout: RETRY,
            max_polling_interval: Duration::from_secs(2),
        };
        let json = json!({ "bindings": [{ "type": "queueTrigger", "direction": "in", "name": "item", "queueName": "work", "dataType": "binary" }] });
        let pump = Pump::of(&function("ProcessWork", &json), &settings, &store.queues, &invoker).unwrap();
        Self { store, faults, invoker, pump }
    }

    async fn send(&self, text: &str) {
        self.store.queues.send("work", Bytes::copy_from_slice(text.as_bytes()), Duration::ZERO).await.unwrap();
    }

    fn depth(&self, queue: &str) -> Depth {
        self.store.queues.depth(queue).unwrap()
    }
}

fn text_of(seen: &Seen) -> String {
    String::from_utf8(BASE64.decode(seen.json()["Data"]["item"].as_str().unwrap()).unwrap()).unwrap()
}

#[tokio::test]
async fn a_message_is_delivered_chunked_to_the_functions_path_and_deleted_on_success() {
    let handler = Handler::start(|_| async { success() }).await;
    let bench = Bench::new(&handler, 5);
    bench.send("hello").await;
    assert_eq!(bench.pump.tick().await.unwrap(), 1);
    let seen = handler.last();
    assert_eq!((seen.method.as_str(), seen.path.as_str(), text_of(&seen).as_str()), ("POST", "/ProcessWork", "hello"));
    assert_eq!(seen.header("transfer-encoding"), Some("chunked"));
    assert_eq!(seen.header("content-length"), None);
    assert_eq!(seen.header("content-type"), Some("application/json; charset=utf-8"));
    assert!(seen.header("user-agent").unwrap().starts_with("Azure-Functions-Host/4."));
    assert!(seen.header("x-azure-functions-invocationid").is_some() && seen.header("x-ms-invocation-id").is_none());
    assert_eq!(bench.depth("work"), Depth::default());

    bench.faults.set_content_length(true);
    bench.send("again").await;
    bench.pump.tick().await.unwrap();
    assert!(handler.last().header("content-length").is_some() && handler.last().header("transfer-encoding").is_none());
}

#[tokio::test]
async fn a_failed_message_waits_for_the_visibility_timeout_and_is_poison_after_the_fifth_time() {
    let handler = Handler::start(|_| async { answer(500, "{}") }).await;
    let bench = Bench::new(&handler, 5);
    bench.send("bad").await;
    for attempt in 1..=5 {
        assert_eq!(bench.pump.tick().await.unwrap(), 1, "attempt {attempt}");
        assert_eq!(handler.last().json()["Metadata"]["DequeueCount"], attempt.to_string());
        assert_eq!(bench.pump.tick().await.unwrap(), 0, "hidden for 30 s");
        bench.store.clock.advance(RETRY);
    }
    assert_eq!(bench.pump.tick().await.unwrap(), 0);
    assert_eq!((bench.depth("work"), bench.depth("work-poison").due), (Depth::default(), 1));
    let ids: BTreeSet<String> =
        handler.seen.lock().unwrap().iter().map(|s| s.header("x-azure-functions-invocationid").unwrap().to_owned()).collect();
    assert_eq!(ids.len(), 5, "a new invocation id per attempt");
}

#[tokio::test]
async fn an_answer_without_json_content_type_is_a_failure_although_the_work_is_done() {
    let plain = || warp::http::Response::builder().header("content-type", "text/plain").body(Bytes::from_static(b"{}")).unwrap();
    let handler = Handler::start(move |_| async move { plain() }).await;
    let bench = Bench::new(&handler, 5);
    bench.send("x").await;
    bench.pump.tick().await.unwrap();
    assert_eq!(bench.depth("work"), Depth { due: 0, hidden: 1 });
}

#[tokio::test]
async fn a_lease_is_renewed_at_half_and_holds_while_the_handler_works() {
    let gate = Arc::new(Semaphore::new(0));
    let wait = gate.clone();
    let mut handler = Handler::start(move |_| {
        let wait = wait.clone();
        async move {
            wait.acquire().await.unwrap().forget();
            success()
        }
    })
    .await;
    let bench = Bench::new(&handler, 5);
    bench.send("long").await;
    let pump = bench.pump.clone();
    let delivery = tokio::spawn(async move { pump.tick().await.unwrap() });
    handler.arrivals.recv().await.unwrap();
    for _ in 0..4 {
        bench.store.clock.advance(LEASE / 2);
        bench.pump.renew().await;
        assert_eq!(bench.depth("work"), Depth { due: 0, hidden: 1 });
    }
    gate.add_permits(1);
    delivery.await.unwrap();
    assert_eq!(bench.depth("work"), Depth::default());
}

#[tokio::test]
async fn an_empty_answer_hangs_until_function_timeout_and_takes_the_others_in_flight_with_it() {
    let mut handler = Handler::start(|seen| async move {
        if text_of(&seen) == "hangs" { warp::http::Response::new(Bytes::new()) } else { std::future::pending().await }
    })
    .await;
    let bench = Bench::new(&handler, 5);
    let deliver = |pump: Arc<Pump>| tokio::spawn(async move { pump.tick().await.unwrap() });
    bench.send("hangs").await;
    let first = deliver(bench.pump.clone());
    handler.arrivals.recv().await.unwrap();
    bench.store.clock.advance(TIMEOUT / 2);
    bench.send("innocent").await;
    let second = deliver(bench.pump.clone());
    handler.arrivals.recv().await.unwrap();
    bench.invoker.enforce_timeout();
    assert_eq!(bench.invoker.in_flight(), 2, "not yet");

    bench.store.clock.advance(TIMEOUT / 2);
    bench.invoker.enforce_timeout();
    assert_eq!((first.await.unwrap(), second.await.unwrap()), (1, 1));
    assert_eq!(bench.depth("work"), Depth { due: 0, hidden: 2 }, "both are tried again");
    assert!(matches!(bench.invoker.worker.phase(), Phase::Ready(life) if life.generation == 2), "a new process, uncounted");
}

#[tokio::test]
async fn a_kill_mid_flight_strikes_chunked_or_not() {
    for content_length in [false, true] {
        let handler = Handler::start(|_| std::future::pending()).await;
        let bench = Bench::new(&handler, 5);
        bench.faults.set_content_length(content_length);
        bench.faults.plan("ProcessWork", [Fault::KillMidFlight]);
        bench.send("x").await;
        bench.pump.tick().await.unwrap();
        assert!(matches!(bench.invoker.worker.phase(), Phase::Ready(life) if life.generation == 2), "content-length: {content_length}");
        assert_eq!(bench.depth("work"), Depth { due: 0, hidden: 1 });
    }
}

#[tokio::test]
async fn two_invocations_that_time_out_together_stop_the_app_instance() {
    let mut handler = Handler::start(|_| std::future::pending()).await;
    let bench = Bench::new(&handler, 5);
    bench.send("a").await;
    bench.send("b").await;
    let pump = bench.pump.clone();
    let delivery = tokio::spawn(async move { pump.tick().await.unwrap() });
    handler.arrivals.recv().await.unwrap();
    handler.arrivals.recv().await.unwrap();
    bench.store.clock.advance(TIMEOUT);
    bench.invoker.enforce_timeout();
    delivery.await.unwrap();
    assert!(bench.invoker.worker.stopped().await.contains("functionTimeout"));
}

#[tokio::test]
async fn a_clean_end_gives_messages_in_flight_back_at_once() {
    let mut handler = Handler::start(|_| std::future::pending()).await;
    let bench = Bench::new(&handler, 5);
    bench.send("x").await;
    let pump = bench.pump.clone();
    let delivery = tokio::spawn(async move { pump.tick().await.unwrap() });
    handler.arrivals.recv().await.unwrap();
    bench.pump.give_back().await;
    assert_eq!(bench.depth("work").due, 1);
    bench.invoker.worker.stop("end");
    delivery.await.unwrap();
    assert_eq!(bench.depth("work").due, 1, "the dead delivery does not touch it again");
}

#[tokio::test]
async fn output_messages_are_written_before_the_message_is_deleted() {
    let handler = Handler::start(|_| async { answer(200, r#"{"Outputs":{"next":["one","two"]}}"#) }).await;
    let bench = Bench::new(&handler, 5);
    let json = json!({ "bindings": [
        { "type": "queueTrigger", "direction": "in", "name": "item", "queueName": "work" },
        { "type": "queue", "direction": "out", "name": "next", "queueName": "next-queue" },
    ]});
    let settings = QueueSettings {
        batch_size: 16,
        new_batch_threshold: 8,
        max_dequeue_count: 5,
        visibility_timeout: RETRY,
        max_polling_interval: RETRY,
    };
    let pump = Pump::of(&function("F", &json), &settings, &bench.store.queues, &bench.invoker).unwrap();
    bench.send("x").await;
    pump.tick().await.unwrap();
    assert_eq!((bench.depth("next-queue").due, bench.depth("work")), (2, Depth::default()));
}

fn any_fault() -> impl Strategy<Value = Fault> {
    prop_oneof![
        Just(Fault::DropAnswer),
        Just(Fault::KillMidFlight),
        Just(Fault::KillAfterAnswer),
        Just(Fault::DeliverTwice),
        (1..600u64).prop_map(|s| Fault::DeliverLate(Duration::from_secs(s))),
        Just(Fault::SecondHandler),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever goes wrong, an idempotent handler ends where one delivery of each message would have ended.
    #[test]
    fn every_message_has_its_effect_whatever_goes_wrong(
        count in 1..20usize,
        faults in proptest::collection::vec(any_fault(), 0..30),
        reorder in any::<bool>(),
        content_length in any::<bool>(),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let (effects, left, poison) = runtime.block_on(async move {
            let effects: Arc<Mutex<BTreeMap<String, u32>>> = Arc::default();
            let record = effects.clone();
            let handler = Handler::start(move |seen| {
                *record.lock().unwrap().entry(text_of(&seen)).or_default() += 1;
                async { success() }
            })
            .await;
            let bench = Bench::new(&handler, 100);
            bench.faults.set_reorder(reorder);
            bench.faults.set_content_length(content_length);
            bench.faults.plan("ProcessWork", faults);
            for n in 0..count {
                bench.send(&n.to_string()).await;
            }
            // Each fault costs one attempt, and each attempt waits ten minutes at the most.
            for _ in 0..60 {
                bench.pump.tick().await.unwrap();
                if bench.depth("work") == Depth::default() {
                    break;
                }
                bench.store.clock.advance(Duration::from_mins(1));
            }
            let effects = effects.lock().unwrap().clone();
            (effects, bench.depth("work"), bench.depth("work-poison"))
        });
        prop_assert_eq!(effects.keys().cloned().collect::<BTreeSet<_>>(), (0..count).map(|n| n.to_string()).collect::<BTreeSet<_>>());
        prop_assert_eq!((left, poison), (Depth::default(), Depth::default()));
    }
}
