//! A field of a form: its label, its hint, what was typed, and what is wrong with it. `field.html` draws every kind.

use super::FieldError;

#[derive(Clone, Debug)]
pub struct Field {
    /// Also its id on the page.
    pub name: &'static str,
    pub label: &'static str,
    /// May be empty.
    pub hint: String,
    pub kind: FieldKind,
    pub required: bool,
    pub(super) value: String,
    pub error: Option<String>,
}

/// An option of a select.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    pub value: String,
    pub label: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FieldKind {
    /// One line, such as a name.
    Text,
    /// Never shown again.
    Secret,
    /// `YYYY-MM-DD`
    Date,
    /// One entry a line.
    Lines,
    /// Sentences, at most this many characters.
    Prose(usize),
    /// One of these.
    OneOf(Vec<Choice>),
}

impl Field {
    /// `value` is what was typed or what is kept; a secret is not taken along.
    pub fn new(name: &'static str, label: &'static str, hint: impl Into<String>, kind: FieldKind, value: String) -> Self {
        let value = if kind == FieldKind::Secret { String::new() } else { value };
        Self { name, label, hint: hint.into(), kind, required: false, value, error: None }
    }

    /// Takes its own error of the list.
    #[must_use]
    pub fn with_errors(mut self, errors: &[FieldError]) -> Self {
        self.take_error(errors);
        self
    }

    pub(super) fn take_error(&mut self, errors: &[FieldError]) {
        self.error = errors.iter().find(|error| error.field == self.name).map(|error| error.message.clone());
    }

    #[must_use]
    pub fn required(self) -> Self {
        Self { required: true, ..self }
    }

    /// Further attributes of its control.
    pub(super) fn state(&self) -> String {
        let mut described = Vec::new();
        if !self.hint.is_empty() {
            described.push(format!("{}-hint", self.name));
        }
        if self.error.is_some() {
            described.push(format!("{}-error", self.name));
        }
        let described = if described.is_empty() { String::new() } else { format!(" aria-describedby=\"{}\"", described.join(" ")) };
        format!(
            "{}{described}{}",
            if self.required { " required" } else { "" },
            if self.error.is_some() { " aria-invalid=\"true\"" } else { "" }
        )
    }
}
