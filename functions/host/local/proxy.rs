//! The HTTP front: finds the function, checks its key, and streams request and answer between client and handler.
//!
//! azure-functions-host, `DefaultHttpProxyService.cs` and `RetryProxyHandler.cs` on YARP, with what was measured on a
//! running host: a method not listed is 404, forwarded headers are replaced, a dropped connection is retried with the
//! same invocation id (a GET 40 times, a POST without body 10 times, one with a body once), then 500 with an empty body.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use bytes::{Buf, Bytes, BytesMut};
use futures_util::{Stream, StreamExt as _, TryStreamExt as _, pin_mut};
use reqwest::Body;
use warp::{
    Filter, Reply,
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header},
    reply::Response,
};

use super::{
    HOST_VERSION,
    appfolder::{AppFolder, AuthLevel, Function, Trigger},
    invoke::{Invoker, loopback_builder},
    keys::Keys,
    paths::{Target, rewrite, rewrite_query},
};

/// All request headers together (measured: 431 from here on).
const MAX_HEADER_BYTES: usize = 32 * 1024;
/// A longer target is 414 (measured: about this).
const MAX_TARGET: usize = 8_100;
/// Without a byte for this long an exchange is given up.
const IDLE: Duration = Duration::from_mins(4);
/// Rounds of the retry handler.
const ROUNDS: u32 = 10;
/// Sends per round of a request that is safe to repeat.
const SAFE_SENDS: u32 = 4;

pub struct Front {
    app: AppFolder,
    keys: Keys,
    invoker: Arc<Invoker>,
    client: reqwest::Client,
    /// Grows with each round, up to five times this.
    retry_pause: Duration,
}

/// What a client asked for, without its body.
pub struct Head {
    pub method: Method,
    /// As it came, undecoded.
    pub path: String,
    pub query: Option<String>,
    pub headers: HeaderMap,
    pub peer: Option<SocketAddr>,
}

impl Front {
    pub fn new(app: AppFolder, keys: Keys, invoker: Arc<Invoker>) -> Self {
        let client = loopback_builder().read_timeout(IDLE);
        Self { app, keys, invoker, client: client.build().unwrap_or_default(), retry_pause: Duration::from_millis(50) }
    }

    /// For tests: no waiting between rounds.
    #[must_use]
    pub fn without_pauses(mut self) -> Self {
        self.retry_pause = Duration::ZERO;
        self
    }

    /// Serves until it is dropped.
    pub async fn serve(self, listener: tokio::net::TcpListener) {
        let front = Arc::new(self);
        let query = warp::query::raw().map(Some).or(warp::any().map(|| None)).unify();
        let routes = warp::method()
            .and(warp::path::full())
            .and(query)
            .and(warp::header::headers_cloned())
            .and(warp::addr::remote())
            .and(warp::body::stream())
            .then(move |method, path: warp::path::FullPath, query, headers, peer, body| {
                let front = Arc::clone(&front);
                let head = Head { method, path: path.as_str().to_owned(), query, headers, peer };
                async move { front.answer(head, body).await }
            });
        warp::serve(routes).incoming(listener).run().await;
    }

    async fn answer<B: Buf + Send + 'static>(
        &self,
        head: Head,
        body: impl Stream<Item = Result<B, warp::Error>> + Send + 'static,
    ) -> Response {
        if head.path.len() + head.query.as_ref().map_or(0, String::len) > MAX_TARGET {
            return empty(StatusCode::URI_TOO_LONG);
        }
        if head.headers.iter().map(|(n, v)| n.as_str().len() + v.len() + 4).sum::<usize>() > MAX_HEADER_BYTES {
            return empty(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE);
        }
        let Target::Path { decoded, encoded } = rewrite(&head.path) else { return empty(StatusCode::BAD_REQUEST) };
        if let Some(name) = decoded.strip_prefix("/admin/functions/") {
            return self.manual_run(name, &head, body).await;
        }
        if decoded == "/" && head.method == Method::GET {
            return home(&self.app);
        }
        let Some((function, level)) = self.route(&head.method, &decoded) else { return empty(StatusCode::NOT_FOUND) };
        if !self.keys.opens(&function.name, level, given_key(&head).as_deref()) {
            return empty(StatusCode::UNAUTHORIZED);
        }
        let Some(headers) = self.headers(&head) else { return empty(StatusCode::BAD_REQUEST) };
        let target = head.query.as_deref().map_or(encoded.clone(), |query| format!("{encoded}?{}", rewrite_query(query)));
        // Too large or broken off is an empty 500, not 413 (measured).
        let Some(body) = self.body(&head.headers, body).await else { return empty(StatusCode::INTERNAL_SERVER_ERROR) };
        match self.forward(&head.method, &target, &headers, body).await {
            Ok(response) => passed_on(response),
            Err(status) => empty(status),
        }
    }

    /// The most literal route that takes this path and method.
    fn route(&self, method: &Method, decoded: &str) -> Option<(&Function, AuthLevel)> {
        let mut path: Vec<&str> = decoded.split('/').skip(1).collect();
        for part in self.app.host.route_prefix.split('/').filter(|part| !part.is_empty()) {
            if path.is_empty() || !path.remove(0).eq_ignore_ascii_case(part) {
                return None;
            }
        }
        let candidates = self.app.functions.iter().filter_map(|function| match &function.trigger {
            Trigger::Http { level, methods, route } if route.matches(&path) && methods.iter().any(|m| m == method.as_str()) => {
                Some((route.rank(), function, *level))
            }
            _ => None,
        });
        candidates.min_by(|a, b| a.0.cmp(&b.0)).map(|(_, function, level)| (function, level))
    }

    /// What the handler gets: hop-by-hop headers dropped, repeats merged, forwarding and invocation headers the host's
    /// own. `None` for a value that is not ASCII.
    fn headers(&self, head: &Head) -> Option<HeaderMap> {
        let named: Vec<String> = head
            .headers
            .get_all(header::CONNECTION)
            .iter()
            .filter_map(|v| v.to_str().ok())
            .flat_map(|v| v.split(',').map(|name| name.trim().to_ascii_lowercase()))
            .collect();
        let mut out = HeaderMap::new();
        for name in head.headers.keys() {
            let lower = name.as_str();
            let replaced = lower.starts_with("x-forwarded-") || lower == "x-ms-invocation-id" || lower.starts_with("x-azure-functions-");
            if replaced || DROPPED.contains(&lower) || named.iter().any(|n| n == lower) {
                continue;
            }
            let values = head.headers.get_all(name).iter().map(|v| v.to_str().ok()).collect::<Option<Vec<_>>>()?;
            let joint = if lower == "cookie" { "; " } else { ", " };
            out.insert(name.clone(), HeaderValue::from_str(&values.join(joint)).ok()?);
        }
        let id = self.invoker.ids.uuid().to_string();
        let host = head.headers.get(header::HOST).and_then(|v| v.to_str().ok()).unwrap_or_default();
        let peer = head.peer.map(|peer| peer.ip().to_string()).unwrap_or_default();
        for (name, value) in [
            ("x-azure-functions-hostversion", HOST_VERSION),
            ("x-azure-functions-invocationid", &id),
            ("x-ms-invocation-id", &id),
            ("x-forwarded-for", &peer),
            ("x-forwarded-host", host),
            ("x-forwarded-proto", "http"),
        ] {
            out.insert(HeaderName::from_static(name), HeaderValue::from_str(value).ok()?);
        }
        Some(out)
    }

    /// A body with Content-Length is buffered whole before the handler hears of it, a chunked one is streamed; both are
    /// counted.
    async fn body<B: Buf + Send + 'static>(
        &self,
        headers: &HeaderMap,
        stream: impl Stream<Item = Result<B, warp::Error>> + Send + 'static,
    ) -> Option<RequestBody> {
        let limit = self.app.body_limit;
        if headers.contains_key(header::TRANSFER_ENCODING) {
            let mut count = 0;
            let counted = stream.map(move |chunk| {
                let mut chunk = chunk.map_err(std::io::Error::other)?;
                count += chunk.remaining();
                if count > limit { Err(std::io::Error::other("body over the limit")) } else { Ok(chunk.copy_to_bytes(chunk.remaining())) }
            });
            return Some(RequestBody::Chunked(Body::wrap_stream(counted)));
        }
        let announced: usize = headers.get(header::CONTENT_LENGTH).and_then(|v| v.to_str().ok()?.parse().ok()).unwrap_or(0);
        if announced == 0 {
            return Some(RequestBody::None);
        }
        pin_mut!(stream);
        let mut whole = BytesMut::new();
        while let Some(chunk) = stream.next().await {
            let mut chunk = chunk.ok()?;
            if announced.max(whole.len() + chunk.remaining()) > limit {
                return None;
            }
            whole.extend_from_slice(&chunk.copy_to_bytes(chunk.remaining()));
        }
        Some(RequestBody::Whole(whole.freeze()))
    }

    async fn forward(
        &self,
        method: &Method,
        target: &str,
        headers: &HeaderMap,
        body: RequestBody,
    ) -> Result<reqwest::Response, StatusCode> {
        let sends = if *method == Method::GET || *method == Method::HEAD { SAFE_SENDS } else { 1 };
        let mut body = Some(body);
        for round in 0..ROUNDS {
            if round > 0 {
                pause(self.retry_pause * round.min(5)).await;
            }
            let life = self.invoker.worker.ready().await.map_err(|_| StatusCode::SERVICE_UNAVAILABLE)?;
            let url = format!("http://127.0.0.1:{}{target}", life.port);
            for _ in 0..sends {
                let request = self.client.request(method.clone(), &url).headers(headers.clone());
                let request = match &body {
                    Some(RequestBody::None) => request,
                    Some(RequestBody::Whole(bytes)) => request.body(bytes.clone()),
                    Some(RequestBody::Chunked(_)) => {
                        // A stream can be sent once, so first see that somebody is there.
                        if tokio::net::TcpStream::connect(("127.0.0.1", life.port)).await.is_err() {
                            break;
                        }
                        let Some(RequestBody::Chunked(stream)) = body.take() else { break };
                        request.body(stream)
                    }
                    None => return Err(StatusCode::INTERNAL_SERVER_ERROR),
                };
                match request.send().await {
                    Ok(response) => return Ok(response),
                    Err(error) if error.is_connect() => break,
                    Err(error) if matches!(body, Some(RequestBody::None)) && !error.is_timeout() => {}
                    Err(_) => return Err(StatusCode::INTERNAL_SERVER_ERROR),
                }
            }
        }
        Err(StatusCode::INTERNAL_SERVER_ERROR)
    }

    /// `POST /admin/functions/{name}` with the master key runs a timer or sends `{"input": ".."}` to a queue function.
    async fn manual_run<B: Buf + Send + 'static>(
        &self,
        name: &str,
        head: &Head,
        body: impl Stream<Item = Result<B, warp::Error>> + Send + 'static,
    ) -> Response {
        if !self.keys.opens(name, AuthLevel::Admin, given_key(head).as_deref()) {
            return empty(StatusCode::UNAUTHORIZED);
        }
        let function = self.app.function(name).cloned().filter(|_| head.method == Method::POST);
        let input: Option<BytesMut> = body
            .map_ok(|mut chunk| chunk.copy_to_bytes(chunk.remaining()))
            .try_fold(BytesMut::new(), |mut all, chunk| async move {
                all.extend_from_slice(&chunk);
                Ok(all)
            })
            .await
            .ok();
        let input: serde_json::Value = input.and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default();
        let Some(function) = function else { return empty(StatusCode::NOT_FOUND) };
        let sys = self.invoker.sys(&function);
        let envelope = match &function.trigger {
            Trigger::Timer { binding, .. } => super::envelope::of_timer(binding, None, false, &sys),
            Trigger::Queue { binding, .. } => super::envelope::of_manual_run(binding, input["input"].as_str().unwrap_or_default(), &sys),
            Trigger::Http { .. } => return empty(StatusCode::NOT_FOUND),
        };
        let invoker = Arc::clone(&self.invoker);
        tokio::spawn(async move {
            if let Err(error) = invoker.invoke(&function, &envelope, None).await {
                tracing::warn!(function = function.name, error = &error as &dyn std::error::Error, "manual run failed");
            }
        });
        empty(StatusCode::ACCEPTED)
    }
}

enum RequestBody {
    None,
    Whole(Bytes),
    Chunked(Body),
}

/// Hop-by-hop headers and those that the transport writes itself.
const DROPPED: &[&str] = &[
    "connection",
    "content-length",
    "forwarded",
    "host",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "upgrade-insecure-requests",
];
const HOP_BY_HOP: &[&str] =
    &["connection", "keep-alive", "proxy-authenticate", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade"];

/// The header wins over the query.
fn given_key(head: &Head) -> Option<String> {
    if let Some(value) = head.headers.get("x-functions-key") {
        return value.to_str().ok().map(str::to_owned);
    }
    let pairs = url::form_urlencoded::parse(head.query.as_deref()?.as_bytes());
    pairs.into_owned().find(|(name, _)| name == "code").map(|(_, value)| value)
}

fn passed_on(response: reqwest::Response) -> Response {
    // One byte above ASCII in any header, and the client gets nothing else (measured).
    if response.headers().values().any(|value| !value.as_bytes().is_ascii()) {
        return empty(StatusCode::INTERNAL_SERVER_ERROR);
    }
    let (status, headers) = (response.status(), response.headers().clone());
    let mut out = warp::reply::stream(response.bytes_stream()).into_response();
    *out.status_mut() = status;
    for (name, value) in &headers {
        if !HOP_BY_HOP.contains(&name.as_str()) {
            out.headers_mut().append(name, value.clone());
        }
    }
    out
}

fn empty(status: StatusCode) -> Response {
    let text = if status == StatusCode::SERVICE_UNAVAILABLE { "Function host is not running." } else { "" };
    warp::reply::with_status(text, status).into_response()
}

/// What a person sees who opens the bare address.
fn home(app: &AppFolder) -> Response {
    let routes = app.functions.iter().filter_map(|function| match &function.trigger {
        Trigger::Http { route, methods, .. } => Some(format!("{} /{}/{}", methods.join(","), app.host.route_prefix, route.shape())),
        _ => None,
    });
    let lines: Vec<String> = std::iter::once("The stand-in Functions host is up.".to_owned()).chain(routes).collect();
    lines.join("\n").into_response()
}

#[expect(clippy::disallowed_methods, reason = "the stand-in waits between retries as the real host does")]
async fn pause(period: Duration) {
    if !period.is_zero() {
        tokio::time::sleep(period).await;
    }
}
