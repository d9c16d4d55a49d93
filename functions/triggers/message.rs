//! What the queue functions share: verify a message before anything reads it, and tell redelivery from a dead letter.

use super::{Failure, QueueMessage};
use crate::{
    app::App,
    audit::dead_letter,
    tenancy::{
        DeploymentScope,
        message::{self, Verified},
    },
    web::problem::chain,
};

/// The message, or `None` when it was written down as a dead letter: then the function has succeeded.
pub(super) async fn open(app: &App, function: &str, message: &QueueMessage) -> Result<Option<Verified>, Failure> {
    match message::open(app, function, &message.body).await {
        Ok(verified) => {
            tracing::info!(function, tenant = verified.tenant().map(tracing::field::display), correlation = %verified.id(), "message");
            Ok(Some(verified))
        }
        Err(error) if error.is_transient() => Err(Failure::Other(chain(&error))),
        Err(error) => {
            bury(app, function, message, &error.to_string()).await?;
            Ok(None)
        }
    }
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
