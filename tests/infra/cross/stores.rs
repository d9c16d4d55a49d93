//! Queues, containers and keys: what the code opens by name is there, as the code wants it, and nothing else is.

use std::{collections::BTreeSet, fs, path::Path};

use assay::{
    audit::{anchor_lock::HELD_DAYS, dead_letter::QUEUES},
    platform::{
        azure::PARTITION_KEY_PATH,
        ports::{BlobContainer, Container},
    },
    tenancy::signing::SigningUse,
};
use serde_json::{Value, json};

use super::{Installation, installations, names, sorted};
use crate::infra::template::{self, Resource};

/// Queues of every `queueTrigger`, from `functions/triggers/*/function.json`.
fn triggering_queues() -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("functions/triggers");
    let mut found = BTreeSet::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path().join("function.json");
        if !path.exists() {
            continue;
        }
        for binding in template::json(&path).unwrap()["bindings"].as_array().unwrap() {
            if binding["type"] == "queueTrigger" {
                assert_eq!(binding["connection"], "AzureWebJobsStorage", "{}", path.display());
                found.insert(binding["queueName"].as_str().unwrap().to_owned());
            }
        }
    }
    found.into_iter().collect()
}

#[test]
fn infra_every_queue_of_a_function_is_made_with_its_poison_queue_where_the_host_listens_and_no_other_is() {
    let queues = triggering_queues();
    assert_eq!(queues, sorted(QUEUES), "the sweep drains the poison of each queue that a function has");
    let expected = sorted(queues.iter().flat_map(|queue| [queue.clone(), format!("{queue}-poison")]));
    for installation in installations() {
        const QUEUE: &str = "Microsoft.Storage/storageAccounts/queueServices/queues";
        let account = installation.read_by("AzureWebJobsStorage__queueServiceUri", "Microsoft.Storage/storageAccounts");
        assert_eq!(names(installation.children(account, QUEUE)), expected, "{}", installation.at);
        assert_eq!(installation.of(QUEUE).count(), expected.len(), "{}: queues in an account where nobody listens", installation.at);
    }
}

/// `(container, why)`: made by the template before this release opens it. Taken out when the code names it.
const AHEAD: &[(&str, &str)] = &[];

#[test]
fn infra_every_container_of_the_database_is_made_as_the_code_expects_it() {
    let own = sorted(Container::ALL.iter().map(|container| container.name()));
    for (name, _) in AHEAD {
        assert!(!own.contains(&(*name).to_owned()), "AHEAD names {name}, which the code has by now: take it out");
    }
    let expected = sorted(own.into_iter().chain(AHEAD.iter().map(|(name, _)| (*name).to_owned())));
    for installation in installations() {
        const CONTAINER: &str = "Microsoft.DocumentDB/databaseAccounts/sqlDatabases/containers";
        let account = installation.read_by("ASSAY_COSMOS_URL", "Microsoft.DocumentDB/databaseAccounts");
        let databases: Vec<_> = installation.children(account, "Microsoft.DocumentDB/databaseAccounts/sqlDatabases").collect();
        assert_eq!(names(databases.iter().copied()), [installation.setting("ASSAY_COSMOS_DATABASE")], "{}", installation.at);
        assert_eq!(names(installation.children(databases[0], CONTAINER)), expected, "{}", installation.at);
        for container in installation.of(CONTAINER) {
            let label = container.label();
            let of = |path: &[&str]| container.get(&[&["properties", "resource"][..], path].concat()).cloned();
            assert_eq!(of(&["id"]), Some(json!(container.last_name())), "{label}");
            assert_eq!(
                of(&["partitionKey", "paths"]),
                Some(json!([PARTITION_KEY_PATH])),
                "{label}: records that belong together would be scattered"
            );
            assert_eq!(of(&["partitionKey", "kind"]), Some(json!("Hash")), "{label}");
            assert_eq!(of(&["defaultTtl"]), None, "{label}: nothing of Assay's ends by itself");
            assert_eq!(of(&["uniqueKeyPolicy"]), None, "{label}");
        }
    }
}

#[test]
fn infra_every_blob_container_is_made_beside_the_others_and_the_copies_of_checkpoints_cannot_be_deleted() {
    let expected = sorted(BlobContainer::ALL.iter().map(|container| container.name()));
    for installation in installations() {
        const CONTAINER: &str = "Microsoft.Storage/storageAccounts/blobServices/containers";
        let account = installation.read_by("ASSAY_BLOB_URL", "Microsoft.Storage/storageAccounts");
        assert_eq!(names(installation.children(account, CONTAINER)), expected, "{}", installation.at);
        for container in installation.of(CONTAINER) {
            assert_eq!(container.text(&["properties", "publicAccess"]), Some("None"), "{}", container.label());
        }
        let host = installation.read_by("AzureWebJobsStorage__blobServiceUri", "Microsoft.Storage/storageAccounts");
        assert_ne!(host.id, account.id, "{}: the host's own things lie apart from the evidence, which is locked one day", installation.at);
        let anchors = BlobContainer::Anchors.name();
        let held: Vec<_> = installation.of("Microsoft.Storage/storageAccounts/blobServices/containers/immutabilityPolicies").collect();
        assert_eq!(held.len(), 1, "{}: {anchors} alone is held: what a client's end deletes must be deletable", installation.at);
        assert!(held[0].name.contains(&format!("/{anchors}/")), "{}", held[0].label());
        let days = held[0].get(&["properties", "immutabilityPeriodSinceCreationInDays"]).and_then(Value::as_i64);
        assert_eq!(days, Some(HELD_DAYS.into()), "{}", held[0].label());
    }
}

fn is_for(key: &Resource, kty: &[&str], ops: [&str; 2], size: (&str, &Value)) {
    let label = key.label();
    assert!(key.text(&["properties", "kty"]).is_some_and(|found| kty.contains(&found)), "{label}: kty is one of {kty:?}");
    let found = key.get(&["properties", "keyOps"]).and_then(Value::as_array).cloned().unwrap_or_default();
    assert_eq!(sorted(found.iter().filter_map(Value::as_str)), sorted(ops), "{label}: keyOps");
    assert_eq!(key.get(&["properties", size.0]), Some(size.1), "{label}: {}", size.0);
}

#[test]
fn infra_every_key_that_the_code_names_is_made_and_can_do_what_it_is_for_and_no_more() {
    const KEY: &str = "Microsoft.KeyVault/vaults/keys";
    for installation in installations() {
        let deployment = installation.read_by("ASSAY_DEPLOYMENT_KEY", KEY);
        let vault =
            installation.of("Microsoft.KeyVault/vaults").find(|vault| deployment.id.starts_with(&format!("{}/", vault.id))).unwrap();
        // The signing keys are named beside the installation's own; clients' keys are made by the app.
        let signing = SigningUse::ALL.map(SigningUse::key);
        assert_eq!(
            names(installation.children(vault, KEY)),
            sorted(signing.into_iter().chain([deployment.last_name()])),
            "{}",
            installation.at
        );
        is_for(deployment, &["RSA", "RSA-HSM"], ["wrapKey", "unwrapKey"], ("keySize", &json!(3072)));
        for key in installation.children(vault, KEY).filter(|key| key.id != deployment.id) {
            is_for(key, &["EC", "EC-HSM"], ["sign", "verify"], ("curveName", &json!("P-256")));
        }
        encrypts_at_rest(&installation, vault);
    }
}

/// The keys of database and storage lie in another vault, which Azure's own services reach.
fn encrypts_at_rest(installation: &Installation, own: &Resource) {
    let at = installation.at;
    let cosmos = installation.read_by("ASSAY_COSMOS_URL", "Microsoft.DocumentDB/databaseAccounts");
    let named = cosmos.text(&["properties", "keyVaultKeyUri"]).unwrap_or_else(|| panic!("{at}: Cosmos DB without a key of its own"));
    let key = named.trim_end_matches([']', ')', '\'']).rsplit(['/', '\'']).next().unwrap_or_default().to_owned();
    let mut used = BTreeSet::from([key]);
    for account in installation.of("Microsoft.Storage/storageAccounts") {
        let key = account.text(&["properties", "encryption", "keyvaultproperties", "keyname"]);
        used.insert(key.unwrap_or_else(|| panic!("{}: without a key of its own", account.label())).to_owned());
    }
    let keys: Vec<_> =
        installation.of("Microsoft.KeyVault/vaults/keys").filter(|key| !key.id.starts_with(&format!("{}/", own.id))).collect();
    for key in &keys {
        is_for(key, &["RSA", "RSA-HSM"], ["wrapKey", "unwrapKey"], ("keySize", &json!(3072)));
        assert!(
            named.contains(key.name.split('/').next().unwrap()) || used.contains(key.last_name()),
            "{}: nothing is encrypted with it",
            key.label()
        );
    }
    if !keys.is_empty() {
        assert!(keys.iter().any(|key| used.contains(key.last_name())), "{at}: none of {used:?} is made");
    }
}
