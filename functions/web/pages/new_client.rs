//! The form of a client to add: its name, its key where somebody must name one, and who may do what for it.

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
    /// `None` where the vault makes the key.
    pub key: Option<Field>,
    pub roles_error: Option<String>,
    /// Everybody else than the reader, who becomes its engineer anyway.
    pub people: Vec<PersonRow>,
}

impl NewClientPage {
    /// What is wrong, with the place to go to.
    fn errors(&self) -> Vec<(&'static str, &str)> {
        let fields = [("name", self.name.error.as_deref()), ("key", self.key.as_ref().and_then(|key| key.error.as_deref()))];
        let all = fields.into_iter().chain([("roles", self.roles_error.as_deref())]);
        all.filter_map(|(place, error)| Some((place, error?))).collect()
    }
}

/// Its checkboxes are named after role and person, `engineer-{id}`; the last day is `until-{id}`.
#[derive(Clone, Debug)]
pub struct PersonRow {
    pub id: String,
    pub name: String,
    pub roles: Vec<RoleBox>,
    /// As the browser writes a day: `2027-03-31`; empty for no end.
    pub until: String,
}

#[derive(Clone, Debug)]
pub struct RoleBox {
    /// `engineer`
    pub field: &'static str,
    pub word: &'static str,
    pub checked: bool,
}
