//! A handler with functions that show what they were given, and an `App` that can only remember.
//!
//! The protocol needs no store: the one working port is the queue, where test functions leave what they saw.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use assay::{
    app::App,
    config::{self, RawConfig},
    host::{Call, Handler, Limits, body::Body, start::Life},
    platform::ports::{
        Appending, BatchOutcome, BlobContainer, BlobPage, Blobs, ChangePage, ChangeToken, Clock, Continuation, Creation, Document,
        Documents, Etag, HeldBlob, Http, HttpRequest, HttpResponse, Ids, LeaseId, Leasing, Op, Page, Partition, PortError, PortErrorKind,
        PublicKey, Query, Queue, Received, Replacing, Signature, Vault, Wrapped,
    },
    triggers::Trigger,
};
use async_trait::async_trait;
use bytes::Bytes;
use time::OffsetDateTime;
use tokio::sync::watch;
use uuid::Uuid;
use zeroize::Zeroizing;

pub(crate) const INVOCATION: &str = "7d0c1c1e-5a3b-4f5e-9c4a-0f6a1f2b3c4d";

/// What test functions left, in order.
#[derive(Clone, Default)]
pub(crate) struct Seen(Arc<Mutex<Vec<Bytes>>>);

impl Seen {
    pub(crate) fn all(&self) -> Vec<Bytes> {
        self.0.lock().unwrap().clone()
    }
}

pub(crate) fn app() -> (App, Seen) {
    let seen = Seen::default();
    let nothing = Arc::new(Nothing);
    let app = App {
        config: Arc::new(config::check(&RawConfig::default()).unwrap()),
        documents: nothing.clone(),
        queue: Arc::new(seen.clone()),
        blobs: nothing.clone(),
        vault: nothing.clone(),
        clock: nothing.clone(),
        ids: nothing.clone(),
        http: nothing,
        identity: Arc::new(assay::platform::local::NoIdentity),
        cache: Arc::default(),
        memory: Arc::default(),
    };
    (app, seen)
}

pub(crate) const ROOMY: Limits = Limits { deadline: Duration::from_mins(1), body_time: Duration::from_secs(20), max_concurrent: 8 };

/// A handler of this table that is ready.
pub(crate) fn ready(table: &'static [Trigger], limits: Limits) -> (Handler, Seen) {
    let (app, seen) = app();
    // The sender may go: the handler reads the last value.
    let (_, life) = watch::channel(Life::Ready(Arc::new(app), Some(Arc::default())));
    (Handler::new(table, "api", limits, life), seen)
}

pub(crate) fn call(method: &str, target: &str, headers: &[(&str, &str)], body: impl Into<Body>) -> Call {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let mut headers: Vec<(String, String)> = headers.iter().map(|(n, v)| (n.to_lowercase(), (*v).to_owned())).collect();
    if !headers.iter().any(|(n, _)| n == "x-azure-functions-invocationid") {
        headers.push(("x-azure-functions-invocationid".into(), INVOCATION.into()));
    }
    Call { method: method.into(), path: path.into(), query: query.into(), headers, body: body.into() }
}

/// In pieces of seven bytes, as a chunked body may come.
pub(crate) fn chunked(bytes: &[u8]) -> Body {
    let pieces: Vec<_> = bytes.chunks(7).map(|piece| Ok(Bytes::copy_from_slice(piece))).collect();
    Body::new(futures_util::stream::iter(pieces))
}

#[async_trait]
impl Queue for Seen {
    async fn send(&self, _queue: &str, message: Bytes, _delay: Duration) -> Result<(), PortError> {
        self.0.lock().unwrap().push(message);
        Ok(())
    }

    async fn receive(&self, _queue: &str, _max: usize, _lease: Duration) -> Result<Vec<Received>, PortError> {
        no()
    }

    async fn delete(&self, _queue: &str, _message: &Received) -> Result<(), PortError> {
        no()
    }
}

/// Every port that the protocol does not need.
struct Nothing;

fn no<T>() -> Result<T, PortError> {
    Err(PortError::new("not in this test", PortErrorKind::Unavailable))
}

#[async_trait]
impl Documents for Nothing {
    async fn read(&self, _: &Partition, _: &str) -> Result<Option<Document>, PortError> {
        no()
    }

    async fn batch(&self, _: &Partition, _: Vec<Op>) -> Result<BatchOutcome, PortError> {
        no()
    }

    async fn query(&self, _: &Partition, _: &Query) -> Result<Page, PortError> {
        no()
    }

    async fn changes(&self, _: &Partition, _: Option<&ChangeToken>, _: usize) -> Result<ChangePage, PortError> {
        no()
    }
}

#[async_trait]
impl Blobs for Nothing {
    async fn read_held(&self, _: BlobContainer, _: &str) -> Result<Option<HeldBlob>, PortError> {
        no()
    }

    async fn replace(&self, _: BlobContainer, _: &str, _: Bytes, _: Option<Etag>) -> Result<Replacing, PortError> {
        no()
    }

    async fn create(&self, _: BlobContainer, _: &str, _: Bytes) -> Result<Creation, PortError> {
        no()
    }

    async fn read(&self, _: BlobContainer, _: &str) -> Result<Option<Bytes>, PortError> {
        no()
    }

    async fn list(&self, _: BlobContainer, _: &str, _: Option<&Continuation>) -> Result<BlobPage, PortError> {
        no()
    }

    async fn delete(&self, _: BlobContainer, _: &str) -> Result<(), PortError> {
        no()
    }

    async fn append(&self, _: BlobContainer, _: &str, _: u64, _: Bytes, _: Option<LeaseId>) -> Result<Appending, PortError> {
        no()
    }

    async fn lease(&self, _: BlobContainer, _: &str, _: LeaseId, _: Duration) -> Result<Leasing, PortError> {
        no()
    }

    async fn renew(&self, _: BlobContainer, _: &str, _: LeaseId) -> Result<Leasing, PortError> {
        no()
    }

    async fn release(&self, _: BlobContainer, _: &str, _: LeaseId) -> Result<(), PortError> {
        no()
    }
}

#[async_trait]
impl Vault for Nothing {
    async fn wrap(&self, _: &str, _: &[u8]) -> Result<Wrapped, PortError> {
        no()
    }

    async fn unwrap(&self, _: &Wrapped) -> Result<Zeroizing<Vec<u8>>, PortError> {
        no()
    }

    async fn sign(&self, _: &str, _: &[u8; 32]) -> Result<Signature, PortError> {
        no()
    }

    async fn public_keys(&self, _: &str) -> Result<Vec<PublicKey>, PortError> {
        no()
    }

    async fn secret(&self, _: &str) -> Result<Zeroizing<String>, PortError> {
        no()
    }

    fn makes_keys(&self) -> bool {
        true
    }

    async fn create_key(&self, _: &str) -> Result<String, PortError> {
        no()
    }

    async fn newest_version(&self, _: &str) -> Result<String, PortError> {
        no()
    }
}

#[async_trait]
impl Http for Nothing {
    async fn send(&self, _: HttpRequest) -> Result<HttpResponse, PortError> {
        no()
    }
}

impl Clock for Nothing {
    fn now(&self) -> OffsetDateTime {
        OffsetDateTime::UNIX_EPOCH
    }
}

impl Ids for Nothing {
    fn uuid(&self) -> Uuid {
        Uuid::from_u128(7)
    }

    fn random(&self, bytes: &mut [u8]) {
        bytes.fill(7);
    }
}
