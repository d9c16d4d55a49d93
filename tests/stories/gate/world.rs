//! One proposal, the people around it, time, and an insider who can write the store: what both the exhaustive model and
//! the random walks drive. It keeps its own record of what people really said, and every change is judged by that (`judge`).

use std::collections::{BTreeMap, BTreeSet};

use assay::{
    evidence::{EvidenceRef, Population},
    gate::{
        Answer, Capacity, Decision, Draft, Level, Policy, Proposal, Refusal, Represented, Rule, State, Verdict,
        delegation::{Delegation, Span},
        demotion::recalled,
        event::{Deciding, Event, Facts, Voice},
        hash::{FORM, hash_of},
        machine::next,
        policy::Terms,
        proposal::Cause,
    },
    tenancy::{Actor, PersonId, ProposalId, TenantId},
};
use time::{Duration, OffsetDateTime, macros::datetime};
use uuid::Uuid;

use super::judge::Must;

pub(super) const START: OffsetDateTime = datetime!(2026-11-24 17:00 UTC);
pub(super) const HARBOR: TenantId = TenantId(Uuid::from_u128(100));
pub(super) const RIDGE: TenantId = TenantId(Uuid::from_u128(200));
pub(super) const PRIYA: u8 = 1;
pub(super) const SAM: u8 = 2;
pub(super) const ZOE: u8 = 3;
/// Asked for it.
pub(super) const MARCO: u8 = 4;
/// Filed the evidence.
pub(super) const EVE: u8 = 5;
/// Sam's second account.
pub(super) const SAM_AGAIN: u8 = 6;

/// How long one person can undo what ran at L1.
pub(super) const UNDO_DAYS: i64 = 1;

/// From which day on, and up to which, Priya stands in for Marco, who asks for the action on day 0.
pub(super) const FOR_MARCO: (i64, i64) = (1, 2);

/// Until which day it is decided, how many days later it runs, and up to which day Zoë stands in for Sam.
#[derive(Clone, Copy, Debug)]
pub(super) struct Days {
    pub(super) decide: i64,
    pub(super) run: i64,
    pub(super) stands_in: i64,
    /// Whether Zoë, who is not the client's, may then fill the client's place.
    pub(super) from_outside: bool,
}

pub(super) const DAYS: Days = Days { decide: 3, run: 2, stands_in: 2, from_outside: false };

/// One event as plain data, so that it can be drawn at random and counted through.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Step {
    Decide(Says),
    Withdraw(u8),
    Expire,
    Supersede,
    /// New evidence, the same answer: another version.
    Revise,
    Execute(Finds),
    Begin(Finds),
    Complete,
    Fail,
    Undo(Finds),
    /// The compensating action does not work.
    CannotUndo,
    Refuse,
    RollBack,
    /// Somebody with access to the store changes the action.
    Tamper,
    /// The same writes down an approval that nobody gave, and that the quorum is reached.
    Forge(u8),
    /// The policy asks for three approvals from now on.
    Stricter,
    /// Learning demoted its rule: what was cleared comes to people.
    Recall,
    /// A day goes by.
    Wait,
}

/// Every event of the machine, by the name under which the model has to have taken it.
pub(super) const EVENTS: [&str; 17] = [
    "approve",
    "reject",
    "done",
    "uphold",
    "override",
    "escalate",
    "withdraw",
    "expire",
    "supersede",
    "execute",
    "begin",
    "complete",
    "fail",
    "refuse",
    "undo",
    "cannot undo",
    "roll back",
];

/// Which of [`EVENTS`]; a new one does not compile before it has its place there.
fn number(event: &Event<'_>) -> usize {
    match event {
        Event::Decide(Deciding { answer, .. }) => match answer.verdict {
            Verdict::Approve => 0,
            Verdict::Reject => 1,
            Verdict::Done => 2,
            Verdict::Uphold => 3,
            Verdict::Override => 4,
            Verdict::Escalate => 5,
        },
        Event::Withdraw { .. } => 6,
        Event::Expire => 7,
        Event::Supersede { .. } => 8,
        Event::Execute(_) => 9,
        Event::Begin(_) => 10,
        Event::Complete => 11,
        Event::Fail { .. } => 12,
        Event::Refuse { .. } => 13,
        Event::Undo(_) => 14,
        Event::CannotUndo { .. } => 15,
        Event::RollBack { .. } => 16,
    }
}

#[expect(clippy::struct_excessive_bools, reason = "each is a fault that an answer can have, and all combinations are tried")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Says {
    pub(super) who: u8,
    pub(super) stands_for: Option<u8>,
    pub(super) verdict: Verdict,
    pub(super) may: bool,
    pub(super) this_version: bool,
    pub(super) this_hash: bool,
    pub(super) comment: bool,
    pub(super) glass: bool,
    pub(super) fresh: bool,
}

impl Says {
    pub(super) fn approve(who: u8) -> Self {
        let (this_version, this_hash) = (true, true);
        Self {
            who,
            stands_for: None,
            verdict: Verdict::Approve,
            may: true,
            this_version,
            this_hash,
            comment: true,
            glass: false,
            fresh: true,
        }
    }
}

/// What the executor meets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Finds {
    pub(super) this_version: bool,
    /// Who lost the right since.
    pub(super) lost: Option<u8>,
    pub(super) evidence_holds: bool,
}

impl Finds {
    pub(super) const ALL_WELL: Self = Self { this_version: true, lost: None, evidence_holds: true };
}

/// What somebody really said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Said {
    pub(super) says: Says,
    pub(super) version: u32,
    pub(super) day: i64,
}

#[derive(Clone)]
pub(super) struct World {
    pub(super) proposal: Proposal,
    pub(super) day: i64,
    pub(super) said: Vec<Said>,
    pub(super) tampered: bool,
    pub(super) forged: bool,
    pub(super) stricter: bool,
    pub(super) days: Days,
    /// The day on which the time to decide is over.
    pub(super) decide_by: i64,
    /// Which versions were carried out, or began to be, and on which day.
    pub(super) ran: Vec<(u32, i64)>,
    /// Which of [`EVENTS`] was the last to be taken.
    pub(super) last: Option<usize>,
    /// What must hold and did not, and how.
    pub(super) broken: Option<(Must, String)>,
}

pub(super) fn person(n: u8) -> PersonId {
    PersonId(Uuid::from_u128(n.into()))
}

/// Two approvals, one of them the client's (Sam's); Priya may break the glass.
pub(super) fn policy(kind: &str, approvals: u8) -> Policy {
    policy_of(kind, approvals, DAYS)
}

fn policy_of(kind: &str, approvals: u8, days: Days) -> Policy {
    let rule = Rule {
        approvals,
        one_from_each: if approvals > 1 { vec!["client".into()] } else { vec![] },
        decide_within: u32::try_from(days.decide * 24).unwrap(),
        run_within: u32::try_from(days.run * 24).unwrap(),
        undo_within: 24 * u32::try_from(UNDO_DAYS).unwrap(),
        outside_stand_ins: days.from_outside,
        ..Rule::of_kind(kind)
    };
    Policy {
        version: 1,
        rules: BTreeMap::from([(kind.to_owned(), rule)]),
        groups: BTreeMap::from([("client".to_owned(), BTreeSet::from([SAM, SAM_AGAIN].map(person)))]),
        same_human: vec![BTreeSet::from([SAM, SAM_AGAIN].map(person))],
        break_glass: BTreeSet::from([person(PRIYA)]),
        ..Policy::default()
    }
}

impl World {
    /// Of a kind of action that takes so many approvals, on evidence that counts to the end of that day.
    pub(super) fn new(kind: &str, approvals: u8, counts_until_day: Option<i64>) -> Self {
        Self::of(kind, approvals, counts_until_day, DAYS)
    }

    pub(super) fn of(kind: &str, approvals: u8, counts_until_day: Option<i64>, days: Days) -> Self {
        let mut draft = draft(kind);
        draft.evidence = vec![EvidenceRef {
            source_key: "filed:1".into(),
            title: "Full inventory".into(),
            hash: "c".repeat(64),
            collected_at: START,
            population: Population::Of { read: 43, total: 43 },
            fresh_until: counts_until_day.map(|day| START + Duration::days(day)),
            filed_by: Some(person(EVE)),
        }];
        let proposal = proposal(draft, policy_of(kind, approvals, days).terms(kind));
        Self {
            proposal,
            day: 0,
            said: vec![],
            tampered: false,
            forged: false,
            stricter: false,
            days,
            decide_by: days.decide,
            ran: vec![],
            last: None,
            broken: None,
        }
    }

    fn now(&self) -> OffsetDateTime {
        START + Duration::days(self.day)
    }

    fn today(&self) -> Terms {
        let staged = self.proposal.terms.as_ref();
        let approvals = staged.map_or(1, |terms| terms.rule.approvals);
        let policy = policy_of(&self.proposal.draft.kind, if self.stricter { 3 } else { approvals }, self.days);
        let terms = policy.terms(&self.proposal.draft.kind);
        if staged.is_some_and(|staged| staged.level() == Level::L2) { terms.asking_people() } else { terms }
    }

    /// Applies the step, and looks at what must hold across it.
    pub(super) fn step(&mut self, step: Step) -> Result<(), Refusal> {
        let before = self.proposal.clone();
        match step {
            Step::Wait => self.day += 1,
            // Three approvals are as strict as it gets.
            Step::Stricter => self.stricter = self.proposal.terms.as_ref().is_some_and(|terms| terms.rule.approvals < 3),
            Step::Tamper => {
                self.proposal.draft.action.push(' ');
                self.tampered = true;
            }
            Step::Forge(who) => {
                let forged = Says::approve(who);
                self.proposal.decisions.push(self.decision(forged));
                self.proposal.state = State::Approved { run_by: self.now() + Duration::days(self.days.run) };
                self.forged = true;
            }
            Step::Recall => {
                let today = self.today().asking_people();
                let now = self.now();
                self.proposal = recalled(HARBOR, &before, &today, now).ok_or(Refusal::NotApproved)?;
                (self.decide_by, self.tampered) = (self.day + self.days.decide, false);
                self.judge(&before, &self.proposal.clone(), step);
            }
            Step::Revise => {
                if self.proposal.state != State::Open {
                    return Err(Refusal::NotApproved);
                }
                let (draft, terms) = (self.proposal.draft.clone(), self.today());
                self.proposal = self.proposal.clone().revised(HARBOR, draft, terms);
                // What stands now is what people see, whoever wrote it.
                (self.stricter, self.tampered) = (false, false);
                self.judge(&before, &self.proposal.clone(), step);
            }
            _ => {
                let (after, event) = self.ask(step)?;
                self.judge(&before, &after, step);
                match step {
                    Step::Decide(says) => self.said.push(Said { says, version: before.version, day: self.day }),
                    Step::Execute(_) | Step::Begin(_) => self.ran.push((before.version, self.day)),
                    // From here on its window counts.
                    Step::Complete => self.ran.iter_mut().for_each(|(_, day)| *day = self.day),
                    _ => {}
                }
                (self.proposal, self.last) = (after, Some(event));
            }
        }
        Ok(())
    }

    /// What the machine makes of it, and which of [`EVENTS`] it was.
    fn ask(&self, step: Step) -> Result<(Proposal, usize), Refusal> {
        let (answer, capacity, today, delegations);
        let event = match step {
            Step::Decide(says) => {
                answer = Answer {
                    verdict: says.verdict,
                    version: self.proposal.version + u32::from(!says.this_version),
                    hash: if says.this_hash { self.proposal.hash.clone() } else { "0".repeat(64) },
                    comment: if says.comment { "because it cannot wait until Monday".into() } else { " ".into() },
                };
                capacity = Capacity {
                    permit: None,
                    stands_for: says.stands_for.map(|n| Represented { person: person(n), name: name(n), may_approve: true }),
                    signed_in_at: Some(self.now() - if says.fresh { Duration::minutes(1) } else { Duration::hours(1) }),
                    acrs: None,
                    break_glass: says.glass,
                    evidence: self.proposal.draft.evidence.clone(),
                    ..Capacity::default()
                };
                (today, delegations) = (self.today(), delegations_of_all(self.days));
                Event::Decide(Deciding {
                    tenant: HARBOR,
                    person: person(says.who),
                    name: "Somebody",
                    may_approve: says.may,
                    answer: &answer,
                    capacity: &capacity,
                    today: &today,
                    delegations: &delegations,
                    linked: &[],
                })
            }
            Step::Withdraw(who) => Event::Withdraw { person: person(who) },
            Step::Expire => Event::Expire,
            Step::Supersede => Event::Supersede { by: None, cause: Cause::NewEvidence },
            Step::Execute(finds) => Event::Execute(self.facts(finds)),
            Step::Begin(finds) => Event::Begin(self.facts(finds)),
            Step::Undo(finds) => Event::Undo(self.facts(finds)),
            Step::Complete => Event::Complete,
            Step::Fail => Event::Fail { why: "refused by the other side".into() },
            Step::CannotUndo => Event::CannotUndo { why: "what it made is in use".into() },
            Step::Refuse => Event::Refuse { why: "it no longer held".into() },
            Step::RollBack => Event::RollBack { by: ProposalId(Uuid::from_u128(8)) },
            Step::Revise | Step::Tamper | Step::Forge(_) | Step::Stricter | Step::Recall | Step::Wait => {
                unreachable!("done by the world itself")
            }
        };
        let event_number = number(&event);
        next(&self.proposal, event, self.now()).map(|after| (after, event_number))
    }

    /// A receipt verifies exactly when somebody really said that.
    pub(super) fn facts(&self, finds: Finds) -> Facts {
        let really = |decision: &Decision| self.said.iter().any(|said| self.decision_of(said) == *decision);
        let may = |id: PersonId| finds.lost.is_none_or(|lost| id != person(lost));
        let voice = |decision: &Decision| Voice { is_signed: really(decision), may_approve: may(decision.person) && may(decision.seat()) };
        Facts {
            tenant: HARBOR,
            version: self.proposal.version + u32::from(!finds.this_version),
            today: self.today(),
            voices: self.proposal.decisions.iter().map(voice).collect(),
            linked: vec![],
            is_clearance_signed: !self.tampered,
            delegations: delegations_of_all(self.days),
            changed_evidence: if finds.evidence_holds { vec![] } else { vec!["a record".into()] },
        }
    }

    fn decision(&self, says: Says) -> Decision {
        self.decision_of(&Said { says, version: self.proposal.version, day: self.day })
    }

    fn decision_of(&self, said: &Said) -> Decision {
        let Said { says, version, day } = *said;
        let at = START + Duration::days(day);
        let comment = if says.comment { "because it cannot wait until Monday".into() } else { String::new() };
        Decision {
            person: person(says.who),
            name: "Somebody".into(),
            verdict: says.verdict,
            version,
            // One version has one hash.
            hash: self.proposal.hash.clone(),
            comment,
            at,
            on_behalf_of: says.stands_for.map(|n| assay::gate::proposal::Seat { person: person(n), name: name(n) }),
            broke_glass: says.glass,
            signed_in_at: Some(at - if says.fresh { Duration::minutes(1) } else { Duration::hours(1) }),
            acrs: None,
            evidence: if says.verdict == Verdict::Done { self.proposal.draft.evidence.clone() } else { vec![] },
            receipt: None,
        }
    }
}

/// Sam asked Zoë to stand in; so did Marco, who asks for the action, of Zoë's colleague Priya, from the day after on.
fn delegations_of_all(days: Days) -> Vec<Delegation> {
    let of = |from, to, begins: i64, ends: i64| Delegation {
        from: person(from),
        to: person(to),
        offer: None,
        held: vec![Span { begins_at: START + Duration::days(begins), ends_at: START + Duration::days(ends) }],
    };
    vec![of(SAM, ZOE, 0, days.stands_in), of(MARCO, PRIYA, FOR_MARCO.0, FOR_MARCO.1)]
}

fn name(n: u8) -> String {
    format!("Person {n}")
}

pub(super) fn proposal(draft: Draft, terms: Terms) -> Proposal {
    let hours = |hours: u32| Duration::hours(hours.into());
    let cleared = terms.level() < Level::L2;
    let mut proposal = Proposal {
        id: ProposalId(Uuid::from_u128(9)),
        version: 1,
        form: FORM,
        hash: String::new(),
        draft,
        requester: Actor::Person(person(MARCO)),
        staged_at: START,
        decide_by: START + hours(terms.rule.decide_within),
        state: if cleared { State::Cleared { run_by: START + hours(terms.rule.run_within) } } else { State::Open },
        terms: Some(terms),
        decisions: vec![],
        review_by: None,
        clearance: None,
    };
    proposal.hash = hash_of(HARBOR, &proposal);
    proposal
}

pub(super) fn draft(kind: &str) -> Draft {
    Draft {
        kind: kind.into(),
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
        undo: Some("{}".into()),
    }
}
