//! `viewDefinition.json`, the page of an installed managed application, against its schema.

use serde_json::{Value, json};

use super::{file, schema, template};
use crate::infra::schemas;

fn view_schema() -> Option<Value> {
    Some(template::json(&schemas()?.join("arm/ViewDefinition.json")).unwrap())
}

#[test]
fn infra_the_page_of_a_managed_application_is_as_its_schema_wants_it() {
    let Some(schema) = view_schema() else { return };
    let bad = json!({"$schema": "x", "contentVersion": "1", "views": [{"kind": "Overview", "properties": {"hedder": "x"}}]});
    let found = schema::faults(&schema, &bad);
    assert!(found.iter().any(|fault| fault.contains("contentVersion")), "{found:?}");

    let view = template::json(&file("marketplace/viewDefinition.json")).unwrap();
    let found = schema::faults(&schema, &view);
    assert!(found.is_empty(), "marketplace/viewDefinition.json:\n{}", found.join("\n"));
    assert!(view["views"].as_array().is_some_and(|views| !views.is_empty()), "marketplace/viewDefinition.json shows nothing");
}
