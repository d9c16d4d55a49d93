//! What must be made before what: Azure makes in parallel all that the template does not put in order.

use serde_json::{Value, json};

use crate::infra::{
    COMPILED,
    evaluate::Place,
    file,
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
    keys["dependsOn"] = json!(["[resourceId('Microsoft.Resources/deployments', 'assay-vault-app')]"]);
    assert_eq!(untold(&template), ["assay-keys-app"], "one that does not wait is named");
}

/// Modules that make something before the plan, with whose tags the template refuses what was typed wrong, and with which
/// Azure says whether the region has the hosting and the zones. Of those that these parameters ask for: what is left out
/// makes nothing, and nothing waits for it.
fn too_early(template: &Value, parameters: &Value) -> Vec<String> {
    let place = Place::public(template, parameters.clone());
    let asked = |module: &Value| module.get("condition").is_none_or(|condition| place.value(condition).unwrap() == json!(true));
    let resources = template["resources"].as_array().expect("resources");
    let on: Vec<_> = modules(template).into_iter().zip(resources).filter(|(_, module)| asked(module)).collect();
    // The Marketplace's mark is empty: it makes nothing.
    let on: Vec<_> = on.into_iter().filter(|((_, made, _), _)| !made.is_empty()).collect();
    let checked = |module: &Value| module["properties"]["parameters"]["tags"]["value"] == "[variables('checkedTags')]";
    let is_plan = |made: &[String]| made.iter().any(|kind| kind == "Microsoft.Web/serverfarms");
    let mut behind: Vec<&str> = Vec::new();
    // As often as there are modules, so that the longest way is walked.
    for _ in &on {
        let waits = |waits: &str| behind.iter().any(|name| waits.contains(&format!("'{name}'")));
        let next = on.iter().filter(|((_, made, waits_for), module)| (is_plan(made) && checked(module)) || waits(waits_for));
        behind = next.map(|((name, ..), _)| name.as_str()).collect();
    }
    let early = on.iter().filter(|((name, ..), _)| !behind.contains(&name.as_str()));
    early.map(|((name, ..), _)| name.clone()).collect()
}

#[test]
fn infra_what_was_typed_wrong_or_the_region_lacks_is_refused_before_anything_is_made() {
    let mut template = template::json(&file(COMPILED)).unwrap();
    let words = "[if(empty(variables('problems')), variables('allTags'), fail(join(variables('problems'), ' ')))]";
    assert_eq!(template["variables"]["checkedTags"], words, "what the plan's tags are");
    let all_or_none = [true, false].map(|on| {
        json!({"createDnsZones": on, "tellKeyExpiry": on, "assignPolicies": on, "createLocks": on, "anchorsLocked": !on, "_artifactsLocation": "",
            "mail": if on { "smtp" } else { "acs" }, "smtpUser": "assay", "teamsWebhook": if on { "https://x" } else { "" },
            "monthlyBudget": if on { 9 } else { 0 }})
    });
    let mut asked = Vec::new();
    for some in all_or_none {
        for (hosting, vault) in [("flex", ""), ("flex", "own"), ("premium", ""), ("premium", "own")] {
            let mut all = some.clone();
            all["hosting"] = json!(hosting);
            all["ownVaultName"] = json!(vault);
            assert_eq!(too_early(&template, &all), Vec::<String>::new(), "with {all}");
            asked.push(all);
        }
    }

    let put = |template: &mut Value, name: &str, at: &str, value: Value| {
        let module = template["resources"].as_array_mut().unwrap().iter_mut().find(|one| one["name"] == name).expect("a module");
        *module.pointer_mut(at).unwrap() = value;
    };
    let good = template.clone();
    put(&mut template, "assay-policy", "/dependsOn", json!([]));
    assert_eq!(too_early(&template, &asked[0]), ["assay-policy"], "one that does not wait is named");
    template = good;
    put(&mut template, "assay-plan-flex", "/properties/parameters/tags/value", json!("[variables('allTags')]"));
    assert!(too_early(&template, &asked[0]).len() > 20, "and all, where the plan checks nothing");
    assert_eq!(too_early(&template, &asked[2]), Vec::<String>::new(), "but not with the other plan");
}
