//! A store in memory that counts calls and can fail, lose an answer, die, or let somebody else run at any one of them.

use std::{
    collections::BTreeMap,
    future::Future,
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicI64, AtomicU64, AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use assay::{
    app::App,
    config::{self, RawConfig},
    platform::append_only::AppendOnly,
    platform::ports::{
        Appending, BatchOutcome, BlobContainer, BlobPage, Blobs, ChangePage, ChangeToken, Clock, Continuation, Creation, Document,
        Documents, Etag, HeldBlob, Http, HttpRequest, HttpResponse, IdMatch, Ids, LeaseId, Leasing, MAX_BATCH_BYTES, MAX_BATCH_OPS,
        MAX_DOCUMENT_BYTES, Op, OpStatus, Page, Partition, PortError, PortErrorKind, PublicKey, Query, Queue, Received, Replacing,
        Signature, Vault, Wrapped,
    },
    tenancy::seal::sha256,
};
use async_trait::async_trait;
use aws_lc_rs::{
    digest::{Digest, SHA256},
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _},
};
use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use bytes::Bytes;
use serde_json::Value;
use time::{OffsetDateTime, macros::datetime};
use uuid::Uuid;
use zeroize::Zeroizing;

pub(crate) type Interruption = Pin<Box<dyn Future<Output = ()> + Send>>;

/// What happens at one call.
pub(crate) enum Mishap {
    /// The call fails and changes nothing.
    Fails,
    /// The call works and its answer is lost.
    AnswerLost,
    /// This call and all after it fail: the process is gone.
    Dies,
    /// Somebody else runs before the call goes on.
    Interrupted(Interruption),
}

/// Bodies by id, each with its etag.
type Held = BTreeMap<String, (u64, Value)>;

#[derive(Default)]
pub(crate) struct Memory {
    partitions: Mutex<BTreeMap<String, Held>>,
    etags: AtomicU64,
    calls: AtomicUsize,
    mishap: Mutex<Option<(usize, Mishap)>>,
}

impl Memory {
    /// The mishap strikes at the `n`th call from now.
    pub(crate) fn at_call(&self, n: usize, mishap: Mishap) {
        self.calls.store(0, SeqCst);
        *self.mishap.lock().unwrap() = Some((n, mishap));
    }

    /// Ends every mishap; says how many calls there were since it was laid, and whether it struck.
    pub(crate) fn calm(&self) -> (usize, bool) {
        let struck = match self.mishap.lock().unwrap().take() {
            Some((n, _)) => self.calls.load(SeqCst) > n,
            None => true,
        };
        (self.calls.load(SeqCst), struck)
    }

    /// `Err` when the call must not happen, `Ok(true)` when its answer is lost.
    async fn call(&self) -> Result<bool, PortError> {
        let n = self.calls.fetch_add(1, SeqCst);
        let interruption = {
            let mut slot = self.mishap.lock().unwrap();
            match &*slot {
                Some((at, Mishap::Fails)) if *at == n => return Err(unavailable()),
                Some((at, Mishap::Dies)) if *at <= n => return Err(unavailable()),
                Some((at, Mishap::AnswerLost)) if *at == n => return Ok(true),
                Some((at, Mishap::Interrupted(_))) if *at == n => slot.take(),
                _ => None,
            }
        };
        if let Some((_, Mishap::Interrupted(other))) = interruption {
            other.await;
        }
        Ok(false)
    }

    fn with<T>(&self, partition: &Partition, run: impl FnOnce(&mut Held) -> T) -> T {
        run(self.partitions.lock().unwrap().entry(format!("{:?}/{}", partition.container(), partition.key())).or_default())
    }
}

fn unavailable() -> PortError {
    PortError::new("memory", PortErrorKind::Unavailable)
}

fn document(id: &str, (etag, body): &(u64, Value)) -> Document {
    Document { id: id.into(), etag: Etag(etag.to_string()), body: body.clone() }
}

#[async_trait]
impl Documents for Memory {
    async fn read(&self, partition: &Partition, id: &str) -> Result<Option<Document>, PortError> {
        let lost = self.call().await?;
        let found = self.with(partition, |p| p.get(id).map(|held| document(id, held)));
        if lost { Err(unavailable()) } else { Ok(found) }
    }

    async fn batch(&self, partition: &Partition, ops: Vec<Op>) -> Result<BatchOutcome, PortError> {
        let lost = self.call().await?;
        let size = |op: &Op| match op {
            Op::Create { body, .. } | Op::Replace { body, .. } => body.to_string().len(),
            Op::Delete { .. } => 0,
        };
        assert!(ops.len() <= MAX_BATCH_OPS && ops.iter().map(size).sum::<usize>() <= MAX_BATCH_BYTES, "batch too large");
        assert!(ops.iter().all(|op| size(op) <= MAX_DOCUMENT_BYTES), "document too large");
        let outcome = self.with(partition, |p| {
            let status = |op: &Op| match (op, p.get(op.id())) {
                (Op::Create { .. }, Some(_)) => Some(OpStatus::Conflict),
                (Op::Create { .. }, None) | (Op::Delete { if_match: None, .. }, Some(_)) => None,
                (_, None) => Some(OpStatus::NotFound),
                (Op::Replace { if_match, .. } | Op::Delete { if_match: Some(if_match), .. }, Some((etag, _))) => {
                    (if_match.0 != etag.to_string()).then_some(OpStatus::PreconditionFailed)
                }
            };
            // Like Cosmos DB: the first that fails says why, the others only that they depend on it.
            let statuses: Vec<_> = ops.iter().map(status).collect();
            if let Some(first) = statuses.iter().position(Option::is_some) {
                let answer = |(n, s): (usize, &Option<OpStatus>)| if n == first { s.unwrap() } else { OpStatus::FailedDependency };
                return BatchOutcome::Refused(statuses.iter().enumerate().map(answer).collect());
            }
            let mut etags = Vec::new();
            for op in ops {
                let etag = self.etags.fetch_add(1, SeqCst);
                match op {
                    Op::Create { id, body } | Op::Replace { id, body, .. } => {
                        p.insert(id, (etag, body));
                        etags.push(Some(Etag(etag.to_string())));
                    }
                    Op::Delete { id, .. } => {
                        p.remove(&id);
                        etags.push(None);
                    }
                }
            }
            BatchOutcome::Committed(etags)
        });
        if lost { Err(unavailable()) } else { Ok(outcome) }
    }

    async fn query(&self, partition: &Partition, query: &Query) -> Result<Page, PortError> {
        if self.call().await? {
            return Err(unavailable());
        }
        let limit = if query.limit == 0 { 100 } else { query.limit };
        let wanted = |id: &String| {
            query.matching.iter().any(|one| match one {
                IdMatch::Exact(exact) => id == exact,
                IdMatch::Prefix(prefix) => id.starts_with(prefix),
            })
        };
        let mut found: Vec<Document> =
            self.with(partition, |p| p.iter().filter(|(id, _)| wanted(id)).map(|(id, held)| document(id, held)).collect());
        if query.descending {
            found.reverse();
        }
        if let Some(Continuation(after)) = &query.after {
            let position = found.iter().position(|d| d.id == *after).unwrap();
            found.drain(..=position);
        }
        let more = found.len() > limit;
        found.truncate(limit);
        let next = more.then(|| Continuation(found.last().unwrap().id.clone()));
        Ok(Page { documents: found, next })
    }

    async fn changes(&self, _: &Partition, _: Option<&ChangeToken>, _: usize) -> Result<ChangePage, PortError> {
        Err(unavailable())
    }
}

/// A clock that tests turn, ids that count, a vault without a key, and ports that nobody here calls.
pub(crate) struct Rest {
    seconds: AtomicI64,
    ids: AtomicU64,
    /// One for every use: nothing here takes one for another.
    pair: EcdsaKeyPair,
}

impl Rest {
    pub(crate) fn turn_clock(&self, seconds: i64) {
        self.seconds.fetch_add(seconds, SeqCst);
    }
}

impl Clock for Rest {
    fn now(&self) -> OffsetDateTime {
        datetime!(2026-03-01 09:30 UTC) + time::Duration::seconds(self.seconds.load(SeqCst))
    }
}

impl Ids for Rest {
    fn uuid(&self) -> Uuid {
        Uuid::from_u128(u128::from(self.ids.fetch_add(1, SeqCst)) + 1)
    }

    fn random(&self, bytes: &mut [u8]) {
        let text = sha256(&self.ids.fetch_add(1, SeqCst).to_be_bytes());
        let length = bytes.len();
        bytes.copy_from_slice(&text.as_bytes()[..length]);
    }
}

#[async_trait]
impl Vault for Rest {
    async fn wrap(&self, key: &str, plain: &[u8]) -> Result<Wrapped, PortError> {
        Ok(Wrapped { key: key.into(), version: "1".into(), bytes: BASE64.encode(plain) })
    }

    async fn unwrap(&self, wrapped: &Wrapped) -> Result<Zeroizing<Vec<u8>>, PortError> {
        Ok(Zeroizing::new(BASE64.decode(&wrapped.bytes).unwrap()))
    }

    async fn sign(&self, key: &str, hash: &[u8; 32]) -> Result<Signature, PortError> {
        let signed = Digest::import_less_safe(hash, &SHA256).and_then(|hash| self.pair.sign_digest(&hash)).unwrap();
        Ok(Signature { key: key.into(), version: "1".into(), bytes: signed.as_ref().to_vec() })
    }

    async fn public_keys(&self, _: &str) -> Result<Vec<PublicKey>, PortError> {
        Ok(vec![PublicKey { version: "1".into(), point: self.pair.public_key().as_ref().to_vec() }])
    }

    async fn secret(&self, _: &str) -> Result<Zeroizing<String>, PortError> {
        Err(unavailable())
    }

    fn makes_keys(&self) -> bool {
        true
    }

    async fn create_key(&self, _: &str) -> Result<String, PortError> {
        Err(unavailable())
    }

    async fn newest_version(&self, _: &str) -> Result<String, PortError> {
        Ok("1".into())
    }
}

#[async_trait]
impl Queue for Rest {
    async fn send(&self, _: &str, _: Bytes, _: Duration) -> Result<(), PortError> {
        Err(unavailable())
    }

    async fn receive(&self, _: &str, _: usize, _: Duration) -> Result<Vec<Received>, PortError> {
        Err(unavailable())
    }

    async fn delete(&self, _: &str, _: &Received) -> Result<(), PortError> {
        Err(unavailable())
    }
}

#[async_trait]
impl Blobs for Rest {
    async fn read_held(&self, _: BlobContainer, _: &str) -> Result<Option<HeldBlob>, PortError> {
        Err(unavailable())
    }

    async fn replace(&self, _: BlobContainer, _: &str, _: Bytes, _: Option<Etag>) -> Result<Replacing, PortError> {
        Err(unavailable())
    }

    async fn create(&self, _: BlobContainer, _: &str, _: Bytes) -> Result<Creation, PortError> {
        Err(unavailable())
    }

    async fn read(&self, _: BlobContainer, _: &str) -> Result<Option<Bytes>, PortError> {
        Err(unavailable())
    }

    async fn list(&self, _: BlobContainer, _: &str, _: Option<&Continuation>) -> Result<BlobPage, PortError> {
        Err(unavailable())
    }

    async fn delete(&self, _: BlobContainer, _: &str) -> Result<(), PortError> {
        Err(unavailable())
    }

    async fn append(&self, _: BlobContainer, _: &str, _: u64, _: Bytes, _: Option<LeaseId>) -> Result<Appending, PortError> {
        Err(unavailable())
    }

    async fn lease(&self, _: BlobContainer, _: &str, _: LeaseId, _: Duration) -> Result<Leasing, PortError> {
        Err(unavailable())
    }

    async fn renew(&self, _: BlobContainer, _: &str, _: LeaseId) -> Result<Leasing, PortError> {
        Err(unavailable())
    }

    async fn release(&self, _: BlobContainer, _: &str, _: LeaseId) -> Result<(), PortError> {
        Err(unavailable())
    }
}

#[async_trait]
impl Http for Rest {
    async fn send(&self, _: HttpRequest) -> Result<HttpResponse, PortError> {
        Err(unavailable())
    }
}

/// An App over a fresh store.
pub(crate) fn app(settings: &[(&str, &str)]) -> (App, Arc<Memory>, Arc<Rest>) {
    let raw: RawConfig = settings.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
    let memory = Arc::new(Memory::default());
    let rest = Arc::new(Rest {
        seconds: AtomicI64::new(0),
        ids: AtomicU64::new(0),
        pair: EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap(),
    });
    let app = App {
        config: Arc::new(config::check(&raw).unwrap()),
        documents: AppendOnly::over(memory.clone()),
        queue: rest.clone(),
        blobs: rest.clone(),
        vault: rest.clone(),
        clock: rest.clone(),
        ids: rest.clone(),
        http: rest.clone(),
        identity: Arc::new(assay::platform::local::NoIdentity),
        cache: Arc::default(),
        memory: Arc::default(),
    };
    (app, memory, rest)
}
