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
    let of_storage = |service: &str| match suffix(|cloud| cloud.storage_suffix) {
        "" => String::new(),
        suffix => format!(".{service}{suffix}"),
    };
    let queues = address(reader, "ASSAY_QUEUE_URL", &of_storage("queue"));
    let blobs = address(reader, "ASSAY_BLOB_URL", &of_storage("blob"));
    let deployment_key = key(reader, "ASSAY_DEPLOYMENT_KEY", suffix(|cloud| cloud.vault_suffix));
    if let Some(queues) = &queues {
        check_host_listens_there(reader, queues);
    }
    let database = reader.text("ASSAY_COSMOS_DATABASE");
    if database.is_empty() || database.len() > 255 || database.contains(['/', '\\', '#', '?', ' ']) {
        reader.fail("ASSAY_COSMOS_DATABASE", "expected a database's name");
    }
    Some(AzureSettings {
        cloud: cloud?,
        credential: credential?,
        cosmos: cosmos?,
        database,
        queues: queues?,
        blobs: blobs?,
        deployment_key: deployment_key?,
    })
}

/// The host listens where its own settings say; a message sent elsewhere would wait for ever.
fn check_host_listens_there(reader: &mut Reader<'_>, queues: &Url) {
    let told = |name: &str| reader.raw.get(&format!("AzureWebJobsStorage__{name}")).map(String::as_str);
    let uri = told("queueServiceUri").map(|uri| uri.trim_end_matches('/') == queues.as_str().trim_end_matches('/'));
    let name = told("accountName").map(|name| queues.host_str().is_some_and(|host| host.starts_with(&format!("{name}.queue."))));
    if uri.or(name) == Some(false) {
        let problem = "must be the queues of the account of AzureWebJobsStorage, where the host looks for messages";
        reader.fail("ASSAY_QUEUE_URL", problem);
    }
}

/// An https address of the cloud, or any address of this machine in a custom cloud (emulators).
fn address(reader: &mut Reader<'_>, name: &'static str, suffix: &str) -> Option<Url> {
    let found = Url::parse(reader.get(name)).ok().filter(|url| {
        let host = url.host_str().unwrap_or_default();
        let fits = if suffix.is_empty() {
            url.scheme() == "https" || super::is_loopback(url)
        } else {
            url.scheme() == "https" && host.ends_with(suffix) && url.path() == "/"
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

#[cfg(test)]
mod tests {
    use crate::config::{ConfigError, RawConfig, check};

    fn errors(changed: &[(&str, &str)]) -> Vec<ConfigError> {
        let good = [
            ("ASSAY_STORE", "azure"),
            ("ASSAY_PUBLIC_URL", "https://assay.example.net"),
            ("ASSAY_IDENTITY", "01234567-89ab-cdef-0123-456789abcdef"),
            ("ASSAY_COSMOS_URL", "https://account.documents.azure.com/"),
            ("ASSAY_QUEUE_URL", "https://account.queue.core.windows.net"),
            ("ASSAY_BLOB_URL", "https://account.blob.core.windows.net/"),
            ("ASSAY_DEPLOYMENT_KEY", "https://vault.vault.azure.net/keys/deployment"),
        ];
        let raw: RawConfig = good.iter().chain(changed).map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        check(&raw).err().unwrap_or_default()
    }

    #[test]
    fn each_address_belongs_to_the_cloud_that_was_named() {
        assert_eq!(errors(&[]), []);
        let names: Vec<_> = errors(&[("ASSAY_CLOUD", "government")]).into_iter().map(|error| error.setting).collect();
        assert_eq!(names, ["ASSAY_COSMOS_URL", "ASSAY_QUEUE_URL", "ASSAY_BLOB_URL", "ASSAY_DEPLOYMENT_KEY"]);
        for (setting, wrong) in [
            ("ASSAY_COSMOS_URL", "http://account.documents.azure.com"),
            ("ASSAY_COSMOS_URL", "https://account.documents.azure.com.evil.example"),
            ("ASSAY_COSMOS_URL", "https://account.documents.azure.com/dbs/assay"),
            ("ASSAY_QUEUE_URL", "https://account.blob.core.windows.net"),
            ("ASSAY_QUEUE_URL", "https://account.queue.core.windows.net/intake"),
            ("ASSAY_BLOB_URL", "https://account.queue.core.windows.net"),
            ("ASSAY_BLOB_URL", "https://account.blob.core.windows.net/raw"),
            ("ASSAY_BLOB_URL", "https://user:word@account.blob.core.windows.net"),
            ("ASSAY_BLOB_URL", "https://account.blob.core.windows.net/?sv=2024&sig=x"),
            ("ASSAY_DEPLOYMENT_KEY", "https://vault.vault.azure.net/keys/deployment/0123"),
            ("ASSAY_IDENTITY", "assay"),
            ("ASSAY_CREDENTIAL", "whatever"),
            ("ASSAY_COSMOS_DATABASE", "a/b"),
        ] {
            let found = errors(&[(setting, wrong)]);
            assert!(found.len() == 1 && found[0].setting == setting && !found[0].problem.contains(wrong), "{setting}: {found:?}");
        }
    }

    #[test]
    fn in_the_cloud_people_come_over_https_and_not_from_this_machine() {
        for wrong in ["http://assay.example.net", "https://localhost", "http://127.0.0.1:7071"] {
            for way in ["none", "entra"] {
                let errors = errors(&[("ASSAY_PUBLIC_URL", wrong), ("ASSAY_SIGN_IN", way)]);
                let named = errors.iter().filter(|error| error.setting == "ASSAY_PUBLIC_URL").count();
                assert_eq!(named, 1, "{wrong} {way}: {errors:?}");
            }
        }
        let profile = "authority=https://l/;graph=https://g/;portal=https://p/;storage=https://s;exchange=api://x";
        let here = [("ASSAY_PUBLIC_URL", "http://127.0.0.1:7071"), ("ASSAY_CLOUD", "custom"), ("ASSAY_CLOUD_PROFILE", profile)];
        assert_eq!(errors(&here), []);
    }

    #[test]
    fn messages_go_where_the_host_listens() {
        for (setting, value, well) in [
            ("AzureWebJobsStorage__queueServiceUri", "https://account.queue.core.windows.net/", true),
            ("AzureWebJobsStorage__queueServiceUri", "https://other.queue.core.windows.net", false),
            ("AzureWebJobsStorage__accountName", "account", true),
            ("AzureWebJobsStorage__accountName", "acc", false),
        ] {
            assert_eq!(errors(&[(setting, value)]).is_empty(), well, "{setting} {value}");
        }
    }
}
