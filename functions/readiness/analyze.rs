//! New evidence changes the suggestions of the objectives it touches, and only those, and may raise a proposal.
//!
//! One run per client at a time (`lease`). Per record type one batch: what is remembered, the touched objectives, the
//! standing, proposals and the audit item. Evidence is never listed: the cost is the same with ten records and with a
//! hundred thousand. Only fresh, population-complete evidence of grade partial raises a proposal by itself.

use std::collections::{BTreeMap, HashMap};

use serde_json::{Value, json};
use time::OffsetDateTime;

use super::{
    catalogue::{Determination, catalogue},
    draft::{self, Setting, Wish},
    freshness,
    lease::{self, Turn},
    map::{Entry, Grade, evidence_map},
    objective::{self, Found, Kept, LastProposal, Objective},
    propose::client_name,
    standing,
    suggest::{Outcome, Suggestion, suggest},
    topic::Topic,
};
use crate::{
    app::App,
    audit,
    evidence::{AnalyzeV1, Evidence},
    gate::{self, Proposal, State, machine, proposal::Cause},
    tenancy::{
        Batch, ClientPlace, Held, Scope, Store, StoreError,
        message::{MessageError, Verified},
        outbox,
    },
};

const ATTEMPTS: usize = 8;

#[derive(Debug, thiserror::Error)]
pub enum AnalyzeError {
    #[error(transparent)]
    Message(#[from] MessageError),
    #[error("the message names no client")]
    NoClient,
    #[error("too much waits for this client's analysis")]
    Busy,
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl AnalyzeError {
    /// Whether redelivery may help; everything else is a dead letter.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Message(error) => error.is_transient(),
            Self::Store(error) => error.is_transient(),
            Self::Busy => true,
            Self::NoClient => false,
        }
    }
}

/// Works through the record that the message names and what others marked meanwhile. Delivered again, it changes nothing.
pub async fn analyze(app: &App, message: &Verified) -> Result<(), AnalyzeError> {
    let AnalyzeV1 { source_key } = message.body()?;
    let scope = Scope::of_message(message).ok_or(AnalyzeError::NoClient)?;
    let store = scope.store(app).await?;
    let mut round = match lease::take(&store, message.id(), &source_key).await? {
        Turn::Work(keys) => Some(keys),
        Turn::Marked => return Ok(()),
        Turn::Full => return Err(AnalyzeError::Busy),
    };
    while let Some(keys) = round {
        for (entry, records) in by_record_type(&store, &keys).await? {
            take_in(app, &scope, &store, entry, &records).await?;
        }
        outbox::flush(&store, ClientPlace::Assessment).await?;
        round = lease::finish_round(&store, message.id()).await?;
    }
    Ok(())
}

/// Puts a message on its way for a client whose analysis died with work left; for the sweep. Returns whether it did.
pub async fn leftovers(app: &App, scope: &Scope) -> Result<bool, StoreError> {
    let store = scope.store(app).await?;
    let Some(source_key) = lease::left_over(&store).await? else { return Ok(false) };
    let mut batch = store.batch(ClientPlace::Assessment);
    outbox::send(&mut batch, "analyze", &AnalyzeV1 { source_key }, std::time::Duration::ZERO)?;
    batch.commit().await?;
    outbox::flush(&store, ClientPlace::Assessment).await?;
    Ok(true)
}

/// The records as they are kept now. What does not exist, or has no type that the map knows, touches no objective.
async fn by_record_type(store: &Store<'_, ClientPlace>, keys: &[String]) -> Result<Vec<(&'static Entry, Vec<Evidence>)>, StoreError> {
    let mut groups: BTreeMap<&'static str, (&'static Entry, Vec<Evidence>)> = BTreeMap::new();
    for key in keys {
        let Some(held) = store.read::<Evidence>(Evidence::place(key), key).await? else { continue };
        let entry = held.value.record_type.as_deref().and_then(|record_type| evidence_map().entry(record_type));
        if let Some(entry) = entry {
            groups.entry(entry.record_type).or_insert_with(|| (entry, Vec::new())).1.push(held.value);
        }
    }
    Ok(groups.into_values().collect())
}

async fn take_in(
    app: &App,
    scope: &Scope,
    store: &Store<'_, ClientPlace>,
    entry: &'static Entry,
    records: &[Evidence],
) -> Result<(), StoreError> {
    let mut lost = None;
    for _ in 0..ATTEMPTS {
        match attempt(app, scope, store, entry, records).await {
            // A decision was executed in this moment; look again.
            Err(error) if error.is_conflict() => lost = Some(error),
            other => return other,
        }
    }
    Err(lost.unwrap_or(StoreError::Refused { refused: vec![] }))
}

async fn attempt(
    app: &App,
    scope: &Scope,
    store: &Store<'_, ClientPlace>,
    entry: &'static Entry,
    records: &[Evidence],
) -> Result<(), StoreError> {
    let held = store.read::<Topic>(ClientPlace::Assessment, entry.record_type).await?;
    let mut topic = Kept::or_new(held, || Topic::new(entry.record_type));
    let before = topic.value.clone();
    for record in records {
        topic.value.take_in(entry, record);
    }
    let now = app.now();
    let unchanged = topic.etag.is_some() && topic.value == before;
    if unchanged && !freshness::is_any_blocked(store, entry, now).await? {
        return Ok(());
    }
    // Nothing new was read: what changes now, changes because time passed.
    let cause = if unchanged { Cause::EvidenceTooOld } else { Cause::NewEvidence };
    let mut topics = Topics::with(topic.value.clone());
    let mut standing = standing::read(store).await?;
    let mut batch = store.batch(ClientPlace::Assessment);
    let mut changed: Vec<Value> = Vec::new();
    for (id, _) in entry.objectives() {
        let Some(determination) = catalogue().objective(id) else { continue };
        topics.load(store, id).await?;
        let suggestion = suggest(evidence_map(), determination, |record_type| topics.get(record_type), now);
        let mut objective = objective::read(store, id).await?;
        let last = last_proposal(store, &objective.value).await?;
        let open = last.as_ref().map(|held| &held.value).filter(|proposal| proposal.state == State::Open);
        let waiting = Waiting {
            outdated: open.is_some_and(|proposal| draft::is_outdated(&proposal.draft, records, now)),
            blocked: open.is_some_and(|proposal| machine::blocked(proposal, now).is_some()),
        };
        let step = step(&objective.value, suggestion.as_ref(), last.as_ref().map(|p| &p.value.state), waiting, now);
        if suggestion.as_ref().is_some_and(|s| s.differs_from(objective.value.suggestion.as_ref())) {
            changed.push(summary(id, suggestion.as_ref()));
        }
        objective.value.suggestion = suggestion;
        standing.value.note(&objective.value);
        let about = About { scope, determination, standing: &standing.value, cause };
        match (step, last) {
            (Step::Refresh, Some(open)) => refresh(&mut batch, about, &mut objective.value, &open, records).await?,
            (step, last) => take_step(&mut batch, about, &mut objective.value, last, step).await?,
        }
        batch.put(objective.value, objective.etag);
    }
    for record in records {
        standing.value.note_evidence(record.collected_at);
    }
    let keys: Vec<&str> = records.iter().map(|record| record.source_key.as_str()).collect();
    let detail = json!({ "record_type": entry.record_type, "records": keys.len(), "first": keys.first(), "changed": changed });
    audit::record(&mut batch, audit::Event::new("analysis.recorded", format!("record type {}", entry.record_type), detail));
    batch.put(topic.value, topic.etag).put(standing.value, standing.etag);
    batch.commit().await
}

fn summary(id: &str, suggestion: Option<&Suggestion>) -> Value {
    json!({
        "objective": id,
        "result": suggestion.map(|s| s.result),
        "grade": suggestion.map(|s| s.grade),
        "contradictions": suggestion.map_or(0, |s| s.contradictions.len()),
    })
}

/// The topics of one analysis, each read once.
struct Topics(HashMap<&'static str, Option<Topic>>);

impl Topics {
    fn with(topic: Topic) -> Self {
        let known = evidence_map().entry(&topic.record_type).map(|entry| (entry.record_type, Some(topic)));
        Self(known.into_iter().collect())
    }

    async fn load(&mut self, store: &Store<'_, ClientPlace>, objective: &str) -> Result<(), StoreError> {
        for (entry, _) in evidence_map().touching(objective) {
            if !self.0.contains_key(entry.record_type) {
                let held = store.read::<Topic>(ClientPlace::Assessment, entry.record_type).await?;
                self.0.insert(entry.record_type, held.map(|h| h.value));
            }
        }
        Ok(())
    }

    fn get(&self, record_type: &str) -> Option<&Topic> {
        self.0.get(record_type)?.as_ref()
    }
}

async fn last_proposal(store: &Store<'_, ClientPlace>, objective: &Objective) -> Result<Option<Held<Proposal>>, StoreError> {
    match &objective.last_proposal {
        Some(last) => store.read::<Proposal>(ClientPlace::Assessment, &last.id.to_string()).await,
        None => Ok(None),
    }
}

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
    /// See [`draft::is_outdated`].
    pub outdated: bool,
    /// Nobody could approve it as it stands; see [`machine::blocked`].
    pub blocked: bool,
}

/// The rule of raising. A proposal is raised or replaced only when result, grade or a contradiction changed, or when the
/// last one ended without an answer; a rejection is an answer. What waits and refers to something older than today's
/// records is brought up to date, or withdrawn when nothing fresh is left. An objective that a human decided gets none by
/// itself, unless something observed contradicts a MET: then a NOT MET is proposed. What a person proposed is left alone,
/// unless a contradiction appears that its approver could not have seen.
pub fn step(objective: &Objective, new: Option<&Suggestion>, last: Option<&State>, waiting: Waiting, now: OffsetDateTime) -> Step {
    let Some(new) = new else { return Step::Leave };
    let differs = new.differs_from(objective.suggestion.as_ref());
    let wanted = wanted(objective, new, now);
    match (last, &objective.last_proposal) {
        (Some(State::Open | State::Approved { .. }), Some(asked)) => {
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
        (Some(State::Expired { .. } | State::Refused { .. }), _) => wanted.map_or(Step::Leave, Step::Raise),
        _ if differs => wanted.map_or(Step::Leave, Step::Raise),
        _ => Step::Leave,
    }
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

/// What is the same for every step about one objective.
#[derive(Clone, Copy)]
struct About<'x> {
    scope: &'x Scope,
    determination: &'x Determination,
    standing: &'x standing::Standing,
    cause: Cause,
}

/// The references of today in a new version of the open proposal, or it could never run.
async fn refresh(
    batch: &mut Batch<'_, '_, ClientPlace>,
    about: About<'_>,
    objective: &mut Objective,
    open: &Held<Proposal>,
    records: &[Evidence],
) -> Result<(), StoreError> {
    let Some(last) = &mut objective.last_proposal else { return Ok(()) };
    let (found, by_hand) = (last.found, last.by_hand);
    last.version = open.value.version + 1;
    let draft = match &objective.suggestion {
        Some(suggestion) if !by_hand => {
            let app = batch.store().app();
            let client = client_name(app, about.scope).await?;
            let setting = Setting { client: &client, standing: about.standing, now: app.now() };
            draft::mark(setting, about.determination, objective, Wish::of_suggestion(found, suggestion, setting.now), false)
        }
        _ => draft::with_records_of_today(&open.value.draft, records),
    };
    if let Some(draft) = draft {
        // It is open, as was read; if it is decided in this moment, the conflict of the batch runs this again.
        let _ = gate::revise(batch, open, draft);
    }
    Ok(())
}

async fn take_step(
    batch: &mut Batch<'_, '_, ClientPlace>,
    about: About<'_>,
    objective: &mut Objective,
    last: Option<Held<Proposal>>,
    step: Step,
) -> Result<(), StoreError> {
    let by = match step {
        Step::Leave | Step::Refresh => return Ok(()),
        Step::Withdraw => None,
        Step::Raise(found) => {
            let Some(suggestion) = &objective.suggestion else { return Ok(()) };
            let app = batch.store().app();
            let client = client_name(app, about.scope).await?;
            let setting = Setting { client: &client, standing: about.standing, now: app.now() };
            let wish = Wish::of_suggestion(found, suggestion, setting.now);
            let Some(draft) = draft::mark(setting, about.determination, objective, wish, false) else { return Ok(()) };
            let id = gate::stage(batch, draft)?;
            objective.last_proposal = Some(LastProposal { id, version: 1, found, by_hand: false });
            Some(id)
        }
    };
    if let Some(last) = last {
        // One that ended already needs no end.
        let _ = gate::supersede(batch, &last, by, about.cause);
    }
    Ok(())
}
