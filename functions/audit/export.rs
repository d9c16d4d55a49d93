//! Export: one owner's log as a folder that anybody can check without us (its form is in `folder`).
//!
//! What is published is copied as it lies there, without mending: judging is `verify_log`'s business. A copy that would miss
//! something that was recorded before it was asked for is not made: an older log verifies just as well, so nobody would see
//! what is not in it.

use std::{
    collections::HashMap,
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use bytes::Bytes;
use serde::Serialize;
use time::UtcOffset;

use super::{
    Event, PublishError, anchor,
    chain::Hash,
    entry::{self, HEAD_KEY, Head},
    folder::{self, Disclosure, Header},
    format::{DEMO_NOTICE, FORMAT},
    log_key::{self, LogKeys, Signer},
    publish, record, schema, sequence, sequencer, tiles,
    tlog::{Checkpoint, Note, Tile, bundle, proof::Plan, record_proof::RecordProof, tile::WIDTH},
    witness,
};
use crate::{
    app::App,
    platform::ports::BlobContainer,
    tenancy::{
        ClientPlace, DeploymentPlace, DeploymentScope, Place, Scope, Store, StoreError, TenantId, demo_mark, directory, keys::Owner,
        place::AuditPart,
    },
};

#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Publish(#[from] PublishError),
    #[error("the export cannot be written")]
    Write(#[from] io::Error),
    #[error("there is no client {0}")]
    NoSuchClient(TenantId),
    #[error("{} is there already: name a folder that is not", .0.display())]
    There(PathBuf),
    /// Another run of the sequencer holds the log, or one that died held it less than 30 seconds ago.
    #[error(
        "{waiting} of this log's entries still wait for their place, so a copy would miss them; nothing was written. Run it again in half a minute"
    )]
    Incomplete { waiting: usize },
    #[error("{}", log_key::GONE)]
    NoKey,
    #[error("{0} of the published log is not there: put back the blob container `log` from a backup")]
    Missing(String),
}

/// What an export holds beside the log itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// The content of each entry, not only what proves it.
    pub disclose: bool,
    /// A proof for each entry that stands by itself.
    pub proofs: bool,
}

/// What was written, and the keys that verify it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exported {
    pub checkpoint: Checkpoint,
    pub keys: LogKeys,
}

/// Takes one file of an export: its path with slashes, and its bytes.
pub type Sink<'s> = dyn FnMut(&str, &[u8]) -> io::Result<()> + Send + 's;

/// Exports to a folder for the command line. The export itself is recorded first and stands in the log, so that nobody
/// takes a copy without a trace in it. The folder appears whole or not at all.
///
/// `places` of the deployment are all places where its items can lie: its connections are known to `connectors`.
pub async fn export(
    app: &App,
    owner: Owner,
    places: impl IntoIterator<Item = DeploymentPlace>,
    out: &Path,
    extent: Extent,
) -> Result<Exported, ExportError> {
    if out.exists() {
        return Err(ExportError::There(out.to_owned()));
    }
    let deployment = DeploymentScope::of_function(COMMAND, COMMAND).store(app).await?;
    match owner {
        Owner::Deployment => to_folder(&deployment, DeploymentPlace::Operations, places, out, extent).await,
        Owner::Tenant(id) => {
            let tenant = directory::tenant(&deployment, id).await?.ok_or(ExportError::NoSuchClient(id))?;
            let whole = match Scope::of_command(&tenant, COMMAND).store(app).await {
                Ok(store) => to_folder(&store, ClientPlace::Assessment, ClientPlace::with_outbox(), out, extent).await,
                Err(error) => Err(error.into()),
            };
            match whole {
                // Its key is gone or taken back, and with it the content and the log's growth; what is published still proves.
                Err(ExportError::Store(error)) if is_without_key(&error) => {
                    let mut batch = deployment.batch(DeploymentPlace::Operations);
                    record(&mut batch, Event::new("log.exported", format!("client {id}"), serde_json::json!({ "disclosed": false })));
                    batch.commit().await?;
                    in_folder(out, async |sink| copy(app, owner, None::<&Store<'_, ClientPlace>>, extent, sink).await).await
                }
                other => other,
            }
        }
    }
}

const COMMAND: &str = "export-audit";

async fn to_folder<P: Place>(
    store: &Store<'_, P>,
    place: P,
    places: impl IntoIterator<Item = P>,
    out: &Path,
    extent: Extent,
) -> Result<Exported, ExportError> {
    let places: Vec<P> = places.into_iter().collect();
    prepare(store, place, &places, extent.disclose).await?;
    in_folder(out, async |sink| write(store, extent, sink).await).await
}

fn is_without_key(error: &StoreError) -> bool {
    match error {
        StoreError::Key { source, .. } => source.kind.needs_mending(),
        other => matches!(other, StoreError::Destroyed { .. }),
    }
}

/// Lets `work` write its files; they appear all together.
pub async fn in_folder<T, E: From<ExportError>>(out: &Path, work: impl AsyncFnOnce(&mut Sink<'_>) -> Result<T, E>) -> Result<T, E> {
    if out.exists() {
        return Err(ExportError::There(out.to_owned()).into());
    }
    let mut unfinished = out.as_os_str().to_owned();
    unfinished.push(".unfinished");
    let unfinished = PathBuf::from(unfinished);
    if unfinished.exists() {
        fs::remove_dir_all(&unfinished).map_err(ExportError::from)?;
    }
    let mut sink = |path: &str, bytes: &[u8]| {
        let file = unfinished.join(path);
        file.parent().map_or(Ok(()), fs::create_dir_all)?;
        fs::write(file, bytes)
    };
    let exported = match work(&mut sink).await {
        Ok(exported) => exported,
        Err(error) => {
            // It may hold opened records. What cannot be taken away now goes with the next try.
            let _ = fs::remove_dir_all(&unfinished);
            return Err(error);
        }
    };
    fs::rename(&unfinished, out).map_err(ExportError::from)?;
    Ok(exported)
}

/// Records that a copy is asked for, gives everything recorded so far its place, this item included, and publishes it.
/// Before [`write`].
pub async fn prepare<P: Place>(store: &Store<'_, P>, place: P, places: &[P], disclose: bool) -> Result<(), ExportError> {
    // Looked at before it is recorded, too: while the log is held, every try would leave an item.
    bring_up_to_date(store, places).await?;
    let mut batch = store.batch(place);
    record(&mut batch, Event::new("log.exported", "log", serde_json::json!({ "disclosed": disclose })));
    batch.commit().await?;
    up_to_date(store, places).await.map(drop)
}

/// Gives everything recorded so far its place and publishes it; how many entries that are.
pub async fn up_to_date<P: Place>(store: &Store<'_, P>, places: &[P]) -> Result<u64, ExportError> {
    bring_up_to_date(store, places).await?;
    let recorded = store.read::<Head>(P::audit(AuditPart::Head), HEAD_KEY).await?.map_or(0, |head| head.value.next);
    let mut published = 0;
    for _ in 0..TRIES {
        // Another run may be about to publish the same: then this one looks again.
        published = Box::pin(publish(store)).await?.map_or(published, |checkpoint| checkpoint.size);
        if published >= recorded {
            // A copy without the witness's line is as good as before there was one.
            if let Err(error) = Box::pin(witness::cosign(store)).await {
                tracing::warn!(error = %error, "the checkpoint was not cosigned before it was copied");
            }
            return Ok(published);
        }
    }
    Err(ExportError::Incomplete { waiting: usize::try_from(recorded - published).unwrap_or(usize::MAX) })
}

/// Looks at a log that another run is just letting go of.
const TRIES: usize = 3;

async fn bring_up_to_date<P: Place>(store: &Store<'_, P>, places: &[P]) -> Result<(), ExportError> {
    for _ in 0..TRIES {
        if sequence(store, places.iter().copied()).await?.complete {
            return Ok(());
        }
    }
    Err(ExportError::Incomplete { waiting: sequencer::waiting(store, places).await? })
}

/// Writes the log as its newest checkpoint has it; entries that come meanwhile are left for the next export.
pub async fn write<P: Place>(store: &Store<'_, P>, extent: Extent, out: &mut Sink<'_>) -> Result<Exported, ExportError> {
    copy(store.app(), store.owner(), Some(store), extent, out).await
}

/// Copies of checkpoints that an export carries: a day's.
const ANCHORS: usize = 96;

/// Without a store whatever was committed to is said to be erased.
async fn copy<P: Place>(
    app: &App,
    owner: Owner,
    store: Option<&Store<'_, P>>,
    extent: Extent,
    out: &mut Sink<'_>,
) -> Result<Exported, ExportError> {
    let signer = Signer::find(app, owner).await?.ok_or(ExportError::NoKey)?;
    let note = app.blobs.read(BlobContainer::Log, &tiles::name(owner, tiles::CHECKPOINT)).await.map_err(StoreError::from)?;
    let note = note.ok_or_else(|| ExportError::Missing(tiles::CHECKPOINT.into()))?;
    let checkpoint = Checkpoint::open(&note, &[signer.ed25519()]).map_err(|_| ExportError::Missing("a checkpoint of ours".into()))?;
    let witness = witness::key(app).filter(|key| Note::parse(&note).is_ok_and(|note| note.verify(key).is_ok()));
    let (demo, keys) = (demo_mark::is_demo(app).await?, signer.keys(app).await?);
    let header = Header {
        format: FORMAT.into(),
        version: folder::VERSION,
        owner: owner.to_string(),
        origin: checkpoint.origin.clone(),
        exported_at: app.now().to_offset(UtcOffset::UTC),
        release: env!("CARGO_PKG_VERSION").into(),
        demo,
        notice: demo.then(|| DEMO_NOTICE.into()),
        entries: checkpoint.size,
        disclosed: extent.disclose,
        proofs: extent.proofs,
    };
    out(folder::CHECKPOINT, &note)?;
    out(folder::HEADER, &json(&header)?)?;
    for copy in anchor::latest(app, owner, ANCHORS).await? {
        // Judging is for who verifies; one of another text has no name to be put under.
        if let Some(of) = Checkpoint::parse_note(&copy) {
            out(&folder::anchor(of.size), &copy)?;
        }
    }
    out(folder::POLICY, folder::policy(&keys, witness.as_ref()).as_bytes())?;
    out(folder::GUIDE, folder::guide(&header).as_bytes())?;
    out(folder::EVENTS, schema::document().as_bytes())?;
    let mut copy = Copy { app, owner, store, size: checkpoint.size, hashes: HashMap::new() };
    for tile in Tile::all(checkpoint.size) {
        let bytes = copy.tile(tile, extent.proofs).await?;
        out(&tile.to_string(), &bytes)?;
    }
    for number in 0..checkpoint.size.div_ceil(WIDTH as u64) {
        let indices = number * WIDTH as u64..checkpoint.size.min((number + 1) * WIDTH as u64);
        if extent.disclose {
            out(&folder::disclosed(number), &copy.disclosed(indices.clone()).await?)?;
        }
        if extent.proofs {
            for index in indices {
                out(&folder::proof(index), copy.proof(index, &note)?.as_bytes())?;
            }
        }
    }
    Ok(Exported { checkpoint, keys })
}

struct Copy<'s, 'a, P> {
    app: &'s App,
    owner: Owner,
    store: Option<&'s Store<'a, P>>,
    size: u64,
    /// Of tiles that were copied, for the proofs: 32 bytes an entry.
    hashes: HashMap<Tile, Vec<Hash>>,
}

impl<P: Place> Copy<'_, '_, P> {
    async fn tile(&mut self, tile: Tile, keep: bool) -> Result<Bytes, ExportError> {
        let bytes = tiles::read(self.app, self.owner, tile).await?;
        let bytes = bytes.ok_or_else(|| ExportError::Missing(tile.to_string()))?;
        if keep && tile.level().is_some() {
            let hashes = tiles::hashes(&tile, &bytes).ok_or_else(|| ExportError::Missing(format!("a whole {tile}")))?;
            self.hashes.insert(tile, hashes);
        }
        if tile.level().is_none() && bundle::entries(&bytes).flatten().count() != tile.width() {
            return Err(ExportError::Missing(format!("a whole {tile}")));
        }
        Ok(bytes)
    }

    /// What the entries committed to, by the records that hold it.
    async fn disclosed(&self, indices: std::ops::Range<u64>) -> Result<Vec<u8>, ExportError> {
        let mut lines = Vec::new();
        let Some(store) = self.store else {
            for index in indices {
                lines.extend(json(&Disclosure::Erased { index, erased: true })?);
            }
            return Ok(lines);
        };
        let entries = entry::range(store, indices.start, indices.end).await?;
        for entry in entries {
            lines.extend(json(&Disclosure::Open { index: entry.seq, salt: entry.salt, content: entry.content })?);
        }
        Ok(lines)
    }

    fn proof(&self, index: u64, note: &Bytes) -> Result<String, ExportError> {
        let plan = Plan::inclusion(index, self.size);
        let hashes = plan.and_then(|plan| plan.hashes(|tile| self.hashes.get(tile).map(Vec::as_slice)));
        let hashes = hashes.ok_or_else(|| ExportError::Missing(format!("a tile for the proof of entry {index}")))?;
        Ok(RecordProof { index, hashes, checkpoint: String::from_utf8_lossy(note).into_owned() }.text())
    }
}

/// One line.
fn json(value: &impl Serialize) -> Result<Vec<u8>, StoreError> {
    let mut line = serde_json::to_vec(value)
        .map_err(|source| StoreError::Shape { document: "line of the export".into(), source: Arc::new(source) })?;
    line.push(b'\n');
    Ok(line)
}
