//! The highest version of the policy that a client's log tells of, for a client whose mark is not in the directory: one of an
//! earlier release, or one whose mark somebody deleted.
//!
//! The log says it in entries anywhere, so all of it is read, once: from its beginning, so many entries in a run, and how
//! far it came is kept. That record may be lost or put back: then entries are read again, and none is left out.

use serde::{Deserialize, Serialize};

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

/// Which version came to stand by what this entry tells.
fn version_in(entry: &Entry) -> Option<u32> {
    let (_, detail) = entry.of_kind(&["policy.changed", "policy.signed", "policy.restored"])?;
    u32::try_from(detail["version"].as_u64()?).ok()
}
