//! Replay: reads a whole log in the store where it grows, checks it against what is published, and tells each event in order.
//!
//! For who compares the records that people see with what the log says (invariant G6), and for completeness: every item
//! that was written beside what it records stands in the log, or still waits and could not have had its place yet. Reads
//! only. What an offline copy shows is `verify_log`'s business; this has the content, and the outbox beside it.

use std::collections::HashSet;

use time::{Duration, OffsetDateTime};
use uuid::Uuid;

use super::{
    Item,
    anchor::{self, Anchored, Newest},
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
    app::App,
    platform::ports::BlobContainer,
    tenancy::{
        Place, Store, StoreError,
        keys::Owner,
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

/// Something that is wrong. The words carry numbers, which move while the store is in use; the key says of what kind it is
/// and where, and is the same at the next look.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wrong {
    pub key: String,
    pub words: String,
}

impl Wrong {
    pub fn new(key: impl Into<String>, words: impl Into<String>) -> Self {
        Self { key: key.into(), words: words.into() }
    }
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
    pub faults: Vec<Wrong>,
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
    // What is behind is read before what it is behind, because all of it may grow meanwhile: copies, then what is published,
    // then items, then entries. An item that gets its place meanwhile is met twice, never not at all.
    let recorded = recorded(store).await?;
    let marks = marks(store.app(), store.owner(), recorded, &mut found, outside).await?;
    let published = store.read::<Published>(own, HEAD_KEY).await?.map(|held| held.value);
    let head = store.read::<Head>(own, HEAD_KEY).await?.map(|held| held.value);
    if head.is_none() && entry::has_entries(store).await? {
        found.faults.push(Wrong::new("no head", follow::HEAD_GONE));
    }
    let mut places: Vec<P> = places.into_iter().filter(|place| place.key() != own.key()).collect();
    places.push(own);
    let mut waiting = Vec::new();
    for place in &places {
        found.faults.extend(follows(store, *place, head.as_ref()).await?);
        waiting.extend(store.all::<Item>(*place, "").await?.into_iter().map(|held| held.value));
    }
    waiting.sort_by_key(|item| (item.at, item.id));
    let mut log = Log { tree: Tree::default(), chain: chain::start(&store.owner().to_string()), ids: HashSet::new() };
    let length = length(store).await?;
    for mark in &marks {
        found.faults.extend(mark.is_longer(length));
    }
    'log: for from in (0..length).step_by(usize::try_from(STEP).unwrap_or(1)) {
        let to = length.min(from + STEP);
        let entries = entry::range(store, from, to).await?;
        for (seq, entry) in (from..to).zip(entries.into_iter().map(Some).chain(std::iter::repeat_with(|| None))) {
            match log.take(seq, entry) {
                Ok(shown) => tell(&shown),
                Err(fault) => {
                    found.faults.push(Wrong::new(format!("entry {seq}"), fault));
                    break 'log;
                }
            }
            for mark in &marks {
                found.faults.extend(mark.is_of_another(&log.tree));
            }
        }
    }
    found.entries = log.tree.size();
    found.published = published.as_ref().map_or(0, |published| published.tree.size());
    if let Some(alarm) = published.as_ref().and_then(|published| published.alarm.as_ref()) {
        found.faults.push(Wrong::new("not published", format!("the log is not published any further: {}", alarm.what)));
    }
    waiting.retain(|item| !log.ids.contains(&item.id.as_u128()));
    // While nothing ran nothing could get its place: what was passed over is older than what was published since.
    let passed = |item: &&Item| published.as_ref().is_some_and(|published| item.at + INTERVAL < published.at);
    for item in waiting.iter().filter(passed) {
        found.faults.push(Wrong::new(
            format!("passed over {}", item.id),
            format!(
                "the item {} ({}, of {}) waits since {} although the log was published since",
                item.id, item.kind, item.object, item.at
            ),
        ));
    }
    found.waiting = waiting.len();
    found.oldest = waiting.first().map(|item| item.at);
    for item in waiting {
        tell(&Shown::of_item(item));
    }
    Ok(found)
}

/// As the head says; without one, as many as follow each other.
async fn length<P: Place>(store: &Store<'_, P>) -> Result<u64, StoreError> {
    if let Some(head) = store.read::<Head>(P::audit(AuditPart::Head), HEAD_KEY).await? {
        return Ok(head.value.next);
    }
    let mut length = 0;
    loop {
        let entries = entry::range(store, length, length + STEP).await?;
        let more = entries.iter().zip(length..).take_while(|(entry, seq)| entry.seq == *seq).count() as u64;
        length += more;
        if more < STEP {
            return Ok(length);
        }
    }
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
async fn follows<P: Place>(store: &Store<'_, P>, place: P, head: Option<&Head>) -> Result<Vec<Wrong>, StoreError> {
    /// Looks at a place from which items are just being taken.
    const TRIES: usize = 5;
    let follows = match head {
        Some(head) => head.follows,
        None => Head::new(store.owner(), Uuid::nil(), store.app().now()).follows,
    };
    let Some(follows) = follows else { return Ok(Vec::new()) };
    let (own, key) = (P::audit(AuditPart::Head), place.key());
    let read = async || Ok::<_, StoreError>(store.read::<Followed>(own, &follow::key_of(&key)).await?.map(|held| held.value));
    let start = Tail::start(store.owner(), &place);
    let mut record = read().await?;
    let mut faults = Vec::new();
    for _ in 0..TRIES {
        let first = store.page::<Item>(place, "n", false, 1, None).await?.0;
        let first = first.first().and_then(|held| follow::Numbered::of(&held.value).filter(|_| held.value.link().is_some()));
        let tail = store.read::<Tail>(place, TAIL).await?.map(|held| held.value);
        let known = follow::begin(record.as_ref(), follows, start.clone(), first.as_ref(), tail.as_ref(), store.app().now());
        faults = follow::look_again(store, place, &known).await?.faults;
        if faults.is_empty() {
            break;
        }
        // Items go only after this moved.
        let now = read().await?;
        if now == record {
            break;
        }
        record = now;
    }
    Ok(faults.iter().map(|fault| Wrong::new(format!("{} in {key}", fault.kind()), fault.words(&key))).collect())
}

/// With what the replayed log must agree: a state of it that was said or kept somewhere.
pub(super) struct Mark {
    pub(super) what: &'static str,
    pub(super) size: u64,
    pub(super) root: Hash,
}

impl Mark {
    pub(super) const PUBLISHED: &'static str = "the published checkpoint";

    /// Whether it is of a longer log than this.
    pub(super) fn is_longer(&self, length: u64) -> Option<Wrong> {
        let Self { what, size, .. } = self;
        (*size > length).then(|| {
            let why = "entries were taken off, or an earlier state was put back";
            Wrong::new(format!("shorter than {what}"), format!("{what} has {size} entries and the store knows {length}: {why}"))
        })
    }

    /// Whether it is of as many entries as this, and of others.
    pub(super) fn is_of_another(&self, tree: &Tree) -> Option<Wrong> {
        let Self { what, size, root } = self;
        (*size == tree.size() && *root != tree.root()).then(|| {
            let words = format!("the first {size} entries do not lead to the root of {what}: the history was written anew");
            Wrong::new(format!("root of {what}"), words)
        })
    }
}

/// How far the log came, as the store's own records say.
#[derive(Default)]
pub(super) struct Recorded {
    pub(super) mark: Option<Mark>,
    /// Entries of the largest copy of a checkpoint that was ever seen.
    pub(super) copied: u64,
    pub(super) entries: u64,
}

async fn recorded<P: Place>(store: &Store<'_, P>) -> Result<Recorded, StoreError> {
    let own = P::audit(AuditPart::Head);
    let copied = store.read::<Anchored>(own, anchor::KEY).await?.map_or(0, |held| held.value.size);
    let published = store.read::<Published>(own, HEAD_KEY).await?.map(|held| held.value.tree);
    let mark = published.map(|tree| Mark { what: "the record of what is published", size: tree.size(), root: tree.root() });
    let entries = store.read::<Head>(own, HEAD_KEY).await?.map_or(0, |held| held.value.next);
    Ok(Recorded { mark, copied, entries })
}

/// The marks that count, and what is wrong with those that do not.
pub(super) async fn marks(
    app: &App,
    owner: Owner,
    recorded: Recorded,
    found: &mut Replayed,
    outside: Outside<'_>,
) -> Result<Vec<Mark>, StoreError> {
    let Recorded { mark, copied: seen, entries: length } = recorded;
    let newest = anchor::newest(app, owner, seen).await?;
    let note = app.blobs.read(BlobContainer::Log, &tiles::name(owner, tiles::CHECKPOINT)).await?;
    let (ours, name) = match Signer::find(app, owner).await? {
        Some(signer) => {
            let keys = signer.keys(app).await?;
            ([keys.ed25519].into_iter().chain(keys.p256).collect(), Some(signer.origin().to_owned()))
        }
        None => (Vec::new(), None),
    };
    let origin = if let Some(note) = &note {
        Checkpoint::parse_note(note).map(|checkpoint| checkpoint.origin)
    } else {
        let theirs = outside.keys.iter().map(VerifierKey::name).find(|name| name.ends_with(&format!("/{owner}")));
        name.or_else(|| theirs.map(str::to_owned))
    }
    .unwrap_or_default();
    let given: Vec<VerifierKey> = outside.keys.iter().filter(|key| key.name() == origin).cloned().collect();
    let kept = outside.seen.filter(|kept| Checkpoint::parse_note(kept).is_some_and(|kept| kept.origin == origin));
    let size = mark.as_ref().map_or(0, |mark| mark.size);
    if note.is_none() {
        if size > 0 {
            let words = format!("the checkpoint is gone, and {size} entries were published");
            found.faults.push(Wrong::new("no checkpoint", words));
        } else if length > 0 && !outside.keys.is_empty() {
            found.faults.push(Wrong::new("no checkpoint", "no checkpoint is there to which the keys that were given could be held"));
        } else if !matches!(newest, Newest::None) {
            found.faults.push(Wrong::new("no checkpoint", "the checkpoint is gone, and one was copied to the anchors"));
        } else if kept.is_none() {
            // A client that was just added has a key and no entry yet.
            return Ok(Vec::new());
        }
    }
    found.judged = !given.is_empty();
    found.origin.clone_from(&origin);
    if note.is_some() && !outside.keys.is_empty() && given.is_empty() {
        found.faults.push(Wrong::new("no key", format!("none of the keys that were given is of the log {origin}")));
    }
    let keys = if found.judged { &given } else { &ours };
    let mut marks = Vec::new();
    let mut open = |note: &[u8], what: &'static str, seen: u64| match verify_log::open(note, keys) {
        Ok(checkpoint) if checkpoint.size < seen => {
            found.faults.push(Wrong::new("anchor", anchor::gone(seen, Some(checkpoint.size))));
        }
        Ok(checkpoint) => marks.push(Mark { what, size: checkpoint.size, root: checkpoint.root }),
        Err(fault) => {
            let why = if let LogFault::Checkpoint(error) = fault { error.to_string() } else { fault.to_string() };
            found.faults.push(Wrong::new(what, format!("{what} does not count: {why}")));
        }
    };
    if let Some(note) = &note {
        open(note, Mark::PUBLISHED, 0);
    }
    if let Some(kept) = kept {
        open(kept, "the checkpoint that was kept", 0);
    }
    match newest {
        Newest::None => {}
        Newest::Is(note) => open(&note, "the newest anchor", seen),
        Newest::Gone(words) => found.faults.push(Wrong::new("anchor", words)),
    }
    marks.extend(mark);
    Ok(marks)
}
