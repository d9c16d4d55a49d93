//! Before there is an `App`, and when there will be none.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use assay::{
    config::ConfigError,
    host::{
        Handler, Limits, StartError,
        start::{Life, start},
    },
    triggers::TABLE,
};
use serde_json::{Value, json};
use tokio::sync::watch;

use super::{
    core::envelope,
    fixture::{ROOMY, app, call},
};

fn handler(life: watch::Receiver<Life>, limits: Limits) -> Handler {
    Handler::new(TABLE, "api", limits, life)
}

fn bad_setting() -> Vec<ConfigError> {
    vec![ConfigError { setting: "ASSAY_PUBLIC_URL", problem: "expected an address".into() }]
}

#[tokio::test]
async fn a_bad_configuration_shows_on_health_by_name_and_fails_everything_else() {
    let (_, life) = watch::channel(Life::Unwell(Arc::new(bad_setting())));
    let handler = handler(life, ROOMY);
    let health = handler.answer(call("GET", "/api/health", &[], "")).await;
    let body: Value = serde_json::from_slice(&health.body).unwrap();
    assert_eq!((health.status, &body["status"]), (503, &json!("unwell")));
    assert_eq!(body["problems"], json!([{ "setting": "ASSAY_PUBLIC_URL", "problem": "expected an address" }]));
    let page = handler.answer(call("GET", "/api/portal/inbox", &[], "")).await;
    assert_eq!((page.status, page.header("content-type")), (503, Some("application/problem+json")));
    let message = handler.answer(call("POST", "/intake", &[], envelope(b"kept by the queue"))).await;
    assert_eq!((message.status, message.header("content-type")), (500, Some("application/json")));
    assert_eq!(handler.answer(call("GET", "/", &[], "")).await.status, 200);
}

#[tokio::test]
async fn invocations_wait_for_the_start_and_health_does_not() {
    let (sender, life) = watch::channel(Life::Starting);
    let handler = handler(life, ROOMY);
    let health = handler.answer(call("GET", "/api/health", &[], "")).await;
    assert!(health.status == 503 && health.body.starts_with(b"{") && String::from_utf8_lossy(&health.body).contains("starting"));
    let waiting = handler.answer(call("GET", "/api/portal/inbox", &[], ""));
    let build = start(sender, || std::future::ready(Ok(app().0)));
    let (reply, ()) = tokio::join!(waiting, build);
    assert_ne!(reply.status, 503);
    assert_eq!(handler.answer(call("GET", "/api/health", &[], "")).await.status, 200);
}

#[tokio::test]
async fn a_start_that_takes_too_long_is_told_in_time() {
    let (_sender, life) = watch::channel(Life::Starting);
    let handler = handler(life, Limits { deadline: Duration::from_millis(10), ..ROOMY });
    assert_eq!(handler.answer(call("GET", "/api/portal/inbox", &[], "")).await.status, 503);
    assert_eq!(handler.answer(call("POST", "/intake", &[], envelope(b""))).await.status, 500);
}

#[tokio::test]
async fn a_start_that_panics_is_a_reason_on_health() {
    let (sender, life) = watch::channel(Life::Starting);
    start(sender, || async { panic!("secret words") }).await;
    let health = handler(life, ROOMY).answer(call("GET", "/api/health", &[], "")).await;
    assert_eq!(health.status, 503);
    assert!(!String::from_utf8_lossy(&health.body).contains("secret"));
}

#[tokio::test]
async fn a_mistake_in_the_settings_is_not_tried_twice() {
    let (sender, life) = watch::channel(Life::Starting);
    let tries = Arc::new(AtomicUsize::new(0));
    let count = tries.clone();
    start(sender, move || {
        count.fetch_add(1, Relaxed);
        std::future::ready(Err(StartError::from(bad_setting())))
    })
    .await;
    assert_eq!(tries.load(Relaxed), 1);
    assert!(matches!(&*life.borrow(), Life::Unwell(_)));
}

#[tokio::test]
async fn health_answers_under_any_load() {
    let (_, life) = watch::channel(Life::Ready(Arc::new(app().0), Some(Arc::default())));
    let handler = handler(life, Limits { max_concurrent: 0, ..ROOMY });
    assert_eq!(handler.answer(call("GET", "/api/portal/inbox", &[], "")).await.status, 429);
    let health = handler.answer(call("GET", "/api/health", &[], "")).await;
    let body: Value = serde_json::from_slice(&health.body).unwrap();
    let cryptography = if cfg!(feature = "fips") { "AWS-LC FIPS module, in FIPS mode" } else { "AWS-LC, not its FIPS module" };
    let well = json!({ "status": "ok", "release": env!("CARGO_PKG_VERSION"), "cryptography": cryptography, "problems": [] });
    assert_eq!((health.status, body), (200, well));
}
