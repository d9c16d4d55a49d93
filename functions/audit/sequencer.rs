//! The sequencer: gives every waiting audit item its place in its owner's log, exactly once.
//!
//! The log's order is the order of sequencing; each entry carries its own time. Within a round items are taken by time
//! and then by id (version 7, so one process's items keep their order). A place is taken by create-if-absent, in one
//! batch with the mark that the item has one; only then the head moves and the item goes. So whatever call fails and
//! however many sequencers run: the next run walks over what stands behind the head, and an item left over after it got
//! its place is recognized by its mark and only deleted. A clock that jumps changes nothing but the times shown.

use std::sync::Arc;

use uuid::Uuid;

use super::{
    Item,
    chain::{self, Hash},
    entry::{Entry, HEAD_KEY, Head, Lease, Placed, entry_key, part_of, placed_key},
    leaf,
};
use crate::{
    platform::ports::{OpStatus, PortError, PortErrorKind},
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

/// What a run came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sequenced {
    /// How many items got their place in this run.
    pub placed: usize,
    /// Whether everything that was recorded before the run stands in the log, behind a head that knows it. False while
    /// another run is at work, or one that died still holds the lease: it, or the sweep after it, places the rest.
    pub complete: bool,
}

/// Places what waits in `places`, which are all places of this owner where items can lie.
pub async fn sequence<P: Place>(store: &Store<'_, P>, places: impl IntoIterator<Item = P>) -> Result<Sequenced, StoreError> {
    let places: Vec<P> = places.into_iter().collect();
    // Without items there is nothing to finish either: they go last. An idle owner costs reads only.
    if !anything_waits(store, &places).await? {
        return Ok(Sequenced { placed: 0, complete: true });
    }
    let Some(mut run) = Run::begin(store).await? else { return Ok(Sequenced { placed: 0, complete: false }) };
    let outcome = run.place_all(&places).await;
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

async fn anything_waits<P: Place>(store: &Store<'_, P>, places: &[P]) -> Result<bool, StoreError> {
    for place in places {
        if !store.page::<Item>(*place, "", false, 1, None).await?.0.is_empty() {
            return Ok(true);
        }
    }
    Ok(false)
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

/// One run of one sequencer, with the head as it last saw it.
struct Run<'s, 'a, P> {
    store: &'s Store<'a, P>,
    holder: Uuid,
    head: Held<Head>,
    placed: usize,
}

impl<'s, 'a, P: Place> Run<'s, 'a, P> {
    /// Takes the lease; `None` when another run holds it.
    async fn begin(store: &'s Store<'a, P>) -> Result<Option<Self>, StoreError> {
        let app = store.app();
        let (now, holder) = (app.now(), app.ids.uuid());
        let lease = Some(Lease::new(holder, now));
        let mut batch = store.batch(P::audit(AuditPart::Head));
        match read_head(store).await? {
            Some(held) if held.value.lease.as_ref().is_some_and(|lease| lease.is_held(now)) => return Ok(None),
            Some(mut held) => {
                held.value.lease = lease;
                batch.replace(&held);
            }
            None => {
                batch.create(&Head { next: 0, hash: chain::start(&store.owner().to_string()), lease });
            }
        }
        match batch.commit().await {
            Err(error) if error.is_conflict() => return Ok(None),
            other => other?,
        }
        match read_head(store).await? {
            Some(head) if holds(&head, holder) => Ok(Some(Self { store, holder, head, placed: 0 })),
            _ => Ok(None),
        }
    }

    async fn place_all(&mut self, places: &[P]) -> Result<(), Stop> {
        self.catch_up().await?;
        loop {
            // Read only after the lease was taken and the head caught up: an item that is older than that view could
            // have got its place and gone meanwhile, and then the place behind the head is taken.
            let mut waiting = self.collect(places).await?;
            if waiting.is_empty() {
                return Ok(());
            }
            while !waiting.is_empty() {
                self.place_some(&mut waiting).await?;
            }
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

    /// A round of items, earliest first.
    async fn collect(&self, places: &[P]) -> Result<Vec<Waiting<P>>, Stop> {
        let mut waiting = Vec::new();
        for place in places {
            let (items, _) = self.store.page::<Item>(*place, "", false, ITEMS_PER_PLACE, None).await?;
            waiting.extend(items.into_iter().map(|held| Waiting { place: *place, held }));
        }
        waiting.sort_by_key(|w| (w.held.value.at, w.held.value.id));
        Ok(waiting)
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
        self.head.value = Head { next, hash, lease: Some(Lease::new(self.holder, self.store.app().now())) };
        let mut batch = self.store.batch(P::audit(AuditPart::Head));
        batch.replace(&self.head);
        match batch.commit().await {
            Err(error) if error.is_conflict() => return Err(Stop::Overtaken),
            other => other?,
        }
        match read_head(self.store).await? {
            Some(head) if holds(&head, self.holder) => self.head = head,
            _ => return Err(Stop::Overtaken),
        }
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
    async fn let_go(&mut self) {
        self.head.value.lease = None;
        let mut batch = self.store.batch(P::audit(AuditPart::Head));
        batch.replace(&self.head);
        let _ = batch.commit().await;
    }
}

async fn read_head<P: Place>(store: &Store<'_, P>) -> Result<Option<Held<Head>>, StoreError> {
    store.read::<Head>(P::audit(AuditPart::Head), HEAD_KEY).await
}

fn holds(head: &Held<Head>, holder: Uuid) -> bool {
    head.value.lease.as_ref().is_some_and(|lease| lease.holder == holder)
}

fn take_where<P>(waiting: &mut Vec<Waiting<P>>, is_it: impl Fn(&Item) -> bool) -> Vec<Waiting<P>> {
    let (taken, rest) = std::mem::take(waiting).into_iter().partition(|w| is_it(&w.held.value));
    *waiting = rest;
    taken
}
