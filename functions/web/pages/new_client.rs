//! The form of a client to add: its name, and who may do what for it.

use askama::Template;

use super::{Field, FieldKind, Frame};

#[derive(Clone, Debug, Template)]
#[template(path = "new_client.html", config = "functions/web/pages/askama.toml")]
pub struct NewClientPage {
    pub frame: Frame,
    pub clients_href: String,
    pub action: String,
    pub token: String,
    /// Of the client to be, so that the form sent twice adds one.
    pub id: String,
    pub name: Field,
    pub roles_error: Option<String>,
    /// Everybody else than the reader, who becomes its engineer anyway.
    pub people: Vec<PersonRow>,
}

/// Its checkboxes are named `engineer-{id}` and `approver-{id}`.
#[derive(Clone, Debug)]
pub struct PersonRow {
    pub id: String,
    pub name: String,
    pub engineer: bool,
    pub approver: bool,
}
