//! The eight ports: all that Assay asks of the world outside its own process.
//!
//! They have the shape of what Azure really offers, so that an embedded store and Cosmos DB are one contract:
//! writes are atomic only inside one partition, a conflict is an answer and not an error, lists come in pages,
//! nothing is aggregated across partitions. No port names a tenant: callers hand over a [`Partition`] that only
//! `tenancy` makes. Adapters retry nothing for longer than a few seconds: redelivery is the queue's business.

use std::{fmt, sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use serde_json::Value;
use time::OffsetDateTime;
use uuid::Uuid;
use zeroize::Zeroizing;

/// Documents in partitions, with etags. Adapters: `platform/local` (redb), `platform/azure` (Cosmos DB).
#[async_trait]
pub trait Documents: Send + Sync {
    /// Point read; `None` when there is no such document.
    async fn read(&self, partition: &Partition, id: &str) -> Result<Option<Document>, PortError>;

    /// All or nothing, at most [`MAX_BATCH_OPS`] operations on distinct ids and [`MAX_BATCH_BYTES`], durable before it returns.
    async fn batch(&self, partition: &Partition, ops: Vec<Op>) -> Result<BatchOutcome, PortError>;

    /// One page of documents by id, in id order.
    async fn query(&self, partition: &Partition, query: &Query) -> Result<Page, PortError>;

    /// Documents of the partition created or replaced after `since`, oldest change first (those of
    /// one batch in any order), each once in its latest form.
    async fn changes(&self, partition: &Partition, since: Option<&ChangeToken>, limit: usize) -> Result<ChangePage, PortError>;
}

/// Operations one batch may hold (Cosmos DB: 100).
pub const MAX_BATCH_OPS: usize = 100;
/// Bytes that the bodies of one batch may hold. Cosmos DB takes 2 MB for all of the request, so ids, partition key and
/// what stands around each of 100 operations have room beside them.
pub const MAX_BATCH_BYTES: usize = 1800 * 1024;
/// Bytes one document may hold; well under Cosmos DB's 2 MB, so that a batch has room.
pub const MAX_DOCUMENT_BYTES: usize = 1024 * 1024;

/// Where documents that must change together live. Opaque: only `tenancy` makes one, from a scope.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Partition {
    container: Container,
    key: String,
}

impl Partition {
    /// Reserved for `tenancy` (and the contract suite): `tests/tidy.rs` fails on any other caller.
    pub fn reserved_for_tenancy(container: Container, key: String) -> Self {
        Self { container, key }
    }

    pub fn container(&self) -> Container {
        self.container
    }

    /// The partition key: opaque text without personal data.
    pub fn key(&self) -> &str {
        &self.key
    }
}

/// The Cosmos DB containers, and the tables of the embedded store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Container {
    /// What belongs to the MSP's installation: directory, connections, deliveries, dead letters.
    Deployment,
    /// What belongs to one client company.
    Clients,
    /// The entries of all logs, of clients and of the deployment. Nothing in it is ever replaced or deleted
    /// ([`super::append_only`]).
    Audit,
    /// What stands beside a log's entries and moves with them: its head, and how far it is published, copied and followed.
    Heads,
}

impl Container {
    pub const ALL: [Self; 4] = [Self::Deployment, Self::Clients, Self::Audit, Self::Heads];

    pub fn name(self) -> &'static str {
        match self {
            Self::Deployment => "deployment",
            Self::Clients => "clients",
            Self::Audit => "audit",
            Self::Heads => "heads",
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
pub struct Document {
    pub id: String,
    pub etag: Etag,
    pub body: Value,
}

/// Changes with every write of its document; opaque.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Etag(pub String);

#[derive(Clone, Debug, PartialEq)]
pub enum Op {
    /// Fails with [`OpStatus::Conflict`] when the id is taken.
    Create { id: String, body: Value },
    /// Fails with [`OpStatus::PreconditionFailed`] when the etag moved on, [`OpStatus::NotFound`] when it is gone.
    Replace { id: String, body: Value, if_match: Etag },
    /// Fails with [`OpStatus::NotFound`] when there is nothing to delete.
    Delete { id: String, if_match: Option<Etag> },
}

impl Op {
    pub fn id(&self) -> &str {
        match self {
            Self::Create { id, .. } | Self::Replace { id, .. } | Self::Delete { id, .. } => id,
        }
    }
}

/// A refused batch is an answer (Cosmos DB: `Ok` with status 207), so the caller must look at it.
#[must_use]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BatchOutcome {
    /// The new etag per operation, in order; `None` for a delete.
    Committed(Vec<Option<Etag>>),
    /// Nothing was written; the status per operation, in order.
    Refused(Vec<OpStatus>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpStatus {
    /// 409: the id exists.
    Conflict,
    /// 412: the etag is not the current one.
    PreconditionFailed,
    /// 404: nothing with this id.
    NotFound,
    /// 413: larger than [`MAX_DOCUMENT_BYTES`].
    TooLarge,
    /// 424: another operation of the batch did not work. Like Cosmos DB, only the first that fails says why.
    FailedDependency,
}

/// Which ids a query finds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IdMatch {
    Exact(String),
    /// The empty prefix finds everything.
    Prefix(String),
}

/// Most matches of one query.
pub const MAX_MATCHES: usize = 50;

/// Ids that match any of `matching`, from `after` (exclusive) on, in the order asked for: what one answer needs of a
/// partition costs one round trip, however many kinds of document that is. An id that several match comes once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Query {
    /// At most [`MAX_MATCHES`]; none finds nothing.
    pub matching: Vec<IdMatch>,
    pub after: Option<Continuation>,
    pub descending: bool,
    /// Documents per page; 0 means the adapter's default (100).
    pub limit: usize,
}

impl Query {
    pub fn prefix(prefix: impl Into<String>) -> Self {
        Self { matching: vec![IdMatch::Prefix(prefix.into())], ..Self::default() }
    }
}

/// Where the next page starts; opaque to callers, may be handed to a browser and back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Continuation(pub String);

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Page {
    pub documents: Vec<Document>,
    pub next: Option<Continuation>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangeToken(pub String);

#[derive(Clone, Debug, PartialEq)]
pub struct ChangePage {
    pub documents: Vec<Document>,
    /// Where to go on, also when the page is empty.
    pub token: ChangeToken,
}

/// Azure Storage queues; delivery to functions is the host's business, so the product only sends,
/// and reads the `*-poison` queues that the host fills.
#[async_trait]
pub trait Queue: Send + Sync {
    /// Durable before it returns. `delay` hides the message for that long.
    async fn send(&self, queue: &str, message: Bytes, delay: Duration) -> Result<(), PortError>;

    /// Up to `max` messages, hidden from others for `lease`.
    async fn receive(&self, queue: &str, max: usize, lease: Duration) -> Result<Vec<Received>, PortError>;

    /// Deletes a received message; a message that is gone already is not an error.
    async fn delete(&self, queue: &str, message: &Received) -> Result<(), PortError>;
}

/// Bytes one queue message may hold (Azure Storage: 64 KiB after base64).
pub const MAX_MESSAGE_BYTES: usize = 48 * 1024;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    pub id: String,
    pub pop_receipt: String,
    pub body: Bytes,
    pub dequeue_count: u32,
    pub inserted_at: OffsetDateTime,
}

/// Named byte strings, written once; and others that only grow, such as a log, which one writer at a time may hold.
#[async_trait]
pub trait Blobs: Send + Sync {
    /// Durable before it returns; an existing blob stays as it is.
    async fn create(&self, container: BlobContainer, name: &str, bytes: Bytes) -> Result<Creation, PortError>;

    async fn read(&self, container: BlobContainer, name: &str) -> Result<Option<Bytes>, PortError>;

    /// Names that start with `prefix`, in order, one page.
    async fn list(&self, container: BlobContainer, prefix: &str, after: Option<&Continuation>) -> Result<BlobPage, PortError>;

    /// The bytes, with what a [`Self::replace`] needs. Only in [`BlobContainer::Log`], like that.
    async fn read_held(&self, container: BlobContainer, name: &str) -> Result<Option<HeldBlob>, PortError>;

    /// Puts `bytes` where that etag still stands, or where nothing stands when there is none; durable before it returns.
    /// [`Replacing::Moved`] also when an earlier try of this very call came through and its answer was lost: who asks
    /// reads again.
    async fn replace(&self, container: BlobContainer, name: &str, bytes: Bytes, if_match: Option<Etag>) -> Result<Replacing, PortError>;

    /// Deleting what is not there is not an error; what somebody holds is [`PortErrorKind::Invalid`].
    async fn delete(&self, container: BlobContainer, name: &str) -> Result<(), PortError>;

    /// Adds `bytes`, at most [`MAX_APPEND_BYTES`], if the blob is `at` bytes long, durable before it returns; at 0 it is made
    /// when it is not there. A `lease` must be held, and while there is one nobody appends without it. A blob that was
    /// created whole does not grow ([`PortErrorKind::Invalid`]).
    ///
    /// Asking again after a lost answer is safe: bytes that stand at `at` already count as appended. Two writers are told
    /// apart by what they write, so an append holds something of its own, such as an id.
    async fn append(
        &self,
        container: BlobContainer,
        name: &str,
        at: u64,
        bytes: Bytes,
        lease: Option<LeaseId>,
    ) -> Result<Appending, PortError>;

    /// Holds the blob for `period`, 15 to 60 whole seconds, under an id that the caller draws; an empty blob that grows is
    /// made when there is none. The same id again begins the period anew. Whoever dies lets go by the end of it.
    async fn lease(&self, container: BlobContainer, name: &str, lease: LeaseId, period: Duration) -> Result<Leasing, PortError>;

    /// Begins the period anew; also after its end, as long as nobody else held or changed the blob since.
    async fn renew(&self, container: BlobContainer, name: &str, lease: LeaseId) -> Result<Leasing, PortError>;

    /// Lets go at once; letting go of what is not held is not an error.
    async fn release(&self, container: BlobContainer, name: &str, lease: LeaseId) -> Result<(), PortError>;

    /// What keeps this blob, or all of its container, from being changed or deleted.
    async fn retention(&self, container: BlobContainer, name: &str) -> Result<Retention, PortError> {
        let _ = (container, name);
        Ok(Retention::NotApplicable)
    }
}

/// A store's own promise not to change or delete what was written (Azure Storage: immutability policies).
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Retention {
    /// A folder, which knows no such thing.
    NotApplicable,
    /// Whoever may write can delete.
    None,
    /// A policy holds for the container. Whether it is locked, Azure tells only who manages the account.
    Policy,
    /// The blob is held until then, and whoever manages the account can still shorten that.
    Unlocked {
        #[serde(with = "time::serde::rfc3339::option")]
        until: Option<OffsetDateTime>,
    },
    /// Held until then, by nobody to be shortened.
    Locked {
        #[serde(with = "time::serde::rfc3339::option")]
        until: Option<OffsetDateTime>,
    },
}

impl Retention {
    /// For people; whole days from `now`.
    pub fn words(self, now: OffsetDateTime) -> String {
        let days = |until: Option<OffsetDateTime>| until.map(|until| format!(", {} days", (until - now).whole_days())).unwrap_or_default();
        match self {
            Self::NotApplicable => "a folder, which has no lock: copy it elsewhere".into(),
            Self::None => "UNLOCKED: no policy against changes; whoever may write there can delete the copies".into(),
            Self::Policy => "a policy of the container holds, and only the Azure portal shows whether it is locked: until it is, whoever manages the account can take it away. A policy of version level shows here".into(),
            Self::Unlocked { until } => format!("UNLOCKED: held{}, but the policy can still be taken away", days(until)),
            Self::Locked { until } => format!("locked{}", days(until)),
        }
    }

    /// Whether somebody has to see to it: it is not locked, as far as anybody told.
    pub fn is_open(self) -> bool {
        matches!(self, Self::None | Self::Policy | Self::Unlocked { .. })
    }
}

/// Bytes of one append, and appends that one blob takes (Azure Storage: blocks of an append blob).
pub const MAX_APPEND_BYTES: usize = 4 * 1024 * 1024;
pub const MAX_APPENDS: u32 = 50_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Creation {
    New,
    Existed,
}

/// A blob as read; the etag is another one as soon as its bytes are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldBlob {
    pub bytes: Bytes,
    pub etag: Etag,
}

#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Replacing {
    Replaced,
    /// Nothing was written: something else stands there.
    Moved,
}

#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Appending {
    /// How long the blob is with these bytes.
    Appended { length: u64 },
    /// Nothing was written: the blob is this long, and something else or nothing stands at the place.
    Moved { length: u64 },
    /// The lease is lost, or somebody holds one and none was given. What an earlier try wrote is for the next holder to find.
    NotHeld,
    /// It took [`MAX_APPENDS`] already: go on in another blob.
    Full,
}

#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leasing {
    Held,
    /// Somebody else holds it, or did since.
    NotHeld,
}

/// Who holds a blob; drawn anew for each time of holding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeaseId(pub Uuid);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum BlobContainer {
    /// Webhook bodies exactly as they came, and the text of records that are too large for a document; sealed.
    Raw,
    /// Mails of the file mailbox (local mode): files that a person can open.
    Mailbox,
    /// The tiles, bundles and newest checkpoint of each owner's audit log (C2SP tlog-tiles): no content, so not sealed.
    Log,
    /// Copies of checkpoints, written once; on Azure the one container that wants a policy against changes.
    Anchors,
}

impl BlobContainer {
    pub const ALL: [Self; 4] = [Self::Raw, Self::Mailbox, Self::Log, Self::Anchors];

    pub fn name(self) -> &'static str {
        match self {
            Self::Raw => "raw",
            Self::Mailbox => "mailbox",
            Self::Log => "log",
            Self::Anchors => "anchors",
        }
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BlobPage {
    pub names: Vec<String>,
    pub next: Option<Continuation>,
}

/// Keys that never leave the vault, and secrets that do.
#[async_trait]
pub trait Vault: Send + Sync {
    /// Wraps a data key under the key's newest version.
    async fn wrap(&self, key: &str, plain: &[u8]) -> Result<Wrapped, PortError>;

    /// [`PortErrorKind::Denied`] when the app's right to the key is revoked, [`PortErrorKind::Disabled`] when the key is
    /// switched off, [`PortErrorKind::Missing`] when it is gone.
    async fn unwrap(&self, wrapped: &Wrapped) -> Result<Zeroizing<Vec<u8>>, PortError>;

    /// Signs a SHA-256 digest with the key's newest version: ES256 (RFC 7518 3.4).
    async fn sign(&self, key: &str, digest: &[u8; 32]) -> Result<Signature, PortError>;

    /// The public half of every version of a signing key that is enabled, newest first: a version that somebody disabled is
    /// retired, and what it signed no longer verifies. Where keys are made on first use, this one is too.
    async fn public_keys(&self, key: &str) -> Result<Vec<PublicKey>, PortError>;

    /// [`PortErrorKind::Missing`] when there is none of this name.
    async fn secret(&self, name: &str) -> Result<Zeroizing<String>, PortError>;

    /// Whether a key is made on its first use; otherwise somebody names one that is there, or it is made by
    /// [`Vault::create_key`].
    fn makes_keys(&self) -> bool;

    /// A key of this name that wraps and unwraps and does nothing else, beside the installation's own; made when it is not
    /// there. Returns what names it to the other calls. [`PortErrorKind::Denied`] where the app may not make keys,
    /// [`PortErrorKind::Invalid`] where a deleted key of this name can still be recovered.
    async fn create_key(&self, name: &str) -> Result<String, PortError>;

    /// Which version of the key wraps now.
    async fn newest_version(&self, key: &str) -> Result<String, PortError>;

    /// How many days its vault would keep this key after somebody deleted it; `None`: this vault does not say.
    async fn recoverable_days(&self, key: &str) -> Result<Option<u16>, PortError> {
        let _ = key;
        Ok(None)
    }
}

/// A wrapped data key, kept beside what it protects; `version` names the vault key's version.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Wrapped {
    pub key: String,
    pub version: String,
    /// Base64 of the wrapped bytes.
    pub bytes: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signature {
    pub key: String,
    pub version: String,
    /// r and s, 32 bytes each, not DER.
    pub bytes: Vec<u8>,
}

/// One version of a signing key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicKey {
    pub version: String,
    /// A point of P-256, uncompressed: 0x04, x and y (65 bytes).
    pub point: Vec<u8>,
}

/// Bytes of [`PublicKey::point`].
pub const POINT_BYTES: usize = 65;

/// Who this app is to Entra ID.
#[async_trait]
pub trait Identity: Send + Sync {
    /// A token that stands for the app registration's secret (RFC 7523 2.2); [`PortErrorKind::Missing`] where the app has
    /// no identity of its own.
    async fn assertion(&self) -> Result<Zeroizing<String>, PortError>;

    /// A token for Azure Communication Services; [`PortErrorKind::Missing`] as above.
    async fn mail_token(&self) -> Result<Zeroizing<String>, PortError>;

    /// A token for the Marketplace's metering API; [`PortErrorKind::Missing`] as above.
    async fn metering_token(&self) -> Result<Zeroizing<String>, PortError>;

    /// Whether it can be had: asks for one token. [`PortErrorKind::Missing`] as above.
    async fn check(&self) -> Result<(), PortError>;
}

/// UTC now. Nothing else reads the clock (`clippy.toml`).
pub trait Clock: Send + Sync {
    fn now(&self) -> OffsetDateTime;
}

/// Ids and random bytes. Nothing else draws randomness (`clippy.toml`).
pub trait Ids: Send + Sync {
    /// A version 7 UUID: later ids sort after earlier ones of this process.
    fn uuid(&self) -> Uuid;

    fn random(&self, bytes: &mut [u8]);
}

/// Outgoing HTTP: one request, one response, no redirect followed, body and time limited.
#[async_trait]
pub trait Http: Send + Sync {
    async fn send(&self, request: HttpRequest) -> Result<HttpResponse, PortError>;
}

#[derive(Clone)]
pub struct HttpRequest {
    pub method: HttpMethod,
    pub url: url::Url,
    /// Names as the vendor writes them.
    pub headers: Vec<(String, String)>,
    pub body: Bytes,
    pub timeout: Duration,
    /// A longer answer is [`PortErrorKind::TooLarge`].
    pub max_response_bytes: usize,
}

impl fmt::Debug for HttpRequest {
    /// Without headers, query and body: they carry credentials.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} {}{}", self.method, self.url.host_str().unwrap_or_default(), self.url.path())
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HttpMethod {
    Get,
    Post,
    Patch,
}

#[derive(Clone, Debug)]
pub struct HttpResponse {
    pub status: u16,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: Bytes,
}

impl HttpResponse {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }
}

/// What went wrong at a port, and with which resource; the adapter's own error is the source.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{resource}: {kind}{}", advice.map(|advice| format!("; {advice}")).unwrap_or_default())]
pub struct PortError {
    pub resource: String,
    pub kind: PortErrorKind,
    /// What a person does about just this one, where the service's own word tells more than the kind.
    pub advice: Option<&'static str>,
    #[source]
    pub source: Option<Arc<dyn std::error::Error + Send + Sync>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PortErrorKind {
    /// Not reachable or failing; the same call may work later.
    #[error("not available")]
    Unavailable,
    #[error("throttled")]
    Throttled { retry_after: Option<Duration> },
    /// Not allowed: role, key or firewall. Will not work until somebody mends it.
    #[error("access denied")]
    Denied,
    /// A key that somebody switched off, or whose dates do not allow it now; somebody can switch it on again.
    #[error("disabled")]
    Disabled,
    /// A container, queue, key or database that is not there. Nothing makes it but a person or a template.
    #[error("not there")]
    Missing,
    #[error("too large")]
    TooLarge,
    #[error("storage full")]
    Full,
    /// What is stored cannot be read: damaged, or written by a release this one does not know.
    #[error("unreadable")]
    Unreadable,
    /// A mistake of the caller: more than one partition's limit, a name with forbidden characters.
    #[error("invalid request")]
    Invalid,
}

impl PortErrorKind {
    /// What a person does about it.
    pub fn advice(self) -> &'static str {
        match self {
            Self::Unavailable => {
                "check its address, the name's resolution, the network between and the certificate; if they are right, it comes back by itself"
            }
            Self::Throttled { .. } => "it is busy and comes back by itself; if it lasts, give it more throughput",
            Self::Denied => {
                "give Assay's identity the role that the guide names, or let its network through the firewall; a disabled key must be enabled again"
            }
            Self::Disabled => "enable it again in the vault, or see that its dates allow it now",
            Self::Missing => "make it, by exactly this name",
            Self::TooLarge => "what was sent is larger than it takes",
            Self::Full => "make room",
            Self::Unreadable => "put back what was there, from a backup",
            Self::Invalid => "it is not what Assay expects; make it anew as the guide says",
        }
    }

    /// Whether it stays so until a person does something.
    pub fn needs_mending(self) -> bool {
        !matches!(self, Self::Unavailable | Self::Throttled { .. })
    }
}

impl PortError {
    pub fn new(resource: impl Into<String>, kind: PortErrorKind) -> Self {
        Self { resource: resource.into(), kind, advice: None, source: None }
    }

    pub fn because(resource: impl Into<String>, kind: PortErrorKind, source: impl std::error::Error + Send + Sync + 'static) -> Self {
        Self { resource: resource.into(), kind, advice: None, source: Some(Arc::new(source)) }
    }

    #[must_use]
    pub fn advising(self, advice: impl Into<Option<&'static str>>) -> Self {
        Self { advice: advice.into(), ..self }
    }

    /// What a person does about it.
    pub fn advice(&self) -> &'static str {
        self.advice.unwrap_or_else(|| self.kind.advice())
    }
}
