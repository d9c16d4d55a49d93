//! The failing rules of arm-ttk for `createUiDefinition.json`, the pages on which a customer fills in the parameters.

use std::collections::BTreeSet;

use regex::Regex;
use serde_json::{Value, json};

use super::{file, put, schema, template};
use crate::infra::{schemas, template::property};

/// Control types that the portal documents (../shared/schemas/README.md).
const CONTROLS: &[(&str, &[&str])] = &[
    (
        "Microsoft.Common",
        &[
            "CheckBox",
            "DatePicker",
            "DropDown",
            "EditableGrid",
            "FileUpload",
            "Grid",
            "InfoBox",
            "LocationSelector",
            "ManagementGroupSelector",
            "OptionsGroup",
            "PasswordBox",
            "ResourceGroupSelector",
            "ResourceScope",
            "Section",
            "Selector",
            "ServicePrincipalSelector",
            "Slider",
            "SubscriptionSelector",
            "TagsByResource",
            "TenantSelector",
            "TextBlock",
            "TextBox",
        ],
    ),
    ("Microsoft.Compute", &["CredentialsCombo", "SizeSelector", "UserNameTextBox"]),
    ("Microsoft.KeyVault", &["KeyVaultCertificateSelector"]),
    ("Microsoft.ManagedIdentity", &["IdentitySelector"]),
    ("Microsoft.Network", &["PublicIpAddressCombo", "VirtualNetworkCombo"]),
    ("Microsoft.Solutions", &["ArmApiControl", "BladeInvokeControl", "GraphApiControl", "ResourceSelector"]),
    ("Microsoft.Storage", &["MultiStorageAccountCombo", "StorageAccountSelector", "StorageBlobSelector"]),
];

const WITHOUT_TOOLTIP: &[&str] =
    &["InfoBox", "Section", "TextBlock", "ArmApiControl", "GraphApiControl", "EditableGrid", "JitConfigurator"];

/// Outputs that a managed application takes without a parameter of the template.
const OF_THE_APPLICATION: &[&str] = &["applicationresourcename", "jitaccesspolicy", "managedidentity", "managedresourcegroupid"];

/// `(fault, why)`: what the portal documents, and the published schema, which is older, does not know.
const NEWER: &[(&str, &str)] = &[
    ("/parameters/config: unknown property isWizard", "portaldocs, createUiDefinition: every step is to be seen before it is made"),
    (
        "/parameters/config/basics/resourceGroup: unknown property allowExisting",
        "createUiDefinition, config: a key of one's own lies in a resource group that is there already",
    ),
    (
        "/parameters/config/basics/subscription: unknown property resourceProviders",
        "createUiDefinition, config: the portal registers them, or says so before anything is made",
    ),
];

struct Pages<'a> {
    definition: &'a Value,
    template: &'a Value,
    /// `(path as an output says it, control)`
    controls: Vec<(String, &'a Value)>,
}

impl<'a> Pages<'a> {
    fn of(definition: &'a Value, template: &'a Value) -> Self {
        let parameters = &definition["parameters"];
        let mut controls = Vec::new();
        elements(&mut controls, "basics", &parameters["basics"], true);
        for step in parameters["steps"].as_array().into_iter().flatten() {
            elements(&mut controls, &format!("steps('{}')", name_of(step)), &step["elements"], false);
        }
        Self { definition, template, controls }
    }

    fn outputs(&self) -> impl Iterator<Item = (&'a String, &'a Value)> {
        self.definition["parameters"]["outputs"].as_object().into_iter().flatten()
    }

    fn parameters(&self) -> impl Iterator<Item = (&'a String, &'a Value)> {
        self.template["parameters"].as_object().into_iter().flatten()
    }

    fn control(&self, path: &str) -> Option<&'a Value> {
        // Behind the control's name a property of what it gives may follow.
        self.controls
            .iter()
            .filter(|(of, _)| path == of || path.strip_prefix(of.as_str()).is_some_and(|rest| rest.starts_with('.')))
            .max_by_key(|(of, _)| of.len())
            .map(|(_, control)| *control)
    }

    fn of_type(&self, kind: &'static str) -> impl Iterator<Item = &(String, &'a Value)> {
        self.controls.iter().filter(move |(_, control)| short_type(control) == kind)
    }
}

fn elements<'a>(controls: &mut Vec<(String, &'a Value)>, before: &str, list: &'a Value, basics: bool) {
    for control in list.as_array().into_iter().flatten() {
        let path = if basics { format!("{before}('{}')", name_of(control)) } else { format!("{before}.{}", name_of(control)) };
        elements(controls, &path, &control["elements"], false);
        controls.push((path, control));
    }
}

fn name_of(value: &Value) -> &str {
    value["name"].as_str().unwrap_or_default()
}

fn short_type(control: &Value) -> &str {
    control["type"].as_str().and_then(|kind| kind.rsplit('.').next()).unwrap_or_default()
}

/// Each control that a text of the definition reads.
fn read(text: &str) -> Vec<String> {
    let reads = Regex::new(r"(basics|steps)\('[^']+'\)(\.\w+)*").expect("a pattern");
    if text.starts_with('[') { reads.find_iter(text).map(|found| found.as_str().to_owned()).collect() } else { Vec::new() }
}

struct Rule {
    name: &'static str,
    finds: fn(&Pages<'_>) -> Vec<String>,
    bad: (&'static str, fn() -> Value),
}

const RULES: &[Rule] = &[
    Rule { name: "handler, version and schema", finds: root, bad: ("/handler", || json!("Microsoft.Azure.CreateUi")) },
    Rule {
        name: "controls that the portal has",
        finds: control_types,
        bad: ("/parameters/steps/0/elements/0/type", || json!("Microsoft.Common.MultiLine")),
    },
    Rule {
        name: "Controls In Outputs Must Exist",
        finds: outputs_exist,
        bad: ("/parameters/outputs/mail", || json!("[steps('people').alertMale]")),
    },
    Rule { name: "Location Should Be In Outputs", finds: location, bad: ("/parameters/outputs/location", || json!("eastus")) },
    Rule {
        name: "Outputs Must Be Present In Template Parameters",
        finds: outputs_are_parameters,
        bad: ("/parameters/outputs/colour", || json!("[steps('people').mail]")),
    },
    Rule {
        name: "Parameters Without Default Must Exist In CreateUIDefinition",
        finds: parameters_are_outputs,
        bad: ("/parameters/outputs/mail", || Value::Null),
    },
    Rule { name: "Tooltips Should Be Present", finds: tooltips, bad: ("/parameters/steps/0/elements/0/toolTip", || Value::Null) },
    Rule {
        name: "Textboxes Are Well Formed",
        finds: text_boxes,
        bad: ("/parameters/steps/0/elements/0/constraints", || json!({"regex": "^[a-z", "validationMessage": "x"})),
    },
    Rule {
        name: "Password Textboxes, their length and their confirmation",
        finds: password_boxes,
        bad: ("/parameters/steps/0/elements/1/constraints/regex", || json!("^.{8,}$")),
    },
    Rule {
        name: "PasswordBoxes Must Be Used For Password Parameters",
        finds: secrets,
        bad: ("/parameters/outputs/password", || json!("[steps('people').mail]")),
    },
    Rule {
        name: "Allowed Values Should Actually Be Allowed",
        finds: allowed_values,
        bad: ("/parameters/steps/0/elements/2/constraints/allowedValues", || json!([{"label": "x", "value": "moon"}])),
    },
    Rule {
        name: "Validations Must Have Message",
        finds: messages,
        bad: ("/parameters/steps/0/elements/0/constraints/validations", || json!([{"isValid": "[true]"}])),
    },
    Rule {
        name: "Constraints Of Its Control",
        finds: constraints,
        bad: ("/parameters/steps/0/elements/2/constraints/validations", || json!([{"isValid": "[true]", "message": "Choose."}])),
    },
    Rule {
        name: "Usernames Should Not Have A Default",
        finds: user_names,
        bad: ("/parameters/steps/0/elements/3/defaultValue", || json!("admin")),
    },
];

fn root(pages: &Pages<'_>) -> Vec<String> {
    let expected = |name: &str, good: &[&str]| {
        let found = pages.definition[name].as_str().unwrap_or_default();
        (!good.contains(&found)).then(|| format!("{name} is `{found}`, expected {}", good.join(" or ")))
    };
    let schema = "https://schema.management.azure.com/schemas/0.1.2-preview/CreateUIDefinition.MultiVm.json#";
    let handlers = ["Microsoft.Azure.CreateUIDef", "Microsoft.Compute.MultiVm"];
    [expected("$schema", &[schema]), expected("handler", &handlers), expected("version", &["0.1.2-preview"])]
        .into_iter()
        .flatten()
        .collect()
}

fn control_types(pages: &Pages<'_>) -> Vec<String> {
    let known = |kind: &str| {
        kind.rsplit_once('.').is_some_and(|(of, name)| CONTROLS.iter().any(|(space, names)| *space == of && names.contains(&name)))
    };
    let unknown = pages.controls.iter().filter(|(_, control)| !control["type"].as_str().is_some_and(known));
    let mut told: Vec<_> = unknown.map(|(path, control)| format!("{path}: the portal has no control {}", control["type"])).collect();
    let names: Vec<_> = pages.controls.iter().map(|(path, _)| path).collect();
    let twice: BTreeSet<_> = names.iter().filter(|path| names.iter().filter(|other| other == path).count() > 1).collect();
    told.extend(twice.into_iter().map(|path| format!("{path}: two controls have this name")));
    told
}

fn outputs_exist(pages: &Pages<'_>) -> Vec<String> {
    let mut told = Vec::new();
    for (at, text) in crate::infra::expression::texts(pages.definition) {
        let missing = read(text).into_iter().filter(|path| pages.control(path).is_none());
        told.extend(missing.map(|path| format!("{at}: there is no control {path}")));
    }
    told
}

fn location(pages: &Pages<'_>) -> Vec<String> {
    let found = &pages.definition["parameters"]["outputs"]["location"];
    let good = found == "[location()]";
    if good { Vec::new() } else { vec![format!("output location is {found}, expected [location()]")] }
}

fn outputs_are_parameters(pages: &Pages<'_>) -> Vec<String> {
    let known =
        |name: &str| pages.parameters().any(|(of, _)| of.eq_ignore_ascii_case(name)) || OF_THE_APPLICATION.contains(&&*name.to_lowercase());
    let unknown = pages.outputs().filter(|(name, _)| !known(name));
    unknown.map(|(name, _)| format!("output {name} is no parameter of mainTemplate.json")).collect()
}

fn parameters_are_outputs(pages: &Pages<'_>) -> Vec<String> {
    let asked = |name: &str| pages.outputs().any(|(of, _)| of.eq_ignore_ascii_case(name));
    let missing = pages.parameters().filter(|(name, of)| property(of, "defaultValue").is_none() && !asked(name));
    missing.map(|(name, _)| format!("parameter {name} of mainTemplate.json has no default, and no output gives it")).collect()
}

fn tooltips(pages: &Pages<'_>) -> Vec<String> {
    let needs = |control: &Value| !WITHOUT_TOOLTIP.contains(&short_type(control));
    let told = |control: &Value| match &control["toolTip"] {
        Value::String(text) => !text.trim().is_empty(),
        Value::Object(parts) => parts.values().all(|text| text.as_str().is_some_and(|text| !text.trim().is_empty())),
        _ => false,
    };
    let without = pages.controls.iter().filter(|(_, control)| needs(control) && !told(control));
    without.map(|(path, _)| format!("{path}: needs a toolTip that says what to type and why")).collect()
}

/// The patterns of a control's constraints, with whether a message stands beside each.
fn patterns(control: &Value) -> Vec<(&str, bool)> {
    let constraints = &control["constraints"];
    let said = |value: &Value| value.as_str().is_some_and(|text| !text.trim().is_empty());
    let own = constraints["regex"].as_str().map(|pattern| (pattern, said(&constraints["validationMessage"])));
    let more = constraints["validations"].as_array().into_iter().flatten();
    own.into_iter().chain(more.filter_map(|one| Some((one["regex"].as_str()?, said(&one["message"]))))).collect()
}

fn text_boxes(pages: &Pages<'_>) -> Vec<String> {
    let mut told = Vec::new();
    for (path, control) in pages.of_type("TextBox").chain(pages.of_type("PasswordBox")) {
        let patterns = patterns(control);
        if patterns.is_empty() {
            told.push(format!("{path}: needs constraints with a regex and a message that says what to type"));
        }
        for (pattern, said) in patterns {
            if let Err(error) = Regex::new(pattern) {
                told.push(format!("{path}: `{pattern}` cannot be read (write it without looking ahead): {error}"));
            } else if !pattern.starts_with('^') || !pattern.ends_with('$') {
                told.push(format!("{path}: `{pattern}` holds for a part of what is typed; write ^...$"));
            } else if !said {
                told.push(format!("{path}: `{pattern}` has no message that says what to type"));
            }
        }
    }
    told
}

fn password_boxes(pages: &Pages<'_>) -> Vec<String> {
    let mut told = Vec::new();
    for (path, control) in pages.of_type("PasswordBox") {
        // One of eleven characters of all kinds must not pass.
        let short = "Aa1!Aa1!Aa1";
        if patterns(control).iter().all(|(pattern, _)| Regex::new(pattern).is_ok_and(|pattern| pattern.is_match(short))) {
            told.push(format!("{path}: takes a password of fewer than 12 characters; write {{12,}}"));
        }
        if control["options"]["hideConfirmation"] == true {
            told.push(format!("{path}: shows no confirmation; set hideConfirmation to false"));
        }
    }
    told
}

/// What is secret in the template comes from a box that hides it, and what is hidden stays secret.
fn secrets(pages: &Pages<'_>) -> Vec<String> {
    let mut told = Vec::new();
    for (name, output) in pages.outputs() {
        let Some((_, parameter)) = pages.parameters().find(|(of, _)| of.eq_ignore_ascii_case(name)) else { continue };
        let secret = property(parameter, "type").and_then(Value::as_str).is_some_and(|kind| kind.to_lowercase().starts_with("secure"));
        let reads = read(output.as_str().unwrap_or_default());
        let hidden = reads.iter().any(|path| pages.control(path).is_some_and(|control| short_type(control) == "PasswordBox"));
        if secret != hidden {
            let way = if secret {
                "is secure in the template and comes from no PasswordBox"
            } else {
                "comes from a PasswordBox and is not secure in the template"
            };
            told.push(format!("output {name} {way}"));
        }
    }
    told
}

/// No rule of arm-ttk: the portal passes over a constraint that a control does not have, and then refuses nothing
/// (learn.microsoft.com and portaldocs, the page of each control).
fn constraints(pages: &Pages<'_>) -> Vec<String> {
    let known: &[(&str, &[&str])] = &[
        ("CheckBox", &["required", "validationMessage"]),
        ("DropDown", &["required", "allowedValues"]),
        ("OptionsGroup", &["required", "allowedValues"]),
        ("PasswordBox", &["required", "regex", "validationMessage"]),
        ("TextBox", &["required", "regex", "validationMessage", "validations"]),
    ];
    let mut told = Vec::new();
    for (path, control) in &pages.controls {
        let Some((_, of)) = known.iter().find(|(kind, _)| *kind == short_type(control)) else { continue };
        let said = control["constraints"].as_object().into_iter().flatten().map(|(name, _)| name);
        told.extend(said.filter(|name| !of.contains(&name.as_str())).map(|name| format!("{path}: this control has no constraint {name}")));
    }
    told
}

fn allowed_values(pages: &Pages<'_>) -> Vec<String> {
    let mut told = Vec::new();
    for (name, output) in pages.outputs() {
        let Some((_, parameter)) = pages.parameters().find(|(of, _)| of.eq_ignore_ascii_case(name)) else { continue };
        let Some(allowed) = property(parameter, "allowedValues").and_then(Value::as_array) else { continue };
        let text = output.as_str().unwrap_or_default();
        for path in read(text).iter().filter(|path| format!("[{path}]") == text) {
            let offered = pages.control(path).and_then(|control| control["constraints"]["allowedValues"].as_array());
            for value in offered.into_iter().flatten().map(|one| &one["value"]).filter(|value| !allowed.contains(value)) {
                told.push(format!("{path} offers {value}; the template's {name} takes {}", Value::Array(allowed.clone())));
            }
        }
    }
    told
}

fn messages(pages: &Pages<'_>) -> Vec<String> {
    let mut told = Vec::new();
    let mut open = vec![(String::new(), pages.definition)];
    while let Some((at, value)) = open.pop() {
        match value {
            Value::Object(of) => open.extend(of.iter().map(|(name, value)| (format!("{at}/{name}"), value))),
            Value::Array(items) if at.ends_with("/validations") => {
                let without = items.iter().filter(|one| one["message"].as_str().is_none_or(|text| text.trim().is_empty()));
                told.extend(without.map(|_| format!("{at}: a validation without a message")));
            }
            Value::Array(items) => open.extend(items.iter().enumerate().map(|(number, value)| (format!("{at}/{number}"), value))),
            _ => {}
        }
    }
    told
}

fn user_names(pages: &Pages<'_>) -> Vec<String> {
    let is = |control: &Value| short_type(control) == "UserNameTextBox" || name_of(control).to_lowercase().contains("username");
    let set = |control: &Value| control["defaultValue"].as_str().is_some_and(|text| !text.is_empty());
    let bad = pages.controls.iter().filter(|(_, control)| is(control) && set(control));
    bad.map(|(path, _)| format!("{path}: a user name has no default value")).collect()
}

fn good() -> (Value, Value) {
    let text_box = json!({"name": "mail", "type": "Microsoft.Common.TextBox", "label": "Mail", "toolTip": "Who is told.",
        "constraints": {"required": true, "regex": "^[^@ ]+@[^@ ]+$", "validationMessage": "Type one address, such as a@example.net."}});
    let password = json!({"name": "pass", "type": "Microsoft.Common.PasswordBox", "toolTip": "Its password.", "label": {"password": "Password"},
        "constraints": {"regex": "^.{12,}$", "validationMessage": "Type 12 characters or more."}, "options": {"hideConfirmation": false}});
    let choice = json!({"name": "hosting", "type": "Microsoft.Common.DropDown", "toolTip": "Where it runs.",
        "constraints": {"required": true, "allowedValues": [{"label": "Flex", "value": "flex"}]}});
    let user = json!({"name": "smtpUserName", "type": "Microsoft.Common.TextBox", "toolTip": "Who signs in.",
        "constraints": {"regex": "^.*$", "validationMessage": "Type a name."}});
    let definition = json!({
        "$schema": "https://schema.management.azure.com/schemas/0.1.2-preview/CreateUIDefinition.MultiVm.json#",
        "handler": "Microsoft.Azure.CreateUIDef", "version": "0.1.2-preview",
        "parameters": {"basics": [], "steps": [{"name": "people", "label": "People", "elements": [text_box, password, choice, user]}],
            "outputs": {"location": "[location()]", "mail": "[steps('people').mail]", "password": "[steps('people').pass.password]",
                "hosting": "[steps('people').hosting]"}}});
    let template = json!({"parameters": {"location": {"type": "string", "defaultValue": "x"}, "mail": {"type": "string"},
        "password": {"type": "securestring", "defaultValue": ""}, "hosting": {"type": "string", "defaultValue": "flex", "allowedValues": ["flex", "premium"]}}});
    (definition, template)
}

fn found(definition: &Value, template: &Value) -> Vec<(&'static str, String)> {
    let pages = Pages::of(definition, template);
    RULES.iter().flat_map(|rule| (rule.finds)(&pages).into_iter().map(|fault| (rule.name, fault))).collect()
}

#[test]
fn infra_each_rule_for_the_pages_of_the_offer_names_its_own_bad_definition_and_no_other() {
    let (definition, template) = good();
    assert!(found(&definition, &template).is_empty(), "{:?}", found(&definition, &template));
    for rule in RULES {
        let mut bad = definition.clone();
        put(&mut bad, rule.bad.0, (rule.bad.1)());
        let found = found(&bad, &template);
        assert!(found.iter().any(|(name, _)| *name == rule.name), "{}: {found:?}", rule.name);
        assert!(found.iter().all(|(name, _)| *name == rule.name), "{}: {found:?}", rule.name);
    }
}

/// What certification would refuse of these pages, with the schema where it lies there.
pub(in crate::infra) fn refused(definition: &Value) -> Vec<String> {
    let template = template::json(&file("marketplace/mainTemplate.json")).unwrap();
    let mut faults: Vec<_> = found(definition, &template).into_iter().map(|(rule, fault)| format!("{fault}  [{rule}]")).collect();
    if let Some(schemas) = schemas() {
        let root = template::json(&schemas.join("arm/CreateUIDefinition.MultiVm.json")).unwrap();
        let older = |fault: &String| NEWER.iter().any(|(known, _)| fault == known);
        faults.extend(schema::faults(&root, definition).into_iter().filter(|fault| !older(fault)));
    }
    faults
}

#[test]
fn infra_the_pages_of_the_offer_would_be_taken_by_certification() {
    let faults = refused(&template::json(&file("marketplace/createUiDefinition.json")).unwrap());
    assert!(faults.is_empty(), "createUiDefinition.json, {} faults:\n{}", faults.len(), faults.join("\n"));
}
