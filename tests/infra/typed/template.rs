//! What the template says to what was typed: the constraints of its parameters, and each line of `problems`, all of which
//! fail the plan's tags. That nothing is made before the plan, `cross/order` proves.

use std::fs;

use serde_json::{Value, json};

use super::{ID, KEY, TYPED, with_own_key};
use crate::infra::{
    COMPILED,
    evaluate::Place,
    expression::{Expr, parse},
    file,
    template::{self, property},
};

/// What Azure asks of each parameter before it looks at the template: type, values, lengths and bounds.
pub(super) fn undeclared(template: &Value, given: &Value) -> Vec<String> {
    let mut told = Vec::new();
    let declared = template["parameters"].as_object().unwrap();
    let strangers = given.as_object().unwrap().keys().filter(|name| property(&template["parameters"], name).is_none());
    told.extend(strangers.map(|name| format!("{name}: no such parameter")));
    for (name, rules) in declared {
        let Some(value) = property(given, name) else {
            if rules["defaultValue"].is_null() {
                told.push(format!("{name}: nothing given"));
            }
            continue;
        };
        let kind = rules["type"].as_str().unwrap().to_lowercase();
        let size = match value {
            Value::String(text) if kind.ends_with("string") => i64::try_from(text.encode_utf16().count()).unwrap(),
            Value::Array(all) if kind == "array" => i64::try_from(all.len()).unwrap(),
            Value::Number(number) if kind == "int" => number.as_i64().unwrap(),
            Value::Bool(_) if kind == "bool" => 0,
            Value::Object(_) if kind.ends_with("object") => 0,
            _ => {
                told.push(format!("{name}: expected {kind}"));
                continue;
            }
        };
        let bound = |rule: &str| rules[rule].as_i64();
        if bound("minLength").or(bound("minValue")).is_some_and(|least| size < least)
            || bound("maxLength").or(bound("maxValue")).is_some_and(|most| size > most)
            || rules["allowedValues"].as_array().is_some_and(|all| !all.contains(value))
        {
            told.push(format!("{name}: {rules}"));
        }
    }
    told
}

pub(super) fn place<'a>(template: &'a Value, cloud: &'a str, given: &Value) -> Place<'a> {
    Place { template, parameters: given.clone(), group: json!({"name": "assay"}), cloud }
}

/// The lines of `problems`, before those that say nothing are left out.
fn lines(template: &Value) -> Vec<Expr> {
    let Ok(Expr::Call(filter, args)) = parse(template["variables"]["problems"].as_str().unwrap()) else { panic!("problems is no call") };
    match (filter.as_str(), args.into_iter().next()) {
        ("filter", Some(Expr::Call(array, lines))) if array == "createarray" => lines,
        other => panic!("problems is no list: {other:?}"),
    }
}

/// What the template says to these parameters in this cloud: nothing, where they are good.
pub(super) fn refused(template: &Value, cloud: &str, given: &Value) -> Vec<String> {
    let told = undeclared(template, given);
    if !told.is_empty() {
        return told;
    }
    let Value::Array(problems) = place(template, cloud, given).value(&template["variables"]["problems"]).unwrap() else { panic!("a list") };
    problems.iter().map(|problem| problem.as_str().unwrap().to_owned()).collect()
}

fn good(cloud: &str) -> Value {
    let government = cloud == GOVERNMENT;
    let region = if government { "usgovvirginia" } else { "eastus2" };
    json!({"namePrefix": "assay", "location": region, "allowedLocations": [region], "alertEmail": "alerts@example.net",
        "dataBoundary": if government { "gov-CUI" } else { "commercial-noCUI" }, "entraDirectories": [ID], "budgetStart": "2027-01-01"})
}

pub(super) const PUBLIC: &str = "AzureCloud";
pub(super) const GOVERNMENT: &str = "AzureUSGovernment";

fn changed(cloud: &str, changes: &[Value]) -> Value {
    let mut all = good(cloud);
    for (name, value) in changes.iter().flat_map(|some| some.as_object().unwrap()) {
        all[name] = value.clone();
    }
    all
}

/// What a person typed, as the parameter file has it: a text where no number is, because Bicep takes it for one; of an object
/// the name.
fn as_declared(template: &Value, name: &str, text: &str) -> Value {
    match template["parameters"][name]["type"].as_str().unwrap() {
        "array" if text.is_empty() => json!([]),
        "array" => text.split(',').collect(),
        "object" if text.is_empty() => json!({}),
        "object" => json!({text: "as it is"}),
        "int" => text.parse::<i64>().map_or_else(|_| json!(text), Value::from),
        _ => json!(text),
    }
}

/// Rows that need Azure Government: `(parameter, what is typed)`.
const WRONG_IN_GOVERNMENT: &[(&str, &str)] = &[
    ("dataBoundary", "commercial-noCUI"),
    ("hosting", "flex"),
    ("mail", "acs"),
    ("allowedLocations", "usgovvirginia,eastus2"),
    ("location", "eastus2"),
];

/// One row of the tables, as parameters.
pub(super) struct Row {
    pub(super) cloud: &'static str,
    name: &'static str,
    text: &'static str,
    pub(super) given: Value,
    good: bool,
}

pub(super) fn rows(template: &Value) -> Vec<Row> {
    let row = |cloud, name: &'static str, text: &'static str, beside: &Value, good| {
        let given = changed(cloud, &[beside.clone(), json!({name: as_declared(template, name, text)})]);
        Row { cloud, name, text, given, good }
    };
    let of_all = TYPED.iter().flat_map(|typed| {
        let beside = (typed.beside)();
        // What is empty on a page is a default here, where a number belongs.
        let is_number = template["parameters"][typed.parameter]["type"] == "int";
        let good = typed.good.iter().filter(move |text| !(is_number && text.is_empty())).map(|text| (*text, true));
        let wrong = typed.wrong.iter().chain(typed.wrong_in_template).map(|text| (*text, false));
        good.chain(wrong).map(move |(text, good)| row(PUBLIC, typed.parameter, text, &beside, good)).collect::<Vec<_>>()
    });
    let in_government = WRONG_IN_GOVERNMENT.iter().map(|(name, text)| row(GOVERNMENT, name, text, &json!({}), false));
    of_all.chain(in_government).collect()
}

/// Gives the template every row of the tables; what was taken though wrong or refused though good is told, and so is a line of
/// `problems` that never stood alone.
fn told(template: &Value) -> Vec<String> {
    let mut told = Vec::new();
    let lines = lines(template);
    let mut untried: Vec<usize> = (0..lines.len()).collect();
    for Row { cloud, name, text, given, good } in rows(template) {
        let refused = refused(template, cloud, &given);
        let own_words = refused.iter().all(|one| one.starts_with(&format!("{name}: ")));
        match (good, refused.is_empty()) {
            (true, false) => told.push(format!("{name}: `{text}` is refused: {refused:?}")),
            (false, true) => told.push(format!("{name}: `{text}` is taken")),
            (false, false) if !own_words => told.push(format!("{name}: `{text}` is refused with other words: {refused:?}")),
            _ => {}
        }
        if good || !undeclared(template, &given).is_empty() {
            continue;
        }
        let place = place(template, cloud, &given);
        let said: Vec<usize> = (0..lines.len()).filter(|at| place.of(&lines[*at]).unwrap() != "").collect();
        if let ([at], [words]) = (said.as_slice(), refused.as_slice()) {
            untried.retain(|other| other != at);
            if !words.contains("type ") {
                told.push(format!("`{words}` does not say what to type"));
            }
        }
    }
    told.extend(untried.iter().map(|at| format!("line {at} of problems has refused nothing: {:?}", lines[*at])));
    told
}

#[test]
fn infra_every_line_of_what_the_template_refuses_refuses_what_it_is_there_for_and_nothing_good() {
    let template = template::json(&file(COMPILED)).unwrap();
    for cloud in [PUBLIC, GOVERNMENT] {
        assert_eq!(refused(&template, cloud, &good(cloud)), Vec::<String>::new(), "{cloud}");
    }
    assert_eq!(told(&template), Vec::<String>::new());
}

#[test]
fn infra_a_line_of_what_the_template_refuses_that_nobody_tried_is_noticed() {
    let mut template = template::json(&file(COMPILED)).unwrap();
    let problems = template["variables"]["problems"].as_str().unwrap();
    let line = "[filter(createArray(if(greater(parameters('meteringIncluded'), 1000), 'meteringIncluded: type less.', ''), ";
    template["variables"]["problems"] = json!(problems.replacen("[filter(createArray(", line, 1));
    let found = told(&template);
    assert!(found.len() == 1 && found[0].starts_with("line 0 of problems has refused nothing"), "{found:?}");
}

/// The five of which every installation's first day has one.
#[test]
fn infra_a_wrong_region_a_key_elsewhere_no_mail_address_a_long_name_and_a_plan_that_is_not_there_are_refused_in_words() {
    let template = template::json(&file(COMPILED)).unwrap();
    for (cloud, typed, words) in [
        (
            PUBLIC,
            json!({"location": "westus"}),
            "location: westus is not among allowedLocations (eastus2); type one of these, by its short name such as eastus.",
        ),
        (
            PUBLIC,
            json!({"location": "usgovvirginia", "allowedLocations": ["usgovvirginia"]}),
            "allowedLocations: type regions of this cloud by their short names, such as eastus2.",
        ),
        (
            PUBLIC,
            json!({"ownVaultName": "contoso-keys", "ownKeyUri": "https://contoso-hr.vault.azure.net/keys/assay"}),
            "ownKeyUri: type the address of a key in the vault ownVaultName of this resource group, without a version: \
             https://contoso-keys.vault.azure.net/keys/NAME.",
        ),
        (PUBLIC, json!({"alertEmail": "the help desk"}), "alertEmail: type one mail address, such as alerts@example.net."),
        (GOVERNMENT, json!({"hosting": "flex"}), "hosting: Azure Government has no Flex Consumption; type premium."),
    ] {
        let given = changed(cloud, &[typed]);
        assert_eq!(refused(&template, cloud, &given), [words]);
        // The plan, for which all waits, has no tags to be made with but these words.
        assert_eq!(place(&template, cloud, &given).value(&json!("[variables('checkedTags')]")), Err(words.into()));
    }
    let long = refused(&template, PUBLIC, &changed(PUBLIC, &[json!({"namePrefix": "contoso-corporation"})]));
    assert!(long.len() == 1 && long[0].starts_with("namePrefix: "), "{long:?}");
    let about = &template["parameters"]["namePrefix"]["metadata"]["description"];
    assert_eq!(about, "Required. What every name begins with: 3 to 10 lower-case letters and digits, a letter first.");
}

/// All of it at once, so that nobody is sent back for each.
#[test]
fn infra_all_that_was_typed_wrong_is_said_at_once_and_the_good_gets_its_tags() {
    let template = template::json(&file(COMPILED)).unwrap();
    let tags = |given: &Value| place(&template, PUBLIC, given).value(&json!("[variables('checkedTags')]"));
    let mut given = changed(PUBLIC, &[with_own_key(), json!({"tags": {"cost": "it"}})]);
    assert_eq!(given["ownKeyUri"], KEY);
    assert_eq!(tags(&given), Ok(json!({"cost": "it", "assay-data-boundary": "commercial-noCUI"})));

    given["namePrefix"] = json!("Assay");
    given["alertEmail"] = json!("a@b;c@d.net");
    given["networkPrefix"] = json!("10.90.0.0/26");
    let said = tags(&given).unwrap_err();
    assert_eq!(said, refused(&template, PUBLIC, &given).join(" "));
    assert_eq!(said.matches(": type ").count(), 3, "{said}");
    // Azure would reckon with the range first, and say something else.
    assert_eq!(place(&template, PUBLIC, &given).value(&json!("[variables('checkedPrefix')]")), Err(said));

    // The guide has these two typed on Azure, and says what to expect.
    let typed = json!({"alertEmail": "helpdesk", "networkPrefix": "10.90.0.0/26"});
    let words = refused(&template, PUBLIC, &changed(PUBLIC, &[typed])).join(" ");
    assert!(fs::read_to_string(file("README.md")).unwrap().contains(&format!("`{words}`")), "infra/README.md expects other words: {words}");
}
