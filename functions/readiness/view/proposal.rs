//! What readiness adds to the decision page of a proposal of its own: what its kind is called, where its subject has a
//! page, what it changes as of now, what it did, and whether that can be taken back.
//!
//! A proposal may wait for days while others are decided; its own words about before and after, which its hash covers,
//! stay those of the day it was asked. Reads only.

use crate::{
    readiness::{
        draft,
        mark::Action,
        objective::{self, Objective, readable},
        standing,
    },
    tenancy::{ClientPlace, Gathered, ProposalId, StoreError, Wanted},
};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnProposal {
    /// `Mark an objective`.
    pub kind: &'static str,
    /// `CM.L2-3.4.1`
    pub requirement: &'static str,
    /// What stands now, and what would stand if it were carried out now; `None` when a record of it cannot be read.
    pub today: Option<[String; 2]>,
    /// What it made of the objective, for when it was carried out.
    pub done: String,
    /// Whether the finding that it made is known to stand, so that it can be taken back.
    pub stands: bool,
}

/// What it needs, beside the gate's own, to show a proposal about this objective, where somebody knows which.
pub fn wanted(objective: Option<&str>) -> Vec<Wanted> {
    let of_subject = objective.map(objective::wanted);
    [standing::wanted()].into_iter().chain(of_subject).collect()
}

/// `None` when the action is none of readiness's.
pub async fn own_proposal(found: &Gathered<'_, '_, ClientPlace>, id: ProposalId, action: &str) -> Result<Option<OwnProposal>, StoreError> {
    let Some((action, subject)) = Action::of(action) else { return Ok(None) };
    let objective = readable(objective::among(found, subject.determination.id).await)?.map(|kept| kept.value);
    let standing = readable(standing::among(found).await)?.map(|kept| kept.value);
    let (now, label) = (found.store().app().now(), subject.determination.cmmc_id());

    let today = objective.as_ref().zip(standing.as_ref()).map(|(objective, standing)| {
        let mut today = draft::sides(standing, subject.determination, objective, action.found(), now);
        if !action.applies_to(objective) {
            today[1] =
                "Nothing would change: the objective was decided otherwise after this was asked, so it would not be carried out.".into();
        }
        today
    });
    let (kind, left, mut done) = match &action {
        Action::Mark(mark) => ("Mark an objective", Some(id), format!("{label} became {}.", mark.found.words())),
        Action::RollBack(back) => {
            let restored = back.restore.as_ref();
            ("Take back a finding", restored.map(|finding| finding.proposal), format!("{label} became {}.", draft::again(restored)))
        }
    };
    let standing_now = |objective: &Objective| objective.finding.as_ref().map(|finding| finding.proposal);
    if let Some(objective) = objective.as_ref().filter(|objective| standing_now(objective) != left) {
        done = format!("{done} It was decided anew since: today it is {}.", objective.answer().words());
    }
    let stands = objective.as_ref().and_then(standing_now) == Some(id);
    Ok(Some(OwnProposal { kind, requirement: subject.requirement.cmmc_id, today, done, stands }))
}
