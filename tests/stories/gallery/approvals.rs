//! What waits for an approver, and a proposal in every state.

use assay::web::pages::{
    Choice, DecidedItem, DecisionForm, Field, FieldKind, InboxItem, InboxPage, Link, ProposalPage, ProposalState, Run, Section, Side, Tag,
    TakeBackForm, TimelineEntry, Tone, paths,
};
use time::{Duration, macros::datetime};

use super::{
    CLIENT, HASH, NOW, TOKEN,
    clients::{filed, observed},
    frame,
};

pub(super) fn inbox(empty: bool) -> InboxPage {
    let item = |question: &str, note: Option<&str>| InboxItem {
        href: "#".into(),
        question: question.into(),
        subject: "3.4.1[d]".into(),
        about: Some("the inventory that is kept covers hardware, software, firmware and documentation".into()),
        client: CLIENT.into(),
        asked_by: "Marco Reyes".into(),
        staged_at: NOW - Duration::minutes(32),
        decide_by: datetime!(2026-12-01 17:00 UTC),
        note: note.map(Into::into),
    };
    let decided = |question: &str, outcome, by: Option<&str>| DecidedItem {
        href: "#".into(),
        question: question.into(),
        client: CLIENT.into(),
        outcome,
        by: by.map(Into::into),
        at: NOW - Duration::hours(5),
    };
    let (yours, others, done) = (
        vec![
            item("Mark AC.L2-3.1.1[a] as MET for Harbor Precision Machining?", None),
            item("Mark CM.L2-3.4.1[d] as MET for Harbor Precision Machining?", None),
        ],
        vec![item("Mark MP.L2-3.8.3[a] as MET for Tidewater Composites?", Some("You asked, so another person decides."))],
        vec![
            decided(
                "Mark MP.L2-3.8.3[a] as MET for Harbor Precision Machining?",
                Tag::new(Tone::Met, "Approved, carried out"),
                Some("Sam Okafor"),
            ),
            decided("Mark AC.L2-3.1.2[a] as MET for Harbor Precision Machining?", Tag::new(Tone::Not, "Rejected"), Some("You")),
            decided("Mark AC.L2-3.1.3[a] as MET for Harbor Precision Machining?", Tag::new(Tone::Unknown, "Expired"), None),
        ],
    );
    InboxPage {
        frame: frame(Section::Approvals),
        yours: if empty { vec![] } else { yours },
        others: if empty { vec![] } else { others },
        total: if empty { 0 } else { 53 },
        first: None,
        next: (!empty).then(|| Link::new("#", "Next page")),
        decided: if empty { vec![] } else { done },
        notice: empty.then(|| "That link is no longer open: the proposal expired. Nothing was changed.".into()),
    }
}

pub(crate) fn proposal(state: ProposalState) -> ProposalPage {
    let said = |actor: &str, text: &str, minutes, proof: Option<&str>| TimelineEntry {
        at: NOW - Duration::minutes(minutes),
        actor: actor.into(),
        text: text.into(),
        href: None,
        note: None,
        proof: proof.map(Into::into),
    };
    let sides = (
        Side { tag: Some(Tag::new(Tone::Unknown, "Not decided")), text: "Score \u{2212}41 today, 93 at best".into() },
        Side { tag: Some(Tag::new(Tone::Met, "MET")), text: "Score unchanged until 3.1.1[b] to [f] are decided".into() },
    );
    ProposalPage {
        frame: frame(Section::Approvals),
        client: CLIENT.into(),
        kind: "Mark an objective as MET".into(),
        question: "Mark AC.L2-3.1.1[a] as MET for Harbor Precision Machining?".into(),
        explanation: "The objective: the users who are authorized to have access are identified.".into(),
        subject: Some(Link::new("#", "See the requirement")),
        asked_by: "Marco Reyes".into(),
        asked_at: NOW - Duration::minutes(32),
        take_back: matches!(state, ProposalState::Decided { run: Run::Done { .. }, .. })
            .then(|| TakeBackForm::new("#".into(), TOKEN.into(), "0199".into(), 2000, String::new(), &[])),
        today: matches!(state, ProposalState::Open(_) | ProposalState::NotYours { .. }).then_some(sides),
        before: Side::of("Undecided, so it counts as NOT MET. Score \u{2212}44 today, 93 at best.".into()),
        after: Side::of("MET. The score today stays \u{2212}44 while [b] to [f] of AC.L2-3.1.1 are open.".into()),
        reasons: vec![
            "All 43 enabled accounts in the directory match a person in the HR contact list.".into(),
            "Two shared accounts are named and have an owner.".into(),
        ],
        evidence: vec![observed(), filed()],
        limits: vec!["It shows who has an account, not that access is limited to them.".into()],
        on_approve: "The objective becomes MET with these two records. You can propose to take it back.".into(),
        on_reject: "Nothing changes. Marco Reyes is told why and can propose again.".into(),
        decide_by: datetime!(2026-12-01 17:00 UTC),
        others: vec!["Sam Okafor".into(), "Dana Whitfield".into()],
        hash: HASH.into(),
        version: 2,
        action: r#"{"mark":"3.1.1[a]","as":"met","evidence":["filed:0192f3","01:configuration:918204"]}"#.into(),
        history: vec![
            said("Marco Reyes", "proposed it", 32, Some("in the log, entry 410")),
            said("Assay", "mailed Priya Nair and Sam Okafor", 31, Some("in the log, entry 411")),
        ],
        state,
        next: Some(Link::new("#", "Mark CM.L2-3.4.1[d] as MET for Harbor Precision Machining?")),
        inbox_href: paths::inbox(),
    }
}

/// Chosen already when the comment is what is missing.
fn because(error: Option<&str>) -> Field {
    let choice = |value: &str, label: &str| Choice { value: value.into(), label: label.into() };
    let choices = vec![
        choice("model_wrong", "It is wrong: the evidence does not show this"),
        choice("business_choice", "It may be right; we decide otherwise"),
    ];
    let chosen = error.map_or("", |_| "model_wrong");
    Field::new("because", "If you reject: why", "Needed to reject.", FieldKind::OneOf(choices), chosen.into())
}

pub(crate) fn open(error: Option<&str>) -> ProposalState {
    ProposalState::Open(DecisionForm {
        action: "#".into(),
        token: TOKEN.into(),
        approve_label: "Approve and mark MET".into(),
        blocked: None,
        reject_label: "Reject".into(),
        comment: String::new(),
        because: Some(because(error)),
        error: error.map(Into::into),
    })
}

pub(super) fn stale() -> ProposalPage {
    let ProposalState::Open(form) = open(None) else { unreachable!() };
    let why = "This evidence is too old to count by now: Workstations with an owner: 212 of 214.";
    let mut page = proposal(ProposalState::Open(DecisionForm { blocked: Some(why.into()), ..form }));
    page.evidence[0].freshness = Tag::new(Tone::Wait, "Too old to count since 24 Nov 2026");
    page
}

pub(super) fn decided(approved: bool, by_you: bool, too_late: bool, run: Run) -> ProposalState {
    ProposalState::Decided {
        approved,
        by_you,
        by: "Sam Okafor".into(),
        at: NOW - Duration::seconds(70),
        comment: "Checked the list against HR on 21 November.".into(),
        too_late,
        run,
        entry: Some(Link::new("#", "Audit entry 412")),
    }
}

pub(super) fn pending() -> Run {
    Run::Pending { run_by: NOW + Duration::days(2) }
}

pub(super) fn done() -> Run {
    Run::Done { at: NOW - Duration::seconds(60), done: "AC.L2-3.1.1[a] became MET.".into() }
}

pub(super) fn refused() -> Run {
    Run::Refused { at: NOW - Duration::seconds(60), why: "The evidence changed between the decision and its execution.".into() }
}

pub(super) fn not_yours() -> ProposalState {
    ProposalState::NotYours { why: "You asked for this, so another person decides: Sam Okafor or Dana Whitfield.".into() }
}

pub(super) fn superseded() -> ProposalState {
    let why = "New evidence changed this proposal, and another one stands in its place.".into();
    ProposalState::Superseded { at: NOW - Duration::hours(1), why, by: Some(Link::new("#", "Go to the proposal that stands in its place")) }
}
