//! The publisher: makes of the entries that have their places the tiles, bundles and the checkpoint that outsiders verify.
//!
//! The order is fixed before (`sequencer`), so what is published follows from the store alone: any run, also two at once or
//! one after a crash, writes the same bytes under the same names, and a name that holds other bytes is an alarm, not a
//! conflict. How far it came is one small record with the tree's right edge, moved by its etag; only what stands in that
//! record is ever signed, so no two checkpoints can contradict each other. Then the checkpoint moves, to larger sizes only.

use serde::{Deserialize, Serialize};
use serde_json::json;
use time::{Duration, OffsetDateTime};

use super::{
    Event,
    chain::{self, Hash},
    entry::{self, Alarm, Entry, HEAD_KEY, Head},
    log_key::{self, Signer},
    record, sequence, tiles,
    tlog::{Checkpoint, Tile, Tree, bundle, merkle, proof::Plan, tile::WIDTH},
};
use crate::{
    platform::ports::{BlobContainer, Replacing},
    tenancy::{Held, Place, Record, Store, StoreError, Wanted, place::AuditPart},
};

/// Full bundles of one step: a long log that is published for the first time gets on even when a run is cut off.
const BUNDLES_OF_A_STEP: u64 = 16;

/// Looks at a checkpoint that others are just moving.
const TRIES: usize = 4;

/// How far an owner's log is published.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Published {
    pub tree: Tree,
    /// The chain's hash of the last entry in the tree.
    pub chain: Hash,
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
    /// An item of the publisher's own waits for its place beside this record.
    pub item_waits: bool,
    /// Why nothing is published over what is there.
    pub alarm: Option<Alarm>,
}

impl Record for Published {
    const KIND: &'static str = "published";
    const SCHEMA: u32 = 1;

    fn key(&self) -> String {
        HEAD_KEY.into()
    }
}

#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the log of {owner} is not published any further: {what}")]
    Alarm { owner: String, what: String },
}

impl PublishError {
    /// Whether the same run may succeed later without anybody doing anything.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Store(error) if error.is_transient())
    }
}

/// When another alarm than the one that stands is said in the log too.
const SAID_AGAIN: Duration = Duration::hours(1);

/// Why a run ends early.
enum Stop {
    /// Another run went on from the same record: it finishes what there is.
    Overtaken,
    Alarm(String),
    Failed(StoreError),
}

impl From<StoreError> for Stop {
    fn from(error: StoreError) -> Self {
        Self::Failed(error)
    }
}

/// Publishes what has its place, up to the head as it is now. `None` when there is nothing yet.
pub async fn publish<P: Place>(store: &Store<'_, P>) -> Result<Option<Checkpoint>, PublishError> {
    let Some((head, published)) = begin(store).await? else { return Ok(None) };
    let before = (published.value.tree.size(), published.value.tree.root());
    if before.0 == 0 {
        log_key::make_first(store.app()).await?;
    }
    let mut run = Run { store, held: published, full: Vec::new() };
    let outcome = match run.extend(head.next).await {
        Ok(()) => match run.move_checkpoint(before).await {
            Ok(checkpoint) => run.all_is_right().await.map(|()| checkpoint),
            Err(stop) => Err(stop),
        },
        Err(stop) => Err(stop),
    };
    match outcome {
        Ok(checkpoint) => {
            tiles::drop_partials(store.app(), store.owner(), &run.full).await;
            Ok(Some(checkpoint))
        }
        Err(Stop::Overtaken) => Ok(None),
        Err(Stop::Alarm(what)) => Err(run.raise(what).await?),
        Err(Stop::Failed(error)) => Err(error.into()),
    }
}

/// The head and how far the log is published, once all items of the publisher's own have their places.
async fn begin<P: Place>(store: &Store<'_, P>) -> Result<Option<(Head, Held<Published>)>, StoreError> {
    for _ in 0..TRIES {
        let wanted = vec![Wanted::one::<Head>(HEAD_KEY), Wanted::one::<Published>(HEAD_KEY)];
        let found = store.gather(P::audit(AuditPart::Head), wanted).await?;
        let Some(head) = found.one::<Head>(HEAD_KEY).await? else { return Ok(None) };
        match found.one::<Published>(HEAD_KEY).await? {
            Some(published) if !published.value.item_waits => return Ok(Some((head.value, published))),
            Some(mut published) => {
                if !place_own(store).await {
                    return Ok(Some((head.value, published)));
                }
                published.value.item_waits = false;
                let mut batch = store.batch(P::audit(AuditPart::Head));
                batch.replace(&published);
                batch.commit_unless_overtaken().await?;
            }
            None => first(store, &head.value).await?,
        }
    }
    // Others are at it all the time: they publish.
    Ok(None)
}

/// The record of a log that was never published. One of an earlier release, which had the hash chain alone, says in the
/// log itself what it was until now.
async fn first<P: Place>(store: &Store<'_, P>, head: &Head) -> Result<(), StoreError> {
    let from_before = !head.publishes && head.next > 0;
    let published = Published {
        tree: Tree::default(),
        chain: chain::start(&store.owner().to_string()),
        at: store.app().now(),
        item_waits: from_before,
        alarm: None,
    };
    let mut batch = store.batch(P::audit(AuditPart::Head));
    batch.create(&published);
    if from_before {
        record(&mut batch, Event::new("log.migrated", "log", json!({ "entries": head.next, "head": head.hash })));
    }
    batch.commit_unless_overtaken().await.map(drop)
}

/// Gives the publisher's own items their places; a log that is in such a state that it cannot be is for the alarm to tell.
async fn place_own<P: Place>(store: &Store<'_, P>) -> bool {
    match sequence(store, [P::audit(AuditPart::Head)]).await {
        Ok(sequenced) => sequenced.complete,
        Err(error) => {
            tracing::warn!(error = %error, "an item of the publisher waits for its place");
            false
        }
    }
}

struct Run<'s, 'a, P> {
    store: &'s Store<'a, P>,
    held: Held<Published>,
    /// Tiles and bundles that this run filled.
    full: Vec<Tile>,
}

impl<P: Place> Run<'_, '_, P> {
    /// Up to `target` entries. After an alarm it looks again at what it would have written.
    async fn extend(&mut self, mut target: u64) -> Result<(), Stop> {
        let published = self.held.value.tree.size();
        if target < published {
            // Both came from one look, but another run may have moved them while it was answered.
            let head = self.store.read::<Head>(P::audit(AuditPart::Head), HEAD_KEY).await?;
            target = head.map_or(0, |head| head.value.next);
        }
        if target < published {
            return Err(Stop::Alarm(format!("the store knows {target} entries, and {published} are published: an older one was put back")));
        }
        let mut again = self.held.value.alarm.is_some();
        while self.held.value.tree.size() < target || again {
            again = false;
            let size = self.held.value.tree.size();
            let end = target.min((size / WIDTH as u64 + BUNDLES_OF_A_STEP) * WIDTH as u64);
            self.step(end, end >= target).await?;
        }
        Ok(())
    }

    /// Up to `end`; with the partial tiles when a checkpoint will stand there.
    async fn step(&mut self, end: u64, last: bool) -> Result<(), Stop> {
        let (store, app) = (self.store, self.store.app());
        let Published { mut tree, mut chain, .. } = self.held.value.clone();
        let first = tree.size() / WIDTH as u64 * WIDTH as u64;
        let known = tree.last_leaves().to_vec();
        let entries = entry::range(store, first, end).await?;
        let (mut bundle, mut in_bundle, mut writes) = (Vec::new(), 0u16, Vec::new());
        for (seq, entry) in (first..end).zip(entries.iter().map(Some).chain(std::iter::repeat(None))) {
            let entry =
                entry.filter(|entry| entry.seq == seq).ok_or_else(|| Stop::Alarm(format!("entry {seq} is not in the store any more")))?;
            let leaf = merkle::leaf(entry.leaf.as_bytes());
            bundle::push(&mut bundle, entry.leaf.as_bytes()).map_err(|error| Stop::Alarm(format!("entry {seq} is {error}")))?;
            in_bundle += 1;
            if seq < tree.size() {
                let place = usize::try_from(seq - first).unwrap_or(usize::MAX);
                if known.get(place) != Some(&leaf) {
                    return Err(Stop::Alarm(format!("entry {seq} in the store is not the one that was published")));
                }
                continue;
            }
            chain = linked(entry, &chain)?;
            let mut filled = Vec::new();
            tree.append(leaf, &mut |tile, hashes| filled.push((tile, bytes_of(hashes))));
            if usize::from(in_bundle) == WIDTH {
                writes.push((Tile::bundle(seq / WIDTH as u64, in_bundle), std::mem::take(&mut bundle)));
                in_bundle = 0;
            }
            writes.append(&mut filled);
        }
        if last {
            if in_bundle > 0 {
                writes.push((Tile::bundle(end / WIDTH as u64, in_bundle), bundle));
            }
            writes.extend(tree.partial().map(|(tile, hashes)| (tile, bytes_of(hashes))));
        }
        let filled: Vec<Tile> = writes.iter().map(|(tile, _)| *tile).filter(Tile::is_full).collect();
        for (tile, bytes) in writes {
            if !tiles::write_once(app, store.owner(), tile, bytes).await? {
                return Err(Stop::Alarm(format!("{tile} lies there with other bytes than the log's entries make")));
            }
        }
        // An alarm stands until the checkpoint has moved too.
        let Published { alarm, item_waits, .. } = self.held.value.clone();
        self.commit(Published { tree, chain, at: app.now(), alarm, item_waits }).await?;
        self.full.extend(filled);
        Ok(())
    }

    /// What an alarm was about is put right.
    async fn all_is_right(&mut self) -> Result<(), Stop> {
        if self.held.value.alarm.is_none() {
            return Ok(());
        }
        self.commit(Published { alarm: None, ..self.held.value.clone() }).await
    }

    async fn commit(&mut self, published: Published) -> Result<(), Stop> {
        let mut batch = self.store.batch(P::audit(AuditPart::Head));
        batch.replace(&Held { value: published.clone(), etag: self.held.etag.clone() });
        match batch.commit_with_etags().await {
            Ok(etags) => {
                let etag = etags.into_iter().flatten().next().ok_or(Stop::Overtaken)?;
                self.held = Held { value: published, etag };
                Ok(())
            }
            Err(error) if error.is_conflict() => Err(Stop::Overtaken),
            Err(error) => Err(error.into()),
        }
    }

    /// Moves the checkpoint to what is published now. `before`: size and root when this run began, which need no look.
    async fn move_checkpoint(&self, before: (u64, Hash)) -> Result<Checkpoint, Stop> {
        let (app, owner) = (self.store.app(), self.store.owner());
        let Some(signer) = Signer::find(app, owner).await? else {
            return Err(Stop::Alarm(log_key::GONE.into()));
        };
        let tree = &self.held.value.tree;
        let ours = Checkpoint { origin: signer.origin().to_owned(), size: tree.size(), root: tree.root() };
        let name = tiles::name(owner, tiles::CHECKPOINT);
        for _ in 0..TRIES {
            let there = app.blobs.read_held(BlobContainer::Log, &name).await.map_err(StoreError::from)?;
            if let Some(held) = &there {
                let old = Checkpoint::open(&held.bytes, &[signer.ed25519()])
                    .map_err(|error| Stop::Alarm(format!("the checkpoint that lies there is not ours: {error}")))?;
                if old.size > ours.size {
                    // Whoever is ahead has written the record first, and checked this against it.
                    let now = self.store.read::<Published>(P::audit(AuditPart::Head), HEAD_KEY).await?;
                    if now.is_some_and(|now| now.value.tree.size() >= old.size) {
                        return Ok(old);
                    }
                    return Err(Stop::Alarm(format!(
                        "a checkpoint of {} entries is published, and the store knows {}: an earlier state of it was put back",
                        old.size, ours.size
                    )));
                }
                if old == ours {
                    return Ok(ours);
                }
                let root_then = if (old.size, old.root) == before { Some(old.root) } else { self.root_of(old.size, ours.size).await? };
                if root_then != Some(old.root) {
                    return Err(Stop::Alarm(format!(
                        "the checkpoint that lies there, of {} entries with root {}, is of another history than the entries",
                        old.size, old.root
                    )));
                }
            }
            let note = signer.sign(app, &ours.text()).await?;
            let etag = there.map(|held| held.etag);
            match app.blobs.replace(BlobContainer::Log, &name, note.into(), etag).await.map_err(StoreError::from)? {
                Replacing::Replaced => return Ok(ours),
                Replacing::Moved => {}
            }
        }
        Err(Stop::Overtaken)
    }

    /// The root of the log's first `part` entries by its tiles.
    async fn root_of(&self, part: u64, size: u64) -> Result<Option<Hash>, StoreError> {
        if part == 0 {
            return Ok(Some(merkle::empty()));
        }
        let Some(plan) = Plan::root(part, size) else { return Ok(None) };
        Ok(tiles::carry_out(self.store.app(), self.store.owner(), &plan).await?.and_then(|hashes| hashes.first().copied()))
    }

    /// Says so where people look: in the record, in the log itself, and in the program's log.
    async fn raise(&mut self, what: String) -> Result<PublishError, StoreError> {
        let (store, owner) = (self.store, self.store.owner().to_string());
        tracing::error!(owner, what, "ALARM: the audit log is not published any further");
        // Its own entry makes the log longer, and the words of the next look others: once an hour is enough.
        let now = store.app().now();
        if self.held.value.alarm.as_ref().is_none_or(|alarm| alarm.what != what && alarm.since + SAID_AGAIN <= now) {
            let mut batch = store.batch(P::audit(AuditPart::Head));
            let alarm = Some(Alarm::new(what.clone(), now));
            let value = Published { alarm, item_waits: true, ..self.held.value.clone() };
            batch.replace(&Held { value, etag: self.held.etag.clone() });
            record(&mut batch, Event::new("log.alarm", "log", json!({ "why": what })));
            // In a conflict another run goes on, and finds the same.
            batch.commit_unless_overtaken().await?;
            place_own(store).await;
        }
        Ok(PublishError::Alarm { owner, what })
    }
}

fn linked(entry: &Entry, chain: &Hash) -> Result<Hash, Stop> {
    if entry.previous == *chain && entry.hash == chain::link(chain, &entry.leaf) {
        Ok(entry.hash)
    } else {
        Err(Stop::Alarm(format!("entry {} in the store was changed, or one before it", entry.seq)))
    }
}

fn bytes_of(hashes: &[Hash]) -> Vec<u8> {
    hashes.iter().flat_map(|hash| *hash.bytes()).collect()
}
