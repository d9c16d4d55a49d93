//! Anchors: copies of checkpoints where nobody can take them back, one every quarter of an hour in which the log grew.
//!
//! Whoever holds the store and the keys can write another history, but not one that agrees with an anchor they cannot
//! change. That is the business of the container (a policy against changes on Azure, a copy elsewhere on a folder); here
//! each copy is written once, under the number of its entries, and once more under a name by which the newest is listed
//! first. The newest is read back and compared: a log that is shorter than its anchor, or does not extend it, is an alarm.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::json;
use time::{Duration, OffsetDateTime};

use super::{
    Event,
    entry::{Alarm, HEAD_KEY},
    log_key::Signer,
    publisher::Published,
    record, tiles,
    tlog::{Checkpoint, merkle, proof::Plan},
};
use crate::{
    app::App,
    platform::ports::{BlobContainer, Creation, PortError, PortErrorKind, Retention},
    tenancy::{Held, Place, Record, Store, StoreError, Wanted, keys::Owner, place::AuditPart},
};

/// At most so long after a checkpoint its copy is made, give or take one sweep.
pub const EVERY: Duration = Duration::minutes(15);

/// The newest anchor of a log.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Anchored {
    pub size: u64,
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
    /// Why the log and its anchors do not agree.
    #[serde(default)]
    pub alarm: Option<Alarm>,
    /// What keeps the copies from being changed, when it was last asked.
    #[serde(default)]
    pub retention: Option<Retention>,
}

impl Record for Anchored {
    const KIND: &'static str = "anchored";
    const SCHEMA: u32 = 1;

    fn key(&self) -> String {
        KEY.into()
    }
}

pub const KEY: &str = "log";

/// Compares the log with its newest anchor and copies the newest checkpoint, if it is time.
pub async fn anchor<P: Place>(store: &Store<'_, P>) -> Result<(), StoreError> {
    copy(store, EVERY - Duration::minutes(1)).await
}

/// Copies it now: for a log that will have no later one.
pub async fn anchor_last<P: Place>(store: &Store<'_, P>) -> Result<(), StoreError> {
    copy(store, Duration::ZERO).await
}

async fn copy<P: Place>(store: &Store<'_, P>, wait: Duration) -> Result<(), StoreError> {
    let (app, owner) = (store.app(), store.owner());
    let place = P::audit(AuditPart::Head);
    let found = store.gather(place, vec![Wanted::one::<Anchored>(KEY), Wanted::one::<Published>(HEAD_KEY)]).await?;
    let (last, published) = (found.one::<Anchored>(KEY).await?, found.one::<Published>(HEAD_KEY).await?);
    // A sweep comes a moment early or late; an anchor must not wait for the next one over that.
    let due = last.as_ref().is_none_or(|last| {
        let at = last.value.at;
        app.now() - at >= wait || at > app.now() || last.value.alarm.is_some()
    });
    if !due {
        return Ok(());
    }
    let Some(note) = app.blobs.read(BlobContainer::Log, &tiles::name(owner, tiles::CHECKPOINT)).await? else { return Ok(()) };
    let signer = Signer::of(app, owner).await?;
    let unreadable = || PortError::new("the log's checkpoint", PortErrorKind::Unreadable);
    let size = Checkpoint::open(&note, &[signer.ed25519()]).map_err(|_| unreadable())?.size;
    let published = published.map_or(0, |published| published.value.tree.size());
    let is_quiet = last.as_ref().is_some_and(|last| last.value.size >= size && last.value.alarm.is_none());
    // A log at rest is looked at too, but not each time.
    if is_quiet && !app.cache.allow(&format!("anchors/{owner}"), 1, app.now(), REST) {
        return Ok(());
    }
    let wrong = match compared(store, &signer, published.max(size)).await? {
        None if is_quiet => return Ok(()),
        None => write(store, size, note).await?,
        wrong => wrong,
    };
    let retention = app.blobs.retention(BlobContainer::Anchors, &of_size(owner, size)).await?;
    let before = last.as_ref().map(|last| &last.value);
    let size = if wrong.is_some() { before.map_or(0, |before| before.size) } else { size };
    let known = before.and_then(|before| before.alarm.as_ref());
    let alarm = wrong.as_ref().map(|what| match known {
        Some(known) if known.what == *what => known.clone(),
        _ => Alarm { what: what.clone(), since: app.now() },
    });
    let is_news = alarm.is_some() && alarm.as_ref() != known;
    let mut batch = store.batch(place);
    batch.put(Anchored { size, at: app.now(), alarm, retention: Some(retention) }, last.map(|Held { etag, .. }| etag));
    if let Some(what) = wrong.as_ref().filter(|_| is_news) {
        tracing::error!(owner = %owner, what, "ALARM: the log and its anchors do not agree");
        record(&mut batch, Event::new("log.alarm", "log", json!({ "why": what })));
    }
    match batch.commit().await {
        Err(error) if !error.is_conflict() => return Err(error),
        _ => {}
    }
    match wrong {
        None => Ok(()),
        Some(what) => Err(PortError::new(what, PortErrorKind::Unreadable).into()),
    }
}

/// Between two looks at the anchors of a log that does not grow.
const REST: std::time::Duration = std::time::Duration::from_hours(1);

/// Why the log of `length` entries does not agree with its newest anchor.
async fn compared<P: Place>(store: &Store<'_, P>, signer: &Signer, length: u64) -> Result<Option<String>, StoreError> {
    let (app, owner) = (store.app(), store.owner());
    let Some(note) = newest(store).await? else { return Ok(None) };
    let Ok(anchor) = Checkpoint::open(&note, &[signer.ed25519()]) else {
        return Ok(Some("the newest copy in the container of the anchors is not a checkpoint of this log".into()));
    };
    if anchor.size > length {
        return Ok(Some(format!(
            "a checkpoint of {} entries was copied away, and the log has {length}: an earlier state of it was put back",
            anchor.size
        )));
    }
    let root = match anchor.size {
        0 => Some(merkle::empty()),
        size => match Plan::root(size, length) {
            Some(plan) => tiles::carry_out(app, owner, &plan).await?.and_then(|hashes| hashes.first().copied()),
            None => None,
        },
    };
    Ok((root != Some(anchor.root)).then(|| {
        format!(
            "the log's first {} entries are not those of the checkpoint that was copied away: the history was written anew",
            anchor.size
        )
    }))
}

/// Where the copy of that many entries lies.
fn of_size(owner: Owner, size: u64) -> String {
    tiles::name(owner, format!("{size:020}"))
}

/// Copies by size, the largest first.
const NEWEST: &str = "newest/";

/// The note of the largest anchor. One of an earlier release is found by the record of it.
async fn newest<P: Place>(store: &Store<'_, P>) -> Result<Option<Bytes>, StoreError> {
    let (app, owner) = (store.app(), store.owner());
    let page = app.blobs.list(BlobContainer::Anchors, &tiles::name(owner, NEWEST), None).await?;
    let name = match page.names.into_iter().next() {
        Some(name) => name,
        None => match store.read::<Anchored>(P::audit(AuditPart::Head), KEY).await? {
            Some(held) => of_size(owner, held.value.size),
            None => return Ok(None),
        },
    };
    Ok(app.blobs.read(BlobContainer::Anchors, &name).await?)
}

/// The notes of the newest anchors, at most `most`, the largest first.
pub async fn latest(app: &App, owner: Owner, most: usize) -> Result<Vec<Bytes>, StoreError> {
    let page = app.blobs.list(BlobContainer::Anchors, &tiles::name(owner, NEWEST), None).await?;
    let mut notes = Vec::new();
    for name in page.names.iter().take(most) {
        notes.extend(app.blobs.read(BlobContainer::Anchors, name).await?);
    }
    Ok(notes)
}

/// What another anchor of this size says, if one is there.
async fn write<P: Place>(store: &Store<'_, P>, size: u64, note: Bytes) -> Result<Option<String>, StoreError> {
    let (app, owner) = (store.app(), store.owner());
    let name = of_size(owner, size);
    if app.blobs.create(BlobContainer::Anchors, &name, note.clone()).await? == Creation::Existed {
        // Signed anew it has other bytes; what counts is the text.
        let text = |bytes: &[u8]| str::from_utf8(bytes).ok().and_then(|note| note.split_once("\n\n").map(|(text, _)| text.to_owned()));
        match app.blobs.read(BlobContainer::Anchors, &name).await? {
            Some(there) if text(&there) == text(&note) => {}
            _ => return Ok(Some(format!("an anchor of {size} entries says something else than the log"))),
        }
    }
    let first = tiles::name(owner, format!("{NEWEST}{:020}", u64::MAX - size));
    let _ = app.blobs.create(BlobContainer::Anchors, &first, note).await?;
    Ok(None)
}
