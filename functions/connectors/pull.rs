//! Reads every configuration of every mapped company, page by page, one page per message.
//!
//! A run is one record per connection: which companies are left, which page comes next. Its steps follow one another
//! through the queue, so a connection never has two calls at once (Autotask allows three, ConnectWise says nothing), a
//! crash repeats at most one page, and waiting is a delayed message. A whole read gives the population that no webhook
//! can, and finds what a lost webhook left behind. What a page writes is in `population`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::json;
use uuid::Uuid;

pub use super::run::{Cause, Report, State, report};
use super::{
    Connection,
    call::CallError,
    connection,
    gone::Reading,
    health::{self, Alarm},
    intake::{self, IntakeV1},
    lines, mapping,
    page::read_page,
    population::{self, Line, Read},
    run::{self, Run, Turn, place},
    unlisted::Unlisted,
};
use crate::{
    app::App,
    audit,
    tenancy::{
        ConnectionId, DeploymentPlace, DeploymentScope, Record as _, Roster, Scope, Store, StoreError, TenantId, directory::MappedCompany,
        outbox,
    },
};

/// One step of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PullV1 {
    pub connection: ConnectionId,
    pub run: Uuid,
    /// The run's step when this was sent; another one is an old message.
    pub step: u32,
}

/// How often everything is read by itself.
const EVERY: time::Duration = time::Duration::hours(24);
/// A run without progress for so long may be replaced: its message is a dead letter or lost with its queue.
const STUCK_AFTER: time::Duration = time::Duration::hours(6);
/// Failures in a row after which a person must look: about twelve hours.
const MAX_ATTEMPTS: u32 = 60;
const LONGEST_WAIT: std::time::Duration = std::time::Duration::from_mins(15);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Requested {
    Started,
    AlreadyRunning,
    /// There is no company to read: none is mapped, or their clients are switched off.
    NothingMapped,
    NoSuchConnection,
}

/// Asks for a whole read, for the button and the timer.
pub async fn request_pull(store: &Store<'_, DeploymentPlace>, id: ConnectionId) -> Result<Requested, StoreError> {
    if connection::read(store, id).await?.is_none() {
        return Ok(Requested::NoSuchConnection);
    }
    let app = store.app();
    let now = app.now();
    let mut left = to_read(store, id).await?;
    left.sort_by(|a, b| (a.client, &a.company).cmp(&(b.client, &b.company)));
    if left.is_empty() {
        return Ok(Requested::NothingMapped);
    }
    let held = run::read(store, id).await?;
    if held.as_ref().is_some_and(|held| !held.value.state.is_over() && now - held.value.progress_at < STUCK_AFTER) {
        // It may only need its message sent.
        outbox::flush(store, place(id)).await?;
        return Ok(Requested::AlreadyRunning);
    }
    let run = Run {
        run: app.ids.uuid(),
        step: 0,
        started_at: now,
        progress_at: now,
        companies: left.len(),
        read: Vec::new(),
        left,
        next: None,
        pages: 0,
        first_page: 0,
        unreadable: 0,
        type_names: BTreeMap::new(),
        unlisted: Unlisted::default(),
        attempts: 0,
        records: 0,
        held_back: 0,
        skipped: Vec::new(),
        state: State::Running,
    };
    let mut batch = store.batch(place(id));
    let message_run = run.run;
    let message = IntakeV1::Pull(PullV1 { connection: id, run: message_run, step: 0 });
    outbox::send(&mut batch, "intake", &message, std::time::Duration::ZERO)?;
    audit::record(&mut batch, audit::Event::new("pull.started", format!("connection {id}"), json!({ "companies": run.left.len() })));
    batch.put(run, held.map(|held| held.etag));
    match batch.commit().await {
        Err(error) if error.is_conflict() => return Ok(Requested::AlreadyRunning),
        other => other?,
    }
    outbox::flush(store, place(id)).await?;
    lines::forget(store, id, message_run, 0).await?;
    Ok(Requested::Started)
}

/// The mapped companies, but for those whose client is switched off.
async fn to_read(store: &Store<'_, DeploymentPlace>, id: ConnectionId) -> Result<Vec<Turn>, StoreError> {
    let (companies, roster) = (mapping::mapped(store, id).await?, Roster::read(store).await?);
    let on = companies.iter().filter(|entry| !roster.is_off(entry.tenant()));
    Ok(on.map(|entry| Turn { client: entry.tenant(), company: entry.company().into() }).collect())
}

/// For the timer: starts the read of every connection whose day is over or that has a company no read has seen; returns
/// how many. One that cannot be started is told of when all have had their turn.
pub async fn run_due(app: &App, correlation: &str) -> Result<usize, StoreError> {
    let store = DeploymentScope::of_function("sweep", correlation).store(app).await?;
    let mut started = 0;
    let mut failed = None;
    for connection in connection::all(&store).await? {
        match start_if_due(&store, connection.id).await {
            Ok(Some(Requested::Started)) => started += 1,
            Ok(_) => {}
            Err(error) => {
                tracing::warn!(connection = %connection.id, error = %error, "the daily read could not be started");
                failed.get_or_insert(error);
            }
        }
    }
    failed.map_or(Ok(started), Err)
}

async fn start_if_due(store: &Store<'_, DeploymentPlace>, id: ConnectionId) -> Result<Option<Requested>, StoreError> {
    let last = run::read(store, id).await?;
    let due = match last.map(|held| held.value) {
        None => true,
        Some(run) if store.app().now() - run.started_at >= EVERY => true,
        // Mapped or switched on since it began: the company's inventory comes by itself.
        Some(run) => run.state.is_over() && to_read(store, id).await?.len() > run.companies,
    };
    Ok(if due { Some(request_pull(store, id).await?) } else { None })
}

/// Works off one step, and asks for the next one in the batch that remembers it.
pub async fn step(store: &Store<'_, DeploymentPlace>, pull: &PullV1) -> Result<(), StoreError> {
    let id = pull.connection;
    let Some(held) = run::read(store, id).await? else { return Ok(()) };
    if held.value.run != pull.run || held.value.step != pull.step || held.value.state.is_over() {
        outbox::flush(store, place(id)).await?;
        return Ok(());
    }
    let now = store.app().now();
    let mut run = held.value;
    let first_page = run.first_page;
    let (mut read, mut left_out) = (Vec::new(), None);
    let delay = match turn(store, id, &mut run).await? {
        Ok(turned) => {
            run.attempts = 0;
            run.state = if run.left.is_empty() { State::Finished } else { State::Running };
            (read, left_out) = (turned.lines, turned.left_out);
            turned.pace
        }
        Err(CallError::ComeBack { after, why }) if run.attempts < MAX_ATTEMPTS => {
            // Never earlier than the vendor said; later each time it says so again.
            let wait = (after * 2u32.pow(run.attempts.min(5))).min(LONGEST_WAIT.max(after));
            run.attempts += 1;
            run.state = State::Waiting { until: now + wait, why: why.into() };
            wait
        }
        Err(error) => {
            let (cause, why) = match error {
                CallError::ComeBack { why, .. } => {
                    (Cause::GaveUp, format!("the vendor did not let us read in {MAX_ATTEMPTS} tries: {why}"))
                }
                error => (Cause::Refused, error.to_string()),
            };
            health::alarm(store, Some(id), cause.alarm(), &why).await?;
            run.state = State::Failed { why, cause };
            std::time::Duration::ZERO
        }
    };
    if let Some((_, why)) = left_out {
        health::alarm(store, Some(id), Alarm::ClientSkipped, why).await?;
    }
    run.step += 1;
    run.progress_at = now;
    let mut batch = store.batch(place(id));
    if let Some((client, why)) = left_out {
        let detail = json!({ "reason": why });
        audit::record(&mut batch, audit::Event::new("pull.client_skipped", format!("connection {id} client {client}"), detail));
    }
    run.pages = lines::keep(&mut batch, run.run, run.pages, &read);
    if run.state.is_over() {
        run.first_page = run.pages;
        let detail = json!({
            "state": run.state, "records": run.records, "held_back": run.held_back, "clients_skipped": run.skipped.len(),
        });
        let kind = if run.state == State::Finished { "pull.finished" } else { "pull.failed" };
        audit::record(&mut batch, audit::Event::new(kind, format!("connection {id}"), detail));
        if run.state == State::Finished {
            let unlisted = std::mem::take(&mut run.unlisted);
            let before = store.read::<Unlisted>(place(id), &unlisted.key()).await?;
            batch.put(unlisted, before.map(|held| held.etag));
        }
    } else {
        let next = IntakeV1::Pull(PullV1 { step: run.step, ..pull.clone() });
        outbox::send(&mut batch, "intake", &next, delay)?;
    }
    let (of_run, first_left) = (run.run, run.first_page);
    batch.put(run, Some(held.etag));
    // Not written: the same step ran twice at once, and the other one was faster.
    if !batch.commit_unless_overtaken().await? {
        return Ok(());
    }
    outbox::flush(store, place(id)).await?;
    if first_left > first_page {
        lines::forget(store, id, of_run, first_left).await?;
    }
    Ok(())
}

/// One page of the client at hand; a client whose records cannot be used is left out, so that it holds up no other.
async fn turn(store: &Store<'_, DeploymentPlace>, id: ConnectionId, run: &mut Run) -> Result<Result<Turned, CallError>, StoreError> {
    let Some(current) = run.left.first().cloned() else { return Ok(Ok(Turned::default())) };
    let Some(connection) = connection::read(store, id).await? else { return Ok(Err(CallError::Refused("connection removed"))) };
    let Some(entry) = intake::mapped(store, id, &current.company).await? else {
        run.left.remove(0);
        return Ok(Ok(Turned::default()));
    };
    match read_and_write(store, &connection, &entry, &current, run).await {
        Err(error) => {
            let why = why_left_out(&error, current.client).ok_or_else(|| error.clone())?;
            tracing::warn!(connection = %id, client = %current.client, error = %error, "client left out of the read");
            run.left.retain(|turn| turn.client != current.client);
            run.skipped.push(current.client);
            run.end_client();
            Ok(Ok(Turned { left_out: Some((current.client, why)), ..Turned::default() }))
        }
        read => read,
    }
}

/// Why the client cannot be written until somebody mends it; `None` when all would fail, or only now.
fn why_left_out(error: &StoreError, client: TenantId) -> Option<&'static str> {
    match error {
        StoreError::Key { owner, .. } if *owner != client.to_string() || error.passes_by_itself() => None,
        StoreError::Key { .. } => Some("the client's key cannot be used"),
        StoreError::Elsewhere { .. } => Some("the client's records may be read in other regions only"),
        StoreError::SwitchedOff { .. } => Some("the client is switched off"),
        error => error.concerns_one_owner().then_some("a record of the client cannot be read"),
    }
}

/// What a page leaves to do.
#[derive(Default)]
struct Turned {
    /// The delay before the next one.
    pace: std::time::Duration,
    /// To be kept until the client is read to its end.
    lines: Vec<Line>,
    /// The client that was left out, and why.
    left_out: Option<(TenantId, &'static str)>,
}

async fn read_and_write(
    store: &Store<'_, DeploymentPlace>,
    connection: &Connection,
    entry: &MappedCompany,
    current: &Turn,
    run: &mut Run,
) -> Result<Result<Turned, CallError>, StoreError> {
    // Before the vendor is asked: what cannot be written need not be read.
    let scope = Scope::of_client_map(entry, &*Roster::read(store).await?, store.correlation())?;
    let client = scope.store(store.app()).await?;
    let asked = store.app().now();
    let page = match read_page(store.app(), connection, &current.company, run.next.as_deref()).await {
        Ok(page) => page,
        Err(error) => return Ok(Err(error)),
    };
    let one_answer = run.next.is_none() && page.next.is_none() && run.read.is_empty() && run.first_page == run.pages;
    let read = population::write_page(store, &client, connection, &current.company, run.started_at, asked, &page).await?;
    run.records += u64::try_from(read.lines.len()).unwrap_or(u64::MAX);
    run.held_back += u64::try_from(read.lines.iter().filter(|line| line.held_back).count()).unwrap_or(u64::MAX);
    run.unreadable += read.unreadable;
    run.type_names.extend(read.type_names);
    run.next = page.next;
    if run.next.is_some() {
        return Ok(Ok(Turned { pace: page.pace, lines: read.lines, left_out: None }));
    }
    run.left.remove(0);
    run.read.push(current.company.clone());
    if run.left.first().is_some_and(|next| next.client == current.client) {
        return Ok(Ok(Turned { pace: page.pace, lines: read.lines, left_out: None }));
    }
    let lines = lines::of_client(store, connection.id, run.run, run.first_page, read.lines).await?;
    let whole = Read { lines, unreadable: run.unreadable, type_names: std::mem::take(&mut run.type_names) };
    let reading = Reading { client: current.client, began: run.started_at, companies: &run.read, one_answer };
    population::write_population(store, &client, connection, &reading, &whole).await?;
    run.unlisted.add(&whole);
    run.end_client();
    Ok(Ok(Turned { pace: page.pace, ..Turned::default() }))
}
