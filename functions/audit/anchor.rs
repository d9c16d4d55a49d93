//! Anchors: copies of checkpoints where nobody can take them back, one every quarter of an hour in which the log grew.
//!
//! Whoever holds the store and the keys can write another history, but not one that agrees with an anchor they cannot
//! change. That is the business of the container (a policy against changes on Azure, a copy elsewhere on a folder); here
//! each copy is written once, under the number of its entries.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use time::{Duration, OffsetDateTime};

use super::{log_key::Signer, tiles, tlog::Checkpoint};
use crate::{
    platform::ports::{BlobContainer, Creation, PortError, PortErrorKind},
    tenancy::{Held, Place, Record, Store, StoreError, place::AuditPart},
};

/// At most so long after a checkpoint its copy is made, give or take one sweep.
pub const EVERY: Duration = Duration::minutes(15);

/// The newest anchor of a log.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Anchored {
    pub size: u64,
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
}

impl Record for Anchored {
    const KIND: &'static str = "anchored";
    const SCHEMA: u32 = 1;

    fn key(&self) -> String {
        KEY.into()
    }
}

pub const KEY: &str = "log";

/// Copies the newest checkpoint if it is time.
pub async fn anchor<P: Place>(store: &Store<'_, P>) -> Result<(), StoreError> {
    copy(store, EVERY - Duration::minutes(1)).await
}

/// Copies it now: for a log that will have no later one.
pub async fn anchor_last<P: Place>(store: &Store<'_, P>) -> Result<(), StoreError> {
    copy(store, Duration::ZERO).await
}

async fn copy<P: Place>(store: &Store<'_, P>, wait: Duration) -> Result<(), StoreError> {
    let (app, owner) = (store.app(), store.owner());
    let last = store.read::<Anchored>(P::audit(AuditPart::Head), KEY).await?;
    // A sweep comes a moment early or late; an anchor must not wait for the next one over that.
    let due = last.as_ref().is_none_or(|last| app.now() - last.value.at >= wait || last.value.at > app.now());
    if !due {
        return Ok(());
    }
    let Some(note) = app.blobs.read(BlobContainer::Log, &tiles::name(owner, tiles::CHECKPOINT)).await? else { return Ok(()) };
    let signer = Signer::of(app, owner).await?;
    let unreadable = || PortError::new("the log's checkpoint", PortErrorKind::Unreadable);
    let size = Checkpoint::open(&note, &[signer.ed25519()]).map_err(|_| unreadable())?.size;
    if last.as_ref().is_some_and(|last| last.value.size >= size) {
        return Ok(());
    }
    write(store, size, note).await?;
    let mut batch = store.batch(P::audit(AuditPart::Head));
    let anchored = Anchored { size, at: app.now() };
    match last {
        Some(Held { etag, .. }) => batch.replace(&Held { value: anchored, etag }),
        None => batch.create(&anchored),
    };
    match batch.commit().await {
        Err(error) if error.is_conflict() => Ok(()),
        other => other,
    }
}

async fn write<P: Place>(store: &Store<'_, P>, size: u64, note: Bytes) -> Result<(), StoreError> {
    let (app, owner) = (store.app(), store.owner());
    let name = tiles::name(owner, format_args!("{size:020}"));
    if app.blobs.create(BlobContainer::Anchors, &name, note.clone()).await? == Creation::New {
        return Ok(());
    }
    // Signed anew it has other bytes; what counts is the text.
    let text = |bytes: &[u8]| str::from_utf8(bytes).ok().and_then(|note| note.split_once("\n\n").map(|(text, _)| text.to_owned()));
    match app.blobs.read(BlobContainer::Anchors, &name).await? {
        Some(there) if text(&there) == text(&note) => Ok(()),
        _ => {
            tracing::error!(owner = %owner, size, "ALARM: an anchor of this size says something else than the log");
            Err(PortError::new("an anchor of the log, which says something else than the log", PortErrorKind::Unreadable).into())
        }
    }
}
