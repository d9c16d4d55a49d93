//! The copy that the client's owner keeps: the log with its proofs, every record opened, and the bytes that evidence was
//! read from, with a list of all files and their hashes.
//!
//! | path | what |
//! | --- | --- |
//! | `audit/..` | the log, as `assay verify` and other programs take it |
//! | `records/PLACE.jsonl` | every record, a line of JSON each: id, kind, schema, revision, record |
//! | `raw/NAME` | bytes as a vendor sent them |
//! | `NOT-EXPORTED.txt` | what did not open, if anything did not |
//! | `MANIFEST.sha256` | SHA-256 of every other file, as `sha256sum --check` reads it |
//!
//! It is taken as the log stands after its own entry, so that whoever compares can say whether something came later.

use std::{
    collections::BTreeSet,
    io::{self, Cursor, Write as _},
    path::Path,
};

use serde_json::json;
use zip::{CompressionMethod, ZipWriter, write::SimpleFileOptions};

use super::{Directory, Export, Known, Offboarding, OffboardingError, put};
use crate::{
    app::App,
    audit::{self, ExportError, Exported, Extent, Item, entry, leaf},
    evidence::{Evidence, Origin},
    platform::ports::BlobContainer,
    tenancy::{
        ClientPlace, DeploymentPlace, DeploymentScope, Place as _, Record as _, Scope, Store, StoreError, TenantId, place::AuditPart,
        seal::sha256,
    },
};

const MANIFEST: &str = "MANIFEST.sha256";

/// Takes one file of the copy.
pub type Sink<'s> = dyn FnMut(&str, &[u8]) -> io::Result<()> + Send + 's;

/// Writes the copy to `out` and notes it. `store` is in the name of who takes it, `client` in that of somebody who may read the
/// client's record.
pub async fn take(
    store: &Directory<'_>,
    client: &Store<'_, ClientPlace>,
    known: &Known,
    out: &mut Sink<'_>,
) -> Result<Export, OffboardingError> {
    known.not_destroyed()?;
    let held = known.under_way()?;
    let places: Vec<ClientPlace> = ClientPlace::with_outbox().collect();
    Box::pin(audit::export::prepare(client, ClientPlace::Assessment, &places, true)).await?;
    let mut files = Files { out, manifest: String::new(), count: 0, not_opened: Vec::new() };
    let extent = Extent { disclose: true, proofs: true };
    let mut log = |path: &str, bytes: &[u8]| files.write(&format!("audit/{path}"), bytes);
    let Exported { checkpoint, .. } = Box::pin(audit::export::write(client, extent, &mut log)).await?;
    let mut raw = BTreeSet::new();
    for place in places {
        records(client, place, &mut files, &mut raw).await?;
    }
    for name in &raw {
        bytes(store, name, &mut files).await?;
    }
    let unreadable = files.not_opened.len();
    if unreadable > 0 {
        let text = files.not_opened.join("\n") + "\n";
        files.write("NOT-EXPORTED.txt", text.as_bytes()).map_err(ExportError::Write)?;
    }
    let (manifest, count) = (files.manifest, files.count);
    (files.out)(MANIFEST, manifest.as_bytes()).map_err(ExportError::Write)?;
    let export = Export {
        by: store.actor().clone(),
        at: store.app().now(),
        entries: checkpoint.size,
        root: checkpoint.root.to_string(),
        manifest: sha256(manifest.as_bytes()),
        files: count + 1,
        unreadable,
        kept_at: None,
        not_possible: None,
        earlier: None,
    };
    let detail = json!({
        "entries": export.entries, "root": export.root, "manifest": export.manifest, "files": export.files, "unreadable": unreadable,
    });
    let next = Offboarding { export: Some(export.clone()), ..held.value.clone() };
    put(store, known, next, "client.offboarding.exported", detail).await?;
    Ok(export)
}

/// The same as a folder, which appears whole or not at all: for the command line, where a page's limit does not hold.
pub async fn to_folder(app: &App, client: TenantId, out: &Path) -> Result<Export, OffboardingError> {
    let store = DeploymentScope::of_function(COMMAND, COMMAND).store(app).await?;
    let known = super::read(&store, client).await?.ok_or(ExportError::NoSuchClient(client))?;
    known.not_destroyed()?;
    known.under_way()?;
    let client = Scope::of_command(&known.client, COMMAND).store(app).await?;
    audit::export::in_folder(out, async |sink| Box::pin(take(&store, &client, &known, sink)).await).await
}

/// As people type it.
pub const COMMAND: &str = "export-client";

/// The same as one file for a browser, of at most `most` bytes; more is [`io::ErrorKind::FileTooLarge`].
pub async fn zipped(
    store: &Directory<'_>,
    client: &Store<'_, ClientPlace>,
    known: &Known,
    most: usize,
) -> Result<Vec<u8>, OffboardingError> {
    let folder = format!("client-{}", known.client.id);
    let (mut zip, mut total) = (ZipWriter::new(Cursor::new(Vec::new())), 0);
    let options = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    let mut sink = |path: &str, bytes: &[u8]| {
        total += bytes.len();
        if total > most {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        zip.start_file(format!("{folder}/{path}"), options).map_err(io::Error::from)?;
        zip.write_all(bytes)
    };
    take(store, client, known, &mut sink).await?;
    Ok(zip.finish().map_err(|error| ExportError::Write(error.into()))?.into_inner())
}

struct Files<'o, 's> {
    out: &'o mut Sink<'s>,
    manifest: String,
    count: usize,
    not_opened: Vec<String>,
}

impl Files<'_, '_> {
    fn write(&mut self, path: &str, bytes: &[u8]) -> io::Result<()> {
        (self.out)(path, bytes)?;
        self.manifest.extend([sha256(bytes).as_str(), "  ", path, "\n"]);
        self.count += 1;
        Ok(())
    }
}

async fn records(
    client: &Store<'_, ClientPlace>,
    place: ClientPlace,
    files: &mut Files<'_, '_>,
    raw: &mut BTreeSet<String>,
) -> Result<(), OffboardingError> {
    let (mut lines, mut after) = (String::new(), None);
    loop {
        let (page, next) = client.opened_page(place, after).await?;
        for opened in page {
            match opened.line() {
                Some(line) => lines.push_str(&line),
                None => files.not_opened.push(format!("{} {}", place.key(), opened.id)),
            }
            if let (Evidence::KIND, Ok(record)) = (opened.kind.as_str(), &opened.record)
                && let Ok(Evidence { origin: Origin::Observed(observed), .. }) = serde_json::from_str(record.get())
            {
                raw.extend(observed.raw);
            }
        }
        match next {
            Some(next) => after = Some(next),
            None => break,
        }
    }
    let path = format!("records/{}.jsonl", place.key().replace('/', "-"));
    Ok(files.write(&path, lines.as_bytes()).map_err(ExportError::Write)?)
}

/// They lie under the installation's key, since they came before it was known whose they are.
async fn bytes(store: &Directory<'_>, name: &str, files: &mut Files<'_, '_>) -> Result<(), OffboardingError> {
    let Some(sealed) = store.app().blobs.read(BlobContainer::Raw, name).await.map_err(StoreError::from)? else {
        files.not_opened.push(format!("raw {name}"));
        return Ok(());
    };
    match store.open_blob(BlobContainer::Raw.name(), name, sealed.to_vec()).await {
        Ok(plain) => Ok(files.write(&format!("raw/{name}"), &plain).map_err(ExportError::Write)?),
        Err(error) if error.concerns_one_record() => {
            files.not_opened.push(format!("raw {name}"));
            Ok(())
        }
        Err(error) => Err(error.into()),
    }
}

/// The steps of this offboarding, which an export need not hold.
pub const OWN: &str = "client.offboarding.";

/// Most entries behind an export that are looked at: more are more than its own steps.
const LOOKED_AT: u64 = 100;

/// How much was recorded in the client's log after its first `entries`, but for this offboarding's own steps.
pub async fn recorded_since(client: &Store<'_, ClientPlace>, entries: u64) -> Result<usize, StoreError> {
    let head = client.read::<entry::Head>(ClientPlace::Log(AuditPart::Head), entry::HEAD_KEY).await?;
    let next = head.map_or(0, |held| held.value.next);
    let mut later = usize::from(next.saturating_sub(entries) > LOOKED_AT);
    for entry in entry::range(client, entries, next.min(entries + LOOKED_AT)).await? {
        let own = leaf::read(&entry.leaf).is_ok_and(|leaf| leaf.kind.starts_with(OWN));
        later += usize::from(!own);
    }
    for place in ClientPlace::with_outbox() {
        let waiting = client.all::<Item>(place, "").await?;
        later += waiting.iter().filter(|item| !item.value.kind.starts_with(OWN)).count();
    }
    Ok(later)
}

/// The names of the raw bytes that the client's evidence was read from.
pub(super) async fn raw_names(client: &Store<'_, ClientPlace>) -> Result<Vec<String>, StoreError> {
    let mut names = BTreeSet::new();
    for place in ClientPlace::with_outbox().filter(|place| matches!(place, ClientPlace::Evidence(_))) {
        for record in client.all_of_each::<Evidence>(place, "").await? {
            match record {
                Ok(held) => names.extend(if let Origin::Observed(observed) = held.value.origin { observed.raw } else { None }),
                Err(error) if error.concerns_one_record() => {}
                Err(error) => return Err(error),
            }
        }
    }
    Ok(names.into_iter().collect())
}

/// Where the installation keeps what it says of a client's keys.
pub(super) fn beside_keys(known: &Known) -> DeploymentPlace {
    DeploymentPlace::Keys(known.client.id)
}
