//! Audit events for stories that are about the log and not about what happened: in the form that the schema has.

use serde_json::{Value, json};

/// What stands beside an approval; `comment` may be empty.
pub fn approval(version: usize, name: &str, comment: &str) -> Value {
    json!({ "version": version, "hash": "ab", "name": name, "comment": comment, "on_behalf_of": null, "progress": "1 of 1", "evidence": [], "receipt": null })
}
