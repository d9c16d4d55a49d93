//! The levels over the store: what runs by itself, what is undone afterwards, what only a person does.

use assay::gate::{self, Capacity, DecideError, Draft, Refusal, State, Verdict};
use time::Duration;

use super::{House, UNDO, draft};

fn of(kind: &str) -> Draft {
    Draft { kind: kind.into(), undo: Some(UNDO.into()), ..draft() }
}

#[tokio::test]
async fn an_action_at_l1_runs_is_in_the_log_and_is_undone_by_one_person_in_time() {
    let house = House::new().await;
    let id = house.asked(of("assign_training")).await;
    assert_eq!(house.standing().await, (0, 1), "nobody is asked");
    let ran = house.execute().await.unwrap();
    let State::Executed { undo_until: Some(until), .. } = ran.state else { panic!("{:?}", ran.state) };
    assert_eq!(until, house.test.app().now() + Duration::hours(72));
    assert_eq!(house.marks().await, ["3.1.1[a]"]);
    house.test.clock.advance(Duration::hours(71));
    let undo = house.answer(id, Verdict::Override).await;
    house.decide(&house.sam, id, &undo).await.unwrap();
    assert!(matches!(house.execute().await.unwrap().state, State::RolledBack { by: None, .. }));
    assert!(matches!(house.execute().await.unwrap().state, State::RolledBack { .. }), "delivered again");
    assert!(house.marks().await.is_empty());
    assert_eq!(house.audited(id).await, ["proposal.staged", "proposal.executed", "proposal.overridden", "proposal.undone"]);
    assert_eq!(house.standing().await, (0, 0));
}

#[tokio::test]
async fn when_the_time_to_undo_is_over_it_can_be_escalated_and_not_undone() {
    let house = House::new().await;
    let id = house.asked(of("assign_training")).await;
    house.execute().await.unwrap();
    house.test.clock.advance(Duration::hours(72));
    let undo = house.answer(id, Verdict::Override).await;
    let late = house.decide(&house.sam, id, &undo).await.unwrap_err();
    assert!(matches!(late, DecideError::Refused(Refusal::UndoOver)), "{late}");
    let others = house.answer(id, Verdict::Escalate).await;
    house.decide(&house.sam, id, &others).await.unwrap();
    assert!(house.held(id).await.value.review_by.is_some());
    assert_eq!(house.marks().await.len(), 1);
}

#[tokio::test]
async fn what_only_a_person_does_is_recorded_with_evidence_and_carries_nothing_out() {
    let house = House::new().await;
    let id = house.asked(of("submit_sprs_score")).await;
    assert_eq!(house.standing().await, (1, 0));
    let approve = house.approve(&house.priya, id).await.unwrap_err();
    assert!(matches!(approve, DecideError::Refused(Refusal::HumanOnly)), "{approve}");
    let done = house.answer(id, Verdict::Done).await;
    let bare = house.decide(&house.priya, id, &done).await.unwrap_err();
    assert!(matches!(bare, DecideError::Refused(Refusal::EvidenceNeeded)), "{bare}");
    let evidence = super::resting_on_a_reading(&house).await.evidence;
    let decided = house.decide_as(&house.priya, id, &done, &Capacity { evidence, ..Capacity::default() }).await.unwrap();
    assert!(matches!(decided.proposal.state, State::Recorded { .. }) && decided.decision.receipt.is_some());
    assert!(house.messages("execute").await.is_empty() && house.marks().await.is_empty());
    assert_eq!(house.audited(id).await, ["proposal.staged", "proposal.recorded"]);
    assert_eq!(gate::expire(house.test.app(), &house.scope(&house.marco)).await.unwrap(), 0);
}

#[tokio::test]
async fn an_action_at_l0_runs_and_all_of_it_is_in_the_log() {
    let house = House::new().await;
    let id = house.asked(Draft { kind: "collect_evidence".into(), ..draft() }).await;
    // The stories' action knows no such kind, and that is in the log as well.
    let done = house.execute().await.unwrap();
    assert!(matches!(done.state, State::Refused { .. }));
    assert_eq!(house.audited(id).await, ["proposal.staged", "proposal.refused"]);
}
