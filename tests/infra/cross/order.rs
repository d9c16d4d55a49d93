//! What must be made before what: Azure makes in parallel all that the template does not put in order.

use serde_json::Value;

use crate::infra::{
    COMPILED, file,
    template::{self, property},
};

/// Deployments of the template's modules: `(name, what it makes, what it waits for)`.
fn modules(template: &Value) -> Vec<(String, Vec<String>, String)> {
    let all = property(template, "resources").and_then(Value::as_array).expect("resources");
    let made = |module: &Value| {
        let inner = module.pointer("/properties/template/resources").and_then(Value::as_array).cloned().unwrap_or_default();
        inner.iter().filter_map(|one| Some(one["type"].as_str()?.to_owned())).collect()
    };
    all.iter()
        .map(|module| (module["name"].as_str().unwrap_or_default().to_owned(), made(module), module["dependsOn"].to_string()))
        .collect()
}

/// Modules that make a key or secret of the template's own before somebody is subscribed to its end.
fn untold(template: &Value) -> Vec<String> {
    let modules = modules(template);
    let subscription = |kind: &String| kind == "Microsoft.EventGrid/systemTopics/eventSubscriptions";
    let subscribes =
        |waits: &str| modules.iter().any(|(name, made, _)| waits.contains(&format!("'{name}'")) && made.iter().any(subscription));
    let ends = |kind: &String| ["Microsoft.KeyVault/vaults/keys", "Microsoft.KeyVault/vaults/secrets"].contains(&kind.as_str());
    let of_ours = modules.iter().filter(|(_, made, _)| made.iter().any(ends));
    of_ours.filter(|(_, _, waits)| !subscribes(waits)).map(|(name, ..)| name.clone()).collect()
}

/// learn.microsoft.com, "Monitoring Key Vault with Azure Event Grid": events come only of versions made after subscribing.
#[test]
fn infra_somebody_is_told_of_the_end_of_the_first_version_of_each_key_and_secret() {
    let mut template = template::json(&file(COMPILED)).unwrap();
    let makes = |(_, made, _): &(String, Vec<String>, String)| made.iter().any(|kind| kind == "Microsoft.KeyVault/vaults/keys");
    assert_eq!(modules(&template).iter().filter(|module| makes(module)).count(), 2, "the keys of both vaults");
    assert_eq!(untold(&template), Vec::<String>::new(), "made before the subscription that tells of their end");

    let resources = template["resources"].as_array_mut().unwrap();
    let keys = resources.iter_mut().find(|one| one["name"] == "assay-keys-app").unwrap();
    keys["dependsOn"] = serde_json::json!(["[resourceId('Microsoft.Resources/deployments', 'assay-vault-app')]"]);
    assert_eq!(untold(&template), ["assay-keys-app"], "one that does not wait is named");
}

/// Modules that make what holds its name after it is gone, or its zones, before the plan, with which Azure says whether the
/// region has the hosting and the zones. What is `skipped` makes nothing, and nothing waits for it.
fn too_early(template: &Value, skipped: &[&str]) -> Vec<String> {
    let modules: Vec<_> = modules(template).into_iter().filter(|(name, ..)| !skipped.contains(&name.as_str())).collect();
    let makes = |made: &[String], kinds: &[&str]| made.iter().any(|kind| kinds.contains(&kind.as_str()));
    let mut behind: Vec<&str> = Vec::new();
    // As often as there are modules, so that the longest way is walked.
    for _ in &modules {
        let waits = |waits: &str| behind.iter().any(|name| waits.contains(&format!("'{name}'")));
        let next = modules.iter().filter(|(_, made, on)| makes(made, &["Microsoft.Web/serverfarms"]) || waits(on));
        behind = next.map(|(name, ..)| name.as_str()).collect();
    }
    let lasting = ["Microsoft.KeyVault/vaults", "Microsoft.DocumentDB/databaseAccounts", "Microsoft.Storage/storageAccounts"];
    let made = modules.iter().filter(|(_, made, _)| makes(made, &lasting));
    made.filter(|(name, ..)| !behind.contains(&name.as_str())).map(|(name, ..)| name.clone()).collect()
}

#[test]
fn infra_a_region_without_the_hosting_or_zones_is_refused_before_a_vault_or_a_store_is_made() {
    let mut template = template::json(&file(COMPILED)).unwrap();
    let plans = ["assay-plan-flex", "assay-plan-premium"];
    let made_here = ["assay-own-encryption-key"];
    let own = ["assay-vault-encryption", "assay-keys-encryption", "assay-key-expiry-encryption"];
    for other in plans {
        for vault in [&made_here[..], &own] {
            let skipped: Vec<_> = vault.iter().copied().chain([other]).collect();
            assert_eq!(too_early(&template, &skipped), Vec::<String>::new(), "without {skipped:?}");
        }
    }

    let resources = template["resources"].as_array_mut().unwrap();
    let own_key = resources.iter_mut().find(|one| one["name"] == "assay-own-encryption-key").unwrap();
    own_key["dependsOn"] = serde_json::json!([]);
    let stores = ["assay-cosmos", "assay-storage-host", "assay-storage-packages", "assay-storage-evidence"];
    assert_eq!(too_early(&template, &own), stores, "with an own vault the stores wait for its key, and that must wait");
}
