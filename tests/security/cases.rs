//! The loader of cases given as data: every `STEM*.jsonl` of the folder in `ASSAY_SECURITY_CASES`, one JSON object a line.

use std::{fs, path::PathBuf};

use serde_json::Value;

use crate::support::shared;

/// The folder, or `None` where there is none and nobody demands it.
pub(super) fn folder() -> Option<PathBuf> {
    shared::dir("ASSAY_SECURITY_CASES", "security")
}

/// All lines of all `STEM*.jsonl`, file by file in the order of their names; a folder without any is a failure.
pub(super) fn files(stem: &str) -> Option<Vec<(String, Vec<Value>)>> {
    let folder = folder()?;
    let mut paths: Vec<PathBuf> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let name = |path: &PathBuf| path.file_name().unwrap().to_string_lossy().into_owned();
    paths.retain(|path| name(path).starts_with(stem) && path.extension().is_some_and(|extension| extension == "jsonl"));
    let files: Vec<_> = paths
        .iter()
        .map(|path| {
            let text = fs::read_to_string(path).unwrap();
            let lines = text.lines().filter(|line| !line.trim().is_empty());
            (name(path), lines.map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{}: {e}: {line}", name(path)))).collect())
        })
        .filter(|(_, lines): &(String, Vec<Value>)| !lines.is_empty())
        .collect();
    assert!(!files.is_empty(), "no {stem}*.jsonl with a line in {}", folder.display());
    Some(files)
}

pub(super) fn id(case: &Value) -> &str {
    case["id"].as_str().expect("a case has an id")
}

/// Whether `outcome` is what the case expects: a word is exact, `A-or-B` is either.
pub(super) fn expects(case: &Value, outcome: &str) -> bool {
    let expected = case["expect"].as_str().expect("a case says what it expects");
    expected == outcome || expected.split("-or-").any(|word| word == outcome)
}

/// What came out of a run, printed; fails with all that is wrong.
#[derive(Default)]
pub(super) struct Outcome {
    ran: usize,
    wrong: Vec<String>,
    skipped: std::collections::BTreeMap<String, usize>,
}

impl Outcome {
    pub(super) fn add(&mut self, id: &str, problem: Option<String>) {
        self.ran += 1;
        self.wrong.extend(problem.map(|problem| format!("{id}: {problem}")));
    }

    /// What is not looked at, such as a place that is not built.
    pub(super) fn skip(&mut self, what: &str) {
        *self.skipped.entry(what.to_owned()).or_default() += 1;
    }

    pub(super) fn end(self, what: &str) {
        for (place, times) in &self.skipped {
            println!("skipped: {place} ({times} times)");
        }
        println!("{what}: {} ran, {} wrong, {} skipped", self.ran, self.wrong.len(), self.skipped.values().sum::<usize>());
        assert!(self.wrong.is_empty(), "{} of {} {what}:\n{}", self.wrong.len(), self.ran, self.wrong.join("\n"));
        assert!(self.ran > 0, "{what}: none ran");
    }
}
