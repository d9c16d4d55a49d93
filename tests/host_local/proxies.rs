//! The HTTP front against the golden proxied cases: routing, keys, headers, paths, bodies, retries, answers.

use std::{collections::BTreeMap, fs, sync::Arc, sync::atomic::Ordering};

use assay::host::local::{
    appfolder::{AppFolder, Settings},
    faults::Faults,
    invoke::Invoker,
    keys::Keys,
    proxy::Front,
    worker::Worker,
};
use bytes::Bytes;
use serde_json::{Value, json};

use super::{
    handler::{Handler, raw_handler, raw_request},
    support::{CountingIds, HandClock, golden},
};

struct Bench {
    address: String,
    keys: Keys,
    worker: Worker,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Bench {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A front with these functions before a handler at `port`.
async fn front(port: u16, functions: &[(&str, Value)], settings: &Settings) -> Bench {
    let folder = tempfile::tempdir().unwrap();
    let host = json!({ "version": "2.0", "customHandler": { "description": { "defaultExecutablePath": "x" }, "enableProxyingHttpRequest": true } });
    fs::write(folder.path().join("host.json"), host.to_string()).unwrap();
    for (name, json) in functions {
        fs::create_dir(folder.path().join(name)).unwrap();
        fs::write(folder.path().join(name).join("function.json"), json.to_string()).unwrap();
    }
    let app = AppFolder::read(folder.path(), settings).unwrap();
    let ids = Arc::new(CountingIds::default());
    let keys = Keys::load(&folder.path().join("keys.json"), &app, &*ids).unwrap();
    let worker = Worker::at(port);
    let invoker = Arc::new(Invoker::new(worker.clone(), Faults::default(), HandClock::new(), ids, None));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let task = tokio::spawn(Front::new(app, keys.clone(), invoker).without_pauses().serve(listener));
    Bench { address, keys, worker, task }
}

fn http(route: &str, methods: &[&str], level: &str) -> Value {
    json!({ "bindings": [
        { "type": "httpTrigger", "direction": "in", "name": "req", "authLevel": level, "methods": methods, "route": route },
        { "type": "http", "direction": "out", "name": "res" },
    ]})
}

fn ok() -> warp::http::Response<Bytes> {
    warp::http::Response::new(Bytes::from_static(b"ok"))
}

async fn page(port: u16) -> Bench {
    front(port, &[("portal", http("portal/{*rest}", &["get", "head", "post"], "anonymous"))], &Settings::new()).await
}

fn request(method: &str, target: &str, headers: &str, body: &str) -> String {
    format!("{method} {target} HTTP/1.1\r\nHost: app.example.net\r\nConnection: close\r\n{headers}\r\n{body}")
}

async fn status(bench: &Bench, method: &str, target: &str, headers: &str) -> u16 {
    raw_request(&bench.address, &request(method, target, headers, "")).await.0
}

#[tokio::test]
async fn host_golden_req_http_proxied_headers_reach_the_handler_as_the_host_rewrites_them() {
    for (name, case) in golden("req-http-proxied").into_iter().filter(|(name, _)| name == "req-http-proxied") {
        let handler = Handler::start(|_| async { ok() }).await;
        let bench = front(handler.port, &[("Approve", case["function_json"].clone())], &Settings::new()).await;
        let (client, expected) = (&case["client_request"], &case["request"]);
        let key = bench.keys.functions["Approve"].clone();
        let body = client["body_text"].as_str().unwrap();
        let sent = client["headers"].as_object().unwrap().iter().filter(|(n, _)| *n != "Host");
        let lines: Vec<String> = sent.map(|(n, v)| format!("{n}: {}\r\n", v.as_str().unwrap().replace("<key>", &key))).collect();
        let lines = lines.concat();
        let chunks = format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len());
        let target = client["target"].as_str().unwrap();
        let (code, _, _) = raw_request(&bench.address, &request(client["method"].as_str().unwrap(), target, &lines, &chunks)).await;
        assert_eq!(code, 200, "{name}");

        let seen = handler.last();
        let path = format!("{}?{}", seen.path, seen.query.clone().unwrap());
        assert_eq!((seen.method.as_str(), path.as_str()), (expected["method"].as_str().unwrap(), expected["path"].as_str().unwrap()));
        assert_eq!(seen.body, expected["body_text"].as_str().unwrap(), "{name}");
        let id = seen.header("x-ms-invocation-id").unwrap().to_owned();
        let wanted: BTreeMap<String, String> = expected["headers"]
            .as_object()
            .unwrap()
            .iter()
            .map(|(n, v)| {
                let value = match (n.to_lowercase().as_str(), v.as_str().unwrap()) {
                    ("x-azure-functions-invocationid" | "x-ms-invocation-id", _) => id.clone(),
                    ("transfer-encoding", v) => v.to_lowercase(),
                    (_, v) => v
                        .replace("<key>", &key)
                        .replace("{port}", &handler.port.to_string())
                        .replace("{address of the host's peer}", "127.0.0.1"),
                };
                (n.to_lowercase(), value)
            })
            .collect();
        // The client library writes an Accept header where the caller had none; it means the same as none.
        let found: BTreeMap<String, String> =
            seen.headers.iter().filter(|(n, _)| *n != "accept").map(|(n, v)| (n.to_string(), v.to_str().unwrap().to_owned())).collect();
        assert_eq!(found, wanted, "{name}");
    }
}

#[tokio::test]
async fn host_golden_req_http_proxied_paths_are_rewritten_as_measured() {
    for (name, case) in golden("req-http-proxied-path-rewrites") {
        let handler = Handler::start(|_| async { ok() }).await;
        let bench = front(handler.port, &[("portal", case["function_json"].clone())], &Settings::new()).await;
        for path in case["paths"].as_array().unwrap() {
            let client = path["client"].as_str().unwrap();
            let before = handler.count();
            let code = status(&bench, "GET", client, "").await;
            if let Some(handler_path) = path["handler"].as_str() {
                assert_eq!((code, handler.last().path.as_str()), (200, handler_path), "{name}: {client}");
            } else {
                assert_eq!((u64::from(code), handler.count()), (path["status"].as_u64().unwrap(), before), "{name}: {client}");
            }
        }
    }
}

#[tokio::test]
async fn host_golden_req_http_a_method_that_is_not_listed_is_404_and_never_reaches_the_handler() {
    for (name, case) in golden("req-http-method-not-listed") {
        let handler = Handler::start(|_| async { ok() }).await;
        let bench = front(handler.port, &[("portal", case["function_json"].clone())], &Settings::new()).await;
        for request in case["requests"].as_array().unwrap() {
            let code =
                status(&bench, request["method"].as_str().unwrap(), request["target"].as_str().unwrap(), "Content-Length: 0\r\n").await;
            assert_eq!(u64::from(code), request["client_status"].as_u64().unwrap(), "{name}");
        }
        assert_eq!(handler.count(), 0, "{name}");
    }
}

#[tokio::test]
async fn host_golden_resp_a_proxied_500_and_its_body_pass_through() {
    for (name, case) in golden("resp-forwarded") {
        let (body, kind) = (
            case["response"]["body_text"].as_str().unwrap().to_owned(),
            case["response"]["headers"]["Content-Type"].as_str().unwrap().to_owned(),
        );
        let sent = body.clone();
        let handler = Handler::start(move |_| {
            let answer = warp::http::Response::builder().status(500).header("content-type", kind.clone()).body(Bytes::from(sent.clone()));
            async move { answer.unwrap() }
        })
        .await;
        let bench = page(handler.port).await;
        let (code, head, found) = raw_request(&bench.address, &request("GET", "/api/portal", "", "")).await;
        assert_eq!(
            (u64::from(code), head.contains("application/problem+json")),
            (case["host_effect"]["client"]["status"].as_u64().unwrap(), true),
            "{name}"
        );
        assert!(found.contains(&body), "{name}: {found}");
    }
}

#[tokio::test]
async fn keys_open_by_header_or_query_and_the_header_wins() {
    let handler = Handler::start(|_| async { ok() }).await;
    let functions = [
        ("Approve", http("approve", &["get"], "function")),
        ("Ops", http("ops", &["get"], "admin")),
        ("Open", http("open", &["get"], "anonymous")),
    ];
    let bench = front(handler.port, &functions, &Settings::new()).await;
    let (own, host, master) = (bench.keys.functions["Approve"].clone(), bench.keys.host.clone(), bench.keys.master.clone());
    let header = |key: &str| format!("x-functions-key: {key}\r\n");
    for good in [&own, &host, &master] {
        assert_eq!(status(&bench, "GET", "/api/approve", &header(good)).await, 200);
        assert_eq!(status(&bench, "GET", &format!("/api/approve?code={good}"), "").await, 200);
    }
    let (code, _, body) = raw_request(&bench.address, &request("GET", &format!("/api/approve?code={own}"), &header("wrong"), "")).await;
    assert_eq!((code, body.as_str()), (401, ""));
    assert_eq!(status(&bench, "GET", "/api/approve", "").await, 401);
    assert_eq!(status(&bench, "GET", "/api/ops", &header(&host)).await, 401);
    assert_eq!(status(&bench, "GET", "/api/ops", &header(&master)).await, 200);
    assert_eq!(status(&bench, "GET", "/api/open", "").await, 200);
    assert_eq!(status(&bench, "GET", "/api/nothing", "").await, 404);
    assert_eq!(status(&bench, "GET", "/open", "").await, 404, "outside the prefix");
}

#[tokio::test]
async fn the_envelope_paths_cannot_be_reached_from_outside() {
    let handler = Handler::start(|_| async { ok() }).await;
    let bench = page(handler.port).await;
    for target in ["/intake", "/api/../intake", "/portal", "/api/intake"] {
        assert_eq!(status(&bench, "POST", target, "Content-Length: 0\r\n").await, 404, "{target}");
    }
    assert_eq!(handler.count(), 0);
}

#[tokio::test]
async fn a_dropped_get_is_sent_40_times_a_post_without_body_10_times_and_one_with_a_body_once() {
    for (method, headers, body, times) in
        [("GET", "", "", 40), ("POST", "Content-Length: 0\r\n", "", 10), ("POST", "Content-Length: 2\r\n", "ab", 1)]
    {
        let (port, count) = raw_handler(b"").await;
        let bench = page(port).await;
        let (code, _, text) = raw_request(&bench.address, &request(method, "/api/portal/x", headers, body)).await;
        assert_eq!((code, text.as_str(), count.load(Ordering::SeqCst)), (500, "", times), "{method}");
    }
}

#[tokio::test]
async fn a_byte_above_ascii_in_an_answers_header_gives_an_empty_500() {
    let (port, _) =
        raw_handler("HTTP/1.1 303 See Other\r\nLocation: /caf\u{e9}\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok".as_bytes()).await;
    let bench = page(port).await;
    let (code, _, body) = raw_request(&bench.address, &request("GET", "/api/portal", "", "")).await;
    assert_eq!((code, body.as_str()), (500, ""));
}

#[tokio::test]
async fn status_redirects_and_two_cookies_pass_through_and_repeated_request_headers_are_merged() {
    let handler = Handler::start(|_| async {
        let answer = warp::http::Response::builder().status(303).header("location", "/api/portal/inbox");
        answer.header("set-cookie", "a=1").header("set-cookie", "b=2").body(Bytes::new()).unwrap()
    })
    .await;
    let bench = page(handler.port).await;
    let headers =
        "Cookie: s=1\r\nCookie: t=2\r\nX-Tag: a\r\nX-Tag: b\r\nTE: trailers\r\nForwarded: for=x\r\nX-MS-CLIENT-PRINCIPAL: forged\r\n";
    let (code, head, _) = raw_request(&bench.address, &request("GET", "/api/portal?a=+%2B&a=%zz", headers, "")).await;
    assert_eq!(code, 303);
    assert!(head.contains("location: /api/portal/inbox") && head.contains("set-cookie: a=1") && head.contains("set-cookie: b=2"), "{head}");
    let seen = handler.last();
    assert_eq!((seen.header("cookie"), seen.header("x-tag")), (Some("s=1; t=2"), Some("a, b")));
    assert_eq!((seen.header("te"), seen.header("forwarded"), seen.header("connection")), (None, None, None));
    assert_eq!(seen.header("x-ms-client-principal"), Some("forged"), "passes verbatim from anonymous clients");
    assert_eq!(seen.query.as_deref(), Some("a=+%2B&a=%25zz"));
}

#[tokio::test]
async fn a_head_request_gets_the_length_and_no_body() {
    let handler = Handler::start(|seen| async move {
        if seen.method == "HEAD" { warp::http::Response::builder().header("content-length", "2").body(Bytes::new()).unwrap() } else { ok() }
    })
    .await;
    let bench = page(handler.port).await;
    let (code, head, body) = raw_request(&bench.address, &request("HEAD", "/api/portal", "", "")).await;
    assert_eq!((code, head.contains("content-length: 2"), body.as_str()), (200, true, ""));
}

#[tokio::test]
async fn bodies_arrive_byte_for_byte_and_over_the_limit_is_an_empty_500() {
    let handler = Handler::start(|_| async { ok() }).await;
    let settings = BTreeMap::from([("FUNCTIONS_REQUEST_BODY_SIZE_LIMIT".to_owned(), "10".to_owned())]);
    let bench = front(handler.port, &[("portal", http("portal/{*rest}", &["post"], "anonymous"))], &settings).await;
    let post = |headers: &str, body: &str| {
        let request = request("POST", "/api/portal", headers, body);
        let address = bench.address.clone();
        async move { raw_request(&address, &request).await }
    };
    assert_eq!(post("Content-Length: 4\r\n", "\u{0}\r\n\u{1}").await.0, 200);
    assert_eq!(handler.last().body, "\u{0}\r\n\u{1}");
    assert_eq!(handler.last().header("content-length"), Some("4"));
    let (code, _, body) = post("Content-Length: 11\r\n", "12345678901").await;
    assert_eq!((code, body.as_str()), (500, ""));
    let (code, _, body) = post("Transfer-Encoding: chunked\r\n", "6\r\n123456\r\n5\r\n78901\r\n0\r\n\r\n").await;
    assert_eq!((code, body.as_str()), (500, ""));
}

#[tokio::test]
async fn a_stopped_host_says_so_and_a_dead_handler_is_a_500() {
    let handler = Handler::start(|_| async { ok() }).await;
    let bench = page(handler.port).await;
    drop(handler);
    let free = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    let nobody = page(free).await;
    assert_eq!(status(&nobody, "GET", "/api/portal", "").await, 500);
    bench.worker.stop("test");
    bench.worker.stopped().await;
    let (code, _, body) = raw_request(&bench.address, &request("GET", "/api/portal", "", "")).await;
    assert_eq!(code, 503);
    assert!(body.contains("Function host is not running."));
}

#[tokio::test]
async fn the_admin_route_runs_a_timer_by_hand_for_the_master_key_only() {
    let mut handler = Handler::start(|_| async { super::handler::success() }).await;
    let timer = json!({ "bindings": [{ "type": "timerTrigger", "direction": "in", "name": "timer", "schedule": "0 */5 * * * *" }] });
    let bench = front(handler.port, &[("sweep", timer)], &Settings::new()).await;
    assert_eq!(status(&bench, "POST", "/admin/functions/sweep", "Content-Length: 0\r\n").await, 401);
    let key = format!("x-functions-key: {}\r\nContent-Length: 0\r\n", bench.keys.master);
    assert_eq!(status(&bench, "POST", "/admin/functions/sweep", &key).await, 202);
    assert_eq!(handler.arrivals.recv().await.unwrap().path, "/sweep");
    assert_eq!(status(&bench, "POST", "/admin/functions/nobody", &key).await, 404);
}
