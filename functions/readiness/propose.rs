//! Proposals that a person asks for: mark an objective with evidence attached, or take a finding back.
//!
//! Both only stage; a named approver, never the one who asks, decides. A draft is never evidence: a filed record counts
//! from its approval date on (32 CFR 170.24(b)(1)). What Assay itself knows against the wish is part of the proposal.

use time::OffsetDateTime;

use super::{
    catalogue::catalogue,
    draft::{self, Setting, Wish},
    map::evidence_map,
    mark::{MARK, MarkObjective, ROLL_BACK},
    objective::{self, Finding, Found, LastProposal},
    score, standing,
    suggest::{Outcome, Suggestion},
};
use crate::{
    app::App,
    evidence::{Evidence, Origin, cui},
    gate::{
        self, Draft, Proposal, State,
        proposal::{Cause, OpenMark},
    },
    tenancy::{ClientPlace, DeploymentScope, Held, ProposalId, Scope, Store, StoreError, directory, outbox},
};

/// What a person asks for.
#[derive(Clone, Debug)]
pub struct ByHand<'a> {
    /// `3.4.1[d]`.
    pub objective: &'a str,
    pub found: Found,
    /// Source keys of records of this client.
    pub evidence: &'a [String],
    pub reason: &'a str,
}

#[derive(Debug, thiserror::Error)]
pub enum ProposeError {
    /// A sentence for the person who asks.
    #[error("the proposal is not in order")]
    Refused(String),
    /// An open proposal asks the same already.
    #[error("an open proposal stands for this objective")]
    AlreadyOpen(ProposalId),
    #[error(transparent)]
    Store(#[from] StoreError),
}

const ATTEMPTS: usize = 4;

/// The longest reason, in characters.
const MAX_REASON: usize = 2000;

/// Stages a `mark_objective` proposal in the name of the scope's person. A proposal that Assay raised by itself gives
/// way to it; one that a person asked for does not.
pub async fn propose_by_hand(app: &App, scope: &Scope, wish: &ByHand<'_>) -> Result<ProposalId, ProposeError> {
    let store = scope.store(app).await?;
    let client = client_name(app, scope).await?;
    let mut lost = None;
    for _ in 0..ATTEMPTS {
        match attempt(&store, &client, wish).await {
            Err(ProposeError::Store(error)) if error.is_conflict() => lost = Some(error),
            Err(error) => return Err(error),
            Ok(id) => {
                send(&store).await;
                return Ok(id);
            }
        }
    }
    Err(lost.unwrap_or(StoreError::Refused { refused: vec![] }).into())
}

async fn attempt(store: &Store<'_, ClientPlace>, client: &str, wish: &ByHand<'_>) -> Result<ProposalId, ProposeError> {
    let now = store.app().now();
    let Some(determination) = catalogue().objective(wish.objective) else {
        return refused(format!("There is no objective {}.", wish.objective));
    };
    let reason = wish.reason.trim();
    if reason.is_empty() {
        return refused("Say why: the approver decides on your reason.".into());
    }
    if reason.chars().count() > MAX_REASON {
        return refused(format!("The reason is longer than {MAX_REASON} characters."));
    }
    if cui::find(reason).is_some() {
        return refused("The reason carries a CUI marking. Say it without; nothing was kept.".into());
    }
    if wish.found == Found::Met && wish.evidence.is_empty() {
        return refused("Attach at least one record: nothing becomes MET without evidence.".into());
    }
    if wish.found == Found::Partial && Found::partial_state(wish.objective).is_none() {
        return refused("Partial credit exists for 3.5.3[d] and 3.13.11[a] only.".into());
    }
    if wish.found == Found::NotApplicable && !score::may_be_not_applicable(wish.objective) {
        return refused(
            "3.12.4 is never N/A: without a system security plan there is no assessment and no score. Propose MET with the plan, or NOT MET."
                .into(),
        );
    }
    let records = records(store, wish, now).await?;
    let mut objective = objective::read(store, wish.objective).await?;
    let standing = standing::read(store).await?;
    let mut limits: Vec<String> = records.iter().map(|record| limit_of(record, wish.objective)).collect();
    limits.extend(objective.value.suggestion.iter().filter(|s| s.result == Outcome::Contradicted).filter_map(spoken_against));
    limits.dedup();
    let wish_in_full = Wish {
        found: wish.found,
        evidence: records.iter().map(|r| evidence_map().cite(r)).collect(),
        reason: reason.into(),
        reasons: vec![reason.into()],
        limits,
    };
    let setting = Setting { client, standing: &standing.value, now };
    let draft = in_form(draft::mark(setting, determination, &objective.value, wish_in_full, true))?;

    let standing_before = open_proposal(store, MARK, wish.objective).await?;
    if let Some(open) = &standing_before
        && matches!(open.value.requester, crate::tenancy::Actor::Person(_))
    {
        return Err(ProposeError::AlreadyOpen(open.value.id));
    }
    let mut batch = store.batch(ClientPlace::Assessment);
    let id = gate::stage(&mut batch, draft)?;
    if let Some(open) = standing_before {
        // Decided in this moment: the conflict of the batch runs this again.
        let _ = gate::supersede(&mut batch, &open, Some(id), Cause::AskedByHand);
    }
    objective.value.last_proposal = Some(LastProposal { id, version: 1, found: wish.found, by_hand: true });
    batch.put(objective.value, objective.etag);
    batch.commit().await?;
    Ok(id)
}

/// Stages a `roll_back_objective` proposal: what stood before the present finding stands again.
pub async fn propose_roll_back(app: &App, scope: &Scope, objective_id: &str, reason: &str) -> Result<ProposalId, ProposeError> {
    let store = scope.store(app).await?;
    let Some(determination) = catalogue().objective(objective_id) else {
        return refused(format!("There is no objective {objective_id}."));
    };
    let reason = if reason.trim().is_empty() { "Asked for without a reason." } else { reason.trim() };
    let objective = objective::read(&store, objective_id).await?.value;
    let Some(finding) = &objective.finding else {
        return refused("Nobody decided this objective, so there is nothing to take back.".into());
    };
    if let Some(open) = open_proposal(&store, ROLL_BACK, objective_id).await? {
        return Err(ProposeError::AlreadyOpen(open.value.id));
    }
    let client = client_name(app, scope).await?;
    let standing = standing::read(&store).await?;
    let setting = Setting { client: &client, standing: &standing.value, now: app.now() };
    let restore = before(&store, finding).await?;
    let draft = in_form(draft::roll_back(setting, determination, &objective, finding, restore, reason))?;
    let mut batch = store.batch(ClientPlace::Assessment);
    let id = gate::stage(&mut batch, draft)?;
    batch.commit().await?;
    send(&store).await;
    Ok(id)
}

/// What stood before a finding: its proposal says so.
async fn before(store: &Store<'_, ClientPlace>, finding: &Finding) -> Result<Option<Finding>, StoreError> {
    let proposal = store.read::<Proposal>(ClientPlace::Assessment, &finding.proposal.to_string()).await?;
    Ok(proposal.and_then(|held| serde_json::from_str::<MarkObjective>(&held.value.draft.action).ok()).and_then(|action| action.previous))
}

async fn records(store: &Store<'_, ClientPlace>, wish: &ByHand<'_>, now: OffsetDateTime) -> Result<Vec<Evidence>, ProposeError> {
    let mut records: Vec<Evidence> = Vec::new();
    for key in wish.evidence {
        let Some(held) = store.read::<Evidence>(Evidence::place(key), key).await? else {
            return refused("One of the records does not exist for this client.".into());
        };
        let record = held.value;
        match &record.origin {
            _ if record.deleted => return refused(format!("\"{}\" was deleted at its source.", record.title)),
            _ if evidence_map().cite(&record).is_stale(now) => {
                return refused(format!("\"{}\" was read too long ago to count. Read it again first.", record.title));
            }
            Origin::Filed(filed) if filed.approved_on > now.date() => {
                return refused(format!(
                    "\"{}\" is approved from {} on; until then it is a draft, and a draft is never evidence.",
                    record.title, filed.approved_on
                ));
            }
            _ => {}
        }
        if records.iter().all(|known| known.source_key != record.source_key) {
            records.push(record);
        }
    }
    Ok(records)
}

fn limit_of(record: &Evidence, objective: &str) -> String {
    let known = record.record_type.as_deref().and_then(|record_type| evidence_map().entry(record_type));
    match known.filter(|entry| entry.objectives().any(|(id, _)| id == objective)) {
        Some(entry) => entry.limits.to_owned(),
        None if matches!(record.origin, Origin::Filed(_)) => {
            format!("\"{}\" is kept by the client: Assay knows its name, place and hash, and has not read it.", record.title)
        }
        None => format!("Assay has no rule that says how far \"{}\" goes for this objective.", record.title),
    }
}

fn spoken_against(suggestion: &Suggestion) -> Option<String> {
    suggestion.reasons.first().map(|reason| format!("Observed against it: {reason}"))
}

/// The open proposal of this kind about this objective, if one is.
async fn open_proposal(store: &Store<'_, ClientPlace>, kind: &str, subject: &str) -> Result<Option<Held<Proposal>>, StoreError> {
    let open = store.all::<OpenMark>(ClientPlace::Assessment, "").await?;
    let Some(mark) = open.iter().find(|mark| mark.value.kind == kind && mark.value.subject == subject) else { return Ok(None) };
    let held = store.read::<Proposal>(ClientPlace::Assessment, &mark.value.proposal.to_string()).await?;
    Ok(held.filter(|held| held.value.state == State::Open))
}

/// The client's name, for sentences.
pub(super) async fn client_name(app: &App, scope: &Scope) -> Result<String, StoreError> {
    let directory = DeploymentScope::of_function("readiness", scope.correlation()).store(app).await?;
    Ok(directory::tenant(&directory, scope.tenant()).await?.map_or_else(|| "this client".into(), |tenant| tenant.name))
}

/// What is staged is durable; what cannot be sent now is sent by the sweep.
async fn send(store: &Store<'_, ClientPlace>) {
    if let Err(error) = outbox::flush(store, ClientPlace::Assessment).await {
        tracing::warn!(error = %error, "the outbox waits for the sweep");
    }
}

fn in_form(draft: Option<Draft>) -> Result<Draft, ProposeError> {
    draft.ok_or_else(|| ProposeError::Refused("The proposal could not be put into its stored form.".into()))
}

fn refused<T>(why: String) -> Result<T, ProposeError> {
    Err(ProposeError::Refused(why))
}
