//! What is promised of an installation besides what the code asks for: logs of everything, locks, zones, alerts, a workbook, a
//! database under the provider's key that can be restored, and its name for the Marketplace.
//!
//! Each check says what is missing. Of what is committed it says nothing, and of each copy in which one thing is undone it
//! says what: so that nobody takes a sentence of the promise back without a test that names it.

mod alerts;
mod attribution;
mod database;
mod locks;
mod logs;
mod workbook;
mod zones;

use serde_json::Value;

use super::{
    COMPILED,
    cross::{Installation, installations},
    file,
    template::{self, Resource},
};

/// How one thing is undone, with a part of what the check must say then.
type Undone<T> = (&'static str, fn(&mut T));

/// Of both clouds, as the snapshots lay them out.
fn check_installations(check: fn(&Installation) -> Vec<String>, undone: &[Undone<Installation>]) {
    checked(installations, check, undone);
}

/// Of the template itself, for what a snapshot cannot show: both values of a parameter, deployments.
fn check_template(check: fn(&Value) -> Vec<String>, undone: &[Undone<Value>]) {
    checked(|| vec![template::json(&file(COMPILED)).unwrap()], check, undone);
}

fn checked<T>(committed: impl Fn() -> Vec<T>, check: fn(&T) -> Vec<String>, undone: &[Undone<T>]) {
    let told: Vec<_> = committed().iter().flat_map(check).collect();
    assert!(told.is_empty(), "{}", told.join("\n"));
    for (expected, undo) in undone {
        for mut one in committed() {
            undo(&mut one);
            let told = check(&one);
            assert!(told.iter().any(|told| told.contains(expected)), "nobody is told \"{expected}\", but: {told:#?}");
        }
    }
}

/// The resource of that type whose name ends so, to be changed.
fn found<'a>(of: &'a mut Installation, kind: &str, ending: &str) -> &'a mut Resource {
    let at = of.at;
    let mut all = of.resources.iter_mut().filter(|one| one.is(kind) && one.name.ends_with(ending));
    all.next().unwrap_or_else(|| panic!("{at}: no {kind} *{ending}"))
}

/// Leaves resources out of an installation; at least one.
fn leave_out(of: &mut Installation, which: impl Fn(&Resource) -> bool) {
    let before = of.resources.len();
    of.resources.retain(|one| !which(one));
    assert!(of.resources.len() < before, "{}: nothing was left out", of.at);
}

/// A module's inner template, to be changed.
fn inside<'a>(template: &'a mut Value, module: &str) -> &'a mut Value {
    let all = template["resources"].as_array_mut().unwrap();
    let module = all.iter_mut().find(|one| one["name"] == module).unwrap_or_else(|| panic!("no module {module}"));
    &mut module["properties"]
}
