//! What the log records: every kind of entry with its meaning and its fields, as auditors look them up.

use askama::Template;

use super::{Frame, Link};

#[derive(Clone, Debug, Template)]
#[template(path = "audit_events.html", config = "functions/web/pages/askama.toml")]
pub struct AuditEventsPage {
    pub frame: Frame,
    pub back: Link,
    /// Of the list.
    pub version: u32,
    /// The same as a file.
    pub file: String,
    pub outcomes: Vec<(&'static str, &'static str)>,
    pub areas: Vec<EventArea>,
}

#[derive(Clone, Debug)]
pub struct EventArea {
    pub title: &'static str,
    pub kinds: Vec<EventKind>,
}

#[derive(Clone, Debug)]
pub struct EventKind {
    /// `proposal.approved`, which is also its place on the page.
    pub name: &'static str,
    /// The rest of a sentence: `approved a proposal`.
    pub says: &'static str,
    pub outcome: &'static str,
    pub object: &'static str,
    /// Name, form, and what it says.
    pub fields: Vec<(&'static str, String, &'static str)>,
}
