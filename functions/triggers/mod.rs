//! The Azure Functions: one folder each, with its `function.json` and one plain async function.
//!
//! A trigger parses its route or message and makes one call; rules live below. [`TABLE`] mounts them all, and a test
//! holds it against every `function.json`. Errors: an HTTP function answers for itself; a queue or timer function that
//! returns `Err` is answered 500, so the host delivers the message again. What redelivery cannot mend is a dead letter
//! and a success.
//!
//! The host's proxy repeats a request whose connection broke: a GET up to 40 times, a POST, PUT or DELETE without a
//! body 10 times, all with one invocation id (measured). So GET and HEAD change nothing, every form carries a body with
//! an id of its own in it, and what a request without a body does is the same however often it comes, but for counters.

pub mod check;
mod host_json;
pub mod route;
pub mod telemetry;

pub mod analyze;
pub mod execute;
pub mod health;
pub mod intake;
mod message;
pub mod notify;
pub mod portal;
pub mod publish;
pub mod sweep;
pub mod webhooks;

use std::{future::Future, pin::Pin};

use bytes::Bytes;

use crate::{
    app::App,
    audit::{key_use, request, unreadable},
    tenancy::StoreError,
    web::{Method, Reply, Request},
};

pub type Running<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

pub struct Trigger {
    /// The folder, and the path of its envelopes.
    pub name: &'static str,
    pub kind: Kind,
}

pub enum Kind {
    Http { route: &'static str, methods: &'static [&'static str], max_body_bytes: usize, run: HttpFn },
    Queue { queue: &'static str, run: QueueFn },
    Timer { schedule: &'static str, run: TimerFn },
}

pub type HttpFn = for<'a> fn(Request, &'a App) -> Running<'a, Reply>;
pub type QueueFn = for<'a> fn(QueueMessage, &'a App) -> Running<'a, Result<(), Failure>>;
pub type TimerFn = for<'a> fn(Tick, &'a App) -> Running<'a, Result<(), Failure>>;

/// A queue message as the host delivers it.
#[derive(Clone, Debug)]
pub struct QueueMessage {
    /// Exactly the bytes that were sent.
    pub body: Bytes,
    /// A new one per attempt; never an idempotency key.
    pub invocation_id: String,
}

/// A timer run.
#[derive(Clone, Debug)]
pub struct Tick {
    pub past_due: bool,
    pub invocation_id: String,
}

/// Why an invocation did not succeed; the host delivers the message again.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("{0}")]
    Other(String),
}

/// Runs what may record something, says what became of keys meanwhile and which records did not open, and asks for a checkpoint of the logs that it recorded
/// in.
fn recording<'a, T: Send>(app: &'a App, work: impl Future<Output = T> + Send + 'a) -> Running<'a, T> {
    Box::pin(async move {
        let done = work.await;
        key_use::tell(app).await;
        unreadable::tell(app).await;
        request::send(app).await;
        done
    })
}

/// A page that is read changes nothing (design I10): of keys the next form tells. A browser that Entra ID sends back is
/// signed in by reading, which is recorded.
fn answering<'a>(method: Method, app: &'a App, work: impl Future<Output = Reply> + Send + 'a) -> Running<'a, Reply> {
    if method == Method::Post {
        return recording(app, work);
    }
    Box::pin(async move {
        let reply = work.await;
        request::send(app).await;
        reply
    })
}

/// Every function. Two tests hold it: against the `function.json` files, and against routes that could reach an envelope.
pub const TABLE: &[Trigger] = &[
    Trigger {
        name: health::NAME,
        kind: Kind::Http {
            route: "health",
            methods: &["get", "head"],
            max_body_bytes: 1024,
            run: |_, app| Box::pin(async move { health::run(app) }),
        },
    },
    Trigger {
        name: "webhooks",
        kind: Kind::Http {
            route: "webhooks/{connector}/{connection}/{*rest}",
            methods: &["post"],
            max_body_bytes: 1024 * 1024,
            run: |request, app| recording(app, webhooks::run(request, app)),
        },
    },
    Trigger {
        name: "portal",
        kind: Kind::Http {
            route: "portal/{*rest}",
            methods: &["get", "head", "post"],
            max_body_bytes: 64 * 1024,
            run: |request, app| answering(request.method, app, portal::run(request, app)),
        },
    },
    Trigger { name: "intake", kind: Kind::Queue { queue: "intake", run: |message, app| recording(app, intake::run(message, app)) } },
    Trigger { name: "analyze", kind: Kind::Queue { queue: "analyze", run: |message, app| recording(app, analyze::run(message, app)) } },
    Trigger { name: "notify", kind: Kind::Queue { queue: "notify", run: |message, app| recording(app, notify::run(message, app)) } },
    Trigger { name: "execute", kind: Kind::Queue { queue: "execute", run: |message, app| recording(app, execute::run(message, app)) } },
    Trigger { name: "publish", kind: Kind::Queue { queue: "publish", run: |message, app| recording(app, publish::run(message, app)) } },
    Trigger { name: "sweep", kind: Kind::Timer { schedule: "0 */5 * * * *", run: |tick, app| recording(app, sweep::run(tick, app)) } },
];
