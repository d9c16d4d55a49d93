//! What was overridden has a clock like everything else, whatever becomes of what it rested on; a mark that is gone holds up
//! nothing; and what came to people stays with people.

use std::collections::BTreeMap;

use assay::{
    evidence::Evidence,
    gate::{
        self, Draft, Level, Policy, Rule, State, Verdict,
        proposal::{OpenMark, ReviewMark, UndoMark},
    },
    tenancy::{ClientPlace, Held, ProposalId, Record},
};
use serde::{Deserialize, Serialize};
use time::Duration;

use super::{House, UNDO, draft, flush, resting_on_a_reading};
use crate::support::TestApp;

fn training(draft: Draft) -> Draft {
    Draft { kind: "assign_training".into(), undo: Some(UNDO.into()), ..draft }
}

async fn overridden(house: &House, draft: Draft) -> ProposalId {
    let id = house.asked(training(draft)).await;
    house.execute().await.unwrap();
    let undo = house.answer(id, Verdict::Override).await;
    house.decide(&house.sam, id, &undo).await.unwrap();
    assert!(matches!(house.state(id).await, State::Undoing { .. }));
    id
}

#[tokio::test]
async fn an_undoing_that_does_not_come_is_given_up_in_time_told_and_looked_at() {
    for by_sweep in [true, false] {
        let house = House::new().await;
        let id = overridden(&house, draft()).await;
        assert_eq!(house.standing().await, (0, 1), "the sweep looks after it");
        let expire = async || gate::expire(house.test.app(), &house.scope(&house.marco)).await.unwrap();
        house.test.clock.advance(Duration::hours(48) - Duration::seconds(1));
        assert_eq!(expire().await, 0);
        house.test.clock.advance(Duration::seconds(1));
        if by_sweep {
            assert_eq!((expire().await, expire().await), (1, 0));
        }
        for _ in 0..2 {
            let State::NotUndone { why, .. } = house.execute().await.unwrap().state else { panic!("{:?}", house.state(id).await) };
            assert_eq!(why, "It was not undone in time.");
        }
        assert_eq!((house.marks().await.len(), house.standing().await), (1, (0, 0)), "what it did stands");
        flush(&house).await.unwrap();
        for message in house.messages("notify").await {
            gate::notify(house.test.app(), &message).await.unwrap();
        }
        let mails: Vec<_> = house.mails().await.into_iter().filter(|(_, mail)| mail.contains("NOT UNDONE: ")).collect();
        assert_eq!(mails.len(), 2, "{mails:?}");
        let said = house.audited(id).await;
        assert!(said.ends_with(&["proposal.overridden", "proposal.not_undone", "proposal.failure_told"].map(String::from)), "{said:?}");
        assert_eq!(house.store().await.all::<ReviewMark>(ClientPlace::Assessment, "").await.unwrap().len(), 1);
        let seen = house.answer(id, Verdict::Uphold).await;
        house.decide(&house.priya, id, &seen).await.unwrap();
    }
}

/// In the place of the evidence, in a form that nobody knows.
#[derive(Serialize, Deserialize)]
struct Odd {
    source_key: String,
}

impl Record for Odd {
    const KIND: &'static str = Evidence::KIND;
    const SCHEMA: u32 = Evidence::SCHEMA;

    fn key(&self) -> String {
        self.source_key.clone()
    }
}

#[tokio::test]
async fn damaged_evidence_keeps_nobody_from_undoing_what_rested_on_it() {
    let house = House::new().await;
    let resting = resting_on_a_reading(&house).await;
    let source_key = resting.evidence[0].source_key.clone();
    let id = overridden(&house, resting).await;
    let store = house.store().await;
    let held = store.read::<Evidence>(Evidence::place(&source_key), &source_key).await.unwrap().unwrap();
    let mut batch = store.batch(Evidence::place(&source_key));
    batch.replace(&Held { value: Odd { source_key: source_key.clone() }, etag: held.etag });
    batch.commit().await.unwrap();
    assert!(store.read::<Evidence>(Evidence::place(&source_key), &source_key).await.is_err());
    assert!(matches!(house.execute().await.unwrap().state, State::RolledBack { by: None, .. }), "{:?}", house.state(id).await);
    assert!(house.marks().await.is_empty());
}

async fn without<T: Record>(house: &House) {
    let store = house.store().await;
    let mut batch = store.batch(ClientPlace::Assessment);
    for held in store.all::<T>(ClientPlace::Assessment, "").await.unwrap() {
        batch.delete(&held);
    }
    assert_eq!(batch.len(), 1);
    batch.commit().await.unwrap();
}

#[tokio::test]
async fn a_mark_that_is_gone_holds_up_no_answer() {
    let house = House::new().await;
    // The sweep forgets this one itself, when the time to undo is over.
    let ran = house.asked(training(draft())).await;
    house.execute().await.unwrap();
    house.test.clock.advance(Duration::hours(73));
    gate::expire(house.test.app(), &house.scope(&house.marco)).await.unwrap();
    assert!(house.store().await.all::<UndoMark>(ClientPlace::Assessment, "").await.unwrap().is_empty());
    let others = house.answer(ran, Verdict::Escalate).await;
    house.decide(&house.priya, ran, &others).await.unwrap();
    without::<ReviewMark>(&house).await;
    let looks = house.answer(ran, Verdict::Uphold).await;
    house.decide(&house.sam, ran, &looks).await.unwrap();
    assert!(house.held(ran).await.value.review_by.is_none());
}

#[tokio::test]
async fn on_either_store_a_batch_that_deletes_what_is_gone_already_is_written() {
    for test in [TestApp::new(), TestApp::on_azure().await] {
        let house = House::on(test).await;
        let open = house.asked(draft()).await;
        without::<OpenMark>(&house).await;
        let no = house.answer(open, Verdict::Reject).await;
        house.decide(&house.sam, open, &no).await.unwrap();
        assert!(matches!(house.state(open).await, State::Rejected { .. }));
        assert_eq!(house.audited(open).await, ["proposal.staged", "proposal.rejected"]);
    }
}

#[tokio::test]
async fn what_waits_for_people_because_the_policy_wanted_them_is_not_left_without_an_end_when_it_does_not_any_more() {
    let house = House::new().await;
    let id = house.asked(training(draft())).await;
    let stale = house.messages("execute").await.pop().unwrap();
    let asks = Rule { level: Level::L2, approvals: 2, ..Rule::of_kind("assign_training") };
    house.set_policy(&Policy { rules: BTreeMap::from([("assign_training".to_owned(), asks)]), ..Policy::default() }).await;
    let runs = async || gate::execute(house.test.app(), &stale, super::perform).await.unwrap();
    assert_eq!((runs().await.state, runs().await.version), (State::Open, 2), "it comes to people");
    house.set_policy(&Policy::default()).await;
    let scope = house.scope(&house.marco);
    let bring = async || gate::bring_under_policy(house.test.app(), &scope, &*house.roster().await).await.unwrap();
    assert_eq!((bring().await, bring().await), (1, 0));
    let held = house.held(id).await.value;
    assert_eq!((held.state.clone(), held.version, held.level(), held.progress().needed), (State::Open, 3, Level::L2, 1), "people end it");
    assert!(held.terms.is_some_and(|terms| terms.demoted_from.is_none()), "nobody overrode it");
    house.approve(&house.sam, id).await.unwrap();
    // The first message again, of the version that had been cleared: it neither runs nor ends what was approved since.
    assert!(matches!(runs().await.state, State::Approved { .. }));
    assert!(house.marks().await.is_empty());
    assert!(matches!(house.execute().await.unwrap().state, State::Executed { undo_until: None, .. }));
    let next = house.asked(training(draft())).await;
    assert_eq!(house.held(next).await.value.level(), Level::L1, "what is new runs by itself");
}
