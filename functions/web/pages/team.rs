//! Who can sign in, and who asks to: the owner's page.

use askama::Template;
use time::{Date, OffsetDateTime};

use super::{FieldError, Frame, PostForm, Tag};

#[derive(Clone, Debug, Template)]
#[template(path = "team.html", config = "functions/web/pages/askama.toml")]
pub struct TeamPage {
    pub frame: Frame,
    pub clients_href: String,
    pub asking: Vec<AskingView>,
    /// Whom somebody said no to, for a week.
    pub turned_away: Vec<AskingView>,
    pub members: Vec<MemberView>,
    /// Who has access, and the settings do not name their directory.
    pub left_out: Vec<MemberView>,
    /// Whose access was taken away.
    pub former: Vec<FormerView>,
    pub notice: Option<String>,
}

impl TeamPage {
    /// Whether something is to be mended among those who were turned away.
    pub(super) fn looks_below(&self) -> bool {
        self.turned_away.iter().any(|person| !person.errors.is_empty())
    }
}

/// Somebody who wants in; the form's fields are `name`, `email` and `operates`.
#[derive(Clone, Debug)]
pub struct AskingView {
    pub id: String,
    /// What the form holds: at first what their directory says.
    pub name: String,
    pub email: String,
    pub operates: bool,
    pub who: IdentityView,
    pub asked_at: OffsetDateTime,
    /// They were let in before, and somebody took it away.
    pub had_access_until: Option<Date>,
    /// Whose other account it was then, and is again once they are let in.
    pub same_as: Option<String>,
    /// The settings name them: let in, they are an owner.
    pub named_owner: bool,
    pub action: String,
    pub token: String,
    /// `None` for whom it happened to.
    pub turn_away: Option<PostForm>,
    pub errors: Vec<FieldError>,
}

impl AskingView {
    pub(super) fn error(&self, field: &str) -> Option<&str> {
        self.errors.iter().find(|error| error.field == field).map(|error| error.message.as_str())
    }
}

/// Who somebody is by their directory, whatever they are called there.
#[derive(Clone, Debug)]
pub struct IdentityView {
    /// The MSP's own; what other directories say of names is their own affair.
    pub own_directory: bool,
    /// There, of another organization.
    pub is_guest: bool,
    pub sign_in_name: Option<String>,
    pub directory: String,
    pub object: String,
}

impl IdentityView {
    pub(super) fn is_own(&self) -> bool {
        self.own_directory && !self.is_guest
    }
}

#[derive(Clone, Debug)]
pub struct MemberView {
    pub name: String,
    pub email: String,
    /// `None` for who does not sign in with Entra ID.
    pub who: Option<IdentityView>,
    pub tag: Option<Tag>,
    /// `engineer or approver for 2 clients`
    pub clients: String,
    /// Where the owner changes what is written down of them.
    pub change_href: String,
    /// `None` for the reader: nobody takes away their own.
    pub end_access: Option<PostForm>,
}

/// Somebody who could sign in once.
#[derive(Clone, Debug)]
pub struct FormerView {
    pub name: String,
    pub who: Option<IdentityView>,
    pub ended_at: OffsetDateTime,
}
