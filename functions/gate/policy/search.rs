//! The highest version of the policy that a client's log tells of, for a client whose mark is not in the directory: one of an
//! earlier release, or one whose mark somebody deleted.
//!
//! The log says it in entries anywhere, so all of it is read, once: from its beginning, so many entries in a run, and how
//! far it came is kept. That record may be lost or put back: then entries are read again, and none is left out.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::KEY;
use crate::{
    audit::{
        entry::Entry,
        walk::{self, walk},
    },
    tenancy::{ClientPlace, Held, Record, Store, StoreError},
};

/// Entries that one run reads, at most: a round trip for each hundred.
pub const AT_ONCE: u64 = 10_000;

/// How far the log was read.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
struct Sought {
    next: u64,
    highest: u32,
}

impl Record for Sought {
    const KIND: &'static str = "policy-sought";
    const SCHEMA: u32 = 1;

    fn key(&self) -> String {
        KEY.into()
    }
}

/// `None`: the end of the log is not reached yet, or the log is shorter than its checkpoint says; call it again. For the
/// sweep.
pub(super) async fn highest_in_log(store: &Store<'_, ClientPlace>) -> Result<Option<u32>, StoreError> {
    let held: Option<Held<Sought>> = store.read(ClientPlace::Assessment, KEY).await?;
    let mut sought = held.as_ref().map_or_else(Sought::default, |held| held.value);
    let published = walk::published(store).await?;
    let walked = walk(store, sought.next, AT_ONCE, |entry| {
        sought.highest = sought.highest.max(version_in(entry).unwrap_or_default());
    })
    .await?;
    sought.next = walked.next;
    let whole = walked.ended && walked.next >= published;
    let mut batch = store.batch(ClientPlace::Assessment);
    match &held {
        Some(held) if whole => {
            batch.delete(held);
        }
        None if whole => return Ok(Some(sought.highest)),
        _ => {
            tracing::info!(owner = %store.owner(), read = sought.next, "looking in the log for the policy that stood");
            batch.put(sought, held.map(|held| held.etag));
        }
    }
    match batch.commit().await {
        // Another sweep was faster, and says it.
        Err(error) if error.is_conflict() => Ok(None),
        other => other.map(|()| whole.then_some(sought.highest)),
    }
}

/// The kinds of items that tell which version came to stand.
pub(in crate::gate) const KINDS: [&str; 3] = ["policy.changed", "policy.signed", "policy.restored"];

/// Which version came to stand by what this entry tells.
fn version_in(entry: &Entry) -> Option<u32> {
    entry.of_kind(&KINDS).and_then(|(leaf, detail)| version_told(&leaf.kind, &detail))
}

/// The same of an item.
pub(in crate::gate) fn version_told(kind: &str, detail: &Value) -> Option<u32> {
    let version = detail["version"].as_u64().filter(|_| KINDS.contains(&kind))?;
    u32::try_from(version).ok()
}
