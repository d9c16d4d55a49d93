//! The data folder: whose it is, which format it has, and the upgrade from older formats.
//!
//! One handler at a time: the lock is the operating system's, so a killed process leaves none behind. The format file
//! is written before the store it describes, and names the release, so that an older release can say what to install.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use serde::{Deserialize, Serialize};

use super::{OpenError, files};

/// The format this release writes; it reads every one up to this.
const FORMAT: u32 = 1;

/// Step `n` lifts a store from format `n + 1` to `n + 2`, durably and so that it may run twice. Formats expand one
/// release before they are used, so that the previous release can be put back.
const STEPS: &[fn(&Path) -> io::Result<()>] = &[];

const _: () = assert!(STEPS.len() + 1 == FORMAT as usize, "one step per format after the first");

const DATABASE: &str = "documents.redb";

#[derive(Serialize, Deserialize)]
struct FormatFile {
    format: u32,
    /// The release that wrote it.
    release: String,
}

/// Whether a handler has ever written there; looking makes nothing.
pub(super) fn holds_store(folder: &Path) -> bool {
    folder.join(DATABASE).is_file()
}

/// A data folder that this process owns as handler.
pub(super) struct Folder {
    path: PathBuf,
    // Dropped last of all that uses the folder: `Writer` keeps it behind the database.
    _lock: File,
}

impl Folder {
    pub(super) fn open(path: &Path, wait: Duration) -> Result<Self, OpenError> {
        fs::create_dir_all(path).map_err(|source| io_error(path, source))?;
        let folder = Self { path: path.to_owned(), _lock: lock(path, wait)? };
        folder.check_format()?;
        Ok(folder)
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn database(&self) -> PathBuf {
        self.path.join(DATABASE)
    }

    pub(super) fn subfolder(&self, name: &str) -> Result<PathBuf, OpenError> {
        let path = self.path.join(name);
        fs::create_dir_all(&path).and_then(|()| files::sync_folder(&self.path)).map_err(|source| io_error(&self.path, source))?;
        Ok(path)
    }

    /// Where files are written before they are renamed into place; what a crash left there is swept out.
    pub(super) fn scratch(&self) -> Result<PathBuf, OpenError> {
        let path = self.path.join("handler.tmp");
        match fs::remove_dir_all(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(io_error(&self.path, error)),
            _ => self.subfolder("handler.tmp"),
        }
    }

    fn check_format(&self) -> Result<(), OpenError> {
        let path = self.path.join("documents.format.json");
        let io = |source| io_error(&self.path, source);
        let found = match fs::read(&path) {
            Ok(bytes) => serde_json::from_slice::<FormatFile>(&bytes)
                .map_err(|_| self.damaged("documents.format.json is not in the form of this product"))?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                if self.database().exists() {
                    return Err(self.damaged("documents.format.json is missing beside documents.redb"));
                }
                return Self::write_format(&path, FORMAT).map_err(io);
            }
            Err(error) => return Err(io(error)),
        };
        if found.format > FORMAT {
            return Err(OpenError::NewerRelease { folder: self.path.clone(), release: found.release, format: found.format, known: FORMAT });
        }
        for (step, format) in STEPS.iter().zip(2..).skip(found.format.saturating_sub(1) as usize) {
            step(&self.path).and_then(|()| Self::write_format(&path, format)).map_err(io)?;
        }
        Ok(())
    }

    fn write_format(path: &Path, format: u32) -> io::Result<()> {
        let file = FormatFile { format, release: env!("CARGO_PKG_VERSION").into() };
        files::write_durably(&path.with_extension("tmp"), path, &serde_json::to_vec(&file)?)
    }

    fn damaged(&self, problem: &str) -> OpenError {
        OpenError::Damaged { folder: self.path.clone(), problem: problem.into() }
    }
}

pub(super) fn io_error(folder: &Path, source: io::Error) -> OpenError {
    let folder = folder.to_owned();
    match source.kind() {
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => OpenError::Denied { folder, source },
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => OpenError::Full { folder, source },
        _ => OpenError::Io { folder, source },
    }
}

/// Takes `handler.lock`. A handler that was just killed may still hold it for a moment.
fn lock(folder: &Path, wait: Duration) -> Result<File, OpenError> {
    let io = |source| io_error(folder, source);
    let file = File::options().create(true).truncate(false).write(true).open(folder.join("handler.lock")).map_err(io)?;
    let give_up = Instant::now() + wait;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(fs::TryLockError::WouldBlock) if Instant::now() < give_up => std::thread::sleep(Duration::from_millis(50)),
            Err(fs::TryLockError::WouldBlock) => return Err(OpenError::InUse(folder.to_owned())),
            Err(fs::TryLockError::Error(source)) => return Err(io(source)),
        }
    }
}
