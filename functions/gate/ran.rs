//! Which operations ran lately, as the client's log says: so that an approval whose records somebody puts back together, as
//! they were before the run, runs nothing a second time.
//!
//! Each run says its operation (hash and version) in its audit item. The sweep follows the log and keeps the operations of
//! as long as an approval can hold, in another partition than the proposals; what came since is read from the log itself, so
//! an older state of what is kept makes the look longer and never wrong. Reads and keeps; decides nothing.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use time::{Duration, OffsetDateTime};

use crate::{
    audit::{
        entry::{self, Entry, HEAD_KEY, Head},
        publisher::Published,
    },
    tenancy::{ClientPlace, Held, Record, Store, StoreError, Wanted, place::AuditPart},
};

const PLACE: ClientPlace = ClientPlace::Log(AuditPart::Head);
/// No approval holds longer (`Policy::check`: 14 days), and a day for clocks.
const KEPT: Duration = Duration::days(15);
/// Entries that one sweep follows, at most.
const AT_ONCE: u64 = 2000;
/// Entries in memory at once.
const CHUNK: u64 = 500;

/// What the log said of runs before the entry `next`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct RanLately {
    next: u64,
    /// When each ran, as seconds since 1970.
    operations: BTreeMap<String, i64>,
}

impl Record for RanLately {
    const KIND: &'static str = "ran-lately";
    const SCHEMA: u32 = 1;

    fn key(&self) -> String {
        HEAD_KEY.into()
    }
}

/// Whether the log names a run of this operation.
pub(super) async fn has_run(store: &Store<'_, ClientPlace>, operation: &str) -> Result<bool, StoreError> {
    let (held, length) = known(store).await?;
    let known = held.map(|held| held.value).unwrap_or_default();
    if known.operations.contains_key(&short(operation)) {
        return Ok(true);
    }
    let mut next = known.next;
    while next < length {
        let to = length.min(next + CHUNK);
        let entries = entry::range(store, next, to).await?;
        if entries.iter().filter_map(operation_in).any(|(ran, _)| ran == operation) {
            return Ok(true);
        }
        next = to;
    }
    Ok(false)
}

/// Follows the log, and forgets what is too old to run again. For the sweep.
pub async fn follow(store: &Store<'_, ClientPlace>) -> Result<(), StoreError> {
    let (held, length) = known(store).await?;
    let (mut known, etag) = held.map_or_else(Default::default, |held| (held.value, Some(held.etag)));
    let end = length.min(known.next + AT_ONCE);
    if end <= known.next {
        return Ok(());
    }
    while known.next < end {
        let to = end.min(known.next + CHUNK);
        for (operation, at) in entry::range(store, known.next, to).await?.iter().filter_map(operation_in) {
            known.operations.insert(short(&operation), at.unix_timestamp());
        }
        known.next = to;
    }
    let oldest = (store.app().now() - KEPT).unix_timestamp();
    known.operations.retain(|_, at| *at >= oldest);
    let mut batch = store.batch(PLACE);
    batch.put(known, etag);
    match batch.commit().await {
        // Another sweep was faster.
        Err(error) if error.is_conflict() => Ok(()),
        other => other,
    }
}

async fn known(store: &Store<'_, ClientPlace>) -> Result<(Option<Held<RanLately>>, u64), StoreError> {
    let wanted = vec![Wanted::one::<Head>(HEAD_KEY), Wanted::one::<Published>(HEAD_KEY), Wanted::one::<RanLately>(HEAD_KEY)];
    let found = store.gather(PLACE, wanted).await?;
    let head = found.one::<Head>(HEAD_KEY).await?.map_or(0, |held| held.value.next);
    // A head that was put back is shorter than what was published; one that is not is as long at least.
    let published = found.one::<Published>(HEAD_KEY).await?.map_or(0, |held| held.value.tree.size());
    Ok((found.one::<RanLately>(HEAD_KEY).await?, head.max(published)))
}

/// 128 bits of the hash, and what follows it: enough to tell operations apart, and a client's many fit one record.
fn short(operation: &str) -> String {
    let (hash, rest) = operation.split_once('.').unwrap_or((operation, ""));
    format!("{}.{rest}", hash.get(..32).unwrap_or(hash))
}

/// The operation that this entry says has run, and when.
fn operation_in(entry: &Entry) -> Option<(String, OffsetDateTime)> {
    let (leaf, detail) = entry.of_kind(&["proposal.executed", "proposal.undone"])?;
    Some((detail["operation"].as_str()?.to_owned(), leaf.at))
}
