//! The table of OWASP ASVS 5.0 in README.md: it has every requirement we hold ourselves to once, at its place and with its
//! level; its counts are true; and each test and file that it names is there. Whether a test holds what its row asks is for
//! readers to judge.

use std::{collections::BTreeMap, fs};

use crate::tidy::{root, rust_files};

/// By chapter and section the level of each requirement, in the order of their numbers. `-` is one that we do not hold
/// ourselves to: L3, outside of V2, V8, V9, V11 and V16.
const LEVELS: [&str; 17] = [
    "22 111112222 11222222222 222 12",
    "122 112 12223 23",
    "- 11 1222 112222 11122 - 22",
    "122 2 22 1222",
    "2 112 11 222",
    "122 111111112222 1122 1122 22222 222 - 2222",
    "222 1111 22 11222 22 22",
    "1233 1123 133 23",
    "111 1222",
    "22 22 2222 11111222222 22222 22 222",
    "2233 22233 11233 1222 23 23 33",
    "122 11 2222",
    "2 22222 22 12222",
    "22 1222 122",
    "122 122 1222222 -",
    "2 22222 2222 222 2223",
    "2 2222 22",
];

/// A verdict, and how an answer of it begins.
const VERDICTS: [(&str, &str); 5] = [
    ("test", "`"),
    ("by construction", "by construction: "),
    ("not built", "not built: "),
    ("whoever deploys", "whoever deploys: "),
    ("OPEN", "OPEN: "),
];

const MOST_WORDS: usize = 12;

struct Row {
    /// Of one requirement; of several only where a whole chapter has one answer.
    ids: Vec<String>,
    level: String,
    asks: String,
    answer: String,
}

impl Row {
    fn verdict(&self) -> Option<&'static str> {
        VERDICTS.iter().find(|(_, begins)| self.answer.starts_with(begins)).map(|(verdict, _)| *verdict)
    }
}

fn readme() -> String {
    fs::read_to_string(root().join("tests/security/README.md")).expect("readable")
}

fn rows() -> Vec<Row> {
    let cells = |line: &str| line.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect::<Vec<_>>();
    let row = |line: &str| {
        let [ids, level, asks, answer] = <[String; 4]>::try_from(cells(line)).unwrap_or_else(|_| panic!("not four cells: {line}"));
        Row { ids: ids.split(", ").flat_map(each).collect(), level, asks, answer }
    };
    readme().lines().filter(|line| line.starts_with("| V")).map(row).collect()
}

/// `V17.2.1-V17.2.4` is four.
fn each(ids: &str) -> Vec<String> {
    let Some((first, last)) = ids.split_once('-') else { return vec![ids.to_owned()] };
    let number = |id: &str| id.rsplit_once('.').and_then(|(section, n)| Some((section.to_owned(), n.parse::<usize>().ok()?)));
    let (Some((section, from)), Some((same, to))) = (number(first), number(last)) else { panic!("no range: {ids}") };
    assert_eq!(section, same, "a range lies within one section");
    (from..=to).map(|n| format!("{section}.{n}")).collect()
}

fn required() -> Vec<(String, String)> {
    let mut all = Vec::new();
    for (chapter, sections) in (1..).zip(LEVELS) {
        for (section, levels) in (1..).zip(sections.split(' ')) {
            let held = (1..).zip(levels.chars()).filter(|(_, level)| *level != '-');
            all.extend(held.map(|(n, level): (usize, char)| (format!("V{chapter}.{section}.{n}"), level.to_string())));
        }
    }
    all
}

#[test]
fn asvs_every_requirement_stands_in_the_table_once_with_its_level() {
    let found: Vec<_> = rows().into_iter().flat_map(|row| row.ids.into_iter().map(move |id| (id, row.level.clone()))).collect();
    let required = required();
    for (id, level) in &required {
        let times = found.iter().filter(|(there, _)| there == id).count();
        assert_eq!(times, 1, "{id} (level {level})");
    }
    assert_eq!(found, required, "the order of the standard, and its levels");
    for row in rows() {
        assert!(row.asks.split_whitespace().count() <= MOST_WORDS, "in few words of our own: {:?}", row.ids);
        assert!(row.verdict().is_some(), "{:?}: {}", row.ids, row.answer);
    }
}

#[test]
fn asvs_every_test_and_file_that_the_table_names_is_there() {
    let sources: String =
        ["functions", "tests"].into_iter().flat_map(rust_files).map(|file| fs::read_to_string(file).expect("readable")).collect();
    let is_path = |name: &str| name.contains(['/', '.']) && !name.contains(' ');
    let is_test = |name: &str| name.contains('_') && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
    let mut faults = Vec::new();
    for row in rows() {
        let (mut tests, mut paths) = (0, 0);
        for name in row.answer.split('`').skip(1).step_by(2) {
            let there = if is_path(name) {
                paths += 1;
                root().join(name).exists()
            } else if is_test(name) {
                tests += 1;
                sources.contains(&format!("fn {name}("))
            } else {
                true
            };
            if !there {
                faults.push(format!("{}: {name}", row.ids[0]));
            }
        }
        if row.verdict() == Some("test") && tests + paths == 0 {
            faults.push(format!("{}: a test without a name", row.ids[0]));
        }
    }
    assert!(faults.is_empty(), "not there:\n{}", faults.join("\n"));
}

#[test]
fn asvs_the_counts_of_the_head_are_those_of_the_table() {
    let mut counted = BTreeMap::new();
    for row in rows() {
        *counted.entry(row.verdict().expect("a verdict")).or_insert(0) += row.ids.len();
    }
    let (readme, all) = (readme(), required().len());
    let said = |verdict: &str| {
        let line =
            readme.lines().find(|line| line.starts_with(&format!("| {verdict} |"))).unwrap_or_else(|| panic!("no count of {verdict}"));
        line.trim_end_matches(['|', ' ']).rsplit(' ').next().and_then(|count| count.parse::<usize>().ok()).expect("a number")
    };
    for (verdict, _) in VERDICTS {
        assert_eq!(said(verdict), counted.get(verdict).copied().unwrap_or_default(), "{verdict}");
    }
    assert_eq!(said("all"), all);
}
