//! Availability zones: plan, instances, database and storage stand in several where `zoneRedundant` says so, and in none of
//! them where it says no. The snapshots have only the one; so the template's own expressions are evaluated for both.

use serde_json::{Value, json};

use super::{check_template, inside};
use crate::infra::evaluate::Place;

/// `(module, type, where, in zones or without)`.
type Follows = (&'static str, &'static str, &'static str, fn(bool) -> Value);

const FOLLOW: &[Follows] = &[
    ("assay-plan-flex", "Microsoft.Web/serverfarms", "/properties/zoneRedundant", Value::from),
    ("assay-plan-premium", "Microsoft.Web/serverfarms", "/properties/zoneRedundant", Value::from),
    ("assay-plan-premium", "Microsoft.Web/serverfarms", "/sku/capacity", instances),
    ("assay-app-premium", "Microsoft.Web/sites", "/properties/siteConfig/minimumElasticInstanceCount", instances),
    ("assay-cosmos", "Microsoft.DocumentDB/databaseAccounts", "/properties/locations/0/isZoneRedundant", Value::from),
    ("assay-storage-host", "Microsoft.Storage/storageAccounts", "/sku/name", redundancy),
    ("assay-storage-packages", "Microsoft.Storage/storageAccounts", "/sku/name", redundancy),
    ("assay-storage-evidence", "Microsoft.Storage/storageAccounts", "/sku/name", redundancy),
];

/// Of a Premium plan: one in each of three zones.
fn instances(zones: bool) -> Value {
    json!(if zones { 3 } else { 1 })
}

fn redundancy(zones: bool) -> Value {
    json!(if zones { "Standard_ZRS" } else { "Standard_LRS" })
}

fn faults(template: &Value) -> Vec<String> {
    let mut told = Vec::new();
    for (said, zones) in [(json!({}), true), (json!({"zoneRedundant": true}), true), (json!({"zoneRedundant": false}), false)] {
        let whole = Place::public(template, said.clone());
        for (module, kind, path, expected) in FOLLOW {
            let module_place = whole.module(module).unwrap();
            let made = module_place.template["resources"].as_array().unwrap().iter().find(|one| one["type"] == *kind);
            let text = made.and_then(|one| one.pointer(path)).cloned().unwrap_or_default();
            let found = module_place.value(&text);
            if found.as_ref() != Ok(&expected(zones)) {
                told.push(format!("{module}{path} is {found:?} with {said}, not {}", expected(zones)));
            }
        }
    }
    told
}

/// What somebody says of storage besides counts for all three accounts.
fn chosen(template: &Value) -> Vec<String> {
    let whole = Place::public(template, json!({"storageSku": "Standard_GZRS"}));
    let of = |(module, _, path, _): &&(&str, &str, &str, _)| {
        let inner = whole.module(module).unwrap();
        let made = inner.template["resources"].as_array().unwrap().iter().find_map(|one| one.pointer(path));
        inner.value(made.unwrap()) != Ok(json!("Standard_GZRS"))
    };
    let storage = FOLLOW.iter().filter(|(_, kind, ..)| kind.ends_with("/storageAccounts"));
    storage.filter(of).map(|(module, ..)| format!("{module} is not Standard_GZRS, as was said")).collect()
}

#[test]
fn infra_plan_database_and_storage_stand_in_zones_or_not_as_one_parameter_says() {
    check_template(
        faults,
        &[
            ("assay-plan-flex/properties/zoneRedundant is Ok(Bool(true)) with {\"zoneRedundant\":false}", |all| {
                inside(all, "assay-plan-flex")["template"]["resources"][0]["properties"]["zoneRedundant"] = json!(true);
            }),
            ("assay-plan-flex/", |all| drop(inside(all, "assay-plan-flex")["parameters"].as_object_mut().unwrap().remove("zoneRedundant"))),
            ("assay-plan-premium/sku/capacity", |all| {
                inside(all, "assay-plan-premium")["template"]["resources"][0]["sku"]["capacity"] = json!(1);
            }),
            ("assay-app-premium/", |all| inside(all, "assay-app-premium")["parameters"]["zoneRedundant"]["value"] = json!(false)),
            ("assay-cosmos/", |all| {
                let made = inside(all, "assay-cosmos")["template"]["resources"].as_array_mut().unwrap();
                let account = made.iter_mut().find(|one| one["type"] == "Microsoft.DocumentDB/databaseAccounts").unwrap();
                account["properties"]["locations"][0]["isZoneRedundant"] = json!(false);
            }),
            ("assay-storage-evidence/sku/name", |all| {
                inside(all, "assay-storage-evidence")["parameters"]["sku"]["value"] = json!("Standard_LRS");
            }),
            ("assay-storage-host/", |all| all["parameters"]["storageSku"]["defaultValue"] = json!("Standard_ZRS")),
            ("with {}", |all| all["parameters"]["zoneRedundant"]["defaultValue"] = json!(false)),
        ],
    );
    check_template(
        chosen,
        &[("assay-storage-host", |all| {
            inside(all, "assay-storage-host")["parameters"]["sku"]["value"] = json!("[if(parameters('zoneRedundant'), 'a', 'b')]");
        })],
    );
}
