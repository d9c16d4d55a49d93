//! What the stand-in's own tests share: a clock moved by hand, ids that count, a queue store in a temporary folder.

use std::{
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use assay::{
    host::local::queues::Queues,
    platform::ports::{Clock, Ids},
};
use redb::{Database, DatabaseError};
use time::{OffsetDateTime, macros::datetime};
use uuid::Uuid;

pub(crate) struct HandClock(Mutex<OffsetDateTime>);

impl HandClock {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self(Mutex::new(datetime!(2026-03-02 09:15:02 UTC))))
    }

    pub(crate) fn advance(&self, by: Duration) {
        *self.0.lock().unwrap() += by;
    }

    pub(crate) fn set(&self, to: OffsetDateTime) {
        *self.0.lock().unwrap() = to;
    }
}

impl Clock for HandClock {
    fn now(&self) -> OffsetDateTime {
        *self.0.lock().unwrap()
    }
}

#[derive(Default)]
pub(crate) struct CountingIds(AtomicU64);

impl Ids for CountingIds {
    fn uuid(&self) -> Uuid {
        Uuid::from_u128(u128::from(self.0.fetch_add(1, Ordering::Relaxed)) + 1)
    }

    fn random(&self, bytes: &mut [u8]) {
        for byte in bytes {
            *byte = u8::try_from(self.0.fetch_add(1, Ordering::Relaxed) % 256).unwrap();
        }
    }
}

pub(crate) struct Store {
    pub(crate) queues: Queues,
    pub(crate) clock: Arc<HandClock>,
    pub(crate) ids: Arc<CountingIds>,
    pub(crate) folder: tempfile::TempDir,
}

impl Store {
    pub(crate) fn new() -> Self {
        let (clock, ids) = (HandClock::new(), Arc::new(CountingIds::default()));
        let folder = tempfile::tempdir().unwrap();
        let queues = Queues::open(&folder.path().join("queues.redb"), clock.clone(), ids.clone()).unwrap();
        Self { queues, clock, ids, folder }
    }

    /// Closes the file and opens it again, as a new process would.
    pub(crate) fn reopen(self) -> Self {
        let Self { queues, clock, ids, folder } = self;
        queues.close();
        // A program that another test is just starting has a copy of every open file for a moment, its locks included.
        let patient = Arc::new(|path: &Path| {
            let give_up = Instant::now() + Duration::from_secs(5);
            loop {
                match Database::create(path) {
                    Err(DatabaseError::DatabaseAlreadyOpen) if Instant::now() < give_up => std::thread::yield_now(),
                    opened => return opened,
                }
            }
        });
        let queues = Queues::open_with(&folder.path().join("queues.redb"), patient, clock.clone(), ids.clone()).unwrap();
        Self { queues, clock, ids, folder }
    }
}

/// The golden cases of the host whose file name starts with `prefix`, in order; empty (and said) when they are not there.
pub(crate) fn golden(prefix: &str) -> Vec<(String, serde_json::Value)> {
    #[expect(clippy::disallowed_methods, reason = "the folder of cases is the test's own setting")]
    let (folder, demanded) = (std::env::var("ASSAY_HOST_CASES"), std::env::var("CI_DEMANDS_SHARED").is_ok());
    let folder = folder.unwrap_or_else(|_| format!("{}/../shared/functions-host", env!("CARGO_MANIFEST_DIR")));
    let Ok(entries) = std::fs::read_dir(&folder) else {
        assert!(!demanded, "{folder} is not there");
        println!("skipped: ../shared not there");
        return Vec::new();
    };
    let mut cases: Vec<_> = entries
        .map(|entry| entry.unwrap().path())
        .filter_map(|path| {
            let name = path.file_stem()?.to_str()?.to_owned();
            let is_case = name.starts_with(prefix) && path.extension().is_some_and(|e| e == "json");
            is_case.then(|| (name, serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap()))
        })
        .collect();
    cases.sort_by(|a, b| a.0.cmp(&b.0));
    assert!(!cases.is_empty(), "no {prefix}* in {folder}");
    cases
}

/// A function as its folder would hold it, with a route for http so that one rule is tried at a time.
pub(crate) fn function(name: &str, json: &serde_json::Value) -> assay::host::local::appfolder::Function {
    assay::host::local::appfolder::Function::parse(name, &json.to_string(), &std::collections::BTreeMap::new()).unwrap().unwrap()
}
