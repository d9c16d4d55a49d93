//! The rule of raising: what an analysis does about the proposals of one objective, when its suggestion is known.
//!
//! Pure: what was suggested, what is suggested now, and where the last proposal stands; out comes a step, which `analyze`
//! takes in the batch of what was learned. It raises questions for a named human and never decides one.

use time::OffsetDateTime;

use super::{
    map::Grade,
    objective::{Found, Objective},
    suggest::{Outcome, Suggestion},
};
use crate::gate::State;

/// What an analysis does about the proposals of one objective.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    Leave,
    /// The answer is the same: the waiting proposal stays, with the references of today in a new version.
    Refresh,
    /// The waiting proposal no longer stands, and nothing takes its place.
    Withdraw,
    /// A new proposal, which takes the place of a waiting one if there is one.
    Raise(Found),
}

/// How the draft of a waiting proposal stands to what is known now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Waiting {
    /// See [`super::draft::is_outdated`].
    pub outdated: bool,
    /// Nobody could approve it as it stands; see [`crate::gate::machine::blocked`].
    pub blocked: bool,
}

/// The rule of raising. A proposal is raised or replaced only when result, grade or a contradiction changed, or when the
/// last one ended without an answer; a rejection is an answer to who asked, rule or person. What waits and refers to
/// something older than today's records is brought up to date, or withdrawn when nothing, or nothing fresh, is left. An
/// objective that a human decided gets none by itself, unless something observed contradicts a MET: then a NOT MET is
/// proposed. What a person proposed is left alone, unless a contradiction appears that its approver could not have seen.
pub fn step(objective: &Objective, new: Option<&Suggestion>, last: Option<&State>, waiting: Waiting, now: OffsetDateTime) -> Step {
    let Some(new) = new else {
        let is_raised = objective.last_proposal.as_ref().is_some_and(|asked| !asked.by_hand);
        let waits = last.is_some_and(waits);
        return if is_raised && waits { Step::Withdraw } else { Step::Leave };
    };
    let differs = new.differs_from(objective.suggestion.as_ref());
    let wanted = wanted(objective, new, now);
    match (last, &objective.last_proposal) {
        (Some(state), Some(asked)) if waits(state) => {
            let unseen = differs && new.result == Outcome::Contradicted && asked.found.answer().counts_as_met();
            match wanted {
                _ if asked.by_hand && !unseen => {
                    if waiting.outdated {
                        Step::Refresh
                    } else {
                        Step::Leave
                    }
                }
                _ if !differs && !waiting.outdated && !waiting.blocked => Step::Leave,
                Some(found) if !differs && found == asked.found => Step::Refresh,
                Some(found) => Step::Raise(found),
                None => Step::Withdraw,
            }
        }
        _ if differs || is_unanswered(objective, last) => wanted.map_or(Step::Leave, Step::Raise),
        _ => Step::Leave,
    }
}

/// Whether it may still be decided, or run.
fn waits(state: &State) -> bool {
    *state == State::Open || state.may_run()
}

/// Whether the last proposal ended, and what the rule asks was never answered: a no to what a person proposed, perhaps
/// with the wrong document, is none to the rule's own evidence.
fn is_unanswered(objective: &Objective, last: Option<&State>) -> bool {
    objective.last_proposal.as_ref().is_some_and(|asked| match last {
        Some(State::Expired { .. } | State::Refused { .. } | State::Withdrawn { .. }) => !asked.rule_rejected,
        Some(State::Rejected { .. }) => asked.by_hand && !asked.rule_rejected,
        _ => false,
    })
}

fn wanted(objective: &Objective, suggestion: &Suggestion, now: OffsetDateTime) -> Option<Found> {
    if suggestion.grade < Grade::Partial || !suggestion.is_fresh(now) || suggestion.rests_on(now).next().is_none() {
        return None;
    }
    match (objective.finding.as_ref().map(|f| f.found), suggestion.result) {
        (None, Outcome::LikelyMet) if suggestion.population_complete => Some(Found::Met),
        // To disprove, one observed record is enough.
        (Some(Found::Met | Found::NotApplicable), Outcome::Contradicted) => Some(Found::NotMet),
        _ => None,
    }
}
