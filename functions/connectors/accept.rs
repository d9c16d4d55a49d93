//! Takes a webhook in: verify the raw bytes, keep them once, queue, answer. Nothing else before the answer, but that where no
//! CUI may lie nothing is kept of what carries a marking ([`marked`]).
//!
//! A verified body is answered 200 whatever it says, because senders give up or switch the webhook off when they are
//! told no; what became of it shows in its delivery record. Nothing is stored for a body that is not verified, and
//! nothing when the vendor's key host is down: the sender is told 503 and sends again.

use std::time::Duration;

use bytes::Bytes;
use serde_json::json;

use super::{
    Connection, Credentials, Vendor, autotask, connection, connectwise_manage,
    health::{self, Alarm},
    intake::{DeliveryV1, IntakeV1},
    marked,
};
use crate::{
    app::App,
    platform::ports::BlobContainer,
    tenancy::{ConnectionId, DeploymentPlace, IntakeScope, Store, StoreError, message, seal::sha256},
    web::{Problem, Reply, Request},
};

/// The last part of the route of Autotask's notice that it switched a webhook off.
const DEACTIVATED: &str = "deactivated";

/// What a vendor's rule says of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Verified,
    Unverified(&'static str),
    /// So broken that it cannot even be verified.
    Malformed(&'static str),
    /// It cannot be decided now.
    KeyUnavailable,
}

impl Verdict {
    pub fn unverified(reason: &'static str) -> Self {
        Self::Unverified(reason)
    }
}

/// `POST webhooks/{connector}/{connection}/{*rest}`.
pub async fn accept(app: &App, request: Request, connector: &str, connection: &str, rest: &str) -> Reply {
    let reference = request.invocation_id.clone();
    match take(app, &request, connector, connection, rest.trim_matches('/')).await {
        Ok(reply) => reply,
        Err(problem) => problem.reply(&reference),
    }
}

async fn take(app: &App, request: &Request, connector: &str, connection: &str, rest: &str) -> Result<Reply, Problem> {
    let Some(id) = Vendor::of_slug(connector).and_then(|_| connection.parse::<ConnectionId>().ok()) else {
        return refuse_unknown(app, &request.invocation_id).await;
    };
    let scope = IntakeScope::of_delivery(id, &request.invocation_id);
    let store = scope.store(app).await.map_err(not_now)?;
    let found = connection::read(&store, id).await.map_err(not_now)?;
    let Some(connection) = found.filter(|connection| connection.vendor().slug() == connector) else {
        return refuse_unknown(app, &request.invocation_id).await;
    };
    match (connection.vendor(), rest) {
        (_, "") => {}
        (Vendor::Autotask, DEACTIVATED) => {
            health::alarm(&store, Some(id), Alarm::UnverifiedDeactivation, "deactivation_notice_unsigned").await.map_err(not_now)?;
            return Ok(Reply::json(200, &json!({ "outcome": "hint_only" })));
        }
        _ => return Err(Problem::not_found()),
    }
    match verify(app, &connection, request).await {
        Verdict::Verified => keep(app, &store, &connection, request).await.map_err(not_now),
        Verdict::Unverified(reason) => {
            health::reject(&store, Some(id), reason).await.map_err(not_now)?;
            Err(Problem::unauthorized("The signature does not hold for this connection. Nothing was kept."))
        }
        Verdict::Malformed(reason) => {
            health::reject(&store, Some(id), reason).await.map_err(not_now)?;
            Err(Problem::bad_request("The body is not JSON that can be read in one way only. Nothing was kept."))
        }
        Verdict::KeyUnavailable => {
            tracing::warn!(connection = %id, "the vendor's key host does not answer");
            Err(Problem::new(
                503,
                "key-host-unavailable",
                "Not available just now",
                "The vendor's signing key could not be read. Nothing was kept; send it again.",
            ))
        }
    }
}

async fn verify(app: &App, connection: &Connection, request: &Request) -> Verdict {
    match &connection.credentials {
        Credentials::ConnectwiseManage { company, client_id, .. } => {
            connectwise_manage::verify::verify(app, connection, company, client_id, request).await
        }
        Credentials::Autotask { webhook_secret, previous_webhook_secret, .. } => {
            autotask::verify::verify(webhook_secret, previous_webhook_secret.as_ref(), app.now(), request)
        }
    }
}

/// Raw bytes first, then the message: what is queued can always be read. What carries a marking where none may lie is written
/// down as such, and is over.
async fn keep(app: &App, store: &Store<'_, DeploymentPlace>, connection: &Connection, request: &Request) -> Result<Reply, StoreError> {
    let received_at = app.now();
    let blob = raw_name(connection.id, received_at, &request.body);
    let delivery = DeliveryV1 { connection: connection.id, delivery: app.ids.uuid(), blob, received_at };
    let answer = Reply::json(200, &json!({ "delivery": delivery.delivery.simple().to_string() }));
    if marked::is_not_kept(store, connection, &delivery, &request.body).await? {
        return Ok(answer);
    }
    let blob = &delivery.blob;
    let sealed = store.seal_blob(BlobContainer::Raw.name(), blob, &request.body)?;
    // The same bytes sent again keep the first copy.
    app.blobs.create(BlobContainer::Raw, blob, Bytes::from(sealed)).await?;
    let id = delivery.delivery;
    let message = message::seal(app, "intake", None, id, &IntakeV1::Delivery(delivery)).await?;
    app.queue.send("intake", message, Duration::ZERO).await?;
    Ok(answer)
}

/// The blob's name: the same bytes of a connection on one day have one name.
fn raw_name(connection: ConnectionId, at: time::OffsetDateTime, body: &[u8]) -> String {
    format!("{connection}/{:04}{:02}{:02}/{}", at.year(), u8::from(at.month()), at.day(), sha256(body))
}

/// Counted under no connection: the id is whatever a stranger wrote.
async fn refuse_unknown(app: &App, correlation: &str) -> Result<Reply, Problem> {
    let scope = crate::tenancy::DeploymentScope::of_function("webhooks", correlation);
    let store = scope.store(app).await.map_err(not_now)?;
    health::reject(&store, None, "unknown_connection").await.map_err(not_now)?;
    Err(Problem::not_found())
}

/// A sender can only wait: whatever went wrong in the store, it is told to send again.
fn not_now(error: StoreError) -> Problem {
    let unavailable = Problem::unavailable();
    Problem { retry_after: Problem::from(error).retry_after.or(unavailable.retry_after), ..unavailable }
}
