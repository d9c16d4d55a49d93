//! The last look before a run, where the executor trusts nothing that the decision checked: each thing that can have been
//! put into the record since, alone, stops it. The receipts are taken to hold here, so that nothing hides behind them.

use assay::{
    gate::{
        Decision, Proposal, Refusal, State, Verdict,
        delegation::{Delegation, Span},
        event::{Event, Facts, Voice},
        hash::FORM,
        machine::next,
        proposal::Seat,
    },
    tenancy::Actor,
};
use time::{Duration, OffsetDateTime};

use super::world::{DAYS, EVE, HARBOR, MARCO, PRIYA, SAM, SAM_AGAIN, START, World, ZOE, draft, person, policy, proposal};

const MARK: &str = "mark_objective";
/// Of great effect: whoever approves it has just signed in.
const PUBLISH: &str = "publish_package";
/// L1.
const TRAIN: &str = "assign_training";
const SECOND: Duration = Duration::SECOND;

fn said(proposal: &Proposal, who: u8, verdict: Verdict, at: OffsetDateTime) -> Decision {
    Decision {
        person: person(who),
        name: format!("Person {who}"),
        verdict,
        version: proposal.version,
        hash: proposal.hash.clone(),
        comment: "because it cannot wait".into(),
        at,
        on_behalf_of: None,
        broke_glass: false,
        signed_in_at: Some(at - Duration::MINUTE),
        acrs: None,
        evidence: vec![],
        receipt: None,
    }
}

/// As it stands in the store after these approved it, the last at this time.
fn approved(kind: &str, approvals: u8, by: &[u8]) -> Proposal {
    let mut proposal = proposal(draft(kind), policy(kind, approvals).terms(kind));
    proposal.decisions = by.iter().map(|who| said(&proposal, *who, Verdict::Approve, START)).collect();
    proposal.state = State::Approved { run_by: START + Duration::days(DAYS.run) };
    proposal
}

fn changed(mut proposal: Proposal, change: impl FnOnce(&mut Proposal)) -> Proposal {
    change(&mut proposal);
    proposal
}

/// All receipts hold, and everybody may still approve.
fn facts(proposal: &Proposal) -> Facts {
    Facts {
        tenant: HARBOR,
        version: proposal.version,
        today: policy(&proposal.draft.kind, proposal.terms.as_ref().map_or(1, |terms| terms.rule.approvals)).terms(&proposal.draft.kind),
        voices: vec![Voice { is_signed: true, may_approve: true }; proposal.decisions.len()],
        linked: vec![],
        is_clearance_signed: true,
        delegations: vec![],
        changed_evidence: vec![],
    }
}

fn runs_at(proposal: &Proposal, now: OffsetDateTime) -> Result<(), Refusal> {
    next(proposal, Event::Execute(facts(proposal)), now).map(|after| assert!(matches!(after.state, State::Executed { .. })))
}

fn runs(proposal: &Proposal) -> Result<(), Refusal> {
    runs_at(proposal, START)
}

#[test]
fn an_approval_runs_up_to_the_last_second_and_no_later_clock_that_somebody_wrote_helps() {
    let end = START + Duration::days(DAYS.run);
    let late = |at| Err(Refusal::Expired { at });
    let good = approved(MARK, 2, &[PRIYA, SAM]);
    assert_eq!(runs_at(&good, end - SECOND), Ok(()));
    assert_eq!(runs_at(&good, end), late(end));
    let longer = changed(good.clone(), |p| p.state = State::Approved { run_by: end + SECOND });
    assert_eq!(runs(&longer), late(end + SECOND));
    // The clock begins with the last approval: an earlier one was not enough.
    let hour = Duration::HOUR;
    let later = changed(good, |p| {
        p.decisions[1].at += hour;
        p.decisions[1].signed_in_at = Some(START);
        p.state = State::Approved { run_by: end + hour };
    });
    assert_eq!(runs_at(&later, end), Ok(()));
    assert_eq!(runs_at(&later, end + hour), late(end + hour));
}

#[test]
fn what_its_level_cleared_runs_in_its_time_under_its_signature_and_under_no_other_clock() {
    let cleared = proposal(draft(TRAIN), policy(TRAIN, 0).terms(TRAIN));
    let end = START + Duration::days(DAYS.run);
    assert_eq!(runs_at(&cleared, end - SECOND), Ok(()));
    assert_eq!(runs_at(&cleared, end), Err(Refusal::Expired { at: end }));
    let longer = changed(cleared.clone(), |p| p.state = State::Cleared { run_by: end + SECOND });
    assert_eq!(runs(&longer), Err(Refusal::Expired { at: end + SECOND }));
    let unsigned = Facts { is_clearance_signed: false, ..facts(&cleared) };
    assert_eq!(next(&cleared, Event::Execute(unsigned), START).map(drop), Err(Refusal::NotSigned { name: "Assay".into() }));
    let ended = |at| next(&cleared, Event::Expire, at).map(|after| after.state);
    assert_eq!(ended(end - SECOND), Err(Refusal::NotDue));
    assert_eq!(ended(end), Ok(State::Expired { at: end, approved: true }));
}

#[test]
fn how_it_stands_and_its_level_belong_together() {
    let cleared = changed(approved(MARK, 1, &[PRIYA]), |p| p.state = State::Cleared { run_by: START + Duration::days(1) });
    assert_eq!(runs(&cleared), Err(Refusal::NotApproved), "what wants an approval is cleared by nobody");
    let approved = changed(proposal(draft(TRAIN), policy(TRAIN, 0).terms(TRAIN)), |p| {
        p.decisions = vec![said(p, PRIYA, Verdict::Approve, START)];
        p.state = State::Approved { run_by: START + Duration::days(1) };
    });
    assert_eq!(runs(&approved), Err(Refusal::NotApproved));
}

#[test]
fn an_approval_counts_for_this_version_and_hash_in_its_time_and_by_whom_it_may_be_given() {
    let good = approved(PUBLISH, 1, &[SAM]);
    assert_eq!(runs(&good), Ok(()));
    let with = |change: fn(&mut Decision)| runs(&changed(good.clone(), |p| change(&mut p.decisions[0])));
    let seat = |who| Some(Seat { person: person(who), name: format!("Person {who}") });
    assert_eq!(with(|one| one.version = 2), Err(Refusal::WrongVersion { current: 1 }));
    assert_eq!(with(|one| one.hash = "0".repeat(64)), Err(Refusal::WrongHash));
    assert_eq!(with(|one| one.person = person(MARCO)), Err(Refusal::NotYours));
    assert_eq!(runs(&changed(good.clone(), |p| p.decisions[0].on_behalf_of = seat(MARCO))), Err(Refusal::NotYours));
    let old = || Err(Refusal::SignInTooOld { minutes: 10 });
    assert_eq!(with(|one| one.signed_in_at = Some(START - Duration::minutes(10) - SECOND)), old());
    assert_eq!(with(|one| one.signed_in_at = None), old());
    assert_eq!(with(|one| one.signed_in_at = Some(START - Duration::minutes(10))), Ok(()));
    assert_eq!(with(|one| one.verdict = Verdict::Reject), Err(Refusal::QuorumMissing { words: "0 of 1".into() }));
    let end = good.decide_by;
    let at = |at: OffsetDateTime| {
        let late = changed(good.clone(), |p| {
            (p.decisions[0].at, p.decisions[0].signed_in_at) = (at, Some(at));
            p.state = State::Approved { run_by: at + Duration::hours(1) };
        });
        runs_at(&late, at)
    };
    assert_eq!(at(end - SECOND), Ok(()));
    assert_eq!(at(end), Err(Refusal::Expired { at: end }));
}

#[test]
fn who_owns_the_evidence_is_nobodys_quorum_not_even_through_a_seat() {
    let mut resting = draft(MARK);
    resting.evidence = World::new(MARK, 1, None).proposal.draft.evidence;
    let mut good = proposal(resting, policy(MARK, 1).terms(MARK));
    good.decisions = vec![said(&good, PRIYA, Verdict::Approve, START)];
    good.state = State::Approved { run_by: START + Duration::days(1) };
    assert_eq!(runs(&good), Ok(()));
    let yours = || Err(Refusal::EvidenceYours { title: "Full inventory".into() });
    assert_eq!(runs(&changed(good.clone(), |p| p.decisions[0].person = person(EVE))), yours());
    let seat = Some(Seat { person: person(EVE), name: "Eve".into() });
    assert_eq!(runs(&changed(good.clone(), |p| p.decisions[0].on_behalf_of = seat)), yours());
    let gone = Facts { changed_evidence: vec!["Full inventory".into()], ..facts(&good) };
    let changed = Err(Refusal::EvidenceChanged { titles: vec!["Full inventory".into()] });
    assert_eq!(next(&good, Event::Execute(gone), START).map(drop), changed);
}

/// `to` stands in for `from`, from then on and until then.
fn standing_in(from: u8, to: u8, begins_at: OffsetDateTime, ends_at: OffsetDateTime) -> Vec<Delegation> {
    vec![Delegation { held: vec![Span { begins_at, ends_at }], ..Delegation::none(person(from), person(to)) }]
}

#[test]
fn whom_a_delegation_excludes_at_the_run_and_whom_none_let_answer_is_nobodys_quorum() {
    let hour = Duration::HOUR;
    let runs = |proposal: &Proposal, delegations: Vec<Delegation>| {
        next(proposal, Event::Execute(Facts { delegations, ..facts(proposal) }), START + hour).map(drop)
    };
    let good = approved(MARK, 1, &[PRIYA]);
    let excluded = |name: &str| Err(Refusal::StoodForExcluded { name: name.into() });
    // Agreed to after the approval: up to the moment of the run, and ended before it.
    assert_eq!(runs(&good, standing_in(MARCO, PRIYA, START + hour, START + hour * 2)), excluded("Person 1"));
    assert_eq!(runs(&good, standing_in(MARCO, PRIYA, START + hour - SECOND, START + hour)), excluded("Person 1"));
    assert_eq!(runs(&good, standing_in(MARCO, PRIYA, START + hour + SECOND, START + hour * 2)), Ok(()), "not yet");
    assert_eq!(runs(&good, standing_in(MARCO, PRIYA, START - hour, START)), Ok(()), "over when it was asked");
    assert_eq!(runs(&good, standing_in(SAM, PRIYA, START, START + hour)), Ok(()), "Sam did not ask for it");
    // In Sam's place: it held when that was said, and a seat that could not approve gives nothing.
    let seat = Some(Seat { person: person(SAM), name: "Person 2".into() });
    let for_sam = changed(good, |p| p.decisions[0].on_behalf_of = seat);
    let nobody = || Err(Refusal::StoodInForNobody { name: "Person 1 for Person 2".into() });
    assert_eq!(runs(&for_sam, vec![]), nobody());
    assert_eq!(runs(&for_sam, standing_in(SAM, PRIYA, START, START + SECOND)), Ok(()), "it may end before the run");
    assert_eq!(runs(&for_sam, standing_in(SAM, PRIYA, START - hour, START)), nobody());
    assert_eq!(runs(&for_sam, standing_in(PRIYA, SAM, START, START + hour)), nobody());
    let both = [standing_in(SAM, PRIYA, START, START + hour), standing_in(MARCO, SAM, START, START + hour)].concat();
    assert_eq!(runs(&for_sam, both), excluded("Person 1 for Person 2"));
}

#[test]
fn a_voice_that_is_not_signed_has_lost_its_right_or_was_not_looked_at_is_none() {
    let good = approved(MARK, 2, &[PRIYA, SAM]);
    let with = |voices: Vec<Voice>| next(&good, Event::Execute(Facts { voices, ..facts(&good) }), START).map(drop);
    let voice = |is_signed, may_approve| Voice { is_signed, may_approve };
    let all = voice(true, true);
    assert_eq!(with(vec![all, all]), Ok(()));
    let unsigned = |who| Err(Refusal::NotSigned { name: format!("Person {who}") });
    assert_eq!(with(vec![all, voice(false, true)]), unsigned(SAM));
    assert_eq!(with(vec![voice(false, true), all]), unsigned(PRIYA));
    assert_eq!(with(vec![all, voice(true, false)]), Err(Refusal::AuthorityGone { name: "Person 2".into() }));
    assert_eq!(with(vec![all]), unsigned(SAM));
    assert_eq!(with(vec![]), unsigned(PRIYA), "the first that is missing is named");
}

#[test]
fn a_quorum_at_the_run_is_one_of_humans_and_what_is_more_than_enough_does_no_harm() {
    assert_eq!(runs(&approved(MARK, 2, &[PRIYA])), Err(Refusal::QuorumMissing { words: "1 of 2, still wanted: one from client".into() }));
    assert_eq!(runs(&approved(MARK, 2, &[SAM, SAM_AGAIN])), Err(Refusal::QuorumMissing { words: "1 of 2".into() }));
    assert_eq!(runs(&approved(MARK, 2, &[PRIYA, ZOE, SAM])), Ok(()));
    // One too many that is worth nothing takes nothing from the others.
    let spare = approved(MARK, 2, &[PRIYA, SAM, MARCO]);
    assert_eq!(runs(&spare), Ok(()));
    let linked = vec![[person(PRIYA), person(SAM)].into()];
    let two = approved(MARK, 2, &[SAM, PRIYA]);
    let one_human = next(&two, Event::Execute(Facts { linked, ..facts(&two) }), START).map(drop);
    assert_eq!(one_human, Err(Refusal::QuorumMissing { words: "1 of 2".into() }));
}

#[test]
fn who_broke_the_glass_was_named_for_it_and_had_just_signed_in_at_the_run_too() {
    let alone = |who: u8, minutes: i64| {
        changed(approved(MARK, 2, &[who]), |p| {
            p.decisions[0].broke_glass = true;
            p.decisions[0].signed_in_at = Some(START - Duration::minutes(minutes));
        })
    };
    let missing = |words: &str| Err(Refusal::QuorumMissing { words: words.into() });
    let wants_client = "1 of 2, still wanted: one from client";
    assert_eq!(runs(&alone(PRIYA, 10)), Ok(()));
    assert_eq!(runs(&alone(PRIYA, 11)), missing(wants_client));
    assert_eq!(runs(&alone(ZOE, 1)), missing(wants_client));
    assert_eq!(runs(&changed(alone(PRIYA, 1), |p| p.decisions[0].broke_glass = false)), missing(wants_client));
    let end = START + Duration::days(DAYS.run);
    assert_eq!(runs_at(&alone(PRIYA, 1), end), Err(Refusal::Expired { at: end }), "nor does it run for ever");
}

#[test]
fn what_is_not_what_was_hashed_here_in_this_version_and_form_does_not_run() {
    let good = approved(MARK, 1, &[PRIYA]);
    let other = |facts: Facts| next(&good, Event::Execute(facts), START).map(drop);
    assert_eq!(other(Facts { version: 2, ..facts(&good) }), Err(Refusal::WrongVersion { current: 1 }));
    assert_eq!(runs(&changed(good.clone(), |p| p.form = FORM - 1)), Err(Refusal::OtherForm));
    assert_eq!(runs(&changed(good.clone(), |p| p.terms = None)), Err(Refusal::OtherForm));
    assert_eq!(runs(&changed(good.clone(), |p| p.requester = Actor::Person(person(ZOE)))), Err(Refusal::Tampered));
    let stricter = policy(MARK, 2).terms(MARK);
    assert_eq!(other(Facts { today: stricter, ..facts(&good) }), Err(Refusal::PolicyChanged));
}

/// Ran at the start, overridden by Sam an hour later.
fn undoing() -> Proposal {
    let mut proposal = proposal(draft(TRAIN), policy(TRAIN, 0).terms(TRAIN));
    proposal.decisions = vec![said(&proposal, SAM, Verdict::Override, START + Duration::HOUR)];
    proposal.state = State::Undoing { since: START + Duration::HOUR, ran_at: START };
    proposal
}

#[test]
fn it_is_undone_only_for_who_signed_that_of_this_version_and_may_still_say_so() {
    let good = undoing();
    let undone = |proposal: &Proposal, facts: Facts| next(proposal, Event::Undo(facts), START + Duration::HOUR).map(|after| after.state);
    let at = START + Duration::HOUR;
    assert_eq!(undone(&good, facts(&good)), Ok(State::RolledBack { at, by: None, ran_at: START }));
    let nobody = || Err(Refusal::NotSigned { name: "the person who undid it".into() });
    for change in [(|one| one.verdict = Verdict::Uphold) as fn(&mut Decision), |one| one.version = 2, |one| one.hash = "0".repeat(64)] {
        let other = changed(good.clone(), |p| change(&mut p.decisions[0]));
        assert_eq!(undone(&other, facts(&other)), nobody());
    }
    let voice = |is_signed, may_approve| Facts { voices: vec![Voice { is_signed, may_approve }], ..facts(&good) };
    assert_eq!(undone(&good, voice(false, true)), nobody());
    assert_eq!(undone(&good, voice(true, false)), Err(Refusal::AuthorityGone { name: "Person 2".into() }));
    // In Zoë's place it was said by whom she had asked by then, or by nobody.
    let for_zoe = changed(good.clone(), |p| p.decisions[0].on_behalf_of = Some(Seat { person: person(ZOE), name: "Person 3".into() }));
    let with = |delegations| Facts { delegations, ..facts(&for_zoe) };
    let stood_for_none = || Err(Refusal::StoodInForNobody { name: "Person 2 for Person 3".into() });
    assert_eq!(undone(&for_zoe, with(vec![])), stood_for_none());
    assert_eq!(undone(&for_zoe, with(standing_in(ZOE, SAM, START, at))), stood_for_none());
    assert!(undone(&for_zoe, with(standing_in(ZOE, SAM, START, at + SECOND))).is_ok());
    // What people approved has no undo, whatever stands in the store.
    let by_people = changed(approved(MARK, 1, &[PRIYA]), |p| {
        p.decisions.push(said(p, SAM, Verdict::Override, START));
        p.state = State::Undoing { since: START, ran_at: START };
    });
    assert_eq!(undone(&by_people, facts(&by_people)), nobody());
}

#[test]
fn it_is_undone_up_to_the_last_second_and_what_was_not_stands() {
    let good = undoing();
    let end = START + Duration::HOUR + Duration::days(DAYS.run);
    let undone = |at| next(&good, Event::Undo(facts(&good)), at).map(drop);
    assert_eq!(undone(end - SECOND), Ok(()));
    assert_eq!(undone(end), Err(Refusal::Expired { at: end }));
    let ends = |at| next(&good, Event::Expire, at).map(|after| after.state);
    assert_eq!(ends(end - SECOND), Err(Refusal::NotDue));
    assert_eq!(ends(end), Ok(State::NotUndone { at: end, ran_at: START, why: "It was not undone in time.".into() }));
}

#[test]
fn only_what_ran_by_its_level_says_until_when_one_person_can_undo_it() {
    let until = |proposal: &Proposal| match next(proposal, Event::Execute(facts(proposal)), START).unwrap().state {
        State::Executed { undo_until, .. } => undo_until,
        other => panic!("{other:?}"),
    };
    assert_eq!(until(&proposal(draft(TRAIN), policy(TRAIN, 0).terms(TRAIN))), Some(START + Duration::hours(24)));
    assert_eq!(until(&approved(MARK, 1, &[PRIYA])), None);
}

#[test]
fn only_what_waits_or_has_begun_can_turn_out_not_to_work() {
    let good = approved(MARK, 1, &[PRIYA]);
    let fails = |state| next(&Proposal { state, ..good.clone() }, Event::Fail { why: "no".into() }, START).map(|after| after.state);
    let failed = || Ok(State::Failed { at: START, why: "no".into() });
    assert_eq!(fails(good.state.clone()), failed());
    assert_eq!(fails(State::Executing { since: START }), failed());
    assert_eq!(fails(State::Open), Err(Refusal::NotApproved));
    assert_eq!(fails(State::Withdrawn { at: START }), Err(Refusal::Withdrawn));
    let ends = |state| next(&Proposal { state, ..good.clone() }, Event::Complete, START).map(drop);
    assert_eq!(ends(State::Executing { since: START }), Ok(()));
    assert_eq!(ends(good.state.clone()).map_err(|_| ()), Err(()), "what never began has not ended");
}

/// The list of voices is as long as that of the decisions, in its order, also where some are no approvals.
#[test]
fn each_voice_is_that_of_its_own_decision() {
    let mixed = changed(approved(MARK, 1, &[PRIYA]), |p| p.decisions.insert(0, said(p, SAM, Verdict::Escalate, START)));
    let voice = |is_signed| Voice { is_signed, may_approve: true };
    let with = |voices| next(&mixed, Event::Execute(Facts { voices, ..facts(&mixed) }), START).map(drop);
    assert_eq!(with(vec![voice(false), voice(true)]), Ok(()));
    assert_eq!(with(vec![voice(true), voice(false)]), Err(Refusal::NotSigned { name: "Person 1".into() }));
}

/// Asked and agreed, for the first day.
fn stands_in(from: u8, to: u8) -> Delegation {
    let held = vec![Span { begins_at: START, ends_at: START + Duration::DAY }];
    Delegation { held, ..Delegation::none(person(from), person(to)) }
}

#[test]
fn who_answered_for_another_had_agreed_to_by_then_and_stood_in_for_nobody_who_must_not_decide() {
    let seat = |who| Some(Seat { person: person(who), name: format!("Person {who}") });
    let good = changed(approved(MARK, 1, &[ZOE]), |p| p.decisions[0].on_behalf_of = seat(PRIYA));
    let with = |proposal: &Proposal, delegations: &[Delegation]| {
        let facts = Facts { delegations: delegations.to_vec(), ..facts(proposal) };
        next(proposal, Event::Execute(facts), START + Duration::DAY).map(drop)
    };
    let agreed = stands_in(PRIYA, ZOE);
    assert_eq!(with(&good, std::slice::from_ref(&agreed)), Ok(()), "it counts when they answered, and not when it runs");
    let nobody = || Err(Refusal::StoodInForNobody { name: "Person 3 for Person 1".into() });
    assert_eq!(with(&good, &[]), nobody());
    assert_eq!(with(&good, &[stands_in(SAM, ZOE), stands_in(PRIYA, SAM)]), nobody());
    let at = |at| changed(good.clone(), |p| (p.decisions[0].at, p.decisions[0].signed_in_at) = (at, Some(at)));
    assert_eq!(with(&at(START + Duration::DAY - SECOND), std::slice::from_ref(&agreed)), Ok(()));
    assert_eq!(with(&at(START + Duration::DAY), std::slice::from_ref(&agreed)), nobody());
    assert_eq!(with(&at(START - SECOND), std::slice::from_ref(&agreed)), nobody());
    // Who stood in for the one who asks, in their own name or another's.
    let plain = approved(MARK, 1, &[PRIYA]);
    let stood = |name: &str| Err(Refusal::StoodForExcluded { name: name.into() });
    assert_eq!(with(&plain, &[stands_in(MARCO, PRIYA)]), stood("Person 1"));
    assert_eq!(with(&plain, &[stands_in(MARCO, ZOE)]), Ok(()));
    assert_eq!(with(&good, &[agreed, stands_in(MARCO, PRIYA)]), stood("Person 3 for Person 1"));
    // And who undid it.
    let undone = changed(undoing(), |p| p.decisions[0].on_behalf_of = seat(PRIYA));
    let undo = |delegations: Vec<Delegation>| {
        next(&undone, Event::Undo(Facts { delegations, ..facts(&undone) }), START + Duration::HOUR).map(drop)
    };
    assert_eq!(undo(vec![stands_in(PRIYA, SAM)]), Ok(()));
    assert_eq!(undo(vec![]), Err(Refusal::StoodInForNobody { name: "Person 2 for Person 1".into() }));
}
