//! What signs an installation's logs: an Ed25519 key of its own beside the vault's, and the name under which each log is known.
//!
//! Vaults sign with P-256 only, and the verifiers that auditors have take Ed25519 only; so each checkpoint carries a line of
//! each. This key is made once, before the first log is published, sealed under the installation's data key, and never shown;
//! the name is drawn with it, since an address may change and a log's name must not. What is handed to an auditor are the
//! verifier keys.

use std::{fmt, time::Duration};

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use serde::{Deserialize, Serialize};
use serde_json::json;
use zeroize::Zeroizing;

use super::{
    Event, record, tiles,
    tlog::{VerifierKey, note},
};
use crate::{
    app::App,
    platform::ports::{BlobContainer, PortError, PortErrorKind},
    tenancy::{
        DeploymentPlace, DeploymentScope, Record, StoreError,
        keys::Owner,
        signing::{self, SigningUse, VerifyingKey},
    },
};

/// Kept sealed, like every record.
#[derive(Clone, Serialize, Deserialize)]
struct LogKey {
    /// What every log's name begins with.
    installation: String,
    /// Base64 of the 32 bytes of RFC 8032's private key.
    seed: Zeroizing<String>,
}

impl Record for LogKey {
    const KIND: &'static str = "log-key";
    const SCHEMA: u32 = 1;

    fn key(&self) -> String {
        KEY.into()
    }
}

const KEY: &str = "1";

/// As long as a data key: a revoked installation key stops it too.
const KEEP: Duration = Duration::from_mins(5);

/// Signs one owner's log.
pub struct Signer {
    origin: String,
    pair: Ed25519KeyPair,
    ed25519: VerifierKey,
}

/// What verifies one owner's log: given to an auditor by another way than the log itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogKeys {
    pub ed25519: VerifierKey,
    /// The vault's, newest first; more than one after a rotation.
    pub p256: Vec<VerifierKey>,
}

impl Signer {
    /// The owner's, with the installation's key, which is made if no log was published yet.
    pub async fn of(app: &App, owner: Owner) -> Result<Self, StoreError> {
        make_first(app).await?;
        Self::find(app, owner).await?.ok_or_else(gone)
    }

    /// The same, where one must be there already: makes nothing.
    pub async fn find(app: &App, owner: Owner) -> Result<Option<Self>, StoreError> {
        find(app).await?.map(|key| Self::new(&key, owner).ok_or_else(unreadable)).transpose()
    }

    fn new(key: &LogKey, owner: Owner) -> Option<Self> {
        let origin = format!("{}/{owner}", key.installation);
        let seed = Zeroizing::new(BASE64.decode(key.seed.as_str()).ok()?);
        let pair = Ed25519KeyPair::from_seed_unchecked(&seed).ok()?;
        let ed25519 = VerifierKey::ed25519(&origin, pair.public_key().as_ref().try_into().ok()?).ok()?;
        Some(Self { origin, pair, ed25519 })
    }

    /// The log's name, which its checkpoints begin with.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    pub fn ed25519(&self) -> &VerifierKey {
        &self.ed25519
    }

    /// The signed note: the text and a line of each key.
    pub async fn sign(&self, app: &App, text: &str) -> Result<String, StoreError> {
        let ours = self.ed25519.line(self.pair.sign(text.as_bytes()).as_ref());
        let signed = signing::sign(app, SigningUse::Checkpoints, text.as_bytes()).await?;
        let key = signing::verifying_key(app, SigningUse::Checkpoints, &signed.kid).await?.ok_or_else(unreadable)?;
        let vaults = self.vault_key(&key)?.line(&note::der(&signed.signature));
        Ok(format!("{text}\n{ours}{vaults}"))
    }

    /// All keys that verify this log now.
    pub async fn keys(&self, app: &App) -> Result<LogKeys, StoreError> {
        let vaults = signing::verifying_keys(app, SigningUse::Checkpoints).await?;
        let p256 = vaults.iter().map(|key| self.vault_key(key)).collect::<Result<_, _>>()?;
        Ok(LogKeys { ed25519: self.ed25519.clone(), p256 })
    }

    fn vault_key(&self, key: &VerifyingKey) -> Result<VerifierKey, StoreError> {
        VerifierKey::p256(&self.origin, key.point()).map_err(|_| unreadable())
    }
}

impl fmt::Display for LogKeys {
    /// One key a line, the way `assay verify --key` reads a file.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.ed25519)?;
        self.p256.iter().try_for_each(|key| writeln!(f, "{key}"))
    }
}

async fn find(app: &App) -> Result<Option<LogKey>, StoreError> {
    if let Some(kept) = app.cache.get(CACHED, app.now()) {
        return Ok(serde_json::from_slice(&kept).ok());
    }
    let store = scope().store(app).await?;
    let Some(held) = store.read::<LogKey>(DeploymentPlace::Operations, KEY).await? else { return Ok(None) };
    if let Ok(bytes) = serde_json::to_vec(&held.value) {
        app.cache.put(CACHED, Zeroizing::new(bytes), app.now(), KEEP);
    }
    Ok(Some(held.value))
}

const CACHED: &str = "log-key";

/// Makes the installation's key before its first log is published. Where a checkpoint lies, the key that signed it is lost
/// and not missing: another would give every log another name and disown what auditors keep.
pub async fn make_first(app: &App) -> Result<(), StoreError> {
    if find(app).await?.is_some() {
        return Ok(());
    }
    // An owner's checkpoint is listed before its tiles.
    let listed = app.blobs.list(BlobContainer::Log, "", None).await?.names;
    if listed.iter().any(|name| name.ends_with(tiles::CHECKPOINT)) { Ok(()) } else { Box::pin(make(app)).await }
}

async fn make(app: &App) -> Result<(), StoreError> {
    let mut seed = Zeroizing::new([0; 32]);
    app.ids.random(seed.as_mut());
    let key = LogKey { installation: format!("assay-{}", app.ids.uuid().simple()), seed: Zeroizing::new(BASE64.encode(seed.as_ref())) };
    let store = scope().store(app).await?;
    let mut batch = store.batch(DeploymentPlace::Operations);
    batch.create(&key);
    record(&mut batch, Event::new("log.key-made", "log", json!({ "installation": key.installation })));
    // Where another process was faster, its key is there now.
    batch.commit_unless_overtaken().await.map(drop)
}

fn scope() -> DeploymentScope {
    DeploymentScope::of_function("publish", "log-key")
}

/// What to do where the key is lost.
pub const GONE: &str = "the installation's key of its logs is gone: put its record `log-key` back from a backup";

pub fn gone() -> StoreError {
    PortError::new(GONE, PortErrorKind::Unreadable).into()
}

fn unreadable() -> StoreError {
    PortError::new("the key of the logs", PortErrorKind::Unreadable).into()
}
