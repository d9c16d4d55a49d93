//! One proposal, the people around it, time, and an insider who can write the store: what both the exhaustive model and
//! the random walks drive. It keeps its own record of what people really said, and judges every change by that.

use std::collections::{BTreeMap, BTreeSet};

use assay::{
    evidence::{EvidenceRef, Population},
    gate::{
        Answer, Capacity, Decision, Draft, Level, Policy, Proposal, Refusal, Represented, Rule, State, Verdict,
        delegation::{Delegation, Span},
        event::{Deciding, Event, Facts, Voice},
        hash::{FORM, hash_of},
        machine::next,
        policy::{Terms, has_great_effect},
        proposal::Cause,
    },
    tenancy::{Actor, PersonId, ProposalId, TenantId},
};
use time::{Duration, OffsetDateTime, macros::datetime};
use uuid::Uuid;

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
    /// A day goes by.
    Wait,
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
    says: Says,
    version: u32,
    day: i64,
}

#[expect(clippy::struct_excessive_bools, reason = "what has happened so far, one fact each")]
#[derive(Clone)]
pub(super) struct World {
    pub(super) proposal: Proposal,
    pub(super) day: i64,
    pub(super) said: Vec<Said>,
    pub(super) tampered: bool,
    pub(super) forged: bool,
    pub(super) stricter: bool,
    days: Days,
    /// Began to run as an outward action.
    begun: bool,
    /// What must never happen, and did.
    pub(super) broken: Option<String>,
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
        undo_within: 24,
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
        Self { proposal, day: 0, said: vec![], tampered: false, forged: false, stricter: false, days, begun: false, broken: None }
    }

    fn now(&self) -> OffsetDateTime {
        START + Duration::days(self.day)
    }

    fn today(&self) -> Terms {
        let approvals = self.proposal.terms.as_ref().map_or(1, |terms| terms.rule.approvals);
        policy_of(&self.proposal.draft.kind, if self.stricter { 3 } else { approvals }, self.days).terms(&self.proposal.draft.kind)
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
            Step::Revise => {
                if self.proposal.state != State::Open {
                    return Err(Refusal::NotApproved);
                }
                let (draft, terms) = (self.proposal.draft.clone(), self.today());
                self.proposal = self.proposal.clone().revised(HARBOR, draft, terms);
                // What stands now is what people see, whoever wrote it.
                (self.stricter, self.tampered) = (false, false);
            }
            _ => {
                let after = self.ask(step)?;
                self.judge(&before, &after, step);
                if let Step::Decide(says) = step {
                    self.said.push(Said { says, version: before.version, day: self.day });
                }
                self.begun |= matches!(step, Step::Begin(_));
                self.proposal = after;
            }
        }
        Ok(())
    }

    /// What the machine makes of it.
    fn ask(&self, step: Step) -> Result<Proposal, Refusal> {
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
            Step::Revise | Step::Tamper | Step::Forge(_) | Step::Stricter | Step::Wait => unreachable!("done by the world itself"),
        };
        next(&self.proposal, event, self.now())
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

    /// What must hold across a change, from the world's own record of what was said.
    fn judge(&mut self, before: &Proposal, after: &Proposal, step: Step) {
        let broken = |what: &str| Some(format!("{what}: {:?} became {:?} by {step:?} on day {}", before.state, after.state, self.day));
        let level = before.level();
        // G2: one end, except that what ran can be taken back, or undone, or reviewed.
        let goes_on = matches!(
            (&before.state, &after.state),
            (State::Executed { .. } | State::NotUndone { .. } | State::Recorded { .. }, State::RolledBack { .. })
                | (State::Executed { .. }, State::Undoing { .. } | State::Executed { .. })
        );
        // A look at what was approved alone, whatever became of it, moves nothing.
        let looks = matches!(step, Step::Decide(says) if matches!(says.verdict, Verdict::Uphold | Verdict::Escalate));
        let goes_on = goes_on || (looks && before.state == after.state && before.review_by.is_some());
        if before.state.is_final() && !goes_on {
            self.broken = broken("two ends");
        }
        if before.state.is_final() && before.state != State::Open && matches!(step, Step::Decide(says) if says.verdict == Verdict::Approve)
        {
            self.broken = broken("approved after the end");
        }
        match (&after.state, step) {
            (State::Executed { .. }, Step::Execute(_)) | (State::Executing { .. }, Step::Begin(_)) => {
                if level == Level::L3 {
                    self.broken = broken("L3 ran");
                }
                if level == Level::L2
                    && let Err(why) = self.is_approved(before, step)
                {
                    self.broken = broken(why);
                }
                if level < Level::L2 && !matches!(before.state, State::Cleared { .. }) {
                    self.broken = broken("ran without being cleared");
                }
                if self.tampered {
                    self.broken = broken("other bytes ran");
                }
            }
            (State::Executed { .. }, Step::Complete) if !self.begun => self.broken = broken("ended what never began"),
            (State::Executed { .. }, Step::Complete | Step::Decide(_)) => {}
            (State::Executed { .. }, _) => self.broken = broken("ran by something else"),
            // G10.
            (State::Approved { .. } | State::Recorded { .. }, step) if !matches!(step, Step::Decide(_)) && before.state == State::Open => {
                self.broken = broken("approved by silence");
            }
            (State::RolledBack { by: None, .. } | State::NotUndone { .. }, _)
                if !self.said.iter().any(|said| said.says.verdict == Verdict::Override) =>
            {
                self.broken = broken("undone and nobody said so");
            }
            _ => {}
        }
    }

    /// I4 and G1 for L2, worked out anew: by brute force, and not from the proposal's list.
    fn is_approved(&self, before: &Proposal, step: Step) -> Result<(), &'static str> {
        let (Step::Execute(finds) | Step::Begin(finds)) = step else { return Err("not an execution") };
        if !finds.this_version || !finds.evidence_holds || self.stricter {
            return Err("ran although something did not hold");
        }
        let lost = |n: u8| finds.lost == Some(n);
        let given: Vec<&Said> = self
            .said
            .iter()
            .filter(|said| said.says.verdict == Verdict::Approve && said.version == before.version && said.day < self.days.decide)
            .filter(|said| said.says.fresh || !has_great_effect(&before.draft.kind))
            .filter(|said| !lost(said.says.who) && !said.says.stands_for.is_some_and(lost))
            .collect();
        let Some(newest) = given.iter().map(|said| said.day).max() else { return Err("nobody approved it") };
        if self.day >= newest + self.days.run {
            return Err("ran too late");
        }
        if given.iter().any(|said| [Some(said.says.who), said.says.stands_for].iter().flatten().any(|n| [MARCO, EVE].contains(n))) {
            return Err("approved by somebody who must not");
        }
        if given.iter().any(|said| said.says.stands_for.is_some() && (said.says.who != ZOE || said.day >= self.days.stands_in)) {
            return Err("stood in without being asked");
        }
        if given.iter().any(|said| said.says.glass && said.says.who == PRIYA && said.says.fresh) {
            return Ok(());
        }
        let human = |n: u8| if n == SAM_AGAIN { SAM } else { n };
        let needed = before.terms.as_ref().map_or(1, |terms| usize::from(terms.rule.approvals));
        // Some set of approvals in which no human and no seat stands twice, large enough, with one of the client's.
        let good = (0_u32..1 << given.len()).any(|set| {
            let chosen: Vec<&&Said> = given.iter().enumerate().filter(|(n, _)| set & (1 << n) != 0).map(|(_, said)| said).collect();
            let mut voices: Vec<BTreeSet<u8>> = vec![];
            for said in &chosen {
                voices.push(BTreeSet::from([human(said.says.who), human(said.says.stands_for.unwrap_or(said.says.who))]));
            }
            let apart = voices.iter().enumerate().all(|(n, one)| voices[n + 1..].iter().all(|other| one.is_disjoint(other)));
            let outside = |says: &Says| says.stands_for == Some(SAM) && self.days.from_outside;
            let client = chosen.iter().any(|said| human(said.says.who) == SAM || outside(&said.says));
            apart && chosen.len() >= needed && (needed < 2 || client)
        });
        if good { Ok(()) } else { Err("ran without its quorum") }
    }
}

/// Sam asked Zoë to stand in; so did Marco, who asks for the action, of Zoë's colleague Priya from day 9 on (never here).
fn delegations_of_all(days: Days) -> Vec<Delegation> {
    let of = |from, to, begins: i64, ends: i64| Delegation {
        from: person(from),
        to: person(to),
        offer: None,
        held: vec![Span { begins_at: START + Duration::days(begins), ends_at: START + Duration::days(ends) }],
    };
    vec![of(SAM, ZOE, 0, days.stands_in), of(MARCO, PRIYA, 90, 91)]
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
