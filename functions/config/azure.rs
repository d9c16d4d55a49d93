//! The settings of the Azure store, checked: addresses belong to the cloud that was named, and say which resource they are.

use url::Url;

use super::Reader;
use crate::platform::{
    azure::{AzureSettings, CredentialKind},
    cloud::CloudProfile,
    key_uri::KeyUri,
};

/// Which cloud, also for a sign-in whose store is not in it. `None` when it is not known; the reader has the error.
pub(super) fn cloud(reader: &mut Reader<'_>) -> Option<CloudProfile> {
    match reader.one_of("ASSAY_CLOUD", &["public", "government", "custom"]) {
        Some("custom") => {
            let profile = CloudProfile::custom(reader.get("ASSAY_CLOUD_PROFILE"));
            profile.map_err(|problem| reader.fail("ASSAY_CLOUD_PROFILE", problem)).ok()
        }
        Some("government") => Some(CloudProfile::government()),
        Some(_) => Some(CloudProfile::public()),
        None => None,
    }
}

/// `None` when something is missing; the reader has the errors.
pub(super) fn read(reader: &mut Reader<'_>, cloud: Option<CloudProfile>) -> Option<AzureSettings> {
    let client_id = Some(reader.text("ASSAY_IDENTITY")).filter(|id| !id.is_empty());
    if client_id.as_ref().is_some_and(|id| uuid::Uuid::parse_str(id).is_err()) {
        reader.fail("ASSAY_IDENTITY", "expected a client id, such as 01234567-89ab-cdef-0123-456789abcdef");
    }
    let credential = match (reader.one_of("ASSAY_CREDENTIAL", &["managed-identity", "workload-identity", "developer"]), client_id) {
        (Some("managed-identity"), Some(client_id)) => Some(CredentialKind::ManagedIdentity { client_id }),
        (Some("managed-identity"), None) => {
            reader.fail("ASSAY_IDENTITY", "expected the client id of the user-assigned managed identity");
            None
        }
        (Some("workload-identity"), client_id) => Some(CredentialKind::WorkloadIdentity { client_id }),
        (Some(_), _) => Some(CredentialKind::Developer),
        (None, _) => None,
    };
    // Without a cloud there is nothing to compare a host with; each address is still looked at.
    let suffix = |of: fn(&CloudProfile) -> &'static str| cloud.as_ref().map_or("", of);
    let cosmos = address(reader, "ASSAY_COSMOS_URL", suffix(|cloud| cloud.cosmos_suffix));
    let queues = address(reader, "ASSAY_QUEUE_URL", suffix(|cloud| cloud.storage_suffix));
    let blobs = address(reader, "ASSAY_BLOB_URL", suffix(|cloud| cloud.storage_suffix));
    let deployment_key = key(reader, "ASSAY_DEPLOYMENT_KEY", suffix(|cloud| cloud.vault_suffix));
    // The host listens where its own setting says; a message sent elsewhere would wait for ever.
    let listening = reader.raw.get("AzureWebJobsStorage__queueServiceUri").map(|text| text.trim_end_matches('/'));
    if let (Some(queues), Some(listening)) = (&queues, listening)
        && queues.as_str().trim_end_matches('/') != listening
    {
        reader.fail("ASSAY_QUEUE_URL", "must be the address of AzureWebJobsStorage__queueServiceUri, where the host looks for messages");
    }
    let database = reader.text("ASSAY_COSMOS_DATABASE");
    if database.is_empty() || database.len() > 255 || database.contains(['/', '\\', '#', '?', ' ']) {
        reader.fail("ASSAY_COSMOS_DATABASE", "expected a database's name");
    }
    let region = Some(reader.text("ASSAY_REGION")).filter(|region| !region.is_empty());
    Some(AzureSettings {
        cloud: cloud?,
        credential: credential?,
        cosmos: cosmos?,
        database,
        region,
        queues: queues?,
        blobs: blobs?,
        deployment_key: deployment_key?,
    })
}

/// An https address of the cloud, or any address of this machine in a custom cloud (emulators).
fn address(reader: &mut Reader<'_>, name: &'static str, suffix: &str) -> Option<Url> {
    let found = Url::parse(reader.get(name)).ok().filter(|url| {
        let host = url.host_str().unwrap_or_default();
        let fits = if suffix.is_empty() {
            url.scheme() == "https" || super::is_loopback(url)
        } else {
            url.scheme() == "https" && host.ends_with(suffix)
        };
        fits && !host.is_empty() && url.query().is_none() && url.username().is_empty() && url.password().is_none()
    });
    if found.is_none() {
        let expected = if suffix.is_empty() {
            "an https address".into()
        } else {
            format!("an address https://NAME{suffix} of the cloud of ASSAY_CLOUD")
        };
        reader.fail(name, format!("expected {expected}"));
    }
    found
}

/// A key's URI without a version: the newest wraps, what is kept says which one unwraps.
fn key(reader: &mut Reader<'_>, name: &'static str, suffix: &str) -> Option<Url> {
    let text = reader.get(name);
    let found = KeyUri::parse(text).filter(|key| key.host().ends_with(suffix));
    if found.is_none() {
        let vault = if suffix.is_empty() { "VAULT-HOST".into() } else { format!("VAULT{suffix}") };
        reader.fail(name, format!("expected a key's address https://{vault}/keys/NAME without a version"));
    }
    found.map(|key| key.url().clone())
}
