//! The socket: clear HTTP/1.1 on the loopback address and the port that the host names.
//!
//! IPv4 loopback only, because nothing authenticates the host to us. It listens before it warms up, and it never
//! returns but with an error: a process that ends with 0 is gone for good in the host's eyes.

use std::{io, net::Ipv4Addr, sync::Arc};

use bytes::Buf;
use futures_util::StreamExt;
use tokio::{net::TcpListener, sync::watch};
use warp::{
    Filter,
    http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode},
    path::FullPath,
};

use super::{
    body::{Body, Broken, DRAIN_TIME},
    handler::{Call, Handler, Limits},
    start::{self, Life, StartError},
};
use crate::{
    app::App,
    triggers::{TABLE, check},
    web::Reply,
};

/// Why serving ended; the process ends with exit code 1.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    #[error("port {port} on 127.0.0.1 cannot be listened on; another process may have it")]
    Port {
        port: u16,
        #[source]
        source: io::Error,
    },
    #[error("the server stopped")]
    Stopped,
}

/// Serves [`TABLE`] until the process ends. `build` makes the `App` after the port is open, and is called again while
/// its failure may pass.
pub async fn serve<B, F>(port: u16, limits: Limits, build: B) -> ServeError
where
    B: Fn() -> F + Send + Sync + 'static,
    F: Future<Output = Result<App, StartError>> + Send + 'static,
{
    let listener = match TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await {
        Ok(listener) => listener,
        Err(source) => return ServeError::Port { port, source },
    };
    tracing::info!(port, "listening");
    let (life, watching) = watch::channel(Life::Starting);
    let reasons = check::check_own(limits.deadline, DRAIN_TIME);
    if reasons.is_empty() {
        tokio::spawn(start::start(life, build));
    } else {
        tokio::spawn(start::start(life, move || std::future::ready(Err(StartError::from(reasons.clone())))));
    }
    let prefix = check::host_settings(check::HOST_JSON).map_or_else(|_| "api".into(), |s| s.route_prefix);
    run(listener, Arc::new(Handler::new(TABLE, &prefix, limits, watching))).await
}

/// Serves one handler on a socket.
pub async fn run(listener: TcpListener, handler: Arc<Handler>) -> ServeError {
    let query = warp::query::raw().or(warp::any().map(String::new)).unify();
    let calls = warp::any()
        .and(warp::method())
        .and(warp::path::full())
        .and(query)
        .and(warp::header::headers_cloned())
        .and(warp::body::stream())
        .then(move |method: Method, path: FullPath, query: String, headers: HeaderMap, body| {
            let handler = handler.clone();
            async move {
                let call = Call {
                    method: method.as_str().to_owned(),
                    path: path.as_str().to_owned(),
                    query,
                    headers: headers.iter().map(|(n, v)| (n.as_str().to_owned(), text(v))).collect(),
                    body: bytes_of(body),
                };
                response(handler.answer(call).await)
            }
        });
    warp::serve(calls).incoming(listener).run().await;
    ServeError::Stopped
}

fn bytes_of(body: impl futures_util::Stream<Item = Result<impl Buf, warp::Error>> + Send + 'static) -> Body {
    // The pieces are `Bytes` already; this is no copy.
    Body::new(body.map(|piece| piece.map(|mut buf| buf.copy_to_bytes(buf.remaining())).map_err(|_| Broken)))
}

/// The host refuses non-ASCII request headers itself; what comes anyway is kept readable, never dropped.
fn text(value: &HeaderValue) -> String {
    String::from_utf8_lossy(value.as_bytes()).into_owned()
}

fn response(reply: Reply) -> Response<bytes::Bytes> {
    let mut response = Response::new(reply.body);
    *response.status_mut() =
        StatusCode::from_u16(reply.status).ok().filter(|s| s.as_u16() >= 200).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    for (name, value) in reply.headers {
        if let (Ok(name), Ok(value)) = (HeaderName::from_bytes(name.as_bytes()), HeaderValue::from_str(&value)) {
            response.headers_mut().append(name, value);
        }
    }
    response
}
