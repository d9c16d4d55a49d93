//! What ran without anybody's approval is drawn, listed, looked at by who may approve, and counted; by nobody else, not at a
//! glance, and not twice.

use assay::{
    analytics::{
        self,
        sampled::{Ran, Sampled},
    },
    audit::{self, Event, trail},
    connectors::demo::What,
    gate::learning::Rule,
    tenancy::{ClientPlace, directory::Role},
};
use serde_json::{Value, json};
use time::Duration;

use crate::support::{
    browser::{Browser, hidden_of, text},
    flow::{Extent, Flow, HARBOR, RIDGE, person},
};

const LIST: &str = "portal/analytics/";

/// A whole read of the client's devices, as the log tells of it: some 45 of these are drawn.
async fn taken_in(flow: &Flow, read: u64) {
    let store = flow.client(HARBOR).await;
    for shard in 0..3 {
        let one = |n: u64| json!({ "record": format!("rmm:configuration:{}", read * 10_000 + shard * 500 + n), "hash": "c".repeat(64), "revision": n + 1 });
        let mut batch = store.batch(ClientPlace::Assessment);
        let records: Vec<Value> = (0..500).map(one).collect();
        audit::record(&mut batch, Event::new("evidence.observed", format!("rmm:configuration:{shard:02}"), json!({ "records": records })));
        batch.commit().await.unwrap();
    }
}

async fn listed(flow: &Flow) -> Vec<Sampled> {
    let all = flow.client(HARBOR).await.all::<Sampled>(ClientPlace::Assessment, "").await.unwrap();
    all.into_iter().map(|held| held.value).collect()
}

async fn said(flow: &Flow, kind: &str) -> Vec<Value> {
    let trail = trail::page(&flow.client(HARBOR).await, ClientPlace::with_outbox(), None).await.unwrap();
    trail.waiting.into_iter().chain(trail.entries).filter(|shown| shown.kind == kind).map(|shown| shown.detail).collect()
}

/// Some few records of a small client, one by one.
async fn reported(flow: &Flow, from: u64, n: u64) {
    let store = flow.client(HARBOR).await;
    for n in from..from + n {
        let detail = json!({ "hash": "d".repeat(64), "revision": 1 });
        let mut batch = store.batch(ClientPlace::Assessment);
        audit::record(&mut batch, Event::new("evidence.observed", format!("cw:ticket:{n}"), detail));
        batch.commit().await.unwrap();
    }
}

#[tokio::test]
async fn a_small_client_has_something_to_look_at_too_and_a_test_item_among_few() {
    let mut flow = Flow::new(Extent::Small).await;
    reported(&flow, 0, 20).await;
    flow.sweep().await;
    flow.sweep().await;
    assert!(!listed(&flow).await.is_empty(), "of twenty records one at least");
    reported(&flow, 20, 300).await;
    for _ in 0..4 {
        flow.sweep().await;
    }
    let drawn = listed(&flow).await;
    let tests = drawn.iter().filter(|sampled| sampled.shown_as.is_some()).count();
    assert!(tests >= 1 && drawn.len() >= 6 + tests, "{tests} of {}", drawn.len());
}

/// Everything that somebody who looks can see of an item, besides the record itself.
#[tokio::test]
async fn nothing_on_the_list_or_a_page_tells_a_test_item_from_another() {
    let mut flow = Flow::new(Extent::Small).await;
    taken_in(&flow, 1).await;
    for _ in 0..6 {
        flow.sweep().await;
    }
    let all = listed(&flow).await;
    let (tests, others): (Vec<&Sampled>, Vec<&Sampled>) = all.iter().partition(|sampled| sampled.shown_as.is_some());
    assert!(!tests.is_empty());
    // Names of one length and of nothing but a day and hex, all different, that say neither place nor kind.
    let is_opaque = |id: &str| id.len() == 39 && id[7..].bytes().all(|b| b.is_ascii_hexdigit()) && id.as_bytes()[6] == b'.';
    assert!(all.iter().all(|sampled| is_opaque(&sampled.id) && !sampled.place.is_empty()));
    let words = |sampled: &Sampled| match &sampled.ran {
        Ran::Evidence { source_key, .. } => source_key.clone(),
        Ran::Proposal(id) => id.to_string(),
    };
    for test in &tests {
        let records = [words(test), test.shown_as.clone().unwrap()];
        let beside = all.iter().filter(|other| other.id != test.id);
        let twins =
            beside.filter(|other| records.contains(&words(other)) || other.shown_as.as_ref().is_some_and(|shown| records.contains(shown)));
        assert_eq!(twins.count(), 0, "no row beside it is about what it names or shows");
    }
    // Of the same sort, the pages differ in nothing but name, record and token.
    let approver = Browser::of(&flow, What::Approver).await;
    let other = others.iter().find(|other| other.rule == tests[0].rule && other.at.date() == tests[0].at.date()).unwrap();
    let mut pages = Vec::new();
    for item in [tests[0], other] {
        let html = text(&approver.get(&format!("{LIST}{HARBOR}/sampled/{}", item.id)).await);
        let (number, mut html) = (words(item).rsplit(':').next().unwrap().to_owned(), html.replace(&item.id, "ID"));
        html = html.replace(&format!("configuration {number}"), "configuration N");
        let mut parts: Vec<&str> = html.split("name=\"token\" value=\"").collect();
        for part in parts.iter_mut().skip(1) {
            *part = part.split_once('"').unwrap().1;
        }
        pages.push(parts.concat());
    }
    assert_eq!(pages[0], pages[1]);
}

/// The address after the first page.
fn next_of(html: &str) -> String {
    let from = html.find("sampled?after=").expect("there are more");
    let rest = &html[from..];
    rest[..rest.find('"').unwrap()].trim_start_matches("sampled").to_owned()
}

#[tokio::test]
async fn who_may_approve_looks_at_the_sample_says_why_and_is_counted_and_nobody_else_nor_at_a_glance() {
    let mut flow = Flow::new(Extent::Small).await;
    taken_in(&flow, 1).await;
    for _ in 0..6 {
        flow.sweep().await;
    }
    let drawn = listed(&flow).await;
    assert!((25..80).contains(&drawn.len()), "{} of 1,500 and a few", drawn.len());
    // One that is what it says; the list has test items too.
    let one = drawn.iter().find(|sampled| sampled.shown_as.is_none() && sampled.rule.subject() == "configuration").unwrap();
    assert!(drawn.iter().any(|sampled| sampled.shown_as.is_some()));
    let (list, item) = (format!("{LIST}{HARBOR}/sampled"), format!("{LIST}{HARBOR}/sampled/{}", one.id));

    let form = format!("{item}#answer");
    let approver = Browser::of(&flow, What::Approver).await;
    let from = flow.test.faults.count();
    let html = text(&approver.get(&list).await);
    assert_eq!(html.matches("/sampled/02").count(), 20, "{html}");
    let more = next_of(&html);
    let rest = text(&approver.get(&format!("{list}{more}")).await);
    assert!(rest.contains("/sampled/02") && !rest.contains(&drawn[0].id), "{rest}");
    assert_eq!(approver.get(&format!("{LIST}{RIDGE}/sampled{more}")).await.status, 404, "another client's place in a list is nobody's");
    assert_eq!(approver.get(&format!("{list}?after=AAAA")).await.status, 404);
    let opened = approver.get(&item).await;
    assert!(text(&opened).contains("Does this hold for"), "{}", text(&opened));
    assert!(!flow.test.faults.calls()[from..].contains(&"documents.batch"), "a look writes nothing");

    // Sent at once, it was not looked at; without a reason nobody knows what to mend; the item stays.
    let hidden = hidden_of(&opened, &form);
    let glance = approver.send(hidden.clone(), &item, &[("answer", "agree")]).await;
    assert_eq!(glance.status, 422);
    assert!(text(&glance).contains("at least five seconds"), "{}", text(&glance));
    flow.test.clock.advance(Duration::seconds(31));
    let bare = approver.send(hidden_of(&glance, &form), &item, &[("answer", "disagree")]).await;
    assert_eq!(bare.status, 422);
    assert_eq!((listed(&flow).await.len(), said(&flow, "sample.reviewed").await.len()), (drawn.len(), 0));
    let no = [("answer", "disagree"), ("because", "model_wrong")];
    assert_eq!(approver.send(hidden_of(&bare, &form), &item, &no).await.status, 303);
    assert_eq!(approver.send(hidden, &item, &no).await.status, 303, "once more says that it is answered");
    let [answer] = &said(&flow, "sample.reviewed").await[..] else { panic!("one answer") };
    assert_eq!((&answer["agrees"], &answer["because"], &answer["viewed_ms"]), (&json!(false), &json!("model_wrong"), &json!(31_000)));
    assert_eq!(listed(&flow).await.len(), drawn.len() - 1);

    // Who may not approve sees the list, and cannot answer.
    let other = format!("{LIST}{HARBOR}/sampled/{}", drawn.last().unwrap().id);
    let engineer = Browser::of(&flow, What::Engineer).await;
    let (_, grant) = flow.reader(person(What::Engineer), HARBOR).await.unwrap();
    assert!(!grant.has(Role::Approver));
    assert!(!text(&engineer.get(&other).await).contains("It does not hold</button>"));
    assert_eq!(engineer.post(&other, &[("answer", "agree"), ("token", "x")]).await.status, 403);

    flow.sweep().await;
    flow.sweep().await;
    let (known, behind) = analytics::known(&flow.client(HARBOR).await).await.unwrap();
    assert_eq!((known.ledger.rules()[&Rule::of("collect_evidence", "configuration")].total, behind), ((1, 1), 0));
    let approver = Browser::of(&flow, What::Approver).await;
    let html = text(&approver.get(&format!("{LIST}{HARBOR}")).await);
    let card = html.split("Error rate of what ran by itself</abbr>").nth(1).expect("a figure");
    assert!(card.contains("<b>1 of 1</b>"), "{card}");
}

#[tokio::test]
async fn the_sample_is_drawn_once_whatever_is_lost_and_leaves_the_list_when_nobody_looked_in_thirty_days() {
    let mut flow = Flow::new(Extent::Small).await;
    taken_in(&flow, 1).await;
    for _ in 0..6 {
        flow.sweep().await;
    }
    let drawn = listed(&flow).await;
    let item = format!("{LIST}{HARBOR}/sampled/{}", drawn[0].id);
    let form = format!("{item}#answer");
    let approver = Browser::of(&flow, What::Approver).await;
    let opened = approver.get(&item).await;
    flow.test.clock.advance(Duration::seconds(9));
    assert_eq!(approver.send(hidden_of(&opened, &form), &item, &[("answer", "agree")]).await.status, 303);
    flow.sweep().await;
    let store = flow.client(HARBOR).await;
    let kept = store.all::<analytics::Known>(ClientPlace::Assessment, "").await.unwrap().remove(0);
    let mut batch = store.batch(ClientPlace::Assessment);
    batch.delete(&kept);
    batch.commit().await.unwrap();
    drop(store);
    for _ in 0..6 {
        flow.sweep().await;
    }
    let places = |all: &[Sampled]| all.iter().map(|one| one.place.clone()).collect::<Vec<_>>();
    assert_eq!(places(&listed(&flow).await), places(&drawn[1..]), "drawn by the log alone, and what was answered does not come back");
    flow.test.clock.advance(Duration::days(31));
    for _ in 0..6 {
        flow.sweep().await;
    }
    let old: Vec<Sampled> = listed(&flow).await.into_iter().filter(|sampled| drawn.contains(sampled)).collect();
    assert!(old.is_empty() && !said(&flow, "sample.lapsed").await.is_empty(), "{old:?}");
}
