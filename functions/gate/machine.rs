//! The state machine of all four levels: what may follow what, as one pure function.
//!
//! executed => a quorum of valid decisions on that exact version and hash, by people who may approve, none of whom asked
//! or owns the evidence, before both clocks ran out (design I4), on evidence that still counted at both moments; or a
//! level below L2 by the policy. Silence never approves L2 or L3, and L3 never runs. No I/O here: the callers read the
//! facts (grants, policy, receipts, evidence, the time) and write the answer. What follows an approval is in `run`.

use time::{Duration, OffsetDateTime};

use super::{
    delegation::Delegation,
    event::{Deciding, Event, Verdict},
    hash::{FORM, hash_of},
    level::Level,
    policy::{BREAK_GLASS_REASON, BREAK_GLASS_SIGN_IN, REVIEW_WITHIN, SIGN_IN_AT_MOST, Terms},
    proposal::Proposal,
    quorum,
    refusal::Refusal,
    run,
    state::{Decision, Seat, State},
};
use crate::{
    evidence::cui,
    tenancy::{Actor, PersonId},
    web::step_up::CLOCK_SKEW,
};

/// The longest comment a decision keeps, in characters.
pub const MAX_COMMENT: usize = 2000;

/// The proposal after the event, or why it stays as it is.
pub fn next(proposal: &Proposal, event: Event<'_>, now: OffsetDateTime) -> Result<Proposal, Refusal> {
    let to = |state| Proposal { state, ..proposal.clone() };
    match event {
        Event::Decide(deciding) => decide(&proposal.among(deciding.linked), deciding, now).map(|after| after.among(&[])),
        Event::Withdraw { person } => {
            settled(proposal).filter(|_| !proposal.state.may_run()).map_or(Ok(()), Err)?;
            if proposal.requester == Actor::Person(person) { Ok(to(State::Withdrawn { at: now })) } else { Err(Refusal::NotRequester) }
        }
        Event::Expire => expire(proposal, now),
        Event::Supersede { by, cause } => match settled(proposal) {
            Some(refusal) if !proposal.state.may_run() => Err(refusal),
            _ => Ok(to(State::Superseded { at: now, by, cause })),
        },
        Event::Execute(facts) => run::execute(&proposal.among(&facts.linked), &facts, now).map(|after| after.among(&[])),
        Event::Begin(facts) => run::execute(&proposal.among(&facts.linked), &facts, now).map(|_| to(State::Executing { since: now })),
        Event::Complete => run::begun(proposal).map(|()| to(run::executed(proposal, now))),
        Event::Fail { why } => run::tried(proposal).map(|()| to(State::Failed { at: now, why })),
        Event::Refuse { why } => run::waits(proposal).map(|_| to(State::Refused { at: now, why })),
        Event::Undo(facts) => run::undo(proposal, &facts, now),
        Event::CannotUndo { why } => match proposal.state {
            State::Undoing { ran_at, .. } => Ok(run::not_undone(proposal, ran_at, why, now)),
            _ => Err(settled(proposal).unwrap_or(Refusal::NotApproved)),
        },
        Event::RollBack { by } => match &proposal.state {
            State::Executed { at, .. } | State::NotUndone { ran_at: at, .. } | State::Recorded { at } => {
                Ok(to(State::RolledBack { at: now, by: Some(by), ran_at: *at }))
            }
            _ => Err(settled(proposal).unwrap_or(Refusal::NotApproved)),
        },
    }
}

/// What a proposal that cannot be approved or rejected any more answers to a decision; `None` while it is open.
pub fn settled(proposal: &Proposal) -> Option<Refusal> {
    let decided = |approved| {
        let verdict = if approved { Verdict::Approve } else { Verdict::Reject };
        let last = proposal.decisions.iter().rev().find(|decision| decision.verdict == verdict);
        last.map_or(Refusal::HasRun, |last| Refusal::AlreadyDecided { name: last.names(), approved, at: last.at })
    };
    match &proposal.state {
        State::Open => None,
        State::Expired { at, .. } => Some(Refusal::Expired { at: *at }),
        State::Superseded { by, cause, .. } => Some(Refusal::Superseded { by: *by, cause: *cause }),
        State::Withdrawn { .. } => Some(Refusal::Withdrawn),
        State::Rejected { .. } => Some(decided(false)),
        State::Cleared { .. } => Some(Refusal::NotAsked),
        State::Executing { .. } | State::Undoing { .. } => Some(Refusal::Begun),
        State::Recorded { .. } => Some(Refusal::HasRun),
        State::Approved { .. }
        | State::Executed { .. }
        | State::NotUndone { .. }
        | State::Failed { .. }
        | State::Refused { .. }
        | State::RolledBack { .. } => Some(decided(true)),
    }
}

/// What keeps anybody from approving it as it stands, and it from running. A proposal says until when its evidence
/// counts; after that the evidence shows nothing about today. It can still be rejected.
pub fn blocked(proposal: &Proposal, now: OffsetDateTime) -> Option<Refusal> {
    if proposal.form != FORM || proposal.terms.is_none() {
        return Some(Refusal::OtherForm);
    }
    let stale: Vec<String> = proposal.draft.evidence.iter().filter(|e| e.is_stale(now)).map(|e| e.title.clone()).collect();
    (!stale.is_empty()).then_some(Refusal::EvidenceStale { titles: stale })
}

/// Segregation of duties: why this person, whatever their grant says, does not decide it. `delegations` are those of the
/// client; one counts that held at any time since this was asked, so that ending it gives no vote back.
pub fn excluded(proposal: &Proposal, person: PersonId, delegations: &[Delegation], now: OffsetDateTime) -> Option<Refusal> {
    let same = |other: PersonId| proposal.terms.as_ref().map_or(other == person, |terms| terms.is_same_human(other, person));
    let is_from = |from: PersonId, other: PersonId| proposal.terms.as_ref().map_or(from == other, |terms| terms.is_same_human(from, other));
    let held = |one: &Delegation| one.held_between(proposal.staged_at, now);
    let stands_for = |other: PersonId| delegations.iter().any(|one| is_from(one.from, other) && same(one.to) && held(one));
    let requester = match proposal.requester {
        Actor::Person(requester) => Some(requester),
        _ => None,
    };
    if requester.is_some_and(same) {
        return Some(Refusal::NotYours);
    }
    let owned = |who: &dyn Fn(PersonId) -> bool| proposal.draft.evidence.iter().find(|e| e.filed_by.is_some_and(who));
    // Before what a delegation takes away: that leaves more than this.
    if let Some(record) = owned(&same) {
        return Some(Refusal::EvidenceYours { title: record.title.clone() });
    }
    (requester.is_some_and(stands_for) || owned(&stands_for).is_some()).then_some(Refusal::DelegateOfExcluded)
}

fn decide(proposal: &Proposal, deciding: Deciding<'_>, now: OffsetDateTime) -> Result<Proposal, Refusal> {
    let Deciding { tenant, person, name, may_approve, answer, capacity, today, delegations, .. } = deciding;
    if !may_approve {
        return Err(Refusal::NotApprover);
    }
    match answer.verdict {
        Verdict::Approve | Verdict::Reject | Verdict::Done => {
            settled(proposal).map_or(Ok(()), Err)?;
            if now >= proposal.decide_by {
                if answer.verdict != Verdict::Done {
                    may_decide(proposal, deciding, now)?;
                }
                return Err(Refusal::Expired { at: proposal.decide_by });
            }
        }
        Verdict::Uphold | Verdict::Override | Verdict::Escalate => may_review(proposal, person, answer.verdict)?,
    }
    let level = proposal.level();
    if answer.verdict == Verdict::Done {
        // A deed is its doer's own: the receipt would name whoever the form named, and nobody has asked for that.
        if level != Level::L3 {
            return Err(Refusal::NotAsked);
        }
        if capacity.stands_for.is_some() {
            return Err(Refusal::DeedForAnother);
        }
    } else {
        may_decide(proposal, deciding, now)?;
    }
    if answer.version != proposal.version {
        return Err(Refusal::WrongVersion { current: proposal.version });
    }
    if answer.hash != proposal.hash {
        return Err(Refusal::WrongHash);
    }
    if answer.verdict == Verdict::Approve {
        blocked(proposal, now).map_or(Ok(()), Err)?;
    }
    if proposal.form == FORM && hash_of(tenant, proposal) != proposal.hash {
        return Err(Refusal::Tampered);
    }
    let comment = comment_of(proposal, answer.verdict, &answer.comment)?;
    let decision = Decision {
        person,
        name: name.into(),
        verdict: answer.verdict,
        version: answer.version,
        hash: answer.hash.clone(),
        comment,
        at: now,
        on_behalf_of: capacity.stands_for.as_ref().map(|seat| Seat { person: seat.person, name: seat.name.clone() }),
        broke_glass: capacity.break_glass && answer.verdict == Verdict::Approve,
        signed_in_at: capacity.signed_in_at,
        acrs: capacity.acrs.clone(),
        evidence: if answer.verdict == Verdict::Done { capacity.evidence.clone() } else { vec![] },
        receipt: None,
    };
    let mut after = proposal.clone();
    match answer.verdict {
        Verdict::Approve => approve(&mut after, &decision, today, delegations, now)?,
        Verdict::Reject => after.state = State::Rejected { at: now },
        Verdict::Done if decision.evidence.is_empty() => return Err(Refusal::EvidenceNeeded),
        // What was asked under an earlier release's terms is no exception.
        Verdict::Done if !is_fresh(&decision, sign_in_of(proposal, today)) => {
            return Err(too_old(sign_in_of(proposal, today)));
        }
        Verdict::Done => after.state = State::Recorded { at: now },
        Verdict::Uphold => after.review_by = None,
        // Asking others gives nobody more time.
        Verdict::Escalate => after.review_by = after.review_by.or(Some(now + REVIEW_WITHIN)),
        Verdict::Override => {
            let State::Executed { at, undo_until: Some(until) } = proposal.state else { return Err(Refusal::UndoOver) };
            if now >= until || proposal.draft.undo.is_none() {
                return Err(Refusal::UndoOver);
            }
            (after.state, after.review_by) = (State::Undoing { since: now, ran_at: at }, None);
        }
    }
    after.decisions.push(decision);
    Ok(after)
}

/// Whether this person may answer at all, for themselves or for whom they stand.
fn may_decide(proposal: &Proposal, deciding: Deciding<'_>, now: OffsetDateTime) -> Result<(), Refusal> {
    let Deciding { person, capacity, delegations, answer, .. } = deciding;
    match excluded(proposal, person, delegations, now) {
        // Who stands in for somebody has no approval to give to what that one asks; their no, and their look, harm nobody.
        None | Some(Refusal::DelegateOfExcluded) if answer.verdict != Verdict::Approve => {}
        None => {}
        Some(refusal) => return Err(refusal),
    }
    let Some(seat) = &capacity.stands_for else { return Ok(()) };
    // Depth 1: the seat's own grant counts, and only who was asked by them fills it.
    let is_asked = delegations.iter().any(|one| one.from == seat.person && one.to == person && one.holds(now));
    if !is_asked || !seat.may_approve {
        return Err(Refusal::NoDelegation { name: seat.name.clone() });
    }
    match excluded(proposal, seat.person, delegations, now) {
        None => Ok(()),
        Some(Refusal::DelegateOfExcluded) if answer.verdict != Verdict::Approve => Ok(()),
        // What they could not approve themselves, nobody approves for them.
        Some(_) => Err(Refusal::DelegateOfExcluded),
    }
}

/// After the fact: of what ran by its level, of what somebody approved alone, whatever became of it, and of what was
/// escalated. Who approved it does not review it, nor who asked for the review.
pub(super) fn may_review(proposal: &Proposal, person: PersonId, verdict: Verdict) -> Result<(), Refusal> {
    let ran = matches!(proposal.state, State::Executed { .. });
    let is_due = proposal.review_by.is_some() && proposal.state.is_final() && verdict != Verdict::Override;
    let is_by_level = ran && proposal.level() == Level::L1;
    if !is_due && !is_by_level {
        let undo = ran && verdict == Verdict::Override;
        return Err(settled(proposal).filter(|_| !ran).unwrap_or(if undo { Refusal::UndoOver } else { Refusal::NotAsked }));
    }
    match gave(proposal, person) {
        Some(own) => Err(Refusal::SameVoice { name: own.names() }),
        None => Ok(()),
    }
}

/// What this human answered for which somebody else has to look: they approved it, or asked for the review.
pub(super) fn gave(proposal: &Proposal, person: PersonId) -> Option<&Decision> {
    let terms = proposal.terms.as_ref();
    let is_own = |decision: &&Decision| {
        matches!(decision.verdict, Verdict::Approve | Verdict::Escalate)
            && terms.is_some_and(|terms| terms.is_same_human(decision.person, person))
    };
    proposal.decisions.iter().find(is_own)
}

fn approve(
    after: &mut Proposal,
    decision: &Decision,
    today: &Terms,
    delegations: &[Delegation],
    now: OffsetDateTime,
) -> Result<(), Refusal> {
    let Some(terms) = after.terms.clone() else { return Err(Refusal::OtherForm) };
    match terms.level() {
        Level::L2 => {}
        Level::L3 => return Err(Refusal::HumanOnly),
        Level::L0 | Level::L1 => return Err(Refusal::NotAsked),
    }
    if !terms.is_as(today) {
        return Err(Refusal::PolicyChanged);
    }
    if let Some(minutes) = terms.rule.sign_in_minutes.filter(|minutes| !is_fresh(decision, *minutes)) {
        return Err(too_old(minutes));
    }
    if decision.broke_glass {
        if !terms.break_glass.contains(&decision.person) {
            return Err(Refusal::MayNotBreakGlass);
        }
        if decision.on_behalf_of.is_some() {
            return Err(Refusal::GlassForAnother);
        }
        if decision.comment.chars().count() < BREAK_GLASS_REASON {
            return Err(Refusal::BreakGlassReason);
        }
        if !is_fresh(decision, BREAK_GLASS_SIGN_IN) {
            return Err(too_old(BREAK_GLASS_SIGN_IN));
        }
    } else if let Some(other) = after.approvals().find(|other| quorum::is_same_voice(&terms, decision, other)) {
        return Err(Refusal::SameVoice { name: other.names() });
    } else if let Some(seat) = &decision.on_behalf_of
        && let Some(group) = quorum::not_of_group(&terms, &quorum::progress(&terms, after.approvals()), decision)
    {
        return Err(Refusal::NotOfGroup { group: group.into(), name: seat.name.clone() });
    }
    debug_assert!(excluded(after, decision.person, delegations, now).is_none());
    let reached = quorum::progress(&terms, after.approvals().chain([decision])).is_reached();
    if decision.broke_glass || reached {
        after.state = State::Approved { run_by: now + Duration::hours(terms.rule.run_within.into()) };
        if decision.broke_glass {
            after.review_by = Some(now + REVIEW_WITHIN);
        }
    }
    Ok(())
}

/// Whether who decided had signed in at most so many minutes before.
pub(super) fn is_fresh(decision: &Decision, minutes: u32) -> bool {
    let is = |at: OffsetDateTime| at <= decision.at + CLOCK_SKEW && decision.at - at <= Duration::minutes(minutes.into());
    decision.signed_in_at.is_some_and(is)
}

fn too_old(minutes: u32) -> Refusal {
    Refusal::SignInTooOld { minutes }
}

/// How old a sign-in may be for a deed, in minutes.
fn sign_in_of(proposal: &Proposal, today: &Terms) -> u32 {
    let asked = [proposal.terms.as_ref().and_then(|terms| terms.rule.sign_in_minutes), today.rule.sign_in_minutes];
    asked.into_iter().flatten().min().unwrap_or(SIGN_IN_AT_MOST)
}

/// The comment as it is kept. It would stand in the log for good, so what must not be kept is refused (design I12).
fn comment_of(proposal: &Proposal, verdict: Verdict, typed: &str) -> Result<String, Refusal> {
    let comment = typed.trim();
    if comment.chars().count() > MAX_COMMENT {
        return Err(Refusal::CommentTooLong);
    }
    if cui::find(comment).is_some() {
        return Err(Refusal::CommentMarked);
    }
    let is_needed = match verdict {
        Verdict::Approve => proposal.terms.as_ref().is_some_and(|terms| terms.rule.comment_needed),
        Verdict::Uphold => false,
        Verdict::Reject | Verdict::Done | Verdict::Override | Verdict::Escalate => true,
    };
    if is_needed && comment.is_empty() { Err(Refusal::CommentNeeded { verdict }) } else { Ok(comment.into()) }
}

fn expire(proposal: &Proposal, now: OffsetDateTime) -> Result<Proposal, Refusal> {
    let due = if proposal.state == State::Open { Some(proposal.decide_by) } else { run::due(proposal) };
    if now < due.ok_or_else(|| settled(proposal).unwrap_or(Refusal::NotDue))? {
        return Err(Refusal::NotDue);
    }
    if let State::Undoing { ran_at, .. } = proposal.state {
        return Ok(run::not_undone(proposal, ran_at, run::UNDO_LATE.into(), now));
    }
    Ok(Proposal { state: State::Expired { at: now, approved: proposal.state.may_run() }, ..proposal.clone() })
}
