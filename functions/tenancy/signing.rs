//! The installation's signing keys: ES256 under keys of the vault that never leave it, one for each use.
//!
//! A signature names its key by `kid`, a digest of the public point, so that a moved vault or a renamed version changes
//! nothing. Rotation is a new version of the vault's key; a version that is disabled there is retired, and what it
//! signed no longer verifies here. Public halves are remembered for five minutes.

use std::{sync::Arc, time::Duration};

use aws_lc_rs::{
    digest::{SHA256, digest},
    signature::{ECDSA_P256_SHA256_FIXED, ParsedPublicKey},
};

use super::{StoreError, keys::Owner, seal::hex};
use crate::{
    app::App,
    platform::ports::{POINT_BYTES, PortError, PortErrorKind},
};

/// What a key signs; no key signs for two uses, so that no signature can be taken for another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SigningUse {
    /// Links in mails and cards, and the tokens of decision forms.
    Links,
    /// A named human's answer to one proposal version, a policy as it was approved, the record of an owner's data keys, a
    /// certificate of destruction: JSON, bytes with tags of their own, and text, so that none can stand for another.
    Receipts,
    /// The audit log's checkpoints.
    Checkpoints,
}

impl SigningUse {
    pub const ALL: [Self; 3] = [Self::Links, Self::Receipts, Self::Checkpoints];

    /// The key's name in the vault, beside the installation's own.
    pub fn key(self) -> &'static str {
        match self {
            Self::Links => "links",
            Self::Receipts => "receipts",
            Self::Checkpoints => "checkpoints",
        }
    }
}

/// A signature and which key made it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signed {
    pub kid: String,
    /// r and s of P-256, 32 bytes each (RFC 7518 3.4).
    pub signature: [u8; 64],
}

/// The public half of one version of a signing key.
#[derive(Clone, Debug)]
pub struct VerifyingKey {
    kid: String,
    version: String,
    point: Vec<u8>,
    key: ParsedPublicKey,
}

impl VerifyingKey {
    /// From a point of P-256, uncompressed (65 bytes); `None` for anything else.
    pub fn from_point(point: &[u8]) -> Option<Self> {
        Self::of("", point)
    }

    fn of(version: &str, point: &[u8]) -> Option<Self> {
        let key = ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).ok().filter(|_| point.len() == POINT_BYTES)?;
        Some(Self { kid: kid(point), version: version.into(), point: point.to_vec(), key })
    }

    pub fn kid(&self) -> &str {
        &self.kid
    }

    pub fn point(&self) -> &[u8] {
        &self.point
    }

    /// Whether this key made the signature (r and s, 64 bytes) over the SHA-256 of the message.
    pub fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        self.key.verify_sig(message, signature).is_ok()
    }
}

/// A message of several parts, each with its length in bytes before it as 64 bits, big-endian: no two are one.
pub fn framed(parts: &[&[u8]]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(parts.iter().map(|part| 8 + part.len()).sum());
    for part in parts {
        bytes.extend_from_slice(&(part.len() as u64).to_be_bytes());
        bytes.extend_from_slice(part);
    }
    bytes
}

/// The first 16 hex digits of the SHA-256 of a public point.
fn kid(point: &[u8]) -> String {
    hex(&digest(&SHA256, point).as_ref()[..8])
}

/// How long public halves are remembered: so long a retired key may still count.
const KEEP: Duration = Duration::from_mins(5);
/// How soon the vault is asked again for a name that is not known.
const ASK_AGAIN: Duration = Duration::from_secs(10);

/// Signs the SHA-256 of the message with the newest version of the key for this use.
pub async fn sign(app: &App, usage: SigningUse, message: &[u8]) -> Result<Signed, StoreError> {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest(&SHA256, message).as_ref());
    let made = app.vault.sign(usage.key(), &hash).await.map_err(refused)?;
    let by_version = |keys: &[VerifyingKey]| keys.iter().find(|key| key.version == made.version).cloned();
    let key = match by_version(&verifying_keys(app, usage).await?) {
        Some(key) => key,
        // Rotated since they were fetched.
        None => by_version(&fetch(app, usage).await.map_err(refused)?)
            .ok_or_else(|| refused(PortError::new(usage.key(), PortErrorKind::Missing)))?,
    };
    match <[u8; 64]>::try_from(made.bytes) {
        // Looked at before it goes out: a signature that nobody can verify is worse than none.
        Ok(signature) if key.verifies(message, &signature) => Ok(Signed { kid: key.kid, signature }),
        _ => Err(refused(PortError::new(usage.key(), PortErrorKind::Unreadable))),
    }
}

/// The enabled keys of this use, newest first.
pub async fn verifying_keys(app: &App, usage: SigningUse) -> Result<Arc<[VerifyingKey]>, StoreError> {
    known(app, usage).await.map_err(refused)
}

/// The enabled key of this name; `None` when there is none, also when it was retired. A name that is not known may be a
/// newer key's: then the vault is asked again, but not for each of those who send garbage.
pub async fn verifying_key(app: &App, usage: SigningUse, kid: &str) -> Result<Option<VerifyingKey>, StoreError> {
    find(app, usage, kid).await.map_err(refused)
}

/// [`verifying_key`], for whose trouble is not the installation's alone.
pub(super) async fn find(app: &App, usage: SigningUse, kid: &str) -> Result<Option<VerifyingKey>, PortError> {
    let by_name = |keys: &[VerifyingKey]| keys.iter().find(|key| key.kid == kid).cloned();
    if let Some(key) = by_name(&known(app, usage).await?) {
        return Ok(Some(key));
    }
    // One looks, and whoever meets the same key at that moment finds what that one found.
    let looks = app.memory.slot::<tokio::sync::Mutex<()>>(&format!("{}/looks", remembered(usage)));
    let _turn = looks.lock().await;
    if let Some(key) = by_name(&known(app, usage).await?) {
        return Ok(Some(key));
    }
    if !app.cache.allow(&format!("{}/again", remembered(usage)), 1, app.now(), ASK_AGAIN) {
        return Ok(None);
    }
    Ok(by_name(&fetch(app, usage).await?))
}

async fn known(app: &App, usage: SigningUse) -> Result<Arc<[VerifyingKey]>, PortError> {
    match app.memory.recall::<Arc<[VerifyingKey]>>(&remembered(usage), app.now() - KEEP) {
        Some(keys) => Ok(Arc::clone(&keys)),
        None => fetch(app, usage).await,
    }
}

async fn fetch(app: &App, usage: SigningUse) -> Result<Arc<[VerifyingKey]>, PortError> {
    let (name, moment) = (remembered(usage), app.memory.moment(&remembered(usage)));
    let found = app.vault.public_keys(usage.key()).await?;
    let keys: Option<Vec<_>> = found.iter().map(|public| VerifyingKey::of(&public.version, &public.point)).collect();
    let keys: Arc<[VerifyingKey]> = keys.ok_or_else(|| PortError::new(usage.key(), PortErrorKind::Unreadable))?.into();
    app.memory.keep(&name, Arc::new(Arc::clone(&keys)), moment, app.now());
    Ok(keys)
}

fn remembered(usage: SigningUse) -> String {
    format!("verifying-keys/{}", usage.key())
}

fn refused(source: PortError) -> StoreError {
    StoreError::Key { owner: Owner::Deployment.to_string(), source }
}
