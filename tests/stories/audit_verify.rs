//! An export that was touched anywhere does not verify, and the first broken entry is named.

use std::io::Cursor;

use assay::audit::{
    Item, chain, format, leaf,
    verify::{Fault, Report, VerifyError, verify},
};
use assay::tenancy::{Actor, PersonId, seal::DataKey};
use proptest::prelude::*;
use serde_json::json;
use time::{Duration, OffsetDateTime, macros::datetime};
use uuid::Uuid;

const OWNER: &str = "0192f0c1a2b3c4d5e6f708192a3b4c5d";

/// The lines of a good export, each with its line feed. Every second entry is disclosed.
fn export(entries: u64, demo: bool) -> Vec<Vec<u8>> {
    let items: Vec<Item> = (0..entries).map(item).collect();
    export_of(&items, demo)
}

fn export_of(items: &[Item], demo: bool) -> Vec<Vec<u8>> {
    let key = DataKey::new(&[3; 32]).unwrap();
    let mut hash = chain::start(OWNER);
    let mut lines = vec![Vec::new()];
    for (seq, item) in (0..).zip(items) {
        let written = leaf::write(item, &key).unwrap();
        let previous = hash;
        hash = chain::link(&previous, &written.leaf);
        let disclosed = (seq % 2 == 1).then_some(format::Disclosed { salt: item.salt, content: written.content });
        lines.push(line(&format::Line { seq, leaf: written.leaf, previous, hash, disclosed }));
    }
    lines[0] = line(&format::Header {
        format: format::FORMAT.into(),
        version: format::VERSION,
        owner: OWNER.into(),
        exported_at: datetime!(2026-03-02 08:00 UTC),
        release: "0.1.0".into(),
        demo,
        notice: demo.then(|| format::DEMO_NOTICE.into()),
        entries: items.len() as u64,
        head: hash,
    });
    ended(lines)
}

/// With an end line that fits, as somebody who covers traces would write it.
fn ended(mut lines: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
    let sha256 = chain::Hash::over(&lines.iter().map(Vec::as_slice).collect::<Vec<_>>());
    lines.push(line(&format::End { end: format::FORMAT.into(), sha256 }));
    lines
}

fn line(value: &impl serde::Serialize) -> Vec<u8> {
    let mut bytes = serde_json::to_vec(value).unwrap();
    bytes.push(b'\n');
    bytes
}

fn item(n: u64) -> Item {
    Item {
        id: Uuid::from_u128(u128::from(n) + 1),
        at: datetime!(2026-03-01 09:30 UTC) + Duration::seconds(i64::try_from(n % 7).unwrap()),
        kind: ["proposal.staged", "proposal.approved", "signed.in"][usize::try_from(n % 3).unwrap()].into(),
        object: format!("proposal {n}"),
        actor: if n.is_multiple_of(2) { Actor::Function("analyze".into()) } else { Actor::Person(PersonId(Uuid::from_u128(77))) },
        correlation: if n.is_multiple_of(5) { String::new() } else { format!("c-{n}") },
        detail: json!({ "comment": format!("wörds \"quoted\" {n}"), "who": "Dana Whitfield" }),
        salt: chain::Hash::over(&[&n.to_be_bytes()]),
        link: None,
    }
}

fn check(lines: &[Vec<u8>]) -> Result<Report, VerifyError> {
    verify(Cursor::new(lines.concat()))
}

fn fault(lines: &[Vec<u8>]) -> (u64, Fault) {
    match check(lines) {
        Err(VerifyError::Entry { seq, fault, .. }) => (seq, fault),
        other => panic!("expected a broken entry, got {other:?}"),
    }
}

/// Changes an entry line as its struct and closes the file again with an end that fits.
fn edited(n: usize, edit: impl FnOnce(&mut format::Line)) -> Vec<Vec<u8>> {
    let mut lines = export(6, false);
    let mut entry: format::Line = serde_json::from_slice(&lines[n + 1]).unwrap();
    edit(&mut entry);
    lines[n + 1] = line(&entry);
    lines.pop();
    ended(lines)
}

#[test]
fn a_good_export_verifies_and_says_what_is_in_it() {
    let report = check(&export(9, false)).unwrap();
    assert_eq!(report.header.entries, 9);
    assert_eq!(report.disclosed, 4);
    assert_eq!(report.kinds.values().sum::<u64>(), 9);
    let (first, last): (OffsetDateTime, OffsetDateTime) = report.times.unwrap();
    assert_eq!((first, last), (datetime!(2026-03-01 09:30 UTC), datetime!(2026-03-01 09:30:06 UTC)));
    assert!(!report.to_string().contains("DEMO"));
    let empty = check(&export(0, true)).unwrap();
    assert_eq!((empty.header.entries, empty.times), (0, None));
    assert!(empty.to_string().starts_with("DEMO"));
}

#[test]
fn no_bit_of_an_export_can_flip_unnoticed() {
    let whole = export(3, true).concat();
    for at in 0..whole.len() {
        for bit in 0..8 {
            let mut bytes = whole.clone();
            bytes[at] ^= 1 << bit;
            assert!(verify(Cursor::new(&bytes)).is_err(), "bit {bit} of byte {at} flipped unnoticed");
        }
    }
}

#[test]
fn an_export_cut_off_anywhere_or_with_something_behind_it_is_refused() {
    let whole = export(3, false).concat();
    for length in 0..whole.len() {
        assert!(verify(Cursor::new(&whole[..length])).is_err(), "cut off after {length} bytes");
    }
    for more in ["x", "\n", " ", "{}\n"] {
        assert!(verify(Cursor::new([&whole, more.as_bytes()].concat())).is_err(), "{more:?} behind the end");
    }
}

#[test]
fn of_the_last_line_it_is_said_whether_it_is_missing_an_entry_or_nothing_of_ours() {
    let (mut entries, entry) = (export(3, false), export(4, false).remove(4));
    entries.pop();
    let why = |last: &[u8]| check(&[entries.as_slice(), &[last.to_vec()]].concat()).unwrap_err().to_string();
    assert!(why(b"").contains("its last line is missing"));
    assert!(why(&entry).contains("more entries follow than the header promises"));
    assert!(why(b"{}\n").contains("does not have the form"));
}

#[test]
fn the_first_broken_entry_is_named_with_what_is_wrong_even_when_the_end_was_made_to_fit() {
    let other = chain::Hash::over(&[b"other"]);
    assert_eq!(fault(&edited(2, |e| e.leaf = e.leaf.replace("proposal 2", "proposal 3"))), (2, Fault::Hash));
    assert_eq!(fault(&edited(3, |e| e.hash = other)), (3, Fault::Hash));
    assert_eq!(fault(&edited(4, |e| e.previous = other)), (4, Fault::Previous));
    assert_eq!(fault(&edited(1, |e| e.seq = 9)), (1, Fault::Order(9)));
    assert_eq!(fault(&edited(5, |e| e.disclosed.as_mut().unwrap().content.push(' '))), (5, Fault::Disclosed));
    assert_eq!(fault(&edited(5, |e| e.disclosed.as_mut().unwrap().salt = other)), (5, Fault::Disclosed));
    let message = check(&edited(3, |e| e.hash = other)).unwrap_err().to_string();
    assert!(message.starts_with("entry 3 (line 5) is broken: "), "{message}");
}

#[test]
fn a_leaf_that_hides_something_is_refused_although_its_hash_fits() {
    let rehashed = |edit: &dyn Fn(&str) -> String| {
        fault(&edited(0, |e| {
            e.leaf = edit(&e.leaf);
            e.hash = chain::link(&e.previous, &e.leaf);
        }))
    };
    let form = (0, Fault::Leaf(leaf::LeafError::Form));
    assert_eq!(rehashed(&|l| l.replacen("{\"v\":1", "{\"v\":1,\"v\":1", 1)), form);
    assert_eq!(rehashed(&|l| l.replacen("{\"v\":1", "{\"v\":1,\"note\":\"\"", 1)), form);
    assert_eq!(rehashed(&|l| l.replacen("proposal", "\\u0070roposal", 1)), form);
    assert_eq!(rehashed(&|l| l.replacen("{\"v\":1", "{\"v\":7", 1)), (0, Fault::Leaf(leaf::LeafError::Version(7))));
}

#[test]
fn an_item_that_stands_in_the_log_twice_is_found_although_the_chain_holds() {
    assert_eq!(fault(&export_of(&[item(0), item(1), item(0)], false)), (2, Fault::Twice));
}

#[test]
fn a_changed_header_is_found_although_the_end_was_made_to_fit() {
    let with = |edit: &dyn Fn(&mut format::Header)| {
        let mut lines = export(4, false);
        let mut header: format::Header = serde_json::from_slice(&lines[0]).unwrap();
        edit(&mut header);
        lines[0] = line(&header);
        lines.pop();
        check(&ended(lines)).unwrap_err()
    };
    assert!(matches!(with(&|h| h.owner = "deployment".into()), VerifyError::Entry { seq: 0, fault: Fault::Previous, .. }));
    assert!(matches!(with(&|h| h.head = chain::start("x")), VerifyError::Head { .. }));
    assert!(matches!(with(&|h| h.entries = 5), VerifyError::CutOff { promised: 5, found: 4 }));
    assert!(matches!(with(&|h| h.entries = 3), VerifyError::Head { .. }));
    assert!(matches!(with(&|h| h.version = 2), VerifyError::Version(2)));
    assert!(matches!(with(&|h| h.demo = true), VerifyError::NotAnExport));
    assert!(matches!(with(&|h| h.format = "another-log".into()), VerifyError::NotAnExport));
}

#[test]
fn a_demo_whose_header_was_rewritten_is_a_demo_by_its_own_entry() {
    let marked = Item { kind: "demo.marked".into(), object: "store".into(), ..item(0) };
    let report = check(&export_of(&[marked, item(1)], false)).unwrap();
    assert_eq!((report.header.demo, report.is_demo()), (false, true));
    let words = report.to_string();
    assert!(words.starts_with("DEMO") && words.contains("The file's header does not"), "{words}");
    assert!(!check(&export(9, false)).unwrap().is_demo());
    for honest in [false, true] {
        assert!(!check(&export(9, honest)).unwrap().to_string().contains("header does not"));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn lines_that_are_swapped_dropped_or_repeated_are_found(entries in 1..20_u64, a in 0..22_usize, b in 0..22_usize, what in 0..3_u8) {
        let good = export(entries, false);
        let (a, b) = (a % good.len(), b % good.len());
        let mut lines = good.clone();
        match what {
            0 => lines.swap(a, b),
            1 => { lines.remove(a); }
            _ => { let line = lines[a].clone(); lines.insert(b, line); }
        }
        prop_assert_eq!(check(&lines).is_ok(), lines == good);
    }

    #[test]
    fn any_bytes_are_read_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        prop_assert!(verify(Cursor::new(bytes)).is_err());
    }
}
