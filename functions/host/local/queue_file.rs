//! The redb file under the queues, opened anew after an I/O error: from then on redb refuses every write, so a disk that
//! was full once would keep the queues broken until a restart.
//!
//! The handler's own store does the same in `platform`; the two share no code, because the stand-in stands for Azure
//! Storage and must not lean on the product.

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicBool, Ordering},
    },
};

use redb::{Database, DatabaseError, ReadableTable as _, TableDefinition};

use super::queues::{DUE, MESSAGES, QueueError};

/// Opens the file at a path; a test opens it on a disk of its own.
pub type Opener = Arc<dyn Fn(&Path) -> Result<Database, DatabaseError> + Send + Sync>;

const META: TableDefinition<'_, &str, u64> = TableDefinition::new("meta");
const FORMAT: u64 = 1;

pub(super) struct QueueFile {
    database: RwLock<Option<Database>>,
    /// The next call opens it anew.
    broken: AtomicBool,
    path: PathBuf,
    opener: Opener,
}

impl QueueFile {
    pub(super) fn open(path: &Path, opener: Opener) -> Result<Self, QueueError> {
        let database = open(path, &opener)?;
        Ok(Self { database: RwLock::new(Some(database)), broken: AtomicBool::new(false), path: path.to_owned(), opener })
    }

    pub(super) fn with<T>(&self, call: impl FnOnce(&Database) -> Result<T, redb::Error>) -> Result<T, QueueError> {
        if self.broken.load(Ordering::Acquire) {
            self.reopen()?;
        }
        let database = self.database.read().unwrap_or_else(PoisonError::into_inner);
        call(database.as_ref().ok_or(QueueError::Closed)?).map_err(|error| {
            if matches!(error, redb::Error::Io(_) | redb::Error::PreviousIo | redb::Error::Backend(_)) {
                self.broken.store(true, Ordering::Release);
            }
            failed(error)
        })
    }

    fn reopen(&self) -> Result<(), QueueError> {
        let mut database = self.database.write().unwrap_or_else(PoisonError::into_inner);
        if self.broken.load(Ordering::Acquire) {
            // The lock on the file goes first.
            drop(database.take());
            *database = Some(open(&self.path, &self.opener)?);
            self.broken.store(false, Ordering::Release);
        }
        Ok(())
    }
}

/// Makes the tables, and refuses a file of a release that this one cannot read.
fn open(path: &Path, opener: &Opener) -> Result<Database, QueueError> {
    let database = opener(path).map_err(failed)?;
    let transaction = database.begin_write().map_err(failed)?;
    {
        let mut meta = transaction.open_table(META).map_err(failed)?;
        let found = meta.get("format").map_err(failed)?.map(|v| v.value());
        match found {
            Some(format) if format > FORMAT => return Err(QueueError::NewerFormat(format)),
            Some(_) => {}
            None => {
                meta.insert("format", FORMAT).map_err(failed)?;
            }
        }
        transaction.open_table(MESSAGES).map_err(failed)?;
        transaction.open_table(DUE).map_err(failed)?;
    }
    transaction.commit().map_err(failed)?;
    Ok(database)
}

fn failed(error: impl Into<redb::Error>) -> QueueError {
    match error.into() {
        redb::Error::Io(io) if matches!(io.kind(), std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded) => QueueError::Full,
        other => QueueError::Store(Arc::new(other)),
    }
}
