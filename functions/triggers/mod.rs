//! The Azure Functions: one folder each, with its `function.json` and one plain async function.
//!
//! A trigger parses its route or message and makes one call; rules live below. [`TABLE`] mounts them all, and a test
//! holds it against every `function.json`. Errors: an HTTP function answers for itself; a queue or timer function that
//! returns `Err` is answered 500, so the host delivers the message again. What redelivery cannot mend is a dead letter
//! and a success.

use std::{future::Future, pin::Pin};

use bytes::Bytes;

use crate::{
    app::App,
    tenancy::StoreError,
    web::{Reply, Request},
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

/// Every function. Two tests hold it: against the `function.json` files, and against routes that could reach an envelope.
pub const TABLE: &[Trigger] = &[];
