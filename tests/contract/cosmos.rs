//! What only Cosmos DB does: answers that get lost after the write, throttling, missing resources, roles, clouds.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use assay::{
    assemble,
    config::{self, RawConfig},
    platform::{
        azure::{CosmosDocuments, DATA_ACTIONS},
        ports::{BatchOutcome, Container, Documents as _, Ids, Op, OpStatus, PortError, PortErrorKind, Query},
    },
};
use serde_json::json;

use super::documents::{commit, create, ids, partition};
use crate::support::{
    clock::VirtualClock,
    cosmos::{At, CosmosFault, Emulator, fault, settings},
    ids::SeededIds,
};

fn seeded(seed: u64) -> Arc<dyn Ids> {
    Arc::new(SeededIds::new(seed, Arc::new(VirtualClock::default())))
}

async fn faulty(emulator: &Emulator, at: At, what: CosmosFault, times: u32) -> CosmosDocuments {
    emulator.documents_with(seeded(2), vec![fault(at, what, times)]).await
}

fn source(error: &PortError) -> String {
    std::iter::successors(std::error::Error::source(error), |error| error.source()).map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

#[tokio::test]
async fn a_batch_whose_answer_is_lost_is_known_as_done_and_never_taken_for_another_writers() {
    let emulator = Emulator::new();
    for (at, ops) in [
        ("create", vec![create("a", json!(1)), create("b", json!(1))]),
        ("create with a delete", vec![create("c", json!(1)), Op::Delete { id: "a".into(), if_match: None }]),
    ] {
        let place = partition(Container::Clients);
        commit(&emulator.documents(seeded(1)).await, &place, vec![create("z", json!(0))]).await;
        if at == "create with a delete" {
            commit(&emulator.documents(seeded(1)).await, &place, vec![create("a", json!(0))]).await;
        }
        let documents = faulty(&emulator, At::Batch, CosmosFault::AnswerLost, 1).await;
        // The SDK sends it again, and meets its own write.
        let outcome = documents.batch(&place, ops).await.unwrap();
        let BatchOutcome::Committed(etags) = outcome else { panic!("{at}: its own write was taken for another's: {outcome:?}") };
        let first = if at == "create" { "a" } else { "c" };
        let read = documents.read(&place, first).await.unwrap().unwrap();
        assert_eq!(etags[0], Some(read.etag), "the etag can be used");
    }
}

#[tokio::test]
async fn a_conflict_with_another_writer_is_still_one_when_answers_get_lost() {
    let emulator = Emulator::new();
    let place = partition(Container::Clients);
    commit(&emulator.documents(seeded(1)).await, &place, vec![create("a", json!("theirs"))]).await;
    let documents = faulty(&emulator, At::Batch, CosmosFault::AnswerLost, 1).await;
    let refused = documents.batch(&place, vec![create("a", json!("ours")), create("b", json!("ours"))]).await.unwrap();
    assert_eq!(refused, BatchOutcome::Refused(vec![OpStatus::Conflict, OpStatus::FailedDependency]));
    assert_eq!(ids(&documents, &place, Query::prefix("")).await, ["a"]);
}

#[tokio::test]
async fn what_passes_is_waited_for_and_what_lasts_is_told() {
    let emulator = Emulator::new();
    let place = partition(Container::Clients);
    commit(&emulator.documents(seeded(1)).await, &place, vec![create("a", json!(1))]).await;
    for what in [CosmosFault::Busy, CosmosFault::Unavailable, CosmosFault::Unreachable] {
        for at in [At::Read, At::Query, At::Batch] {
            let documents = faulty(&emulator, at, what, 1).await;
            documents.read(&place, "a").await.unwrap();
            assert_eq!(ids(&documents, &place, Query::prefix("")).await, ["a"], "{at:?} {what:?}");
            let again = documents.batch(&place, vec![create("a", json!(2))]).await.unwrap();
            assert_eq!(again, BatchOutcome::Refused(vec![OpStatus::Conflict]));
        }
    }
}

#[tokio::test]
async fn a_storm_of_refusals_ends_in_a_typed_error_long_before_the_handlers_deadline() {
    let emulator = Emulator::new();
    let place = partition(Container::Clients);
    let documents = faulty(&emulator, At::Read, CosmosFault::Busy, 10_000).await;
    let begun = tokio::time::Instant::now();
    let error = documents.read(&place, "a").await.unwrap_err();
    assert!(matches!(error.kind, PortErrorKind::Throttled { .. } | PortErrorKind::Unavailable), "{error:?}");
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn a_missing_database_or_container_is_named_with_its_settings() {
    let place = partition(Container::Clients);
    let error = Emulator::empty().documents(seeded(1)).await.read(&place, "a").await.unwrap_err();
    assert_eq!(error.kind, PortErrorKind::Missing, "{error} {}", source(&error));
    assert!(error.to_string().contains("container clients") && error.to_string().contains("ASSAY_COSMOS_DATABASE"), "{error}");
}

#[tokio::test]
async fn a_container_with_another_partition_key_is_refused_before_anything_is_written() {
    let place = partition(Container::Audit);
    let documents = Emulator::with_partition_key("/id").documents(seeded(1)).await;
    let error = documents.batch(&place, vec![create("a", json!(1))]).await.unwrap_err();
    assert_eq!(error.kind, PortErrorKind::Invalid);
    assert!(source(&error).contains("/partition"), "{}", source(&error));
}

#[tokio::test]
async fn an_identity_without_a_token_or_without_a_role_is_denied() {
    let emulator = Emulator::new();
    let place = partition(Container::Clients);
    let documents = faulty(&emulator, At::Read, CosmosFault::Denied, 1_000).await;
    let error = documents.read(&place, "a").await.unwrap_err();
    assert_eq!(error.kind, PortErrorKind::Denied, "{}", source(&error));
    assert!(error.advice().contains("the role that the guide names, on this resource"), "{}", error.advice());

    for (what, advice) in [(CosmosFault::Firewalled, "this resource's firewall"), (CosmosFault::TokenOutOfTime, "clock")] {
        let error = faulty(&emulator, At::Read, what, 1_000).await.read(&place, "a").await.unwrap_err();
        assert_eq!(error.kind, PortErrorKind::Denied, "{what:?}: {}", source(&error));
        assert!(error.advice().contains(advice), "{what:?}: {} of {}", error.advice(), source(&error));
    }

    emulator.tokens.refuses.store(true, Ordering::Relaxed);
    let error = emulator.documents(seeded(1)).await.read(&place, "a").await.unwrap_err();
    assert_eq!(error.kind, PortErrorKind::Denied, "{}", source(&error));
    assert!(source(&error).contains("not assigned"), "{}", source(&error));
}

#[tokio::test]
async fn a_partition_without_room_is_full_and_a_region_that_moves_is_away_and_never_an_empty_one() {
    let emulator = Emulator::new();
    let place = partition(Container::Clients);
    commit(&emulator.documents(seeded(1)).await, &place, vec![create("a", json!(1))]).await;
    for (at, what, kind) in [
        (At::Batch, CosmosFault::Full, PortErrorKind::Full),
        (At::Batch, CosmosFault::NotTheWriter, PortErrorKind::Unavailable),
        (At::Batch, CosmosFault::Moved, PortErrorKind::Unavailable),
        (At::Read, CosmosFault::Moved, PortErrorKind::Unavailable),
        (At::Read, CosmosFault::Behind, PortErrorKind::Unavailable),
        (At::Query, CosmosFault::Behind, PortErrorKind::Unavailable),
    ] {
        let documents = faulty(&emulator, at, what, 1_000).await;
        let error = match at {
            At::Batch => documents.batch(&place, vec![create("b", json!(1))]).await.map(|_| ()),
            At::Query => documents.query(&place, &Query::prefix("")).await.map(|_| ()),
            _ => documents.read(&place, "a").await.map(|_| ()),
        };
        let error = error.unwrap_err();
        assert_eq!(error.kind, kind, "{at:?} {what:?}: {}", source(&error));
    }
}

#[tokio::test]
async fn a_later_try_works_when_what_was_missing_is_there() {
    let emulator = Emulator::new();
    emulator.tokens.refuses.store(true, Ordering::Relaxed);
    let documents = emulator.documents(seeded(1)).await;
    let place = partition(Container::Clients);
    documents.read(&place, "a").await.unwrap_err();
    emulator.tokens.refuses.store(false, Ordering::Relaxed);
    assert_eq!(documents.read(&place, "a").await.unwrap(), None);
}

/// The adapters' own limits are held elsewhere; this is what the product is put together with.
#[test]
fn whichever_store_is_assembled_nothing_is_replaced_or_deleted_among_the_entries() {
    let folder = tempfile::tempdir().unwrap();
    let local = [("ASSAY_DATA", folder.path().to_str().unwrap()), ("ASSAY_SIGN_IN", "demo")];
    let local: RawConfig = local.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    for settings in [local, settings(&[])] {
        let app = assemble::app(config::check(&settings).unwrap()).unwrap();
        let delete = Op::Delete { id: "entry:0000000000000000".into(), if_match: None };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        // Of Azure nothing is asked for it.
        let refused = runtime.block_on(app.documents.batch(&partition(Container::Audit), vec![delete])).unwrap_err();
        assert_eq!(refused.kind, PortErrorKind::Invalid, "{refused}");
        assert!(refused.to_string().contains("where nothing is replaced or deleted"), "{refused}");
    }
}

#[test]
fn a_role_for_each_container_is_written_down_and_the_one_of_the_entries_neither_replaces_nor_deletes() {
    assert_eq!(DATA_ACTIONS.map(|(container, _)| container), Container::ALL);
    let mut of_entries = Vec::new();
    for (container, actions) in DATA_ACTIONS {
        let changes = ["/replace", "/delete", "/upsert"].map(|change| actions.iter().filter(|action| action.ends_with(change)).count());
        assert_eq!(changes, if container == Container::Audit { [0; 3] } else { [1, 1, 0] }, "{container:?}");
        assert!(actions.iter().all(|action| action.starts_with("Microsoft.DocumentDB/databaseAccounts/") && !action.contains('*')));
        if container == Container::Audit {
            of_entries = actions.to_vec();
        }
    }
    // The template gives this one.
    let template = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/infra/modules/cosmos.bicep")).unwrap();
    let (_, role) = template.split_once("resource entriesRole ").unwrap();
    let (role, _) = role.split_once("\nresource ").unwrap();
    let named: Vec<&str> =
        role.split('\'').filter(|word| word.starts_with("Microsoft.DocumentDB/databaseAccounts/") && !word.contains('@')).collect();
    assert_eq!(named, of_entries);
}
