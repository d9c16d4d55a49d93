//! What waits for an approver, and a proposal in every state.

use assay::web::pages::{
    AloneForm, Choice, DecidedItem, DecisionForm, DoneForm, DryRun, DryRunRow, Field, FieldKind, FreshSignIn, GroupForm, GroupRow,
    InboxItem, InboxPage, LevelMark, Link, Moved, PolicyPage, PolicyRow, PostForm, ProposalPage, ProposalState, Quorum, ReviewForm,
    ReviewItem, RuleForm, Run, Section, Side, StandInItem, StandInRow, StandingIn, Tag, TakeBackForm, TimelineEntry, Tone, UndoItem,
    WithdrawForm, paths,
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
        progress: None,
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
    let review = |overdue: bool, note: Option<&str>| ReviewItem {
        href: "#".into(),
        question: "Mark IR.L2-3.6.1[a] as MET for Harbor Precision Machining?".into(),
        client: CLIENT.into(),
        by: "Sam Okafor".into(),
        due: if overdue { NOW - Duration::hours(3) } else { NOW + Duration::hours(20) },
        overdue,
        note: note.map(Into::into),
    };
    let undoable = UndoItem {
        href: "#".into(),
        question: "Assign \u{201c}Phishing basics\u{201d} to 14 people of Harbor Precision Components?".into(),
        client: CLIENT.into(),
        ran_at: NOW - Duration::hours(5),
        undo_until: NOW + Duration::hours(67),
    };
    let asked_to_stand_in =
        StandInItem { href: "#".into(), client: CLIENT.into(), by: "Dana Whitfield".into(), until: NOW + Duration::days(12) };
    let reviews = vec![review(true, None), review(false, Some("You asked for this review, so somebody else looks."))];
    InboxPage {
        asked_to_stand_in: if empty { vec![] } else { vec![asked_to_stand_in] },
        reviews: if empty { vec![] } else { reviews },
        undoable: if empty { vec![] } else { vec![undoable] },
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
        proof_href: proof.map(|_| "#".into()),
    };
    let sides = (
        Side { tag: Some(Tag::new(Tone::Unknown, "Not decided")), text: "Score \u{2212}41 today, 93 at best".into() },
        Side { tag: Some(Tag::new(Tone::Met, "MET")), text: "Score unchanged until 3.1.1[b] to [f] are decided".into() },
    );
    ProposalPage {
        dry_run: None,
        nobody_reviews: None,
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
        level: LevelMark { word: "L2".into(), meaning: "Nothing happens before the people whom the policy names have approved it.".into() },
        quorum: Quorum { needed: 1, given: vec![], groups_wanted: vec![] },
        alone: None,
        sign_in: None,
        review: None,
        done: None,
        withdraw: None,
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
    ProposalState::Open(Box::new(DecisionForm {
        action: "#".into(),
        token: TOKEN.into(),
        permit: TOKEN.into(),
        approve_label: "Approve and mark MET".into(),
        given: None,
        blocked: None,
        comment_needed: false,
        seats: vec![],
        reject_label: "Reject".into(),
        comment: String::new(),
        because: Some(because(error)),
        error: error.map(Into::into),
    }))
}

pub(super) fn stale() -> ProposalPage {
    let ProposalState::Open(form) = open(None) else { unreachable!() };
    let why = "This evidence is too old to count by now: Workstations with an owner: 212 of 214.";
    let mut page = proposal(ProposalState::Open(Box::new(DecisionForm { blocked: Some(why.into()), ..*form })));
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

/// Two approvals are needed, one of them from a group; one is given.
pub(super) fn in_part(state: ProposalState) -> ProposalPage {
    let mut page = proposal(state);
    page.quorum = Quorum {
        needed: 2,
        given: vec![("Priya Nair for Sam Okafor".into(), NOW - Duration::minutes(20))],
        groups_wanted: vec!["the client".into()],
    };
    page
}

/// About no objective.
pub(super) fn policy_change() -> ProposalPage {
    let ProposalState::Open(form) = open(None) else { unreachable!() };
    ProposalPage {
        kind: "Change this policy".into(),
        question: "Change the approval policy for Harbor Precision Machining?".into(),
        explanation: "The policy says what needs whose approval for this client.".into(),
        subject: None,
        today: None,
        dry_run: policy(true).dry_run,
        before: Side::of("Version 1 stands.".into()),
        after: Side::of(
            "Mark an objective: approvals needed: 1 \u{2192} 2\nMark an objective: decided within: 168 hours \u{2192} 72 hours".into(),
        ),
        reasons: vec!["Four eyes see more.".into()],
        evidence: vec![],
        limits: vec!["What waits for a decision and is affected begins anew under the new policy.".into()],
        on_approve: "Version 2 stands from then on. It can be changed again; that is a decision of its own.".into(),
        on_reject: "The policy stays as it is.".into(),
        ..proposal(ProposalState::Open(Box::new(DecisionForm { approve_label: "Approve and change the policy".into(), ..*form })))
    }
}

/// The reader may answer for a colleague, and has to say something.
pub(super) fn standing_in() -> ProposalState {
    let ProposalState::Open(form) = open(None) else { unreachable!() };
    ProposalState::Open(Box::new(DecisionForm { comment_needed: true, seats: vec![("a1".into(), "Sam Okafor".into())], ..*form }))
}

pub(super) fn given() -> ProposalState {
    let ProposalState::Open(form) = open(None) else { unreachable!() };
    let given = "You approved this (1 of 2, still wanted: one from the client). It is carried out when the others have approved it too. Until then you can still reject it.";
    ProposalState::Open(Box::new(DecisionForm { given: Some(given.into()), ..*form }))
}

pub(super) fn withdrawable() -> ProposalPage {
    let mut page = proposal(not_yours());
    page.withdraw = Some(WithdrawForm { action: "#".into(), token: TOKEN.into() });
    page
}

pub(super) fn by_level() -> ProposalPage {
    let why = "Assay does this and tells people, who can review it and undo it for a while.";
    let mut page = proposal(ProposalState::ByLevel { why: why.into(), run: done(), entry: Some(Link::new("#", "Audit trail")) });
    page.level = LevelMark { word: "L1".into(), meaning: why.into() };
    page
}

/// The reader may approve alone.
pub(super) fn alone() -> ProposalPage {
    let sign_in = Some(FreshSignIn { minutes: 10, prove: Some("#".into()) });
    ProposalPage { alone: Some((20, 10)), sign_in, ..proposal(open(None)) }
}

/// Somebody approved it alone, and the reader is to look at that.
pub(super) fn to_review(overdue: bool) -> ProposalPage {
    let mut page = proposal(decided(true, false, false, done()));
    page.take_back = None;
    page.review = Some(ReviewForm {
        action: "#".into(),
        token: TOKEN.into(),
        permit: TOKEN.into(),
        why: "Sam Okafor approved this alone, in an emergency. Look at whether that was right.".into(),
        due: Some(if overdue { NOW - Duration::hours(3) } else { NOW + Duration::hours(20) }),
        overdue,
        undo_until: (!overdue).then(|| NOW + Duration::hours(67)),
        because: (!overdue).then(|| because(None)),
        comment: String::new(),
        error: overdue.then(|| "A comment is needed here, and kept in the audit trail.".into()),
    });
    page
}

/// Only a person does it, and the reader may record that they did.
pub(super) fn to_do() -> ProposalPage {
    let why = "A person does this outside Assay and records it here with evidence; Assay never does it. When it is done, record it below.";
    let mut page = proposal(ProposalState::NotYours { why: why.into() });
    let fields = vec![
        Field::new("done_on", "Day on which you did it", "", FieldKind::Date, String::new()).required(),
        Field::new("reference", "Reference", "What the other side gave you", FieldKind::Text, String::new()).required(),
    ];
    page.done = Some(DoneForm {
        action: "#".into(),
        token: TOKEN.into(),
        permit: TOKEN.into(),
        blocked: None,
        may_reject: true,
        fields: [fields, vec![because(None)]].concat(),
        error: None,
    });
    page
}

/// What was asked is not so any more.
pub(super) fn not_to_do() -> ProposalPage {
    let mut page = to_do();
    let why = "The score today is 85 of 110, and this asks to submit 95: do not submit that. It cannot be recorded, and within minutes Assay withdraws it by itself; an engineer can ask again, with the score that stands. If 95 is in SPRS already, submit the score that stands there too.";
    let comment = Field::new("comment", "Comment", "Needed to reject", FieldKind::Prose(1000), String::new());
    let error = Some("Say why you reject it: the comment is needed and kept in the audit trail.".into());
    page.state = ProposalState::NotYours { why: "This cannot be recorded as it was asked.".into() };
    page.done = page.done.map(|form| DoneForm { blocked: Some(why.into()), fields: vec![because(None), comment], error, ..form });
    page
}

/// Approved by one person alone, and no other approves for the client.
pub(super) fn nobodys_review() -> ProposalPage {
    ProposalPage { nobody_reviews: Some(assay::gate::reviewers::NOBODY), review: None, ..to_review(true) }
}

/// What is stored is not what was approved.
pub(super) fn policy_unsound() -> PolicyPage {
    let why = "This client\u{2019}s approval policy is gone, and version 2 had been approved. Nothing is approved or carried out under it.";
    PolicyPage { unsound: Some(why.into()), rule: None, group: None, alone: None, ..policy(false) }
}

/// The approval policy: as nobody changed it, or with a change tried on what was.
pub(super) fn policy(tried: bool) -> PolicyPage {
    let row = |kind: &str, level: &str, asks: &str| PolicyRow {
        kind: kind.into(),
        level: LevelMark {
            word: level.into(),
            meaning: "Nothing happens before the people whom the policy names have approved it.".into(),
        },
        asks: asks.into(),
        decide_within: "7 days".into(),
        run_within: "2 days".into(),
        change: (level == "L2").then(|| "#".into()),
    };
    let why = || Field::new("why", "Why", "The approver reads this first. Not needed to try it.", FieldKind::Prose(2000), String::new());
    PolicyPage {
        frame: frame(Section::Clients),
        client: CLIENT.into(),
        client_href: "#".into(),
        unsound: None,
        short: if tried {
            vec!["Nobody could get \u{201c}Mark an objective\u{201d} approved any more: it takes 2 approvals by different people, and 1 person can give one now.".into()]
        } else {
            vec![]
        },
        alone: Some(AloneForm {
            action: "#".into(),
            token: TOKEN.into(),
            reason: Field::new("why-alone", "Why", "The approver reads this first.", FieldKind::Prose(2000), String::new()).required(),
            people: vec![("a1".into(), "Sam Okafor".into(), true), ("a2".into(), "Dana Whitfield".into(), false)],
        }),
        version: u32::from(tried),
        made_by: tried.then(|| Link::new("#", "as was decided")),
        waits: None,
        rows: vec![
            row("Mark an objective", "L2", "needs 2 approvals, one of them from the client"),
            row("Affirm", "L3", "is done by a person and recorded"),
        ],
        groups: if tried { vec![GroupRow { name: "the client".into(), people: vec!["Sam Okafor".into()] }] } else { vec![] },
        break_glass: if tried { vec!["Dana Whitfield".into()] } else { vec![] },
        rule: Some(RuleForm {
            action: "#".into(),
            token: TOKEN.into(),
            kind: Some(("mark_objective".into(), "Mark an objective".into())),
            groups: if tried { vec![("from-the client".into(), "the client".into(), true)] } else { vec![] },
            fields: vec![
                Field::new(
                    "sign_in_minutes",
                    "How old the sign-in of who approves may be, in minutes",
                    "5 to 480",
                    FieldKind::Text,
                    "30".into(),
                ),
                why(),
            ],
        }),
        group: Some(GroupForm {
            action: "#".into(),
            token: TOKEN.into(),
            name: Field::new("group", "Group", "A name that stands already is changed", FieldKind::Text, String::new()).required(),
            reason: Field::new("why-group", "Why", "The approver reads this first.", FieldKind::Prose(2000), String::new()).required(),
            people: vec![("a1".into(), "Sam Okafor".into(), true), ("a2".into(), "Dana Whitfield".into(), false)],
        }),
        stand_in: Some(RuleForm {
            action: "#".into(),
            token: TOKEN.into(),
            kind: None,
            groups: vec![],
            fields: vec![Field::new("for_days", "For how many days", "30 at most; 0 ends it now", FieldKind::Text, "7".into()).required()],
        }),
        standing_in: if tried { standing_in_now() } else { StandingIn::default() },
        moved: None,
        notice: tried.then(|| "Recorded for 7 days from now.".into()),
        errors: if tried { vec![("rule", "\u{201c}Mark an objective\u{201d} takes one to five approvals.".into())] } else { vec![] },
        dry_run: tried.then(|| {
            let row = |n: u8| {
                let link = Link::new("#", format!("Mark AC.L2-3.1.{n}[a] as MET for Harbor Precision Machining?"));
                (link, "Sam Okafor approved it without a comment. It would have waited for another approval: 0 of 1.".to_owned())
            };
            let rows = vec![DryRunRow {
                kind: "Mark an objective".into(),
                staged: 14,
                decided: 11,
                otherwise: 11,
                named: (1..4).map(row).collect(),
            }];
            DryRun { rows, of_the_newest: Some(1000) }
        }),
    }
}

/// One holds, one is the reader's to lay down, one is the reader's to answer, one is another's.
fn standing_in_now() -> StandingIn {
    let row = |from: &str, to: &str, labels: &[&str]| StandInRow {
        from: from.into(),
        to: to.into(),
        begins: None,
        until: NOW + Duration::days(6),
        is_you: to == "Priya Nair",
        other: if to == "Priya Nair" { from.into() } else { to.into() },
        answers: labels
            .iter()
            .map(|label| PostForm { action: "#".into(), token: TOKEN.into(), fields: vec![], label: (*label).into() })
            .collect(),
    };
    StandingIn {
        holds: vec![
            row("Sam Okafor", "Dana Whitfield", &[]),
            row("Marco Reyes", "Priya Nair", &["Stand in no longer"]),
            row("Priya Nair", "Eve Lindqvist", &["End it"]),
        ],
        asked: vec![row("Dana Whitfield", "Priya Nair", &["Agree", "Decline"]), row("Sam Okafor", "Marco Reyes", &[])],
    }
}

/// The policy changed while somebody filled in its form.
pub(super) fn policy_moved() -> PolicyPage {
    let changes = vec![
        "Mark an objective: approvals needed: 1 \u{2192} 2".into(),
        "Mark an objective: decided within: 168 hours \u{2192} 72 hours".into(),
    ];
    let anew = Link::new("#", "Open the page anew, without what you typed");
    PolicyPage { version: 2, moved: Some(Moved { seen: 1, stands: 2, changes: Some(changes), anew }), ..policy(false) }
}

pub(super) fn superseded() -> ProposalState {
    let why = "New evidence changed this proposal, and another one stands in its place.".into();
    ProposalState::Closed {
        word: "Superseded".into(),
        at: NOW - Duration::hours(1),
        why,
        by: Some(Link::new("#", "Go to the proposal that stands in its place")),
    }
}
