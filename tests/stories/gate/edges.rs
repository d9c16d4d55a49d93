//! Where each rule of the gate begins and ends: the last moment, the last minute, the last character, the other person.
//! The walks of `machine` and the model go by days; what lies between two days is here.

use assay::{
    gate::{
        Answer, Capacity, Proposal, Refusal, Represented, State, Verdict,
        delegation::{Delegation, Span},
        event::{Deciding, Event},
        hash::hash_of,
        machine::{MAX_COMMENT, blocked, excluded, next},
        policy::{BREAK_GLASS_REASON, BREAK_GLASS_SIGN_IN, REVIEW_WITHIN, Terms},
        proposal::Cause,
    },
    tenancy::ProposalId,
    web::step_up::CLOCK_SKEW,
};
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

use super::world::{DAYS, EVE, HARBOR, MARCO, PRIYA, SAM, START, World, ZOE, draft, person, policy, proposal};

const MARK: &str = "mark_objective";
/// L1.
const TRAIN: &str = "assign_training";
/// L3.
const AFFIRM: &str = "affirm";
const SECOND: Duration = Duration::SECOND;

fn asked(kind: &str, approvals: u8) -> Proposal {
    proposal(draft(kind), policy(kind, approvals).terms(kind))
}

/// One answer, and all that it rests on.
struct Says {
    who: u8,
    verdict: Verdict,
    at: OffsetDateTime,
    comment: String,
    capacity: Capacity,
    today: Option<Terms>,
    delegations: Vec<Delegation>,
}

fn says(who: u8, verdict: Verdict, at: OffsetDateTime) -> Says {
    let capacity = Capacity { signed_in_at: Some(at - Duration::MINUTE), ..Capacity::default() };
    Says { who, verdict, at, comment: "because it cannot wait".into(), capacity, today: None, delegations: vec![] }
}

fn approve(who: u8, at: OffsetDateTime) -> Says {
    says(who, Verdict::Approve, at)
}

impl Says {
    fn signed_in_at(mut self, at: OffsetDateTime) -> Self {
        self.capacity.signed_in_at = Some(at);
        self
    }

    fn comment(self, comment: impl Into<String>) -> Self {
        Self { comment: comment.into(), ..self }
    }

    fn in_an_emergency(mut self) -> Self {
        self.capacity.break_glass = true;
        self
    }

    fn stands_for(mut self, seat: u8, delegations: &[Delegation]) -> Self {
        self.capacity.stands_for = Some(Represented { person: person(seat), name: "Somebody else".into(), may_approve: true });
        self.delegations = delegations.to_vec();
        self
    }

    fn of(&self, proposal: &Proposal) -> Result<Proposal, Refusal> {
        let today = self.today.clone().or(proposal.terms.clone()).unwrap_or_else(|| policy(MARK, 1).terms(MARK));
        let answer =
            Answer { verdict: self.verdict, version: proposal.version, hash: proposal.hash.clone(), comment: self.comment.clone() };
        let deciding = Deciding {
            tenant: HARBOR,
            person: person(self.who),
            name: "Somebody",
            may_approve: true,
            answer: &answer,
            capacity: &self.capacity,
            today: &today,
            delegations: &self.delegations,
            linked: &[],
        };
        next(proposal, Event::Decide(deciding), self.at)
    }
}

fn delegated(from: u8, to: u8) -> Delegation {
    let span = Span { begins_at: START, ends_at: START + Duration::days(30) };
    Delegation { held: vec![span], ..Delegation::none(person(from), person(to)) }
}

#[test]
fn it_is_decided_up_to_the_last_second_and_whoever_may_not_hears_that_and_not_that_it_is_late() {
    let asked = asked(MARK, 1);
    let end = START + Duration::days(DAYS.decide);
    let late = || Err(Refusal::Expired { at: end });
    assert!(approve(PRIYA, end - SECOND).of(&asked).is_ok());
    assert_eq!(approve(PRIYA, end).of(&asked), late());
    assert_eq!(says(PRIYA, Verdict::Reject, end).of(&asked), late());
    assert_eq!(approve(MARCO, end).of(&asked), Err(Refusal::NotYours));
    let deed = proposal(draft(AFFIRM), policy(AFFIRM, 0).terms(AFFIRM));
    assert_eq!(says(MARCO, Verdict::Done, end).of(&deed), late(), "whose deed it is may well be who asked");
    let ends = |at| next(&asked, Event::Expire, at).map(|after| after.state);
    assert_eq!(ends(end - SECOND), Err(Refusal::NotDue));
    assert_eq!(ends(end), Ok(State::Expired { at: end, approved: false }));
}

#[test]
fn a_sign_in_counts_for_its_minutes_and_a_clock_that_is_ahead_as_far_as_the_sign_in_takes_it() {
    let publish = asked("publish_package", 1);
    let signed_in = |at| approve(PRIYA, START).signed_in_at(at).of(&publish).map(drop);
    let old = || Err(Refusal::SignInTooOld { minutes: 10 });
    assert_eq!(signed_in(START - Duration::minutes(10)), Ok(()));
    assert_eq!(signed_in(START - Duration::minutes(10) - SECOND), old());
    for ahead in [61, 299, 300] {
        assert_eq!(signed_in(START + Duration::seconds(ahead)), Ok(()), "{ahead}");
    }
    assert_eq!(signed_in(START + CLOCK_SKEW + SECOND), old());
    let mut unknown = approve(PRIYA, START);
    unknown.capacity.signed_in_at = None;
    assert_eq!(unknown.of(&publish).map(drop), old());
}

#[test]
fn a_deed_takes_as_fresh_a_sign_in_as_the_stricter_of_then_and_now_asks() {
    let mut record = draft(AFFIRM);
    record.evidence.clone_from(&World::new(AFFIRM, 0, None).proposal.draft.evidence);
    let done = |then: Option<u32>, now: Option<u32>, minutes_ago: i64| {
        let mut terms = policy(AFFIRM, 0).terms(AFFIRM);
        terms.rule.sign_in_minutes = then;
        let asked = proposal(record.clone(), terms.clone());
        terms.rule.sign_in_minutes = now;
        let mut says = says(PRIYA, Verdict::Done, START).signed_in_at(START - Duration::minutes(minutes_ago));
        (says.today, says.capacity.evidence) = (Some(terms), record.evidence.clone());
        says.of(&asked).map(|after| after.state)
    };
    let recorded = || Ok(State::Recorded { at: START });
    for (then, now, most) in [(Some(5), Some(10), 5), (Some(10), Some(5), 5), (None, Some(7), 7), (Some(7), None, 7), (None, None, 10)] {
        assert_eq!(done(then, now, most), recorded(), "{then:?} {now:?}");
        let minutes = u32::try_from(most).unwrap();
        assert_eq!(done(then, now, most + 1), Err(Refusal::SignInTooOld { minutes }), "{then:?} {now:?}");
    }
}

#[test]
fn a_comment_has_its_length_and_a_reason_in_an_emergency_says_something() {
    let asked = asked(MARK, 2);
    let comment = |length: usize| approve(PRIYA, START).comment("\u{e9}".repeat(length)).of(&asked).map(drop);
    assert_eq!(comment(MAX_COMMENT), Ok(()));
    assert_eq!(comment(MAX_COMMENT + 1), Err(Refusal::CommentTooLong));
    let reason = |length: usize| approve(PRIYA, START).in_an_emergency().comment("\u{e9}".repeat(length)).of(&asked).map(drop);
    assert_eq!(reason(BREAK_GLASS_REASON), Ok(()));
    assert_eq!(reason(BREAK_GLASS_REASON - 1), Err(Refusal::BreakGlassReason));
    let mut strict = policy(MARK, 2).terms(MARK);
    strict.rule.comment_needed = true;
    let asked = proposal(draft(MARK), strict);
    assert_eq!(approve(PRIYA, START).comment(" ").of(&asked).map(drop), Err(Refusal::CommentNeeded { verdict: Verdict::Approve }));
    assert_eq!(approve(PRIYA, START).comment("seen").of(&asked).map(drop), Ok(()));
    for verdict in [Verdict::Reject, Verdict::Override, Verdict::Escalate, Verdict::Uphold] {
        let asked = if verdict == Verdict::Reject { asked.clone() } else { ran(TRAIN) };
        let silent = says(SAM, verdict, START).comment("").of(&asked).map(drop);
        let expected = if verdict == Verdict::Uphold { Ok(()) } else { Err(Refusal::CommentNeeded { verdict }) };
        assert_eq!(silent, expected);
    }
}

#[test]
fn nobody_breaks_the_glass_for_another_with_an_old_sign_in_or_to_say_no() {
    let asked = asked(MARK, 2);
    let reason = "the line stands still until this is done";
    let glass = |who| approve(who, START).in_an_emergency().comment(reason);
    assert_eq!(glass(PRIYA).stands_for(SAM, &[delegated(SAM, PRIYA)]).of(&asked), Err(Refusal::GlassForAnother));
    assert_eq!(glass(ZOE).stands_for(PRIYA, &[delegated(PRIYA, ZOE)]).of(&asked), Err(Refusal::MayNotBreakGlass));
    assert_eq!(glass(ZOE).of(&asked), Err(Refusal::MayNotBreakGlass));
    let fresh = Duration::minutes(BREAK_GLASS_SIGN_IN.into());
    assert!(glass(PRIYA).signed_in_at(START - fresh).of(&asked).is_ok());
    let old = glass(PRIYA).signed_in_at(START - fresh - SECOND).of(&asked);
    assert_eq!(old, Err(Refusal::SignInTooOld { minutes: BREAK_GLASS_SIGN_IN }));
    let no = says(ZOE, Verdict::Reject, START).in_an_emergency().comment(reason).of(&asked).unwrap();
    assert!(no.decisions.iter().all(|decision| !decision.broke_glass), "a no is nobody's emergency");
    let plain = approve(PRIYA, START).of(&asked).unwrap();
    assert_eq!((plain.state, plain.review_by), (State::Open, None));
}

#[test]
fn a_seat_is_filled_by_exactly_whom_its_holder_asked_and_only_while_the_holder_may() {
    let asked = asked(MARK, 1);
    let for_sam = |who, delegations: &[Delegation]| approve(who, START).stands_for(SAM, delegations);
    let none = || Err(Refusal::NoDelegation { name: "Somebody else".into() });
    assert!(for_sam(ZOE, &[delegated(SAM, ZOE)]).of(&asked).is_ok());
    assert_eq!(for_sam(ZOE, &[delegated(PRIYA, ZOE)]).of(&asked), none());
    assert_eq!(for_sam(ZOE, &[delegated(SAM, PRIYA)]).of(&asked), none());
    let mut lost = for_sam(ZOE, &[delegated(SAM, ZOE)]);
    lost.capacity.stands_for.as_mut().unwrap().may_approve = false;
    assert_eq!(lost.of(&asked), none());
    let of_marco = approve(ZOE, START).stands_for(MARCO, &[delegated(MARCO, ZOE)]);
    assert_eq!(of_marco.of(&asked), Err(Refusal::DelegateOfExcluded));
}

#[test]
fn whom_the_requester_asked_to_stand_in_approves_nothing_and_may_say_no() {
    let asked = asked(MARK, 1);
    let with = |verdict, from| Says { delegations: vec![delegated(from, PRIYA)], ..says(PRIYA, verdict, START) };
    assert_eq!(with(Verdict::Approve, MARCO).of(&asked), Err(Refusal::DelegateOfExcluded));
    let rejected = with(Verdict::Reject, MARCO).of(&asked).unwrap();
    assert_eq!(rejected.state, State::Rejected { at: START });
    assert!(with(Verdict::Approve, SAM).of(&asked).is_ok());
    // Nor does the owner of the evidence get it approved so.
    let evidence = World::new(MARK, 1, None).proposal;
    assert_eq!(with(Verdict::Approve, EVE).of(&evidence), Err(Refusal::DelegateOfExcluded));
    assert_eq!(says(EVE, Verdict::Reject, START).of(&evidence), Err(Refusal::EvidenceYours { title: "Full inventory".into() }));
}

#[test]
fn what_another_release_staged_in_its_form_or_without_terms_is_approved_by_nobody_and_may_be_rejected() {
    let asked = asked(MARK, 1);
    let other = Proposal { form: asked.form + 1, ..asked.clone() };
    assert_eq!(approve(PRIYA, START).of(&other), Err(Refusal::OtherForm));
    assert!(says(PRIYA, Verdict::Reject, START).of(&other).is_ok());
    for other in [other, Proposal { terms: None, ..asked.clone() }] {
        assert_eq!(blocked(&other, START), Some(Refusal::OtherForm));
    }
    assert_eq!(blocked(&asked, START), None);
}

#[test]
fn in_the_place_of_whom_the_requester_asked_to_stand_in_nothing_is_approved_and_a_no_is_taken() {
    let asked = asked(MARK, 1);
    let both = [delegated(SAM, ZOE), delegated(MARCO, SAM)];
    let of = |verdict| says(ZOE, verdict, START).stands_for(SAM, &both).of(&asked).map(|after| after.state);
    assert_eq!(of(Verdict::Approve), Err(Refusal::DelegateOfExcluded));
    assert_eq!(of(Verdict::Reject), Ok(State::Rejected { at: START }));
}

/// A proposal of an earlier release says nothing of who is whose second account; who asked is still known.
#[test]
fn what_an_earlier_release_staged_is_decided_by_nobody_who_asked_or_was_asked_to_stand_in_by_them() {
    let earlier = Proposal { terms: None, ..asked(MARK, 1) };
    let of = |who, delegations: &[Delegation]| excluded(&earlier, person(who), delegations, START);
    assert_eq!(of(MARCO, &[]), Some(Refusal::NotYours));
    assert_eq!(of(PRIYA, &[]), None);
    assert_eq!(of(PRIYA, &[delegated(MARCO, PRIYA)]), Some(Refusal::DelegateOfExcluded));
    assert_eq!(of(PRIYA, &[delegated(MARCO, ZOE), delegated(SAM, PRIYA)]), None);
    // Ending it gives no vote back, and takes none of what is asked afterwards.
    let end = START + Duration::days(30);
    assert_eq!(excluded(&earlier, person(PRIYA), &[delegated(MARCO, PRIYA)], end), Some(Refusal::DelegateOfExcluded));
    let (later, last) = (Proposal { staged_at: end, ..earlier.clone() }, Proposal { staged_at: end - SECOND, ..earlier });
    assert_eq!(excluded(&later, person(PRIYA), &[delegated(MARCO, PRIYA)], end), None);
    assert_eq!(excluded(&last, person(PRIYA), &[delegated(MARCO, PRIYA)], end), Some(Refusal::DelegateOfExcluded));
}

fn ran(kind: &str) -> Proposal {
    let mut proposal = asked(kind, u8::from(kind == MARK));
    let undo_until = (kind == TRAIN).then_some(START + Duration::hours(24));
    proposal.state = State::Executed { at: START, undo_until };
    proposal
}

#[test]
fn what_ran_by_its_level_is_undone_up_to_the_last_second_and_only_if_it_can_be() {
    let ran = ran(TRAIN);
    let undo = |at| says(SAM, Verdict::Override, at).of(&ran);
    let end = START + Duration::hours(24);
    assert_eq!(undo(end - SECOND).unwrap().state, State::Undoing { since: end - SECOND, ran_at: START });
    assert_eq!(undo(end), Err(Refusal::UndoOver));
    let mut for_good = Proposal { draft: assay::gate::Draft { undo: None, ..draft(TRAIN) }, ..ran.clone() };
    for_good.hash = hash_of(HARBOR, &for_good);
    assert_eq!(says(SAM, Verdict::Override, START).of(&for_good), Err(Refusal::UndoOver));
}

#[test]
fn what_was_approved_by_its_quorum_is_neither_reviewed_nor_overridden_and_what_is_open_is_neither() {
    let ran = ran(MARK);
    assert_eq!(says(SAM, Verdict::Override, START).of(&ran), Err(Refusal::UndoOver));
    for verdict in [Verdict::Uphold, Verdict::Escalate] {
        assert_eq!(says(SAM, verdict, START).of(&ran), Err(Refusal::NotAsked));
    }
    for verdict in [Verdict::Uphold, Verdict::Escalate, Verdict::Override] {
        assert_eq!(says(SAM, verdict, START).of(&asked(MARK, 1)), Err(Refusal::NotAsked));
    }
    let withdrawn = Proposal { state: State::Withdrawn { at: START }, ..asked(MARK, 1) };
    assert_eq!(says(SAM, Verdict::Uphold, START).of(&withdrawn), Err(Refusal::Withdrawn));
}

#[test]
fn a_review_that_is_due_is_no_way_to_undo_and_who_asked_for_it_does_not_give_it() {
    let due = Proposal { review_by: Some(START + REVIEW_WITHIN), ..ran(MARK) };
    assert_eq!(says(SAM, Verdict::Override, START).of(&due), Err(Refusal::UndoOver));
    let upheld = says(SAM, Verdict::Uphold, START).of(&due).unwrap();
    assert_eq!((upheld.review_by, upheld.state), (None, due.state.clone()));
    let waits = Proposal { state: State::Executing { since: START }, ..due.clone() };
    assert_eq!(says(SAM, Verdict::Uphold, START).of(&waits), Err(Refusal::Begun), "there is nothing to look at before it ended");

    let at = START + Duration::hours(2);
    let escalated = says(SAM, Verdict::Escalate, at).of(&ran(TRAIN)).unwrap();
    assert_eq!(escalated.review_by, Some(at + Duration::hours(24)));
    assert_eq!(says(SAM, Verdict::Uphold, at).of(&escalated), Err(Refusal::SameVoice { name: "Somebody".into() }));
    assert_eq!(says(ZOE, Verdict::Uphold, at).of(&escalated).unwrap().review_by, None);
}

#[test]
fn what_could_not_be_undone_is_looked_at_by_people_within_a_day() {
    let undoing = Proposal { state: State::Undoing { since: START, ran_at: START - SECOND }, ..ran(TRAIN) };
    let after = next(&undoing, Event::CannotUndo { why: "it is in use".into() }, START).unwrap();
    assert_eq!(after.review_by, Some(START + Duration::hours(24)));
    assert_eq!(after.state, State::NotUndone { at: START, ran_at: START - SECOND, why: "it is in use".into() });
}

#[test]
fn new_evidence_takes_its_ground_from_what_was_approved_or_cleared_and_did_not_run_yet() {
    let supersede = |proposal: &Proposal| next(proposal, Event::Supersede { by: None, cause: Cause::NewEvidence }, START);
    let approved = approve(PRIYA, START).of(&asked(MARK, 1)).unwrap();
    assert!(matches!(approved.state, State::Approved { .. }));
    for waits in [approved, asked(TRAIN, 0)] {
        let gone = supersede(&waits).unwrap();
        assert_eq!(gone.state, State::Superseded { at: START, by: None, cause: Cause::NewEvidence });
        let runs = next(&gone, Event::Refuse { why: String::new() }, START);
        assert_eq!(runs, Err(Refusal::Superseded { by: None, cause: Cause::NewEvidence }));
    }
    assert_eq!(supersede(&ran(TRAIN)), Err(Refusal::HasRun));
}

#[test]
fn what_ran_or_was_recorded_can_be_taken_back_by_another_proposal_and_says_when_it_ran() {
    let (by, at) = (ProposalId(Uuid::from_u128(8)), START + Duration::days(9));
    let back = |state| next(&Proposal { state, ..asked(MARK, 1) }, Event::RollBack { by }, at).map(|after| after.state);
    let taken_back = || Ok(State::RolledBack { at, by: Some(by), ran_at: START });
    assert_eq!(back(State::Executed { at: START, undo_until: None }), taken_back());
    assert_eq!(back(State::NotUndone { at, ran_at: START, why: String::new() }), taken_back());
    assert_eq!(back(State::Recorded { at: START }), taken_back());
    assert_eq!(back(State::Open), Err(Refusal::NotApproved));
    assert_eq!(back(State::Withdrawn { at: START }), Err(Refusal::Withdrawn));
}
