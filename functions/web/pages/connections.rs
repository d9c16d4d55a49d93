//! The connections page: is each tool heard, what was refused and why, when was everything read last.

use askama::Template;
use time::OffsetDateTime;

use super::{Frame, PostForm, Tag};

#[derive(Clone, Debug, Template)]
#[template(path = "connections.html", config = "functions/web/pages/askama.toml")]
pub struct ConnectionsPage {
    pub frame: Frame,
    pub connections: Vec<ConnectionView>,
    pub mapping_href: String,
    pub add_href: String,
    pub dead_letters: usize,
    pub dead_letters_href: String,
    pub health_href: String,
    pub notice: Option<String>,
}

#[derive(Clone, Debug)]
pub struct ConnectionView {
    pub name: String,
    /// Where its name, credentials and settings are changed.
    pub change_href: String,
    /// `ConnectWise PSA`
    pub system: String,
    /// Heard from, silent, refused, turned off by the vendor.
    pub health: Tag,
    /// One sentence: why, and what to do.
    pub health_note: Option<String>,
    pub alarms: Vec<AlarmView>,
    pub last_delivery: Option<OffsetDateTime>,
    pub rejects: Vec<RejectCount>,
    pub last_pull: Option<LastPull>,
    /// Types of the last read that mean nothing yet.
    pub unlisted: Vec<UnlistedType>,
    /// The last live test of these credentials: how it went, in a word and in sentences, and when.
    pub tested: Option<(Tag, &'static str, OffsetDateTime)>,
    pub test: PostForm,
    /// Only for an engineer or owner.
    pub pull: Option<PostForm>,
    /// What the vendor must post to.
    pub webhook_address: String,
    /// What to do with it at the vendor.
    pub register: &'static str,
    pub clients: usize,
    pub unmapped: usize,
}

/// Something that a person should look into, until they say that they have.
#[derive(Clone, Debug)]
pub struct AlarmView {
    pub tag: Tag,
    /// What it may mean, and what to do.
    pub words: String,
    pub count: u64,
    pub last: OffsetDateTime,
    pub clear: PostForm,
}

#[derive(Clone, Debug)]
pub struct RejectCount {
    /// In words: `wrong signature`.
    pub reason: String,
    pub count: u64,
    pub last: OffsetDateTime,
}

/// A type of configurations that nobody said the meaning of.
#[derive(Clone, Debug)]
pub struct UnlistedType {
    /// The vendor's id, as it is typed into the settings; `None` where there is nothing to type.
    pub id: Option<String>,
    pub name: String,
    pub count: u64,
}

#[derive(Clone, Debug)]
pub struct LastPull {
    pub at: OffsetDateTime,
    /// `214 records read`, `Failed after 12 records`.
    pub result: Tag,
    /// When it goes on, while it waits.
    pub until: Option<OffsetDateTime>,
    /// Why, what it means and what to do; a sentence or two each.
    pub notes: Vec<String>,
}
