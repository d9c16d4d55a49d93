//! New evidence changes the suggestions of the objectives it touches, and only those, and may raise a proposal.
//!
//! One run per client at a time (`lease`). Per record type one batch: what is remembered, the touched objectives, the
//! standing, proposals and the audit item. Evidence is never listed: the cost is the same with ten records and with a
//! hundred thousand. Only fresh, population-complete evidence of grade partial raises a proposal by itself. A record that
//! cannot be read, or written, becomes a dead letter and holds up no other.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use futures_util::future::try_join_all;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    catalogue::{Determination, catalogue},
    draft::{self, Setting, Wish},
    freshness,
    lease::{self, Turn},
    map::{Entry, evidence_map},
    objective::{self, Kept, LastProposal, Objective, last_proposal},
    propose::client_name,
    raise::{Step, Waiting, step},
    standing,
    suggest::{Suggestion, suggest},
    topic::Topic,
};
use crate::{
    app::App,
    audit::{self, dead_letter},
    evidence::{AnalyzeV1, Evidence, Origin},
    gate::{self, Proposal, State, machine, proposal::Cause},
    tenancy::{
        Batch, ClientPlace, DeploymentScope, Held, Scope, Store, StoreError, Wanted,
        message::{self, MessageError, Verified},
        outbox,
        seal::sha256,
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
/// Returns the places to which the record and its analysis were written.
pub async fn analyze(app: &App, message: &Verified) -> Result<[ClientPlace; 2], AnalyzeError> {
    let AnalyzeV1 { source_key } = message.body()?;
    let written = [Evidence::place(&source_key), ClientPlace::Assessment];
    let scope = Scope::of_message(message).ok_or(AnalyzeError::NoClient)?;
    let store = scope.store(app).await?;
    let (run, mut round) = match lease::take(&store, message.id(), &source_key).await? {
        Turn::Work { run, keys } => (run, Some(keys)),
        Turn::Marked => return Ok(written),
        Turn::Full => return Err(AnalyzeError::Busy),
    };
    while let Some(keys) = round {
        work(app, &scope, &store, &keys).await?;
        outbox::flush(&store, ClientPlace::Assessment).await?;
        round = lease::finish_round(&store, run).await?;
    }
    Ok(written)
}

/// One round: each record is read, and each record type taken in, by itself.
async fn work(app: &App, scope: &Scope, store: &Store<'_, ClientPlace>, keys: &[String]) -> Result<(), StoreError> {
    let mut records = Vec::new();
    for key in keys {
        match store.read::<Evidence>(Evidence::place(key), key).await {
            Ok(held) => records.extend(held.map(|held| held.value)),
            Err(error) if error.concerns_one_record() => set_aside(app, scope, key, &error).await?,
            Err(error) => return Err(error),
        }
    }
    for (entry, records) in by_record_type(records) {
        let done = match entry {
            Some(entry) => take_in(app, scope, store, entry, &records).await,
            None => note_filed(store, &records).await,
        };
        match done {
            Err(error) if error.concerns_one_record() => {
                for record in &records {
                    set_aside(app, scope, &record.source_key, &error).await?;
                }
            }
            other => other?,
        }
    }
    Ok(())
}

/// Buries a record that cannot be analyzed as things are; its dead letter, sent again, tries this one record.
async fn set_aside(app: &App, scope: &Scope, source_key: &str, error: &StoreError) -> Result<(), StoreError> {
    let tenant = scope.tenant();
    // The same bytes each time, so that the same record is one dead letter.
    let id = Uuid::parse_str(&sha256(format!("analyze {tenant} {source_key}").as_bytes())[..32]).unwrap_or_default();
    let message = message::seal(app, "analyze", Some(tenant), id, &AnalyzeV1 { source_key: source_key.into() }).await?;
    let deployment = DeploymentScope::of_function("analyze", scope.correlation());
    tracing::warn!(%tenant, error = %error, "a record cannot be analyzed; dead letter");
    dead_letter::keep(app, &deployment, "analyze", &message, &error.to_string()).await
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

/// The records by type, filed documents together without one. What else has no type that the map knows is left out: it
/// touches no objective.
fn by_record_type(records: Vec<Evidence>) -> Vec<(Option<&'static Entry>, Vec<Evidence>)> {
    let mut groups: BTreeMap<&'static str, (Option<&'static Entry>, Vec<Evidence>)> = BTreeMap::new();
    for record in records {
        let entry = record.record_type.as_deref().and_then(|record_type| evidence_map().entry(record_type));
        if entry.is_some() || matches!(record.origin, Origin::Filed(_)) {
            groups.entry(entry.map_or("", |entry| entry.record_type)).or_insert_with(|| (entry, Vec::new())).1.push(record);
        }
    }
    groups.into_values().collect()
}

/// What a document shows is for people to say; that the client has newer evidence is known. After a conflict the message
/// comes again.
async fn note_filed(store: &Store<'_, ClientPlace>, records: &[Evidence]) -> Result<(), StoreError> {
    let mut standing = standing::read(store).await?;
    let before = standing.value.newest_evidence;
    for record in records {
        standing.value.note_evidence(record.collected_at);
    }
    if standing.value.newest_evidence == before {
        return Ok(());
    }
    let mut batch = store.batch(ClientPlace::Assessment);
    record_analysis(&mut batch, "filed_documents", records, &[]);
    batch.put(standing.value, standing.etag);
    batch.commit().await
}

fn record_analysis(batch: &mut Batch<'_, '_, ClientPlace>, record_type: &str, records: &[Evidence], changed: &[Value]) {
    let first = records.first().map(|record| &record.source_key);
    let detail = json!({ "record_type": record_type, "records": records.len(), "first": first, "changed": changed });
    audit::record(batch, audit::Event::new("analysis.recorded", format!("record type {record_type}"), detail));
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
    // Before the rest: whoever changes any of that changes this too, and then the batch does not go through.
    let mut standing = standing::read(store).await?;
    let (topics, touched) = around(store, &topic.value, entry).await?;
    let mut batch = store.batch(ClientPlace::Assessment);
    let mut changed: Vec<Value> = Vec::new();
    for Touched { determination, mut objective, last } in touched {
        let suggestion = suggest(evidence_map(), determination, |record_type| topics.get(record_type), now);
        let open = last.as_ref().map(|held| &held.value).filter(|proposal| proposal.state == State::Open);
        let waiting = Waiting {
            outdated: open.is_some_and(|proposal| draft::is_outdated(&proposal.draft, records, now)),
            blocked: open.is_some_and(|proposal| machine::blocked(proposal, now).is_some()),
        };
        let step = step(&objective.value, suggestion.as_ref(), last.as_ref().map(|p| &p.value.state), waiting, now);
        let was = objective.value.suggestion.as_ref();
        if suggestion.as_ref().map_or(was.is_some(), |s| s.differs_from(was)) {
            changed.push(summary(determination.id, suggestion.as_ref()));
            // What the rule would ask now, nobody has answered.
            objective.value.last_proposal.iter_mut().for_each(|last| last.rule_rejected = false);
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
    record_analysis(&mut batch, entry.record_type, records, &changed);
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

struct Touched {
    determination: &'static Determination,
    objective: Kept<Objective>,
    last: Option<Held<Proposal>>,
}

/// The objectives that a topic speaks of, and the topics that speak of the same: one round trip, and one more for the
/// proposals.
async fn around(store: &Store<'_, ClientPlace>, topic: &Topic, entry: &Entry) -> Result<(Topics, Vec<Touched>), StoreError> {
    let about: Vec<&'static Determination> = entry.objectives().filter_map(|(id, _)| catalogue().objective(id)).collect();
    let touching = about.iter().flat_map(|one| evidence_map().touching(one.id)).map(|(other, _)| other.record_type);
    let others: BTreeSet<&str> = touching.filter(|record_type| *record_type != topic.record_type).collect();
    let of_others = others.iter().map(|record_type| Wanted::one::<Topic>(record_type));
    let of_objectives = about.iter().map(|one| objective::wanted(one.id));
    let found = store.gather(ClientPlace::Assessment, of_others.chain(of_objectives).collect()).await?;

    let mut topics = HashMap::from([(topic.record_type.clone(), topic.clone())]);
    for record_type in others {
        topics.extend(found.one::<Topic>(record_type).await?.map(|held| (record_type.to_owned(), held.value)));
    }
    let mut objectives = Vec::with_capacity(about.len());
    for one in &about {
        objectives.push(objective::among(&found, one.id).await?);
    }
    let last = try_join_all(objectives.iter().map(|objective| last_proposal(store, &objective.value))).await?;
    let touched = about.into_iter().zip(objectives).zip(last);
    let touched = touched.map(|((determination, objective), last)| Touched { determination, objective, last });
    Ok((Topics(topics), touched.collect()))
}

/// The topics of one analysis, by record type.
struct Topics(HashMap<String, Topic>);

impl Topics {
    fn get(&self, record_type: &str) -> Option<&Topic> {
        self.0.get(record_type)
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
        let _ = gate::revise(batch, open, draft).await?;
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
            let id = gate::stage(batch, draft).await?;
            objective.last_proposal = Some(LastProposal { id, version: 1, found, by_hand: false, rule_rejected: false });
            Some(id)
        }
    };
    if let Some(last) = last {
        // One that ended already needs no end.
        let _ = gate::supersede(batch, &last, by, about.cause);
    }
    Ok(())
}
