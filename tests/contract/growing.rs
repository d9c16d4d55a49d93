//! Blobs that grow, on bad days of one store: lost answers, refusals and full blobs in a storage account; a kill, an older
//! release's file and a full blob in the data folder.

use std::{path::Path, sync::Arc, time::Duration};

use assay::platform::{
    local,
    ports::{Appending, BlobContainer, Blobs, LeaseId, Leasing, MAX_APPENDS, PortError, PortErrorKind},
};
use redb::TableDefinition;
use uuid::Uuid;

use super::local::open_at;
use crate::support::{
    clock::VirtualClock,
    storage_account::{FakeStorage, Fault},
};

const RAW: BlobContainer = BlobContainer::Raw;
const PERIOD: Duration = Duration::from_secs(15);
const OURS: LeaseId = LeaseId(Uuid::from_u128(1));
const THEIRS: LeaseId = LeaseId(Uuid::from_u128(2));

/// As the data folder keeps them.
const BLOCKS: TableDefinition<'_, (&str, u64), (u32, &[u8])> = TableDefinition::new("blocks");
const LEASES: TableDefinition<'_, &str, (u128, i64, u8)> = TableDefinition::new("leases");

async fn append(blobs: &impl Blobs, name: &str, at: u64, text: &str) -> Result<Appending, PortError> {
    blobs.append(RAW, name, at, text.to_owned().into(), None).await
}

#[tokio::test(start_paused = true)]
async fn an_append_whose_answer_is_lost_is_there_once_and_said_to_be_ours() {
    let account = FakeStorage::new(Arc::new(VirtualClock::default()));
    let (_, blobs) = account.open();
    // The first append asks three times: is it there, make it, append.
    for lost in 0..3 {
        let name = format!("log{lost}");
        account.next(std::iter::repeat_n(Fault::Nothing, lost).chain([Fault::AnswerLost]));
        assert_eq!(append(&blobs, &name, 0, "one ").await.unwrap(), Appending::Appended { length: 4 }, "{lost}");
        account.next([Fault::AnswerLost]);
        assert_eq!(append(&blobs, &name, 4, "two").await.unwrap(), Appending::Appended { length: 7 });
        assert_eq!(blobs.read(RAW, &name).await.unwrap().unwrap(), "one two");
    }

    // No answer comes at all: the writer asks again later.
    account.outage(Some(Fault::AnswerLost));
    assert_eq!(append(&blobs, "log0", 7, " three").await.unwrap_err().kind, PortErrorKind::Unavailable);
    account.outage(None);
    assert_eq!(append(&blobs, "log0", 7, " three").await.unwrap(), Appending::Appended { length: 13 });
    assert_eq!(append(&blobs, "log0", 7, " other").await.unwrap(), Appending::Moved { length: 13 });
    assert_eq!(blobs.read(RAW, "log0").await.unwrap().unwrap(), "one two three");
}

#[tokio::test(start_paused = true)]
async fn an_append_that_was_refused_is_typed_and_leaves_nothing() {
    let account = FakeStorage::new(Arc::new(VirtualClock::default()));
    let (_, blobs) = account.open();
    assert_eq!(append(&blobs, "log", 0, "one").await.unwrap(), Appending::Appended { length: 3 });
    for (status, code, kind) in [
        (503, "ServerBusy", PortErrorKind::Throttled { retry_after: None }),
        (500, "InternalError", PortErrorKind::Unavailable),
        (403, "AuthorizationPermissionMismatch", PortErrorKind::Denied),
        (409, "BlobIsSealed", PortErrorKind::Invalid),
    ] {
        account.outage(Some(Fault::Refused { status, code, retry_after: None }));
        assert_eq!(append(&blobs, "log", 3, "two").await.unwrap_err().kind, kind, "{code}");
        assert_eq!(blobs.lease(RAW, "log", OURS, PERIOD).await.unwrap_err().kind, kind, "{code}");
    }
    account.outage(None);
    account.next([Fault::Refused { status: 503, code: "ServerBusy", retry_after: Some("1") }]);
    assert_eq!(append(&blobs, "log", 3, "two").await.unwrap(), Appending::Appended { length: 6 });

    account.remove_container("raw");
    let leased = blobs.lease(RAW, "log", OURS, PERIOD).await.unwrap_err();
    let released = blobs.release(RAW, "log", OURS).await.unwrap_err();
    for error in [append(&blobs, "log", 0, "x").await.unwrap_err(), leased, released] {
        assert_eq!((error.kind, error.resource.as_str()), (PortErrorKind::Missing, "blob container raw (ASSAY_BLOB_URL)"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_lease_whose_answers_are_lost_is_held_and_let_go_as_if_they_had_come() {
    let account = FakeStorage::new(Arc::new(VirtualClock::default()));
    let (_, blobs) = account.open();
    // Is it there, make it, hold it.
    for lost in 0..3 {
        let name = format!("head{lost}");
        account.next(std::iter::repeat_n(Fault::Nothing, lost).chain([Fault::AnswerLost]));
        assert_eq!(blobs.lease(RAW, &name, OURS, PERIOD).await.unwrap(), Leasing::Held, "{lost}");
        account.next([Fault::AnswerLost]);
        assert_eq!(blobs.renew(RAW, &name, OURS).await.unwrap(), Leasing::Held);
        account.next([Fault::AnswerLost]);
        blobs.release(RAW, &name, OURS).await.unwrap();
        assert_eq!(blobs.lease(RAW, &name, THEIRS, PERIOD).await.unwrap(), Leasing::Held);
    }
}

#[tokio::test(start_paused = true)]
async fn a_blob_in_a_storage_account_takes_no_more_appends_than_the_service_allows() {
    let account = FakeStorage::new(Arc::new(VirtualClock::default()));
    let (_, blobs) = account.open();
    account.put_grown("raw", "log", "one ", MAX_APPENDS - 1);
    account.next([Fault::AnswerLost]);
    assert_eq!(append(&blobs, "log", 4, "two").await.unwrap(), Appending::Appended { length: 7 }, "the last one, tried twice");
    last_words(&blobs).await;
}

#[tokio::test]
async fn a_blob_in_the_data_folder_takes_no_more_appends_than_the_service_allows() {
    let folder = tempfile::tempdir().unwrap();
    let clock = Arc::new(VirtualClock::default());
    let store = open_at(folder.path(), &Arc::default(), &clock).unwrap();
    assert_eq!(append(&*store.blobs, "log", 0, "one ").await.unwrap(), Appending::Appended { length: 4 });
    drop(store);
    in_file(folder.path(), |change| {
        change.open_table(BLOCKS).unwrap().insert(("log", 0), (MAX_APPENDS - 1, &b"one "[..])).unwrap();
    });
    let store = open_at(folder.path(), &Arc::default(), &clock).unwrap();
    assert_eq!(append(&*store.blobs, "log", 4, "two").await.unwrap(), Appending::Appended { length: 7 });
    last_words(&*store.blobs).await;
}

async fn last_words(blobs: &impl Blobs) {
    assert_eq!(append(blobs, "log", 7, "more").await.unwrap(), Appending::Full);
    assert_eq!(append(blobs, "log", 4, "two").await.unwrap(), Appending::Appended { length: 7 });
    assert_eq!(append(blobs, "log", 4, "owt").await.unwrap(), Appending::Moved { length: 7 });
    assert_eq!(append(blobs, "log", 8, "more").await.unwrap(), Appending::Moved { length: 7 });
    assert_eq!(blobs.read(RAW, "log").await.unwrap().unwrap(), "one two");
}

#[tokio::test]
async fn who_holds_a_blob_holds_it_across_a_kill_until_the_time_runs_out() {
    let folder = tempfile::tempdir().unwrap();
    let clock = Arc::new(VirtualClock::default());
    let store = open_at(folder.path(), &Arc::default(), &clock).unwrap();
    assert_eq!(store.blobs.lease(RAW, "head", OURS, PERIOD).await.unwrap(), Leasing::Held);
    let appended = store.blobs.append(RAW, "head", 0, "ours".into(), Some(OURS)).await.unwrap();
    assert_eq!(appended, Appending::Appended { length: 4 });
    drop(store);

    let store = open_at(folder.path(), &Arc::default(), &clock).unwrap();
    assert_eq!(store.blobs.read(RAW, "head").await.unwrap().unwrap(), "ours");
    assert_eq!(store.blobs.lease(RAW, "head", THEIRS, PERIOD).await.unwrap(), Leasing::NotHeld);
    assert_eq!(append(&*store.blobs, "head", 4, "!").await.unwrap(), Appending::NotHeld);
    clock.advance(time::Duration::seconds(15));
    assert_eq!(store.blobs.lease(RAW, "head", THEIRS, PERIOD).await.unwrap(), Leasing::Held);
}

#[tokio::test]
async fn a_data_folder_from_before_blobs_could_grow_is_opened_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let clock = Arc::new(VirtualClock::default());
    let store = open_at(folder.path(), &Arc::default(), &clock).unwrap();
    store.blobs.create(RAW, "old", "whole".into()).await.unwrap();
    drop(store);
    in_file(folder.path(), |change| {
        assert!(change.delete_table(BLOCKS).unwrap() && change.delete_table(LEASES).unwrap());
    });
    let store = open_at(folder.path(), &Arc::default(), &clock).unwrap();
    assert_eq!(store.blobs.read(RAW, "old").await.unwrap().unwrap(), "whole");
    assert_eq!(append(&*store.blobs, "new", 0, "x").await.unwrap(), Appending::Appended { length: 1 });
}

/// Changes the file of a closed store.
fn in_file(folder: &Path, change: impl FnOnce(&redb::WriteTransaction)) {
    let database = local::builder().open(folder.join("documents.redb")).unwrap();
    let transaction = database.begin_write().unwrap();
    change(&transaction);
    transaction.commit().unwrap();
}
