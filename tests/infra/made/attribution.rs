//! Customer usage attribution: one empty deployment whose name tells the Marketplace whose offer this is. Modules are
//! deployments too, so Partner Center adds none by itself (../shared/reference/infrastructure.md, section 1).

use regex::Regex;
use serde_json::{Value, json};

use super::check_template;
use crate::infra::template::compiled;

fn faults(template: &Value) -> Vec<String> {
    let name = Regex::new("^pid-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}-partnercenter$").unwrap();
    let mut told = Vec::new();
    let all = compiled("mainTemplate.json", template).unwrap();
    let found: Vec<_> = all.iter().filter(|one| one.is("Microsoft.Resources/deployments") && one.name.contains("pid-")).collect();
    let [one] = found.as_slice() else {
        return vec![format!("one deployment named pid-<guid>-partnercenter, found {}", found.len())];
    };
    let label = one.label();
    if !name.is_match(&one.name) {
        told.push(format!("{label}: is not named pid-<guid>-partnercenter"));
    }
    if one.at != "mainTemplate.json" || one.conditional {
        told.push(format!("{label}: stands in a module or under a condition, so that not every deployment has it"));
    }
    let is_empty = |at: &str| one.get(&["properties", "template", at]).is_none_or(|of| [json!([]), json!({})].contains(of));
    if one.get(&["properties", "template", "resources"]).is_none() || !["resources", "outputs", "parameters"].into_iter().all(is_empty) {
        told.push(format!("{label}: its template is not empty"));
    }
    if one.text(&["properties", "mode"]) != Some("Incremental") {
        told.push(format!("{label}: is not Incremental: in a group of its own things, all else would be deleted"));
    }
    told
}

#[test]
fn infra_the_marketplace_is_told_once_whose_offer_was_deployed_and_by_nothing_that_is_made() {
    fn pid(template: &mut Value) -> &mut Value {
        let all = template["resources"].as_array_mut().unwrap();
        all.iter_mut().find(|one| one["name"].as_str().is_some_and(|name| name.starts_with("pid-"))).unwrap()
    }
    check_template(
        faults,
        &[
            ("found 0", |all| pid(all)["name"] = json!("assay-attribution")),
            ("found 2", |all| {
                let again = pid(all).clone();
                all["resources"].as_array_mut().unwrap().push(again);
            }),
            ("is not named", |all| pid(all)["name"] = json!("pid-5d0e0f2b-partnercenter")),
            ("is not named", |all| pid(all)["name"] = json!("[format('pid-{0}-partnercenter', newGuid())]")),
            ("under a condition", |all| pid(all)["condition"] = json!("[parameters('createLocks')]")),
            ("is not empty", |all| pid(all)["properties"]["template"]["outputs"] = json!({"id": {"type": "string", "value": "x"}})),
            ("is not Incremental", |all| pid(all)["properties"]["mode"] = json!("Complete")),
            ("is not empty", |all| {
                let vault = json!({"type": "Microsoft.KeyVault/vaults", "apiVersion": "2025-05-01", "name": "kv"});
                pid(all)["properties"]["template"]["resources"] = json!([vault]);
            }),
        ],
    );
}
