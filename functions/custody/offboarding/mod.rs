//! Offboarding: how the MSP lets go of a client, step by step, so that nothing is lost that must be kept and nothing can be
//! opened that must not.
//!
//! Asked, exported and kept, switched off, waited, destroyed, certified. Where it stands is an [`Offboarding`] in the
//! directory, moved in one batch with the audit item that says so; the destruction and what follows stand beside the
//! client's key record ([`destroy`], [`certificate`]). What each step needs is in [`steps`], which is pure. Each step may be
//! asked again: what is done stays done. Until the destruction an owner can take all of it back. A client whose key cannot
//! be used any more goes the same way without an export ([`no_export`]).

pub mod certificate;
pub mod destroy;
pub mod export;
pub mod no_export;
pub mod steps;
pub mod vault_key;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use time::{Duration, OffsetDateTime};

use self::{
    certificate::Certificate,
    destroy::Destroyed,
    vault_key::{Looks, Statement},
};
use crate::{
    audit::{self, ExportError},
    tenancy::{
        Actor, Batch, DeploymentPlace, Held, PersonId, Record, Store, StoreError, TenantId, Wanted,
        directory::{SwitchedOff, Tenant},
    },
};

type Directory<'a> = Store<'a, DeploymentPlace>;

/// Where the end of a client stands. It goes when somebody takes it back; the log keeps all of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Offboarding {
    pub tenant: TenantId,
    pub reason: String,
    pub begun_by: PersonId,
    #[serde(with = "time::serde::rfc3339")]
    pub begun_at: OffsetDateTime,
    /// The newest.
    pub export: Option<Export>,
    #[serde(with = "time::serde::rfc3339::option")]
    pub off_at: Option<OffsetDateTime>,
    /// Not before then its data keys can be destroyed; said when it was switched off.
    #[serde(with = "time::serde::rfc3339::option")]
    pub destroy_from: Option<OffsetDateTime>,
    /// When the destruction came to its last batch; from then on nobody takes the offboarding back.
    #[serde(with = "time::serde::rfc3339::option", default, skip_serializing_if = "Option::is_none")]
    pub destroying_at: Option<OffsetDateTime>,
    /// When the vault was found without the client's key, after the destruction, or somebody stated so where it does not say.
    #[serde(with = "time::serde::rfc3339::option")]
    pub vault_key_gone_at: Option<OffsetDateTime>,
    /// How often it was looked since then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub looks: Option<Looks>,
    /// Who states that the key is deleted, where Assay cannot look.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub statement: Option<Statement>,
}

/// A copy of everything of the client that somebody took.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Export {
    pub by: Actor,
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
    /// Entries of the client's log that are in it, and their root.
    pub entries: u64,
    pub root: String,
    /// SHA-256 of its list of files, which has the hash of each.
    pub manifest: String,
    pub files: usize,
    /// Records that did not open, so are not in it.
    pub unreadable: usize,
    /// Where the owner says that it is kept; where none was possible, which earlier copies there are, and where.
    pub kept_at: Option<String>,
    /// Why none was possible, a word of [`crate::tenancy::error::KeyTrouble`]: then `entries` and `root` are those of the log as
    /// it was last published, and there are no files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_possible: Option<String>,
    /// The newest that was possible, before none was any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub earlier: Option<Box<Export>>,
}

impl Record for Offboarding {
    const KIND: &'static str = "offboarding";
    const SCHEMA: u32 = 1;

    fn key(&self) -> String {
        self.tenant.to_string()
    }
}

#[derive(Debug, thiserror::Error)]
pub enum OffboardingError {
    /// Nothing was done; a sentence for people.
    #[error("{0}")]
    Refused(String),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Export(#[from] ExportError),
}

pub(super) fn refused(why: impl Into<String>) -> OffboardingError {
    OffboardingError::Refused(why.into())
}

/// All that is known of the end of a client.
#[derive(Clone, Debug)]
pub struct Known {
    pub client: Tenant,
    pub held: Option<Held<Offboarding>>,
    pub off: Option<Held<SwitchedOff>>,
    pub destroyed: Option<Held<Destroyed>>,
    pub certificate: Option<Certificate>,
}

/// `None`: there is no such client.
pub async fn read(store: &Directory<'_>, tenant: TenantId) -> Result<Option<Known>, StoreError> {
    let key = tenant.to_string();
    let wanted = vec![Wanted::one::<Tenant>(&key), Wanted::one::<Offboarding>(&key), Wanted::one::<SwitchedOff>(&key)];
    let found = store.gather(DeploymentPlace::Directory, wanted).await?;
    let Some(client) = found.one::<Tenant>(&key).await? else { return Ok(None) };
    let beside = vec![Wanted::one::<Destroyed>(&key), Wanted::one::<Certificate>(&key)];
    let beside = store.gather(DeploymentPlace::Keys(tenant), beside).await?;
    Ok(Some(Known {
        client: client.value,
        held: found.one(&key).await?,
        off: found.one(&key).await?,
        destroyed: beside.one(&key).await?,
        certificate: beside.one::<Certificate>(&key).await?.map(|held| held.value),
    }))
}

impl Known {
    /// The offboarding that is under way.
    fn under_way(&self) -> Result<&Held<Offboarding>, OffboardingError> {
        self.held.as_ref().ok_or_else(|| refused("Nobody has begun to offboard this client. Nothing was done."))
    }

    fn not_destroyed(&self) -> Result<(), OffboardingError> {
        match &self.destroyed {
            None => Ok(()),
            Some(_) => Err(refused("Its data keys were destroyed, and nobody can take that back. Nothing was done.")),
        }
    }
}

/// Most characters of a reason and of a place.
pub const MOST_CHARS: usize = 500;

/// A sentence that was typed.
fn sentence(text: &str, missing: &str) -> Result<String, OffboardingError> {
    // On one line: in the certificate no line of it passes for one of ours.
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if text.chars().any(char::is_control) {
        return Err(refused("Type it without control characters. Nothing was done."));
    }
    if text.is_empty() || text.chars().count() > MOST_CHARS {
        return Err(refused(format!("{missing} At most {MOST_CHARS} characters. Nothing was done.")));
    }
    Ok(text)
}

/// Begins, for a reason; nothing changes for anybody yet.
pub async fn begin(store: &Directory<'_>, known: &Known, reason: &str) -> Result<(), OffboardingError> {
    if known.held.is_some() {
        return Ok(());
    }
    let reason = sentence(reason, "Say why: it stands in the log.")?;
    let record = Offboarding {
        tenant: known.client.id,
        reason: reason.clone(),
        begun_by: person(store)?,
        begun_at: store.app().now(),
        export: None,
        off_at: None,
        destroy_from: None,
        destroying_at: None,
        vault_key_gone_at: None,
        looks: None,
        statement: None,
    };
    let mut batch = store.batch(DeploymentPlace::Directory);
    batch.create(&record);
    say(&mut batch, known, "client.offboarding.begun", json!({ "reason": reason }));
    match batch.commit().await {
        // The same form, sent twice at once.
        Err(error) if error.exists::<Offboarding>(&record.key()) => Ok(()),
        other => Ok(other?),
    }
}

/// Says where the newest export is kept, six years long (32 CFR 170.16(c)(4) and 170.17(c)(4)). `manifest`: what whoever
/// keeps it found the hash of its list of files to be.
pub async fn keep(store: &Directory<'_>, known: &Known, kept_at: &str, manifest: &str) -> Result<(), OffboardingError> {
    known.not_destroyed()?;
    let held = known.under_way()?;
    let Some(export) = held.value.export.as_ref().filter(|export| export.not_possible.is_none()) else {
        return Err(refused("Take the export first. Nothing was done."));
    };
    let kept_at = sentence(kept_at, "Say where the export is kept.")?;
    if !export.manifest.eq_ignore_ascii_case(manifest.trim()) {
        return Err(refused(
            "That is not the SHA-256 of the file MANIFEST.sha256 in the newest export. Compute it from the copy that you keep; if it is another, that copy is damaged or older: take the export again. Nothing was done.",
        ));
    }
    let detail = json!({ "manifest": export.manifest, "kept_at": kept_at });
    let export = Some(Export { kept_at: Some(kept_at), ..export.clone() });
    put(store, known, Offboarding { export, ..held.value.clone() }, "client.offboarding.kept", detail).await
}

/// Switches the client off, from the next request and message on, wherever it is answered.
pub async fn switch_off(store: &Directory<'_>, known: &Known) -> Result<(), OffboardingError> {
    if known.off.is_some() {
        return Ok(());
    }
    known.not_destroyed()?;
    let held = known.under_way()?;
    steps::may_switch_off(&held.value).map_err(refused)?;
    let now = store.app().now();
    let destroy_from = now + Duration::days(store.app().config.offboarding.wait.into());
    let next = Offboarding { off_at: Some(now), destroy_from: Some(destroy_from), ..held.value.clone() };
    let mut batch = store.batch(DeploymentPlace::Directory);
    batch.create(&SwitchedOff::of(known.client.id, person(store)?, now));
    batch.replace(&Held { value: next, etag: held.etag.clone() });
    say(&mut batch, known, "client.offboarding.switched_off", json!({ "destroy_from": destroy_from.unix_timestamp() }));
    Ok(batch.commit().await?)
}

/// Takes the offboarding back: the client is on again, if it was off. Not when its data keys are being destroyed: then the
/// batch that does it may be on its way.
pub async fn take_back(store: &Directory<'_>, known: &Known) -> Result<(), OffboardingError> {
    known.not_destroyed()?;
    let Some(held) = &known.held else { return Ok(()) };
    if held.value.destroying_at.is_some() {
        return Err(refused(
            "The destruction of its data keys has begun, and nobody can take that back. Press \u{201c}Destroy\u{201d} once more to bring it to its end. Nothing was done.",
        ));
    }
    let mut batch = store.batch(DeploymentPlace::Directory);
    batch.delete(held);
    if let Some(off) = &known.off {
        batch.delete(off);
    }
    say(&mut batch, known, "client.offboarding.taken_back", json!({ "was_off": known.off.is_some() }));
    Ok(batch.commit().await?)
}

/// Moves the record, in one batch with the audit item.
async fn put(store: &Directory<'_>, known: &Known, next: Offboarding, kind: &'static str, detail: Value) -> Result<(), OffboardingError> {
    let held = known.under_way()?;
    let mut batch = store.batch(DeploymentPlace::Directory);
    batch.replace(&Held { value: next, etag: held.etag.clone() });
    say(&mut batch, known, kind, detail);
    Ok(batch.commit().await?)
}

fn say(batch: &mut Batch<'_, '_, DeploymentPlace>, known: &Known, kind: &'static str, mut detail: Value) {
    detail["name"] = json!(known.client.name);
    audit::record(batch, audit::Event::new(kind, format!("client {}", known.client.id), detail));
}

/// Whose step it is: no function and no command offboards anybody.
fn person(store: &Directory<'_>) -> Result<PersonId, OffboardingError> {
    match store.actor() {
        Actor::Person(id) => Ok(*id),
        _ => Err(refused("Only a signed-in owner offboards a client. Nothing was done.")),
    }
}
