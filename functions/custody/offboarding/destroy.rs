//! The destruction of a client's data keys, all epochs at once, and of the raw bytes that its evidence was read from.
//!
//! The client's log hears of it first, since nothing can be sealed for it afterwards, and is published and copied away as it
//! then stands: leaves hold commitments only, so it verifies for ever. Then the offboarding is marked, so that nobody takes it
//! back any more, and ONE batch takes the wrapped keys away, writes down what was destroyed and puts the audit item beside it.
//! Where the keys cannot be used any more, nothing can be sealed for the client's log: it ends as it was last published.
//! Whatever step is the last of a process, the next try goes on: before the mark all can be taken back, before that batch
//! nothing is destroyed, after it only the raw bytes are left to delete.

use futures_util::future::try_join_all;
use serde::{Deserialize, Serialize};
use serde_json::json;
use time::OffsetDateTime;

use super::{
    Directory, Export, Known, Offboarding, OffboardingError, export,
    no_export::{self, End, end_of_log, named_vault_keys},
    person, refused, say, steps,
    vault_key::{kept_for, watch},
};
use crate::{
    audit::{self, anchor, log_key::Signer, publisher::Published},
    custody::vault_key,
    platform::ports::BlobContainer,
    tenancy::{
        ClientPlace, DeploymentPlace, Held, PersonId, Record, Store, StoreError, TenantId,
        ended::Ended,
        key_change::{self, Facts},
        keys::{self, Owner},
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
    /// Data keys 1 to this one; 0 where the record that said so is lost.
    pub epochs: u32,
    /// Which key of the vault wrapped them; empty where nobody knows which of the others it was.
    pub vault_key: String,
    pub vault_version: String,
    /// Other keys of a vault that wrapped them before, or may have where the record that named them is lost.
    #[serde(default)]
    pub other_vault_keys: Vec<String>,
    /// The name of the client's log, and how it ends.
    pub log: String,
    pub entries: u64,
    pub root: String,
    /// Entries of the newest copy of a checkpoint that the end was compared with, 0 where there is none; absent where it was
    /// not compared.
    #[serde(default)]
    pub log_copy: Option<u64>,
    /// Why the log's end is in doubt, and what its owner says of it, who destroyed the keys all the same.
    #[serde(default)]
    pub log_alarm: Option<String>,
    #[serde(default)]
    pub about_alarm: Option<String>,
    /// Vault keys that the installation's log names and the client's record of its earlier ones did not.
    #[serde(default)]
    pub unrecorded_vault_keys: Vec<String>,
    /// Whether that log could be read back to when the client was added.
    #[serde(default)]
    pub vault_keys_compared: bool,
    pub export: Export,
    /// What the settings said; of the vault, what it said itself where that is longer.
    pub backup_days: u16,
    pub vault_days: u16,
    /// How long the vault said that it keeps a deleted key; absent where it did not say it of each key.
    #[serde(default)]
    pub vault_says: Option<u16>,
    /// Raw bytes that are still to be deleted, and how many files there were that evidence was read from.
    pub raw_left: Vec<String>,
    pub raw: usize,
    /// How many there were of deliveries that had become no evidence; absent where they were not looked for, and left to the
    /// sweep.
    #[serde(default)]
    pub unread: Option<usize>,
}

impl Record for Destroyed {
    const KIND: &'static str = Ended::KIND;
    const SCHEMA: u32 = Ended::SCHEMA;

    fn key(&self) -> String {
        self.tenant.to_string()
    }
}

impl Destroyed {
    /// What is recorded of the client's end; one that does not open is none.
    pub async fn of(store: &Directory<'_>, tenant: TenantId) -> Result<Option<Self>, StoreError> {
        let held = store.read_if_it_opens::<Self>(DeploymentPlace::Keys(tenant), &tenant.to_string()).await?;
        Ok(held.map(|held| held.value))
    }

    /// How many files of raw bytes are deleted with it.
    pub fn files(&self) -> usize {
        self.raw + self.unread.unwrap_or_default()
    }

    /// Every key of a vault that ever wrapped the data keys, as far as it is known.
    pub fn vault_keys(&self) -> impl Iterator<Item = &str> {
        [self.vault_key.as_str()].into_iter().chain(self.other_vault_keys.iter().map(String::as_str)).filter(|key| !key.is_empty())
    }
}

const NO_RECORD: &str = "Its key record is not there, or is not as Assay signed it, so nobody could say what is destroyed. Put it back from a backup, then press once more. Nothing was done.";

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
/// its owner who ends it; `None` when its keys are destroyed already, or cannot be used any more. `about_alarm`: what they say
/// of a log whose end is in doubt. `unread`: names of raw bytes of the client that no evidence names.
pub async fn destroy(
    store: &Directory<'_>,
    client: Option<&Store<'_, ClientPlace>>,
    known: &Known,
    about_alarm: &str,
    unread: Vec<String>,
) -> Result<(), OffboardingError> {
    if let Some(destroyed) = &known.destroyed {
        return Ok(delete_raw(store, known, destroyed.clone()).await?);
    }
    let (by, now) = (person(store)?, store.app().now());
    let (offboarding, owner) = (&known.under_way()?.value, Owner::Tenant(known.client.id));
    let (Some(export), Some(off_at), Some(_)) = (&offboarding.export, offboarding.off_at, &known.off) else {
        return Err(refused(steps::may_destroy(offboarding, Some(0), now).err().unwrap_or_default()));
    };
    if client.is_none() && keys::lasting_trouble(store.app(), owner).await?.is_none() {
        return Err(refused("Its keys can be used again, or there are none. Look at what stands below. Nothing was done."));
    }
    let later = match client {
        Some(client) => Some(export::recorded_since(client, export.entries).await?),
        None => None,
    };
    steps::may_destroy(offboarding, later, now).map_err(refused)?;
    let standing = key_change::standing(store.app(), owner).await?;
    let (end, raw) = match (client, &standing.facts) {
        (Some(client), Some(facts)) => Box::pin(last_words(client, known, export, facts, off_at)).await?,
        (Some(_), None) => return Err(refused(NO_RECORD)),
        // Nothing can be sealed for its log, and no record says which raw bytes were its own.
        (None, _) => (end_of_log(store.app(), owner).await?, Vec::new()),
    };
    let about_alarm = end.alarm.as_deref().map(|what| no_export::about(what, about_alarm)).transpose()?;
    let former = vault_key::former(store, known.client.id).await?.into_iter().map(|one| one.key).collect::<Vec<_>>();
    // Where the key record is lost, or is not as Assay signed it, what was named for the client says which they are.
    let named = if client.is_none() { named_vault_keys(store, known.client.id).await? } else { Vec::new() };
    let (vault_key, vault_version) = match &standing.facts {
        Some(facts) => (facts.vault_key.clone(), facts.vault_version.clone()),
        // Which one of several was the last, nobody knows any more.
        None => (if let [one] = &named[..] { one.clone() } else { String::new() }, String::new()),
    };
    let logged = Box::pin(vault_key::named_in_log(store, known.client.id)).await?;
    let recorded = [vec![vault_key.clone()], former, named].concat();
    let is_among = |key: &str, keys: &[String]| keys.iter().any(|other| vault_key::is_same(key, other));
    let unrecorded_vault_keys: Vec<String> = logged.keys.iter().filter(|key| !is_among(key, &recorded)).cloned().collect();
    let mut other_vault_keys: Vec<String> = Vec::new();
    for key in recorded.iter().chain(&logged.keys).filter(|key| !key.is_empty() && !vault_key::is_same(key, &vault_key)) {
        if !is_among(key, &other_vault_keys) {
            other_vault_keys.push(key.clone());
        }
    }
    other_vault_keys.sort_unstable();
    let days = store.app().config.offboarding;
    // Before anything is destroyed: when the key is deleted nobody can ask any more.
    let named = [vault_key.as_str()].into_iter().chain(other_vault_keys.iter().map(String::as_str)).filter(|key| !key.is_empty());
    let vault_says = Box::pin(kept_for(store.app(), named)).await;
    let record = Destroyed {
        tenant: known.client.id,
        client: known.client.name.clone(),
        by,
        at: now,
        off_at,
        epochs: standing.facts.as_ref().map_or(0, |facts| facts.epoch),
        vault_key,
        vault_version,
        other_vault_keys,
        log: end.log,
        entries: end.entries,
        root: end.root,
        log_copy: end.copy,
        log_alarm: end.alarm,
        about_alarm,
        unrecorded_vault_keys,
        vault_keys_compared: logged.is_whole,
        export: export.clone(),
        backup_days: days.backup,
        vault_days: days.vault.max(vault_says.unwrap_or_default()),
        vault_says,
        raw: raw.len(),
        unread: Some(unread.len()),
        raw_left: [raw, unread].concat(),
    };
    mark(store, known, now).await?;
    let done = key_change::destroy(store, known.client.id, &standing, |batch| {
        batch.create(&record);
        let detail = json!({
            "epochs": record.epochs, "vault_key": record.vault_key, "vault_version": record.vault_version, "log": record.log,
            "entries": record.entries, "root": record.root, "export": record.export.manifest, "kept_at": record.export.kept_at,
            "other_vault_keys": record.other_vault_keys, "not_exportable": record.export.not_possible, "record_lost": !standing.is_there(),
            "alarm": record.log_alarm, "about_alarm": record.about_alarm,
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

/// The client's log hears what comes, is published and copied away; its end, and the names of the client's raw bytes.
async fn last_words(
    client: &Store<'_, ClientPlace>,
    known: &Known,
    export: &Export,
    facts: &Facts,
    off_at: OffsetDateTime,
) -> Result<(End, Vec<String>), OffboardingError> {
    say_in_the_clients_log(client, known, export, facts, off_at).await?;
    let places: Vec<ClientPlace> = ClientPlace::with_outbox().collect();
    Box::pin(audit::export::up_to_date(client, &places)).await?;
    let copy = anchor::anchor_last(client).await?;
    let end = client.read::<Published>(ClientPlace::Log(AuditPart::Head), audit::entry::HEAD_KEY).await?;
    let (Some(end), Some(signer), Some(copy)) = (end, Signer::find(client.app(), client.owner()).await?, copy) else {
        return Err(refused("Its log has no checkpoint yet. Try again in some minutes. Nothing was destroyed."));
    };
    let tree = end.value.tree;
    // It was compared with the copies just now, and copied: what does not agree ends it before this.
    let end = End { log: signer.origin().to_owned(), entries: tree.size(), root: tree.root().to_string(), copy: Some(copy), alarm: None };
    Ok((end, export::raw_names(client).await?))
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
            say(&mut batch, known, "client.offboarding.raw_deleted", json!({ "files": held.value.files() }));
        }
        let etag = batch.commit_with_etags().await?.into_iter().next().flatten();
        held.etag = etag.ok_or(StoreError::Refused { refused: Vec::new() })?;
    }
    Ok(())
}

/// Goes on where the request of the owner who destroyed the keys was cut off, and looks whether the vault key is still gone.
/// By the sweep.
pub async fn finish(store: &Directory<'_>, client: TenantId) -> Result<(), StoreError> {
    let Some(known) = super::read(store, client).await? else { return Ok(()) };
    if let Some(destroyed) = known.destroyed.clone() {
        delete_raw(store, &known, destroyed).await?;
        // Nothing brings its log up to date any more, so nothing would take an alarm of it away.
        audit::watch::forget(store, Owner::Tenant(client)).await?;
    }
    match watch(store, &known).await {
        Err(OffboardingError::Store(error)) => Err(error),
        _ => Ok(()),
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
            not_possible: None,
            earlier: None,
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
            other_vault_keys: Vec::new(),
            log: "l".into(),
            entries: 9,
            root: "r".into(),
            log_copy: Some(9),
            log_alarm: None,
            about_alarm: None,
            unrecorded_vault_keys: Vec::new(),
            vault_keys_compared: true,
            export,
            backup_days,
            vault_days,
            vault_says: None,
            raw_left: Vec::new(),
            raw: 0,
            unread: Some(0),
        }
    }
}
