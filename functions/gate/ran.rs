//! What the client's log says became of proposals: so that one whose records somebody puts back together, as they were
//! before it ran or ended, is not carried out (again).
//!
//! Each run says its operation (hash and version) in its audit item, and each end names its proposal. The sweep follows the
//! log and keeps both for as long as a proposal can live, in another partition than the proposals; what came since is read
//! from the log itself, to the last entry that is there, and an item without its entry is read where it waits. So an older
//! state of what is kept makes the look longer and never wrong, and a log shorter than its checkpoint is taken for tampered
//! with. Reads and keeps; decides nothing. Not found: all of it put back together with items that got no entry yet, which
//! nobody outside the store has seen.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use time::{Duration, OffsetDateTime};

use super::proposal::{Proposal, object};
use crate::{
    audit::{
        Item,
        entry::{HEAD_KEY, Head},
        walk::{self, walk},
    },
    tenancy::{ClientPlace, Gathered, Record, Store, StoreError, Wanted, place::AuditPart},
};

const PLACE: ClientPlace = ClientPlace::Log(AuditPart::Head);
/// No approval holds longer (`Policy::check`: 14 days), and a day for clocks.
const KEPT_RUN: Duration = Duration::days(15);
/// Nor does anything wait longer to be approved (90 days).
const KEPT_END: Duration = Duration::days(90 + 15);
/// Entries that one sweep follows, at most.
const AT_ONCE: u64 = 2000;

const RAN: [&str; 2] = ["proposal.executed", "proposal.undone"];
/// After these nothing runs any more, not even what undoes it.
const ENDED: [&str; 8] = [
    "proposal.rejected",
    "proposal.withdrawn",
    "proposal.superseded",
    "proposal.expired",
    "proposal.refused",
    "proposal.failed",
    "proposal.not_undone",
    "proposal.recorded",
];

/// What the log said before the entry `next`, with the time of each as seconds since 1970.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct RanLately {
    next: u64,
    operations: BTreeMap<String, i64>,
    /// By how audit items name a proposal.
    ended: BTreeMap<String, i64>,
}

impl Record for RanLately {
    const KIND: &'static str = "ran-lately";
    /// 2: with what ended; an earlier release followed only what ran, so the log is followed anew.
    const SCHEMA: u32 = 2;

    fn key(&self) -> String {
        HEAD_KEY.into()
    }

    fn upgrade(schema: u32, body: Value) -> Value {
        if schema < 2 { serde_json::json!({ "next": 0, "operations": {}, "ended": {} }) } else { body }
    }
}

impl RanLately {
    fn note(&mut self, kind: &str, object: &str, at: OffsetDateTime, operation: Option<&str>) {
        if ENDED.contains(&kind) {
            self.ended.insert(object.to_owned(), at.unix_timestamp());
        } else if let Some(operation) = operation.filter(|_| RAN.contains(&kind)) {
            self.operations.insert(short(operation), at.unix_timestamp());
        }
    }

    fn forget(&mut self, now: OffsetDateTime) {
        let (runs, ends) = ((now - KEPT_RUN).unix_timestamp(), (now - KEPT_END).unix_timestamp());
        self.operations.retain(|_, at| *at >= runs);
        self.ended.retain(|_, at| *at >= ends);
    }
}

/// The items that wait for their place beside the proposals; whoever looks for a proposal asks for them in the same round trip.
pub(super) fn waiting() -> Wanted {
    Wanted::all::<Item>("")
}

/// Whether the log, or an item among those found ([`waiting`]), says that this operation ran or that its proposal ended; or
/// the log is shorter than it was.
pub(super) async fn is_over(
    store: &Store<'_, ClientPlace>,
    found: &Gathered<'_, '_, ClientPlace>,
    proposal: &Proposal,
    operation: &str,
) -> Result<bool, StoreError> {
    let mut known = store.read::<RanLately>(PLACE, HEAD_KEY).await?.map(|held| held.value).unwrap_or_default();
    for Item { kind, object, at, detail, .. } in found.all::<Item>("").await?.into_iter().map(|held| held.value) {
        known.note(&kind, &object, at, detail["operation"].as_str());
    }
    let (object, operation) = (object(proposal.id), short(operation));
    let walked = follow_from(store, &mut known, u64::MAX).await?;
    let says_so = known.ended.contains_key(&object) || known.operations.contains_key(&operation);
    Ok(says_so || walked < walk::published(store.app(), store.owner()).await?)
}

/// Follows the log, and forgets what is too old to run. For the sweep.
pub async fn follow(store: &Store<'_, ClientPlace>) -> Result<(), StoreError> {
    let found = store.gather(PLACE, vec![Wanted::one::<Head>(HEAD_KEY), Wanted::one::<RanLately>(HEAD_KEY)]).await?;
    // A head that was put back makes this later; nothing is missed.
    let length = found.one::<Head>(HEAD_KEY).await?.map_or(0, |held| held.value.next);
    let (mut known, etag) = found.one::<RanLately>(HEAD_KEY).await?.map_or_else(Default::default, |held| (held.value, Some(held.etag)));
    if length <= known.next {
        return Ok(());
    }
    let most = AT_ONCE.min(length - known.next);
    follow_from(store, &mut known, most).await?;
    known.forget(store.app().now());
    let mut batch = store.batch(PLACE);
    batch.put(known, etag);
    match batch.commit().await {
        // Another sweep was faster.
        Err(error) if error.is_conflict() => Ok(()),
        other => other,
    }
}

/// Adds what the log says from where it was followed to; returns how far it came.
async fn follow_from(store: &Store<'_, ClientPlace>, known: &mut RanLately, most: u64) -> Result<u64, StoreError> {
    let kinds: Vec<&str> = RAN.into_iter().chain(ENDED).collect();
    let walked = walk(store, known.next, most, |entry| {
        if let Some((leaf, detail)) = entry.of_kind(&kinds) {
            known.note(&leaf.kind, &leaf.object, leaf.at, detail["operation"].as_str());
        }
    })
    .await?;
    known.next = walked.next;
    Ok(walked.next)
}

/// 128 bits of the hash, and what follows it: enough to tell operations apart, and a client's many fit one record.
fn short(operation: &str) -> String {
    let (hash, rest) = operation.split_once('.').unwrap_or((operation, ""));
    format!("{}.{rest}", hash.get(..32).unwrap_or(hash))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use time::macros::datetime;

    use super::*;

    const NOW: OffsetDateTime = datetime!(2026-11-26 12:00 UTC);

    proptest! {
        #[test]
        fn what_is_kept_is_kept_for_as_long_as_it_could_run(days in 0i64..200, which in 0usize..10, other in "[a-z.]{0,12}") {
            let kind = RAN.into_iter().chain(ENDED).nth(which).expect("a kind");
            let mut known = RanLately::default();
            known.note(kind, "proposal 1", NOW - Duration::days(days), Some("0123456789abcdef0123456789abcdef0123.v2"));
            known.note(&format!("proposal.{other}x"), "proposal 2", NOW, Some("ff.v1"));
            known.forget(NOW);
            prop_assert_eq!(known.operations.contains_key("0123456789abcdef0123456789abcdef.v2"), which < 2 && days <= 15);
            prop_assert_eq!(known.ended.contains_key("proposal 1"), which >= 2 && days <= 105);
            prop_assert!(!known.ended.contains_key("proposal 2") && known.operations.len() + known.ended.len() <= 1);
        }
    }

    #[test]
    fn an_earlier_record_is_followed_anew_since_it_knows_no_ends() {
        let old = serde_json::json!({ "next": 40, "operations": { "ab.v1": 1 } });
        let read: RanLately = serde_json::from_value(RanLately::upgrade(1, old)).expect("an old record");
        assert_eq!((read.next, read.operations.len(), read.ended.len()), (0, 0, 0));
    }
}
