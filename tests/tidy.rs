//! The house rules as a test: floors, file sizes, and names that may stand only in their own place.
//!
//! A rule that this file does not check is a wish. Text is searched line by line, comments left out, so a rule can be
//! tripped by a word in a string; that is meant.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// Top-level modules by floor, from the top; a module may name modules of lower floors, and itself.
const FLOORS: &[&[&str]] = &[
    &["main"],
    &["assemble", "host"],
    &["triggers"],
    &["readiness", "training", "connectors"],
    &["gate", "evidence", "analytics"],
    &["analyst", "audit", "web", "mesh"],
    &["tenancy", "oscal"],
    &["app", "config"],
    &["platform"],
];

/// Inside one floor, who may use whom: everything else on the same floor is a neighbor's inside.
const SAME_FLOOR: &[(&str, &str)] = &[("host", "assemble"), ("app", "config"), ("gate", "evidence"), ("web", "audit")];

/// `(what, where it may stand, why)`; what is written small stands for every spelling.
const PLACES: &[(&str, &[&str], &str)] = &[
    ("azure_core", &["functions/platform/azure", "functions/assemble.rs", "tests/support"], "the Azure SDK stays behind the ports"),
    ("azure_identity", &["functions/platform/azure", "functions/assemble.rs", "tests/support"], "the Azure SDK stays behind the ports"),
    ("azure_data_cosmos", &["functions/platform/azure", "functions/assemble.rs", "tests/support"], "the Azure SDK stays behind the ports"),
    (
        "azure_security_keyvault",
        &["functions/platform/azure", "functions/assemble.rs", "tests/support"],
        "the Azure SDK stays behind the ports",
    ),
    ("azure_storage", &["functions/platform/azure", "functions/assemble.rs", "tests/support"], "the Azure SDK stays behind the ports"),
    ("platform::local", &["functions/platform", "functions/assemble.rs", "functions/assemble", "tests"], "only assemble names an adapter"),
    ("warp::", &["functions/host", "functions/triggers", "functions/web", "tests"], "the server's types stay at the border"),
    ("reserved_for_tenancy", &["functions/tenancy", "functions/platform/ports.rs", "tests"], "only a scope opens a partition"),
    ("Tenant {", MAKERS, "a scope is made of a client that was read, never of an id"),
    ("Grant {", MAKERS, "a scope is made of a grant that was read, never of an id"),
    ("MappedCompany::confirmed", &["functions/connectors/mapping.rs", "functions/connectors/demo", "tests"], "a person maps a company"),
    ("x-content-signature", &["functions/connectors", "tests"], "vendor names stay with the vendor"),
    ("x-hook-signature", &["functions/connectors", "tests"], "vendor names stay with the vendor"),
    ("key_url", &["functions/connectors", "tests"], "vendor names stay with the vendor"),
    ("companyID", &["functions/connectors", "tests"], "vendor names stay with the vendor"),
    ("CallbackObjectRecId", &["functions/connectors", "tests"], "vendor names stay with the vendor"),
    ("env::var", &["functions/main.rs", "tests"], "settings are read once, in main"),
    ("../shared", &["tests", ".ci"], "the product does not know what checks it"),
];

/// Where a client and a grant come into being.
const MAKERS: &[&str] = &["functions/tenancy", "functions/connectors/client.rs", "functions/connectors/demo", "tests"];

const MAX_LINES: usize = 800;

#[test]
fn no_module_names_one_above_it() {
    let mut faults = Vec::new();
    for file in rust_files("functions") {
        let Some(own) = top_module(&file) else { continue };
        let Some(own_floor) = floor_of(&own) else {
            faults.push(format!("{}: module {own} has no floor; add it to design and FLOORS", file.display()));
            continue;
        };
        for (number, line) in code_lines(&file) {
            for other in named_modules(&line).into_iter().chain(named_from_inside(&file, &line)) {
                let Some(floor) = floor_of(&other) else { continue };
                let neighbor = floor == own_floor && other != own && !SAME_FLOOR.contains(&(own.as_str(), other.as_str()));
                if floor < own_floor || neighbor {
                    faults.push(format!("{}:{number}: {own} names {other}", file.display()));
                }
            }
        }
    }
    assert!(faults.is_empty(), "arrows that run up or sideways:\n{}", faults.join("\n"));
}

#[test]
fn no_file_is_longer_than_a_reader_can_hold() {
    let faults: Vec<_> = ["functions", "tests"]
        .into_iter()
        .flat_map(rust_files)
        .map(|file| (fs::read_to_string(&file).expect("readable").lines().count(), file))
        .filter(|(lines, _)| *lines > MAX_LINES)
        .map(|(lines, file)| format!("{}: {lines} lines", file.display()))
        .collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn names_stand_only_in_their_own_place() {
    let mut faults = Vec::new();
    for file in ["functions", "tests"].into_iter().flat_map(rust_files) {
        if file.ends_with("tests/tidy.rs") {
            continue;
        }
        for (number, line) in code_lines(&file) {
            for (what, allowed, why) in PLACES {
                if (line.contains(what) || line.to_lowercase().contains(what))
                    && !allowed.iter().any(|place| relative(&file).starts_with(place))
                {
                    faults.push(format!("{}:{number}: {what} ({why})", file.display()));
                }
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn every_file_says_what_it_is_for() {
    let faults: Vec<_> = ["functions", "tests"]
        .into_iter()
        .flat_map(rust_files)
        .filter(|file| !fs::read_to_string(file).expect("readable").starts_with("//!"))
        .map(|file| format!("{}: no header", file.display()))
        .collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn every_test_that_a_promise_names_is_there() {
    let promises = fs::read_to_string(root().join("tests/README.md")).expect("readable");
    let sources: String =
        ["functions", "tests"].into_iter().flat_map(rust_files).map(|f| fs::read_to_string(f).expect("readable")).collect();
    let rows = promises.lines().filter(|line| line.starts_with("| I"));
    let named: Vec<&str> =
        rows.flat_map(|row| row.split('`').skip(1).step_by(2)).filter(|name| name.contains('_') && !name.contains(['.', '/'])).collect();
    assert!(named.len() > 20, "the table of promises was not found");
    let faults: Vec<_> =
        named.iter().filter(|name| !(sources.contains(&format!("fn {name}(")) || sources.contains(&format!("mod {name};")))).collect();
    assert!(faults.is_empty(), "tests/README.md names tests that are not there: {faults:?}");
}

#[test]
fn the_top_level_holds_nothing_else() {
    let allowed = [
        "Cargo.toml",
        "Cargo.lock",
        "functions",
        "infra",
        "host.json",
        "local.settings.example.json",
        "tests",
        "README.md",
        "LICENSE",
        "rustfmt.toml",
        "clippy.toml",
        "deny.toml",
        "target",
        "data",
    ];
    let faults: Vec<_> = fs::read_dir(root())
        .expect("readable")
        .map(|entry| entry.expect("readable").file_name().to_string_lossy().into_owned())
        .filter(|name| !name.starts_with('.') && !allowed.contains(&name.as_str()))
        .collect();
    assert!(faults.is_empty(), "not part of the house: {}", faults.join(", "));
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn relative(file: &Path) -> &Path {
    file.strip_prefix(root()).expect("inside the project")
}

fn rust_files(folder: &str) -> Vec<PathBuf> {
    fn walk(folder: &Path, files: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).expect("readable") {
            let path = entry.expect("readable").path();
            if path.is_dir() {
                walk(&path, files);
            } else if path.extension().is_some_and(|e| e == "rs") {
                files.push(path);
            }
        }
    }
    let mut files = Vec::new();
    walk(&root().join(folder), &mut files);
    files.sort();
    files
}

/// `functions/gate/decide.rs` -> `gate`; the map of the house itself has no floor.
fn top_module(file: &Path) -> Option<String> {
    let first = relative(file).components().nth(1)?.as_os_str().to_string_lossy().into_owned();
    let name = first.trim_end_matches(".rs").to_owned();
    (name != "lib").then_some(name)
}

fn floor_of(module: &str) -> Option<usize> {
    FLOORS.iter().position(|floor| floor.contains(&module))
}

fn code_lines(file: &Path) -> Vec<(usize, String)> {
    let text = fs::read_to_string(file).expect("readable");
    text.lines().enumerate().filter(|(_, line)| !line.trim_start().starts_with("//")).map(|(n, line)| (n + 1, line.to_owned())).collect()
}

/// The modules of this package that a line names: after `crate::` or `assay::`, and as the first name of a line inside
/// a `use crate::{ .. }` list.
fn named_modules(line: &str) -> Vec<String> {
    let mut names: Vec<String> = ["crate::", "assay::"].iter().flat_map(|mark| line.split(mark).skip(1).flat_map(first_names)).collect();
    let trimmed = line.trim_start();
    let nested = line.len() - trimmed.len() == 4 && trimmed.split(['{', '}', ',', ';']).next().is_some_and(|t| t.contains("::"));
    if nested && trimmed.chars().next().is_some_and(char::is_lowercase) && !trimmed.contains('(') && !trimmed.contains('=') {
        names.extend(first_names(trimmed));
    }
    names
}

/// The top-level modules that a line reaches by going up all the way, as `super::super::gate` does from `readiness/draft.rs`.
fn named_from_inside(file: &Path, line: &str) -> Vec<String> {
    let parts = relative(file).components().count() - 1;
    let depth = if file.ends_with("mod.rs") { parts - 1 } else { parts };
    line.split(&"super::".repeat(depth)).skip(1).flat_map(first_names).collect()
}

fn first_names(text: &str) -> Vec<String> {
    let list = text.strip_prefix('{').unwrap_or(text);
    let parts: Vec<&str> = if text.starts_with('{') { list.split(',').collect() } else { vec![list] };
    parts
        .into_iter()
        .map(|part| part.trim_start().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>())
        .filter(|name| !name.is_empty())
        .collect()
}
