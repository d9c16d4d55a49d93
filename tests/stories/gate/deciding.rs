//! One question, one answer, by somebody who may give it.

use assay::{
    gate::{self, Draft, Refusal, State, Verdict},
    tenancy::ClientPlace,
};
use time::Duration;

use super::{House, draft, flush, refusal};
use crate::support::faults::Fault;

#[tokio::test]
async fn of_two_approvers_who_race_one_decides_and_the_other_hears_who_was_faster() {
    let house = House::new().await;
    let id = house.asked(draft()).await;
    let answer = house.answer(id, Verdict::Approve).await;
    let no = house.answer(id, Verdict::Reject).await;
    let (priya, sam) = tokio::join!(house.decide(&house.priya, id, &answer), house.decide(&house.sam, id, &no));
    let (winner, loser) = match (priya, sam) {
        (Ok(won), Err(lost)) | (Err(lost), Ok(won)) => (won, refusal(lost)),
        other => panic!("{other:?}"),
    };
    assert!(matches!(&loser, Refusal::AlreadyDecided { name, .. } if *name == winner.decision.name), "{loser:?}");
    assert!(loser.sentence().starts_with(&winner.decision.name));
    assert_eq!(house.audited(id).await.len(), 2, "staged, and one decision");
}

#[tokio::test]
async fn who_asked_cannot_decide_even_as_an_approver_and_who_is_no_approver_cannot_either() {
    let house = House::new().await;
    let id = house.asked_by(&house.priya, draft()).await;
    assert_eq!(refusal(house.approve(&house.priya, id).await.unwrap_err()), Refusal::NotYours);
    assert_eq!(refusal(house.approve(&house.eve, id).await.unwrap_err()), Refusal::NotApprover);
    // Sam's grant in Eve's hands is not hers.
    let answer = house.answer(id, Verdict::Approve).await;
    let stolen = gate::decide(house.test.app(), &house.scope(&house.eve), &house.grant(&house.sam), &house.eve, id, &answer).await;
    assert_eq!(refusal(stolen.unwrap_err()), Refusal::NotApprover);
    assert_eq!(house.state(id).await, State::Open);
    assert!(house.approve(&house.sam, id).await.is_ok());
}

#[tokio::test]
async fn a_repeated_post_gets_the_same_success_and_writes_nothing_twice() {
    let house = House::new().await;
    let id = house.asked(draft()).await;
    let answer = house.answer(id, Verdict::Approve).await;
    let first = house.decide(&house.priya, id, &answer).await.unwrap();
    house.test.clock.advance(Duration::minutes(1));
    let again = house.decide(&house.priya, id, &answer).await.unwrap();
    assert_eq!((first.decision, false, true), (again.decision, first.repeated, again.repeated));
    // Nobody knows here whether the first message went out, so it goes again: it is the same one.
    let [one, two] = &house.messages("execute").await[..] else { panic!("not sent again") };
    assert_eq!(one.id(), two.id());
    assert_eq!(house.audited(id).await, ["proposal.staged", "proposal.approved"]);
    let other = gate::Answer { verdict: Verdict::Reject, ..answer };
    assert!(matches!(refusal(house.decide(&house.priya, id, &other).await.unwrap_err()), Refusal::AlreadyDecided { approved: true, .. }));
}

#[tokio::test]
async fn a_comment_that_is_marked_cui_decides_nothing_and_is_not_kept() {
    let house = House::new().await;
    let id = house.asked(draft()).await;
    for verdict in [Verdict::Approve, Verdict::Reject] {
        let mut answer = house.answer(id, verdict).await;
        answer.comment = "See the drawing.\nCUI//SP-CTI".into();
        let refused = refusal(house.decide(&house.priya, id, &answer).await.unwrap_err());
        assert_eq!(refused.sentence(), "The comment carries a CUI marking; nothing was kept. Say it without.");
    }
    assert_eq!((house.state(id).await, house.audited(id).await), (State::Open, vec!["proposal.staged".to_owned()]));
}

#[tokio::test]
async fn a_rejection_needs_a_reason_and_runs_nothing() {
    let house = House::new().await;
    let id = house.asked(draft()).await;
    let mut answer = house.answer(id, Verdict::Reject).await;
    answer.comment = "  ".into();
    assert_eq!(refusal(house.decide(&house.sam, id, &answer).await.unwrap_err()), Refusal::CommentNeeded { verdict: Verdict::Reject });
    answer.comment = "The policy is from 2019.".into();
    house.decide(&house.sam, id, &answer).await.unwrap();
    assert!(house.messages("execute").await.is_empty());
    assert_eq!(house.standing().await, (0, 0));
}

#[tokio::test]
async fn what_rests_on_evidence_that_is_too_old_by_now_can_be_rejected_and_not_approved() {
    let house = House::new().await;
    let id = house.asked(super::resting_on_a_reading(&house).await).await;
    house.test.clock.advance(Duration::days(3) + Duration::seconds(1));
    let stale = refusal(house.approve(&house.priya, id).await.unwrap_err());
    assert_eq!(stale, Refusal::EvidenceStale { titles: vec!["Full inventory".into()] });
    assert_eq!(stale.sentence(), "This evidence is too old to count by now: Full inventory.");
    assert_eq!((house.state(id).await, house.audited(id).await.len()), (State::Open, 1));
    let no = house.answer(id, Verdict::Reject).await;
    house.decide(&house.priya, id, &no).await.unwrap();
    assert!(house.messages("execute").await.is_empty());
}

#[tokio::test]
async fn what_changed_after_the_page_was_opened_is_not_decided() {
    let house = House::new().await;
    let id = house.asked(draft()).await;
    let seen = house.answer(id, Verdict::Approve).await;
    let store = house.store().await;
    let mut batch = store.batch(ClientPlace::Assessment);
    gate::revise(&mut batch, &house.held(id).await, Draft { reasons: vec!["All 44 accounts match.".into()], ..draft() })
        .await
        .unwrap()
        .unwrap();
    batch.commit().await.unwrap();
    assert_eq!(refusal(house.decide(&house.sam, id, &seen).await.unwrap_err()), Refusal::WrongVersion { current: 2 });
    assert!(house.approve(&house.sam, id).await.is_ok());
}

#[tokio::test]
async fn wherever_a_decision_stops_there_are_both_decision_and_audit_item_or_neither_and_the_retry_ends_the_same() {
    for fault in [Fault::BeforeEffect, Fault::AnswerLost] {
        let mut at = 0;
        loop {
            let mut house = House::new().await;
            let id = house.asked(draft()).await;
            let answer = house.answer(id, Verdict::Approve).await;
            house.test.restart();
            house.test.faults.stop_at(at, fault);
            let first = house.decide(&house.priya, id, &answer).await;
            let struck = house.test.faults.struck();
            house.test.faults.mend();
            house.test.restart();
            let decided = house.state(id).await != State::Open;
            assert_eq!(decided, house.audited(id).await.contains(&"proposal.approved".to_owned()), "stopped at call {at}, {fault:?}");
            assert!(decided || first.is_err(), "stopped at call {at}: said yes and kept nothing");
            house.decide(&house.priya, id, &answer).await.unwrap();
            flush(&house).await.unwrap();
            assert_eq!(house.audited(id).await, ["proposal.staged", "proposal.approved"]);
            assert!(!house.messages("execute").await.is_empty(), "stopped at call {at}: nobody executes");
            if !struck {
                break;
            }
            at += 1;
        }
        assert!(at > 3, "only {at} calls were tried");
    }
}
