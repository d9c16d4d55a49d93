//! The ports on Azure, each over a service in this process that stands where the SDK hands over to HTTP.

use std::sync::Arc;

use super::{Ports, local};
use crate::support::{clock::VirtualClock, storage_account::FakeStorage};

/// Queue and blobs on Azure Storage; the rest as in the embedded store.
pub async fn ports() -> Ports {
    let clock = Arc::new(VirtualClock::default());
    let (queue, blobs) = FakeStorage::new(clock.clone()).open();
    Ports {
        queue: Arc::new(queue),
        blobs: Arc::new(blobs),
        pass_time: Box::new(move |by| clock.advance(by.try_into().unwrap())),
        ..local::ports().await
    }
}
