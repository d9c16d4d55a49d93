//! Proposals that a person asks for: mark an objective with evidence attached, or take a finding back.
//!
//! Both only stage; a named approver, never the one who asks, decides. A draft is never evidence: a filed record counts
//! from its approval date on (32 CFR 170.24(b)(1)). What Assay itself knows against the wish is part of the proposal.

use time::OffsetDateTime;

use super::{
    catalogue::{Determination, catalogue},
    draft::{self, Setting, TakeBack, Wish},
    map::evidence_map,
    mark::{Action, MARK, MarkObjective, ROLL_BACK, Subject},
    objective::{self, Finding, Found, LastProposal, Objective, readable},
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
    web::pages::FieldError,
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
    /// A sentence for the person who asks, at the field of the engineer's form that it is about.
    #[error("the proposal is not in order")]
    Refused(FieldError),
    /// An open proposal asks the same already, and rests on all that is attached here.
    #[error("an open proposal stands for this objective")]
    AlreadyOpen(ProposalId),
    /// Not the finding that is to be taken back stands; a sentence for the person who asks.
    #[error("another finding stands, or none")]
    OtherFinding(String),
    /// A person asks for something else about the objective; that has to be decided first.
    #[error("an open proposal asks for something else")]
    OtherOpen(Box<OpenMark>),
    #[error(transparent)]
    Store(#[from] StoreError),
}

const ATTEMPTS: usize = 4;

/// The longest reason, in characters.
pub const MAX_REASON: usize = 2000;

/// Whether [`propose_by_hand`] would take this wish, its records aside: asked before a document is filed for it. Of the
/// records only the source keys count here; they need not exist yet.
pub async fn check_by_hand(app: &App, scope: &Scope, wish: &ByHand<'_>) -> Result<(), ProposeError> {
    in_order(wish)?;
    let store = scope.store(app).await?;
    way_is_free(open_proposal(&store, MARK, wish.objective).await?.as_ref(), wish)
}

/// Stages a `mark_objective` proposal in the name of the scope's person. A proposal that Assay raised by itself gives
/// way to it; one that a person asked for does not.
pub async fn propose_by_hand(app: &App, scope: &Scope, wish: &ByHand<'_>) -> Result<ProposalId, ProposeError> {
    let store = scope.store(app).await?;
    let client = client_name(app, scope).await?;
    stage(&store, || attempt(&store, &client, wish)).await
}

/// Again when somebody else was faster; what it sends is sent before it returns.
async fn stage<F>(store: &Store<'_, ClientPlace>, attempt: impl Fn() -> F) -> Result<ProposalId, ProposeError>
where
    F: Future<Output = Result<ProposalId, ProposeError>>,
{
    let mut lost = None;
    for _ in 0..ATTEMPTS {
        match attempt().await {
            Err(ProposeError::Store(error)) if error.is_conflict() => lost = Some(error),
            Err(error) => return Err(error),
            Ok(id) => {
                send(store).await;
                return Ok(id);
            }
        }
    }
    Err(lost.unwrap_or(StoreError::Refused { refused: vec![] }).into())
}

async fn attempt(store: &Store<'_, ClientPlace>, client: &str, wish: &ByHand<'_>) -> Result<ProposalId, ProposeError> {
    let now = store.app().now();
    let (determination, reason) = in_order(wish)?;
    if wish.found == Found::Met && wish.evidence.is_empty() {
        return refused("title", "Attach at least one record: nothing becomes MET without evidence.".into());
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

    let rule_rejected = is_rule_rejected(store, &objective.value).await?;
    let standing_before = open_proposal(store, MARK, wish.objective).await?;
    way_is_free(standing_before.as_ref(), wish)?;
    let mut batch = store.batch(ClientPlace::Assessment);
    let id = gate::stage(&mut batch, draft).await?;
    if let Some((_, open)) = standing_before {
        // Decided in this moment: the conflict of the batch runs this again.
        let _ = gate::supersede(&mut batch, &open, Some(id), Cause::AskedByHand);
    }
    objective.value.last_proposal = Some(LastProposal { id, version: 1, found: wish.found, by_hand: true, rule_rejected });
    batch.put(objective.value, objective.etag);
    batch.commit().await?;
    Ok(id)
}

/// Whether an approver rejected what the rule last asked, so that it does not ask the same again after this.
async fn is_rule_rejected(store: &Store<'_, ClientPlace>, objective: &Objective) -> Result<bool, StoreError> {
    match &objective.last_proposal {
        Some(last) if last.by_hand => Ok(last.rule_rejected),
        _ => {
            let last = readable(objective::last_proposal(store, objective).await)?.flatten();
            Ok(last.is_some_and(|held| matches!(held.value.state, State::Rejected { .. })))
        }
    }
}

/// What a wish says, whatever is attached to it: the objective, and the reason as it is kept.
fn in_order<'a>(wish: &ByHand<'a>) -> Result<(&'static Determination, &'a str), ProposeError> {
    let Some(determination) = catalogue().objective(wish.objective) else {
        return refused("objective", format!("There is no objective {}.", wish.objective));
    };
    let reason = kept_reason(wish.reason)?;
    if wish.found == Found::Partial && Found::partial_state(wish.objective).is_none() {
        return refused("found", "Partial credit exists for 3.5.3[d] and 3.13.11[a] only.".into());
    }
    if wish.found == Found::NotApplicable && !score::may_be_not_applicable(wish.objective) {
        return refused(
            "found",
            "3.12.4 is never N/A: without a system security plan there is no assessment and no score. Propose MET with the plan, or NOT MET."
                .into(),
        );
    }
    Ok((determination, reason))
}

/// A reason goes into the proposal and the log as it is, so what must not be kept is refused here (design I12).
fn kept_reason(typed: &str) -> Result<&str, ProposeError> {
    let reason = typed.trim();
    if reason.is_empty() {
        return refused("why", "Say why: the approver decides on your reason.".into());
    }
    if reason.chars().count() > MAX_REASON {
        return refused("why", format!("The reason is longer than {MAX_REASON} characters."));
    }
    if cui::find(reason).is_some() {
        return refused("why", "The reason carries a CUI marking; nothing was kept. Say it without.".into());
    }
    Ok(reason)
}

/// What Assay raised by itself gives way; what a person asks for is decided first.
fn way_is_free(open: Option<&(OpenMark, Held<Proposal>)>, wish: &ByHand<'_>) -> Result<(), ProposeError> {
    let Some((mark, open)) = open.filter(|(mark, _)| mark.is_by_hand()) else { return Ok(()) };
    let draft = &open.value.draft;
    let same_finding = serde_json::from_str::<MarkObjective>(&draft.action).is_ok_and(|action| action.found == wish.found);
    let nothing_more = wish.evidence.iter().all(|key| draft.evidence.iter().any(|e| e.source_key == *key));
    Err(if same_finding && nothing_more {
        ProposeError::AlreadyOpen(mark.proposal)
    } else {
        ProposeError::OtherOpen(Box::new(mark.clone()))
    })
}

/// Stages a `roll_back_objective` proposal: what stood before this finding stands again if its records still count, and
/// otherwise the objective is undecided. `of` is the proposal that made the finding, as the person who asks saw it; if
/// another one stands by now, nothing is staged.
pub async fn propose_roll_back(app: &App, scope: &Scope, of: ProposalId, reason: &str) -> Result<ProposalId, ProposeError> {
    let store = scope.store(app).await?;
    let made = store.read::<Proposal>(ClientPlace::Assessment, &of.to_string()).await?;
    let Some((Action::Mark(_), Subject { determination, .. })) = made.and_then(|held| Action::of(&held.value.draft.action)) else {
        return Err(ProposeError::OtherFinding("There is no such finding. Nothing was proposed.".into()));
    };
    let client = client_name(app, scope).await?;
    stage(&store, || attempt_roll_back(&store, &client, determination, of, reason)).await
}

async fn attempt_roll_back(
    store: &Store<'_, ClientPlace>,
    client: &str,
    determination: &Determination,
    of: ProposalId,
    reason: &str,
) -> Result<ProposalId, ProposeError> {
    let objective = objective::read(store, determination.id).await?;
    let label = determination.cmmc_id();
    let finding = match &objective.value.finding {
        Some(finding) if finding.proposal == of => finding,
        Some(Finding { name, found, decided_at, .. }) => {
            let (word, day) = (found.words(), decided_at.date());
            return Err(ProposeError::OtherFinding(format!(
                "Another finding stands by now: {name} found {label} {word} on {day}. Nothing was proposed; look at that one first."
            )));
        }
        None => {
            return Err(ProposeError::OtherFinding(format!("{label} is undecided: this finding was taken back. Nothing was proposed.")));
        }
    };
    let reason = kept_reason(reason)?;
    if let Some((mark, _)) = open_proposal(store, ROLL_BACK, determination.id).await? {
        return Err(ProposeError::AlreadyOpen(mark.proposal));
    }
    let standing = standing::read(store).await?;
    let setting = Setting { client, standing: &standing.value, now: store.app().now() };
    let (restore, limits) = match before(store, finding).await? {
        Some(earlier) => on_records_of_today(store, &label, earlier, setting.now).await?,
        None => (None, vec![]),
    };
    let wish = TakeBack { finding, restore, reason, limits };
    let draft = in_form(draft::roll_back(setting, determination, &objective.value, wish))?;
    let mut batch = store.batch(ClientPlace::Assessment);
    let id = gate::stage(&mut batch, draft).await?;
    // Unchanged: of two people who ask at once, one loses here and then finds the other's proposal.
    batch.put(objective.value, objective.etag);
    batch.commit().await?;
    Ok(id)
}

/// What stood before a finding: its proposal says so.
async fn before(store: &Store<'_, ClientPlace>, finding: &Finding) -> Result<Option<Finding>, StoreError> {
    let proposal = store.read::<Proposal>(ClientPlace::Assessment, &finding.proposal.to_string()).await?;
    Ok(proposal.and_then(|held| serde_json::from_str::<MarkObjective>(&held.value.draft.action).ok()).and_then(|action| action.previous))
}

/// An earlier finding on its records as they were last read, or why it cannot stand again: a finding is not put back on a
/// record that would not carry it if it were proposed today.
async fn on_records_of_today(
    store: &Store<'_, ClientPlace>,
    label: &str,
    finding: Finding,
    now: OffsetDateTime,
) -> Result<(Option<Finding>, Vec<String>), StoreError> {
    let (mut evidence, mut lost) = (Vec::new(), Vec::new());
    for reference in &finding.evidence {
        let held = store.read::<Evidence>(Evidence::place(&reference.source_key), &reference.source_key).await?;
        let why = match held.map(|held| held.value) {
            None => "is no longer there",
            Some(record) if record.deleted => "was deleted at its source",
            Some(record) if record.hash != reference.hash => "changed since",
            Some(record) => {
                let today = evidence_map().cite(&record);
                if !today.is_stale(now) {
                    evidence.push(today);
                    continue;
                }
                "was read too long ago to count"
            }
        };
        lost.push(format!("\"{}\" {why}", reference.title));
    }
    if lost.is_empty() {
        return Ok((Some(Finding { evidence, ..finding }), lost));
    }
    let (name, word, day) = (&finding.name, finding.found.words(), finding.decided_at.date());
    let why = format!(
        "{name} found {label} {word} on {day}, but {}. So it becomes undecided, and can be proposed anew with what is known today.",
        lost.join("; ")
    );
    Ok((None, vec![why]))
}

async fn records(store: &Store<'_, ClientPlace>, wish: &ByHand<'_>, now: OffsetDateTime) -> Result<Vec<Evidence>, ProposeError> {
    let mut records: Vec<Evidence> = Vec::new();
    for key in wish.evidence {
        let Some(held) = store.read::<Evidence>(Evidence::place(key), key).await? else {
            return refused("title", "One of the records does not exist for this client.".into());
        };
        let record = held.value;
        match &record.origin {
            _ if record.deleted => return refused("title", format!("\"{}\" was deleted at its source.", record.title)),
            _ if evidence_map().cite(&record).is_stale(now) => {
                return refused("title", format!("\"{}\" was read too long ago to count. Read it again first.", record.title));
            }
            Origin::Filed(filed) if filed.approved_on > now.date() => {
                return refused(
                    "approved_on",
                    format!(
                        "\"{}\" is approved from {} on; until then it is a draft, and a draft is never evidence.",
                        record.title, filed.approved_on
                    ),
                );
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

/// The open proposal of this kind about this subject, if one is.
pub(super) async fn open_proposal(
    store: &Store<'_, ClientPlace>,
    kind: &str,
    subject: &str,
) -> Result<Option<(OpenMark, Held<Proposal>)>, StoreError> {
    let open = store.all::<OpenMark>(ClientPlace::Assessment, "").await?;
    let Some(mark) = open.into_iter().map(|held| held.value).find(|mark| mark.kind == kind && mark.subject == subject) else {
        return Ok(None);
    };
    let held = store.read::<Proposal>(ClientPlace::Assessment, &mark.proposal.to_string()).await?;
    Ok(held.filter(|held| held.value.state == State::Open).map(|held| (mark, held)))
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
    draft.map_or_else(|| refused("objective", "The proposal could not be put into its stored form.".into()), Ok)
}

fn refused<T>(field: &'static str, message: String) -> Result<T, ProposeError> {
    Err(ProposeError::Refused(FieldError { field, message }))
}
