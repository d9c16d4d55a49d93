//! What the tools of a client send while it is switched off becomes no evidence, so no record of the client names it. It goes
//! with the client all the same, its company can be another client's then, and what waited in queues is done if it comes back.

use assay::{
    audit::entry::Entry,
    connectors::{
        delivery::{Delivery, Handling, Outcome, Quarantined, Waiting},
        demo::{self, Delivery as Sent, What},
        mapping,
        owner::OwnedRecord,
        unread,
    },
    evidence::{Evidence, cui::Marking},
    platform::ports::BlobContainer,
    tenancy::{
        ClientPlace, ConnectionPlace, DeploymentPlace, DeploymentScope, TenantId,
        directory::{Grant, Role, Tenant},
        keys::{self, Owner},
        place::{AuditPart, EVIDENCE_SHARDS},
        policy_mark::PolicyMark,
    },
};
use time::Duration;

use super::{
    offboarding::{at_rest, done, known, owners_session, switched_off, waited, world},
    put_away::damage,
};
use crate::support::{
    browser::{Browser, text},
    clock::START,
    end_state::all,
    flow::{Extent as World, Flow, HARBOR, deliveries_of, person, with_body},
    key_record::{put, record, tombstone},
};

const MAPPING: DeploymentPlace = DeploymentPlace::Connection(demo::CONNECTWISE, ConnectionPlace::Mapping);

/// The same event with a marking in its text.
fn marked(sent: &Sent) -> Sent {
    with_body(sent, sent.body.replace("Malware alert", "CUI//SP-CTI"))
}

async fn raw(flow: &Flow) -> Vec<String> {
    flow.app().blobs.list(BlobContainer::Raw, &demo::CONNECTWISE.to_string(), None).await.unwrap().names
}

async fn waiting(flow: &Flow) -> Vec<Waiting> {
    flow.deployment().await.all::<Waiting>(MAPPING, "").await.unwrap().into_iter().map(|held| held.value).collect()
}

async fn held_back(flow: &Flow) -> Vec<Quarantined> {
    Quarantined::each(&flow.deployment().await, demo::CONNECTWISE).await.unwrap().0
}

async fn is_waited_for(flow: &mut Flow) {
    let from = known(flow).await.held.unwrap().value.destroy_from.unwrap();
    flow.clock_jumps(from - flow.app().now());
}

#[tokio::test]
async fn what_its_tools_sent_while_it_was_off_goes_with_its_keys_and_the_certificate_counts_it() {
    for has_key in [true, false] {
        let mut flow = world(World::Small).await;
        let vault_file = flow.test.folder().join(format!("vault/{HARBOR}.json"));
        if has_key {
            switched_off(&flow).await;
        } else {
            done(&flow, "begin", &[("reason", "Contract ended")]).await;
            std::fs::remove_file(&vault_file).unwrap();
            flow.test.restart();
            done(&flow, "no-export", &[("copies", "There are none")]).await;
            done(&flow, "switch-off", &[]).await;
        }
        let before = raw(&flow).await;
        let deliveries = deliveries_of(demo::CONNECTWISE, START);
        flow.vendor_sends(&deliveries[1]).await;
        let message = flow.test.queue.bodies("intake").pop().unwrap();
        flow.vendor_sends(&marked(&deliveries[3])).await;
        // Of a company that nobody mapped: no client's.
        flow.vendor_sends(&deliveries[2]).await;
        flow.pump().await;
        let theirs = unread::raw_names(&flow.deployment().await, HARBOR).await.unwrap();
        assert_eq!((theirs.len(), raw(&flow).await.len(), waiting(&flow).await.len()), (2, before.len() + 3, 2));

        is_waited_for(&mut flow).await;
        done(&flow, "destroy", &[]).await;
        let ended = known(&flow).await.destroyed.unwrap().value;
        assert_eq!((ended.unread, ended.raw_left.len(), ended.raw > 0), (Some(2), 0, has_key));
        at_rest(&mut flow).await;
        assert!(raw(&flow).await.iter().all(|name| !theirs.contains(name)), "{theirs:?}");
        let left = waiting(&flow).await;
        assert_eq!(left.iter().map(|one| one.company.as_str()).collect::<Vec<_>>(), [demo::connectwise::TIDEWATER.to_string()]);
        assert!(held_back(&flow).await.is_empty(), "nor the note of what was held back");
        // The message once more: it finds its end.
        flow.run("intake", message.clone()).await.unwrap();
        let store = flow.deployment().await;
        let mut said = Vec::new();
        for place in ConnectionPlace::all() {
            said.extend(store.all::<Delivery>(DeploymentPlace::Connection(demo::CONNECTWISE, place), "").await.unwrap());
        }
        let of_theirs = said.iter().filter(|held| theirs.contains(&held.value.blob));
        let mut ends: Vec<_> = of_theirs.map(|held| (held.value.outcome, held.value.reason.as_deref())).collect();
        ends.sort_by_key(|(outcome, _)| outcome.word());
        assert_eq!(ends, [(Outcome::Ignore, Some("client_gone")), (Outcome::Quarantined, Some("cui_marking"))]);
        drop((said, store));

        // Held back after it, and noted at the very moment of it.
        flow.vendor_sends(&marked(&deliveries[3])).await;
        flow.pump().await;
        let store = flow.deployment().await;
        let mut late = Waiting { company: demo::connectwise::HARBOR.to_string(), ..left[0].clone() };
        late.deliveries[0].blob = format!("{}/late", demo::CONNECTWISE);
        late.deliveries[0].delivery = uuid::Uuid::from_u128(9);
        let mut batch = store.batch(MAPPING);
        batch.create(&late);
        batch.commit().await.unwrap();
        drop(store);
        at_rest(&mut flow).await;
        assert_eq!(unread::raw_names(&flow.deployment().await, HARBOR).await.unwrap(), Vec::<String>::new());
        assert_eq!(waiting(&flow).await.len(), 1);

        if has_key {
            std::fs::remove_file(&vault_file).unwrap();
        }
        done(&flow, "look", &[]).await;
        flow.clock_jumps(Duration::days(91));
        done(&flow, "certify", &[]).await;
        let text = known(&flow).await.certificate.unwrap().text;
        assert!(text.contains("2 files of raw bytes of deliveries that had become no evidence were deleted"), "{text}");
    }
}

/// How often the installation's log says it.
async fn said(flow: &Flow, kind: &str) -> usize {
    let entries = all::<Entry, _>(&flow.deployment().await, DeploymentPlace::Log(AuditPart::Entries(0))).await;
    entries.iter().filter(|entry| entry.leaf.contains(kind)).count()
}

async fn evidence(flow: &Flow, client: TenantId) -> usize {
    let (client, mut found) = (flow.client(client).await, 0);
    for shard in 0..EVIDENCE_SHARDS {
        found += client.all::<Evidence>(ClientPlace::Evidence(shard), "").await.unwrap().len();
    }
    found
}

#[tokio::test]
async fn keys_that_somebody_calls_destroyed_in_the_database_cost_the_client_nothing_and_are_an_alarm() {
    let (mut flow, name) = (world(World::Small).await, HARBOR.to_string());
    let deliveries = deliveries_of(demo::CONNECTWISE, START);
    let before = evidence(&flow, HARBOR).await;
    // Of a client that is on: what comes for it is tried again.
    let ours = record(&flow, &name).await;
    put(&flow, &name, &tombstone()).await;
    flow.test.restart();
    flow.vendor_sends(&deliveries[1]).await;
    flow.pass(Duration::minutes(1)).await;
    put(&flow, &name, &ours).await;
    flow.test.restart();
    flow.settle().await;
    assert_eq!(evidence(&flow, HARBOR).await, before + 1);

    // Of one that is off: what comes waits, and what waits stays.
    switched_off(&flow).await;
    at_rest(&mut flow).await;
    let ours = record(&flow, &name).await;
    let bytes = raw(&flow).await.len();
    flow.vendor_sends(&deliveries_of(demo::CONNECTWISE, START + Duration::hours(1))[1]).await;
    flow.vendor_sends(&marked(&deliveries[3])).await;
    flow.pump().await;
    put(&flow, &name, &tombstone()).await;
    flow.test.restart();
    flow.vendor_sends(&deliveries_of(demo::CONNECTWISE, START + Duration::hours(2))[1]).await;
    let alarms = said(&flow, "key.lost").await;
    for _ in 0..2 {
        flow.sweep().await;
        flow.pump().await;
    }
    let left = (raw(&flow).await.len(), waiting(&flow).await.len(), held_back(&flow).await.len());
    assert_eq!(left, (bytes + 3, 1, 1));
    assert_eq!(said(&flow, "key.lost").await, alarms + 1, "once for each time");
    let shown = text(&Browser::of(&flow, What::Engineer).await.get("portal/mapping").await);
    assert!(!shown.contains("Of clients that were let go"), "{shown}");
    put(&flow, &name, &ours).await;
    flow.test.restart();
    done(&flow, "take-back", &[]).await;
    flow.settle().await;
    assert_eq!(waiting(&flow).await.len(), 0, "taken in");
}

/// Held back of a record by a body that names no company: whose it is the record's owner says.
async fn nameless(flow: &Flow) -> Quarantined {
    let store = flow.deployment().await;
    for place in ConnectionPlace::all() {
        let place = DeploymentPlace::Connection(demo::CONNECTWISE, place);
        let Some(owner) = store.all::<OwnedRecord>(place, "ticket:").await.unwrap().pop() else { continue };
        let blob = Some(format!("{}/nameless", demo::CONNECTWISE));
        let (record, at) = (owner.value.record, flow.app().now());
        let one = Quarantined {
            record,
            dedupe_key: "nameless".into(),
            company: None,
            marking: Marking::Banner,
            blob,
            at,
            handling: Handling::default(),
            never_kept: false,
        };
        one.clone().save(&store, demo::CONNECTWISE).await.unwrap();
        return one;
    }
    panic!("no ticket has an owner");
}

#[tokio::test]
async fn a_record_whose_owner_does_not_open_keeps_no_page_from_anybody_and_no_client_from_its_end() {
    let mut flow = world(World::Small).await;
    let one = nameless(&flow).await;
    assert_eq!(unread::raw_names(&flow.deployment().await, HARBOR).await.unwrap(), Vec::from_iter(one.blob.clone()));
    damage(flow.app(), OwnedRecord::place(demo::CONNECTWISE, &one.record), &format!("owner:{}", one.record)).await;
    for who in [What::Owner, What::Approver] {
        assert_eq!(Browser::of(&flow, who).await.get("portal/clients").await.status, 200);
    }
    let shown = text(&Browser::of(&flow, What::Engineer).await.get("portal/set-aside").await);
    assert!(shown.contains(&one.record.replace(':', " ")), "{shown}");
    waited(&mut flow).await;
    done(&flow, "destroy", &[]).await;
    at_rest(&mut flow).await;
    assert_eq!(held_back(&flow).await, [one], "nobody can tell whose it is");
}

#[tokio::test]
async fn what_comes_once_more_while_its_note_is_dropped_is_not_left_without_one() {
    let mut reads = None;
    for comes in [false, true] {
        let flow = world(World::Small).await;
        let one = nameless(&flow).await;
        let store = flow.deployment().await;
        let Some(at) = reads else {
            flow.test.faults.mend();
            unread::delete(&store, HARBOR).await.unwrap();
            assert!(!comes && held_back(&flow).await.is_empty());
            // Its copies are deleted, and the note is read again.
            let calls = flow.test.faults.calls();
            let batch = |before: usize| calls[..before].iter().rposition(|call| *call == "documents.batch").unwrap();
            let purged = batch(batch(calls.len()));
            reads = (purged..calls.len()).find(|at| calls[*at] == "documents.read");
            continue;
        };
        let hold = flow.test.faults.hold_at(at);
        let again = async {
            hold.reached().await;
            let store = flow.deployment().await;
            let again = Quarantined { blob: one.blob.as_ref().map(|blob| format!("{blob}-again")), ..one.clone() };
            again.save(&store, demo::CONNECTWISE).await.unwrap();
            hold.let_go();
        };
        let (deleted, ()) = tokio::join!(unread::delete(&store, HARBOR), again);
        deleted.unwrap();
        assert_eq!(held_back(&flow).await.iter().flat_map(Quarantined::copies).count(), 1);
        unread::delete(&store, HARBOR).await.unwrap();
        assert!(held_back(&flow).await.is_empty());
    }
}

const BACK: TenantId = TenantId(uuid::Uuid::from_u128(7));

/// The client that was let go is added anew, with its engineer.
async fn comes_back(flow: &Flow) {
    keys::make(flow.app(), Owner::Tenant(BACK), None).await.unwrap();
    let store = flow.deployment().await;
    let mut batch = store.batch(DeploymentPlace::Directory);
    batch.create(&Tenant { id: BACK, name: "Harbor Precision, again".into(), created_at: flow.app().now() });
    batch.create(&PolicyMark::first(BACK)).create(&Grant::of(BACK, person(What::Engineer).id, vec![Role::Engineer]));
    batch.commit().await.unwrap();
}

#[tokio::test]
async fn the_company_of_a_client_that_was_let_go_is_mapped_anew_when_it_comes_back_and_never_before_its_keys_are_destroyed() {
    let mut flow = world(World::Small).await;
    switched_off(&flow).await;
    comes_back(&flow).await;
    let company = demo::connectwise::HARBOR.to_string();
    let owner = DeploymentScope::of_session(&owners_session(&flow), "story").store(flow.app()).await.unwrap();
    let early = mapping::confirm(&owner, demo::CONNECTWISE, &company, "", BACK).await.unwrap_err();
    assert_eq!(early.status, 409, "it can still be taken back");
    drop(owner);
    let page = async |flow: &Flow| text(&Browser::of(flow, What::Engineer).await.get("portal/mapping").await);
    assert!(!page(&flow).await.contains("Of clients that were let go"));

    at_rest(&mut flow).await;
    is_waited_for(&mut flow).await;
    done(&flow, "destroy", &[]).await;
    let shown = page(&flow).await;
    assert!(shown.contains("Of clients that were let go") && shown.contains(&format!("Company {company}")), "{shown}");
    assert!(!shown.contains(&HARBOR.to_string()), "which client it was is nobody's to know");
    let marco = Browser::of(&flow, What::Engineer).await;
    let mapped = marco.press("portal/mapping", "portal/mapping", &[("client", &BACK.to_string())]).await;
    assert_eq!(mapped.status, 303, "{}", text(&mapped));
    assert!(!page(&flow).await.contains("Of clients that were let go"));

    // What it sends anew, and what was sent before all this.
    for sent in &deliveries_of(demo::CONNECTWISE, START)[..2] {
        flow.vendor_sends(sent).await;
    }
    flow.pump().await;
    assert_eq!(evidence(&flow, BACK).await, 2);
}
