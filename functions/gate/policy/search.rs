//! The highest version of the policy that a client's log tells of, for a client whose mark is not in the directory: one of an
//! earlier release, or one whose mark somebody deleted.
//!
//! The log says it in entries anywhere, so all of it is read, once: from its beginning, so many entries in a run, and how
//! far it came is kept. That record may be lost or put back: then entries are read again, and none is left out.

use serde::{Deserialize, Serialize};

use super::KEY;
use crate::{
    audit::entry::{self, Entry, HEAD_KEY, Head},
    tenancy::{ClientPlace, Held, Record, Store, StoreError, place::AuditPart},
};

/// Entries that one run reads, at most: a round trip for each hundred.
pub const AT_ONCE: u64 = 10_000;
/// Entries that are in memory at once.
const CHUNK: u64 = 500;

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

/// `None`: the end of the log is not reached yet; call it again. For the sweep.
pub(super) async fn highest_in_log(store: &Store<'_, ClientPlace>) -> Result<Option<u32>, StoreError> {
    let length = store.read::<Head>(ClientPlace::Log(AuditPart::Head), HEAD_KEY).await?.map_or(0, |head| head.value.next);
    let held: Option<Held<Sought>> = store.read(ClientPlace::Assessment, KEY).await?;
    let mut sought = held.as_ref().map_or_else(Sought::default, |held| held.value);
    let end = length.min(sought.next + AT_ONCE);
    while sought.next < end {
        let to = end.min(sought.next + CHUNK);
        for entry in entry::range(store, sought.next, to).await? {
            sought.highest = sought.highest.max(version_in(&entry).unwrap_or_default());
        }
        sought.next = to;
    }
    let mut batch = store.batch(ClientPlace::Assessment);
    if end < length {
        tracing::info!(owner = %store.owner(), read = end, of = length, "looking in the log for the policy that stood");
        batch.put(sought, held.map(|held| held.etag));
    } else if let Some(held) = &held {
        batch.delete(held);
    } else {
        return Ok(Some(sought.highest));
    }
    match batch.commit().await {
        // Another sweep was faster, and says it.
        Err(error) if error.is_conflict() => Ok(None),
        other => other.map(|()| (end >= length).then_some(sought.highest)),
    }
}

/// Which version came to stand by what this entry tells.
fn version_in(entry: &Entry) -> Option<u32> {
    let (_, detail) = entry.of_kind(&["policy.changed", "policy.signed", "policy.restored"])?;
    u32::try_from(detail["version"].as_u64()?).ok()
}
