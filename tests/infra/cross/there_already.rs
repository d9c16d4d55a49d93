//! What is there already and named by a person is looked at before anything is made: an own vault, a restored database, a
//! hub's zones. Where it is not there, or is not as it is needed, the deployment ends with nothing to take away.

use serde_json::{Value, json};

use crate::infra::{
    COMPILED,
    evaluate::{Surroundings, evaluate},
    expression::parse,
    file, template,
};

const MODULE: &str = "assay-own-vault";

/// What is otherwise with vault and key.
type Change = fn(&mut Value, &mut Value);

/// What Azure has, as its resource provider shows it.
struct Azure {
    vault: Option<Value>,
    key: Option<Value>,
}

impl Surroundings for Azure {
    fn answer(&self, function: &str, args: &[Value]) -> Option<Result<Value, String>> {
        let (what, there) = match (function, args.first()?.as_str()?) {
            ("parameters", "vaultName") => return Some(Ok(json!("contoso-keys"))),
            ("parameters", "keyName") => return Some(Ok(json!("assay"))),
            ("resourceid", kind) => return Some(Ok(json!(kind))),
            ("reference", "Microsoft.KeyVault/vaults") => ("contoso-keys", &self.vault),
            ("reference", "Microsoft.KeyVault/vaults/keys") => ("contoso-keys/assay", &self.key),
            _ => return None,
        };
        Some(there.clone().ok_or_else(|| format!("ResourceNotFound: {what}")))
    }
}

fn module<'a>(template: &'a Value, name: &str) -> &'a Value {
    let all = template["resources"].as_array().unwrap();
    all.iter().find(|one| one["name"] == name).unwrap_or_else(|| panic!("no module {name}"))
}

#[test]
fn infra_an_own_vault_that_cannot_be_used_is_refused_with_what_to_do_to_it() {
    let template = template::json(&file(COMPILED)).unwrap();
    let looked = module(&template, MODULE).pointer("/properties/template/outputs/keyUri/value").unwrap();
    let looked = parse(looked.as_str().unwrap()).unwrap();
    let uri = "https://contoso-keys.vault.azure.net/keys/assay";
    let good = || {
        (
            json!({"enableRbacAuthorization": true, "enablePurgeProtection": true, "networkAcls": {"bypass": "AzureServices"}}),
            json!({"kty": "RSA-HSM", "keyUri": uri}),
        )
    };
    let says = |change: Change| {
        let (mut vault, mut key) = good();
        change(&mut vault, &mut key);
        let there = |value: Value| Some(value).filter(|value| !value.is_null());
        evaluate(&looked, &Azure { vault: there(vault), key: there(key) })
    };

    assert_eq!(says(|_, _| {}), Ok(json!(uri)));
    assert_eq!(
        says(|vault, _| vault["networkAcls"] = Value::Null),
        Ok(json!(uri)),
        "a vault that never had rules lets trusted services in"
    );
    assert_eq!(says(|_, key| key["kty"] = json!("RSA")), Ok(json!(uri)));

    let lacking: [(Change, &str); 6] = [
        (|vault, _| *vault = Value::Null, "ResourceNotFound: contoso-keys"),
        (|_, key| *key = Value::Null, "ResourceNotFound: contoso-keys/assay"),
        (|_, key| key["kty"] = json!("EC-HSM"), "ownKeyUri: database and storage take RSA keys only"),
        (|vault, _| vault["networkAcls"]["bypass"] = json!("None"), "az keyvault update -n contoso-keys --bypass AzureServices"),
        // Azure leaves out what was never turned on.
        (|vault, _| *vault = json!({"enableRbacAuthorization": true}), "az keyvault update -n contoso-keys --enable-purge-protection true"),
        (
            |vault, _| *vault = json!({"enablePurgeProtection": false}),
            "az keyvault update -n contoso-keys --enable-rbac-authorization true --enable-purge-protection true",
        ),
    ];
    for (change, words) in lacking {
        let said = says(change).expect_err(words);
        assert!(said.contains(words), "{said}");
    }
}

/// The module that looks at each thing that is there already: what it is told first, and by which of the template's parameters.
const LOOKS: [(&str, &str, &str, &str); 3] = [
    (MODULE, "vaultName", "checkedVault", "ownVaultName"),
    ("assay-restored-database", "accountName", "checkedDatabase", "databaseAccount"),
    ("assay-hub-zones", "group", "checkedZones", "hubZonesGroup"),
];

#[test]
fn infra_what_is_there_already_is_looked_at_before_the_plan_and_after_what_was_typed() {
    let template = template::json(&file(COMPILED)).unwrap();
    let all = template["resources"].as_array().unwrap();
    let plans: Vec<_> = all.iter().filter(|one| one["name"].as_str().is_some_and(|name| name.starts_with("assay-plan-"))).collect();
    assert_eq!(plans.len(), 2, "{plans:?}");
    for (name, told, checked, typed) in LOOKS {
        let module = module(&template, name);
        assert_eq!(module["condition"], format!("[not(empty(parameters('{typed}')))]"), "{name}: only what was named");
        let outputs = module.pointer("/properties/template/outputs").unwrap().to_string();
        assert_eq!(module.pointer("/properties/template/resources"), Some(&json!([])), "{name}: looking makes nothing");
        assert!(outputs.contains("reference("), "{name}: Azure is asked for it: {outputs}");
        assert_eq!(module.pointer(&format!("/properties/parameters/{told}/value")).unwrap(), &json!(format!("[variables('{checked}')]")));
        assert_eq!(
            template["variables"][checked],
            format!("[if(empty(variables('problems')), parameters('{typed}'), fail(join(variables('problems'), ' ')))]"),
            "{name}: Azure is not asked for a name that can be none"
        );
        assert!(plans.iter().all(|plan| plan["dependsOn"].to_string().contains(&format!("'{name}'"))), "{name}: {plans:?}");
    }
}
