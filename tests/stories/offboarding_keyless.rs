//! The end of a client whose key cannot be used any more: deleted, revoked, or its record lost. It is let go without an export,
//! only as long as that is so, and everything that is written down afterwards says so.

use assay::{
    audit::{self, Extent, Known as Keys, tiles, tlog::Checkpoint, verify_folder},
    connectors::demo,
    custody::offboarding::{self, Known, OffboardingError},
    platform::ports::{BlobContainer, Container, Op, Partition},
    tenancy::{
        DeploymentPlace, DeploymentScope, StoreError,
        keys::{self, Owner},
        place::AuditPart,
    },
    triggers::sweep,
};
use time::Duration;

use super::offboarding::{at_rest, done, exported, issued, known, manifest, page, says, step, stopped_everywhere, waited, world};
use crate::support::{
    browser::text,
    clock::START,
    end_state,
    faults::Fault,
    flow::{Extent as World, Flow, HARBOR, deliveries_of},
};

const OWNER: Owner = Owner::Tenant(HARBOR);
const COPIES: &str = "Monthly exports, archive, shelf 9";

fn vault_file(flow: &Flow) -> std::path::PathBuf {
    flow.test.folder().join(format!("vault/{HARBOR}.json"))
}

/// Deletes the client's key, and lets no process remember what it wrapped.
fn key_is_deleted(flow: &mut Flow) -> String {
    let file = std::fs::read_to_string(vault_file(flow)).unwrap();
    std::fs::remove_file(vault_file(flow)).unwrap();
    flow.test.restart();
    file
}

/// Begun, found that no export can be made, switched off and waited for.
async fn waited_without_an_export(flow: &mut Flow) {
    done(flow, "begin", &[("reason", "Contract ended")]).await;
    says(flow, "It cannot be taken now.").await;
    done(flow, "no-export", &[("copies", COPIES)]).await;
    done(flow, "switch-off", &[]).await;
    let from = known(flow).await.held.unwrap().value.destroy_from.unwrap();
    flow.clock_jumps(from - flow.app().now());
}

async fn said(flow: &Flow, kind: &str) -> usize {
    let log = end_state::all::<audit::entry::Entry, _>(&flow.deployment().await, DeploymentPlace::Log(AuditPart::Entries(0))).await;
    log.iter().filter(|entry| entry.leaf.contains(kind)).count()
}

async fn certified(flow: &mut Flow) -> String {
    flow.clock_jumps(Duration::days(91));
    done(flow, "certify", &[]).await;
    known(flow).await.certificate.unwrap().text
}

fn holds(text: &str, all: &[&str]) {
    for words in all {
        assert!(text.contains(words), "{words}: {text}");
    }
}

#[tokio::test]
async fn a_client_whose_vault_key_is_deleted_is_let_go_without_an_export_and_the_certificate_says_so() {
    let mut flow = world(World::Both).await;
    let keys_of_log = crate::support::log_copy::keys(&flow.client(HARBOR).await).await;
    done(&flow, "begin", &[("reason", "Contract ended")]).await;
    let usable = flow.deployment().await;
    let early = offboarding::no_export::note(&usable, &known(&flow).await, COPIES).await.unwrap_err();
    assert!(matches!(&early, OffboardingError::Refused(why) if why.contains("Only a signed-in owner")), "{early:?}");
    drop(usable);
    key_is_deleted(&mut flow);
    assert_eq!(step(&flow, "no-export", &[("copies", " ")]).await.status, 409, "what there is must be said");
    done(&flow, "no-export", &[("copies", COPIES)]).await;
    let noted = known(&flow).await.held.unwrap().value.export.unwrap();
    assert_eq!((noted.not_possible.as_deref(), noted.kept_at.as_deref(), noted.files), (Some("deleted"), Some(COPIES), 0));
    let kept = offboarding::keep(&flow.deployment().await, &known(&flow).await, "elsewhere", "").await.unwrap_err();
    assert!(kept.to_string().contains("Take the export first"), "an empty list of files has no hash: {kept}");
    done(&flow, "switch-off", &[]).await;
    says(&flow, "Not before").await;
    let from = known(&flow).await.held.unwrap().value.destroy_from.unwrap();
    flow.clock_jumps(from - flow.app().now());
    let published = flow.app().blobs.read(BlobContainer::Log, &tiles::name(OWNER, tiles::CHECKPOINT)).await.unwrap().unwrap();
    let published = Checkpoint::parse_note(&published).unwrap();
    done(&flow, "destroy", &[]).await;

    let ended = known(&flow).await.destroyed.unwrap().value;
    assert_eq!((ended.entries, ended.root.as_str()), (published.size, published.root.to_string().as_str()));
    assert_eq!((ended.epochs, ended.raw, ended.log), (1, 0, published.origin));
    assert!(matches!(keys::find(flow.app(), OWNER).await, Err(StoreError::Destroyed { .. })));
    at_rest(&mut flow).await;
    says(&flow, "No entry of that log says so").await;

    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("afterwards");
    let places = sweep::every_place(flow.app(), &DeploymentScope::of_function("story", "c")).await.unwrap();
    audit::export(flow.app(), OWNER, places, &out, Extent { disclose: true, proofs: true }).await.unwrap();
    let report = verify_folder(&out, Keys { keys: &keys_of_log, seen: None }).unwrap();
    assert_eq!(report.checkpoint.size, ended.entries);

    done(&flow, "look", &[]).await;
    let text = certified(&mut flow).await;
    holds(
        &text,
        &[
            "NO EXPORT was made at the end",
            "could not be used (deleted)",
            COPIES,
            "NOT deleted: files of raw bytes",
            "no entry of it says that they were",
            "That the earlier copies named above hold all",
            &ended.root,
            "It agrees with the newest copy of a checkpoint",
        ],
    );
    assert!(!text.contains("SHA-256 of its list of files"), "{text}");
    at_rest(&mut flow).await;
    assert_eq!((said(&flow, "client.offboarding.not_exportable").await, said(&flow, "client.offboarding.destroyed").await), (1, 1));
}

#[tokio::test]
async fn a_checkpoint_that_was_put_back_behind_its_newest_copy_is_an_alarm_in_the_certificate() {
    let mut flow = world(World::Small).await;
    let name = tiles::name(OWNER, tiles::CHECKPOINT);
    let old = flow.app().blobs.read(BlobContainer::Log, &name).await.unwrap().unwrap();
    let size = Checkpoint::parse_note(&old).unwrap().size;
    done(&flow, "begin", &[("reason", "Contract ended")]).await;
    flow.vendor_sends(&deliveries_of(demo::CONNECTWISE, START)[1]).await;
    flow.clock_jumps(Duration::days(1));
    flow.settle().await;
    let newer = Checkpoint::parse_note(&flow.app().blobs.read(BlobContainer::Log, &name).await.unwrap().unwrap()).unwrap().size;
    assert!(newer > size, "{newer} {size}");
    key_is_deleted(&mut flow);
    done(&flow, "no-export", &[("copies", COPIES)]).await;
    done(&flow, "switch-off", &[]).await;
    let from = known(&flow).await.held.unwrap().value.destroy_from.unwrap();
    flow.clock_jumps(from - flow.app().now());
    flow.app().blobs.delete(BlobContainer::Log, &name).await.unwrap();
    flow.app().blobs.create(BlobContainer::Log, &name, old).await.unwrap();
    // It is shown, and asked about, before nobody can put anything back any more.
    says(&flow, "Once the data keys are destroyed, nothing can be added to that log").await;
    let told = step(&flow, "destroy", &[("about", " ")]).await;
    assert!(told.status == 409 && text(&told).contains("Say what is known of that"), "{}", text(&told));
    assert!(known(&flow).await.destroyed.is_none());
    let about = "The folder came from a backup of March";
    done(&flow, "destroy", &[("about", about)]).await;
    let ended = known(&flow).await.destroyed.unwrap().value;
    assert_eq!((ended.entries, ended.about_alarm.as_deref()), (size, Some(about)));
    assert!(ended.log_copy.is_some_and(|copy| copy > size && copy <= newer), "{:?} {size} {newer}", ended.log_copy);
    says(&flow, "an earlier state of it was put back").await;
    says(&flow, about).await;
    at_rest(&mut flow).await;
    let log = end_state::all::<audit::entry::Entry, _>(&flow.deployment().await, DeploymentPlace::Log(AuditPart::Entries(0))).await;
    let event = log.iter().find(|entry| entry.leaf.contains("client.offboarding.destroyed")).unwrap();
    holds(&event.content, &[about, "an earlier state of it was put back"]);
    done(&flow, "look", &[]).await;
    let text = certified(&mut flow).await;
    holds(&text, &["ALARM: a checkpoint of", "an earlier state of it was put back", about, "NOT established as the end of this log"]);
    assert!(!text.contains("It agrees with the newest copy"), "{text}");
}

#[tokio::test]
async fn a_key_that_can_be_used_again_before_the_end_demands_the_export_after_all() {
    let mut flow = world(World::Small).await;
    let file = key_is_deleted(&mut flow);
    waited_without_an_export(&mut flow).await;
    std::fs::write(vault_file(&flow), file).unwrap();
    let told = step(&flow, "destroy", &[]).await;
    assert!(told.status == 409 && text(&told).contains("can be used again, so an export can be made"), "{}", text(&told));
    says(&flow, "Its key can be used again: take the export after all.").await;
    assert!(known(&flow).await.destroyed.is_none());
    let folder = exported(&flow).await;
    done(&flow, "keep", &[("place", "Archive, shelf 7"), ("sha256", &manifest(&folder))]).await;
    done(&flow, "destroy", &[]).await;
    let ended = known(&flow).await.destroyed.unwrap().value;
    assert!(ended.export.not_possible.is_none() && ended.raw > 0);
}

#[tokio::test]
async fn a_key_that_goes_after_the_export_leaves_the_export_named_and_asks_for_a_word_about_the_rest() {
    let mut flow = world(World::Small).await;
    waited(&mut flow).await;
    let taken = known(&flow).await.held.unwrap().value.export.unwrap();
    key_is_deleted(&mut flow);
    let told = step(&flow, "destroy", &[]).await;
    assert!(told.status == 409 && text(&told).contains("nobody can say whether something was recorded"), "{}", text(&told));
    for _ in 0..2 {
        done(&flow, "no-export", &[("copies", "The export of before, archive, shelf 7")]).await;
    }
    says(&flow, "Kept at: Archive, shelf 7").await;
    done(&flow, "destroy", &[]).await;
    done(&flow, "look", &[]).await;
    let text = certified(&mut flow).await;
    holds(&text, &["NO EXPORT was made at the end", &taken.manifest, "kept, as was said then, at: Archive, shelf 7"]);
    at_rest(&mut flow).await;
    assert_eq!(said(&flow, "client.offboarding.not_exportable").await, 1, "the same word twice is one");
}

#[tokio::test]
async fn a_client_whose_key_record_is_lost_is_let_go_and_gets_the_mark_that_no_key_is_made_anew() {
    let mut flow = world(World::Small).await;
    let partition = Partition::reserved_for_tenancy(Container::Deployment, format!("keys/{HARBOR}"));
    let record = flow.app().documents.read(&partition, "data-key").await.unwrap().unwrap();
    let gone = Op::Delete { id: "data-key".into(), if_match: Some(record.etag) };
    let _ = flow.app().documents.batch(&partition, vec![gone]).await.unwrap();
    flow.test.restart();
    waited_without_an_export(&mut flow).await;
    done(&flow, "destroy", &[]).await;
    let ended = known(&flow).await.destroyed.unwrap().value;
    assert_eq!((ended.epochs, ended.export.not_possible.as_deref()), (0, Some("lost")));
    assert!(matches!(keys::data_key(flow.app(), OWNER).await, Err(StoreError::Destroyed { .. })), "none is made anew");
    let told = step(&flow, "look", &[]).await;
    assert!(told.status == 409 && text(&told).contains("still in the vault"), "the key of its name: {}", text(&told));
    std::fs::remove_file(vault_file(&flow)).unwrap();
    done(&flow, "look", &[]).await;
    holds(
        &certified(&mut flow).await,
        &["how many there were is not known", "was lost or damaged before", &format!("named for the client: {HARBOR}")],
    );
    at_rest(&mut flow).await;
}

/// Whatever call is the last of a process, nothing is destroyed before its batch, and the next try ends it.
#[tokio::test]
async fn wherever_the_end_of_a_client_without_a_key_stops_the_next_try_goes_on() {
    for fault in [Fault::BeforeEffect, Fault::AnswerLost] {
        let mut flow = world(World::Small).await;
        key_is_deleted(&mut flow);
        waited_without_an_export(&mut flow).await;
        let is_destroyed = |known: &Known| known.destroyed.is_some();
        let calls = Box::pin(stopped_everywhere(&mut flow, "destroy", fault, is_destroyed)).await;
        assert!(calls > 8, "{calls} calls");
        at_rest(&mut flow).await;
        assert_eq!(said(&flow, "client.offboarding.destroyed").await, 1);
        assert!(issued(&flow).await.is_err(), "{}: the vault key is not looked at yet", page());
    }
}
