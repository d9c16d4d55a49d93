//! Every resource against its Bicep type at the pinned version (../shared/schemas/README.md has the format): unknown and
//! read-only properties, missing ones, wrong types, values that Azure does not list, bounds.
//!
//! The compiler only warns about these, and says nothing inside an `if` of two objects or about open lists of values
//! (infrastructure.md, section 9). A value that is an expression passes where nothing of it stands in the text; the
//! snapshots, where parameters are filled in, catch what it hides.

use std::{collections::BTreeSet, path::Path};

use regex::Regex;
use serde_json::{Map, Value};

use super::{
    expression::{OPEN, is_expression, parse},
    template::{self, Resource, property},
};

/// `(type, path, why)`: what the types do not know and Azure takes.
const EXCEPTIONS: &[(&str, &str, &str)] = &[
    (
        "Microsoft.Web/sites/extensions",
        ".properties",
        "onedeploy has `packageUri` and `remoteBuild` there; the published type forgot them (infrastructure.md, section 1, number 8)",
    ),
    (
        "Microsoft.Resources/deployments",
        ".properties.expressionEvaluationOptions.scope",
        "Bicep itself writes `inner` small, and Azure takes it",
    ),
];

/// `(type@version, why)`: types that the subset does not have. What is in such a resource, other checks look at.
const UNCHECKED: &[(&str, &str)] = &[(
    "Microsoft.Authorization/roleDefinitions@2022-04-01",
    "not in the subset; cross/roles.rs holds what such a role may do against what the code does",
)];

/// Of a compiled template, and none of the resource's own.
const OF_THE_TEMPLATE: &[&str] = &["type", "apiVersion", "name", "id", "condition", "copy", "dependsOn", "comments", "resources"];

pub(crate) struct Types {
    types: Map<String, Value>,
}

impl Types {
    pub(crate) fn read(schemas: &Path) -> Result<Self, String> {
        let mut data = template::json(&schemas.join("derived/azure-types-subset.json"))?;
        match data.get_mut("types").map(Value::take) {
            Some(Value::Object(types)) => Ok(Self { types }),
            _ => Err("azure-types-subset.json has no `types`".into()),
        }
    }

    /// The version of a type that a template must name.
    pub(crate) fn pinned(&self, kind: &str) -> Option<&str> {
        self.types.keys().filter_map(|key| key.split_once('@')).find(|(of, _)| of.eq_ignore_ascii_case(kind)).map(|(_, version)| version)
    }

    pub(crate) fn kinds(&self) -> impl Iterator<Item = &str> {
        self.types.keys().filter_map(|key| key.split_once('@')).map(|(kind, _)| kind)
    }

    /// Whether a type has a property `a.b[*].c`; `properties` on the way need not be said.
    pub(crate) fn knows(&self, kind: &str, path: &str) -> bool {
        let found = self.types.iter().find(|(key, _)| key.split_once('@').is_some_and(|(of, _)| of.eq_ignore_ascii_case(kind)));
        found.is_some_and(|(_, node)| leads(&node["body"], &path.split('.').collect::<Vec<_>>()))
    }

    pub(crate) fn check(&self, resources: &[Resource]) -> Vec<String> {
        resources.iter().flat_map(|resource| self.check_one(resource)).collect()
    }

    /// Whether a `type@version` is one that is named with a reason not to be checked here.
    pub(crate) fn unchecked(key: &str) -> bool {
        UNCHECKED.iter().any(|(of, _)| of.eq_ignore_ascii_case(key))
    }

    fn check_one(&self, resource: &Resource) -> Vec<String> {
        let key = format!("{}@{}", resource.kind, resource.version);
        if Self::unchecked(&key) {
            return Vec::new();
        }
        let Some(pinned) = self.pinned(&resource.kind) else {
            return vec![format!("{}: the type is not in azure-types-subset.json; name it in UNCHECKED with a reason", resource.label())];
        };
        if pinned != resource.version {
            return vec![format!("{}: version {}; the pinned one is {pinned}", resource.label(), resource.version)];
        }
        let found = self.types.iter().find(|(of, _)| of.eq_ignore_ascii_case(&key));
        let mut body = resource.body.clone();
        if let Some(object) = body.as_object_mut() {
            // `scope` is the resource's own word for what it extends; only in a template.
            object.retain(|name, _| !OF_THE_TEMPLATE.iter().chain(&["scope"]).any(|of| of.eq_ignore_ascii_case(name)));
            if resource.is("Microsoft.Resources/deployments") {
                // What a module is given and what it is stands in resources of its own.
                if let Some(properties) = object.get_mut("properties").and_then(Value::as_object_mut) {
                    properties.remove("template");
                    properties.remove("parameters");
                }
            }
            let name = resource.last_name();
            let known = !is_expression(&resource.name) && !name.contains(['[', ']']);
            object.insert("name".into(), Value::String(if known { name.to_owned() } else { "[…]".into() }));
        }
        let mut check = Check { kind: &resource.kind, faults: BTreeSet::new() };
        check.value(&found.expect("pinned").1["body"], &body, "");
        check.faults.into_iter().map(|fault| format!("{}: {fault}", resource.label())).collect()
    }
}

struct Check<'a> {
    kind: &'a str,
    faults: BTreeSet<String>,
}

impl Check<'_> {
    fn fault(&mut self, path: &str, what: impl std::fmt::Display) {
        let excepted = EXCEPTIONS.iter().any(|(kind, at, _)| kind.eq_ignore_ascii_case(self.kind) && at.eq_ignore_ascii_case(path));
        if !excepted {
            self.faults.insert(format!("{}: {what}", path.trim_start_matches('.')));
        }
    }

    fn value(&mut self, node: &Value, value: &Value, path: &str) {
        if let Some(text) = value.as_str().filter(|text| is_expression(text)) {
            if node == "ro" {
                return self.fault(path, "read-only: Azure sets it, take it out");
            }
            match parse(text) {
                Ok(expr) => {
                    for value in expr.alternatives().into_iter().filter(|value| value.as_str().is_none_or(|text| !is_expression(text))) {
                        self.value(node, &value, path);
                    }
                }
                Err(_) if text == "[…]" => {}
                Err(told) => self.fault(path, told),
            }
            return;
        }
        match node {
            Value::String(word) => self.simple(word, value, path),
            Value::Object(node) => self.structured(node, value, path),
            _ => self.fault(path, "the schema has something else than a node here"),
        }
    }

    fn simple(&mut self, word: &str, value: &Value, path: &str) {
        let right = match word {
            "any" => true,
            "bool" => value.is_boolean(),
            "int" => value.is_i64() || value.is_u64(),
            "string" => value.is_string(),
            "ro" => return self.fault(path, "read-only: Azure sets it, take it out"),
            _ => return self.fault(path, format_args!("the schema says `{word}`, which this check does not know")),
        };
        if !right && !value.is_null() {
            self.fault(path, format_args!("{} is no {word}", short(value)));
        }
    }

    fn structured(&mut self, node: &Map<String, Value>, value: &Value, path: &str) {
        if let Some(inner) = node.get("req") {
            if value.is_null() {
                return self.fault(path, "missing, and Azure requires it");
            }
            return self.value(inner, value, path);
        }
        if value.is_null() {
            return;
        }
        if let Some(bounds) = node.get("int").and_then(Value::as_array) {
            self.bounded(bounds, value, path);
        } else if let Some(rule) = node.get("str").and_then(Value::as_object) {
            self.text(rule, value, path);
        } else if let Some(listed) = node.get("enum").and_then(Value::as_array) {
            if !listed.contains(value) {
                let listed: Vec<_> = listed.iter().filter_map(Value::as_str).collect();
                self.fault(path, format_args!("{} is none of {}", short(value), listed.join(", ")));
            }
        } else if let Some(inner) = node.get("arr") {
            match value {
                Value::Array(items) => items.iter().enumerate().for_each(|(at, item)| self.value(inner, item, &format!("{path}[{at}]"))),
                _ => self.fault(path, format_args!("{} is no list", short(value))),
            }
        } else if node.contains_key("disc") {
            self.discriminated(node, value, path);
        } else if let Some(known) = node.get("obj").and_then(Value::as_object) {
            self.object(known, node.get("more"), value, path);
        } else {
            self.fault(path, "the schema has a node here that this check does not know");
        }
    }

    fn bounded(&mut self, bounds: &[Value], value: &Value, path: &str) {
        let Some(number) = value.as_i64() else { return self.fault(path, format_args!("{} is no int", short(value))) };
        let bound = |at: usize| bounds.get(at).and_then(Value::as_i64);
        if bound(0).is_some_and(|least| number < least) || bound(1).is_some_and(|most| number > most) {
            self.fault(path, format_args!("{number} is outside of {}", Value::Array(bounds.to_vec())));
        }
    }

    fn text(&mut self, rule: &Map<String, Value>, value: &Value, path: &str) {
        let Some(text) = value.as_str() else { return self.fault(path, format_args!("{} is no string", short(value))) };
        let length = text.chars().count() as u64;
        let bound = |name: &str| rule.get(name).and_then(Value::as_u64);
        if bound("minLength").is_some_and(|least| length < least) || bound("maxLength").is_some_and(|most| length > most) {
            self.fault(path, format_args!("`{text}` has {length} characters; {}", Value::Object(rule.clone())));
        }
        if let Some(pattern) = rule.get("pattern").and_then(Value::as_str) {
            match Regex::new(without_look_ahead(pattern)) {
                Ok(pattern) if pattern.is_match(text) => {}
                Ok(_) => self.fault(path, format_args!("`{text}` does not fit {pattern}")),
                Err(_) => self.fault(path, format_args!("the schema's pattern {pattern} cannot be read here; see `without_look_ahead`")),
            }
        }
    }

    /// One of several shapes, by the value of one property.
    fn discriminated(&mut self, node: &Map<String, Value>, value: &Value, path: &str) {
        let by = node["disc"].as_str().unwrap_or_default();
        let Some(found) = property(value, by).and_then(Value::as_str) else {
            return self.fault(&format!("{path}.{by}"), "missing, and Azure requires it");
        };
        if is_expression(found) {
            return;
        }
        let shapes = node.get("of").and_then(Value::as_object);
        if let Some((_, shape)) = shapes.and_then(|of| of.iter().find(|(name, _)| name.eq_ignore_ascii_case(found))) {
            let mut shape = shape.clone();
            let own = shape.get_mut("obj").and_then(Value::as_object_mut);
            if let (Some(own), Some(base)) = (own, node.get("base").and_then(Value::as_object)) {
                for (name, node) in base {
                    own.entry(name.clone()).or_insert_with(|| node.clone());
                }
            }
            self.value(&shape, value, path);
        } else {
            let known: Vec<_> = shapes.into_iter().flat_map(|of| of.keys()).map(String::as_str).collect();
            self.fault(&format!("{path}.{by}"), format_args!("`{found}` is none of {}", known.join(", ")));
        }
    }

    fn object(&mut self, known: &Map<String, Value>, more: Option<&Value>, value: &Value, path: &str) {
        let Some(object) = value.as_object() else { return self.fault(path, format_args!("{} is no object", short(value))) };
        let looped = loops(object);
        for (name, value) in object.iter().filter(|(name, _)| *name != OPEN && (*name != "copy" || looped.is_empty())) {
            let at = format!("{path}.{name}");
            match (known.iter().find(|(of, _)| of.eq_ignore_ascii_case(name)), more) {
                (Some((_, node)), _) | (None, Some(node)) => self.value(node, value, &at),
                (None, None) => {
                    let names: Vec<_> = known.iter().filter(|(_, node)| *node != "ro").map(|(name, _)| name.as_str()).collect();
                    self.fault(&at, format_args!("unknown property; there are {}", names.join(", ")));
                }
            }
        }
        for (name, input) in &looped {
            let at = format!("{path}.{name}[]");
            match known.iter().find(|(of, _)| of.eq_ignore_ascii_case(name)) {
                Some((_, node)) => self.value(node, &Value::Array(vec![(*input).clone()]), &at),
                None => self.fault(&at, "unknown property, made by a loop"),
            }
        }
        for (name, node) in known {
            let there = object.keys().any(|of| of.eq_ignore_ascii_case(name)) || looped.iter().any(|(of, _)| of.eq_ignore_ascii_case(name));
            if !there && node.get("req").is_some() && !object.contains_key(OPEN) {
                self.fault(&format!("{path}.{name}"), "missing, and Azure requires it");
            }
        }
    }
}

fn leads(node: &Value, path: &[&str]) -> bool {
    let Some((step, rest)) = path.split_first() else { return true };
    if node == "any" {
        return true;
    }
    let inner = ["req", "arr", "more"].iter().filter_map(|name| node.get(name)).any(|node| leads(node, path));
    let shapes = node.get("of").and_then(Value::as_object).is_some_and(|of| of.values().any(|node| leads(node, path)));
    let own = node.get("obj").and_then(Value::as_object).is_some_and(|of| {
        let named = of.iter().find(|(name, _)| name.eq_ignore_ascii_case(step.trim_end_matches("[*]")));
        named.is_some_and(|(_, node)| leads(node, rest)) || of.get("properties").is_some_and(|node| leads(node, path))
    });
    inner || shapes || own
}

/// Properties that a loop makes, with what it repeats: `copy: [{name, count, input}]`.
fn loops(object: &Map<String, Value>) -> Vec<(&str, &Value)> {
    let list = object.get("copy").and_then(Value::as_array);
    list.into_iter().flatten().filter_map(|one| Some((one.get("name")?.as_str()?, one.get("input")?))).collect()
}

/// The one pattern of the subset that looks ahead, said without: no two hyphens in a row. Length stands beside it.
fn without_look_ahead(pattern: &str) -> &str {
    match pattern {
        "^[a-z0-9]([a-z0-9]|(-(?!-))){1,61}[a-z0-9]$" => "^[a-z0-9](-?[a-z0-9]){2,62}$",
        other => other,
    }
}

fn short(value: &Value) -> String {
    value.to_string().chars().take(80).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::infra::{COMPILED, SNAPSHOTS, any_json, file, schemas};

    #[test]
    fn infra_every_resource_is_as_its_type_wants_it_compiled_and_in_both_clouds() {
        let Some(schemas) = schemas() else { return };
        let types = Types::read(&schemas).unwrap();
        let read = |path: &str| template::json(&file(path)).unwrap();
        let mut all = template::compiled(COMPILED, &read(COMPILED)).unwrap();
        for path in SNAPSHOTS {
            all.extend(template::snapshot(path, &read(path)).unwrap());
        }
        assert!(all.len() > 200, "only {} resources", all.len());
        let faults = types.check(&all);
        assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
    }

    fn faults(types: &Types, body: &Value) -> Vec<String> {
        types.check(&template::compiled("t.json", &json!({"resources": [body]})).unwrap())
    }

    fn account() -> Value {
        json!({"type": "Microsoft.Storage/storageAccounts", "apiVersion": "2025-06-01", "name": "assay1", "location": "[parameters('l')]",
            "kind": "StorageV2", "sku": {"name": "Standard_ZRS"}, "properties": {"allowBlobPublicAccess": false, "minimumTlsVersion": "TLS1_2"}})
    }

    #[test]
    fn infra_each_kind_of_wrong_property_is_named_with_what_to_write_instead() {
        let Some(schemas) = schemas() else { return };
        let types = Types::read(&schemas).unwrap();
        assert_eq!(faults(&types, &account()), Vec::<String>::new());
        let cases: &[(&str, Value, &str)] = &[
            ("/properties/allowBlobPublicAcces", json!(false), "unknown property"),
            ("/properties/allowBlobPublicAccess", json!("no"), "is no bool"),
            ("/properties/minimumTlsVersion", json!("TLS1_5"), "is none of"),
            ("/properties/minimumTlsVersion", json!("[if(equals(1, 2), 'TLS1_2', 'TLS1_5')]"), "\"TLS1_5\" is none of"),
            ("/properties/provisioningState", json!("Succeeded"), "read-only"),
            ("/sku", json!("[if(equals(1, 2), createObject('name', 'Standard_ZRS'), createObject('nam', 'x'))]"), "sku.nam: unknown"),
            ("/sku", json!({}), "sku.name: missing"),
            ("/name", json!("Assay_1"), "does not fit"),
            ("/name", json!("ab"), "has 2 characters"),
            ("/apiVersion", json!("2019-06-01"), "the pinned one is 2025-06-01"),
            ("/type", json!("Microsoft.Storage/storageAcounts"), "not in azure-types-subset.json"),
            ("/properties/sasPolicy", json!({"sasExpirationPeriod": "1.00:00:00", "expirationAction": 7}), "is none of"),
        ];
        for (at, value, told) in cases {
            let mut body = account();
            let (parent, name) = at.rsplit_once('/').unwrap();
            body.pointer_mut(parent).unwrap()[name] = value.clone();
            let found = faults(&types, &body);
            assert!(found.len() <= 2 && found.iter().any(|fault| fault.contains(told)), "{at} = {value}: {found:?}");
        }
        let mut body = account();
        body.as_object_mut().unwrap().remove("location");
        assert!(faults(&types, &body)[0].ends_with("location: missing, and Azure requires it"));
    }

    #[test]
    fn infra_what_the_types_forgot_is_let_through_and_nothing_beside_it() {
        let Some(schemas) = schemas() else { return };
        let types = Types::read(&schemas).unwrap();
        let onedeploy = |extra: &str| {
            json!({"type": "Microsoft.Web/sites/extensions", "apiVersion": "2024-11-01", "name": "app/onedeploy",
                "properties": {"packageUri": "https://x", "remoteBuild": false}, extra: 1})
        };
        assert_eq!(faults(&types, &onedeploy("comments")), Vec::<String>::new());
        assert_eq!(faults(&types, &onedeploy("propertys")).len(), 1);
        for (of, _) in UNCHECKED {
            let (kind, version) = of.split_once('@').unwrap();
            assert_ne!(types.pinned(kind), Some(version), "{of} is in the subset: take it out of UNCHECKED");
        }
    }

    #[test]
    fn infra_every_pattern_of_the_types_can_be_read() {
        let Some(schemas) = schemas() else { return };
        let data = template::json(&schemas.join("derived/azure-types-subset.json")).unwrap();
        let mut open = vec![&data];
        let mut patterns = 0;
        while let Some(value) = open.pop() {
            match value {
                Value::Object(of) => {
                    if let Some(pattern) = of.get("pattern").and_then(Value::as_str) {
                        patterns += 1;
                        assert!(Regex::new(without_look_ahead(pattern)).is_ok(), "{pattern}");
                    }
                    open.extend(of.values());
                }
                Value::Array(of) => open.extend(of),
                _ => {}
            }
        }
        assert!(patterns >= 12, "only {patterns} patterns");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn infra_no_body_and_no_schema_breaks_the_type_check(node in any_json(), value in any_json()) {
            let mut check = Check { kind: "x", faults: BTreeSet::new() };
            check.value(&node, &value, "");
            check.value(&json!({"obj": {"a": node.clone()}, "more": node}), &json!({"a": value.clone(), "copy": [{"name": "a", "input": value}]}), "");
        }
    }
}
