//! The sequencer: gives every waiting audit item its place in its owner's log, exactly once.
//!
//! The log's order is the order of sequencing; each entry carries its own time. Within a round items are taken by time
//! and then by id (version 7, so one process's items keep their order). A place is taken by create-if-absent, in one
//! batch with the mark that the item has one; only then the head moves and the item goes. So whatever call fails and
//! however many sequencers run: the next run walks over what stands behind the head, and an item left over after it got
//! its place is recognized by its mark and only deleted. A clock that jumps changes nothing but the times shown.

use std::sync::Arc;

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use uuid::Uuid;

use super::{
    Item,
    chain::{self, Hash},
    entry::{Entry, HEAD_KEY, Head, Lease, Placed, entry_key, part_of, placed_key},
    leaf,
};
use crate::{
    platform::ports::{Etag, OpStatus, PortError, PortErrorKind},
    tenancy::{
        Held, Place, Record, Store, StoreError,
        place::{AUDIT_ENTRIES_PER_PART, AuditPart},
    },
};

/// Entries in one batch: each is two operations of the hundred.
const MAX_ENTRIES: usize = 49;
/// Plain bytes in one batch; sealing makes them a third longer, and a batch may hold 2 MB.
const MAX_PLAIN_BYTES: usize = 1024 * 1024;
/// Items taken from one place in one round.
const ITEMS_PER_PLACE: usize = 100;
/// Places looked at at once: all of a client; of the deployment, which has as many for each connection, not all.
const PLACES_AT_ONCE: usize = 17;

/// What a run came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sequenced {
    /// How many items got their place in this run.
    pub placed: usize,
    /// Whether everything that was recorded in these places before the run stands in the log, behind a head that knows it.
    /// False while another run is at work, or one that died still holds the lease: it, or the sweep after it, places the rest.
    pub complete: bool,
}

/// Places what waits in `places`: those that a cause wrote to, or all places of this owner where items can lie.
pub async fn sequence<P: Place>(store: &Store<'_, P>, places: impl IntoIterator<Item = P>) -> Result<Sequenced, StoreError> {
    let places: Vec<P> = places.into_iter().collect();
    // The head before the items, and the lease only on this very head: an item that is seen here has its mark within reach,
    // or gets its place no sooner than right behind this head, where the run will find it taken. An older look at the items
    // could hold one that got its place and went long before.
    let head = read_head(store).await?;
    let round = Round::of(store, &places).await?;
    // Without items there is nothing to finish either: they go last. An idle owner costs reads only.
    if round.waiting.is_empty() {
        return Ok(Sequenced { placed: 0, complete: true });
    }
    let Some(mut run) = Run::begin(store, head).await? else { return Ok(Sequenced { placed: 0, complete: false }) };
    let outcome = run.place_all(round, &places).await;
    run.let_go().await;
    match outcome {
        Ok(()) => Ok(Sequenced { placed: run.placed, complete: true }),
        Err(Stop::Overtaken) => Ok(Sequenced { placed: run.placed, complete: false }),
        Err(Stop::Failed(error)) => Err(error),
    }
}

/// How many items wait for their place.
pub async fn waiting<P: Place>(store: &Store<'_, P>, places: &[P]) -> Result<usize, StoreError> {
    let mut count = 0;
    for place in places {
        count += store.all::<Item>(*place, "").await?.len();
    }
    Ok(count)
}

/// Why a run ends before nothing waits any more.
enum Stop {
    /// Another run took over; what this one had in hand is that one's now.
    Overtaken,
    Failed(StoreError),
}

impl From<StoreError> for Stop {
    fn from(error: StoreError) -> Self {
        Self::Failed(error)
    }
}

struct Waiting<P> {
    place: P,
    held: Held<Item>,
}

/// What waited when it was looked at.
struct Round<P> {
    /// Earliest first.
    waiting: Vec<Waiting<P>>,
    /// Some place held more than a round takes.
    more: bool,
}

impl<P: Place> Round<P> {
    async fn of(store: &Store<'_, P>, places: &[P]) -> Result<Self, StoreError> {
        let looks: Vec<_> = places.iter().map(|place| store.page::<Item>(*place, "", false, ITEMS_PER_PLACE, None)).collect();
        let found: Vec<_> = stream::iter(looks).buffered(PLACES_AT_ONCE).try_collect().await?;
        let more = found.iter().any(|(_, next)| next.is_some());
        let items = places.iter().zip(found).flat_map(|(place, (items, _))| items.into_iter().map(|held| Waiting { place: *place, held }));
        let mut waiting: Vec<_> = items.collect();
        waiting.sort_by_key(|w| (w.held.value.at, w.held.value.id));
        Ok(Self { waiting, more })
    }
}

/// One run of one sequencer, with the head as it last saw it.
struct Run<'s, 'a, P> {
    store: &'s Store<'a, P>,
    holder: Uuid,
    head: Held<Head>,
    placed: usize,
}

impl<'s, 'a, P: Place> Run<'s, 'a, P> {
    /// Takes the lease on the head as it was seen; `None` when another run holds it, or was at it since.
    async fn begin(store: &'s Store<'a, P>, seen: Option<Held<Head>>) -> Result<Option<Self>, StoreError> {
        let app = store.app();
        let (now, holder) = (app.now(), app.ids.uuid());
        if seen.as_ref().and_then(|head| head.value.lease.as_ref()).is_some_and(|lease| lease.is_held(now)) {
            return Ok(None);
        }
        let (head, etag) = match seen {
            Some(Held { value, etag }) => (value, Some(etag)),
            None => (Head { next: 0, hash: chain::start(&store.owner().to_string()), lease: None, publishes: true }, None),
        };
        let taken = write_head(store, Head { lease: Some(Lease::new(holder, now)), ..head }, etag).await?;
        Ok(taken.map(|head| Self { store, holder, head, placed: 0 }))
    }

    async fn place_all(&mut self, mut round: Round<P>, places: &[P]) -> Result<(), Stop> {
        self.catch_up().await?;
        loop {
            while !round.waiting.is_empty() {
                self.place_some(&mut round.waiting).await?;
            }
            if !round.more {
                return Ok(());
            }
            round = Round::of(self.store, places).await?;
        }
    }

    /// Walks over the entries that a run before this one left behind the head.
    async fn catch_up(&mut self) -> Result<(), Stop> {
        let Head { mut next, mut hash, .. } = self.head.value;
        while let Some(found) = self.store.read::<Entry>(part_of(next), &entry_key(next)).await? {
            let entry = found.value;
            if entry.seq != next || entry.previous != hash || entry.hash != chain::link(&hash, &entry.leaf) {
                return Err(StoreError::from(PortError::new(format!("log entry {next}"), PortErrorKind::Unreadable)).into());
            }
            (next, hash) = (next + 1, entry.hash);
        }
        if next == self.head.value.next { Ok(()) } else { self.move_head(next, hash).await }
    }

    /// Places as many of the first items as one batch takes, moves the head, deletes the items.
    async fn place_some(&mut self, waiting: &mut Vec<Waiting<P>>) -> Result<(), Stop> {
        let (entries, taken) = self.next_batch(waiting).await?;
        let mut batch = self.store.batch(part_of(self.head.value.next));
        for entry in &entries {
            batch.create(entry);
        }
        for entry in &entries {
            batch.create(&Placed { item: entry.item, seq: entry.seq });
        }
        match batch.commit().await {
            Ok(()) => {}
            Err(error) if entries.iter().any(|entry| error.exists::<Entry>(&entry.key())) => return Err(Stop::Overtaken),
            Err(error) => {
                let mut having_one = take_where(waiting, |item| error.exists::<Placed>(&placed_key(item.id)));
                if having_one.is_empty() {
                    return Err(error.into());
                }
                // Deleted, then the rest is tried again.
                return self.delete(&mut having_one).await;
            }
        }
        if let Some(last) = entries.last() {
            self.placed += entries.len();
            self.move_head(last.seq + 1, last.hash).await?;
        }
        self.delete(&mut waiting.drain(..taken).collect()).await
    }

    /// The entries of the next batch, all in one part, and how many of the first waiting items they settle: an item
    /// that got its place at the end of the part before needs none. The present part says so itself, by conflict.
    async fn next_batch(&self, waiting: &[Waiting<P>]) -> Result<(Vec<Entry>, usize), Stop> {
        let Head { mut next, mut hash, .. } = self.head.value;
        let part = next / AUDIT_ENTRIES_PER_PART;
        let (mut entries, mut taken, mut bytes) = (Vec::new(), 0, 0);
        for Waiting { held, .. } in waiting {
            if entries.len() == MAX_ENTRIES || next / AUDIT_ENTRIES_PER_PART != part {
                break;
            }
            let item = &held.value;
            if part > 0 {
                let before = P::audit(AuditPart::Entries(part - 1));
                if self.store.read::<Placed>(before, &placed_key(item.id)).await?.is_some() {
                    taken += 1;
                    continue;
                }
            }
            let entry = self.entry(item, next, hash)?;
            // Text inside text is escaped: twice the length is the most that quotes and backslashes add.
            bytes += 2 * (entry.leaf.len() + entry.content.len()) + 1024;
            if bytes > MAX_PLAIN_BYTES && !entries.is_empty() {
                break;
            }
            (next, hash) = (next + 1, entry.hash);
            taken += 1;
            entries.push(entry);
        }
        Ok((entries, taken))
    }

    fn entry(&self, item: &Item, seq: u64, previous: Hash) -> Result<Entry, StoreError> {
        let written = leaf::write(item, self.store.key()?)
            .map_err(|source| StoreError::Shape { document: format!("audit:{}", item.key()), source: Arc::new(source) })?;
        // A leaf is far shorter by its making (see `item`); one that no bundle could hold must not get a place.
        if written.leaf.len() > leaf::MAX_LEAF_BYTES {
            return Err(PortError::new(format!("audit:{}", item.key()), PortErrorKind::TooLarge).into());
        }
        Ok(Entry {
            seq,
            hash: chain::link(&previous, &written.leaf),
            leaf: written.leaf,
            previous,
            item: item.id,
            actor: item.actor.clone(),
            salt: item.salt,
            content: written.content,
        })
    }

    /// Moves the head and renews the lease in one write.
    async fn move_head(&mut self, next: u64, hash: Hash) -> Result<(), Stop> {
        let lease = Some(Lease::new(self.holder, self.store.app().now()));
        let head = Head { next, hash, lease, ..self.head.value };
        self.head = write_head(self.store, head, Some(self.head.etag.clone())).await?.ok_or(Stop::Overtaken)?;
        Ok(())
    }

    /// Deletes items that have their place, in the places they came from.
    async fn delete(&self, items: &mut Vec<Waiting<P>>) -> Result<(), Stop> {
        while let Some(place) = items.first().map(|w| w.place.key()) {
            let (here, elsewhere): (Vec<_>, Vec<_>) = std::mem::take(items).into_iter().partition(|w| w.place.key() == place);
            *items = elsewhere;
            self.delete_in_one_place(&here).await?;
        }
        Ok(())
    }

    async fn delete_in_one_place(&self, items: &[Waiting<P>]) -> Result<(), Stop> {
        let Some(first) = items.first() else { return Ok(()) };
        let mut batch = self.store.batch(first.place);
        for item in items {
            batch.delete(&item.held);
        }
        match batch.commit().await {
            Err(error) if error.is_conflict() => {}
            other => return Ok(other?),
        }
        // Another run deleted some of them.
        for item in items {
            let mut batch = self.store.batch(item.place);
            batch.delete(&item.held);
            match batch.commit().await {
                Err(StoreError::Refused { refused }) if refused.iter().all(|(_, status)| *status == OpStatus::NotFound) => {}
                other => other?,
            }
        }
        Ok(())
    }

    /// Lets the next run begin at once. If this fails, the lease runs out.
    async fn let_go(&self) {
        let head = Head { lease: None, ..self.head.value };
        let _ = write_head(self.store, head, Some(self.head.etag.clone())).await;
    }
}

async fn read_head<P: Place>(store: &Store<'_, P>) -> Result<Option<Held<Head>>, StoreError> {
    store.read::<Head>(P::audit(AuditPart::Head), HEAD_KEY).await
}

/// The head as it is now; `None` when another run wrote it since it was read.
async fn write_head<P: Place>(store: &Store<'_, P>, head: Head, etag: Option<Etag>) -> Result<Option<Held<Head>>, StoreError> {
    let mut batch = store.batch(P::audit(AuditPart::Head));
    batch.put(head.clone(), etag);
    match batch.commit_with_etags().await {
        Ok(etags) => Ok(etags.into_iter().flatten().next().map(|etag| Held { value: head, etag })),
        Err(error) if error.is_conflict() => Ok(None),
        Err(error) => Err(error),
    }
}

fn take_where<P>(waiting: &mut Vec<Waiting<P>>, is_it: impl Fn(&Item) -> bool) -> Vec<Waiting<P>> {
    let (taken, rest) = std::mem::take(waiting).into_iter().partition(|w| is_it(&w.held.value));
    *waiting = rest;
    taken
}
