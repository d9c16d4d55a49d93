//! Setup and health, on a first day on Azure that goes less than well.

use assay::web::pages::{
    Field, FieldError, FieldKind, Frame, HealthPage, Link, PartView, PostForm, Section, SetupPage, SetupStep, SignedIn, StepForm, Tag,
    Tone, paths,
};
use time::Duration;

use super::{NOW, TOKEN, config};

fn frame() -> Frame {
    let person = SignedIn { name: "Olivia Hart".into(), roles: "Owner".into(), operates: true, owns: true, sign_out_token: TOKEN.into() };
    Frame { asking: Some(1), ..Frame::new(&config(), NOW, Section::Setup, Some(person), 3) }
}

pub(super) fn setup(wrong: bool) -> SetupPage {
    let step = |title, tag, blocks, lines: &[&str], next| SetupStep {
        title,
        tag,
        blocks,
        why: "Nobody approves what they asked for themselves, so it takes two people: one who asks and one who decides.",
        lines: lines.iter().map(|line| (*line).to_owned()).collect(),
        done_means: "each client has as many approvers as its policy asks for, besides whoever asks.",
        next,
        to_copy: vec![],
        form: None,
    };
    let said = "Azure says that the policy is Unlocked: it is not locked, and nothing was recorded.".to_owned();
    let error = FieldError { field: "azure-says", message: said.clone() };
    let answer = Field::new(
        "azure-says",
        "What Azure answers when the policy is shown",
        "All of it, from { to }.",
        FieldKind::Lines,
        "{ \"state\": \"Unlocked\" }".into(),
    );
    let answer = if wrong { answer.with_errors(&[error]) } else { answer };
    let mut lock =
        step("Lock of the logs\u{2019} copies", Tag::new(Tone::Wait, "Advised"), false, &["What the store tells: UNLOCKED."], None);
    lock.to_copy = vec![(
        "Lock it. This cannot be undone:".into(),
        "az storage container immutability-policy lock --account-name northgateassay --container-name anchors -g $(az storage account list --query \"[?name=='northgateassay'].resourceGroup\" -o tsv)".into(),
    )];
    lock.form = Some(StepForm {
        action: "#".into(),
        token: TOKEN.into(),
        fields: vec![answer],
        label: "Record that it is locked",
        is_final: false,
    });
    SetupPage {
        frame: frame(),
        steps: vec![
            step(
                "Settings and parts",
                Tag::new(Tone::Not, "Look here"),
                true,
                &["1 of 19 are not as they should be.", "queue notify: not there; make it, by exactly this name"],
                Some(Link::new("#", "See all of it under Health")),
            ),
            step("First client", Tag::new(Tone::Met, "Done"), false, &["1 client is there."], Some(Link::new("#", "See the clients"))),
            step("Approval policy", Tag::new(Tone::Unknown, "The default"), false, &["Harbor Precision Machining: the default."], None),
            step(
                "Approvers",
                Tag::new(Tone::Wait, "To do"),
                true,
                &["You are the only one who can sign in."],
                Some(Link::new("#", "See who asks, under People")),
            ),
            lock,
        ],
        done: 1,
        counted: 4,
        health_href: paths::health(),
        notice: None,
        errors: if wrong { vec![("azure-says", said)] } else { vec![] },
    }
}

pub(super) fn health(looked: bool) -> HealthPage {
    let part = |name: &str, tag, words: &str, waits| PartView {
        name: name.into(),
        client: name.contains("client").then(|| "Harbor Precision Machining".into()),
        tag,
        setting: Some("ASSAY_QUEUE_URL"),
        words: words.into(),
        waits,
        milliseconds: 44,
    };
    let parts = vec![
        part(
            "queue notify",
            Tag::new(Tone::Not, "not there"),
            "make it, by exactly this name",
            Some("nobody is told; what waits for people stands under Approvals all the same."),
        ),
        part(
            "the key of client 0f1c2a305b1e4c5a9c5d2a6f0d3b7a01",
            Tag::new(Tone::Wait, "not available"),
            "check its address",
            Some("this client\u{2019}s pages do not open."),
        ),
        part("container deployment", Tag::new(Tone::Met, "Good"), "", None),
        part("queue intake", Tag::new(Tone::Met, "Good"), "sending is not tried", None),
    ];
    HealthPage {
        frame: frame(),
        from: Link::new(paths::setup(), "Setup"),
        looked_at: looked.then(|| NOW - Duration::minutes(4)),
        with_clients: false,
        bad: if looked { 2 } else { 0 },
        parts: if looked { parts } else { vec![] },
        again: PostForm { action: "#".into(), token: TOKEN.into(), fields: vec![], label: "Look at all of it now".into() },
        notice: None,
    }
}
