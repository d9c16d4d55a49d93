//! Bodies that a webhook's sender would never make, by the recipes `sbd-*`: signed as the vendor signs, so that it is the
//! body that is refused. How a body that declares too much is met is with the handler's tests.

use assay::{connectors::delivery::Outcome, web::Reply};
use serde_json::Value;

use super::world::{GUID, KEY_URL, World, autotask, connectwise, hook};

/// What ConnectWise's address answers to these signed bytes.
async fn to_connectwise(body: &[u8]) -> (World, Reply) {
    let world = World::mapped(connectwise()).await;
    world.serve_signing_key();
    let reply = world.post("", "", &[world.signature(body)], body).await;
    (world, reply)
}

async fn must_be_refused(body: &str) {
    let (world, reply) = to_connectwise(body.as_bytes()).await;
    let told = (reply.status, reply.header("content-type"));
    assert_eq!(told, (400, Some("application/problem+json")), "{}: {reply:?}", &body[..body.len().min(80)]);
    assert_eq!(world.raw_blobs().await, 0, "nothing is kept");
}

#[tokio::test]
async fn sbd_000_an_empty_body_is_a_bad_request() {
    must_be_refused("").await;
}

#[tokio::test]
async fn sbd_012_ten_thousand_arrays_in_each_other_are_refused_and_exhaust_no_stack() {
    let arrays = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
    must_be_refused(&arrays).await;
    must_be_refused(&format!("{{\"Metadata\":{{\"key_url\":{KEY_URL:?}}},\"Entity\":{arrays}}}")).await;
    // Where the signature holds whatever the bytes are, the delivery says what it was.
    let world = World::mapped(autotask()).await;
    assert_eq!(world.post("", "", &[world.signature(arrays.as_bytes())], arrays.as_bytes()).await.status, 200);
    world.pump().await;
    let delivery = world.deliveries().await.remove(0);
    assert_eq!((delivery.outcome, delivery.reason.as_deref()), (Outcome::Reject, Some("malformed")));
}

#[tokio::test]
async fn sbd_017_a_name_that_stands_twice_names_nothing() {
    must_be_refused(r#"{"tenant":"a","tenant":"b"}"#).await;
    must_be_refused(&format!("{{\"ID\":1,\"ID\":2,\"Metadata\":{{\"key_url\":{KEY_URL:?}}}}}")).await;
    let world = World::mapped(autotask()).await;
    let at = world.app().now();
    let whole = hook(1, "Update", 9, &serde_json::json!({ "companyID": "174" }), at).to_string();
    let twice = whole.replacen("\"companyID\":\"174\"", "\"companyID\":\"250\",\"companyID\":\"174\"", 1);
    assert_ne!(twice, whole);
    world.post("", "", &[world.signature(twice.as_bytes())], twice.as_bytes()).await;
    world.pump().await;
    assert_eq!(world.deliveries().await[0].reason.as_deref(), Some("malformed"));
    assert!(world.evidence(0).await.is_empty() && world.evidence(1).await.is_empty());
    // What cannot be read is looked through for markings all the same: its bytes are kept.
    let marked = twice.replacen(GUID, "CUI//SP-CTI", 1);
    world.post("", "", &[world.signature(marked.as_bytes())], marked.as_bytes()).await;
    world.pump().await;
    assert_eq!(world.deliveries().await[0].reason.as_deref(), Some("malformed"));
    assert_eq!(world.audited("evidence.quarantined").await, 1);
}

#[tokio::test]
async fn sbd_023_a_number_that_no_field_can_hold_is_refused_and_never_rounded() {
    must_be_refused("1e400").await;
    must_be_refused(&format!("{{\"ID\":1e400,\"Metadata\":{{\"key_url\":{KEY_URL:?}}}}}")).await;
}

/// RFC 3339 has no hour 24, so such a time is none: the record counts from when it came, and its bytes stay as they were.
#[tokio::test]
async fn sbd_045_a_time_of_hour_24_is_no_time_and_the_text_is_kept() {
    let world = World::mapped(autotask()).await;
    let mut body: Value = hook(1, "Update", 9, &serde_json::json!({ "companyID": "174", "title": "Patch the server" }), world.app().now());
    body["EventTime"] = "2026-01-01T24:00:00Z".into();
    let bytes = body.to_string();
    assert_eq!(world.send(&body).await.status, 200);
    world.pump().await;
    let delivery = world.deliveries().await.remove(0);
    assert_eq!(delivery.outcome, Outcome::Accept, "{delivery:?}");
    assert_eq!(delivery.events.len(), 1);
    assert_eq!(world.evidence(1).await.len(), 1);
    let store = world.deployment().await;
    let sealed = world.app().blobs.read(assay::platform::ports::BlobContainer::Raw, &delivery.blob).await.unwrap().unwrap();
    let raw = store.open_blob("raw", &delivery.blob, sealed.to_vec()).await.unwrap();
    assert_eq!(raw.as_slice(), bytes.as_bytes());
}
