//! Rules about modules, which are nested deployments: they work in a scope of their own, and leave no trace of secrets.

use serde_json::{Value, json};

use super::{Rule, Templates, whole};
use crate::infra::{
    expression::{is_expression, parse, texts},
    template::property,
};

pub(super) fn rules() -> Vec<Rule> {
    vec![
        Rule {
            name: "Secure Params In Nested Deployments, Deployment.OuterSecret",
            finds: outer_secret,
            bad: || {
                let template = json!({"resources": [], "variables": {"x": "[parameters('mailPassword')]"}});
                let properties = json!({"mode": "Incremental", "template": template});
                (
                    "/resources/-",
                    json!({"type": "Microsoft.Resources/deployments", "apiVersion": "2025-04-01", "name": "mail", "properties": properties}),
                )
            },
        },
        Rule {
            name: "Deployment Resources Must Not Be Debug",
            finds: debug,
            bad: || ("/resources/0/properties/debugSetting", json!({"detailLevel": "requestContent"})),
        },
        Rule { name: "every expression can be read", finds: unreadable, bad: || ("/variables/host", json!("[concat('a'")) },
    ]
}

fn nested<'a>(templates: &Templates<'a>) -> Vec<(String, &'a Value)> {
    let is = |resource: &Value| property(resource, "type").is_some_and(|kind| kind == "Microsoft.Resources/deployments");
    whole::resources(templates).into_iter().filter(|(_, resource)| is(resource)).collect()
}

/// Without a scope of its own a module's text is filled in outside, and what was secret stands in the deployment's history.
fn outer_secret(templates: &Templates<'_>) -> Vec<String> {
    let secure: Vec<_> = templates.iter().flat_map(|(_, template)| whole::secure_parameters(template)).collect();
    let mut told = Vec::new();
    for (at, resource) in nested(templates) {
        let properties = property(resource, "properties").unwrap_or(&Value::Null);
        let scope = property(properties, "expressionEvaluationOptions").and_then(|of| property(of, "scope")).and_then(Value::as_str);
        if scope.is_some_and(|scope| scope.eq_ignore_ascii_case("inner")) {
            continue;
        }
        let inside = property(properties, "template").map(texts).unwrap_or_default();
        if inside.iter().filter_map(|(_, text)| parse(text).ok()).any(|expr| whole::reads_secret(&expr, &secure)) {
            told.push(format!("{at}: {} reads secrets in the outer scope; make it a module, or set its scope to inner", resource["name"]));
        }
    }
    told
}

fn debug(templates: &Templates<'_>) -> Vec<String> {
    let debugs = |resource: &Value| property(resource, "properties").and_then(|of| property(of, "debugSetting")).is_some();
    let found = nested(templates).into_iter().filter(|(_, resource)| debugs(resource));
    found.map(|(at, resource)| format!("{at}: {} keeps what was sent for debugging; take debugSetting out", resource["name"])).collect()
}

fn unreadable(templates: &Templates<'_>) -> Vec<String> {
    let (at, whole) = &templates[0];
    let mut told = Vec::new();
    for (path, text) in texts(whole) {
        if is_expression(text) {
            told.extend(parse(text).err().map(|error| format!("{at}: {path}: {error}")));
        } else if text.starts_with('[') && !text.starts_with("[[") && !text.ends_with(']') {
            told.push(format!("{at}: {path}: begins like an expression and does not end like one: {text}"));
        }
    }
    told
}
