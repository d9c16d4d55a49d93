//! `infra/parameters`, run as a buyer of the Marketplace runs it before a later deployment: what was answered on the pages
//! comes back as a parameter file, without what is the Marketplace's and without a secret.

use std::{fs, os::unix::fs::PermissionsExt, path::Path, process::Command};

use serde_json::{Value, json};

use super::file;

/// An `az` that knows one deployment and the app's settings.
const AZ: &str = r#"#!/usr/bin/env bash
case "$*" in
  "deployment group list "*) cat "$(dirname "$0")/deployed.json" ;;
  "functionapp config appsettings list -g mine -n assay-abc "*) cat "$(dirname "$0")/settings.json" ;;
  *) echo "az: not expected: $*" >&2; exit 64 ;;
esac
"#;

fn printed(deployed: &Value, settings: &Value) -> Result<String, String> {
    let folder = tempfile::tempdir().unwrap();
    let put = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
    put("az", AZ);
    put("deployed.json", &deployed.to_string());
    put("settings.json", &settings.to_string());
    fs::set_permissions(folder.path().join("az"), fs::Permissions::from_mode(0o755)).unwrap();
    let mut script = Command::new("bash");
    script.args(["-c", r#"PATH=$1:$PATH exec "${@:2}""#, "bash"]).arg(folder.path()).arg(file("parameters")).arg("mine");
    let said = script.output().expect("bash and Python 3");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    if said.status.success() { Ok(text(said.stdout)) } else { Err(text(said.stderr)) }
}

#[test]
fn infra_what_was_answered_on_the_pages_comes_back_as_a_parameter_file() {
    let given = json!({
        "namePrefix": "assay", "location": "eastus2", "allowedLocations": ["eastus2", "centralus"], "dataBoundary": "commercial-noCUI",
        "alertEmail": "o'brien@example.net", "hosting": "flex", "mail": "smtp", "smtpHost": "smtp.example.net", "smtpUser": "assay",
        "smtpPort": 587, "zoneRedundant": false, "storageSku": "Standard_LRS", "logDays": 90, "createLocks": true, "maxInstances": 40,
        "tags": {"cost center": "it"}, "moreSettings": {}, "budgetStart": "2026-11-01", "programUrl": "https://example.net/assay.zip",
        "entraClientId": "", "entraDirectories": ["11111111-2222-4333-8444-555555555555"], "keysExpire": 1_827_000_000,
        "_artifactsLocation": "https://example.net/offer/",
    });
    let mut parameters: serde_json::Map<String, Value> =
        given.as_object().unwrap().iter().map(|(name, value)| (name.clone(), json!({"type": "Any", "value": value}))).collect();
    // So Azure tells a secret.
    parameters.insert("smtpPassword".into(), json!({"type": "SecureString"}));
    let deployed = json!({"parameters": parameters, "outputs": {"appName": {"value": "assay-abc"}}});
    let settings = json!([{"name": "ASSAY_TEAMS", "value": "secret:teams"}, {"name": "ASSAY_MAIL", "value": "smtp"}]);

    let repository = file("parameters").canonicalize().unwrap();
    let repository = repository.ancestors().nth(2).and_then(Path::file_name).unwrap().to_str().unwrap();
    let expected = format!(
        "using '{repository}/infra/main.bicep'\n\n\
        param namePrefix = 'assay'\n\
        param location = 'eastus2'\n\
        param allowedLocations = ['eastus2', 'centralus']\n\
        param dataBoundary = 'commercial-noCUI'\n\
        param alertEmail = 'o\\'brien@example.net'\n\
        param hosting = 'flex'\n\
        param mail = 'smtp'\n\
        param smtpHost = 'smtp.example.net'\n\
        param smtpUser = 'assay'\n\
        param storageSku = 'Standard_LRS'\n\
        param zoneRedundant = false\n\
        param maxInstances = 40\n\
        param logDays = 90\n\
        param moreSettings = {{ ASSAY_TEAMS: 'secret:teams' }}\n\
        param tags = {{ 'cost center': 'it' }}\n\
        param smtpPassword = readEnvironmentVariable('SMTP_PASSWORD', '')\n\
        param _artifactsLocation = ''\n"
    );
    assert_eq!(printed(&deployed, &settings), Ok(expected));
}

#[test]
fn infra_a_group_without_an_installation_has_no_parameter_file() {
    let said = printed(&Value::Null, &json!([])).unwrap_err();
    assert!(said.contains("there is no installation in mine"), "{said}");
}
