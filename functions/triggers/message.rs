//! What the queue functions share: verify a message before anything reads it, and tell redelivery from a dead letter.

use std::time::Duration;

use super::{Failure, QueueMessage};
use crate::{
    app::App,
    audit::{
        dead_letter,
        refusal::{self, Refused},
    },
    tenancy::{
        DeploymentScope, StoreError,
        keys::{self, Owner},
        message::{self, Verified},
    },
    web::problem::chain,
};

/// How long a message that is put back for another region stays hidden: an instance there gets it sooner than this one
/// meets it again.
const SEND_ON: Duration = Duration::from_mins(1);

/// The message, or `None` when it was written down as a dead letter: then the function has succeeded.
pub(super) async fn open(app: &App, function: &str, message: &QueueMessage) -> Result<Option<Verified>, Failure> {
    match message::open(app, function, &message.body).await {
        Ok(verified) => {
            tracing::info!(function, tenant = verified.tenant().map(tracing::field::display), correlation = %verified.id(), "message");
            if must_go_elsewhere(app, &verified).await {
                return send_on(app, function, message, &verified).await;
            }
            Ok(Some(verified))
        }
        Err(error) if error.is_transient() => Err(Failure::Other(chain(&error))),
        Err(error) => {
            bury(app, function, message, &error.to_string()).await?;
            Ok(None)
        }
    }
}

/// Whether the client's records may not be read in this instance's region. Nothing is unwrapped to know it, and a key that
/// is, is one that the function needs next.
async fn must_go_elsewhere(app: &App, message: &Verified) -> bool {
    let Some(tenant) = message.tenant() else { return false };
    matches!(keys::find(app, Owner::Tenant(tenant)).await, Err(StoreError::Elsewhere { .. }))
}

/// Puts the message back for an instance of the right region, with all of its tries, and says so in the log.
async fn send_on(app: &App, function: &str, message: &QueueMessage, verified: &Verified) -> Result<Option<Verified>, Failure> {
    let scope = DeploymentScope::of_function(function, &message.invocation_id);
    if let Some(tenant) = verified.tenant() {
        refusal::count(app, &scope, Refused::Region, &format!("client:{tenant}")).await?;
    }
    app.queue.send(function, message.body.clone(), SEND_ON).await.map_err(StoreError::from)?;
    Ok(None)
}

/// Ends an invocation: success, redelivery where that may help, a dead letter where it cannot.
pub(super) async fn settle<E: std::error::Error>(
    app: &App,
    function: &str,
    message: &QueueMessage,
    outcome: Result<(), E>,
    is_transient: impl FnOnce(&E) -> bool,
) -> Result<(), Failure> {
    match outcome {
        Ok(()) => Ok(()),
        Err(error) if is_transient(&error) => {
            // Only for whoever reads its dead letter, should it come to that: a store that fails now changes nothing.
            let scope = DeploymentScope::of_function(function, &message.invocation_id);
            if let Err(other) = dead_letter::remember(app, &scope, function, &message.body, &error.to_string()).await {
                tracing::warn!(function, error = %other, "why it failed could not be remembered");
            }
            Err(Failure::Other(chain(&error)))
        }
        Err(error) => bury(app, function, message, &error.to_string()).await,
    }
}

async fn bury(app: &App, function: &str, message: &QueueMessage, reason: &str) -> Result<(), Failure> {
    tracing::warn!(function, reason, "dead letter");
    let scope = DeploymentScope::of_function(function, &message.invocation_id);
    Ok(dead_letter::keep(app, &scope, function, &message.body, reason).await?)
}
