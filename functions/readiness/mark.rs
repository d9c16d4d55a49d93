//! What the gate runs for readiness: marking an objective, and taking a marking back.
//!
//! The action's bytes are made once, with the draft; [`perform`] applies exactly those, inside the batch in which the
//! gate records the execution. An action applies only while the finding is still the one it was proposed against, so a
//! marking never overwrites a decision that its approver did not see. Each kind is the other's inverse.

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{
    catalogue::{Determination, Requirement, catalogue},
    objective::{self, Finding, Found, Objective, Restored},
    score, standing,
};
use crate::{
    audit,
    evidence::EvidenceRef,
    gate::{self, Decision, NotPerformed, Proposal},
    tenancy::{Batch, ClientPlace, ProposalId},
};

pub const MARK: &str = "mark_objective";
pub const ROLL_BACK: &str = "roll_back_objective";

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MarkObjective {
    pub objective: String,
    pub found: Found,
    /// The records on which the finding will rest.
    pub evidence: Vec<EvidenceRef>,
    /// Why, in the words of the person who asks; it becomes part of the finding.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// The finding it replaces.
    pub previous: Option<Finding>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RollBackObjective {
    pub objective: String,
    /// The proposal whose finding is taken back.
    pub of: ProposalId,
    /// What stands again, on records that count at the time of asking; `None` is undecided.
    pub restore: Option<Finding>,
}

/// Whether a kind of action is readiness's to perform.
pub fn performs(kind: &str) -> bool {
    matches!(kind, MARK | ROLL_BACK)
}

/// An action of readiness, read from its exact bytes.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    Mark(MarkObjective),
    RollBack(RollBackObjective),
}

/// What an action is about.
#[derive(Clone, Copy, Debug)]
pub struct Subject {
    pub determination: &'static Determination,
    pub requirement: &'static Requirement,
}

impl Action {
    /// `None` when the bytes are no action of readiness, or about nothing in the catalogue.
    pub fn of(bytes: &str) -> Option<(Self, Subject)> {
        let marks = || Some(Self::Mark(serde_json::from_str(bytes).ok()?));
        let takes_back = || Some(Self::RollBack(serde_json::from_str(bytes).ok()?));
        let action = marks().or_else(takes_back)?;
        let determination = catalogue().objective(action.objective())?;
        let requirement = catalogue().requirement(determination.requirement())?;
        Some((action, Subject { determination, requirement }))
    }

    /// `3.4.1[d]`
    pub fn objective(&self) -> &str {
        let (Self::Mark(MarkObjective { objective, .. }) | Self::RollBack(RollBackObjective { objective, .. })) = self;
        objective
    }

    /// What would stand; `None` is undecided.
    pub fn found(&self) -> Option<Found> {
        match self {
            Self::Mark(mark) => Some(mark.found),
            Self::RollBack(back) => back.restore.as_ref().map(|finding| finding.found),
        }
    }

    /// Whether the objective still stands as it did when this was asked.
    pub fn applies_to(&self, objective: &Objective) -> bool {
        match self {
            Self::Mark(mark) => objective.finding == mark.previous,
            Self::RollBack(back) => objective.finding.as_ref().is_some_and(|finding| finding.proposal == back.of),
        }
    }
}

/// Adds to the gate's batch what the approved proposal does: the objective's record, the standing, the audit item.
pub async fn perform(proposal: &Proposal, decision: Option<&Decision>, batch: &mut Batch<'_, '_, ClientPlace>) -> Result<(), NotPerformed> {
    // A finding is a named human's.
    let Some(decision) = decision else { return Err(NotPerformed::Refused("Nobody approved it.".into())) };
    let action = match proposal.draft.kind.as_str() {
        MARK => Action::Mark(parse(&proposal.draft.action)?),
        ROLL_BACK => Action::RollBack(parse(&proposal.draft.action)?),
        other => return Err(NotPerformed::Failed(format!("This release does not know how to run \"{other}\"."))),
    };
    known(action.objective())?;
    let (event, finding) = match &action {
        Action::Mark(mark) => {
            if mark.found == Found::NotApplicable && !score::may_be_not_applicable(&mark.objective) {
                return Err(NotPerformed::Failed("3.12.4, the system security plan, is never N/A.".into()));
            }
            let finding = Finding {
                found: mark.found,
                person: decision.person,
                name: decision.name.clone(),
                decided_at: decision.at,
                proposal: proposal.id,
                evidence: mark.evidence.clone(),
                reason: mark.reason.clone(),
                comment: decision.comment.clone(),
                restored: None,
            };
            ("objective.marked", Some(finding))
        }
        Action::RollBack(back) => {
            let rests_on = back.restore.iter().flat_map(|finding| &finding.evidence);
            // Its approver saw, and the gate looked at, the draft's records and no others.
            if !rests_on.eq(&proposal.draft.evidence) {
                return Err(NotPerformed::Refused(
                    "What would stand again rests on records that the approver was not shown. Ask again to take the finding back.".into(),
                ));
            }
            let (person, name) = (decision.person, decision.name.clone());
            let restored = Some(Restored { person, name, at: decision.at, proposal: proposal.id });
            ("objective.rolled_back", back.restore.clone().map(|finding| Finding { restored, ..finding }))
        }
    };
    if let Action::RollBack(back) = &action
        && let Some(made) = batch.store().read::<Proposal>(batch.place(), &back.of.to_string()).await?
    {
        // One of an earlier release may say otherwise of itself; the objective's record is what counts.
        gate::rolled_back(batch, &made, proposal.id);
    }
    write(batch, proposal.id, event, &action, finding).await
}

async fn write(
    batch: &mut Batch<'_, '_, ClientPlace>,
    proposal: ProposalId,
    event: &'static str,
    action: &Action,
    finding: Option<Finding>,
) -> Result<(), NotPerformed> {
    let (store, id) = (batch.store(), action.objective());
    let mut objective = objective::read(store, id).await?;
    if !action.applies_to(&objective.value) {
        return Err(NotPerformed::Refused(format!("{id} was decided otherwise after this was proposed; nothing was changed.")));
    }
    let mut standing = standing::read(store).await?;
    let words = |finding: Option<&Finding>| finding.map_or("undecided", |f| f.found.words());
    let detail = json!({
        "objective": id,
        "before": words(objective.value.finding.as_ref()),
        "after": words(finding.as_ref()),
        "proposal": proposal,
        "evidence": finding.iter().flat_map(|f| &f.evidence).map(|e| json!({ "record": e.source_key, "hash": e.hash })).collect::<Vec<_>>(),
    });
    objective.value.finding = finding;
    standing.value.note(&objective.value);
    batch.put(objective.value, objective.etag).put(standing.value, standing.etag);
    audit::record(batch, audit::Event::new(event, format!("objective {id}"), detail));
    Ok(())
}

fn known(objective: &str) -> Result<&'static Determination, NotPerformed> {
    catalogue()
        .objective(objective)
        .ok_or_else(|| NotPerformed::Failed(format!("There is no objective {objective} in this release's catalogue.")))
}

fn parse<'a, T: Deserialize<'a>>(action: &'a str) -> Result<T, NotPerformed> {
    serde_json::from_str(action).map_err(|_| NotPerformed::Failed("The stored action is not in a form that this release knows.".into()))
}
