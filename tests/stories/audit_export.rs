//! An exported log is what it says or is refused in words, and what is wrong is named: at which entry, or against which
//! checkpoint that was kept.

use std::{fs, path::Path};

use assay::{
    audit::{
        self, Event, ExportError, Extent, Known, LogFault, LogReport,
        chain::Hash,
        entry::{Entry, Head, Lease, Placed},
        export, folder, leaf,
        log_key::Signer,
        publisher::Published,
        sequence, tiles,
        tlog::{Checkpoint, Tile, VerifierKey, bundle},
        verify_folder,
        zipped::{Zipped, zipped},
    },
    host::verify::{self, Verification},
    platform::ports::BlobContainer,
    tenancy::{ClientPlace, DeploymentPlace, DeploymentScope, Place, Record, Store, directory::Tenant, keys::Owner, place::AuditPart},
};
use tempfile::TempDir;
use time::Duration;
use uuid::Uuid;

use crate::support::{
    TestApp,
    clock::START,
    events::approval,
    log_copy::{WHOLE, copy, keys},
    reader::{TENANT, client},
};

pub(super) const OWNER: Owner = Owner::Tenant(TENANT);

async fn record(store: &Store<'_, ClientPlace>, count: usize, who: &str) {
    for n in 0..count {
        let mut batch = store.batch(ClientPlace::Assessment);
        audit::record(&mut batch, Event::new("proposal.approved", format!("proposal {n}"), approval(n, who, "")));
        batch.commit().await.unwrap();
    }
}

pub(super) async fn happen(store: &Store<'_, ClientPlace>, count: usize, who: &str) {
    record(store, count, who).await;
    assert!(sequence(store, [ClientPlace::Assessment]).await.unwrap().complete);
    audit::publish(store).await.unwrap();
}

pub(super) fn check(folder: &Path, keys: &[VerifierKey], seen: Option<&[u8]>) -> Result<LogReport, LogFault> {
    verify_folder(folder, Known { keys, seen })
}

pub(super) async fn small() -> (TempDir, Vec<VerifierKey>) {
    let test = TestApp::new();
    let store = client(test.app()).await;
    happen(&store, 5, "Dana Whitfield").await;
    copy(&store, WHOLE).await
}

#[tokio::test]
async fn a_copy_holds_with_both_keys_from_elsewhere_and_says_what_is_in_it() {
    let (folder, keys) = small().await;
    let report = check(folder.path(), &keys, None).unwrap();
    assert_eq!((report.checkpoint.size, report.disclosed, report.erased, report.proofs), (5, 5, 0, 5));
    assert_eq!((report.kinds["proposal.approved"], report.others.len(), report.is_demo()), (5, 0, true));
    assert!(report.to_string().contains("holds: 5 entries, none changed, moved, dropped or repeated."), "{report}");
    let own = fs::read(folder.path().join("checkpoint")).unwrap();
    assert_eq!(check(folder.path(), &keys, Some(&own)).unwrap().seen.unwrap().size, 5);
    for one in &keys {
        assert!(matches!(check(folder.path(), std::slice::from_ref(one), None), Err(LogFault::KeyMissing(_))));
    }
    let (_, others) = small().await;
    // Seeded alike, so drawn alike: another installation's are of another name.
    assert_eq!(keys[0], others[0]);
    let foreign = keys.iter().map(|key| key.to_string().replacen("assay-", "assay-0", 1));
    assert!(foreign.filter_map(|key| key.parse::<VerifierKey>().ok()).all(|key| !keys.contains(&key)));
    fs::write(folder.path().join("keys.txt"), keys[0].to_string()).unwrap();
    assert_eq!(check(folder.path(), &keys, None).unwrap().others, [Path::new("keys.txt")]);
}

/// The entry to which a byte of the bundle belongs, its length included.
fn entry_at(bytes: &[u8], at: usize) -> u64 {
    let mut end = 0;
    let before = bundle::entries(bytes).take_while(|entry| {
        end += entry.unwrap().len() + 2;
        end <= at
    });
    before.count() as u64
}

#[tokio::test]
async fn sau_000_whichever_byte_of_a_bundle_is_changed_the_entry_is_named() {
    let (folder, keys) = small().await;
    let path = folder.path().join(Tile::bundle(0, 5).to_string());
    let good = fs::read(&path).unwrap();
    for at in 0..good.len() {
        let mut bad = good.clone();
        bad[at] ^= 1;
        fs::write(&path, &bad).unwrap();
        let fault = check(folder.path(), &keys, None).unwrap_err();
        let LogFault::Entry { index, .. } = fault else { panic!("{at}: {fault}") };
        assert_eq!(index, entry_at(&good, at), "byte {at}");
        assert!(fault.to_string().starts_with(&format!("entry {index} does not match its level 0 tile")), "{fault}");
    }
    for shorter in [1, good.len() / 2] {
        fs::write(&path, &good[..good.len() - shorter]).unwrap();
        assert!(matches!(check(folder.path(), &keys, None), Err(LogFault::Entry { .. })));
    }
    let four: usize = bundle::entries(&good).take(4).map(|entry| entry.unwrap().len() + 2).sum();
    fs::write(&path, &good[..four]).unwrap();
    assert!(matches!(check(folder.path(), &keys, None), Err(LogFault::Entry { index: 4, .. })));
    fs::write(&path, [&good[..], &[0, 0]].concat()).unwrap();
    assert!(matches!(check(folder.path(), &keys, None), Err(LogFault::Entry { index: 5, .. })));
}

#[tokio::test]
async fn no_byte_of_anything_that_proves_can_change_and_nothing_can_be_missing() {
    let test = TestApp::new();
    let store = client(test.app()).await;
    happen(&store, 300, "Dana Whitfield").await;
    let (folder, keys) = copy(&store, WHOLE).await;
    check(folder.path(), &keys, None).unwrap();
    let files = ["checkpoint", "tile/0/000", "tile/0/001.p/44", "tile/1/000.p/1", "proofs/001/299.tlog-proof", "disclosed/001.jsonl"];
    for name in files {
        let path = folder.path().join(name);
        let good = fs::read(&path).unwrap();
        for at in (0..good.len()).step_by(good.len().div_ceil(24)) {
            let mut bad = good.clone();
            bad[at] ^= 1;
            fs::write(&path, &bad).unwrap();
            check(folder.path(), &keys, None).expect_err(&format!("byte {at} of {name}"));
        }
        fs::remove_file(&path).unwrap();
        let fault = check(folder.path(), &keys, None).unwrap_err();
        assert!(matches!(fault, LogFault::Missing(..) | LogFault::NotALog(_)), "{name}: {fault}");
        fs::write(&path, good).unwrap();
    }
    let fault = {
        let path = folder.path().join("tile/1/000.p/1");
        let good = fs::read(&path).unwrap();
        fs::write(&path, [7; 32]).unwrap();
        let fault = check(folder.path(), &keys, None).unwrap_err();
        fs::write(&path, good).unwrap();
        fault
    };
    assert_eq!(fault.to_string(), "hash 0 of tile/1/000.p/1 is not the one that the tile below it makes: one of the two was changed");
    check(folder.path(), &keys, None).unwrap();
    // Another log's name in the header, and another number of entries.
    let path = folder.path().join("export.json");
    let good = fs::read_to_string(&path).unwrap();
    for (from, to) in [("\"entries\":300", "\"entries\":299"), (&*TENANT.to_string(), "deployment"), ("\"version\":2", "\"version\":3")] {
        fs::write(&path, good.replace(from, to)).unwrap();
        assert!(matches!(check(folder.path(), &keys, None), Err(LogFault::Header(..) | LogFault::Form(_))), "{to}");
    }
}

#[tokio::test]
async fn content_that_was_erased_is_said_to_be_and_no_other_content_can_take_its_place() {
    let (folder, keys) = small().await;
    let path = folder.path().join("disclosed/000.jsonl");
    let good = fs::read_to_string(&path).unwrap();
    let lines: Vec<&str> = good.lines().collect();
    fs::write(&path, good.replace(lines[2], r#"{"index":2,"erased":true}"#)).unwrap();
    let report = check(folder.path(), &keys, None).unwrap();
    assert_eq!((report.disclosed, report.erased), (4, 1));
    assert!(report.to_string().contains("\nErased: entries 2.\n"), "{report}");
    let mixed: String = lines
        .iter()
        .enumerate()
        .map(|(n, line)| match n {
            3 => format!("{line}\n"),
            _ => format!("{{\"index\":{n},\"erased\":true}}\n"),
        })
        .collect();
    fs::write(&path, mixed).unwrap();
    let words = check(folder.path(), &keys, None).unwrap().to_string();
    assert!(words.contains("\nErased: entries 0 to 2, 4.\n"), "{words}");
    for (bad, at) in [
        (good.replace(lines[2], r#"{"index":2,"erased":false}"#), 2),
        (good.replace("Dana", "Dane"), 0),
        (good.replace(&format!("{}\n", lines[2]), ""), 2),
        (good.replace(&format!("{}\n", lines[4]), ""), 4),
        (good.replace(lines[2], lines[1]), 2),
    ] {
        fs::write(&path, bad).unwrap();
        let fault = check(folder.path(), &keys, None).unwrap_err();
        assert!(matches!(fault, LogFault::Disclosed(index) if index == at), "{fault}");
    }
    fs::write(&path, format!("{good}{}\n", r#"{"index":5,"erased":true}"#)).unwrap();
    assert!(matches!(check(folder.path(), &keys, None), Err(LogFault::Form(name)) if name == "disclosed/000.jsonl"));
}

#[tokio::test]
async fn the_log_of_a_client_whose_key_is_gone_is_exported_and_holds_with_its_content_erased() {
    let mut test = TestApp::new();
    let place = tempfile::tempdir().unwrap();
    let keys = {
        let app = test.app();
        let deployment = DeploymentScope::of_function("test", "c").store(app).await.unwrap();
        let mut batch = deployment.batch(DeploymentPlace::Directory);
        batch.create(&Tenant { id: TENANT, name: "Harbor Precision".into(), created_at: START });
        batch.commit().await.unwrap();
        let store = client(app).await;
        happen(&store, 5, "Dana Whitfield").await;
        keys(&store).await
    };
    for file in fs::read_dir(test.folder().join("vault")).unwrap().map(|entry| entry.unwrap().path()) {
        if file.to_string_lossy().contains(&TENANT.to_string()) {
            if file.is_dir() { fs::remove_dir_all(file).unwrap() } else { fs::remove_file(file).unwrap() }
        }
    }
    test.restart();
    let out = place.path().join("log");
    export(test.app(), OWNER, [], &out, WHOLE).await.unwrap();
    let report = check(&out, &keys, None).unwrap();
    assert_eq!((report.checkpoint.size, report.disclosed, report.erased, report.proofs), (5, 0, 5, 5));
    assert!(!report.to_string().contains("Erased: entries"), "all of it went with the key: {report}");
    assert!(!fs::read_to_string(out.join("disclosed/000.jsonl")).unwrap().contains("Dana"));
}

/// Takes the whole log out of the store, as somebody could who holds it.
async fn wipe(store: &Store<'_, ClientPlace>) {
    async fn all_of<T: Record>(store: &Store<'_, ClientPlace>, place: ClientPlace) {
        for held in store.all::<T>(place, "").await.unwrap() {
            let mut batch = store.batch(place);
            batch.delete(&held);
            batch.commit().await.unwrap();
        }
    }
    let (head, entries) = (ClientPlace::audit(AuditPart::Head), ClientPlace::audit(AuditPart::Entries(0)));
    all_of::<Head>(store, head).await;
    all_of::<Published>(store, head).await;
    all_of::<Entry>(store, entries).await;
    all_of::<Placed>(store, entries).await;
    let blobs = &store.app().blobs;
    for name in blobs.list(BlobContainer::Log, &format!("{OWNER}/"), None).await.unwrap().names {
        blobs.delete(BlobContainer::Log, &name).await.unwrap();
    }
}

#[tokio::test]
async fn sau_003_a_log_that_was_written_anew_with_its_own_keys_holds_alone_and_not_against_a_kept_checkpoint() {
    let test = TestApp::new();
    let store = client(test.app()).await;
    happen(&store, 12, "Dana Whitfield").await;
    let (honest, keys) = copy(&store, WHOLE).await;
    let kept = fs::read(honest.path().join("checkpoint")).unwrap();
    wipe(&client(&test.insider()).await).await;
    happen(&store, 15, "Nobody").await;
    let (rewritten, _) = copy(&store, WHOLE).await;
    check(rewritten.path(), &keys, None).expect("alone it holds");
    let fault = check(rewritten.path(), &keys, Some(&kept)).unwrap_err();
    assert!(matches!(fault, LogFault::Rewritten { seen: 12, .. }), "{fault}");
    assert!(fault.to_string().starts_with("REWRITTEN HISTORY"));
    // What the honest log went on to be does hold against it.
    check(honest.path(), &keys, Some(&kept)).unwrap();
}

#[tokio::test]
async fn sau_004_entries_that_were_taken_off_and_the_rest_signed_again_are_a_rollback() {
    let test = TestApp::new();
    let store = client(test.app()).await;
    happen(&store, 12, "Dana Whitfield").await;
    let (shorter, keys) = copy(&store, WHOLE).await;
    happen(&store, 10, "Dana Whitfield").await;
    let (whole, _) = copy(&store, WHOLE).await;
    let kept = fs::read(whole.path().join("checkpoint")).unwrap();
    // The rest, signed again now.
    let signer = Signer::of(test.app(), OWNER).await.unwrap();
    let old = Checkpoint::open(&fs::read(shorter.path().join("checkpoint")).unwrap(), &[signer.ed25519()]).unwrap();
    let note = signer.sign(test.app(), &old.text()).await.unwrap();
    fs::remove_dir_all(shorter.path().join("proofs")).unwrap();
    let header = fs::read_to_string(shorter.path().join(folder::HEADER)).unwrap();
    fs::write(shorter.path().join(folder::HEADER), header.replace("\"proofs\":true", "\"proofs\":false")).unwrap();
    fs::write(shorter.path().join("checkpoint"), note).unwrap();
    check(shorter.path(), &keys, None).expect("alone it holds");
    let fault = check(shorter.path(), &keys, Some(&kept)).unwrap_err();
    assert!(matches!(fault, LogFault::Rollback { seen: 22, size: 12 }), "{fault}");
    assert!(fault.to_string().starts_with("ROLLBACK"));
}

#[tokio::test]
async fn sau_006_two_checkpoints_of_one_size_are_a_split_view_with_both_as_evidence() {
    let test = TestApp::new();
    let store = client(test.app()).await;
    happen(&store, 5, "Dana Whitfield").await;
    let (folder, keys) = copy(&store, WHOLE).await;
    let signer = Signer::of(test.app(), OWNER).await.unwrap();
    let other = Checkpoint { origin: signer.origin().into(), size: 5, root: Hash::from_bytes([9; 32]) };
    let kept = signer.sign(test.app(), &other.text()).await.unwrap();
    let fault = check(folder.path(), &keys, Some(kept.as_bytes())).unwrap_err();
    let ours = fs::read_to_string(folder.path().join("checkpoint")).unwrap();
    assert!(
        fault.to_string().starts_with("SPLIT VIEW") && fault.to_string().contains(&kept) && fault.to_string().contains(&ours),
        "{fault}"
    );
    // One that nobody signed is no evidence of anything.
    let unsigned = kept.replacen("\n5\n", "\n6\n", 1);
    assert!(matches!(check(folder.path(), &keys, Some(unsigned.as_bytes())), Err(LogFault::Seen(_))));
}

#[tokio::test]
async fn sau_030_an_entry_that_no_bundle_can_hold_never_gets_a_place_and_a_large_content_goes_by_its_hash() {
    let mut bytes = Vec::new();
    assert!(bundle::push(&mut bytes, &vec![0; 65_536]).is_err() && bytes.is_empty());
    let test = TestApp::new();
    let store = client(test.app()).await;
    let mut batch = store.batch(ClientPlace::Assessment);
    audit::record(&mut batch, Event::new("proposal.approved", "x".repeat(70_000), approval(1, "", &"x".repeat(70_000))));
    batch.commit().await.unwrap();
    assert!(sequence(&store, [ClientPlace::Assessment]).await.unwrap().complete);
    audit::publish(&store).await.unwrap();
    let entry = store.read::<Entry>(ClientPlace::audit(AuditPart::Entries(0)), &audit::entry::entry_key(0)).await.unwrap().unwrap().value;
    assert!(entry.leaf.len() < leaf::MAX_LEAF_BYTES / 8 && entry.content.len() < 1000 && entry.content.contains("sha256"));
    let (folder, keys) = copy(&store, WHOLE).await;
    check(folder.path(), &keys, None).unwrap();
}

#[tokio::test]
async fn an_export_stands_itself_in_the_log_it_exports_and_appears_whole_or_not_at_all() {
    let test = TestApp::new();
    let app = test.app();
    let place = tempfile::tempdir().unwrap();
    let out = place.path().join("log");
    let deployment = DeploymentScope::of_function("test", "c").store(app).await.unwrap();
    let missing = export(app, OWNER, [], &out, WHOLE).await.unwrap_err();
    assert!(missing.to_string().starts_with("there is no client"));
    let mut batch = deployment.batch(DeploymentPlace::Directory);
    batch.create(&Tenant { id: TENANT, name: "Harbor Precision".into(), created_at: START });
    batch.commit().await.unwrap();
    let store = client(app).await;
    record(&store, 3, "Dana Whitfield").await;

    // A run took the lease and died.
    let mut batch = store.batch(ClientPlace::audit(AuditPart::Head));
    let lease = Some(Lease::new(Uuid::from_u128(9), app.now()));
    batch.create(&Head { lease, ..Head::new(OWNER, Uuid::from_u128(1), app.now()) });
    batch.commit().await.unwrap();
    let refused = export(app, OWNER, [], &out, WHOLE).await.unwrap_err();
    assert!(refused.to_string().starts_with("3 of this log's entries still wait"), "{refused}");
    assert_eq!(fs::read_dir(place.path()).unwrap().count(), 0, "an older log would verify too");

    test.clock.advance(Duration::seconds(31));
    let exported = export(app, OWNER, [], &out, WHOLE).await.unwrap();
    let keys = keys(&store).await;
    assert_eq!(keys[0], exported.keys.ed25519);
    let report = check(&out, &keys, None).unwrap();
    assert_eq!((&report.checkpoint, report.checkpoint.size, report.kinds["log.exported"]), (&exported.checkpoint, 4, 1));
    assert_eq!(fs::read_dir(place.path()).unwrap().count(), 1);
    let there = export(app, OWNER, [], &out, WHOLE).await.unwrap_err();
    assert!(there.to_string().ends_with("name a folder that is not"), "{there}");

    let (installation, proofs) = (place.path().join("installation"), Extent { disclose: false, proofs: false });
    let exported = export(app, Owner::Deployment, [DeploymentPlace::Operations], &installation, proofs).await.unwrap();
    let keys: Vec<_> = [exported.keys.ed25519].into_iter().chain(exported.keys.p256).collect();
    let report = check(&installation, &keys, None).unwrap();
    assert_eq!((report.header.owner.as_str(), report.disclosed, report.proofs, report.kinds["log.key-made"]), ("deployment", 0, 0, 1));
}

#[tokio::test]
async fn a_copy_that_is_too_large_with_the_proofs_of_single_entries_is_packed_without_them_and_says_so() {
    let test = TestApp::new();
    let store = client(test.app()).await;
    happen(&store, 40, "Dana Whitfield").await;
    let (_, keys) = copy(&store, WHOLE).await;
    let whole = zipped(&store, true, "log", usize::MAX).await.unwrap();
    assert!(whole.proofs);
    let unpacked = |zipped: Zipped| zip::ZipArchive::new(std::io::Cursor::new(zipped.bytes)).unwrap();
    let mut all = unpacked(whole);
    let sizes = (0..all.len()).map(|n| all.by_index(n).map(|file| (file.name().unwrap().contains("/proofs/"), file.size())).unwrap());
    let of_others: u64 = sizes.filter(|(is_proof, _)| !is_proof).map(|(_, size)| size).sum();
    // The guide is longer by the words that say so.
    let packed = zipped(&store, true, "log", usize::try_from(of_others).unwrap() + 500).await.unwrap();
    assert!(!packed.proofs);
    let folder = tempfile::tempdir().unwrap();
    unpacked(packed).extract(folder.path()).unwrap();
    let log = folder.path().join("log");
    let report = check(&log, &keys, None).unwrap();
    assert_eq!((report.checkpoint.size, report.disclosed, report.proofs), (40, 40, 0));
    assert!(fs::read_to_string(log.join("VERIFY.md")).unwrap().contains("The proofs of single entries are left out"));
    let refused = zipped(&store, true, "log", 1000).await.err().unwrap();
    assert!(matches!(refused, ExportError::Write(error) if error.kind() == std::io::ErrorKind::FileTooLarge));
}

#[tokio::test]
async fn what_shall_judge_a_copy_is_not_taken_out_of_it() {
    let (folder, keys) = small().await;
    let elsewhere = tempfile::tempdir().unwrap();
    let kept = elsewhere.path().join("checkpoint");
    fs::copy(folder.path().join("checkpoint"), &kept).unwrap();
    let lines: Vec<String> = keys.iter().map(ToString::to_string).collect();
    for file in [elsewhere.path().join("keys"), folder.path().join("keys")] {
        fs::write(file, lines.join("\n")).unwrap();
    }
    let paths = [folder.path().to_owned()];
    let run = |keys: &Path, seen: &Path| {
        let (mut said, keys) = (String::new(), [keys.display().to_string()]);
        let said_by = std::cell::RefCell::new(&mut said);
        let outcome = verify::run(&Verification { paths: &paths, keys: &keys, witnesses: &[], seen: Some(seen) }, |words| {
            said_by.borrow_mut().push_str(words);
        });
        outcome.map(|()| said).map_err(|error| error.to_string())
    };
    let keys = elsewhere.path().join("keys");
    assert!(run(&keys, &kept).unwrap().contains("It is the log of the checkpoint that was kept."));
    let inside = run(&keys, &folder.path().join("checkpoint")).unwrap_err();
    assert!(inside.ends_with("Take the checkpoint that was kept from another place"), "{inside}");
    let inside = run(&folder.path().join("keys"), &kept).unwrap_err();
    assert!(inside.ends_with("Take the keys from another place"), "{inside}");
    assert!(run(&keys, &elsewhere.path().join("nothing")).unwrap_err().ends_with("nothing cannot be read"));
    // As they are copied from the page, each with its fingerprint behind it; and a line that is none is named.
    fs::write(&keys, lines.iter().map(|line| format!("{line} fingerprint c924fd48 orchid-canyon")).collect::<Vec<_>>().join("\n")).unwrap();
    run(&keys, &kept).unwrap();
    fs::write(&keys, "Keys to verify a copy with\n").unwrap();
    let wrong = run(&keys, &kept).unwrap_err();
    assert!(wrong.ends_with("one a line: \u{201c}Keys to verify a copy with\u{201d}"), "{wrong}");
    let nowhere = Verification { paths: &[elsewhere.path().join("audit-1")], keys: &lines, witnesses: &[], seen: None };
    let nowhere = verify::run(&nowhere, |_| {}).unwrap_err().to_string();
    assert!(nowhere.starts_with("there is nothing at ") && nowhere.ends_with("audit-1"), "{nowhere}");
}

#[tokio::test]
async fn a_copy_of_a_log_whose_partial_tiles_went_meanwhile_is_cut_from_the_full_ones() {
    let test = TestApp::new();
    let store = client(test.app()).await;
    happen(&store, 250, "Dana Whitfield").await;
    let name = tiles::name(OWNER, tiles::CHECKPOINT);
    let old = test.app().blobs.read_held(BlobContainer::Log, &name).await.unwrap().unwrap();
    happen(&store, 30, "Dana Whitfield").await;
    // As another process reads it that was slow.
    let new = test.app().blobs.read_held(BlobContainer::Log, &name).await.unwrap().unwrap();
    let _ = test.app().blobs.replace(BlobContainer::Log, &name, old.bytes, Some(new.etag)).await.unwrap();
    let (folder, keys) = copy(&store, WHOLE).await;
    assert_eq!(check(folder.path(), &keys, None).unwrap().checkpoint.size, 250);
}
