//! The parts pages are made of: status tags, hashes, evidence cards, timeline entries, links, forms.

use askama::{Template, filters::HtmlSafe};
use time::{Date, OffsetDateTime};

use super::fingerprint;

/// A state as shape, word and color together; never color alone.
#[derive(Clone, Debug, Template)]
#[template(ext = "html", source = r#"<span class="tag {{ tone.class() }}">{{ word }}</span>"#)]
pub struct Tag {
    pub tone: Tone,
    pub word: String,
}

// Its template escapes the word.
impl HtmlSafe for Tag {}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    /// Filled circle.
    Met,
    /// Crossed circle.
    Not,
    /// Half circle: a human is needed, or only a part is there.
    Wait,
    /// Dashed circle: not read, not known, not applicable.
    Unknown,
}

impl Tone {
    pub fn class(self) -> &'static str {
        match self {
            Self::Met => "met",
            Self::Not => "not",
            Self::Wait => "wait",
            Self::Unknown => "unk",
        }
    }
}

impl Tag {
    pub fn new(tone: Tone, word: impl Into<String>) -> Self {
        Self { tone, word: word.into() }
    }
}

/// Where a requirement or objective stands, for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Decided by a human.
    Met,
    NotMet,
    NotApplicable,
    /// A proposal waits for an approver.
    Waiting,
    /// Some objectives are decided, not all.
    Partly,
    /// Nothing is decided and nothing is known (design I8).
    Unread,
    /// There is evidence and a suggestion, and nothing is decided.
    Suggested,
}

impl Standing {
    pub fn tone(self) -> Tone {
        match self {
            Self::Met => Tone::Met,
            Self::NotMet => Tone::Not,
            Self::Waiting | Self::Partly => Tone::Wait,
            Self::NotApplicable | Self::Unread | Self::Suggested => Tone::Unknown,
        }
    }

    pub fn word(self) -> &'static str {
        match self {
            Self::Met => "MET",
            Self::NotMet => "NOT MET",
            Self::NotApplicable => "Not applicable",
            Self::Waiting => "Waiting",
            Self::Partly => "Partly decided",
            Self::Unread => "Not read yet",
            Self::Suggested => "Suggestion only",
        }
    }

    pub fn class(self) -> &'static str {
        self.tone().class()
    }

    pub fn tag(self) -> Tag {
        Tag::new(self.tone(), self.word())
    }
}

/// A hash as people compare it: 8 characters, three words, and the whole one step away.
#[derive(Clone, Debug, Template)]
#[template(path = "hash.html", config = "functions/web/pages/askama.toml")]
pub struct Hash(pub String);

impl HtmlSafe for Hash {}

impl Hash {
    fn short(&self) -> String {
        self.0.chars().take(8).collect()
    }

    fn words(&self) -> String {
        fingerprint(&self.0)
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    pub href: String,
    pub text: String,
}

impl Link {
    pub fn new(href: impl Into<String>, text: impl Into<String>) -> Self {
        Self { href: href.into(), text: text.into() }
    }
}

/// A form of one button.
#[derive(Clone, Debug)]
pub struct PostForm {
    pub action: String,
    /// Anti-forgery token, see `web::security`.
    pub token: String,
    /// Hidden fields by name.
    pub fields: Vec<(String, String)>,
    pub label: String,
}

/// What is wrong with one field of a form that came in.
#[derive(Clone, Debug)]
pub struct FieldError {
    /// The field's name, which is also its id on the page.
    pub field: &'static str,
    pub message: String,
}

/// One record as an approver or engineer must see it, its limits included.
#[derive(Clone, Debug)]
pub struct EvidenceCard {
    pub title: String,
    /// `ConnectWise PSA, ticket 918204`, `Linked file, kept by the client`.
    pub source: String,
    pub collected_at: OffsetDateTime,
    /// Fresh, stale since, deleted at the source.
    pub freshness: Tag,
    /// `212 of 214`, `unknown`; `None` for a document.
    pub population: Option<String>,
    /// Facts of the record worth showing: `status` -> `Closed - Verified`.
    pub facts: Vec<(String, String)>,
    /// `Partial: supports the objective in part`.
    pub grade: Option<String>,
    /// What it does not show, one sentence each.
    pub limits: Vec<String>,
    /// For a link-out: where the file is kept.
    pub place: Option<String>,
    /// For a document: the day it was approved, and by whom it was filed.
    pub approved_on: Option<Date>,
    pub filed_by: Option<String>,
    pub hash: String,
}

/// A line of a history or of the audit trail.
#[derive(Clone, Debug)]
pub struct TimelineEntry {
    pub at: OffsetDateTime,
    /// A person's name, or what acted by rule.
    pub actor: String,
    /// Verb and object, in the past: `approved AC.L2-3.1.1[a] for Harbor Precision`.
    pub text: String,
    pub href: Option<String>,
    /// More words: a comment, a reason.
    pub note: Option<String>,
    /// `in the log, entry 412`, or `waits for its place in the log`.
    pub proof: Option<String>,
    /// The entry's own page.
    pub proof_href: Option<String>,
}
