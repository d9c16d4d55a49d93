//! The same rows, evaluated by Azure's own engine of expressions, which the Bicep CLI has in it for snapshots: so that what
//! the tests here believe of `filter`, `startsWith` or `parseCidr` is what Azure does. Skipped without the CLI.

use std::{fs, path::PathBuf, process::Command};

use serde_json::{Value, json};

use super::template::{GOVERNMENT, PUBLIC, place, refused, rows, undeclared};
use crate::{
    infra::{COMPILED, file, template},
    support::shared,
};

fn cli() -> Option<PathBuf> {
    shared::file("BICEP").or_else(|| shared::dir("ASSAY_TOOLS", "tools").map(|tools| tools.join("bicep")))
}

/// The template with nothing to make but a resource that is tagged with what `problems` says. A snapshot is of no cloud, so
/// the cloud is put where the template asks for it.
fn saying(template: &Value, cloud: &str) -> Value {
    let place = place(template, cloud, &json!({}));
    let mut saying = template.clone();
    saying["outputs"] = json!({});
    saying["resources"] = json!([{"type": "Microsoft.ManagedIdentity/userAssignedIdentities", "apiVersion": "2024-11-30",
        "name": "[deployment().name]", "location": "eastus", "tags": {"said": "[join(variables('problems'), ' ')]"}}]);
    for parameter in saying["parameters"].as_object_mut().unwrap().values_mut() {
        // A snapshot shows nothing of what is secure.
        if parameter["type"] == "securestring" {
            parameter["type"] = json!("string");
        }
        if parameter["defaultValue"].as_str().is_some_and(|default| default.contains("environment()")) {
            parameter["defaultValue"] = place.value(&parameter["defaultValue"]).unwrap();
        }
    }
    // The engine evaluates every variable that is there, and one of the others is to fail.
    let all = template["variables"].as_object().unwrap();
    let mut asked = vec!["problems"];
    let mut at = 0;
    while let Some(text) = asked.get(at).map(|name| all[*name].to_string()) {
        let further: Vec<_> = all.keys().filter(|name| text.contains(&format!("variables('{name}')"))).collect();
        asked.extend(further.into_iter().map(String::as_str));
        at += 1;
    }
    saying["variables"].as_object_mut().unwrap().retain(|name, _| asked.contains(&name.as_str()));
    let text = saying.to_string().replace("environment()", "variables('cloud')");
    let mut saying: Value = serde_json::from_str(&text).unwrap();
    saying["variables"]["cloud"] = place.value(&json!("[environment()]")).unwrap();
    saying
}

#[test]
fn infra_azures_own_engine_refuses_what_was_typed_wrong_with_the_very_words() {
    let Some(cli) = cli() else { return };
    let template = template::json(&file(COMPILED)).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: String| fs::write(folder.path().join(name), text).unwrap();
    for cloud in [PUBLIC, GOVERNMENT] {
        write(&format!("{cloud}.json"), saying(&template, cloud).to_string());
    }
    // What the parameters' own constraints refuse comes to no expression.
    let rows: Vec<_> = rows(&template).into_iter().filter(|row| undeclared(&template, &row.given).is_empty()).collect();
    write("rows.json", rows.iter().map(|row| row.given.clone()).collect::<Value>().to_string());
    let modules = rows.iter().enumerate().map(|(at, row)| {
        let given = row.given.as_object().unwrap().keys().map(|name| format!("    {name}: rows[{at}].{name}\n"));
        let given = given.collect::<Vec<_>>().concat();
        format!("module row{at} '{}.json' = {{\n  name: 'row{at}'\n  params: {{\n{given}  }}\n}}\n", row.cloud)
    });
    write("all.bicep", format!("var rows = loadJsonContent('rows.json')\n{}", modules.collect::<String>()));
    write("all.bicepparam", "using 'all.bicep'\n".into());

    let nobody = "00000000-0000-4000-8000-0000000000aa";
    let mut snapshot = Command::new(cli);
    snapshot.args(["snapshot", "all.bicepparam", "--mode", "overwrite", "--tenant-id", nobody, "--subscription-id", nobody]);
    let said = snapshot.args(["--resource-group", "assay", "--deployment-name", "assay"]).current_dir(folder.path()).output().unwrap();
    let made = template::json(&folder.path().join("all.snapshot.json")).unwrap_or_else(|error| panic!("{error}: {said:?}"));
    let resources = made["predictedResources"].as_array().unwrap();
    assert_eq!(resources.len(), rows.len());
    for (at, row) in rows.iter().enumerate() {
        let resource = resources.iter().find(|one| one["name"] == format!("row{at}")).unwrap_or_else(|| panic!("no row {at}"));
        let ours = refused(&template, row.cloud, &row.given).join(" ");
        assert_eq!(resource["tags"]["said"], ours, "{}", row.given);
    }
    assert!(rows.len() > 150, "only {}", rows.len());
}
