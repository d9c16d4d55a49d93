//! What was recorded comes to the log: an audit item that somebody takes out before it has its place leaves a gap in the
//! numbers of its place, and the gap is an alarm, once, in plain words. Whoever writes at once, whatever was before: no
//! gap is seen where nothing was taken.

use std::sync::Arc;

use assay::{
    app::App,
    audit::{
        self, Event, Item,
        entry::{Entry, HEAD_KEY, Head},
        follow::{Followed, HEAD_GONE},
        leaf, sequence,
    },
    tenancy::{
        ClientPlace, ConnectionId, DeploymentPlace, DeploymentScope, Held, Place, Record, Store,
        place::{AuditPart, ConnectionPlace},
        tail::{TAIL, Tail},
    },
};
use futures_util::future::join_all;
use time::Duration;
use uuid::Uuid;

use crate::support::{TestApp, events::approval, reader::client};

type Client<'a> = Store<'a, ClientPlace>;

const PLACE: ClientPlace = ClientPlace::Evidence(2);

async fn happen(store: &Client<'_>, object: &str) {
    let mut batch = store.batch(PLACE);
    audit::record(&mut batch, Event::new("proposal.approved", object, approval(1, "", "seen")));
    batch.commit().await.unwrap();
}

async fn waiting(store: &Client<'_>) -> Vec<Held<Item>> {
    store.all::<Item>(PLACE, "").await.unwrap()
}

async fn take_out<T: Record>(store: &Client<'_>, held: &Held<T>) {
    let mut batch = store.batch(PLACE);
    batch.delete(held);
    batch.commit().await.unwrap();
}

async fn run(store: &Client<'_>) {
    assert!(sequence(store, ClientPlace::with_outbox()).await.unwrap().complete);
}

/// What the log says was taken out, and what its objects are.
async fn log(store: &Client<'_>) -> (Vec<String>, Vec<String>) {
    let (mut gaps, mut objects) = (Vec::new(), Vec::new());
    for held in store.all::<Entry>(ClientPlace::Log(AuditPart::Entries(0)), "").await.unwrap() {
        let leaf = leaf::read(&held.value.leaf).unwrap();
        match leaf.kind.as_str() {
            "log.gap" => {
                let content: serde_json::Value = serde_json::from_str(&held.value.content).unwrap();
                gaps.push(content["detail"]["why"].as_str().unwrap().to_owned());
            }
            _ => objects.push(leaf.object),
        }
    }
    (gaps, objects)
}

async fn head(store: &Client<'_>) -> Head {
    store.read::<Head>(ClientPlace::audit(AuditPart::Head), HEAD_KEY).await.unwrap().unwrap().value
}

const ONE_GONE: &str = "audit item 2 of the client's evidence (part 3 of 16) is gone: it was written with what it records, and taken out before it had its place";

#[tokio::test]
async fn an_item_that_is_taken_out_before_it_has_its_place_is_an_alarm_once_and_the_log_goes_on() {
    let mut test = TestApp::new();
    {
        let store = client(test.app()).await;
        for object in ["a", "b", "c"] {
            happen(&store, object).await;
        }
        let items = waiting(&store).await;
        assert_eq!(items.iter().map(|held| held.value.link.as_ref().unwrap().number).collect::<Vec<_>>(), [1, 2, 3]);
        take_out(&store, &items[1]).await;
        run(&store).await;
        let (gaps, objects) = log(&store).await;
        assert_eq!((gaps, objects), (vec![ONE_GONE.to_owned()], vec!["a".into(), "c".into()]));
        assert_eq!(head(&store).await.gap.unwrap().what, ONE_GONE);
    }
    // Said once, also by another process, and what comes later is no part of it.
    test.restart();
    let store = client(test.app()).await;
    run(&store).await;
    happen(&store, "d").await;
    run(&store).await;
    let (gaps, objects) = log(&store).await;
    assert_eq!((gaps.len(), objects), (1, vec!["a".into(), "c".into(), "d".into()]));
    assert!(waiting(&store).await.is_empty());
}

#[tokio::test]
async fn the_last_item_and_the_only_one_are_missed_too_although_nothing_waits() {
    let test = TestApp::new();
    let store = client(test.app()).await;
    happen(&store, "a").await;
    take_out(&store, &waiting(&store).await[0]).await;
    run(&store).await;
    assert!(log(&store).await.0[0].starts_with("audit item 1 of the client's evidence"));
    happen(&store, "b").await;
    happen(&store, "c").await;
    run(&store).await;
    for object in ["d", "e"] {
        happen(&store, object).await;
    }
    for held in waiting(&store).await {
        take_out(&store, &held).await;
    }
    run(&store).await;
    let (gaps, objects) = log(&store).await;
    assert_eq!((gaps.len(), objects), (2, vec!["b".into(), "c".into()]));
    assert!(gaps[1].starts_with("audit items 4 to 5 of the client's evidence (part 3 of 16) are gone"), "{gaps:?}");
}

#[tokio::test]
async fn a_second_gap_does_not_hide_the_first() {
    let test = TestApp::new();
    let store = client(test.app()).await;
    for object in ["a", "b", "c"] {
        happen(&store, object).await;
    }
    take_out(&store, &waiting(&store).await[1]).await;
    run(&store).await;
    let first = head(&store).await.gap.unwrap();
    for day in 1..3 {
        test.clock.advance(Duration::days(1));
        happen(&store, "d").await;
        take_out(&store, &waiting(&store).await[0]).await;
        run(&store).await;
        let gap = head(&store).await.gap.unwrap();
        assert_eq!(gap.since, first.since);
        assert!(gap.what.starts_with(&format!("{ONE_GONE}; the last: audit item {} of the client's evidence", day + 3)), "{}", gap.what);
        assert_eq!((gap.count, gap.last), (day + 1, Some(test.app().now())));
    }
    assert_eq!(log(&store).await.0.len(), 3);
}

#[tokio::test]
async fn a_head_that_is_taken_away_is_an_alarm_once_and_hides_no_item_that_went_with_it() {
    let test = TestApp::new();
    let store = client(test.app()).await;
    happen(&store, "a").await;
    run(&store).await;
    happen(&store, "b").await;
    take_out(&store, &waiting(&store).await[0]).await;
    let own = ClientPlace::audit(AuditPart::Head);
    let mut batch = store.batch(own);
    batch.delete(&store.read::<Head>(own, HEAD_KEY).await.unwrap().unwrap());
    batch.commit().await.unwrap();
    run(&store).await;
    assert_eq!(log(&store).await, (vec![HEAD_GONE.to_owned(), ONE_GONE.to_owned()], vec!["a".into()]));
    let gap = head(&store).await.gap.unwrap();
    assert_eq!((gap.what, gap.count), (format!("{HEAD_GONE}; the last: {ONE_GONE}"), 2));
    happen(&store, "c").await;
    run(&store).await;
    let (gaps, objects) = log(&store).await;
    assert_eq!((gaps.len(), objects), (2, vec!["a".into(), "c".into()]));
}

#[tokio::test]
async fn more_places_than_one_write_takes_that_all_moved_or_all_lost_an_item_stop_no_run() {
    let test = TestApp::new();
    let store = DeploymentScope::of_function("story", "story").store(test.app()).await.unwrap();
    let connections = (1..=8).map(|n| ConnectionId(Uuid::from_u128(n)));
    let places: Vec<DeploymentPlace> =
        connections.flat_map(|id| ConnectionPlace::all().map(move |place| DeploymentPlace::Connection(id, place))).collect();
    let happen_everywhere = async || {
        for place in &places {
            let mut batch = store.batch(*place);
            audit::record(&mut batch, Event::new("proposal.approved", "a", approval(1, "", "")));
            batch.commit().await.unwrap();
        }
    };
    let own = DeploymentPlace::audit(AuditPart::Head);
    let followed = async |number| {
        let head = store.read::<Head>(own, HEAD_KEY).await.unwrap().unwrap().value;
        let mark = head.follows.unwrap().mark;
        let all = store.all::<Followed>(own, "").await.unwrap();
        let there = all.iter().filter(|held| held.value.mark == mark && held.value.at.number == number);
        assert_eq!(there.filter(|held| held.value.place != own.key()).count(), places.len());
        head
    };
    happen_everywhere().await;
    assert!(sequence(&store, places.clone()).await.unwrap().complete);
    // The release before had the log in between: all are followed under a new mark.
    let head = Head { follows: None, ..followed(1).await };
    let etag = store.read::<Head>(own, HEAD_KEY).await.unwrap().unwrap().etag;
    let mut batch = store.batch(own);
    batch.replace(&Held { value: head, etag });
    batch.commit().await.unwrap();
    happen_everywhere().await;
    assert!(sequence(&store, places.clone()).await.unwrap().complete);
    followed(2).await;

    happen_everywhere().await;
    for place in &places {
        let mut batch = store.batch(*place);
        batch.delete(&store.all::<Item>(*place, "").await.unwrap()[0]);
        batch.commit().await.unwrap();
    }
    for _ in 0..2 {
        assert!(sequence(&store, places.clone()).await.unwrap().complete);
        let gap = followed(3).await.gap.unwrap().what;
        assert!(gap.starts_with("audit item 3 of ") && gap.contains(" more like these") && gap.len() < 2500, "{gap}");
        let entries = store.all::<Entry>(DeploymentPlace::Log(AuditPart::Entries(0)), "").await.unwrap();
        let said = entries.iter().filter(|held| leaf::read(&held.value.leaf).unwrap().kind == "log.gap").count();
        assert_eq!(said, 1, "in one entry, and once");
    }
}

#[tokio::test]
async fn a_count_that_is_put_back_with_its_item_is_found_by_the_process_that_wrote_it_and_by_the_log() {
    let test = TestApp::new();
    let store = client(test.app()).await;
    happen(&store, "a").await;
    let earlier = store.read::<Tail>(PLACE, TAIL).await.unwrap().unwrap().value;
    let put_back = async || {
        let now = store.read::<Tail>(PLACE, TAIL).await.unwrap().unwrap();
        let mut batch = store.batch(PLACE);
        batch.replace(&Held { value: earlier.clone(), etag: now.etag });
        batch.commit().await.unwrap();
    };
    happen(&store, "b").await;
    take_out(&store, &waiting(&store).await[1]).await;
    put_back().await;
    run(&store).await;
    assert!(log(&store).await.0.is_empty(), "nobody can know yet");
    happen(&store, "c").await;
    run(&store).await;
    assert_eq!(log(&store).await, (vec![ONE_GONE.to_owned()], vec!["a".into(), "c".into()]));
    // Behind what the log knows.
    put_back().await;
    run(&store).await;
    let (gaps, _) = log(&store).await;
    assert_eq!(
        gaps[1],
        "the client's evidence (part 3 of 16) counts 1 audit item and the log knows 3: an earlier state of that place was put back"
    );
    let tail = store.read::<Tail>(PLACE, TAIL).await.unwrap().unwrap();
    take_out(&store, &tail).await;
    run(&store).await;
    assert!(log(&store).await.0[2].contains("counts 0 audit items"));
}

#[tokio::test]
async fn a_count_that_is_put_back_and_counted_on_elsewhere_is_found_by_the_process_that_wrote_as_many() {
    let test = TestApp::new();
    let elsewhere = App { memory: Arc::default(), ..test.app().clone() };
    let store = client(test.app()).await;
    happen(&store, "a").await;
    let earlier = store.read::<Tail>(PLACE, TAIL).await.unwrap().unwrap().value;
    happen(&store, "b").await;
    take_out(&store, &waiting(&store).await[1]).await;
    let now = store.read::<Tail>(PLACE, TAIL).await.unwrap().unwrap();
    let mut batch = store.batch(PLACE);
    batch.replace(&Held { value: earlier, etag: now.etag });
    batch.commit().await.unwrap();
    happen(&client(&elsewhere).await, "c").await;
    happen(&store, "d").await;
    run(&store).await;
    let (gaps, objects) = log(&store).await;
    assert_eq!(objects, ["a", "c", "d"]);
    assert_eq!(
        gaps,
        ["audit item 3 of the client's evidence (part 3 of 16) does not continue the one before it: one of the two was exchanged"]
    );
}

/// As the release before wrote them.
async fn unnumbered(store: &Client<'_>, object: &str) {
    happen(store, object).await;
    for held in waiting(store).await {
        let mut batch = store.batch(PLACE);
        batch.delete(&held);
        batch.create(&Item { link: None, ..held.value });
        batch.commit().await.unwrap();
    }
    let tail = store.read::<Tail>(PLACE, TAIL).await.unwrap().unwrap();
    take_out(store, &tail).await;
}

#[tokio::test]
async fn items_without_numbers_are_taken_from_an_earlier_release_and_for_an_hour_and_then_are_an_alarm() {
    let mut test = TestApp::new();
    {
        let store = client(test.app()).await;
        happen(&store, "numbered").await;
        run(&store).await;
        // The release before has the log: its head says nothing of numbers, and it takes what waits.
        happen(&store, "taken by the release before").await;
        take_out(&store, &waiting(&store).await[0]).await;
        let held = store.read::<Head>(ClientPlace::audit(AuditPart::Head), HEAD_KEY).await.unwrap().unwrap();
        let mut batch = store.batch(ClientPlace::audit(AuditPart::Head));
        batch.replace(&Held { value: Head { follows: None, ..held.value }, etag: held.etag });
        batch.commit().await.unwrap();
    }
    test.restart();
    {
        let store = client(test.app()).await;
        happen(&store, "numbered again").await;
        run(&store).await;
        assert_eq!(log(&store).await, (Vec::new(), vec!["numbered".into(), "numbered again".into()]));
        let followed = store.all::<Followed>(ClientPlace::audit(AuditPart::Head), "").await.unwrap();
        assert_eq!(followed.iter().map(|held| held.value.at.number).collect::<Vec<_>>(), [3]);
        test.clock.advance(Duration::minutes(30));
    }
    test.restart();
    let store = client(test.app()).await;
    unnumbered(&store, "by a process that still runs").await;
    run(&store).await;
    assert!(!log(&store).await.0.iter().any(|gap| gap.contains("no number")));
    test.clock.advance(Duration::minutes(31));
    unnumbered(&store, "by nobody").await;
    run(&store).await;
    let (gaps, objects) = log(&store).await;
    assert!(gaps.last().unwrap().contains("1 audit item of the client's evidence (part 3 of 16) has no number"), "{gaps:?}");
    assert_eq!(objects.last().unwrap(), "by nobody", "it is in the log all the same");
}

#[tokio::test]
async fn sixteen_who_write_to_one_place_at_once_all_succeed_and_number_without_a_gap() {
    let test = TestApp::new();
    let app = test.app();
    happen(&client(app).await, "first").await;
    let before = test.faults.count();
    join_all((0..16).map(|n| async move { happen(&client(app).await, &n.to_string()).await })).await;
    let calls = test.faults.calls().split_off(before);
    let batches = calls.iter().filter(|call| **call == "documents.batch").count();
    let reads = calls.iter().filter(|call| call.starts_with("documents.read")).count();
    assert!(batches <= 2 * 16 && reads <= 16, "{batches} batches, {reads} reads");
    let store = client(app).await;
    let numbers: Vec<u64> = waiting(&store).await.iter().map(|held| held.value.link.as_ref().unwrap().number).collect();
    assert_eq!(numbers, (1..=17).collect::<Vec<_>>());
    run(&store).await;
    assert_eq!((log(&store).await.0, log(&store).await.1.len()), (Vec::new(), 17));
}

#[tokio::test]
async fn two_processes_that_write_to_one_place_in_turn_number_without_a_gap() {
    let test = TestApp::new();
    let elsewhere = App { memory: Arc::default(), ..test.app().clone() };
    for n in 0..6 {
        let app = if n % 2 == 0 { test.app() } else { &elsewhere };
        happen(&client(app).await, &n.to_string()).await;
        if n == 3 {
            run(&client(&elsewhere).await).await;
        }
    }
    let store = client(test.app()).await;
    run(&store).await;
    let (gaps, objects) = log(&store).await;
    assert_eq!((gaps.len(), objects), (0, (0..6).map(|n| n.to_string()).collect()));
}
