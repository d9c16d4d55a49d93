//! The owner's review of access: the installation, then client by client; each line with an answer.

use askama::Template;
use time::{Date, OffsetDateTime};

use super::Frame;

#[derive(Clone, Debug, Template)]
#[template(path = "access.html", config = "functions/web/pages/askama.toml")]
pub struct AccessPage {
    pub frame: Frame,
    pub clients_href: String,
    /// `every 90 days`
    pub every: String,
    /// The installation first, then those that are due longest.
    pub reviews: Vec<ReviewView>,
    pub notice: Option<String>,
    pub error: Option<String>,
}

#[derive(Clone, Debug)]
pub struct ReviewView {
    pub title: String,
    /// Where the owner changes what is more than an answer here.
    pub change_href: Option<String>,
    pub is_due: bool,
    /// Reviews that are recorded, the newest first: when, by whom, what they said.
    pub earlier: Vec<(OffsetDateTime, String, String)>,
    pub rows: Vec<AccessRow>,
    /// Kinds of action that nobody could get approved any more, a sentence each.
    pub short: Vec<String>,
    pub form: AccessReviewForm,
}

/// Its fields are `seen`, and for each row `answer-{id}` (`keep`, `until`, `end`) and `until-{id}`.
#[derive(Clone, Debug)]
pub struct AccessReviewForm {
    pub action: String,
    pub token: String,
    pub seen: String,
}

#[derive(Clone, Debug)]
pub struct AccessRow {
    pub id: String,
    pub name: String,
    /// `Engineer, Approver`, or `Owner (by the app role)`
    pub roles: String,
    pub since: Option<OffsetDateTime>,
    /// `None` when nobody wrote it down.
    pub by: Option<String>,
    pub last_sign_in: Option<OffsetDateTime>,
    pub last_day: Option<Date>,
    /// Why it gives nothing now.
    pub why_not: Option<&'static str>,
    /// Another account that counts as the same human.
    pub same_human_as: Option<String>,
    /// `None` for the reader's own sign-in, which is only kept.
    pub answer: Option<AnswerView>,
}

/// What the form holds of a row.
#[derive(Clone, Debug, Default)]
pub struct AnswerView {
    /// `keep`, `until` or `end`.
    pub chosen: String,
    /// As the browser writes a day; empty for no end.
    pub until: String,
}

impl AnswerView {
    pub(super) fn is(&self, answer: &str) -> bool {
        self.chosen == answer
    }
}
