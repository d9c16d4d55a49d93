//! Every page in every state with data as an MSP would have it: what the tests of the pages read, and what a person
//! looks at. `write` lays it out as files under the target folder.

use std::{fs, path::PathBuf};

use askama::Template;
use assay::{
    config::{self, Config, RawConfig},
    connectors::{Vendor, form},
    readiness::map::evidence_map,
    web::{
        Problem, assets,
        pages::{
            AlarmView, AuditPage, Cell, Choice, ClientPage, ClientRow, ClientsPage, ConnectionForm, ConnectionFormPage, ConnectionView,
            ConnectionsPage, DeadLetterStand, DeadLetterView, DeadLettersPage, DecidedItem, DecisionForm, DemoPerson, EvidenceCard, Family,
            Field, FieldError, FieldKind, FindingView, Fix, Frame, InboxItem, InboxPage, LastPull, Link, MappedLine, MappingPage,
            MessagePage, NamelessLine, NewClientPage, ObjectiveView, PeoplePage, PersonRow, PostForm, ProblemPage, ProposalPage,
            ProposalState, ProposeForm, Readings, RejectCount, RejectionView, RequirementPage, Run, SameReason, Section, SetAsideGroup,
            SetAsidePage, SetAsideRecord, Side, SignInPage, SignedIn, Standing, SuggestionView, Tag, TakeBackForm, TimelineEntry, Tone,
            UnlistedType, UnreadableClient, WaitingCompany, paths,
        },
    },
};
use time::{Duration, OffsetDateTime, macros::date, macros::datetime};

pub(crate) const NOW: OffsetDateTime = datetime!(2026-11-25 02:52:09 UTC);
pub(crate) const HASH: &str = "9329e9748c808c294883dfac9c583b23dbbe4040f627593594b8de5e7af7665f";
const CLIENT: &str = "Harbor Precision Machining";
const TOKEN: &str = "kFq0v1nJ3m2S9rT7xYcZb4LwPa6UeDgHiKoQsVuXy8A";

pub(crate) fn config() -> Config {
    config::check(&RawConfig::from([("ASSAY_SIGN_IN".into(), "demo".into())])).unwrap()
}

/// Name and HTML of every page in every state.
pub(crate) fn pages() -> Vec<(&'static str, String)> {
    type Render = Box<dyn Fn() -> String>;
    let all: Vec<(&'static str, Render)> = vec![
        ("clients", Box::new(|| clients(false).render().unwrap())),
        ("clients-empty", Box::new(|| clients(true).render().unwrap())),
        ("client", Box::new(|| client(true).render().unwrap())),
        ("client-without-ssp", Box::new(|| client(false).render().unwrap())),
        ("requirement", Box::new(|| requirement(true).render().unwrap())),
        ("requirement-errors", Box::new(|| requirement_with_errors().render().unwrap())),
        ("requirement-read-only", Box::new(|| requirement(false).render().unwrap())),
        ("inbox", Box::new(|| inbox(false).render().unwrap())),
        ("inbox-empty", Box::new(|| inbox(true).render().unwrap())),
        ("proposal-open", Box::new(|| proposal(open(None)).render().unwrap())),
        ("proposal-comment-needed", Box::new(|| proposal(open(Some("Say why you reject it."))).render().unwrap())),
        ("proposal-stale", Box::new(|| stale().render().unwrap())),
        ("proposal-decided-by-you", Box::new(|| proposal(decided(true, true, false, pending())).render().unwrap())),
        ("proposal-executed", Box::new(|| proposal(decided(true, true, false, done())).render().unwrap())),
        ("proposal-decided-by-another", Box::new(|| proposal(decided(true, false, false, done())).render().unwrap())),
        ("proposal-too-late", Box::new(|| proposal(decided(false, false, true, Run::Never)).render().unwrap())),
        ("proposal-not-carried-out", Box::new(|| proposal(decided(true, true, false, refused())).render().unwrap())),
        ("proposal-not-yours", Box::new(|| proposal(not_yours()).render().unwrap())),
        ("proposal-expired", Box::new(|| proposal(ProposalState::Expired { at: NOW - Duration::hours(9) }).render().unwrap())),
        ("proposal-superseded", Box::new(|| proposal(superseded()).render().unwrap())),
        ("mapping", Box::new(|| mapping(false).render().unwrap())),
        ("mapping-empty", Box::new(|| mapping(true).render().unwrap())),
        ("connections", Box::new(|| connections(false).render().unwrap())),
        ("connections-empty", Box::new(|| connections(true).render().unwrap())),
        ("connection-choice", Box::new(|| connection_form(None, &[]).render().unwrap())),
        ("connection-new", Box::new(|| connection_form(Some((Vendor::ConnectwiseManage, false)), &[]).render().unwrap())),
        ("connection-new-errors", Box::new(|| connection_form(Some((Vendor::Autotask, false)), WRONG).render().unwrap())),
        ("connection-change", Box::new(|| connection_form(Some((Vendor::ConnectwiseManage, true)), &[]).render().unwrap())),
        ("connection-change-errors", Box::new(|| connection_form(Some((Vendor::ConnectwiseManage, true)), WRONG).render().unwrap())),
        ("client-new", Box::new(|| new_client(false).render().unwrap())),
        ("client-people", Box::new(|| client_people(false).render().unwrap())),
        ("client-people-errors", Box::new(|| client_people(true).render().unwrap())),
        ("client-new-errors", Box::new(|| new_client(true).render().unwrap())),
        ("dead-letters", Box::new(|| dead_letters(false).render().unwrap())),
        ("dead-letters-empty", Box::new(|| dead_letters(true).render().unwrap())),
        ("set-aside", Box::new(|| set_aside(false).render().unwrap())),
        ("set-aside-empty", Box::new(|| set_aside(true).render().unwrap())),
        ("audit", Box::new(|| audit(false).render().unwrap())),
        ("audit-empty", Box::new(|| audit(true).render().unwrap())),
        ("sign-in", Box::new(|| sign_in(true).render().unwrap())),
        ("sign-in-off", Box::new(|| sign_in(false).render().unwrap())),
        ("message", Box::new(|| message().render().unwrap())),
        ("problem", Box::new(|| problem().render().unwrap())),
    ];
    all.into_iter().map(|(name, render)| (name, render())).collect()
}

/// Files that a browser can open, with the stylesheet beside them.
pub(crate) fn write() -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("gallery");
    fs::create_dir_all(&folder).unwrap();
    let stylesheet = assets::stylesheet_path();
    let name = stylesheet.rsplit('/').next().unwrap();
    fs::write(folder.join("assay.css"), assets::serve(name).unwrap().body).unwrap();
    for (page, html) in pages() {
        fs::write(folder.join(format!("{page}.html")), html.replace(&stylesheet, "assay.css")).unwrap();
    }
    folder
}

fn frame(section: Section) -> Frame {
    let person = SignedIn { name: "Priya Nair".into(), roles: "Approver".into(), operates: true, sign_out_token: TOKEN.into() };
    Frame::new(&config(), NOW, section, Some(person), 3)
}

fn readings(ssp_accepted: bool) -> Readings {
    Readings { today: -41, likely: 18, best: 93, ssp_accepted, complete: false }
}

fn clients(empty: bool) -> ClientsPage {
    let row = |name: &str, readings: Readings, met, waiting, newest, connections| ClientRow {
        name: name.into(),
        href: "#".into(),
        readings,
        met,
        waiting,
        newest_evidence: newest,
        connections,
    };
    let rows = vec![
        row(CLIENT, readings(true), 34, 3, Some(NOW - Duration::minutes(38)), vec![(Tag::new(Tone::Met, "ConnectWise"), None)]),
        row(
            "Tidewater Composites",
            Readings { today: -172, likely: -160, best: 110, ssp_accepted: false, complete: false },
            4,
            1,
            Some(NOW - Duration::days(2)),
            vec![(Tag::new(Tone::Not, "Autotask: webhook off"), Some(Link::new("#", "See why, and turn it on again")))],
        ),
        row(
            "Kestrel Avionics & Søn",
            Readings { today: -203, likely: -203, best: 110, ssp_accepted: false, complete: false },
            0,
            0,
            None,
            vec![],
        ),
    ];
    ClientsPage {
        frame: frame(Section::Clients),
        clients: if empty { vec![] } else { rows },
        without_grant: if empty { vec![] } else { vec![Link::new("#", "Larch Optics"), Link::new("#", "Tidewater Tooling")] },
        unreadable: if empty { vec![] } else { vec![UnreadableClient { name: "Blue Fjord".into(), why: "Its key is revoked.".into() }] },
        waiting: 4,
        unmapped: 1,
        dead_letters: 2,
        set_aside: usize::from(!empty),
        seen_to: usize::from(empty),
        set_aside_href: paths::set_aside(),
        unmapped_href: paths::mapping(),
        add_href: Some(paths::new_client()),
        notice: None,
        dead_letters_href: paths::dead_letters(),
    }
}

fn client(ssp_accepted: bool) -> ClientPage {
    let catalogue: serde_json::Value = serde_json::from_str(include_str!("../../functions/readiness/catalogue/requirements.json")).unwrap();
    let standings = [Standing::Met, Standing::NotMet, Standing::Unread, Standing::Waiting, Standing::Unread, Standing::Partly];
    let families = catalogue["families"].as_array().unwrap().iter().map(|family| {
        let cells = catalogue["requirements"].as_array().unwrap().iter().filter(|r| r["family"] == family["code"]);
        let cells = cells.enumerate().map(|(n, r)| Cell {
            id: r["cmmc_id"].as_str().unwrap().into(),
            number: r["id"].as_str().unwrap().into(),
            title: r["title"].as_str().unwrap().into(),
            standing: standings[(n * 5 + family["number"].as_str().unwrap().len()) % standings.len()],
            weight: r["weight"].as_u64().map_or("none".into(), |w| w.to_string()),
            why: format!("{} of 6 objectives decided", n % 6),
            href: "#".into(),
        });
        Family { number: family["number"].as_str().unwrap().into(), name: family["name"].as_str().unwrap().into(), cells: cells.collect() }
    });
    let fix = |id: &str, title: &str, missing: &str, points: &str, poam: &str, evidence| Fix {
        id: id.into(),
        href: "#".into(),
        title: title.into(),
        missing: missing.into(),
        points: points.into(),
        poam: poam.into(),
        evidence,
    };
    ClientPage {
        frame: frame(Section::Clients),
        name: CLIENT.into(),
        readings: readings(ssp_accepted),
        met: 34,
        not_met: 25,
        unread: 51,
        waiting: 3,
        oldest_waiting: Some(NOW - Duration::hours(26)),
        status: Some("Conditional status is not possible yet: 88 points are needed, and three requirements that may never stand on a plan of action are NOT MET.".into()),
        newest_evidence: Some(NOW - Duration::minutes(38)),
        connections: vec![Tag::new(Tone::Met, "ConnectWise: heard")],
        families: families.collect(),
        fix_first: vec![
            fix("IA.L2-3.5.3", "Multifactor authentication", "6 of 43 accounts sign in with a password alone", "5", "not allowed", Tag::new(Tone::Not, "contradicts")),
            fix("SC.L2-3.13.11", "FIPS-validated cryptography", "BitLocker is off on HPM-CNC-07", "5", "at 3 points only", Tag::new(Tone::Wait, "ticket open")),
            fix("SI.L2-3.14.1", "Flaw remediation", "12 devices missed the 30-day patch window", "5", "not allowed", Tag::new(Tone::Unknown, "stale, 41 days")),
        ],
        inbox_href: paths::inbox(),
        audit_href: "#".into(),
        people_href: ssp_accepted.then(|| "#".into()),
    }
}

pub(crate) fn observed() -> EvidenceCard {
    EvidenceCard {
        title: "Workstations with an owner: 212 of 214".into(),
        source: "ConnectWise PSA, configurations of company 250".into(),
        collected_at: NOW - Duration::minutes(38),
        freshness: Tag::new(Tone::Met, "fresh"),
        population: Some("212 of 214".into()),
        facts: vec![("Type".into(), "Managed Workstation".into()), ("Not read".into(), "HPM-CNC-07, HPM-LAB-02".into())],
        grade: Some("Partial: supports the objective in part".into()),
        limits: vec!["Shows what is in inventory, not that nothing else is connected.".into()],
        place: None,
        approved_on: None,
        filed_by: None,
        hash: HASH.into(),
    }
}

fn filed() -> EvidenceCard {
    EvidenceCard {
        title: "Access request policy, version 3".into(),
        source: "Linked file, kept by the client (name, place and hash only)".into(),
        collected_at: NOW - Duration::hours(5),
        freshness: Tag::new(Tone::Unknown, "as of its approval"),
        population: None,
        facts: vec![],
        grade: None,
        limits: vec![],
        place: Some("SharePoint: Quality / Policies / AC / access-request-policy-v3-final-signed-by-dana-whitfield.pdf".into()),
        approved_on: Some(date!(2026 - 10 - 14)),
        filed_by: Some("Marco Reyes".into()),
        hash: HASH.chars().rev().collect(),
    }
}

fn requirement(engineer: bool) -> RequirementPage {
    let objective = |letter: &str, text: &str, standing| ObjectiveView {
        id: format!("AC.L2-3.1.1[{letter}]"),
        letter: letter.into(),
        text: text.into(),
        standing,
        suggestion: None,
        finding: None,
        rejection: None,
        open_proposal: None,
        evidence: vec![],
    };
    let suggestion = SuggestionView {
        result: Tag::new(Tone::Wait, "supports in part"),
        by: "by rule".into(),
        at: NOW - Duration::minutes(37),
        reasons: vec!["212 of 214 workstations have a named owner.".into(), "The newest full read is 38 minutes old.".into()],
        limits: vec!["Shows who has a device, not that access is limited to them.".into()],
    };
    let finding = FindingView {
        result: Tag::new(Tone::Met, "MET"),
        by: "Sam Okafor".into(),
        at: NOW - Duration::days(3),
        reason: "The list of accounts is reviewed by HR each quarter.".into(),
        comment: "Checked the list against HR on 21 November.".into(),
        restored: engineer.then(|| ("Dana Whitfield".into(), NOW - Duration::days(1))),
        proposal: Some(Link::new("#", "the decision")),
        roll_back: engineer.then(|| Link::new("#", "Ask to take it back")),
    };
    let rejection = RejectionView {
        by: "Priya Nair".into(),
        at: NOW - Duration::hours(2),
        comment: "18 laptops are missing.".into(),
        proposal: Link::new("#", "Mark AC.L2-3.1.1[d] as MET?"),
    };
    let answers = || {
        let answer = |value: &str, label: &str| Choice { value: value.into(), label: label.into() };
        vec![
            answer("met", "MET: the document shows it"),
            answer("not_met", "NOT MET: something is missing"),
            answer("not_applicable", "NOT APPLICABLE: nothing in scope that it could apply to; it counts as MET"),
        ]
    };
    let choice = |letter: &str| Choice {
        value: format!("3.1.1[{letter}]"),
        label: format!("AC.L2-3.1.1[{letter}]: the devices and other systems that are authorized"),
    };
    RequirementPage {
        frame: frame(Section::Clients),
        client: CLIENT.into(),
        client_href: "#".into(),
        id: "AC.L2-3.1.1".into(),
        title: "Who and what gets in".into(),
        statement: "Give system access only to authorized users, to processes that act for them, and to authorized devices, other systems included.".into(),
        family: "3.1 Access Control".into(),
        weight: "5 points".into(),
        poam: "may never stand on a plan of action".into(),
        standing: Standing::Partly,
        why: "1 of 6 objectives decided; 1 waits for an approver".into(),
        objectives: vec![
            ObjectiveView { finding: Some(finding), evidence: vec![filed()], ..objective("a", "the users who are authorized to have access are identified", Standing::Met) },
            objective("b", "the processes that act for authorized users are identified", Standing::Unread),
            ObjectiveView { suggestion: Some(suggestion.clone()), open_proposal: Some(Link::new("#", "Mark AC.L2-3.1.1[c] as MET?")), evidence: vec![observed(), filed()], ..objective("c", "the devices and other systems that are authorized for connection to the system are identified", Standing::Waiting) },
            ObjectiveView { suggestion: Some(suggestion), rejection: Some(rejection), evidence: vec![observed()], ..objective("d", "among users, only authorized ones can get access to the system", Standing::Suggested) },
            objective("e", "among processes, only those that act for authorized users can get access to the system", Standing::NotMet),
            objective("f", "among devices, other systems included, only authorized ones can get access to the system", Standing::NotApplicable),
        ],
        propose: engineer.then(|| ProposeForm::new("#".into(), TOKEN.into(), vec![choice("b"), choice("d")], answers(), 2000)),
        previous: None,
        next: Some(Link::new("#", "AC.L2-3.1.2")),
    }
}

fn requirement_with_errors() -> RequirementPage {
    let mut page = requirement(true);
    let typed = |name: &str| match name {
        "objective" => "3.1.1[d]".into(),
        "found" => "met".into(),
        "title" => "Access request policy, version 3".into(),
        "sha256" => "abc".into(),
        _ => String::new(),
    };
    let errors = [
        FieldError { field: "place", message: "Say where the file is kept.".into() },
        FieldError { field: "sha256", message: "A SHA-256 has 64 characters from 0 to 9 and a to f.".into() },
    ];
    page.propose = page.propose.map(|form| form.returned(&typed, &errors));
    page
}

fn inbox(empty: bool) -> InboxPage {
    let item = |question: &str, note: Option<&str>| InboxItem {
        href: "#".into(),
        question: question.into(),
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

pub(crate) fn open(error: Option<&str>) -> ProposalState {
    ProposalState::Open(DecisionForm {
        action: "#".into(),
        token: TOKEN.into(),
        approve_label: "Approve and mark MET".into(),
        blocked: None,
        reject_label: "Reject".into(),
        comment: String::new(),
        error: error.map(Into::into),
    })
}

fn stale() -> ProposalPage {
    let ProposalState::Open(form) = open(None) else { unreachable!() };
    let why = "This evidence is too old to count by now: Workstations with an owner: 212 of 214.";
    let mut page = proposal(ProposalState::Open(DecisionForm { blocked: Some(why.into()), ..form }));
    page.evidence[0].freshness = Tag::new(Tone::Wait, "Too old to count since 24 Nov 2026");
    page
}

fn decided(approved: bool, by_you: bool, too_late: bool, run: Run) -> ProposalState {
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

fn pending() -> Run {
    Run::Pending { run_by: NOW + Duration::days(2) }
}

fn done() -> Run {
    Run::Done { at: NOW - Duration::seconds(60), done: "AC.L2-3.1.1[a] became MET.".into() }
}

fn refused() -> Run {
    Run::Refused { at: NOW - Duration::seconds(60), why: "The evidence changed between the decision and its execution.".into() }
}

fn not_yours() -> ProposalState {
    ProposalState::NotYours { why: "You asked for this, so another person decides: Sam Okafor or Dana Whitfield.".into() }
}

fn superseded() -> ProposalState {
    let why = "New evidence changed this proposal, and another one stands in its place.".into();
    ProposalState::Superseded { at: NOW - Duration::hours(1), why, by: Some(Link::new("#", "Go to the proposal that stands in its place")) }
}

fn mapping(empty: bool) -> MappingPage {
    let company = |id: &str, name: Option<&str>| WaitingCompany {
        connection: "ConnectWise of Northgate IT".into(),
        connection_id: "0192f3".into(),
        company: id.into(),
        company_name: name.map(Into::into),
        records: 14,
        let_go: u64::from(name.is_none()) * 3,
        since: NOW - Duration::hours(3),
        token: TOKEN.into(),
    };
    MappingPage {
        frame: frame(Section::Connections),
        waiting: if empty { vec![] } else { vec![company("312", Some("Kestrel Avionics & Søn")), company("29683571", None)] },
        nameless: if empty { vec![] } else { vec![NamelessLine { connection: "ConnectWise of Northgate IT".into(), records: 2 }] },
        mapped: if empty {
            vec![]
        } else {
            vec![MappedLine {
                connection: "ConnectWise of Northgate IT".into(),
                company: "250".into(),
                company_name: "Harbor Precision".into(),
                client: CLIENT.into(),
                client_href: "#".into(),
                by: "Marco Reyes".into(),
                at: NOW - Duration::days(12),
            }]
        },
        clients: vec![
            Choice { value: "1".into(), label: CLIENT.into() },
            Choice { value: "2".into(), label: "Tidewater Composites".into() },
        ],
        action: paths::mapping(),
        connections_href: paths::connections(),
        notice: (!empty).then(|| "Harbor Precision is confirmed. Its 14 records are being processed.".into()),
    }
}

fn alarm(words: &str) -> AlarmView {
    AlarmView {
        tag: Tag::new(Tone::Not, "Alarm"),
        words: words.into(),
        count: 3,
        last: NOW - Duration::hours(2),
        clear: PostForm { action: "#".into(), token: TOKEN.into(), fields: vec![], label: "I have seen to it".into() },
    }
}

fn connections(empty: bool) -> ConnectionsPage {
    let connection = |name: &str, system: &str, health, note: Option<&str>, rejects, last: Option<OffsetDateTime>| {
        ConnectionView {
        name: name.into(),
        change_href: "#".into(),
        system: system.into(),
        health,
        health_note: None,
        alarms: note.map(alarm).into_iter().collect(),
        last_delivery: last,
        rejects,
        last_pull: last.map(|at| {
            let (result, notes) = if note.is_none() {
                (Tag::new(Tone::Met, "214 records read"), vec![])
            } else {
                let why = "The read ended early: the vendor refused: credentials or rights. Check the credentials and the rights of the API user, then read again.";
                (Tag::new(Tone::Not, "Failed after 12 records, 1 company to go"), vec![why.to_owned()])
            };
            LastPull { at, result, until: None, notes }
        }),
        unlisted: if note.is_some() { unlisted() } else { vec![] },
        pull: Some(PostForm { action: "#".into(), token: TOKEN.into(), fields: vec![], label: "Read everything now".into() }),
        register: "Register it in ConnectWise as a callback for tickets and one for configurations, level owner.",
        webhook_address: "https://assay.example.net/api/webhooks/connectwise_manage/0192f3a4c5d67e8f9012a3b4c5d6e7f8/tickets".into(),
        clients: 2,
        unmapped: 1,
    }
    };
    let reject = |reason: &str, count, hours| RejectCount { reason: reason.into(), count, last: NOW - Duration::hours(hours) };
    ConnectionsPage {
        frame: frame(Section::Connections),
        connections: if empty {
            vec![]
        } else {
            vec![
                connection(
                    "ConnectWise of Northgate IT",
                    "ConnectWise PSA",
                    Tag::new(Tone::Met, "Heard"),
                    None,
                    vec![],
                    Some(NOW - Duration::minutes(38)),
                ),
                connection(
                    "Autotask",
                    "Autotask PSA",
                    Tag::new(Tone::Not, "Webhook off"),
                    Some(
                        "The vendor turned the webhook off after repeated failures. Turn it on again there; the next full read repairs the gap.",
                    ),
                    vec![reject("wrong signature", 3, 9), reject("malformed", 1, 30)],
                    Some(NOW - Duration::days(2)),
                ),
                connection("Lab", "ConnectWise PSA", Tag::new(Tone::Unknown, "Nothing heard yet"), None, vec![], None),
            ]
        },
        mapping_href: paths::mapping(),
        add_href: paths::new_connection(),
        dead_letters: usize::from(!empty) * 2,
        dead_letters_href: paths::dead_letters(),
        notice: (!empty).then(|| "A full read of ConnectWise has started. It goes on when you close this page.".into()),
    }
}

const WRONG: &[(&str, &str)] = &[
    ("host", "The host must be a bare name in lower case, such as na.myconnectwise.net."),
    ("private_key", "Private key is missing."),
    ("boards", "Line 2 of the boards: there is no record type “incident”. Take one of the list."),
    ("webhook_guids", "Webhook GUIDs, line 1 is not a GUID."),
];

fn unlisted() -> Vec<UnlistedType> {
    let of = |id: Option<&str>, name: &str, count| UnlistedType { id: id.map(Into::into), name: name.into(), count };
    vec![of(Some("40"), "Printer", 14), of(Some("41"), "Uninterruptible power supply", 1), of(None, "Without a type", 3)]
}

fn connection_form(of: Option<(Vendor, bool)>, wrong: &[(&'static str, &str)]) -> ConnectionFormPage {
    let errors: Vec<FieldError> = wrong.iter().map(|(field, message)| FieldError { field, message: (*message).into() }).collect();
    let typed = |name: &str| match name {
        "name" => "ConnectWise of Northgate IT".to_owned(),
        "host" => "na.myconnectwise.net".into(),
        "boards" => "21 = psa_ticket_incident\n22 = incident".into(),
        _ => String::new(),
    };
    let form = of.map(|(vendor, kept)| ConnectionForm {
        action: "#".into(),
        token: TOKEN.into(),
        hidden: vec![("vendor".into(), vendor.slug().into())],
        notice: None,
        fields: form::fields(vendor, &typed, kept, &errors),
        settings: if kept { form::settings_fields(vendor, &typed, &errors) } else { vec![] },
        unlisted: if kept { unlisted() } else { vec![] },
        record_types: evidence_map().entries.iter().map(|e| Choice { value: e.record_type.into(), label: e.name.into() }).collect(),
        label: if kept { "Save".into() } else { "Add this connection".into() },
    });
    ConnectionFormPage {
        frame: frame(Section::Connections),
        heading: of.map_or("Add a connection".into(), |(vendor, _)| format!("Add {}", vendor.word())),
        connections_href: paths::connections(),
        vendors: Vendor::ALL.into_iter().map(|vendor| Link::new(paths::new_connection_of(vendor.slug()), vendor.word())).collect(),
        form,
    }
}

fn new_client(wrong: bool) -> NewClientPage {
    let errors = [FieldError { field: "name", message: "There is a client of this name already. Nothing was added.".into() }];
    let name = Field::new("name", "Company", "As its people write it", FieldKind::Text, CLIENT.into());
    let person =
        |name: &str, engineer, approver| PersonRow { id: name.to_lowercase().replace(' ', "-"), name: name.into(), engineer, approver };
    NewClientPage {
        frame: frame(Section::Clients),
        clients_href: paths::clients(),
        action: "#".into(),
        token: TOKEN.into(),
        id: "0192f3".into(),
        name: if wrong { name.with_errors(&errors) } else { name },
        roles_error: wrong.then(|| "Nobody could decide anything: tick an approver.".into()),
        people: vec![person("Marco Reyes", true, false), person("Dana Whitfield-Okonkwo", false, true), person("Sam Okafor", false, false)],
    }
}

fn client_people(wrong: bool) -> PeoplePage {
    let NewClientPage { people, .. } = new_client(false);
    PeoplePage {
        frame: frame(Section::Clients),
        client: CLIENT.into(),
        clients_href: paths::clients(),
        client_href: wrong.then(|| "#".into()),
        action: "#".into(),
        token: TOKEN.into(),
        seen: HASH.into(),
        people,
        error: wrong.then(|| "Nobody could decide anything: tick an approver.".into()),
        notice: (!wrong).then_some("This is what holds now."),
    }
}

fn dead_letters(empty: bool) -> DeadLettersPage {
    let letter = |reason: &str, state| DeadLetterView {
        id: "0192f3a4c5d67e8f9012a3b4c5d6e7f8".into(),
        function: "intake".into(),
        reason: reason.into(),
        about: Some("delivery of ConnectWise, ticket 918204".into()),
        at: NOW - Duration::hours(7),
        state,
    };
    let form = |label: &str| PostForm { action: "#".into(), token: TOKEN.into(), fields: vec![], label: label.into() };
    let waiting = |replay: bool| DeadLetterStand::Waiting { replay: replay.then(|| form("Try again")), see_to: form("I have seen to it") };
    let an_hour_ago = NOW - Duration::hours(1);
    let reason = "the key of 0192f0c1a2b3c4d5e6f708192a3b4c5d cannot be used";
    let fields = vec![("reason".into(), reason.into())];
    let replay = PostForm { action: "#".into(), token: TOKEN.into(), fields, label: "Try all of this reason again".into() };
    let same = SameReason { id: "reason-1".into(), reason: reason.into(), waiting: 240, replay };
    DeadLettersPage {
        frame: frame(Section::Connections),
        same_reason: if empty { vec![] } else { vec![same] },
        letters: if empty {
            vec![]
        } else {
            vec![
                letter("The client's key could not be used five times in a row.", waiting(true)),
                letter("The message's signature does not hold.", waiting(false)),
                letter("The vendor did not answer.", DeadLetterStand::Replayed("Marco Reyes".into(), an_hour_ago)),
                letter("The message is for function notify.", DeadLetterStand::SeenTo("Marco Reyes".into(), an_hour_ago)),
            ]
        },
        unreadable: if empty { vec![] } else { vec!["9329e9744ac1".into()] },
        older: (!empty).then(|| Link::new("#", "Older dead letters")),
        notice: None,
    }
}

fn set_aside(empty: bool) -> SetAsidePage {
    let marco = || ("Marco Reyes".to_owned(), NOW - Duration::hours(1));
    let form = |label: &str| PostForm { action: "#".into(), token: TOKEN.into(), fields: vec![], label: label.into() };
    let record = |what: &str, copies: usize, seen: bool| SetAsideRecord {
        what: what.into(),
        connection: "Northgate ConnectWise".into(),
        came: if what.starts_with("ticket") { "by a webhook" } else { "in a whole read" },
        marking: "banner marking",
        at: NOW - Duration::days(3),
        copies,
        destroyed: seen.then(marco),
        destroy: (copies > 0).then(|| form("Destroy our copy")),
        seen: seen.then(marco),
        see_to: (!seen).then(|| form("I have seen to it")),
    };
    let records = vec![record("ticket 918204", 2, false), record("configuration 4471", 0, false), record("ticket 918100", 0, true)];
    let groups = vec![SetAsideGroup { client: CLIENT.into(), records, more: 3 }];
    let groups = if empty { vec![] } else { groups };
    let unreadable = if empty { vec![] } else { vec![("Northgate Autotask".into(), 1)] };
    SetAsidePage { frame: frame(Section::Clients), clients_href: paths::clients(), groups, unreadable, notice: None }
}

fn audit(empty: bool) -> AuditPage {
    let entry = |actor: &str, text: &str, href: Option<&str>, note: Option<&str>, minutes, proof: &str| TimelineEntry {
        at: NOW - Duration::minutes(minutes),
        actor: actor.into(),
        text: text.into(),
        href: href.map(Into::into),
        note: note.map(Into::into),
        proof: Some(proof.into()),
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
        unplaced: usize::from(!empty),
        refused: if empty { 0 } else { 3 },
        newer: None,
        older: (!empty).then(|| Link::new("#", "Older entries")),
        export: None,
    }
}

fn sign_in(demo: bool) -> SignInPage {
    let person = |name: &str, what: &str| DemoPerson { id: "0192f3".into(), name: name.into(), what: what.into() };
    let mut frame = Frame::anonymous(&config(), NOW);
    frame.demo = demo;
    SignInPage {
        frame,
        people: if demo {
            vec![
                person("Marco Reyes", "Engineer at Northgate IT: connects tools, proposes"),
                person("Priya Nair", "Approver at Northgate IT: decides what others proposed"),
                person("Dana Whitfield", "Approver at Harbor Precision Machining"),
            ]
        } else {
            vec![]
        },
        action: paths::sign_in(),
        next: Some(paths::inbox()),
        notice: Some("Sign in to see this approval.".into()),
    }
}

fn message() -> MessagePage {
    MessagePage {
        frame: frame(Section::Connections),
        heading: "The company is mapped".into(),
        tag: Some(Tag::new(Tone::Met, "Done")),
        sentence:
            "Company 250 of ConnectWise is Harbor Precision Machining. Its 14 waiting records are being processed; you can close this page."
                .into(),
        to_copy: Some("vAut-EsXlZ-YTFRq0v1nJ3m2S9rT7xYcZb4LwPa6U".into()),
        links: vec![Link::new("#", "Go to Harbor Precision Machining"), Link::new("#", "Map the next company")],
    }
}

fn problem() -> ProblemPage {
    ProblemPage::new(
        frame(Section::None),
        &Problem::conflict("Sam Okafor decided this at the same moment. Your answer was not recorded."),
        "3f9c1f7e-6f53-4f9c-9a51-0f9a52a6d1b0",
        Link::new(paths::inbox(), "Go to your approvals"),
    )
}
