//! What follows an approval, or a clearance by level: the last look before an action runs, and what becomes of it.
//!
//! Pure, like all of the machine. Trusts nothing that the decision checked: the record may have been changed or rolled
//! back in between, people may have lost their right, the policy may ask something else.

use time::{Duration, OffsetDateTime};

use super::{
    delegation::Delegation,
    event::{Facts, Verdict, Voice},
    hash::{FORM, hash_of},
    level::Level,
    machine::{blocked, excluded, is_fresh, settled},
    policy::{BREAK_GLASS_SIGN_IN, REVIEW_WITHIN, Rule, Terms},
    proposal::Proposal,
    quorum,
    refusal::Refusal,
    state::{Decision, State},
};

/// Carries it out, if all still holds.
pub(super) fn execute(proposal: &Proposal, facts: &Facts, now: OffsetDateTime) -> Result<Proposal, Refusal> {
    let run_by = waits(proposal)?;
    let terms = unchanged(proposal, facts)?;
    if !terms.is_as(&facts.today) {
        return Err(Refusal::PolicyChanged);
    }
    match (&proposal.state, terms.level()) {
        (_, Level::L3) => return Err(Refusal::HumanOnly),
        (State::Cleared { .. }, Level::L0 | Level::L1) => {
            if now >= run_by || run_by > proposal.staged_at + run_within(terms) {
                return Err(Refusal::Expired { at: run_by });
            }
            if !facts.is_clearance_signed {
                return Err(Refusal::NotSigned { name: "Assay".into() });
            }
        }
        (State::Approved { .. }, Level::L2) => has_quorum(proposal, terms, facts, run_by, now)?,
        _ => return Err(Refusal::NotApproved),
    }
    if !facts.changed_evidence.is_empty() {
        return Err(Refusal::EvidenceChanged { titles: facts.changed_evidence.clone() });
    }
    blocked(proposal, now).map_or(Ok(()), Err)?;
    Ok(Proposal { state: executed(proposal, now), ..proposal.clone() })
}

/// Runs the compensating action of what was overridden in time by somebody who signed that.
pub(super) fn undo(proposal: &Proposal, facts: &Facts, now: OffsetDateTime) -> Result<Proposal, Refusal> {
    let State::Undoing { ran_at, .. } = proposal.state else { return Err(settled(proposal).unwrap_or(Refusal::NotApproved)) };
    if let Some(at) = due(proposal).filter(|due| now >= *due) {
        return Err(Refusal::Expired { at });
    }
    let terms = unchanged(proposal, facts)?;
    let overrides = |(decision, voice): &(&Decision, &Voice)| {
        decision.verdict == Verdict::Override && decision.version == proposal.version && decision.hash == proposal.hash && voice.is_signed
    };
    let signed = proposal.decisions.iter().zip(&facts.voices).rev().find(|one| overrides(one));
    let Some((said, voice)) = signed.filter(|_| terms.level() == Level::L1) else {
        return Err(Refusal::NotSigned { name: "the person who undid it".into() });
    };
    if !voice.may_approve {
        return Err(Refusal::AuthorityGone { name: said.names() });
    }
    stood_in(said, &facts.delegations)?;
    Ok(Proposal { state: State::RolledBack { at: now, by: None, ran_at }, ..proposal.clone() })
}

/// What it becomes when its action has worked.
pub(super) fn executed(proposal: &Proposal, now: OffsetDateTime) -> State {
    let undo = |terms: &Terms| (terms.level() == Level::L1).then(|| now + Duration::hours(terms.rule.undo_within.into()));
    State::Executed { at: now, undo_until: proposal.terms.as_ref().and_then(undo) }
}

/// Until when what waits for its run may run, or what somebody overrode may be undone: as long after that as it had to run.
pub(super) fn due(proposal: &Proposal) -> Option<OffsetDateTime> {
    let within = || proposal.terms.as_ref().map_or_else(|| Rule::of_kind(&proposal.draft.kind).run_within, |terms| terms.rule.run_within);
    match proposal.state {
        State::Undoing { since, .. } => Some(since + Duration::hours(within().into())),
        _ => proposal.state.run_by(),
    }
}

/// Why what nobody undid in time stands, for people.
pub(super) const UNDO_LATE: &str = "It was not undone in time.";

/// What it did stands, and people see to it.
pub(super) fn not_undone(proposal: &Proposal, ran_at: OffsetDateTime, why: String, now: OffsetDateTime) -> Proposal {
    Proposal { state: State::NotUndone { at: now, ran_at, why }, review_by: Some(now + REVIEW_WITHIN), ..proposal.clone() }
}

/// Whether an outward action has begun, and so can end.
pub(super) fn begun(proposal: &Proposal) -> Result<(), Refusal> {
    match &proposal.state {
        State::Executing { .. } => Ok(()),
        _ => Err(settled(proposal).unwrap_or(Refusal::NotApproved)),
    }
}

/// Whether it waits for its run or has begun, and so can turn out not to work.
pub(super) fn tried(proposal: &Proposal) -> Result<(), Refusal> {
    begun(proposal).or_else(|_| waits(proposal).map(drop))
}

/// Until when what waits for its run may run.
pub(super) fn waits(proposal: &Proposal) -> Result<OffsetDateTime, Refusal> {
    proposal.state.run_by().ok_or_else(|| settled(proposal).unwrap_or(Refusal::NotApproved))
}

/// The proposal is what was hashed, for this client, in the version that was asked for.
fn unchanged<'p>(proposal: &'p Proposal, facts: &Facts) -> Result<&'p Terms, Refusal> {
    let Some(terms) = proposal.terms.as_ref().filter(|_| proposal.form == FORM) else { return Err(Refusal::OtherForm) };
    if hash_of(facts.tenant, proposal) != proposal.hash {
        return Err(Refusal::Tampered);
    }
    if facts.version != proposal.version {
        return Err(Refusal::WrongVersion { current: proposal.version });
    }
    Ok(terms)
}

/// Counts the approvals that are worth something now; each names this version and hash, was given in time, is signed, and
/// its giver still may.
fn has_quorum(proposal: &Proposal, terms: &Terms, facts: &Facts, run_by: OffsetDateTime, now: OffsetDateTime) -> Result<(), Refusal> {
    let mut valid: Vec<&Decision> = Vec::new();
    let mut fault = None;
    let none = Voice { is_signed: false, may_approve: false };
    for (n, decision) in proposal.decisions.iter().enumerate().filter(|(_, decision)| decision.verdict == Verdict::Approve) {
        let voice = facts.voices.get(n).copied().unwrap_or(none);
        match worth(proposal, terms, decision, (voice, &facts.delegations), now) {
            Ok(()) => valid.push(decision),
            Err(why) => fault = fault.or(Some(why)),
        }
    }
    let broke_glass = valid
        .iter()
        .any(|decision| decision.broke_glass && terms.break_glass.contains(&decision.person) && is_fresh(decision, BREAK_GLASS_SIGN_IN));
    let progress = quorum::progress(terms, valid.iter().copied());
    if !broke_glass && !progress.is_reached() {
        return Err(fault.unwrap_or(Refusal::QuorumMissing { words: progress.words() }));
    }
    // From the last approval on: an earlier one was not enough.
    let last = valid.iter().map(|decision| decision.at).max().unwrap_or(proposal.staged_at);
    if now >= run_by || run_by > last + run_within(terms) {
        return Err(Refusal::Expired { at: run_by });
    }
    Ok(())
}

fn worth(
    proposal: &Proposal,
    terms: &Terms,
    decision: &Decision,
    (voice, delegations): (Voice, &[Delegation]),
    now: OffsetDateTime,
) -> Result<(), Refusal> {
    if decision.version != proposal.version {
        return Err(Refusal::WrongVersion { current: proposal.version });
    }
    if decision.hash != proposal.hash {
        return Err(Refusal::WrongHash);
    }
    for person in [decision.person, decision.seat()] {
        excluded(proposal, person, delegations, now).map_or(Ok(()), |why| match why {
            Refusal::DelegateOfExcluded => Err(Refusal::StoodForExcluded { name: decision.names() }),
            why => Err(why),
        })?;
    }
    stood_in(decision, delegations)?;
    if decision.at >= proposal.decide_by {
        return Err(Refusal::Expired { at: proposal.decide_by });
    }
    if let Some(minutes) = terms.rule.sign_in_minutes.filter(|minutes| !is_fresh(decision, *minutes)) {
        return Err(Refusal::SignInTooOld { minutes });
    }
    if !voice.is_signed {
        return Err(Refusal::NotSigned { name: decision.names() });
    }
    if !voice.may_approve {
        return Err(Refusal::AuthorityGone { name: decision.names() });
    }
    Ok(())
}

/// Who answered in somebody's place had been asked and had agreed when they did.
fn stood_in(decision: &Decision, delegations: &[Delegation]) -> Result<(), Refusal> {
    let held = |one: &Delegation| one.from == decision.seat() && one.to == decision.person && one.holds(decision.at);
    if decision.on_behalf_of.is_none() || delegations.iter().any(held) {
        return Ok(());
    }
    Err(Refusal::StoodInForNobody { name: decision.names() })
}

fn run_within(terms: &Terms) -> Duration {
    Duration::hours(terms.rule.run_within.into())
}
