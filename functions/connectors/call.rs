//! One call to a vendor's API, and what its failure means for the work: come back later, or tell a person.
//!
//! Nothing waits here: work that must come back is put into the queue with a delay. Reads are safe to repeat; nothing in
//! this file changes anything at a vendor.

use std::time::Duration;

use bytes::Bytes;
use time::OffsetDateTime;
use url::Url;

use crate::{
    app::App,
    platform::{
        ports::{HttpMethod, HttpRequest, HttpResponse, PortErrorKind},
        retry_after,
    },
};

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// Throttled or down: the same call may work after this time.
    #[error("come back after {} s: {why}", after.as_secs())]
    ComeBack { after: Duration, why: &'static str },
    /// There is no such address: moved, or gone.
    #[error("the vendor knows no such address")]
    NotFound,
    /// Will not become better by itself.
    #[error("the vendor refused: {0}")]
    Refused(&'static str),
}

impl CallError {
    pub fn come_back(seconds: u64, why: &'static str) -> Self {
        Self::ComeBack { after: Duration::from_secs(seconds), why }
    }
}

/// When nobody says how long to wait.
const FLOOR: Duration = Duration::from_secs(30);
/// No vendor's word makes us wait longer than this.
const CEILING: Duration = Duration::from_hours(1);
/// Largest page of rows that is read.
const MAX_ANSWER: usize = 10 * 1024 * 1024;

pub async fn get(app: &App, url: Url, headers: Vec<(String, String)>) -> Result<HttpResponse, CallError> {
    send(app, HttpMethod::Get, url, headers, Bytes::new()).await
}

/// For reads whose question goes in the body.
pub async fn ask(app: &App, url: Url, headers: Vec<(String, String)>, body: Bytes) -> Result<HttpResponse, CallError> {
    send(app, HttpMethod::Post, url, headers, body).await
}

async fn send(app: &App, method: HttpMethod, url: Url, headers: Vec<(String, String)>, body: Bytes) -> Result<HttpResponse, CallError> {
    let request = HttpRequest { method, url, headers, body, timeout: Duration::from_secs(30), max_response_bytes: MAX_ANSWER };
    let response = app.http.send(request).await.map_err(|error| match error.kind {
        PortErrorKind::Throttled { retry_after } => CallError::ComeBack { after: within(retry_after.unwrap_or(FLOOR)), why: "throttled" },
        PortErrorKind::Denied | PortErrorKind::Invalid => CallError::Refused("address not allowed"),
        PortErrorKind::TooLarge => CallError::Refused("answer too large"),
        _ => CallError::ComeBack { after: FLOOR, why: "not reachable" },
    })?;
    match response.status {
        200..=299 => Ok(response),
        404 => Err(CallError::NotFound),
        401 | 403 => Err(CallError::Refused("credentials or rights")),
        429 | 503 => Err(CallError::ComeBack { after: asked_for(&response, app.now()), why: "throttled" }),
        // Not always 429: the text of the refusal is what tells (Autotask thread limit).
        500.. if is_thread_limit(&response.body) => Err(CallError::ComeBack { after: FLOOR, why: "thread limit" }),
        408 | 500.. => Err(CallError::ComeBack { after: asked_for(&response, app.now()), why: "failing" }),
        300..=399 => Err(CallError::Refused("redirects")),
        _ => Err(CallError::Refused("request not understood")),
    }
}

fn is_thread_limit(body: &[u8]) -> bool {
    let text = String::from_utf8_lossy(&body[..body.len().min(4096)]).to_lowercase();
    text.contains("thread threshold exceeded") || text.contains("itgenatr005")
}

/// Seconds or a date (RFC 9110 10.2.3); never shorter than what was asked for.
fn asked_for(response: &HttpResponse, now: OffsetDateTime) -> Duration {
    within(response.header("retry-after").and_then(|text| retry_after::wait(text, Some(now))).unwrap_or(FLOOR))
}

fn within(wait: Duration) -> Duration {
    wait.clamp(Duration::from_secs(1), CEILING)
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::datetime;

    fn response(retry_after: &str) -> HttpResponse {
        HttpResponse { status: 429, headers: vec![("retry-after".into(), retry_after.into())], body: Bytes::new() }
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let now = datetime!(2026-11-10 15:00:00 UTC);
        let wait = |text: &str| asked_for(&response(text), now).as_secs();
        assert_eq!(wait("7"), 7);
        assert_eq!(wait("Tue, 10 Nov 2026 15:02:00 GMT"), 120);
        assert_eq!(wait("soon"), 30);
        assert_eq!(wait("99999999"), 3600);
        assert_eq!(wait("0"), 1);
    }

    #[test]
    fn the_thread_limit_is_told_by_its_text() {
        assert!(is_thread_limit(br#"{"errors":["Thread Threshold Exceeded. (Itgenatr005)"]}"#));
        assert!(!is_thread_limit(b"Zone information could not be determined"));
    }
}
