//! The database: under the provider's key by an identity of its own, restorable to any moment of the days that were said, opened
//! by no key of the account, and where it was said and nowhere else.

use serde_json::{Value, json};

use super::{Installation, check_installations, check_template, found, inside};
use crate::infra::{evaluate::Place, template::Resource};

const ACCOUNT: &str = "Microsoft.DocumentDB/databaseAccounts";
const IDENTITY: &str = "Microsoft.ManagedIdentity/userAssignedIdentities";

fn faults(of: &Installation) -> Vec<String> {
    let mut told = Vec::new();
    let account = of.of(ACCOUNT).next().expect("the database");
    for (path, expected, why) in [
        ("disableLocalAuth", json!(true), "a key of the account opens all of it"),
        ("disableKeyBasedMetadataWriteAccess", json!(true), "a key of the account changes it"),
        ("publicNetworkAccess", json!("Disabled"), "it is reached from outside"),
        ("enableMultipleWriteLocations", json!(false), "the order of what is written holds in one region only"),
    ] {
        let found = account.get(&["properties", path]).cloned().unwrap_or_default();
        if found != expected {
            told.push(format!("{}: {path} is {found}: {why}", account.label()));
        }
    }
    told.extend(key_faults(of, account));
    told.extend(place_faults(of, account));
    let backup = account.get(&["properties", "backupPolicy"]).cloned().unwrap_or_default();
    let days = of.setting("ASSAY_BACKUP_DAYS");
    if backup["type"] != "Continuous" || backup["continuousModeProperties"]["tier"] != format!("Continuous{days}Days") {
        told.push(format!("{}: its backup is {backup}, but the app says of a destroyed client's copies {days} days", account.label()));
    }
    told
}

/// The key lies in the vault that is not the app's, is named without a version, and an identity that is not the app's unwraps it.
fn key_faults(of: &Installation, account: &Resource) -> Vec<String> {
    let mut told = Vec::new();
    let own = of.read_by("ASSAY_DEPLOYMENT_KEY", "Microsoft.KeyVault/vaults/keys").name.split('/').next().unwrap_or_default();
    let named = account.text(&["properties", "keyVaultKeyUri"]).unwrap_or_default();
    // `[format('{0}keys/{1}', format('https://{0}{1}/', 'VAULT', environment()...), 'KEY')]`: a version would stand behind the key.
    let is_named = |key: &&Resource| {
        let (vault, key) = key.name.split_once('/').unwrap();
        vault != own && named.contains(&format!("'https://{{0}}{{1}}/', '{vault}', ")) && named.ends_with(&format!(", '{key}')]"))
    };
    if !named.starts_with("[format('{0}keys/{1}', ") || of.of("Microsoft.KeyVault/vaults/keys").find(is_named).is_none() {
        told.push(format!("{}: its key is none of the encryption vault's, without a version: {named}", account.label()));
    }
    let by =
        account.text(&["properties", "defaultIdentity"]).and_then(|text| text.strip_prefix("UserAssignedIdentity=")).unwrap_or_default();
    let held: Vec<_> = account.get(&["identity", "userAssignedIdentities"]).and_then(Value::as_object).into_iter().flatten().collect();
    let apps = of.site().get(&["identity", "userAssignedIdentities"]).cloned().unwrap_or_default();
    let is_made = of.of(IDENTITY).any(|identity| identity.id == by);
    if !is_made || held.len() != 1 || held[0].0 != by || apps.get(by).is_some() {
        told.push(format!("{}: unwraps its key as {by:?}, which is not the one identity that it has and the app has not", account.label()));
    }
    told
}

/// One region, named: the app's, and one of those to which the template's own policy holds it.
fn place_faults(of: &Installation, account: &Resource) -> Vec<String> {
    let region = of.site().text(&["location"]).unwrap_or_default();
    let places = account.get(&["properties", "locations"]).and_then(Value::as_array).cloned().unwrap_or_default();
    let named: Vec<_> =
        places.iter().map(|place| (place["locationName"].as_str().unwrap_or_default(), &place["failoverPriority"])).collect();
    let mut told = Vec::new();
    if named != [(region, &json!(0))] || account.text(&["location"]) != Some(region) {
        told.push(format!("{}: lies in {named:?}, and not in {region} alone", account.label()));
    }
    for assigned in of.of("Microsoft.Authorization/policyAssignments") {
        let allowed = assigned.get(&["properties", "parameters", "listOfAllowedLocations", "value"]).cloned().unwrap_or_default();
        if !allowed.as_array().is_some_and(|allowed| allowed.contains(&json!(region))) {
            told.push(format!("{}: allows {allowed}, but not {region}", assigned.label()));
        }
    }
    told
}

#[test]
fn infra_the_database_is_under_the_providers_key_can_be_restored_and_lies_where_it_was_said() {
    fn set(of: &mut Installation, path: &str, value: Value) {
        let account = &mut found(of, ACCOUNT, "").body;
        *account.pointer_mut(path).unwrap_or_else(|| panic!("no {path}")) = value;
    }
    check_installations(
        faults,
        &[
            ("disableLocalAuth is false", |of| set(of, "/properties/disableLocalAuth", json!(false))),
            ("disableKeyBasedMetadataWriteAccess", |of| set(of, "/properties/disableKeyBasedMetadataWriteAccess", Value::Null)),
            ("reached from outside", |of| set(of, "/properties/publicNetworkAccess", json!("Enabled"))),
            ("its key is none", |of| set(of, "/properties/keyVaultKeyUri", Value::Null)),
            ("its key is none", |of| {
                let key = found(of, ACCOUNT, "").text(&["properties", "keyVaultKeyUri"]).unwrap().replace("'assaye", "'assayv");
                set(of, "/properties/keyVaultKeyUri", json!(key));
            }),
            ("its key is none", |of| {
                let key = found(of, ACCOUNT, "").text(&["properties", "keyVaultKeyUri"]).unwrap().replace("'cosmos')", "'cosmos/1f')");
                set(of, "/properties/keyVaultKeyUri", json!(key));
            }),
            ("unwraps its key as \"\"", |of| set(of, "/properties/defaultIdentity", json!("FirstPartyIdentity"))),
            ("unwraps its key as", |of| {
                let app = of.of(IDENTITY).find(|one| one.name.ends_with("-app")).unwrap().id.clone();
                let mut only = serde_json::Map::new();
                only.insert(app.clone(), json!({}));
                set(of, "/properties/defaultIdentity", json!(format!("UserAssignedIdentity={app}")));
                set(of, "/identity/userAssignedIdentities", only.into());
            }),
            ("its backup is", |of| set(of, "/properties/backupPolicy/type", json!("Periodic"))),
            ("its backup is", |of| set(of, "/properties/backupPolicy/continuousModeProperties/tier", json!("Continuous7Days"))),
            ("alone", |of| set(of, "/properties/locations/0/locationName", json!("westeurope"))),
            ("alone", |of| set(of, "/properties/locations", json!([]))),
            ("alone", |of| {
                let second = json!({"locationName": "centralus", "failoverPriority": 1});
                found(of, ACCOUNT, "").body["properties"]["locations"].as_array_mut().unwrap().push(second);
            }),
            ("but not", |of| {
                let assigned = &mut found(of, "Microsoft.Authorization/policyAssignments", "assay-locations").body;
                assigned["properties"]["parameters"]["listOfAllowedLocations"]["value"] = json!([]);
            }),
        ],
    );
}

fn tier_faults(template: &Value) -> Vec<String> {
    let mut told = Vec::new();
    for (said, days) in [(json!({}), 30), (json!({"backupDays": 7}), 7), (json!({"backupDays": 30}), 30)] {
        let whole = Place::public(template, said.clone());
        let cosmos = whole.module("assay-cosmos").unwrap();
        let account = cosmos.template["resources"].as_array().unwrap().iter().find(|one| one["type"] == ACCOUNT).unwrap();
        let tier = cosmos.value(&account["properties"]["backupPolicy"]["continuousModeProperties"]["tier"]);
        if tier != Ok(json!(format!("Continuous{days}Days"))) {
            told.push(format!("with {said} the database can be restored for {tier:?}, not for {days} days"));
        }
    }
    told
}

#[test]
fn infra_the_database_can_be_restored_for_as_many_days_as_were_said() {
    check_template(
        tier_faults,
        &[
            ("with {}", |all| all["parameters"]["backupDays"]["defaultValue"] = json!(7)),
            ("with {\"backupDays\":7}", |all| inside(all, "assay-cosmos")["parameters"]["backupDays"]["value"] = json!(30)),
        ],
    );
}
