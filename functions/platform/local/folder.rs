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

/// Lifts a store by one format, durably and so that it may run twice. The release before cannot read what it made: to go
/// back to that one, put back a copy of the folder too.
type Step = fn(&Path) -> io::Result<()>;

/// From format 1 on, one step per format; this release reads every format that they start from and writes the last.
const STEPS: &[Step] = &[];

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
        folder.check_format(STEPS)?;
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

    fn check_format(&self, steps: &[Step]) -> Result<(), OpenError> {
        let newest = u32::try_from(steps.len()).unwrap_or(u32::MAX).saturating_add(1);
        let path = self.path.join("documents.format.json");
        let io = |source| io_error(&self.path, source);
        let found = match fs::read(&path) {
            Ok(bytes) => serde_json::from_slice::<FormatFile>(&bytes)
                .map_err(|_| self.damaged("documents.format.json is not in the form of this product"))?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                if self.database().exists() {
                    return Err(self.damaged("documents.format.json is missing beside documents.redb"));
                }
                return Self::write_format(&path, newest).map_err(io);
            }
            Err(error) => return Err(io(error)),
        };
        if found.format > newest {
            return Err(OpenError::NewerRelease { folder: self.path.clone(), release: found.release, format: found.format, known: newest });
        }
        for (step, format) in steps.iter().zip(2..).skip(found.format.saturating_sub(1) as usize) {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn append(folder: &Path, line: &str) -> io::Result<()> {
        let held = fs::read_to_string(folder.join("data")).unwrap_or_default();
        fs::write(folder.join("data"), format!("{held}{line}"))
    }

    fn open(path: &Path, steps: &[Step]) -> Result<(), OpenError> {
        // A program that another test is just starting has a copy of every open file for a moment, its locks included.
        Folder { path: path.to_owned(), _lock: lock(path, Duration::from_secs(5))? }.check_format(steps)
    }

    #[test]
    fn an_older_store_is_lifted_step_by_step_once_and_goes_on_where_a_step_failed() {
        let folder = tempfile::tempdir().expect("a folder");
        let (one, fails, two): (Step, Step, Step) =
            (|folder| append(folder, "one "), |_| Err(io::ErrorKind::Interrupted.into()), |folder| append(folder, "two "));
        open(folder.path(), &[]).expect("made in format 1");
        open(folder.path(), &[one, fails]).expect_err("the second step fails");
        for _ in 0..2 {
            open(folder.path(), &[one, two]).expect("lifted to format 3");
        }
        assert_eq!(fs::read_to_string(folder.path().join("data")).expect("written"), "one two ");
        let refused = open(folder.path(), &[one]).expect_err("an older release");
        assert!(matches!(refused, OpenError::NewerRelease { format: 3, known: 2, .. }), "{refused}");
    }
}
