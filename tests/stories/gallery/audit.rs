//! The audit trail, an entry of it, and what its kinds mean.

use assay::web::{
    assets,
    pages::{
        AlarmLine, AuditEventsPage, AuditPage, AuditRecordPage, Choice, EventArea, EventKind, FindForm, KindGroup, Link, LogKey, ProofView,
        Reach, RecordField, RecordStands, Section, Tag, TimelineEntry, Tone, WitnessView,
    },
};
use time::Duration;

use super::{CLIENT, GAP, HASH, NOW, frame};

pub(super) fn audit(empty: bool) -> AuditPage {
    let entry = |actor: &str, text: &str, href: Option<&str>, note: Option<&str>, minutes, proof: &str| TimelineEntry {
        at: NOW - Duration::minutes(minutes),
        actor: actor.into(),
        text: text.into(),
        href: href.map(Into::into),
        note: note.map(Into::into),
        proof: Some(proof.into()),
        proof_href: proof.contains("entry").then(|| "#".into()),
    };
    AuditPage {
        frame: frame(Section::Audit),
        log: CLIENT.into(),
        logs: vec![
            (true, Link::new("#", CLIENT)),
            (false, Link::new("#", "Tidewater Composites")),
            (false, Link::new("#", "This installation")),
        ],
        entries: if empty {
            vec![]
        } else {
            vec![
                entry("Assay", "marked AC.L2-3.1.1[a] as MET", Some("#"), None, 0, "waits for its place in the log"),
                entry(
                    "Sam Okafor",
                    "approved “Mark AC.L2-3.1.1[a] as MET”",
                    Some("#"),
                    Some("“Checked the list against HR on 21 November.”"),
                    1,
                    "in the log, entry 412",
                ),
                entry("ConnectWise", "delivered ticket 918204", None, None, 38, "in the log, entry 411"),
                entry("Assay", "refused a delivery of Autotask: wrong signature, 3 times", None, None, 540, "in the log, entry 410"),
            ]
        },
        length: if empty { 0 } else { 412 },
        head: (!empty).then(|| HASH.into()),
        published: (!empty).then(|| Reach { entries: 412, at: NOW - Duration::minutes(1) }),
        anchored: (!empty).then(|| Reach { entries: 398, at: NOW - Duration::minutes(12) }),
        witness: (!empty).then(|| WitnessView {
            name: "witness.example/w1".into(),
            reach: Some(Reach { entries: 398, at: NOW - Duration::hours(3) }),
            away: Some(("the witness is not reached: unavailable".into(), NOW - Duration::hours(2))),
        }),
        alarms: if empty {
            vec![]
        } else {
            vec![AlarmLine { what: GAP.into(), since: NOW - Duration::minutes(8), again: Some((3, NOW - Duration::minutes(2))) }]
        },
        stopped: false,
        retention: Some((
            Some(Tag::new(Tone::Not, "Unlocked")),
            "UNLOCKED: no policy against changes; whoever may write there can delete the copies".into(),
        )),
        keys: if empty {
            vec![]
        } else {
            let name = "assay-0192f0c1a2b3c4d5e6f708192a3b4c5d/0192f0c1a2b3c4d5e6f708192a3b4c5d";
            vec![LogKey {
                text: format!("{name}+1f28eece+AdkrYEd2AShFlbVGNu+M8BC4SOI/2c/7R+VvhK0bsDjR"),
                fingerprint: HASH.into(),
                is_of_vault: false,
            }]
        },
        unplaced: usize::from(!empty),
        refused: if empty { 0 } else { 3 },
        newer: None,
        older: (!empty).then(|| Link::new("#", "Older entries")),
        export: None,
        find: find(false),
        looked: 4,
    }
}

/// `looking`: something is looked for, and nothing was found.
pub(super) fn found(some: bool) -> AuditPage {
    let page = audit(false);
    let entries = if some { page.entries[1..2].to_vec() } else { vec![] };
    AuditPage { entries, find: find(true), looked: 1000, newer: Some(Link::new("#", "Newest")), ..page }
}

fn find(looking: bool) -> FindForm {
    let choice = |value: &str, label: &str| Choice { value: value.into(), label: label.into() };
    FindForm {
        action: "#".into(),
        kinds: vec![KindGroup {
            name: "proposals",
            title: "Proposals and decisions",
            kinds: vec![choice("proposal.approved", "approved a proposal"), choice("proposal.rejected", "rejected a proposal")],
        }],
        kind: if looking { "proposal.approved".into() } else { String::new() },
        who: vec![choice("people", "Any person"), choice("0192f3", "Sam Okafor")],
        chosen: if looking { "0192f3".into() } else { String::new() },
        outcomes: vec![choice("refused", "A person or a rule said no")],
        outcome: "",
        from: if looking { "2026-11-01".into() } else { String::new() },
        to: String::new(),
        clear: looking.then(|| Link::new("#", "Show everything")),
        words: "approved a proposal; Sam Okafor; from 2026-11-01".into(),
    }
}

const LEAF: &str = r#"{"v":1,"id":"0192f0c1a2b3c4d5e6f708192a3b4c5d","at":"2026-11-25T02:51:09Z","kind":"proposal.approved","object":"proposal 0192f0c1a2b3c4d5e6f708192a3b4c5d","actor":"person:7c4e91d2a0b35f68","correlation":"3f9c1f7e","commitment":"9329e9748c808c294883dfac9c583b23dbbe4040f627593594b8de5e7af7665f"}"#;

/// Its script finds that these bytes do not fit together.
pub(super) fn proven() -> RecordStands {
    RecordStands::In(ProofView {
        script: assets::check_path(),
        leaf: "e30=".into(),
        salt: HASH.into(),
        content: Some("e30=".into()),
        hashes: vec!["YWJjZGVmZ2hpamtsbW5vcHFyc3R1dnd4eXoxMjM0NTY=".into(); 3],
        note: "YQoyCllRPT0KCg==".into(),
        vault_keys: vec![],
        size: 430,
        root: HASH.into(),
    })
}

pub(super) fn record(stands: RecordStands) -> AuditRecordPage {
    let field = |name: &str, value: &str, meaning| RecordField { name: name.into(), value: value.into(), meaning };
    AuditRecordPage {
        frame: frame(Section::Audit),
        log: CLIENT.into(),
        back: Link::new("#", "Audit trail"),
        index: 412,
        actor: "Sam Okafor".into(),
        actor_sort: "a person; the log knows them as person:7c4e91d2a0b35f68".into(),
        same_actor: Link::new("#", "all of theirs"),
        text: "approved a proposal".into(),
        href: Some("#".into()),
        note: Some("Checked the list against HR on 21 November.".into()),
        at: NOW - Duration::minutes(1),
        kind: "proposal.approved".into(),
        kind_href: "#".into(),
        outcome: Tag::new(Tone::Met, "Done"),
        object: "proposal 0192f0c1a2b3c4d5e6f708192a3b4c5d".into(),
        context: vec![("Signed in", "2026-11-25T02:40:00Z".into()), ("Sign-in met", "c1".into())],
        correlation: "3f9c1f7e".into(),
        fields: vec![
            field("hash", HASH, "the hash that the person was shown"),
            field("progress", "1 of 1", "how many of how many approvals there were then, in words"),
            field("newer", "of a release to come", ""),
        ],
        leaf: LEAF.into(),
        leaf_hash: HASH.into(),
        stands,
        anchored: Some(Reach { entries: 420, at: NOW - Duration::minutes(4) }),
        keys: audit(false).keys,
        proof_file: Link::new("#", "entry-412.tlog-proof"),
        entry_file: Link::new("#", "entry-412.json"),
    }
}

pub(super) fn audit_events() -> AuditEventsPage {
    let fields = vec![
        ("version", "number".to_owned(), "the proposal's version"),
        ("on_behalf_of", "text, not always there".to_owned(), "for whom the person stood in"),
    ];
    let approved = EventKind { name: "proposal.approved", says: "approved a proposal", outcome: "done", object: "proposal ID", fields };
    let lifted = EventKind {
        name: "key.lifted",
        says: "gave the record of the data keys this release's form",
        outcome: "done",
        object: "data key NUMBER",
        fields: vec![],
    };
    AuditEventsPage {
        frame: frame(Section::Audit),
        back: Link::new("#", "Audit trail"),
        version: 1,
        file: "#".into(),
        outcomes: vec![("done", "It happened"), ("refused", "A person or a rule said no")],
        areas: vec![
            EventArea { title: "Proposals and decisions", kinds: vec![approved] },
            EventArea { title: "Keys", kinds: vec![lifted] },
        ],
    }
}
