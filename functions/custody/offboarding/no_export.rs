//! A client of which no export can be made any more: its vault key is deleted, revoked or disabled, or its key record is lost.
//!
//! Its owner says which earlier copies there are. What is noted beside that is what Assay can still know: why the keys cannot be
//! used, and how the client's log ends as it was last published. The later steps follow as ever; when the keys can be used
//! again before the destruction, the export is demanded after all ([`super::steps::may_destroy`]).

use serde_json::json;

use super::{Directory, Export, Known, Offboarding, OffboardingError, person, put, refused, sentence};
use crate::{
    app::App,
    audit::{
        anchor,
        log_key::Signer,
        tiles,
        tlog::{Checkpoint, merkle},
    },
    platform::ports::{BlobContainer, PortError, PortErrorKind},
    tenancy::{
        Actor, DeploymentPlace, StoreError, TenantId,
        keys::{self, Owner},
        vault_key::Reservation,
    },
};

/// Notes that no export can be made, and `copies`: which earlier ones there are, and where.
pub async fn note(store: &Directory<'_>, known: &Known, copies: &str) -> Result<(), OffboardingError> {
    known.not_destroyed()?;
    let (held, owner) = (known.under_way()?, Owner::Tenant(known.client.id));
    let by = Actor::Person(person(store)?);
    let copies = sentence(copies, "Say which earlier copies there are and where they are kept, or that there are none.")?;
    let Some(trouble) = keys::lasting_trouble(store.app(), owner).await? else {
        return Err(refused("Its keys can be used, so an export can be made: take it. Nothing was done."));
    };
    let before = held.value.export.as_ref();
    if before.is_some_and(|one| one.not_possible.as_deref() == Some(trouble.word()) && one.kept_at.as_deref() == Some(&copies)) {
        return Ok(());
    }
    let earlier = before.and_then(|one| if one.not_possible.is_none() { Some(Box::new(one.clone())) } else { one.earlier.clone() });
    let End { log, entries, root, alarm, .. } = end_of_log(store.app(), owner).await?;
    let detail = json!({
        "why": trouble.word(), "copies": copies, "log": log, "entries": entries, "root": root,
        "earlier": earlier.as_ref().map(|one| one.manifest.clone()), "alarm": alarm,
    });
    let export = Export {
        by,
        at: store.app().now(),
        entries,
        root,
        manifest: String::new(),
        files: 0,
        unreadable: 0,
        kept_at: Some(copies),
        not_possible: Some(trouble.word().into()),
        earlier,
    };
    let next = Offboarding { export: Some(export), ..held.value.clone() };
    put(store, known, next, "client.offboarding.not_exportable", detail).await
}

/// The name of a log, and how it ends.
pub struct End {
    pub log: String,
    pub entries: u64,
    pub root: String,
    /// Entries of the newest copy of a checkpoint that it was compared with, 0 where there is none; `None`: nobody looked.
    pub copy: Option<u64>,
    /// Why it is in doubt.
    pub alarm: Option<String>,
}

/// As the client's log was last published, compared with the newest copy that was made of a checkpoint: of what was recorded
/// after that, nothing can be read.
pub async fn end_of_log(app: &App, owner: Owner) -> Result<End, StoreError> {
    let Some(signer) = Signer::find(app, owner).await? else {
        return Ok(End { log: String::new(), entries: 0, root: merkle::empty().to_string(), copy: None, alarm: None });
    };
    let log = signer.origin().to_owned();
    let unreadable = |_| StoreError::from(PortError::new("the log's checkpoint", PortErrorKind::Unreadable));
    let (entries, root) = match app.blobs.read(BlobContainer::Log, &tiles::name(owner, tiles::CHECKPOINT)).await? {
        Some(note) => Checkpoint::open(&note, &[signer.ed25519()]).map(|last| (last.size, last.root)).map_err(unreadable)?,
        None => (0, merkle::empty()),
    };
    let (copy, alarm) = anchor::against(app, owner, &signer, entries).await?;
    if let Some(why) = &alarm {
        tracing::error!(owner = %owner, why, "ALARM: the end of a log whose client's key is gone");
    }
    Ok(End { log, entries, root: root.to_string(), copy: Some(copy), alarm })
}

/// What its owner says of a log whose end is in doubt, before the keys are destroyed all the same.
pub(super) fn about(alarm: &str, said: &str) -> Result<String, OffboardingError> {
    sentence(said, &format!("ALARM about the end of its log: {alarm}. Say what is known of that."))
}

/// The vault keys that were named for the client, where its own key record does not say: none on a vault that makes keys by
/// itself but the one of its name.
pub(super) async fn named_vault_keys(store: &Directory<'_>, tenant: TenantId) -> Result<Vec<String>, StoreError> {
    if store.app().vault.makes_keys() {
        return Ok(vec![Owner::Tenant(tenant).to_string()]);
    }
    let reserved = store.all::<Reservation>(DeploymentPlace::Directory, "").await?;
    Ok(reserved.into_iter().filter(|held| held.value.owner == tenant && held.value.taken).map(|held| held.value.key).collect())
}
