//! What the policy check says of small installations: the good one complies, and each fault that somebody could make in
//! the template is named by the policy that Azure would name it with.

use serde_json::{Value, json};

use super::{
    super::types::Types,
    seen::{ADDED, path_of},
    *,
};

const GROUP: &str = "/subscriptions/s/resourceGroups/g/providers";

fn resource(kind: &str, name: &str, version: &str, body: Value) -> Value {
    let kinds: Vec<_> = kind.split('/').collect();
    let path: Vec<_> = kinds[1..].iter().zip(name.split('/')).map(|(kind, name)| format!("/{kind}/{name}")).collect();
    let path = path.concat();
    let mut made = body;
    let own = made.as_object_mut().unwrap();
    own.insert("id".into(), format!("{GROUP}/{}{path}", kinds[0]).into());
    own.insert("type".into(), kind.into());
    own.insert("name".into(), name.into());
    own.insert("apiVersion".into(), version.into());
    made
}

/// An account, a vault with a key, a site with its logs, and a network: everything as it should be.
fn good() -> Value {
    let account = format!("{GROUP}/Microsoft.Storage/storageAccounts/st");
    let vault = format!("{GROUP}/Microsoft.KeyVault/vaults/kv");
    let subnet = format!("{GROUP}/Microsoft.Network/virtualNetworks/net/subnets/endpoints");
    let endpoint = |name: &str, target: &str| {
        let connection = json!({"name": name, "properties": {"privateLinkServiceId": target, "groupIds": ["x"]}});
        let properties = json!({"subnet": {"id": subnet}, "privateLinkServiceConnections": [connection]});
        resource("Microsoft.Network/privateEndpoints", name, "2025-05-01", json!({"location": "eastus", "properties": properties}))
    };
    let mut logs = resource(
        "Microsoft.Insights/diagnosticSettings",
        "all",
        "2021-05-01-preview",
        json!({
        "properties": {"workspaceId": "/w", "logs": [{"categoryGroup": "audit", "enabled": true}]}}),
    );
    logs["id"] = format!("{vault}/providers/Microsoft.Insights/diagnosticSettings/all").into();
    json!({"diagnostics": [], "predictedResources": [
        resource("Microsoft.Storage/storageAccounts", "st", "2025-06-01", json!({"location": "eastus", "kind": "StorageV2", "properties": {
            "allowBlobPublicAccess": false, "allowSharedKeyAccess": false, "allowCrossTenantReplication": false,
            "supportsHttpsTrafficOnly": true, "publicNetworkAccess": "Disabled", "networkAcls": {"defaultAction": "Deny", "ipRules": []},
            "encryption": {"keySource": "Microsoft.Keyvault", "requireInfrastructureEncryption": true}}})),
        endpoint("st-blob", &account),
        endpoint("kv-vault", &vault),
        resource("Microsoft.KeyVault/vaults", "kv", "2025-05-01", json!({"location": "eastus", "properties": {
            "enableRbacAuthorization": true, "enableSoftDelete": true, "enablePurgeProtection": true, "publicNetworkAccess": "Disabled",
            "networkAcls": {"defaultAction": "Deny", "ipRules": []}}})),
        resource("Microsoft.KeyVault/vaults/keys", "kv/deployment", "2025-05-01", json!({"properties": {
            "kty": "RSA", "keySize": 3072, "attributes": {"exp": 1_900_000_000}}})),
        logs,
        resource("Microsoft.Network/virtualNetworks", "net", "2025-05-01", json!({"location": "eastus", "properties": {"subnets": [
            {"name": "endpoints", "properties": {"routeTable": {"id": "/rt"}, "networkSecurityGroup": {"id": "/nsg"}}}]}})),
        resource("Microsoft.Web/sites", "app", "2024-11-01", json!({"location": "eastus", "kind": "functionapp,linux",
            "identity": {"type": "UserAssigned"}, "properties": {"httpsOnly": true, "publicNetworkAccess": "Disabled", "siteConfig": {
            "minTlsVersion": "1.2", "ftpsState": "Disabled", "http20Enabled": true, "remoteDebuggingEnabled": false,
            "cors": {"allowedOrigins": []}}}})),
        resource("Microsoft.Web/sites/basicPublishingCredentialsPolicies", "app/ftp", "2024-11-01", json!({"properties": {"allow": false}})),
        resource("Microsoft.Web/sites/basicPublishingCredentialsPolicies", "app/scm", "2024-11-01", json!({"properties": {"allow": false}})),
        resource("Microsoft.Authorization/policyAssignments", "locations", "2025-11-01", json!({"location": "eastus", "properties": {
            "policyDefinitionId": "/providers/Microsoft.Authorization/policyDefinitions/e56962a6-4747-49cd-b67b-bf8b01975c4c",
            "parameters": {"listOfAllowedLocations": {"value": ["eastus"]}}}})),
    ]})
}

/// Nobody's template holds it: Azure makes it once for each region.
fn watcher() -> Exemption {
    Exemption {
        policy: "b6e2945c-0b7b-40f5-9233-7a5323b5cdc6".into(),
        resource: "Microsoft.Network/virtualNetworks".into(),
        named: all(),
        reason: "Azure makes the watcher of a region with its first network.".into(),
    }
}

fn judged(snapshot: &Value, exemptions: &[Exemption]) -> Option<(String, Vec<String>)> {
    let schemas = schemas()?;
    let resources = template::snapshot("t.snapshot.json", snapshot).unwrap();
    Some(all_policies(&Policies::read(&schemas), &[("commercial", "pub", resources)], exemptions))
}

#[test]
fn infra_policies_find_each_fault_that_a_template_can_have() {
    let Some((table, faults)) = judged(&good(), &[watcher()]) else { return };
    assert_eq!(faults, Vec::<String>::new());
    assert!(table.contains("| Key Vault keys should have an expiration date | CMMC L2, 800-171 | complies (1) |  |"), "{table}");
    assert!(
        table.contains("| Network Watcher should be enabled | CMMC L2, 800-171 | exempt (1 of 1) | Azure makes the watcher"),
        "{table}"
    );
    assert!(table.contains("| CosmosDB accounts should use private link | CMMC L2, 800-171 | none of ours |"), "{table}");

    let at = |kind: &str| {
        let list = good()["predictedResources"].as_array().unwrap().clone();
        list.iter().position(|one| one["type"] == kind).unwrap()
    };
    let (account, vault, site) = (at("Microsoft.Storage/storageAccounts"), at("Microsoft.KeyVault/vaults"), at("Microsoft.Web/sites"));
    let (key, logs, net) =
        (at("Microsoft.KeyVault/vaults/keys"), at("Microsoft.Insights/diagnosticSettings"), at("Microsoft.Network/virtualNetworks"));
    let cases: &[(usize, &str, Value, &str)] = &[
        (account, "/properties/allowBlobPublicAccess", json!(true), "public access should be disallowed"),
        (account, "/properties/allowBlobPublicAccess", Value::Null, "public access should be disallowed"),
        (account, "/properties/networkAcls/ipRules", json!([{"value": "1.2.3.4"}]), "using virtual network rules"),
        (account, "/properties/encryption/requireInfrastructureEncryption", json!(false), "infrastructure encryption"),
        (account, "/properties/allowSharedKeyAccess", json!("[parameters('keys')]"), "cannot be judged"),
        (account, "/location", json!("westeurope"), "Allowed locations"),
        (account + 1, "/properties/privateLinkServiceConnections", json!([]), "Storage accounts should use private link"),
        (account + 2, "/properties/privateLinkServiceConnections", json!([]), "Azure Key Vaults should use private link"),
        (vault, "/properties/enablePurgeProtection", Value::Null, "deletion protection"),
        (vault, "/properties/enableRbacAuthorization", json!(false), "RBAC permission model"),
        (key, "/properties/attributes", json!({}), "keys should have an expiration date"),
        (key, "/properties/keySize", json!(2048), "minimum key size"),
        (key, "/properties/kty", json!("oct"), "cryptographic type RSA or EC"),
        (logs, "/properties/logs/0/enabled", json!(false), "Resource logs in Key Vault"),
        (net, "/properties/subnets/0/properties/networkSecurityGroup", Value::Null, "Network Security Group"),
        (net, "/properties/subnets/0/properties/routeTable", Value::Null, "Azure Firewall"),
        (site, "/properties/httpsOnly", json!(false), "only be accessible over HTTPS"),
        (site, "/properties/siteConfig/minTlsVersion", json!("1.1"), "latest TLS version"),
        (site, "/properties/siteConfig/ftpsState", json!("AllAllowed"), "require FTPS only"),
        (site, "/properties/siteConfig/cors/allowedOrigins", json!(["*"]), "CORS"),
        (site, "/properties/siteConfig/remoteDebuggingEnabled", Value::Null, "remote debugging"),
        (site, "/identity/type", json!("None"), "managed identity"),
        (site + 1, "/properties/allow", json!(true), "FTP deployments"),
    ];
    for (at, path, value, told) in cases {
        let mut bad = good();
        let (parent, name) = path.rsplit_once('/').unwrap();
        let parent = bad["predictedResources"][*at].pointer_mut(parent).unwrap();
        match (name.parse::<usize>(), value) {
            (Err(_), Value::Null) => drop(parent.as_object_mut().unwrap().remove(name)),
            _ => parent[name] = value.clone(),
        }
        let (table, faults) = judged(&bad, &[watcher()]).unwrap();
        assert!(!faults.is_empty() && faults.iter().all(|fault| fault.contains("infra/exemptions.json")), "{path}: {faults:?}");
        assert!(faults.iter().any(|fault| fault.contains(told)), "{path}: {faults:?}");
        assert!(table.contains("FAILS"), "{path}");
    }
}

/// Azure would refuse the next deployment, of the template by its own policy.
#[test]
fn infra_regions_that_the_template_itself_assigns_are_those_it_is_judged_by() {
    let Some(schemas) = schemas() else { return };
    let policies = Policies::read(&schemas);
    let exemptions: Vec<Exemption> = serde_json::from_value(template::json(&file("exemptions.json")).unwrap()).unwrap();
    for (name, policy) in
        [("assay-locations", "\"Allowed locations\""), ("assay-cosmos-locations", "\"Azure Cosmos DB allowed locations\"")]
    {
        let faults = |change: fn(&mut Value)| {
            let mut clouds = snapshots();
            for (_, _, resources) in &mut clouds {
                let assigned = resources.iter_mut().find(|one| one.name == name).unwrap();
                change(&mut assigned.body["properties"]["parameters"]);
            }
            all_policies(&policies, &clouds, &exemptions).1
        };
        let elsewhere = faults(|parameters| parameters["listOfAllowedLocations"]["value"] = json!(["westeurope"]));
        assert!(!elsewhere.is_empty() && elsewhere.iter().all(|fault| fault.contains(policy)), "{elsewhere:?}");
        let unsaid = faults(|parameters| *parameters = json!({"allowedLocations": {"value": ["eastus2", "usgovvirginia"]}}));
        assert!(unsaid.iter().any(|fault| fault.contains("cannot be judged") && fault.contains(policy)), "{unsaid:?}");
    }
}

#[test]
fn infra_an_exemption_that_nothing_needs_any_more_is_a_fault() {
    let mut other = watcher();
    other.named = "another*".into();
    let Some((_, faults)) = judged(&good(), &[watcher(), other]) else { return };
    assert_eq!(faults.len(), 1);
    assert!(faults[0].contains("nothing needs the exemption") && faults[0].contains("another*"), "{faults:?}");
}

/// An alias that is misspelled, or that this code reads wrongly, would find nothing and comply with many a rule.
#[test]
fn infra_every_alias_of_the_policies_is_a_property_of_its_type_or_said_to_be_azures_own() {
    let Some(schemas) = schemas() else { return };
    let types = Types::read(&schemas).unwrap();
    let mut checked = 0;
    for (id, policy) in &Policies::read(&schemas).0 {
        assert_eq!(unsupported(&policy["policyRule"]), Vec::<String>::new(), "{id}");
        for alias in aliases(&policy["policyRule"]) {
            if ADDED.iter().any(|added| added.eq_ignore_ascii_case(&alias)) || FORMER.iter().any(|(former, _)| *former == alias) {
                continue;
            }
            let kind = types.kinds().filter(|kind| path_of(kind, &alias).is_some()).max_by_key(|kind| kind.len());
            let Some(kind) = kind else {
                assert!(NOT_OURS.iter().any(|not| alias.starts_with(not)), "{id}: {alias} is of no type that is known here");
                continue;
            };
            let path = path_of(kind, &alias).unwrap();
            assert!(types.knows(kind, path), "{id}: {alias}: {kind} has no property {path}");
            checked += 1;
        }
    }
    assert!(checked > 60, "only {checked} aliases");
}

/// Aliases of properties that later versions of a type do not have.
const FORMER: &[(&str, &str)] = &[
    ("Microsoft.DocumentDB/databaseAccounts/ipRangeFilter", "ipRules since 2020"),
    ("Microsoft.Insights/diagnosticSettings/logs.enabled", "an alias of all logs, without [*]"),
];

/// Types that we do not use, or whose data plane `seen.rs` makes.
const NOT_OURS: &[&str] = &["Microsoft.Network/azureFirewalls/", "Microsoft.KeyVault.Data/"];

fn aliases(rule: &Value) -> Vec<String> {
    let mut found = Vec::new();
    let mut open = vec![rule];
    while let Some(value) = open.pop() {
        match value {
            Value::Object(of) => {
                found.extend(of.get("field").and_then(Value::as_str).filter(|alias| alias.contains('/')).map(str::to_owned));
                open.extend(of.values());
            }
            Value::Array(of) => open.extend(of),
            _ => {}
        }
    }
    found
}
