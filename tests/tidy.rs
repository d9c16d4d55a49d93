//! The house rules as a test: floors, file sizes, and names that may stand only in their own place.
//!
//! A rule that this file does not check is a wish. Text is searched line by line, comments left out and every `use` in
//! whole paths, so a rule can be tripped by a word in a string; that is meant.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// Top-level modules by floor, from the top; a module may name modules of lower floors, and itself.
const FLOORS: &[&[&str]] = &[
    &["main"],
    &["assemble", "host"],
    &["triggers"],
    &["readiness", "training", "connectors", "custody"],
    &["gate", "evidence", "analytics", "metering"],
    &["analyst", "audit", "web", "mesh"],
    &["tenancy", "oscal"],
    &["app", "config"],
    &["platform"],
];

/// Inside one floor, who may use whom: everything else on the same floor is a neighbor's inside.
const SAME_FLOOR: &[(&str, &str)] =
    &[("host", "assemble"), ("app", "config"), ("gate", "evidence"), ("analytics", "gate"), ("web", "audit")];

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
    ("Grant::of(", MAKERS, "a scope is made of a grant that was read, never of an id"),
    (
        "SwitchedOff::of(",
        &["functions/tenancy", "functions/custody/offboarding", "tests"],
        "a scope is made of a switch that was read, never of an id",
    ),
    ("MappedCompany::confirmed", &["functions/connectors/mapping.rs", "functions/connectors/demo", "tests"], "a person maps a company"),
    (
        "Continuation(",
        &["functions/platform", "functions/tenancy", "functions/connectors/mapping.rs", "functions/custody", "functions/audit", "tests"],
        "a store's own continuation never goes to a browser",
    ),
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
        for (number, line) in code_lines(&fs::read_to_string(&file).expect("readable")) {
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
        for (number, line) in code_lines(&fs::read_to_string(&file).expect("readable")) {
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
    let (_, table) = promises.split_once("| promise | tests | also |").expect("the table of promises");
    let rows = table.lines().skip(2).take_while(|line| line.starts_with('|'));
    let named: Vec<&str> =
        rows.flat_map(|row| row.split('`').skip(1).step_by(2)).filter(|name| name.contains('_') && !name.contains(['.', '/'])).collect();
    assert!(named.len() > 20, "the table of promises was not found");
    let faults: Vec<_> = named.iter().filter(|name| !(is_a_test(&sources, name) || sources.contains(&format!("mod {name};")))).collect();
    assert!(faults.is_empty(), "tests/README.md names tests that are not there: {faults:?}");
}

/// Whether a function of this name is a test, and one that runs: the attributes over it say so.
fn is_a_test(sources: &str, name: &str) -> bool {
    let Some((before, _)) = sources.split_once(&format!("fn {name}(")) else { return false };
    let above = before.rsplit_once('\n').map_or("", |(above, _)| above);
    let over: Vec<&str> = above.lines().rev().map(str::trim).take_while(|line| line.starts_with('#') || line.starts_with("//")).collect();
    let is = |words: &str| over.iter().any(|line| line.starts_with('#') && line.contains(words));
    is("test") && !is("ignore")
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

pub(crate) fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn relative(file: &Path) -> &Path {
    file.strip_prefix(root()).expect("inside the project")
}

pub(crate) fn rust_files(folder: &str) -> Vec<PathBuf> {
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

/// Numbered lines without comments; a `use` is one line for each path that it names, however it is broken.
fn code_lines(text: &str) -> Vec<(usize, String)> {
    let mut lines = text.lines().enumerate().map(|(n, line)| (n + 1, line)).filter(|(_, line)| !line.trim_start().starts_with("//"));
    let mut found = Vec::new();
    while let Some((number, line)) = lines.next() {
        let Some(start) = start_of_use(line) else {
            found.push((number, line.to_owned()));
            continue;
        };
        let mut tree = start.to_owned();
        while !tree.ends_with(';') {
            let Some((_, more)) = lines.next() else { break };
            tree.push_str(without_remark(more));
        }
        found.extend(paths(tree.trim_end_matches(';')).into_iter().map(|path| (number, path)));
    }
    found
}

/// What follows `use` on a line that begins one: it ends there, or its list goes on.
fn start_of_use(line: &str) -> Option<&str> {
    let line = without_remark(line);
    let after_pub = line.strip_prefix("pub").map_or(line, |rest| rest.split_once(')').map_or(rest, |(_, rest)| rest).trim_start());
    after_pub.strip_prefix("use ").filter(|rest| rest.ends_with([';', '{']))
}

fn without_remark(line: &str) -> &str {
    line.split(" //").next().unwrap_or_default().trim()
}

/// `a::{b, c::{d, e as f}}` -> `a::b`, `a::c::d`, `a::c::e`.
fn paths(tree: &str) -> Vec<String> {
    let Some((before, list)) = tree.split_once('{') else {
        let path = tree.split(" as ").next().unwrap_or_default().trim();
        return if path.is_empty() { Vec::new() } else { vec![path.to_owned()] };
    };
    let list = list.rsplit_once('}').map_or(list, |(list, _)| list);
    let mut depth = 0;
    let parts = list.split(|c| {
        depth += i32::from(c == '{') - i32::from(c == '}');
        c == ',' && depth == 0
    });
    parts.flat_map(paths).map(|path| format!("{}{path}", before.trim())).collect()
}

#[test]
fn no_form_of_an_import_hides_what_it_names() {
    let text = r"
use std::io; // crate::web
pub(crate) use crate::{
    app::App,
    // gate,
    platform::{
        local::{disk::Disk, vault as keys},
        ports,
    },
    readiness,
};
let here = crate::mesh::of(super::tenancy::Scope);";
    let lines = code_lines(text);
    let found: Vec<&str> = lines.iter().map(|(_, line)| line.trim()).collect();
    let imports = ["crate::app::App", "crate::platform::local::disk::Disk", "crate::platform::local::vault", "crate::platform::ports"];
    assert_eq!(found[..2], ["", "std::io"]);
    assert_eq!(found[2..6], imports);
    assert_eq!(found[6], "crate::readiness");
    assert_eq!((lines[6].0, lines[7].0), (3, 12));
    let named: Vec<String> = lines.iter().flat_map(|(_, line)| named_modules(line)).collect();
    assert_eq!(named, ["app", "platform", "platform", "platform", "readiness", "mesh"]);
}

/// The modules of this package that a line names: after `crate::` or `assay::`.
fn named_modules(line: &str) -> Vec<String> {
    ["crate::", "assay::"].iter().flat_map(|mark| line.split(mark).skip(1).filter_map(first_name)).collect()
}

/// The top-level modules that a line reaches by going up all the way, as `super::super::gate` does from `readiness/draft.rs`.
fn named_from_inside(file: &Path, line: &str) -> Vec<String> {
    let parts = relative(file).components().count() - 1;
    let depth = if file.ends_with("mod.rs") { parts - 1 } else { parts };
    line.split(&"super::".repeat(depth)).skip(1).filter_map(first_name).collect()
}

fn first_name(text: &str) -> Option<String> {
    let name: String = text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
    (!name.is_empty()).then_some(name)
}
