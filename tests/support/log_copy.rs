//! Copies of a log: as the export makes them now, verified with keys from elsewhere, and as the release before wrote them.

use assay::{
    audit::{
        Extent, Known, LogFault, LogReport,
        chain::{self, Hash},
        entry::{Entry, HEAD_KEY, Head},
        export,
        format::{DEMO_NOTICE, Disclosed, End, FORMAT, Header, Line, VERSION},
        log_key::Signer,
        tlog::VerifierKey,
        verify_folder,
    },
    tenancy::{
        Place, Store, demo_mark,
        place::{AUDIT_ENTRIES_PER_PART, AuditPart},
    },
};
use serde::Serialize;
use tempfile::TempDir;

/// Everything there is.
pub const WHOLE: Extent = Extent { disclose: true, proofs: true };

/// A folder with the log as it is published, and the keys that verify it.
pub async fn copy<P: Place>(store: &Store<'_, P>, extent: Extent) -> (TempDir, Vec<VerifierKey>) {
    let folder = tempfile::tempdir().unwrap();
    let mut write = |path: &str, bytes: &[u8]| {
        let file = folder.path().join(path);
        std::fs::create_dir_all(file.parent().unwrap())?;
        std::fs::write(file, bytes)
    };
    let keys = export::write(store, extent, &mut write).await.unwrap().keys;
    (folder, [keys.ed25519].into_iter().chain(keys.p256).collect())
}

/// The same, verified.
pub async fn verified<P: Place>(store: &Store<'_, P>, extent: Extent) -> Result<LogReport, LogFault> {
    let (folder, keys) = copy(store, extent).await;
    verify_folder(folder.path(), Known { keys: &keys, seen: None })
}

pub async fn keys<P: Place>(store: &Store<'_, P>) -> Vec<VerifierKey> {
    let keys = Signer::of(store.app(), store.owner()).await.unwrap().keys(store.app()).await.unwrap();
    [keys.ed25519].into_iter().chain(keys.p256).collect()
}

/// The single file that releases without tiles wrote: such copies are kept for years, and this one still reads them.
pub async fn single_file<P: Place>(store: &Store<'_, P>, disclose: bool) -> Vec<u8> {
    let owner = store.owner().to_string();
    let head = store.read::<Head>(P::audit(AuditPart::Head), HEAD_KEY).await.unwrap().map(|held| held.value);
    let (entries, head) = head.map_or_else(|| (0, chain::start(&owner)), |head| (head.next, head.hash));
    let demo = demo_mark::is_demo(store.app()).await.unwrap();
    let mut file = Vec::new();
    line(
        &mut file,
        &Header {
            format: FORMAT.into(),
            version: VERSION,
            owner,
            exported_at: store.app().now(),
            release: "0.0.9".into(),
            demo,
            notice: demo.then(|| DEMO_NOTICE.into()),
            entries,
            head,
        },
    );
    for part in 0..entries.div_ceil(AUDIT_ENTRIES_PER_PART) {
        for held in store.all::<Entry>(P::audit(AuditPart::Entries(part)), "").await.unwrap() {
            let Entry { seq, leaf, previous, hash, salt, content, .. } = held.value;
            if seq < entries {
                line(&mut file, &Line { seq, leaf, previous, hash, disclosed: disclose.then_some(Disclosed { salt, content }) });
            }
        }
    }
    let sha256 = Hash::over(&[&file]);
    line(&mut file, &End { end: FORMAT.into(), sha256 });
    file
}

fn line(file: &mut Vec<u8>, value: &impl Serialize) {
    file.extend(serde_json::to_vec(value).unwrap());
    file.push(b'\n');
}
