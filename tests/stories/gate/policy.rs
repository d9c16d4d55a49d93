//! The policy: gated like any other action, followed by what is staged, and never asked of a request.

use std::collections::{BTreeMap, BTreeSet};

use assay::{
    gate::{
        self, Level, Policy, Refusal, Rule, State, Verdict,
        amend::{self, AmendError},
        policy::CHANGE_POLICY,
    },
    web::pages::ProposalState,
};

use super::{House, draft, reading::page};

fn with(kind: &str, rule: Rule) -> Policy {
    Policy { rules: BTreeMap::from([(kind.to_owned(), rule)]), ..Policy::default() }
}

fn two() -> Policy {
    with("mark_objective", Rule { approvals: 2, ..Rule::of_kind("mark_objective") })
}

#[tokio::test]
async fn a_change_is_staged_decided_by_another_and_then_holds_for_what_is_staged() {
    let house = House::new().await;
    let app = house.test.app();
    let scope = house.scope(&house.priya);
    let id = amend::propose(app, &scope, "Harbor Precision", two(), "Four eyes.").await.unwrap();
    let asked = house.held(id).await.value;
    assert_eq!((asked.draft.kind.as_str(), asked.level()), (CHANGE_POLICY, Level::L2));
    assert_eq!(asked.draft.after, "Mark an objective: approvals needed: 1 \u{2192} 2");
    assert_eq!(asked.draft.reasons, ["Four eyes.", "Mark an objective: approvals needed: 1 \u{2192} 2."]);
    assert!(house.approve(&house.priya, id).await.is_err(), "who asks for easier terms does not grant them");
    let waits = amend::propose(app, &scope, "Harbor Precision", two(), "").await.unwrap_err();
    assert!(matches!(waits, AmendError::Waits(other) if other == id));
    house.approve(&house.sam, id).await.unwrap();
    assert!(matches!(house.execute().await.unwrap().state, State::Executed { .. }));
    let policy = Policy::read(&house.store().await).await.unwrap().unwrap();
    assert_eq!((policy.version, policy.made_by, policy.terms("mark_objective").rule.approvals), (1, Some(id), 2));

    let marks = house.asked(gate::Draft { kind: "mark_objective".into(), ..draft() }).await;
    assert_eq!(house.held(marks).await.value.progress().needed, 2);
    let same = amend::propose(app, &scope, "Harbor Precision", two(), "").await.unwrap_err();
    assert!(matches!(same, AmendError::Fault(_)), "{same}");
    let over = |seen| amend::propose_over(app, &scope, "Harbor Precision", (Policy::default(), Some(seen)), "Two are too many.");
    let moved = over(0).await.unwrap_err();
    assert!(matches!(moved, AmendError::Moved), "{moved}");
    assert!(over(1).await.is_ok());
}

#[tokio::test]
async fn nothing_below_the_floor_is_even_staged() {
    let house = House::new().await;
    let low = with("mark_objective", Rule { level: Level::L1, undo_within: 24, ..Rule::of_kind("mark_objective") });
    let error = amend::propose(house.test.app(), &house.scope(&house.priya), "Harbor", low, "").await.unwrap_err();
    assert!(matches!(&error, AmendError::Fault(fault) if fault.to_string().contains("never below L2")), "{error}");
    // And where somebody writes it into the store, the floor still holds.
    let low = with("affirm", Rule { level: Level::L0, ..Rule::of_kind("affirm") });
    house.set_policy(&low).await;
    let id = house.asked(gate::Draft { kind: "affirm".into(), ..draft() }).await;
    assert_eq!((house.held(id).await.value.level(), house.state(id).await), (Level::L3, State::Open));
}

#[tokio::test]
async fn what_waits_begins_anew_under_a_policy_that_asks_something_else_and_stays_under_one_that_does_not() {
    let house = House::new().await;
    let app = house.test.app();
    let scope = house.scope(&house.marco);
    let affected = house.asked(gate::Draft { kind: "mark_objective".into(), ..draft() }).await;
    let other = house.asked(draft()).await;
    house.approve(&house.priya, affected).await.unwrap();
    let seen = house.answer(other, Verdict::Approve).await;
    house.set_policy(&two()).await;
    // What was approved under easier terms does not run.
    let State::Refused { why, .. } = house.execute().await.unwrap().state else { panic!("it ran") };
    assert!(why.contains("changed after this was approved, so it was not carried out. It can be asked again"), "{why}");
    let open = house.asked(gate::Draft { kind: "mark_objective".into(), ..draft() }).await;
    house.set_policy(&Policy { break_glass: BTreeSet::from([house.sam.id]), ..two() }).await;
    let shown = page(&house, &house.priya, open).await.state;
    let blocked = |state: &ProposalState| matches!(state, ProposalState::Open(form) if form.blocked.as_deref() == Some(&Refusal::PolicyChanged.sentence()));
    assert!(blocked(&shown), "before anybody reads and types: {shown:?}");
    let stale = house.approve(&house.priya, open).await.unwrap_err();
    assert!(matches!(stale, gate::DecideError::Refused(Refusal::PolicyChanged)), "{stale}");
    assert_eq!(
        gate::bring_under_policy(app, &scope, house.roster().await.as_ref()).await.unwrap(),
        2,
        "who may break the glass concerns all"
    );
    assert_eq!(gate::bring_under_policy(app, &scope, house.roster().await.as_ref()).await.unwrap(), 0);
    assert_eq!((house.held(open).await.value.version, house.held(other).await.value.version), (2, 2));
    assert!(!blocked(&page(&house, &house.priya, open).await.state));
    assert!(house.decide(&house.sam, other, &seen).await.is_err(), "another version was seen");
    house.approve(&house.priya, open).await.unwrap();
    house.approve(&house.sam, open).await.unwrap();
    assert!(matches!(house.state(open).await, State::Approved { .. }));
}
