//! Sign-in. The demo's form lets anybody be anybody, and says so; the other leads to the organization's own sign-in.

use askama::Template;

use super::Frame;

#[derive(Clone, Debug, Template)]
#[template(path = "sign_in.html", config = "functions/web/pages/askama.toml")]
pub struct SignInPage {
    pub frame: Frame,
    /// Demo persons; empty when demo sign-in is off. The form's fields are `person` and `next`.
    pub people: Vec<DemoPerson>,
    /// With Entra ID: where one's sign-in with the organization ends.
    pub organization: Option<String>,
    pub action: String,
    /// Where to go afterwards: a path of ours that `session::Next` accepted.
    pub next: Option<String>,
    /// They are signed in and must prove it once more; field `again`.
    pub again: bool,
    /// Why the reader is here: `Sign in to see this approval.`
    pub notice: Option<String>,
}

#[derive(Clone, Debug)]
pub struct DemoPerson {
    pub id: String,
    pub name: String,
    /// `Engineer at Northgate IT: connects tools, proposes`
    pub what: String,
}
