//! The queue engine of local mode: Storage-queue semantics on one redb file that belongs to the stand-in host.
//!
//! At least once, no order: receiving hides a message for a lease, only the holder of the pop receipt may delete or
//! hide it again, a message lives seven days. One writer thread puts everything that waits into one transaction, so
//! many senders share one fsync; an answer is given only after it. Time comes from the [`Clock`] it is opened with,
//! so tests move it by hand. It never looks into a body and never logs one.

use std::{
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc},
    thread::{self, JoinHandle},
    time::Duration,
};

use bytes::Bytes;
use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition, WriteTransaction};
use time::OffsetDateTime;
use tokio::sync::{Notify, oneshot};
use uuid::Uuid;

use super::queue_file::{Opener, QueueFile};
use crate::platform::{
    limits::is_queue_name,
    ports::{Clock, Ids, MAX_MESSAGE_BYTES},
};

/// Azure Storage's default time to live of a message.
pub const TIME_TO_LIVE: Duration = Duration::from_hours(7 * 24);
/// How many waiting calls one transaction takes at most.
const GROUP: usize = 512;
const CACHE_BYTES: usize = 16 << 20;

/// Cheap to clone; clones share the file, which stays open until [`Queues::close`] or the last clone is gone.
#[derive(Clone)]
pub struct Queues {
    open: Arc<Mutex<Option<Open>>>,
    clock: Arc<dyn Clock>,
    sent: Arc<Notify>,
}

struct Open {
    writer: mpsc::Sender<Call>,
    file: Arc<QueueFile>,
    thread: JoinHandle<()>,
}

/// A received message and the lease on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leased {
    pub id: Uuid,
    pub pop_receipt: Uuid,
    pub body: Bytes,
    /// 1 on the first delivery.
    pub dequeue_count: u32,
    pub inserted_at: OffsetDateTime,
    pub expires_at: OffsetDateTime,
    pub next_visible_at: OffsetDateTime,
}

/// What became of a call that names a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Held {
    /// Done; the pop receipt to use from now on (of no use after a delete).
    Done(Uuid),
    /// No such message: deleted, expired or moved.
    Gone,
    /// The lease was lost: somebody else received it since.
    Lost,
}

/// Messages of one queue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Depth {
    /// Could be received now.
    pub due: u64,
    /// Leased, or sent with a delay.
    pub hidden: u64,
}

#[derive(Clone, Debug, thiserror::Error)]
pub enum QueueError {
    #[error("queue name must be 3 to 63 lower-case letters, digits and single dashes")]
    Name,
    #[error("message is longer than {MAX_MESSAGE_BYTES} bytes")]
    TooLarge,
    #[error("queue store is full")]
    Full,
    #[error("queue store was written by a newer release (format {0})")]
    NewerFormat(u64),
    #[error("queue store failed")]
    Store(#[source] Arc<redb::Error>),
    #[error("queue store is closed")]
    Closed,
}

impl Queues {
    pub fn open(file: &Path, clock: Arc<dyn Clock>, ids: Arc<dyn Ids>) -> Result<Self, QueueError> {
        Self::open_with(file, Arc::new(|path| Database::builder().set_cache_size(CACHE_BYTES).create(path)), clock, ids)
    }

    pub fn open_with(file: &Path, opener: Opener, clock: Arc<dyn Clock>, ids: Arc<dyn Ids>) -> Result<Self, QueueError> {
        let file = Arc::new(QueueFile::open(file, opener)?);
        let (writer, calls) = mpsc::channel();
        let sent = Arc::new(Notify::new());
        let owner = Writer { file: Arc::clone(&file), clock: Arc::clone(&clock), ids, sent: Arc::clone(&sent) };
        let thread = thread::Builder::new()
            .name("queues".into())
            .spawn(move || owner.run(&calls))
            .map_err(|error| QueueError::Store(Arc::new(redb::Error::Io(error))))?;
        Ok(Self { open: Arc::new(Mutex::new(Some(Open { writer, file, thread }))), clock, sent })
    }

    /// Finishes what was asked for and lets go of the file; later calls on any clone are [`QueueError::Closed`].
    pub fn close(&self) {
        if let Some(Open { writer, file, thread }) = self.opened().take() {
            drop((writer, file));
            // A writer that panicked has let go as well.
            let _ = thread.join();
        }
    }

    /// Durable before it returns; hidden for `delay`.
    pub async fn send(&self, queue: &str, body: Bytes, delay: Duration) -> Result<(), QueueError> {
        if body.len() > MAX_MESSAGE_BYTES {
            return Err(QueueError::TooLarge);
        }
        self.call(queue, Action::Send { body, delay }).await.map(|_| ())
    }

    /// Up to `max` messages that are due, oldest due first, hidden from others for `lease`.
    pub async fn receive(&self, queue: &str, max: usize, lease: Duration) -> Result<Vec<Leased>, QueueError> {
        match self.call(queue, Action::Receive { max, lease }).await? {
            Outcome::Received(messages) => Ok(messages),
            Outcome::Held(_) => Ok(Vec::new()),
        }
    }

    pub async fn delete(&self, queue: &str, id: Uuid, pop_receipt: Uuid) -> Result<Held, QueueError> {
        self.held(queue, id, pop_receipt, Change::Delete).await
    }

    /// Hides the message from now on for `period`: renews a lease, or gives the message back (zero).
    pub async fn hide(&self, queue: &str, id: Uuid, pop_receipt: Uuid, period: Duration) -> Result<Held, QueueError> {
        self.held(queue, id, pop_receipt, Change::Hide(period)).await
    }

    /// Moves the message to `{queue}-poison` under a new id and insertion time.
    pub async fn poison(&self, queue: &str, id: Uuid, pop_receipt: Uuid) -> Result<Held, QueueError> {
        self.held(queue, id, pop_receipt, Change::Poison).await
    }

    pub fn depth(&self, queue: &str) -> Result<Depth, QueueError> {
        let now = micros(self.clock.now());
        self.file()?.with(|database| {
            let due = database.begin_read()?.open_table(DUE)?;
            let mut depth = Depth::default();
            for entry in due.range((queue, i64::MIN, 0)..=(queue, i64::MAX, u128::MAX))? {
                let (key, _) = entry?;
                if key.value().1 <= now { depth.due += 1 } else { depth.hidden += 1 }
            }
            Ok(depth)
        })
    }

    /// Whether a receive would find something: a read, so that polling an empty queue costs no fsync.
    pub fn has_due(&self, queue: &str) -> Result<bool, QueueError> {
        let now = micros(self.clock.now());
        self.file()?.with(|database| {
            let due = database.begin_read()?.open_table(DUE)?;
            Ok(due.range((queue, i64::MIN, 0)..=(queue, now, u128::MAX))?.next().is_some())
        })
    }

    /// Resolves after the next send to any queue.
    pub async fn next_send(&self) {
        self.sent.notified().await;
    }

    async fn held(&self, queue: &str, id: Uuid, pop_receipt: Uuid, change: Change) -> Result<Held, QueueError> {
        match self.call(queue, Action::Change { id, pop_receipt, change }).await? {
            Outcome::Held(held) => Ok(held),
            Outcome::Received(_) => Ok(Held::Gone),
        }
    }

    async fn call(&self, queue: &str, action: Action) -> Result<Outcome, QueueError> {
        if !is_queue_name(queue) {
            return Err(QueueError::Name);
        }
        let (reply, answer) = oneshot::channel();
        let call = Call { queue: queue.to_owned(), action, reply };
        self.opened().as_ref().ok_or(QueueError::Closed)?.writer.send(call).map_err(|_| QueueError::Closed)?;
        answer.await.map_err(|_| QueueError::Closed)?
    }

    fn file(&self) -> Result<Arc<QueueFile>, QueueError> {
        self.opened().as_ref().map(|open| Arc::clone(&open.file)).ok_or(QueueError::Closed)
    }

    fn opened(&self) -> MutexGuard<'_, Option<Open>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Where a queue's messages go that cannot be processed. A poison queue has none of its own, nor has a queue whose
/// name would grow too long: those messages come back for ever, as they do in Azure.
pub fn poison_queue_of(queue: &str) -> Option<String> {
    let name = format!("{queue}-poison");
    (!queue.ends_with("-poison") && is_queue_name(&name)).then_some(name)
}

/// Inserted, expires, visible (all microseconds since 1970), deliveries, pop receipt, body.
pub(super) type Stored<'a> = (i64, i64, i64, u32, u128, &'a [u8]);
/// By queue and id.
pub(super) const MESSAGES: TableDefinition<'_, (&str, u128), Stored<'_>> = TableDefinition::new("messages");
/// Queue, time of visibility and id: what is due, in order.
pub(super) const DUE: TableDefinition<'_, (&str, i64, u128), ()> = TableDefinition::new("due");

struct Call {
    queue: String,
    action: Action,
    reply: oneshot::Sender<Result<Outcome, QueueError>>,
}

enum Action {
    Send { body: Bytes, delay: Duration },
    Receive { max: usize, lease: Duration },
    Change { id: Uuid, pop_receipt: Uuid, change: Change },
}

#[derive(Clone, Copy)]
enum Change {
    Delete,
    Hide(Duration),
    Poison,
}

enum Outcome {
    Received(Vec<Leased>),
    Held(Held),
}

/// The one thread that writes.
struct Writer {
    file: Arc<QueueFile>,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn Ids>,
    sent: Arc<Notify>,
}

impl Writer {
    fn run(&self, calls: &mpsc::Receiver<Call>) {
        while let Ok(first) = calls.recv() {
            let group: Vec<Call> = std::iter::once(first).chain(calls.try_iter().take(GROUP - 1)).collect();
            let sends = group.iter().any(|call| matches!(call.action, Action::Send { .. }));
            let (requests, replies): (Vec<_>, Vec<_>) = group.into_iter().map(|c| ((c.queue, c.action), c.reply)).unzip();
            match self.commit(&requests) {
                Ok(outcomes) => {
                    for (reply, outcome) in replies.into_iter().zip(outcomes) {
                        // A caller that went away does not matter: what it asked for is done.
                        let _ = reply.send(Ok(outcome));
                    }
                    if sends {
                        self.sent.notify_waiters();
                    }
                }
                Err(error) => {
                    for reply in replies {
                        let _ = reply.send(Err(error.clone()));
                    }
                }
            }
        }
    }

    /// All of it or nothing.
    fn commit(&self, requests: &[(String, Action)]) -> Result<Vec<Outcome>, QueueError> {
        self.file.with(|database| {
            let transaction = database.begin_write()?;
            let mut wrote = false;
            let outcomes = requests
                .iter()
                .map(|(queue, action)| self.apply(&transaction, queue, action, &mut wrote))
                .collect::<Result<Vec<_>, redb::Error>>()?;
            if wrote {
                transaction.commit()?;
            } else {
                transaction.abort()?;
            }
            Ok(outcomes)
        })
    }

    fn apply(&self, transaction: &WriteTransaction, queue: &str, action: &Action, wrote: &mut bool) -> Result<Outcome, redb::Error> {
        let now = self.clock.now();
        let mut messages = transaction.open_table(MESSAGES)?;
        let mut due = transaction.open_table(DUE)?;
        let add = |messages: &mut redb::Table<'_, _, _>, due: &mut redb::Table<'_, _, _>, queue: &str, body: &[u8], delay| {
            let id = self.ids.uuid().as_u128();
            let (visible, expires) = (micros(now + delay), micros(now + TIME_TO_LIVE));
            messages.insert((queue, id), (micros(now), expires, visible, 0, self.ids.uuid().as_u128(), body))?;
            due.insert((queue, visible, id), ())?;
            Ok::<(), redb::Error>(())
        };
        match action {
            Action::Send { body, delay } => {
                *wrote = true;
                add(&mut messages, &mut due, queue, body, *delay)?;
                Ok(Outcome::Held(Held::Done(Uuid::nil())))
            }
            Action::Receive { max, lease } => {
                let mut received = Vec::new();
                while received.len() < *max {
                    let first = due.range((queue, i64::MIN, 0)..=(queue, micros(now), u128::MAX))?.next().transpose()?;
                    let Some((visible, id)) = first.map(|(key, _)| (key.value().1, key.value().2)) else { break };
                    *wrote = true;
                    due.remove((queue, visible, id))?;
                    let Some(old) = messages.get((queue, id))?.map(|row| Row::from(row.value())) else { continue };
                    if old.expires <= micros(now) {
                        messages.remove((queue, id))?;
                        continue;
                    }
                    let row = Row { visible: micros(now + *lease), count: old.count + 1, pop: self.ids.uuid().as_u128(), ..old };
                    messages.insert((queue, id), row.values())?;
                    due.insert((queue, row.visible, id), ())?;
                    received.push(row.leased(id));
                }
                Ok(Outcome::Received(received))
            }
            Action::Change { id, pop_receipt, change } => {
                let id = id.as_u128();
                let Some(old) = messages.get((queue, id))?.map(|row| Row::from(row.value())) else {
                    return Ok(Outcome::Held(Held::Gone));
                };
                if old.pop != pop_receipt.as_u128() {
                    return Ok(Outcome::Held(Held::Lost));
                }
                *wrote = true;
                due.remove((queue, old.visible, id))?;
                let mut pop = old.pop;
                match change {
                    Change::Delete => {
                        messages.remove((queue, id))?;
                    }
                    Change::Hide(period) => {
                        pop = self.ids.uuid().as_u128();
                        let row = Row { visible: micros(now + *period), pop, ..old };
                        messages.insert((queue, id), row.values())?;
                        due.insert((queue, row.visible, id), ())?;
                    }
                    Change::Poison => {
                        messages.remove((queue, id))?;
                        add(&mut messages, &mut due, &format!("{queue}-poison"), &old.body, Duration::ZERO)?;
                    }
                }
                Ok(Outcome::Held(Held::Done(Uuid::from_u128(pop))))
            }
        }
    }
}

/// A stored message, out of the database's hands.
struct Row {
    inserted: i64,
    expires: i64,
    visible: i64,
    count: u32,
    pop: u128,
    body: Bytes,
}

impl From<Stored<'_>> for Row {
    fn from((inserted, expires, visible, count, pop, body): Stored<'_>) -> Self {
        Self { inserted, expires, visible, count, pop, body: Bytes::copy_from_slice(body) }
    }
}

impl Row {
    fn values(&self) -> Stored<'_> {
        (self.inserted, self.expires, self.visible, self.count, self.pop, &self.body)
    }

    fn leased(self, id: u128) -> Leased {
        Leased {
            id: Uuid::from_u128(id),
            pop_receipt: Uuid::from_u128(self.pop),
            body: self.body,
            dequeue_count: self.count,
            inserted_at: from_micros(self.inserted),
            expires_at: from_micros(self.expires),
            next_visible_at: from_micros(self.visible),
        }
    }
}

fn micros(at: OffsetDateTime) -> i64 {
    i64::try_from(at.unix_timestamp_nanos() / 1000).unwrap_or(i64::MAX)
}

fn from_micros(micros: i64) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(micros) * 1000).unwrap_or(OffsetDateTime::UNIX_EPOCH)
}
