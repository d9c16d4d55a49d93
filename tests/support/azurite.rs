//! The way to Azurite where `.ci/azure` has started it: an account per test, made ready through the SDK.

use std::{
    env,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use assay::{
    config::{self, RawConfig, StoreKind},
    platform::{
        azure::{AzureBlobs, AzureQueue, AzureSettings, Credential, call},
        ports::BlobContainer,
    },
};
use azure_core::http::Transport;
use azure_storage_blob::{BlobServiceClient, BlobServiceClientOptions};
use azure_storage_queue::{QueueServiceClient, QueueServiceClientOptions};
use url::Url;

use super::{cosmos::azure_settings, flow::QUEUES, storage_account::Tokens};

/// Accounts `assay1`, `assay2` and so on are there, as many as `.ci/azure` made.
static NEXT: AtomicUsize = AtomicUsize::new(1);

/// The adapters on a fresh account; `None`, said aloud, where there is no Azurite.
pub async fn open() -> Option<(AzureQueue, AzureBlobs)> {
    let settings = account()?;
    make_all(&settings, ["intake", "analyze"]).await;
    let credential = Credential::of(Arc::new(Tokens::default()), &settings);
    Some((AzureQueue::new(&settings, credential.clone(), None).unwrap(), AzureBlobs::new(&settings, credential, None).unwrap()))
}

async fn make_all<const N: usize>(settings: &AzureSettings, queue_names: [&str; N]) {
    let credential = Credential::of(Arc::new(Tokens::default()), settings);
    let options = QueueServiceClientOptions { client_options: call::options(None), ..Default::default() };
    let queues = QueueServiceClient::new(settings.queues.clone(), Some(credential.clone()), Some(options)).unwrap();
    for queue in queue_names {
        queues.queue_client(queue).unwrap().create(None).await.unwrap();
    }
    let options = BlobServiceClientOptions { client_options: call::options(None), ..Default::default() };
    let blobs = BlobServiceClient::new(settings.blobs.clone(), Some(credential.clone()), Some(options)).unwrap();
    for container in BlobContainer::ALL {
        blobs.blob_container_client(container.name()).create(None).await.unwrap();
    }
}

/// The blobs for somebody who trusts no certificate at all.
pub fn without_trust() -> Option<AzureBlobs> {
    let settings = account()?;
    let client = reqwest::Client::builder().tls_certs_only([]).build().unwrap();
    let credential = Credential::of(Arc::new(Tokens::default()), &settings);
    Some(AzureBlobs::new(&settings, credential, Some(&Transport::new(Arc::new(client)))).unwrap())
}

fn account() -> Option<AzureSettings> {
    let (queues, blobs) = addresses()?;
    Some(AzureSettings { queues, blobs, ..azure_settings(&[]) })
}

/// Where the queues and blobs of a fresh account are.
pub fn addresses() -> Option<(Url, Url)> {
    let (Some(queues), Some(blobs)) = (told("ASSAY_AZURITE_QUEUE"), told("ASSAY_AZURITE_BLOB")) else {
        println!("skipped: Azurite is not there (.ci/azure starts it)");
        return None;
    };
    let number = NEXT.fetch_add(1, Ordering::SeqCst);
    let address = |base: &str| Url::parse(&format!("{base}/assay{number}")).unwrap();
    Some((address(&queues), address(&blobs)))
}

/// Makes the account's queues and blob containers, as a person or a template does.
pub async fn make(settings: &RawConfig) {
    let StoreKind::Azure(settings) = config::check(settings).unwrap().store else { panic!("not the Azure store") };
    make_all(&settings, QUEUES).await;
}

/// Certificate and key for servers on 127.0.0.1.
pub fn certificate() -> Option<(PathBuf, PathBuf)> {
    Some((told("ASSAY_TLS_CERTIFICATE")?.into(), told("ASSAY_TLS_KEY")?.into()))
}

/// The authority that vouches for that certificate.
pub fn authority() -> Option<PathBuf> {
    told("SSL_CERT_FILE").map(PathBuf::from)
}

#[expect(clippy::disallowed_methods, reason = "tests read their settings themselves")]
fn told(name: &str) -> Option<String> {
    env::var(name).ok()
}
