//! Which revision of each evidence record was written last, as the log says: so that an older state of a record, which
//! somebody with access to the database puts back, does not pass for the present one.
//!
//! Each write of evidence says record and revision in its audit item. The sweep follows the log and keeps, for each shard,
//! the highest revision of every record ([`Expected`], in another partition than the records, sealed like them); a record
//! that is behind it was put back, or is gone. It is looked for before an action that rests on a record runs ([`expected`]),
//! by the sweep shard after shard ([`watch`]), and over the whole log by [`check`]. What was written since the sweep came
//! last (minutes) is not known to it yet; who puts back the ledger too is found by [`check`] only, which trusts the log.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::Evidence;
use crate::{
    audit::{
        self,
        entry::{Entry, HEAD_KEY, Head},
        walk::{self, walk},
    },
    tenancy::{
        ClientPlace, Record, Store, StoreError, Wanted,
        place::{AuditPart, EVIDENCE_SHARDS},
    },
};

const PLACE: ClientPlace = ClientPlace::Log(AuditPart::Head);

/// Entries of the log that one sweep follows, at most.
const AT_ONCE: u64 = 1000;

/// The highest revision of each record of one shard.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Expected {
    shard: u8,
    revisions: BTreeMap<String, u64>,
    /// At which revision each record was found put back, once it was said.
    said: BTreeMap<String, u64>,
}

impl Record for Expected {
    const KIND: &'static str = "evidence-revisions";
    const SCHEMA: u32 = 1;

    fn key(&self) -> String {
        key(self.shard)
    }
}

fn key(shard: u8) -> String {
    format!("{shard:02}")
}

/// How far the log was followed; written after what was learned from it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Followed {
    next: u64,
}

impl Record for Followed {
    const KIND: &'static str = "evidence-followed";
    const SCHEMA: u32 = 1;

    fn key(&self) -> String {
        HEAD_KEY.into()
    }
}

/// A record that is not what the log says was written last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PutBack {
    pub source_key: String,
    /// The revision that the log says.
    pub expected: u64,
    /// The one that is there; `None`: the record is gone, or does not open.
    pub found: Option<u64>,
}

impl PutBack {
    /// For who checks the store.
    pub fn words(&self) -> String {
        let Self { source_key, expected, found } = self;
        match found {
            Some(found) => format!(
                "evidence {source_key} is revision {found} in the store, and the log says that revision {expected} was written: an older state was put back"
            ),
            None => format!(
                "evidence {source_key} is not in the store, or does not open, and the log says that revision {expected} was written"
            ),
        }
    }
}

/// What one entry says of records, added up.
fn fold(revisions: &mut BTreeMap<String, u64>, entry: &Entry) {
    let Some((leaf, detail)) = entry.of_kind(&["evidence.observed", "evidence.filed"]) else { return };
    let mut note = |key: &str, revision: &Value| {
        if let Some(revision) = revision.as_u64().filter(|revision| *revision > 0) {
            let highest = revisions.entry(key.to_owned()).or_default();
            *highest = revision.max(*highest);
        }
    };
    match detail["records"].as_array() {
        Some(records) => {
            for one in records {
                note(one["record"].as_str().unwrap_or_default(), &one["revision"]);
            }
        }
        None => note(&leaf.object, &detail["revision"]),
    }
}

fn shard_of(source_key: &str) -> u8 {
    match Evidence::place(source_key) {
        ClientPlace::Evidence(shard) => shard,
        _ => 0,
    }
}

/// Follows the log and looks at one shard; whoever calls this every five minutes looks at all within an hour and a half.
pub async fn watch(store: &Store<'_, ClientPlace>) -> Result<(), StoreError> {
    follow(store).await?;
    let turn = store.app().now().unix_timestamp() / 300 % i64::from(EVIDENCE_SHARDS);
    look_at(store, u8::try_from(turn).unwrap_or_default()).await
}

async fn follow(store: &Store<'_, ClientPlace>) -> Result<(), StoreError> {
    let wanted = vec![Wanted::one::<Head>(HEAD_KEY), Wanted::one::<Followed>(HEAD_KEY)];
    let found = store.gather(PLACE, wanted).await?;
    let head = found.one::<Head>(HEAD_KEY).await?.map_or(0, |held| held.value.next);
    let followed = found.one::<Followed>(HEAD_KEY).await?;
    let next = followed.as_ref().map_or(0, |held| held.value.next);
    if head <= next {
        return Ok(());
    }
    let mut news = BTreeMap::new();
    let next = walk(store, next, AT_ONCE.min(head - next), |entry| fold(&mut news, entry)).await?.reaching(head)?;
    let mut by_shard: BTreeMap<u8, BTreeMap<String, u64>> = BTreeMap::new();
    for (key, revision) in news {
        by_shard.entry(shard_of(&key)).or_default().insert(key, revision);
    }
    // A batch for each shard, since all of a large client's together may be more than one batch holds; after a crash the
    // same entries are followed again, and change nothing.
    for (shard, news) in by_shard {
        let known = store.read::<Expected>(PLACE, &key(shard)).await?;
        let (mut expected, etag) =
            known.map_or_else(|| (Expected { shard, ..Expected::default() }, None), |known| (known.value, Some(known.etag)));
        for (key, revision) in news {
            let highest = expected.revisions.entry(key).or_default();
            *highest = revision.max(*highest);
        }
        let mut batch = store.batch(PLACE);
        batch.put(expected, etag);
        if !batch.commit_unless_overtaken().await? {
            return Ok(());
        }
    }
    let mut batch = store.batch(PLACE);
    batch.put(Followed { next }, followed.map(|held| held.etag));
    batch.commit_unless_overtaken().await.map(drop)
}

/// Says in the log, once for each, which records of the shard were put back.
async fn look_at(store: &Store<'_, ClientPlace>, shard: u8) -> Result<(), StoreError> {
    let Some(mut held) = store.read::<Expected>(PLACE, &key(shard)).await? else { return Ok(()) };
    let found = put_back(&held.value.revisions, &there(store, shard).await?);
    let news: Vec<&PutBack> = found.iter().filter(|one| held.value.said.get(&one.source_key) != Some(&one.expected)).collect();
    if news.is_empty() {
        return Ok(());
    }
    // First in the log, then noted that it was: after a crash it is said twice, never not at all. What does not fit into one
    // batch is said by the next look.
    let mut batch = store.batch(ClientPlace::Evidence(shard));
    for one in news.into_iter().take(50) {
        tracing::error!(
            record = one.source_key,
            expected = one.expected,
            found = one.found,
            "ALARM: an older state of a record was put back"
        );
        held.value.said.insert(one.source_key.clone(), one.expected);
        let detail = json!({ "expected": one.expected, "found": one.found });
        audit::record(&mut batch, audit::Event::new("evidence.put_back", one.source_key.clone(), detail));
    }
    batch.commit().await?;
    let mut batch = store.batch(PLACE);
    batch.replace(&held);
    batch.commit_unless_overtaken().await.map(drop)
}

/// The revisions of a shard's records; one that does not open is not among them.
async fn there(store: &Store<'_, ClientPlace>, shard: u8) -> Result<BTreeMap<String, u64>, StoreError> {
    let mut there = BTreeMap::new();
    for record in store.all_of_each::<Evidence>(ClientPlace::Evidence(shard), "").await? {
        match record {
            Ok(held) => {
                there.insert(held.value.source_key, held.value.revision);
            }
            Err(error) if error.concerns_one_record() => {}
            Err(error) => return Err(error),
        }
    }
    Ok(there)
}

fn put_back(expected: &BTreeMap<String, u64>, there: &BTreeMap<String, u64>) -> Vec<PutBack> {
    let behind = |(key, expected): (&String, &u64)| {
        let found = there.get(key).copied();
        let is_behind = found.is_none_or(|found| found < *expected);
        is_behind.then(|| PutBack { source_key: key.clone(), expected: *expected, found })
    };
    expected.iter().filter_map(behind).collect()
}

/// Compares every evidence record with the whole of the client's log, from its first entry; writes nothing. For a check of
/// the store by an auditor.
pub async fn check(store: &Store<'_, ClientPlace>) -> Result<Vec<PutBack>, StoreError> {
    let mut revisions = BTreeMap::new();
    let published = walk::published(store).await?;
    walk(store, 0, u64::MAX, |entry| fold(&mut revisions, entry)).await?.reaching(published)?;
    let mut found = BTreeMap::new();
    for shard in 0..EVIDENCE_SHARDS {
        found.extend(there(store, shard).await?);
    }
    Ok(put_back(&revisions, &found))
}

/// Which revision a record must have at least, as far as the log was followed; 0: nothing is known of it.
pub async fn expected(
    store: &Store<'_, ClientPlace>,
    source_keys: impl IntoIterator<Item = &str>,
) -> Result<BTreeMap<String, u64>, StoreError> {
    let keys: Vec<&str> = source_keys.into_iter().collect();
    let mut shards: Vec<u8> = keys.iter().map(|key| shard_of(key)).collect();
    shards.sort_unstable();
    shards.dedup();
    if shards.is_empty() {
        return Ok(BTreeMap::new());
    }
    let found = store.gather(PLACE, shards.iter().map(|shard| Wanted::one::<Expected>(&key(*shard))).collect()).await?;
    let mut expected = BTreeMap::new();
    for shard in shards {
        let Some(held) = found.one::<Expected>(&key(shard)).await? else { continue };
        let of_these = keys.iter().filter_map(|key| held.value.revisions.get_key_value(*key));
        expected.extend(of_these.map(|(key, revision)| (key.clone(), *revision)));
    }
    Ok(expected)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_record_is_put_back_exactly_when_the_log_knows_a_later_one(
            expected in proptest::collection::btree_map("[a-d]", 1u64..5, 0..4),
            there in proptest::collection::btree_map("[a-e]", 0u64..6, 0..5),
        ) {
            let named: Vec<String> = put_back(&expected, &there).into_iter().map(|one| one.source_key).collect();
            for (key, revision) in &expected {
                let behind = there.get(key).is_none_or(|found| found < revision);
                prop_assert_eq!(named.contains(key), behind);
            }
            prop_assert!(named.iter().all(|key| expected.contains_key(key)));
        }
    }
}
