//! What Assay depends on, as the last look found it: what is not good and how to mend it, and what waits meanwhile.

use askama::Template;
use time::OffsetDateTime;

use super::{Frame, Link, PostForm, Tag};

#[derive(Clone, Debug, Template)]
#[template(path = "health.html", config = "functions/web/pages/askama.toml")]
pub struct HealthPage {
    pub frame: Frame,
    /// The page that led here.
    pub from: Link,
    /// Of this process; `None` before its first.
    pub looked_at: Option<OffsetDateTime>,
    /// Whether each client's key was looked at too.
    pub with_clients: bool,
    /// What is not good first.
    pub parts: Vec<PartView>,
    pub bad: usize,
    pub again: PostForm,
    pub notice: Option<&'static str>,
}

/// One thing that Assay depends on.
#[derive(Clone, Debug)]
pub struct PartView {
    pub name: String,
    /// Whose it is, where it is a client's.
    pub client: Option<String>,
    pub tag: Tag,
    /// The settings that lead to it.
    pub setting: Option<&'static str>,
    /// How to mend it, or what a good one does not show.
    pub words: String,
    /// What waits while it is not good.
    pub waits: Option<&'static str>,
    pub milliseconds: u128,
}
