//! A clock that stands still until a story moves it.

use std::sync::Mutex;

use assay::platform::ports::Clock;
use time::{Duration, OffsetDateTime, macros::datetime};

/// When stories begin.
pub const START: OffsetDateTime = datetime!(2026-03-02 09:00 UTC);

pub struct VirtualClock(Mutex<OffsetDateTime>);

impl Default for VirtualClock {
    fn default() -> Self {
        Self(Mutex::new(START))
    }
}

impl VirtualClock {
    pub fn at(now: OffsetDateTime) -> Self {
        Self(Mutex::new(now))
    }

    pub fn set(&self, now: OffsetDateTime) {
        *self.0.lock().unwrap() = now;
    }

    /// A negative step sets the clock back.
    pub fn advance(&self, by: Duration) {
        *self.0.lock().unwrap() += by;
    }
}

impl Clock for VirtualClock {
    fn now(&self) -> OffsetDateTime {
        *self.0.lock().unwrap()
    }
}
