//! The sequencer: gives every waiting audit item its place in its owner's log, exactly once.
//!
//! The log's order is the order of sequencing; each entry carries its own time. Within a round items are taken by time,
//! those of one place in the order in which they were written. A place is taken by create-if-absent, in one batch with the
//! mark that the item has one; only then the head moves and the item goes. So whatever call fails and however many
//! sequencers run: the next run walks over what stands behind the head, and an item left over after it got its place is
//! recognized by its mark and only deleted. A clock that jumps changes nothing but the times shown. Up to which number the
//! items of a place are known moves with the head; a number that is missing is an alarm (see `follow`), and the log goes on.
//! So is a head that is not there beside entries: it is made anew from them.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
};

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use serde_json::json;
use uuid::Uuid;

use super::{
    Event, Item,
    chain::{self, Hash},
    entry::{self, Alarm, Entry, Follows, HEAD_KEY, Head, Lease, Placed, entry_key, part_of, placed_key},
    follow::{self, Fault, Followed, GRACE, HEAD_GONE, Numbered},
    leaf, record, watch,
};
use crate::{
    platform::ports::{Etag, OpStatus, PortError, PortErrorKind},
    tenancy::{
        Gathered, Held, Place, Record, Store, StoreError, Wanted,
        place::{AUDIT_ENTRIES_PER_PART, AuditPart},
        tail::{Appended as _, TAIL, Tail},
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
/// Records of what is followed that one look asks for by name; for more places it takes all.
const NAMED: usize = 40;
/// Records of what is followed in one write of the head, which takes a hundred operations.
const MOVED_AT_ONCE: usize = 40;

/// What a run came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sequenced {
    /// How many items got their place in this run.
    pub placed: usize,
    /// Whether everything that was recorded in these places before the run stands in the log, behind a head that knows it.
    /// False while another run is at work, or one that died still holds the lease, or the head is not where this release keeps
    /// it yet: that run, or the sweep after it, places the rest.
    pub complete: bool,
}

/// Places what waits in `places`, those that a cause wrote to, or all places of this owner where items can lie; and what
/// the log's own keepers recorded beside its head.
pub async fn sequence<P: Place>(store: &Store<'_, P>, places: impl IntoIterator<Item = P>) -> Result<Sequenced, StoreError> {
    let own = P::audit(AuditPart::Head).key();
    let places: Vec<P> = places.into_iter().filter(|place| place.key() != own).collect();
    // The head before the items, and the lease only on this very head: an item that is seen here has its mark within reach,
    // or gets its place no sooner than right behind this head, where the run will find it taken. An older look at the items
    // could hold one that got its place and went long before.
    let Seen { head, followed, own } = Seen::of(store, &places).await?;
    let mut looks = looks_at(store, &places).await?;
    looks.push(own);
    // Without items there is nothing to finish either: they go last. An idle owner costs reads only.
    let follows = head.as_ref().and_then(|head| head.value.follows);
    let idle = |look: &Look<P>| {
        let quiet = || {
            follows.map_or(look.tail.is_none(), |follows| {
                let known = known(store, &followed, follows, look);
                look.compared(&known).faults.is_empty() && (known.number == 0 || is_of(followed.get(&look.place.key()), follows))
            })
        };
        look.items.is_empty() && quiet()
    };
    if looks.iter().all(idle) {
        return Ok(Sequenced { placed: 0, complete: true });
    }
    if !store.move_head().await? {
        return Ok(Sequenced { placed: 0, complete: false });
    }
    let Some(mut run) = Run::begin(store, head, followed).await? else { return Ok(Sequenced { placed: 0, complete: false }) };
    let outcome = run.place_all(looks, &places).await;
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

/// What one place held when it was looked at.
struct Look<P> {
    place: P,
    /// In the order in which they were written.
    items: VecDeque<Held<Item>>,
    tail: Option<Tail>,
    /// It held more than a round takes.
    more: bool,
}

impl<P: Place> Look<P> {
    async fn of(place: P, found: &Gathered<'_, '_, P>, more: bool) -> Result<Self, StoreError> {
        let tail = found.one::<Tail>(TAIL).await?.map(|held| held.value);
        Ok(Self { place, items: found.all::<Item>("").await?.into(), tail, more })
    }

    async fn at(store: &Store<'_, P>, place: P) -> Result<Self, StoreError> {
        let (found, more) = store.gather_page(place, wanted(), ITEMS_PER_PLACE + 1).await?;
        Self::of(place, &found, more).await
    }

    fn numbered(&self) -> Vec<Numbered> {
        self.items.iter().filter_map(|held| Numbered::of(&held.value)).collect()
    }

    fn compared(&self, known: &Tail) -> follow::Compared {
        follow::compare(known, &self.numbered(), self.tail.as_ref(), !self.more)
    }
}

fn wanted() -> Vec<Wanted> {
    vec![Wanted::one::<Tail>(TAIL), Wanted::all::<Item>("")]
}

async fn looks_at<P: Place>(store: &Store<'_, P>, places: &[P]) -> Result<Vec<Look<P>>, StoreError> {
    let looks: Vec<_> = places.iter().map(|place| Look::at(store, *place)).collect();
    stream::iter(looks).buffered(PLACES_AT_ONCE).try_collect().await
}

/// Earliest first, and those of one place as they were written.
fn in_order<P: Place>(mut looks: Vec<Look<P>>) -> Vec<Waiting<P>> {
    let first = |look: &Look<P>| look.items.front().map(|held| (held.value.at, held.value.id));
    let mut next: BTreeSet<_> = looks.iter().enumerate().filter_map(|(n, look)| Some((first(look)?, n))).collect();
    let mut waiting = Vec::new();
    while let Some((_, n)) = next.pop_first() {
        let look = &mut looks[n];
        waiting.extend(look.items.pop_front().map(|held| Waiting { place: look.place, held }));
        next.extend(first(look).map(|first| (first, n)));
    }
    waiting
}

/// What lies beside the head, in one look: the head, up to where the places' items are known, and the keepers' own items.
struct Seen<P> {
    head: Option<Held<Head>>,
    followed: BTreeMap<String, Held<Followed>>,
    own: Look<P>,
}

impl<P: Place> Seen<P> {
    async fn of(store: &Store<'_, P>, places: &[P]) -> Result<Self, StoreError> {
        let own = P::audit(AuditPart::Head);
        let mut all = wanted();
        all.push(Wanted::one::<Head>(HEAD_KEY));
        if places.len() < NAMED {
            all.extend(places.iter().chain([&own]).map(|place| Wanted::one::<Followed>(&follow::key_of(&place.key()))));
        } else {
            all.push(Wanted::all::<Followed>(""));
        }
        let found = store.gather(own, all).await?;
        let mut followed = BTreeMap::new();
        if places.len() < NAMED {
            for place in places.iter().chain([&own]) {
                let key = place.key();
                followed.extend(found.one::<Followed>(&follow::key_of(&key)).await?.map(|held| (key, held)));
            }
        } else {
            followed.extend(found.all::<Followed>("").await?.into_iter().map(|held| (held.value.place.clone(), held)));
        }
        Ok(Self { head: found.one::<Head>(HEAD_KEY).await?, followed, own: Look::of(own, &found, false).await? })
    }
}

/// Up to where the items of the place are known.
fn known<P: Place>(store: &Store<'_, P>, followed: &BTreeMap<String, Held<Followed>>, follows: Follows, look: &Look<P>) -> Tail {
    let record = followed.get(&look.place.key()).map(|held| &held.value);
    let start = Tail::start(store.owner(), &look.place);
    follow::begin(record, follows, start, look.numbered().first(), look.tail.as_ref(), store.app().now())
}

fn is_of(record: Option<&Held<Followed>>, follows: Follows) -> bool {
    record.is_some_and(|held| held.value.mark == follows.mark)
}

/// One run of one sequencer, with the head as it last saw it.
struct Run<'s, 'a, P> {
    store: &'s Store<'a, P>,
    holder: Uuid,
    head: Held<Head>,
    follows: Follows,
    followed: BTreeMap<String, Held<Followed>>,
    /// What is written of it with the head's next move.
    moved: BTreeMap<String, Tail>,
    placed: usize,
    /// It made the head anew, and an item of its own says so.
    anew: bool,
}

impl<'s, 'a, P: Place> Run<'s, 'a, P> {
    /// Takes the lease on the head as it was seen; `None` when another run holds it, or was at it since.
    async fn begin(
        store: &'s Store<'a, P>,
        seen: Option<Held<Head>>,
        followed: BTreeMap<String, Held<Followed>>,
    ) -> Result<Option<Self>, StoreError> {
        let app = store.app();
        let (now, holder) = (app.now(), app.ids.uuid());
        if seen.as_ref().and_then(|head| head.value.lease.as_ref()).is_some_and(|lease| lease.is_held(now)) {
            return Ok(None);
        }
        let mark = || Follows { mark: app.ids.uuid(), since: now, from_start: false };
        // A log has its head before its first entry.
        let anew = seen.is_none() && entry::has_entries(store).await?;
        let (head, etag) = match seen {
            Some(Held { value, etag }) => (value, Some(etag)),
            None => (Head::new(store.owner(), app.ids.uuid(), now), None),
        };
        let follows = head.follows.unwrap_or_else(mark);
        let mut head = Head { lease: Some(Lease::new(holder, now)), follows: Some(follows), ..head };
        if anew {
            head.gap = Some(Alarm::new(HEAD_GONE, now));
        }
        let taken = write_head(store, head, etag, anew.then(|| gap_event(HEAD_GONE))).await?;
        if anew && taken.is_some() {
            tracing::error!(owner = %store.owner(), what = HEAD_GONE, "ALARM: the head of the audit log was taken away");
        }
        Ok(taken.map(|head| Self { store, holder, head, follows, followed, moved: BTreeMap::new(), placed: 0, anew }))
    }

    async fn place_all(&mut self, mut looks: Vec<Look<P>>, places: &[P]) -> Result<(), Stop> {
        self.catch_up().await?;
        if self.anew {
            self.look_at_own(&mut looks).await?;
        }
        loop {
            self.watch(&mut looks).await?;
            let more = looks.iter().any(|look| look.more);
            let mut waiting = in_order(looks);
            while !waiting.is_empty() {
                self.place_some(&mut waiting).await?;
            }
            if !self.moved.is_empty() {
                self.move_head(self.head.value.next, self.head.value.hash).await?;
            }
            if !more {
                return Ok(());
            }
            looks = looks_at(self.store, places).await?;
        }
    }

    /// Raises an alarm where items are missing, once, and goes on behind it. The alarm's own item is among what is placed.
    async fn watch(&mut self, looks: &mut Vec<Look<P>>) -> Result<(), Stop> {
        let mut said = Vec::new();
        for look in looks.iter() {
            let (key, known) = (look.place.key(), known(self.store, &self.followed, self.follows, look));
            if known.number > 0 && !is_of(self.followed.get(&key), self.follows) {
                self.moved.insert(key.clone(), known.clone());
            }
            if !look.compared(&known).faults.is_empty() {
                // A page of documents is no snapshot: what somebody wrote meanwhile must not look like a gap.
                let follow::Compared { faults, resume } = follow::look_again(self.store, look.place, &known).await?;
                let put_back = faults.iter().any(|fault| matches!(fault, Fault::PutBack { .. }));
                let resume = resume.or_else(|| put_back.then(|| Tail::start(self.store.owner(), &look.place)));
                if !faults.is_empty() {
                    self.moved.insert(key.clone(), resume.unwrap_or(known));
                }
                said.extend(faults.iter().map(|fault| fault.words(&key)));
            }
            let late = |held: &&Held<Item>| held.value.link.is_none() && held.value.at > self.follows.since + GRACE;
            let unnumbered = look.items.iter().filter(late).count();
            said.extend((unnumbered > 0).then(|| Fault::Unnumbered(unnumbered).words(&key)));
        }
        if said.is_empty() {
            return Ok(());
        }
        let owner = self.store.owner().to_string();
        for what in &said {
            tracing::error!(owner, what, "ALARM: items of the audit log were taken away");
        }
        let what = follow::in_one(&said);
        let event = gap_event(&what);
        let gap = Some(watch::also(self.head.value.gap.as_ref(), what, self.store.app().now()));
        self.write(Head { gap, ..self.head.value.clone() }, Some(event)).await?;
        Ok(self.look_at_own(looks).await?)
    }

    /// An item of its own lies there since.
    async fn look_at_own(&self, looks: &mut Vec<Look<P>>) -> Result<(), StoreError> {
        let own = P::audit(AuditPart::Head);
        looks.retain(|look| look.place.key() != own.key());
        looks.push(Look::at(self.store, own).await?);
        Ok(())
    }

    /// Notes that these items have their places: with the head's next move their numbers are known.
    fn settle(&mut self, items: &[Waiting<P>]) {
        for Waiting { place, held } in items {
            let Some(link) = held.value.link() else { continue };
            let key = place.key();
            let known = self.moved.get(&key).or_else(|| {
                let record = self.followed.get(&key).filter(|held| is_of(Some(held), self.follows));
                record.map(|held| &held.value.at)
            });
            if known.is_none_or(|known| known.number < link.number) {
                self.moved.insert(key, Tail::of(link, &held.value.mark()));
            }
        }
    }

    /// Walks over the entries that a run before this one left behind the head.
    async fn catch_up(&mut self) -> Result<(), Stop> {
        let Head { mut next, mut hash, .. } = self.head.value.clone();
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
                self.settle(&having_one);
                self.move_head(self.head.value.next, self.head.value.hash).await?;
                return self.delete(&mut having_one).await;
            }
        }
        self.placed += entries.len();
        self.settle(&waiting[..taken]);
        let (next, hash) = entries.last().map_or((self.head.value.next, self.head.value.hash), |last| (last.seq + 1, last.hash));
        self.move_head(next, hash).await?;
        self.delete(&mut waiting.drain(..taken).collect()).await
    }

    /// The entries of the next batch, all in one part, and how many of the first waiting items they settle: an item
    /// that got its place at the end of the part before needs none. The present part says so itself, by conflict.
    async fn next_batch(&self, waiting: &[Waiting<P>]) -> Result<(Vec<Entry>, usize), Stop> {
        let Head { mut next, mut hash, .. } = self.head.value.clone();
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

    /// Moves the head and what is followed, and renews the lease, in one write.
    async fn move_head(&mut self, next: u64, hash: Hash) -> Result<(), Stop> {
        self.write(Head { next, hash, ..self.head.value.clone() }, None).await
    }

    /// The event goes with the first of what moved: a run that dies behind it says again what did not move, and hides nothing.
    async fn write(&mut self, head: Head, mut event: Option<Event>) -> Result<(), Stop> {
        let mark = self.follows.mark;
        loop {
            let head = Head { lease: Some(Lease::new(self.holder, self.store.app().now())), ..head.clone() };
            let mut batch = self.store.batch(P::audit(AuditPart::Head));
            batch.replace(&Held { value: head.clone(), etag: self.head.etag.clone() });
            let some = self.moved.iter().take(MOVED_AT_ONCE);
            let moved: Vec<_> = some.map(|(place, at)| Followed { place: place.clone(), mark, at: at.clone() }).collect();
            for followed in &moved {
                batch.put(followed.clone(), self.followed.get(&followed.place).map(|held| held.etag.clone()));
            }
            if let Some(event) = event.take() {
                record(&mut batch, event);
            }
            let mut etags = match batch.commit_with_etags().await {
                Ok(etags) => etags.into_iter(),
                Err(error) if error.is_conflict() => return Err(Stop::Overtaken),
                Err(error) => return Err(error.into()),
            };
            let mut etag = || etags.next().flatten().ok_or(Stop::Overtaken);
            self.head = Held { value: head, etag: etag()? };
            for value in moved {
                let etag = etag()?;
                self.moved.remove(&value.place);
                self.followed.insert(value.place.clone(), Held { value, etag });
            }
            if self.moved.is_empty() {
                return Ok(());
            }
        }
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
        let head = Head { lease: None, ..self.head.value.clone() };
        let _ = write_head(self.store, head, Some(self.head.etag.clone()), None).await;
    }
}

/// The head as it is now; `None` when another run wrote it since it was read.
async fn write_head<P: Place>(
    store: &Store<'_, P>,
    head: Head,
    etag: Option<Etag>,
    event: Option<Event>,
) -> Result<Option<Held<Head>>, StoreError> {
    let mut batch = store.batch(P::audit(AuditPart::Head));
    batch.put(head.clone(), etag);
    if let Some(event) = event {
        record(&mut batch, event);
    }
    match batch.commit_with_etags().await {
        Ok(etags) => Ok(etags.into_iter().flatten().next().map(|etag| Held { value: head, etag })),
        Err(error) if error.is_conflict() => Ok(None),
        Err(error) => Err(error),
    }
}

fn gap_event(why: &str) -> Event {
    Event::new("log.gap", "log", json!({ "why": why }))
}

fn take_where<P>(waiting: &mut Vec<Waiting<P>>, is_it: impl Fn(&Item) -> bool) -> Vec<Waiting<P>> {
    let (taken, rest) = std::mem::take(waiting).into_iter().partition(|w| is_it(&w.held.value));
    *waiting = rest;
    taken
}
