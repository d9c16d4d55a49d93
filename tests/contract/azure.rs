//! The ports on Azure: real adapters and SDKs, each over a service in this process that stands where the SDK hands over to
//! HTTP. The vault's are in `azure_vault`.

use std::sync::Arc;

use assay::platform::append_only::AppendOnly;

use super::{Ports, local};
use crate::support::{clock::VirtualClock, cosmos::Emulator, ids::SeededIds, storage_account::FakeStorage};

/// Documents, queue and blobs; the vault is the embedded one.
pub async fn ports() -> Ports {
    let clock = Arc::new(VirtualClock::default());
    let emulator = Emulator::new();
    let documents = AppendOnly::over(Arc::new(emulator.documents(Arc::new(SeededIds::new(1, clock.clone()))).await));
    let (queue, blobs) = FakeStorage::new(clock.clone()).open();
    let local = local::ports().await;
    let Ports { keep, .. } = local;
    Ports {
        documents,
        queue: Arc::new(queue),
        blobs: Arc::new(blobs),
        pass_time: Box::new(move |by| clock.advance(by.try_into().unwrap())),
        keep: Box::new((emulator, keep)),
        ..local
    }
}
