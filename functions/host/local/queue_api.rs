//! The queues over loopback HTTP, as Storage is over the network in Azure: the handler is another process.
//!
//! Three calls, each with the bearer token that only the handler is given: send, receive, delete. An answer means the
//! change is on disk. The host's own pump does not come through here. It must never bind anything but 127.0.0.1.

use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use bytes::{Bytes, BytesMut};
use futures_util::{StreamExt as _, pin_mut};
use serde::Deserialize;
use serde_json::json;
use time::format_description::well_known::Rfc3339;
use uuid::Uuid;
use warp::{
    Filter, Reply,
    http::{Response, StatusCode},
};

use super::queues::{Held, QueueError, Queues};
use crate::platform::ports::MAX_MESSAGE_BYTES;

/// Messages one call may take (Azure Storage: 32).
const MAX_RECEIVE: usize = 32;
/// The longest delay or lease (Azure Storage: 7 days).
const MAX_SECONDS: u64 = 7 * 24 * 3600;

type Answer = Response<Bytes>;

/// `POST /queues/{name}/messages?delay=SECONDS` -> 201, `POST /queues/{name}/receive?max=N&lease=SECONDS` -> JSON list,
/// `DELETE /queues/{name}/messages/{id}?pop_receipt=..` -> 204, 404 when it is gone, 412 when the lease was lost.
pub fn routes(queues: Queues, token: String) -> impl Filter<Extract = (impl Reply,), Error = warp::Rejection> + Clone {
    let authorized = warp::header::optional::<String>("authorization").map(move |given: Option<String>| is_token(given.as_deref(), &token));
    let queues = warp::any().map(move || queues.clone());

    let send = warp::path!("queues" / String / "messages")
        .and(warp::post())
        .and(authorized.clone())
        .and(warp::query())
        .and(warp::body::stream())
        .and(queues.clone())
        .then(async |queue: String, authorized: bool, query: SendQuery, body, queues: Queues| {
            if !authorized {
                return status(StatusCode::UNAUTHORIZED);
            }
            match read(body).await {
                Some(body) => match queues.send(&queue, body, seconds(query.delay.unwrap_or(0.0))).await {
                    Ok(()) => status(StatusCode::CREATED),
                    Err(error) => refused(&error),
                },
                None => status(StatusCode::PAYLOAD_TOO_LARGE),
            }
        });

    let receive =
        warp::path!("queues" / String / "receive").and(warp::post()).and(authorized.clone()).and(warp::query()).and(queues.clone()).then(
            async |queue: String, authorized: bool, query: ReceiveQuery, queues: Queues| {
                if !authorized {
                    return status(StatusCode::UNAUTHORIZED);
                }
                match queues.receive(&queue, query.max.clamp(1, MAX_RECEIVE), seconds(query.lease)).await {
                    Ok(messages) => {
                        let list: Vec<_> = messages
                            .into_iter()
                            .map(|m| {
                                json!({
                                    "id": m.id, "pop_receipt": m.pop_receipt, "body": BASE64.encode(&m.body),
                                    "dequeue_count": m.dequeue_count,
                                    "inserted_at": m.inserted_at.format(&Rfc3339).unwrap_or_default(),
                                })
                            })
                            .collect();
                        let mut answer = Response::new(Bytes::from(serde_json::Value::from(list).to_string()));
                        answer.headers_mut().insert("content-type", warp::http::HeaderValue::from_static("application/json"));
                        answer
                    }
                    Err(error) => refused(&error),
                }
            },
        );

    let delete =
        warp::path!("queues" / String / "messages" / Uuid).and(warp::delete()).and(authorized).and(warp::query()).and(queues).then(
            async |queue: String, id: Uuid, authorized: bool, query: DeleteQuery, queues: Queues| {
                if !authorized {
                    return status(StatusCode::UNAUTHORIZED);
                }
                match queues.delete(&queue, id, query.pop_receipt).await {
                    Ok(Held::Done(_)) => status(StatusCode::NO_CONTENT),
                    Ok(Held::Gone) => status(StatusCode::NOT_FOUND),
                    Ok(Held::Lost) => status(StatusCode::PRECONDITION_FAILED),
                    Err(error) => refused(&error),
                }
            },
        );

    send.or(receive).unify().or(delete).unify()
}

#[derive(Deserialize)]
struct SendQuery {
    delay: Option<f64>,
}

#[derive(Deserialize)]
struct ReceiveQuery {
    max: usize,
    lease: f64,
}

#[derive(Deserialize)]
struct DeleteQuery {
    pop_receipt: Uuid,
}

fn refused(error: &QueueError) -> Answer {
    status(match error {
        QueueError::Name => StatusCode::BAD_REQUEST,
        QueueError::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        QueueError::Full => StatusCode::INSUFFICIENT_STORAGE,
        QueueError::Store(_) | QueueError::Closed | QueueError::NewerFormat(_) => StatusCode::SERVICE_UNAVAILABLE,
    })
}

fn status(status: StatusCode) -> Answer {
    let mut answer = Response::new(Bytes::new());
    *answer.status_mut() = status;
    answer
}

/// Whole and fractional seconds, zero to seven days.
fn seconds(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds).unwrap_or_default().min(Duration::from_secs(MAX_SECONDS))
}

/// The body, counted as it comes; `None` when it is too long or breaks off.
async fn read(stream: impl futures_util::Stream<Item = Result<impl warp::Buf, warp::Error>>) -> Option<Bytes> {
    pin_mut!(stream);
    let mut body = BytesMut::new();
    while let Some(chunk) = stream.next().await {
        let mut chunk = chunk.ok()?;
        if body.len() + chunk.remaining() > MAX_MESSAGE_BYTES {
            return None;
        }
        body.extend_from_slice(&chunk.copy_to_bytes(chunk.remaining()));
    }
    Some(body.freeze())
}

/// In constant time for equal lengths.
fn is_token(given: Option<&str>, token: &str) -> bool {
    let given = given.and_then(|g| g.strip_prefix("Bearer ")).unwrap_or_default();
    !token.is_empty() && aws_lc_rs::constant_time::verify_slices_are_equal(given.as_bytes(), token.as_bytes()).is_ok()
}

/// Serves until it is dropped.
pub async fn serve(listener: tokio::net::TcpListener, queues: Queues, token: String) {
    warp::serve(routes(queues, token)).incoming(listener).run().await;
}
