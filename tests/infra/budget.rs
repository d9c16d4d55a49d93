//! The budget that is made where none was said: it follows hosting and zones, and stands above what the guide says that they
//! cost, because a mail in the first month about nothing unusual is one that nobody reads later.

use std::fs;

use serde_json::{Value, json};

use super::{COMPILED, evaluate::Place, file, template};

/// What all comes to a month for 50 clients, by the guide's table: `(line, dollars)`.
fn fifty_clients_cost(guide: &str) -> Vec<(&str, i64)> {
    let sums = guide.lines().filter_map(|line| line.strip_prefix("| **all, ")?.split_once("** |"));
    sums.map(|(name, cells)| {
        let fifty = cells.split('|').nth(1).unwrap_or_default().replace(['*', ' ', ','], "");
        (name, fifty.parse().unwrap_or_else(|error| panic!("{name}: {fifty}: {error}")))
    })
    .collect()
}

fn budget(parameters: Value) -> Value {
    let template = template::json(&file(COMPILED)).unwrap();
    let place = Place::public(&template, parameters);
    let module = template["resources"].as_array().unwrap().iter().find(|one| one["name"] == "assay-budget").expect("the budget");
    let made = place.value(&module["condition"]).unwrap() == json!(true);
    if made { place.value(&module["properties"]["parameters"]["amount"]["value"]).unwrap() } else { Value::Null }
}

#[test]
fn infra_the_budget_where_none_was_said_stands_above_what_hosting_and_zones_cost() {
    let guide = fs::read_to_string(file("README.md")).unwrap();
    let costs = fifty_clients_cost(&guide);
    let chosen = [("Flex", "flex", true), ("Flex", "flex", false), ("Premium", "premium", true), ("Premium", "premium", false)];
    assert_eq!(costs.len(), chosen.len(), "a sum for each choice: {costs:?}");
    for (name, hosting, zones) in chosen {
        let line = format!("{name} {} zones", if zones { "in" } else { "without" });
        let (_, cost) = costs.iter().find(|(of, _)| *of == line).unwrap_or_else(|| panic!("no sum of {line}"));
        // A quarter more, up to the next fifty.
        let expected = (cost * 5 + 199) / 200 * 50;
        assert_eq!(budget(json!({"hosting": hosting, "zoneRedundant": zones})), json!(expected), "{line}: 50 clients cost {cost}");
    }
    assert_eq!(budget(json!({})), budget(json!({"hosting": "flex", "zoneRedundant": true})), "what is chosen where nothing is said");
    assert_eq!(budget(json!({"hosting": "flex", "monthlyBudget": 75})), json!(75), "what was said counts");
    assert_eq!(budget(json!({"hosting": "flex", "monthlyBudget": 0})), Value::Null, "and none is none");
}
