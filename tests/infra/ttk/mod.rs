//! What Marketplace certification refuses, as tests of our own: the failing rules of Azure/arm-ttk 0ec9a41 (its warnings
//! are left to the linter), and three of PSRule.Rules.Azure, each with one bad template or definition that it names.
//!
//! Not ported, since nothing here has what they look at: virtual machines (images, sizes, extensions, administrator
//! names), `apiProfile`, and the two about resource ids, which arm-ttk skips itself for what Bicep generates.

mod deployments;
mod parameters;
mod psrule;
mod schema;
pub(super) mod ui;
mod view;
mod whole;

use serde_json::{Value, json};

use super::{file, template};

/// A template and those of its modules, each with where it stands.
type Templates<'a> = [(String, &'a Value)];

struct Rule {
    /// As arm-ttk calls it, or ours where it has no name.
    name: &'static str,
    finds: fn(&Templates<'_>) -> Vec<String>,
    /// `(where, what)`: what makes the good template below a bad one, by this rule and no other.
    bad: fn() -> (&'static str, Value),
}

fn rules() -> impl Iterator<Item = Rule> {
    whole::rules().into_iter().chain(parameters::rules()).chain(deployments::rules()).chain(psrule::rules())
}

/// Everything that the rules look at, as it should be.
fn good() -> Value {
    let schema = "https://schema.management.azure.com/schemas/2019-04-01/deploymentTemplate.json#";
    json!({
        "$schema": schema, "contentVersion": "1.0.0.0",
        "parameters": {
            "location": {"type": "string", "defaultValue": "[resourceGroup().location]", "metadata": {"description": "x"}},
            "days": {"type": "int", "defaultValue": 30, "minValue": 1, "maxValue": 90},
            "mailPassword": {"type": "secureString", "defaultValue": ""},
            "_artifactsLocation": {"type": "string", "defaultValue": "[deployment().properties.templateLink.uri]"},
            "_artifactsLocationSasToken": {"type": "secureString", "defaultValue": ""}
        },
        "variables": {"host": "[format('x{0}', environment().suffixes.storage)]"},
        "resources": [
            {"type": "Microsoft.Resources/deployments", "apiVersion": "2025-04-01", "name": "vault", "properties": {
                "expressionEvaluationOptions": {"scope": "inner"}, "mode": "Incremental",
                "parameters": {"location": {"value": "[parameters('location')]"}, "days": {"value": "[parameters('days')]"}},
                "template": {
                    "$schema": schema, "contentVersion": "1.0.0.0",
                    "parameters": {"location": {"type": "string"}, "days": {"type": "int"}, "secret": {"type": "secureString"}},
                    "resources": [
                        {"type": "Microsoft.KeyVault/vaults/keys", "apiVersion": "2025-05-01", "name": "kv/deployment", "properties": {
                            "kty": "RSA", "rotationPolicy": {"lifetimeActions": [{"action": {"type": "rotate"}}]}}},
                        {"type": "Microsoft.DocumentDB/databaseAccounts", "apiVersion": "2025-10-15", "name": "db",
                         "location": "[parameters('location')]", "properties": {"disableKeyBasedMetadataWriteAccess": true}}
                    ],
                    "outputs": {"uri": {"type": "string", "value": "[reference('kv').vaultUri]"}}
                }}},
            {"type": "Microsoft.Insights/actionGroups", "apiVersion": "2023-01-01", "name": "people", "location": "global", "properties": {}}
        ],
        "outputs": {"uri": {"type": "string", "value": "[reference('vault').outputs.uri.value]"}}
    })
}

/// What a path of the good template leads to is set, or taken out when it is null.
fn put(whole: &mut Value, path: &str, value: Value) {
    let (parent, name) = path.rsplit_once('/').unwrap();
    let parent = whole.pointer_mut(parent).unwrap_or_else(|| panic!("{path} is not in the good one"));
    match (parent, value) {
        (Value::Array(items), value) => items.push(value),
        (Value::Object(of), Value::Null) => drop(of.remove(name)),
        (Value::Object(of), value) => drop(of.insert(name.to_owned(), value)),
        (other, _) => panic!("{path}: {other}"),
    }
}

fn found(template: &Value) -> Vec<(&'static str, String)> {
    let templates = template::templates("mainTemplate.json", template).unwrap();
    rules().flat_map(|rule| (rule.finds)(&templates).into_iter().map(move |fault| (rule.name, fault))).collect()
}

#[test]
fn infra_each_certification_rule_names_its_own_bad_template_and_no_other() {
    assert!(found(&good()).is_empty(), "{:?}", found(&good()));
    for rule in rules() {
        let mut bad = good();
        let (path, value) = (rule.bad)();
        put(&mut bad, path, value);
        let found = found(&bad);
        assert!(!found.is_empty(), "{}: found nothing", rule.name);
        assert!(found.iter().all(|(name, _)| *name == rule.name), "{}: {found:?}", rule.name);
        assert!(found.iter().all(|(_, fault)| fault.starts_with("mainTemplate.json")), "{found:?}");
    }
}

#[test]
fn infra_the_template_would_be_taken_by_certification() {
    let template = template::json(&file("marketplace/mainTemplate.json")).unwrap();
    let faults: Vec<_> = found(&template).into_iter().map(|(rule, fault)| format!("{fault}  [{rule}]")).collect();
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
}
