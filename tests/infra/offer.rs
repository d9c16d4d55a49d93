//! The two offers, as `infra/offer` makes them: one source of the pages, of which the managed plan leaves out what nobody
//! can answer there.

use std::{fs, path::Path, process::Command};

use serde_json::Value;
use zip::ZipArchive;

use super::{file, template, ttk};

fn pages(folder: &Path, plan: &str) -> Value {
    let offer = fs::File::open(folder.join(plan)).unwrap_or_else(|error| panic!("{plan}: {error}"));
    serde_json::from_reader(ZipArchive::new(offer).unwrap().by_name("createUiDefinition.json").unwrap()).unwrap()
}

#[test]
fn infra_the_managed_plan_asks_for_no_vault_of_ones_own_and_for_all_else_as_the_solution_template_does() {
    let folder = tempfile::tempdir().unwrap();
    // What the program is does not matter to the pages.
    let program = folder.path().join("assay.zip");
    fs::write(&program, "a program").unwrap();
    let made = Command::new(file("offer")).arg(folder.path()).env("ASSAY_ZIP", &program).output().unwrap();
    assert!(made.status.success(), "infra/offer needs bash and Python 3: {}", String::from_utf8_lossy(&made.stderr));

    let committed = template::json(&file("marketplace/createUiDefinition.json")).unwrap();
    let mut solution = pages(folder.path(), "assay-solution-template.zip");
    assert_eq!(solution, committed, "the solution template's pages are the committed ones");
    let managed = pages(folder.path(), "assay-managed-application.zip");

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
