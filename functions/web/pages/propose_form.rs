//! An engineer's own proposal: what is found of which objective, the document that shows it, and why.

use super::{Choice, Field, FieldError, FieldKind};

/// Sends `objective`, `found`, `title`, `place`, `sha256`, `approved_on` (YYYY-MM-DD) and `why`.
#[derive(Clone, Debug)]
pub struct ProposeForm {
    pub action: String,
    pub token: String,
    pub(super) finding: Vec<Field>,
    /// May stay empty for every finding but MET.
    pub(super) document: Vec<Field>,
    pub(super) why: Field,
}

impl ProposeForm {
    /// `answers`: what can be found of an objective here. `max_reason` in characters.
    pub fn new(action: String, token: String, objectives: Vec<Choice>, answers: Vec<Choice>, max_reason: usize) -> Self {
        let field = |name, label, hint: &str, kind| Field::new(name, label, hint, kind, String::new());
        let why = "What shows it, what is missing, or why nothing here could be assessed. The approver reads this first, and it is recorded with the finding.";
        Self {
            action,
            token,
            finding: vec![
                field("objective", "Objective", "", FieldKind::OneOf(objectives)).required(),
                field("found", "Finding", "", FieldKind::OneOf(answers)).required(),
            ],
            document: vec![
                field("title", "Document", "Its name and version: Access request policy, version 3", FieldKind::Text),
                field("place", "Where it is kept", "So that an assessor finds it: a link, or a folder in words", FieldKind::Text),
                field("sha256", "SHA-256 of the file", "64 characters, from certutil -hashfile or sha256sum", FieldKind::Text),
                field("approved_on", "Approved on", "The day it was approved; a draft is never evidence", FieldKind::Date),
            ],
            why: field("why", "Why", why, FieldKind::Prose(max_reason)).required(),
        }
    }

    /// Objectives that nobody has an open proposal about.
    pub fn objectives(&self) -> &[Choice] {
        match self.finding.first().map(|field| &field.kind) {
            Some(FieldKind::OneOf(objectives)) => objectives,
            _ => &[],
        }
    }

    /// The form comes back as it was typed, with what is wrong.
    #[must_use]
    pub fn returned(mut self, typed: &dyn Fn(&str) -> String, errors: &[FieldError]) -> Self {
        for field in self.finding.iter_mut().chain(&mut self.document).chain([&mut self.why]) {
            field.value = typed(field.name);
            field.take_error(errors);
        }
        self
    }

    pub(super) fn errors(&self) -> Vec<(&'static str, &str)> {
        let all = self.finding.iter().chain(&self.document).chain([&self.why]);
        all.filter_map(|field| Some((field.name, field.error.as_deref()?))).collect()
    }
}
