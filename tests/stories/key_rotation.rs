//! Keys that change: a further data key, another version of the vault key, a store of an earlier release. What was
//! sealed before is read as before, by every process, also where one of them stops half-way.

use assay::{
    audit::{Item, dead_letter, entry::Entry},
    connectors::demo::{self, What},
    custody::{
        self,
        care::{MOST_DAYS, MOST_SEALS},
    },
    gate::{Proposal, Verdict},
    platform::ports::{BatchOutcome, Container, Document, Op, Partition, PortErrorKind, Query},
    tenancy::{
        ClientPlace, DeploymentPlace, DeploymentScope, KeyTrouble, Place as _, Record, Scope, StoreError,
        directory::Tenant,
        key_change::{self, Change, Facts},
        keys::{self, Owner},
        place::AuditPart,
        regions::Regions,
        seal::{Form, epoch_of},
        signing::SigningUse,
    },
};
use serde_json::{Value, json};
use time::Duration;

use crate::support::{
    TestApp,
    clock::START,
    end_state::{EndState, all},
    faults::Fault,
    flow::{Extent, Flow, HARBOR, deliveries_of, person},
    key_vault::{installation_of, key_uri, signing_key},
};

const OBJECTIVE: &str = "3.4.1[d]";
const OWNER: Owner = Owner::Tenant(HARBOR);

async fn facts(test: &TestApp) -> Facts {
    key_change::facts(test.app(), OWNER).await.unwrap().unwrap()
}

async fn change(test: &TestApp, change: Change) -> Result<Option<Facts>, StoreError> {
    let seen = facts(test).await;
    key_change::change(test.app(), OWNER, &seen, change).await
}

fn assessment() -> Partition {
    Partition::reserved_for_tenancy(Container::Clients, format!("{HARBOR}/{}", ClientPlace::Assessment.key()))
}

async fn documents(test: &TestApp) -> Vec<Document> {
    let all = Query { limit: 1000, ..Query::prefix("") };
    test.app().documents.query(&assessment(), &all).await.unwrap().documents
}

/// The epochs of the data keys that sealed what is there.
async fn epochs(test: &TestApp) -> Vec<u32> {
    let sealed = documents(test).await.into_iter().filter_map(|document| document.body["sealed"].as_str().map(str::to_owned));
    let mut epochs: Vec<u32> = sealed.map(|text| epoch_of(&text).unwrap().1).collect();
    epochs.sort_unstable();
    epochs.dedup();
    epochs
}

fn scope() -> Scope {
    Scope::of_sweep(&Tenant { id: HARBOR, name: String::new(), created_at: START }, "story")
}

#[tokio::test]
async fn a_further_data_key_seals_what_comes_and_opens_what_was_and_the_job_ends_the_same() {
    let mut ends = Vec::new();
    for rotates in [false, true] {
        let mut flow = Flow::new(Extent::Small).await;
        flow.mailed(person(What::Approver), HARBOR, OBJECTIVE).await;
        let before = keys::find(flow.app(), OWNER).await.unwrap().unwrap();
        if rotates {
            let after = change(&flow.test, Change::NextKey).await.unwrap().unwrap();
            assert_eq!((after.epoch, after.seals), (2, 0));
        }
        flow.answer(person(What::Approver), HARBOR, OBJECTIVE, Verdict::Approve).await;
        flow.settle().await;
        assert_eq!(epochs(&flow.test).await, if rotates { vec![1, 2] } else { vec![1] });
        let after = keys::find(flow.app(), OWNER).await.unwrap().unwrap();
        assert_eq!(after.pseudonym("p"), before.pseudonym("p"), "who a person is in the log does not change");
        assert!(after.mac_holds(&[b"m"], &before.mac(&[b"m"])), "nor what was signed for a queue");
        ends.push(EndState::of(&flow).await);
    }
    assert_eq!(ends[0], ends[1]);
}

#[tokio::test]
async fn a_process_that_has_not_heard_of_the_new_data_key_reads_what_it_sealed() {
    let mut flow = Flow::new(Extent::Small).await;
    flow.mailed(person(What::Approver), HARBOR, OBJECTIVE).await;
    // It remembers the first data key only, and its store has been open since before.
    let store = scope().store(flow.app()).await.unwrap();
    let old = keys::find(flow.app(), OWNER).await.unwrap().unwrap();
    change(&flow.test, Change::NextKey).await.unwrap();
    let newer = keys::find(flow.app(), OWNER).await.unwrap().unwrap();
    assert_eq!((old.epoch(), newer.epoch()), (1, 2));
    let (name, bytes) = ("harbor/1", b"sealed by the other process".as_slice());
    let sealed = scope().store(flow.app()).await.unwrap().seal_blob("raw", name, bytes).unwrap();
    assert_eq!(store.open_blob("raw", name, sealed).await.unwrap(), bytes);

    // A value that names a key nobody has does not make it ask the vault for ever.
    let mut torn = scope().store(flow.app()).await.unwrap().seal_blob("raw", name, bytes).unwrap();
    torn[11] = 9;
    flow.test.restart();
    let store = scope().store(flow.app()).await.unwrap();
    let from = flow.test.faults.count();
    for _ in 0..20 {
        store.open_blob("raw", name, torn.clone()).await.unwrap_err();
    }
    let unwraps = flow.test.faults.calls().into_iter().skip(from).filter(|call| *call == "vault.unwrap").count();
    assert!(unwraps <= 5, "{unwraps} calls");
}

#[tokio::test]
async fn another_version_of_the_vault_key_wraps_the_data_keys_and_no_record_is_touched() {
    let (test, fake) = installation_of(OWNER).await;
    let mut flow = Flow::begun(test, Extent::Small).await;
    flow.mailed(person(What::Approver), HARBOR, OBJECTIVE).await;
    change(&flow.test, Change::NextKey).await.unwrap();
    flow.answer(person(What::Approver), HARBOR, OBJECTIVE, Verdict::Approve).await;
    flow.settle().await;
    let (before, was) = (documents(&flow.test).await, facts(&flow.test).await);

    fake.make_key(&key_uri("harbor"));
    assert_ne!(flow.app().vault.newest_version(&was.vault_key).await.unwrap(), was.vault_version);
    let now = change(&flow.test, Change::Rewrap).await.unwrap().unwrap();
    assert_eq!(now.vault_version, flow.app().vault.newest_version(&was.vault_key).await.unwrap());
    assert_eq!((now.epoch, now.since, now.seals), (was.epoch, was.since, was.seals));
    assert_eq!(documents(&flow.test).await, before);
    flow.test.restart();
    assert_eq!(scope().store(flow.app()).await.unwrap().key().unwrap().epoch(), 2);
    assert_eq!(epochs(&flow.test).await, [1, 2]);
}

#[tokio::test]
async fn wherever_a_change_of_keys_stops_the_old_keys_stand_or_the_new_ones_and_all_is_read() {
    let all = [Change::NextKey, Change::Rewrap, Change::VaultKey("harbors-own".into()), Change::Regions(Regions::default())];
    for (wanted, fault) in all.iter().flat_map(|wanted| [(wanted, Fault::BeforeEffect), (wanted, Fault::AnswerLost)]) {
        for stop in 0..8 {
            let mut flow = Flow::new(Extent::Small).await;
            flow.mailed(person(What::Approver), HARBOR, OBJECTIVE).await;
            let was = facts(&flow.test).await;
            flow.test.faults.stop_at(stop, fault);
            let outcome = key_change::change(flow.app(), OWNER, &was, wanted.clone()).await;
            let struck = flow.test.faults.struck();
            flow.test.faults.mend();
            flow.test.restart();
            let now = facts(&flow.test).await;
            assert!(struck == outcome.is_err(), "{wanted:?} {stop}");
            let store = scope().store(flow.app()).await.unwrap();
            assert!(store.key().unwrap().epoch() == now.epoch && now.epoch - was.epoch <= 1);
            drop(store);
            flow.answer(person(What::Approver), HARBOR, OBJECTIVE, Verdict::Approve).await;
            if !struck {
                break;
            }
            assert!(stop < 7, "it makes fewer calls");
        }
    }
}

#[tokio::test]
async fn seals_are_counted_without_the_vault_and_none_is_lost_to_another_process() {
    let flow = Flow::new(Extent::Small).await;
    keys::data_key(flow.app(), OWNER).await.unwrap();
    flow.test.faults.mend();
    let meeting = crate::support::meeting::two_at_once(flow.app());
    let (one, other) = tokio::join!(key_change::count(&meeting, OWNER, 5), key_change::count(&meeting, OWNER, 7));
    let told = if one.unwrap() { 5 } else { 0 } + if other.unwrap() { 7 } else { 0 };
    assert!(told == 5 || told == 7, "the other is told that it was not counted");
    assert_eq!(facts(&flow.test).await.seals, told);
    assert!(!flow.test.faults.calls().iter().any(|call| call.starts_with("vault.")), "{:?}", flow.test.faults.calls());
    // A change of keys by another process: what this one counted was of the key before.
    let stale = assay::app::App { cache: std::sync::Arc::default(), ..flow.app().clone() };
    keys::data_key(&stale, OWNER).await.unwrap();
    change(&flow.test, Change::NextKey).await.unwrap();
    assert!(!key_change::count(&stale, OWNER, 5).await.unwrap());
    assert_eq!(facts(&flow.test).await.seals, 0);
}

#[tokio::test]
async fn of_two_processes_that_change_keys_at_once_one_is_refused_and_finds_it_done() {
    let flow = Flow::new(Extent::Small).await;
    keys::data_key(flow.app(), OWNER).await.unwrap();
    let seen = facts(&flow.test).await;
    let meeting = crate::support::meeting::two_at_once(flow.app());
    let (one, other) = tokio::join!(
        key_change::change(&meeting, OWNER, &seen, Change::NextKey),
        key_change::change(&meeting, OWNER, &seen, Change::NextKey)
    );
    let (one, other) = (one.unwrap().unwrap(), other.unwrap().unwrap());
    assert_eq!((one.epoch, &one), (2, &other));
    assert_eq!(facts(&flow.test).await, one);
}

async fn logged(flow: &Flow, kind: &str) -> Vec<Value> {
    let store = flow.client(HARBOR).await;
    let mut details = Vec::new();
    for place in [ClientPlace::Assessment, ClientPlace::Log(AuditPart::Entries(0))] {
        details.extend(all::<Item, _>(&store, place).await.into_iter().filter(|item| item.kind == kind).map(|item| item.detail));
        let entries = all::<Entry, _>(&store, place).await;
        details.extend(
            entries.into_iter().filter(|entry| entry.leaf.contains(kind)).map(|entry| serde_json::from_str(&entry.content).unwrap()),
        );
    }
    details
}

#[tokio::test]
async fn after_ninety_days_a_further_data_key_seals_everything_again_and_the_log_says_so() {
    let mut flow = Flow::new(Extent::Small).await;
    flow.mailed(person(What::Approver), HARBOR, OBJECTIVE).await;
    flow.settle().await;
    assert_eq!(facts(&flow.test).await.epoch, 1);
    flow.clock_jumps(MOST_DAYS - Duration::days(1));
    flow.settle().await;
    assert_eq!((facts(&flow.test).await.epoch, logged(&flow, "key.").await.len()), (1, 0), "not before its time");

    flow.clock_jumps(Duration::days(1));
    // The first sweep makes the key; those after it seal again.
    for _ in 0..4 {
        flow.sweep().await;
        flow.swept.clone().unwrap();
        flow.test.clock.advance(Duration::minutes(6));
    }
    assert_eq!(facts(&flow.test).await.epoch, 2);
    assert_eq!(epochs(&flow.test).await, [2], "nothing is left under the first");
    flow.settle().await;
    assert_eq!(logged(&flow, "key.rotated").await.len(), 1);
    assert_eq!(logged(&flow, "key.resealed").await.len(), 1);
    flow.test.restart();
    assert!(flow.client(HARBOR).await.read::<Proposal>(ClientPlace::Assessment, "none").await.unwrap().is_none());
    assert_eq!(EndState::of(&flow).await.left_over, Vec::<String>::new());
}

/// As small as records are, so that far more than a batch takes fit into its bytes.
#[derive(serde::Serialize, serde::Deserialize)]
struct Small(u32);

impl Record for Small {
    const KIND: &'static str = "small";
    const SCHEMA: u32 = 1;

    fn key(&self) -> String {
        format!("{:04}", self.0)
    }
}

#[tokio::test]
async fn a_place_with_more_records_than_a_batch_takes_is_sealed_again_whole() {
    let mut flow = Flow::new(Extent::Small).await;
    {
        let store = flow.client(HARBOR).await;
        for fifty in 0..5 {
            let mut batch = store.batch(ClientPlace::Assessment);
            for n in 0..50 {
                batch.create(&Small(fifty * 50 + n));
            }
            batch.commit().await.unwrap();
        }
    }
    flow.sweep().await;
    flow.clock_jumps(MOST_DAYS);
    for _ in 0..5 {
        flow.sweep().await;
        flow.swept.clone().unwrap();
        flow.test.clock.advance(Duration::minutes(6));
    }
    assert_eq!((facts(&flow.test).await.epoch, epochs(&flow.test).await), (2, vec![2]));
    assert_eq!(flow.client(HARBOR).await.all::<Small>(ClientPlace::Assessment, "").await.unwrap().len(), 250);
}

#[tokio::test]
async fn a_data_key_that_sealed_often_enough_is_followed_by_another() {
    let mut flow = Flow::new(Extent::Small).await;
    flow.settle().await;
    assert!(key_change::count(flow.app(), OWNER, MOST_SEALS).await.unwrap());
    assert_eq!(facts(&flow.test).await.seals, MOST_SEALS);
    flow.clock_jumps(Duration::days(1));
    flow.sweep().await;
    assert_eq!((facts(&flow.test).await.epoch, facts(&flow.test).await.seals), (2, 0));
}

#[tokio::test]
async fn a_new_version_of_the_vault_key_is_taken_up_within_a_day_and_the_log_names_both() {
    let (test, fake) = installation_of(OWNER).await;
    let mut flow = Flow::begun(test, Extent::Small).await;
    flow.settle().await;
    let was = facts(&flow.test).await;
    fake.make_key(&key_uri("harbor"));
    flow.sweep().await;
    assert_eq!(facts(&flow.test).await, was, "it is looked for once a day");
    flow.clock_jumps(Duration::days(1));
    flow.settle().await;
    let now = facts(&flow.test).await;
    assert_ne!(now.vault_version, was.vault_version);
    let logged = logged(&flow, "key.rewrapped").await;
    assert_eq!(logged.len(), 1);
    let told = logged[0].to_string();
    assert!(told.contains(&was.vault_version) && told.contains(&now.vault_version), "{told}");
}

#[tokio::test]
async fn the_key_record_of_before_a_rotation_that_is_put_back_is_an_alarm_and_what_was_sealed_since_is_said_not_to_open() {
    let mut flow = Flow::new(Extent::Small).await;
    flow.settle().await;
    let partition = Partition::reserved_for_tenancy(Container::Deployment, format!("keys/{HARBOR}"));
    let put = async |flow: &Flow, body: Value| {
        let etag = flow.app().documents.read(&partition, "data-key").await.unwrap().unwrap().etag;
        let replace = Op::Replace { id: "data-key".into(), body, if_match: etag };
        assert!(matches!(flow.app().documents.batch(&partition, vec![replace]).await.unwrap(), BatchOutcome::Committed(_)));
    };
    let leaked = flow.app().documents.read(&partition, "data-key").await.unwrap().unwrap().body;
    let seen = facts(&flow.test).await;
    key_change::change(flow.app(), OWNER, &seen, Change::NextKey).await.unwrap();
    flow.clock_jumps(Duration::days(1));
    flow.settle().await;
    let newest = flow.app().documents.read(&partition, "data-key").await.unwrap().unwrap().body;
    put(&flow, leaked.clone()).await;
    flow.test.restart();
    let told = async |flow: &Flow, kind: &str| {
        let store = flow.deployment().await;
        let entries = all::<Entry, _>(&store, DeploymentPlace::Log(AuditPart::Entries(0))).await;
        entries.into_iter().filter(|entry| entry.leaf.contains(kind)).map(|entry| entry.content).collect::<Vec<_>>()
    };
    flow.sweep().await;
    flow.sweep().await;
    let alarms = told(&flow, "key.put_back").await;
    assert_eq!(alarms.len(), 1, "once: {alarms:?}");
    // A further data key would take the number of the one that is lost.
    let refused = custody::change::rotate(&flow.deployment().await, OWNER, "1", "It may have leaked.").await.unwrap_err();
    assert!(refused.to_string().contains("Put the last one back from a backup first"), "{refused}");
    assert!(!told(&flow, "record.unreadable").await.is_empty());
    // The last one is put back, and the first again.
    put(&flow, newest.clone()).await;
    flow.test.restart();
    flow.sweep().await;
    put(&flow, leaked).await;
    flow.test.restart();
    flow.sweep().await;
    flow.sweep().await;
    assert_eq!(told(&flow, "key.put_back").await.len(), 2);
    // With the last one in its place a further data key is made, as after any leak.
    put(&flow, newest.clone()).await;
    flow.test.restart();
    flow.sweep().await;
    custody::change::rotate(&flow.deployment().await, OWNER, "2", "It may have leaked.").await.unwrap();
    assert_eq!(facts(&flow.test).await.epoch, 3);
    // Nor does age make one after an earlier one is back, also where what is known of the keys was taken away with it.
    flow.sweep().await;
    flow.clock_jumps(MOST_DAYS);
    put(&flow, newest).await;
    let forgets = Op::Delete { id: "key-state:state".into(), if_match: None };
    assert!(matches!(flow.app().documents.batch(&assessment(), vec![forgets]).await.unwrap(), BatchOutcome::Committed(_)));
    flow.test.restart();
    flow.sweep().await;
    flow.sweep().await;
    assert_eq!(facts(&flow.test).await.epoch, 2);
    let refused = custody::change::rotate(&flow.deployment().await, OWNER, "2", "It may have leaked.").await.unwrap_err();
    assert!(refused.to_string().contains("Put the last one back from a backup first"), "{refused}");
}

#[tokio::test]
async fn a_newer_key_signs_the_key_records_within_a_day_so_that_the_one_before_can_be_retired() {
    let (test, fake) = installation_of(OWNER).await;
    let mut flow = Flow::begun(test, Extent::Small).await;
    flow.settle().await;
    let was = facts(&flow.test).await;
    fake.make_signing_key(&signing_key(SigningUse::Receipts));
    flow.sweep().await;
    assert_eq!(facts(&flow.test).await, was, "it is looked for once a day");
    flow.clock_jumps(Duration::days(1));
    flow.settle().await;
    let now = facts(&flow.test).await;
    assert_eq!(Facts { signed_by: was.signed_by.clone(), seals: was.seals, ..now.clone() }, was, "nothing else is changed");
    let said = logged(&flow, "key.signed").await;
    assert_eq!(said.len(), 1);
    let told = said[0].to_string();
    assert!(told.contains(&was.signed_by.unwrap()) && told.contains(&now.signed_by.unwrap()), "{told}");
    fake.retire_oldest(&signing_key(SigningUse::Receipts));
    flow.test.restart();
    for owner in [OWNER, Owner::Deployment] {
        keys::find(flow.app(), owner).await.unwrap().unwrap();
    }
    // A vault that does not show the key says nothing of the client's own.
    fake.refuse(&signing_key(SigningUse::Receipts), Some((403, "ForbiddenByRbac")));
    flow.test.restart();
    assert_eq!(keys::find(flow.app(), OWNER).await.unwrap_err().key_trouble(), Some(KeyTrouble::Unsigned));
    fake.refuse(&signing_key(SigningUse::Receipts), None);
    // Too soon after the next one: what was signed by the one before waits for it, and says so.
    fake.make_signing_key(&signing_key(SigningUse::Receipts));
    fake.retire_oldest(&signing_key(SigningUse::Receipts));
    flow.test.restart();
    let refused = keys::find(flow.app(), OWNER).await.unwrap_err();
    assert!(refused.is_transient() && refused.to_string().contains(&HARBOR.to_string()));
    assert_eq!(refused.key_trouble(), Some(KeyTrouble::Unsigned), "not the client\u{2019}s own key");
    let StoreError::Key { source, .. } = refused else { panic!("{refused:?}") };
    assert_eq!(source.kind, PortErrorKind::Disabled);
}

#[tokio::test]
async fn a_store_of_an_earlier_release_is_read_and_stays_readable_there_until_it_is_lifted() {
    let mut flow = Flow::begun(TestApp::with(&[("ASSAY_UNSIGNED_KEYS_UNTIL", "2026-12-31")]), Extent::Small).await;
    let key = keys::data_key(flow.app(), OWNER).await.unwrap();
    let partition = Partition::reserved_for_tenancy(Container::Deployment, format!("keys/{HARBOR}"));
    let record = flow.app().documents.read(&partition, "data-key").await.unwrap().unwrap();
    let wrapped = record.body["wrapped"].clone();
    let parts = ["assay data-key record 2", &HARBOR.to_string(), wrapped["key"].as_str().unwrap(), wrapped["version"].as_str().unwrap()];
    let mac = base64::Engine::encode(&base64::engine::general_purpose::STANDARD_NO_PAD, key.mac(&parts.map(str::as_bytes)));
    let earlier = json!({ "schema": 2, "kind": "data-key", "wrapped": wrapped, "mac": mac });
    let replace = Op::Replace { id: "data-key".into(), body: earlier, if_match: record.etag };
    let _ = flow.app().documents.batch(&partition, vec![replace]).await.unwrap();
    flow.test.restart();
    // Before any sweep: as long as the earlier release may be put back.
    flow.vendor_sends(&deliveries_of(demo::CONNECTWISE, START)[0]).await;
    flow.pump().await;
    let forms = |documents: Vec<Document>| -> Vec<Form> {
        let mut forms: Vec<Form> =
            documents.iter().filter_map(|document| document.body["sealed"].as_str()).map(|text| epoch_of(text).unwrap().0).collect();
        forms.dedup();
        forms
    };
    assert_eq!(forms(documents(&flow.test).await), [Form::S1], "an earlier release still reads everything");
    assert!(facts(&flow.test).await.signed_by.is_none());

    flow.sweep().await;
    let lifted = facts(&flow.test).await;
    assert!(lifted.signed_by.is_some() && lifted.epoch == 1);
    flow.answer(person(What::Approver), HARBOR, OBJECTIVE, Verdict::Approve).await;
    flow.settle().await;
    assert_eq!(forms(documents(&flow.test).await), [Form::S3], "all of it is sealed again");
    assert_eq!(logged(&flow, "key.lifted").await.len(), 1);
    assert_eq!(EndState::of(&flow).await.left_over, Vec::<String>::new());
}

#[tokio::test]
async fn who_learned_an_old_data_key_makes_no_message_and_none_that_waits_is_lost() {
    let flow = Flow::new(Extent::Small).await;
    let app = flow.app();
    let seal = async || assay::tenancy::message::seal(app, "analyze", Some(HARBOR), uuid::Uuid::from_u128(7), &json!({})).await.unwrap();
    let open = async |bytes: &[u8]| assay::tenancy::message::open(app, "analyze", bytes).await;
    let before = seal().await;
    // What another instance makes of it that has not heard of the new key.
    let stale = assay::app::App { cache: std::sync::Arc::default(), ..app.clone() };
    keys::data_key(&stale, Owner::Deployment).await.unwrap();
    let seen = key_change::facts(app, Owner::Deployment).await.unwrap().unwrap();
    key_change::change(app, Owner::Deployment, &seen, Change::NextKey).await.unwrap();
    let after = seal().await;
    assert!(String::from_utf8_lossy(&after).contains("\"key\":2") && !String::from_utf8_lossy(&before).contains("\"key\""));
    assay::tenancy::message::open(&stale, "analyze", &after).await.unwrap();
    open(&before).await.unwrap();
    open(&after).await.unwrap();
    // Nobody's word for it: the number alone changes nothing.
    let renamed = String::from_utf8_lossy(&before).replacen('{', "{\"key\":2,", 1);
    assert!(open(renamed.as_bytes()).await.is_err());

    flow.test.clock.advance(Duration::days(9));
    let refused = open(&before).await.unwrap_err();
    assert!(matches!(refused, assay::tenancy::message::MessageError::Mac), "{refused:?}");
    open(&after).await.unwrap();
}

#[tokio::test]
async fn a_dead_letter_that_waited_longer_than_its_key_is_sent_under_the_newest_and_a_forged_one_never() {
    let flow = Flow::new(Extent::Small).await;
    let (app, scope) = (flow.app(), DeploymentScope::of_function("story", "c"));
    let ours = assay::tenancy::message::seal(app, "analyze", Some(HARBOR), uuid::Uuid::from_u128(7), &json!({})).await.unwrap();
    let forged = String::from_utf8_lossy(&ours).replace("{}", "[]");
    for body in [&*ours, forged.as_bytes()] {
        dead_letter::keep(app, &scope, "analyze", body, "story").await.unwrap();
    }
    let seen = key_change::facts(app, Owner::Deployment).await.unwrap().unwrap();
    key_change::change(app, Owner::Deployment, &seen, Change::NextKey).await.unwrap();
    flow.test.clock.advance(Duration::days(30));
    for letter in dead_letter::all(app, &scope).await.unwrap() {
        let is_ours = letter.authentic;
        assert_eq!(dead_letter::may_be_tried_again(app, &letter).await, is_ours);
        assert!(dead_letter::replay(app, &scope, &letter.id, "olivia").await.unwrap());
        let sent = app.queue.receive("analyze", 16, std::time::Duration::from_mins(2)).await.unwrap();
        assert_eq!(sent.len(), 1);
        assert_eq!(assay::tenancy::message::open(app, "analyze", &sent[0].body).await.is_ok(), is_ours);
    }
    assert_eq!(dead_letter::all(app, &scope).await.unwrap().iter().filter(|letter| letter.authentic).count(), 1);
}

#[tokio::test]
async fn what_does_not_open_when_all_is_sealed_again_is_counted_with_the_reason() {
    let mut flow = Flow::new(Extent::Small).await;
    flow.mailed(person(What::Approver), HARBOR, OBJECTIVE).await;
    flow.settle().await;
    // A sealed value in another document's place, and one of no known form.
    let one = documents(&flow.test).await.into_iter().find(|document| document.body["sealed"].is_string()).unwrap();
    let mut broken = one.body.clone();
    broken["sealed"] = json!("s9.what");
    let ops = vec![Op::Create { id: "zz:moved".into(), body: one.body }, Op::Create { id: "zz:other".into(), body: broken }];
    let _ = flow.app().documents.batch(&assessment(), ops).await.unwrap();
    flow.clock_jumps(MOST_DAYS);
    for _ in 0..5 {
        flow.sweep().await;
        flow.test.clock.advance(Duration::minutes(6));
    }
    flow.settle().await;
    let said = logged(&flow, "key.resealed").await;
    assert_eq!(said.len(), 1, "{said:?}");
    let detail = if said[0]["detail"].is_object() { &said[0]["detail"] } else { &said[0] };
    assert_eq!(detail["unreadable"], 2, "{said:?}");
    assert_eq!(detail["why"].as_object().unwrap().len(), 2, "{said:?}");
}
