//! Whoever can write the store and holds a client's key can make a record say anything; the log then says otherwise, and
//! `assay verify --store` names the record.

use std::collections::HashMap;

use assay::{
    audit::{
        Event, Item, anchor,
        chain::Hash,
        entry::{HEAD_KEY, Head},
        follow::HEAD_GONE,
        log_key::Signer,
        publisher::Published,
        record,
        replay::Outside,
        tiles,
        tlog::{Checkpoint, Tree, merkle},
    },
    connectors::{
        demo::{self, What},
        review::{self, About, Answer},
    },
    gate::{
        Decision, Policy, Proposal, State, Verdict,
        policy::{self, SignedPolicy},
    },
    host::verify_store,
    platform::ports::BlobContainer,
    readiness::{Found, Objective, Standing},
    tenancy::{
        ClientPlace, DeploymentPlace, Held, PersonId, Place, Record, Store,
        directory::{self, Grant, Person, Role, SwitchedOff},
        place::AuditPart,
    },
    web::entra::{
        access,
        change::{self, Change},
    },
};
use serde_json::json;
use time::Duration;

use crate::support::{
    browser::{Browser, text},
    clock::START,
    events::approval,
    flow::{Extent, Flow, HARBOR, RIDGE, client_of, deliveries_of, person},
    log_copy,
};

const OBJECTIVE: &str = "3.4.1[d]";

/// A day on which things happened: deliveries, an approval that ran, one that was rejected.
async fn a_day() -> Flow {
    let mut flow = Flow::new(Extent::Small).await;
    grants_are_told(&flow).await;
    for delivery in deliveries_of(demo::CONNECTWISE, START) {
        flow.vendor_sends(&delivery).await;
    }
    flow.pump().await;
    flow.pass(Duration::minutes(5)).await;
    flow.answer(person(What::Approver), HARBOR, OBJECTIVE, Verdict::Approve).await;
    flow.pump().await;
    flow.pass(Duration::minutes(5)).await;
    flow
}

/// As the pages that gave them would have: the story's world begins with its grants.
pub(super) async fn grants_are_told(flow: &Flow) {
    let store = flow.deployment().await;
    let grants = store.all::<Grant>(DeploymentPlace::Directory, "").await.unwrap();
    let mut batch = store.batch(DeploymentPlace::Directory);
    for client in [HARBOR, RIDGE] {
        let of_client = grants.iter().map(|held| &held.value).filter(|grant| grant.tenant() == client);
        let listed: Vec<_> = of_client.map(|grant| json!({ "person": grant.person, "roles": grant.roles, "until": null })).collect();
        record(&mut batch, Event::new("client.added", format!("client {client}"), json!({ "name": "A client", "grants": listed })));
    }
    batch.commit().await.unwrap();
}

/// What it says, line by line, and how it ends.
pub(super) async fn verified(flow: &Flow) -> (Vec<String>, Result<(), String>) {
    let said = std::cell::RefCell::new(Vec::new());
    let outcome = verify_store::run(flow.app(), Outside::default(), |words| said.borrow_mut().push(words.to_owned())).await;
    (said.into_inner(), outcome.map_err(|error| error.to_string()))
}

async fn change<T: Record + Clone>(store: &Store<'_, ClientPlace>, place: ClientPlace, key: &str, change: impl FnOnce(&mut T)) -> Held<T> {
    let held = store.read::<T>(place, key).await.unwrap().unwrap();
    let mut changed = held.clone();
    change(&mut changed.value);
    let mut batch = store.batch(place);
    batch.replace(&changed);
    batch.commit().await.unwrap();
    held
}

async fn proposal(store: &Store<'_, ClientPlace>, is: impl Fn(&Proposal) -> bool) -> Proposal {
    let all = store.all::<Proposal>(ClientPlace::Assessment, "").await.unwrap();
    all.into_iter().map(|held| held.value).find(is).expect("one like that")
}

/// The faults of a store in which one thing was done, which is taken back afterwards.
pub(super) async fn faults(flow: &Flow) -> Vec<String> {
    let (said, outcome) = verified(flow).await;
    let faults: Vec<String> = said.into_iter().filter(|line| line.contains(": RECORDS: ") || line.contains(": LOG: ")).collect();
    assert_eq!(outcome, Err(format!("{} faults; each is named above", faults.len())));
    faults
}

#[tokio::test]
async fn an_honest_store_is_whole_and_its_records_are_what_the_logs_make_of_them() {
    let flow = a_day().await;
    let before = flow.test.faults.count();
    let (said, outcome) = verified(&flow).await;
    assert_eq!(outcome, Ok(()), "{said:#?}");
    assert!(
        said.iter().any(|line| line.starts_with("Client Harbor") && line.contains("none changed, moved, dropped or repeated")),
        "{said:#?}"
    );
    assert!(said.iter().any(|line| line.contains("proposals with their decisions, the policy and")), "{said:#?}");
    assert!(said.iter().any(|line| line.ends_with("grants are what the log makes of them.")), "{said:#?}");
    assert!(said.iter().any(|line| line.starts_with("Not compared:")));
    let writes = ["documents.batch", "blobs.create", "blobs.replace", "queue.send"];
    assert!(!flow.test.faults.calls()[before..].iter().any(|call| writes.contains(call)), "it changes nothing");
    // With the keys from elsewhere, and a checkpoint that was kept.
    let store = flow.client(HARBOR).await;
    let (copy, keys) = log_copy::copy(&store, log_copy::WHOLE).await;
    let seen = std::fs::read(copy.path().join("checkpoint")).unwrap();
    verify_store::run(flow.app(), Outside { keys: &keys, seen: Some(&seen) }, |_| {}).await.unwrap_err();
    let of_installation = log_copy::keys(&flow.deployment().await).await;
    let of_other = log_copy::keys(&flow.client(RIDGE).await).await;
    let all: Vec<_> = [keys, of_installation, of_other].concat();
    let said = std::cell::RefCell::new(Vec::new());
    let outside = Outside { keys: &all, seen: Some(&seen) };
    let outcome = verify_store::run(flow.app(), outside, |words| said.borrow_mut().push(words.to_owned())).await;
    assert!(outcome.is_ok(), "{:#?}", said.into_inner());
}

#[tokio::test]
async fn sau_022_an_approval_or_a_finding_that_somebody_wrote_into_the_store_is_reported_by_its_record() {
    let flow = a_day().await;
    let store = flow.client(HARBOR).await;
    let place = ClientPlace::Assessment;
    let done = proposal(&store, |proposal| matches!(proposal.state, State::Executed { .. })).await;
    let open = proposal(&store, |proposal| proposal.state == State::Open).await;

    // An extra approval, in the name of somebody who gave none.
    let made_up = Decision { name: "Sam Okafor".into(), person: person(What::Owner).id, ..done.decisions[0].clone() };
    let honest = change::<Proposal>(&store, place, &done.id.to_string(), |proposal| proposal.decisions.push(made_up)).await;
    let said = faults(&flow).await;
    assert_eq!(said.len(), 1, "{said:#?}");
    assert!(said[0].contains("has a decision by Sam Okafor (approved) in the store that is not in the log like that"), "{said:#?}");
    change::<Proposal>(&store, place, &done.id.to_string(), |proposal| *proposal = honest.value).await;

    // A state that no decision led to, and a decision that was taken away.
    let honest = change::<Proposal>(&store, place, &open.id.to_string(), |proposal| proposal.state = State::Rejected { at: START }).await;
    assert!(faults(&flow).await[0].contains("is rejected in the store, and the last that the log says of it is"));
    change::<Proposal>(&store, place, &open.id.to_string(), |proposal| *proposal = honest.value).await;
    let honest = change::<Proposal>(&store, place, &done.id.to_string(), |proposal| proposal.decisions.clear()).await;
    assert!(faults(&flow).await[0].contains("has 0 decisions in the store, and 1 in the log"));
    change::<Proposal>(&store, place, &done.id.to_string(), |proposal| *proposal = honest.value).await;

    // A finding, with and without the small record beside it.
    let key = assay::readiness::objective::key_of(OBJECTIVE);
    let met = |found| move |objective: &mut Objective| objective.finding.as_mut().unwrap().found = found;
    change::<Objective>(&store, place, &key, met(Found::NotMet)).await;
    let said = faults(&flow).await;
    assert_eq!(said.len(), 2, "{said:#?}");
    assert!(said[0].contains("objective 3.4.1[d] is NOT MET in the store, and MET by the log"), "{said:#?}");
    change::<Objective>(&store, place, &key, met(Found::Met)).await;
    change::<Standing>(&store, place, "now", |standing| standing.set("3.1.1[a]", assay::readiness::score::Answer::Met)).await;
    assert!(faults(&flow).await[0].contains("where the client stands says otherwise of objective 3.1.1[a]"));
    change::<Standing>(&store, place, "now", |standing| standing.set("3.1.1[a]", assay::readiness::score::Answer::Undecided)).await;

    // A policy that nobody approved, signed, and one that was signed for another client.
    let signed = SignedPolicy::sign(flow.app(), HARBOR, &Policy { version: 7, ..Policy::default() }, "").await.unwrap();
    let mut batch = store.batch(place);
    batch.create(&signed);
    batch.commit().await.unwrap();
    assert!(faults(&flow).await[0].contains("the policy in the store is version 7"));
    let another = SignedPolicy::sign(flow.app(), RIDGE, &Policy::default(), "").await.unwrap();
    change::<SignedPolicy>(&store, place, policy::KEY, |policy| *policy = another).await;
    assert!(faults(&flow).await[0].contains("Nothing is approved or carried out under it"));
    let held = store.read::<SignedPolicy>(place, policy::KEY).await.unwrap().unwrap();
    let mut batch = store.batch(place);
    batch.delete(&held);
    batch.commit().await.unwrap();

    // A grant that nobody gave.
    let directory = flow.deployment().await;
    let granted = Grant::of(HARBOR, PersonId(uuid::Uuid::from_u128(7)), vec![Role::Approver]);
    let mut batch = directory.batch(DeploymentPlace::Directory);
    batch.create(&granted);
    batch.commit().await.unwrap();
    let said = faults(&flow).await;
    assert!(
        said[0].starts_with("The installation: RECORDS: the grant of person") && said[0].ends_with("the log never heard of it"),
        "{said:#?}"
    );
}

#[tokio::test]
async fn an_audit_item_that_was_taken_out_or_left_behind_and_an_entry_that_was_changed_are_named() {
    let flow = a_day().await;
    let store = flow.client(HARBOR).await;
    let place = ClientPlace::Assessment;
    let mut batch = store.batch(place);
    record(&mut batch, Event::new("proposal.approved", "proposal 1", approval(1, "", "")));
    batch.commit().await.unwrap();
    let (said, outcome) = verified(&flow).await;
    assert_eq!(outcome, Ok(()), "it waits, and that is all");
    assert!(said.iter().any(|line| line.contains("1 wait for their place, the oldest since")), "{said:#?}");
    let waiting = store.all::<Item>(place, "").await.unwrap();
    let mut batch = store.batch(place);
    batch.delete(&waiting[0]);
    batch.commit().await.unwrap();
    let said = faults(&flow).await;
    assert!(said[0].contains("of the client's assessment is gone: it was written with what it records"), "{said:#?}");

    let entries = ClientPlace::audit(AuditPart::Entries(0));
    let key = assay::audit::entry::entry_key(3);
    let insider = flow.test.insider();
    let store = client_of(&insider, HARBOR).await;
    change::<assay::audit::entry::Entry>(&store, entries, &key, |entry| entry.content = entry.content.replace('{', "{ ")).await;
    let said = faults(&flow).await;
    assert!(said.iter().any(|line| line.contains("the content of entry 3 is not what the entry committed to")), "{said:#?}");
}

/// Where the weightiest items of the installation wait: a destruction, another vault key.
#[tokio::test]
async fn an_audit_item_beside_the_keys_is_shown_while_it_waits_and_named_when_it_was_taken_out() {
    let flow = a_day().await;
    let store = flow.deployment().await;
    let places = [DeploymentPlace::Keys(HARBOR), DeploymentPlace::OwnKeys];
    for place in places {
        let mut batch = store.batch(place);
        record(&mut batch, Event::new("key.regions_changed", "regions", json!({ "before": "", "after": "westeurope" })));
        batch.commit().await.unwrap();
    }
    let (said, outcome) = verified(&flow).await;
    assert_eq!(outcome, Ok(()), "{said:#?}");
    let page = text(&Browser::of(&flow, What::Engineer).await.get("portal/audit").await);
    assert_eq!(page.matches("may be read to: westeurope").count(), 2, "{page}");
    for place in places {
        let mut batch = store.batch(place);
        batch.delete(store.all::<Item>(place, "").await.unwrap().last().unwrap());
        batch.commit().await.unwrap();
    }
    let said = faults(&flow).await;
    let gone = said.iter().filter(|line| line.contains("is gone: it was written with what it records")).count();
    assert_eq!((said.len(), gone), (2, 2), "{said:#?}");
}

#[tokio::test]
async fn a_head_that_was_taken_away_with_an_item_is_named_and_the_item_too() {
    let flow = a_day().await;
    let store = flow.client(HARBOR).await;
    let (place, own) = (ClientPlace::Assessment, ClientPlace::audit(AuditPart::Head));
    let mut batch = store.batch(place);
    record(&mut batch, Event::new("proposal.approved", "proposal 1", approval(1, "", "")));
    batch.commit().await.unwrap();
    let mut batch = store.batch(place);
    batch.delete(&store.all::<Item>(place, "").await.unwrap()[0]);
    batch.commit().await.unwrap();
    let mut batch = store.batch(own);
    batch.delete(&store.read::<Head>(own, HEAD_KEY).await.unwrap().unwrap());
    batch.commit().await.unwrap();
    let said = faults(&flow).await;
    assert_eq!(said.len(), 2, "{said:#?}");
    assert!(said[0].contains(HEAD_GONE) && said[1].contains("of the client's assessment is gone"), "{said:#?}");
}

#[tokio::test]
async fn a_checkpoint_that_is_gone_a_record_of_another_tree_and_an_anchor_that_the_log_does_not_have_are_named() {
    let flow = a_day().await;
    let (store, app) = (flow.client(HARBOR).await, flow.app());
    anchor::anchor_last(&store).await.unwrap();
    assert_eq!(verified(&flow).await.1, Ok(()));

    let checkpoint = tiles::name(store.owner(), tiles::CHECKPOINT);
    let note = app.blobs.read(BlobContainer::Log, &checkpoint).await.unwrap().unwrap();
    app.blobs.delete(BlobContainer::Log, &checkpoint).await.unwrap();
    let said = faults(&flow).await;
    assert!(said.len() == 1 && said[0].contains("LOG: the checkpoint is gone, and "), "{said:#?}");
    // Also when the record of what is published went with it.
    let head = ClientPlace::audit(AuditPart::Head);
    let empty = |published: &mut Published| published.tree = Tree::default();
    let honest = change::<Published>(&store, head, HEAD_KEY, empty).await.value;
    let keys = log_copy::keys(&store).await;
    let told = std::cell::RefCell::new(Vec::new());
    let outside = Outside { keys: &keys, seen: None };
    verify_store::run(app, outside, |words| told.borrow_mut().push(words.to_owned())).await.unwrap_err();
    let told = told.into_inner();
    assert!(
        told.iter().any(|line| line.starts_with("Client Harbor") && line.contains("no checkpoint is there to which the keys")),
        "{told:#?}"
    );
    let _ = app.blobs.replace(BlobContainer::Log, &checkpoint, note, None).await.unwrap();

    // As many entries, and others.
    let mut other = Tree::default();
    for _ in 0..honest.tree.size() {
        other.append(merkle::leaf(b"other"), &mut |_, _| {});
    }
    change::<Published>(&store, head, HEAD_KEY, |published| published.tree = other).await;
    let said = faults(&flow).await;
    assert!(said.len() == 1 && said[0].contains("do not lead to the root of the record of what is published"), "{said:#?}");
    change::<Published>(&store, head, HEAD_KEY, |published| *published = honest).await;

    let signer = Signer::of(app, store.owner()).await.unwrap();
    let ahead = Checkpoint { origin: signer.origin().into(), size: 999, root: Hash::from_bytes([7; 32]) };
    let note = signer.sign(app, &ahead.text()).await.unwrap();
    let name = |size: u64| tiles::name(store.owner(), format!("newest/{:020}", u64::MAX - size));
    let _ = app.blobs.create(BlobContainer::Anchors, &name(999), note.into()).await.unwrap();
    let said = faults(&flow).await;
    assert!(said.len() == 1 && said[0].contains("LOG: the newest anchor has 999 entries and the store knows "), "{said:#?}");
    let prefix = tiles::name(store.owner(), "");
    for name in app.blobs.list(BlobContainer::Anchors, &prefix, None).await.unwrap().names {
        app.blobs.delete(BlobContainer::Anchors, &name).await.unwrap();
    }
    let said = faults(&flow).await;
    assert!(said.len() == 1 && said[0].contains("is gone from the container of the anchors, and no copy is left"), "{said:#?}");
}

/// As an insider does it: the record is as it was, and nothing is said of it.
async fn put_back<T: Record + Clone>(store: &Store<'_, DeploymentPlace>, before: &Held<T>) {
    let now = store.read::<T>(DeploymentPlace::Directory, &before.value.key()).await.unwrap();
    let mut batch = store.batch(DeploymentPlace::Directory);
    batch.put(before.value.clone(), now.map(|held| held.etag));
    batch.commit().await.unwrap();
}

/// An installation whose log tells of its grants.
async fn a_directory() -> Flow {
    let mut flow = Flow::new(Extent::Small).await;
    grants_are_told(&flow).await;
    flow.pass(Duration::minutes(5)).await;
    flow
}

async fn known(store: &Store<'_, DeploymentPlace>, id: PersonId) -> Held<Person> {
    store.read(DeploymentPlace::Directory, &id.to_string()).await.unwrap().unwrap()
}

#[tokio::test]
async fn a_grant_and_access_that_were_taken_away_and_are_put_back_are_named_each_by_its_record() {
    let flow = a_directory().await;
    let store = flow.deployment().await;
    let marco = person(What::Engineer).id;
    let (record, key) = (known(&store, marco).await, directory::grant_key(HARBOR, marco));
    let grant: Held<Grant> = store.read(DeploymentPlace::Directory, &key).await.unwrap().unwrap();
    access::end(&store, person(What::Owner).id, marco).await.unwrap();
    let ended = known(&store, marco).await;
    assert_eq!(verified(&flow).await.1, Ok(()), "it is in the log");

    put_back(&store, &record).await;
    let said = faults(&flow).await;
    let back = "is there in the store, and was taken away by the log: an earlier state was put back";
    assert_eq!(said, [format!("The installation: RECORDS: the access of person {marco} {back}")]);
    put_back(&store, &ended).await;
    put_back(&store, &grant).await;
    let said = faults(&flow).await;
    let of = format!("the grant of person {marco} for client {HARBOR}");
    assert_eq!(said, [format!("The installation: RECORDS: {of} is engineer without an end in the store, and taken away by the log")]);
    let mut batch = store.batch(DeploymentPlace::Directory);
    batch.remove::<Grant>(&key).remove::<Person>(&marco.to_string());
    batch.commit().await.unwrap();
    let said = faults(&flow).await;
    assert_eq!(said, [format!("The installation: RECORDS: person {marco} is not in the store, and the log tells of them")]);

    // The other way round: somebody is kept out, and no log says so.
    put_back(&store, &ended).await;
    let priya = known(&store, person(What::Approver).id).await;
    let id = priya.value.id;
    put_back(&store, &Held { value: access::ended(&priya.value, START), ..priya }).await;
    let said = faults(&flow).await;
    assert_eq!(said, [format!("The installation: RECORDS: the access of person {id} is taken away in the store, and stands by the log")]);
}

#[tokio::test]
async fn whose_other_account_somebodys_is_their_address_and_their_last_day_are_compared_with_the_log() {
    let flow = a_directory().await;
    let store = flow.deployment().await;
    let (marco, olivia) = (person(What::Engineer), person(What::Owner).id);
    let before = known(&store, marco.id).await;
    let (seen, same_as) = (change::fingerprint(&before.value), olivia.to_string());
    let change = Change { seen: &seen, name: marco.name, email: "reyes@northgate.example", operates: true, same_as: &same_as };
    change::change(&store, marco.id, change).await.unwrap();
    let all = review::all(&store).await.unwrap();
    let seen = all.iter().find(|one| one.about == About::Installation).unwrap().fingerprint();
    let until = HashMap::from([(marco.id, Answer::Until(Some(START + Duration::days(30))))]);
    review::record(&store, olivia, About::Installation, &seen, &until).await.unwrap();
    assert_eq!(verified(&flow).await.1, Ok(()), "all of it is in the log");
    put_back(&store, &before).await;
    let of = |what: &str| format!("The installation: RECORDS: the {what} of person {} is ", marco.id);
    assert_eq!(
        faults(&flow).await,
        [
            of("access") + &format!("without an end in the store, and until {} by the log", START + Duration::days(30)),
            of("account") + &format!("nobody else's in the store, and also person {olivia}'s by the log"),
            of("address") + "another one in the store than by the log",
        ]
    );
}

#[tokio::test]
async fn a_client_that_is_switched_off_in_the_log_alone_or_in_the_store_alone_is_named() {
    let flow = a_directory().await;
    let store = flow.deployment().await;
    let mark = SwitchedOff::of(RIDGE, person(What::Owner).id, START);
    let mut batch = store.batch(DeploymentPlace::Directory);
    batch.create(&mark);
    batch.commit().await.unwrap();
    assert_eq!(faults(&flow).await, [format!("The installation: RECORDS: client {RIDGE} is switched off in the store, and on by the log")]);

    let mut batch = store.batch(DeploymentPlace::Directory);
    let detail = json!({ "name": "Ridge Composites", "destroy_from": 0 });
    record(&mut batch, Event::new("client.offboarding.switched_off", format!("client {RIDGE}"), detail));
    batch.commit().await.unwrap();
    assert_eq!(verified(&flow).await.1, Ok(()));
    let mut batch = store.batch(DeploymentPlace::Directory);
    batch.remove::<SwitchedOff>(&mark.key());
    batch.commit().await.unwrap();
    let back = "is on in the store, and was switched off by the log: an earlier state was put back";
    assert_eq!(faults(&flow).await, [format!("The installation: RECORDS: client {RIDGE} {back}")]);
}
