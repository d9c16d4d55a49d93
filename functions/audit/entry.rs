//! The log's records: entries in their places, the mark that an item has its place, and the head with its lease.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

use super::{
    chain::{self, Hash},
    leaf::{self, Leaf},
};
use crate::tenancy::{
    Actor, Place, Record, Store, StoreError,
    keys::Owner,
    place::{AUDIT_ENTRIES_PER_PART, AuditPart},
};

/// An item in its place: what the log proves, and sealed beside it what people with access may read.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    pub seq: u64,
    /// Exact bytes; see `leaf`.
    pub leaf: String,
    pub previous: Hash,
    pub hash: Hash,
    pub item: Uuid,
    pub actor: Actor,
    pub salt: Hash,
    /// The exact bytes that the leaf commits to.
    pub content: String,
}

impl Record for Entry {
    const KIND: &'static str = "entry";
    const SCHEMA: u32 = 1;

    fn key(&self) -> String {
        entry_key(self.seq)
    }
}

impl Entry {
    /// What it says, with the person it happened to by their id, and the detail it commits to, if it is of one of these kinds;
    /// for who folds the log.
    pub fn of_kind(&self, kinds: &[&str]) -> Option<(Leaf, Value)> {
        #[derive(Deserialize)]
        struct Content {
            object: Option<String>,
            detail: Value,
        }
        let leaf = leaf::read(&self.leaf).ok().filter(|leaf| kinds.contains(&leaf.kind.as_str()))?;
        let Content { object, detail } = serde_json::from_str(&self.content).ok()?;
        Some((Leaf { object: object.unwrap_or(leaf.object), ..leaf }, detail))
    }
}

/// As wide as it must be for entries to sort by place.
pub fn entry_key(seq: u64) -> String {
    format!("{seq:016}")
}

/// The part of the log that holds this place.
pub fn part_of<P: Place>(seq: u64) -> P {
    P::audit(AuditPart::Entries(seq / AUDIT_ENTRIES_PER_PART))
}

/// The entries `from..to` that are there, in order, from any parts: a round trip for each hundred.
pub async fn range<P: Place>(store: &Store<'_, P>, from: u64, to: u64) -> Result<Vec<Entry>, StoreError> {
    /// Entries share all but their last two digits in groups of this size; it divides a part's size.
    const GROUP: u64 = 100;
    let mut entries = Vec::new();
    for group in (from / GROUP)..to.div_ceil(GROUP) {
        let prefix = &entry_key(group * GROUP)[..14];
        let (page, _) = store.page::<Entry>(part_of(group * GROUP), prefix, false, 100, None).await?;
        entries.extend(page.into_iter().map(|held| held.value).filter(|entry| (from..to).contains(&entry.seq)));
    }
    Ok(entries)
}

/// Whether the log has any.
pub async fn has_entries<P: Place>(store: &Store<'_, P>) -> Result<bool, StoreError> {
    Ok(store.read::<Entry>(part_of(0), &entry_key(0)).await?.is_some())
}

/// Written with the item's entry, so that no item gets a second place.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Placed {
    pub item: Uuid,
    pub seq: u64,
}

impl Record for Placed {
    const KIND: &'static str = "placed";
    const SCHEMA: u32 = 1;

    fn key(&self) -> String {
        placed_key(self.item)
    }
}

pub fn placed_key(item: Uuid) -> String {
    item.simple().to_string()
}

/// Where the log goes on. It may lag behind the entries after a crash, never run ahead of them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Head {
    /// The place of the next entry.
    pub next: u64,
    /// The hash of the entry before it.
    pub hash: Hash,
    /// The run that sequences now, if one does.
    pub lease: Option<Lease>,
    /// Begun by a release that publishes: then nothing is taken over from an earlier one.
    #[serde(default)]
    pub publishes: bool,
    /// Since when the items' numbers are followed; gone again when an earlier release wrote the head.
    #[serde(default)]
    pub follows: Option<Follows>,
    /// Items that were taken out before they got their place, as last found.
    #[serde(default)]
    pub gap: Option<Alarm>,
}

/// Under which mark the numbers of items are followed (see `follow`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Follows {
    /// Drawn anew when an earlier release, which followed none, had the log in between.
    pub mark: Uuid,
    #[serde(with = "time::serde::rfc3339")]
    pub since: OffsetDateTime,
    /// From the first entry of the log.
    pub from_start: bool,
}

/// Something that people must see to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alarm {
    pub what: String,
    #[serde(with = "time::serde::rfc3339")]
    pub since: OffsetDateTime,
    /// How often it was found; of an earlier release, once.
    #[serde(default = "once")]
    pub count: u64,
    /// When it was found last, where that was more than once.
    #[serde(default, with = "time::serde::rfc3339::option")]
    pub last: Option<OffsetDateTime>,
}

fn once() -> u64 {
    1
}

impl Alarm {
    pub fn new(what: impl Into<String>, since: OffsetDateTime) -> Self {
        Self { what: what.into(), since, count: 1, last: None }
    }

    /// Whether these words tell the same trouble: its numbers move while it lasts.
    pub fn is(&self, what: &str) -> bool {
        let text = |what: &str| what.replace(|c: char| c.is_ascii_digit(), "");
        text(&self.what) == text(what)
    }

    /// It was found again, perhaps in other words.
    #[must_use]
    pub fn again(&self, what: impl Into<String>, now: OffsetDateTime) -> Self {
        Self { what: what.into(), since: self.since, count: self.count + 1, last: Some(now) }
    }
}

impl Head {
    /// Of a log that has no entry yet.
    pub fn new(owner: Owner, mark: Uuid, now: OffsetDateTime) -> Self {
        let follows = Some(Follows { mark, since: now, from_start: true });
        Self { next: 0, hash: chain::start(&owner.to_string()), lease: None, publishes: true, follows, gap: None }
    }
}

pub const HEAD_KEY: &str = "log";

impl Record for Head {
    const KIND: &'static str = "head";
    const SCHEMA: u32 = 1;

    fn key(&self) -> String {
        HEAD_KEY.into()
    }
}

/// Keeps runs out of each other's way. What keeps the log whole is create-if-absent, not this: a lease can be lost
/// without its holder knowing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Lease {
    pub holder: Uuid,
    #[serde(with = "time::serde::rfc3339")]
    pub until: OffsetDateTime,
}

/// Renewed with every batch, so a run that lives keeps it and a dead one is followed soon.
pub const LEASE: Duration = Duration::seconds(30);

impl Lease {
    pub fn new(holder: Uuid, now: OffsetDateTime) -> Self {
        Self { holder, until: now + LEASE }
    }

    /// A lease that ends later than one taken now would is from before a clock was set back; it must not block for hours.
    pub fn is_held(&self, now: OffsetDateTime) -> bool {
        now < self.until && self.until - now <= LEASE
    }
}
