//! Learning from overrides as the recipes of `../shared/security` tell it, and from the log as it really comes about.

use std::{collections::BTreeSet, fs, path::Path};

use assay::{
    analytics,
    audit::{
        self, Event,
        entry::{Entry, entry_key},
    },
    connectors::demo::What,
    gate::{
        Level,
        learning::{Fact, Observed, bounds},
    },
    platform::ports::{BatchOutcome, Op, Partition},
    tenancy::{ClientPlace, Place as _, ProposalId, Record as _, Roster, Scope, Store, place::AuditPart},
};
use serde_json::{Value, json};
use time::Duration;
use uuid::Uuid;

use crate::support::{
    events::approval,
    flow::{Extent, Flow, HARBOR, person},
    shared,
};

/// Each recipe in words is a test that carries its id, beside the rules that it is about.
#[test]
fn security_cases_learning() {
    let Some(folder) = shared::dir("ASSAY_SECURITY_CASES", "security") else { return };
    let files: Vec<_> = fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("learning")))
        .filter(|path| path.extension().is_some_and(|ending| ending == "jsonl"))
        .collect();
    let recipes: Vec<Value> = files
        .iter()
        .flat_map(|path| fs::read_to_string(path).unwrap().lines().map(str::to_owned).collect::<Vec<_>>())
        .filter(|line| !line.trim().is_empty())
        .map(|line| serde_json::from_str(&line).unwrap())
        .collect();
    assert!(!recipes.is_empty(), "no recipe in {}", folder.display());
    let tests = tests_of(&Path::new(env!("CARGO_MANIFEST_DIR")).join("functions/gate/learning"));
    let (told, untold): (Vec<&Value>, Vec<&Value>) = recipes.iter().partition(|recipe| {
        let id = recipe["id"].as_str().unwrap().replace('-', "_");
        tests.iter().any(|name| name.starts_with(&format!("{id}_")))
    });
    for recipe in &untold {
        println!("skipped: {} ({}) has no test of its own", recipe["id"], recipe["title"]);
    }
    assert!(told.len() >= 5, "{} of {} recipes have a test", told.len(), recipes.len());
}

/// `SciPy`'s numbers, made by `tests/judges/bounds.py`: an incomplete beta function that shares nothing with our sums.
#[test]
fn the_bounds_are_those_of_another_implementation() {
    let lines = include_str!("../judges/bounds.jsonl").lines();
    let mut compared = 0;
    for case in lines.map(|line| serde_json::from_str::<Value>(line).unwrap()) {
        let (k, n) = (case["k"].as_u64().unwrap(), case["n"].as_u64().unwrap());
        let (low, high) = bounds::interval(k, n).unwrap();
        let ours = [("low", low), ("high", high), ("upper", bounds::upper(k, n)), ("above", bounds::above(0.05, k, n))];
        for (name, ours) in ours {
            let theirs = case[name].as_f64().unwrap();
            assert!((ours - theirs).abs() < 1e-9, "{name} of {k} in {n}: {ours}, and {theirs} by SciPy");
        }
        compared += 1;
    }
    assert!(compared > 100, "{compared}");
}

/// The names of all tests in a folder.
fn tests_of(folder: &Path) -> BTreeSet<String> {
    let sources = fs::read_dir(folder).unwrap().map(|entry| fs::read_to_string(entry.unwrap().path()).unwrap());
    let names = |source: String| {
        let parts = source.split("#[test]").skip(1);
        parts.filter_map(|part| part.trim_start().strip_prefix("fn ")?.split('(').next().map(str::to_owned)).collect::<Vec<_>>()
    };
    sources.flat_map(names).collect()
}

async fn recorded(store: &Store<'_, ClientPlace>, kind: &'static str, item: u128, detail: Value) {
    let mut batch = store.batch(ClientPlace::Assessment);
    audit::record(&mut batch, Event::new(kind, format!("proposal {}", Uuid::from_u128(item).simple()), detail));
    batch.commit().await.unwrap();
}

/// Priya overrides what a rule asked about one objective, so often; the log as the gate writes it.
async fn overridden(flow: &Flow, items: std::ops::Range<u128>) {
    let (priya, grant) = flow.reader(person(What::Approver), HARBOR).await.unwrap();
    let rule = flow.client(HARBOR).await;
    let reviewer = Scope::of_person(&grant, "story").store(flow.app()).await.unwrap();
    for item in items {
        let staged = json!({ "kind": "mark_objective", "subject": "3.4.1[d]", "hash": "h", "version": 1, "level": "L2" });
        recorded(&rule, "proposal.staged", item, staged).await;
        flow.test.clock.advance(Duration::minutes(1));
        let mut no = approval(1, &priya.name, "");
        (no["viewed_ms"], no["because"]) = (json!(30_000), json!("model_wrong"));
        recorded(&reviewer, "proposal.rejected", item, no).await;
    }
}

async fn told(flow: &Flow) -> Vec<Value> {
    let trail = audit::trail::page(&flow.client(HARBOR).await, ClientPlace::with_outbox(), None).await.unwrap();
    let entries = trail.waiting.into_iter().chain(trail.entries);
    entries.filter(|shown| shown.kind == "rule.gate_changed").map(|shown| shown.detail).collect()
}

#[tokio::test]
async fn figures_that_are_lost_are_folded_again_to_the_same_and_a_gate_is_told_of_once() {
    let mut flow = Flow::new(Extent::Small).await;
    overridden(&flow, 1..3).await;
    flow.sweep().await;
    assert_eq!(told(&flow).await, [] as [Value; 0], "two overrides say nothing yet");
    overridden(&flow, 3..4).await;
    for _ in 0..3 {
        flow.sweep().await;
    }
    let [change] = &told(&flow).await[..] else { panic!("{:?}", told(&flow).await) };
    assert_eq!((&change["sign"], &change["labels"], &change["overrides"]), (&json!("drift"), &json!(3), &json!(3)));
    assert_eq!((&change["before"]["watched"], &change["after"]["watched"]), (&json!(false), &json!(true)));
    assert_eq!(
        (&change["before"]["level"], &change["after"]["level"]),
        (&json!("L2"), &json!("L2")),
        "where it begins there is nothing safer"
    );

    let store = flow.client(HARBOR).await;
    let kept = store.all::<analytics::Known>(ClientPlace::Assessment, "").await.unwrap().remove(0);
    assert_eq!(kept.value.ledger.rules().values().map(|learned| learned.total).collect::<Vec<_>>(), [(3, 3)]);
    let mut batch = store.batch(ClientPlace::Assessment);
    batch.delete(&kept);
    batch.commit().await.unwrap();
    let (again, behind) = analytics::known(&store).await.unwrap();
    assert_eq!((&again.ledger, &again.tally, behind), (&kept.value.ledger, &kept.value.tally, 0), "a replay is the same");
    let bytes = |known: &analytics::Known| known.ledger.thresholds(&analytics::keep::config()).bytes();
    assert_eq!(bytes(&again), bytes(&kept.value));
    drop(store);
    for _ in 0..3 {
        flow.sweep().await;
    }
    assert_eq!(told(&flow).await.len(), 1, "what the log tells already is not told twice");
}

/// Whoever writes the database takes the entry of an override away while the sweep comes by, and puts it back: nothing was
/// folded past it.
#[tokio::test]
async fn an_entry_that_is_away_for_a_while_is_not_folded_past() {
    let mut flow = Flow::new(Extent::Small).await;
    overridden(&flow, 1..4).await;
    audit::sequence(&flow.client(HARBOR).await, ClientPlace::with_outbox()).await.unwrap();
    let place = ClientPlace::Log(AuditPart::Entries(0));
    let entries = flow.client(HARBOR).await.all::<Entry>(place, "").await.unwrap();
    let taken = &entries.iter().rev().find(|held| held.value.leaf.contains("proposal.rejected")).unwrap().value;
    let partition = Partition::reserved_for_tenancy(place.container(), format!("{HARBOR}/{}", place.key()));
    let id = format!("{}:{}", Entry::KIND, entry_key(taken.seq));
    let document = flow.app().documents.read(&partition, &id).await.unwrap().unwrap();
    let write = async |op: Op| {
        assert!(matches!(flow.test.insider().documents.batch(&partition, vec![op]).await.unwrap(), BatchOutcome::Committed(_)));
    };
    write(Op::Delete { id: id.clone(), if_match: None }).await;
    let follow = async || {
        let roster = Roster::read(&flow.deployment().await).await.unwrap();
        let scope = Scope::of_sweep(roster.tenant(HARBOR).unwrap(), "sweep");
        analytics::follow(flow.app(), &scope, &roster).await
    };
    assert!(follow().await.is_err_and(|error| error.is_transient()), "it is there when it is put back");
    write(Op::Create { id, body: document.body }).await;
    follow().await.unwrap();
    for _ in 0..3 {
        flow.sweep().await;
    }
    assert_eq!(told(&flow).await.len(), 1, "three overrides and no fewer");
}

#[tokio::test]
async fn four_months_of_a_busy_client_are_one_record_however_many_proposals_they_hold() {
    let flow = Flow::new(Extent::Small).await;
    let (mut known, start) = (analytics::Known::default(), flow.app().now());
    let config = analytics::keep::config();
    for n in 0..12_000_u64 {
        let fact = Fact::Staged {
            item: ProposalId(Uuid::from_u128(u128::from(n))),
            kind: "mark_objective".into(),
            subject: format!("3.4.{}[d]", n % 320),
            level: Level::L2,
            by_rule: true,
        };
        let at = start + Duration::minutes(10 * i64::try_from(n).unwrap());
        let observed = Observed { seq: n, at, fact };
        known.ledger.take_in(&observed, &config);
        known.tally.take_in(&observed, &config);
    }
    let bytes = serde_json::to_vec(&known).unwrap().len();
    assert!(bytes > 2 * 1024 * 1024, "{bytes} bytes are more than a document of Cosmos DB holds");
    let store = flow.client(HARBOR).await;
    let mut batch = store.batch(ClientPlace::Assessment);
    batch.put(known.clone(), None);
    batch.commit().await.unwrap();
    let read = store.all::<analytics::Known>(ClientPlace::Assessment, "").await.unwrap().remove(0);
    assert_eq!(read.value, known);
}
