//! Who can sign in, and who asks to: the owner's page.

use askama::Template;
use time::OffsetDateTime;

use super::{FieldError, Frame, PostForm, Tag};

#[derive(Clone, Debug, Template)]
#[template(path = "team.html", config = "functions/web/pages/askama.toml")]
pub struct TeamPage {
    pub frame: Frame,
    pub clients_href: String,
    pub asking: Vec<AskingView>,
    pub members: Vec<MemberView>,
    /// Names of those whose access was taken away, and when.
    pub former: Vec<(String, OffsetDateTime)>,
    pub notice: Option<String>,
}

/// Somebody who wants in; the form's fields are `name`, `email` and `operates`.
#[derive(Clone, Debug)]
pub struct AskingView {
    pub id: String,
    /// What the form holds: at first what their directory says.
    pub name: String,
    pub email: String,
    pub operates: bool,
    pub directory: String,
    pub asked_at: OffsetDateTime,
    pub action: String,
    pub token: String,
    pub turn_away: PostForm,
    pub errors: Vec<FieldError>,
}

impl AskingView {
    pub(super) fn error(&self, field: &str) -> Option<&str> {
        self.errors.iter().find(|error| error.field == field).map(|error| error.message.as_str())
    }
}

#[derive(Clone, Debug)]
pub struct MemberView {
    pub name: String,
    pub email: String,
    pub tag: Option<Tag>,
    /// `engineer or approver for 2 clients`
    pub clients: String,
    /// `None` for the reader: nobody takes away their own.
    pub end_access: Option<PostForm>,
}
