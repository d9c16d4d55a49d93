//! The policy as it is stored: each version is signed (ES256, the receipts' key, a tag of its own) over client, version,
//! the SHA-256 of its text, the hash of the proposal that approved it, and the time. Nothing is decided or carried out
//! under one that does not verify, or that is older than the highest version that ever stood.
//!
//! Found: a policy that somebody wrote who cannot sign, also with the client's data key; one of another client; an older
//! version put back, or the record deleted, alone or with all else that lies under the client's key, because the highest
//! version and the hash of what approved it stand in the directory ([`crate::tenancy::policy_mark`]) under the deployment's
//! key. If that mark is deleted too, what the client's log says of changes is taken for the version ([`super::search`]).
//! If both are put back, the log says so when something is to run ([`crate::gate::ran`]) and at the next sweep. Not found
//! here: a policy, the mark and the log all put back to one earlier moment, which only a checkpoint that somebody kept
//! shows; and, by a decision, the moment between a change and its mark.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use time::{Duration, OffsetDateTime};

use super::{KEY, Policy};
use crate::{
    app::App,
    tenancy::{
        ClientPlace, Held, Record, Roster, Store, StoreError, TenantId,
        keys::Owner,
        seal::sha256,
        signing::{self, SigningUse},
    },
};

/// The first word of what is signed.
const TAG: &[u8] = b"assay policy 1";

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignedPolicy {
    version: u32,
    /// The exact text that was signed: JSON of a [`Policy`].
    text: String,
    /// The hash of the proposal that approved it.
    approved: String,
    #[serde(with = "time::serde::rfc3339")]
    at: OffsetDateTime,
    kid: String,
    /// r and s, base64url without padding; empty: an earlier release wrote it, which did not sign.
    signature: String,
}

impl Record for SignedPolicy {
    const KIND: &'static str = "policy";
    /// 2: signed.
    const SCHEMA: u32 = 2;

    fn key(&self) -> String {
        KEY.into()
    }

    fn revision(&self) -> u64 {
        self.version.into()
    }

    fn upgrade(_: u32, body: Value) -> Value {
        let at = "1970-01-01T00:00:00Z";
        json!({ "version": body["version"], "text": body.to_string(), "approved": "", "at": at, "kid": "", "signature": "" })
    }
}

/// Why nothing is done under the policy that is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unsound {
    #[error("its signature does not hold")]
    NotSigned,
    #[error("version {found} was put back where version {highest} stood")]
    Older { found: u32, highest: u32 },
    #[error("it is gone; version {highest} stood")]
    Gone { highest: u32 },
    /// Nobody knows yet which version stood last.
    #[error("the directory does not say which version stood")]
    Unmarked,
}

impl Unsound {
    /// For people: what is found, what follows, and what to do.
    pub fn sentence(self) -> String {
        let found = match self {
            Self::Unmarked => {
                return "Assay does not know which approval policy of this client stood last, and is reading its log to find out. Nothing is approved or carried out until it knows; rejecting is possible. It takes minutes, or some hours where the log is very long.".into();
            }
            Self::NotSigned => {
                "This client\u{2019}s approval policy is not as it was signed: somebody changed it without a decision.".into()
            }
            Self::Older { found, highest } => {
                format!("This client\u{2019}s approval policy was put back to version {found}, and version {highest} had been approved.")
            }
            Self::Gone { highest } => {
                format!("This client\u{2019}s approval policy is gone, and version {highest} had been approved.")
            }
        };
        format!(
            "{found} Nothing is approved or carried out under it; rejecting is possible. Within minutes Assay puts back what was approved, from its signed approvals, if they are still there. If this stays, find out who can write to the store, and restore the policy from a backup."
        )
    }
}

impl SignedPolicy {
    /// Signs a version that the proposal with this hash approved.
    pub async fn sign(app: &App, tenant: TenantId, policy: &Policy, approved: &str) -> Result<Self, StoreError> {
        let text = serde_json::to_string(policy)
            .map_err(|source| StoreError::Shape { document: "policy".into(), source: std::sync::Arc::new(source) })?;
        let (kid, signature) = (String::new(), String::new());
        let unsigned = Self { version: policy.version, text, approved: approved.into(), at: app.now(), kid, signature };
        let made = signing::sign(app, SigningUse::Receipts, &unsigned.bytes(tenant)).await?;
        Ok(Self { kid: made.kid, signature: BASE64URL.encode(made.signature), ..unsigned })
    }

    /// The hash of the proposal that approved it; empty where none is known.
    pub fn approved(&self) -> &str {
        &self.approved
    }

    /// Whether a release wrote it that did not sign.
    pub fn is_of_earlier_release(&self) -> bool {
        self.signature.is_empty()
    }

    /// What it says, whoever wrote it.
    pub fn unproved(&self) -> Option<Policy> {
        serde_json::from_str(&self.text).ok().filter(|policy: &Policy| policy.version == self.version)
    }

    /// What it says, if Assay signed it for this client. A key of the vault that cannot be asked is an error, not a no.
    pub async fn proved(&self, app: &App, tenant: TenantId) -> Result<Option<Policy>, StoreError> {
        let Ok(signature) = BASE64URL.decode(&self.signature) else { return Ok(None) };
        let Some(key) = signing::verifying_key(app, SigningUse::Receipts, &self.kid).await? else { return Ok(None) };
        Ok(self.unproved().filter(|_| key.verifies(&self.bytes(tenant), &signature)))
    }

    /// What is signed.
    fn bytes(&self, tenant: TenantId) -> Vec<u8> {
        let (tenant, hash) = (tenant.to_string(), sha256(self.text.as_bytes()));
        let (version, at) = (self.version.to_be_bytes(), self.at.unix_timestamp_nanos().to_be_bytes());
        signing::framed(&[TAG, tenant.as_bytes(), &version, hash.as_bytes(), self.approved.as_bytes(), &at])
    }
}

/// What stands for a client: the record as found (none: the defaults), held against its signature and the highest version
/// that is known to have stood.
pub async fn standing(
    app: &App,
    tenant: TenantId,
    found: Option<&Held<SignedPolicy>>,
    highest: u32,
) -> Result<Result<Policy, Unsound>, StoreError> {
    let Some(found) = found else {
        return Ok(if highest == 0 { Ok(Policy::default()) } else { Err(Unsound::Gone { highest }) });
    };
    Ok(match found.value.proved(app, tenant).await? {
        None => Err(Unsound::NotSigned),
        Some(policy) if policy.version < highest => Err(Unsound::Older { found: policy.version, highest }),
        Some(policy) => Ok(policy),
    })
}

/// The same for a page, which writes nothing.
pub async fn shown(
    store: &Store<'_, ClientPlace>,
    roster: &Roster,
    found: Option<&Held<SignedPolicy>>,
) -> Result<Result<Policy, Unsound>, StoreError> {
    let Owner::Tenant(tenant) = store.owner() else { return Ok(Err(Unsound::NotSigned)) };
    match roster.policy_mark(tenant) {
        None => Ok(Err(Unsound::Unmarked)),
        Some(mark) => standing(store.app(), tenant, found, mark.version).await,
    }
}

impl Policy {
    /// The client's policy as of now, if its signature holds. Whether an older one was put back, the caller's roster knows:
    /// [`standing`].
    pub async fn read(store: &Store<'_, ClientPlace>) -> Result<Result<Self, Unsound>, StoreError> {
        let Owner::Tenant(tenant) = store.owner() else { return Ok(Err(Unsound::NotSigned)) };
        let found = store.read::<SignedPolicy>(ClientPlace::Assessment, KEY).await?;
        standing(store.app(), tenant, found.as_ref(), 0).await
    }

    /// For staging: as it was half a minute ago at most, and the defaults where its signature does not hold. Whoever
    /// decides and carries out reads it anew, so a proposal that was staged under another one is found out there.
    pub async fn lately(store: &Store<'_, ClientPlace>) -> Result<std::sync::Arc<Self>, StoreError> {
        let (app, name) = (store.app(), store.owner().remembers(ClientPlace::Assessment, SignedPolicy::KIND));
        if let Some(policy) = app.memory.recall::<Self>(&name, app.now() - Duration::seconds(30)) {
            return Ok(policy);
        }
        let moment = app.memory.moment(&name);
        let policy = std::sync::Arc::new(Self::read(store).await?.unwrap_or_default());
        app.memory.keep(&name, policy.clone(), moment, app.now());
        Ok(policy)
    }
}
