//! The end of a client: before it, where no export can be made, and where a vault key is awaited.

use assay::web::pages::{Field, FieldKind, Link, OffboardingPage, Section, StepForm, StepView, Tag, Tone, paths};

use super::{CLIENT, HASH, TOKEN, frame};

fn form(label: &'static str, fields: Vec<Field>, is_final: bool) -> StepForm {
    StepForm { action: "#".into(), token: TOKEN.into(), fields, label, is_final }
}

fn step(title: &'static str, tag: Tag, lines: &[&str], forms: Vec<StepForm>) -> StepView {
    StepView { title, tag, lines: lines.iter().map(|line| (*line).to_owned()).collect(), command: None, forms, link: None, text: None }
}

fn field(name: &'static str, label: &'static str, hint: &str, kind: FieldKind) -> Field {
    Field::new(name, label, hint, kind, String::new()).required()
}

fn page(steps: Vec<StepView>, take_back: bool, error: Option<&str>) -> OffboardingPage {
    OffboardingPage {
        frame: frame(Section::Clients),
        client: CLIENT.into(),
        clients_href: paths::clients(),
        people_href: "#".into(),
        steps,
        take_back: take_back.then(|| form("Take the offboarding back", vec![], false)),
        notice: error.is_none().then_some("Done. What comes next is marked below."),
        error: error.map(str::to_owned),
    }
}

fn done() -> Tag {
    Tag::new(Tone::Met, "Done")
}

/// The client's key is deleted before an export was taken.
pub(super) fn without_export() -> OffboardingPage {
    let copies = field(
        "copies",
        "Earlier copies, and where they are kept",
        "Such as the monthly exports, or that there are none.",
        FieldKind::Prose(500),
    );
    let lines = [
        "One file with the client's log and its proofs, every record, and a list of all files with their hashes.",
        "It cannot be taken now. The key that protects its records is not in the key vault any more.",
        "If that will stay so, say below which earlier copies there are.",
    ];
    let steps = vec![
        step("Begin", done(), &["Begun 2026-11-24 09:12 UTC by Olivia Hart: Contract ended"], vec![]),
        step("Export, and keep the export", Tag::new(Tone::Wait, "Next"), &lines, vec![form("No export can be made", vec![copies], false)]),
        step(
            "Switch the client off",
            Tag::new(Tone::Unknown, "Later"),
            &["From the next request on nobody reads anything of this client."],
            vec![],
        ),
    ];
    page(steps, true, Some("Say which earlier copies there are and where they are kept, or that there are none. Nothing was done."))
}

/// Its data keys are destroyed, and the vault does not let Assay look.
pub(super) fn vault_key() -> OffboardingPage {
    let word = vec![
        field("who", "Who states that it is deleted", "A person or company, such as the client's own.", FieldKind::Text),
        field("since", "Deleted since", "The day, as they state it.", FieldKind::Date),
        field("writing", "Where that stands in writing", "Such as a letter with its date and place.", FieldKind::Text),
    ];
    let root = format!("Destroyed 2026-11-24 by Olivia Hart: data keys 1 to 2. The client's log ends with 4812 entries, root {HASH}.");
    let keys = StepView {
        command: Some(
            "az keyvault key delete --id https://harbor-precision.vault.usgovcloudapi.net/keys/assay && az keyvault key delete --id https://northgate.vault.usgovcloudapi.net/keys/client-0190a6f2b4c87d3e".into(),
        ),
        ..step(
            "Delete its vault key",
            Tag::new(Tone::Wait, "Next"),
            &["Assay can make and use keys of a vault, and delete none."],
            vec![form("It is deleted: look now", vec![], false), form("Assay cannot look: record their word", word, false)],
        )
    };
    let certificate = StepView {
        link: Some(Link::new("#", "Download it with its signature")),
        text: Some("ASSAY CERTIFICATE OF DESTRUCTION 1\n\nClient: Harbor Precision Machining\n".into()),
        ..step("Certificate of destruction", Tag::new(Tone::Unknown, "Later"), &["Says what was destroyed, when and by whom."], vec![])
    };
    page(vec![step("Destroy its data keys", done(), &[&root], vec![]), keys, certificate], false, None)
}
