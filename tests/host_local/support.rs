//! What the stand-in's own tests share: a clock moved by hand, ids that count, a queue store in a temporary folder.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use assay::{
    host::local::queues::Queues,
    platform::ports::{Clock, Ids},
};
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
        drop(queues);
        // The writer thread lets go of the file a moment after the last handle is gone.
        for _ in 0..1_000_000 {
            if let Ok(queues) = Queues::open(&folder.path().join("queues.redb"), clock.clone(), ids.clone()) {
                return Self { queues, clock, ids, folder };
            }
            std::thread::yield_now();
        }
        panic!("the queue store stays locked");
    }
}
