//! Every page in every state with data as an MSP would have it: what the tests of the pages read, and what a person
//! looks at. `write` lays it out as files under the target folder.

mod analytics;
mod approvals;
mod audit;
mod clients;
mod offboarding;
mod setup;
mod team;
mod tools;

use std::{fs, path::PathBuf};

use askama::Template;
use assay::{
    config::{self, Config, RawConfig},
    connectors::Vendor,
    web::{
        Problem, assets,
        pages::{
            DemoPerson, Frame, Link, MessagePage, ProblemPage, ProposalState, RecordStands, Run, Section, SignInPage, SignedIn, Tag, Tone,
            paths,
        },
    },
};
use time::{Duration, OffsetDateTime, macros::datetime};

pub(crate) use self::{
    approvals::{open, proposal},
    clients::observed,
};
use analytics::{analytics, sampled, sampled_item};
use approvals::{
    alone, by_level, decided, done, given, in_part, inbox, nobodys_review, not_to_do, not_yours, pending, policy, policy_change,
    policy_moved, policy_unsound, refused, stale, standing_in, superseded, to_do, to_review, withdrawable,
};
use audit::{audit, audit_events, found, proven, record};
use clients::{
    client, client_keys, client_people, clients, clients_of_assessor, clients_of_newcomer, new_client, own_keys, requirement,
    requirement_with_errors,
};
use team::{access, member, member_overtaken, sign_in_with_entra, team};
use tools::{WRONG, connection_form, connections, dead_letters, delivery, mapping, set_aside};

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
        ("clients-of-newcomer", Box::new(|| clients_of_newcomer().render().unwrap())),
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
        ("proposal-one-of-two", Box::new(|| in_part(open(None)).render().unwrap())),
        ("proposal-standing-in", Box::new(|| in_part(standing_in()).render().unwrap())),
        ("proposal-you-gave-one-of-two", Box::new(|| in_part(given()).render().unwrap())),
        ("proposal-yours-to-withdraw", Box::new(|| withdrawable().render().unwrap())),
        ("proposal-by-level", Box::new(|| by_level().render().unwrap())),
        ("proposal-superseded", Box::new(|| proposal(superseded()).render().unwrap())),
        ("proposal-alone", Box::new(|| alone().render().unwrap())),
        ("proposal-to-review", Box::new(|| to_review(false).render().unwrap())),
        ("proposal-review-overdue", Box::new(|| to_review(true).render().unwrap())),
        ("proposal-review-nobodys", Box::new(|| nobodys_review().render().unwrap())),
        ("proposal-to-do", Box::new(|| to_do().render().unwrap())),
        ("proposal-not-to-do", Box::new(|| not_to_do().render().unwrap())),
        ("proposal-policy-change", Box::new(|| policy_change().render().unwrap())),
        ("policy-unsound", Box::new(|| policy_unsound().render().unwrap())),
        ("policy", Box::new(|| policy(false).render().unwrap())),
        ("policy-moved", Box::new(|| policy_moved().render().unwrap())),
        ("policy-tried", Box::new(|| policy(true).render().unwrap())),
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
        ("client-keys", Box::new(|| client_keys(false).render().unwrap())),
        ("own-keys", Box::new(|| own_keys().render().unwrap())),
        ("client-keys-errors", Box::new(|| client_keys(true).render().unwrap())),
        ("offboarding-no-export", Box::new(|| offboarding::without_export().render().unwrap())),
        ("offboarding-vault-key", Box::new(|| offboarding::vault_key().render().unwrap())),
        ("client-people-errors", Box::new(|| client_people(true).render().unwrap())),
        ("client-new-errors", Box::new(|| new_client(true).render().unwrap())),
        ("dead-letters", Box::new(|| dead_letters(false).render().unwrap())),
        ("dead-letters-empty", Box::new(|| dead_letters(true).render().unwrap())),
        ("set-aside", Box::new(|| set_aside(false).render().unwrap())),
        ("set-aside-empty", Box::new(|| set_aside(true).render().unwrap())),
        ("analytics", Box::new(|| analytics(false, false).render().unwrap())),
        ("analytics-of-one", Box::new(|| analytics(true, false).render().unwrap())),
        ("sampled", Box::new(|| sampled(false).render().unwrap())),
        ("sampled-empty", Box::new(|| sampled(true).render().unwrap())),
        ("sampled-evidence", Box::new(|| sampled_item(true, true).render().unwrap())),
        ("sampled-error", Box::new(|| sampled_item(true, false).render().unwrap())),
        ("sampled-action", Box::new(|| sampled_item(false, true).render().unwrap())),
        ("analytics-empty", Box::new(|| analytics(false, true).render().unwrap())),
        ("audit", Box::new(|| audit(false).render().unwrap())),
        ("audit-empty", Box::new(|| audit(true).render().unwrap())),
        ("audit-found", Box::new(|| found(true).render().unwrap())),
        ("audit-nothing-found", Box::new(|| found(false).render().unwrap())),
        ("audit-record", Box::new(|| record(proven()).render().unwrap())),
        ("audit-record-not-yet", Box::new(|| record(RecordStands::NotYet).render().unwrap())),
        (
            "audit-record-broken",
            Box::new(|| record(RecordStands::Broken("a tile of the published log is not there, or is damaged".into())).render().unwrap()),
        ),
        ("audit-events", Box::new(|| audit_events().render().unwrap())),
        ("sign-in", Box::new(|| sign_in(true).render().unwrap())),
        ("sign-in-off", Box::new(|| sign_in(false).render().unwrap())),
        ("sign-in-entra", Box::new(|| sign_in_with_entra().render().unwrap())),
        ("people", Box::new(|| team(false, false).render().unwrap())),
        ("people-errors", Box::new(|| team(false, true).render().unwrap())),
        ("people-nobody-asks", Box::new(|| team(true, false).render().unwrap())),
        ("person", Box::new(|| member(false, false).render().unwrap())),
        ("person-owner", Box::new(|| member(true, false).render().unwrap())),
        ("person-errors", Box::new(|| member(false, true).render().unwrap())),
        ("person-overtaken", Box::new(|| member_overtaken().render().unwrap())),
        ("clients-assessor", Box::new(|| clients_of_assessor().render().unwrap())),
        ("access", Box::new(|| access(false).render().unwrap())),
        ("access-errors", Box::new(|| access(true).render().unwrap())),
        ("setup", Box::new(|| setup::setup(false).render().unwrap())),
        ("setup-errors", Box::new(|| setup::setup(true).render().unwrap())),
        ("health", Box::new(|| setup::health(true).render().unwrap())),
        ("health-not-looked", Box::new(|| setup::health(false).render().unwrap())),
        ("delivery", Box::new(|| delivery().render().unwrap())),
        ("message", Box::new(|| message().render().unwrap())),
        ("problem", Box::new(|| problem().render().unwrap())),
        ("problem-form-lost", Box::new(|| form_lost().render().unwrap())),
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
    let script = assets::check_path();
    fs::write(folder.join("check.js"), assets::serve(script.rsplit('/').next().unwrap()).unwrap().body).unwrap();
    for (page, html) in pages() {
        fs::write(folder.join(format!("{page}.html")), html.replace(&stylesheet, "assay.css").replace(&script, "check.js")).unwrap();
    }
    folder
}

fn frame(section: Section) -> Frame {
    let person =
        SignedIn { name: "Priya Nair".into(), roles: "Approver".into(), operates: true, owns: false, sign_out_token: TOKEN.into() };
    Frame::new(&config(), NOW, section, Some(person), 3)
}

const GAP: &str = "audit item 2 of the client's evidence (part 3 of 16) is gone: it was written with what it records, and taken out before it had its place";

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
        organization: None,
        again: false,
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

/// What somebody typed before their sign-in ended.
fn form_lost() -> ProblemPage {
    let detail = "Your sign-in is over, so nothing was done. Copy what you typed, sign in, and send it from the page that opens then: this form is not taken any more.";
    let page = ProblemPage::new(
        Frame::anonymous(&config(), NOW),
        &Problem::not_signed_in(detail),
        "3f9c1f7e-6f53-4f9c-9a51-0f9a52a6d1b0",
        Link::new(paths::sign_in(), "Sign in"),
    );
    let comment = "I compared the list with the RMM.\n\nTwo accounts are of people who left in October; they are disabled.";
    ProblemPage { typed: vec![("Comment", comment.into())], ..page }
}

fn problem() -> ProblemPage {
    ProblemPage::new(
        frame(Section::None),
        &Problem::conflict("Sam Okafor decided this at the same moment. Your answer was not recorded."),
        "3f9c1f7e-6f53-4f9c-9a51-0f9a52a6d1b0",
        Link::new(paths::inbox(), "Go to your approvals"),
    )
}
