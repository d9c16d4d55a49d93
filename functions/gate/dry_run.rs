//! What a changed policy would have meant lately: a look back, for the people who ask for the change. Changes nothing.
//!
//! Each decision of the last thirty days is held against what the new terms ask: level, quorum and groups, comment, age of
//! the sign-in, who may approve alone, and both clocks. What people would have done under other terms nobody knows: it says
//! which of their answers would not have been enough, or not in time, and why. Reminders change no outcome.

use time::{Duration, OffsetDateTime};

use super::{
    level::Level,
    machine::is_fresh,
    policy::{KINDS, Policy, Terms},
    proposal::Proposal,
    quorum,
    state::{Decision, State},
};
use crate::tenancy::{ClientPlace, ProposalId, Store, StoreError};

pub const LOOKS_BACK: Duration = Duration::days(30);
/// Proposals looked at; the newest, if there are more.
pub const MOST: usize = 1000;

/// One kind of action in the time looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// The kind in words.
    pub kind: &'static str,
    pub staged: usize,
    /// Approved, or recorded as done, whatever became of it then.
    pub decided: usize,
    /// What would have come out otherwise, newest first.
    pub otherwise: Vec<Otherwise>,
}

/// A proposal that would have come out otherwise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Otherwise {
    pub proposal: ProposalId,
    pub question: String,
    /// Sentences.
    pub why: Vec<String>,
}

/// The proposals of the time looked at, newest first.
pub async fn lately(store: &Store<'_, ClientPlace>, now: OffsetDateTime) -> Result<Vec<Proposal>, StoreError> {
    let (mut found, mut after) = (Vec::new(), None);
    loop {
        let (page, next) = store.page::<Proposal>(ClientPlace::Assessment, "", true, 100, after).await?;
        let is_last = next.is_none() || page.last().is_none_or(|held| held.value.staged_at < now - LOOKS_BACK);
        found.extend(page.into_iter().map(|held| held.value).filter(|proposal| proposal.staged_at >= now - LOOKS_BACK));
        if is_last || found.len() >= MOST {
            found.truncate(MOST);
            return Ok(found);
        }
        after = next;
    }
}

/// For each kind that the change concerns.
pub fn weigh(proposals: &[Proposal], today: &Policy, wanted: &Policy, now: OffsetDateTime) -> Vec<Line> {
    let line = |&(kind, _, words): &(&'static str, Level, &'static str)| {
        let (today, terms) = (today.terms(kind), wanted.terms(kind));
        if today.is_as(&terms) {
            return None;
        }
        let mut line = Line { kind: words, staged: 0, decided: 0, otherwise: vec![] };
        for proposal in proposals.iter().filter(|proposal| proposal.draft.kind == kind) {
            line.staged += 1;
            line.decided += usize::from(is_decided(proposal));
            let why = why(proposal, &terms, now);
            if !why.is_empty() {
                line.otherwise.push(Otherwise { proposal: proposal.id, question: proposal.draft.question.clone(), why });
            }
        }
        Some(line)
    };
    KINDS.iter().filter_map(line).collect()
}

/// Somebody approved it and that was enough, or it was recorded as done.
fn is_decided(proposal: &Proposal) -> bool {
    match proposal.state {
        State::Open | State::Rejected { .. } | State::Expired { approved: false, .. } => false,
        State::Recorded { .. } => true,
        _ => proposal.approvals().any(|one| one.broke_glass) || (proposal.approvals().count() > 0 && proposal.progress().is_reached()),
    }
}

/// Why it would have come out otherwise; empty where it would not.
fn why(proposal: &Proposal, terms: &Terms, now: OffsetDateTime) -> Vec<String> {
    let (was, is) = (proposal.level(), terms.level());
    match (was, is) {
        (Level::L0 | Level::L1, Level::L0 | Level::L1) | (Level::L3, Level::L3) if !matches!(proposal.state, State::Recorded { .. }) => {
            late_decision(proposal, terms, now).into_iter().collect()
        }
        (Level::L3, Level::L3) => recorded(proposal, terms),
        (_, Level::L3) => vec!["A person would have had to do it, and to record it.".into()],
        (Level::L0 | Level::L1, Level::L2) => vec!["It would have waited for an approval before it ran.".into()],
        (_, Level::L0 | Level::L1) => vec!["It would have run without waiting for an approval.".into()],
        (Level::L2 | Level::L3, Level::L2) => approved(proposal, terms, now),
    }
}

fn recorded(proposal: &Proposal, terms: &Terms) -> Vec<String> {
    let deed = proposal.decision().filter(|deed| !terms.rule.sign_in_minutes.is_none_or(|minutes| is_fresh(deed, minutes)));
    deed.map(|deed| sign_in_words(deed, terms)).into_iter().collect()
}

fn approved(proposal: &Proposal, terms: &Terms, now: OffsetDateTime) -> Vec<String> {
    if !is_decided(proposal) {
        return late_decision(proposal, terms, now).into_iter().collect();
    }
    let (mut counts, mut why, mut alone): (Vec<&Decision>, Vec<String>, bool) = (vec![], vec![], false);
    for one in proposal.approvals() {
        let mut bad = Vec::new();
        if terms.rule.comment_needed && one.comment.trim().is_empty() {
            bad.push(format!("{} approved it without a comment.", one.names()));
        }
        if terms.rule.sign_in_minutes.is_some_and(|minutes| !is_fresh(one, minutes)) {
            bad.push(sign_in_words(one, terms));
        }
        if one.at >= proposal.staged_at + hours(terms.rule.decide_within) {
            let after = (one.at - proposal.staged_at).whole_hours();
            bad.push(format!("{} approved it after {}; it would have expired.", one.names(), hours_words(after)));
        }
        if one.broke_glass && !terms.break_glass.contains(&one.person) {
            bad.push(format!("{} approved it alone, and could not have.", one.names()));
        } else if bad.is_empty() {
            alone |= one.broke_glass;
            counts.push(one);
        }
        why.extend(bad);
    }
    let progress = quorum::progress(terms, counts.iter().copied());
    if alone || progress.is_reached() {
        // An approval too many that would not have counted changed nothing.
        why.clear();
    } else {
        why.push(format!("It would have waited for another approval: {}.", progress.words()));
    }
    let last = counts.iter().map(|one| one.at).max();
    if let (State::Executed { at, .. }, Some(last)) = (&proposal.state, last)
        && *at >= last + hours(terms.rule.run_within)
    {
        why.push(format!("It was carried out {} after its approval, and would have expired.", hours_words((*at - last).whole_hours())));
    }
    why
}

/// Of what nobody decided: whether the other clock would have ended it, or not.
fn late_decision(proposal: &Proposal, terms: &Terms, now: OffsetDateTime) -> Option<String> {
    let until = proposal.staged_at + hours(terms.rule.decide_within);
    match proposal.state {
        State::Open if until <= now && now < proposal.decide_by => Some("It waits still, and would have expired.".into()),
        State::Expired { at, approved: false } if at < until => Some(format!(
            "It expired undecided, and would have waited {} longer.",
            hours_words((until - proposal.decide_by.min(at)).whole_hours())
        )),
        State::Rejected { at } if until <= at => Some("It was rejected, and would have expired before that.".into()),
        _ => None,
    }
}

fn sign_in_words(one: &Decision, terms: &Terms) -> String {
    let allowed = terms.rule.sign_in_minutes.unwrap_or_default();
    let age = one.signed_in_at.map(|at| (one.at - at).whole_minutes());
    let how = age.map_or_else(|| "nobody knows when they had signed in".into(), |age| format!("they had signed in {age} minutes before"));
    format!("When {} answered, {how}; it may be {allowed} minutes at most.", one.names())
}

fn hours(n: u32) -> Duration {
    Duration::hours(n.into())
}

fn hours_words(n: i64) -> String {
    match n {
        i64::MIN..=0 => "less than an hour".into(),
        1 => "1 hour".into(),
        n => format!("{n} hours"),
    }
}
