//! The loopback adapters against a server in the same process: the queue API of the stand-in host, and outgoing HTTP.

use std::{collections::HashMap, net::SocketAddr, sync::Arc, time::Duration};

use assay::platform::{
    local::{HttpClient, QueueClient},
    ports::{Clock, Http as _, HttpMethod, HttpRequest, PortErrorKind, Queue, Received},
};
use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use bytes::Bytes;
use serde_json::json;
use time::format_description::well_known::Rfc3339;
use url::Url;
use warp::{Filter as _, Reply as _, http::StatusCode, reply::Response};

use super::{Ports, local};
use crate::support::{clock::VirtualClock, queue::MemoryQueue};

type Parameters = HashMap<String, String>;

/// The ports of the embedded store, with the queue reached as a handler reaches its host's.
pub async fn ports() -> Ports {
    let clock = Arc::new(VirtualClock::default());
    let url = queue_api(Arc::new(MemoryQueue::new(clock.clone())), "secret");
    Ports {
        queue: Arc::new(QueueClient::new(url, "secret".into())),
        pass_time: Box::new(move |by| clock.advance(by.try_into().unwrap())),
        ..local::ports().await
    }
}

/// The queue API as `platform/local/queue.rs` describes it, over any queue.
fn queue_api(queue: Arc<MemoryQueue>, token: &str) -> Url {
    let authorization = format!("Bearer {token}");
    let routes = warp::method()
        .and(warp::path::full())
        .and(warp::query::<Parameters>())
        .and(warp::header::<String>("authorization"))
        .and(warp::body::bytes())
        .then(move |method: warp::http::Method, path: warp::path::FullPath, parameters, given: String, body| {
            let (queue, good) = (queue.clone(), given == authorization);
            async move {
                if good {
                    answer(&queue, method.as_str(), path.as_str(), &parameters, body).await
                } else {
                    status(StatusCode::UNAUTHORIZED)
                }
            }
        });
    serve(routes.boxed())
}

async fn answer(queue: &MemoryQueue, method: &str, path: &str, parameters: &Parameters, body: Bytes) -> Response {
    let seconds = |name: &str| Duration::from_secs(parameters[name].parse().unwrap());
    let path: Vec<&str> = path.trim_start_matches('/').split('/').collect();
    match (method, path.as_slice()) {
        ("POST", ["queues", name, "messages"]) => match queue.send(name, body, seconds("delay")).await {
            Ok(()) => status(StatusCode::CREATED),
            Err(_) => status(StatusCode::PAYLOAD_TOO_LARGE),
        },
        ("POST", ["queues", name, "receive"]) => {
            let received = queue.receive(name, parameters["max"].parse().unwrap(), seconds("lease")).await.unwrap();
            let messages: Vec<_> = received
                .into_iter()
                .map(|Received { id, pop_receipt, body, dequeue_count, inserted_at }| {
                    let (body, inserted_at) = (BASE64.encode(body), inserted_at.format(&Rfc3339).unwrap());
                    json!({ "id": id, "pop_receipt": pop_receipt, "body": body, "dequeue_count": dequeue_count, "inserted_at": inserted_at })
                })
                .collect();
            warp::reply::json(&messages).into_response()
        }
        ("DELETE", ["queues", name, "messages", id]) => {
            let pop_receipt = parameters["pop_receipt"].clone();
            let inserted_at = VirtualClock::default().now();
            let message = Received { id: (*id).into(), pop_receipt, body: Bytes::new(), dequeue_count: 1, inserted_at };
            let deleted = queue.delete(name, &message).await;
            status(if deleted.is_ok() { StatusCode::NO_CONTENT } else { StatusCode::BAD_REQUEST })
        }
        _ => status(StatusCode::NOT_FOUND),
    }
}

fn status(code: StatusCode) -> Response {
    warp::reply::with_status("", code).into_response()
}

/// Serves until the runtime of the test ends.
fn serve(routes: warp::filters::BoxedFilter<(Response,)>) -> Url {
    let listener = std::net::TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(warp::serve(routes).incoming(tokio::net::TcpListener::from_std(listener).unwrap()).run());
    Url::parse(&format!("http://{address}")).unwrap()
}

#[tokio::test]
async fn a_queue_that_refuses_the_token_or_is_not_there_is_a_typed_error() {
    let url = queue_api(Arc::new(MemoryQueue::new(Arc::new(VirtualClock::default()))), "secret");
    let stranger = QueueClient::new(url, "guess".into());
    let send = |client: QueueClient, name: &'static str| async move { client.send(name, "x".into(), Duration::ZERO).await.unwrap_err() };
    assert_eq!(send(stranger, "intake").await.kind, PortErrorKind::Denied);

    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let nowhere = || QueueClient::new(Url::parse(&format!("http://{free}")).unwrap(), "secret".into());
    assert_eq!(send(nowhere(), "intake").await.kind, PortErrorKind::Unavailable);
    assert_eq!(send(nowhere(), "in/take").await.kind, PortErrorKind::Invalid);
}

fn request(url: &str) -> HttpRequest {
    HttpRequest {
        method: HttpMethod::Post,
        url: url.parse().unwrap(),
        headers: vec![("X-Sent".into(), "yes".into())],
        body: "ping".into(),
        timeout: Duration::from_secs(20),
        max_response_bytes: 4,
    }
}

/// Says what it was asked, by the last segment of the path.
fn vendor() -> Url {
    let routes = warp::path::full().and(warp::header::<String>("x-sent")).and(warp::body::bytes()).map(
        |path: warp::path::FullPath, sent: String, body: Bytes| match path.as_str() {
            "/api.example.net/echo" => warp::reply::with_header(body.to_vec(), "X-Was-Sent", sent).into_response(),
            "/api.example.net/long" => "12345".into_response(),
            "/api.example.net/moved" => {
                warp::reply::with_header(StatusCode::FOUND, "location", "https://elsewhere.example.net/").into_response()
            }
            _ => StatusCode::NOT_FOUND.into_response(),
        },
    );
    serve(routes.boxed())
}

#[tokio::test]
async fn outgoing_calls_carry_everything_follow_no_redirect_and_stop_at_their_limit() {
    let client = HttpClient::new(Some(vendor()));
    let echo = client.send(request("https://api.example.net/echo")).await.unwrap();
    assert_eq!((echo.status, echo.header("x-was-sent"), &echo.body[..]), (200, Some("yes"), &b"ping"[..]));
    assert_eq!(client.send(request("https://api.example.net/moved")).await.unwrap().status, 302);
    assert_eq!(client.send(request("https://api.example.net/long")).await.unwrap_err().kind, PortErrorKind::TooLarge);
}

#[tokio::test]
async fn an_outgoing_call_that_is_not_answered_in_time_fails_without_telling_its_secrets() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let client = HttpClient::new(Some(Url::parse(&format!("http://{}", silent.local_addr().unwrap())).unwrap()));
    let slow = HttpRequest { timeout: Duration::from_millis(20), ..request("https://api.example.net/x?key=hush") };
    let error = client.send(slow).await.unwrap_err();
    assert_eq!(error.kind, PortErrorKind::Unavailable);
    assert!(!format!("{error:?} {error}").contains("hush"), "{error:?}");
}
