//! Who may do what for a client: the owner's form.

use askama::Template;

use super::{Frame, PersonRow};

#[derive(Clone, Debug, Template)]
#[template(path = "people.html", config = "functions/web/pages/askama.toml")]
pub struct PeoplePage {
    pub frame: Frame,
    pub client: String,
    pub clients_href: String,
    /// `None` for an owner who has no grant for the client.
    pub client_href: Option<String>,
    pub keys_href: String,
    pub offboarding_href: String,
    pub action: String,
    pub token: String,
    /// What the form was made from, so that a change in between is not overwritten unseen.
    pub seen: String,
    pub people: Vec<PersonRow>,
    pub error: Option<String>,
    pub notice: Option<&'static str>,
}
