//! Proposals: a staged action with its exact bytes, their hash, and everything an approver must see to decide.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use time::{Duration, OffsetDateTime};

use super::{
    demotion,
    event::Verdict,
    hash::{FORM, hash_of},
    level::Level,
    machine::settled,
    policy::{MOST_NOTICES, Policy, Rule, Terms},
    quorum::{self, Progress},
    receipt::{self, SignedReceipt},
    refusal::Refusal,
    run,
};
pub use super::{
    marks::{ApprovedMark, OpenMark, ReviewMark, UndoMark},
    occasion::Occasion,
    state::{Cause, Decision, Seat, State},
};
use crate::{
    audit,
    evidence::EvidenceRef,
    tenancy::{Actor, Batch, ClientPlace, Held, PersonId, ProposalId, Record, Roster, StoreError, TenantId, keys::Owner, outbox},
};

/// What an area hands to the gate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Draft {
    /// The kind of action, by which `triggers/execute` finds the area: `mark_objective`, `roll_back_objective`.
    pub kind: String,
    /// What it is about, such as `3.4.1[d]`; at most one open proposal per kind and subject.
    pub subject: String,
    /// The question as a sentence: "Mark CM.L2-3.4.1[d] as MET for Harbor Precision?"
    pub question: String,
    /// The subject in words, for the line below the question.
    pub explanation: String,
    /// The exact bytes that will run: JSON text, made once, never re-serialized.
    pub action: String,
    pub evidence: Vec<EvidenceRef>,
    /// Why now, and what the evidence does not show, one sentence each.
    pub reasons: Vec<String>,
    pub limits: Vec<String>,
    pub before: String,
    pub after: String,
    /// The end of the approve button, after "Approve and": `mark MET`.
    pub approve_verb: String,
    pub on_approve: String,
    pub on_reject: String,
    /// The exact bytes that undo it, where one person may do that afterwards (L1).
    #[serde(default)]
    pub undo: Option<String>,
}

impl Draft {
    /// The subject as people write it: the word of the question that ends in it (`CM.L2-3.4.1[d]` for `3.4.1[d]`).
    pub fn label(&self) -> &str {
        self.question.split_whitespace().find(|word| word.ends_with(&self.subject)).unwrap_or(&self.subject)
    }
}

/// For people, beside the other reasons.
const DEMOTED: &str = "Assay did this by itself before. People overrode it too often, so now it waits until somebody has approved it.";

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proposal {
    pub id: ProposalId,
    /// Goes up with every change of the draft; a decision names the version it saw.
    pub version: u32,
    pub draft: Draft,
    /// How the hash was made; see [`super::hash`].
    #[serde(default = "first_form")]
    pub form: u32,
    /// [`hash_of`] this proposal.
    pub hash: String,
    /// Who asks; never among those who decide.
    pub requester: Actor,
    #[serde(with = "time::serde::rfc3339")]
    pub staged_at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339")]
    pub decide_by: OffsetDateTime,
    pub state: State,
    /// Under which terms it was staged; `None`: by an earlier release.
    #[serde(default)]
    pub terms: Option<Terms>,
    /// What people answered to this version, in order.
    #[serde(default)]
    pub decisions: Vec<Decision>,
    /// Until when somebody has to review what ran.
    #[serde(default, with = "time::serde::rfc3339::option")]
    pub review_by: Option<OffsetDateTime>,
    /// What lets it run without anybody's approval (L0, L1): signed by Assay, so that nobody can write one.
    #[serde(default)]
    pub clearance: Option<SignedReceipt>,
}

impl Proposal {
    /// With the hash of what it holds now.
    fn hashed(self, tenant: TenantId) -> Self {
        let hash = hash_of(tenant, &self);
        Self { form: FORM, hash, ..self }
    }

    /// The next version, with nothing answered yet.
    #[must_use]
    pub fn revised(self, tenant: TenantId, draft: Draft, terms: Terms) -> Self {
        Self { version: self.version + 1, draft, terms: Some(terms), decisions: vec![], ..self }.hashed(tenant)
    }

    /// What an earlier release staged needed one approval.
    pub fn level(&self) -> Level {
        self.terms.as_ref().map_or(Level::L2, Terms::level)
    }

    /// The same, where it is known which accounts are one human's.
    pub(super) fn among(&self, linked: &[BTreeSet<PersonId>]) -> Self {
        let terms = self.terms.clone().map(|terms| Terms { linked: linked.to_vec(), ..terms });
        Self { terms, ..self.clone() }
    }

    /// Why it is asked now; also that it was not asked before, where overrides made it so.
    pub fn reasons(&self) -> Vec<String> {
        let demoted = self.terms.as_ref().and_then(|terms| terms.demoted_from).map(|_| DEMOTED.to_owned());
        self.draft.reasons.iter().cloned().chain(demoted).collect()
    }

    /// The approvals of the version that stands.
    pub fn approvals(&self) -> impl Iterator<Item = &Decision> {
        self.decisions.iter().filter(|decision| decision.verdict == Verdict::Approve && decision.version == self.version)
    }

    /// Whoever said no.
    pub fn rejection(&self) -> Option<&Decision> {
        self.decisions.iter().rev().find(|decision| decision.verdict == Verdict::Reject)
    }

    /// The decision that settled it: the no, the deed, or the approval that made the quorum.
    pub fn decision(&self) -> Option<&Decision> {
        match &self.state {
            State::Open | State::Cleared { .. } | State::Expired { approved: false, .. } => None,
            State::Rejected { .. } => self.rejection(),
            State::Recorded { .. } => self.decisions.iter().rev().find(|decision| decision.verdict == Verdict::Done),
            _ => self.decisions.iter().rev().find(|decision| decision.verdict == Verdict::Approve),
        }
    }

    /// How far its approvals have come; an earlier release wanted one.
    pub fn progress(&self) -> Progress {
        match &self.terms {
            Some(terms) => quorum::progress(terms, self.approvals()),
            None => Progress { given: self.approvals().count(), needed: 1, groups_wanted: vec![] },
        }
    }

    /// What names its run, once and for all: hash and version.
    pub fn operation(&self) -> String {
        format!("{}.v{}", self.hash, self.version)
    }

    /// Those who do not decide it, whatever their grant says: who asks, and whose evidence it rests on.
    pub(super) fn not_for(&self) -> BTreeSet<PersonId> {
        let requester = if let Actor::Person(person) = self.requester { Some(person) } else { None };
        self.draft.evidence.iter().filter_map(|record| record.filed_by).chain(requester).collect()
    }

    pub(super) fn mark(&self) -> OpenMark {
        OpenMark {
            proposal: self.id,
            kind: self.draft.kind.clone(),
            subject: self.draft.subject.clone(),
            question: self.draft.question.clone(),
            requester: self.requester.clone(),
            staged_at: self.staged_at,
            decide_by: self.decide_by,
            not_for: self.not_for(),
            needed: self.terms.as_ref().map_or(1, |terms| terms.rule.approvals),
            approved_by: self.approvals().flat_map(|one| [one.person, one.seat()]).collect(),
            progress: self.progress().words(),
            policy_version: self.terms.as_ref().map_or(0, |terms| terms.policy_version),
            notices_from: self.notices().chain(self.escalations()).max().unwrap_or_default(),
        }
    }

    /// How long before the deadline those who may decide are reminded, in hours; the earliest first.
    pub(super) fn notices(&self) -> impl Iterator<Item = u32> {
        self.before_deadline(|rule| &rule.remind_before)
    }

    /// The same for telling everybody that it is not decided.
    pub(super) fn escalations(&self) -> impl Iterator<Item = u32> {
        self.before_deadline(|rule| &rule.escalate_before)
    }

    fn before_deadline(&self, of: impl Fn(&Rule) -> &Vec<u32>) -> impl Iterator<Item = u32> {
        let rule = self.terms.as_ref().map_or_else(|| Rule::of_kind(&self.draft.kind), |terms| terms.rule.clone());
        let mut hours: Vec<u32> = of(&rule).iter().copied().filter(|hours| *hours < rule.decide_within).collect();
        hours.sort_unstable_by(|a, b| b.cmp(a));
        hours.into_iter().take(MOST_NOTICES)
    }

    /// What one person can still undo and nobody has looked at, if it is so.
    pub(super) fn undo_mark(&self) -> Option<UndoMark> {
        let State::Executed { at: ran_at, undo_until: Some(undo_until) } = self.state else { return None };
        let seen = self.decisions.iter().any(|one| one.verdict == Verdict::Uphold);
        (!seen).then(|| UndoMark { proposal: self.id, question: self.draft.question.clone(), ran_at, undo_until })
    }

    /// What waits for another person's look, if something does.
    pub(super) fn review_mark(&self) -> Option<ReviewMark> {
        let due = self.review_by?;
        let is_stuck = matches!(self.state, State::NotUndone { .. });
        let asks = |one: &&Decision| one.broke_glass || one.verdict == Verdict::Escalate || (is_stuck && one.verdict == Verdict::Override);
        let last = self.decisions.iter().rev().find(asks)?;
        let question = self.draft.question.clone();
        Some(ReviewMark { proposal: self.id, question, by: last.person, by_name: last.name.clone(), own_too: is_stuck, due })
    }
}

/// Records of before the form was written down.
fn first_form() -> u32 {
    1
}

impl Record for Proposal {
    const KIND: &'static str = "proposal";
    /// 2: a list of decisions beside the state, where the state held one.
    const SCHEMA: u32 = 2;

    fn key(&self) -> String {
        self.id.to_string()
    }

    fn upgrade(schema: u32, mut body: Value) -> Value {
        if schema < 2
            && let Some((word, state)) = body["state"].as_object_mut().and_then(|state| state.iter_mut().next())
        {
            let mut decision = state["decision"].take();
            match word.as_str() {
                "rejected" => {
                    state["at"] = decision["at"].clone();
                    decision["verdict"] = json!(Verdict::Reject);
                }
                "expired" => state["approved"] = json!(!decision.is_null()),
                _ => {}
            }
            body["decisions"] = if decision.is_null() { json!([]) } else { json!([decision]) };
        }
        body
    }

    fn revision(&self) -> u64 {
        self.version.into()
    }
}

/// What was answered, beside the proposal: made in the batch of the first decision, in step with every further one, and
/// marked in the batch of the execution. If somebody with access to the store puts an older proposal back, it contradicts
/// this record, and neither a second decision nor a second run follows.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Answers {
    pub proposal: ProposalId,
    pub decisions: Vec<Decision>,
    #[serde(with = "time::serde::rfc3339::option")]
    pub executed_at: Option<OffsetDateTime>,
}

impl Record for Answers {
    const KIND: &'static str = "decision";
    /// 2: a list, where there was one.
    const SCHEMA: u32 = 2;

    fn key(&self) -> String {
        self.proposal.to_string()
    }

    fn upgrade(schema: u32, mut body: Value) -> Value {
        if schema < 2 {
            let mut decision = body["decision"].take();
            decision["verdict"] = json!(if body["approved"] == true { Verdict::Approve } else { Verdict::Reject });
            body["decisions"] = json!([decision]);
        }
        body
    }
}

/// That an operation ran: hash and version, once. Written in the batch of the run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Ran {
    pub operation: String,
    pub proposal: ProposalId,
}

impl Record for Ran {
    const KIND: &'static str = "ran";
    const SCHEMA: u32 = 1;

    fn key(&self) -> String {
        self.operation.clone()
    }
}

/// What `notify` is asked to do: mail one proposal version to its approvers.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NotifyV1 {
    pub proposal: ProposalId,
    pub version: u32,
    /// Left out where it is asked, as earlier releases read it.
    #[serde(default, skip_serializing_if = "is_asked")]
    pub occasion: Occasion,
    /// Nobody else is told, where it names anybody.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub to: Vec<PersonId>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's form")]
fn is_asked(occasion: &Occasion) -> bool {
    *occasion == Occasion::Asked
}

/// What `execute` is asked to do.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExecuteV1 {
    pub proposal: ProposalId,
    pub version: u32,
}

/// Stages a draft under the client's policy: proposal, audit item and what follows, all in the caller's batch (five
/// operations at most). At L0 and L1 that is the run; at L2 and L3 the request to notify.
pub async fn stage(batch: &mut Batch<'_, '_, ClientPlace>, draft: Draft) -> Result<ProposalId, StoreError> {
    let store = batch.store();
    let app = store.app();
    let now = app.now();
    let Owner::Tenant(tenant) = store.owner() else { return Err(StoreError::Refused { refused: vec![] }) };
    let terms = demotion::terms(store, &*Policy::lately(store).await?, &draft.kind, &draft.subject).await?;
    let level = terms.level();
    let (decide_by, run_by) = (now + Duration::hours(terms.rule.decide_within.into()), now + Duration::hours(terms.rule.run_within.into()));
    let mut proposal = Proposal {
        id: ProposalId(app.ids.uuid()),
        version: 1,
        form: FORM,
        hash: String::new(),
        draft,
        requester: store.actor().clone(),
        staged_at: now,
        decide_by,
        state: if level < Level::L2 { State::Cleared { run_by } } else { State::Open },
        terms: Some(terms),
        decisions: vec![],
        review_by: None,
        clearance: None,
    }
    .hashed(tenant);
    let Draft { kind, subject, .. } = &proposal.draft;
    let detail = json!({ "kind": kind, "subject": subject, "hash": proposal.hash, "version": 1, "level": level });
    audit::record(batch, audit::Event::new("proposal.staged", object(proposal.id), detail));
    if level < Level::L2 {
        proposal.clearance = Some(receipt::clear(app, tenant, &proposal).await?);
        outbox::send(batch, "execute", &ExecuteV1 { proposal: proposal.id, version: 1 }, std::time::Duration::ZERO)?;
        batch.create(&ApprovedMark { proposal: proposal.id, run_by });
    } else {
        outbox::send(
            batch,
            "notify",
            &NotifyV1 { proposal: proposal.id, version: 1, occasion: Occasion::Asked, to: vec![] },
            std::time::Duration::ZERO,
        )?;
        batch.create(&proposal.mark());
    }
    batch.create(&proposal);
    Ok(proposal.id)
}

/// Puts a fresh draft into an open proposal, in the caller's batch (four operations): a new version and hash under the
/// policy of today, the same deadline, and no second mail but to those whose approval is void by it; kind, subject and
/// question stay. What was approved before has to be approved anew. For what does not change the answer, such as evidence that was read again with the same
/// result; a changed answer is a new proposal that supersedes. Whoever has the page open hears that it changed.
pub async fn revise(
    batch: &mut Batch<'_, '_, ClientPlace>,
    held: &Held<Proposal>,
    draft: Draft,
) -> Result<Result<(), Refusal>, StoreError> {
    let policy = Policy::lately(batch.store()).await?;
    revise_under(batch, held, draft, &policy).await
}

pub(super) async fn revise_under(
    batch: &mut Batch<'_, '_, ClientPlace>,
    held: &Held<Proposal>,
    draft: Draft,
    policy: &Policy,
) -> Result<Result<(), Refusal>, StoreError> {
    if let Some(refusal) = settled(&held.value) {
        return Ok(Err(refusal));
    }
    let (old, store) = (&held.value, batch.store());
    let Owner::Tenant(tenant) = store.owner() else { return Ok(Err(Refusal::Tampered)) };
    let terms = demotion::today(store, policy, old).await?;
    let proposal = old.clone().revised(tenant, draft, terms);
    let detail = json!({ "version": proposal.version, "hash": proposal.hash, "before": old.hash, "approvals_void": old.decisions.len() });
    audit::record(batch, audit::Event::new("proposal.revised", object(proposal.id), detail));
    let void: BTreeSet<PersonId> = old.approvals().flat_map(|one| [one.person, one.seat()]).collect();
    if !void.is_empty() {
        let told = NotifyV1 { proposal: old.id, version: proposal.version, occasion: Occasion::Changed, to: void.into_iter().collect() };
        outbox::send(batch, "notify", &told, std::time::Duration::ZERO)?;
    }
    if proposal.mark() != old.mark()
        && let Some(mark) = store.read::<OpenMark>(batch.place(), &proposal.id.to_string()).await?
    {
        batch.replace(&Held { value: proposal.mark(), etag: mark.etag });
    }
    batch.replace(&Held { value: proposal, etag: held.etag.clone() });
    Ok(Ok(()))
}

/// Writes what the machine made of a proposal, and keeps the marks of open and waiting ones in step. `mark` is that of an
/// open proposal that stays open; without it its mark stays as it is.
pub(super) fn advance(batch: &mut Batch<'_, '_, ClientPlace>, held: &Held<Proposal>, next: Proposal, mark: Option<Held<OpenMark>>) {
    let id = held.value.id.to_string();
    let (was, is) = (&held.value.state, &next.state);
    match (was == &State::Open, is == &State::Open) {
        (true, true) => {
            if let Some(mark) = mark {
                batch.replace(&Held { value: next.mark(), etag: mark.etag });
            }
        }
        (true, false) => {
            batch.remove::<OpenMark>(&id);
        }
        _ => {}
    }
    match (run::due(&held.value), run::due(&next)) {
        (None, Some(run_by)) => {
            batch.create(&ApprovedMark { proposal: held.value.id, run_by });
        }
        (Some(_), None) => {
            batch.remove::<ApprovedMark>(&id);
        }
        _ => {}
    }
    match (held.value.undo_mark(), next.undo_mark()) {
        (None, Some(mark)) => {
            batch.create(&mark);
        }
        (Some(_), None) => {
            batch.remove::<UndoMark>(&id);
        }
        _ => {}
    }
    match (held.value.review_mark(), next.review_mark()) {
        (None, Some(mark)) => {
            batch.create(&mark);
        }
        (Some(_), None) => {
            batch.remove::<ReviewMark>(&id);
        }
        _ => {}
    }
    batch.replace(&Held { value: next, etag: held.etag.clone() });
}

/// Adds to the batch that people are told of it.
pub(super) fn tell(batch: &mut Batch<'_, '_, ClientPlace>, proposal: &Proposal, occasion: Occasion) -> Result<(), StoreError> {
    let told = NotifyV1 { proposal: proposal.id, version: proposal.version, occasion, to: vec![] };
    outbox::send(batch, "notify", &told, std::time::Duration::ZERO).map(drop)
}

/// The accounts that are one human's, of all who have to do with a proposal: who asks, whose evidence it is, who answered,
/// and these.
pub(super) fn linked(roster: &Roster, proposal: &Proposal, more: impl IntoIterator<Item = PersonId>) -> Vec<BTreeSet<PersonId>> {
    let answered = proposal.decisions.iter().flat_map(|one| [one.person, one.seat()]);
    let mut by_human: BTreeMap<PersonId, BTreeSet<PersonId>> = BTreeMap::new();
    for person in proposal.not_for().into_iter().chain(answered).chain(more) {
        by_human.entry(roster.human(person)).or_default().insert(person);
    }
    by_human.into_values().filter(|accounts| accounts.len() > 1).collect()
}

/// How audit items name a proposal.
pub(super) fn object(id: ProposalId) -> String {
    format!("proposal {id}")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As the release before decisions were a list stored it.
    fn stored(state: &Value) -> Value {
        json!({
            "id": "0199", "version": 1, "form": 2, "hash": "ab", "requester": { "function": "analyze" },
            "staged_at": "2026-11-20T08:00:00Z", "decide_by": "2026-11-27T08:00:00Z", "state": state,
            "draft": {
                "kind": "mark_objective", "subject": "3.1.1[a]", "question": "Mark AC.L2-3.1.1[a] as MET?", "explanation": "", "action": "{}",
                "evidence": [{ "source_key": "filed:1", "title": "Policy", "hash": "cd", "collected_at": "2026-11-19T08:00:00Z", "population": "unknown" }],
                "reasons": [], "limits": [], "before": "", "after": "", "approve_verb": "mark MET", "on_approve": "", "on_reject": ""
            }
        })
    }

    fn read(mut body: Value) -> Proposal {
        body["id"] = json!("01991111-2222-7333-8444-555566667777");
        serde_json::from_value(Proposal::upgrade(1, body)).expect("an old record")
    }

    #[test]
    fn what_an_earlier_release_stored_is_read_with_its_decision_in_the_list() {
        let decision = json!({
            "person": "01991111-2222-7333-8444-555566667778", "name": "Priya Nair", "version": 1, "hash": "ab", "comment": "Seen.",
            "at": "2026-11-21T09:00:00Z"
        });
        let open = read(stored(&json!("open")));
        assert_eq!((open.state.clone(), open.decisions.len(), open.terms.clone()), (State::Open, 0, None));
        assert_eq!((open.level(), open.progress().words().as_str()), (Level::L2, "0 of 1"));
        assert_eq!(super::super::machine::blocked(&open, open.staged_at), Some(Refusal::OtherForm));

        let approved = read(stored(&json!({ "approved": { "decision": decision, "run_by": "2026-11-23T09:00:00Z" } })));
        let [one] = &approved.decisions[..] else { panic!("{approved:?}") };
        assert_eq!((one.name.as_str(), one.verdict, one.receipt.clone()), ("Priya Nair", Verdict::Approve, None));
        assert!(approved.state.may_run() && approved.decision() == Some(one));

        let rejected = read(stored(&json!({ "rejected": { "decision": decision } })));
        assert_eq!(rejected.state, State::Rejected { at: rejected.decisions[0].at });
        assert_eq!(rejected.rejection().map(|no| no.verdict), Some(Verdict::Reject));

        let silent = read(stored(&json!({ "expired": { "at": "2026-11-27T08:00:00Z", "decision": null } })));
        assert!(matches!(silent.state, State::Expired { approved: false, .. }) && silent.decisions.is_empty());
        let late = read(stored(&json!({ "expired": { "at": "2026-11-27T08:00:00Z", "decision": decision } })));
        assert!(matches!(late.state, State::Expired { approved: true, .. }) && late.decision().is_some());
        let executed = read(stored(&json!({ "executed": { "at": "2026-11-21T09:01:00Z", "decision": decision } })));
        assert!(matches!(executed.state, State::Executed { undo_until: None, .. }) && executed.decision().is_some());
        let gone = json!({ "superseded": { "at": "2026-11-21T09:01:00Z", "by": null, "decision": null } });
        assert!(matches!(read(stored(&gone)).state, State::Superseded { by: None, cause: Cause::NewEvidence, .. }));
    }

    #[test]
    fn answers_of_an_earlier_release_are_read_as_a_list_of_one() {
        let body = json!({
            "proposal": "01991111-2222-7333-8444-555566667777", "approved": false, "executed_at": null,
            "decision": { "person": "01991111-2222-7333-8444-555566667778", "name": "P", "version": 1, "hash": "ab", "comment": "No.", "at": "2026-11-21T09:00:00Z" }
        });
        let answers: Answers = serde_json::from_value(Answers::upgrade(1, body)).expect("an old record");
        assert_eq!(answers.decisions.iter().map(|one| one.verdict).collect::<Vec<_>>(), [Verdict::Reject]);
    }
}
