//! The owner's review of access, client by client.

use askama::Template;
use time::OffsetDateTime;

use super::{Frame, PostForm};

#[derive(Clone, Debug, Template)]
#[template(path = "access.html", config = "functions/web/pages/askama.toml")]
pub struct AccessPage {
    pub frame: Frame,
    pub clients_href: String,
    /// Due longest first.
    pub reviews: Vec<ReviewView>,
    pub notice: Option<String>,
    pub error: Option<String>,
}

#[derive(Clone, Debug)]
pub struct ReviewView {
    pub client: String,
    /// Where the owner changes it.
    pub change_href: String,
    /// `None` when one of them was never confirmed.
    pub confirmed_at: Option<OffsetDateTime>,
    pub is_due: bool,
    pub rows: Vec<AccessRow>,
    /// Kinds of action that nobody could get approved any more, a sentence each.
    pub short: Vec<String>,
    pub confirm: PostForm,
}

#[derive(Clone, Debug)]
pub struct AccessRow {
    pub name: String,
    /// `Engineer, Approver`
    pub roles: String,
    pub until: Option<OffsetDateTime>,
    pub confirmed_at: Option<OffsetDateTime>,
    /// Why it gives nothing now.
    pub why_not: Option<&'static str>,
    /// Another account that counts as the same human.
    pub same_human_as: Option<String>,
}
