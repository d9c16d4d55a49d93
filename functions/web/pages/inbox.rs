//! The approval inbox: what waits for this person, what waits for others, what was decided lately.

use askama::Template;
use time::OffsetDateTime;

use super::{Frame, Link, Tag};

#[derive(Clone, Debug, Template)]
#[template(path = "inbox.html", config = "functions/web/pages/askama.toml")]
pub struct InboxPage {
    pub frame: Frame,
    /// This person may decide; the nearest deadline first.
    pub yours: Vec<InboxItem>,
    /// Of clients this person sees, for others to decide.
    pub others: Vec<InboxItem>,
    /// What somebody approved alone, or escalated, and nobody else has looked at yet.
    pub reviews: Vec<ReviewItem>,
    /// Other approvers who want the reader to answer in their place.
    pub asked_to_stand_in: Vec<StandInItem>,
    /// What ran by its level, and the reader can undo or look at.
    pub undoable: Vec<UndoItem>,
    /// All that waits for anybody, on this page or not.
    pub total: usize,
    /// Back to the first page, on any other.
    pub first: Option<Link>,
    pub next: Option<Link>,
    /// Newest first, at most ten.
    pub decided: Vec<DecidedItem>,
    /// A sentence when a link led here: expired, superseded, not found.
    pub notice: Option<String>,
}

#[derive(Clone, Debug)]
pub struct InboxItem {
    pub href: String,
    /// `Mark AC.L2-3.1.1[a] as MET for Harbor Precision?`
    pub question: String,
    /// `3.1.1[a]`
    pub subject: String,
    /// What that is, in words; filled by who knows it.
    pub about: Option<String>,
    pub client: String,
    pub asked_by: String,
    pub staged_at: OffsetDateTime,
    pub decide_by: OffsetDateTime,
    /// For items of others: `You asked, so another person decides`.
    pub note: Option<String>,
    /// `1 of 2`, where it takes more than one approval.
    pub progress: Option<String>,
}

#[derive(Clone, Debug)]
pub struct ReviewItem {
    pub href: String,
    pub question: String,
    pub client: String,
    /// Who approved it alone, or asked for the review.
    pub by: String,
    pub due: OffsetDateTime,
    pub overdue: bool,
    /// Why the reader does not.
    pub note: Option<String>,
}

#[derive(Clone, Debug)]
pub struct StandInItem {
    /// Where it is answered.
    pub href: String,
    pub client: String,
    pub by: String,
    pub until: OffsetDateTime,
}

#[derive(Clone, Debug)]
pub struct UndoItem {
    pub href: String,
    pub question: String,
    pub client: String,
    pub ran_at: OffsetDateTime,
    pub undo_until: OffsetDateTime,
}

#[derive(Clone, Debug)]
pub struct DecidedItem {
    pub href: String,
    pub question: String,
    pub client: String,
    /// Approved, rejected, expired, superseded, carried out, not carried out.
    pub outcome: Tag,
    /// Who decided; `None` when nobody did.
    pub by: Option<String>,
    pub at: OffsetDateTime,
}
