//! The recipes in words: each is a test of ours that carries its id. Of a kind that is not built they are skipped by name
//! and counted, as places are.

use std::fs;

use super::cases::{Outcome, files, id};
use crate::tidy::rust_files;

/// Files of recipes; the other files are run as data.
const BUILT: [&str; 7] = ["approval_flows", "audit_tamper", "bodies", "envelope", "http_identity", "learning", "tenancy"];
const NOT_BUILT: [&str; 1] = ["archives"];

#[test]
fn each_recipe_in_words_is_a_test_that_carries_its_id() {
    let sources: Vec<String> =
        ["functions", "tests"].into_iter().flat_map(rust_files).map(|file| fs::read_to_string(file).expect("readable")).collect();
    let is_a_test = |id: &str| sources.iter().any(|source| source.contains(&format!("fn {}_", id.replace('-', "_"))));
    let mut outcome = Outcome::default();
    for stem in BUILT {
        let Some(files) = files(stem) else { return };
        for case in files.iter().flat_map(|(_, lines)| lines) {
            let missing =
                (!is_a_test(id(case))).then(|| format!("no test carries this id: {}", case["title"].as_str().unwrap_or_default()));
            outcome.add(id(case), missing);
        }
    }
    for stem in NOT_BUILT {
        for (_, lines) in files(stem).into_iter().flatten() {
            for case in &lines {
                outcome.skip(&format!("{stem} are not built: {}", id(case)));
            }
        }
    }
    outcome.end("recipes");
}
