//! Two rules of PSRule.Rules.Azure that arm-ttk does not have (`Deployment.OuterSecret` stands with the nested deployments).

use serde_json::{Value, json};

use super::{Rule, Templates, whole};
use crate::infra::{
    expression::{Expr, parse},
    template::property,
};

pub(super) fn rules() -> Vec<Rule> {
    vec![
        Rule {
            name: "Azure.KeyVault.AutoRotationPolicy",
            finds: rotation,
            bad: || ("/resources/0/properties/template/resources/0/properties/rotationPolicy", Value::Null),
        },
        Rule {
            name: "Azure.Cosmos.DisableMetadataWrite",
            finds: metadata_write,
            bad: || ("/resources/0/properties/template/resources/1/properties/disableKeyBasedMetadataWriteAccess", json!(false)),
        },
    ]
}

fn of_type<'a>(templates: &Templates<'a>, kind: &str) -> Vec<(String, &'a Value)> {
    let is = |resource: &Value| property(resource, "type").and_then(Value::as_str).is_some_and(|of| of.eq_ignore_ascii_case(kind));
    whole::resources(templates).into_iter().filter(|(_, resource)| is(resource)).collect()
}

fn rotation(templates: &Templates<'_>) -> Vec<String> {
    let mut told = Vec::new();
    for (at, template) in templates {
        for (_, key) in of_type(&[(at.clone(), *template)], "Microsoft.KeyVault/vaults/keys") {
            let policy = property(key, "properties").and_then(|of| property(of, "rotationPolicy")).cloned().unwrap_or_default();
            let policy = variable(template, &policy).unwrap_or(policy);
            let actions = policy.pointer("/lifetimeActions").and_then(Value::as_array).into_iter().flatten();
            if !actions
                .clone()
                .any(|one| one.pointer("/action/type").and_then(Value::as_str).is_some_and(|of| of.eq_ignore_ascii_case("rotate")))
            {
                told.push(format!("{at}: key {} has no rotationPolicy with the action rotate", key["name"]));
            }
        }
    }
    told
}

/// What a variable of the template holds, where the value is nothing but its name.
fn variable(template: &Value, value: &Value) -> Option<Value> {
    match parse(value.as_str()?).ok()? {
        Expr::Call(name, args) if name == "variables" => match args.as_slice() {
            [Expr::Text(name)] => property(property(template, "variables")?, name).cloned(),
            _ => None,
        },
        _ => None,
    }
}

fn metadata_write(templates: &Templates<'_>) -> Vec<String> {
    let off = |account: &Value| {
        let properties = property(account, "properties");
        properties.and_then(|of| property(of, "disableKeyBasedMetadataWriteAccess")).is_some_and(|off| off == true)
    };
    let bad = of_type(templates, "Microsoft.DocumentDB/databaseAccounts").into_iter().filter(|(_, account)| !off(account));
    bad.map(|(at, account)| format!("{at}: {}: set disableKeyBasedMetadataWriteAccess to true", account["name"])).collect()
}
