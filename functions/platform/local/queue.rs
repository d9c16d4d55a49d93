//! The queues of local mode: a client of the stand-in host, which owns them as Azure Storage does in Azure.
//!
//! The loopback API, every call with `Authorization: Bearer {ASSAY_QUEUE_TOKEN}`:
//! `POST /queues/{name}/messages?delay=SECONDS` with the raw bytes -> 201 when durable;
//! `POST /queues/{name}/receive?max=N&lease=SECONDS` -> 200 and `[{id, pop_receipt, body (base64), dequeue_count, inserted_at}]`;
//! `DELETE /queues/{name}/messages/{id}?pop_receipt=..` -> 204, 404 when it is gone, 412 when the lease was
//! lost to somebody else.
//! Refusals: 400, 401, 413, 429, 507 (full), 503.

use std::{sync::OnceLock, time::Duration};

use async_trait::async_trait;
use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use bytes::Bytes;
use serde::Deserialize;
use time::OffsetDateTime;
use url::Url;

use crate::platform::{
    limits::{MAX_RECEIVE, check_queue_name, hidden_seconds},
    ports::{MAX_MESSAGE_BYTES, PortError, PortErrorKind, Queue, Received},
    process::http,
};

const TIMEOUT: Duration = Duration::from_secs(10);
const MAX_ANSWER_BYTES: usize = MAX_RECEIVE * 2 * MAX_MESSAGE_BYTES;

/// A received message on the loopback API.
#[derive(Deserialize)]
struct WireMessage {
    id: String,
    pop_receipt: String,
    /// Base64 of the bytes that were sent.
    body: String,
    dequeue_count: u32,
    #[serde(with = "time::serde::rfc3339")]
    inserted_at: OffsetDateTime,
}

pub struct QueueClient {
    client: OnceLock<reqwest::Client>,
    url: Url,
    token: String,
}

impl QueueClient {
    pub fn new(url: Url, token: String) -> Self {
        Self { client: OnceLock::new(), url, token }
    }

    /// Sends the call; an answer outside 2xx is an error, `None` is 404.
    async fn call(
        &self,
        method: reqwest::Method,
        queue: &str,
        rest: &[&str],
        query: &[(&str, &str)],
        body: Bytes,
    ) -> Result<Option<Bytes>, PortError> {
        check_queue_name(queue)?;
        let resource = format!("queue {queue}");
        let mut url = self.url.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(["queues", queue]).extend(rest);
        }
        url.query_pairs_mut().extend_pairs(query);
        let call = http::client(&self.client)?.request(method, url).bearer_auth(&self.token).timeout(TIMEOUT).body(body);
        let answer = call.send().await.map_err(|error| http::failure(&resource, error))?;
        let kind = match answer.status().as_u16() {
            200..=299 => return http::read(answer, &resource, MAX_ANSWER_BYTES).await.map(Some),
            404 => return Ok(None),
            400 | 412 => PortErrorKind::Invalid,
            401 | 403 => PortErrorKind::Denied,
            413 => PortErrorKind::TooLarge,
            429 => PortErrorKind::Throttled { retry_after: None },
            507 => PortErrorKind::Full,
            _ => PortErrorKind::Unavailable,
        };
        Err(PortError::new(resource, kind))
    }
}

#[async_trait]
impl Queue for QueueClient {
    async fn send(&self, queue: &str, message: Bytes, delay: Duration) -> Result<(), PortError> {
        if message.len() > MAX_MESSAGE_BYTES {
            return Err(PortError::new(format!("queue {queue}"), PortErrorKind::TooLarge));
        }
        let delay = hidden_seconds(queue, delay)?.to_string();
        let sent = self.call(reqwest::Method::POST, queue, &["messages"], &[("delay", &delay)], message).await?;
        sent.map(|_| ()).ok_or_else(|| PortError::new(format!("queue {queue}"), PortErrorKind::Unavailable))
    }

    async fn receive(&self, queue: &str, max: usize, lease: Duration) -> Result<Vec<Received>, PortError> {
        let (max, lease) = (max.clamp(1, MAX_RECEIVE).to_string(), hidden_seconds(queue, lease.max(Duration::from_secs(1)))?.to_string());
        let Some(answer) = self.call(reqwest::Method::POST, queue, &["receive"], &[("max", &max), ("lease", &lease)], Bytes::new()).await?
        else {
            return Ok(Vec::new());
        };
        let unreadable = || PortError::new(format!("queue {queue}"), PortErrorKind::Unreadable);
        let messages: Vec<WireMessage> = serde_json::from_slice(&answer).map_err(|_| unreadable())?;
        messages
            .into_iter()
            .map(|WireMessage { id, pop_receipt, body, dequeue_count, inserted_at }| {
                let body = BASE64.decode(body).map_err(|_| unreadable())?.into();
                Ok(Received { id, pop_receipt, body, dequeue_count, inserted_at })
            })
            .collect()
    }

    async fn delete(&self, queue: &str, message: &Received) -> Result<(), PortError> {
        let query = [("pop_receipt", message.pop_receipt.as_str())];
        self.call(reqwest::Method::DELETE, queue, &["messages", &message.id], &query, Bytes::new()).await.map(|_| ())
    }
}
