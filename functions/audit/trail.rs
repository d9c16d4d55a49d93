//! The trail: the log as people with access read it, newest first, with what is still on its way into it.
//!
//! Plain data; the caller resolves actors to names and picks the page's template. Pages are cut at fixed places of the
//! log, so a link to an older page shows the same entries tomorrow.

use serde::Deserialize;
use serde_json::Value;
use time::OffsetDateTime;

use super::{
    Item,
    anchor::{self, Anchored},
    chain::Hash,
    entry::{Alarm, Entry, HEAD_KEY, Head, entry_key, part_of},
    leaf,
    publisher::Published,
    search::Filter,
    watch::{self, Beside},
    witness::{self, Witnessed},
};
use crate::{
    platform::ports::{PortError, PortErrorKind},
    tenancy::{Actor, Place, Store, StoreError, Wanted, place::AuditPart},
};

/// Fewest entries on a page, while there are that many.
const AT_LEAST: usize = 50;
/// Entries share all but their last two digits in groups of this size; it divides a part's size.
const GROUP: u64 = 100;
/// Most entries that a search opens for one page, in groups.
const GROUPS_OF_A_SEARCH: usize = 10;
/// Most waiting items shown per place: more than that is a backlog, and its number says enough.
const WAITING_PER_PLACE: usize = 20;

#[derive(Clone, Debug, Default)]
pub struct Trail {
    /// State "being added": happened, recorded, without a place in the log yet. Only with the newest entries.
    pub waiting: Vec<Shown>,
    pub entries: Vec<Shown>,
    /// `before` of the next older page.
    pub older: Option<u64>,
    /// Entries that were opened for this page.
    pub looked: usize,
    /// Entries in the whole log.
    pub total: u64,
    /// The hash of the newest entry.
    pub head: Option<Hash>,
    /// How far outsiders can verify it.
    pub published: Option<Published>,
    pub anchored: Option<Anchored>,
    pub witnessed: Option<Witnessed>,
    /// What people must see to.
    pub alarms: Vec<Alarm>,
}

#[derive(Clone, Debug)]
pub struct Shown {
    /// Its place; `None` while it is being added.
    pub place: Option<Placement>,
    pub at: OffsetDateTime,
    pub kind: String,
    pub object: String,
    pub actor: Actor,
    pub correlation: String,
    pub detail: Value,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Placement {
    pub seq: u64,
    pub hash: Hash,
}

/// The page of entries before `before` (or the newest); `places` are those where this owner's items can lie.
pub async fn page<P: Place>(store: &Store<'_, P>, places: impl IntoIterator<Item = P>, before: Option<u64>) -> Result<Trail, StoreError> {
    find(store, places, before, &Filter::default()).await
}

/// The same of those that a filter takes: as many as a page has, or fewer when so many were opened that a person should be
/// asked before there are more.
pub async fn find<P: Place>(
    store: &Store<'_, P>,
    places: impl IntoIterator<Item = P>,
    before: Option<u64>,
    filter: &Filter,
) -> Result<Trail, StoreError> {
    let places: Vec<P> = places.into_iter().collect();
    let wanted = vec![
        Wanted::one::<Head>(HEAD_KEY),
        Wanted::one::<Published>(HEAD_KEY),
        Wanted::one::<Anchored>(anchor::KEY),
        Wanted::one::<Witnessed>(witness::KEY),
    ];
    let found = store.gather(P::audit(AuditPart::Head), wanted).await?;
    let head = found.one::<Head>(HEAD_KEY).await?.map(|held| held.value);
    let published = found.one::<Published>(HEAD_KEY).await?.map(|held| held.value);
    let anchored = found.one::<Anchored>(anchor::KEY).await?.map(|held| held.value);
    let is_asked = store.app().config.witness.is_some();
    let witnessed = found.one::<Witnessed>(witness::KEY).await?.map(|held| held.value).filter(|_| is_asked);
    let total = head.as_ref().map_or(0, |head| head.next);
    // Items first: one that gets its place meanwhile is then shown twice, never not at all, and the second is dropped.
    let waiting = if before.is_none() { waiting(store, &places).await? } else { Vec::new() };
    let beside = Beside { head: head.as_ref(), published: published.as_ref(), anchored: anchored.as_ref(), witnessed: witnessed.as_ref() };
    let alarms = watch::alarms(beside, store.app().now());
    let mut trail = Trail { total, head: head.map(|head| head.hash), published, anchored, witnessed, alarms, ..Trail::default() };
    let mut ids = Vec::new();
    let mut end = match before {
        Some(before) => before.min(total),
        None => filter.end(store, total).await?,
    };
    let mut groups = 0;
    while end > 0 && trail.entries.len() < AT_LEAST && groups < GROUPS_OF_A_SEARCH {
        let group = (end - 1) / GROUP * GROUP;
        let prefix = &entry_key(group)[..14];
        let (group_entries, _) = store.page::<Entry>(part_of(group), prefix, true, 100, None).await?;
        // All of a group: one that got its place late, or came of a wrong clock, says nothing of its neighbors.
        let mut over = !group_entries.is_empty();
        for entry in group_entries.into_iter().map(|held| held.value).filter(|entry| entry.seq < end) {
            ids.push(entry.item);
            let shown = Shown::of_entry(entry)?;
            trail.looked += 1;
            over &= filter.ends_before(&shown);
            if filter.takes(&shown) {
                trail.entries.push(shown);
            }
        }
        end = if over { 0 } else { group };
        groups += 1;
    }
    trail.older = (end > 0).then_some(end);
    let waiting = waiting.into_iter().filter(|item| !ids.contains(&item.id)).map(Shown::of_item);
    trail.waiting = waiting.filter(|shown| filter.takes(shown)).collect();
    Ok(trail)
}

async fn waiting<P: Place>(store: &Store<'_, P>, places: &[P]) -> Result<Vec<Item>, StoreError> {
    let mut items = Vec::new();
    for place in places {
        let (here, _) = store.page::<Item>(*place, "", true, WAITING_PER_PLACE, None).await?;
        items.extend(here.into_iter().map(|held| held.value));
    }
    items.sort_by_key(|item| std::cmp::Reverse((item.at, item.id)));
    Ok(items)
}

impl Shown {
    /// What happened in words, without who: `proposal approved: proposal 0192..`.
    pub fn text(&self) -> String {
        format!("{}: {}", self.kind.replace(['.', '_'], " "), self.object)
    }

    /// What a person wrote with it, or why it happened, where the detail says so.
    pub fn note(&self) -> Option<&str> {
        ["comment", "reason", "why"].iter().find_map(|name| self.detail[*name].as_str()).filter(|note| !note.is_empty())
    }

    /// Where it stands.
    pub fn proof(&self) -> String {
        match self.place {
            Some(Placement { seq, .. }) => format!("in the log, entry {seq}"),
            None => "waits for its place in the log".into(),
        }
    }

    pub(super) fn of_entry(entry: Entry) -> Result<Self, StoreError> {
        #[derive(Deserialize)]
        struct Content {
            /// Where the leaf names a person by the pseudonym.
            object: Option<String>,
            detail: Value,
        }
        let unreadable = || PortError::new(format!("log entry {}", entry.seq), PortErrorKind::Unreadable);
        let leaf = leaf::read(&entry.leaf).map_err(|_| unreadable())?;
        let content: Content = serde_json::from_str(&entry.content).map_err(|_| unreadable())?;
        Ok(Self {
            place: Some(Placement { seq: entry.seq, hash: entry.hash }),
            at: leaf.at,
            kind: leaf.kind,
            object: content.object.unwrap_or(leaf.object),
            actor: entry.actor,
            correlation: leaf.correlation,
            detail: content.detail,
        })
    }

    pub(super) fn of_item(item: Item) -> Self {
        let Item { at, kind, object, actor, correlation, detail, .. } = item;
        Self { place: None, at, kind, object, actor, correlation, detail }
    }
}
