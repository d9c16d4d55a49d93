//! The contract's ports on Azure: real adapters and SDKs, with what answers them in this process.

use std::sync::Arc;

use super::{Ports, local};
use crate::support::{clock::VirtualClock, cosmos::Emulator, ids::SeededIds};

/// Documents in the SDK's emulator; the other ports are the embedded ones.
pub async fn ports() -> Ports {
    let emulator = Emulator::new();
    let ids = Arc::new(SeededIds::new(1, Arc::new(VirtualClock::default())));
    let documents = Arc::new(emulator.documents(ids).await);
    let local = local::ports().await;
    let Ports { keep, .. } = local;
    Ports { documents, keep: Box::new((emulator, keep)), ..local }
}
