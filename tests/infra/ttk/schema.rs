//! As much of JSON Schema draft 4 as the two schemas of Marketplace use; a word that is not known here is a fault and
//! never skipped. Not a crate: those that are kept bring a license that `deny.toml` does not allow (MIT-0).
//!
//! A reference to another file counts as anything: what is behind it is too old to judge by (../shared/schemas/README.md).

use regex::Regex;
use serde_json::Value;

const SAYS_NOTHING: &[&str] =
    &["$schema", "id", "title", "description", "definitions", "default", "discriminator", "example", "examples", "x-ms-enum"];
const MAX_DEPTH: usize = 64;

/// Everything in which the document is not as the schema wants it.
pub(super) fn faults(schema: &Value, document: &Value) -> Vec<String> {
    let mut faults = Vec::new();
    check(schema, schema, document, "", 0, &mut faults);
    faults
}

fn check(root: &Value, schema: &Value, value: &Value, path: &str, depth: usize, faults: &mut Vec<String>) {
    let Some(words) = schema.as_object() else { return };
    if depth > MAX_DEPTH {
        return faults.push(format!("{path}: deeper than {MAX_DEPTH}"));
    }
    let inner = |schema: &Value, value: &Value, path: &str, faults: &mut Vec<String>| check(root, schema, value, path, depth + 1, faults);
    for (word, rule) in words {
        match (word.as_str(), rule) {
            ("type", rule) => {
                let kinds: Vec<_> = rule.as_array().map_or_else(|| vec![rule], |kinds| kinds.iter().collect());
                if !kinds.iter().any(|kind| kind.as_str().is_some_and(|kind| is(value, kind))) {
                    faults.push(format!("{path}: is no {rule}"));
                }
            }
            ("enum", Value::Array(listed)) if !listed.contains(value) => faults.push(format!("{path}: {value} is none of {rule}")),
            ("enum", Value::Array(_)) => {}
            ("required", Value::Array(names)) => {
                let missing = |name: &&Value| value.is_object() && name.as_str().is_some_and(|name| value.get(name).is_none());
                faults.extend(names.iter().filter(missing).map(|name| format!("{path}: {name} is missing")));
            }
            ("properties", Value::Object(known)) => {
                for (name, schema) in known {
                    if let Some(value) = value.get(name) {
                        inner(schema, value, &format!("{path}/{name}"), faults);
                    }
                }
            }
            ("additionalProperties", rule) => {
                let known = words.get("properties").and_then(Value::as_object);
                for (name, value) in
                    value.as_object().into_iter().flatten().filter(|(name, _)| known.is_none_or(|of| !of.contains_key(*name)))
                {
                    match rule {
                        Value::Bool(false) => faults.push(format!("{path}: unknown property {name}")),
                        Value::Bool(true) => {}
                        schema => inner(schema, value, &format!("{path}/{name}"), faults),
                    }
                }
            }
            ("items", schema @ Value::Object(_)) => {
                for (at, value) in value.as_array().into_iter().flatten().enumerate() {
                    inner(schema, value, &format!("{path}/{at}"), faults);
                }
            }
            ("minItems", least) => {
                if value.as_array().is_some_and(|items| (items.len() as u64) < least.as_u64().unwrap_or_default()) {
                    faults.push(format!("{path}: fewer than {least}"));
                }
            }
            ("pattern", Value::String(pattern)) => match (Regex::new(pattern), value.as_str()) {
                (Ok(pattern), Some(text)) if !pattern.is_match(text) => faults.push(format!("{path}: {text} does not fit {pattern}")),
                (Ok(_), _) => {}
                (Err(error), _) => faults.push(format!("{path}: the schema's pattern: {error}")),
            },
            ("$ref", Value::String(to)) => {
                if let Some(pointer) = to.strip_prefix('#') {
                    match root.pointer(pointer) {
                        Some(schema) => inner(schema, value, path, faults),
                        None => faults.push(format!("{path}: the schema has no {to}")),
                    }
                }
            }
            ("allOf", Value::Array(schemas)) => schemas.iter().for_each(|schema| inner(schema, value, path, faults)),
            ("oneOf" | "anyOf", Value::Array(schemas)) => {
                let tried: Vec<Vec<String>> = schemas
                    .iter()
                    .map(|schema| {
                        let mut faults = Vec::new();
                        inner(schema, value, path, &mut faults);
                        faults
                    })
                    .collect();
                let fits = tried.iter().filter(|faults| faults.is_empty()).count();
                if fits == 0 || (word == "oneOf" && fits > 1) {
                    // The one that came nearest says most.
                    faults.extend(tried.into_iter().min_by_key(Vec::len).unwrap_or_default());
                    faults.push(format!("{path}: fits {fits} of {word}"));
                }
            }
            (word, _) if SAYS_NOTHING.contains(&word) => {}
            (word, rule) => faults.push(format!("{path}: the schema says {word} {rule}, which this check does not know")),
        }
    }
}

fn is(value: &Value, kind: &str) -> bool {
    match kind {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "null" => value.is_null(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn infra_a_schema_finds_what_is_wrong_and_says_when_it_cannot_judge() {
        let schema = json!({"type": "object", "required": ["a"], "additionalProperties": false, "definitions": {"word": {"enum": ["x"]}},
            "properties": {"a": {"$ref": "#/definitions/word"}, "b": {"type": "array", "minItems": 1, "items": {"type": ["string", "null"]}},
                "c": {"oneOf": [{"type": "string", "pattern": "^1"}, {"type": "boolean"}]}, "d": {"$ref": "Other.json#"}}});
        let good = json!({"a": "x", "b": ["y", null], "c": "12", "d": {"any": 1}});
        assert_eq!(faults(&schema, &good), Vec::<String>::new());
        for (bad, told) in [
            (json!([]), "is no \"object\""),
            (json!({}), "\"a\" is missing"),
            (json!({"a": "y"}), "none of"),
            (json!({"a": "x", "e": 1}), "unknown property e"),
            (json!({"a": "x", "b": []}), "fewer than 1"),
            (json!({"a": "x", "b": [1]}), "/b/0: is no"),
            (json!({"a": "x", "c": "2"}), "fits 0 of oneOf"),
        ] {
            let found = faults(&schema, &bad);
            assert!(found.iter().any(|fault| fault.contains(told)), "{bad}: {found:?}");
        }
        assert!(faults(&json!({"multipleOf": 3}), &json!(4))[0].contains("does not know"));
        assert!(faults(&json!({"$ref": "#"}), &json!(4))[0].contains("deeper than"));
    }
}
