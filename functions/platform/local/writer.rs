//! The one writer of the redb file: a thread that takes all waiting changes into one transaction (group commit).
//!
//! Each change is checked on its own against what is stored and what stands before it in the group; a refused one
//! writes nothing and does not hurt the others. Nobody is answered before the transaction is on the disk. After an
//! I/O error redb wants to be opened anew: the next call does that, so a disk with room again heals by itself.

use std::{
    io,
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    thread,
};

use redb::{Database, Durability, ReadTransaction, ReadableDatabase, ReadableTable, Table, TableDefinition, WriteTransaction};
use tokio::sync::oneshot;

use super::{
    OpenError, Opener,
    folder::{self, Folder},
    raw::{RawChange, RawOutcome, RawTables},
};
use crate::platform::ports::{BatchOutcome, Etag, MAX_DOCUMENT_BYTES, OpStatus, PortError, PortErrorKind};

/// (container, partition, id) -> 8 bytes of revision, then JSON.
pub(super) const DOCUMENTS: TableDefinition<'_, (&str, &str, &str), &[u8]> = TableDefinition::new("documents");
/// (container, partition, revision) -> id: every document once, at its latest change.
pub(super) const CHANGES: TableDefinition<'_, (&str, &str, u64), &str> = TableDefinition::new("changes");
/// The last revision given to any document; kept, so that no etag ever comes back.
const COUNTERS: TableDefinition<'_, &str, u64> = TableDefinition::new("counters");
const REVISION: &str = "revision";
const REVISION_BYTES: usize = 8;

/// Changes of one group: enough to fill a disk's queue, few enough that the first does not wait long for the last.
const MAX_GROUP: usize = 256;

enum Change {
    Batch { container: &'static str, partition: String, writes: Vec<Write> },
    Raw { name: String, change: RawChange },
}

/// What became of a change, by its kind.
enum Outcome {
    Batch(BatchOutcome),
    Raw(RawOutcome),
}

impl Outcome {
    fn wrote(&self) -> bool {
        matches!(self, Self::Batch(BatchOutcome::Committed(_)) | Self::Raw(RawOutcome::Done))
    }
}

/// One operation of a batch, its body already JSON text.
pub(super) enum Write {
    Create { id: String, body: Vec<u8> },
    Replace { id: String, body: Vec<u8>, if_match: Etag },
    Delete { id: String, if_match: Option<Etag> },
}

struct Job {
    change: Change,
    answer: oneshot::Sender<Result<Outcome, PortError>>,
}

pub(super) struct Writer {
    store: Arc<File>,
    // Both are taken on drop: closing the channel ends the thread, joining it frees the folder.
    jobs: Option<mpsc::Sender<Job>>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Writer {
    pub(super) fn start(folder: Folder, opener: Opener) -> Result<Self, OpenError> {
        let database = open(&folder, &opener)?;
        let store = Arc::new(File { database: RwLock::new(Some(database)), broken: AtomicBool::new(false), opener, folder });
        let (jobs, waiting) = mpsc::channel();
        let thread = thread::Builder::new()
            .name("store-writer".into())
            .spawn({
                let store = store.clone();
                move || serve(&store, &waiting)
            })
            .map_err(|source| folder::io_error(store.folder.path(), source))?;
        Ok(Self { store, jobs: Some(jobs), thread: Some(thread) })
    }

    /// Durable, or refused, when it returns. A caller that stops waiting does not stop the change.
    pub(super) async fn batch(&self, container: &'static str, partition: String, writes: Vec<Write>) -> Result<BatchOutcome, PortError> {
        match self.change(Change::Batch { container, partition, writes }).await? {
            Outcome::Batch(outcome) => Ok(outcome),
            Outcome::Raw(_) => Err(gone()),
        }
    }

    /// The same for a raw blob.
    pub(super) async fn raw(&self, name: &str, change: RawChange) -> Result<RawOutcome, PortError> {
        match self.change(Change::Raw { name: name.to_owned(), change }).await? {
            Outcome::Raw(outcome) => Ok(outcome),
            Outcome::Batch(_) => Err(gone()),
        }
    }

    async fn change(&self, change: Change) -> Result<Outcome, PortError> {
        let (answer, answered) = oneshot::channel();
        self.jobs.as_ref().ok_or_else(gone)?.send(Job { change, answer }).map_err(|_| gone())?;
        answered.await.map_err(|_| gone())?
    }

    /// Reads one consistent state.
    pub(super) fn read<T>(&self, read: impl Fn(&ReadTransaction) -> Result<T, redb::Error>) -> Result<T, PortError> {
        self.store.with(|database| read(&database.begin_read()?))
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        drop(self.jobs.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn gone() -> PortError {
    PortError::new("local store", PortErrorKind::Unavailable)
}

/// The etag of a revision.
pub(super) fn etag(revision: u64) -> Etag {
    Etag(format!("{revision:x}"))
}

/// Splits a stored document; `None` when it is damaged.
pub(super) fn split(stored: &[u8]) -> Option<(u64, &[u8])> {
    let (revision, body) = stored.split_first_chunk::<REVISION_BYTES>()?;
    Some((u64::from_be_bytes(*revision), body))
}

fn serve(store: &File, waiting: &mpsc::Receiver<Job>) {
    while let Ok(first) = waiting.recv() {
        let group: Vec<Job> = std::iter::once(first).chain(waiting.try_iter()).take(MAX_GROUP).collect();
        let outcomes = store.with(|database| commit(database, &group));
        match outcomes {
            Ok(outcomes) => {
                for (job, outcome) in group.into_iter().zip(outcomes) {
                    let _ = job.answer.send(Ok(outcome));
                }
            }
            Err(error) => {
                for job in group {
                    let _ = job.answer.send(Err(error.clone()));
                }
            }
        }
    }
}

fn commit(database: &Database, group: &[Job]) -> Result<Vec<Outcome>, redb::Error> {
    let mut transaction = database.begin_write()?;
    transaction.set_durability(Durability::Immediate)?;
    let outcomes = Tables::open(&transaction)?.apply(group)?;
    if outcomes.iter().any(Outcome::wrote) {
        transaction.commit()?;
    } else {
        transaction.abort()?;
    }
    Ok(outcomes)
}

struct Tables<'t> {
    documents: Table<'t, (&'static str, &'static str, &'static str), &'static [u8]>,
    changes: Table<'t, (&'static str, &'static str, u64), &'static str>,
    raw: RawTables<'t>,
    counters: Table<'t, &'static str, u64>,
    revision: u64,
}

impl<'t> Tables<'t> {
    fn open(transaction: &'t WriteTransaction) -> Result<Self, redb::Error> {
        let counters = transaction.open_table(COUNTERS)?;
        let revision = counters.get(REVISION)?.map_or(0, |held| held.value());
        Ok(Self {
            documents: transaction.open_table(DOCUMENTS)?,
            changes: transaction.open_table(CHANGES)?,
            raw: RawTables::open(transaction)?,
            counters,
            revision,
        })
    }

    fn apply(mut self, group: &[Job]) -> Result<Vec<Outcome>, redb::Error> {
        let before = self.revision;
        let outcomes = group.iter().map(|job| self.change(&job.change)).collect::<Result<_, _>>()?;
        if self.revision != before {
            self.counters.insert(REVISION, self.revision)?;
        }
        Ok(outcomes)
    }

    fn change(&mut self, change: &Change) -> Result<Outcome, redb::Error> {
        match change {
            Change::Batch { container, partition, writes } => self.batch(container, partition, writes).map(Outcome::Batch),
            Change::Raw { name, change } => self.raw.change(name, change).map(Outcome::Raw),
        }
    }

    fn batch(&mut self, container: &str, partition: &str, writes: &[Write]) -> Result<BatchOutcome, redb::Error> {
        let mut held = Vec::with_capacity(writes.len());
        for (index, write) in writes.iter().enumerate() {
            let revision = self.revision_of(container, partition, write.id())?;
            if let Some(status) = write.refusal(revision) {
                // Like Cosmos DB, which stops at the first operation that fails.
                let mut statuses = vec![OpStatus::FailedDependency; writes.len()];
                statuses[index] = status;
                return Ok(BatchOutcome::Refused(statuses));
            }
            held.push(revision);
        }
        let mut etags = Vec::with_capacity(writes.len());
        for (write, held) in writes.iter().zip(held) {
            if let Some(old) = held {
                self.changes.remove((container, partition, old))?;
            }
            let key = (container, partition, write.id());
            if let Some(body) = write.body() {
                self.revision += 1;
                let stored = [&self.revision.to_be_bytes()[..], body].concat();
                self.documents.insert(key, stored.as_slice())?;
                self.changes.insert((container, partition, self.revision), write.id())?;
                etags.push(Some(etag(self.revision)));
            } else {
                self.documents.remove(key)?;
                etags.push(None);
            }
        }
        Ok(BatchOutcome::Committed(etags))
    }

    fn revision_of(&self, container: &str, partition: &str, id: &str) -> Result<Option<u64>, redb::Error> {
        self.documents
            .get((container, partition, id))?
            .map(|stored| {
                split(stored.value())
                    .map(|(revision, _)| revision)
                    .ok_or_else(|| redb::Error::Corrupted("document without revision".into()))
            })
            .transpose()
    }
}

impl Write {
    fn id(&self) -> &str {
        match self {
            Self::Create { id, .. } | Self::Replace { id, .. } | Self::Delete { id, .. } => id,
        }
    }

    fn body(&self) -> Option<&[u8]> {
        match self {
            Self::Create { body, .. } | Self::Replace { body, .. } => Some(body),
            Self::Delete { .. } => None,
        }
    }

    /// Why this cannot be done to what is stored.
    fn refusal(&self, stored: Option<u64>) -> Option<OpStatus> {
        if self.body().is_some_and(|body| body.len() > MAX_DOCUMENT_BYTES) {
            return Some(OpStatus::TooLarge);
        }
        let if_match = match self {
            Self::Create { .. } => return stored.map(|_| OpStatus::Conflict),
            Self::Replace { if_match, .. } => Some(if_match),
            Self::Delete { if_match, .. } => if_match.as_ref(),
        };
        match (stored, if_match) {
            (None, _) => Some(OpStatus::NotFound),
            (Some(revision), Some(wanted)) if *wanted != etag(revision) => Some(OpStatus::PreconditionFailed),
            _ => None,
        }
    }
}

/// The open redb file, opened anew after an I/O error.
struct File {
    // The order of the fields is the order of closing: the file first, then the folder's lock.
    database: RwLock<Option<Database>>,
    broken: AtomicBool,
    opener: Opener,
    folder: Folder,
}

impl File {
    fn with<T>(&self, call: impl Fn(&Database) -> Result<T, redb::Error>) -> Result<T, PortError> {
        if self.broken.load(Ordering::Acquire) {
            self.reopen()?;
        }
        let database = self.database.read().unwrap_or_else(PoisonError::into_inner);
        let Some(database) = database.as_ref() else { return Err(PortError::new("local store", PortErrorKind::Unavailable)) };
        call(database).map_err(|error| {
            if matches!(error, redb::Error::Io(_) | redb::Error::PreviousIo | redb::Error::Backend(_)) {
                self.broken.store(true, Ordering::Release);
            }
            PortError::because("local store", kind_of(&error), error)
        })
    }

    fn reopen(&self) -> Result<(), PortError> {
        let mut database = self.database.write().unwrap_or_else(PoisonError::into_inner);
        if self.broken.load(Ordering::Acquire) {
            drop(database.take());
            let opened = open(&self.folder, &self.opener).map_err(|error| {
                let kind = match error {
                    OpenError::Denied { .. } => PortErrorKind::Denied,
                    OpenError::Full { .. } => PortErrorKind::Full,
                    OpenError::Damaged { .. } | OpenError::NewerRelease { .. } => PortErrorKind::Unreadable,
                    OpenError::InUse(_) | OpenError::Io { .. } => PortErrorKind::Unavailable,
                };
                PortError::because("local store", kind, error)
            })?;
            *database = Some(opened);
            self.broken.store(false, Ordering::Release);
        }
        Ok(())
    }
}

fn open(folder: &Folder, opener: &Opener) -> Result<Database, OpenError> {
    let path = folder.path();
    let made = opener(&folder.database()).map_err(redb::Error::from).and_then(|database| {
        // Tables exist from the first moment, so that a read never meets a missing one.
        let transaction = database.begin_write()?;
        let missing = transaction.list_tables()?.count() < 6;
        drop(Tables::open(&transaction)?);
        if missing {
            transaction.commit()?;
        } else {
            transaction.abort()?;
        }
        Ok(database)
    });
    let database = made.map_err(|error| match error {
        redb::Error::Io(source) if source.kind() == io::ErrorKind::InvalidData => {
            OpenError::Damaged { folder: path.to_owned(), problem: source.to_string() }
        }
        redb::Error::Io(source) => folder::io_error(path, source),
        redb::Error::DatabaseAlreadyOpen => OpenError::InUse(path.to_owned()),
        other => match kind_of(&other) {
            PortErrorKind::Unreadable => OpenError::Damaged { folder: path.to_owned(), problem: other.to_string() },
            _ => OpenError::Io { folder: path.to_owned(), source: io::Error::other(other) },
        },
    })?;
    super::files::sync_folder(path).map_err(|source| folder::io_error(path, source))?;
    Ok(database)
}

fn kind_of(error: &redb::Error) -> PortErrorKind {
    match error {
        redb::Error::Io(error) => kind_of_io(error),
        redb::Error::ValueTooLarge(_) => PortErrorKind::TooLarge,
        redb::Error::Corrupted(_)
        | redb::Error::UpgradeRequired(_)
        | redb::Error::RepairAborted
        | redb::Error::TableTypeMismatch { .. }
        | redb::Error::TypeDefinitionChanged { .. } => PortErrorKind::Unreadable,
        _ => PortErrorKind::Unavailable,
    }
}

pub(super) fn kind_of_io(error: &io::Error) -> PortErrorKind {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => PortErrorKind::Full,
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => PortErrorKind::Denied,
        _ => PortErrorKind::Unavailable,
    }
}
