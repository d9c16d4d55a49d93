//! Clients, one client, its people, its requirements.

use assay::web::pages::{
    AccessReviewLink, Cell, Choice, ClientPage, ClientRow, ClientsPage, EvidenceCard, Family, Field, FieldError, FieldKind, FindingView,
    Fix, Frame, KeysPage, LimitedRole, Link, NewClientPage, ObjectiveView, PeoplePage, PersonRow, PostForm, ProposeForm, Readings,
    RejectionView, RequirementPage, RoleBox, Section, Standing, StepForm, SuggestionView, Tag, Tone, UnreadableClient, paths,
};
use time::{Duration, macros::date};

use super::{CLIENT, HASH, NOW, TOKEN, frame};

pub(super) fn readings(ssp_accepted: bool) -> Readings {
    Readings { today: -41, likely: 18, best: 93, ssp_accepted, complete: false }
}

pub(super) fn clients(empty: bool) -> ClientsPage {
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
        frame: Frame { asking: Some(usize::from(!empty)), ..frame(Section::Clients) },
        clients: if empty { vec![] } else { rows },
        limited: vec![],
        without_grant: if empty { vec![] } else { vec![Link::new("#", "Larch Optics"), Link::new("#", "Tidewater Tooling")] },
        unreadable: if empty {
            vec![]
        } else {
            vec![UnreadableClient { name: "Blue Fjord".into(), why: "Its key is revoked.".into(), link: None }]
        },
        waiting: 4,
        unmapped: 1,
        dead_letters: 2,
        alarms: if empty { vec![] } else { vec![(Link::new("#", "Blue Fjord"), super::GAP.into())] },
        logs_looked: Some(NOW - Duration::minutes(if empty { 3 } else { 47 })),
        logs_late: !empty,
        logs_href: paths::audit(),
        set_aside: usize::from(!empty),
        seen_to: usize::from(empty),
        set_aside_href: paths::set_aside(),
        unmapped_href: Some(paths::mapping()),
        owners: vec!["Olivia Hart".into(), "Sam Okafor".into()],
        add_href: Some(paths::new_client()),
        people_href: Some(paths::team()),
        setup: empty.then(|| (paths::setup(), vec!["First client", "First connection", "Approvers"])),
        access: Some(AccessReviewLink { href: paths::access(), due_for: Some("2 clients and who can sign in".into()) }),
        notice: None,
        dead_letters_href: paths::dead_letters(),
    }
}

/// Let in, and nobody has given them a grant yet.
pub(super) fn clients_of_assessor() -> ClientsPage {
    let of = |client: &str, roles: &str, last_day, words, copy: bool| LimitedRole {
        client: client.into(),
        roles: roles.into(),
        last_day,
        words: vec![words],
        copy: copy.then(|| PostForm { action: "#".into(), token: TOKEN.into(), fields: vec![], label: "Export for verification".into() }),
    };
    let words = "As assessor you read and change nothing. Take a copy of the client's audit log here, to verify on your own machine.";
    let limited = vec![
        of(CLIENT, "Assessor", Some(date!(2027 - 03 - 31)), words, true),
        of("Tidewater Composites", "Training manager, Learner", None, "There is nothing to see yet.", false),
    ];
    ClientsPage { limited, ..clients_of_newcomer() }
}

pub(super) fn clients_of_newcomer() -> ClientsPage {
    let frame = frame(Section::Clients);
    ClientsPage {
        frame,
        unmapped_href: None,
        add_href: None,
        people_href: None,
        setup: None,
        access: None,
        logs_looked: None,
        unmapped: 0,
        dead_letters: 0,
        seen_to: 0,
        ..clients(true)
    }
}

pub(super) fn client(ssp_accepted: bool) -> ClientPage {
    let catalogue: serde_json::Value =
        serde_json::from_str(include_str!("../../../functions/readiness/catalogue/requirements.json")).unwrap();
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
        sprs: None,
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
        policy_href: "#".into(),
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

pub(super) fn filed() -> EvidenceCard {
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

pub(super) fn requirement(engineer: bool) -> RequirementPage {
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

pub(super) fn requirement_with_errors() -> RequirementPage {
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

pub(super) fn new_client(wrong: bool) -> NewClientPage {
    let errors = [
        FieldError { field: "name", message: "There is a client of this name already. Nothing was added.".into() },
        FieldError {
            field: "key",
            message: "There is no such key in that vault. Make it there first (RSA, 3072 bits), then add the client.".into(),
        },
        FieldError {
            field: "regions",
            message: "Give Azure's names of regions, in lower case letters and digits, with commas between them.".into(),
        },
    ];
    let key = || {
        let hint = "The address of this client's own key in Key Vault, such as https://VAULT/keys/NAME, without a version.";
        Field::new("key", "Key", hint, FieldKind::Text, "https://northgate.vault.azure.net/keys/harbor".into()).required()
    };
    let name = Field::new("name", "Company", "As its people write it", FieldKind::Text, CLIENT.into());
    let row = |name: &str, engineer, approver, until: &str| {
        let role = |field, word, checked| RoleBox { field, word, checked };
        let roles = vec![
            role("engineer", "Engineer", engineer),
            role("approver", "Approver", approver),
            role("auditor", "Auditor", false),
            role("assessor", "Assessor", !until.is_empty()),
        ];
        PersonRow { id: name.to_lowercase().replace(' ', "-"), name: name.into(), roles, until: until.into() }
    };
    NewClientPage {
        regions: wrong.then(|| {
            let hint = "The Azure regions in which this client's records may be read.";
            Field::new("regions", "Regions", hint, FieldKind::Text, "Virginia!".into()).with_errors(&errors)
        }),
        frame: frame(Section::Clients),
        clients_href: paths::clients(),
        action: "#".into(),
        token: TOKEN.into(),
        id: "0192f3".into(),
        name: if wrong { name.with_errors(&errors) } else { name },
        key: wrong.then(|| key().with_errors(&errors)),
        roles_error: wrong.then(|| "Nobody could decide anything: tick an approver.".into()),
        people: vec![
            row("Marco Reyes", true, false, ""),
            row("Dana Whitfield-Okonkwo", false, true, ""),
            row("Sam Okafor", false, false, "2027-03-31"),
        ],
    }
}

/// The installation's own.
pub(super) fn own_keys() -> KeysPage {
    let of_client = client_keys(false);
    KeysPage { client: None, regions: None, vault_key: None, facts: of_client.facts[..4].to_vec(), ..of_client }
}

pub(super) fn client_keys(wrong: bool) -> KeysPage {
    let form = |label, field| StepForm { action: "#".into(), token: TOKEN.into(), fields: vec![field], label, is_final: false };
    let regions = Field::new(
        "regions",
        "Regions",
        "Names with commas between them, such as usgovvirginia, usgovarizona. Empty: any.",
        FieldKind::Text,
        if wrong { "usgovarizona" } else { "usgovvirginia" }.into(),
    );
    let reason = Field::new("reason", "Why", "It stands in the audit trail.", FieldKind::Prose(500), String::new()).required();
    KeysPage {
        frame: frame(Section::Clients),
        client: Some(CLIENT.into()),
        clients_href: paths::clients(),
        people_href: "#".into(),
        own_href: "#".into(),
        facts: vec![
            ("Key of the vault", "https://assay-harbor.vault.usgovcloudapi.net/keys/client-0190a6f2".into()),
            ("Its version", "4387e9f3d6e14c459867679a90fd0f79".into()),
            ("Data key that seals", "number 2, since 2026-10-01".into()),
            ("Sealed with it", "about 131072 values".into()),
            ("Keys of a vault before", "https://northgate.vault.usgovcloudapi.net/keys/client-0190a6f2, until 2026-09-30 10:14 UTC".into()),
            ("Regions", "usgovvirginia".into()),
        ],
        regions: Some(form("Change the regions", regions)),
        vault_key: Some(form(
            "Wrap with this key",
            Field::new("key", "Address of the key", "Such as https://VAULT/keys/NAME, without a version.", FieldKind::Text, String::new())
                .required(),
        )),
        rotate: Some(form("Make a further data key now", reason)),
        epoch: "2".into(),
        notice: (!wrong).then_some("Changed. This is what holds now."),
        error: wrong.then(|| "Assay itself runs in none of these regions. Nothing was changed.".into()),
    }
}

pub(super) fn client_people(wrong: bool) -> PeoplePage {
    let NewClientPage { people, .. } = new_client(false);
    PeoplePage {
        keys_href: "#".into(),
        offboarding_href: "#".into(),
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
