//! Rules about a template as a whole: hosts, locations, outputs, and how much of everything Azure takes.

use serde_json::{Value, json};

use super::{Rule, Templates};
use crate::infra::{
    expression::{Expr, is_expression, parse, texts},
    template::property,
};

/// Hosts of Azure's clouds: those of arm-ttk's list, and those that it lacks (infrastructure.md, section 9).
const HOSTS: &[&str] = &[
    "api.loganalytics.io",
    "api.loganalytics.us",
    "azurecr.io",
    "azure-automation.net",
    "azurewebsites.net",
    "azurewebsites.us",
    "core.usgovcloudapi.net",
    "core.windows.net",
    "database.usgovcloudapi.net",
    "database.windows.net",
    "documents.azure.com",
    "documents.azure.us",
    "gallery.azure.com",
    "graph.microsoft.com",
    "graph.microsoft.us",
    "graph.windows.net",
    "login.microsoftonline.com",
    "login.microsoftonline.us",
    "managedhsm.azure.net",
    "managedhsm.usgovcloudapi.net",
    "management.azure.com",
    "management.core.windows.net",
    "management.usgovcloudapi.net",
    "portal.azure.com",
    "portal.azure.us",
    "vault.azure.net",
    "vault.usgovcloudapi.net",
    "vaultcore.azure.net",
    "vaultcore.usgovcloudapi.net",
    "trafficmanager.net",
    "servicebus.windows.net",
];

/// `(text, why)`: not hosts that anything connects to, and `environment()` tells a template no name for them.
const NAMED: &[(&str, &str)] = &[
    ("privatelink.documents.azure.com", "the private DNS zone of Cosmos DB"),
    ("privatelink.documents.azure.us", "the private DNS zone of Cosmos DB in Azure Government"),
    ("schema.management.azure.com", "the address of a schema"),
];

pub(super) fn rules() -> Vec<Rule> {
    vec![
        Rule {
            name: "DeploymentTemplate Must Not Contain Hardcoded Uri",
            finds: hosts,
            bad: || ("/variables/host", json!("https://x.blob.core.windows.net")),
        },
        Rule {
            name: "Location Should Not Be Hardcoded",
            finds: group_location,
            bad: || ("/variables/host", json!("[toLower(resourceGroup().location)]")),
        },
        Rule {
            name: "Resources Should Have Location",
            finds: resource_location,
            bad: || ("/resources/0/properties/template/resources/1/location", json!("eastus")),
        },
        Rule {
            name: "Outputs Must Not Contain Secrets",
            finds: outputs,
            bad: || ("/resources/0/properties/template/outputs/uri", json!({"type": "string", "value": "[listKeys('a', '2025-06-01').x]"})),
        },
        Rule {
            name: "limits of Azure Resource Manager",
            finds: limits,
            bad: || ("/variables", (0..513).map(|at| (format!("v{at}"), json!(at))).collect::<serde_json::Map<_, _>>().into()),
        },
    ]
}

fn hosts(templates: &Templates<'_>) -> Vec<String> {
    let mut told = Vec::new();
    for (at, template) in templates {
        for (path, text) in own_texts(template) {
            let small = NAMED.iter().fold(text.to_lowercase(), |text, (named, _)| text.replace(named, ""));
            if let Some(host) = HOSTS.iter().find(|host| small.contains(**host)) {
                told.push(format!("{at}: {path}: names {host}; write environment().suffixes or environment().authentication instead"));
            }
        }
    }
    told
}

/// The texts of one template: without its parameters' definitions, its modules, and the addresses of schemas.
fn own_texts(template: &Value) -> Vec<(String, &str)> {
    let mut found = texts(template);
    found.retain(|(path, _)| !path.starts_with(".parameters.") && !path.ends_with(".$schema") && !path.contains(".properties.template."));
    found
}

/// The expressions of one template, with where they stand.
pub(super) fn expressions(template: &Value) -> Vec<(String, Expr)> {
    let mut found: Vec<_> = own_texts(template).into_iter().filter(|(_, text)| is_expression(text)).collect();
    found.extend(texts(template).into_iter().filter(|(path, text)| path.starts_with(".parameters.") && is_expression(text)));
    // What cannot be read is told by the test of every expression.
    found.into_iter().filter_map(|(path, text)| Some((path, parse(text).ok()?))).collect()
}

fn group_location(templates: &Templates<'_>) -> Vec<String> {
    let group = Expr::Property(Box::new(Expr::Call("resourcegroup".into(), Vec::new())), "location".into());
    let mut told = Vec::new();
    for (depth, (at, template)) in templates.iter().enumerate() {
        let default = property(template, "parameters").and_then(|of| property(of, "location")).and_then(|of| property(of, "defaultValue"));
        if depth == 0 && default.is_none_or(|default| default != "[resourceGroup().location]") {
            told.push(format!("{at}: parameter location needs the default [resourceGroup().location], and no other"));
        }
        for (path, expr) in expressions(template) {
            if says(&expr, &group) && !(depth == 0 && path == ".parameters.location.defaultValue") {
                told.push(format!("{at}: {path}: reads resourceGroup().location; only parameter location may, take it from there"));
            }
        }
    }
    told
}

fn says(expr: &Expr, part: &Expr) -> bool {
    expr == part
        || match expr {
            Expr::Text(_) | Expr::Number(_) => false,
            Expr::Call(_, args) => args.iter().any(|arg| says(arg, part)),
            Expr::Property(of, _) => says(of, part),
            Expr::Index(of, at) => says(of, part) || says(at, part),
        }
}

fn resource_location(templates: &Templates<'_>) -> Vec<String> {
    let mut told = Vec::new();
    for (at, resource) in resources(templates) {
        if let Some(location) = property(resource, "location").and_then(Value::as_str)
            && !is_expression(location)
            && !location.eq_ignore_ascii_case("global")
        {
            told.push(format!("{at}: {} has the location {location}; write [parameters('location')] or global", resource["name"]));
        }
    }
    told
}

/// Every resource of every template.
pub(super) fn resources<'a>(templates: &Templates<'a>) -> Vec<(String, &'a Value)> {
    let of = |(at, template): &(String, &'a Value)| {
        let list = property(template, "resources").and_then(Value::as_array);
        list.into_iter().flatten().map(|resource| (at.clone(), resource)).collect::<Vec<_>>()
    };
    templates.iter().flat_map(of).collect()
}

fn outputs(templates: &Templates<'_>) -> Vec<String> {
    let mut told = Vec::new();
    for (at, template) in templates {
        let secure = secure_parameters(template);
        for (name, output) in property(template, "outputs").and_then(Value::as_object).into_iter().flatten() {
            let kind = property(output, "type").and_then(Value::as_str).unwrap_or_default().to_lowercase();
            let small = name.to_lowercase();
            let expressions = texts(output).into_iter().filter_map(|(_, text)| parse(text).ok()).collect::<Vec<_>>();
            if kind.starts_with("secure") || small.contains("password") || small.contains("secret") {
                told.push(format!("{at}: output {name} is or calls itself a secret; who deploys may read outputs for ever, take it out"));
            } else if expressions.iter().any(|expr| reads_secret(expr, &secure)) {
                told.push(format!("{at}: output {name} reads a secure parameter or list*(); take it out"));
            }
        }
    }
    told
}

/// Names of the parameters of a template that are secrets.
pub(super) fn secure_parameters(template: &Value) -> Vec<String> {
    let all = property(template, "parameters").and_then(Value::as_object);
    let secure = |of: &&Value| property(of, "type").and_then(Value::as_str).is_some_and(|kind| kind.to_lowercase().starts_with("secure"));
    all.into_iter().flatten().filter(|(_, of)| secure(of)).map(|(name, _)| name.to_lowercase()).collect()
}

pub(super) fn reads_secret(expr: &Expr, secure: &[String]) -> bool {
    expr.calls().iter().any(|(name, args)| {
        let of_secure = *name == "parameters" && matches!(args, [Expr::Text(of)] if secure.contains(&of.to_lowercase()));
        of_secure || name.starts_with("list")
    })
}

/// Most of each that Azure takes in one template, and of bytes in the whole (infrastructure.md, section 3).
fn limits(templates: &Templates<'_>) -> Vec<String> {
    let mut told = Vec::new();
    for (at, template) in templates {
        for (part, most) in [("parameters", 256), ("variables", 512), ("outputs", 64), ("resources", 800)] {
            let count = match property(template, part) {
                Some(Value::Object(of)) => of.len(),
                Some(Value::Array(of)) => of.len(),
                _ => 0,
            };
            if count > most {
                told.push(format!("{at}: {count} {part}, of which Azure takes {most}"));
            }
        }
    }
    let (at, whole) = &templates[0];
    let bytes = whole.to_string().len();
    if bytes > 4 * 1024 * 1024 {
        told.push(format!("{at}: {bytes} bytes, of which Azure takes 4 MB"));
    }
    told
}
