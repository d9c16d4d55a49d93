//! The way to Azurite where `.ci/azurite` has started it: an account per test, made ready through the SDK.

use std::{
    env,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use assay::platform::{
    azure::{AzureBlobs, AzureQueue, AzureSettings, Credential, call},
    ports::BlobContainer,
};
use azure_core::http::Transport;
use azure_storage_blob::{BlobServiceClient, BlobServiceClientOptions};
use azure_storage_queue::{QueueServiceClient, QueueServiceClientOptions};
use url::Url;

use super::storage_account::{Tokens, settings};

/// Accounts `assay1`, `assay2` and so on are there, as many as `.ci/azurite` made.
static NEXT: AtomicUsize = AtomicUsize::new(1);

/// The adapters on a fresh account; `None`, said aloud, where there is no Azurite.
pub async fn open() -> Option<(AzureQueue, AzureBlobs)> {
    let settings = account()?;
    let credential = Credential::of(Arc::new(Tokens::default()), &settings);

    let options = QueueServiceClientOptions { client_options: call::options(None), ..Default::default() };
    let queues = QueueServiceClient::new(settings.queues.clone(), Some(credential.clone()), Some(options)).unwrap();
    for queue in ["intake", "analyze"] {
        queues.queue_client(queue).unwrap().create(None).await.unwrap();
    }
    let options = BlobServiceClientOptions { client_options: call::options(None), ..Default::default() };
    let blobs = BlobServiceClient::new(settings.blobs.clone(), Some(credential.clone()), Some(options)).unwrap();
    for container in BlobContainer::ALL {
        blobs.blob_container_client(container.name()).create(None).await.unwrap();
    }
    Some((AzureQueue::new(&settings, credential.clone(), None).unwrap(), AzureBlobs::new(&settings, credential, None).unwrap()))
}

/// The blobs for somebody who trusts no certificate at all.
pub fn without_trust() -> Option<AzureBlobs> {
    let settings = account()?;
    let client = reqwest::Client::builder().tls_certs_only([]).build().unwrap();
    let credential = Credential::of(Arc::new(Tokens::default()), &settings);
    Some(AzureBlobs::new(&settings, credential, Some(&Transport::new(Arc::new(client)))).unwrap())
}

#[expect(clippy::disallowed_methods, reason = "tests read their settings themselves")]
fn account() -> Option<AzureSettings> {
    let (Ok(queues), Ok(blobs)) = (env::var("ASSAY_AZURITE_QUEUE"), env::var("ASSAY_AZURITE_BLOB")) else {
        println!("skipped: Azurite is not there (.ci/azurite starts it)");
        return None;
    };
    let number = NEXT.fetch_add(1, Ordering::SeqCst);
    let address = |base: &str| Url::parse(&format!("{base}/assay{number}")).unwrap();
    Some(AzureSettings { queues: address(&queues), blobs: address(&blobs), ..settings() })
}
