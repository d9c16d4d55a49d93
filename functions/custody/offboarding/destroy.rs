//! The destruction of a client's data keys, all epochs at once, and of the raw bytes that its evidence was read from.
//!
//! The client's log hears of it first, since nothing can be sealed for it afterwards, and is published and copied away as it
//! then stands: leaves hold commitments only, so it verifies for ever. Then the offboarding is marked, so that nobody takes it
//! back any more, and ONE batch takes the wrapped keys away, writes down what was destroyed and puts the audit item beside it.
//! Whatever step is the last of a process, the next try goes on: before the mark all can be taken back, before that batch
//! nothing is destroyed, after it only the raw bytes are left to delete.

use futures_util::future::try_join_all;
use serde::{Deserialize, Serialize};
use serde_json::json;
use time::OffsetDateTime;

use super::{Directory, Export, Known, Offboarding, OffboardingError, export, person, refused, say, steps};
use crate::{
    audit::{self, anchor, log_key::Signer, publisher::Published},
    platform::ports::{BlobContainer, PortErrorKind},
    tenancy::{
        ClientPlace, DeploymentPlace, Held, PersonId, Record, Store, StoreError, TenantId,
        key_change::{self, Facts},
        place::AuditPart,
    },
};

/// What was destroyed; made in the batch that did it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Destroyed {
    pub tenant: TenantId,
    /// The company's name, for people.
    pub client: String,
    pub by: PersonId,
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339")]
    pub off_at: OffsetDateTime,
    /// Data keys 1 to this one.
    pub epochs: u32,
    /// Which key of the vault wrapped them.
    pub vault_key: String,
    pub vault_version: String,
    /// The name of the client's log, and how it ends.
    pub log: String,
    pub entries: u64,
    pub root: String,
    pub export: Export,
    /// What the settings said.
    pub backup_days: u16,
    pub vault_days: u16,
    /// Raw bytes that are still to be deleted, and how many there were.
    pub raw_left: Vec<String>,
    pub raw: usize,
}

impl Record for Destroyed {
    const KIND: &'static str = "destroyed";
    const SCHEMA: u32 = 1;

    fn key(&self) -> String {
        self.tenant.to_string()
    }
}

/// That the client's log heard that the end comes; one for each time that the client was switched off.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Ending {
    off_at: i64,
}

impl Record for Ending {
    const KIND: &'static str = "ending";
    const SCHEMA: u32 = 1;

    fn key(&self) -> String {
        self.off_at.to_string()
    }
}

/// Destroys the client's data keys, or goes on where an earlier try stopped. `client` is the client's store in the name of
/// the sweep of a client that is switched off; `None` when its keys are destroyed already.
pub async fn destroy(store: &Directory<'_>, client: Option<&Store<'_, ClientPlace>>, known: &Known) -> Result<(), OffboardingError> {
    if let Some(destroyed) = &known.destroyed {
        return Ok(delete_raw(store, known, destroyed.clone()).await?);
    }
    let (by, now) = (person(store)?, store.app().now());
    let offboarding = &known.under_way()?.value;
    let client =
        client.ok_or_else(|| refused("Its keys cannot be used now, so what is destroyed cannot be written down. Nothing was done."))?;
    let (Some(export), Some(off_at), Some(_)) = (&offboarding.export, offboarding.off_at, &known.off) else {
        return Err(refused(steps::may_destroy(offboarding, 0, now).err().unwrap_or_default()));
    };
    let later = export::recorded_since(client, export.entries).await?;
    steps::may_destroy(offboarding, later, now).map_err(refused)?;
    let Some(facts) = key_change::facts(store.app(), client.owner()).await? else {
        return Err(refused("It has no data keys, so there is nothing to destroy. Nothing was done."));
    };
    say_in_the_clients_log(client, known, export, &facts, off_at).await?;
    let places: Vec<ClientPlace> = ClientPlace::with_outbox().collect();
    Box::pin(audit::export::up_to_date(client, &places)).await?;
    anchor::anchor_last(client).await?;
    let end = client.read::<Published>(ClientPlace::Log(AuditPart::Head), audit::entry::HEAD_KEY).await?;
    let (Some(end), Some(signer)) = (end, Signer::find(store.app(), client.owner()).await?) else {
        return Err(refused("Its log has no checkpoint yet. Try again in some minutes. Nothing was destroyed."));
    };
    let raw = export::raw_names(client).await?;
    let days = store.app().config.offboarding;
    let record = Destroyed {
        tenant: known.client.id,
        client: known.client.name.clone(),
        by,
        at: now,
        off_at,
        epochs: facts.epoch,
        vault_key: facts.vault_key.clone(),
        vault_version: facts.vault_version.clone(),
        log: signer.origin().to_owned(),
        entries: end.value.tree.size(),
        root: end.value.tree.root().to_string(),
        export: export.clone(),
        backup_days: days.backup,
        vault_days: days.vault,
        raw: raw.len(),
        raw_left: raw,
    };
    mark(store, known, now).await?;
    let done = key_change::destroy(store, known.client.id, &facts, |batch| {
        batch.create(&record);
        let detail = json!({
            "epochs": record.epochs, "vault_key": record.vault_key, "vault_version": record.vault_version, "log": record.log,
            "entries": record.entries, "root": record.root, "export": record.export.manifest, "kept_at": record.export.kept_at,
        });
        say(batch, known, "client.offboarding.destroyed", detail);
    });
    if !done.await? {
        // The keys changed a moment ago, or somebody else destroyed them: the page shows which.
        return Err(StoreError::Refused { refused: vec![] }.into());
    }
    match store.read::<Destroyed>(export::beside_keys(known), &record.key()).await? {
        Some(held) => Ok(delete_raw(store, known, held).await?),
        None => Ok(()),
    }
}

/// The keys lie beside the directory, in another batch: by this mark, whoever takes it back at the same moment finds it moved,
/// or we do. No entry of the log goes with it: the client's own says already what begins.
async fn mark(store: &Directory<'_>, known: &Known, now: OffsetDateTime) -> Result<(), OffboardingError> {
    let held = known.under_way()?;
    let destroying_at = held.value.destroying_at.or(Some(now));
    let mut batch = store.batch(DeploymentPlace::Directory);
    // A try that goes on writes it too: what it saw must still stand.
    batch.replace(&Held { value: Offboarding { destroying_at, ..held.value.clone() }, etag: held.etag.clone() });
    Ok(batch.commit().await?)
}

/// Once, however often it is tried.
async fn say_in_the_clients_log(
    client: &Store<'_, ClientPlace>,
    known: &Known,
    export: &Export,
    facts: &Facts,
    off_at: OffsetDateTime,
) -> Result<(), StoreError> {
    let ending = Ending { off_at: off_at.unix_timestamp() };
    let mut batch = client.batch(ClientPlace::Assessment);
    batch.create(&ending);
    let detail = json!({
        "off_at": off_at.unix_timestamp(), "epochs": facts.epoch, "export": export.manifest, "kept_at": export.kept_at,
        "entries": export.entries, "root": export.root,
    });
    let event = audit::Event::new("client.offboarding.destroying", format!("client {}", known.client.id), detail);
    audit::record(&mut batch, event);
    match batch.commit().await {
        Err(error) if error.exists::<Ending>(&ending.key()) => Ok(()),
        other => other,
    }
}

/// Raw bytes whose deletion is noted together, and how many deletions are under way at once: a try that is cut off loses
/// at most so much of its work.
const NOTED: usize = 1024;
const AT_ONCE: usize = 16;

/// They lie under the installation's key, so the end of the client's keys does not close them.
async fn delete_raw(store: &Directory<'_>, known: &Known, mut held: Held<Destroyed>) -> Result<(), StoreError> {
    while !held.value.raw_left.is_empty() {
        let next = held.value.raw_left.len().saturating_sub(NOTED);
        let names = held.value.raw_left.split_off(next);
        for some in names.chunks(AT_ONCE) {
            try_join_all(some.iter().map(|name| store.app().blobs.delete(BlobContainer::Raw, name))).await?;
        }
        let mut batch = store.batch(export::beside_keys(known));
        batch.replace(&held);
        if held.value.raw_left.is_empty() {
            say(&mut batch, known, "client.offboarding.raw_deleted", json!({ "files": held.value.raw }));
        }
        let etag = batch.commit_with_etags().await?.into_iter().next().flatten();
        held.etag = etag.ok_or(StoreError::Refused { refused: Vec::new() })?;
    }
    Ok(())
}

/// Goes on where the request of the owner who destroyed the keys was cut off. By the sweep.
pub async fn finish(store: &Directory<'_>, client: TenantId) -> Result<(), StoreError> {
    let Some(known) = super::read(store, client).await? else { return Ok(()) };
    match known.destroyed.clone() {
        Some(destroyed) => delete_raw(store, &known, destroyed).await,
        None => Ok(()),
    }
}

/// Looks whether the vault is without the client's key, and notes when it was first found so. Assay deletes no key of a
/// vault: whoever holds it does.
pub async fn look_for_vault_key(store: &Directory<'_>, known: &Known) -> Result<(), OffboardingError> {
    let held = known.under_way()?;
    let Some(destroyed) = &known.destroyed else { return Err(refused("Destroy the data keys first. Nothing was done.")) };
    if held.value.vault_key_gone_at.is_some() {
        return Ok(());
    }
    must_be_gone(store, &destroyed.value).await?;
    let next = Offboarding { vault_key_gone_at: Some(store.app().now()), ..held.value.clone() };
    let detail = json!({ "vault_key": destroyed.value.vault_key });
    super::put(store, known, next, "client.offboarding.vault_key_gone", detail).await
}

pub(super) async fn must_be_gone(store: &Directory<'_>, destroyed: &Destroyed) -> Result<(), OffboardingError> {
    match store.app().vault.newest_version(&destroyed.vault_key).await {
        Err(error) if error.kind == PortErrorKind::Missing => Ok(()),
        Ok(_) => Err(refused("The key is still in the vault, or is there again. Nothing was done.")),
        Err(error) if matches!(error.kind, PortErrorKind::Denied | PortErrorKind::Disabled) => Err(refused(
            "The vault does not say whether the key is there: Assay may not look at it, or it is disabled only. It counts when it is deleted. Nothing was done.",
        )),
        Err(error) => Err(StoreError::from(error).into()),
    }
}

#[cfg(test)]
impl Destroyed {
    pub(super) fn example(at: OffsetDateTime, backup_days: u16, vault_days: u16) -> Self {
        let (by, tenant) = (PersonId(uuid::Uuid::nil()), TenantId(uuid::Uuid::nil()));
        let export = Export {
            by: crate::tenancy::Actor::Function("test".into()),
            at,
            entries: 7,
            root: "r".into(),
            manifest: "aa".into(),
            files: 3,
            unreadable: 0,
            kept_at: Some("Vault 7".into()),
        };
        Self {
            tenant,
            client: "Harbor".into(),
            by,
            at,
            off_at: at,
            epochs: 2,
            vault_key: "k".into(),
            vault_version: "1".into(),
            log: "l".into(),
            entries: 9,
            root: "r".into(),
            export,
            backup_days,
            vault_days,
            raw_left: Vec::new(),
            raw: 0,
        }
    }
}
