//! Reads what the Bicep CLI makes: a compiled template, whose modules are nested deployments, and a snapshot, in which
//! modules and loops are laid out. Both give a flat list of resources, each with where it stands.
//!
//! Only languageVersion 1.0 is read: Marketplace takes no other (../shared/reference/infrastructure.md, section 1), so a
//! template of another version is an error and never an empty list.

use std::{fs, path::Path};

use serde_json::Value;

#[derive(Clone, Debug)]
pub(crate) struct Resource {
    /// The file, and in a compiled template the modules that lead to it.
    pub(crate) at: String,
    /// Such as `Microsoft.Storage/storageAccounts`.
    pub(crate) kind: String,
    pub(crate) version: String,
    /// As it stands there: of a child `parent/child`, and in a compiled template often an expression.
    pub(crate) name: String,
    /// In a snapshot its whole id, else empty.
    pub(crate) id: String,
    /// What it extends: in a snapshot that resource's id, in a compiled template an expression.
    pub(crate) scope: Option<String>,
    pub(crate) conditional: bool,
    /// The resource as it stands there, whole.
    pub(crate) body: Value,
}

impl Resource {
    pub(crate) fn is(&self, kind: &str) -> bool {
        self.kind.eq_ignore_ascii_case(kind)
    }

    pub(crate) fn last_name(&self) -> &str {
        self.name.rsplit('/').next().unwrap_or_default()
    }

    /// A property by its path; names compare as Azure compares them.
    pub(crate) fn get(&self, path: &[&str]) -> Option<&Value> {
        path.iter().try_fold(&self.body, |value, name| property(value, name))
    }

    pub(crate) fn text(&self, path: &[&str]) -> Option<&str> {
        self.get(path).and_then(Value::as_str)
    }

    /// For messages.
    pub(crate) fn label(&self) -> String {
        format!("{}: {} {}", self.at, self.kind, self.name)
    }
}

/// A property of an object, whatever the case of its name.
pub(crate) fn property<'a>(value: &'a Value, name: &str) -> Option<&'a Value> {
    let object = value.as_object()?;
    object.get(name).or_else(|| object.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value))
}

/// A committed file, read as JSON.
pub(crate) fn json(path: &Path) -> Result<Value, String> {
    let text = fs::read_to_string(path).map_err(|error| format!("{}: {error}; infra/README.md says how it is made", path.display()))?;
    serde_json::from_str(&text).map_err(|error| format!("{}: {error}", path.display()))
}

/// Each template of a compiled one: itself, and those of its modules.
pub(crate) fn templates<'a>(file: &str, template: &'a Value) -> Result<Vec<(String, &'a Value)>, String> {
    let mut found = Vec::new();
    let mut open = vec![(file.to_owned(), template)];
    while let Some((at, template)) = open.pop() {
        if property(template, "languageVersion").is_some() {
            return Err(format!(
                "{at}: has a languageVersion; write that module 1.0-safe (no `string?`, `string[]`, `type`, `func`, `import`, typed var)"
            ));
        }
        let resources = match property(template, "resources") {
            None => &[],
            Some(Value::Array(resources)) => resources.as_slice(),
            Some(_) => return Err(format!("{at}: `resources` is no list, as in languageVersion 2.0; write it 1.0-safe")),
        };
        for resource in resources {
            if let Some(inner) = property(resource, "properties").and_then(|of| property(of, "template")) {
                open.push((format!("{at}, module {}", text(resource, "name")), inner));
            }
        }
        found.push((at, template));
    }
    Ok(found)
}

/// Every resource of a compiled template, the deployments of its modules too.
pub(crate) fn compiled(file: &str, template: &Value) -> Result<Vec<Resource>, String> {
    let mut found = Vec::new();
    for (at, template) in templates(file, template)? {
        for resource in property(template, "resources").and_then(Value::as_array).into_iter().flatten() {
            flatten(&at, None, resource, &mut found)?;
        }
    }
    Ok(found)
}

fn flatten(at: &str, parent: Option<&Resource>, resource: &Value, found: &mut Vec<Resource>) -> Result<(), String> {
    let (kind, name) = (text(resource, "type"), text(resource, "name"));
    if kind.is_empty() || name.is_empty() {
        return Err(format!("{at}: a resource without type or name: {}", short(resource)));
    }
    let within = |of: fn(&Resource) -> &String, own: &str| parent.map_or_else(|| own.to_owned(), |parent| format!("{}/{own}", of(parent)));
    let made = Resource {
        at: at.to_owned(),
        kind: within(|parent| &parent.kind, kind),
        version: text(resource, "apiVersion").to_owned(),
        name: within(|parent| &parent.name, name),
        id: String::new(),
        scope: property(resource, "scope").and_then(Value::as_str).map(str::to_owned),
        conditional: property(resource, "condition").is_some(),
        body: resource.clone(),
    };
    for child in property(resource, "resources").and_then(Value::as_array).into_iter().flatten() {
        flatten(at, Some(&made), child, found)?;
    }
    found.push(made);
    Ok(())
}

/// Every resource of a snapshot. `bicep snapshot` has to be told subscription and resource group, or no id says whose child it is.
pub(crate) fn snapshot(file: &str, snapshot: &Value) -> Result<Vec<Resource>, String> {
    let list = property(snapshot, "predictedResources").and_then(Value::as_array);
    let list = list.ok_or_else(|| format!("{file}: no `predictedResources`; make it with `bicep snapshot`"))?;
    if let Some(told) = property(snapshot, "diagnostics").and_then(Value::as_array).filter(|told| !told.is_empty()) {
        return Err(format!("{file}: the snapshot was made with diagnostics, mend them first: {}", Value::Array(told.clone())));
    }
    list.iter()
        .map(|resource| {
            let (kind, id) = (text(resource, "type"), text(resource, "id"));
            // A name that only the cloud decides, such as a DNS zone's, leaves its id an expression.
            if !id.starts_with(['/', '[']) || ["subscription()", "resourceGroup()"].iter().any(|open| id.contains(open)) {
                return Err(format!(
                    "{file}: {kind}: an id without its subscription; make the snapshot with --subscription-id and --resource-group"
                ));
            }
            Ok(Resource {
                at: file.to_owned(),
                kind: kind.to_owned(),
                version: text(resource, "apiVersion").to_owned(),
                name: text(resource, "name").to_owned(),
                scope: scope_of(id),
                id: id.to_owned(),
                conditional: false,
                body: resource.clone(),
            })
        })
        .collect()
}

/// What an extension resource extends: what stands before the last `/providers/`, where that is itself a resource.
fn scope_of(id: &str) -> Option<String> {
    let (before, _) = id.rsplit_once("/providers/")?;
    before.contains("/providers/").then(|| before.to_owned())
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    property(value, name).and_then(Value::as_str).unwrap_or_default()
}

fn short(value: &Value) -> String {
    value.to_string().chars().take(120).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn infra_modules_and_children_of_a_template_are_all_seen() {
        let template = json!({"resources": [
            {"type": "Microsoft.Resources/deployments", "apiVersion": "2025-04-01", "name": "vault", "condition": "[parameters('x')]",
             "properties": {"template": {"resources": [
                {"type": "Microsoft.KeyVault/vaults", "apiVersion": "2025-05-01", "name": "kv",
                 "resources": [{"type": "keys", "apiVersion": "2025-05-01", "name": "links"}]}
             ]}}}
        ]});
        let found = compiled("main.json", &template).unwrap();
        let seen: Vec<_> = found.iter().map(|of| (of.at.as_str(), of.kind.as_str(), of.name.as_str(), of.conditional)).collect();
        assert_eq!(
            seen,
            [
                ("main.json", "Microsoft.Resources/deployments", "vault", true),
                ("main.json, module vault", "Microsoft.KeyVault/vaults/keys", "kv/links", false),
                ("main.json, module vault", "Microsoft.KeyVault/vaults", "kv", false),
            ]
        );
    }

    #[test]
    fn infra_a_template_of_version_2_is_an_error_at_any_depth() {
        let nested = json!({"languageVersion": "2.0", "resources": {}});
        let template =
            json!({"resources": [{"type": "Microsoft.Resources/deployments", "name": "deep", "properties": {"template": nested}}]});
        let told = compiled("main.json", &template).unwrap_err();
        assert!(told.contains("module deep") && told.contains("1.0-safe"), "{told}");
    }

    #[test]
    fn infra_a_snapshot_without_a_subscription_is_refused_and_says_what_to_do() {
        let made = json!({"predictedResources": [{"id": "[resourceId(subscription().subscriptionId, 'b')]", "type": "x"}]});
        assert!(snapshot("public.snapshot.json", &made).unwrap_err().contains("--subscription-id"));
        let id = "/subscriptions/s/resourceGroups/g/providers/Microsoft.KeyVault/vaults/kv";
        let on = format!("{id}/providers/Microsoft.Insights/diagnosticSettings/all");
        let made = json!({"predictedResources": [{"id": on, "type": "Microsoft.Insights/diagnosticSettings", "name": "all"}, {"id": id}]});
        let found = snapshot("public.snapshot.json", &made).unwrap();
        assert_eq!(found[0].scope.as_deref(), Some(id));
        assert_eq!(found[1].scope, None);
    }
}
