//! Rules about parameters: what is secret is typed so and has no value in the file, numbers bound numbers, the package's
//! address is asked for as Marketplace gives it, and a module gets what it declares.

use serde_json::{Value, json};

use super::{Rule, Templates, whole};
use crate::infra::{
    expression::{Expr, is_expression, parse},
    template::property,
};

pub(super) fn rules() -> Vec<Rule> {
    vec![
        Rule {
            name: "Secure String Parameters Cannot Have Default",
            finds: secure_defaults,
            bad: || ("/parameters/mailPassword/defaultValue", json!("hunter2")),
        },
        Rule { name: "Password params must be secure", finds: passwords, bad: || ("/parameters/adminPassword", json!({"type": "string"})) },
        Rule { name: "Min And Max Value Are Numbers", finds: bounds, bad: || ("/parameters/days/minValue", json!("1")) },
        Rule { name: "artifacts parameter", finds: artifacts, bad: || ("/parameters/_artifactsLocationSasToken", Value::Null) },
        Rule {
            name: "Parameter Types Should Be Consistent",
            finds: consistent,
            bad: || ("/resources/0/properties/template/parameters/days/type", json!("string")),
        },
    ]
}

/// `(where, name, definition, type in small letters)`
fn each<'a>(templates: &Templates<'a>) -> Vec<(String, &'a str, &'a Value, String)> {
    let mut found = Vec::new();
    for (at, template) in templates {
        for (name, of) in property(template, "parameters").and_then(Value::as_object).into_iter().flatten() {
            found.push((at.clone(), name.as_str(), of, kind_of(of)));
        }
    }
    found
}

fn kind_of(definition: &Value) -> String {
    property(definition, "type").and_then(Value::as_str).unwrap_or_default().to_lowercase()
}

fn secure_defaults(templates: &Templates<'_>) -> Vec<String> {
    let mut told = Vec::new();
    for (at, name, of, kind) in each(templates).into_iter().filter(|(_, _, _, kind)| kind.starts_with("secure")) {
        let default = property(of, "defaultValue");
        let fits = match default {
            None => true,
            Some(Value::String(text)) => text.is_empty() || text.to_lowercase().contains("newguid("),
            Some(Value::Object(of)) => of.is_empty(),
            Some(_) => false,
        };
        if !fits {
            told.push(format!("{at}: parameter {name} is a {kind} with a value in the template; leave it out, or empty"));
        }
    }
    told
}

fn passwords(templates: &Templates<'_>) -> Vec<String> {
    let named = |name: &str| name.to_lowercase().contains("password");
    let bad = each(templates).into_iter().filter(|(_, name, _, kind)| named(name) && !kind.starts_with("secure"));
    bad.map(|(at, name, _, kind)| format!("{at}: parameter {name} is a {kind}; write @secure() above it")).collect()
}

fn bounds(templates: &Templates<'_>) -> Vec<String> {
    let mut told = Vec::new();
    for (at, name, of, kind) in each(templates) {
        for bound in ["minValue", "maxValue", "minLength", "maxLength"] {
            let Some(value) = property(of, bound) else { continue };
            let of_number = bound.ends_with("Value") == (kind == "int");
            if !value.is_i64() || !of_number {
                told.push(format!("{at}: parameter {name}: {bound} {value} does not bound a {kind} with a number"));
            }
        }
    }
    told
}

fn artifacts(templates: &Templates<'_>) -> Vec<String> {
    let mut told = Vec::new();
    for (depth, (at, template)) in templates.iter().enumerate() {
        let of = |name: &str| property(template, "parameters").and_then(|all| property(all, name));
        let (location, token) = (of("_artifactsLocation"), of("_artifactsLocationSasToken"));
        if location.is_some() != token.is_some() {
            told.push(format!("{at}: _artifactsLocation and _artifactsLocationSasToken stand together or not at all"));
        }
        if let Some(token) = token.filter(|token| kind_of(token) != "securestring") {
            told.push(format!("{at}: _artifactsLocationSasToken is a {}; write @secure() above it", kind_of(token)));
        }
        let default = |of: Option<&Value>| of.and_then(|of| property(of, "defaultValue")).and_then(Value::as_str).map(str::to_owned);
        let expected = ["[deployment().properties.templateLink.uri]", ""];
        for (found, expected) in [default(location), default(token)].into_iter().zip(expected) {
            match found {
                Some(found) if depth == 0 && found != expected => {
                    told.push(format!("{at}: an artifacts parameter has the default `{found}`, expected `{expected}`"));
                }
                Some(_) if depth > 0 => told.push(format!("{at}: an artifacts parameter of a module has no default; pass it on")),
                _ => {}
            }
        }
    }
    told
}

/// A module's parameter has the type of the one that is passed to it, and a default that of its own.
fn consistent(templates: &Templates<'_>) -> Vec<String> {
    let mut told = Vec::new();
    for (at, name, of, kind) in each(templates) {
        let Some(default) = property(of, "defaultValue") else { continue };
        let fits = match default {
            Value::String(text) if is_expression(text) => true,
            Value::String(_) => kind == "string" || kind == "securestring",
            Value::Bool(_) => kind == "bool",
            Value::Number(_) => kind == "int",
            Value::Array(_) => kind == "array",
            Value::Object(_) => kind == "object" || kind == "secureobject",
            Value::Null => false,
        };
        if !fits {
            told.push(format!("{at}: parameter {name} is a {kind}, and its default {default} is not"));
        }
    }
    for (at, template) in templates {
        for (_, resource) in whole::resources(&[(at.clone(), *template)]) {
            let properties = property(resource, "properties");
            let inner = properties.and_then(|of| property(of, "template")).and_then(|of| property(of, "parameters"));
            let passed = properties.and_then(|of| property(of, "parameters")).and_then(Value::as_object);
            for (name, value) in passed.into_iter().flatten().filter(|_| inner.is_some()) {
                let Some(declared) = inner.and_then(|of| property(of, name)) else {
                    told.push(format!("{at}: {} is passed {name}, which it does not declare", resource["name"]));
                    continue;
                };
                let expr = property(value, "value").and_then(Value::as_str).and_then(|text| parse(text).ok());
                let own = expr.as_ref().and_then(Expr::parameter);
                let own = own.and_then(|own| property(template, "parameters").and_then(|of| property(of, own)));
                if let Some(own) = own.filter(|own| kind_of(own) != kind_of(declared)) {
                    told.push(format!(
                        "{at}: {} takes {name} as {}, and is passed a {}",
                        resource["name"],
                        kind_of(declared),
                        kind_of(own)
                    ));
                }
            }
        }
    }
    told
}
