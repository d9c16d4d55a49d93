//! The crates of the program, as Cargo tells them in a checkout.
//!
//! `cargo tree` says which: it resolves features as a build does. `cargo metadata` resolves them with those of the tests
//! mixed in, so it is asked only where a crate lies, what its manifest says, and what it uses.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    process::Command,
};

use serde::Deserialize;

use super::{BillError, License, Part, licenses, lock};

const PLATFORM: &str = "x86_64-unknown-linux-gnu";
/// Those of this program, and never the demo: with it there is no package.
const FEATURES: &[&str] = if cfg!(feature = "fips") { &["--no-default-features", "--features=fips"] } else { &["--no-default-features"] };
/// Of this package itself, which is no part of itself.
const OWN: &str = env!("CARGO_PKG_NAME");

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
    resolve: Resolve,
}

#[derive(Deserialize)]
struct Package {
    id: String,
    name: String,
    version: String,
    license: Option<String>,
    repository: Option<String>,
    manifest_path: PathBuf,
}

#[derive(Deserialize)]
struct Resolve {
    nodes: Vec<Node>,
}

#[derive(Deserialize)]
struct Node {
    id: String,
    deps: Vec<Dependency>,
}

#[derive(Deserialize)]
struct Dependency {
    pkg: String,
    dep_kinds: Vec<DependencyKind>,
}

#[derive(Deserialize)]
struct DependencyKind {
    /// `None` for one of the program, else `build` or `dev`.
    kind: Option<String>,
}

/// Every crate but our own.
pub(super) struct Crates {
    pub(super) parts: Vec<Part>,
    /// The purls of what our own manifest names.
    pub(super) direct: Vec<String>,
}

pub(super) fn crates(checkout: &Path) -> Result<Crates, BillError> {
    let checksums = lock::checksums(checkout)?;
    let linked = tree(checkout, "normal,no-proc-macro")?;
    let built = tree(checkout, "normal,build")?;
    let told =
        run("cargo", &[&["metadata", "--locked", "--format-version=1", "--filter-platform", PLATFORM], FEATURES].concat(), checkout)?;
    let told: Metadata = serde_json::from_str(&told).map_err(|error| failed("cargo metadata", checkout, &error.to_string()))?;
    let purls: BTreeMap<&str, String> = told.packages.iter().map(|package| (package.id.as_str(), purl(package))).collect();
    let nodes: BTreeMap<&str, &Node> = told.resolve.nodes.iter().map(|node| (node.id.as_str(), node)).collect();
    let is_built = |id: &str| told.packages.iter().any(|package| package.id == id && built.contains(&key(package)));
    let used_by = |package: &Package| {
        let dependencies = nodes.get(package.id.as_str()).map_or(&[][..], |node| &node.deps);
        let used = dependencies.iter().filter(|used| used.is_for_the_program() && is_built(&used.pkg));
        used.map(|used| purls[used.pkg.as_str()].clone()).collect::<BTreeSet<_>>().into_iter().collect::<Vec<_>>()
    };
    let direct = told.packages.iter().find(|package| package.name == OWN).map(used_by).unwrap_or_default();
    let mut parts = Vec::new();
    for package in told.packages.iter().filter(|package| package.name != OWN && built.contains(&key(package))) {
        let license = package.license.as_deref().map(licenses::expression);
        let checksum = checksums.get(&(package.name.as_str(), package.version.as_str()));
        let folder = package.manifest_path.parent().unwrap_or(checkout);
        parts.push(Part {
            name: package.name.clone(),
            version: package.version.clone(),
            purl: purl(package),
            license: License::Spdx(license.ok_or_else(|| unnamed(package, "the licence"))?),
            checksum: Some((*checksum.ok_or_else(|| unnamed(package, "the checksum"))?).to_owned()),
            repository: package.repository.clone(),
            only_builds: !linked.contains(&key(package)),
            texts: licenses::texts_of(folder, package.repository.as_deref())?.ok_or_else(|| unnamed(package, "the licence's text"))?,
            uses: used_by(package),
        });
    }
    Ok(Crates { parts, direct })
}

impl Dependency {
    fn is_for_the_program(&self) -> bool {
        self.dep_kinds.iter().any(|kind| kind.kind.as_deref() != Some("dev"))
    }
}

fn unnamed(package: &Package, what: &'static str) -> BillError {
    BillError::Unnamed { name: format!("{} {}", package.name, package.version), what }
}

fn key(package: &Package) -> (String, String) {
    (package.name.clone(), package.version.clone())
}

/// <https://github.com/package-url/purl-spec>: `+` is no plain letter in a version.
fn purl(package: &Package) -> String {
    format!("pkg:cargo/{}@{}", package.name, package.version.replace('+', "%2B"))
}

/// Names and versions along these kinds of edges.
fn tree(checkout: &Path, edges: &str) -> Result<BTreeSet<(String, String)>, BillError> {
    let asked = ["tree", "--locked", "--quiet", "--prefix=none", "--format={p}", "--target", PLATFORM, "--edges", edges];
    let lines = run("cargo", &[&asked, FEATURES].concat(), checkout)?;
    let crates = lines.lines().filter_map(|line| {
        let mut words = line.split(' ');
        Some((words.next()?.to_owned(), words.next()?.strip_prefix('v')?.to_owned()))
    });
    Ok(crates.collect())
}

/// What a program of the toolchain says.
pub(super) fn run(program: &str, arguments: &[&str], folder: &Path) -> Result<String, BillError> {
    let command = format!("{program} {}", arguments.join(" "));
    let output = Command::new(program).args(arguments).current_dir(folder).output();
    let output = output.map_err(|error| failed(&command, folder, &error.to_string()))?;
    if !output.status.success() {
        return Err(failed(&command, folder, String::from_utf8_lossy(&output.stderr).trim()));
    }
    String::from_utf8(output.stdout).map_err(|error| failed(&command, folder, &error.to_string()))
}

fn failed(command: &str, folder: &Path, problem: &str) -> BillError {
    BillError::Command { command: command.to_owned(), folder: folder.to_owned(), problem: problem.to_owned() }
}
