//! The schema as a document for auditors: `EVENTS.md` in an export, and a download of the audit page.

use std::fmt::Write as _;

use super::{AREAS, Outcome, VERSION};

/// The members of a leaf (see `leaf`), and what each says.
const LEAF: [(&str, &str); 8] = [
    ("v", "the form of the leaf, 1"),
    ("id", "the event's own id: no event stands in a log twice"),
    ("at", "when it happened, by the clock of the program that recorded it"),
    ("kind", "what happened: one of the kinds below"),
    ("object", "what it happened to, by ids only; a person by a pseudonym"),
    ("actor", "who did it: person and a pseudonym, function and its name, or connection and its id"),
    ("correlation", "ties entries of one cause together; may be absent"),
    ("commitment", "SHA-256 over 32 random bytes (the salt) and the content: binds the content without showing it"),
];

/// What a member of the leaf says.
pub fn field_of_leaf(name: &str) -> Option<&'static str> {
    LEAF.iter().find(|(known, _)| *known == name).map(|(_, meaning)| *meaning)
}

/// In Markdown; the same for every installation of a release.
pub fn document() -> String {
    let mut text = format!(
        "# Audit events\n\nSchema version {VERSION}, as written by Assay {}. Every entry of an audit log is of one of these kinds. \
A kind and its fields never change their meaning; a later version may add kinds and fields, and logs keep what earlier versions wrote.\n\n\
## An entry\n\nAn entry's leaf is a line of JSON that stands in the log for ever:\n\n| member | what it says |\n| --- | --- |\n",
        env!("CARGO_PKG_VERSION")
    );
    for (name, meaning) in LEAF {
        let _ = writeln!(text, "| `{name}` | {meaning} |");
    }
    text.push_str(
        "\nThe content is JSON too, and is disclosed apart from the leaf: `actor` (who really acted), `object` (where the leaf has a \
pseudonym), and `detail`, whose fields are listed below for each kind. A detail of more than 64 KB is replaced by `left_out`, `bytes` \
and `sha256`. Times in fields are seconds since 1970, in UTC.\n\n## Outcomes\n\nEach kind has one outcome:\n\n",
    );
    for outcome in Outcome::ALL {
        let _ = writeln!(text, "- {}: {}", outcome.word(), outcome.meaning().to_lowercase());
    }
    for area in AREAS {
        let _ = write!(text, "\n## {}\n", area.title);
        for kind in area.kinds {
            let _ = write!(
                text,
                "\n### {}\n\nWho acted {}. Outcome: {}. Object: {}.\n",
                kind.name,
                kind.says,
                kind.outcome.word(),
                kind.object
            );
            if kind.fields.is_empty() {
                text.push_str("\nNo fields.\n");
                continue;
            }
            text.push_str("\n| field | form | there | what it says |\n| --- | --- | --- | --- |\n");
            for field in kind.fields {
                let there = if field.always { "always" } else { "sometimes" };
                let _ = writeln!(text, "| `{}` | {} | {there} | {} |", field.name, field.form.word(), field.meaning);
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::{leaf::Leaf, schema::kinds};

    #[test]
    fn the_document_has_every_kind_with_every_field_and_the_version() {
        let text = document();
        assert!(text.contains(&format!("Schema version {VERSION},")));
        for kind in kinds() {
            let section = text.split_once(&format!("### {}\n", kind.name)).expect("a section").1;
            let section = section.split("\n#").next().unwrap_or_default();
            assert!(section.contains(kind.says), "{}", kind.name);
            for field in kind.fields {
                assert!(section.contains(&format!("| `{}` | {} |", field.name, field.form.word())), "{} {}", kind.name, field.name);
            }
        }
    }

    #[test]
    fn the_members_of_a_leaf_are_those_that_are_written() {
        let leaf = Leaf {
            v: 1,
            id: uuid::Uuid::nil(),
            at: time::OffsetDateTime::UNIX_EPOCH,
            kind: "k".into(),
            object: "o".into(),
            actor: "function:x".into(),
            correlation: "c".into(),
            commitment: crate::audit::chain::Hash::over(&[]),
        };
        let written = serde_json::to_value(&leaf).expect("writes");
        let written: std::collections::BTreeSet<_> = written.as_object().expect("an object").keys().cloned().collect();
        assert_eq!(written, LEAF.iter().map(|(name, _)| (*name).to_owned()).collect());
    }
}
