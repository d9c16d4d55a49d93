//! Records that did not open, until the log says so.
//!
//! Whoever finds one may be looking at a page, which writes nothing (design I10). The first of each owner in an hour is noted
//! in the process's memory and told with the next invocation that may write; the process's own log names every one.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Actor, StoreError, keys::Owner};
use crate::app::App;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnreadableNote {
    /// A client's id, or the installation.
    pub owner: String,
    /// Who wanted it.
    pub by: Actor,
    /// Kind and key of the record.
    pub document: String,
    pub why: String,
}

const NOTES: &str = "unreadable";

impl UnreadableNote {
    pub fn again(&self, app: &App) {
        app.memory.note(NOTES, &serde_json::to_string(self).unwrap_or_default());
    }
}

/// What was noted since they were taken last.
pub fn take_notes(app: &App) -> Vec<UnreadableNote> {
    app.memory.take_notes(NOTES).iter().filter_map(|note| serde_json::from_str(note).ok()).collect()
}

/// Notes a record that was changed or damaged. One that names a data key which its owner does not have is such a one too:
/// the key record was read again for it.
pub(super) fn note(app: &App, owner: Owner, by: &Actor, error: &StoreError) {
    let (document, why) = match error {
        StoreError::Sealed { document, source } => (document, source.to_string()),
        StoreError::Shape { document, .. } => (document, "its text has another shape".to_owned()),
        _ => return,
    };
    tracing::error!(%owner, document, why, "a record does not open");
    if app.cache.allow(&format!("unreadable/{owner}"), 1, app.now(), Duration::from_hours(1)) {
        UnreadableNote { owner: owner.to_string(), by: by.clone(), document: document.clone(), why }.again(app);
    }
}
