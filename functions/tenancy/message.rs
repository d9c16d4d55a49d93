//! Queue messages: versioned, small, and with a MAC, because whoever can write to a queue could otherwise name a client.
//!
//! The MAC covers function, version, client, id and body under the deployment's key. A message that does not verify is
//! dead-lettered and audited by the trigger, never processed. Bodies point to stored bytes; they carry no content.

use std::sync::Arc;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL};
use bytes::Bytes;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use uuid::Uuid;

use super::{
    StoreError, TenantId,
    keys::{self, Owner},
    seal::{DataKey, FIRST_EPOCH, SealError},
};
use crate::app::App;

/// The form on the queue. The body is JSON text inside a string, so that the MAC covers exact bytes.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wire {
    v: u32,
    function: String,
    tenant: Option<TenantId>,
    id: Uuid,
    body: String,
    mac: String,
    /// Under which of the installation's data keys; said from the second on, which no earlier release knows.
    #[serde(default = "first", skip_serializing_if = "is_first")]
    key: u32,
}

fn first() -> u32 {
    FIRST_EPOCH
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands it over so")]
fn is_first(key: &u32) -> bool {
    *key == FIRST_EPOCH
}

const VERSION: u32 = 1;

/// A message whose MAC held. The only thing besides sign-in and sweep that a scope can be made of.
#[derive(Clone, Debug)]
pub struct Verified {
    function: String,
    tenant: Option<TenantId>,
    id: Uuid,
    body: String,
}

#[derive(Debug, thiserror::Error)]
pub enum MessageError {
    /// Not ours, or damaged: will not become better by redelivery.
    #[error("message is not in the form of this product")]
    Form,
    #[error("message is for function {0}")]
    OtherFunction(String),
    #[error("message version {0} is not known to this release")]
    Version(u32),
    #[error("message authentication code does not hold")]
    Mac,
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl MessageError {
    /// Whether redelivery may help; everything else is a dead letter.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Store(error) if error.is_transient())
    }
}

impl Verified {
    pub fn function(&self) -> &str {
        &self.function
    }

    pub fn tenant(&self) -> Option<TenantId> {
        self.tenant
    }

    /// The payload id: the same on every redelivery.
    pub fn id(&self) -> Uuid {
        self.id
    }

    pub fn body<T: DeserializeOwned>(&self) -> Result<T, MessageError> {
        serde_json::from_str(&self.body).map_err(|_| MessageError::Form)
    }
}

/// Builds the message for `function`.
pub async fn seal(app: &App, function: &str, tenant: Option<TenantId>, id: Uuid, body: &impl Serialize) -> Result<Bytes, StoreError> {
    made(app, function, tenant, id, serde_json::to_string(body).map_err(shape)?).await
}

/// The same message under the newest data key: only for one that was found authentic while its own still counted.
pub async fn renew(app: &App, bytes: &[u8]) -> Result<Bytes, StoreError> {
    let wire: Wire = serde_json::from_slice(bytes).map_err(shape)?;
    made(app, &wire.function, wire.tenant, wire.id, wire.body).await
}

async fn made(app: &App, function: &str, tenant: Option<TenantId>, id: Uuid, body: String) -> Result<Bytes, StoreError> {
    let key = keys::data_key(app, Owner::Deployment).await?;
    let unreadable = |_| keys::unreadable(Owner::Deployment);
    let (epoch, mac) = key.message_mac(&parts(VERSION, function, tenant, id, &body).each_ref().map(Vec::as_slice)).map_err(unreadable)?;
    let wire = Wire { v: VERSION, function: function.into(), tenant, id, body, mac: BASE64URL.encode(mac), key: epoch };
    Ok(serde_json::to_vec(&wire).map_err(shape)?.into())
}

fn shape(source: serde_json::Error) -> StoreError {
    StoreError::Shape { document: "message".into(), source: Arc::new(source) }
}

/// Verifies a message that arrived for `function`.
pub async fn open(app: &App, function: &str, bytes: &[u8]) -> Result<Verified, MessageError> {
    let wire: Wire = serde_json::from_slice(bytes).map_err(|_| MessageError::Form)?;
    if wire.v != VERSION {
        return Err(MessageError::Version(wire.v));
    }
    let key = keys::data_key(app, Owner::Deployment).await?;
    let holds = match holds(&key, &wire) {
        // Of a rotation that this process may not have heard of.
        Err(SealError::Epoch { .. }) => match Box::pin(keys::find_again(app, Owner::Deployment)).await? {
            Some(newer) => holds(&newer, &wire),
            None => Ok(false),
        },
        other => other,
    };
    if !holds.is_ok_and(|holds| holds) {
        return Err(MessageError::Mac);
    }
    if wire.function != function {
        return Err(MessageError::OtherFunction(wire.function));
    }
    Ok(Verified { function: wire.function, tenant: wire.tenant, id: wire.id, body: wire.body })
}

fn holds(key: &DataKey, wire: &Wire) -> Result<bool, SealError> {
    let Ok(mac) = BASE64URL.decode(&wire.mac) else { return Ok(false) };
    key.message_mac_holds(wire.key, &parts(wire.v, &wire.function, wire.tenant, wire.id, &wire.body).each_ref().map(Vec::as_slice), &mac)
}

fn parts(version: u32, function: &str, tenant: Option<TenantId>, id: Uuid, body: &str) -> [Vec<u8>; 6] {
    [
        b"assay queue message".to_vec(),
        version.to_be_bytes().to_vec(),
        function.as_bytes().to_vec(),
        tenant.map(|t| t.0.as_bytes().to_vec()).unwrap_or_default(),
        id.as_bytes().to_vec(),
        body.as_bytes().to_vec(),
    ]
}
