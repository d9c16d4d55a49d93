//! Random batches against a map: whatever the order of writes, store and model say and hold the same.

use std::collections::BTreeMap;

use assay::platform::ports::{BatchOutcome, Container, Etag, Op, OpStatus, Query};
use proptest::{
    prelude::*,
    sample::subsequence,
    test_runner::{Config, TestRunner},
};
use serde_json::json;

use super::{
    Ports,
    documents::{ids, partition},
};

#[derive(Clone, Copy, Debug)]
enum Kind {
    Create,
    ReplaceCurrent,
    ReplaceStale,
    DeleteAny,
    DeleteCurrent,
    DeleteStale,
}

const IDS: [&str; 6] = ["a", "a:1", "a:2", "b", "b:1", "c"];

fn batches() -> impl Strategy<Value = Vec<Vec<(&'static str, Kind)>>> {
    let kind = prop_oneof![
        4 => Just(Kind::Create),
        4 => Just(Kind::ReplaceCurrent),
        1 => Just(Kind::ReplaceStale),
        2 => Just(Kind::DeleteAny),
        2 => Just(Kind::DeleteCurrent),
        1 => Just(Kind::DeleteStale),
    ];
    let batch = (subsequence(IDS.to_vec(), 1..=3).prop_shuffle(), prop::collection::vec(kind, 3))
        .prop_map(|(ids, kinds)| ids.into_iter().zip(kinds).collect());
    prop::collection::vec(batch, 1..20)
}

pub fn contract_documents_follow_the_model_under_random_batches(open: impl Future<Output = Ports>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let ports = runtime.block_on(open);
    let mut runner = TestRunner::new(Config { cases: 48, failure_persistence: None, ..Config::default() });
    runner.run(&batches(), |batches| runtime.block_on(follow(&ports, batches))).unwrap();
}

async fn follow(ports: &Ports, batches: Vec<Vec<(&'static str, Kind)>>) -> Result<(), TestCaseError> {
    let (documents, place) = (ports.documents.as_ref(), partition(Container::Clients));
    let stale = Etag("stale".into());
    // The model: per id the etag, and the round that wrote it last, which is also its body.
    let mut model: BTreeMap<&str, (Etag, usize)> = BTreeMap::new();
    for (round, batch) in batches.into_iter().enumerate() {
        let current = |id| model.get(id).map_or_else(|| stale.clone(), |(etag, _)| etag.clone());
        let ops: Vec<Op> = batch
            .iter()
            .map(|&(id, kind)| match kind {
                Kind::Create => Op::Create { id: id.into(), body: json!(round) },
                Kind::ReplaceCurrent => Op::Replace { id: id.into(), body: json!(round), if_match: current(id) },
                Kind::ReplaceStale => Op::Replace { id: id.into(), body: json!(round), if_match: stale.clone() },
                Kind::DeleteAny => Op::Delete { id: id.into(), if_match: None },
                Kind::DeleteCurrent => Op::Delete { id: id.into(), if_match: Some(current(id)) },
                Kind::DeleteStale => Op::Delete { id: id.into(), if_match: Some(stale.clone()) },
            })
            .collect();
        let refusals: Vec<_> = batch.iter().map(|&(id, kind)| refusal(kind, model.contains_key(id))).collect();
        match (documents.batch(&place, ops).await.unwrap(), refusals.iter().position(Option::is_some)) {
            (BatchOutcome::Committed(etags), None) => {
                for ((id, _), etag) in batch.into_iter().zip(etags) {
                    match etag {
                        Some(etag) => model.insert(id, (etag, round)),
                        None => model.remove(id),
                    };
                }
            }
            (BatchOutcome::Refused(statuses), Some(first)) => {
                prop_assert_eq!(Some(statuses[first]), refusals[first]);
                prop_assert!(statuses.iter().enumerate().all(|(n, status)| n == first || *status == OpStatus::FailedDependency));
            }
            (outcome, _) => prop_assert!(false, "{:?} where the model says {:?}", outcome, refusals),
        }
        let found = ids(documents, &place, Query { limit: 2, ..Query::prefix("") }).await;
        prop_assert_eq!(found, model.keys().copied().collect::<Vec<_>>());
    }
    for (id, (etag, round)) in &model {
        let read = documents.read(&place, id).await.unwrap().unwrap();
        prop_assert_eq!((&read.etag, &read.body), (etag, &json!(round)));
    }
    let feed = documents.changes(&place, None, 0).await.unwrap().documents;
    let rounds: Vec<_> = feed.iter().map(|document| model[document.id.as_str()].1).collect();
    prop_assert!(rounds.is_sorted(), "oldest first: {:?}", rounds);
    let mut ids: Vec<_> = feed.iter().map(|document| document.id.as_str()).collect();
    ids.sort_unstable();
    prop_assert_eq!(ids, model.keys().copied().collect::<Vec<_>>());
    Ok(())
}

fn refusal(kind: Kind, exists: bool) -> Option<OpStatus> {
    match (kind, exists) {
        (Kind::Create, true) => Some(OpStatus::Conflict),
        (Kind::Create, false) => None,
        (_, false) => Some(OpStatus::NotFound),
        (Kind::ReplaceStale | Kind::DeleteStale, true) => Some(OpStatus::PreconditionFailed),
        (_, true) => None,
    }
}
