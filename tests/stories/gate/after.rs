//! What follows when nobody decides in time, and when somebody decided alone: reminders and escalation as the policy of the
//! kind says, and loud notices with a review by another person.

use std::collections::{BTreeMap, BTreeSet};

use assay::gate::{
    self, Capacity, DecideError, Draft, Policy, Refusal, Rule, State, Verdict,
    proposal::{Occasion, ReviewMark, UndoMark},
};
use assay::platform::ports::{BatchOutcome, Container, Op, Partition};
use assay::tenancy::{ClientPlace, Held, Place as _};
use assay::web::pages::{Frame, Section};
use time::Duration;

use super::{House, draft, refusal};
use crate::support::{TestApp, decision, faults::Fault, meeting::two_at_once};

fn kind(rule: Rule, house: &House) -> Policy {
    Policy { rules: BTreeMap::from([("mark".to_owned(), rule)]), break_glass: BTreeSet::from([house.priya.id]), ..Policy::default() }
}

async fn sweep(house: &House) -> usize {
    gate::remind(house.test.app(), &house.scope(&house.marco)).await.unwrap().told
}

/// How often each subject's beginning was mailed since, and to how many.
async fn mailed(house: &House, subject: &str) -> usize {
    house.mails().await.iter().filter(|(_, mail)| mail.contains(&format!("Subject: {subject}"))).count()
}

#[tokio::test]
async fn reminders_and_escalation_come_as_the_policy_of_the_kind_says_once_each_and_no_more() {
    let house = House::new().await;
    let rule = Rule { remind_before: vec![4, 48], escalate_before: vec![12], ..Rule::of_kind("mark") };
    house.set_policy(&kind(rule, &house)).await;
    // Eve owns the installation and has no part in the client's decisions.
    house.change(&house.eve, |eve| eve.is_owner = true).await;
    let id = house.asked(draft()).await;
    let hours = async |left: i64| {
        let decide_by = house.held(id).await.value.decide_by;
        house.test.clock.advance(decide_by - Duration::hours(left) - house.test.app().now());
        (sweep(&house).await, sweep(&house).await)
    };
    assert_eq!(hours(49).await, (0, 0));
    assert_eq!(hours(48).await, (1, 0));
    assert_eq!((mailed(&house, "Reminder: ").await, mailed(&house, "Nobody has decided: ").await), (2, 0));
    assert_eq!(hours(12).await, (1, 0));
    assert_eq!(mailed(&house, "Nobody has decided: ").await, 3, "both approvers and the owner");
    assert_eq!(hours(3).await, (1, 0));
    assert_eq!((mailed(&house, "Reminder: ").await, mailed(&house, "Nobody has decided: ").await), (4, 3));
    assert_eq!(hours(0).await, (0, 0));
    assert_eq!(house.state(id).await, State::Open, "and silence approves nothing");
    let told = ["proposal.staged", "proposal.reminded", "proposal.escalated_notice", "proposal.reminded"];
    assert_eq!(house.audited(id).await, told);
    let too_many = kind(Rule { escalate_before: vec![1, 2, 3, 4], ..Rule::of_kind("mark") }, &house);
    assert!(Policy { rules: BTreeMap::from([("mark_objective".into(), too_many.rule("mark"))]), ..too_many }.check().is_err());
}

#[tokio::test]
async fn who_has_approved_is_not_reminded_and_nobody_is_told_that_nobody_had() {
    let house = House::new().await;
    let rule = Rule { approvals: 2, remind_before: vec![48], escalate_before: vec![12], ..Rule::of_kind("mark") };
    house.set_policy(&kind(rule, &house)).await;
    let id = house.asked(draft()).await;
    house.approve(&house.priya, id).await.unwrap();
    let left = async |hours: i64| {
        let decide_by = house.held(id).await.value.decide_by;
        house.test.clock.advance(decide_by - Duration::hours(hours) - house.test.app().now());
        assert_eq!(sweep(&house).await, 1);
    };
    left(48).await;
    let mails = house.mails().await;
    assert!(mails.len() == 1 && mails[0].0.ends_with(&format!("{}.eml", house.sam.id)), "she has approved: {mails:?}");
    left(12).await;
    assert_eq!(mailed(&house, "Not enough have approved: ").await, 2, "both, since it closes");
    let mails: Vec<String> = house.mails().await.into_iter().map(|(_, mail)| in_one_line(&mail)).collect();
    assert_eq!(mails.iter().filter(|mail| mail.contains("1 of 2")).count(), 2, "{mails:?}");
    assert!(mails.iter().all(|mail| !mail.contains("Nobody has decided")), "{mails:?}");
}

fn in_one_line(mail: &str) -> String {
    mail.split_whitespace().collect::<Vec<_>>().join(" ")
}

async fn marks(house: &House) -> Vec<ReviewMark> {
    let held: Vec<Held<ReviewMark>> = house.store().await.all(ClientPlace::Assessment, "").await.unwrap();
    held.into_iter().map(|held| held.value).collect()
}

#[tokio::test]
async fn who_approves_alone_is_loud_at_once_and_an_overdue_review_is_too_until_another_person_looked() {
    let house = House::new().await;
    house.set_policy(&kind(Rule { approvals: 2, ..Rule::of_kind("mark") }, &house)).await;
    house.change(&house.eve, |eve| eve.is_owner = true).await;
    let id = house.asked(draft()).await;
    let mut answer = house.answer(id, Verdict::Approve).await;
    let alone = Capacity { break_glass: true, signed_in_at: Some(house.test.app().now()), ..Capacity::default() };
    answer.comment = "It burns.".into();
    assert_eq!(refusal(house.decide_as(&house.priya, id, &answer, &alone).await.unwrap_err()), Refusal::BreakGlassReason);
    answer.comment = "The assessor leaves in an hour and nobody else is reachable.".into();
    house.decide_as(&house.priya, id, &answer, &alone).await.unwrap();
    for _ in 0..2 {
        gate::notify(house.test.app(), house.messages("notify").await.last().unwrap()).await.unwrap();
    }
    assert_eq!(mailed(&house, "EMERGENCY: ").await, 3, "both approvers and the owner");
    let mail = house.mails().await.remove(0).1;
    assert!(mail.contains("Priya Nair") && mail.contains("nobody else is reachable"), "{mail}");
    let mail = in_one_line(&mail);
    assert!(mail.contains("carried out whether or not anybody answers") && !mail.contains("nothing happens"), "{mail}");
    assert!(matches!(house.execute().await.unwrap().state, State::Executed { .. }));

    let due = house.test.app().now() + Duration::hours(24);
    assert_eq!(marks(&house).await.iter().map(|mark| (mark.by, mark.due)).collect::<Vec<_>>(), [(house.priya.id, due)]);
    house.test.clock.advance(Duration::hours(23));
    assert_eq!(sweep(&house).await, 0);
    house.test.clock.advance(Duration::hours(1));
    assert_eq!((sweep(&house).await, sweep(&house).await), (1, 0));
    assert_eq!(mailed(&house, "OVERDUE REVIEW: ").await, 3);
    let overdue = house.notified(id).await.into_iter().find(|one| one.occasion == Occasion::ReviewOverdue).unwrap();
    assert_eq!(i64::from(overdue.version), due.unix_timestamp(), "told once for each time at which a review is due");
    // Once a day more, four times, and then no more: the page says it still.
    for day in 1..8 {
        house.test.clock.advance(Duration::days(1));
        assert_eq!((sweep(&house).await, sweep(&house).await), (usize::from(day < 5), 0), "day {day}");
    }
    assert_eq!(mailed(&house, "OVERDUE REVIEW: ").await, 15);
    let mails: Vec<String> = house.mails().await.into_iter().map(|(_, mail)| in_one_line(&mail)).collect();
    let saying = |words: &str| mails.iter().filter(|mail| mail.contains(words)).count();
    assert_eq!((saying("let another person approve for it"), saying("This is the last reminder")), (12, 3));
    assert_eq!((saying("stands, also while nobody does"), saying("nothing happens")), (15, 0));
    assert_eq!(saying("Nobody who approves"), 0, "Zo\u{eb} can");
    let looks = house.answer(id, Verdict::Uphold).await;
    assert!(matches!(refusal(house.decide(&house.priya, id, &looks).await.unwrap_err()), Refusal::SameVoice { .. }));
    house.decide(&house.sam, id, &looks).await.unwrap();
    assert!(marks(&house).await.is_empty());
}

async fn delete(house: &House, ids: &[String]) {
    let partition = Partition::reserved_for_tenancy(Container::Clients, format!("{}/{}", house.tenant, ClientPlace::Assessment.key()));
    let deletes = ids.iter().map(|id| Op::Delete { id: id.clone(), if_match: None }).collect();
    let done = house.test.app().documents.batch(&partition, deletes).await.unwrap();
    assert!(matches!(done, BatchOutcome::Committed(_)));
}

/// Who broke the glass, and can write the database, deletes the mark of the review.
#[tokio::test]
async fn a_mark_that_is_deleted_ends_no_review_and_hides_no_proposal() {
    let house = House::new().await;
    house.set_policy(&kind(Rule { approvals: 2, ..Rule::of_kind("mark") }, &house)).await;
    let id = house.asked(draft()).await;
    let waits = house.asked(Draft { subject: "3.1.1[b]".into(), ..draft() }).await;
    house.approve_alone(&house.priya, id).await;
    house.execute().await.unwrap();
    let follow = async || {
        let store = house.store().await;
        assay::audit::sequence(&store, ClientPlace::with_outbox()).await.unwrap();
        gate::remake(&store).await.unwrap()
    };
    assert_eq!((follow().await, follow().await), (0, 0), "all marks are there");

    delete(&house, &[format!("review:{id}"), format!("open:{waits}")]).await;
    assert_eq!((marks(&house).await.len(), house.standing().await), (0, (0, 0)));
    assert_eq!((follow().await, follow().await), (2, 0), "made again, and said once");
    assert_eq!((marks(&house).await.len(), house.standing().await), (1, (1, 0)));
    house.test.clock.advance(Duration::hours(25));
    assert_eq!(sweep(&house).await, 1);
    assert_eq!(mailed(&house, "OVERDUE REVIEW: ").await, 2, "both approvers");

    let looks = house.answer(id, Verdict::Uphold).await;
    house.decide(&house.sam, id, &looks).await.unwrap();
    assert_eq!(follow().await, 0, "what ended needs no mark");
    assert!(marks(&house).await.is_empty());
}

#[tokio::test]
async fn of_two_marks_the_one_that_was_deleted_is_made_again_and_none_once_its_time_is_over() {
    let house = House::new().await;
    let id = house.asked(Draft { kind: "assign_training".into(), undo: Some(super::UNDO.into()), ..draft() }).await;
    house.execute().await.unwrap();
    let others = house.answer(id, Verdict::Escalate).await;
    house.decide(&house.sam, id, &others).await.unwrap();
    let follow = async || {
        let store = house.store().await;
        assay::audit::sequence(&store, ClientPlace::with_outbox()).await.unwrap();
        gate::remake(&store).await.unwrap()
    };
    let there = async || {
        let undoable: Vec<Held<UndoMark>> = house.store().await.all(ClientPlace::Assessment, "").await.unwrap();
        (marks(&house).await.len(), undoable.len())
    };
    assert_eq!((follow().await, there().await), (0, (1, 1)));
    for kind in ["review", "undoable"] {
        delete(&house, &[format!("{kind}:{id}")]).await;
        assert_eq!((follow().await, follow().await, there().await), (1, 0, (1, 1)), "{kind}");
    }
    house.test.faults.mend();
    gate::remake(&house.store().await).await.unwrap();
    assert!(!house.test.faults.calls().iter().any(|call| ["documents.read", "documents.batch"].contains(call)), "nothing is new");
    let State::Executed { undo_until: Some(until), .. } = house.state(id).await else { panic!("it ran") };
    delete(&house, &[format!("undoable:{id}")]).await;
    house.test.clock.advance(until - house.test.app().now());
    assert_eq!((follow().await, there().await), (0, (1, 0)));
}

/// A proposal that waits, and its mark is deleted.
async fn hidden() -> House {
    let house = House::new().await;
    let id = house.asked(draft()).await;
    assay::audit::sequence(&house.store().await, ClientPlace::with_outbox()).await.unwrap();
    delete(&house, &[format!("open:{id}")]).await;
    house
}

#[tokio::test]
async fn of_two_sweeps_at_once_one_makes_a_mark_again_and_the_other_goes_on() {
    let house = hidden().await;
    let both = two_at_once(house.test.app());
    let store = house.scope(&house.marco).store(&both).await.unwrap();
    let (one, other) = tokio::join!(gate::remake(&store), gate::remake(&store));
    assert_eq!((one.unwrap() + other.unwrap(), house.standing().await), (1, (1, 0)));
}

#[tokio::test]
async fn a_store_that_fails_while_a_mark_is_made_again_is_no_faster_sweep() {
    for at in 0.. {
        let house = hidden().await;
        let store = house.store().await;
        house.test.faults.fail_at(at, Fault::BeforeEffect);
        let made = gate::remake(&store).await;
        if !house.test.faults.struck() {
            assert_eq!(made.unwrap(), 1);
            break;
        }
        assert!(made.is_err(), "call {at}");
    }
}

#[tokio::test]
async fn a_review_that_nobody_can_do_is_called_that_on_the_page_and_to_the_owner_until_somebody_can() {
    let house = House::new().await;
    house.set_policy(&kind(Rule { approvals: 2, ..Rule::of_kind("mark") }, &house)).await;
    house.change(&house.eve, |eve| eve.is_owner = true).await;
    let id = house.asked(draft()).await;
    // Zoë is the same person with another account.
    house.change(&house.sam, |sam| sam.same_as = Some(house.priya.id)).await;
    house.approve_alone(&house.priya, id).await;
    gate::notify(house.test.app(), house.messages("notify").await.last().unwrap()).await.unwrap();
    let saying = async || {
        let told = house
            .mails()
            .await
            .into_iter()
            .filter(|(_, mail)| in_one_line(mail).contains("Nobody who approves for this client can review it"));
        told.map(|(name, _)| name).collect::<Vec<_>>()
    };
    assert!(saying().await.iter().any(|name| name.ends_with(&format!("{}.eml", house.eve.id))), "the owner is told");
    let page = async || {
        let (app, roster, grants) = (house.test.app(), house.roster().await, [house.grant(&house.priya)]);
        let reader = gate::inbox::Reader { person: &house.priya, grants: &grants, roster: &roster, correlation: "c" };
        let frame = Frame::new(&app.config, app.now(), Section::Approvals, None, 0);
        let page = decision::page(app, reader, house.tenant, id, frame, |proposal| proposal.hash.clone()).await;
        page.unwrap().unwrap().nobody_reviews
    };
    assert_eq!(page().await, Some(gate::reviewers::NOBODY));
    house.change(&house.sam, |sam| sam.same_as = None).await;
    assert_eq!(page().await, None, "another person approves for the client now");
}

#[tokio::test]
async fn what_was_approved_alone_and_never_ran_is_reviewed_all_the_same() {
    let house = House::new().await;
    house.set_policy(&kind(Rule { approvals: 2, ..Rule::of_kind("mark") }, &house)).await;
    let id = house.asked(draft()).await;
    house.approve_alone(&house.priya, id).await;
    house.take_grant(&house.priya).await;
    assert!(matches!(house.execute().await.unwrap().state, State::Refused { .. }));
    let looks = house.answer(id, Verdict::Uphold).await;
    house.decide(&house.sam, id, &looks).await.unwrap();
    assert!(marks(&house).await.is_empty() && house.held(id).await.value.review_by.is_none());
    assert_eq!(house.differences().await, [""; 0], "a look at what never ran is no contradiction of the log");
}

#[tokio::test]
async fn one_of_two_who_approved_can_still_approve_alone_and_a_review_that_is_asked_for_again_is_given_again() {
    let house = House::new().await;
    house.set_policy(&kind(Rule { approvals: 2, ..Rule::of_kind("mark") }, &house)).await;
    let id = house.asked(draft()).await;
    house.approve(&house.priya, id).await.unwrap();
    let mut answer = house.answer(id, Verdict::Approve).await;
    answer.comment = "The assessor leaves in an hour and nobody else is reachable.".into();
    let alone = Capacity { break_glass: true, signed_in_at: Some(house.test.app().now()), ..Capacity::default() };
    let decided = house.decide_as(&house.priya, id, &answer, &alone).await.unwrap();
    assert!(!decided.repeated && matches!(decided.proposal.state, State::Approved { .. }), "{decided:?}");
    assert!(house.decide_as(&house.priya, id, &answer, &alone).await.unwrap().repeated);
    assert!(matches!(house.execute().await.unwrap().state, State::Executed { .. }));
}

/// Priya approves alone, and it runs.
async fn approved_alone(house: &House) -> assay::tenancy::ProposalId {
    house.set_policy(&kind(Rule { approvals: 2, ..Rule::of_kind("mark") }, house)).await;
    let id = house.asked(draft()).await;
    house.approve_alone(&house.priya, id).await;
    id
}

#[tokio::test]
async fn a_review_that_only_one_person_is_left_to_give_is_not_handed_on() {
    let house = House::new().await;
    let id = approved_alone(&house).await;
    house.execute().await.unwrap();
    let due = house.held(id).await.value.review_by;
    let others = house.answer(id, Verdict::Escalate).await;
    let told = house.decide(&house.sam, id, &others).await.unwrap_err();
    assert!(matches!(told, DecideError::NobodyLeft) && told.to_string().contains("Review it yourself"), "{told}");
    assert_eq!(house.held(id).await.value.review_by, due);
    let looks = house.answer(id, Verdict::Uphold).await;
    house.decide(&house.sam, id, &looks).await.unwrap();
    assert!(marks(&house).await.is_empty());
}

#[tokio::test]
async fn where_nobody_can_be_told_that_somebody_approved_alone_the_log_says_so_once() {
    let house = House::on(TestApp::with(&[("ASSAY_MAIL", "none")])).await;
    let id = approved_alone(&house).await;
    for _ in 0..2 {
        gate::notify(house.test.app(), house.messages("notify").await.last().unwrap()).await.unwrap();
    }
    assert_eq!(house.audited(id).await.iter().filter(|kind| *kind == "proposal.glass_told").count(), 1);
    let told = house.notified(id).await;
    assert!(told.len() == 1 && told[0].mailed.is_empty() && told[0].links.is_empty(), "{told:?}");
    assert!(house.mails().await.is_empty());
}
