//! What lies in a copy of a log beside the entries: which keys are needed, copies of checkpoints, what is not of the export,
//! and what is said of all that in words.

use std::{fs, path::Path};

use assay::{
    audit::{Extent, LogFault, LogReport, demo, folder, format::DEMO_NOTICE, log_key::Signer, tlog::Checkpoint},
    tenancy::{ClientPlace, keys::Owner},
};
use serde_json::Value;
use tempfile::TempDir;

use super::audit_export::{OWNER, check, happen, small};
use crate::support::{
    TestApp,
    log_copy::{WHOLE, copy},
    reader::client,
};

fn put(folder: &TempDir, name: &str, bytes: impl AsRef<[u8]>) {
    let path = folder.path().join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, bytes).unwrap();
}

fn checkpoint(folder: &TempDir) -> Vec<u8> {
    fs::read(folder.path().join(folder::CHECKPOINT)).unwrap()
}

#[tokio::test]
async fn which_key_and_which_file_is_missing_is_said() {
    let (folder, keys) = small().await;
    let said = |keys: &[_]| check(folder.path(), keys, None).unwrap_err().to_string();
    let (ed25519, p256): (Vec<_>, Vec<_>) = keys.iter().cloned().partition(|key| !key.is_p256());
    assert!(said(&ed25519).ends_with("ECDSA is missing") && said(&p256).ends_with("Ed25519 is missing"));
    assert!(said(&[]).ends_with("Ed25519 is missing"));
    let tile = folder.path().join("tile/0/000.p/5");
    fs::remove_file(&tile).unwrap();
    assert_eq!(said(&keys), "tile/0/000.p/5 is missing: the checkpoint has 5 entries");
    // A folder of that name is no file that is missing.
    fs::create_dir(&tile).unwrap();
    assert!(matches!(check(folder.path(), &keys, None), Err(LogFault::Read { path, .. }) if path == tile));
    fs::remove_file(folder.path().join(folder::HEADER)).unwrap();
    assert_eq!(said(&keys), "this is not the folder of an audit log: there is no export.json in it");
}

/// A log of five, then of twelve entries, and a copy of each.
async fn grown(test: &TestApp) -> (TempDir, TempDir, Vec<assay::audit::tlog::VerifierKey>) {
    let store = client(test.app()).await;
    happen(&store, 5, "Dana Whitfield").await;
    let (shorter, _) = copy(&store, WHOLE).await;
    happen(&store, 7, "Dana Whitfield").await;
    let (longer, keys) = copy(&store, WHOLE).await;
    (shorter, longer, keys)
}

#[tokio::test]
async fn a_copy_of_a_checkpoint_is_compared_with_the_log_that_it_is_of() {
    let test = TestApp::new();
    let (shorter, longer, keys) = grown(&test).await;
    let (five, twelve) = (checkpoint(&shorter), checkpoint(&longer));
    let apart = |folder: &TempDir, number: u64| {
        let fault = check(folder.path(), &keys, None).unwrap_err();
        assert!(matches!(&fault, LogFault::Apart(name, at) if *name == folder::anchor(number) && *at == number), "{fault}");
        fs::remove_file(folder.path().join(folder::anchor(number))).unwrap();
    };
    put(&longer, &folder::anchor(5), &five);
    put(&longer, &folder::anchor(12), &twelve);
    let report = check(longer.path(), &keys, None).unwrap();
    assert_eq!((report.anchors, report.anchors_of_other_keys, report.others.len()), (2, 0, 0));
    assert!(report.to_string().contains("\nIt extends the 2 copies of its checkpoints that lie in the folder.\n"), "{report}");
    // One of a longer log: entries were taken off this one.
    put(&shorter, &folder::anchor(12), &twelve);
    apart(&shorter, 12);
    // Under another number than its own.
    put(&longer, &folder::anchor(7), &five);
    apart(&longer, 7);
    // Another history of the same length.
    let signer = Signer::of(test.app(), OWNER).await.unwrap();
    let mut other = Checkpoint::parse_note(&five).unwrap();
    other.root = Checkpoint::parse_note(&twelve).unwrap().root;
    put(&longer, &folder::anchor(5), signer.sign(test.app(), &other.text()).await.unwrap());
    apart(&longer, 5);
    // What both keys did not sign is no copy.
    put(&longer, &folder::anchor(5), [&five[..five.len() - 9], b"AAAAAAA=\n"].concat());
    assert!(matches!(check(longer.path(), &keys, None), Err(LogFault::Anchor(name, _)) if name == folder::anchor(5)));
}

#[tokio::test]
async fn a_copy_of_another_logs_checkpoint_is_none_of_this_one_whichever_keys_are_known() {
    let test = TestApp::new();
    let (folder, keys) = {
        let store = client(test.app()).await;
        happen(&store, 5, "Dana Whitfield").await;
        copy(&store, WHOLE).await
    };
    let foreign = Signer::of(test.app(), Owner::Deployment).await.unwrap();
    let one = Checkpoint { origin: foreign.origin().into(), ..Checkpoint::parse_note(&checkpoint(&folder)).unwrap() };
    put(&folder, &folder::anchor(5), foreign.sign(test.app(), &one.text()).await.unwrap());
    let report = check(folder.path(), &keys, None).unwrap();
    assert_eq!((report.anchors, report.anchors_of_other_keys), (0, 1));
    assert!(report.to_string().contains("\nNot compared: 1 copies that were signed by keys which were not given"), "{report}");
    let theirs = foreign.keys(test.app()).await.unwrap();
    let both: Vec<_> = keys.into_iter().chain([theirs.ed25519]).chain(theirs.p256).collect();
    assert!(matches!(check(folder.path(), &both, None), Err(LogFault::Apart(..))));
}

fn others(report: &LogReport) -> Vec<&Path> {
    let mut others: Vec<&Path> = report.others.iter().map(std::path::PathBuf::as_path).collect();
    others.sort_unstable();
    others
}

#[tokio::test]
async fn what_is_not_of_the_export_is_named_whatever_it_looks_like() {
    let (folder, keys) = small().await;
    let report = check(folder.path(), &keys, None).unwrap();
    assert_eq!(others(&report), [] as [&Path; 0]);
    assert!(!report.to_string().contains("Not of this export"), "{report}");
    let foreign = [
        "anchors/5",
        "anchors/five",
        "disclosed/001.jsonl",
        "disclosed/0.jsonl",
        "proofs/000/4.tlog-proof.bak",
        "proofs/000/5.tlog-proof",
        "proofs/001/4.tlog-proof",
        "tile/0/000.p/4",
    ];
    for name in foreign {
        put(&folder, name, "x");
        let report = check(folder.path(), &keys, None).unwrap();
        assert_eq!(others(&report), [Path::new(name)]);
        assert!(report.to_string().contains(&format!("\nNot of this export, and not looked at: {name}\n")), "{report}");
        fs::remove_file(folder.path().join(name)).unwrap();
    }
    // A few are enough to know that somebody was there.
    for n in 0..12 {
        put(&folder, &format!("more/{n}"), "x");
    }
    assert_eq!(check(folder.path(), &keys, None).unwrap().others.len(), 8);
}

#[tokio::test]
async fn a_copy_without_content_or_proofs_says_so_and_theirs_in_it_are_foreign() {
    let test = TestApp::new();
    let store = client(test.app()).await;
    happen(&store, 5, "Dana Whitfield").await;
    let (bare, keys) = copy(&store, Extent { disclose: false, proofs: false }).await;
    let report = check(bare.path(), &keys, None).unwrap();
    let words = report.to_string();
    assert_eq!((report.disclosed, report.erased, report.proofs), (0, 0, 0));
    assert!(words.contains("\nContent is not disclosed.\n") && !words.contains("proofs of single entries"), "{words}");
    assert!(words.contains("\nNo earlier checkpoint was given") && words.contains("\n        5  proposal.approved\n"), "{words}");
    assert!(!words.contains("copies"), "{words}");
    let (whole, _) = copy(&store, WHOLE).await;
    for name in ["disclosed/000.jsonl", "proofs/000/4.tlog-proof"] {
        put(&bare, name, fs::read(whole.path().join(name)).unwrap());
        assert_eq!(others(&check(bare.path(), &keys, None).unwrap()), [Path::new(name)]);
        fs::remove_file(bare.path().join(name)).unwrap();
    }
    let words = check(whole.path(), &keys, None).unwrap().to_string();
    assert!(words.contains("\n5 proofs of single entries hold.\n"), "{words}");
    assert!(words.contains("\nContent is disclosed for 5 of them, and each is what its entry committed to; 0 are erased.\n"), "{words}");
    assert!(!words.contains("Some are open and some erased"), "{words}");
}

#[tokio::test]
async fn from_when_to_when_and_against_what_it_was_held_is_said() {
    let test = TestApp::new();
    let store = client(test.app()).await;
    happen(&store, 5, "Dana Whitfield").await;
    let kept = checkpoint(&copy(&store, WHOLE).await.0);
    let first = test.app().now();
    test.clock.advance(time::Duration::hours(3));
    happen(&store, 7, "Dana Whitfield").await;
    let (folder, keys) = copy(&store, WHOLE).await;
    let report = check(folder.path(), &keys, Some(&kept)).unwrap();
    assert_eq!(report.times, Some((first, first + time::Duration::hours(3))));
    let words = report.to_string();
    assert!(words.contains("\nIt extends the checkpoint that was kept: its first 5 entries are those.\n"), "{words}");
    let rfc3339 = &time::format_description::well_known::Rfc3339;
    let (from, to) = (first.format(rfc3339).unwrap(), (first + time::Duration::hours(3)).format(rfc3339).unwrap());
    assert!(words.contains(&format!("\nFrom {from} to {to}.\n")), "{words}");
}

#[tokio::test]
async fn a_copy_is_a_demos_where_its_header_or_an_entry_says_so_and_no_other_is() {
    for (is_marked, says) in [(false, false), (false, true), (true, false), (true, true)] {
        let test = TestApp::new();
        let store = client(test.app()).await;
        if is_marked {
            demo::mark(&store, ClientPlace::Assessment).await.unwrap();
        }
        happen(&store, 2, "Dana Whitfield").await;
        let (folder, keys) = copy(&store, WHOLE).await;
        let path = folder.path().join(folder::HEADER);
        let mut header: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        header["demo"] = says.into();
        header["notice"] = says.then_some(DEMO_NOTICE).into();
        fs::write(path, header.to_string()).unwrap();
        let report = check(folder.path(), &keys, None).unwrap();
        let words = report.to_string();
        assert_eq!((report.is_demo(), words.starts_with(DEMO_NOTICE)), (is_marked || says, is_marked || says));
        assert_eq!(words.contains("The folder's export.json does not"), is_marked && !says, "{words}");
    }
}
