//! The analytics pages: of all clients, of one, and before anything happened.

use assay::{
    analytics::view::{self, About},
    gate::learning::Rule,
    web::pages::{
        AnalyticsPage, Chart, Choice, ClientFigures, Field, FieldError, FieldKind, Figure, LevelMark, Link, PostForm, RuleForm, RuleRow,
        SampledItemPage, SampledPage, SampledRow, Section, SharingView, Tag, Tone, UnreadableClient,
    },
};
use time::Duration;

use super::{CLIENT, NOW, TOKEN, frame, observed};

fn nothing_known(_: usize, rule: &Rule) -> About {
    About { link: Link::new("#", rule.name()), together: None, accept: None }
}

pub(super) fn analytics(of_one: bool, empty: bool) -> AnalyticsPage {
    let page = view::page(frame(Section::Analytics), &[], of_one, nothing_known);
    if empty {
        return page;
    }
    let value = |name: &str| match name {
        "Progress" => ("41 of 220", "requirements MET; 3 proposals wait for an approver"),
        "Throughput" => ("0.5 a day", "decided; 0.6 asked, 0.4 carried out a day, over 82 days"),
        "Error rate" => ("1 of 33", "95 % sure: 0.1 to 15.8 %"),
        "Override frequency" => ("3 of 38", "95 % sure: 1.7 to 21.4 %"),
        "Time to decision" => ("2 min", "half of 41 decisions; nine in ten within 3 h 10 min"),
        "Expiry rate" => ("2 of 43", "95 % sure: 0.6 to 15.8 %"),
        _ => ("4 of 41", "95 % sure: 2.7 to 23.1 %"),
    };
    let filled = page.figures.into_iter().map(|figure| match figure.name {
        "Agreement of reviewers" => figure,
        name => Figure { value: Some(value(name).0.into()), more: value(name).1.into(), ..figure },
    });
    let rule = |about: &str, gate, overrides: &str, interval: &str, missing: &[&str]| RuleRow {
        rule: Link::new("#", about),
        client: (!of_one).then(|| CLIENT.into()),
        gate,
        overrides: overrides.into(),
        interval: interval.into(),
        elsewhere: (of_one && overrides != "none yet").then(|| "sometimes overridden, 5 of 300 about".into()),
        missing: missing.iter().map(|one| (*one).into()).collect(),
        accept: (of_one && missing.is_empty()).then(|| PostForm {
            action: "#".into(),
            token: TOKEN.into(),
            fields: vec![],
            label: "Propose L1".into(),
        }),
    };
    let week = |n: i64| (NOW.date() - Duration::days(6 + 7 * n), [4 + n.unsigned_abs() % 3, 3, n.unsigned_abs() % 4]);
    let client = |name: &str, errors: &str, times: &str| ClientFigures {
        link: Link::new("#", name),
        met: 20,
        waiting: 2,
        staged: 26,
        decided: 21,
        executed: 17,
        errors: errors.into(),
        overrides: "2 of 19".into(),
        times: times.into(),
        expired: "1 of 22".into(),
    };
    let people = "the policy goes no further for this kind of action";
    AnalyticsPage {
        client: of_one.then(|| CLIENT.into()),
        pages: vec![
            (!of_one, Link::new("#", "All clients")),
            (of_one, Link::new("#", CLIENT)),
            (false, Link::new("#", "Tidewater Composites")),
        ],
        behind: 12,
        figures: filled.collect(),
        weeks: Chart { weeks: (0..13).rev().map(week).collect() },
        clients: if of_one {
            vec![]
        } else {
            vec![client(CLIENT, "1 of 17", "2 min / 3 h 10 min"), client("Tidewater Composites", "none yet", "none yet")]
        },
        unreadable: if of_one {
            vec![]
        } else {
            vec![UnreadableClient { name: "Pine Ridge Optics".into(), why: "The key vault does not answer just now.".into(), link: None }]
        },
        reasons: vec![("Something speaks against it that Assay cannot see".into(), 2), ("It may be right; we decide otherwise".into(), 1)],
        rules: vec![
            rule("CM.L2-3.4.1[d]", Tag::new(Tone::Not, "Look at this rule"), "none yet", "unknown", &[people]),
            rule("SI.L2-3.14.2[b]", Tag::new(Tone::Wait, "L2"), "1 of 12", "0.2 to 38.5 %", &[people]),
            rule(
                "AT.L2-3.2.1[a]",
                Tag::new(Tone::Wait, "L2"),
                "0 of 31",
                "0.0 to 11.3 %",
                &["59 decisions with a look at the page; 31 so far", "test items with a known error; none yet"],
            ),
            rule("AT.L2-3.2.2[a]", Tag::new(Tone::Wait, "L2"), "0 of 61", "0.0 to 5.9 %", &[]),
        ],
        more_rules: 4,
        not_known: if empty { vec![] } else { vec!["Ridgeline Composites".into()] },
        left_out: vec!["Sam Okafor".into()],
        sampled: of_one.then(|| Link::new("#", "Sampled for review: what ran without an approval")),
        change_waits: of_one.then(|| Link::new("#", "Change the approval policy for Harbor Precision Machining?")),
        leave_out: of_one.then(|| RuleForm {
            kind: None,
            groups: vec![],
            action: "#".into(),
            token: TOKEN.into(),
            fields: vec![
                Field::new(
                    "reviewer",
                    "Whose decisions",
                    "",
                    FieldKind::OneOf(choices(&["Priya Nair", "Sam Okafor, left out now"])),
                    String::new(),
                ),
                Field::new("count", "What is asked", "", FieldKind::OneOf(choices(&["Leave out what they decided"])), String::new()),
                Field::new("why", "Why", "The approver reads this first, and it is recorded.", FieldKind::Prose(2000), String::new()),
            ],
        }),
        sharing: of_one.then(|| SharingView {
            takes_part: true,
            form: Some(PostForm { action: "#".into(), token: TOKEN.into(), fields: vec![], label: "Stop taking part".into() }),
        }),
        ..view::page(frame(Section::Analytics), &[], of_one, nothing_known)
    }
}

fn choices(labels: &[&str]) -> Vec<Choice> {
    labels.iter().map(|label| Choice { value: (*label).into(), label: (*label).into() }).collect()
}

fn mark(word: &str) -> LevelMark {
    let meaning = if word == "L0" { "Assay does this by itself." } else { "Assay does this and tells people." };
    LevelMark { word: word.into(), meaning: meaning.into() }
}

pub(super) fn sampled(empty: bool) -> SampledPage {
    let row = |what: &str, level, hours| SampledRow { what: Link::new("#", what), level: mark(level), at: NOW - Duration::hours(hours) };
    let items = vec![
        row("Evidence taken in: configuration HPM-CNC-07", "L0", 50),
        row("Evidence taken in: ticket 918204", "L0", 20),
        row("Assign training: phishing course for the people of AT.L2-3.2.1[a]", "L1", 2),
    ];
    SampledPage {
        frame: frame(Section::Analytics),
        client: CLIENT.into(),
        analytics_href: "#".into(),
        items: if empty { vec![] } else { items },
        next: (!empty).then(|| "#".into()),
        days: 30,
        answers: empty,
        notice: empty.then_some("Recorded: it does not hold. Nothing was undone by that."),
    }
}

pub(super) fn sampled_item(of_evidence: bool, fine: bool) -> SampledItemPage {
    let error = (!fine).then(|| FieldError { field: "because", message: "Say why it does not hold.".into() });
    let errors: Vec<FieldError> = error.into_iter().collect();
    let reasons = FieldKind::OneOf(choices(&["It is wrong: the evidence does not show this", "It may be right; we decide otherwise"]));
    let because = Field::new("because", "Why it does not hold", "Only where it does not hold", reasons, String::new());
    SampledItemPage {
        frame: frame(Section::Analytics),
        client: CLIENT.into(),
        list_href: "#".into(),
        what: if of_evidence { "Evidence taken in: ticket 918204" } else { "Assign training: AT.L2-3.2.1[a]" }.into(),
        level: mark(if of_evidence { "L0" } else { "L1" }),
        at: NOW - Duration::hours(20),
        card: of_evidence.then(observed),
        proposal: (!of_evidence).then(|| Link::new("#", "Assign the phishing course to the people of AT.L2-3.2.1[a]?")),
        form: Some(RuleForm {
            action: "#".into(),
            token: TOKEN.into(),
            kind: None,
            groups: vec![],
            fields: vec![because.with_errors(&errors)],
        }),
        error: errors.first().map(|error| (error.field, error.message.clone())),
    }
}
