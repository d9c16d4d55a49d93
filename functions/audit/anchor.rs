//! Anchors: copies of checkpoints where nobody can take them back, one every quarter of an hour in which the log grew.
//!
//! Whoever holds the store and the keys can write another history, but not one that agrees with an anchor they cannot
//! change. That is the business of the container (a policy against changes on Azure, a copy elsewhere on a folder); here
//! each copy is written once, under the number of its entries, and once more under a name by which the newest is listed
//! first. The newest is read back and compared: a log that is shorter than its anchor, or does not extend it, is an alarm, and
//! so is an anchor that was there and is gone. An alarm ends when the log agrees again with an anchor that is not smaller.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::json;
use time::{Duration, OffsetDateTime};

use super::{
    Event,
    entry::{Alarm, HEAD_KEY},
    log_key::{self, Signer},
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
    /// Of the largest that was ever seen: it never becomes smaller.
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
    copy(store, EVERY - Duration::minutes(1)).await.map(drop)
}

/// Copies it now and compares, however lately that was done: for a log that will have no later one. Entries of the newest
/// copy; `None`: there is no checkpoint, so nothing was looked at.
pub async fn anchor_last<P: Place>(store: &Store<'_, P>) -> Result<Option<u64>, StoreError> {
    copy(store, Duration::ZERO).await
}

/// Entries of the newest copy, where it was looked at.
async fn copy<P: Place>(store: &Store<'_, P>, wait: Duration) -> Result<Option<u64>, StoreError> {
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
        return Ok(None);
    }
    let Some(note) = app.blobs.read(BlobContainer::Log, &tiles::name(owner, tiles::CHECKPOINT)).await? else { return Ok(None) };
    let signer = Signer::find(app, owner).await?.ok_or_else(log_key::gone)?;
    let unreadable = || PortError::new("the log's checkpoint", PortErrorKind::Unreadable);
    let size = Checkpoint::open(&note, &[signer.ed25519()]).map_err(|_| unreadable())?.size;
    let published = published.map_or(0, |published| published.value.tree.size());
    let is_quiet = last.as_ref().is_some_and(|last| last.value.size >= size && last.value.alarm.is_none());
    // A log at rest is looked at too, but not each time, unless it is the last.
    if is_quiet && wait > Duration::ZERO && !app.cache.allow(&format!("anchors/{owner}"), 1, app.now(), REST) {
        return Ok(None);
    }
    let before = last.as_ref().map(|last| &last.value);
    let seen = before.map_or(0, |before| before.size);
    let (seen, wrong) = match compared(app, owner, &signer, published.max(size), seen).await? {
        (seen, None) if is_quiet => {
            if let Some(last) = &last {
                keep_retention(store, last).await?;
            }
            return Ok(Some(seen));
        }
        (seen, None) => (seen, write(store, size, note).await?),
        wrong => wrong,
    };
    let retention = app.blobs.retention(BlobContainer::Anchors, &of_size(owner, size)).await?;
    let size = if wrong.is_some() { seen } else { seen.max(size) };
    let known = before.and_then(|before| before.alarm.as_ref());
    // Saying it makes the log longer, and the numbers of the next look with it. Another trouble is another alarm.
    let same = known.filter(|known| wrong.as_ref().is_some_and(|what| known.is(what)));
    let alarm = wrong.as_ref().map(|what| same.map_or_else(|| Alarm::new(what, app.now()), |same| same.again(what, app.now())));
    let is_news = same.is_none();
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
        None => Ok(Some(size)),
        Some(what) => Err(PortError::new(what, PortErrorKind::Unreadable).into()),
    }
}

/// A policy is locked or taken away whether the log grows or not.
async fn keep_retention<P: Place>(store: &Store<'_, P>, last: &Held<Anchored>) -> Result<(), StoreError> {
    let name = of_size(store.owner(), last.value.size);
    let retention = Some(store.app().blobs.retention(BlobContainer::Anchors, &name).await?);
    if last.value.retention == retention {
        return Ok(());
    }
    let mut batch = store.batch(P::audit(AuditPart::Head));
    batch.replace(&Held { value: Anchored { retention, ..last.value.clone() }, etag: last.etag.clone() });
    batch.commit_unless_overtaken().await.map(drop)
}

/// Between two looks at the anchors of a log that does not grow.
const REST: std::time::Duration = std::time::Duration::from_hours(1);

/// The size of the largest anchor that was ever seen, and why the log of `length` entries does not agree with the newest.
async fn compared(app: &App, owner: Owner, signer: &Signer, length: u64, seen: u64) -> Result<(u64, Option<String>), StoreError> {
    let anchor = match newest(app, owner, seen).await? {
        Newest::None => return Ok((seen, None)),
        Newest::Gone(what) => return Ok((seen, Some(what))),
        Newest::Is(note) => match Checkpoint::open(&note, &[signer.ed25519()]) {
            Ok(anchor) => anchor,
            Err(_) => return Ok((seen, Some(NOT_OURS.into()))),
        },
    };
    // What its name says counts for nothing.
    if anchor.size < seen {
        return Ok((seen, Some(gone(seen, Some(anchor.size)))));
    }
    let seen = anchor.size;
    if anchor.size > length {
        return Ok((
            seen,
            Some(format!(
                "a checkpoint of {} entries was copied away, and the log has {length}: an earlier state of it was put back",
                anchor.size
            )),
        ));
    }
    let root = match anchor.size {
        0 => Some(merkle::empty()),
        size => match Plan::root(size, length) {
            Some(plan) => tiles::carry_out(app, owner, &plan).await?.and_then(|hashes| hashes.first().copied()),
            None => None,
        },
    };
    let wrong = (root != Some(anchor.root)).then(|| {
        format!(
            "the log's first {} entries are not those of the checkpoint that was copied away: the history was written anew",
            anchor.size
        )
    });
    Ok((seen, wrong))
}

/// The same for a log of whose records nothing can be read any more: entries of the newest copy, 0 where there is none, and
/// why the published log of `length` entries does not agree with it.
pub async fn against(app: &App, owner: Owner, signer: &Signer, length: u64) -> Result<(u64, Option<String>), StoreError> {
    compared(app, owner, signer, length, 0).await
}

/// Of a copy that no key of the log signed.
pub const NOT_OURS: &str = "the newest copy in the container of the anchors is not a checkpoint of this log";

/// In words, that the anchor of `seen` entries is not there any more; `left`: the newest that is.
pub fn gone(seen: u64, left: Option<u64>) -> String {
    let left = match left {
        Some(left) if left < seen => format!("the newest copy that is left has {left}"),
        Some(_) => "only its name is listed".into(),
        None => "no copy is left".into(),
    };
    format!(
        "the copy of the checkpoint of {seen} entries is gone from the container of the anchors, and {left}: put it back from elsewhere"
    )
}

/// Where the copy of that many entries lies.
fn of_size(owner: Owner, size: u64) -> String {
    tiles::name(owner, format!("{size:020}"))
}

/// Copies by size, the largest first.
const NEWEST: &str = "newest/";

pub enum Newest {
    /// Nothing was ever copied.
    None,
    Is(Bytes),
    /// One that has to be there is not, in words.
    Gone(String),
}

/// The note of the largest anchor, where one of `seen` entries was seen before. One of an earlier release has no second name.
pub async fn newest(app: &App, owner: Owner, seen: u64) -> Result<Newest, StoreError> {
    let prefix = tiles::name(owner, NEWEST);
    let listed = app.blobs.list(BlobContainer::Anchors, &prefix, None).await?.names.into_iter().next();
    let size_of = |name: &String| name.strip_prefix(&prefix)?.parse::<u64>().ok().map(|number| u64::MAX - number);
    let size = listed.as_ref().and_then(size_of);
    let name = match listed {
        // A name that says no size is looked into.
        Some(name) if size.is_none_or(|size| size >= seen) => name,
        None if seen == 0 => return Ok(Newest::None),
        _ => of_size(owner, seen),
    };
    let note = app.blobs.read(BlobContainer::Anchors, &name).await?;
    Ok(note.map_or_else(|| Newest::Gone(gone(size.unwrap_or(seen).max(seen), size)), Newest::Is))
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
