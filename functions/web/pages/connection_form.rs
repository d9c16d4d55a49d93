//! The form of a connection: which vendor, then its fields; the same form changes one that is there.
//!
//! A secret goes in and never comes back: its field has no value to show, also when the form returns with errors.

use askama::Template;

use super::{Choice, Field, FieldKind, Frame, Link, UnlistedType};

#[derive(Clone, Debug, Template)]
#[template(path = "connection_form.html", config = "functions/web/pages/askama.toml")]
pub struct ConnectionFormPage {
    pub frame: Frame,
    pub heading: String,
    pub connections_href: String,
    /// The choice, as long as no vendor is chosen.
    pub vendors: Vec<Link>,
    pub form: Option<ConnectionForm>,
}

#[derive(Clone, Debug)]
pub struct ConnectionForm {
    pub action: String,
    pub token: String,
    /// Hidden fields by name.
    pub hidden: Vec<(String, String)>,
    /// Why nothing was saved, where it is no fault of a field.
    pub notice: Option<String>,
    pub fields: Vec<Field>,
    /// What boards and types mean; empty for a connection that is not there yet.
    pub settings: Vec<Field>,
    /// Configuration types of the last read that mean nothing yet.
    pub unlisted: Vec<UnlistedType>,
    /// What they can mean, by name of the record type.
    pub record_types: Vec<Choice>,
    /// The button.
    pub label: String,
}

impl ConnectionForm {
    fn errors(&self) -> Vec<(&'static str, &str)> {
        let all = self.fields.iter().chain(&self.settings);
        all.filter_map(|field| Some((field.name, field.error.as_deref()?))).collect()
    }
}
