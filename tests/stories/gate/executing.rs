//! What was approved runs, once, as it was approved; nothing else does.

use assay::{
    evidence::{Evidence, Filed, Origin, Population},
    gate::{self, Draft, ExecuteError, Proposal, State, Verdict, hash::hash_of},
    platform::ports::{Container, Op, Partition},
    tenancy::{Held, ProposalId},
};
use time::{Duration, macros::date};

use super::{House, draft, flush, perform};
use crate::support::{faults::Fault, meeting::overtaken_while_reading};

async fn execute(house: &House) -> Result<Proposal, ExecuteError> {
    let message = house.messages("execute").await.pop().unwrap();
    gate::execute(house.test.app(), &message, perform).await
}

async fn replace(house: &House, held: Held<Proposal>) {
    house.overwrite(held).await;
}

fn why(proposal: &Proposal) -> &str {
    match &proposal.state {
        State::Refused { why, .. } => why,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn delivered_ten_times_it_runs_once() {
    let house = House::new().await;
    let id = house.asked(draft()).await;
    house.approve(&house.priya, id).await.unwrap();
    let message = house.messages("execute").await.pop().unwrap();
    for _ in 0..10 {
        let proposal = gate::execute(house.test.app(), &message, perform).await.unwrap();
        assert!(matches!(proposal.state, State::Executed { .. }));
        house.test.clock.advance(Duration::hours(20));
    }
    assert_eq!(house.marks().await, ["3.1.1[a]"]);
    assert_eq!(house.audited(id).await, ["proposal.staged", "proposal.approved", "proposal.executed"]);
    assert_eq!(house.standing().await, (0, 0));
}

#[tokio::test]
async fn two_deliveries_at_the_same_moment_run_it_once() {
    let house = House::new().await;
    let id = house.asked(draft()).await;
    house.approve(&house.priya, id).await.unwrap();
    let (one, two) = tokio::join!(execute(&house), execute(&house));
    assert!(matches!((one.unwrap().state, two.unwrap().state), (State::Executed { .. }, State::Executed { .. })));
    assert_eq!(house.audited(id).await.iter().filter(|kind| *kind == "proposal.executed").count(), 1);
}

#[tokio::test]
async fn a_delivery_that_is_overtaken_while_it_reads_is_no_sign_of_tampering() {
    let house = House::new().await;
    let id = house.asked(draft()).await;
    house.approve(&house.priya, id).await.unwrap();
    let message = house.messages("execute").await.pop().unwrap();
    let (app, stop) = overtaken_while_reading(house.test.app(), format!("decision:{id}"));
    let (slow, quick) = tokio::join!(gate::execute(&app, &message, perform), async {
        stop.reached.notified().await;
        let quick = execute(&house).await;
        stop.go_on.notify_one();
        quick
    });
    assert!(matches!((slow.unwrap().state, quick.unwrap().state), (State::Executed { .. }, State::Executed { .. })));
    assert_eq!(house.audited(id).await.iter().filter(|kind| *kind == "proposal.executed").count(), 1);
}

#[tokio::test]
async fn an_insider_who_changes_what_was_approved_gets_nothing_executed() {
    // With the client's key in hand: the action, then the hash as well, then the decision too.
    for depth in 0..3 {
        let house = House::new().await;
        let id = house.asked(draft()).await;
        house.approve(&house.priya, id).await.unwrap();
        let mut held = house.held(id).await;
        held.value.draft.action = r#"{"objective":"3.12.4[a]","met":true}"#.into();
        if depth > 0 {
            held.value.hash = hash_of(house.tenant, &held.value);
        }
        if depth == 2 {
            held.value.decisions[0].hash.clone_from(&held.value.hash);
        }
        replace(&house, held).await;
        match execute(&house).await {
            Ok(proposal) => assert!(depth < 2 && !why(&proposal).is_empty()),
            Err(error) => assert!(depth == 2 && matches!(error, ExecuteError::Tampered) && !error.is_transient()),
        }
        assert!(house.marks().await.is_empty());
    }
}

#[tokio::test]
async fn an_insider_who_puts_an_older_copy_back_gets_no_second_execution_and_no_second_decision() {
    let house = House::new().await;
    let app = house.test.app();
    let partition = Partition::reserved_for_tenancy(Container::Clients, format!("{}/assessment", house.tenant));
    let id = house.asked(draft()).await;
    let document = format!("proposal:{id}");
    let open = app.documents.read(&partition, &document).await.unwrap().unwrap().body;
    house.approve(&house.priya, id).await.unwrap();
    let approved = app.documents.read(&partition, &document).await.unwrap().unwrap().body;
    execute(&house).await.unwrap();

    let put_back = async |body: &serde_json::Value| {
        let now = app.documents.read(&partition, &document).await.unwrap().unwrap();
        let op = Op::Replace { id: document.clone(), body: body.clone(), if_match: now.etag };
        let _ = app.documents.batch(&partition, vec![op]).await.unwrap();
    };
    put_back(&approved).await;
    assert!(matches!(execute(&house).await, Err(ExecuteError::Tampered)));
    put_back(&open).await;
    assert!(matches!(execute(&house).await, Err(ExecuteError::NotApproved)));
    assert!(house.approve(&house.sam, id).await.is_err());
    assert_eq!(house.audited(id).await.len(), 3);
}

#[tokio::test]
async fn what_another_release_staged_in_the_first_form_can_be_rejected_and_neither_approved_nor_run() {
    let house = House::new().await;
    let first_form = async |id| {
        let mut stored = serde_json::to_value(house.held(id).await.value).unwrap();
        stored.as_object_mut().unwrap().remove("form");
        let value: Proposal = serde_json::from_value(stored).unwrap();
        assert_eq!(value.form, 1);
        replace(&house, Held { value, ..house.held(id).await }).await;
    };
    let (open, approved) = (house.asked(draft()).await, house.asked(draft()).await);
    first_form(open).await;
    let no = gate::Refusal::OtherForm;
    assert!(matches!(house.approve(&house.priya, open).await, Err(gate::DecideError::Refused(refusal)) if refusal == no));
    let answer = house.answer(open, Verdict::Reject).await;
    house.decide(&house.priya, open, &answer).await.unwrap();

    house.approve(&house.priya, approved).await.unwrap();
    first_form(approved).await;
    assert_eq!(why(&execute(&house).await.unwrap()), no.sentence());
    assert!(house.marks().await.is_empty());
}

#[tokio::test]
async fn an_approval_is_worth_nothing_once_its_giver_may_not_approve_any_more() {
    let house = House::new().await;
    let id = house.asked(draft()).await;
    house.approve(&house.priya, id).await.unwrap();
    house.take_grant(&house.priya).await;
    assert_eq!(why(&execute(&house).await.unwrap()), "Priya Nair approved this and is no longer an approver of this client.");
    assert_eq!(house.audited(id).await.last().unwrap(), "proposal.refused");
    assert!(house.marks().await.is_empty());
}

/// Grants go one batch after another, so one may be left when the access is gone.
#[tokio::test]
async fn an_approval_is_worth_nothing_once_its_givers_access_was_taken_away() {
    let house = House::new().await;
    let id = house.asked(draft()).await;
    house.approve(&house.priya, id).await.unwrap();
    house.change(&house.priya, |priya| priya.access_ended_at = Some(house.test.app().now())).await;
    assert_eq!(why(&execute(&house).await.unwrap()), "Priya Nair approved this and is no longer an approver of this client.");
    assert!(house.marks().await.is_empty());
}

/// The roster leaves out what cannot be read; who may not approve any more is something else.
#[tokio::test]
async fn while_its_givers_record_cannot_be_read_an_approval_waits() {
    let house = House::new().await;
    let id = house.asked(draft()).await;
    house.approve(&house.priya, id).await.unwrap();
    let (app, partition) = (house.test.app(), Partition::reserved_for_tenancy(Container::Deployment, "deployment/directory".into()));
    let person = app.documents.read(&partition, &format!("person:{}", house.priya.id)).await.unwrap().unwrap();
    let mut body = person.body.clone();
    body["sealed"] = "AAAA".into();
    let _ = app.documents.batch(&partition, vec![Op::Replace { id: person.id.clone(), body, if_match: person.etag }]).await.unwrap();
    assert!(matches!(execute(&house).await, Err(ExecuteError::Store(_))));
    let damaged = app.documents.read(&partition, &person.id).await.unwrap().unwrap();
    let mend = Op::Replace { id: person.id, body: person.body, if_match: damaged.etag };
    let _ = app.documents.batch(&partition, vec![mend]).await.unwrap();
    assert!(matches!(execute(&house).await.unwrap().state, State::Executed { .. }));
}

#[tokio::test]
async fn an_approval_that_did_not_run_in_two_days_runs_no_more_even_if_the_clock_goes_back() {
    let house = House::new().await;
    let id = house.asked(draft()).await;
    house.approve(&house.priya, id).await.unwrap();
    house.test.clock.advance(Duration::days(2));
    assert!(matches!(execute(&house).await.unwrap().state, State::Expired { approved: true, .. }));
    house.test.clock.advance(Duration::days(-2));
    assert!(matches!(execute(&house).await.unwrap().state, State::Expired { .. }));
    assert_eq!((house.marks().await.len(), house.standing().await), (0, (0, 0)));
}

#[tokio::test]
async fn evidence_that_changed_after_the_proposal_stops_it_in_words() {
    for deleted in [false, true] {
        let house = House::new().await;
        let mut record = evidence(&house);
        write(&house, &record, None).await;
        let id = house.asked(Draft { evidence: vec![record.reference()], ..draft() }).await;
        house.approve(&house.priya, id).await.unwrap();
        let held = read(&house, &record).await;
        if deleted {
            record.deleted = true;
        } else {
            record.hash = "b".repeat(64);
        }
        write(&house, &record, Some(held)).await;
        assert_eq!(why(&execute(&house).await.unwrap()), "This evidence changed after it was proposed: Access request policy.");
        assert!(house.marks().await.is_empty());
    }
}

#[tokio::test]
async fn evidence_that_grew_too_old_between_the_approval_and_the_run_stops_it_in_words() {
    let house = House::new().await;
    let id = house.asked(super::resting_on_a_reading(&house).await).await;
    house.test.clock.advance(Duration::days(3) - Duration::hours(1));
    house.approve(&house.priya, id).await.unwrap();
    house.test.clock.advance(Duration::hours(2));
    assert_eq!(why(&execute(&house).await.unwrap()), "This evidence is too old to count by now: Full inventory.");
    assert_eq!(house.audited(id).await, ["proposal.staged", "proposal.approved", "proposal.refused"]);
    assert!(house.marks().await.is_empty());
}

#[tokio::test]
async fn evidence_that_is_as_it_was_lets_it_run_and_a_refusal_of_the_area_is_kept() {
    let house = House::new().await;
    let record = evidence(&house);
    write(&house, &record, None).await;
    let with = Draft { evidence: vec![record.reference()], ..draft() };
    for (n, draft) in [with.clone(), with].into_iter().enumerate() {
        let id = house.asked(draft).await;
        house.approve(&house.priya, id).await.unwrap();
        let proposal = execute(&house).await.unwrap();
        if n == 0 {
            assert!(matches!(proposal.state, State::Executed { .. }));
        } else {
            assert_eq!(why(&proposal), "It is as asked already.");
        }
    }
}

#[tokio::test]
async fn a_rollback_is_an_ordinary_gated_proposal() {
    let house = House::new().await;
    let id = house.asked(draft()).await;
    house.approve(&house.priya, id).await.unwrap();
    execute(&house).await.unwrap();
    let back = Draft { kind: "roll_back".into(), question: "Take AC.L2-3.1.1[a] back?".into(), ..draft() };
    let undo = house.asked_by(&house.priya, back).await;
    assert!(house.approve(&house.priya, undo).await.is_err(), "who asks to undo does not decide it");
    assert_eq!(house.marks().await.len(), 1);
    house.approve(&house.sam, undo).await.unwrap();
    execute(&house).await.unwrap();
    assert!(house.marks().await.is_empty());
    assert_eq!(house.audited(undo).await, ["proposal.staged", "proposal.approved", "proposal.executed"]);
}

#[tokio::test]
async fn wherever_an_execution_stops_redelivery_ends_in_one_execution_with_its_audit_item() {
    for fault in [Fault::BeforeEffect, Fault::AnswerLost] {
        let mut at = 0;
        loop {
            let mut house = House::new().await;
            let id = house.asked(draft()).await;
            house.approve(&house.priya, id).await.unwrap();
            let message = house.messages("execute").await.pop().unwrap();
            house.test.restart();
            house.test.faults.stop_at(at, fault);
            let _ = gate::execute(house.test.app(), &message, perform).await;
            let struck = house.test.faults.struck();
            house.test.faults.mend();
            house.test.restart();
            let executed = house.audited(id).await.contains(&"proposal.executed".to_owned());
            assert_eq!(house.marks().await.len(), usize::from(executed), "stopped at call {at}, {fault:?}");
            gate::execute(house.test.app(), &message, perform).await.unwrap();
            flush(&house).await.unwrap();
            assert_eq!(house.audited(id).await, ["proposal.staged", "proposal.approved", "proposal.executed"]);
            assert_eq!(house.marks().await, ["3.1.1[a]"]);
            if !struck {
                break;
            }
            at += 1;
        }
        assert!(at > 5, "only {at} calls were tried");
    }
}

#[tokio::test]
async fn a_message_about_what_nobody_approved_executes_nothing() {
    let house = House::new().await;
    let app = house.test.app();
    let id = house.asked(draft()).await;
    for proposal in [id, ProposalId(uuid::Uuid::from_u128(77))] {
        let body = gate::proposal::ExecuteV1 { proposal, version: 1 };
        let bytes = assay::tenancy::message::seal(app, "execute", Some(house.tenant), uuid::Uuid::from_u128(5), &body).await.unwrap();
        let message = assay::tenancy::message::open(app, "execute", &bytes).await.unwrap();
        let error = gate::execute(app, &message, perform).await.unwrap_err();
        assert!(!error.is_transient(), "{error}");
    }
    let answer = house.answer(id, Verdict::Reject).await;
    house.decide(&house.sam, id, &answer).await.unwrap();
    assert!(house.marks().await.is_empty());
}

fn evidence(house: &House) -> Evidence {
    let now = house.test.app().now();
    Evidence {
        source_key: "filed:1".into(),
        record_type: None,
        title: "Access request policy".into(),
        origin: Origin::Filed(Filed { place: "SharePoint".into(), approved_on: date!(2026 - 01 - 14), filed_by: house.marco.id }),
        occurred_at: now,
        collected_at: now,
        population: Population::Unknown,
        hash: "a".repeat(64),
        deleted: false,
        revision: 0,
    }
}

async fn read(house: &House, record: &Evidence) -> Held<Evidence> {
    house.store().await.read(Evidence::place(&record.source_key), &record.source_key).await.unwrap().unwrap()
}

async fn write(house: &House, record: &Evidence, held: Option<Held<Evidence>>) {
    let store = house.store().await;
    let mut batch = store.batch(Evidence::place(&record.source_key));
    batch.put(record.clone(), held.map(|held| held.etag));
    batch.commit().await.unwrap();
}
