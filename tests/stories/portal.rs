//! The portal as people use it: copies of the log, rights, clients that cannot be read, what was set aside or refused.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::Cursor,
};

use assay::{
    audit::{
        self, Event, Extent as Copied, Item, Known, dead_letter,
        entry::{Entry, HEAD_KEY, Head, Lease, entry_key},
        refusal::Refusal,
    },
    connectors::{
        delivery::{Handling, Quarantined, UNKNOWN_COMPANY, Waiting},
        demo::{self, What},
        known::Version,
        mapping,
        owner::OwnedRecord,
    },
    evidence::cui::Marking,
    gate::{Verdict, proposal::OpenMark},
    platform::ports::{BatchOutcome, BlobContainer, Container, Op, Partition},
    tenancy::{
        Actor, ClientPlace, ConnectionPlace, DeploymentPlace, DeploymentScope, PersonId, Place as _, ProposalId, Roster, Store, TenantId,
        directory::{Grant, Person, Role},
        message,
        place::AuditPart,
    },
    web::Reply,
};
use time::Duration;

use crate::support::{
    TestApp,
    browser::{Browser, approves, text},
    clock::START,
    events::approval,
    flow::{Extent, Flow, HARBOR, RIDGE, deliveries_of, person},
    log_copy,
};

/// As a run of the sequencer leaves it that died, or that is at work in another process.
async fn somebody_holds_the_log(flow: &Flow, store: &Store<'_, ClientPlace>) {
    let place = ClientPlace::audit(AuditPart::Head);
    let held = store.read::<Head>(place, HEAD_KEY).await.unwrap();
    let found = held.as_ref().map(|held| held.value.clone());
    let before = found.unwrap_or_else(|| Head::new(store.owner(), flow.app().ids.uuid(), flow.app().now()));
    let lease = Some(Lease::new(flow.app().ids.uuid(), flow.app().now()));
    let mut batch = store.batch(place);
    batch.put(Head { lease, ..before }, held.map(|held| held.etag));
    batch.commit().await.unwrap();
}

#[tokio::test]
async fn a_copy_of_the_log_is_refused_while_entries_wait_for_their_place_and_then_holds_them_and_itself() {
    let flow = Flow::new(Extent::Small).await;
    let marco = Browser::of(&flow, What::Engineer).await;
    let store = flow.client(HARBOR).await;
    let mut batch = store.batch(ClientPlace::Assessment);
    audit::record(&mut batch, Event::new("proposal.approved", "proposal 1", approval(1, "", "")));
    batch.commit().await.unwrap();
    somebody_holds_the_log(&flow, &store).await;

    let (page, action) = (format!("portal/audit/{HARBOR}"), format!("portal/audit/{HARBOR}/export"));
    let reply = marco.press(&page, &action, &[]).await;
    assert_eq!(reply.status, 503);
    assert!(text(&reply).contains("1 entry still waits for a place in this log") && text(&reply).contains("in a few seconds"));
    assert!(!text(&marco.get(&page).await).contains("</strong> asked for a copy of this log"), "no copy was made, so none is written down");

    flow.test.clock.advance(Duration::seconds(31));
    let reply = marco.press(&page, &action, &[]).await;
    assert_eq!(reply.status, 200);
    let folder = unpacked(&reply.body);
    let keys = log_copy::keys(&flow.client(HARBOR).await).await;
    let report = audit::verify_folder(&folder.path().join(format!("audit-{HARBOR}")), Known { keys: &keys, seen: None }).unwrap();
    assert_eq!((report.kinds["proposal.approved"], report.kinds["log.exported"], report.checkpoint.size), (1, 1, 2));
    assert_eq!((report.disclosed, report.proofs, report.others), (2, 2, vec![]));
    // The keys are on the page, for whoever is signed in.
    let shown = text(&marco.get(&page).await);
    assert!(keys.iter().all(|key| shown.contains(&key.to_string())), "{shown}");
}

fn unpacked(zip: &[u8]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    zip::ZipArchive::new(Cursor::new(zip)).unwrap().extract(folder.path()).unwrap();
    folder
}

#[tokio::test]
async fn a_log_that_is_too_long_for_a_page_is_pointed_to_the_command() {
    let flow = Flow::new(Extent::Small).await;
    let marco = Browser::of(&flow, What::Engineer).await;
    let store = flow.client(HARBOR).await;
    for _ in 0..18 {
        let mut batch = store.batch(ClientPlace::Assessment);
        for _ in 0..19 {
            let detail = approval(1, "", &"x".repeat(60_000));
            audit::record(&mut batch, Event::new("proposal.approved", "proposal 1", detail));
        }
        batch.commit().await.unwrap();
    }
    let (page, action) = (format!("portal/audit/{HARBOR}"), format!("portal/audit/{HARBOR}/export"));
    let reply = marco.press(&page, &action, &[]).await;
    assert_eq!(reply.status, 409);
    assert!(text(&reply).contains("at most 20 MB") && text(&reply).contains("assay export-audit"));
}

#[tokio::test]
async fn the_trail_says_what_an_objective_was_marked_as() {
    let mut flow = Flow::new(Extent::Small).await;
    flow.pass(Duration::minutes(5)).await;
    flow.answer(person(What::Approver), HARBOR, "3.4.1[d]", Verdict::Approve).await;
    flow.pump().await;
    let marco = Browser::of(&flow, What::Engineer).await;
    let trail = text(&marco.get(&format!("portal/audit/{HARBOR}")).await);
    assert!(trail.contains("marked objective 3.4.1[d] as MET; it was undecided"), "{trail}");
}

async fn the_clients_own_engineer(flow: &Flow) -> PersonId {
    engineer_of(flow, HARBOR, "Dana Whitfield").await
}

/// An engineer of one client who is not of the MSP.
async fn engineer_of(flow: &Flow, tenant: TenantId, name: &str) -> PersonId {
    let id = PersonId(flow.app().ids.uuid());
    let store = flow.deployment().await;
    let mut batch = store.batch(DeploymentPlace::Directory);
    batch.create(&Person {
        id,
        name: name.into(),
        email: "engineer@client.example".into(),
        is_owner: false,
        operates: false,
        identity: None,
        sign_in_name: None,
        same_as: None,
        access_ended_at: None,
        standing: assay::tenancy::directory::Standing::default(),
    });
    batch.create(&Grant::of(tenant, id, vec![Role::Engineer]));
    batch.commit().await.unwrap();
    id
}

#[tokio::test]
async fn a_clients_own_engineer_sees_none_of_the_msps_tools() {
    let mut flow = Flow::new(Extent::Both).await;
    flow.vendor_sends(deliveries_of(demo::CONNECTWISE, START).last().unwrap()).await;
    flow.pump().await;
    let dana = Browser::of_person(&flow, the_clients_own_engineer(&flow).await).await;
    let clients = text(&dana.get("portal/clients").await);
    assert!(clients.contains("Harbor Precision") && !clients.contains("Ridge Composites"));
    assert!(!clients.contains("/api/portal/connections") && !clients.contains("/api/portal/mapping"), "{clients}");
    let connection = format!("portal/connections/{}", demo::CONNECTWISE);
    for address in ["portal/connections", "portal/connections/new", &connection, "portal/mapping", "portal/dead-letters"] {
        assert_eq!(dana.get(address).await.status, 403, "{address}");
    }
    let own = format!("/api/portal/audit/{HARBOR}");
    assert_eq!(dana.get("portal/audit").await.header("location"), Some(own.as_str()), "not the installation's log");
    for address in ["portal/connections", &connection, &format!("{connection}/pull"), "portal/mapping", "portal/dead-letters/x/replay"] {
        assert_eq!(dana.post(address, &[]).await.status, 403, "{address}");
    }
}

#[tokio::test]
async fn a_company_is_mapped_only_to_a_client_whose_engineer_one_is() {
    let flow = Flow::new(Extent::Small).await;
    let marco = Browser::of(&flow, What::Engineer).await;
    let store = flow.deployment().await;
    let mut batch = store.batch(DeploymentPlace::Directory);
    let key = format!("{RIDGE}:{}", person(What::Engineer).id);
    let mut grant = store.read::<Grant>(DeploymentPlace::Directory, &key).await.unwrap().unwrap();
    grant.value.roles = vec![Role::Approver];
    batch.replace(&grant);
    batch.commit().await.unwrap();
    waiting_company(&flow).await;

    let page = text(&marco.get("portal/mapping").await);
    assert!(page.contains(&format!("value=\"{HARBOR}\"")) && !page.contains(&format!("value=\"{RIDGE}\"")), "{page}");
    let reply = marco.press("portal/mapping", "portal/mapping", &[("client", &RIDGE.to_string())]).await;
    assert_eq!(reply.status, 400);
    assert!(text(&reply).contains("whose engineer you are"));
    let mapped = mapping::mapped(&store, demo::CONNECTWISE).await.unwrap();
    assert!(mapped.iter().all(|entry| entry.tenant() == HARBOR));
    assert_eq!(marco.press("portal/mapping", "portal/mapping", &[("client", &HARBOR.to_string())]).await.status, 303);
}

#[tokio::test]
async fn records_whose_company_no_message_named_are_on_the_mapping_page_with_what_to_do() {
    let flow = Flow::new(Extent::Small).await;
    let marco = Browser::of(&flow, What::Engineer).await;
    assert!(!text(&marco.get("portal/mapping").await).contains("no message named"));
    let store = flow.deployment().await;
    let mut batch = store.batch(DeploymentPlace::Connection(demo::CONNECTWISE, ConnectionPlace::Mapping));
    batch.create(&Waiting::none_yet(UNKNOWN_COMPANY, "ticket:7")).create(&Waiting::none_yet(UNKNOWN_COMPANY, "configuration:8"));
    batch.commit().await.unwrap();
    let page = text(&marco.get("portal/mapping").await);
    assert!(page.contains("2 records wait because no message named their company"), "{page}");
    assert!(page.contains("Read the configurations of this connection"), "{page}");
}

/// A ticket of a company that nobody has mapped.
async fn waiting_company(flow: &Flow) {
    let store = flow.deployment().await;
    let mut batch = store.batch(DeploymentPlace::Connection(demo::CONNECTWISE, ConnectionPlace::Mapping));
    let (company, record) = (demo::connectwise::TIDEWATER.to_string(), "ticket:7");
    batch.create(&Waiting { company_name: Some("Tidewater Coatings".into()), ..Waiting::none_yet(&company, record) });
    batch.commit().await.unwrap();
}

#[tokio::test]
async fn looking_at_a_client_without_a_key_writes_nothing_and_an_added_client_has_one() {
    let flow = Flow::new(Extent::Small).await;
    let key_of = async |tenant: TenantId| {
        let partition = Partition::reserved_for_tenancy(Container::Deployment, format!("keys/{tenant}"));
        flow.app().documents.read(&partition, "data-key").await.unwrap()
    };
    let (marco, olivia) = (Browser::of(&flow, What::Engineer).await, Browser::of(&flow, What::Owner).await);
    let documents = || std::fs::read(flow.test.folder().join("documents.redb")).unwrap();
    let before = documents();
    flow.test.faults.mend();
    let (client, trail) = (format!("portal/clients/{RIDGE}"), format!("portal/audit/{RIDGE}"));
    let requirement = format!("{client}/requirements/AC.L2-3.1.1");
    for address in ["portal/clients", "portal/inbox", &client, &trail, &requirement] {
        assert_eq!(marco.get(address).await.status, 200, "{address}");
    }
    assert!(!flow.test.faults.calls().contains(&"documents.batch"));
    assert!(before == documents(), "the store is byte for byte the same");
    assert!(key_of(RIDGE).await.is_none());

    assert_eq!(
        olivia
            .fill_in("portal/clients/new", "portal/clients", &[("name", "Kestrel Avionics"), (&approves(What::Approver), "yes")])
            .await
            .status,
        303
    );
    let tenants = Roster::read(&flow.deployment().await).await.unwrap().tenants.clone();
    let kestrel = tenants.iter().find(|tenant| tenant.name == "Kestrel Avionics").unwrap();
    assert!(key_of(kestrel.id).await.is_some());
}

#[tokio::test]
async fn a_client_whose_key_is_revoked_or_damaged_is_a_row_in_words_and_the_other_is_shown() {
    for (revoked, why) in [(true, "is revoked, or Assay may not use it"), (false, "A record or its key is damaged")] {
        let mut flow = Flow::new(Extent::Both).await;
        flow.mailed(person(What::Approver), HARBOR, "3.4.1[d]").await;
        if revoked {
            let file = flow.test.folder().join("vault").join(format!("{HARBOR}.json"));
            let mut key: serde_json::Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
            key["revoked"] = true.into();
            std::fs::write(&file, key.to_string()).unwrap();
        } else {
            let partition = Partition::reserved_for_tenancy(Container::Deployment, format!("keys/{HARBOR}"));
            let key = flow.app().documents.read(&partition, "data-key").await.unwrap().unwrap();
            let damaged = Op::Replace { id: "data-key".into(), body: serde_json::json!({ "wrapped": 7 }), if_match: key.etag };
            assert!(matches!(flow.app().documents.batch(&partition, vec![damaged]).await.unwrap(), BatchOutcome::Committed(_)));
        }
        // An unwrapped key is forgotten after five minutes.
        flow.test.clock.advance(Duration::minutes(6));
        let priya = Browser::of(&flow, What::Approver).await;
        let clients = priya.get("portal/clients").await;
        assert_eq!(clients.status, 200);
        let html = text(&clients);
        assert!(html.contains("Cannot be read now") && html.contains(why), "{html}");
        assert!(html.contains("Ridge Composites") && html.contains(&format!("/api/portal/clients/{RIDGE}")));
        let inbox = text(&priya.get("portal/inbox").await);
        assert!(inbox.contains("Harbor Precision cannot be shown") && inbox.contains("for Ridge Composites?"), "{inbox}");
        assert_eq!(priya.get(&format!("portal/clients/{HARBOR}")).await.status, 423);
        assert_eq!(priya.get(&format!("portal/clients/{RIDGE}")).await.status, 200);
    }
}

#[tokio::test]
async fn records_that_carry_a_cui_marking_are_listed_for_their_client_with_what_to_do() {
    let flow = Flow::new(Extent::Both).await;
    let store = flow.deployment().await;
    let ridge = demo::autotask::RIDGE.to_string();
    let owned = OwnedRecord::of("ticket:8", &ridge, &Version { at: START, sequence: 0, hash: String::new() });
    let mut batch = store.batch(OwnedRecord::place(demo::AUTOTASK, "ticket:8"));
    batch.create(&owned);
    batch.commit().await.unwrap();
    for (record, company, blob, minutes) in [
        ("ticket:7", Some(ridge.as_str()), Some("raw"), 3),
        ("ticket:7", Some(ridge.as_str()), Some("raw"), 1),
        ("ticket:8", None, Some("raw"), 2),
        ("configuration:9", Some("999"), None, 2),
    ] {
        let held_back = Quarantined {
            record: record.into(),
            dedupe_key: format!("{record} {minutes}"),
            company: company.map(str::to_owned),
            marking: Marking::Banner,
            blob: blob.map(str::to_owned),
            at: START - Duration::minutes(minutes),
            handling: Handling::default(),
            never_kept: false,
        };
        held_back.save(&store, demo::AUTOTASK).await.unwrap();
    }

    let marco = Browser::of(&flow, What::Engineer).await;
    assert!(text(&marco.get("portal/clients").await).contains("3 records of your tools carry a CUI marking"));
    let page = text(&marco.get("portal/set-aside").await);
    for said in ["Ridge Composites", "ticket 7", "ticket 8", "Northgate Autotask", "by a webhook", "banner marking", "What to do"] {
        assert!(page.contains(said), "{said}: {page}");
    }
    assert!(page.contains("Of companies that are not mapped") && page.contains("configuration 9") && page.contains("in a whole read"));
    assert_eq!(page.matches("row\">ticket 7<").count(), 1, "came twice, is one record");
    let priya = text(&Browser::of(&flow, What::Approver).await.get("portal/set-aside").await);
    assert!(priya.contains("ticket 7") && !priya.contains("configuration 9"), "what is nobody's is for those who run the tools");
    let dana = Browser::of_person(&flow, the_clients_own_engineer(&flow).await).await;
    assert!(text(&dana.get("portal/set-aside").await).contains("Nothing is set aside"), "another client's");
}

/// Held back of a webhook's message, with its bytes in the store.
async fn held_back(flow: &Flow, record: &str, blob: &str, minutes: i64) {
    let store = flow.deployment().await;
    let sealed = store.seal_blob(BlobContainer::Raw.name(), blob, b"CUI//SP-CTI").unwrap();
    flow.app().blobs.create(BlobContainer::Raw, blob, sealed.into()).await.unwrap();
    let held_back = Quarantined {
        record: record.into(),
        dedupe_key: format!("{record} {minutes}"),
        company: Some(demo::connectwise::HARBOR.to_string()),
        marking: Marking::Banner,
        blob: Some(blob.into()),
        at: START + Duration::minutes(minutes),
        handling: Handling::default(),
        never_kept: false,
    };
    held_back.save(&store, demo::CONNECTWISE).await.unwrap();
}

async fn raw_blobs(flow: &Flow) -> Vec<String> {
    flow.app().blobs.list(BlobContainer::Raw, "", None).await.unwrap().names
}

#[tokio::test]
async fn our_sealed_copy_of_what_carries_a_marking_is_said_and_can_be_destroyed_also_when_it_comes_again() {
    let flow = Flow::new(Extent::Small).await;
    for (blob, minutes) in [("a/1", 1), ("a/2", 2), ("b/2", 2)] {
        held_back(&flow, "ticket:7", blob, minutes).await;
    }
    held_back(&flow, "ticket:70", "a/3", 3).await;
    let (marco, priya) = (Browser::of(&flow, What::Engineer).await, Browser::of(&flow, What::Approver).await);
    let (page, action) = ("portal/set-aside", format!("portal/set-aside/{}/destroy", demo::CONNECTWISE));
    let html = text(&priya.get(page).await);
    assert!(html.contains("3 sealed copies of its messages are in Assay's store"), "the same on another day too: {html}");
    assert!(html.contains("A sealed copy of the message is in") && !html.contains("Destroy our copy"), "{html}");
    assert_eq!(marco.post(&action, &[("record", "ticket:7")]).await.status, 403, "not by a form of ours");
    assert_eq!(raw_blobs(&flow).await.len(), 4);

    // The form of ticket 7 stands behind that of the newer ticket 70.
    let html = text(&marco.get(page).await);
    let row = html.split_once("ticket 7<").unwrap().1;
    let token = row.split_once("/destroy\"").unwrap().1.split_once("name=\"token\" value=\"").unwrap().1.split('"').next().unwrap();
    let form = [("token", token), ("record", "ticket:7")];
    for _ in 0..2 {
        assert_eq!(marco.post(&action, &form).await.status, 303, "again does nothing");
        assert_eq!(raw_blobs(&flow).await, ["a/3"]);
    }
    assert_eq!(marco.post(&action, &[("token", token), ("record", "ticket:70")]).await.status, 403, "the form is for one record");
    let html = text(&priya.get(page).await);
    assert!(html.contains("Destroyed by Marco Reyes") && !html.contains("sealed copies"), "{html}");
    let trail = text(&marco.get("portal/audit").await);
    assert_eq!(trail.matches("sealed copy of ticket 7 to be destroyed").count(), 2, "the order, for each message: {trail}");
    assert_eq!(trail.matches("sealed copy of ticket 7,").count(), 2, "and that it is done: {trail}");

    held_back(&flow, "ticket:7", "a/1", 1).await;
    let html = text(&marco.get(page).await);
    assert_eq!(html.matches("A sealed copy of the message is in").count(), 2, "{html}");
    assert_eq!(marco.post(&action, &form).await.status, 303);
    assert_eq!(raw_blobs(&flow).await, ["a/3"]);
}

#[tokio::test]
async fn what_a_person_has_seen_to_stays_listed_and_is_counted_again_only_when_something_new_comes() {
    let flow = Flow::new(Extent::Small).await;
    held_back(&flow, "ticket:7", "a/1", 1).await;
    let (marco, dana) = (Browser::of(&flow, What::Engineer).await, the_clients_own_engineer(&flow).await);
    let dana = Browser::of_person(&flow, dana).await;
    let (page, action) = ("portal/set-aside", format!("portal/set-aside/{}/see-to", demo::CONNECTWISE));
    assert!(text(&marco.get("portal/clients").await).contains("1 record of your tools carries a CUI marking"));
    let html = text(&dana.get(page).await);
    assert!(html.contains("Not yet") && !html.contains(&action), "{html}");
    assert_eq!(dana.post(&action, &[("record", "ticket:7")]).await.status, 403);

    assert_eq!(marco.press(page, &action, &[]).await.status, 303);
    let html = text(&marco.get("portal/clients").await);
    assert!(!html.contains("of your tools carr") && html.contains("See what is set aside"), "no longer counted, still found: {html}");
    let html = text(&dana.get(page).await);
    assert!(html.contains("ticket 7") && html.contains("By Marco Reyes"), "{html}");
    assert!(text(&marco.get("portal/audit").await).contains("saw to ticket 7"));

    held_back(&flow, "ticket:7", "a/2", 2).await;
    assert!(text(&marco.get("portal/clients").await).contains("1 record of your tools carries a CUI marking"));
}

#[tokio::test]
async fn refused_sign_ins_and_forms_are_counted_and_the_installations_log_hears_of_the_first() {
    let flow = Flow::new(Extent::Small).await;
    let (nobody, priya) = (Browser::of_nobody(&flow), Browser::of(&flow, What::Approver).await);
    let stranger = PersonId(flow.app().ids.uuid()).to_string();
    for _ in 0..3 {
        assert_eq!(nobody.post("portal/sign-in", &[("person", &stranger)]).await.status, 400);
        assert_eq!(priya.post("portal/connections", &[("name", "x")]).await.status, 403);
    }
    let mut elsewhere = Browser::of_nobody(&flow);
    elsewhere.origin = "https://evil.example";
    assert_eq!(elsewhere.post("portal/sign-in", &[("person", &stranger)]).await.status, 403);
    let mut marco = Browser::of(&flow, What::Engineer).await;
    marco.origin = "https://evil.example";
    assert_eq!(marco.press(&format!("portal/audit/{HARBOR}"), &format!("portal/audit/{HARBOR}/export"), &[]).await.status, 403);

    let refused = async || {
        let items = flow.deployment().await.all::<Item>(DeploymentPlace::Operations, "").await.unwrap();
        let words = |item: Item| format!("{} {}", item.kind, item.detail["why"].as_str().unwrap());
        let mut said: Vec<_> =
            items.into_iter().filter(|held| held.value.kind.ends_with(".refused")).map(|held| words(held.value)).collect();
        said.sort();
        said
    };
    let once = ["form.refused foreign form", "form.refused not allowed", "session.refused foreign form", "session.refused no such person"];
    assert_eq!(refused().await, once);
    let trail = text(&Browser::of(&flow, What::Owner).await.get("portal/audit").await);
    assert!(trail.contains("8 sign-ins or forms in the last 24 hours") && trail.contains("was refused a form"), "{trail}");
    flow.test.clock.advance(Duration::hours(1));
    nobody.post("portal/sign-in", &[("person", &stranger)]).await;
    assert_eq!(refused().await.len(), 5, "another hour");
}

#[tokio::test]
async fn decisions_of_a_stranger_and_on_a_client_of_others_are_counted_and_a_wrong_address_is_not() {
    let mut flow = Flow::new(Extent::Small).await;
    let proposal = flow.mailed(person(What::Approver), HARBOR, "3.4.1[d]").await;
    let ridges = engineer_of(&flow, RIDGE, "Rosa Lind").await;
    let store = flow.deployment().await;
    let (nobody, rosa) = (Browser::of_nobody(&flow), Browser::of_person(&flow, ridges).await);
    let refused = async || {
        let refusals = store.all::<Refusal>(DeploymentPlace::Operations, "").await.unwrap().into_iter().map(|held| held.value);
        let mut counted: Vec<_> = refusals.map(|refusal| (refusal.reason, refusal.count, refusal.actor)).collect();
        counted.sort_by(|a, b| a.0.cmp(&b.0));
        counted
    };
    for address in ["portal/nowhere".to_owned(), "portal/clients/x/y".to_owned(), format!("portal/clients/{RIDGE}/nowhere")] {
        assert_eq!(rosa.post(&address, &[("decision", "approve")]).await.status, 404, "{address}");
    }
    assert!(refused().await.is_empty());
    let decide = format!("portal/proposals/{HARBOR}/{proposal}/decide");
    for _ in 0..2 {
        assert_eq!(nobody.post(&decide, &[("decision", "approve")]).await.status, 401);
        assert_eq!(rosa.post(&decide, &[("decision", "approve")]).await.status, 404);
        assert_eq!(nobody.get(&decide).await.status, 303, "to look is no attempt");
    }
    let stranger = Actor::Function("sign-in".into());
    assert_eq!(refused().await, [("no-grant".to_owned(), 2, Actor::Person(ridges)), ("not-signed-in".to_owned(), 2, stranger)]);
    let trail = text(&Browser::of(&flow, What::Owner).await.get("portal/audit").await);
    assert!(trail.contains("4 sign-ins or forms in the last 24 hours"), "{trail}");
}

#[tokio::test]
async fn what_the_demo_sets_up_stands_in_the_installations_log() {
    let test = TestApp::new();
    demo::seed(test.app()).await.unwrap();
    demo::seed(test.app()).await.unwrap();
    let store = DeploymentScope::of_function("story", "story").store(test.app()).await.unwrap();
    let mut counted = BTreeMap::new();
    let mapping = [demo::CONNECTWISE, demo::AUTOTASK].map(|id| DeploymentPlace::Connection(id, ConnectionPlace::Mapping));
    for place in [DeploymentPlace::Directory].into_iter().chain(mapping) {
        for item in store.all::<Item>(place, "").await.unwrap() {
            *counted.entry(item.value.kind).or_insert(0) += 1;
        }
    }
    let kinds = ["client.added", "company.mapped", "connection.added", "demo.marked", "person.added", "pull.started"];
    let expected = kinds.map(str::to_owned).into_iter().zip([2, 2, 2, 1, 4, 2]).collect();
    assert_eq!(counted, expected);
}

#[tokio::test]
async fn every_client_of_a_demo_says_so_in_the_first_entry_of_its_log_also_without_content() {
    let test = TestApp::new();
    demo::seed(test.app()).await.unwrap();
    demo::seed(test.app()).await.unwrap();
    let flow = Flow::taken_over(test, START);
    let olivia = Browser::of(&flow, What::Owner).await;
    assert_eq!(
        olivia
            .fill_in("portal/clients/new", "portal/clients", &[("name", "Kestrel Avionics"), (&approves(What::Approver), "yes")])
            .await
            .status,
        303
    );
    for tenant in Roster::read(&flow.deployment().await).await.unwrap().tenants.clone() {
        let store = flow.client(tenant.id).await;
        audit::sequence(&store, ClientPlace::with_outbox()).await.unwrap();
        audit::publish(&store).await.unwrap();
        let report = log_copy::verified(&store, Copied { disclose: false, proofs: false }).await.unwrap();
        assert_eq!((report.kinds.get("demo.marked"), report.is_demo()), (Some(&1), true), "{}", tenant.name);
        let first = store.read::<Entry>(ClientPlace::audit(AuditPart::Entries(0)), &entry_key(0)).await.unwrap().unwrap().value;
        assert!(first.leaf.contains("demo.marked"), "{}", first.leaf);
    }
}

#[tokio::test]
async fn the_inbox_goes_on_where_its_page_ends() {
    let flow = Flow::new(Extent::Small).await;
    let store = flow.client(HARBOR).await;
    let mut batch = store.batch(ClientPlace::Assessment);
    for n in 0..53 {
        batch.create(&OpenMark {
            proposal: ProposalId(flow.app().ids.uuid()),
            kind: "mark_objective".into(),
            subject: format!("objective {n}"),
            question: format!("Mark number {n} as MET?"),
            requester: Actor::Function("analyze".into()),
            staged_at: START + Duration::seconds(n),
            decide_by: START + Duration::days(7),
            not_for: BTreeSet::new(),
            needed: 1,
            approved_by: BTreeSet::new(),
            progress: String::new(),
            policy_version: 0,
            notices_from: 24,
        });
    }
    batch.commit().await.unwrap();
    let priya = Browser::of(&flow, What::Approver).await;
    let first = text(&priya.get("portal/inbox").await);
    assert_eq!(first.matches("Mark number ").count(), 50);
    assert!(first.contains("50 of 53 on this page") && first.contains(">53</span>"));
    let next = first.split_once("rel=\"next\" href=\"/api/").unwrap().1.split('"').next().unwrap();
    let second = text(&priya.get(next).await);
    assert!(["50", "51", "52"].iter().all(|n| second.contains(&format!("Mark number {n} as"))), "{second}");
    assert!(!second.contains("Mark number 49 as") && second.contains("First page") && !second.contains("rel=\"next\""));
}

#[tokio::test]
async fn dead_letters_that_wait_come_first_and_all_of_one_reason_are_sent_again_by_a_bounded_press() {
    let flow = Flow::new(Extent::Small).await;
    let scope = DeploymentScope::of_function("story", "story");
    for n in 0..130 {
        flow.test.clock.advance(Duration::seconds(1));
        let reason = if n < 3 { format!("reason of its own {n}") } else { "the key of a client cannot be used".into() };
        let sent = message::seal(flow.app(), "intake", None, flow.app().ids.uuid(), &n).await.unwrap();
        dead_letter::keep(flow.app(), &scope, "intake", &sent, &reason).await.unwrap();
    }
    let marco = Browser::of(&flow, What::Engineer).await;
    let (page, one) = ("portal/dead-letters", |id: &str| format!("portal/dead-letters/{id}/replay"));
    let first = dead_letter::all(flow.app(), &scope).await.unwrap().remove(0);
    let html = text(&marco.get(page).await);
    assert!(html.contains("127 wait for the same reason") && !html.contains("after several tries"), "{html}");
    assert!(!html.contains("reason of its own"), "the newest first");
    let token = html.split_once(&first.id).unwrap().1.split_once("name=\"token\" value=\"").unwrap().1.split('"').next().unwrap();

    let followed = async |reply: Reply| text(&marco.follow(&reply).await);
    let press_all = async || marco.press(page, "portal/dead-letters/replay", &[]).await;
    assert!(followed(press_all().await).await.contains("100 messages were sent again; 27 of the same reason still wait"));
    assert!(followed(marco.press(page, &one(&first.id), &[]).await).await.contains("Sent again."));
    assert!(followed(marco.post(&one(&first.id), &[("token", token)]).await).await.contains("Nothing was sent"), "it was sent before");
    assert!(followed(press_all().await).await.contains("26 messages were sent again."));
    assert_eq!(dead_letter::waiting(flow.app(), &scope).await.unwrap(), 3);
    let html = text(&marco.get(page).await);
    let place = |words: &str| html.find(words).unwrap();
    assert!(place("reason of its own 2") < place("reason of its own 0") && place("reason of its own 0") < place("Tried again"), "{html}");

    let (page, forged) = (text(&marco.get(page).await), "portal/dead-letters/replay");
    assert!(!page.contains("for the same reason"));
    assert_eq!(marco.post(forged, &[("reason", "reason of its own 1")]).await.status, 403);
}
