//! The log as outsiders get it: the same tiles and one history, whatever call fails, whoever else runs, whatever lies there.

use std::{collections::BTreeSet, sync::Arc};

use assay::{
    app::App,
    audit::{
        self, Event, PublishError,
        anchor::{self, Anchored},
        chain::Hash,
        entry::{Entry, HEAD_KEY, Head},
        leaf,
        log_key::Signer,
        publisher::Published,
        request, sequence, tiles,
        tlog::{Checkpoint, Tile, VerifierKey, bundle, merkle, proof::Plan, proof::extends},
    },
    connectors::demo,
    platform::ports::{BlobContainer, Retention},
    tenancy::{ClientPlace, DeploymentPlace, DeploymentScope, Place, Record, Store, keys::Owner, place::AuditPart},
};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tempfile::TempDir;
use time::Duration;

use crate::support::{
    TestApp,
    clock::{START, VirtualClock},
    disk,
    events::approval,
    faults::Fault,
    flow::{Extent, Flow, HARBOR, deliveries_of},
    log_copy,
    reader::{TENANT, client},
};

type Client<'a> = Store<'a, ClientPlace>;

const OWNER: Owner = Owner::Tenant(TENANT);

/// Records `count` items and gives them their places.
async fn happen(store: &Client<'_>, count: usize) {
    let mut left = count;
    while left > 0 {
        let mut batch = store.batch(ClientPlace::Assessment);
        for n in 0..left.min(50) {
            audit::record(&mut batch, Event::new("proposal.approved", format!("proposal {n}"), approval(n, "Dana Whitfield", "")));
        }
        batch.commit().await.unwrap();
        left -= left.min(50);
    }
    assert!(sequence(store, [ClientPlace::Assessment]).await.unwrap().complete);
}

/// What an outsider finds, checked from the bundles up: every tile that the checkpoint needs, and nothing in them that the
/// entries do not make. Gives the checkpoint and the entries.
async fn found(app: &App, owner: Owner) -> (Checkpoint, Vec<Bytes>) {
    let signer = Signer::of(app, owner).await.unwrap();
    let keys = signer.keys(app).await.unwrap();
    let note = app.blobs.read(BlobContainer::Log, &tiles::name(owner, tiles::CHECKPOINT)).await.unwrap().expect("a checkpoint");
    let checkpoint = Checkpoint::open(&note, &[&keys.ed25519, &keys.p256[0]]).unwrap();
    let mut entries = Vec::new();
    for tile in Tile::all(checkpoint.size) {
        let name = tiles::name(owner, tile);
        let bytes = app.blobs.read(BlobContainer::Log, &name).await.unwrap().unwrap_or_else(|| panic!("{name} is missing"));
        let Some(level) = tile.level() else {
            let mine: Vec<Bytes> = bundle::entries(&bytes).map(|entry| Bytes::copy_from_slice(entry.unwrap())).collect();
            assert_eq!(mine.len(), tile.width());
            entries.extend(mine);
            continue;
        };
        let span = 256_usize.pow(level.into());
        let leaves: Vec<Hash> = entries.iter().map(|entry| merkle::leaf(entry)).collect();
        let from = usize::try_from(tile.index()).unwrap() * 256 * span;
        let expected: Vec<Hash> = (0..tile.width()).map(|n| merkle::root(&leaves[from + n * span..from + (n + 1) * span])).collect();
        assert_eq!(tiles::hashes(&tile, &bytes).unwrap(), expected, "{name}");
    }
    let leaves: Vec<Hash> = entries.iter().map(|entry| merkle::leaf(entry)).collect();
    assert_eq!((leaves.len() as u64, merkle::root(&leaves)), (checkpoint.size, checkpoint.root));
    (checkpoint, entries)
}

async fn names(app: &App, container: BlobContainer) -> BTreeSet<String> {
    let (mut names, mut after) = (BTreeSet::new(), None);
    loop {
        let page = app.blobs.list(container, "", after.as_ref()).await.unwrap();
        names.extend(page.names);
        match page.next {
            Some(next) => after = Some(next),
            None => return names,
        }
    }
}

async fn kinds(store: &Client<'_>) -> Vec<String> {
    let entries = store.all::<Entry>(ClientPlace::Log(AuditPart::Entries(0)), "").await.unwrap();
    entries.iter().map(|entry| leaf::read(&entry.value.leaf).unwrap().kind).collect()
}

#[tokio::test]
async fn a_log_that_grows_is_published_whole_and_every_checkpoint_extends_the_one_before() {
    let test = TestApp::new();
    let store = client(test.app()).await;
    assert_eq!(audit::publish(&store).await.unwrap(), None);
    let mut before: Option<Checkpoint> = None;
    for more in [1, 4, 250, 1, 1, 300, 47] {
        happen(&store, more).await;
        audit::publish(&store).await.unwrap();
        let (checkpoint, entries) = found(test.app(), OWNER).await;
        assert!(entries.iter().all(|entry| !String::from_utf8_lossy(entry).contains("Dana")));
        if let Some(before) = before {
            let plan = Plan::consistency(before.size, checkpoint.size).unwrap();
            let proof = tiles::carry_out(test.app(), OWNER, &plan).await.unwrap().unwrap();
            assert!(extends(before.size, &before.root, checkpoint.size, &checkpoint.root, &proof));
            assert_eq!(before.origin, checkpoint.origin);
        }
        before = Some(checkpoint);
    }
    assert_eq!(before.map(|checkpoint| checkpoint.size), Some(604));
    // What stood for the last entries went as soon as they stood in a full one.
    let partial: Vec<String> = names(test.app(), BlobContainer::Log).await.into_iter().filter(|name| name.contains(".p/")).collect();
    assert!(partial.iter().all(|name| name.contains("/002.p/") || name.contains("tile/1/000.p/")), "{partial:?}");

    let before = names(test.app(), BlobContainer::Log).await;
    let calls = test.faults.count();
    audit::publish(&store).await.unwrap();
    assert_eq!(names(test.app(), BlobContainer::Log).await, before);
    let idle = test.faults.calls().split_off(calls);
    assert!(idle.len() <= 3 && idle.iter().all(|call| !["documents.batch", "blobs.create", "blobs.replace"].contains(call)), "{idle:?}");
}

/// Three entries are published, and so many have their places behind them: made once, and copied for each call.
async fn published_and_more(more: usize) -> TempDir {
    let test = TestApp::new();
    let store = client(test.app()).await;
    happen(&store, 3).await;
    audit::publish(&store).await.unwrap();
    happen(&store, more).await;
    drop(store);
    test.closed()
}

fn copied(ready: &TempDir) -> TestApp {
    let folder = tempfile::tempdir().unwrap();
    disk::copy(ready.path(), folder.path());
    TestApp::on(folder, VirtualClock::default(), 2, &[])
}

#[tokio::test]
async fn whatever_call_of_a_publication_is_the_last_the_next_process_ends_with_the_same_bytes() {
    let undisturbed = {
        let test = TestApp::new();
        let store = client(test.app()).await;
        for more in [3, 256] {
            happen(&store, more).await;
            audit::publish(&store).await.unwrap();
        }
        (found(test.app(), OWNER).await, names(test.app(), BlobContainer::Log).await)
    };
    let ready = published_and_more(256).await;
    for fault in [Fault::BeforeEffect, Fault::AnswerLost] {
        for call in 0.. {
            let mut test = copied(&ready);
            let store = client(test.app()).await;
            test.faults.stop_at(call, fault);
            let outcome = audit::publish(&store).await;
            let struck = test.faults.struck();
            drop(store);
            test.faults.mend();
            test.restart();
            if !struck {
                outcome.unwrap();
                assert!(call > 12, "{call}");
                break;
            }
            audit::publish(&client(test.app()).await).await.unwrap();
            let end = found(test.app(), OWNER).await;
            assert_eq!(end, undisturbed.0, "{fault:?} at {call}");
            // Partial tiles that nobody needs any more may stay.
            let names = names(test.app(), BlobContainer::Log).await;
            assert!(names.is_superset(&undisturbed.1), "{fault:?} at {call}");
            assert!(names.difference(&undisturbed.1).all(|name| name.contains("000.p/")), "{fault:?} at {call}: {names:?}");
        }
    }
}

#[tokio::test]
async fn sau_025_two_publishers_at_once_end_with_one_order_and_no_fork() {
    for call in 0.. {
        // Not a copy: a process that has its keys in memory. Two that fetch one key wait for each other, and one is held here.
        let test = TestApp::new();
        let store = client(test.app()).await;
        happen(&store, 3).await;
        audit::publish(&store).await.unwrap();
        happen(&store, 255).await;
        let hold = test.faults.hold_at(call);
        let second = async {
            hold.reached().await;
            let struck = hold.struck();
            let store = client(test.app()).await;
            happen(&store, 2).await;
            audit::publish(&store).await.unwrap();
            let ahead = found(test.app(), OWNER).await;
            hold.let_go();
            (struck, ahead)
        };
        let first = async {
            audit::publish(&store).await.unwrap();
            hold.let_go();
        };
        let ((), (struck, ahead)) = tokio::join!(first, second);
        assert_eq!(ahead.0.size, 260);
        assert_eq!(found(test.app(), OWNER).await, ahead, "held at {call}");
        let published = store.read::<Published>(ClientPlace::audit(AuditPart::Head), HEAD_KEY).await.unwrap().unwrap().value;
        assert_eq!((published.tree.root(), published.alarm), (ahead.0.root, None), "held at {call}");
        if !struck {
            assert!(call > 12, "{call}");
            break;
        }
    }
}

#[tokio::test]
async fn nothing_is_published_over_other_bytes_and_it_is_said_in_the_log_until_they_are_put_right() {
    let test = TestApp::new();
    let store = client(test.app()).await;
    happen(&store, 5).await;
    audit::publish(&store).await.unwrap();
    let good = found(test.app(), OWNER).await;
    // Somebody writes what the next publication would.
    let planted = tiles::name(OWNER, "tile/entries/000.p/7");
    test.app().blobs.create(BlobContainer::Log, &planted, "forged".into()).await.unwrap();
    happen(&store, 2).await;
    let error = audit::publish(&store).await.unwrap_err();
    assert!(
        matches!(&error, PublishError::Alarm { what, .. } if what.starts_with("tile/entries/000.p/7 lies there with other bytes")),
        "{error}"
    );
    assert!(!error.is_transient());
    assert_eq!(test.app().blobs.read(BlobContainer::Log, &planted).await.unwrap().unwrap(), "forged");
    assert_eq!(found(test.app(), OWNER).await, good, "the checkpoint stays where it was");
    assert_eq!(kinds(&store).await.last().unwrap(), "log.alarm");
    // With the alarm's own entry there are more, so other names; it is said again and not written again.
    let again = audit::publish(&store).await;
    let count = kinds(&store).await.iter().filter(|kind| *kind == "log.alarm").count();
    assert_eq!(count, 1);
    // An eighth entry stands in another bundle's name, so the log goes on by itself; the forged name is never used.
    assert_eq!(again.unwrap().unwrap().size, 8);
    assert_eq!(found(test.app(), OWNER).await.0.size, 8);
    let published = store.read::<Published>(ClientPlace::audit(AuditPart::Head), HEAD_KEY).await.unwrap().unwrap().value;
    assert_eq!(published.alarm, None);
}

#[tokio::test]
async fn an_entry_that_was_changed_in_the_store_or_a_foreign_checkpoint_stops_the_publication() {
    for change in ["entry", "new entry", "head", "checkpoint"] {
        let test = TestApp::new();
        let store = client(test.app()).await;
        happen(&store, 5).await;
        audit::publish(&store).await.unwrap();
        let good = found(test.app(), OWNER).await;
        happen(&store, 2).await;
        let expected = match change {
            "entry" | "new entry" => {
                let seq = if change == "entry" { 2 } else { 6 };
                let place = ClientPlace::Log(AuditPart::Entries(0));
                let mut held = store.read::<Entry>(place, &audit::entry::entry_key(seq)).await.unwrap().unwrap();
                held.value.leaf = held.value.leaf.replace("proposal.approved", "proposal.rejected");
                let insider = test.insider();
                let store = client(&insider).await;
                let mut batch = store.batch(place);
                batch.replace(&held);
                batch.commit().await.unwrap();
                if change == "entry" {
                    "entry 2 in the store is not the one that was published"
                } else {
                    "entry 6 in the store was changed"
                }
            }
            "head" => {
                let place = ClientPlace::audit(AuditPart::Head);
                let mut held = store.read::<Head>(place, HEAD_KEY).await.unwrap().unwrap();
                held.value.next = 3;
                let mut batch = store.batch(place);
                batch.replace(&held);
                batch.commit().await.unwrap();
                "the store knows 3 entries, and 5 are published"
            }
            _ => {
                let name = tiles::name(OWNER, tiles::CHECKPOINT);
                let held = test.app().blobs.read_held(BlobContainer::Log, &name).await.unwrap().unwrap();
                let note = String::from_utf8(held.bytes.to_vec()).unwrap().replacen("\n5\n", "\n4\n", 1);
                let _ = test.app().blobs.replace(BlobContainer::Log, &name, note.into(), Some(held.etag)).await.unwrap();
                "the checkpoint that lies there is not ours"
            }
        };
        let error = audit::publish(&store).await.unwrap_err();
        assert!(error.to_string().contains(expected), "{change}: {error}");
        if change != "checkpoint" {
            assert_eq!(found(test.app(), OWNER).await, good, "{change}");
        }
        // It is tried every minute; the log is not filled with it.
        for _ in 0..3 {
            drop(audit::publish(&store).await);
        }
        let said = kinds(&store).await.iter().filter(|kind| *kind == "log.alarm").count();
        assert!(said <= 1, "{change}: {said} times");
    }
}

#[tokio::test]
async fn an_earlier_state_of_the_store_behind_a_published_checkpoint_is_an_alarm() {
    let test = TestApp::new();
    let store = client(test.app()).await;
    happen(&store, 5).await;
    audit::publish(&store).await.unwrap();
    let name = tiles::name(OWNER, tiles::CHECKPOINT);
    let before = store.read::<Published>(ClientPlace::audit(AuditPart::Head), HEAD_KEY).await.unwrap().unwrap().value;
    happen(&store, 2).await;
    audit::publish(&store).await.unwrap();
    let ahead = test.app().blobs.read(BlobContainer::Log, &name).await.unwrap().unwrap();
    // As a restored database has it: five entries published, and nothing of the two.
    let published = store.read::<Published>(ClientPlace::audit(AuditPart::Head), HEAD_KEY).await.unwrap().unwrap();
    let mut head = store.read::<Head>(ClientPlace::audit(AuditPart::Head), HEAD_KEY).await.unwrap().unwrap();
    head.value.next = 5;
    let mut batch = store.batch(ClientPlace::audit(AuditPart::Head));
    batch.replace(&assay::tenancy::Held { value: before, etag: published.etag });
    batch.replace(&head);
    batch.commit().await.unwrap();
    let error = audit::publish(&store).await.unwrap_err();
    assert!(error.to_string().contains("a checkpoint of 7 entries is published, and the store knows 5"), "{error}");
    assert_eq!(test.app().blobs.read(BlobContainer::Log, &name).await.unwrap().unwrap(), ahead);
}

#[tokio::test]
async fn the_entries_of_an_earlier_release_become_the_log_once_and_the_log_says_what_it_was() {
    let (ready, old) = {
        let test = TestApp::new();
        let store = client(test.app()).await;
        happen(&store, 300).await;
        // The release before knew the chain alone.
        let place = ClientPlace::audit(AuditPart::Head);
        let mut held = store.read::<Head>(place, HEAD_KEY).await.unwrap().unwrap();
        held.value.publishes = false;
        let old = held.value.clone();
        let mut batch = store.batch(place);
        batch.replace(&held);
        batch.commit().await.unwrap();
        drop(store);
        (test.closed(), old)
    };
    for call in 0.. {
        let mut test = copied(&ready);
        let store = client(test.app()).await;
        test.faults.stop_at(call, Fault::AnswerLost);
        let outcome = audit::publish(&store).await;
        let struck = test.faults.struck();
        drop(store);
        test.faults.mend();
        test.restart();
        test.clock.advance(Duration::seconds(31));
        let store = client(test.app()).await;
        audit::publish(&store).await.unwrap();
        let (checkpoint, entries) = found(test.app(), OWNER).await;
        assert_eq!(checkpoint.size, 301, "stopped at {call}");
        let last =
            store.read::<Entry>(ClientPlace::Log(AuditPart::Entries(0)), &audit::entry::entry_key(300)).await.unwrap().unwrap().value;
        assert_eq!((last.leaf.as_bytes(), last.previous), (&entries[300][..], old.hash));
        assert_eq!(leaf::read(&last.leaf).unwrap().kind, "log.migrated");
        let content: serde_json::Value = serde_json::from_str(&last.content).unwrap();
        assert_eq!(content["detail"], json!({ "entries": 300, "head": old.hash }));
        if !struck {
            outcome.unwrap();
            assert!(call > 15, "{call}");
            break;
        }
    }
}

#[tokio::test]
async fn a_checkpoint_stands_within_a_minute_of_an_event_and_one_message_does_for_many() {
    let mut flow = Flow::new(Extent::Small).await;
    let deliveries = deliveries_of(demo::CONNECTWISE, START);
    flow.vendor_sends(&deliveries[0]).await;
    flow.pump().await;
    flow.vendor_sends(&deliveries[1]).await;
    flow.pump().await;
    flow.pass(Duration::seconds(60)).await;
    for owner in [Owner::Tenant(HARBOR), Owner::Deployment] {
        let (checkpoint, entries) = found(flow.app(), owner).await;
        assert!(checkpoint.size > 0 && entries.len() as u64 == checkpoint.size);
    }
    let (of_client, _) = found(flow.app(), Owner::Tenant(HARBOR)).await;
    let waiting = audit::trail::page(&flow.client(HARBOR).await, ClientPlace::with_outbox(), None).await.unwrap();
    assert_eq!((waiting.waiting.len(), waiting.total), (0, of_client.size));

    // Many events, one message.
    flow.settle().await;
    let calls = flow.test.faults.count();
    let store = flow.client(HARBOR).await;
    for n in 0..20 {
        let mut batch = store.batch(ClientPlace::Assessment);
        audit::record(&mut batch, Event::new("proposal.approved", format!("proposal {n}"), approval(n, "", "")));
        batch.commit().await.unwrap();
        request::send(flow.app()).await;
    }
    let sent = flow.test.faults.calls().split_off(calls).into_iter().filter(|call| *call == "queue.send").count();
    assert_eq!(sent, 1);
}

#[tokio::test]
async fn the_newest_checkpoint_is_copied_every_quarter_of_an_hour_and_a_copy_is_never_written_over() {
    let test = TestApp::new();
    let store = client(test.app()).await;
    anchor::anchor(&store).await.unwrap();
    assert!(names(test.app(), BlobContainer::Anchors).await.is_empty(), "there is nothing to copy");
    let mut expected = BTreeSet::new();
    for (minutes, more, copied) in [(0, 3, true), (5, 1, false), (10, 1, true), (15, 0, false), (5, 1, true)] {
        test.clock.advance(Duration::minutes(minutes));
        happen(&store, more).await;
        audit::publish(&store).await.unwrap();
        anchor::anchor(&store).await.unwrap();
        let (checkpoint, _) = found(test.app(), OWNER).await;
        let name = tiles::name(OWNER, format_args!("{:020}", checkpoint.size));
        if copied {
            expected.insert(name.clone());
            expected.insert(tiles::name(OWNER, format_args!("newest/{:020}", u64::MAX - checkpoint.size)));
            let note = test.app().blobs.read(BlobContainer::Anchors, &name).await.unwrap().unwrap();
            let signer = Signer::of(test.app(), OWNER).await.unwrap();
            assert_eq!(Checkpoint::open(&note, &[signer.ed25519()]).unwrap(), checkpoint);
            let anchored = store.read::<Anchored>(ClientPlace::audit(AuditPart::Head), anchor::KEY).await.unwrap().unwrap().value;
            assert_eq!((anchored.size, anchored.at), (checkpoint.size, test.app().now()));
        }
        assert_eq!(names(test.app(), BlobContainer::Anchors).await, expected, "after {minutes} more minutes");
    }
    // One that says something else is left as it is.
    test.clock.advance(Duration::minutes(20));
    happen(&store, 1).await;
    audit::publish(&store).await.unwrap();
    let name = tiles::name(OWNER, format_args!("{:020}", 7));
    test.app().blobs.create(BlobContainer::Anchors, &name, "assay/other\n7\n\n".into()).await.unwrap();
    anchor::anchor(&store).await.unwrap_err();
    assert_eq!(test.app().blobs.read(BlobContainer::Anchors, &name).await.unwrap().unwrap(), "assay/other\n7\n\n");
}

#[tokio::test]
async fn a_log_that_is_shorter_than_its_anchor_or_another_one_is_an_alarm_once_until_it_agrees_again() {
    let mut test = TestApp::new();
    {
        let store = client(test.app()).await;
        happen(&store, 5).await;
        audit::publish(&store).await.unwrap();
        anchor::anchor(&store).await.unwrap();
        let report = log_copy::verified(&store, log_copy::WHOLE).await.unwrap();
        assert_eq!((report.anchors, report.others.len()), (1, 0), "the export carries it");
    }
    // The anchor of a state that the store knows nothing of any more: database and log were put back together.
    let signer = Signer::of(test.app(), OWNER).await.unwrap();
    let ahead = Checkpoint { origin: signer.origin().into(), size: 9, root: Hash::from_bytes([7; 32]) };
    let note = signer.sign(test.app(), &ahead.text()).await.unwrap();
    let names = [format!("{:020}", 9), format!("newest/{:020}", u64::MAX - 9)].map(|name| tiles::name(OWNER, name));
    for name in &names {
        let _ = test.app().blobs.create(BlobContainer::Anchors, name, note.clone().into()).await.unwrap();
    }
    for restarts in 0..2 {
        test.restart();
        test.clock.advance(Duration::minutes(61));
        let store = client(test.app()).await;
        let error = anchor::anchor(&store).await.unwrap_err();
        let expected = "a checkpoint of 9 entries was copied away, and the log has";
        assert!(error.to_string().contains(expected), "{error}");
        assert!(sequence(&store, []).await.unwrap().complete);
        let said = kinds(&store).await.iter().filter(|kind| *kind == "log.alarm").count();
        assert_eq!(said, 1, "after {restarts} restarts");
        let shown = audit::trail::page(&store, ClientPlace::with_outbox(), None).await.unwrap();
        assert!(shown.alarms[0].what.starts_with(expected), "{:?}", shown.alarms);
    }
    // Longer than the anchor, and not its continuation.
    let store = client(test.app()).await;
    happen(&store, 10).await;
    audit::publish(&store).await.unwrap();
    let error = anchor::anchor(&store).await.unwrap_err();
    assert!(error.to_string().contains("the log's first 9 entries are not those of the checkpoint that was copied away"), "{error}");
    let fault = log_copy::verified(&store, log_copy::WHOLE).await.unwrap_err();
    assert!(fault.to_string().starts_with("NOT ITS ANCHOR: anchors/00000000000000000009"), "{fault}");
    // Who takes the copy away does not take the alarm back: that does a copy, no smaller, with which the log agrees.
    for name in &names {
        test.app().blobs.delete(BlobContainer::Anchors, name).await.unwrap();
    }
    for _ in 0..2 {
        let error = anchor::anchor(&store).await.unwrap_err().to_string();
        let expected =
            "the copy of the checkpoint of 9 entries is gone from the container of the anchors, and the newest copy that is left has 5";
        assert!(error.contains(expected), "{error}");
    }
    let (published, entries) = found(test.app(), OWNER).await;
    let leaves: Vec<Hash> = entries[..9].iter().map(|entry| merkle::leaf(entry)).collect();
    let note = signer.sign(test.app(), &Checkpoint { root: merkle::root(&leaves), ..ahead }.text()).await.unwrap();
    for name in &names {
        let _ = test.app().blobs.create(BlobContainer::Anchors, name, note.clone().into()).await.unwrap();
    }
    anchor::anchor(&store).await.unwrap();
    let anchored = store.read::<Anchored>(ClientPlace::audit(AuditPart::Head), anchor::KEY).await.unwrap().unwrap().value;
    assert_eq!((anchored.alarm, anchored.size), (None, published.size));
}

#[tokio::test]
async fn an_anchor_that_is_gone_is_an_alarm_until_it_is_back() {
    let test = TestApp::new();
    let store = client(test.app()).await;
    happen(&store, 5).await;
    audit::publish(&store).await.unwrap();
    anchor::anchor(&store).await.unwrap();
    let name = tiles::name(OWNER, format_args!("{:020}", 5));
    let note = test.app().blobs.read(BlobContainer::Anchors, &name).await.unwrap().unwrap();
    for name in names(test.app(), BlobContainer::Anchors).await {
        test.app().blobs.delete(BlobContainer::Anchors, &name).await.unwrap();
    }
    let anchored = async || store.read::<Anchored>(ClientPlace::audit(AuditPart::Head), anchor::KEY).await.unwrap().unwrap().value;
    let known = async || anchored().await.alarm.map(|alarm| (alarm.since, alarm.count));
    let mut found = 0;
    for more in [0, 3, 1] {
        test.clock.advance(Duration::minutes(61));
        if more > 0 {
            happen(&store, more).await;
            audit::publish(&store).await.unwrap();
        }
        let error = anchor::anchor(&store).await.unwrap_err().to_string();
        assert!(error.contains("the copy of the checkpoint of 5 entries is gone") && error.contains("no copy is left"), "{error}");
        found += 1;
        assert_eq!((anchored().await.size, known().await.unwrap().1), (5, found));
        assert!(names(test.app(), BlobContainer::Anchors).await.is_empty(), "no new one takes its place");
    }
    assert!(sequence(&store, [ClientPlace::audit(AuditPart::Head)]).await.unwrap().complete);
    assert_eq!(kinds(&store).await.iter().filter(|kind| *kind == "log.alarm").count(), 1, "it is said once");
    // Another trouble is not counted with it.
    let other = Bytes::from_static(b"not a checkpoint");
    let _ = test.app().blobs.create(BlobContainer::Anchors, &name, other).await.unwrap();
    anchor::anchor(&store).await.unwrap_err();
    assert_eq!(known().await, Some((test.app().now(), 1)));
    test.app().blobs.delete(BlobContainer::Anchors, &name).await.unwrap();
    let _ = test.app().blobs.create(BlobContainer::Anchors, &name, note).await.unwrap();
    anchor::anchor(&store).await.unwrap();
    assert_eq!(anchored().await.alarm, None);
}

#[tokio::test]
async fn what_keeps_the_copies_is_looked_at_although_the_log_does_not_grow() {
    let test = TestApp::new();
    let store = client(test.app()).await;
    happen(&store, 5).await;
    audit::publish(&store).await.unwrap();
    anchor::anchor(&store).await.unwrap();
    let place = ClientPlace::audit(AuditPart::Head);
    let mut held = store.read::<Anchored>(place, anchor::KEY).await.unwrap().unwrap();
    let honest = held.value.clone();
    // As it was found before somebody took the policy away.
    held.value.retention = Some(Retention::Locked { until: None });
    let mut batch = store.batch(place);
    batch.replace(&held);
    batch.commit().await.unwrap();
    test.clock.advance(Duration::minutes(61));
    anchor::anchor(&store).await.unwrap();
    assert_eq!(store.read::<Anchored>(place, anchor::KEY).await.unwrap().unwrap().value, honest, "and it was copied when it was");
}

#[tokio::test]
async fn the_last_copy_of_a_log_is_compared_however_lately_that_was_done() {
    let test = TestApp::new();
    let store = client(test.app()).await;
    assert_eq!(anchor::anchor_last(&store).await.unwrap(), None, "there is nothing to compare");
    happen(&store, 5).await;
    audit::publish(&store).await.unwrap();
    for _ in 0..3 {
        assert_eq!(anchor::anchor_last(&store).await.unwrap(), Some(5));
    }
    for name in names(test.app(), BlobContainer::Anchors).await {
        test.app().blobs.delete(BlobContainer::Anchors, &name).await.unwrap();
    }
    let error = anchor::anchor_last(&store).await.unwrap_err().to_string();
    assert!(error.contains("the copy of the checkpoint of 5 entries is gone"), "{error}");
}

#[tokio::test]
async fn two_processes_that_make_the_key_of_the_logs_at_once_end_with_one_and_it_outlives_them() {
    let mut test = TestApp::new();
    let key = {
        let app = Arc::new(test.app().clone());
        let (one, other) = tokio::join!(Signer::of(&app, OWNER), Signer::of(&app, Owner::Deployment));
        let (one, other) = (one.unwrap(), other.unwrap());
        assert_ne!(one.origin(), other.origin());
        assert_eq!(one.origin().split_once('/').unwrap().0, other.origin().split_once('/').unwrap().0);
        one.keys(&app).await.unwrap()
    };
    test.restart();
    assert_eq!(Signer::find(test.app(), OWNER).await.unwrap().unwrap().keys(test.app()).await.unwrap(), key);
    let lines = key.to_string();
    assert_eq!(lines.lines().count(), 2);
    assert!(lines.lines().all(|line| line.parse::<VerifierKey>().is_ok()));
}

/// What the store keeps of the key of the logs.
#[derive(Serialize, Deserialize)]
struct LogKey {}

impl Record for LogKey {
    const KIND: &'static str = "log-key";
    const SCHEMA: u32 = 1;

    fn key(&self) -> String {
        "1".into()
    }
}

#[tokio::test]
async fn a_key_of_the_logs_that_is_lost_is_an_alarm_of_every_log_also_of_a_new_one_and_never_made_anew() {
    let mut test = TestApp::new();
    let place = DeploymentPlace::Operations;
    {
        let store = client(test.app()).await;
        happen(&store, 1).await;
        audit::publish(&store).await.unwrap();
        let installation = DeploymentScope::of_function("story", "story").store(test.app()).await.unwrap();
        let mut batch = installation.batch(place);
        batch.delete(&installation.read::<LogKey>(place, "1").await.unwrap().unwrap());
        batch.commit().await.unwrap();
    }
    test.restart();
    let store = client(test.app()).await;
    let installation = DeploymentScope::of_function("story", "story").store(test.app()).await.unwrap();
    assert!(sequence(&installation, [place]).await.unwrap().complete);
    happen(&store, 1).await;
    for error in [audit::publish(&installation).await.unwrap_err(), audit::publish(&store).await.unwrap_err()] {
        assert!(error.to_string().contains("put its record `log-key` back from a backup"), "{error}");
    }
    assert!(installation.read::<LogKey>(place, "1").await.unwrap().is_none());
}
