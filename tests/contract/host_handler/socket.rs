//! What only a socket shows: chunks, pauses, `Expect`, limits of headers, and a connection that lives on.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
};

use assay::host::{Limits, ServeError, serve, serve::run};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use super::{
    core::{GO_ON, TABLE, envelope},
    fixture::{ROOMY, Seen, ready},
};

pub(super) async fn serving() -> (SocketAddr, Seen) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let (handler, seen) = ready(TABLE, ROOMY);
    tokio::spawn(run(listener, Arc::new(handler)));
    (address, seen)
}

pub(super) struct Connection(pub(super) TcpStream);

impl Connection {
    pub(super) async fn to(address: SocketAddr) -> Self {
        Self(TcpStream::connect(address).await.unwrap())
    }

    pub(super) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.0.write_all(bytes.as_ref()).await.unwrap();
    }

    /// Head of the next response, up to and without the empty line.
    pub(super) async fn head(&mut self) -> String {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(self.0.read_u8().await.unwrap());
        }
        String::from_utf8(head).unwrap().to_lowercase()
    }

    async fn response(&mut self) -> (String, String) {
        let head = self.head().await;
        let mut body = vec![0; length(&head)];
        self.0.read_exact(&mut body).await.unwrap();
        (head, String::from_utf8(body).unwrap())
    }
}

fn length(head: &str) -> usize {
    head.lines().find_map(|line| line.strip_prefix("content-length: ")).map_or(0, |n| n.parse().unwrap())
}

fn chunk(bytes: &str) -> String {
    format!("{:x}\r\n{bytes}\r\n", bytes.len())
}

#[tokio::test]
async fn a_chunked_envelope_is_taken_as_azure_sends_it() {
    let (address, seen) = serving().await;
    let mut connection = Connection::to(address).await;
    let message = envelope(b"message");
    let (first, second) = message.split_at(9);
    let body = format!("{}{}0\r\n\r\n", chunk(first), chunk(second));
    connection.send(format!("POST /keep HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n{body}")).await;
    let (head, body) = connection.response().await;
    assert!(head.starts_with("http/1.1 200"), "{head}");
    assert!(head.contains("content-type: application/json"), "{head}");
    assert!(body.contains("\"Outputs\""), "{body}");
    assert_eq!(seen.all(), [&b"message"[..]]);
}

#[tokio::test]
async fn a_slow_body_holds_nobody_else_up() {
    let (address, _) = serving().await;
    let mut slow = Connection::to(address).await;
    slow.send("POST /api/show/slow HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nslow\r\n").await;
    let mut quick = Connection::to(address).await;
    quick.send("GET /api/show/quick HTTP/1.1\r\nHost: h\r\n\r\n").await;
    assert!(quick.response().await.1.contains("show/quick"));
    slow.send("5\r\n-body\r\n0\r\n\r\n").await;
    assert!(slow.response().await.1.contains("slow-body"));
}

#[tokio::test]
async fn a_client_that_expects_100_is_told_to_go_on() {
    let (address, _) = serving().await;
    let mut connection = Connection::to(address).await;
    connection.send("POST /api/show/x HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n").await;
    assert!(connection.head().await.starts_with("http/1.1 100"));
    connection.send("body").await;
    assert!(connection.response().await.1.contains("\"body\":\"body\""));
}

#[tokio::test]
async fn a_refused_upload_hears_413_and_its_connection_lives_on() {
    let (address, _) = serving().await;
    let mut connection = Connection::to(address).await;
    let upload = "a".repeat(3_000_000);
    for head in
        ["Content-Length: 3000000\r\n\r\n".to_owned() + &upload, format!("Transfer-Encoding: chunked\r\n\r\n{}0\r\n\r\n", chunk(&upload))]
    {
        connection.send(format!("POST /api/show/x HTTP/1.1\r\nHost: h\r\n{head}")).await;
        let (head, body) = connection.response().await;
        assert!(head.starts_with("http/1.1 413") && body.contains("urn:assay:problem:too-large"), "{head}{body}");
    }
    connection.send("GET /api/show/after HTTP/1.1\r\nHost: h\r\n\r\n").await;
    assert!(connection.response().await.1.contains("show/after"));
}

#[tokio::test]
async fn as_many_headers_as_the_host_lets_through_reach_the_function() {
    let (address, _) = serving().await;
    let mut connection = Connection::to(address).await;
    let headers = (1..100).map(|n| format!("x-{n}: {}\r\n", "v".repeat(310))).collect::<Vec<_>>().concat();
    connection.send(format!("GET /api/show/x HTTP/1.1\r\nHost: h\r\n{headers}\r\n")).await;
    assert!(connection.response().await.0.starts_with("http/1.1 200"));
    let target = "q".repeat(8100);
    connection.send(format!("GET /api/show/x?{target} HTTP/1.1\r\nHost: h\r\n\r\n")).await;
    assert!(connection.response().await.1.contains(&target));
}

#[tokio::test]
async fn head_tells_the_length_of_get_and_sends_no_body() {
    let (address, _) = serving().await;
    let mut connection = Connection::to(address).await;
    connection.send("HEAD /api/show/x HTTP/1.1\r\nHost: h\r\nX-Azure-Functions-InvocationId: a\r\n\r\n").await;
    let head = connection.head().await;
    // What follows is the next response: there was no body between.
    connection.send("GET /api/show/x HTTP/1.1\r\nHost: h\r\nX-Azure-Functions-InvocationId: a\r\n\r\n").await;
    let (_, body) = connection.response().await;
    assert_eq!(length(&head), body.replace("Get", "Head").len());
}

#[tokio::test]
async fn every_cookie_of_a_reply_is_sent() {
    let (address, _) = serving().await;
    let mut connection = Connection::to(address).await;
    connection.send("GET /api/odd/headers HTTP/1.1\r\nHost: h\r\n\r\n").await;
    let head = connection.head().await;
    assert!(head.contains("set-cookie: a=1\r\nset-cookie: b=2"), "{head}");
    assert!(head.is_ascii());
}

#[tokio::test]
async fn work_goes_on_when_the_client_hangs_up() {
    let (address, seen) = serving().await;
    let message = envelope(b"message");
    let mut gone = Connection::to(address).await;
    gone.send(format!("POST /slow HTTP/1.1\r\nHost: h\r\nContent-Length: {}\r\n\r\n{message}", message.len())).await;
    calls_until(address, || seen.all().len() == 1).await;
    drop(gone);
    GO_ON.add_permits(1);
    calls_until(address, || seen.all().len() == 2).await;
    assert_eq!(seen.all(), [&b"begun"[..], b"message"]);
}

/// Makes other calls until something has happened: there is no signal to wait for but the effect itself.
async fn calls_until(address: SocketAddr, happened: impl Fn() -> bool) {
    for _ in 0..10_000 {
        if happened() {
            return;
        }
        let mut other = Connection::to(address).await;
        other.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n").await;
        other.response().await;
    }
    panic!("it did not happen");
}

#[tokio::test]
async fn a_taken_port_is_said_in_words() {
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let port = taken.local_addr().unwrap().port();
    let error = serve(port, Limits::default(), || std::future::ready(Err(Vec::new().into()))).await;
    assert!(matches!(error, ServeError::Port { port: p, .. } if p == port));
    assert!(error.to_string().contains("another process"));
}
