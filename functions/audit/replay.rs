//! Replay: reads a whole log in the store where it grows, checks it against what is published, and tells each event in order.
//!
//! For who compares the records that people see with what the log says (invariant G6), and for completeness: every item
//! that was written beside what it records stands in the log, or still waits and could not have had its place yet. Reads
//! only. What an offline copy shows is `verify_log`'s business; this has the content, and the outbox beside it.

use std::collections::HashSet;

use time::{Duration, OffsetDateTime};

use super::{
    Item,
    chain::{self, Hash},
    entry::{self, Entry, HEAD_KEY, Head},
    follow::{self, Followed},
    leaf,
    log_key::Signer,
    publisher::Published,
    tiles,
    tlog::{Checkpoint, Tree, VerifierKey, merkle},
    trail::Shown,
    verify_log::{self, LogFault},
};
use crate::{
    platform::ports::BlobContainer,
    tenancy::{
        Place, Store, StoreError,
        place::AuditPart,
        tail::{Appended as _, TAIL, Tail},
    },
};

/// Twice the sweep's, which places what a lost message left.
pub const INTERVAL: Duration = Duration::minutes(10);

/// Entries read at once.
const STEP: u64 = 1000;

/// With what the checkpoint is verified, and one that was kept.
#[derive(Clone, Copy, Debug, Default)]
pub struct Outside<'k> {
    /// Of any logs; those of this one are taken. Empty: what the store itself names.
    pub keys: &'k [VerifierKey],
    pub seen: Option<&'k [u8]>,
}

/// What was found. Without faults the log is whole.
#[derive(Clone, Debug, Default)]
pub struct Replayed {
    /// The log's name; empty while nothing is published.
    pub origin: String,
    pub entries: u64,
    pub published: u64,
    /// Items that still wait, and since when the oldest does.
    pub waiting: usize,
    pub oldest: Option<OffsetDateTime>,
    /// The keys came from outside.
    pub judged: bool,
    /// In words, each with where it is.
    pub faults: Vec<String>,
}

/// Tells every event of the log and of what waits behind it. `places`: all in which this owner's items can lie.
pub async fn replay<P: Place>(
    store: &Store<'_, P>,
    places: impl IntoIterator<Item = P>,
    outside: Outside<'_>,
    tell: &mut (dyn FnMut(&Shown) + Send),
) -> Result<Replayed, StoreError> {
    let own = P::audit(AuditPart::Head);
    let mut found = Replayed::default();
    let head = store.read::<Head>(own, HEAD_KEY).await?.map(|held| held.value);
    let published = store.read::<Published>(own, HEAD_KEY).await?.map(|held| held.value);
    let mut places: Vec<P> = places.into_iter().filter(|place| place.key() != own.key()).collect();
    places.push(own);
    // Items before entries: one that gets its place meanwhile is met twice, never not at all.
    let mut waiting = Vec::new();
    for place in &places {
        found.faults.extend(follows(store, *place, head.as_ref()).await?);
        waiting.extend(store.all::<Item>(*place, "").await?.into_iter().map(|held| held.value));
    }
    waiting.sort_by_key(|item| (item.at, item.id));
    let checkpoint = checkpoint(store, &mut found, outside).await?;
    let seen = outside.seen.and_then(Checkpoint::parse_note).filter(|seen| seen.origin == found.origin);
    let mut log = Log { tree: Tree::default(), chain: chain::start(&store.owner().to_string()), ids: HashSet::new() };
    let length = head.as_ref().map_or(0, |head| head.next);
    let marks =
        [checkpoint.map(|checkpoint| ("the published checkpoint", checkpoint)), seen.map(|seen| ("the checkpoint that was kept", seen))];
    for (what, mark) in marks.iter().flatten().filter(|(_, mark)| mark.size > length) {
        found.faults.push(format!(
            "{what} has {} entries and the store knows {length}: entries were taken off, or an earlier state was put back",
            mark.size
        ));
    }
    'log: for from in (0..length).step_by(usize::try_from(STEP).unwrap_or(1)) {
        let to = length.min(from + STEP);
        let entries = entry::range(store, from, to).await?;
        for (seq, entry) in (from..to).zip(entries.into_iter().map(Some).chain(std::iter::repeat_with(|| None))) {
            match log.take(seq, entry) {
                Ok(shown) => tell(&shown),
                Err(fault) => {
                    found.faults.push(fault);
                    break 'log;
                }
            }
            for (what, mark) in marks.iter().flatten().filter(|(_, mark)| mark.size == log.tree.size()) {
                if mark.root != log.tree.root() {
                    found
                        .faults
                        .push(format!("the first {} entries do not lead to the root of {what}: the history was written anew", mark.size));
                }
            }
        }
    }
    found.entries = log.tree.size();
    found.published = published.as_ref().map_or(0, |published| published.tree.size());
    if let Some(alarm) = published.as_ref().and_then(|published| published.alarm.as_ref()) {
        found.faults.push(format!("the log is not published any further: {}", alarm.what));
    }
    waiting.retain(|item| !log.ids.contains(&item.id.as_u128()));
    // While nothing ran nothing could get its place: what was passed over is older than what was published since.
    let passed = |item: &&Item| published.as_ref().is_some_and(|published| item.at + INTERVAL < published.at);
    for item in waiting.iter().filter(passed) {
        found.faults.push(format!(
            "the item {} ({}, of {}) waits since {} although the log was published since",
            item.id, item.kind, item.object, item.at
        ));
    }
    found.waiting = waiting.len();
    found.oldest = waiting.first().map(|item| item.at);
    for item in waiting {
        tell(&Shown::of_item(item));
    }
    Ok(found)
}

struct Log {
    tree: Tree,
    chain: Hash,
    ids: HashSet<u128>,
}

impl Log {
    /// The entry as an event, once it is what it has to be.
    fn take(&mut self, seq: u64, entry: Option<Entry>) -> Result<Shown, String> {
        let entry = entry.filter(|entry| entry.seq == seq).ok_or_else(|| format!("entry {seq} is not in the store any more"))?;
        if entry.previous != self.chain || entry.hash != chain::link(&self.chain, &entry.leaf) {
            return Err(format!("entry {seq} was changed, or one before it: it does not continue the chain"));
        }
        let read = leaf::read(&entry.leaf).map_err(|error| format!("entry {seq}: {error}"))?;
        if leaf::commitment(&entry.salt, &entry.content) != read.commitment {
            return Err(format!("the content of entry {seq} is not what the entry committed to"));
        }
        self.chain = entry.hash;
        self.ids.insert(read.id.as_u128());
        self.tree.append(merkle::leaf(entry.leaf.as_bytes()), &mut |_, _| {});
        Shown::of_entry(entry).map_err(|error| error.to_string())
    }
}

/// What is wrong with the numbers of a place's items, now.
async fn follows<P: Place>(store: &Store<'_, P>, place: P, head: Option<&Head>) -> Result<Vec<String>, StoreError> {
    let Some(follows) = head.and_then(|head| head.follows) else { return Ok(Vec::new()) };
    let key = place.key();
    let record = store.read::<Followed>(P::audit(AuditPart::Head), &follow::key_of(&key)).await?.map(|held| held.value);
    let first = store.page::<Item>(place, "n", false, 1, None).await?.0;
    let first = first.first().and_then(|held| follow::Numbered::of(&held.value).filter(|_| held.value.link().is_some()));
    let tail = store.read::<Tail>(place, TAIL).await?.map(|held| held.value);
    let start = Tail::start(store.owner(), &place);
    let known = follow::begin(record.as_ref(), follows, start, first.as_ref(), tail.as_ref(), store.app().now());
    let compared = follow::look_again(store, place, &known).await?;
    Ok(compared.faults.iter().map(|fault| fault.words(&key)).collect())
}

/// The published checkpoint, if it counts.
async fn checkpoint<P: Place>(store: &Store<'_, P>, found: &mut Replayed, outside: Outside<'_>) -> Result<Option<Checkpoint>, StoreError> {
    let (app, owner) = (store.app(), store.owner());
    let Some(note) = app.blobs.read(BlobContainer::Log, &tiles::name(owner, tiles::CHECKPOINT)).await? else { return Ok(None) };
    let ours = match Signer::find(app, owner).await? {
        Some(signer) => {
            let keys = signer.keys(app).await?;
            [keys.ed25519].into_iter().chain(keys.p256).collect()
        }
        None => Vec::new(),
    };
    let origin = Checkpoint::parse_note(&note).map(|checkpoint| checkpoint.origin).unwrap_or_default();
    let given: Vec<VerifierKey> = outside.keys.iter().filter(|key| key.name() == origin).cloned().collect();
    found.judged = !given.is_empty();
    found.origin.clone_from(&origin);
    if !outside.keys.is_empty() && given.is_empty() {
        found.faults.push(format!("none of the keys that were given is of the log {origin}"));
    }
    let keys = if found.judged { &given } else { &ours };
    let mut opened = |note: &[u8], what: &str| match verify_log::open(note, keys) {
        Ok(checkpoint) => Some(checkpoint),
        Err(fault) => {
            let why = if let LogFault::Checkpoint(error) = fault { error.to_string() } else { fault.to_string() };
            found.faults.push(format!("{what} does not count: {why}"));
            None
        }
    };
    let published = opened(&note, "the published checkpoint");
    if let Some(seen) = outside.seen.filter(|seen| Checkpoint::parse_note(seen).is_some_and(|seen| seen.origin == origin)) {
        opened(seen, "the checkpoint that was kept");
    }
    Ok(published)
}
