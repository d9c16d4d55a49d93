//! An owner's key record as whoever can write the database sees it, and replaces it.

use assay::platform::ports::{BatchOutcome, Container, Op, Partition};
use serde_json::{Value, json};

use super::flow::Flow;

fn at(owner: &str) -> Partition {
    Partition::reserved_for_tenancy(Container::Deployment, format!("keys/{owner}"))
}

pub async fn record(flow: &Flow, owner: &str) -> Value {
    flow.app().documents.read(&at(owner), "data-key").await.unwrap().unwrap().body
}

pub async fn put(flow: &Flow, owner: &str, body: &Value) {
    let etag = flow.app().documents.read(&at(owner), "data-key").await.unwrap().unwrap().etag;
    let replace = Op::Replace { id: "data-key".into(), body: body.clone(), if_match: etag };
    assert!(matches!(flow.app().documents.batch(&at(owner), vec![replace]).await.unwrap(), BatchOutcome::Committed(_)));
}

/// What stands in place of destroyed data keys: anybody can write it.
pub fn tombstone() -> Value {
    json!({ "schema": 5, "kind": "data-key", "destroyed_at": "2026-03-02T08:00:00Z" })
}
