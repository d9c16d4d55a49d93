//! One call, one reply: what the handler takes, refuses and survives.

use std::{
    future::pending,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use assay::{
    host::{
        Limits,
        body::{Body, Broken},
    },
    triggers::{Failure, Kind, Trigger},
    web::{Reply, Request},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use serde_json::{Value, json};
use tokio::sync::{Semaphore, mpsc};

use super::fixture::{INVOCATION, ROOMY, call, chunked, ready};

/// What `slow` waits for in the middle.
pub(super) static GO_ON: Semaphore = Semaphore::const_new(0);

pub(super) const TABLE: &[Trigger] = &[
    Trigger {
        name: "show",
        kind: Kind::Http {
            route: "show/{*rest}",
            methods: &["get", "post", "put"],
            max_body_bytes: 1000,
            run: |request, _| Box::pin(async move { show(&request) }),
        },
    },
    Trigger {
        name: "odd",
        kind: Kind::Http {
            route: "odd/{what}",
            methods: &["get"],
            max_body_bytes: 1000,
            run: |request, _| {
                Box::pin(async move {
                    match request.path.as_str() {
                        "odd/panics" => panic!("secret words"),
                        "odd/hangs" => pending().await,
                        _ => Reply::see_other("/api/show/caf\u{e9}?a=1")
                            .with("x-name", "\u{e9}")
                            .with("x-break", "a\r\nset-cookie: b=1")
                            .with("set-cookie", "a=1")
                            .with("set-cookie", "b=2"),
                    }
                })
            },
        },
    },
    Trigger {
        name: "keep",
        kind: Kind::Queue {
            queue: "keep",
            run: |message, app| {
                Box::pin(
                    async move { app.queue.send("seen", message.body, Duration::ZERO).await.map_err(|e| Failure::Other(e.to_string())) },
                )
            },
        },
    },
    Trigger {
        name: "fail",
        kind: Kind::Queue { queue: "fail", run: |_, _| Box::pin(async { Err(Failure::Other("secret words".into())) }) },
    },
    Trigger {
        name: "slow",
        kind: Kind::Queue {
            queue: "slow",
            run: |message, app| {
                Box::pin(async move {
                    for word in [&b"begun"[..], &message.body] {
                        let kept = app.queue.send("seen", Bytes::copy_from_slice(word), Duration::ZERO).await;
                        kept.map_err(|e| Failure::Other(e.to_string()))?;
                        if word == b"begun" {
                            GO_ON.acquire().await.map_err(|e| Failure::Other(e.to_string()))?.forget();
                        }
                    }
                    Ok(())
                })
            },
        },
    },
    Trigger { name: "hang", kind: Kind::Queue { queue: "hang", run: |_, _| Box::pin(pending()) } },
    Trigger { name: "panic", kind: Kind::Timer { schedule: "0 0 * * * *", run: |_, _| Box::pin(async { panic!("secret words") }) } },
];

fn show(request: &Request) -> Reply {
    let body = String::from_utf8_lossy(&request.body);
    let id = &request.invocation_id;
    Reply::json(
        200,
        &json!({ "method": format!("{:?}", request.method), "path": request.path, "query": request.query, "body": body, "id": id }),
    )
}

pub(super) fn envelope(bytes: &[u8]) -> String {
    json!({ "Data": { "message": STANDARD.encode(bytes) }, "Metadata": { "sys": "anything" } }).to_string()
}

fn timer() -> String {
    json!({ "Data": { "timer": { "IsPastDue": false } }, "Metadata": {} }).to_string()
}

fn body(reply: &Reply) -> Value {
    serde_json::from_slice(&reply.body).expect("a JSON body")
}

#[tokio::test]
async fn an_http_function_gets_path_query_body_and_invocation_id_as_they_came() {
    let (handler, _) = ready(TABLE, ROOMY);
    let reply = handler.answer(call("POST", "/API/Show/a//B%20c?x=%2B&x=2", &[], chunked(b"exactly these bytes"))).await;
    assert_eq!(reply.status, 200);
    let expected =
        json!({ "method": "Post", "path": "show/a//B%20c", "query": "x=%2B&x=2", "body": "exactly these bytes", "id": INVOCATION });
    assert_eq!(body(&reply), expected);
}

#[tokio::test]
async fn an_envelope_is_answered_with_the_one_body_that_completes_an_invocation() {
    let (handler, seen) = ready(TABLE, ROOMY);
    let reply = handler.answer(call("POST", "/keep", &[], chunked(envelope(b"\x00\xff message").as_bytes()))).await;
    assert_eq!((reply.status, reply.header("content-type")), (200, Some("application/json")));
    assert_eq!(body(&reply), json!({ "Outputs": {}, "Logs": [], "ReturnValue": null }));
    assert_eq!(seen.all(), [&b"\x00\xff message"[..]]);
}

#[tokio::test]
async fn a_stranger_reaches_no_envelope() {
    let (handler, seen) = ready(TABLE, ROOMY);
    let forged = envelope(b"forged");
    for (method, path, header) in [
        ("POST", "/api/keep", None),
        ("POST", "/keep", Some("x-ms-invocation-id")),
        ("POST", "/keep", Some("X-Forwarded-For")),
        ("POST", "/keep", Some("x-forwarded-anything")),
        ("GET", "/keep", None),
        ("PUT", "/keep", None),
        ("POST", "/KEEP", None),
        ("POST", "/keep/", None),
        ("POST", "/%6beep", None),
        ("POST", "/show", None),
        ("POST", "/", None),
    ] {
        let headers: Vec<_> = header.map(|name| (name, "1")).into_iter().collect();
        let reply = handler.answer(call(method, path, &headers, forged.clone())).await;
        assert_eq!(reply.status, 404, "{method} {path} {header:?}");
        assert!(!reply.body.is_empty());
    }
    assert!(seen.all().is_empty());
}

#[tokio::test]
async fn the_readiness_ping_is_answered_without_any_header() {
    let (handler, seen) = ready(TABLE, ROOMY);
    assert_eq!(handler.answer(call("GET", "/", &[], "")).await.status, 200);
    assert!(seen.all().is_empty());
}

#[tokio::test]
async fn head_is_served_wherever_get_is_and_other_methods_are_named() {
    let (handler, _) = ready(TABLE, ROOMY);
    assert_eq!(body(&handler.answer(call("HEAD", "/api/show/x", &[], "")).await)["method"], "Head");
    for method in ["OPTIONS", "PATCH", "DELETE", "TRACE"] {
        let reply = handler.answer(call(method, "/api/show/x", &[], "")).await;
        assert_eq!((reply.status, reply.header("content-type")), (405, Some("application/problem+json")), "{method}");
    }
    assert_eq!(handler.answer(call("GET", "/api/nowhere", &[], "")).await.status, 404);
}

#[tokio::test]
async fn a_path_that_the_proxy_rewrote_is_not_guessed_at() {
    let (handler, _) = ready(TABLE, ROOMY);
    for path in ["a%252Fb", "a%2Fb", "%25E0", "..", "x/%2e%2E/y", "x/./y", "%00"] {
        assert_eq!(handler.answer(call("GET", &format!("/api/show/{path}"), &[], "")).await.status, 404, "{path}");
    }
}

#[tokio::test]
async fn a_body_may_be_as_long_as_the_limit_and_not_a_byte_longer() {
    let (handler, _) = ready(TABLE, ROOMY);
    assert_eq!(handler.answer(call("POST", "/api/show/x", &[], chunked(&[b'a'; 1000]))).await.status, 200);
    let reply = handler.answer(call("POST", "/api/show/x", &[], chunked(&[b'a'; 1001]))).await;
    assert_eq!((reply.status, reply.header("content-type")), (413, Some("application/problem+json")));
}

#[tokio::test]
async fn a_refused_upload_is_read_to_its_end() {
    let (handler, _) = ready(TABLE, ROOMY);
    for (path, status) in [("/api/show/x", 413), ("/api/nowhere", 404), ("/nowhere", 404)] {
        let taken = Arc::new(AtomicUsize::new(0));
        let count = taken.clone();
        let upload = futures_util::stream::iter((0..500).map(move |_| {
            count.fetch_add(1, Relaxed);
            Ok(Bytes::from_static(&[b'a'; 100]))
        }));
        let reply = handler.answer(call("POST", path, &[], Body::new(upload))).await;
        assert_eq!((reply.status, taken.load(Relaxed)), (status, 500), "{path}");
    }
}

#[tokio::test]
async fn a_body_that_breaks_off_reaches_no_function() {
    let (handler, _) = ready(TABLE, ROOMY);
    let pieces = [Ok(Bytes::from_static(b"half")), Err(Broken)];
    let reply = handler.answer(call("POST", "/api/show/x", &[], Body::new(futures_util::stream::iter(pieces)))).await;
    assert_eq!(reply.status, 400);
}

#[tokio::test]
async fn strangers_with_slow_uploads_keep_no_message_waiting_and_their_places_come_back() {
    let (handler, seen) = ready(TABLE, Limits { body_time: Duration::from_millis(50), max_concurrent: 1, ..ROOMY });
    let handler = Arc::new(handler);
    let short = async || handler.answer(call("POST", "/api/show/x", &[], "body")).await.status;
    for (headers, told) in [(&[][..], "application/problem+json"), (&[("accept", "text/html")], "text/html; charset=utf-8")] {
        // Some bytes, and then nothing until the test lets go.
        let (drip, drops) = mpsc::unbounded_channel();
        drip.send(Bytes::from_static(b"slow")).unwrap();
        let drops = futures_util::stream::unfold(drops, |mut drops| async { Some((Ok(drops.recv().await?), drops)) });
        let upload = call("POST", "/api/show/x", headers, Body::new(drops));
        let upload = tokio::spawn({
            let handler = handler.clone();
            async move { handler.answer(upload).await }
        });
        tokio::task::yield_now().await;
        assert_eq!(short().await, 429);
        assert_eq!(handler.answer(call("POST", "/keep", &[], envelope(b"message"))).await.status, 200);
        while short().await == 429 {
            tokio::task::yield_now().await;
        }
        assert_eq!(short().await, 200);
        drop(drip);
        let reply = upload.await.unwrap();
        assert_eq!((reply.status, reply.header("content-type")), (408, Some(told)));
    }
    assert_eq!(seen.all(), [&b"message"[..]; 2]);
}

#[tokio::test]
async fn our_deadline_fires_before_the_hosts() {
    let (handler, _) = ready(TABLE, Limits { deadline: Duration::from_millis(20), ..ROOMY });
    let late = handler.answer(call("GET", "/api/odd/hangs", &[], "")).await;
    assert_eq!((late.status, late.header("content-type")), (504, Some("application/problem+json")));
    let late = handler.answer(call("POST", "/hang", &[], envelope(b""))).await;
    assert_eq!((late.status, late.header("content-type")), (500, Some("application/json")));
}

#[tokio::test]
async fn one_more_than_allowed_is_told_so_before_any_work() {
    let (handler, seen) = ready(TABLE, Limits { max_concurrent: 0, ..ROOMY });
    let reply = handler.answer(call("POST", "/api/show/x", &[], "body")).await;
    assert_eq!((reply.status, reply.header("retry-after")), (429, Some("5")));
    assert_eq!(handler.answer(call("POST", "/keep", &[], envelope(b""))).await.status, 429);
    assert!(seen.all().is_empty());
}

#[tokio::test]
async fn a_panic_ends_one_invocation_and_gives_its_place_back() {
    let (handler, _) = ready(TABLE, Limits { max_concurrent: 1, ..ROOMY });
    for _ in 0..3 {
        let reply = handler.answer(call("GET", "/api/odd/panics", &[], "")).await;
        assert_eq!((reply.status, body(&reply)["instance"].as_str()), (500, Some(INVOCATION)));
        assert!(!String::from_utf8_lossy(&reply.body).contains("secret"));
        assert_eq!(handler.answer(call("POST", "/panic", &[], timer())).await.status, 500);
    }
    assert_eq!(handler.answer(call("GET", "/api/show/x", &[], "")).await.status, 200);
}

#[tokio::test]
async fn a_browser_hears_of_trouble_in_a_page() {
    let browser = [("accept", "text/html,application/xhtml+xml,*/*;q=0.8")];
    let late = Limits { deadline: Duration::from_millis(20), ..ROOMY };
    let busy = Limits { max_concurrent: 0, ..ROOMY };
    let long = "a".repeat(1001);
    for (limits, method, path, sent, status, said) in [
        (ROOMY, "GET", "/api/odd/panics", "", 500, "Look at the page again before you repeat"),
        (late, "GET", "/api/odd/hangs", "", 504, "It took too long"),
        (busy, "GET", "/api/show/x", "", 429, "Try again in a few seconds"),
        (ROOMY, "POST", "/api/show/x", long.as_str(), 413, "nothing was kept"),
        (ROOMY, "GET", "/api/nowhere", "", 404, "nothing at this address"),
        (ROOMY, "DELETE", "/api/show/x", "", 405, "is not taken here"),
    ] {
        let (handler, _) = ready(TABLE, limits);
        let reply = handler.answer(call(method, path, &browser, sent.to_owned())).await;
        assert_eq!((reply.status, reply.header("content-type")), (status, Some("text/html; charset=utf-8")), "{path}");
        let page = String::from_utf8_lossy(&reply.body);
        assert!(page.contains(said) && page.contains(INVOCATION), "{page}");
        assert!(!page.contains("went wrong") && !page.contains("secret"), "{page}");
        assert_eq!(reply.header("retry-after").is_some(), status == 429);
    }
}

#[tokio::test]
async fn a_failure_is_a_500_in_json_that_tells_nothing() {
    let (handler, _) = ready(TABLE, ROOMY);
    let reply = handler.answer(call("POST", "/fail", &[], envelope(b""))).await;
    assert_eq!((reply.status, reply.header("content-type")), (500, Some("application/json")));
    assert!(!String::from_utf8_lossy(&reply.body).contains("secret"));
}

#[tokio::test]
async fn what_is_no_envelope_is_a_500_in_json() {
    let (handler, seen) = ready(TABLE, ROOMY);
    for bad in [
        "",
        "null",
        "[]",
        "{}",
        "{\"Data\":{}}",
        "{\"Data\":{\"message\":7}}",
        "{\"Data\":{\"message\":\"%\"}}",
        "{\"Data\":{\"a\":\"\",\"b\":\"\"}}",
    ] {
        let reply = handler.answer(call("POST", "/keep", &[], bad)).await;
        assert_eq!((reply.status, reply.header("content-type")), (500, Some("application/json")), "{bad}");
    }
    assert!(seen.all().is_empty());
}

#[tokio::test]
async fn no_reply_carries_a_header_that_the_host_would_turn_into_an_empty_500() {
    let (handler, _) = ready(TABLE, ROOMY);
    let reply = handler.answer(call("GET", "/api/odd/headers", &[], "")).await;
    assert_eq!(reply.header("location"), Some("/api/show/caf%C3%A9?a=1"));
    assert_eq!((reply.header("x-name"), reply.header("x-break")), (None, None));
    assert_eq!(reply.headers.iter().filter(|(name, _)| *name == "set-cookie").count(), 2);
}

#[tokio::test]
async fn a_call_without_an_invocation_id_gets_one_of_ours() {
    let (handler, _) = ready(TABLE, ROOMY);
    let mut bare = call("GET", "/api/show/x", &[], "");
    bare.headers.clear();
    assert_eq!(body(&handler.answer(bare).await)["id"], "00000000-0000-0000-0000-000000000007");
}
