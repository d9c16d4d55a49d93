//! A store as the release before left it: what stands beside the entries of a log lies among them.

use assay::{
    app::App,
    platform::ports::{BatchOutcome, BlobContainer, Container, Document, Op, Partition, Query},
    tenancy::{
        StoreError,
        keys::{self, Owner},
        seal::Binding,
    },
};
use serde_json::json;

use super::TestApp;

/// What tells where the head of an owner's log lies.
const MARKS: [&str; 2] = ["audit:-heads", "moved:log"];

pub fn heads_of(owner: Owner) -> Partition {
    Partition::reserved_for_tenancy(Container::Heads, format!("{owner}/log/head"))
}

pub fn former_heads_of(owner: Owner) -> Partition {
    Partition::reserved_for_tenancy(Container::Audit, format!("{owner}/log/head"))
}

pub async fn documents(app: &App, partition: &Partition) -> Vec<Document> {
    app.documents.query(partition, &Query { limit: 1000, ..Query::prefix("") }).await.unwrap().documents
}

pub async fn write(app: &App, partition: &Partition, ops: Vec<Op>) {
    for some in ops.chunks(50) {
        let outcome = app.documents.batch(partition, some.to_vec()).await.unwrap();
        assert!(matches!(outcome, BatchOutcome::Committed(_)), "{outcome:?}");
    }
}

/// Puts the heads of these logs where the release before kept them. Whoever opened the store begins anew afterwards.
pub async fn as_before(before: &TestApp, owners: &[Owner]) {
    let app = &before.insider();
    for owner in owners {
        let (heads, former) = (heads_of(*owner), former_heads_of(*owner));
        // Of a client that was let go nobody opens anything any more.
        let key = match keys::find(app, *owner).await {
            Err(StoreError::Destroyed { .. }) => None,
            found => found.unwrap(),
        };
        let there = documents(app, &heads).await;
        assert!(!there.is_empty(), "{owner} has no log");
        let (mut created, mut deleted) = (Vec::new(), Vec::new());
        for Document { id, mut body, .. } in there {
            let text = owner.to_string();
            let number = |name: &str| body[name].as_u64().unwrap_or_default();
            let binding = Binding {
                owner: &text,
                container: "heads",
                place: "log/head",
                document: &id,
                field: "record",
                schema: number("schema").try_into().unwrap(),
                revision: number("revision"),
            };
            let then = Binding { container: "audit", ..binding };
            if let (Some(key), Some(sealed)) = (&key, body["sealed"].as_str()) {
                body["sealed"] = json!(key.seal(&then, &key.open(&binding, sealed).unwrap()).unwrap());
            } else if let (Some(key), Some(name)) = (&key, body["blob"].as_str()) {
                let text = app.blobs.read(BlobContainer::Raw, name).await.unwrap().unwrap();
                let text = key.seal_bytes(&then, &key.open_bytes(&binding, text.into()).unwrap()).unwrap();
                let name = format!("{name}-before");
                let _ = app.blobs.create(BlobContainer::Raw, &name, text.into()).await.unwrap();
                body["blob"] = json!(name);
            }
            deleted.push(Op::Delete { id: id.clone(), if_match: None });
            created.push(Op::Create { id, body });
        }
        write(app, &former, MARKS.map(|id| Op::Delete { id: id.into(), if_match: None }).into()).await;
        write(app, &former, created).await;
        write(app, &heads, deleted).await;
    }
}
