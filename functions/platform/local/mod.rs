//! The embedded default: everything in one data folder, durable before it is answered, no Azure account needed.
//!
//! Documents, raw bytes and the log's tiles are one redb file that one handler process owns (`handler.lock`); mails, anchors
//! and vault keys are files beside it. The queues belong to the stand-in host and are reached over loopback. Blocking: opening may wait
//! some seconds for a predecessor to go, so a server opens the store after it listens, off its async threads.

mod blobs;
mod documents;
mod files;
mod folder;
mod identity;
mod queue;
mod raw;
mod vault;
mod writer;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

pub use self::{blobs::LocalBlobs, documents::LocalDocuments, identity::NoIdentity, queue::QueueClient, vault::FileVault};
use self::{folder::Folder, writer::Writer};
use super::ports::Clock;

/// The parts of the data folder that the handler owns.
pub struct LocalStore {
    pub documents: Arc<LocalDocuments>,
    pub blobs: Arc<LocalBlobs>,
    pub vault: Arc<FileVault>,
}

/// Opens the redb file; tests hand in one with a disk that counts, fills up or fails.
pub type Opener = Arc<dyn Fn(&Path) -> Result<redb::Database, redb::DatabaseError> + Send + Sync>;

pub struct OpenOptions {
    /// How long to wait for a predecessor that is just being killed.
    pub wait_for_lock: Duration,
    pub opener: Opener,
}

impl Default for OpenOptions {
    fn default() -> Self {
        Self { wait_for_lock: Duration::from_secs(5), opener: Arc::new(|path| builder().create(path)) }
    }
}

/// The settings of every redb file here. The cache is small because the handler's memory is (an idle handler stays
/// below 30 MB) and the operating system caches the file anyway.
pub fn builder() -> redb::Builder {
    let mut builder = redb::Builder::new();
    builder.set_cache_size(3 * 1024 * 1024);
    builder
}

/// Why a data folder cannot be used, in words for the person who runs Assay.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("the data folder {} is in use by another Assay process: stop that one, or name another folder (--data or ASSAY_DATA)", .0.display())]
    InUse(PathBuf),
    #[error(
        "the store in {} was written by release {release} in format {format}; this release reads up to format {known}: install release {release} or a newer one",
        folder.display()
    )]
    NewerRelease { folder: PathBuf, release: String, format: u32, known: u32 },
    #[error("the data folder {} cannot be written: give this account read and write access to it", folder.display())]
    Denied { folder: PathBuf, source: std::io::Error },
    #[error("there is no space left for the data folder {}: free some and start again", folder.display())]
    Full { folder: PathBuf, source: std::io::Error },
    #[error("the store in {} is damaged ({problem}): put a backup of the whole folder in its place", folder.display())]
    Damaged { folder: PathBuf, problem: String },
    #[error("the data folder {} cannot be opened", folder.display())]
    Io { folder: PathBuf, source: std::io::Error },
}

impl LocalStore {
    /// Opens or makes the store in `data`; holds it until the last part is dropped.
    pub fn open(data: &Path, clock: Arc<dyn Clock>) -> Result<Self, OpenError> {
        Self::open_with(data, clock, &OpenOptions::default())
    }

    /// Whether there is one in `data`; looking makes nothing.
    pub fn is_in(data: &Path) -> bool {
        folder::holds_store(data)
    }

    pub fn open_with(data: &Path, clock: Arc<dyn Clock>, options: &OpenOptions) -> Result<Self, OpenError> {
        let folder = Folder::open(data, options.wait_for_lock)?;
        let mailbox = folder.subfolder("mailbox")?;
        let anchors = folder.subfolder("anchors")?;
        let vault = folder.subfolder("vault")?;
        let scratch = folder.scratch()?;
        let writer = Arc::new(Writer::start(folder, options.opener.clone())?);
        Ok(Self {
            documents: Arc::new(LocalDocuments::new(writer.clone())),
            blobs: Arc::new(LocalBlobs::new(writer, clock, mailbox, anchors, &scratch)),
            vault: Arc::new(FileVault::new(vault, &scratch)),
        })
    }
}
