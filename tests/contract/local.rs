//! What only the embedded store does: one folder, one owner, one format, and group commit.

use std::{fs, io::ErrorKind, path::Path, sync::Arc, time::Duration};

use assay::platform::{
    append_only::AppendOnly,
    local::{LocalStore, OpenError, OpenOptions},
    ports::{BlobContainer, Blobs as _, Container, Documents as _, PortErrorKind, Query, Vault as _},
};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{
    Ports, VaultNames,
    documents::{commit, create, ids, partition},
};
use crate::support::{clock::VirtualClock, disk::Disk, queue::MemoryQueue};

pub async fn ports() -> Ports {
    let folder = tempfile::tempdir().unwrap();
    let clock = Arc::new(VirtualClock::default());
    let store = open_at(folder.path(), &Arc::default(), &clock).unwrap();
    let path = folder.path().to_owned();
    Ports {
        documents: AppendOnly::over(store.documents),
        queue: Arc::new(MemoryQueue::new(clock.clone())),
        blobs: store.blobs,
        vault: store.vault,
        lease: Duration::from_secs(30),
        pass_time: Box::new(move |by| clock.advance(by.try_into().unwrap())),
        revoke: Box::new({
            let path = path.clone();
            move |key| edit(&path, key, |file| file["revoked"] = json!(true))
        }),
        names: VaultNames {
            key: Box::new(str::to_owned),
            public_key: Box::new({
                let path = path.clone();
                move |key| public_key(&path, key)
            }),
            put_secret: Box::new({
                let path = path.clone();
                move |name, value| {
                    fs::create_dir_all(path.join("vault/secrets")).unwrap();
                    fs::write(path.join("vault/secrets").join(name), format!("{value}\n")).unwrap();
                }
            }),
        },
        rotate: Box::new(move |key| {
            edit(&path, key, |file| {
                file["versions"]["2"] = json!("AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI=");
                file["current"] = json!("2");
            });
        }),
        keep: Box::new(folder),
    }
}

fn open(folder: &Path, disk: &Arc<Disk>) -> Result<LocalStore, OpenError> {
    open_at(folder, disk, &Arc::default())
}

pub fn open_at(folder: &Path, disk: &Arc<Disk>, clock: &Arc<VirtualClock>) -> Result<LocalStore, OpenError> {
    LocalStore::open_with(folder, clock.clone(), &disk.options())
}

/// Edits a vault key's file, as its owner would.
fn edit(folder: &Path, key: &str, change: impl FnOnce(&mut Value)) {
    let path = folder.join("vault").join(format!("{key}.json"));
    let mut file = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    change(&mut file);
    fs::write(path, file.to_string()).unwrap();
}

/// Of the key with which the file vault signs under this name.
fn public_key(folder: &Path, key: &str) -> Vec<u8> {
    let file: Value = serde_json::from_slice(&fs::read(folder.join("vault").join(format!("{key}.sign.json"))).unwrap()).unwrap();
    let document = BASE64.decode(file["versions"][file["current"].as_str().unwrap()].as_str().unwrap()).unwrap();
    let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &document).unwrap();
    pair.public_key().as_ref().to_vec()
}

fn fresh() -> (TempDir, Arc<Disk>) {
    (tempfile::tempdir().unwrap(), Arc::default())
}

#[tokio::test]
async fn everything_is_there_after_a_reopening() {
    let (folder, disk) = fresh();
    let place = partition(Container::Clients);
    let store = open(folder.path(), &disk).unwrap();
    let first = commit(&*store.documents, &place, vec![create("a", json!(1))]).await;
    let wrapped = store.vault.wrap("client", &[7; 32]).await.unwrap();
    for container in BlobContainer::ALL {
        store.blobs.create(container, "b/c", "bytes".into()).await.unwrap();
    }
    drop(store);

    let store = open(folder.path(), &disk).unwrap();
    assert_eq!(store.documents.read(&place, "a").await.unwrap().unwrap().etag, first[0].clone().unwrap());
    assert_eq!(store.vault.unwrap(&wrapped).await.unwrap().as_slice(), [7; 32]);
    for container in BlobContainer::ALL {
        assert_eq!(store.blobs.read(container, "b/c").await.unwrap().unwrap(), "bytes");
    }
    let second = commit(&*store.documents, &place, vec![create("b", json!(1))]).await;
    assert_ne!(first, second, "etags go on where they were");
}

#[tokio::test]
async fn a_store_on_a_real_disk_opens_writes_and_reads() {
    let (folder, _) = fresh();
    let place = partition(Container::Clients);
    let store = LocalStore::open(folder.path(), Arc::new(VirtualClock::default())).unwrap();
    commit(&*store.documents, &place, vec![create("a", json!(1))]).await;
    drop(store);
    let store = LocalStore::open(folder.path(), Arc::new(VirtualClock::default())).unwrap();
    assert_eq!(ids(&*store.documents, &place, Query::prefix("")).await, ["a"]);
}

#[test]
fn a_folder_that_is_in_use_says_so_and_what_to_do() {
    let (folder, disk) = fresh();
    let store = open(folder.path(), &disk).unwrap();
    let at_once = OpenOptions { wait_for_lock: Duration::ZERO, ..disk.options() };
    let error = LocalStore::open_with(folder.path(), Arc::new(VirtualClock::default()), &at_once).err().unwrap();
    assert!(matches!(error, OpenError::InUse(_)));
    assert!(error.to_string().contains("in use") && error.to_string().contains("ASSAY_DATA"), "{error}");
    drop(store);
    open(folder.path(), &disk).unwrap();
}

#[test]
fn a_store_of_a_newer_release_is_refused_in_words_and_left_alone() {
    let (folder, disk) = fresh();
    drop(open(folder.path(), &disk).unwrap());
    let format = folder.path().join("documents.format.json");
    let newer = r#"{"format":3,"release":"9.1.0"}"#;
    fs::write(&format, newer).unwrap();
    let error = open(folder.path(), &disk).err().unwrap();
    assert!(error.to_string().contains("written by release 9.1.0 in format 3; this release reads up to format 1"), "{error}");
    assert_eq!(fs::read_to_string(format).unwrap(), newer);
}

#[test]
fn a_damaged_store_is_refused_in_words() {
    let (folder, disk) = fresh();
    drop(open(folder.path(), &disk).unwrap());
    fs::write(folder.path().join("documents.redb"), vec![b'x'; 10_000]).unwrap();
    assert!(matches!(open(folder.path(), &disk).err().unwrap(), OpenError::Damaged { .. }));
    fs::remove_file(folder.path().join("documents.format.json")).unwrap();
    assert!(matches!(open(folder.path(), &disk).err().unwrap(), OpenError::Damaged { .. }));
}

#[test]
fn a_folder_that_cannot_be_written_is_refused_in_words() {
    let (folder, disk) = fresh();
    disk.refuse_writes(Some(ErrorKind::ReadOnlyFilesystem));
    let error = open(folder.path(), &disk).err().unwrap();
    assert!(matches!(error, OpenError::Denied { .. }) && error.to_string().contains("cannot be written"), "{error}");
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    assert!(matches!(open(&file.join("data"), &disk).err().unwrap(), OpenError::Io { .. }));
}

#[tokio::test]
async fn a_full_or_refusing_disk_is_a_typed_error_and_the_store_works_on_when_it_is_mended() {
    let (folder, disk) = fresh();
    let place = partition(Container::Clients);
    let store = open(folder.path(), &disk).unwrap();
    commit(&*store.documents, &place, vec![create("before", json!(1))]).await;
    for (failure, kind) in [(ErrorKind::StorageFull, PortErrorKind::Full), (ErrorKind::ReadOnlyFilesystem, PortErrorKind::Denied)] {
        disk.refuse_writes(Some(failure));
        for _ in 0..2 {
            let refused = store.documents.batch(&place, vec![create("during", json!(1))]).await.unwrap_err();
            assert_eq!(refused.kind, kind);
            let refused = store.blobs.create(BlobContainer::Raw, "during", "x".into()).await.unwrap_err();
            assert_eq!(refused.kind, kind);
        }
        disk.refuse_writes(None);
        assert_eq!(ids(&*store.documents, &place, Query::prefix("")).await, ["before"]);
    }
    commit(&*store.documents, &place, vec![create("after", json!(1))]).await;
    assert_eq!(ids(&*store.documents, &place, Query::prefix("")).await, ["after", "before"]);
}

#[tokio::test]
async fn many_writers_share_few_commits_and_a_refused_one_hurts_nobody() {
    let (folder, disk) = fresh();
    let place = partition(Container::Clients);
    let store = open(folder.path(), &disk).unwrap();
    commit(&*store.documents, &place, vec![create("taken", json!(1))]).await;
    let before = disk.syncs();
    disk.hold_syncs();
    let writers: Vec<_> = (0..64)
        .map(|n| {
            let (documents, place) = (store.documents.clone(), place.clone());
            // Every fourth collides with what is there, and must be the only one refused.
            let id = if n % 4 == 0 { "taken".to_owned() } else { format!("n{n:02}") };
            tokio::spawn(async move { documents.batch(&place, vec![create(&id, json!(n))]).await.unwrap() })
        })
        .collect();
    // One thread: all 64 are handed in before the disk answers the first.
    tokio::task::yield_now().await;
    disk.release_syncs();
    let mut committed = 0;
    for writer in writers {
        committed += usize::from(matches!(writer.await.unwrap(), assay::platform::ports::BatchOutcome::Committed(_)));
    }
    assert_eq!(committed, 48);
    assert!(disk.syncs() - before <= 3, "{} commits for 64 batches", disk.syncs() - before);
}

#[cfg(unix)]
#[tokio::test]
async fn vault_keys_are_readable_by_their_owner_only() {
    use std::os::unix::fs::PermissionsExt as _;
    let (folder, disk) = fresh();
    open(folder.path(), &disk).unwrap().vault.wrap("client", &[7; 32]).await.unwrap();
    let mode = fs::metadata(folder.path().join("vault/client.json")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn an_app_that_cannot_open_its_store_is_a_value_that_says_why() {
    let (folder, _) = fresh();
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    let settings = [("ASSAY_DATA".to_owned(), file.join("data").to_str().unwrap().to_owned())];
    let error = assay::assemble::app(assay::config::check(&settings.into()).unwrap()).err().unwrap();
    assert!(error.to_string().contains(file.to_str().unwrap()), "{error}");
    assay::assemble::app(assay::config::check(&[("ASSAY_DATA".to_owned(), folder.path().to_str().unwrap().to_owned())].into()).unwrap())
        .unwrap();
}
