//! Version 7 UUIDs that never go back, and random bytes of AWS-LC.

use std::sync::{Arc, Mutex, PoisonError};

use uuid::{Builder, Uuid};

use crate::platform::ports::{Clock, Ids};

/// Ids of this process: a 12-bit counter behind the millisecond keeps the order within it (RFC 9562 6.2, method 1).
pub struct ProcessIds {
    clock: Arc<dyn Clock>,
    last: Mutex<Last>,
}

#[derive(Default)]
struct Last {
    millis: u64,
    counter: u16,
}

const COUNTER_MAX: u16 = 0x0fff;

impl ProcessIds {
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, last: Mutex::default() }
    }

    /// The next place in time: a clock that stands still or goes back moves the counter, a full counter the millisecond.
    fn next(&self, seed: u16) -> (u64, u16) {
        let now = u64::try_from(self.clock.now().unix_timestamp_nanos() / 1_000_000).unwrap_or_default();
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if now > last.millis {
            // The upper bit stays free, so that a busy millisecond has room.
            *last = Last { millis: now, counter: seed & (COUNTER_MAX >> 1) };
        } else if last.counter < COUNTER_MAX {
            last.counter += 1;
        } else {
            *last = Last { millis: last.millis + 1, counter: 0 };
        }
        (last.millis, last.counter)
    }
}

impl Ids for ProcessIds {
    fn uuid(&self) -> Uuid {
        let mut bytes = [0; 10];
        self.random(&mut bytes);
        let (millis, counter) = self.next(u16::from_be_bytes([bytes[0], bytes[1]]));
        bytes[..2].copy_from_slice(&counter.to_be_bytes());
        Builder::from_unix_timestamp_millis(millis, &bytes).into_uuid()
    }

    fn random(&self, bytes: &mut [u8]) {
        // AWS-LC's generator aborts the process itself when the machine has no entropy; there is no error to hand on.
        let filled = aws_lc_rs::rand::fill(bytes);
        assert!(filled.is_ok(), "the random generator failed");
    }
}

#[cfg(test)]
mod tests {
    use time::OffsetDateTime;

    use super::*;

    struct Stopped;

    impl Clock for Stopped {
        fn now(&self) -> OffsetDateTime {
            OffsetDateTime::UNIX_EPOCH + time::Duration::days(20_000)
        }
    }

    #[test]
    fn ids_rise_while_the_clock_stands_still() {
        let ids = ProcessIds::new(Arc::new(Stopped));
        let made: Vec<_> = (0..10_000).map(|_| ids.uuid()).collect();
        assert!(made.is_sorted_by(|a, b| a < b));
        assert!(made.iter().all(|id| id.get_version_num() == 7));
    }
}
