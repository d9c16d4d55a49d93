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
