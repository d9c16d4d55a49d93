//! The gate's state machine: what no sequence of events may ever bring about (design I4).

use assay::{
    gate::{
        Answer, Capacity, Draft, Level, Proposal, Refusal, State, Verdict,
        event::{Deciding, Event},
        hash::hash_of,
        machine::next,
    },
    tenancy::{Actor, ProposalId},
};
use proptest::prelude::*;
use time::Duration;
use uuid::Uuid;

use super::world::{
    DAYS, Days, EVE, FOR_MARCO, Finds, HARBOR, MARCO, PRIYA, RIDGE, SAM, SAM_AGAIN, START, Says, Step, World, ZOE, draft, person, policy,
    proposal,
};

const MARK: &str = "mark_objective";

fn any_says() -> impl Strategy<Value = Says> {
    let people = prop::sample::select(vec![PRIYA, SAM, ZOE, MARCO, EVE, SAM_AGAIN]);
    let verdicts = prop_oneof![
        8 => Just(Verdict::Approve),
        1 => Just(Verdict::Reject),
        1 => Just(Verdict::Done),
        1 => Just(Verdict::Override),
        1 => Just(Verdict::Uphold),
        1 => Just(Verdict::Escalate),
    ];
    let mostly = || prop::bool::weighted(0.9);
    let stands_for = prop::option::weighted(0.2, people.clone());
    (people, stands_for, verdicts, [mostly(), mostly(), mostly(), mostly()], prop::bool::weighted(0.1), any::<bool>()).prop_map(
        |(who, stands_for, verdict, [may, this_version, this_hash, comment], glass, fresh)| Says {
            who,
            stands_for: stands_for.filter(|seat| *seat != who),
            verdict,
            may,
            this_version,
            this_hash,
            comment,
            glass,
            fresh,
        },
    )
}

fn any_finds() -> impl Strategy<Value = Finds> {
    let lost = prop::option::weighted(0.1, prop::sample::select(vec![PRIYA, SAM, ZOE]));
    (prop::bool::weighted(0.9), lost, prop::bool::weighted(0.9)).prop_map(|(this_version, lost, evidence_holds)| Finds {
        this_version,
        lost,
        evidence_holds,
    })
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => any_says().prop_map(Step::Decide),
        4 => any_finds().prop_map(Step::Execute),
        2 => Just(Step::Wait),
        1 => any_finds().prop_map(Step::Begin),
        1 => any_finds().prop_map(Step::Undo),
        1 => Just(Step::CannotUndo),
        1 => Just(Step::Complete),
        1 => Just(Step::Fail),
        1 => Just(Step::Expire),
        1 => Just(Step::Supersede),
        1 => Just(Step::Revise),
        1 => Just(Step::Refuse),
        1 => Just(Step::RollBack),
        1 => prop::sample::select(vec![MARCO, PRIYA]).prop_map(Step::Withdraw),
        1 => Just(Step::Tamper),
        1 => prop::sample::select(vec![PRIYA, SAM, ZOE]).prop_map(Step::Forge),
        1 => Just(Step::Stricter),
        1 => Just(Step::Recall),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 512, ..ProptestConfig::default() })]

    /// I4, G1, G2: see `World::judge`. Longer walks than the model's, with more people wrong in more ways at once.
    #[test]
    fn no_sequence_of_events_executes_what_its_quorum_did_not_approve_in_time(
        (kind, approvals) in prop::sample::select(vec![(MARK, 1), (MARK, 2), (MARK, 3), ("publish_package", 1), ("assign_training", 0), ("affirm", 0)]),
        counts_until in prop::option::of(2..6_i64),
        steps in prop::collection::vec(any_step(), 0..40),
    ) {
        let mut world = World::new(kind, approvals, counts_until);
        for step in steps {
            let _ = world.step(step);
            prop_assert_eq!(&world.broken, &None);
        }
    }

    /// G10.
    #[test]
    fn silence_never_approves(
        kind in prop::sample::select(vec![MARK, "affirm", "publish_package"]),
        steps in prop::collection::vec(prop_oneof![
            Just(Step::Wait), Just(Step::Expire), Just(Step::Execute(Finds::ALL_WELL)), Just(Step::Begin(Finds::ALL_WELL)),
            Just(Step::Complete), Just(Step::Undo(Finds::ALL_WELL)), Just(Step::Forge(SAM)),
        ], 0..30),
    ) {
        let mut world = World::new(kind, 1, None);
        for step in steps {
            let _ = world.step(step);
            let ran = matches!(world.proposal.state, State::Executed { .. } | State::Executing { .. } | State::Recorded { .. });
            prop_assert!(!ran, "{:?}", world.proposal.state);
        }
    }

    /// G8, at the proposal: whatever level stands in its terms, the floor of its kind holds.
    #[test]
    fn terms_below_the_floor_run_nothing(level in prop::sample::select(Level::ALL.to_vec()), kind in prop::sample::select(vec![MARK, "affirm"])) {
        let mut terms = policy(kind, 1).terms(kind);
        terms.rule.level = level;
        let mut world = World::new(kind, 1, None);
        world.proposal = proposal(draft(kind), terms);
        world.proposal.state = State::Cleared { run_by: START + Duration::days(1) };
        prop_assert!(world.step(Step::Execute(Finds::ALL_WELL)).is_err());
    }
}

fn decide(who: u8) -> Step {
    Step::Decide(Says::approve(who))
}

fn reject(who: u8) -> Step {
    Step::Decide(Says { verdict: Verdict::Reject, ..Says::approve(who) })
}

fn days(world: &mut World, n: i64) {
    (0..n).for_each(|_| world.step(Step::Wait).unwrap());
}

const RUN: Step = Step::Execute(Finds::ALL_WELL);

#[test]
fn each_refusal_says_what_stood_in_the_way() {
    let mut world = World::new(MARK, 1, None);
    assert_eq!(world.step(decide(MARCO)), Err(Refusal::NotYours));
    assert_eq!(world.step(decide(EVE)), Err(Refusal::EvidenceYours { title: "Full inventory".into() }));
    let silent = Says { verdict: Verdict::Reject, comment: false, ..Says::approve(PRIYA) };
    assert_eq!(world.step(Step::Decide(silent)), Err(Refusal::CommentNeeded { verdict: Verdict::Reject }));
    assert_eq!(world.step(Step::Expire), Err(Refusal::NotDue));
    assert_eq!(world.step(RUN), Err(Refusal::NotApproved));
    assert_eq!(world.step(decide(SAM)), Ok(()));
    let winner = Refusal::AlreadyDecided { name: "Somebody".into(), approved: true, at: START };
    assert_eq!(world.step(decide(PRIYA)), Err(winner.clone()));
    assert_eq!(winner.sentence(), "Somebody has already approved this.");
    let gone = world.step(Step::Execute(Finds { lost: Some(SAM), ..Finds::ALL_WELL }));
    assert_eq!(gone, Err(Refusal::AuthorityGone { name: "Somebody".into() }));
    days(&mut world, DAYS.run);
    assert_eq!(world.step(RUN), Err(Refusal::Expired { at: START + Duration::days(DAYS.run) }));
    assert_eq!(world.step(Step::Expire), Ok(()));
}

#[test]
fn a_quorum_counts_humans_and_groups_and_a_rejection_ends_it() {
    let mut world = World::new(MARK, 2, None);
    assert_eq!(world.step(decide(PRIYA)), Ok(()));
    assert_eq!(world.proposal.state, State::Open);
    assert_eq!(world.proposal.progress().words(), "1 of 2, still wanted: one from client");
    assert_eq!(world.step(RUN), Err(Refusal::NotApproved));
    assert_eq!(world.step(decide(PRIYA)), Err(Refusal::SameVoice { name: "Somebody".into() }));
    let mut other = world.clone();
    assert_eq!(other.step(decide(ZOE)), Ok(()));
    assert_eq!((other.proposal.state.clone(), other.proposal.progress().given), (State::Open, 2), "two, and none of the client's");
    assert_eq!(other.step(decide(SAM)), Ok(()));
    assert_eq!(other.step(RUN), Ok(()));
    let mut one_loses = world.clone();
    one_loses.step(decide(SAM)).unwrap();
    let lost = one_loses.step(Step::Execute(Finds { lost: Some(PRIYA), ..Finds::ALL_WELL }));
    assert_eq!(lost, Err(Refusal::AuthorityGone { name: "Somebody".into() }));
    assert_eq!(world.step(reject(SAM)), Ok(()));
    assert!(matches!(world.proposal.state, State::Rejected { .. }));
}

#[test]
fn one_human_with_two_accounts_is_one_voice() {
    let mut world = World::new(MARK, 2, None);
    world.step(decide(SAM)).unwrap();
    assert_eq!(world.step(decide(SAM_AGAIN)), Err(Refusal::SameVoice { name: "Somebody".into() }));
}

#[test]
fn who_stands_in_does_so_in_time_for_one_who_asked_and_both_are_named() {
    let for_sam = |who| Step::Decide(Says { stands_for: Some(SAM), ..Says::approve(who) });
    let outside = World::new(MARK, 2, None).step(for_sam(ZOE));
    assert_eq!(outside, Err(Refusal::NotOfGroup { group: "client".into(), name: "Person 2".into() }));
    let mut world = World::of(MARK, 2, None, Days { from_outside: true, ..DAYS });
    let none = || Err(Refusal::NoDelegation { name: "Person 2".into() });
    assert_eq!(world.step(for_sam(PRIYA)), none());
    assert_eq!(world.clone().step(for_sam(ZOE)), Ok(()));
    world.step(decide(PRIYA)).unwrap();
    let mut late = world.clone();
    days(&mut late, DAYS.stands_in);
    assert_eq!(late.step(for_sam(ZOE)), none());
    world.step(for_sam(ZOE)).unwrap();
    assert!(world.proposal.decision().is_some_and(|last| last.names() == "Somebody for Person 2"));
    assert_eq!(world.step(RUN), Ok(()));
}

/// Priya approves, agrees on the next day to stand in for Marco, who asked, and lays that down on the day after.
#[test]
fn who_stood_in_for_the_one_who_asks_at_any_time_since_approves_nothing_and_has_approved_nothing() {
    let mut world = World::new(MARK, 1, None);
    world.step(decide(PRIYA)).unwrap();
    assert_eq!(world.clone().step(RUN), Ok(()));
    days(&mut world, FOR_MARCO.0);
    assert_eq!(world.step(RUN), Err(Refusal::StoodForExcluded { name: "Somebody".into() }));
    let mut world = World::new(MARK, 1, None);
    days(&mut world, FOR_MARCO.1);
    assert_eq!(world.step(decide(PRIYA)), Err(Refusal::DelegateOfExcluded), "ended, and remembered");
    assert_eq!(world.clone().step(reject(PRIYA)), Ok(()));
    assert_eq!(world.step(decide(SAM)), Ok(()));
}

#[test]
fn approvals_begin_anew_with_every_change_and_a_changed_policy_stops_what_was_approved_before() {
    let mut world = World::new(MARK, 2, None);
    world.step(decide(PRIYA)).unwrap();
    world.step(Step::Revise).unwrap();
    assert_eq!((world.proposal.version, world.proposal.progress().given), (2, 0));
    world.step(decide(SAM)).unwrap();
    world.step(decide(PRIYA)).unwrap();
    world.step(Step::Stricter).unwrap();
    assert_eq!(world.step(RUN), Err(Refusal::PolicyChanged));

    let mut world = World::new(MARK, 2, None);
    world.step(Step::Stricter).unwrap();
    assert_eq!(world.step(decide(PRIYA)), Err(Refusal::PolicyChanged));
    world.step(Step::Revise).unwrap();
    assert_eq!(world.step(decide(PRIYA)), Ok(()));
    assert_eq!(world.proposal.progress().needed, 3);
}

#[test]
fn who_breaks_the_glass_is_named_gives_a_reason_has_just_signed_in_and_is_reviewed_by_another() {
    let glass = |who, fresh| Step::Decide(Says { glass: true, fresh, ..Says::approve(who) });
    let mut world = World::new(MARK, 2, None);
    assert_eq!(world.step(glass(ZOE, true)), Err(Refusal::MayNotBreakGlass));
    assert_eq!(world.step(glass(PRIYA, false)), Err(Refusal::SignInTooOld { minutes: 10 }));
    let short = Step::Decide(Says { glass: true, comment: false, ..Says::approve(PRIYA) });
    assert_eq!(world.step(short), Err(Refusal::BreakGlassReason));
    assert_eq!(world.step(glass(PRIYA, true)), Ok(()));
    assert_eq!(world.proposal.review_by, Some(START + Duration::hours(24)));
    assert_eq!(world.step(RUN), Ok(()));
    let looks = |who| Step::Decide(Says { verdict: Verdict::Uphold, ..Says::approve(who) });
    assert_eq!(world.step(looks(PRIYA)), Err(Refusal::SameVoice { name: "Somebody".into() }));
    assert_eq!(world.step(looks(SAM)), Ok(()));
    assert_eq!(world.proposal.review_by, None);
}

#[test]
fn a_level_below_approval_runs_and_is_undone_in_time_and_not_after() {
    let undo = Step::Decide(Says { verdict: Verdict::Override, ..Says::approve(SAM) });
    let mut world = World::new("assign_training", 0, None);
    assert_eq!(world.step(decide(PRIYA)), Err(Refusal::NotAsked));
    world.step(RUN).unwrap();
    let mut late = world.clone();
    days(&mut late, 1);
    assert_eq!(late.step(undo), Err(Refusal::UndoOver));
    assert_eq!(late.step(Step::Decide(Says { verdict: Verdict::Escalate, ..Says::approve(SAM) })), Ok(()));
    assert!(late.proposal.review_by.is_some(), "somebody else has to look");
    assert_eq!(world.step(undo), Ok(()));
    assert_eq!(world.step(Step::Undo(Finds::ALL_WELL)), Ok(()));
    assert!(matches!(world.proposal.state, State::RolledBack { by: None, .. }));
}

#[test]
fn what_only_a_person_does_is_recorded_with_evidence_and_never_run() {
    let mut world = World::new("affirm", 0, None);
    assert_eq!(world.step(decide(PRIYA)), Err(Refusal::HumanOnly));
    world.proposal.state = State::Approved { run_by: START + Duration::days(1) };
    assert_eq!(world.step(RUN), Err(Refusal::HumanOnly));
    world.proposal.state = State::Open;
    let mut bare = world.clone();
    bare.proposal.draft.evidence.clear();
    bare.proposal.hash = hash_of(HARBOR, &bare.proposal);
    let done = Step::Decide(Says { verdict: Verdict::Done, ..Says::approve(PRIYA) });
    assert_eq!(bare.step(done), Err(Refusal::EvidenceNeeded));
    assert_eq!(world.step(done), Ok(()));
    assert!(matches!(world.proposal.state, State::Recorded { .. }));
    assert_eq!(World::new(MARK, 1, None).step(done), Err(Refusal::NotAsked));
}

#[test]
fn a_deed_is_recorded_in_nobody_elses_name() {
    let mut world = World::new("affirm", 0, None);
    let done = |stands_for| Step::Decide(Says { verdict: Verdict::Done, stands_for, ..Says::approve(ZOE) });
    for seat in [SAM, MARCO] {
        assert_eq!(world.step(done(Some(seat))), Err(Refusal::DeedForAnother));
    }
    assert_eq!(world.step(done(None)), Ok(()));
    assert!(world.proposal.decision().is_some_and(|one| one.on_behalf_of.is_none()));
}

#[test]
fn who_asks_others_to_review_gives_nobody_more_time() {
    let mut world = World::new(MARK, 2, None);
    world.step(Step::Decide(Says { glass: true, ..Says::approve(PRIYA) })).unwrap();
    world.step(RUN).unwrap();
    days(&mut world, 1);
    world.step(Step::Decide(Says { verdict: Verdict::Escalate, ..Says::approve(SAM) })).unwrap();
    assert_eq!(world.proposal.review_by, Some(START + Duration::hours(24)));
}

#[test]
fn only_who_asked_takes_it_back_and_only_before_it_ran() {
    let mut world = World::new(MARK, 1, None);
    assert_eq!(world.step(Step::Withdraw(PRIYA)), Err(Refusal::NotRequester));
    assert_eq!(world.clone().step(Step::Withdraw(MARCO)), Ok(()));
    world.step(decide(PRIYA)).unwrap();
    let mut approved = world.clone();
    approved.step(Step::Withdraw(MARCO)).unwrap();
    assert_eq!(approved.step(RUN), Err(Refusal::Withdrawn));
    assert_eq!(approved.step(decide(SAM)), Err(Refusal::Withdrawn));
    world.step(RUN).unwrap();
    assert!(world.step(Step::Withdraw(MARCO)).is_err());
}

#[test]
fn stale_evidence_is_refused_at_the_decision_and_at_the_run_and_never_keeps_anybody_from_rejecting() {
    const COUNTS_UNTIL_DAY: i64 = 1;
    let stale = || Err(Refusal::EvidenceStale { titles: vec!["Full inventory".into()] });
    let mut world = World::new(MARK, 1, Some(COUNTS_UNTIL_DAY));
    days(&mut world, COUNTS_UNTIL_DAY);
    assert_eq!(world.clone().step(decide(SAM)), Ok(()), "it counts to the last moment");
    days(&mut world, 1);
    assert_eq!(world.step(decide(SAM)), stale());
    assert_eq!(world.step(reject(SAM)), Ok(()));

    let mut world = World::new(MARK, 1, Some(COUNTS_UNTIL_DAY));
    days(&mut world, COUNTS_UNTIL_DAY);
    assert_eq!(world.step(decide(SAM)), Ok(()));
    days(&mut world, 1);
    assert_eq!(world.step(RUN), stale());
}

fn asked(draft: Draft) -> Proposal {
    proposal(draft, policy(MARK, 2).terms(MARK))
}

#[test]
fn every_part_of_what_is_shown_and_run_is_in_the_hash() {
    let plain = asked(draft(MARK)).hash;
    let changes: [fn(&mut Draft); 9] = [
        |d| d.action.push(' '),
        |d| d.question.push('!'),
        |d| d.before.push('!'),
        |d| d.limits.clear(),
        |d| d.reasons = vec!["One. ".into(), "Two.".into()],
        |d| d.on_approve.push('!'),
        |d| std::mem::swap(&mut d.kind, &mut d.subject),
        |d| d.approve_verb.push('!'),
        |d| d.undo = None,
    ];
    for change in changes {
        let mut other = draft(MARK);
        change(&mut other);
        assert_ne!(asked(other).hash, plain);
    }
}

#[test]
fn the_same_bytes_for_another_client_or_asked_again_or_under_other_terms_have_another_hash() {
    let first = asked(draft(MARK));
    let changes: [fn(&mut Proposal); 13] = [
        |p| p.id = ProposalId(Uuid::from_u128(10)),
        |p| p.version = 2,
        |p| p.draft.kind = "roll_back_objective".into(),
        |p| p.requester = Actor::Function("analyze".into()),
        |p| p.decide_by += Duration::days(1),
        |p| p.terms.as_mut().unwrap().policy_version = 2,
        |p| p.terms.as_mut().unwrap().rule.approvals = 1,
        |p| p.terms.as_mut().unwrap().rule.one_from_each.clear(),
        |p| p.terms.as_mut().unwrap().rule.level = Level::L1,
        |p| p.terms.as_mut().unwrap().floor = Level::L1,
        |p| p.terms.as_mut().unwrap().rule.run_within += 1,
        |p| p.terms.as_mut().unwrap().break_glass.clear(),
        |p| _ = p.terms.as_mut().unwrap().groups.get_mut("client").unwrap().insert(person(PRIYA)),
    ];
    assert_eq!(first.hash, hash_of(HARBOR, &first));
    assert_ne!(first.hash, hash_of(RIDGE, &first));
    for change in changes {
        let mut other = first.clone();
        change(&mut other);
        assert_ne!(first.hash, hash_of(HARBOR, &other));
    }
}

#[test]
fn a_proposal_that_is_put_into_another_clients_store_is_neither_decided_nor_carried_out_there() {
    let mut world = World::new(MARK, 1, None);
    let first = world.proposal.clone();
    let answer = Answer { verdict: Verdict::Approve, version: 1, hash: first.hash.clone(), comment: String::new() };
    let (capacity, today) = (Capacity::default(), policy(MARK, 1).terms(MARK));
    let decide = |tenant| {
        Event::Decide(Deciding {
            tenant,
            person: person(PRIYA),
            name: "Priya Nair",
            may_approve: true,
            answer: &answer,
            capacity: &capacity,
            today: &today,
            delegations: &[],
            linked: &[],
        })
    };
    assert_eq!(next(&first, decide(RIDGE), START), Err(Refusal::Tampered));
    assert!(next(&first, decide(HARBOR), START).is_ok());
    world.step(Step::Decide(Says::approve(PRIYA))).unwrap();
    let mut facts = world.facts(Finds::ALL_WELL);
    assert!(next(&world.proposal, Event::Execute(facts.clone()), START).is_ok());
    facts.tenant = RIDGE;
    assert_eq!(next(&world.proposal, Event::Execute(facts), START), Err(Refusal::Tampered));
}

#[test]
fn a_deed_is_recorded_until_the_deadline_and_not_until_the_sweep_comes() {
    let mut world = World::new("affirm", 0, None);
    days(&mut world, DAYS.decide);
    let done = Step::Decide(Says { verdict: Verdict::Done, ..Says::approve(PRIYA) });
    assert!(matches!(world.step(done), Err(Refusal::Expired { .. })));
    assert_eq!(world.proposal.state, State::Open);
}
