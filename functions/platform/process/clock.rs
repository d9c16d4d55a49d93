//! The machine's clock.

use time::OffsetDateTime;

use crate::platform::ports::Clock;

pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the Clock port's adapter")]
    fn now(&self) -> OffsetDateTime {
        OffsetDateTime::now_utc()
    }
}
