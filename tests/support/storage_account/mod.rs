//! Azure Storage in memory, below the SDK: queues and blobs as their REST interface shows them (paths, headers, XML, error
//! codes; learn.microsoft.com/rest/api/storageservices), by the virtual clock, with the faults of a network and a service.
//!
//! It stands where the SDK hands over to HTTP, so that the SDK's own paths, tokens, retries and parsers are under test.
//! What it cannot show: real latency, real roles, and limits that Azure does not write down.

mod blobs;
mod leases;
mod queues;
mod tokens;

use std::{
    collections::{HashMap, VecDeque},
    io,
    sync::{Arc, Mutex},
};

use assay::platform::{
    azure::{AzureBlobs, AzureQueue, AzureSettings, Credential},
    ports::Clock,
};
use async_trait::async_trait;
use azure_core::{
    Error,
    error::ErrorKind,
    http::{
        AsyncRawResponse, Body, HttpClient, Method, Request, StatusCode, Transport,
        headers::{HeaderName, Headers},
    },
};
use bytes::Bytes;

pub use self::tokens::Tokens;
use super::cosmos::azure_settings;

pub struct FakeStorage {
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    queues: queues::Queues,
    containers: blobs::Containers,
    faults: VecDeque<Fault>,
    /// What every request meets until it is mended.
    outage: Option<Fault>,
    calls: usize,
}

/// What one request meets.
#[derive(Clone, Copy, Debug)]
pub enum Fault {
    /// Everything goes well.
    Nothing,
    /// It is carried out, and the connection breaks before the answer is there.
    AnswerLost,
    /// No connection, as when a name cannot be looked up.
    Unreachable,
    /// No answer, ever.
    Silent,
    /// Answered with this, and not carried out.
    Refused { status: u16, code: &'static str, retry_after: Option<&'static str> },
}

impl FakeStorage {
    /// An account with the queues `intake` and `analyze` and the containers that Assay uses.
    pub fn new(clock: Arc<dyn Clock>) -> Arc<Self> {
        let storage = Arc::new(Self { clock, state: Mutex::default() });
        storage.state.lock().unwrap().queues.make(["intake", "analyze"]);
        storage.state.lock().unwrap().containers.make(["raw", "mailbox", "log", "anchors"]);
        storage
    }

    /// The next requests meet these, one each.
    pub fn next(&self, faults: impl IntoIterator<Item = Fault>) {
        self.state.lock().unwrap().faults.extend(faults);
    }

    /// Every request meets this; `None` ends it.
    pub fn outage(&self, fault: Option<Fault>) {
        self.state.lock().unwrap().outage = fault;
    }

    /// Requests so far, whatever became of them.
    pub fn calls(&self) -> usize {
        self.state.lock().unwrap().calls
    }

    pub fn make_queue(&self, queue: &str) {
        self.state.lock().unwrap().queues.make([queue]);
    }

    pub fn remove_queue(&self, queue: &str) {
        self.state.lock().unwrap().queues.remove(queue);
    }

    pub fn remove_container(&self, container: &str) {
        self.state.lock().unwrap().containers.remove(container);
    }

    /// A message's text as another program wrote it.
    pub fn put_text(&self, queue: &str, text: &str) {
        let now = self.clock.now();
        self.state.lock().unwrap().queues.put(queue, text.to_owned(), now);
    }

    /// A blob as another program wrote it.
    pub fn put_blob(&self, container: &str, name: &str, bytes: impl Into<Bytes>) {
        let now = self.clock.now();
        self.state.lock().unwrap().containers.put(container, name, bytes.into(), now);
    }

    /// A blob that was appended to so often already.
    pub fn put_grown(&self, container: &str, name: &str, bytes: impl Into<Bytes>, appends: u32) {
        let now = self.clock.now();
        self.state.lock().unwrap().containers.put_grown(container, name, bytes.into(), appends, now);
    }

    /// Every message of the queue, hidden or not.
    pub fn messages(&self, queue: &str) -> usize {
        self.state.lock().unwrap().queues.count(queue)
    }

    /// From now on lists come in pages of fewer names than asked for, the first of them empty.
    pub fn give_short_pages(&self) {
        self.state.lock().unwrap().containers.give_short_pages();
    }

    /// A policy against changes: of the container, and as the headers of its blobs tell it.
    pub fn hold(&self, container: &str, whole: bool, blobs: Vec<(&'static str, &'static str)>) {
        self.state.lock().unwrap().containers.hold(container, whole, blobs);
    }

    pub fn transport(self: &Arc<Self>) -> Transport {
        Transport::new(self.client())
    }

    pub fn client(self: &Arc<Self>) -> Arc<dyn HttpClient> {
        Arc::new(OnWire(self.clone()))
    }

    /// Queues that hold messages, hidden or not.
    pub fn filled(&self) -> Vec<String> {
        self.state.lock().unwrap().queues.filled()
    }

    /// Every blob of the container, by name.
    pub fn blobs(&self, container: &str) -> Vec<(String, Bytes)> {
        self.state.lock().unwrap().containers.all(container)
    }

    /// The adapters on this account, with tokens that it takes.
    pub fn open(self: &Arc<Self>) -> (AzureQueue, AzureBlobs) {
        self.open_as(&azure_settings(&[]), &Arc::new(Tokens::default())).unwrap()
    }

    pub fn open_as(
        self: &Arc<Self>,
        settings: &AzureSettings,
        tokens: &Arc<Tokens>,
    ) -> Result<(AzureQueue, AzureBlobs), assay::platform::ports::PortError> {
        let (credential, transport) = (Credential::of(tokens.clone(), settings), self.transport());
        Ok((AzureQueue::new(settings, credential.clone(), Some(&transport))?, AzureBlobs::new(settings, credential, Some(&transport))?))
    }

    fn answer(&self, call: &Call) -> Answer {
        if let Err(refusal) = tokens::check(call).and_then(|()| call.header("x-ms-version").map(|_| ())) {
            return refusal;
        }
        let now = self.clock.now();
        let mut state = self.state.lock().unwrap();
        let answer = match call.host.split('.').nth(1) {
            Some("queue") => state.queues.answer(call, now),
            Some("blob") => state.containers.answer(call, now),
            _ => panic!("no service of a storage account: {}", call.host),
        };
        answer.unwrap_or_else(|refusal| refusal)
    }
}

/// Where the SDK hands over.
struct OnWire(Arc<FakeStorage>);

impl std::fmt::Debug for OnWire {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("FakeStorage")
    }
}

#[async_trait]
impl HttpClient for OnWire {
    async fn execute_request(&self, request: &Request) -> azure_core::Result<AsyncRawResponse> {
        let fault = {
            let mut state = self.0.state.lock().unwrap();
            state.calls += 1;
            state.faults.pop_front().or(state.outage)
        };
        match fault {
            Some(Fault::Unreachable) => {
                let cause = io::Error::other("failed to lookup address information");
                Err(Error::with_error(ErrorKind::Connection, cause, "failed to execute `reqwest` request"))
            }
            Some(Fault::Silent) => std::future::pending().await,
            Some(Fault::Refused { status, code, retry_after }) => {
                let refusal = refused(status, code, "Refused.");
                Ok(retry_after.into_iter().fold(refusal, |refusal, wait| refusal.with("retry-after", wait)).into())
            }
            Some(Fault::AnswerLost) => {
                self.0.answer(&Call::of(request));
                let cause = io::Error::from(io::ErrorKind::ConnectionReset);
                Err(Error::with_error(ErrorKind::Io, cause, "failed to execute `reqwest` request"))
            }
            Some(Fault::Nothing) | None => Ok(self.0.answer(&Call::of(request)).into()),
        }
    }
}

/// A request, taken apart.
struct Call {
    method: Method,
    host: String,
    path: Vec<String>,
    query: HashMap<String, String>,
    headers: Headers,
    body: Bytes,
}

impl Call {
    fn of(request: &Request) -> Self {
        let url = request.url();
        let decoded = |segment: &str| url::form_urlencoded::parse(segment.as_bytes()).map(|(name, _)| name.into_owned()).collect();
        let Body::Bytes(body) = request.body().clone() else { panic!("a streamed body") };
        Self {
            method: request.method(),
            host: url.host_str().unwrap().to_owned(),
            path: url.path_segments().unwrap().map(decoded).collect(),
            query: url.query_pairs().into_owned().collect(),
            headers: request.headers().clone(),
            body,
        }
    }

    fn path(&self) -> Vec<&str> {
        self.path.iter().map(String::as_str).collect()
    }

    fn optional_header(&self, name: &'static str) -> Option<&str> {
        self.headers.get_optional_str(&HeaderName::from_static(name))
    }

    fn header(&self, name: &'static str) -> Result<&str, Answer> {
        self.optional_header(name).ok_or_else(|| refused(400, "MissingRequiredHeader", "A required header was not specified."))
    }

    /// A number of the query, within what the service takes.
    fn number(&self, name: &str, default: i64, allowed: std::ops::RangeInclusive<i64>) -> Result<i64, Answer> {
        let Some(text) = self.query.get(name) else { return Ok(default) };
        let number = text.parse().map_err(|_| refused(400, "InvalidQueryParameterValue", "A query parameter is not a number."))?;
        if allowed.contains(&number) {
            return Ok(number);
        }
        Err(refused(
            400,
            "OutOfRangeQueryParameterValue",
            "One of the query parameters specified in the request URI is outside the permissible range.",
        ))
    }
}

struct Answer {
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: Bytes,
}

impl Answer {
    fn new(status: u16, body: impl Into<Bytes>) -> Self {
        Self { status, headers: Vec::new(), body: body.into() }
    }

    fn xml(status: u16, body: &str) -> Self {
        let text = format!("\u{feff}<?xml version=\"1.0\" encoding=\"utf-8\"?>{body}");
        Self::new(status, text).with("content-type", "application/xml")
    }

    fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }
}

/// A refusal as Azure Storage writes it: its code in a header and in the body.
fn refused(status: u16, code: &'static str, message: &str) -> Answer {
    Answer::xml(status, &format!("<Error><Code>{code}</Code><Message>{message}</Message></Error>")).with("x-ms-error-code", code)
}

impl From<Answer> for AsyncRawResponse {
    fn from(answer: Answer) -> Self {
        let mut headers = Headers::new();
        headers.insert("x-ms-request-id", "00000000-0000-0000-0000-000000000000");
        headers.insert("content-length", answer.body.len().to_string());
        for (name, value) in answer.headers {
            headers.insert(name, value);
        }
        Self::from_bytes(StatusCode::from(answer.status), headers, answer.body)
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// What stands in the first element of this name.
fn element<'a>(xml: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = xml.split_once(&format!("<{name}>"))?;
    rest.split_once(&format!("</{name}>")).map(|(text, _)| text)
}
