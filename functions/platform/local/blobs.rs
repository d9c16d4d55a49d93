//! Blobs: raw webhook bytes and the log's tiles in the redb file (many and small); mails, and the anchors that somebody may
//! want to copy elsewhere, as files. Only raw bytes grow.
//!
//! Names are segments of unreserved characters, so a name can be neither a way out of the folder nor a surprise in a URL.

use std::{
    fs, io,
    ops::Bound,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;

use super::{
    files,
    raw::{self, RAW, RawChange, RawOutcome},
    writer::{Writer, kind_of_io},
};
use crate::platform::{
    limits::{check_append, check_blob_name, check_growing, check_replaceable, invalid, lease_seconds},
    paging,
    ports::{
        Appending, BlobContainer, BlobPage, Blobs, Clock, Continuation, Creation, Etag, HeldBlob, LeaseId, Leasing, PortError, Replacing,
    },
};

/// Names of one page.
const PAGE: usize = 100;

pub struct LocalBlobs {
    writer: Arc<Writer>,
    clock: Arc<dyn Clock>,
    mailbox: Arc<Files>,
    anchors: Arc<Files>,
}

/// Where a container keeps its blobs.
enum Kept<'a> {
    /// In the redb file, under names that begin so.
    Raw(&'static str),
    Files(&'a Arc<Files>),
}

/// Before a name in the log: no name can begin so, and it sorts behind all of them.
const IN_LOG: &str = "\u{7f}log/";

impl LocalBlobs {
    pub(super) fn new(writer: Arc<Writer>, clock: Arc<dyn Clock>, mailbox: PathBuf, anchors: PathBuf, scratch: &Path) -> Self {
        let files = |what: &'static str, folder| Arc::new(Files { what, folder, scratch: scratch.join(what), writing: Mutex::new(()) });
        Self { writer, clock, mailbox: files("mailbox", mailbox), anchors: files("anchors", anchors) }
    }

    fn kept(&self, container: BlobContainer) -> Kept<'_> {
        match container {
            BlobContainer::Raw => Kept::Raw(""),
            BlobContainer::Log => Kept::Raw(IN_LOG),
            BlobContainer::Mailbox => Kept::Files(&self.mailbox),
            BlobContainer::Anchors => Kept::Files(&self.anchors),
        }
    }

    async fn hold(&self, name: &str, change: RawChange) -> Result<Leasing, PortError> {
        Ok(if self.writer.raw(name, change).await? == RawOutcome::Done { Leasing::Held } else { Leasing::NotHeld })
    }

    async fn in_files<T: Send + 'static>(
        files: &Arc<Files>,
        name: &str,
        work: impl FnOnce(&Files, &str) -> io::Result<T> + Send + 'static,
    ) -> Result<T, PortError> {
        let (held, owned) = (files.clone(), name.to_owned());
        let done = tokio::task::spawn_blocking(move || work(&held, &owned)).await;
        let told = |error| PortError::because(format!("{} {name}", files.what), kind_of_io(&error), error);
        done.map_err(io::Error::other).flatten().map_err(told)
    }
}

#[async_trait]
impl Blobs for LocalBlobs {
    async fn create(&self, container: BlobContainer, name: &str, bytes: Bytes) -> Result<Creation, PortError> {
        check_blob_name(name)?;
        match self.kept(container) {
            Kept::Raw(start) => match self.writer.raw(&format!("{start}{name}"), RawChange::Create { bytes }).await? {
                RawOutcome::Done => Ok(Creation::New),
                _ => Ok(Creation::Existed),
            },
            Kept::Files(files) => Self::in_files(files, name, move |files, name| files.create(name, &bytes)).await,
        }
    }

    async fn read(&self, container: BlobContainer, name: &str) -> Result<Option<Bytes>, PortError> {
        check_blob_name(name)?;
        match self.kept(container) {
            Kept::Raw(start) => self.writer.read(|transaction| raw::read(transaction, &format!("{start}{name}"))),
            Kept::Files(files) => Self::in_files(files, name, Files::read).await,
        }
    }

    async fn read_held(&self, container: BlobContainer, name: &str) -> Result<Option<HeldBlob>, PortError> {
        check_replaceable(container, name)?;
        let bytes = self.read(container, name).await?;
        Ok(bytes.map(|bytes| HeldBlob { etag: Etag(raw::etag(&bytes)), bytes }))
    }

    async fn replace(&self, container: BlobContainer, name: &str, bytes: Bytes, if_match: Option<Etag>) -> Result<Replacing, PortError> {
        check_replaceable(container, name)?;
        let change = RawChange::Replace { bytes, if_match: if_match.map(|etag| etag.0) };
        match self.writer.raw(&format!("{IN_LOG}{name}"), change).await? {
            RawOutcome::Done => Ok(Replacing::Replaced),
            _ => Ok(Replacing::Moved),
        }
    }

    async fn list(&self, container: BlobContainer, prefix: &str, after: Option<&Continuation>) -> Result<BlobPage, PortError> {
        let after = after.map(|after| paging::place_below(prefix, after)).transpose()?;
        let mut names = match self.kept(container) {
            Kept::Raw(start) => {
                let (whole, after) = (format!("{start}{prefix}"), after.as_ref().map(|after| format!("{start}{after}")));
                let lower = after.as_deref().map_or(Bound::Included(whole.as_str()), Bound::Excluded);
                self.writer.read(|transaction| {
                    let mut names = Vec::new();
                    for row in transaction.open_table(RAW)?.range::<&str>((lower, Bound::Unbounded))? {
                        let (key, _) = row?;
                        let name = key.value().strip_prefix(start).filter(|name| name.starts_with(prefix) && !name.starts_with('\u{7f}'));
                        let Some(name) = name.filter(|_| names.len() <= PAGE) else { break };
                        names.push(name.to_owned());
                    }
                    Ok(names)
                })?
            }
            Kept::Files(files) => {
                let mut names = Self::in_files(files, "list", |files, _| files.names()).await?;
                names.retain(|name| name.starts_with(prefix) && after.as_ref().is_none_or(|after| name > after));
                names
            }
        };
        let more = names.len() > PAGE;
        names.truncate(PAGE);
        let next = names.last().filter(|_| more).map(paging::continuation);
        Ok(BlobPage { names, next })
    }

    async fn delete(&self, container: BlobContainer, name: &str) -> Result<(), PortError> {
        check_blob_name(name)?;
        match self.kept(container) {
            Kept::Raw(start) => match self.writer.raw(&format!("{start}{name}"), RawChange::Delete { now: self.clock.now() }).await? {
                RawOutcome::NotHeld => Err(invalid(format!("blob {name}, which somebody holds"))),
                _ => Ok(()),
            },
            Kept::Files(files) => Self::in_files(files, name, Files::delete).await,
        }
    }

    async fn append(
        &self,
        container: BlobContainer,
        name: &str,
        at: u64,
        bytes: Bytes,
        lease: Option<LeaseId>,
    ) -> Result<Appending, PortError> {
        check_growing(container, name)?;
        check_append(&bytes)?;
        let length = at.saturating_add(bytes.len() as u64);
        match self.writer.raw(name, RawChange::Append { at, bytes, lease, now: self.clock.now() }).await? {
            RawOutcome::Done => Ok(Appending::Appended { length }),
            RawOutcome::Moved(length) => Ok(Appending::Moved { length }),
            RawOutcome::NotHeld => Ok(Appending::NotHeld),
            RawOutcome::Full => Ok(Appending::Full),
            RawOutcome::Whole | RawOutcome::Unchanged => Err(invalid(format!("blob {name}, which was created whole"))),
        }
    }

    async fn lease(&self, container: BlobContainer, name: &str, lease: LeaseId, period: Duration) -> Result<Leasing, PortError> {
        check_growing(container, name)?;
        self.hold(name, RawChange::Lease { lease, seconds: lease_seconds(period)?, now: self.clock.now() }).await
    }

    async fn renew(&self, container: BlobContainer, name: &str, lease: LeaseId) -> Result<Leasing, PortError> {
        check_growing(container, name)?;
        self.hold(name, RawChange::Renew { lease, now: self.clock.now() }).await
    }

    async fn release(&self, container: BlobContainer, name: &str, lease: LeaseId) -> Result<(), PortError> {
        check_growing(container, name)?;
        self.writer.raw(name, RawChange::Release { lease }).await.map(|_| ())
    }
}

struct Files {
    what: &'static str,
    folder: PathBuf,
    scratch: PathBuf,
    // One writer at a time: the look whether a file exists and its rename belong together.
    writing: Mutex<()>,
}

impl Files {
    fn create(&self, name: &str, bytes: &[u8]) -> io::Result<Creation> {
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let path = self.folder.join(name);
        if path.try_exists()? {
            return Ok(Creation::Existed);
        }
        self.make_folders(name)?;
        files::write_durably(&self.scratch, &path, bytes)?;
        Ok(Creation::New)
    }

    fn make_folders(&self, name: &str) -> io::Result<()> {
        let mut folder = self.folder.clone();
        let Some((parents, _)) = name.rsplit_once('/') else { return Ok(()) };
        for segment in parents.split('/') {
            let child = folder.join(segment);
            if !child.try_exists()? {
                fs::create_dir(&child)?;
                files::sync_folder(&folder)?;
            }
            folder = child;
        }
        Ok(())
    }

    fn read(&self, name: &str) -> io::Result<Option<Bytes>> {
        match fs::read(self.folder.join(name)) {
            Ok(bytes) => Ok(Some(bytes.into())),
            Err(error) if is_absent(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn delete(&self, name: &str) -> io::Result<()> {
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let path = self.folder.join(name);
        match fs::remove_file(&path) {
            Ok(()) => path.parent().map_or(Ok(()), files::sync_folder),
            Err(error) if is_absent(&error) => Ok(()),
            Err(error) => Err(error),
        }
    }

    fn names(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        collect(&self.folder, "", &mut names)?;
        names.sort_unstable();
        Ok(names)
    }
}

fn collect(folder: &Path, prefix: &str, names: &mut Vec<String>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        // A file of another program with a name that is none of ours is not one of them.
        let Ok(segment) = entry.file_name().into_string() else { continue };
        let name = format!("{prefix}{segment}");
        if entry.file_type()?.is_dir() {
            collect(&entry.path(), &format!("{name}/"), names)?;
        } else if check_blob_name(&name).is_ok() {
            names.push(name);
        }
    }
    Ok(())
}

fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory | io::ErrorKind::IsADirectory)
}
