//! Every check of a control on the pages of the offer, evaluated as the portal does: its pattern, and its expression with
//! what is on the page. The portal's patterns are JavaScript's; only what means the same here is taken.

use std::collections::BTreeSet;

use regex::Regex;
use serde_json::{Value, json};

use super::TYPED;
use crate::infra::{
    evaluate::{Surroundings, evaluate},
    expression::parse,
    file, template,
};

/// The pages as they are filled in, and the region of the first one.
struct Page {
    definition: Value,
    filled: Value,
    region: &'static Region,
}

const BASICS: &str = "basics";

/// A region as Azure tells of it: by the subscription's locations, and by App Service's list of Flex Consumption, in which
/// the mark `FCZONEREDUNDANCY` tells zones (it is the one that `az functionapp list-flexconsumption-locations` looks for).
struct Region {
    name: &'static str,
    shown: &'static str,
    cloud: &'static str,
    zones: bool,
    /// Whether Flex is there, and then whether in zones.
    flex: Option<bool>,
    /// Whether Premium is there on Linux.
    premium: bool,
}

const REGIONS: &[Region] = &[
    Region { name: "eastus2", shown: "East US 2", cloud: "AzureCloud", zones: true, flex: Some(true), premium: true },
    // Has zones since, but not of Flex.
    Region { name: "westus", shown: "West US", cloud: "AzureCloud", zones: true, flex: Some(false), premium: true },
    Region { name: "northcentralus", shown: "North Central US", cloud: "AzureCloud", zones: false, flex: Some(false), premium: true },
    Region { name: "qatarcentral", shown: "Qatar Central", cloud: "AzureCloud", zones: true, flex: None, premium: true },
    Region { name: "usgovvirginia", shown: "USGov Virginia", cloud: "AzureUSGovernment", zones: true, flex: None, premium: true },
    Region { name: "usgovtexas", shown: "USGov Texas", cloud: "AzureUSGovernment", zones: false, flex: None, premium: false },
];

impl Region {
    fn of_subscription(&self) -> Value {
        let mut told = json!({"name": self.name, "displayName": self.shown, "metadata": {"regionType": "Physical"}});
        if self.zones {
            told["availabilityZoneMappings"] = json!([{"logicalZone": "1"}]);
        }
        told
    }

    fn of_flex(&self) -> Option<Value> {
        self.flex
            .map(|zones| json!({"name": self.shown, "properties": {"orgDomain": if zones { "PUBLIC;FCZONEREDUNDANCY" } else { "PUBLIC" }}}))
    }
}

impl Surroundings for Page {
    fn answer(&self, function: &str, args: &[Value]) -> Option<Result<Value, String>> {
        Some(match (function, args) {
            ("location", []) => Ok(json!(self.region.name)),
            ("basics", [Value::String(name)]) => Ok(self.filled[BASICS][name].clone()),
            ("steps", [Value::String(name)]) => Ok(self.filled[name].clone()),
            _ => return None,
        })
    }
}

impl Page {
    /// As it comes up in that region: what has a default with it, of a list its first, and an empty box without one.
    fn fresh(definition: Value, region: &'static Region) -> Self {
        let mut page = Self { definition, filled: json!({}), region };
        let of_cloud = || REGIONS.iter().filter(|other| other.cloud == region.cloud);
        let continent = json!({"name": "unitedstates", "displayName": "United States", "metadata": {"regionType": "Logical"}});
        let locations: Vec<_> = of_cloud().map(Region::of_subscription).chain([continent]).collect();
        let flex: Vec<_> = of_cloud().filter_map(Region::of_flex).collect();
        let premium: Vec<_> = of_cloud().filter(|other| other.premium).map(|other| json!({"name": other.shown})).collect();
        for (list, told) in [("locations", locations), ("flexRegions", flex), ("premiumRegions", premium)] {
            page.filled["data"][list] = json!({"value": told});
        }
        for (step, control) in controls(&page.definition.clone()) {
            let name = control["name"].as_str().unwrap();
            if control["type"] != "Microsoft.Solutions.ArmApiControl" {
                page.filled[step][name] = page.first(control);
            }
        }
        page.filled["people"]["alertEmail"] = json!("alerts@example.net");
        page.filled["people"]["entraDirectories"] = json!(super::ID);
        page.filled["data"]["allowedLocations"] = json!([region.name]);
        page
    }

    /// learn.microsoft.com, `Microsoft.Common.DropDown`: without a default, the first of the list.
    fn first(&self, control: &Value) -> Value {
        let offered = self.offered(control);
        let default = &control["defaultValue"];
        match offered.iter().find(|one| one["label"] == *default).or_else(|| offered.first().filter(|_| default.is_null())) {
            Some(one) => one["value"].clone(),
            None if default.is_null() => json!(""),
            None => default.clone(),
        }
    }

    /// What a list offers, `[{label, value}]`; of another control nothing.
    fn offered(&self, control: &Value) -> Vec<Value> {
        let list = &control["constraints"]["allowedValues"];
        let list = if list.is_string() { self.value(list) } else { list.clone() };
        list.as_array().cloned().unwrap_or_default()
    }

    /// The values that the list of that name offers.
    fn offers(&self, name: &str) -> Vec<String> {
        self.offered(self.control(name).1).iter().map(|one| one["value"].as_str().unwrap().to_owned()).collect()
    }

    fn ours() -> Self {
        Self::in_region("eastus2")
    }

    fn in_region(name: &str) -> Self {
        let region = REGIONS.iter().find(|region| region.name == name).unwrap();
        Self::fresh(template::json(&file("marketplace/createUiDefinition.json")).unwrap(), region)
    }

    /// The control of that name, wherever it is, with its step.
    fn control(&self, name: &str) -> (&str, &Value) {
        controls(&self.definition).find(|(_, control)| control["name"] == name).unwrap_or_else(|| panic!("no control {name}"))
    }

    /// What an expression of the pages comes to.
    fn value(&self, text: &Value) -> Value {
        let text = text.as_str().expect("an expression");
        evaluate(&parse(text).unwrap(), self).unwrap_or_else(|why| panic!("{text}: {why}"))
    }

    fn fill(&mut self, name: &str, value: &Value) {
        let step = self.control(name).0.to_owned();
        self.filled[step][name] = value.clone();
    }

    /// What was chosen beside it by the template's names; the pages have two questions more.
    fn fill_all(&mut self, beside: &Value) {
        for (name, value) in beside.as_object().unwrap() {
            self.fill(name, value);
        }
        self.fill("ownKey", &json!(if beside["ownVaultName"].is_null() { "no" } else { "yes" }));
    }

    /// The numbers of the checks that refuse what is in the control, each with its message.
    fn refuses(&self, name: &str) -> Vec<(usize, String)> {
        let (step, control) = self.control(name);
        let typed = &self.filled[step][name];
        let refused = checks(control).into_iter().enumerate().filter(|(_, (check, _))| !self.holds(check, typed));
        refused.map(|(at, (_, message))| (at, message)).collect()
    }

    fn holds(&self, check: &Check, typed: &Value) -> bool {
        match check {
            Check::Pattern(pattern) => portal(pattern).unwrap().is_match(typed.as_str().expect("a pattern is of a text")),
            Check::Expression(text) => self.value(text).as_bool().unwrap_or_else(|| panic!("{text} is neither true nor false")),
        }
    }

    /// What the pages give the template.
    fn outputs(&self) -> Value {
        let all = self.definition["parameters"]["outputs"].as_object().unwrap();
        all.iter().map(|(name, text)| (name.clone(), self.value(text))).collect()
    }
}

enum Check {
    Pattern(String),
    Expression(Value),
}

/// `(step, control)`
fn controls(definition: &Value) -> impl Iterator<Item = (&str, &Value)> {
    let parameters = &definition["parameters"];
    let basics = parameters["basics"].as_array().into_iter().flatten().map(|control| (BASICS, control));
    let steps = parameters["steps"].as_array().into_iter().flatten();
    let further = steps.flat_map(|step| {
        let elements = step["elements"].as_array().into_iter().flatten();
        elements.map(|control| (step["name"].as_str().expect("a name"), control))
    });
    basics.chain(further)
}

/// Each check of a control, with its message.
fn checks(control: &Value) -> Vec<(Check, String)> {
    let constraints = &control["constraints"];
    let message = |of: &Value| of.as_str().unwrap_or_default().to_owned();
    let own = constraints["regex"].as_str().map(|pattern| (Check::Pattern(pattern.to_owned()), message(&constraints["validationMessage"])));
    let more = constraints["validations"].as_array().into_iter().flatten().map(|one| {
        let check = match (one["regex"].as_str(), &one["isValid"]) {
            (Some(pattern), Value::Null) => Check::Pattern(pattern.to_owned()),
            (None, text @ Value::String(_)) => Check::Expression(text.clone()),
            _ => panic!("a check of neither kind: {one}"),
        };
        (check, message(&one["message"]))
    });
    own.into_iter().chain(more).collect()
}

/// A pattern of JavaScript, where it means here what it means there: anchored, and of letters, classes and numbers of them.
/// Classes such as `\d` and `\w` hold more here, and what looks ahead or has flags is not known here.
fn portal(pattern: &str) -> Result<Regex, String> {
    let known = Regex::new(r"^\^(\\[.s]|[A-Za-z0-9@%:/,_'. +|()?*{}\^-]|\[\^?(\\s|[A-Za-z0-9._%+'-])+\])*\$$").unwrap();
    if !known.is_match(pattern) || pattern.contains("(?") {
        return Err(format!("`{pattern}` has signs of which it is not known that they mean the same in both"));
    }
    Regex::new(pattern).map_err(|error| error.to_string())
}

#[test]
fn infra_a_pattern_that_means_something_else_in_the_portal_is_not_taken() {
    for good in ["^[a-z][a-z0-9]{2,9}$", r"^https://[^\s]{12,}$", r"^([A-Za-z0-9-]+\.)+[a-z]+$", "^.{12,}$"] {
        assert!(portal(good).is_ok(), "{good}");
    }
    for bad in ["[a-z]+", r"^\d+$", r"^\w+$", "^(?!10).*$", "^(?i)abc$", "^[a-z&&[^b]]$", r"^a\b$", r"^\p{L}$"] {
        assert!(portal(bad).is_err(), "{bad}");
    }
}

/// Types every row of the tables; what was taken though wrong or refused though good is told, and so is a check that has
/// refused nothing.
fn told(ours: fn() -> Page) -> Vec<String> {
    let mut told = Vec::new();
    let definition = ours().definition;
    let numbered = |control| (0..checks(control).len()).map(move |at| (control["name"].as_str().unwrap(), at));
    let mut untried: BTreeSet<(&str, usize)> = controls(&definition).flat_map(|(_, control)| numbered(control)).collect();
    let checked: BTreeSet<&str> = untried.iter().map(|(name, _)| *name).collect();
    let mut good_ones = BTreeSet::new();
    for row in TYPED.iter().filter(|row| checked.contains(row.parameter)) {
        let name = row.parameter;
        let tries = row.good.iter().map(|text| (text, true)).chain(row.wrong.iter().chain(row.wrong_on_page).map(|text| (text, false)));
        for (text, good) in tries {
            let mut page = ours();
            page.fill_all(&(row.beside)());
            page.fill(name, &json!(text));
            let refused = page.refuses(name);
            if refused.is_empty() != good {
                told.push(format!("{name}: `{text}` is {}", if good { format!("refused: {refused:?}") } else { "taken".into() }));
            }
            if good {
                good_ones.insert(name);
            } else if let [(at, message)] = refused.as_slice() {
                // Only where no other check would have said it.
                untried.remove(&(name, *at));
                if !message.to_lowercase().contains("type ") {
                    told.push(format!("{name}: `{message}` does not say what to type"));
                }
            }
        }
    }
    told.extend(untried.iter().map(|(name, at)| format!("{name}: check {at} has refused nothing: give it a row of what it is there for")));
    told.extend(checked.difference(&good_ones).map(|name| format!("{name}: no row of what it takes")));
    told
}

#[test]
fn infra_on_every_page_the_good_is_taken_and_the_wrong_refused_with_what_to_type() {
    assert_eq!(told(Page::ours), Vec::<String>::new());
}

#[test]
fn infra_a_check_of_a_page_that_nobody_tried_is_noticed() {
    let more = || {
        let mut page = Page::ours();
        let elements = page.definition["parameters"]["steps"][0]["elements"].as_array_mut().unwrap();
        elements.push(json!({"name": "phone", "constraints": {"regex": "^[0-9]+$", "validationMessage": "Type a number."}}));
        page
    };
    let found = told(more);
    assert!(found.iter().all(|one| one.starts_with("phone: ")) && found.len() == 2, "{found:?}");
    let weak = || {
        let mut page = Page::ours();
        page.definition["parameters"]["basics"][0]["constraints"]["regex"] = json!("^[A-Za-z][a-z0-9]{2,9}$");
        page
    };
    assert_eq!(told(weak), ["namePrefix: `Assay` is taken"]);
}

/// What is good on a page is what the template takes: nobody fills in six pages and is refused after them.
#[test]
fn infra_what_the_pages_take_the_template_takes_too() {
    let template = template::json(&file(crate::infra::COMPILED)).unwrap();
    let mut seen = 0;
    for row in TYPED {
        let asked = controls(&Page::ours().definition).any(|(_, control)| control["name"] == row.parameter && !checks(control).is_empty());
        if !asked {
            continue;
        }
        for text in row.good {
            let mut page = Page::ours();
            page.fill_all(&(row.beside)());
            page.fill(row.parameter, &json!(text));
            let given = page.outputs();
            assert_eq!(super::template::refused(&template, "AzureCloud", &given), Vec::<String>::new(), "{}: {text}", row.parameter);
            seen += 1;
        }
    }
    assert!(seen > 30, "only {seen}");
}

/// `(region, hosting or what the page begins with, values of: boundary, hosting, zones, mail)`
type Offered = (&'static str, Option<&'static str>, [&'static str; 4]);

const OFFERED: &[Offered] = &[
    ("eastus2", None, ["commercial-noCUI", "flex premium", "yes no", "acs smtp none"]),
    ("westus", None, ["commercial-noCUI", "flex premium", "no", "acs smtp none"]),
    ("westus", Some("premium"), ["commercial-noCUI", "flex premium", "yes no", "acs smtp none"]),
    ("northcentralus", None, ["commercial-noCUI", "flex premium", "no", "acs smtp none"]),
    ("qatarcentral", None, ["commercial-noCUI", "premium", "yes no", "acs smtp none"]),
    ("usgovvirginia", None, ["gov-CUI", "premium", "yes no", "smtp none"]),
];

#[test]
fn infra_the_pages_offer_only_what_the_region_and_its_cloud_have_and_the_template_takes_it_there() {
    let template = template::json(&file(crate::infra::COMPILED)).unwrap();
    let mut seen = 0;
    for (region, hosting, values) in OFFERED {
        let mut page = Page::in_region(region);
        if let Some(hosting) = hosting {
            page.fill("hosting", &json!(hosting));
        }
        let offered = ["dataBoundary", "hosting", "zoneRedundant", "mail"].map(|name| page.offers(name).join(" "));
        assert_eq!(offered, *values, "{region} {hosting:?}");
        let [.., zones, mails] = values;
        for (zones, mail) in zones.split(' ').flat_map(|zones| mails.split(' ').map(move |mail| (zones, mail))) {
            page.fill_all(&json!({"zoneRedundant": zones, "mail": mail, "smtpHost": "smtp.example.net", "mailFrom": "assay@example.net"}));
            let given = page.outputs();
            assert_eq!(given["zoneRedundant"], json!(zones == "yes"), "{region}");
            assert_eq!(super::template::refused(&template, page.region.cloud, &given), Vec::<String>::new(), "{region}: {given}");
            seen += 1;
        }
    }
    assert!(seen > 20, "only {seen}");
    let offer = template::json(&file("marketplace/createUiDefinition.json")).unwrap();
    let lists = controls(&offer)
        .filter(|(_, control)| control["constraints"]["allowedValues"].is_string())
        .map(|(_, control)| control["name"].as_str().unwrap());
    let tried = ["mail", "dataBoundary", "allowedLocations", "hosting", "zoneRedundant"];
    assert_eq!(lists.collect::<Vec<_>>(), tried, "a list that depends on something has its column above");
}

#[test]
fn infra_a_region_without_any_hosting_offers_none_and_says_so() {
    let texas = Page::in_region("usgovtexas");
    let says = |page: &Page| page.value(&page.control("withoutHosting").1["visible"]);
    assert_eq!((texas.offers("hosting").len(), says(&texas)), (0, json!(true)));
    assert_eq!(says(&Page::ours()), json!(false));
}

/// Azure tells of continents too, in which nothing can be made.
#[test]
fn infra_data_may_lie_in_regions_and_in_no_continent() {
    let offered = Page::in_region("usgovvirginia").offers("allowedLocations");
    assert_eq!(offered, ["usgovvirginia", "usgovtexas"]);
}

#[test]
fn infra_a_page_says_so_where_the_region_is_not_among_those_in_which_data_may_lie() {
    let warns = |chosen: Value| {
        let mut page = Page::ours();
        page.fill("allowedLocations", &chosen);
        page.value(&page.control("withoutRegion").1["visible"])
    };
    assert_eq!(warns(json!(["eastus2", "westus"])), json!(false));
    assert_eq!(warns(json!(["westus"])), json!(true));
}
