//! What ran by itself and was overridden too often comes to people: from the overrides to the log, to the next action, and
//! to one that was cleared before and had not run.

use assay::{
    analytics::{
        self, Known,
        accept::{self, AcceptError},
        sampled::{self, Ran, Sampled},
    },
    audit,
    gate::{
        self, Capacity, Draft, Level, Policy, Proposal, State, Verdict,
        demotion::Demoted,
        learning::{Because, Look, Missing, Rule},
        policy::{SignedPolicy, Terms},
    },
    tenancy::{
        ClientPlace, Held, ProposalId, Scope,
        directory::{Person, Tenant},
    },
};
use serde_json::{Value, json};
use time::Duration;

use super::{House, UNDO, draft};

/// As Assay raises it by rule.
fn training() -> Draft {
    let question = "Assign the phishing course to the people of 3.1.1[a]?".into();
    Draft { kind: "assign_training".into(), question, undo: Some(UNDO.into()), ..draft() }
}

fn by_rule(house: &House) -> Scope {
    let tenant = Tenant { id: house.tenant, name: "Harbor Precision".into(), created_at: house.test.app().now() };
    Scope::of_sweep(&tenant, "story")
}

async fn raised(house: &House) -> ProposalId {
    let store = by_rule(house).store(house.test.app()).await.unwrap();
    let mut batch = store.batch(ClientPlace::Assessment);
    let id = gate::stage(&mut batch, training()).await.unwrap();
    batch.commit().await.unwrap();
    assay::tenancy::outbox::flush(&store, ClientPlace::Assessment).await.unwrap();
    id
}

/// It ran, and Zoë undoes it after half a minute on the page.
async fn overridden(house: &House) {
    let id = raised(house).await;
    assert!(matches!(house.execute().await.unwrap().state, State::Executed { undo_until: Some(_), .. }));
    house.test.clock.advance(Duration::minutes(1));
    let look = Look { shown_at: Some(house.test.app().now() - Duration::seconds(30)), because: Some(Because::ModelWrong) };
    let undo = house.answer(id, Verdict::Override).await;
    house.decide_as(&house.sam, id, &undo, &Capacity { look, ..Capacity::default() }).await.unwrap();
    assert!(matches!(house.execute().await.unwrap().state, State::RolledBack { .. }));
}

/// What the sweep does.
async fn learn(house: &House) -> usize {
    audit::sequence(&house.store().await, [ClientPlace::Assessment]).await.unwrap();
    analytics::follow(house.test.app(), &by_rule(house), &*house.roster().await).await.unwrap().changes
}

async fn told(house: &House) -> Vec<Value> {
    let trail = audit::trail::page(&house.store().await, [ClientPlace::Assessment], None).await.unwrap();
    let entries = trail.waiting.into_iter().chain(trail.entries).filter(|shown| shown.kind == "rule.gate_changed");
    entries.map(|shown| shown.detail).collect()
}

async fn policy_record(house: &House) -> Option<Held<SignedPolicy>> {
    house.store().await.read(ClientPlace::Assessment, gate::policy::KEY).await.unwrap()
}

async fn demoted(house: &House) -> Option<Held<Demoted>> {
    house.store().await.read(ClientPlace::Assessment, gate::demotion::KEY).await.unwrap()
}

#[tokio::test]
async fn a_rule_that_ran_by_itself_and_is_overridden_too_often_waits_for_an_approval_from_the_next_time_on() {
    let house = House::new().await;
    overridden(&house).await;
    overridden(&house).await;
    assert_eq!((learn(&house).await, demoted(&house).await.is_none()), (0, true), "two of two say nothing yet");
    overridden(&house).await;
    // Cleared before anything was learned, and not run yet.
    let cleared = raised(&house).await;
    let message = house.messages("execute").await.pop().unwrap();
    assert_eq!(learn(&house).await, 1);
    let [change] = &told(&house).await[..] else { panic!("{:?}", told(&house).await) };
    let levels = ["before", "after"].map(|side| change[side]["level"].clone());
    assert_eq!((levels, &change["sign"], &change["overrides"]), ([json!("L1"), json!("L2")], &json!("drift"), &json!(3)));

    let next = raised(&house).await;
    let held = house.held(next).await.value;
    let terms = held.terms.clone().unwrap();
    assert_eq!((held.state.clone(), held.level(), terms.demoted_from, terms.rule.approvals), (State::Open, Level::L2, Some(Level::L1), 1));
    gate::notify(house.test.app(), house.messages("notify").await.last().unwrap()).await.unwrap();
    let undemoted = Proposal { terms: Some(Terms { demoted_from: None, ..terms }), ..held.clone() };
    assert_ne!(gate::hash::hash_of(house.tenant, &undemoted), held.hash, "the hash covers what was learned");
    let words = |mail: String| mail.replace("=\r\n", "").split_whitespace().collect::<Vec<_>>().join(" ");
    let mails: Vec<String> = house.mails().await.into_iter().map(|(_, mail)| words(mail)).collect();
    assert!(mails.iter().any(|mail| mail.contains("People overrode it too often")), "{mails:?}");

    // What was cleared comes to people too, and the same message again changes nothing.
    let runs = || gate::execute(house.test.app(), &message, super::perform);
    let recalled = runs().await.unwrap();
    assert_eq!((recalled.state, recalled.version, recalled.clearance), (State::Open, 2, None));
    assert_eq!(runs().await.unwrap().state, State::Open);
    assert!(house.marks().await.is_empty(), "nothing ran");
    assert_eq!(house.audited(cleared).await.last().map(String::as_str), Some("proposal.revised"));
    assert_eq!(house.standing().await, (2, 0));

    house.approve(&house.priya, next).await.unwrap();
    assert!(matches!(house.execute().await.unwrap().state, State::Executed { undo_until: None, .. }));
    learn(&house).await;
    assert_eq!(house.differences().await, [""; 0], "the records are what the log makes of them");
}

#[tokio::test]
async fn what_was_learned_is_a_function_of_the_log_and_comes_back_the_same_when_it_is_lost() {
    let house = House::new().await;
    for _ in 0..3 {
        overridden(&house).await;
    }
    house.set_policy(&Policy::default()).await;
    assert_eq!(learn(&house).await, 1);
    let kept = demoted(&house).await.unwrap();
    let store = house.store().await;
    let known: Held<Known> = store.all(ClientPlace::Assessment, "").await.unwrap().remove(0);
    let mut batch = store.batch(ClientPlace::Assessment);
    batch.delete(&kept).delete(&known);
    batch.commit().await.unwrap();
    learn(&house).await;
    let again: Held<Known> = store.all(ClientPlace::Assessment, "").await.unwrap().remove(0);
    let bytes = |known: &Known| known.ledger.thresholds(&analytics::keep::config()).bytes();
    assert_eq!(bytes(&again.value), bytes(&known.value));
    assert_eq!(demoted(&house).await.unwrap().value, kept.value);
    // Without Zoë, whose overrides these are: the log is folded again, the rule runs by itself, and the log says so.
    let first = policy_record(&house).await;
    house.set_policy(&Policy { left_out: [house.sam.id].into(), ..Policy::default() }).await;
    learn(&house).await;
    learn(&house).await;
    assert_eq!(demoted(&house).await.unwrap().value, Demoted::default());
    // Somebody puts the policy before that back: nothing is folded under it.
    let first = first.unwrap();
    {
        let stands = policy_record(&house).await.unwrap();
        house.overwrite(Held { value: first.value, etag: stands.etag }).await;
        assert_eq!((learn(&house).await, learn(&house).await), (0, 0));
        assert_eq!(demoted(&house).await.unwrap().value, Demoted::default(), "the figures wait");
        let etag = policy_record(&house).await.unwrap().etag;
        house.overwrite(Held { value: stands.value, etag }).await;
    }
    let without: Held<Known> = store.all(ClientPlace::Assessment, "").await.unwrap().remove(0);
    assert_eq!(without.value.left_out, [house.sam.id].into());
    assert!(without.value.ledger.rules().values().all(|learned| learned.total == (0, 0)));
    let trail = audit::trail::page(&house.store().await, [ClientPlace::Assessment], None).await.unwrap();
    let said = trail.waiting.into_iter().chain(trail.entries).filter(|shown| shown.kind == "rule.gates_replayed").count();
    // Once when the record was lost and made again, once for this.
    assert_eq!(said, 2);
    let id = raised(&house).await;
    assert_eq!(house.held(id).await.value.level(), Level::L1);
    house.set_policy(&Policy::default()).await;
    learn(&house).await;
    assert_eq!(demoted(&house).await.unwrap().value, kept.value);
    // Somebody who has the store and the key takes the rule out: the next sweep reads the log, not the record.
    house.overwrite(Held { value: Demoted::default(), etag: demoted(&house).await.unwrap().etag }).await;
    learn(&house).await;
    assert_eq!(demoted(&house).await.unwrap().value, kept.value);
}

/// Raised by rule, and approved by this person after half a minute on the page.
async fn agreed(house: &House, by: &Person) {
    let id = raised(house).await;
    house.test.clock.advance(Duration::minutes(1));
    let look = Look { shown_at: Some(house.test.app().now() - Duration::seconds(30)), because: None };
    let yes = house.answer(id, Verdict::Approve).await;
    house.decide_as(by, id, &yes, &Capacity { look, ..Capacity::default() }).await.unwrap();
}

/// A test item of the sample, and what Zoë says of it.
async fn tested(house: &House, n: u8, agrees: bool) {
    let store = house.scope(&house.sam).store(house.test.app()).await.unwrap();
    let ran = Ran::Evidence { source_key: "rmm:configuration:1".into(), hash: "c".repeat(64) };
    let (level, rule, at) = (Level::L0, Rule::of("collect_evidence", "configuration"), house.test.app().now());
    let item = Sampled {
        id: format!("{n:012}.000"),
        place: format!("{n:012}.000.t"),
        level,
        rule,
        ran,
        shown_as: Some("rmm:configuration:2".into()),
        at,
    };
    let mut batch = store.batch(ClientPlace::Assessment);
    batch.create(&item);
    batch.commit().await.unwrap();
    let held = sampled::one(&store, &item.id).await.unwrap().unwrap();
    let look = Look { shown_at: Some(house.test.app().now() - Duration::seconds(20)), because: Some(Because::ModelWrong) };
    sampled::answer(&store, &held, (agrees, look, "Zoë Okafor")).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_demoted_rule_runs_by_itself_again_when_nothing_is_missing_one_person_proposes_it_and_another_approves() {
    let house = House::new().await;
    for _ in 0..3 {
        overridden(&house).await;
    }
    learn(&house).await;
    let rule = Rule::of("assign_training", "3.1.1[a]");
    let propose = async || accept::propose(house.test.app(), &house.scope(&house.marco), "Harbor Precision", &rule).await;
    assert!(matches!(propose().await, Err(AcceptError::NotOpen)));
    for n in 0..59 {
        agreed(&house, if n % 2 == 0 { &house.priya } else { &house.sam }).await;
    }
    house.test.clock.advance(Duration::days(31));
    tested(&house, 1, true).await;
    for n in 2..5 {
        tested(&house, n, false).await;
    }
    learn(&house).await;
    let missing = async || {
        let (known, _) = analytics::known(&house.store().await).await.unwrap();
        known.ledger.promotion(&rule, &analytics::keep::config(), |account| account).unwrap()
    };
    assert_eq!(missing().await, Err(vec![Missing::Seeded { caught: 3, of: 4 }]), "75 %");
    assert!(matches!(propose().await, Err(AcceptError::NotOpen)));
    tested(&house, 5, false).await;
    learn(&house).await;
    assert_eq!(missing().await, Ok(Level::L1));
    // Two accounts of one person are one reviewer: when it is asked, and still when it would be carried out.
    house.change(&house.sam, |sam| sam.same_as = Some(house.priya.id)).await;
    assert!(matches!(propose().await, Err(AcceptError::NotOpen)));
    house.change(&house.sam, |sam| sam.same_as = None).await;
    let overtaken = propose().await.unwrap();
    assert!(house.approve(&house.sam, overtaken).await.is_ok());
    house.change(&house.sam, |sam| sam.same_as = Some(house.priya.id)).await;
    let State::Refused { why, .. } = house.execute().await.unwrap().state else { panic!("it ran") };
    assert_eq!(why, "What people decided since speaks against it; nothing was changed.");
    house.change(&house.sam, |sam| sam.same_as = None).await;
    let id = propose().await.unwrap();
    assert_eq!(propose().await.unwrap(), id, "once");
    assert_eq!(house.held(id).await.value.level(), Level::L2);
    assert!(house.approve(&house.sam, id).await.is_ok());
    assert!(matches!(house.execute().await.unwrap().state, State::Executed { .. }));
    learn(&house).await;
    learn(&house).await;
    assert_eq!(demoted(&house).await.unwrap().value, Demoted::default());
    let signs: Vec<Value> = told(&house).await.iter().map(|change| change["sign"].clone()).collect();
    assert!(signs.contains(&json!("accepted")), "{signs:?}");
    let next = raised(&house).await;
    assert_eq!(house.held(next).await.value.level(), Level::L1);
    assert!(matches!(house.execute().await.unwrap().state, State::Executed { undo_until: Some(_), .. }));
}
