//! The gate's state machine: what no sequence of events may ever bring about (design I4).

use std::collections::{BTreeSet, VecDeque};

use assay::{
    evidence::{EvidenceRef, Population},
    gate::{
        hash::{FORM, hash_of},
        machine::{Answer, Event, Facts, Refusal, Verdict, next},
        proposal::{APPROVAL_EXPIRY, Cause, Draft, EXECUTION_EXPIRY, Proposal, State},
    },
    tenancy::{Actor, PersonId, ProposalId, TenantId},
};
use proptest::prelude::*;
use time::{Duration, OffsetDateTime, macros::datetime};
use uuid::Uuid;

const START: OffsetDateTime = datetime!(2026-11-24 17:00 UTC);
const HARBOR: TenantId = TenantId(Uuid::from_u128(100));
const RIDGE: TenantId = TenantId(Uuid::from_u128(200));
const PRIYA: u128 = 1;
const SAM: u128 = 2;
/// Asked for it.
const MARCO: u128 = 3;

/// One event as plain data, so that it can be drawn at random and counted through.
#[derive(Clone, Copy, Debug)]
enum Step {
    Decide {
        who: u128,
        approve: bool,
        may: bool,
        right_version: bool,
        right_hash: bool,
        comment: bool,
    },
    Expire,
    Supersede,
    Execute {
        right_version: bool,
        may: bool,
        evidence_holds: bool,
    },
    Refuse,
    /// Somebody with access to the store changes the action.
    Tamper,
    /// A day goes by.
    Wait,
}

/// Until which day the evidence counts, where it ends at all: before both clocks do.
const COUNTS_UNTIL_DAY: i64 = 4;

/// The proposal, the time, and every approval that the machine took.
#[derive(Clone)]
struct World {
    proposal: Proposal,
    evidence_ends: bool,
    day: i64,
    approvals: Vec<(u128, i64)>,
    tampered: bool,
}

impl World {
    fn new() -> Self {
        Self::resting_on(false)
    }

    fn resting_on(evidence_that_ends: bool) -> Self {
        let mut draft = draft();
        draft.evidence = vec![EvidenceRef {
            source_key: "rmm:population:1".into(),
            title: "Full inventory".into(),
            hash: "c".repeat(64),
            collected_at: START,
            population: Population::Of { read: 43, total: 43 },
            fresh_until: evidence_that_ends.then_some(START + Duration::days(COUNTS_UNTIL_DAY)),
        }];
        let proposal = proposal(draft);
        Self { proposal, evidence_ends: evidence_that_ends, day: 0, approvals: Vec::new(), tampered: false }
    }

    /// Applies the step and checks what must hold across it.
    fn step(&mut self, step: Step) -> Result<(), Refusal> {
        let now = START + Duration::days(self.day);
        let before = self.proposal.state.clone();
        let answer;
        let event = match step {
            Step::Wait => {
                self.day += 1;
                return Ok(());
            }
            Step::Tamper => {
                self.proposal.draft.action.push(' ');
                self.tampered = true;
                return Ok(());
            }
            Step::Decide { who, approve, may, right_version, right_hash, comment } => {
                answer = Answer {
                    verdict: if approve { Verdict::Approve } else { Verdict::Reject },
                    version: if right_version { 1 } else { 2 },
                    hash: if right_hash { self.proposal.hash.clone() } else { "0".repeat(64) },
                    comment: if comment { "because".into() } else { " ".into() },
                };
                let person = PersonId(Uuid::from_u128(who));
                Event::Decide { tenant: HARBOR, person, name: "Somebody", may_approve: may, answer: &answer }
            }
            Step::Expire => Event::Expire,
            Step::Supersede => Event::Supersede { by: None, cause: Cause::NewEvidence },
            Step::Execute { right_version, may, evidence_holds } => Event::Execute(Facts {
                tenant: HARBOR,
                version: if right_version { 1 } else { 2 },
                may_approve: may,
                changed_evidence: if evidence_holds { vec![] } else { vec!["a record".into()] },
            }),
            Step::Refuse => Event::Refuse { why: "it no longer held".into() },
        };
        let after = next(&self.proposal, event, now)?;
        assert!(!before.is_final(), "{before:?} is final and became {after:?} by {step:?}");
        match (&before, &after, step) {
            (
                State::Open,
                State::Approved { .. },
                Step::Decide { who, approve: true, may: true, right_version: true, right_hash: true, .. },
            ) => {
                assert!(!self.tampered);
                assert!(!self.evidence_ends || self.day <= COUNTS_UNTIL_DAY, "approved on day {} on stale evidence", self.day);
                assert_ne!(who, MARCO, "the requester decided");
                self.approvals.push((who, self.day));
            }
            (State::Open, State::Rejected { .. }, Step::Decide { who, approve: false, may: true, comment: true, .. }) => {
                assert_ne!(who, MARCO, "the requester decided");
            }
            (State::Open | State::Approved { .. }, State::Expired { .. }, Step::Expire)
            | (State::Open | State::Approved { .. }, State::Superseded { .. }, Step::Supersede)
            | (State::Approved { .. }, State::Refused { .. }, Step::Refuse) => {}
            (
                State::Approved { .. },
                State::Executed { decision, .. },
                Step::Execute { right_version: true, may: true, evidence_holds: true },
            ) => {
                let [(who, decided)] = self.approvals[..] else { panic!("{} approvals", self.approvals.len()) };
                assert_eq!(decision.person, PersonId(Uuid::from_u128(who)));
                assert_eq!((decision.version, &decision.hash), (self.proposal.version, &self.proposal.hash));
                assert_eq!(hash_of(HARBOR, &self.proposal), decision.hash, "other bytes ran than were approved");
                assert!(decided < APPROVAL_EXPIRY.whole_days(), "decided on day {decided}");
                assert!(!self.evidence_ends || self.day <= COUNTS_UNTIL_DAY, "ran on day {} on stale evidence", self.day);
                assert!(self.day < decided + EXECUTION_EXPIRY.whole_days(), "ran on day {} after day {decided}", self.day);
            }
            _ => panic!("{before:?} became {after:?} by {step:?}"),
        }
        self.proposal.state = after;
        Ok(())
    }
}

fn any_step() -> impl Strategy<Value = Step> {
    let decide = (
        prop::sample::select(vec![PRIYA, SAM, MARCO]),
        any::<[bool; 2]>(),
        prop::bool::weighted(0.9),
        prop::bool::weighted(0.9),
        prop::bool::weighted(0.9),
    )
        .prop_map(|(who, [approve, comment], may, right_version, right_hash)| Step::Decide {
            who,
            approve,
            may,
            right_version,
            right_hash,
            comment,
        });
    let execute = (prop::bool::weighted(0.9), prop::bool::weighted(0.9), prop::bool::weighted(0.9))
        .prop_map(|(right_version, may, evidence_holds)| Step::Execute { right_version, may, evidence_holds });
    prop_oneof![
        4 => decide,
        4 => execute,
        4 => Just(Step::Wait),
        1 => Just(Step::Expire),
        1 => Just(Step::Supersede),
        1 => Just(Step::Refuse),
        1 => Just(Step::Tamper),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_sequence_of_events_executes_what_one_other_person_did_not_approve_in_time(
        steps in prop::collection::vec(any_step(), 0..40),
        evidence_ends in any::<bool>(),
    ) {
        let mut world = World::resting_on(evidence_ends);
        for step in steps {
            let _ = world.step(step);
        }
    }

    #[test]
    fn silence_never_approves(waits in 0_u8..30, looks in prop::collection::vec(any::<bool>(), 0..10)) {
        let mut world = World::new();
        for _ in 0..waits {
            let _ = world.step(Step::Wait);
        }
        for execute in looks {
            let _ = world.step(if execute { Step::Execute { right_version: true, may: true, evidence_holds: true } } else { Step::Expire });
            let undecided = matches!(world.proposal.state, State::Open | State::Expired { decision: None, .. });
            prop_assert!(undecided);
        }
    }
}

/// Every state that can be reached at all. Bounds: one proposal, three people (one of them asked), right or wrong
/// version, hash, grant, evidence and comment, evidence that ends on day 4 or never, one tampering, days 0 to 11 (both
/// clocks end on days 7 to 9). The walk ends because the set of (state, day, approvals, tampered) is finite; 12 days pass
/// every boundary.
#[test]
fn a_walk_over_every_reachable_state_finds_no_forbidden_execution_and_every_kind_of_end() {
    let bools = [false, true];
    let mut steps = vec![Step::Expire, Step::Supersede, Step::Refuse];
    for a in bools {
        for b in bools {
            for c in bools {
                steps.push(Step::Execute { right_version: a, may: b, evidence_holds: c });
                for who in [PRIYA, SAM, MARCO] {
                    for (d, e) in [(false, false), (false, true), (true, false), (true, true)] {
                        steps.push(Step::Decide { who, approve: a, may: b, right_version: c, right_hash: d, comment: e });
                    }
                }
            }
        }
    }
    let mut seen = BTreeSet::new();
    let mut ends = BTreeSet::new();
    let mut waiting = VecDeque::from(bools.map(World::resting_on));
    while let Some(world) = waiting.pop_front() {
        let key = format!("{:?} {} {:?} {} {}", world.proposal.state, world.day, world.approvals, world.tampered, world.evidence_ends);
        if !seen.insert(key) {
            continue;
        }
        if world.proposal.state.is_final() {
            ends.insert(format!("{:?}", world.proposal.state).split([' ', '{']).next().unwrap_or_default().to_owned());
        }
        let more = [Step::Wait, Step::Tamper].into_iter().filter(|step| match step {
            Step::Wait => world.day < 11,
            _ => !world.tampered,
        });
        for step in steps.iter().copied().chain(more) {
            let mut then = world.clone();
            if then.step(step).is_ok() {
                waiting.push_back(then);
            }
        }
    }
    assert_eq!(ends.into_iter().collect::<Vec<_>>(), ["Executed", "Expired", "Refused", "Rejected", "Superseded"]);
    assert!(seen.len() > 1000, "the walk saw only {} states", seen.len());
}

#[test]
fn each_refusal_says_what_stood_in_the_way() {
    let decide = |who, approve| Step::Decide { who, approve, may: true, right_version: true, right_hash: true, comment: approve };
    let mut world = World::new();
    assert_eq!(world.step(decide(MARCO, true)), Err(Refusal::NotYours));
    assert_eq!(world.step(decide(PRIYA, false)), Err(Refusal::CommentNeeded));
    assert_eq!(world.step(Step::Expire), Err(Refusal::NotDue));
    assert_eq!(world.step(Step::Execute { right_version: true, may: true, evidence_holds: true }), Err(Refusal::NotApproved));
    assert_eq!(world.step(decide(PRIYA, true)), Ok(()));
    let winner = Refusal::AlreadyDecided { name: "Somebody".into(), approved: true, at: START };
    assert_eq!(world.step(decide(SAM, true)), Err(winner.clone()));
    assert_eq!(winner.sentence(), "Somebody has already approved this.");
    let gone = world.step(Step::Execute { right_version: true, may: false, evidence_holds: true });
    assert_eq!(gone, Err(Refusal::AuthorityGone { name: "Somebody".into() }));
    for _ in 0..2 {
        let _ = world.step(Step::Wait);
    }
    let late = world.step(Step::Execute { right_version: true, may: true, evidence_holds: true });
    assert_eq!(late, Err(Refusal::Expired { at: START + EXECUTION_EXPIRY }));
    assert_eq!(world.step(Step::Expire), Ok(()));
}

#[test]
fn stale_evidence_is_refused_at_the_decision_and_at_the_run_and_never_keeps_anybody_from_rejecting() {
    let decide = |approve| Step::Decide { who: PRIYA, approve, may: true, right_version: true, right_hash: true, comment: true };
    let run = Step::Execute { right_version: true, may: true, evidence_holds: true };
    let stale = || Err(Refusal::EvidenceStale { titles: vec!["Full inventory".into()] });
    let days = |world: &mut World, n: i64| (0..n).for_each(|_| world.step(Step::Wait).unwrap());

    let mut world = World::resting_on(true);
    days(&mut world, COUNTS_UNTIL_DAY);
    assert_eq!(world.clone().step(decide(true)), Ok(()), "it counts to the last moment");
    days(&mut world, 1);
    assert_eq!(world.step(decide(true)), stale());
    assert_eq!(world.step(decide(false)), Ok(()));

    let mut world = World::resting_on(true);
    days(&mut world, COUNTS_UNTIL_DAY);
    assert_eq!(world.step(decide(true)), Ok(()));
    days(&mut world, 1);
    assert_eq!(world.step(run), stale());
}

#[test]
fn every_part_of_what_is_shown_and_run_is_in_the_hash() {
    let plain = proposal(draft()).hash;
    let changes: [fn(&mut Draft); 8] = [
        |d| d.action.push(' '),
        |d| d.question.push('!'),
        |d| d.before.push('!'),
        |d| d.limits.clear(),
        |d| d.reasons = vec!["One. ".into(), "Two.".into()],
        |d| d.on_approve.push('!'),
        |d| std::mem::swap(&mut d.kind, &mut d.subject),
        |d| d.approve_verb.push('!'),
    ];
    for change in changes {
        let mut other = draft();
        change(&mut other);
        assert_ne!(proposal(other).hash, plain);
    }
}

#[test]
fn the_same_bytes_for_another_client_or_asked_again_have_another_hash() {
    let asked = proposal(draft());
    let changes: [fn(&mut Proposal); 5] = [
        |p| p.id = ProposalId(Uuid::from_u128(10)),
        |p| p.version = 2,
        |p| p.draft.kind = "roll_back_objective".into(),
        |p| p.requester = Actor::Function("analyze".into()),
        |p| p.decide_by += Duration::days(1),
    ];
    assert_eq!(asked.hash, hash_of(HARBOR, &asked));
    assert_ne!(asked.hash, hash_of(RIDGE, &asked));
    for change in changes {
        let mut other = asked.clone();
        change(&mut other);
        assert_ne!(asked.hash, hash_of(HARBOR, &other));
    }
    // Made by hand from the words in `gate/hash.rs`. Another way of hashing would be another form.
    assert_eq!(asked.hash, "6175f5ad95c64ff5f2c033bdd85919214c4147203e6f0ab57cfdb6e3ead26c48");
}

#[test]
fn a_proposal_that_is_put_into_another_clients_store_is_neither_decided_nor_carried_out_there() {
    let mut asked = proposal(draft());
    let answer = Answer { verdict: Verdict::Approve, version: 1, hash: asked.hash.clone(), comment: String::new() };
    let person = PersonId(Uuid::from_u128(PRIYA));
    let decide = |tenant| Event::Decide { tenant, person, name: "Priya Nair", may_approve: true, answer: &answer };
    assert_eq!(next(&asked, decide(RIDGE), START), Err(Refusal::Tampered));
    asked.state = next(&asked, decide(HARBOR), START).unwrap();
    let run = |tenant| Event::Execute(Facts { tenant, version: 1, may_approve: true, changed_evidence: vec![] });
    assert_eq!(next(&asked, run(RIDGE), START), Err(Refusal::Tampered));
    assert!(next(&asked, run(HARBOR), START).is_ok());
}

fn proposal(draft: Draft) -> Proposal {
    let mut proposal = Proposal {
        id: ProposalId(Uuid::from_u128(9)),
        version: 1,
        form: FORM,
        hash: String::new(),
        draft,
        requester: Actor::Person(PersonId(Uuid::from_u128(MARCO))),
        staged_at: START,
        decide_by: START + APPROVAL_EXPIRY,
        state: State::Open,
    };
    proposal.hash = hash_of(HARBOR, &proposal);
    proposal
}

fn draft() -> Draft {
    Draft {
        kind: "mark_objective".into(),
        subject: "3.1.1[a]".into(),
        question: "Mark AC.L2-3.1.1[a] as MET for Harbor Precision?".into(),
        explanation: "The people who may use the system are identified.".into(),
        action: r#"{"objective":"3.1.1[a]","met":true}"#.into(),
        evidence: vec![],
        reasons: vec!["One.".into(), " Two.".into()],
        limits: vec!["Shows who has an account.".into()],
        before: "Not read yet".into(),
        after: "MET".into(),
        approve_verb: "mark MET".into(),
        on_approve: "The objective becomes MET.".into(),
        on_reject: "Nothing changes.".into(),
    }
}
