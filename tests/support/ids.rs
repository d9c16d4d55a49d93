//! Ids and "random" bytes that are the same in every run, in the shape of the real ones.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use assay::platform::ports::{Clock, Ids};
use uuid::{Builder, Uuid};

/// Version 7 ids of the virtual clock, a counter and the seed. Like the real ones they never go back.
pub struct SeededIds {
    seed: u64,
    clock: Arc<dyn Clock>,
    made: AtomicU64,
    last_millis: AtomicU64,
    drawn: AtomicU64,
}

impl SeededIds {
    pub fn new(seed: u64, clock: Arc<dyn Clock>) -> Self {
        Self { seed, clock, made: AtomicU64::new(0), last_millis: AtomicU64::new(0), drawn: AtomicU64::new(0) }
    }
}

impl Ids for SeededIds {
    fn uuid(&self) -> Uuid {
        let now = u64::try_from(self.clock.now().unix_timestamp_nanos() / 1_000_000).unwrap();
        let millis = self.last_millis.fetch_max(now, Ordering::SeqCst).max(now);
        let count = self.made.fetch_add(1, Ordering::SeqCst);
        let mut bytes = [0; 10];
        // Version and variant take the upper bits of bytes 0 and 2, so the counter keeps clear of them.
        bytes[3..8].copy_from_slice(&count.to_be_bytes()[3..]);
        bytes[8..].copy_from_slice(&self.seed.to_be_bytes()[6..]);
        Builder::from_unix_timestamp_millis(millis, &bytes).into_uuid()
    }

    fn random(&self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            let draw = self.drawn.fetch_add(1, Ordering::SeqCst);
            chunk.copy_from_slice(&split_mix(self.seed ^ draw.wrapping_mul(0x9e37_79b9_7f4a_7c15)).to_be_bytes()[..chunk.len()]);
        }
    }
}

/// Spreads neighboring numbers over all bits (the finalizer of `SplitMix64`).
fn split_mix(mut x: u64) -> u64 {
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}
