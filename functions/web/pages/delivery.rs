//! How approvers are told: each channel with its health, and cards and mails exactly as they are sent.

use askama::Template;
use time::OffsetDateTime;

use super::{Frame, PostForm, Tag};

#[derive(Clone, Debug, Template)]
#[template(path = "delivery.html", config = "functions/web/pages/askama.toml")]
pub struct DeliveryPage {
    pub frame: Frame,
    pub connections_href: String,
    pub channels: Vec<ChannelView>,
    /// What came of a test that this person just made, a sentence each.
    pub tested: Vec<String>,
    /// `None`: nothing is on that could be tested.
    pub test: Option<PostForm>,
    /// One sentence.
    pub limits: String,
    /// What the preview is of, as a sentence.
    pub about: String,
    /// What goes out on one occasion and another; the first is unfolded.
    pub samples: Vec<SampleView>,
}

#[derive(Clone, Debug)]
pub struct SampleView {
    /// In a word.
    pub name: &'static str,
    /// One sentence.
    pub when: &'static str,
    pub title: String,
    pub facts: Vec<(&'static str, String)>,
    /// Questions of a digest.
    pub items: Vec<String>,
    pub foot: Vec<String>,
    pub button: &'static str,
    /// The body of the POST.
    pub card: String,
    pub mail: MailView,
}

/// A mail to the reader.
#[derive(Clone, Debug)]
pub struct MailView {
    pub from: String,
    pub to: String,
    pub subject: String,
    pub text: String,
    /// As it is written, not as it is shown.
    pub html: String,
    /// What `body` is, as a title.
    pub what: &'static str,
    /// What is sent, to the byte.
    pub body: String,
}

#[derive(Clone, Debug)]
pub struct ChannelView {
    pub name: &'static str,
    pub state: Tag,
    /// What it does, and what to do when it fails.
    pub words: String,
    /// Whether figures are kept of it.
    pub counted: bool,
    pub accepted: u64,
    pub accepted_at: Option<OffsetDateTime>,
    pub refused: u64,
    pub refused_at: Option<OffsetDateTime>,
    /// Not sent before its time was over.
    pub late: u64,
    pub late_at: Option<OffsetDateTime>,
    /// Of the last refusal.
    pub why: String,
}
