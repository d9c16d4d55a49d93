//! The audit trail of one client, or of the deployment: who did what, when, and its place in the log.

use askama::Template;
use time::OffsetDateTime;

use super::{Frame, Link, PostForm, TimelineEntry};

#[derive(Clone, Debug, Template)]
#[template(path = "audit_trail.html", config = "functions/web/pages/askama.toml")]
pub struct AuditPage {
    pub frame: Frame,
    /// Whose log: `Harbor Precision Machining`, `This installation`.
    pub log: String,
    /// The logs this person may read; `true` marks the one shown.
    pub logs: Vec<(bool, Link)>,
    /// Newest first.
    pub entries: Vec<TimelineEntry>,
    /// Entries that have their place in the log, and the hash of the newest one.
    pub length: u64,
    pub head: Option<String>,
    /// How far the log is published, and up to where a checkpoint was copied away.
    pub published: Option<Reach>,
    pub anchored: Option<Reach>,
    /// What people must see to, and since when.
    pub alarms: Vec<(String, OffsetDateTime)>,
    /// One of them keeps it from being published any further.
    pub stopped: bool,
    /// What keeps the copies from being changed; `true`: nothing that holds.
    pub retention: Option<(bool, String)>,
    /// What an auditor verifies a copy with.
    pub keys: Vec<LogKey>,
    /// Items that wait for their place.
    pub unplaced: usize,
    /// Sign-ins and forms that were refused in the last 24 hours, each counted; 0 hides the line.
    pub refused: u64,
    pub newer: Option<Link>,
    pub older: Option<Link>,
    /// A copy that anybody can verify.
    pub export: Option<PostForm>,
}

/// So many entries, and since when.
#[derive(Clone, Copy, Debug)]
pub struct Reach {
    pub entries: u64,
    pub at: OffsetDateTime,
}

#[derive(Clone, Debug)]
pub struct LogKey {
    /// `name+id+key` (C2SP signed-note).
    pub text: String,
    /// SHA-256 of the text in hex.
    pub fingerprint: String,
}
