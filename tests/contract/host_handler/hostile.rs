//! Requests that try to be two things at once, by the recipes `shd-*` and `sbd-*` of what a socket shows.

use assay::triggers;
use serde_json::Value;
use tokio::io::AsyncReadExt as _;

use super::{
    core::TABLE,
    fixture::{ROOMY, call, ready},
    socket::{Connection, serving},
};
use crate::support::lines::Lines;

/// Everything that comes until the server hangs up.
async fn to_the_end(connection: &mut Connection) -> String {
    let mut all = Vec::new();
    connection.0.read_to_end(&mut all).await.unwrap();
    String::from_utf8(all).unwrap().to_lowercase()
}

/// RFC 9112 6.3 leaves a server 400, or the chunks alone and the end of the connection. Hyper, which reads here, does the
/// second: whatever lies behind is no request.
#[tokio::test]
async fn shd_2_of_two_lengths_the_chunks_count_and_what_was_smuggled_behind_is_never_answered() {
    let smuggled = "GET /api/show/smuggled HTTP/1.1\r\nHost: h\r\n\r\n";
    for lengths in ["Content-Length: 3\r\nTransfer-Encoding: chunked", "Transfer-Encoding: chunked\r\nContent-Length: 3"] {
        let (address, _) = serving().await;
        let mut connection = Connection::to(address).await;
        connection.send(format!("POST /api/show/x HTTP/1.1\r\nHost: h\r\n{lengths}\r\n\r\n0\r\n\r\n{smuggled}")).await;
        let all = to_the_end(&mut connection).await;
        assert_eq!(all.matches("http/1.1 ").count(), 1, "{all}");
        assert!(all.contains("\"body\":\"\"") && !all.contains("smuggled"), "{all}");
    }
    for lengths in ["Content-Length: 3\r\nContent-Length: 4", "Transfer-Encoding: chunked, identity", "Content-Length: +3"] {
        let (address, _) = serving().await;
        let mut connection = Connection::to(address).await;
        connection.send(format!("POST /api/show/x HTTP/1.1\r\nHost: h\r\n{lengths}\r\n\r\nabc{smuggled}")).await;
        let all = to_the_end(&mut connection).await;
        assert!(all.starts_with("http/1.1 400") && all.matches("http/1.1 ").count() == 1, "{lengths}: {all}");
    }
}

#[tokio::test]
async fn shd_4_encoded_dot_segments_lead_nowhere() {
    let (handler, _) = ready(triggers::TABLE, ROOMY);
    for path in
        ["portal/proposals/%2e%2e/clients", "portal/%2E%2E/health", "portal/./health", "portal/%252e%252e/health", "portal/..%2fhealth"]
    {
        assert_eq!(handler.answer(call("GET", &format!("/api/{path}"), &[], "")).await.status, 404, "{path}");
    }
    assert_eq!(handler.answer(call("GET", "/api/health", &[], "")).await.status, 200);
}

/// Our own reference is the host's and of few characters; what a caller names so is neither taken nor printed.
#[tokio::test]
async fn shd_5_a_correlation_id_with_an_escape_writes_nothing_into_the_log() {
    let escape = "a\u{1b}[2Jb\nforged";
    let (handler, _) = ready(TABLE, ROOMY);
    let (lines, listening) = Lines::listen("info");
    for name in ["x-correlation-id", "x-azure-functions-invocationid", "x-ms-invocation-id"] {
        handler.answer(call("GET", "/api/show/x", &[(name, escape)], "")).await;
        handler.answer(call("GET", "/api/odd/panics", &[(name, escape)], "")).await;
    }
    drop(listening);
    let written = lines.text();
    assert!(written.lines().count() >= 6, "{written}");
    assert!(!written.contains(['\u{1b}']) && !written.contains("[2J") && !written.contains("forged"), "{written}");
    assert!(written.lines().all(|line| serde_json::from_str::<Value>(line).is_ok()), "{written}");
    // Over a socket it does not even come so far.
    let (address, _) = serving().await;
    let mut connection = Connection::to(address).await;
    connection.send("GET /api/show/x HTTP/1.1\r\nHost: h\r\nX-Correlation-Id: a\u{1b}[2Jb\r\n\r\n").await;
    assert!(connection.head().await.starts_with("http/1.1 400"));
}

#[tokio::test]
async fn sbd_004_ten_gibibytes_are_refused_before_they_are_read() {
    let (address, _) = serving().await;
    for path in ["/api/show/x", "/keep"] {
        let mut connection = Connection::to(address).await;
        let begun = "a".repeat(1024);
        connection.send(format!("POST {path} HTTP/1.1\r\nHost: h\r\nContent-Length: 10737418240\r\n\r\n{begun}")).await;
        let all = to_the_end(&mut connection).await;
        assert!(all.starts_with("http/1.1 413") && all.contains("urn:assay:problem:too-large"), "{all}");
    }
}
