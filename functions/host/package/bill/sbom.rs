//! The bill of materials as CycloneDX 1.6 in JSON (ECMA-424): <https://cyclonedx.org/docs/1.6/json/>.
//!
//! No time and no random number: the serial number is the hash of the content.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{License, Part};
use crate::tenancy::seal::sha256;

/// Of these parts, of which the program uses some directly, for the program with this SHA-256.
pub(super) fn written(parts: &[Part], direct: &[String], program: &str) -> String {
    let own = format!("pkg:cargo/{}@{}", env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"));
    let cryptography = if cfg!(feature = "fips") { "fips" } else { "default" };
    let depends = |of: &str, on: &[String]| json!({ "ref": of, "dependsOn": on });
    let dependencies = [depends(&own, direct)].into_iter().chain(parts.iter().map(|part| depends(&part.purl, &part.uses)));
    let mut bill = json!({
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "component": {
                "type": "application",
                "bom-ref": own,
                "name": env!("CARGO_PKG_NAME"),
                "version": env!("CARGO_PKG_VERSION"),
                "description": env!("CARGO_PKG_DESCRIPTION"),
                "hashes": [{ "alg": "SHA-256", "content": program }],
                "licenses": [{ "expression": env!("CARGO_PKG_LICENSE") }],
                "purl": own,
                "properties": [{ "name": "assay:cryptography", "value": cryptography }],
            },
        },
        "components": parts.iter().map(component).collect::<Vec<_>>(),
        "dependencies": dependencies.collect::<Vec<_>>(),
    });
    let hash = sha256(bill.to_string().as_bytes());
    let bytes = u128::from_str_radix(&hash[..32], 16).unwrap_or_default().to_be_bytes();
    // RFC 9562, 5.8: a form of one's own.
    let serial = uuid::Builder::from_custom_bytes(bytes).into_uuid();
    bill["serialNumber"] = json!(format!("urn:uuid:{serial}"));
    format!("{bill:#}\n")
}

fn component(part: &Part) -> Value {
    let license = match &part.license {
        License::Spdx(expression) => json!({ "expression": expression }),
        License::Named(name) => json!({ "license": { "name": name } }),
    };
    let mut component = json!({
        "type": "library",
        "bom-ref": part.purl,
        "name": part.name,
        "version": part.version,
        // What builds the program and is not in it.
        "scope": if part.only_builds { "excluded" } else { "required" },
        "licenses": [license],
        "purl": part.purl,
    });
    if let Some(checksum) = &part.checksum {
        component["hashes"] = json!([{ "alg": "SHA-256", "content": checksum }]);
    }
    if let Some(repository) = &part.repository {
        component["externalReferences"] = json!([{ "type": "vcs", "url": repository }]);
    }
    component
}

/// What is wrong with a bill beside this program and these licences, in words.
pub(in crate::host::package) fn check(bill: &[u8], licenses: &str, program: &[u8]) -> Option<String> {
    let Ok(bill) = serde_json::from_slice::<Value>(bill) else { return Some("it is no JSON".into()) };
    if bill.pointer("/metadata/component/hashes/0/content") != Some(&sha256(program).into()) {
        return Some("it is of another program".into());
    }
    let components = bill["components"].as_array().map_or(&[][..], Vec::as_slice);
    let linked: Vec<String> = components
        .iter()
        .filter(|component| component["scope"] == "required")
        .filter_map(|component| Some(format!("{} {}", component["name"].as_str()?, component["version"].as_str()?)))
        .collect();
    if linked.is_empty() {
        return Some("it names nothing".into());
    }
    let listed: BTreeSet<&str> = licenses.lines().filter_map(|line| Some(line.split_once(": ")?.0)).collect();
    let missing: Vec<&str> = linked.iter().map(String::as_str).filter(|part| !listed.contains(part)).collect();
    (!missing.is_empty()).then(|| format!("the licences of {} are not there", missing.join(", ")))
}
