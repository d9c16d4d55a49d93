//! The levels over the store: what runs by itself, what is undone afterwards, what only a person does.

use assay::{
    gate::{
        self, Capacity, DecideError, Draft, Refusal, State, Verdict,
        proposal::{ReviewMark, UndoMark},
    },
    tenancy::{ClientPlace, Record},
};
use serde::{Deserialize, Serialize};
use time::Duration;

use super::{House, Mark, UNDO, draft, flush};

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
    let deed = |signed_in_at| Capacity { evidence: evidence.clone(), signed_in_at: Some(signed_in_at), ..Capacity::default() };
    let early = house.test.app().now() - Duration::minutes(11);
    let stale = house.decide_as(&house.priya, id, &done, &deed(early)).await.unwrap_err();
    assert!(matches!(stale, DecideError::Refused(Refusal::SignInTooOld { minutes: 10 })), "{stale}");
    let decided = house.decide_as(&house.priya, id, &done, &deed(house.test.app().now())).await.unwrap();
    assert!(matches!(decided.proposal.state, State::Recorded { .. }) && decided.decision.receipt.is_some());
    assert!(house.messages("execute").await.is_empty() && house.marks().await.is_empty());
    assert_eq!(house.audited(id).await, ["proposal.staged", "proposal.recorded"]);
    assert_eq!(gate::expire(house.test.app(), &house.scope(&house.marco)).await.unwrap(), 0);
}

#[tokio::test]
async fn an_action_at_l0_runs_and_all_of_it_is_in_the_log() {
    let house = House::new().await;
    let id = house.asked(Draft { kind: "collect_evidence".into(), ..draft() }).await;
    assert_eq!(house.standing().await, (0, 1), "nobody is asked");
    let done = house.execute().await.unwrap();
    assert!(matches!(done.state, State::Executed { undo_until: None, .. }), "{:?}", done.state);
    assert_eq!((house.marks().await.len(), undoable(&house).await, mailed(&house).await.len()), (1, 0, 0));
    assert_eq!(house.audited(id).await, ["proposal.staged", "proposal.executed"]);
    // Again, it does not apply: that is in the log as well, and nobody is told.
    let again = house.asked(Draft { kind: "collect_evidence".into(), ..draft() }).await;
    assert!(matches!(house.execute().await.unwrap().state, State::Refused { .. }));
    assert_eq!(house.audited(again).await, ["proposal.staged", "proposal.refused"]);
    assert!(mailed(&house).await.is_empty());
}

#[tokio::test]
async fn who_wanted_it_undone_and_lost_the_right_undoes_nothing_and_people_hear_of_it() {
    let house = House::new().await;
    let id = house.asked(of("assign_training")).await;
    house.execute().await.unwrap();
    let undo = house.answer(id, Verdict::Override).await;
    house.decide(&house.sam, id, &undo).await.unwrap();
    house.take_grant(&house.sam).await;
    let State::NotUndone { why, .. } = house.execute().await.unwrap().state else { panic!("{:?}", house.state(id).await) };
    assert!(why.contains("no longer an approver"), "{why}");
    assert_eq!(house.marks().await.len(), 1);
}

/// Hands on the mails that the gate asked for.
async fn mailed(house: &House) -> Vec<String> {
    flush(house).await.unwrap();
    for message in house.messages("notify").await {
        gate::notify(house.test.app(), &message).await.unwrap();
    }
    house.mails().await.into_iter().map(|(_, mail)| mail.replace("\r\n ", " ")).collect()
}

async fn undoable(house: &House) -> usize {
    house.store().await.all::<UndoMark>(ClientPlace::Assessment, "").await.unwrap().len()
}

#[tokio::test]
async fn who_may_undo_is_told_of_what_ran_by_its_level_until_somebody_looked_or_the_time_is_over() {
    for looked in [false, true] {
        let house = House::new().await;
        let id = house.asked(of("assign_training")).await;
        house.execute().await.unwrap();
        let mails = mailed(&house).await;
        assert_eq!(mails.len(), 2, "Priya and Sam: {mails:?}");
        assert!(mails.iter().all(|mail| mail.contains("Done, and can be undone") && !mail.contains("approve")), "{mails:?}");
        assert_eq!((undoable(&house).await, house.audited(id).await.pop().as_deref()), (1, Some("proposal.ran_told")));
        if looked {
            let stands = house.answer(id, Verdict::Uphold).await;
            house.decide(&house.sam, id, &stands).await.unwrap();
            assert_eq!(undoable(&house).await, 0);
            // Another can still have it undone.
            let undo = house.answer(id, Verdict::Override).await;
            house.decide(&house.priya, id, &undo).await.unwrap();
        } else {
            house.test.clock.advance(Duration::hours(73));
            gate::expire(house.test.app(), &house.scope(&house.marco)).await.unwrap();
            assert_eq!(undoable(&house).await, 0);
        }
    }
}

#[tokio::test]
async fn what_cannot_be_undone_ends_so_is_told_loudly_and_waits_until_somebody_saw_to_it() {
    let house = House::new().await;
    let id = house.asked(of("assign_training")).await;
    house.execute().await.unwrap();
    let (store, held) = (house.store().await, house.store().await.read::<Mark>(ClientPlace::Assessment, "one").await.unwrap().unwrap());
    let mut batch = store.batch(ClientPlace::Assessment);
    batch.delete(&held);
    batch.commit().await.unwrap();
    let undo = house.answer(id, Verdict::Override).await;
    house.decide(&house.sam, id, &undo).await.unwrap();
    for _ in 0..2 {
        let State::NotUndone { why, .. } = house.execute().await.unwrap().state else { panic!("{:?}", house.state(id).await) };
        assert_eq!(why, "It is as asked already.");
    }
    let mails = mailed(&house).await;
    assert_eq!(mails.iter().filter(|mail| mail.contains("NOT UNDONE: ")).count(), 2, "{mails:?}");
    let loud = mails.iter().find(|mail| mail.contains("NOT UNDONE: ")).unwrap().split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(loud.contains("If nobody does, it stays as it is.") && !loud.contains("nothing happens"), "{loud}");
    let said = house.audited(id).await;
    assert!(said.ends_with(&["proposal.overridden", "proposal.not_undone", "proposal.failure_told"].map(String::from)), "{said:?}");
    let reviews = house.store().await.all::<ReviewMark>(ClientPlace::Assessment, "").await.unwrap();
    assert!(matches!(&reviews[..], [one] if one.value.by == house.sam.id && one.value.own_too));
    let seen = house.answer(id, Verdict::Uphold).await;
    house.decide(&house.sam, id, &seen).await.unwrap();
    assert!(house.store().await.all::<ReviewMark>(ClientPlace::Assessment, "").await.unwrap().is_empty());
    assert!(matches!(house.state(id).await, State::NotUndone { .. }), "looking at it moves nothing");
}

#[tokio::test]
async fn what_does_not_work_ends_as_failed_once_and_people_are_told_why() {
    for damaged in [false, true] {
        let house = House::new().await;
        let id = house.asked(Draft { action: if damaged { draft().action } else { super::BROKEN.into() }, ..draft() }).await;
        if damaged {
            let store = house.store().await;
            let mut batch = store.batch(ClientPlace::Assessment);
            batch.create(&Odd { number: 7 });
            batch.commit().await.unwrap();
        }
        house.approve(&house.sam, id).await.unwrap();
        for _ in 0..2 {
            let State::Failed { why, .. } = house.execute().await.unwrap().state else { panic!("{:?}", house.state(id).await) };
            assert!(why.contains(if damaged { "cannot be read" } else { "no such objective" }), "{why}");
        }
        assert_eq!(house.standing().await, (0, 0));
        let mails = mailed(&house).await;
        assert_eq!(mails.iter().filter(|mail| mail.contains("NOT DONE: ")).count(), 2, "{mails:?}");
        assert_eq!(
            house.audited(id).await,
            ["proposal.staged", "proposal.approved", "proposal.failed", "proposal.failure_told"],
            "once, however often it is delivered"
        );
    }
}

/// A record in the place of the one that the stories' action changes, in a form that nobody knows.
#[derive(Serialize, Deserialize)]
struct Odd {
    number: u8,
}

impl Record for Odd {
    const KIND: &'static str = "mark";
    const SCHEMA: u32 = 1;

    fn key(&self) -> String {
        "one".into()
    }
}

#[tokio::test]
async fn who_approved_hears_that_it_was_not_carried_out_in_time() {
    let house = House::new().await;
    let id = house.asked(draft()).await;
    house.approve(&house.sam, id).await.unwrap();
    house.test.clock.advance(Duration::hours(49));
    assert_eq!(gate::expire(house.test.app(), &house.scope(&house.marco)).await.unwrap(), 1);
    let mails = mailed(&house).await;
    assert!(mails.iter().any(|mail| mail.contains("NOT DONE: ") && mail.contains("in time")), "{mails:?}");
    assert_eq!(house.audited(id).await.pop().as_deref(), Some("proposal.failure_told"));
}
