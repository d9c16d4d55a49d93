//! `req-*`: the exact request, in chunks, to a handler whose one function is the case's; what it saw is compared.

use std::time::Duration;

use assay::{
    host::{
        Handler,
        envelope::{Envelope, EnvelopeError},
    },
    triggers::{Failure, Kind, TABLE, Trigger},
    web::{Reply, Request},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use crate::host_handler::fixture::{ROOMY, Seen, call, chunked, ready};

pub(super) fn check(case: &Value) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let trigger = case["function_json"]["bindings"][0]["type"].as_str();
        let inside_prefix = text(&case["request"]["path"]).starts_with("/api/");
        match trigger {
            None => ping(case).await,
            Some("queueTrigger") => queue(case).await,
            Some("timerTrigger") => timer(case).await,
            Some("cosmosDBTrigger") => documents(case),
            Some("eventGridTrigger") => event(case),
            Some("httpTrigger") if case.get("paths").is_some() => rewritten_paths(case).await,
            Some("httpTrigger") if case.get("requests").is_some() => methods(case).await,
            Some("httpTrigger") if inside_prefix => http(case).await,
            Some("httpTrigger") => http_in_an_envelope(case),
            Some(other) => panic!("no trigger {other}"),
        }
    });
}

async fn ping(case: &Value) {
    let (handler, _) = ready(TABLE, ROOMY);
    assert!(send(&handler, case).await.status < 500);
}

async fn queue(case: &Value) {
    let (handler, seen) = handler_of(case);
    let reply = send(&handler, case).await;
    assert_eq!(reply.status, 200);
    assert_eq!(serde_json::from_slice::<Value>(&reply.body).unwrap(), json!({ "Outputs": {}, "Logs": [], "ReturnValue": null }));
    assert_eq!(seen.all(), [text(&case["queue_message_text"]).as_bytes()]);
}

async fn timer(case: &Value) {
    let (handler, seen) = handler_of(case);
    assert_eq!(send(&handler, case).await.status, 200);
    let sent = &case["request"]["body"]["Data"]["timer"];
    assert_eq!(seen.all(), [sent["IsPastDue"].to_string()]);
    let timer = envelope(case).timer("timer").unwrap();
    assert_eq!(timer.last.as_deref(), sent["ScheduleStatus"]["Last"].as_str());
    assert_eq!(timer.next.as_deref(), sent["ScheduleStatus"]["Next"].as_str());
}

fn documents(case: &Value) {
    let (name, sent) = only_member(&case["request"]["body"]["Data"]);
    let twice: String = serde_json::from_str(text(sent)).unwrap();
    assert_eq!(json!(envelope(case).documents(name).unwrap()), serde_json::from_str::<Value>(&twice).unwrap());
}

fn event(case: &Value) {
    let (name, sent) = only_member(&case["request"]["body"]["Data"]);
    let posted = |value: Value| Envelope::parse(json!({ "Data": { name: value }, "Metadata": {} }).to_string().as_bytes()).unwrap();
    let once = sent.to_string();
    let twice = json!(once).to_string();
    for form in [sent.clone(), json!(once), json!(twice)] {
        assert_eq!(posted(form).event(name).unwrap(), *sent);
    }
}

async fn http(case: &Value) {
    let (handler, _) = handler_of(case);
    let reply = send(&handler, case).await;
    assert_eq!(reply.status, 200);
    let seen: Value = serde_json::from_slice(&reply.body).unwrap();
    let (path, query) = text(&case["request"]["path"]).split_once('?').unwrap();
    assert_eq!((text(&seen["path"]), text(&seen["query"])), (path.strip_prefix("/api/").unwrap(), query));
    assert_eq!(seen["body"], STANDARD.encode(text(&case["request"]["body_text"])));
    assert_eq!(seen["invocation_id"], case["request"]["headers"]["X-Azure-Functions-InvocationId"]);
    for (name, value) in case["request"]["headers"].as_object().unwrap() {
        assert_eq!(seen["headers"][name.to_lowercase()], *value, "{name}");
    }
}

async fn rewritten_paths(case: &Value) {
    let (handler, _) = handler_of(case);
    for path in case["paths"].as_array().unwrap().iter().filter_map(|p| p["handler"].as_str()) {
        let reply = handler.answer(call("GET", path, &[], "")).await;
        if path.contains("%25") {
            assert_eq!(reply.status, 404, "{path}");
        } else {
            let seen: Value = serde_json::from_slice(&reply.body).unwrap();
            assert_eq!(text(&seen["path"]), path.strip_prefix("/api/").unwrap());
        }
    }
}

/// A method that is not listed never reaches us: what we can do is to list it.
async fn methods(case: &Value) {
    for trigger in TABLE {
        if let Kind::Http { methods, .. } = trigger.kind {
            assert!(!methods.contains(&"get") || methods.contains(&"head"), "{}", trigger.name);
        }
    }
    let (handler, _) = handler_of(case);
    for request in case["requests"].as_array().unwrap() {
        let (method, target) = (text(&request["method"]), text(&request["target"]));
        let expected = if method == "HEAD" { 200 } else { 405 };
        assert_eq!(handler.answer(call(method, target, &[], "")).await.status, expected, "{method}");
    }
}

fn http_in_an_envelope(case: &Value) {
    let client = &case["client_request"];
    let input = match envelope(case).http("req") {
        Err(EnvelopeError::BodyLost) => {
            assert_eq!(client["headers"]["Transfer-Encoding"], "chunked");
            return;
        }
        input => input.unwrap(),
    };
    let body = match client["body_base64"].as_str() {
        Some(base64) => STANDARD.decode(base64).unwrap(),
        None => client["body_text"].as_str().unwrap_or_default().as_bytes().to_vec(),
    };
    assert_eq!(input.body, body);
    assert_eq!(input.method, text(&client["method"]));
    assert!(input.url.ends_with(text(&client["target"])));
    let sent = &case["request"]["body"]["Data"]["req"];
    assert_eq!(json!(input.query.into_iter().collect::<std::collections::BTreeMap<_, _>>()), sent["Query"]);
    for (name, value) in sent["Params"].as_object().unwrap() {
        let found = input.params.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str());
        assert_eq!(found, value.as_str(), "{name}");
    }
    for (name, values) in sent["Headers"].as_object().unwrap() {
        let found: Vec<_> = input.headers.iter().filter(|(n, _)| *n == name.to_lowercase()).map(|(_, v)| v.as_str()).collect();
        assert_eq!(json!(found), *values, "{name}");
    }
}

/// A handler with the one function that the case declares; it shows what it gets.
fn handler_of(case: &Value) -> (Handler, Seen) {
    let binding = &case["function_json"]["bindings"][0];
    let kind = match text(&binding["type"]) {
        "queueTrigger" => Kind::Queue { queue: "work", run: |message, app| Box::pin(async move { keep(app, message.body).await }) },
        "timerTrigger" => {
            Kind::Timer { schedule: "0 */5 * * * *", run: |tick, app| Box::pin(async move { keep(app, tick.past_due.to_string()).await }) }
        }
        _ => Kind::Http {
            route: leak(text(&binding["route"])),
            methods: leak_all(&binding["methods"]),
            max_body_bytes: 1024,
            run: |request, _| Box::pin(async move { shown(&request) }),
        },
    };
    let name = text(&case["request"]["path"]).trim_start_matches('/').to_owned();
    ready(Box::leak(Box::new([Trigger { name: leak(&name), kind }])), ROOMY)
}

async fn keep(app: &assay::app::App, seen: impl Into<bytes::Bytes>) -> Result<(), Failure> {
    app.queue.send("seen", seen.into(), Duration::ZERO).await.map_err(|e| Failure::Other(e.to_string()))
}

fn shown(request: &Request) -> Reply {
    let headers: serde_json::Map<String, Value> = request.headers.iter().map(|(n, v)| (n.clone(), json!(v))).collect();
    let body = STANDARD.encode(&request.body);
    Reply::json(
        200,
        &json!({ "path": request.path, "query": request.query, "headers": headers, "body": body, "invocation_id": request.invocation_id }),
    )
}

async fn send(handler: &Handler, case: &Value) -> Reply {
    let request = &case["request"];
    let headers: Vec<(&str, &str)> = request["headers"].as_object().unwrap().iter().map(|(n, v)| (n.as_str(), text(v))).collect();
    let body = match (&request["body"], request["body_text"].as_str()) {
        (_, Some(body)) => body.to_owned(),
        (Value::Null, None) => String::new(),
        (body, None) => body.to_string(),
    };
    handler.answer(call(text(&request["method"]), text(&request["path"]), &headers, chunked(body.as_bytes()))).await
}

fn envelope(case: &Value) -> Envelope {
    Envelope::parse(case["request"]["body"].to_string().as_bytes()).unwrap()
}

fn only_member(value: &Value) -> (&str, &Value) {
    let (name, value) = value.as_object().unwrap().iter().next().unwrap();
    (name, value)
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

// One table per case, for the life of the test process.
fn leak(text: &str) -> &'static str {
    Box::leak(text.to_owned().into_boxed_str())
}

fn leak_all(values: &Value) -> &'static [&'static str] {
    values.as_array().unwrap().iter().map(|v| leak(text(v))).collect::<Vec<_>>().leak()
}
