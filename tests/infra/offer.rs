//! The two offers, as `infra/offer` makes them: one source of the pages, of which the managed plan leaves out what nobody
//! can answer there; and one template, in which each plan has the tracking id that Partner Center gave it. What has none is
//! not called as if it could be published.

use std::{
    fs,
    io::Write as _,
    path::Path,
    process::{Command, Output},
};

use assay::tenancy::seal::sha256;
use serde_json::{Value, json};
use zip::{ZipArchive, ZipWriter, write::SimpleFileOptions};

use super::{COMPILED, file, template, ttk};

const SOLUTION: &str = "0b7c8f52-91d4-4a55-8a3f-6d0f5c2e7a10";
const MANAGED: &str = "c41e6a7d-2f38-4b0a-9e65-18d3b7f09c22";

/// What does not depend on the program is looked at: it is any, and nothing is built.
fn offer(folder: &Path, options: &[&str]) -> Output {
    let program = folder.with_extension("program");
    package(&program, "a program", "default");
    offer_of(&program, folder, options)
}

fn offer_of(program: &Path, folder: &Path, options: &[&str]) -> Output {
    Command::new(file("offer")).arg(folder).args(options).env("ASSAY_ZIP", program).output().expect("bash and Python 3")
}

fn made(folder: &Path, options: &[&str]) -> String {
    let made = offer(folder, options);
    assert!(made.status.success(), "infra/offer {options:?}: {}", String::from_utf8_lossy(&made.stderr));
    String::from_utf8(made.stdout).unwrap()
}

fn names(folder: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn inside(folder: &Path, plan: &str, name: &str) -> Value {
    let offer = fs::File::open(folder.join(plan)).unwrap_or_else(|error| panic!("{plan}: {error}"));
    serde_json::from_reader(ZipArchive::new(offer).unwrap().by_name(name).unwrap()).unwrap()
}

/// The one deployment of the template that tells the Marketplace whose it is.
fn attribution(template: &mut Value) -> &mut Value {
    let mut found: Vec<_> = template["resources"]
        .as_array_mut()
        .unwrap()
        .iter_mut()
        .map(|resource| &mut resource["name"])
        .filter(|name| name.as_str().is_some_and(|name| name.starts_with("pid-")))
        .collect();
    assert_eq!(found.len(), 1, "{found:?}");
    found.remove(0)
}

#[test]
fn infra_the_managed_plan_asks_for_no_vault_of_ones_own_and_for_all_else_as_the_solution_template_does() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().join("offer");
    made(&folder, &["--tracking-solution", SOLUTION, "--tracking-managed", MANAGED]);
    let pages = |plan| inside(&folder, plan, "createUiDefinition.json");

    let committed = template::json(&file("marketplace/createUiDefinition.json")).unwrap();
    let mut solution = pages("assay-solution-template.zip");
    assert_eq!(solution, committed, "the solution template's pages are the committed ones");
    let managed = pages("assay-managed-application.zip");

    let steps = solution["parameters"]["steps"].as_array_mut().unwrap();
    let keys = steps.iter().position(|step| step["name"] == "keys").expect("the step about keys");
    let asked: Vec<_> = steps.remove(keys)["elements"].as_array().unwrap().iter().map(|one| one["name"].clone()).collect();
    assert_eq!(asked, ["ownKey", "ownVaultName", "ownKeyUri"], "all that is asked about keys");
    let outputs = solution["parameters"]["outputs"].as_object_mut().unwrap();
    for name in ["ownVaultName", "ownKeyUri"] {
        assert!(outputs.remove(name).is_some(), "{name} is given to the solution template");
    }
    assert_eq!(managed, solution, "and nothing else is left out or otherwise");
    assert_eq!(ttk::ui::refused(&managed), Vec::<String>::new(), "certification takes it");
}

#[test]
fn infra_each_plan_is_published_under_its_own_tracking_id_and_nothing_is_without_one() {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path().join("offer");
    let mut committed = template::json(&file(COMPILED)).unwrap();

    let said = made(&folder, &[]);
    assert!(said.contains("DO NOT PUBLISH"), "{said}");
    let unpublished = ["assay-managed-application.unpublished.zip", "assay-solution-template.unpublished.zip"];
    assert_eq!(names(&folder), unpublished);
    for plan in unpublished {
        assert_eq!(inside(&folder, plan, "mainTemplate.json"), committed, "{plan} is the template as it is committed");
    }

    // As Partner Center shows it, or the GUID alone.
    let url = "https://downloads.example.com/0.2.0/assay.zip";
    let shown = format!("pid-{MANAGED}-partnercenter");
    let said = made(&folder, &["--tracking-solution", &SOLUTION.to_uppercase(), "--tracking-managed", &shown, "--program-url", url]);
    assert!(!said.contains("PUBLISH") && !said.contains("--program-url"), "nothing is left to say: {said}");
    assert_eq!(names(&folder), ["assay-managed-application.zip", "assay-solution-template.zip"], "those to look at are gone");
    committed["parameters"]["programUrl"]["defaultValue"] = url.into();
    for (plan, id) in [("assay-solution-template.zip", SOLUTION), ("assay-managed-application.zip", MANAGED)] {
        *attribution(&mut committed) = format!("pid-{id}-partnercenter").into();
        assert_eq!(inside(&folder, plan, "mainTemplate.json"), committed, "{plan}: nothing else is otherwise");
    }

    made(&folder, &[]);
    assert_eq!(names(&folder), unpublished, "none of a run before lies beside them, to be taken for one of this");
}

#[test]
fn infra_the_managed_plan_alone_bills_by_use_when_the_publisher_says_so() {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path().join("offer");
    let committed = template::json(&file(COMPILED)).unwrap();
    let template_of = |plan: &str| inside(&folder, &format!("assay-{plan}.unpublished.zip"), "mainTemplate.json");
    let metered = |plan, dimension, included| {
        let mut template = committed.clone();
        for (name, value) in [("meteringPlan", json!(plan)), ("meteringDimension", json!(dimension)), ("meteringIncluded", json!(included))]
        {
            template["parameters"][name]["defaultValue"] = value;
        }
        template
    };

    made(&folder, &["--metering-plan", "by-client", "--metering-dimension", "tenants", "--metering-included", "3"]);
    assert_eq!(template_of("managed-application"), metered("by-client", "tenants", 3));
    assert_eq!(template_of("solution-template"), committed, "who owns the group alone is never billed by use");

    made(&folder, &["--metering-plan", "by-client"]);
    assert_eq!(template_of("managed-application"), metered("by-client", "clients", 0), "what is not said stays as it is committed");
}

#[test]
fn infra_an_offer_with_a_wrong_word_is_refused_before_anything_is_made() {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path().join("offer");
    let mut committed = template::json(&file(COMPILED)).unwrap();
    let nobodys = attribution(&mut committed).as_str().unwrap().to_owned();

    let upper = SOLUTION.to_uppercase();
    let short = &SOLUTION[..35];
    let unhexed = SOLUTION.replace('b', "g");
    for (options, why) in [
        (vec!["--tracking-solution", SOLUTION], "or neither"),
        (vec!["--tracking-managed", MANAGED], "or neither"),
        (vec!["--tracking-solution", SOLUTION, "--tracking-managed", SOLUTION], "Partner Center shows one for each"),
        (vec!["--tracking-solution", SOLUTION, "--tracking-managed", &upper], "Partner Center shows one for each"),
        (vec!["--tracking-solution", short, "--tracking-managed", MANAGED], "--tracking-solution wants the GUID"),
        (vec!["--tracking-solution", &unhexed, "--tracking-managed", MANAGED], "--tracking-solution wants the GUID"),
        (vec!["--tracking-solution", SOLUTION, "--tracking-managed", "assay"], "--tracking-managed wants the GUID"),
        (vec!["--tracking-solution", SOLUTION, "--tracking-managed", &nobodys], "say the plan's own"),
        (vec!["--tracking-solution", SOLUTION, "--tracking-managed"], "wants a GUID"),
        (vec!["--program-url", "http://downloads.example.com/assay.zip"], "wants an https address"),
        (vec!["--metering-plan", "by client"], "by client is no id of a plan"),
        (vec!["--metering-plan", "by-client", "--metering-dimension", "clients,seats"], "clients,seats is no id of a plan or a dimension"),
        (vec!["--metering-plan", "by-client", "--metering-included", "-1"], "wants a whole number"),
        (vec!["--metering-included", "3"], "go with --metering-plan"),
        (vec!["--metering-dimension", "seats"], "go with --metering-plan"),
        (vec!["--tracking-id", SOLUTION], "--tracking-id is not known"),
    ] {
        let refused = offer(&folder, &options);
        let said = String::from_utf8_lossy(&refused.stderr);
        assert!(!refused.status.success() && said.contains(why), "{options:?} should be refused with {why:?}: {said}");
        assert_eq!(names(&folder), Vec::<String>::new(), "{options:?}");
    }
}

/// A package as far as it says what its program is: the program, and the SHA-256 and the cryptography of the bill.
fn package(to: &Path, of: &str, cryptography: &str) {
    let property = json!({ "name": "assay:cryptography", "value": cryptography });
    let own = json!({ "hashes": [{ "alg": "SHA-256", "content": sha256(of.as_bytes()) }], "properties": [property] });
    let bill = json!({ "metadata": { "component": own } }).to_string();
    let mut zip = ZipWriter::new(fs::File::create(to).unwrap());
    for (name, text) in [("assay", "a program"), ("legal/sbom.cdx.json", &bill)] {
        zip.start_file(name, SimpleFileOptions::default()).unwrap();
        zip.write_all(text.as_bytes()).unwrap();
    }
    zip.finish().unwrap();
}

#[test]
fn infra_an_offer_for_where_cui_lies_takes_only_a_program_that_says_it_has_the_fips_module() {
    let place = tempfile::tempdir().unwrap();
    let (folder, program) = (place.path().join("offer"), place.path().join("assay.zip"));
    let refused = |options: &[&str], why: &str| {
        let refused = offer_of(&program, &folder, options);
        let said = String::from_utf8_lossy(&refused.stderr);
        assert!(!refused.status.success() && said.contains(why) && said.contains("infra/package"), "{why:?}: {said}");
        assert_eq!(names(&folder), Vec::<String>::new(), "{why}");
    };
    fs::write(&program, "a program").unwrap();
    refused(&[], "is no package");
    package(&program, "another program", "fips");
    refused(&["--fips"], "the bill of materials is of another program");
    package(&program, "a program", "default");
    refused(&["--fips"], "its bill of materials says default");

    package(&program, "a program", "fips");
    let taken = offer_of(&program, &folder, &["--fips"]);
    let said = String::from_utf8_lossy(&taken.stdout);
    assert!(taken.status.success() && !said.contains("Azure Government"), "{said} {}", String::from_utf8_lossy(&taken.stderr));
    let offered = fs::File::open(folder.join("assay-managed-application.unpublished.zip")).unwrap();
    assert_eq!(ZipArchive::new(offered).unwrap().by_name("app/assay.zip").unwrap().size(), fs::metadata(&program).unwrap().len());

    let without = String::from_utf8(offer(&folder, &[]).stdout).unwrap();
    assert!(without.contains("tick Azure Government for neither plan"), "{without}");
}
