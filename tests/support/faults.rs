//! Faults at the ports: every call of an App is counted, and one of them can be made to fail.
//!
//! Clock and ids have no effect that could be lost and are not counted. With [`Faults::stop_at`] the process counts as
//! dead from the chosen call on: every later call fails too, until [`Faults::mend`] (and, to be true, a restart).

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use assay::{
    app::App,
    platform::ports::{
        Appending, BatchOutcome, BlobContainer, BlobPage, Blobs, ChangePage, ChangeToken, Continuation, Creation, Document, Documents,
        Etag, HeldBlob, Http, HttpRequest, HttpResponse, LeaseId, Leasing, Op, Page, Partition, PortError, PortErrorKind, PublicKey, Query,
        Queue, Received, Replacing, Retention, Signature, Vault, Wrapped,
    },
};
use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::Notify;
use zeroize::Zeroizing;

use super::audited;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The call fails and nothing happened.
    BeforeEffect,
    /// The call did its work, and the answer is lost.
    AnswerLost,
}

#[derive(Default)]
pub struct Faults(Mutex<State>, Mutex<Judged>);

/// Whether the product runs, and what its batches did that they must not ([`audited`]).
#[derive(Default)]
struct Judged {
    running: usize,
    faults: Vec<String>,
}

#[derive(Default)]
struct State {
    calls: Vec<&'static str>,
    plan: Option<Plan>,
    behind: Option<&'static str>,
    hold: Option<(usize, Arc<Hold>)>,
}

/// A call that waits until it is let go, so that others can run in between.
#[derive(Default)]
pub struct Hold {
    struck: AtomicBool,
    reached: Notify,
    go: Notify,
}

impl Hold {
    /// Until the call is about to be made, or [`Self::let_go`] says that it never will be.
    pub async fn reached(&self) {
        self.reached.notified().await;
    }

    pub fn let_go(&self) {
        self.reached.notify_one();
        self.go.notify_one();
    }

    /// Whether the call was reached at all.
    pub fn struck(&self) -> bool {
        self.struck.load(Ordering::Relaxed)
    }

    async fn wait(&self) {
        self.struck.store(true, Ordering::Relaxed);
        self.reached.notify_one();
        self.go.notified().await;
    }
}

#[derive(Clone, Copy)]
struct Plan {
    at: usize,
    fault: Fault,
    dead_after: bool,
}

impl Faults {
    /// Counts from zero again; call number `at` (from 0) fails, the others work.
    pub fn fail_at(&self, at: usize, fault: Fault) {
        *self.0.lock().unwrap() = State { plan: Some(Plan { at, fault, dead_after: false }), ..State::default() };
    }

    /// Counts from zero again; the call after the first of this name, such as `documents.batch`, fails, the others work.
    pub fn fail_behind(&self, call: &'static str) {
        *self.0.lock().unwrap() = State { behind: Some(call), ..State::default() };
    }

    /// Counts from zero again; call number `at` fails, and so does everything after it.
    pub fn stop_at(&self, at: usize, fault: Fault) {
        *self.0.lock().unwrap() = State { plan: Some(Plan { at, fault, dead_after: true }), ..State::default() };
    }

    /// Counts from zero again; call number `at` waits until it is let go.
    pub fn hold_at(&self, at: usize) -> Arc<Hold> {
        let hold = Arc::<Hold>::default();
        *self.0.lock().unwrap() = State { hold: Some((at, hold.clone())), ..State::default() };
        hold
    }

    /// Counts from zero again, without a fault.
    pub fn mend(&self) {
        *self.0.lock().unwrap() = State::default();
    }

    /// Calls since the last of the above.
    pub fn count(&self) -> usize {
        self.0.lock().unwrap().calls.len()
    }

    /// Their names, such as `documents.batch`.
    pub fn calls(&self) -> Vec<&'static str> {
        self.0.lock().unwrap().calls.clone()
    }

    /// Whether the planned call was reached.
    pub fn struck(&self) -> bool {
        let state = self.0.lock().unwrap();
        state.plan.is_some_and(|plan| state.calls.len() > plan.at)
    }

    /// The same App with every port watched.
    pub fn wrap(self: &Arc<Self>, app: App) -> App {
        let faults = || self.clone();
        App {
            documents: Arc::new(Watched { port: app.documents, faults: faults() }),
            queue: Arc::new(Watched { port: app.queue, faults: faults() }),
            blobs: Arc::new(Watched { port: app.blobs, faults: faults() }),
            vault: Arc::new(Watched { port: app.vault, faults: faults() }),
            http: Arc::new(Watched { port: app.http, faults: faults() }),
            ..app
        }
    }

    /// Runs a part of the product, and judges every batch that is written meanwhile.
    pub async fn product<T>(&self, work: impl Future<Output = T>) -> T {
        self.1.lock().unwrap().running += 1;
        let done = work.await;
        let mut judged = self.1.lock().unwrap();
        judged.running -= 1;
        let faults = std::mem::take(&mut judged.faults);
        drop(judged);
        assert!(faults.is_empty(), "{}", faults.join("\n"));
        done
    }

    fn fault(&self, partition: &Partition, ops: &[Op]) -> Option<String> {
        (self.1.lock().unwrap().running > 0).then(|| audited::fault(partition, ops)).flatten()
    }

    fn enter(&self, call: &'static str) -> (Option<Fault>, Option<Arc<Hold>>) {
        let mut state = self.0.lock().unwrap();
        let number = state.calls.len();
        state.calls.push(call);
        if state.behind.take_if(|name| *name == call).is_some() {
            state.plan = Some(Plan { at: number + 1, fault: Fault::BeforeEffect, dead_after: false });
        }
        let fault = match state.plan {
            Some(plan) if plan.at == number => Some(plan.fault),
            Some(plan) if plan.dead_after && number > plan.at => Some(Fault::BeforeEffect),
            _ => None,
        };
        (fault, state.hold.as_ref().filter(|(at, _)| *at == number).map(|(_, hold)| hold.clone()))
    }

    async fn around<T: Send>(&self, call: &'static str, work: impl Future<Output = Result<T, PortError>> + Send) -> Result<T, PortError> {
        let (fault, hold) = self.enter(call);
        if let Some(hold) = hold {
            hold.wait().await;
        }
        if fault == Some(Fault::BeforeEffect) {
            return Err(PortError::new(call, PortErrorKind::Unavailable));
        }
        let done = work.await;
        if fault == Some(Fault::AnswerLost) { Err(PortError::new(call, PortErrorKind::Unavailable)) } else { done }
    }
}

struct Watched<P: ?Sized> {
    port: Arc<P>,
    faults: Arc<Faults>,
}

#[async_trait]
impl Documents for Watched<dyn Documents> {
    async fn read(&self, partition: &Partition, id: &str) -> Result<Option<Document>, PortError> {
        self.faults.around("documents.read", self.port.read(partition, id)).await
    }

    async fn batch(&self, partition: &Partition, ops: Vec<Op>) -> Result<BatchOutcome, PortError> {
        if let Some(fault) = self.faults.fault(partition, &ops) {
            self.faults.1.lock().unwrap().faults.push(fault);
        }
        self.faults.around("documents.batch", self.port.batch(partition, ops)).await
    }

    async fn query(&self, partition: &Partition, query: &Query) -> Result<Page, PortError> {
        self.faults.around("documents.query", self.port.query(partition, query)).await
    }

    async fn changes(&self, partition: &Partition, since: Option<&ChangeToken>, limit: usize) -> Result<ChangePage, PortError> {
        self.faults.around("documents.changes", self.port.changes(partition, since, limit)).await
    }
}

#[async_trait]
impl Queue for Watched<dyn Queue> {
    async fn send(&self, queue: &str, message: Bytes, delay: Duration) -> Result<(), PortError> {
        self.faults.around("queue.send", self.port.send(queue, message, delay)).await
    }

    async fn receive(&self, queue: &str, max: usize, lease: Duration) -> Result<Vec<Received>, PortError> {
        self.faults.around("queue.receive", self.port.receive(queue, max, lease)).await
    }

    async fn delete(&self, queue: &str, message: &Received) -> Result<(), PortError> {
        self.faults.around("queue.delete", self.port.delete(queue, message)).await
    }
}

#[async_trait]
impl Blobs for Watched<dyn Blobs> {
    async fn create(&self, container: BlobContainer, name: &str, bytes: Bytes) -> Result<Creation, PortError> {
        self.faults.around("blobs.create", self.port.create(container, name, bytes)).await
    }

    async fn read(&self, container: BlobContainer, name: &str) -> Result<Option<Bytes>, PortError> {
        self.faults.around("blobs.read", self.port.read(container, name)).await
    }

    async fn read_held(&self, container: BlobContainer, name: &str) -> Result<Option<HeldBlob>, PortError> {
        self.faults.around("blobs.read_held", self.port.read_held(container, name)).await
    }

    async fn replace(&self, container: BlobContainer, name: &str, bytes: Bytes, if_match: Option<Etag>) -> Result<Replacing, PortError> {
        self.faults.around("blobs.replace", self.port.replace(container, name, bytes, if_match)).await
    }

    async fn list(&self, container: BlobContainer, prefix: &str, after: Option<&Continuation>) -> Result<BlobPage, PortError> {
        self.faults.around("blobs.list", self.port.list(container, prefix, after)).await
    }

    async fn delete(&self, container: BlobContainer, name: &str) -> Result<(), PortError> {
        self.faults.around("blobs.delete", self.port.delete(container, name)).await
    }

    async fn append(
        &self,
        container: BlobContainer,
        name: &str,
        at: u64,
        bytes: Bytes,
        lease: Option<LeaseId>,
    ) -> Result<Appending, PortError> {
        self.faults.around("blobs.append", self.port.append(container, name, at, bytes, lease)).await
    }

    async fn lease(&self, container: BlobContainer, name: &str, lease: LeaseId, period: Duration) -> Result<Leasing, PortError> {
        self.faults.around("blobs.lease", self.port.lease(container, name, lease, period)).await
    }

    async fn renew(&self, container: BlobContainer, name: &str, lease: LeaseId) -> Result<Leasing, PortError> {
        self.faults.around("blobs.renew", self.port.renew(container, name, lease)).await
    }

    async fn release(&self, container: BlobContainer, name: &str, lease: LeaseId) -> Result<(), PortError> {
        self.faults.around("blobs.release", self.port.release(container, name, lease)).await
    }

    async fn retention(&self, container: BlobContainer, name: &str) -> Result<Retention, PortError> {
        self.faults.around("blobs.retention", self.port.retention(container, name)).await
    }
}

#[async_trait]
impl Vault for Watched<dyn Vault> {
    async fn wrap(&self, key: &str, plain: &[u8]) -> Result<Wrapped, PortError> {
        self.faults.around("vault.wrap", self.port.wrap(key, plain)).await
    }

    async fn unwrap(&self, wrapped: &Wrapped) -> Result<Zeroizing<Vec<u8>>, PortError> {
        self.faults.around("vault.unwrap", self.port.unwrap(wrapped)).await
    }

    async fn sign(&self, key: &str, digest: &[u8; 32]) -> Result<Signature, PortError> {
        self.faults.around("vault.sign", self.port.sign(key, digest)).await
    }

    async fn public_keys(&self, key: &str) -> Result<Vec<PublicKey>, PortError> {
        self.faults.around("vault.public_keys", self.port.public_keys(key)).await
    }

    async fn secret(&self, name: &str) -> Result<Zeroizing<String>, PortError> {
        self.faults.around("vault.secret", self.port.secret(name)).await
    }

    fn makes_keys(&self) -> bool {
        self.port.makes_keys()
    }

    async fn create_key(&self, name: &str) -> Result<String, PortError> {
        self.faults.around("vault.create_key", self.port.create_key(name)).await
    }

    async fn newest_version(&self, key: &str) -> Result<String, PortError> {
        self.faults.around("vault.newest_version", self.port.newest_version(key)).await
    }

    async fn recoverable_days(&self, key: &str) -> Result<Option<u16>, PortError> {
        self.faults.around("vault.recoverable_days", self.port.recoverable_days(key)).await
    }
}

#[async_trait]
impl Http for Watched<dyn Http> {
    async fn send(&self, request: HttpRequest) -> Result<HttpResponse, PortError> {
        self.faults.around("http.send", self.port.send(request)).await
    }
}
