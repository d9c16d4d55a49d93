//! The end of a client, as its owner goes through it on the page: nothing is skipped, nothing is early, nothing is lost that
//! must be kept, and whatever call is the last of a process, the next try goes on.

use std::{io::Cursor, path::Path};

use assay::{
    audit::{self, Extent, Known as Keys, dead_letter, verify_folder},
    connectors::demo::{self, What},
    custody::offboarding::{self, Known, OffboardingError},
    gate::Verdict,
    platform::ports::BlobContainer,
    tenancy::{
        DeploymentPlace, DeploymentScope, Scope, StoreError,
        directory::{Grant, Proof, Role, Session, Tenant},
        keys::{self, Owner},
        message,
        seal::sha256,
        signing::{self, SigningUse},
    },
    triggers::sweep,
    web::Reply,
};
use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use tempfile::TempDir;
use time::{Duration, OffsetDateTime};

use crate::support::{
    browser::{Browser, hidden_of, text},
    clock::START,
    faults::Fault,
    flow::{Extent as World, Flow, HARBOR, RIDGE, deliveries_of, person},
    key_record::{put, record},
};

const OBJECTIVE: &str = "3.4.1[d]";

pub(super) fn page() -> String {
    format!("portal/clients/{HARBOR}/offboarding")
}

/// The main job ran for Harbor, and its owner reads its record too.
pub(super) async fn world(extent: World) -> Flow {
    let mut flow = Flow::new(extent).await;
    flow.vendor_sends(&deliveries_of(demo::CONNECTWISE, START)[0]).await;
    flow.answer(person(What::Approver), HARBOR, OBJECTIVE, Verdict::Approve).await;
    flow.settle().await;
    owner_reads(&flow).await;
    flow
}

/// What the main job left for Harbor, its owner may read too.
pub(super) async fn owner_reads(flow: &Flow) {
    let store = flow.deployment().await;
    let mut batch = store.batch(DeploymentPlace::Directory);
    let roles = vec![Role::Engineer];
    batch.create(&Grant::of(HARBOR, person(What::Owner).id, roles));
    batch.commit().await.unwrap();
}

pub(super) async fn known(flow: &Flow) -> Known {
    offboarding::read(&flow.deployment().await, HARBOR).await.unwrap().unwrap()
}

/// One step, by the owner who has just signed in.
pub(super) async fn step(flow: &Flow, step: &str, typed: &[(&str, &str)]) -> Reply {
    let owner = Browser::of(flow, What::Owner).await;
    owner.press(&page(), &format!("{}/{step}", page()), typed).await
}

pub(super) fn owners_session(flow: &Flow) -> Session {
    let (now, person) = (flow.app().now(), person(What::Owner).id);
    let proof = Proof { at: Some(now), ..Proof::default() };
    Session { token_hash: String::new(), person, signed_in_at: now, expires_at: now, demo: true, proof, led_to: None }
}

/// Asked for past the page, which offers it only when its time has come.
pub(super) async fn issued(flow: &Flow) -> Result<(), OffboardingError> {
    let store = DeploymentScope::of_session(&owners_session(flow), "story").store(flow.app()).await.unwrap();
    offboarding::certificate::issue(&store, &known(flow).await).await
}

pub(super) async fn done(flow: &Flow, what: &str, typed: &[(&str, &str)]) {
    let reply = step(flow, what, typed).await;
    assert_eq!(reply.status, 303, "{what}: {}", text(&reply));
}

/// The export, unpacked.
pub(super) async fn exported(flow: &Flow) -> TempDir {
    let reply = step(flow, "export", &[]).await;
    assert_eq!(reply.status, 200, "{}", text(&reply));
    let folder = tempfile::tempdir().unwrap();
    zip::ZipArchive::new(Cursor::new(reply.body.to_vec())).unwrap().extract(folder.path()).unwrap();
    folder
}

fn inside(folder: &TempDir) -> std::path::PathBuf {
    folder.path().join(format!("client-{HARBOR}"))
}

pub(super) fn manifest(folder: &TempDir) -> String {
    sha256(&std::fs::read(inside(folder).join("MANIFEST.sha256")).unwrap())
}

/// Begun, exported, kept and switched off.
pub(super) async fn switched_off(flow: &Flow) {
    done(flow, "begin", &[("reason", "Contract ended")]).await;
    let folder = exported(flow).await;
    done(flow, "keep", &[("place", "Archive, shelf 7"), ("sha256", &manifest(&folder))]).await;
    done(flow, "switch-off", &[]).await;
}

pub(super) async fn says(flow: &Flow, words: &str) {
    let owner = Browser::of(flow, What::Owner).await;
    let shown = text(&owner.get(&page()).await);
    assert!(shown.contains(words), "{words}: {shown}");
}

/// Every file of the list is there with its hash, and nothing else is.
fn is_as_listed(folder: &Path) {
    let listed: Vec<(String, String)> = std::fs::read_to_string(folder.join("MANIFEST.sha256"))
        .unwrap()
        .lines()
        .map(|line| line.split_once("  ").map(|(hash, path)| (path.to_owned(), hash.to_owned())).unwrap())
        .collect();
    for (path, hash) in &listed {
        assert_eq!(sha256(&std::fs::read(folder.join(path)).unwrap()), *hash, "{path}");
    }
    let mut open = vec![folder.to_owned()];
    let mut found = 0;
    while let Some(next) = open.pop() {
        for entry in std::fs::read_dir(next).unwrap().map(|entry| entry.unwrap().path()) {
            if entry.is_dir() { open.push(entry) } else { found += 1 }
        }
    }
    assert_eq!(found, listed.len() + 1);
}

pub(super) async fn at_rest(flow: &mut Flow) {
    flow.sweep().await;
    flow.swept.clone().unwrap();
    flow.pump().await;
}

#[tokio::test]
async fn a_client_is_let_go_step_by_step_and_its_log_is_verified_afterwards() {
    let mut flow = world(World::Both).await;
    done(&flow, "begin", &[("reason", "Contract ended")]).await;
    let folder = exported(&flow).await;
    let inside_of = inside(&folder);
    is_as_listed(&inside_of);
    let of_evidence: String =
        std::fs::read_dir(inside_of.join("records")).unwrap().map(|file| std::fs::read_to_string(file.unwrap().path()).unwrap()).collect();
    assert!(of_evidence.contains("HPM-CNC") && of_evidence.contains("\"kind\":\"proposal\""), "the records themselves");
    assert!(inside_of.join("raw").is_dir() && !inside_of.join("NOT-EXPORTED.txt").exists());
    let keys = crate::support::log_copy::keys(&flow.client(HARBOR).await).await;
    verify_folder(&inside_of.join("audit"), Keys { keys: &keys, seen: None }).unwrap();

    let wrong = step(&flow, "keep", &[("place", "Archive"), ("sha256", &"0".repeat(64))]).await;
    assert!(wrong.status == 409 && text(&wrong).contains("take the export again"), "{}", text(&wrong));
    done(&flow, "keep", &[("place", "Archive, shelf 7"), ("sha256", &manifest(&folder))]).await;
    done(&flow, "switch-off", &[]).await;
    at_rest(&mut flow).await;
    let from = known(&flow).await.held.unwrap().value.destroy_from.unwrap();
    assert_eq!(from - flow.app().now(), Duration::days(30) - (flow.app().now() - known(&flow).await.off.unwrap().value.at));
    says(&flow, "Not before").await;

    flow.clock_jumps(from - flow.app().now());
    done(&flow, "destroy", &[]).await;
    let ended = known(&flow).await.destroyed.unwrap().value;
    assert_eq!((ended.epochs, ended.raw_left.len(), ended.at), (1, 0, from));
    let left = flow.app().blobs.list(BlobContainer::Raw, &demo::CONNECTWISE.to_string(), None).await.unwrap().names;
    assert!(ended.raw > 0 && left.len() < ended.raw + 1, "{left:?}");
    let harbor = Tenant { id: HARBOR, name: String::new(), created_at: START };
    let refused = Scope::of_sweep(&harbor, "story").store(flow.app()).await.map(|_| ()).unwrap_err();
    assert!(matches!(refused, StoreError::Destroyed { .. }), "{refused:?}");
    flow.test.restart();
    assert!(matches!(keys::data_key(flow.app(), Owner::Tenant(HARBOR)).await, Err(StoreError::Destroyed { .. })), "none is made anew");
    at_rest(&mut flow).await;
    let before = flow.app().blobs.list(BlobContainer::Raw, &demo::CONNECTWISE.to_string(), None).await.unwrap().names;
    flow.vendor_sends(&deliveries_of(demo::CONNECTWISE, flow.app().now())[1]).await;
    flow.pump().await;
    let after = flow.app().blobs.list(BlobContainer::Raw, &demo::CONNECTWISE.to_string(), None).await.unwrap().names;
    assert_eq!(after, before, "what its tools still send is not kept");
    assert!(flow.test.filled_queues().iter().all(|queue| !queue.ends_with("-poison")));
    let ridge = Browser::of(&flow, What::Approver).await.get(&format!("portal/clients/{RIDGE}")).await;
    assert_eq!(ridge.status, 200);

    // The log, as the command gives it: nothing opens, all of it verifies, and the last entry says what came.
    let out = folder.path().join("afterwards");
    let scope = DeploymentScope::of_function("story", "c");
    let places = sweep::every_place(flow.app(), &scope).await.unwrap();
    let extent = Extent { disclose: true, proofs: true };
    audit::export(flow.app(), Owner::Tenant(HARBOR), places, &out, extent).await.unwrap();
    let report = verify_folder(&out, Keys { keys: &keys, seen: None }).unwrap();
    assert_eq!((report.checkpoint.size, report.checkpoint.root.to_string()), (ended.entries, ended.root.clone()));
    let bundle = std::fs::read_dir(out.join("tile/entries")).unwrap().map(|file| file.unwrap().path()).next().unwrap();
    let newest = walk(&bundle);
    let said = b"client.offboarding.destroying";
    assert!(newest.windows(said.len()).any(|word| word == said), "it says so");
    assert!(out.join("disclosed").is_dir() && !text_of(&out.join("disclosed")).contains("Contract"));

    // The vault's key is deleted by whoever holds it, and only then its window begins.
    let told = step(&flow, "look", &[]).await;
    assert!(told.status == 409 && text(&told).contains("still in the vault"), "{}", text(&told));
    says(&flow, &format!("rm vault/{HARBOR}.json")).await;
    std::fs::remove_file(flow.test.folder().join(format!("vault/{HARBOR}.json"))).unwrap();
    flow.clock_jumps(Duration::days(1));
    done(&flow, "look", &[]).await;
    let gone = flow.app().now();
    let end = gone + Duration::days(90);
    for (at, words) in [(flow.app().now(), "Not before"), (end - Duration::minutes(1), "Not before")] {
        let by = at - flow.app().now();
        flow.clock_jumps(by);
        let refused = issued(&flow).await.unwrap_err();
        assert!(matches!(&refused, OffboardingError::Refused(why) if why.starts_with(words)), "{refused:?}");
        says(&flow, "can be recovered in its vault until").await;
    }
    flow.clock_jumps(Duration::minutes(1));
    done(&flow, "certify", &[]).await;
    certificate_holds(&flow, &ended.root, end).await;
    at_rest(&mut flow).await;
}

fn walk(path: &Path) -> Vec<u8> {
    if path.is_dir() {
        std::fs::read_dir(path).unwrap().flat_map(|file| walk(&file.unwrap().path())).collect()
    } else {
        std::fs::read(path).unwrap()
    }
}

fn text_of(path: &Path) -> String {
    String::from_utf8_lossy(&walk(path)).into_owned()
}

/// Downloaded twice it is the same, and it is signed by the key for receipts.
async fn certificate_holds(flow: &Flow, root: &str, issued: OffsetDateTime) {
    let owner = Browser::of(flow, What::Owner).await;
    let address = format!("{}/certificate", page());
    let (one, again) = (owner.get(&address).await, owner.get(&address).await);
    assert_eq!((one.status, &one.body), (200, &again.body));
    let certificate = known(flow).await.certificate.unwrap();
    assert_eq!(certificate.at, issued);
    for words in [
        "Client: Harbor Precision\n",
        "numbers 1 to 1",
        "Olivia",
        root,
        "Archive, shelf 7",
        "32 CFR 170.16(c)(4)",
        "WHAT THIS DOES NOT CLAIM",
    ] {
        assert!(certificate.text.contains(words), "{words}: {}", certificate.text);
    }
    let key = signing::verifying_key(flow.app(), SigningUse::Receipts, &certificate.kid).await.unwrap().unwrap();
    let signature = BASE64.decode(&certificate.signature).unwrap();
    assert!(key.verifies(certificate.text.as_bytes(), &signature));
    assert!(!key.verifies(certificate.text.replace("Harbor", "Ridge").as_bytes(), &signature));
    let mut files = zip::ZipArchive::new(Cursor::new(one.body.to_vec())).unwrap();
    let mut read = |name: &str| {
        let mut bytes = Vec::new();
        let name = format!("certificate-of-destruction/{name}");
        std::io::copy(&mut files.by_name(&name).unwrap(), &mut bytes).unwrap();
        bytes
    };
    let (said, der, pem) = (read("certificate.txt"), read("certificate.sig"), String::from_utf8(read("key.pem")).unwrap());
    assert_eq!(said, certificate.text.as_bytes());
    // As a program that is not ours reads them: the key's own structure, and the signature in ASN.1.
    let spki = BASE64.decode(pem.lines().filter(|line| !line.starts_with('-')).collect::<String>()).unwrap();
    assert_eq!((spki.len(), &spki[26..]), (91, key.point()));
    let point = aws_lc_rs::signature::UnparsedPublicKey::new(&aws_lc_rs::signature::ECDSA_P256_SHA256_ASN1, spki[26..].to_vec());
    point.verify(&said, &der).unwrap();
}

#[tokio::test]
async fn what_was_recorded_after_the_export_must_be_exported_too_and_an_owner_without_a_role_exports_nothing() {
    let mut flow = Flow::new(World::Small).await;
    flow.vendor_sends(&deliveries_of(demo::CONNECTWISE, START)[0]).await;
    flow.settle().await;
    done(&flow, "begin", &[("reason", "Contract ended")]).await;
    let told = step(&flow, "export", &[]).await;
    assert!(told.status == 409 && text(&told).contains("no role that reads it"), "{}", text(&told));
    drop(flow);

    let mut flow = world(World::Small).await;
    done(&flow, "begin", &[("reason", "Contract ended")]).await;
    let early = exported(&flow).await;
    done(&flow, "keep", &[("place", "Archive"), ("sha256", &manifest(&early))]).await;
    flow.vendor_sends(&deliveries_of(demo::CONNECTWISE, START)[1]).await;
    flow.settle().await;
    done(&flow, "switch-off", &[]).await;
    says(&flow, "Something was recorded after it was taken").await;
    let from = known(&flow).await.held.unwrap().value.destroy_from.unwrap();
    flow.clock_jumps(from - flow.app().now());
    let told = step(&flow, "destroy", &[]).await;
    assert!(told.status == 409 && text(&told).contains("the export misses it"), "{}", text(&told));
    assert!(known(&flow).await.destroyed.is_none());
    // While it is off, too.
    let whole = exported(&flow).await;
    done(&flow, "keep", &[("place", "Archive"), ("sha256", &manifest(&whole))]).await;
    done(&flow, "destroy", &[]).await;
    assert!(known(&flow).await.destroyed.is_some());
}

#[tokio::test]
async fn only_an_owner_who_has_just_proved_who_they_are_takes_a_step() {
    let flow = world(World::Small).await;
    for who in [What::Engineer, What::Approver] {
        let other = Browser::of(&flow, who).await;
        assert_eq!(other.get(&page()).await.status, 403);
        assert_eq!(other.post(&format!("{}/begin", page()), &[("reason", "r")]).await.status, 403);
    }
    let owner = Browser::of(&flow, What::Owner).await;
    let form = owner.open(&page()).await;
    flow.test.clock.advance(Duration::minutes(11));
    let told = owner.send(form, &format!("{}/begin", page()), &[("reason", "Contract ended")]).await;
    assert_eq!(told.status, 401, "{}", text(&told));
    assert!(text(&told).contains("Contract ended"), "what was typed is handed back");
    assert!(known(&flow).await.held.is_none());
    let missing = owner.get(&format!("portal/clients/{}/offboarding", uuid::Uuid::nil().simple())).await;
    assert_eq!(missing.status, 404);
}

/// Whatever call is the last of a process, the step is done or not at all, and the next try does it.
#[tokio::test]
async fn wherever_a_step_stops_the_next_try_goes_on_and_nothing_is_destroyed_before_its_batch() {
    for fault in [Fault::BeforeEffect, Fault::AnswerLost] {
        let mut flow = world(World::Small).await;
        switched_off(&flow).await;
        at_rest(&mut flow).await;
        let from = known(&flow).await.held.unwrap().value.destroy_from.unwrap();
        flow.clock_jumps(from - flow.app().now());
        let ended = Box::pin(stopped_everywhere(&mut flow, "destroy", fault, |known| {
            known.destroyed.as_ref().is_some_and(|d| d.value.raw_left.is_empty())
        }))
        .await;
        assert!(ended > 20, "{ended} calls");
        std::fs::remove_file(flow.test.folder().join(format!("vault/{HARBOR}.json"))).unwrap();
        Box::pin(stopped_everywhere(&mut flow, "look", fault, |known| {
            known.held.as_ref().is_some_and(|one| one.value.vault_key_gone_at.is_some())
        }))
        .await;
        flow.clock_jumps(Duration::days(91));
        Box::pin(stopped_everywhere(&mut flow, "certify", fault, |known| known.certificate.is_some())).await;
        at_rest(&mut flow).await;
        let log = crate::support::end_state::all::<audit::entry::Entry, _>(
            &flow.deployment().await,
            DeploymentPlace::Log(assay::tenancy::place::AuditPart::Entries(0)),
        )
        .await;
        for kind in ["destroyed", "raw_deleted", "vault_key_gone", "certified"] {
            let said = log.iter().filter(|entry| entry.leaf.contains(&format!("client.offboarding.{kind}"))).count();
            assert_eq!(said, 1, "{kind}");
        }
    }
}

/// A client whose records are more than a page can give.
#[tokio::test]
async fn the_export_of_a_large_client_is_taken_by_a_command_and_then_goes_on_as_from_the_page() {
    let flow = world(World::Small).await;
    let out = tempfile::tempdir().unwrap();
    let folder = out.path().join("harbor");
    let early = offboarding::export::to_folder(flow.app(), HARBOR, &folder).await.unwrap_err();
    assert!(early.to_string().contains("Nobody has begun") && !folder.exists(), "{early}");
    done(&flow, "begin", &[("reason", "Contract ended")]).await;
    let export = offboarding::export::to_folder(flow.app(), HARBOR, &folder).await.unwrap();
    is_as_listed(&folder);
    assert!(folder.join("audit/checkpoint").exists() && folder.join("records/assessment.jsonl").exists());
    let again = offboarding::export::to_folder(flow.app(), HARBOR, &folder).await.unwrap_err();
    assert!(again.to_string().contains("is there already"), "{again}");
    says(&flow, "by the command assay export-client").await;
    let manifest = sha256(&std::fs::read(folder.join("MANIFEST.sha256")).unwrap());
    assert_eq!(manifest, export.manifest);
    done(&flow, "keep", &[("place", "Archive, disk 3"), ("sha256", &manifest)]).await;
    done(&flow, "switch-off", &[]).await;
    assert!(known(&flow).await.off.is_some());
}

/// A client of many years has more raw bytes than one request has time to delete.
#[tokio::test]
async fn raw_bytes_that_a_request_had_no_time_to_delete_are_deleted_by_the_sweep() {
    let mut flow = world(World::Small).await;
    switched_off(&flow).await;
    at_rest(&mut flow).await;
    let from = known(&flow).await.held.unwrap().value.destroy_from.unwrap();
    flow.clock_jumps(from - flow.app().now());
    done(&flow, "destroy", &[]).await;
    let mut held = known(&flow).await.destroyed.unwrap();
    held.value.raw_left = (0..2_500).map(|n| format!("{}/of-long-ago/{n:06}", demo::CONNECTWISE)).collect();
    let newest = held.value.raw_left.last().unwrap().clone();
    for name in [&held.value.raw_left[0], &newest] {
        let _ = flow.app().blobs.create(BlobContainer::Raw, name, "raw".into()).await.unwrap();
    }
    let store = flow.deployment().await;
    let mut batch = store.batch(DeploymentPlace::Keys(HARBOR));
    batch.replace(&held);
    batch.commit().await.unwrap();
    drop(store);
    says(&flow, "2500 are still to be deleted").await;

    // The first thousand and some, then the process ends.
    flow.test.faults.stop_at(1_100, Fault::BeforeEffect);
    let store = flow.deployment().await;
    offboarding::destroy::finish(&store, HARBOR).await.unwrap_err();
    drop(store);
    assert!(flow.test.faults.struck());
    flow.test.faults.mend();
    flow.test.restart();
    let left = known(&flow).await.destroyed.unwrap().value.raw_left.len();
    assert!((1..2_500).contains(&left), "{left} left: what was done is not done again");
    at_rest(&mut flow).await;
    assert!(known(&flow).await.destroyed.unwrap().value.raw_left.is_empty());
    for name in ["000000", "002499"] {
        let name = format!("{}/of-long-ago/{name}", demo::CONNECTWISE);
        assert!(flow.app().blobs.read(BlobContainer::Raw, &name).await.unwrap().is_none());
    }
}

/// Sends one form again and again, each try stopped one call later, until it comes through; how many calls that took.
pub(super) async fn stopped_everywhere(flow: &mut Flow, what: &str, fault: Fault, is_done: impl Fn(&Known) -> bool) -> usize {
    for stop in 0..400 {
        // A lease that a dead process holds ends.
        flow.clock_jumps(Duration::seconds(31));
        let owner = Browser::of(flow, What::Owner).await;
        let (opened, action) = (owner.get(&page()).await, format!("{}/{what}", page()));
        if !text(&opened).contains(&format!("action=\"/api/{action}\"")) {
            // The last try did it, and its answer was lost.
            assert!(is_done(&known(flow).await), "{what} {stop}");
            return stop;
        }
        let form = hidden_of(&opened, &action);
        let session = owner.session();
        flow.test.faults.stop_at(stop, fault);
        let reply = Browser::with_cookie(flow, &session).send(form, &action, &[]).await;
        let struck = flow.test.faults.struck();
        flow.test.faults.mend();
        flow.test.restart();
        let known = known(flow).await;
        if let Some(destroyed) = &known.destroyed {
            assert!(matches!(keys::find(flow.app(), Owner::Tenant(HARBOR)).await, Err(StoreError::Destroyed { .. })));
            assert_eq!(destroyed.value.tenant, HARBOR);
        } else {
            // Nothing is unwrapped for it: the vault key may be gone.
            assert!(keys::vault_key(flow.app(), Owner::Tenant(HARBOR)).await.unwrap().is_some(), "{what} {stop}");
            if known.held.as_ref().is_some_and(|held| held.value.destroying_at.is_some()) {
                let late = offboarding::take_back(&flow.deployment().await, &known).await.unwrap_err();
                assert!(matches!(&late, OffboardingError::Refused(why) if why.contains("has begun")), "{late:?}");
            }
        }
        if !struck {
            assert!(is_done(&known), "{what} {stop}: {} {}", reply.status, text(&reply));
            return stop;
        }
    }
    panic!("{what} never comes through");
}

/// Switched off, and its keys can be destroyed.
pub(super) async fn waited(flow: &mut Flow) {
    switched_off(flow).await;
    at_rest(flow).await;
    let from = known(flow).await.held.unwrap().value.destroy_from.unwrap();
    flow.clock_jumps(from - flow.app().now());
}

#[tokio::test]
async fn who_takes_it_back_in_a_second_tab_while_it_is_being_destroyed_keeps_the_keys() {
    let mut flow = world(World::Small).await;
    waited(&mut flow).await;
    let (seen, session) = (known(&flow).await, owners_session(&flow));
    let store = DeploymentScope::of_session(&session, "story").store(flow.app()).await.unwrap();
    let client = Scope::of_ending(&seen.off.as_ref().unwrap().value, &session, "story").store(flow.app()).await.unwrap();
    done(&flow, "take-back", &[]).await;
    let late = offboarding::destroy::destroy(&store, Some(&client), &seen, "", Vec::new()).await.unwrap_err();
    assert!(matches!(&late, OffboardingError::Store(error) if error.is_conflict()), "{late:?}");
    assert!(known(&flow).await.destroyed.is_none());
    assert!(keys::find(flow.app(), Owner::Tenant(HARBOR)).await.unwrap().is_some());
}

/// The keys are in memory, so the record in the database is not needed to open anything.
#[tokio::test]
async fn a_record_that_nobody_signed_does_not_say_what_was_destroyed() {
    let mut flow = world(World::Small).await;
    waited(&mut flow).await;
    let name = HARBOR.to_string();
    assert!(keys::find(flow.app(), Owner::Tenant(HARBOR)).await.unwrap().is_some());
    let ours = record(&flow, &name).await;
    let mut theirs = ours.clone();
    theirs["epoch"] = serde_json::json!(7);
    theirs["wrapped"]["key"] = serde_json::json!("theirs");
    put(&flow, &name, &theirs).await;
    let told = text(&step(&flow, "destroy", &[]).await);
    assert!(told.contains("is not as Assay signed it") && known(&flow).await.destroyed.is_none(), "{told}");
    put(&flow, &name, &ours).await;
    done(&flow, "destroy", &[]).await;
    let ended = known(&flow).await.destroyed.unwrap().value;
    assert_eq!((ended.epochs, ended.vault_key), (1, name));
}

#[tokio::test]
async fn once_its_destruction_has_begun_nobody_takes_it_back_and_the_next_try_ends_it() {
    let mut flow = world(World::Small).await;
    waited(&mut flow).await;
    // Opened before it began; a page that is opened afterwards does not offer it.
    let take_back = format!("{}/take-back", page());
    let owner = Browser::of(&flow, What::Owner).await;
    let form = hidden_of(&owner.get(&page()).await, &take_back);
    let mut held = known(&flow).await.held.unwrap();
    held.value.destroying_at = Some(flow.app().now());
    let store = flow.deployment().await;
    let mut batch = store.batch(DeploymentPlace::Directory);
    batch.replace(&held);
    batch.commit().await.unwrap();
    drop(store);
    let told = owner.send(form, &take_back, &[]).await;
    assert!(told.status == 409 && text(&told).contains("has begun"), "{}", text(&told));
    assert!(!text(&told).contains(&format!("/api/{take_back}")) && known(&flow).await.off.is_some());
    done(&flow, "destroy", &[]).await;
    assert!(known(&flow).await.destroyed.is_some());
}

#[tokio::test]
async fn what_comes_for_a_destroyed_client_is_written_down_before_its_bytes_go_and_may_come_twice() {
    let mut flow = world(World::Small).await;
    waited(&mut flow).await;
    done(&flow, "destroy", &[]).await;
    at_rest(&mut flow).await;
    flow.vendor_sends(&deliveries_of(demo::CONNECTWISE, flow.app().now())[1]).await;
    let body = flow.test.queue.bodies("intake").pop().unwrap();
    flow.test.faults.mend();
    flow.run("intake", body.clone()).await.unwrap();
    let calls = flow.test.faults.calls();
    let last = |name| calls.iter().rposition(|call| *call == name);
    assert!(last("blobs.delete").is_some() && last("documents.batch") < last("blobs.delete"), "{calls:?}");
    flow.run("intake", body).await.unwrap();
    let letters = dead_letter::all(flow.app(), &DeploymentScope::of_function("story", "story")).await.unwrap();
    assert!(letters.is_empty(), "{letters:?}");
}

#[tokio::test]
async fn no_key_of_a_client_that_is_off_is_unwrapped_for_a_message() {
    let mut flow = world(World::Small).await;
    switched_off(&flow).await;
    at_rest(&mut flow).await;
    flow.test.restart();
    let id = uuid::Uuid::from_u128(9);
    // With the installation's own key in memory.
    let body = message::seal(flow.app(), "execute", Some(HARBOR), id, &serde_json::json!({})).await.unwrap();
    flow.test.faults.mend();
    flow.run("execute", body).await.unwrap();
    let calls = flow.test.faults.calls();
    assert!(calls.contains(&"queue.send") && !calls.contains(&"vault.unwrap"), "{calls:?}");
}
