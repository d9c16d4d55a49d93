//! Queue and blobs on Azurite: HTTP, TLS and another implementation of the service than ours. `.ci/azure` starts it; without
//! it each test says so and passes.

use std::{sync::Arc, thread, time::Duration};

use assay::platform::ports::{BlobContainer, Blobs as _, PortErrorKind};

use super::{Ports, local, storage_account::words};
use crate::support::azurite;

/// An account of its own for each test, so that queues and containers keep their names.
pub async fn ports() -> Option<Ports> {
    let (queue, blobs) = azurite::open().await?;
    Some(Ports {
        queue: Arc::new(queue),
        blobs: Arc::new(blobs),
        lease: Duration::from_secs(2),
        // The one place where a test waits: the time there is real.
        pass_time: Box::new(|by| thread::sleep(by + Duration::from_millis(50))),
        ..local::ports().await
    })
}

#[tokio::test]
async fn what_is_not_there_and_what_is_large_is_as_in_our_own_account() {
    let Some(ports) = ports().await else { return };
    let error = ports.queue.send("nobody-made-this", "x".into(), Duration::ZERO).await.unwrap_err();
    assert_eq!((error.kind, error.resource.as_str()), (PortErrorKind::Missing, "queue nobody-made-this (ASSAY_QUEUE_URL)"));
    assert!(ports.queue.receive("nobody-made-this-poison", 1, ports.lease).await.unwrap().is_empty());

    // More than one block.
    let large: Vec<u8> = (0..=255).cycle().take(9 * 1024 * 1024 + 5).collect();
    ports.blobs.create(BlobContainer::Raw, "large", large.clone().into()).await.unwrap();
    assert!(ports.blobs.read(BlobContainer::Raw, "large").await.unwrap().unwrap() == large);
}

#[tokio::test]
async fn a_certificate_that_this_machine_does_not_trust_is_told_with_its_reason() {
    let Some(blobs) = azurite::without_trust() else { return };
    let error = blobs.read(BlobContainer::Raw, "a").await.unwrap_err();
    assert_eq!(error.kind, PortErrorKind::Unavailable);
    assert!(words(&error).contains("ASSAY_BLOB_URL") && words(&error).contains("certificate"), "{}", words(&error));
}
