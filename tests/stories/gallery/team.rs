//! Sign-in with an organization's account, and who can sign in.

use assay::web::pages::{
    AccessPage, AccessReviewForm, AccessRow, AnswerView, AskingView, Choice, FieldError, FormerView, Frame, IdentityView, MemberPage,
    MemberView, PostForm, ReviewView, Section, SignInPage, Tag, TeamPage, Tone, ToolsField, paths,
};
use time::{Duration, macros::date};

use super::{NOW, TOKEN, frame, sign_in};

pub(super) fn sign_in_with_entra() -> SignInPage {
    SignInPage { organization: Some("#".into()), ..sign_in(false) }
}

fn who(own_directory: bool, name: &str) -> IdentityView {
    IdentityView {
        own_directory,
        is_guest: false,
        sign_in_name: Some(format!("{}@northgate.example", name.to_lowercase().replace(' ', "."))),
        directory: "11111111-2222-4333-8444-555555555555".into(),
        object: "0a0a0a0a-0b0b-4c0c-8d0d-0e0e0e0e0e0e".into(),
    }
}

fn people_frame(asking: usize) -> Frame {
    Frame { asking: Some(asking), ..frame(Section::People) }
}

/// `wrong`: as it comes back, typed and not in order.
pub(super) fn member(owner: bool, wrong: bool) -> MemberPage {
    let errors = vec![FieldError { field: "email", message: "Give an e-mail address, such as priya@example.net.".into() }];
    let errors = if wrong { errors } else { vec![] };
    let (person, email) = if owner {
        ("Olivia Hart", "olivia@northgate.example")
    } else {
        ("Sam Okafor", "sam.okafor.of.the.night.shift@operations.northgate.example")
    };
    MemberPage {
        frame: people_frame(0),
        clients_href: paths::clients(),
        team_href: paths::team(),
        person: person.into(),
        who: Some(who(true, person)),
        action: "#".into(),
        token: TOKEN.into(),
        seen: "seen".into(),
        name: MemberPage::name_field(person.into(), &errors),
        same_as: MemberPage::same_as_field(
            String::new(),
            vec![Choice { value: "0192f3".into(), label: "Olivia Hart (olivia@northgate.example)".into() }],
            &[],
        ),
        email: MemberPage::email_field(if wrong { "sam.okafor".into() } else { email.into() }, &errors),
        tools: if owner {
            ToolsField::Fixed("You are an owner and run the MSP's tools; that is not changed here.")
        } else {
            ToolsField::Choice(true)
        },
        errors,
    }
}

/// Another owner was faster.
pub(super) fn member_overtaken() -> MemberPage {
    let message = "Somebody changed this meanwhile. Now it says: Sam Okafor-Reyes, sam@northgate.example, does not run the tools. What you typed is kept below; save it again if it is still right.";
    MemberPage { errors: vec![FieldError { field: "name", message: message.into() }], ..member(false, false) }
}

pub(super) fn team(nobody_asks: bool, wrong: bool) -> TeamPage {
    let form = |label: &str| PostForm { action: "#".into(), token: TOKEN.into(), fields: vec![], label: label.into() };
    let asking = |id: &str, name: &str, email: &str, errors| AskingView {
        id: id.into(),
        name: name.into(),
        email: email.into(),
        operates: false,
        who: who(id == "0192f4", name),
        asked_at: NOW - Duration::hours(2),
        had_access_until: (id == "0192f4").then(|| (NOW - Duration::days(30)).date()),
        same_as: (id == "0192f4").then(|| "Marco Reyes (admin)".into()),
        named_owner: id == "0192f4",
        action: "#".into(),
        token: TOKEN.into(),
        turn_away: (id != "0192f5").then(|| form("Turn away")),
        errors,
    };
    let errors = vec![FieldError { field: "email", message: "Give an e-mail address, such as priya@example.net.".into() }];
    let member = |name: &str, email: &str, tag: Option<Tag>, clients: &str, end: bool| MemberView {
        name: name.into(),
        email: email.into(),
        who: Some(who(true, name)),
        tag,
        clients: clients.into(),
        change_href: "#".into(),
        end_access: end.then(|| form("Take access away")),
    };
    TeamPage {
        frame: people_frame(if nobody_asks { 0 } else { 2 }),
        clients_href: paths::clients(),
        asking: if nobody_asks {
            vec![]
        } else {
            vec![
                asking("0192f3", "Dana Whitfield-Okonkwo", "", if wrong { errors } else { vec![] }),
                asking("0192f4", "Marco Reyes", "marco@northgate.example", vec![]),
            ]
        },
        turned_away: if nobody_asks {
            vec![]
        } else {
            let lee = asking("0192f5", "Lee Park", "lee@elsewhere.example", vec![]);
            vec![AskingView { who: IdentityView { is_guest: true, ..who(true, "Lee Park") }, ..lee }]
        },
        members: vec![
            member(
                "Olivia Hart",
                "olivia@northgate.example",
                Some(Tag::new(Tone::Met, "Owner")),
                "engineer or approver for 2 clients",
                false,
            ),
            member(
                "Sam Okafor",
                "sam.okafor.of.the.night.shift@operations.northgate.example",
                Some(Tag::new(Tone::Met, "Runs the MSP's tools")),
                "no client's engineer or approver yet",
                true,
            ),
        ],
        left_out: if nobody_asks {
            vec![]
        } else {
            let rosa = member("Rosa Lind", "rosa@harbor.example", None, "engineer or approver for 1 client", true);
            vec![MemberView { who: Some(who(false, "Rosa Lind")), ..rosa }]
        },
        former: if nobody_asks {
            vec![]
        } else {
            vec![FormerView { name: "Priya Nair".into(), who: Some(who(true, "Priya Nair")), ended_at: NOW - Duration::days(3) }]
        },
        notice: (!wrong).then(|| "Turned away. They are not let in; for a week you can still change that below.".into()),
    }
}

/// The review of access; `wrong`: an answer that comes back.
pub(super) fn access(wrong: bool) -> AccessPage {
    let row = |id: &str, name: &str, roles: &str, own: bool| AccessRow {
        id: id.into(),
        name: name.into(),
        roles: roles.into(),
        since: (id != "0192f5").then(|| NOW - Duration::days(70)),
        by: (id != "0192f5").then(|| "Olivia Hart".into()),
        last_sign_in: (id != "0192f5").then(|| NOW - Duration::days(2)),
        last_day: (id == "0192f4").then_some(date!(2027 - 03 - 31)),
        why_not: (id == "0192f5").then_some("cannot sign in"),
        same_human_as: (id == "0192f5").then(|| "Priya Nair".into()),
        answer: (!own).then(|| AnswerView {
            chosen: if wrong && id == "0192f4" { "until".into() } else { "keep".into() },
            until: if id == "0192f4" { "2027-03-31".into() } else { String::new() },
        }),
    };
    let form = || AccessReviewForm { action: "#".into(), token: TOKEN.into(), seen: "seen".into() };
    AccessPage {
        frame: people_frame(0),
        clients_href: paths::clients(),
        every: "every 90 days".into(),
        reviews: vec![
            ReviewView {
                title: "Who can sign in".into(),
                change_href: Some("#".into()),
                is_due: true,
                earlier: vec![],
                rows: vec![
                    row("0192f3", "Olivia Hart", "Owner, named by the settings", true),
                    row("0192f4", "Priya Nair", "Runs the MSP's tools", false),
                    row("0192f5", "Priya Nair-Whitfield of the night shift", "Can sign in", false),
                ],
                short: vec![],
                form: form(),
            },
            ReviewView {
                title: "Harbor Precision Machining".into(),
                change_href: Some("#".into()),
                is_due: false,
                earlier: vec![
                    (NOW - Duration::days(20), "Olivia Hart".into(), "3 kept, 1 ended".into()),
                    (NOW - Duration::days(110), "Olivia Hart".into(), "4 kept".into()),
                ],
                rows: vec![row("0192f6", "Priya Nair", "Engineer", false), row("0192f7", "Dana Whitfield", "Approver", false)],
                short: vec![],
                form: form(),
            },
            ReviewView {
                title: "Ridge Composites".into(),
                change_href: Some("#".into()),
                is_due: false,
                earlier: vec![],
                rows: vec![],
                short: vec!["Mark an objective needs 2 approvals, and 1 person could give one.".into()],
                form: form(),
            },
        ],
        notice: (!wrong).then(|| "Recorded: Harbor Precision Machining. It is due again every 90 days.".into()),
        error: wrong.then(|| "A last day lies in the past: give a day to come, or end it.".into()),
    }
}
