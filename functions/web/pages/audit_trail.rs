//! The audit trail of one client, or of the deployment: who did what, when, and its place in the log.

use askama::Template;
use time::OffsetDateTime;

use super::{Choice, Frame, Link, PostForm, Tag, TimelineEntry};

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
    /// Of the witness, when there is one.
    pub witness: Option<WitnessView>,
    /// What people must see to.
    pub alarms: Vec<AlarmLine>,
    /// One of them keeps it from being published any further.
    pub stopped: bool,
    /// What keeps the copies from being changed, with a tag where that is not known to hold.
    pub retention: Option<(Option<Tag>, String)>,
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
    pub find: FindForm,
    /// When something is looked for: how many entries were opened for this page, and whether there are more to look at.
    pub looked: usize,
}

#[derive(Clone, Debug)]
pub struct AlarmLine {
    pub what: String,
    pub since: OffsetDateTime,
    /// How often it was found, and when last, if more than once.
    pub again: Option<(u64, OffsetDateTime)>,
}

/// Looking for entries: all of it is in the address, and nothing changes.
#[derive(Clone, Debug)]
pub struct FindForm {
    pub action: String,
    pub kinds: Vec<KindGroup>,
    /// The chosen kind or group; empty: any.
    pub kind: String,
    pub who: Vec<Choice>,
    pub chosen: String,
    pub outcomes: Vec<Choice>,
    pub outcome: &'static str,
    /// `YYYY-MM-DD` or empty.
    pub from: String,
    pub to: String,
    /// There while something is looked for.
    pub clear: Option<Link>,
    /// What is looked for, in words.
    pub words: String,
}

#[derive(Clone, Debug)]
pub struct KindGroup {
    pub name: &'static str,
    pub title: &'static str,
    pub kinds: Vec<Choice>,
}

/// How far an outside witness has cosigned the log.
#[derive(Clone, Debug)]
pub struct WitnessView {
    pub name: String,
    /// `None`: nothing yet.
    pub reach: Option<Reach>,
    /// Why it does not cosign, and since when.
    pub away: Option<(String, OffsetDateTime)>,
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
    /// ECDSA by the vault; the other is Ed25519.
    pub is_of_vault: bool,
}
