//! A disk below redb that counts, fills up, or refuses, and by default leaves out the wait of fsync: what is written
//! survives the process, not a power cut, which no test pulls.

use std::{
    fs::{self, File},
    io,
    path::Path,
    sync::{
        Arc, Condvar, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use assay::platform::local::{self, OpenOptions, Opener};
use redb::{StorageBackend, backends::FileBackend};

/// A copy of a data folder at rest: what a story needs again and again is made once.
pub fn copy(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let (entry, to) = (entry.path(), to.join(entry.file_name()));
        if entry.is_dir() {
            fs::create_dir_all(&to).unwrap();
            copy(&entry, &to);
        } else {
            fs::copy(&entry, &to).unwrap();
        }
    }
}

/// The switches of one disk; they outlive a reopening.
#[derive(Default)]
pub struct Disk {
    syncs: AtomicUsize,
    refusal: Mutex<Option<io::ErrorKind>>,
    /// Taken by a test that wants the disk to be slow.
    held: (Mutex<bool>, Condvar),
}

impl Disk {
    /// How often the store made something durable.
    pub fn syncs(&self) -> usize {
        self.syncs.load(Ordering::SeqCst)
    }

    /// From now on every write fails like this; `None` mends it.
    pub fn refuse_writes(&self, kind: Option<io::ErrorKind>) {
        *self.refusal.lock().unwrap() = kind;
    }

    /// From now on nothing becomes durable, and whoever asks for it waits.
    pub fn hold_syncs(&self) {
        *self.held.0.lock().unwrap() = true;
    }

    pub fn release_syncs(&self) {
        *self.held.0.lock().unwrap() = false;
        self.held.1.notify_all();
    }

    /// Opens stores on this disk. It waits for the folder's lock: a program that another test is just starting has a copy
    /// of every open file for a moment, its locks included.
    pub fn options(self: &Arc<Self>) -> OpenOptions {
        OpenOptions { opener: self.opener(), ..OpenOptions::default() }
    }

    pub fn opener(self: &Arc<Self>) -> Opener {
        let disk = self.clone();
        Arc::new(move |path| {
            let file = File::options().read(true).write(true).create(true).truncate(false).open(path)?;
            local::builder().create_with_backend(OnDisk { file: FileBackend::new(file)?, disk: disk.clone() })
        })
    }

    fn check(&self) -> io::Result<()> {
        self.refusal.lock().unwrap().map_or(Ok(()), |kind| Err(kind.into()))
    }
}

struct OnDisk {
    file: FileBackend,
    disk: Arc<Disk>,
}

impl std::fmt::Debug for OnDisk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("OnDisk")
    }
}

impl StorageBackend for OnDisk {
    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.file.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.disk.check()?;
        self.file.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.disk.check()?;
        drop(self.disk.held.1.wait_while(self.disk.held.0.lock().unwrap(), |held| *held).unwrap());
        self.disk.syncs.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.disk.check()?;
        self.file.write(offset, data)
    }
}
