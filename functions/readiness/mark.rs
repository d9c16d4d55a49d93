//! What the gate runs for readiness: marking an objective, and taking a marking back.
//!
//! The action's bytes are made once, with the draft; [`perform`] applies exactly those, inside the batch in which the
//! gate records the execution. An action applies only while the finding is still the one it was proposed against, so a
//! marking never overwrites a decision that its approver did not see. Each kind is the other's inverse.

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{
    catalogue::{Determination, catalogue},
    objective::{self, Finding, Found, Objective},
    score, standing,
};
use crate::{
    audit,
    evidence::EvidenceRef,
    gate::{Decision, NotPerformed, Proposal},
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
    /// What stands again; `None` is undecided.
    pub restore: Option<Finding>,
}

/// Whether a kind of action is readiness's to perform.
pub fn performs(kind: &str) -> bool {
    matches!(kind, MARK | ROLL_BACK)
}

/// What an action of readiness is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Subject {
    /// `3.4.1[d]`
    pub objective: &'static str,
    /// `CM.L2-3.4.1`
    pub requirement: &'static str,
}

/// For links; `None` when the bytes are no action of readiness, or about nothing in the catalogue.
pub fn subject_of(action: &str) -> Option<Subject> {
    let action: serde_json::Value = serde_json::from_str(action).ok()?;
    let objective = catalogue().objective(action["objective"].as_str()?)?;
    let requirement = catalogue().requirement(objective.requirement())?;
    Some(Subject { objective: objective.id, requirement: requirement.cmmc_id })
}

/// Adds to the gate's batch what the approved proposal does: the objective's record, the standing, the audit item.
pub async fn perform(proposal: &Proposal, decision: &Decision, batch: &mut Batch<'_, '_, ClientPlace>) -> Result<(), NotPerformed> {
    match proposal.draft.kind.as_str() {
        MARK => {
            let action: MarkObjective = parse(&proposal.draft.action)?;
            known(&action.objective)?;
            if action.found == Found::NotApplicable && !score::may_be_not_applicable(&action.objective) {
                return Err(NotPerformed::Refused("3.12.4, the system security plan, is never N/A.".into()));
            }
            let finding = Finding {
                found: action.found,
                person: decision.person,
                name: decision.name.clone(),
                decided_at: decision.at,
                proposal: proposal.id,
                evidence: action.evidence,
                reason: action.reason,
                comment: decision.comment.clone(),
            };
            let still_applies = |objective: &Objective| objective.finding == action.previous;
            write(batch, proposal.id, "objective.marked", &action.objective, Some(finding), still_applies).await
        }
        ROLL_BACK => {
            let action: RollBackObjective = parse(&proposal.draft.action)?;
            known(&action.objective)?;
            let still_applies = |objective: &Objective| objective.finding.as_ref().is_some_and(|f| f.proposal == action.of);
            write(batch, proposal.id, "objective.rolled_back", &action.objective, action.restore.clone(), still_applies).await
        }
        other => Err(NotPerformed::Refused(format!("This release does not know how to run \"{other}\"."))),
    }
}

async fn write(
    batch: &mut Batch<'_, '_, ClientPlace>,
    proposal: ProposalId,
    event: &'static str,
    id: &str,
    finding: Option<Finding>,
    still_applies: impl Fn(&Objective) -> bool,
) -> Result<(), NotPerformed> {
    let store = batch.store();
    let mut objective = objective::read(store, id).await?;
    if !still_applies(&objective.value) {
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
        .ok_or_else(|| NotPerformed::Refused(format!("There is no objective {objective} in this release's catalogue.")))
}

fn parse<'a, T: Deserialize<'a>>(action: &'a str) -> Result<T, NotPerformed> {
    serde_json::from_str(action).map_err(|_| NotPerformed::Refused("The stored action is not in a form that this release knows.".into()))
}
