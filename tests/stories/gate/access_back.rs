//! An insider who can write the database puts access back that was taken away: decisions go by the directory, and nothing
//! runs by it, since a run goes by the installation's log.

use std::collections::BTreeMap;

use assay::{
    audit::{self, Event},
    connectors::client::{Access, Given, change_access},
    gate::{ExecuteError, Policy, Rule, State, authority},
    platform::ports::{BatchOutcome, Container, Op, Partition},
    tenancy::{
        DeploymentPlace, DeploymentScope, Held, Store, StoreError,
        directory::{Grant, Person},
    },
};
use serde_json::{Value, json};
use time::Duration;

use super::{House, draft};
use crate::support::{faults::Fault, meeting::two_at_once};

async fn directory(house: &House) -> Store<'_, DeploymentPlace> {
    DeploymentScope::of_function("test", "story").store(house.test.app()).await.unwrap()
}

fn partition() -> Partition {
    Partition::reserved_for_tenancy(Container::Deployment, "deployment/directory".into())
}

async fn document(house: &House, id: &str) -> Value {
    house.test.app().documents.read(&partition(), id).await.unwrap().unwrap().body
}

/// It is as it was, also for who remembers the directory.
async fn put_back(house: &House, id: &str, body: Value) {
    let documents = &house.test.app().documents;
    let op = match documents.read(&partition(), id).await.unwrap() {
        Some(now) => Op::Replace { id: id.into(), body, if_match: now.etag },
        None => Op::Create { id: id.into(), body },
    };
    assert!(matches!(documents.batch(&partition(), vec![op]).await.unwrap(), BatchOutcome::Committed(_)));
    house.test.clock.advance(Duration::minutes(11));
}

/// How far it is known what the log tells: waiting for its place, in it, or followed by the sweep.
const KNOWN: [&str; 3] = ["waits", "entry", "followed"];

async fn keep_the_log(house: &House, known: &str) {
    if known != "waits" {
        audit::sequence(&directory(house).await, [DeploymentPlace::Directory]).await.unwrap();
    }
    if known == "followed" {
        authority::watch(&directory(house).await).await.unwrap();
    }
}

async fn alarms(house: &House) -> usize {
    audit::sequence(&directory(house).await, [DeploymentPlace::Directory]).await.unwrap();
    let trail = audit::trail::page(&directory(house).await, std::iter::empty(), None).await.unwrap();
    trail.entries.iter().filter(|shown| shown.kind == "access.put_back").count()
}

#[tokio::test]
async fn an_insider_who_puts_a_grant_back_that_was_taken_away_gets_nothing_run_by_it() {
    for known in KNOWN {
        let house = House::new().await;
        let grant = format!("grant:{}:{}", house.tenant, house.priya.id);
        let before = document(&house, &grant).await;
        let store = directory(&house).await;
        let access = Access::read(&store, house.tenant).await.unwrap().unwrap();
        let stays = |grant: &Grant| Given { person: grant.person, roles: grant.roles.clone(), until: grant.until };
        let left: Vec<Given> = access.grants().filter(|grant| grant.person != house.priya.id).map(stays).collect();
        change_access(&store, &access, &left).await.unwrap();
        keep_the_log(&house, known).await;
        put_back(&house, &grant, before).await;

        let id = house.asked(draft()).await;
        house.approve(&house.priya, id).await.unwrap();
        let State::Refused { why, .. } = house.execute().await.unwrap().state else { panic!("it ran ({known})") };
        assert!(why.starts_with("Priya Nair") && why.contains("approver"), "{why}");
        for said in [0, 1, 1] {
            audit::sequence(&store, [DeploymentPlace::Directory]).await.unwrap();
            authority::watch(&store).await.unwrap();
            assert_eq!(alarms(&house).await, said);
        }
    }
}

/// Where the sweep keeps what it followed of the installation's log.
fn head() -> Partition {
    Partition::reserved_for_tenancy(Container::Heads, "deployment/log/head".into())
}

/// From now on these may do something for the client, as its page does it.
async fn given(house: &House, of: impl Fn(&Grant) -> Option<Given>) {
    let store = directory(house).await;
    let access = Access::read(&store, house.tenant).await.unwrap().unwrap();
    let given: Vec<Given> = access.grants().filter_map(of).collect();
    change_access(&store, &access, &given).await.unwrap();
    keep_the_log(house, "followed").await;
}

#[tokio::test]
async fn what_the_sweep_kept_and_an_insider_puts_back_makes_the_look_longer_and_never_wrong() {
    for is_swept in [false, true] {
        let house = House::new().await;
        let (documents, grant) = (&house.test.app().documents, format!("grant:{}:{}", house.tenant, house.priya.id));
        let until = Some(house.test.app().now() + Duration::days(300));
        changed(&house, |zoe| zoe.name = "Zoë O.".into()).await;
        given(&house, |grant| Some(Given { person: grant.person, roles: grant.roles.clone(), until })).await;
        let (granted, kept) = (document(&house, &grant).await, documents.changes(&head(), None, 1000).await.unwrap().documents);
        // Every part that is put back was written again since.
        house.test.clock.advance(Duration::SECOND);
        changed(&house, |zoe| zoe.name = "Zoë Okafor".into()).await;
        let others = |grant: &Grant| grant.person != house.priya.id;
        given(&house, |grant| others(grant).then(|| Given { person: grant.person, roles: grant.roles.clone(), until })).await;
        for old in kept.into_iter().filter(|document| document.id.starts_with("access-told:")) {
            let if_match = documents.read(&head(), &old.id).await.unwrap().unwrap().etag;
            let op = Op::Replace { id: old.id, body: old.body, if_match };
            assert!(matches!(documents.batch(&head(), vec![op]).await.unwrap(), BatchOutcome::Committed(_)));
        }
        put_back(&house, &grant, granted).await;
        if is_swept {
            for said in [0, 1] {
                authority::watch(&directory(&house).await).await.unwrap();
                assert_eq!(alarms(&house).await, said);
            }
        }
        let id = house.asked(draft()).await;
        house.approve(&house.priya, id).await.unwrap();
        assert!(matches!(house.execute().await.unwrap().state, State::Refused { .. }), "{is_swept}");
    }
}

#[tokio::test]
async fn an_insider_who_takes_the_link_between_two_accounts_away_gets_no_second_voice() {
    for known in KNOWN {
        let house = House::new().await;
        let rule = Rule { approvals: 2, ..Rule::of_kind("mark") };
        house.set_policy(&Policy { rules: BTreeMap::from([("mark".to_owned(), rule)]), ..Policy::default() }).await;
        let record = format!("person:{}", house.sam.id);
        let before = document(&house, &record).await;
        linked(&house).await;
        keep_the_log(&house, known).await;
        put_back(&house, &record, before).await;

        let id = house.asked(draft()).await;
        house.approve(&house.priya, id).await.unwrap();
        house.approve(&house.sam, id).await.unwrap();
        let State::Refused { why, .. } = house.execute().await.unwrap().state else { panic!("it ran ({known})") };
        assert_eq!(why, "Not enough approvals count any more (1 of 2).");
    }
}

/// An owner says that Zoë's account is Priya's other one.
async fn linked(house: &House) {
    changed(house, |zoe| zoe.same_as = Some(house.priya.id)).await;
}

/// An owner changes what is known of Zoë, as the page of a person does it.
async fn changed(house: &House, change: impl FnOnce(&mut Person)) {
    let store = directory(house).await;
    let mut held: Held<Person> = store.read(DeploymentPlace::Directory, &house.sam.id.to_string()).await.unwrap().unwrap();
    let known = |person: &Person| json!({ "name": person.name, "email": person.email, "operates": false, "same_as": person.same_as });
    let before = known(&held.value);
    change(&mut held.value);
    let detail = json!({ "name": held.value.name, "before": before, "after": known(&held.value) });
    let mut batch = store.batch(DeploymentPlace::Directory);
    audit::record(&mut batch, Event::new("person.changed", format!("person {}", house.sam.id), detail));
    batch.replace(&held);
    batch.commit().await.unwrap();
}

#[tokio::test]
async fn an_insider_who_takes_the_mark_of_a_client_away_that_is_switched_off_gets_nothing_run_for_it() {
    for known in KNOWN {
        let house = House::new().await;
        let id = house.asked(draft()).await;
        house.approve(&house.priya, id).await.unwrap();
        // As it is once the mark was deleted.
        let store = directory(&house).await;
        let mut batch = store.batch(DeploymentPlace::Directory);
        let detail = json!({ "name": "Harbor Precision", "destroy_from": 0 });
        audit::record(&mut batch, Event::new("client.offboarding.switched_off", format!("client {}", house.tenant), detail));
        batch.commit().await.unwrap();
        keep_the_log(&house, known).await;
        let run = house.execute().await;
        assert!(matches!(run, Err(ExecuteError::Store(StoreError::SwitchedOff { .. }))), "{run:?}");
        house.test.clock.advance(Duration::SECOND);
        let mut batch = store.batch(DeploymentPlace::Directory);
        let detail = json!({ "name": "Harbor Precision", "was_off": true });
        audit::record(&mut batch, Event::new("client.offboarding.taken_back", format!("client {}", house.tenant), detail));
        batch.commit().await.unwrap();
        assert!(matches!(house.execute().await.unwrap().state, State::Executed { .. }), "{known}");
    }
}

#[tokio::test]
async fn of_two_sweeps_that_follow_the_log_at_once_one_is_faster_and_the_other_goes_on() {
    let house = House::new().await;
    linked(&house).await;
    audit::sequence(&directory(&house).await, [DeploymentPlace::Directory]).await.unwrap();
    let both = two_at_once(house.test.app());
    let store = DeploymentScope::of_function("test", "story").store(&both).await.unwrap();
    let (one, other) = tokio::join!(authority::watch(&store), authority::watch(&store));
    one.unwrap();
    other.unwrap();
}

#[tokio::test]
async fn a_store_that_fails_while_the_log_is_followed_is_no_faster_sweep() {
    for at in 0.. {
        let house = House::new().await;
        linked(&house).await;
        let store = directory(&house).await;
        audit::sequence(&store, [DeploymentPlace::Directory]).await.unwrap();
        house.test.faults.fail_at(at, Fault::BeforeEffect);
        let watched = authority::watch(&store).await;
        if !house.test.faults.struck() {
            watched.unwrap();
            break;
        }
        assert!(watched.is_err(), "call {at}");
    }
}
