//! One invocation of a queue or timer function: the envelope goes out, the answer is judged, functionTimeout is kept.
//!
//! The body is chunked, as in Azure, unless a fault says otherwise. An invocation that reaches functionTimeout costs the
//! whole process and everything in flight on it; two that reach it together stop the app instance (measured).

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use futures_util::{StreamExt as _, future, stream};
use reqwest::header;
use serde_json::Value;
use time::OffsetDateTime;
use tokio::sync::Notify;
use uuid::Uuid;

use super::{
    HOST_VERSION,
    appfolder::Function,
    envelope::Sys,
    evaluate::{Answer, Effects, Failure, Verdict, evaluate},
    faults::{Fault, Faults},
    worker::{Life, Stopped, Worker},
};
use crate::platform::ports::{Clock, Ids};

pub struct Invoker {
    pub worker: Worker,
    pub faults: Faults,
    pub clock: Arc<dyn Clock>,
    pub ids: Arc<dyn Ids>,
    /// `functionTimeout`; `None` for no limit.
    pub timeout: Option<Duration>,
    client: reqwest::Client,
    /// Start of each running invocation.
    running: Mutex<HashMap<Uuid, OffsetDateTime>>,
}

#[derive(Debug, thiserror::Error)]
pub enum InvocationError {
    #[error(transparent)]
    Stopped(#[from] Stopped),
    #[error("the handler cannot be reached or broke off")]
    Connection(#[source] reqwest::Error),
    #[error("the handler process died")]
    Died,
    #[error("the answer was lost")]
    AnswerLost,
    #[error("the answer counts as a failure: {0}")]
    Answer(Failure),
}

impl Invoker {
    pub fn new(worker: Worker, faults: Faults, clock: Arc<dyn Clock>, ids: Arc<dyn Ids>, timeout: Option<Duration>) -> Self {
        let client = loopback_client();
        Self { worker, faults, clock, ids, timeout, client, running: Mutex::default() }
    }

    /// Posts the envelope to `/{function}` and judges the answer; `fault` is what shall go wrong.
    pub async fn invoke(&self, function: &Function, envelope: &Value, fault: Option<Fault>) -> Result<Effects, InvocationError> {
        let life = self.worker.ready().await?;
        let id = self.ids.uuid();
        self.running().insert(id, self.clock.now());
        let _registered = Registered { invoker: self, id };
        tokio::select! {
            result = self.attempt(function, envelope, life, id, fault) => result,
            () = self.worker.death_of(life.generation) => Err(InvocationError::Died),
        }
    }

    /// Kills the process when an invocation has reached functionTimeout. Called often; time is the Clock's.
    pub fn enforce_timeout(&self) {
        let Some(timeout) = self.timeout else { return };
        let now = self.clock.now();
        let expired = self.running().values().filter(|started| now - **started >= timeout).count();
        match expired {
            0 => {}
            1 => {
                tracing::error!("functionTimeout reached: the handler process is killed with all that is in flight");
                self.worker.kill(false);
            }
            _ => self.worker.stop("two or more invocations reached functionTimeout together"),
        }
    }

    pub fn in_flight(&self) -> usize {
        self.running().len()
    }

    pub fn sys<'a>(&self, function: &'a Function) -> Sys<'a> {
        Sys { function: &function.name, now: self.clock.now(), random: self.ids.uuid() }
    }

    async fn attempt(
        &self,
        function: &Function,
        envelope: &Value,
        life: Life,
        id: Uuid,
        fault: Option<Fault>,
    ) -> Result<Effects, InvocationError> {
        if fault == Some(Fault::SecondHandler) {
            self.worker.start_second();
        }
        let text = Bytes::from(envelope.to_string());
        let left = Arc::new(Notify::new());
        let mut call = self.client.post(format!("http://127.0.0.1:{}/{}", life.port, function.name));
        if self.faults.has_content_length() {
            call = call.header(header::CONTENT_LENGTH, text.len());
        }
        let call = call
            .header(header::CONTENT_TYPE, "application/json; charset=utf-8")
            .header(header::USER_AGENT, format!("Azure-Functions-Host/{HOST_VERSION}"))
            .header("X-Azure-Functions-HostVersion", HOST_VERSION)
            .header("X-Azure-Functions-InvocationId", id.to_string())
            .body(in_two(&text, Arc::clone(&left)))
            .send();
        let killing = async {
            if fault == Some(Fault::KillMidFlight) {
                left.notified().await;
                self.worker.kill(true);
            }
            future::pending::<()>().await;
        };
        let answer = tokio::select! {
            answer = call => read(answer.map_err(InvocationError::Connection)?).await?,
            () = killing => return Err(InvocationError::Died),
        };
        match fault {
            Some(Fault::DropAnswer) => return Err(InvocationError::AnswerLost),
            // On a busy machine the answer can be quicker than the kill; a planned kill is never left out.
            Some(Fault::KillAfterAnswer | Fault::KillMidFlight) => {
                self.worker.kill(true);
                return Err(InvocationError::AnswerLost);
            }
            _ => {}
        }
        match evaluate(&answer, &function.outputs) {
            Verdict::Succeeded(effects) => {
                for line in &effects.logs {
                    tracing::info!(invocation = %id, function = function.name, "{line}");
                }
                Ok(effects)
            }
            Verdict::Failed(failure) => Err(InvocationError::Answer(failure)),
            // Nothing ends it but the kill, which the select above sees.
            Verdict::NeverCompletes => future::pending().await,
        }
    }

    fn running(&self) -> std::sync::MutexGuard<'_, HashMap<Uuid, OffsetDateTime>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes an invocation off the list, also when its future is dropped.
struct Registered<'a> {
    invoker: &'a Invoker,
    id: Uuid,
}

impl Drop for Registered<'_> {
    fn drop(&mut self) {
        self.invoker.running().remove(&self.id);
    }
}

/// A client for 127.0.0.1: no proxy, no redirects, HTTP/1.1.
pub(super) fn loopback_client() -> reqwest::Client {
    let client = loopback_builder().build();
    // It cannot fail without TLS files or a resolver to set up; the default client is the same but for the proxy.
    client.unwrap_or_default()
}

/// The Azure SDK turns decompression on for every client of the program; here bytes must pass as they are.
pub(super) fn loopback_builder() -> reqwest::ClientBuilder {
    let plain = reqwest::Client::builder().no_gzip().no_deflate().no_brotli().no_zstd();
    plain.no_proxy().http1_only().redirect(reqwest::redirect::Policy::none())
}

/// In two pieces, so that a handler that trusts a single one is found out; `left` hears when the last is handed over.
/// Chunked, unless the request says how long it is; then nobody asks for more than the last piece.
fn in_two(text: &Bytes, left: Arc<Notify>) -> reqwest::Body {
    let middle = text.len() / 2;
    let pieces = [text.slice(..middle), text.slice(middle..)].into_iter().enumerate();
    reqwest::Body::wrap_stream(stream::iter(pieces).map(move |(index, piece)| {
        if index == 1 {
            left.notify_one();
        }
        Ok::<_, std::convert::Infallible>(piece)
    }))
}

async fn read(response: reqwest::Response) -> Result<Answer, InvocationError> {
    Ok(Answer {
        status: response.status().as_u16(),
        content_type: response.headers().get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).map(str::to_owned),
        body: response.bytes().await.map_err(InvocationError::Connection)?,
    })
}
