//! The state machine, checked in every state that can be reached at all (stateright, breadth first).
//!
//! Bounds: every sequence of fewer than [`DEPTH`] events about one proposal of each level, of kinds that take one approval or
//! two with one from a named group; five people (three approvers, one of them under two accounts, one who stands in for
//! another on day 0, one who may break the glass; one who asked and one who filed the evidence); two versions; at most
//! three answers; both clocks (2 days to decide, 1 to run), days 0 to 3, which passes every boundary; one tampering or one
//! forged approval; one change of policy; outward actions that begin and end or fail. The random walks of `machine` go
//! further than this, and do not see everything.

use std::{
    fmt,
    hash::{Hash, Hasher},
    time::Instant,
};

use assay::gate::{State, Verdict, policy::has_great_effect};
use stateright::{Checker as _, Model, Property};

use super::world::{Days, EVE, Finds, MARCO, PRIYA, SAM, SAM_AGAIN, Says, Step, World, ZOE, person};

/// `ASSAY_MODEL_DEPTH` goes further.
const DEPTH: usize = 8;
const DAYS: Days = Days { decide: 2, run: 1, stands_in: 1, from_outside: true };
const LAST_DAY: i64 = 3;
const LAST_VERSION: u32 = 2;
/// No more answers than this are given to one proposal, over all its versions.
const MOST_SAID: usize = 3;

/// Two worlds are one where nothing that is to come can tell them apart.
#[derive(Clone)]
struct Node(World);

impl Node {
    fn key(&self) -> impl Hash + PartialEq + use<> {
        let World { proposal, day, said, tampered, forged, stricter, broken, .. } = &self.0;
        let decisions: Vec<_> = proposal
            .decisions
            .iter()
            .map(|one| (one.person, one.seat(), one.verdict, one.version, one.at, one.broke_glass, one.signed_in_at))
            .collect();
        let state = stands(&proposal.state);
        let kind = proposal.draft.kind.clone();
        let needed = proposal.terms.as_ref().map_or(0, |terms| terms.rule.approvals);
        let reviews = proposal.review_by;
        ((kind, needed, state, proposal.version, decisions, reviews), (*day, said.clone(), *tampered, *forged, *stricter, broken.clone()))
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

struct Gate;

impl Model for Gate {
    type State = Node;
    type Action = Step;

    fn init_states(&self) -> Vec<Node> {
        let kinds = [("mark_objective", 2), ("publish_package", 1), ("assign_training", 0), ("hash_evidence", 0), ("affirm", 0)];
        kinds.into_iter().map(|(kind, approvals)| Node(World::of(kind, approvals, (approvals == 1).then_some(1), DAYS))).collect()
    }

    fn actions(&self, node: &Node, actions: &mut Vec<Step>) {
        let world = &node.0;
        if world.broken.is_some() {
            return;
        }
        if world.said.len() < MOST_SAID {
            let approve = Says::approve;
            actions.extend([PRIYA, SAM, SAM_AGAIN, MARCO, EVE].map(|who| Step::Decide(approve(who))));
            let other = [
                Says { stands_for: Some(SAM), ..approve(ZOE) },
                Says { stands_for: Some(SAM), ..approve(PRIYA) },
                Says { stands_for: Some(MARCO), ..approve(ZOE) },
                Says { glass: true, ..approve(PRIYA) },
                Says { glass: true, fresh: false, ..approve(PRIYA) },
                Says { glass: true, ..approve(ZOE) },
                Says { may: false, ..approve(PRIYA) },
                Says { this_version: false, ..approve(PRIYA) },
                Says { this_hash: false, ..approve(PRIYA) },
                Says { verdict: Verdict::Reject, ..approve(SAM) },
                Says { verdict: Verdict::Reject, comment: false, ..approve(SAM) },
                Says { verdict: Verdict::Done, ..approve(MARCO) },
                Says { verdict: Verdict::Override, ..approve(SAM) },
                Says { verdict: Verdict::Uphold, ..approve(SAM) },
            ];
            actions.extend(other.map(Step::Decide));
            if has_great_effect(&world.proposal.draft.kind) {
                let stale = [approve(SAM), Says { verdict: Verdict::Done, ..approve(MARCO) }].map(|says| Says { fresh: false, ..says });
                actions.extend(stale.map(Step::Decide));
            }
        }
        let finds = [
            Finds::ALL_WELL,
            Finds { this_version: false, ..Finds::ALL_WELL },
            Finds { evidence_holds: false, ..Finds::ALL_WELL },
            Finds { lost: Some(SAM), ..Finds::ALL_WELL },
            Finds { lost: Some(PRIYA), ..Finds::ALL_WELL },
        ];
        actions.extend(finds.map(Step::Execute));
        actions.extend([Step::Begin(Finds::ALL_WELL), Step::Undo(Finds::ALL_WELL), Step::CannotUndo, Step::Complete, Step::Fail]);
        actions.extend([Step::Withdraw(MARCO), Step::Withdraw(PRIYA), Step::Expire, Step::Supersede, Step::Refuse, Step::RollBack]);
        if world.proposal.version < LAST_VERSION {
            actions.push(Step::Revise);
        }
        if !world.tampered && !world.forged {
            actions.extend([Step::Tamper, Step::Forge(SAM)]);
        }
        if !world.stricter && world.proposal.draft.kind == "mark_objective" {
            actions.push(Step::Stricter);
        }
        if world.day < LAST_DAY && !world.proposal.state.is_final() {
            actions.push(Step::Wait);
        }
    }

    fn next_state(&self, node: &Node, step: Step) -> Option<Node> {
        let mut world = node.0.clone();
        world.step(step).ok().map(|()| Node(world))
    }

    fn properties(&self) -> Vec<Property<Self>> {
        fn is(node: &Node, state: impl Fn(&State) -> bool) -> bool {
            state(&node.0.proposal.state)
        }
        vec![
            Property::always("what must never happen does not", |_, node: &Node| node.0.broken.is_none()),
            Property::always("L3 never runs", |_, node: &Node| {
                node.0.proposal.draft.kind != "affirm" || !is(node, |s| matches!(s, State::Executed { .. } | State::Executing { .. }))
            }),
            Property::sometimes("executed by a quorum", |_, node: &Node| {
                node.0.proposal.draft.kind == "mark_objective"
                    && is(node, |s| matches!(s, State::Executed { .. }))
                    && node.0.proposal.approvals().all(|one| !one.broke_glass)
            }),
            Property::sometimes("executed with somebody who stood in", |_, node: &Node| {
                is(node, |s| matches!(s, State::Executed { .. }))
                    && node.0.proposal.approvals().any(|one| one.seat() == person(SAM) && one.person == person(ZOE))
            }),
            Property::sometimes("executed by a broken glass", |_, node: &Node| {
                is(node, |s| matches!(s, State::Executed { .. })) && node.0.proposal.approvals().any(|one| one.broke_glass)
            }),
            Property::sometimes("executed in the second version", |_, node: &Node| {
                is(node, |s| matches!(s, State::Executed { .. })) && node.0.proposal.version == 2
            }),
            Property::sometimes("executed although somebody forged another approval", |_, node: &Node| {
                is(node, |s| matches!(s, State::Executed { .. })) && node.0.forged
            }),
            Property::sometimes("rejected", |_, node: &Node| is(node, |s| matches!(s, State::Rejected { .. }))),
            Property::sometimes("expired unanswered", |_, node: &Node| is(node, |s| matches!(s, State::Expired { approved: false, .. }))),
            Property::sometimes("expired unrun", |_, node: &Node| is(node, |s| matches!(s, State::Expired { approved: true, .. }))),
            Property::sometimes("superseded", |_, node: &Node| is(node, |s| matches!(s, State::Superseded { .. }))),
            Property::sometimes("withdrawn", |_, node: &Node| is(node, |s| matches!(s, State::Withdrawn { .. }))),
            Property::sometimes("refused", |_, node: &Node| is(node, |s| matches!(s, State::Refused { .. }))),
            Property::sometimes("failed", |_, node: &Node| is(node, |s| matches!(s, State::Failed { .. }))),
            Property::sometimes("not undone", |_, node: &Node| is(node, |s| matches!(s, State::NotUndone { .. }))),
            Property::sometimes("undone", |_, node: &Node| is(node, |s| matches!(s, State::RolledBack { by: None, .. }))),
            Property::sometimes("rolled back", |_, node: &Node| is(node, |s| matches!(s, State::RolledBack { by: Some(_), .. }))),
            Property::sometimes("recorded", |_, node: &Node| is(node, |s| matches!(s, State::Recorded { .. }))),
        ]
    }
}

/// I4, G1, G2, G10.
#[test]
#[expect(clippy::disallowed_methods, reason = "how far it goes is the caller's choice, and how long it took is told, not tested")]
fn the_model_of_the_gate_has_no_state_that_must_not_be_and_every_end_can_be_reached() {
    let begun = Instant::now();
    let depth = std::env::var("ASSAY_MODEL_DEPTH").ok().and_then(|depth| depth.parse().ok()).unwrap_or(DEPTH);
    let checker = Gate.checker().threads(2).target_max_depth(depth).spawn_bfs().join();
    println!("{} states, {} of them different, in {:?}", checker.state_count(), checker.unique_state_count(), begun.elapsed());
    checker.assert_properties();
    assert!(checker.unique_state_count() > 10_000, "the model saw only {} states", checker.unique_state_count());
}
