//! Export: one owner's log as one self-contained file that anybody can check without us (its form is in `format`).
//!
//! Written page by page, so a long log needs no memory. What is there is written as it is, without mending: judging is
//! `verify`'s business. A copy that would miss something that was recorded before it was asked for is not made: an older
//! log verifies just as well, so nobody would see what is not in it.

use std::{
    fs::{self, File},
    io::{self, BufWriter, Write},
    path::Path,
    sync::Arc,
};

use aws_lc_rs::digest::{Context, SHA256};
use serde::Serialize;
use time::UtcOffset;

use super::{
    Event, chain,
    chain::Hash,
    entry::{Entry, HEAD_KEY, Head},
    format::{DEMO_NOTICE, Disclosed, End, FORMAT, Header, Line, VERSION},
    record, sequence, sequencer,
};
use crate::{
    app::App,
    tenancy::{
        ClientPlace, DeploymentPlace, DeploymentScope, Place, Scope, Store, StoreError, TenantId, demo_mark, directory,
        keys::Owner,
        place::{AUDIT_ENTRIES_PER_PART, AuditPart},
    },
};

/// Entries in memory at once.
const PAGE: usize = 200;

#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the export cannot be written")]
    Write(#[from] io::Error),
    #[error("there is no client {0}")]
    NoSuchClient(TenantId),
    /// Another run of the sequencer holds the log, or one that died held it less than 30 seconds ago.
    #[error(
        "{waiting} of this log's entries still wait for their place, so a copy would miss them; nothing was written. Run it again in half a minute"
    )]
    Incomplete { waiting: usize },
}

/// What was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exported {
    pub entries: u64,
    pub head: Hash,
}

/// Exports to a file for the command line. The export itself is recorded first and stands in the file, so that nobody
/// takes a copy of a log without a trace in it. The file appears whole or not at all.
///
/// `places` of the deployment are all places where its items can lie: its connections are known to `connectors`.
pub async fn export(
    app: &App,
    owner: Owner,
    places: impl IntoIterator<Item = DeploymentPlace>,
    out: &Path,
    disclose: bool,
) -> Result<Exported, ExportError> {
    let deployment = DeploymentScope::of_function(COMMAND, COMMAND).store(app).await?;
    match owner {
        Owner::Deployment => to_file(&deployment, DeploymentPlace::Operations, places, out, disclose).await,
        Owner::Tenant(id) => {
            let tenant = directory::tenant(&deployment, id).await?.ok_or(ExportError::NoSuchClient(id))?;
            let store = Scope::of_command(&tenant, COMMAND).store(app).await?;
            to_file(&store, ClientPlace::Assessment, ClientPlace::with_outbox(), out, disclose).await
        }
    }
}

const COMMAND: &str = "export-audit";

async fn to_file<P: Place>(
    store: &Store<'_, P>,
    place: P,
    places: impl IntoIterator<Item = P>,
    out: &Path,
    disclose: bool,
) -> Result<Exported, ExportError> {
    let places: Vec<P> = places.into_iter().collect();
    prepare(store, place, &places, disclose).await?;
    let mut unfinished = out.as_os_str().to_owned();
    unfinished.push(".unfinished");
    let mut file = BufWriter::new(File::create(&unfinished)?);
    let exported = write(store, disclose, &mut file).await?;
    file.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()?;
    fs::rename(&unfinished, out)?;
    Ok(exported)
}

/// Records that a copy is asked for, and gives everything recorded so far its place, this item included. Before [`write`].
pub async fn prepare<P: Place>(store: &Store<'_, P>, place: P, places: &[P], disclose: bool) -> Result<(), ExportError> {
    // Looked at before it is recorded, too: while the log is held, every try would leave an item.
    bring_up_to_date(store, places).await?;
    let mut batch = store.batch(place);
    record(&mut batch, Event::new("log.exported", "log", serde_json::json!({ "disclosed": disclose })));
    batch.commit().await?;
    bring_up_to_date(store, places).await
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

/// Writes the log as it stands now; entries that come meanwhile are left for the next export.
pub async fn write<P: Place>(store: &Store<'_, P>, disclose: bool, out: &mut (dyn Write + Send)) -> Result<Exported, ExportError> {
    let app = store.app();
    let owner = store.owner().to_string();
    let head = store.read::<Head>(P::audit(AuditPart::Head), HEAD_KEY).await?.map(|held| held.value);
    let (entries, head) = head.map_or_else(|| (0, chain::start(&owner)), |head| (head.next, head.hash));
    let demo = demo_mark::is_demo(app).await?;
    let mut lines = Lines { out, digest: Context::new(&SHA256) };
    lines.write(&Header {
        format: FORMAT.into(),
        version: VERSION,
        owner,
        exported_at: app.now().to_offset(UtcOffset::UTC),
        release: env!("CARGO_PKG_VERSION").into(),
        demo,
        notice: demo.then(|| DEMO_NOTICE.into()),
        entries,
        head,
    })?;
    for part in 0..entries.div_ceil(AUDIT_ENTRIES_PER_PART) {
        let mut after = None;
        loop {
            let (page, next) = store.page::<Entry>(P::audit(AuditPart::Entries(part)), "", false, PAGE, after).await?;
            for entry in page.into_iter().map(|held| held.value).filter(|entry| entry.seq < entries) {
                let Entry { seq, leaf, previous, hash, salt, content, .. } = entry;
                lines.write(&Line { seq, leaf, previous, hash, disclosed: disclose.then_some(Disclosed { salt, content }) })?;
            }
            match next {
                Some(_) => after = next,
                None => break,
            }
        }
    }
    let sha256 = Hash::of(lines.digest.clone());
    lines.write(&End { end: FORMAT.into(), sha256 })?;
    Ok(Exported { entries, head })
}

/// Lines with a digest over all that was written.
struct Lines<'a> {
    out: &'a mut (dyn Write + Send),
    digest: Context,
}

impl Lines<'_> {
    fn write(&mut self, line: &impl Serialize) -> Result<(), ExportError> {
        let mut bytes = serde_json::to_vec(line)
            .map_err(|source| StoreError::Shape { document: "line of the export".into(), source: Arc::new(source) })?;
        bytes.push(b'\n');
        self.digest.update(&bytes);
        Ok(self.out.write_all(&bytes)?)
    }
}
