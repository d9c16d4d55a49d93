//! The analytics pages: of all clients, of one, and before anything happened.

use assay::{
    analytics::view::{self, About},
    gate::learning::Rule,
    web::pages::{AnalyticsPage, Chart, ClientFigures, Figure, Link, PostForm, RuleRow, Section, SharingView, Tag, Tone, UnreadableClient},
};
use time::Duration;

use super::{CLIENT, NOW, TOKEN, frame};

fn nothing_known(_: usize, rule: &Rule) -> About {
    About { link: Link::new("#", rule.name()), together: None }
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
        ],
        more_rules: 4,
        sharing: of_one.then(|| SharingView {
            takes_part: true,
            form: Some(PostForm { action: "#".into(), token: TOKEN.into(), fields: vec![], label: "Stop taking part".into() }),
        }),
        ..view::page(frame(Section::Analytics), &[], of_one, nothing_known)
    }
}
