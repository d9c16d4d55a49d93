//! Dead letters: messages that could not be processed, why, and a way to try again.

use askama::Template;
use time::OffsetDateTime;

use super::{Frame, Link, PostForm};

#[derive(Clone, Debug, Template)]
#[template(path = "dead_letters.html", config = "functions/web/pages/askama.toml")]
pub struct DeadLettersPage {
    pub frame: Frame,
    /// Reasons for which several wait.
    pub same_reason: Vec<SameReason>,
    /// Waiting ones first, newest first.
    pub letters: Vec<DeadLetterView>,
    /// Ids of those that cannot be read.
    pub unreadable: Vec<String>,
    pub older: Option<Link>,
    pub notice: Option<String>,
}

#[derive(Clone, Debug)]
pub struct DeadLetterView {
    pub id: String,
    /// The function that could not take it.
    pub function: String,
    /// In words, with what to do.
    pub reason: String,
    /// What it was about, as far as that can be said: `delivery 4f2c… of ConnectWise`.
    pub about: Option<String>,
    pub at: OffsetDateTime,
    pub state: DeadLetterStand,
}

/// What became of it.
#[derive(Clone, Debug)]
pub enum DeadLetterStand {
    Waiting {
        /// `None` when it cannot be replayed (its signature does not hold).
        replay: Option<PostForm>,
        see_to: PostForm,
    },
    Replayed(String, OffsetDateTime),
    SeenTo(String, OffsetDateTime),
}

/// Several that wait for one reason, and the button for all of them.
#[derive(Clone, Debug)]
pub struct SameReason {
    /// Of the paragraph that says the reason.
    pub id: String,
    pub reason: String,
    pub waiting: usize,
    pub replay: PostForm,
}
