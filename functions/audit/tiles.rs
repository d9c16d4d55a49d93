//! A log's tiles and bundles where they lie: one blob for each, written once.
//!
//! Names are `OWNER/` and the path of C2SP tlog-tiles, so a copy of the container is a log that any client can read. They
//! hold ids and commitments only and are not sealed.

use std::{
    collections::{BTreeSet, HashMap},
    fmt,
};

use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};

use super::{
    chain::Hash,
    tlog::{Tile, bundle, proof::Plan},
};
use crate::{
    app::App,
    platform::ports::{BlobContainer, Creation},
    tenancy::{StoreError, keys::Owner},
};

/// Calls to the store at once.
const AT_ONCE: usize = 8;

/// The blob of something of an owner's log.
pub fn name(owner: Owner, what: impl fmt::Display) -> String {
    format!("{owner}/{what}")
}

/// The one that is written again.
pub const CHECKPOINT: &str = "checkpoint";

/// Writes a tile; false when another one lies in its place. The same bytes are fine: somebody wrote them before.
pub async fn write_once(app: &App, owner: Owner, tile: Tile, bytes: Vec<u8>) -> Result<bool, StoreError> {
    let (name, bytes) = (name(owner, tile), Bytes::from(bytes));
    if app.blobs.create(BlobContainer::Log, &name, bytes.clone()).await? == Creation::New {
        return Ok(true);
    }
    Ok(app.blobs.read(BlobContainer::Log, &name).await?.is_some_and(|there| there == bytes))
}

/// Takes away the partial forms of tiles that are full now. What stays is in nobody's way.
pub async fn drop_partials(app: &App, owner: Owner, full: &[Tile]) {
    for tile in full {
        let prefix = name(owner, tile.partials());
        let mut after = None;
        while let Ok(page) = app.blobs.list(BlobContainer::Log, &prefix, after.as_ref()).await {
            for name in page.names {
                if let Err(error) = app.blobs.delete(BlobContainer::Log, &name).await {
                    tracing::warn!(error = %error, "a partial tile stays beside its full one");
                }
            }
            after = page.next;
            if after.is_none() {
                break;
            }
        }
    }
}

/// A tile's or bundle's bytes. Where a partial one went since, what it held is the beginning of the full one.
pub async fn read(app: &App, owner: Owner, tile: Tile) -> Result<Option<Bytes>, StoreError> {
    if let Some(bytes) = app.blobs.read(BlobContainer::Log, &name(owner, tile)).await? {
        return Ok(Some(bytes));
    }
    let whole = tile.whole();
    if whole == tile {
        return Ok(None);
    }
    let bytes = app.blobs.read(BlobContainer::Log, &name(owner, whole)).await?;
    Ok(bytes.and_then(|bytes| {
        let length = match tile.level() {
            Some(_) => 32 * tile.width(),
            None => bundle::entries(&bytes).take(tile.width()).map(|entry| entry.map(|entry| entry.len() + 2)).sum::<Option<usize>>()?,
        };
        (length <= bytes.len()).then(|| bytes.slice(..length))
    }))
}

/// What a tile's bytes say; `None` when they are not its.
pub fn hashes(tile: &Tile, bytes: &[u8]) -> Option<Vec<Hash>> {
    let (hashes, rest) = bytes.as_chunks::<32>();
    (rest.is_empty() && hashes.len() == tile.width()).then(|| hashes.iter().map(|hash| Hash::from_bytes(*hash)).collect())
}

/// The hashes of a plan, from the tiles; `None` when one of them is not there or damaged.
pub async fn carry_out(app: &App, owner: Owner, plan: &Plan) -> Result<Option<Vec<Hash>>, StoreError> {
    let tiles = load(app, owner, plan.tiles()).await?;
    Ok(plan.hashes(|tile| tiles.get(tile).map(Vec::as_slice)))
}

/// Those of the tiles that are there and whole.
pub async fn load(app: &App, owner: Owner, wanted: BTreeSet<Tile>) -> Result<HashMap<Tile, Vec<Hash>>, StoreError> {
    let reads: Vec<_> = wanted.into_iter().map(|tile| async move { Ok::<_, StoreError>((tile, read(app, owner, tile).await?)) }).collect();
    let found: Vec<_> = stream::iter(reads).buffer_unordered(AT_ONCE).try_collect().await?;
    Ok(found.into_iter().filter_map(|(tile, bytes)| Some((tile, hashes(&tile, &bytes?)?))).collect())
}
