//! The state machine, checked in every state that can be reached within the bounds (stateright, breadth first, to the end:
//! no cut by depth).
//!
//! Bounded: one proposal of a kind of each level; five people under six accounts (two approvers, one of them the client's
//! and with a second account; one who stands in for them on day 0; who asked, for whom the other approver stands in on day
//! 1; who filed the evidence), one of whom may break the glass; quorums of one, and of two with one of the client's; so
//! many versions, days and answers as [`Bounds`] says; for each version one tampering and one change of policy, and one
//! forged approval, after which nobody tampers. Every event of the machine is taken, and time goes by in days that pass
//! every clock: to decide, to run, to undo, to review, to stand in. The random walks of `machine` go further, with more
//! people wrong at once, and do not see everything.

use std::{
    fmt,
    hash::{Hash, Hasher},
    sync::atomic::{AtomicU32, Ordering},
};

use assay::gate::{Level, Proposal, State, Verdict, policy::has_great_effect};
use stateright::{Checker as _, Model, Property};
use time::Duration;

use super::{
    judge::Must,
    world::{Days, EVE, EVENTS, FOR_MARCO, Finds, MARCO, PRIYA, SAM, SAM_AGAIN, START, Said, Says, Step, World, ZOE, person},
};

/// How much of the world there is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    /// Time stops with this day.
    last_day: i64,
    last_version: u32,
    /// No more answers are taken to one proposal, over all its versions.
    answers: usize,
    /// Whether somebody writes the store, and somebody changes the policy.
    troubled: bool,
    /// Whether time goes on for long enough that every end can be reached, and every event taken.
    to_the_end: bool,
}

/// For every run of the tests, in seconds without optimization.
pub(super) const SMALL: [Bounds; 2] = [
    Bounds { last_day: 3, last_version: 2, answers: 2, troubled: false, to_the_end: true },
    Bounds { last_day: 1, last_version: 2, answers: 2, troubled: true, to_the_end: false },
];
/// For the bench.
#[allow(dead_code, reason = "the bench's, or `ASSAY_MODEL=full`")]
pub(super) const FULL: Bounds = Bounds { last_day: 3, last_version: 2, answers: 3, troubled: true, to_the_end: true };

const DAYS: Days = Days { decide: 2, run: 1, stands_in: 1, from_outside: true };

/// What was looked at.
pub(super) struct Checked {
    /// Different states.
    pub(super) states: usize,
    /// States that were met, also again.
    pub(super) met: usize,
}

/// Two worlds are one where nothing that is to come can tell them apart.
#[derive(Clone)]
struct Node(World);

impl Node {
    fn key(&self) -> impl Hash + PartialEq + use<> {
        let World { proposal, day, said, tampered, forged, stricter, decide_by, ran, broken, .. } = &self.0;
        let decisions: Vec<_> = proposal
            .decisions
            .iter()
            .map(|one| (one.person, one.seat(), one.verdict, one.version, one.at, one.broke_glass, one.signed_in_at))
            .collect();
        let state = stands(&proposal.state);
        let kind = proposal.draft.kind.clone();
        let terms = proposal.terms.as_ref().map(|terms| (terms.level(), terms.rule.approvals));
        let broken = broken.as_ref().map(|(must, _)| *must);
        (
            (kind, terms, state, proposal.version, decisions, proposal.review_by),
            (*day, said.clone(), *tampered, *forged, *stricter, *decide_by, ran.clone(), broken),
        )
    }
}

impl Hash for Node {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.key().hash(state);
    }
}

impl PartialEq for Node {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "day {}, version {}, {:?}, {:?}", self.0.day, self.0.proposal.version, self.0.proposal.state, self.0.broken)
    }
}

/// The state without its words.
fn stands(state: &State) -> impl Hash + PartialEq + use<> {
    let at = match state {
        State::Cleared { run_by } | State::Approved { run_by } => Some(*run_by),
        State::Executing { since } | State::Undoing { since, .. } => Some(*since),
        State::Executed { undo_until, .. } => *undo_until,
        // What is open has no clock of its own, and what has ended goes nowhere, whenever that was.
        _ => None,
    };
    (std::mem::discriminant(state), at, matches!(state, State::Expired { approved: true, .. } | State::RolledBack { by: Some(_), .. }))
}

struct Gate {
    bounds: Bounds,
    /// Which of [`EVENTS`] the machine has taken somewhere, one bit each.
    taken: AtomicU32,
}

impl Model for Gate {
    type State = Node;
    type Action = Step;

    fn init_states(&self) -> Vec<Node> {
        let kinds = [("mark_objective", 2), ("publish_package", 1), ("assign_training", 0), ("hash_evidence", 0), ("affirm", 0)];
        kinds.into_iter().map(|(kind, approvals)| Node(World::of(kind, approvals, (approvals == 1).then_some(1), DAYS))).collect()
    }

    fn actions(&self, node: &Node, actions: &mut Vec<Step>) {
        let (world, bounds) = (&node.0, self.bounds);
        if world.broken.is_some() {
            return;
        }
        if world.said.len() < bounds.answers {
            actions.extend(answers(world).into_iter().map(Step::Decide));
        }
        let finds = [
            Finds::ALL_WELL,
            Finds { this_version: false, ..Finds::ALL_WELL },
            Finds { evidence_holds: false, ..Finds::ALL_WELL },
            Finds { lost: Some(SAM), ..Finds::ALL_WELL },
            Finds { lost: Some(PRIYA), ..Finds::ALL_WELL },
        ];
        actions.extend(finds.map(Step::Execute));
        actions.extend([
            Step::Begin(Finds::ALL_WELL),
            Step::Undo(Finds::ALL_WELL),
            Step::Undo(Finds { lost: Some(SAM), ..Finds::ALL_WELL }),
        ]);
        actions.extend([Step::CannotUndo, Step::Complete, Step::Fail, Step::Expire, Step::Supersede, Step::Refuse, Step::RollBack]);
        actions.extend([Step::Withdraw(MARCO), Step::Withdraw(PRIYA)]);
        if world.proposal.version < bounds.last_version {
            actions.extend([Step::Revise, Step::Recall]);
        }
        if bounds.troubled && !world.tampered && !world.forged {
            actions.extend([Step::Tamper, Step::Forge(SAM)]);
        }
        if bounds.troubled && !world.stricter && world.proposal.draft.kind == "mark_objective" {
            actions.push(Step::Stricter);
        }
        if world.day < bounds.last_day {
            actions.push(Step::Wait);
        }
    }

    fn next_state(&self, node: &Node, step: Step) -> Option<Node> {
        let mut world = node.0.clone();
        world.last = None;
        world.step(step).ok()?;
        if let Some(event) = world.last {
            self.taken.fetch_or(1 << event, Ordering::Relaxed);
        }
        Some(Node(world))
    }

    fn properties(&self) -> Vec<Property<Self>> {
        fn is(node: &Node, state: impl Fn(&State) -> bool) -> bool {
            state(&node.0.proposal.state)
        }
        fn ran(node: &Node) -> bool {
            is(node, |state| matches!(state, State::Executed { .. }))
        }
        macro_rules! always {
            ($($must:ident),*) => {
                vec![$(Property::always(Must::$must.sentence(), |_, node: &Node| {
                    node.0.broken.as_ref().is_none_or(|(must, _)| *must != Must::$must)
                })),*]
            };
        }
        macro_rules! ends {
            ($($name:literal: $state:pat),* $(,)?) => {
                vec![$(Property::sometimes($name, |_, node: &Node| is(node, |state| matches!(state, $state)))),*]
            };
        }
        let mut all = always![
            HaveItsQuorum,
            NotBeSilence,
            NotRunADeed,
            EndOnce,
            KeepItsClocks,
            RunOnce,
            RunWhatWasStaged,
            BeCleared,
            BeUndoneInTime,
            OnlyRise,
            BeSeen,
            BeOthers
        ];
        if !self.bounds.to_the_end {
            return all;
        }
        all.extend(ends! {
            "rejected": State::Rejected { .. },
            "expired unanswered": State::Expired { approved: false, .. },
            "expired unrun": State::Expired { approved: true, .. },
            "superseded": State::Superseded { .. },
            "withdrawn": State::Withdrawn { .. },
            "refused": State::Refused { .. },
            "failed": State::Failed { .. },
            "not undone": State::NotUndone { .. },
            "undone": State::RolledBack { by: None, .. },
            "rolled back": State::RolledBack { by: Some(_), .. },
            "recorded": State::Recorded { .. },
        });
        all.extend([
            Property::sometimes("executed by a quorum", |_, node: &Node| {
                ran(node) && node.0.proposal.draft.kind == "mark_objective" && node.0.proposal.approvals().all(|one| !one.broke_glass)
            }),
            Property::sometimes("executed with somebody who stood in", |_, node: &Node| {
                ran(node) && node.0.proposal.approvals().any(|one| one.seat() == person(SAM) && one.person == person(ZOE))
            }),
            Property::sometimes("approved by somebody who has stood in for who asked since", |_, node: &Node| {
                let theirs = node.0.proposal.approvals().any(|one| one.person == person(PRIYA));
                is(node, |state| matches!(state, State::Approved { .. })) && theirs && node.0.day >= FOR_MARCO.0
            }),
            Property::sometimes("executed by a broken glass", |_, node: &Node| {
                ran(node) && node.0.proposal.approvals().any(|one| one.broke_glass)
            }),
            Property::sometimes("executed in the second version", |_, node: &Node| ran(node) && node.0.proposal.version == 2),
            Property::sometimes("executed by people although it had been cleared to run by itself", |_, node: &Node| {
                ran(node) && node.0.proposal.draft.kind == "hash_evidence" && node.0.proposal.level() == Level::L2
            }),
            Property::sometimes("escalated, and looked at by another", |_, node: &Node| {
                let said = |verdict| node.0.proposal.decisions.iter().any(|one| one.verdict == verdict);
                said(Verdict::Escalate) && said(Verdict::Uphold) && node.0.proposal.review_by.is_none()
            }),
        ]);
        if self.bounds.troubled {
            all.push(Property::sometimes("executed although somebody forged another approval", |_, node: &Node| {
                ran(node) && node.0.forged
            }));
        }
        all
    }
}

/// What anybody could answer, right and wrong.
fn answers(world: &World) -> Vec<Says> {
    let approve = Says::approve;
    let of = |verdict, who| Says { verdict, ..approve(who) };
    let mut all: Vec<Says> = vec![PRIYA, SAM, SAM_AGAIN, MARCO, EVE].into_iter().map(approve).collect();
    all.extend([
        Says { stands_for: Some(SAM), ..approve(ZOE) },
        Says { stands_for: Some(SAM), ..approve(PRIYA) },
        Says { stands_for: Some(MARCO), ..approve(ZOE) },
        Says { glass: true, ..approve(PRIYA) },
        Says { glass: true, fresh: false, ..approve(PRIYA) },
        Says { glass: true, ..approve(ZOE) },
        Says { may: false, ..approve(PRIYA) },
        Says { this_version: false, ..approve(PRIYA) },
        Says { this_hash: false, ..approve(PRIYA) },
        of(Verdict::Reject, SAM),
        of(Verdict::Reject, MARCO),
        Says { comment: false, ..of(Verdict::Reject, SAM) },
        of(Verdict::Done, MARCO),
        of(Verdict::Override, SAM),
        of(Verdict::Override, EVE),
    ]);
    for verdict in [Verdict::Uphold, Verdict::Escalate] {
        all.extend([of(verdict, SAM), of(verdict, PRIYA), of(verdict, MARCO)]);
    }
    if has_great_effect(&world.proposal.draft.kind) {
        all.extend([approve(SAM), of(Verdict::Done, MARCO)].map(|says| Says { fresh: false, ..says }));
    }
    all
}

/// Looks at every state within the bounds; panics where a sentence does not hold, an end cannot be reached, or an event of
/// the machine was taken nowhere.
pub(super) fn check(bounds: Bounds) -> Checked {
    let gate = Gate { bounds, taken: AtomicU32::new(0) };
    let checker = gate.checker().threads(2).spawn_bfs().join();
    checker.assert_properties();
    let taken = checker.model().taken.load(Ordering::Relaxed);
    let missed: Vec<_> = EVENTS.iter().enumerate().filter(|(n, _)| taken & (1 << n) == 0).map(|(_, name)| *name).collect();
    assert!(missed.is_empty() || !bounds.to_the_end, "events that nothing took: {missed:?}");
    Checked { states: checker.unique_state_count(), met: checker.state_count() }
}

/// I4, G1, G2, G10. `ASSAY_MODEL=full` takes the bounds of the bench.
#[test]
fn the_model_of_the_gate_has_no_state_that_must_not_be_and_every_end_can_be_reached() {
    let is_full = std::env::var_os("ASSAY_MODEL").is_some_and(|wanted| wanted == "full");
    for bounds in if is_full { vec![FULL] } else { SMALL.to_vec() } {
        let Checked { states, met } = check(bounds);
        println!("{states} states, met {met} times, within {bounds:?}");
        assert!(states > 1_000, "the model saw only {states} states");
    }
}

/// The judge itself: each sentence is broken by a change that the machine would never make.
#[test]
fn every_sentence_of_the_model_can_be_broken() {
    let of = |kind| World::of(kind, if kind == "mark_objective" { 2 } else { 0 }, None, DAYS);
    let stands = |kind, state: State| {
        let mut world = of(kind);
        world.proposal.state = state;
        world
    };
    let now = START;
    let (approved, ran) = (State::Approved { run_by: now + Duration::days(1) }, State::Executed { at: now, undo_until: Some(now) });
    let (mark, run) = ("mark_objective", Step::Execute(Finds::ALL_WELL));
    let says = Says::approve;
    let again = World { ran: vec![(1, 0)], ..stands(mark, approved.clone()) };
    let tampered = World { tampered: true, ..stands(mark, approved.clone()) };
    // Priya approved on day 0 and has agreed since to stand in for Marco; Sam approves on day 1.
    let said = [(PRIYA, 0), (SAM, FOR_MARCO.0)].map(|(who, day)| Said { says: says(who), version: 1, day });
    let stood_in = World { day: FOR_MARCO.0, said: said.into(), ..stands(mark, approved.clone()) };
    let cases = [
        (Must::HaveItsQuorum, stands(mark, approved.clone()), ran.clone(), run),
        (Must::NotBeSilence, of(mark), approved.clone(), Step::Supersede),
        (Must::NotRunADeed, of("affirm"), ran.clone(), run),
        (Must::EndOnce, stands(mark, State::Rejected { at: now }), State::Open, Step::Supersede),
        (Must::KeepItsClocks, of(mark), State::Expired { at: now, approved: false }, Step::Expire),
        (Must::RunOnce, again, ran.clone(), run),
        (Must::RunWhatWasStaged, tampered, ran.clone(), run),
        (Must::BeCleared, stands("hash_evidence", approved), ran.clone(), run),
        (
            Must::BeUndoneInTime,
            stands(mark, ran.clone()),
            State::Undoing { since: now, ran_at: now },
            Step::Decide(Says { verdict: Verdict::Override, ..says(SAM) }),
        ),
        (Must::BeSeen, of(mark), State::Open, Step::Decide(Says { this_hash: false, ..says(SAM) })),
        (Must::BeOthers, of(mark), State::Open, Step::Decide(says(MARCO))),
        (Must::BeOthers, World { day: FOR_MARCO.1, ..of(mark) }, State::Open, Step::Decide(says(PRIYA))),
        (Must::HaveItsQuorum, stood_in, ran.clone(), run),
    ];
    for (must, mut world, state, step) in cases {
        let before = world.proposal.clone();
        world.judge(&before, &Proposal { state, ..before.clone() }, step);
        assert_eq!(world.broken.map(|(broken, _)| broken), Some(must), "{}", must.sentence());
    }
    let mut world = of(mark);
    let before = world.proposal.clone();
    world.judge(&before, &Proposal { version: 2, ..before.clone() }, Step::Supersede);
    assert_eq!(world.broken.map(|(broken, _)| broken), Some(Must::OnlyRise));
}
