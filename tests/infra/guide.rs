//! What the guide and `infra/sign-in` name is there: parameters, outputs and modules of the template. A name that is not
//! makes a command say nothing, which looks like an installation without it.

use std::fs;

use assay::platform::process::Module;
use regex::Regex;
use serde_json::Value;

use super::{
    COMPILED, file,
    template::{self, property},
};

/// `(how a name stands in the text, of what it must be one)`.
const NAMED: &[(&str, &str)] =
    &[(r"\b([A-Za-z]+)\.value\b", "outputs"), (r"\bparam ([A-Za-z]+) = ", "parameters"), (r"`([a-z][A-Za-z]+) = ", "parameters")];

fn strangers(text: &str, template: &Value) -> Vec<String> {
    let mut told = Vec::new();
    for (pattern, part) in NAMED {
        let known = property(template, part).and_then(Value::as_object).expect("a template has both");
        for found in Regex::new(pattern).unwrap().captures_iter(text).filter(|found| !known.contains_key(&found[1])) {
            told.push(format!("{} is none of the template's {part}", &found[1]));
        }
    }
    told
}

#[test]
fn infra_the_guide_names_parameters_and_outputs_that_the_template_has() {
    let template = template::json(&file(COMPILED)).unwrap();
    for (name, at_least) in [("README.md", 10), ("sign-in", 4)] {
        let text = fs::read_to_string(file(name)).unwrap();
        assert_eq!(strangers(&text, &template), Vec::<String>::new(), "infra/{name}");
        let named = NAMED.iter().map(|(pattern, _)| Regex::new(pattern).unwrap().find_iter(&text).count()).sum::<usize>();
        assert!(named >= at_least, "infra/{name} names {named}: is it read as it is written?");
    }
    let bad = "{APP: appNam.value}, `param zones = true`, `nameSalts = '2'`";
    assert_eq!(strangers(bad, &template).len(), 3, "{:?}", strangers(bad, &template));
}

#[test]
fn infra_sign_in_asks_modules_that_the_template_has_for_what_they_say() {
    let template = template::json(&file(COMPILED)).unwrap();
    let text = fs::read_to_string(file("sign-in")).unwrap();
    let asked = Regex::new(r"-n (assay-[a-z-]+) --query properties\.outputs\.([A-Za-z]+)\.value").unwrap();
    let mut seen = 0;
    for found in asked.captures_iter(&text) {
        seen += 1;
        let all = template["resources"].as_array().unwrap();
        let module = all.iter().find(|one| one["name"] == found[1]).unwrap_or_else(|| panic!("no module {}", &found[1]));
        assert!(module.pointer(&format!("/properties/template/outputs/{}", &found[2])).is_some(), "{} says no {}", &found[1], &found[2]);
    }
    assert_eq!(seen, 2, "the identity and the address of the app");
}

#[test]
fn infra_the_guide_has_the_fips_module_built_for_where_cui_may_lie_and_looked_for_in_healths_words() {
    let text = fs::read_to_string(file("README.md")).unwrap();
    let of = |heading: &str| text.split_once(heading).unwrap_or_else(|| panic!("no {heading}")).1.split("\n### ").next().unwrap();
    assert!(of("### In Azure Government, and on Premium\n").contains("`infra/package --fips --out assay.zip`"));
    assert!(of("### For who publishes\n").contains("infra/offer --fips "));
    let looked_for = format!("`\"cryptography\":\"{}\"`", Module::Fips.words());
    assert!(of("## Confirm once on real Azure\n").contains(&looked_for), "{looked_for}");
}
