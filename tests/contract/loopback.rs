//! The loopback adapters against servers in the same process: the stand-in host's own queues, and a small vendor.

use std::{path::Path, sync::Arc, time::Duration};

use assay::{
    host::local::{queue_api, queues::Queues},
    platform::{
        local::QueueClient,
        ports::{Http as _, HttpMethod, HttpRequest, PortErrorKind, Queue as _},
        process::HttpClient,
    },
};
use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use bytes::Bytes;
use url::Url;
use warp::{Filter as _, Reply as _, http::StatusCode, reply::Response};

use super::{Ports, local};
use crate::support::{clock::VirtualClock, ids::SeededIds};

/// The ports of the embedded store, with the queue reached as a handler reaches its host's.
pub async fn ports() -> Ports {
    let (folder, clock) = (tempfile::tempdir().unwrap(), Arc::new(VirtualClock::default()));
    let url = queue_api(folder.path(), clock.clone());
    Ports {
        queue: Arc::new(QueueClient::new(url, "secret".into())),
        pass_time: Box::new(move |by| clock.advance(by.try_into().unwrap())),
        keep: Box::new(folder),
        ..local::ports().await
    }
}

/// The queues of the stand-in host.
fn queue_api(folder: &Path, clock: Arc<VirtualClock>) -> Url {
    let ids = Arc::new(SeededIds::new(1, clock.clone()));
    let queues = Queues::open(&folder.join("queues.redb"), clock, ids).unwrap();
    let (listener, url) = listen();
    tokio::spawn(queue_api::serve(listener, queues, "secret".into()));
    url
}

/// Serves until the runtime of the test ends.
fn serve(routes: warp::filters::BoxedFilter<(Response,)>) -> Url {
    let (listener, url) = listen();
    tokio::spawn(warp::serve(routes).incoming(listener).run());
    url
}

fn listen() -> (tokio::net::TcpListener, Url) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let url = Url::parse(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
    (tokio::net::TcpListener::from_std(listener).unwrap(), url)
}

#[tokio::test]
async fn a_queue_that_refuses_the_token_or_is_not_there_is_a_typed_error() {
    let folder = tempfile::tempdir().unwrap();
    let url = queue_api(folder.path(), Arc::default());
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

/// 64 KiB of blanks, packed.
const PACKED: &str =
    "H4sIAAAAAAACA+3BgQAAAACAIJX9KRepCgAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAGqUGSy0AAABAA==";

/// Says what it was asked, by the last segment of the path.
fn vendor() -> Url {
    let asked = warp::header::optional::<String>("accept-encoding");
    let routes = warp::path::full().and(warp::header::<String>("x-sent")).and(asked).and(warp::body::bytes()).map(
        |path: warp::path::FullPath, sent: String, packing: Option<String>, body: Bytes| match path.as_str() {
            "/api.example.net/packed" if packing.is_none() => {
                warp::reply::with_header(BASE64.decode(PACKED).unwrap(), "content-encoding", "gzip").into_response()
            }
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
async fn a_packed_answer_is_counted_as_it_came_and_not_asked_for() {
    let client = HttpClient::new(Some(vendor()));
    let packed = BASE64.decode(PACKED).unwrap();
    let within = HttpRequest { max_response_bytes: packed.len(), ..request("https://api.example.net/packed") };
    let answer = client.send(within).await.unwrap();
    assert_eq!((answer.status, &answer.body[..]), (200, &packed[..]));
}

#[tokio::test]
async fn without_the_demo_no_call_reaches_this_machine_whatever_its_name() {
    let inside = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    inside.set_nonblocking(true).unwrap();
    let port = inside.local_addr().unwrap().port();
    let client = HttpClient::new(None);
    for host in ["localhost", "127.0.0.1", "[::1]", "2130706433", "169.254.169.254"] {
        let error = client.send(request(&format!("https://{host}:{port}/x"))).await.unwrap_err();
        assert_eq!(error.kind, PortErrorKind::Denied, "{host}: {error:?}");
    }
    assert_eq!(inside.accept().unwrap_err().kind(), std::io::ErrorKind::WouldBlock, "nobody connected");
}

#[tokio::test]
async fn the_authority_that_was_configured_is_called_also_on_this_machine_and_nothing_beside_it() {
    let listen = || {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let port = listener.local_addr().unwrap().port();
        (listener, format!("https://127.0.0.1:{port}/x"))
    };
    let ((authority, its_address), (other, other_address)) = (listen(), listen());
    let client = HttpClient::new(None).trusting(Some(Url::parse(&its_address).unwrap()));
    // Nobody speaks TLS there; that the connection was made is what counts.
    let call = |address: &str| HttpRequest { timeout: Duration::from_millis(200), ..request(address) };
    assert_eq!(client.send(call(&its_address)).await.unwrap_err().kind, PortErrorKind::Unavailable);
    assert!(authority.accept().is_ok());
    assert_eq!(client.send(call(&other_address)).await.unwrap_err().kind, PortErrorKind::Denied);
    assert_eq!(other.accept().unwrap_err().kind(), std::io::ErrorKind::WouldBlock, "nobody connected");
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
