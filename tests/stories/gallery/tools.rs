//! Connections, the client map, what was set aside and what could not be processed.

use assay::{
    connectors::{Vendor, form},
    readiness::map::evidence_map,
    web::pages::{
        AlarmView, ChannelView, Choice, ConnectionForm, ConnectionFormPage, ConnectionView, ConnectionsPage, DeadLetterStand,
        DeadLetterView, DeadLettersPage, DeliveryPage, FieldError, LastPull, LeftBehind, Link, MailView, MappedLine, MappingPage,
        NamelessLine, PostForm, RejectCount, SameReason, SampleView, Section, SetAsideGroup, SetAsidePage, SetAsideRecord, Tag, Tone,
        UnlistedType, WaitingCompany, paths,
    },
};
use time::{Duration, OffsetDateTime};

use super::{CLIENT, NOW, TOKEN, frame};

pub(super) fn mapping(empty: bool) -> MappingPage {
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
        left_behind: if empty {
            vec![]
        } else {
            vec![LeftBehind {
                connection: "ConnectWise of Northgate IT".into(),
                connection_id: "0192f3".into(),
                company: "198".into(),
                company_name: "Fairlead Castings".into(),
                token: TOKEN.into(),
            }]
        },
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

pub(super) fn alarm(words: &str) -> AlarmView {
    AlarmView {
        tag: Tag::new(Tone::Not, "Alarm"),
        words: words.into(),
        count: 3,
        last: NOW - Duration::hours(2),
        clear: PostForm { action: "#".into(), token: TOKEN.into(), fields: vec![], label: "I have seen to it".into() },
    }
}

pub(super) fn connections(empty: bool) -> ConnectionsPage {
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
        tested: last.map(|at| (Tag::new(Tone::Not, "Look here"), "It refused: a key or the client id is wrong.", at)),
        test: PostForm { action: "#".into(), token: TOKEN.into(), fields: vec![], label: "Test it now".into() },
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
        health_href: paths::health(),
        notice: (!empty).then(|| "A full read of ConnectWise has started. It goes on when you close this page.".into()),
    }
}

pub(super) const WRONG: &[(&str, &str)] = &[
    ("host", "The host must be a bare name in lower case, such as na.myconnectwise.net."),
    ("private_key", "Private key is missing."),
    ("boards", "Line 2 of the boards: there is no record type “incident”. Take one of the list."),
    ("webhook_guids", "Webhook GUIDs, line 1 is not a GUID."),
];

pub(super) fn unlisted() -> Vec<UnlistedType> {
    let of = |id: Option<&str>, name: &str, count| UnlistedType { id: id.map(Into::into), name: name.into(), count };
    vec![of(Some("40"), "Printer", 14), of(Some("41"), "Uninterruptible power supply", 1), of(None, "Without a type", 3)]
}

pub(super) fn connection_form(of: Option<(Vendor, bool)>, wrong: &[(&'static str, &str)]) -> ConnectionFormPage {
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

pub(super) fn dead_letters(empty: bool) -> DeadLettersPage {
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

pub(super) fn set_aside(empty: bool) -> SetAsidePage {
    let marco = || ("Marco Reyes".to_owned(), NOW - Duration::hours(1));
    let form = |label: &str| PostForm { action: "#".into(), token: TOKEN.into(), fields: vec![], label: label.into() };
    let record = |what: &str, copies: usize, seen: bool| SetAsideRecord {
        what: what.into(),
        connection: "Northgate ConnectWise".into(),
        came: if what.starts_with("ticket") { "by a webhook" } else { "in a whole read" },
        marking: "banner marking",
        at: NOW - Duration::days(3),
        copies,
        no_copy: "None: of a whole read no bytes are kept.",
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

/// Cards that a workflow refused, with what is said about it.
pub(super) fn delivery() -> DeliveryPage {
    let channel = |name, state, words: &str, counted| ChannelView {
        name,
        state,
        words: words.into(),
        counted,
        accepted: 212,
        accepted_at: Some(NOW - Duration::hours(30)),
        refused: 2,
        refused_at: Some(NOW - Duration::hours(1)),
        why: "The workflow is not there any more; it goes when its owner leaves.".into(),
        late: 1,
        late_at: Some(NOW - Duration::hours(3)),
    };
    let asked = SampleView {
        name: "Asked",
        when: "When something waits for a decision.",
        title: "Mark AC.L2-3.1.1[a] as MET for Harbor Precision?".into(),
        facts: vec![
            ("Asked by", "Marco Reyes".into()),
            ("Why now", "All 43 accounts match a person.".into()),
            ("Decide by", "Tue 1 Dec 2026, 17:00 UTC".into()),
        ],
        items: vec![],
        foot: vec!["The link only shows the way: nobody can decide without signing in.".into()],
        button: "Sign in, look and decide",
        card: r#"{"type":"message","attachments":[{"contentType":"application/vnd.microsoft.card.adaptive"}]}"#.into(),
        mail: MailView {
            from: "assay@northgate.example".into(),
            to: "priya@northgate.example".into(),
            subject: format!("{CLIENT}: approve AC.L2-3.1.1[a] by Tue 1 Dec"),
            text: "Mark AC.L2-3.1.1[a] as MET?\n\nhttps://assay.example.net/api/portal/link?token=TOKEN\n".into(),
            html: "<!doctype html>\n<h1>Mark AC.L2-3.1.1[a] as MET?</h1>\n".into(),
            what: "Exactly what is sent: the mail with its headers",
            body: format!("Subject: {CLIENT}: approve AC.L2-3.1.1[a]\r\n\r\nhttps://assay.example.net/api/portal/link?token=TOKEN"),
        },
    };
    let digest = SampleView {
        name: "Digest",
        when: "Of an example: when four or more wait for the same reader.",
        title: format!("{CLIENT}: 4 approvals wait"),
        facts: vec![("Soonest deadline", "Tue 1 Dec 2026, 17:00 UTC".into())],
        items: ["a", "b", "c", "d"].map(|letter| format!("Mark AC.L2-3.1.1[{letter}] as MET for {CLIENT}?")).to_vec(),
        ..asked.clone()
    };
    DeliveryPage {
        frame: frame(Section::Connections),
        connections_href: paths::connections(),
        channels: vec![
            channel(
                "Cards in Microsoft Teams",
                Tag::new(Tone::Not, "Failing"),
                "The last card was refused, and mails went out in its place.",
                true,
            ),
            channel("Mails into the mailbox", Tag::new(Tone::Met, "On"), "Each approver is mailed at once.", false),
        ],
        tested: vec![
            "The card was refused: Teams does not know this address. Mend that, then test again.".into(),
            "The mail was taken: look into your mailbox, and into its folder for junk.".into(),
        ],
        test: Some(PostForm { action: "#".into(), token: TOKEN.into(), fields: vec![], label: "Send a test".into() }),
        limits: "At most 30 cards go out in a minute and 100 in an hour; more wait.".into(),
        about: format!("Of what waits for {CLIENT}, as it is sent."),
        samples: vec![asked, digest],
    }
}
