//! What the queue functions share: verify a message before anything reads it, and tell redelivery from a dead letter.

use std::time::Duration;

use super::{Failure, QueueMessage};
use crate::{
    app::App,
    audit::{
        dead_letter,
        refusal::{self, Refused},
        request,
    },
    tenancy::{
        Actor, DeploymentScope, Roster, StoreError, TenantId,
        keys::{self, Owner},
        message::{self, Verified},
    },
    web::problem::chain,
};

/// How long a message that is put back for another region stays hidden: an instance there gets it sooner than this one
/// meets it again.
const SEND_ON: Duration = Duration::from_mins(1);

/// The same for one of a client that is switched off: so late it goes on when the client is on again.
const LOOK_AGAIN: Duration = Duration::from_mins(15);

/// The message, or `None` when it was written down as a dead letter: then the function has succeeded.
pub(super) async fn open(app: &App, function: &str, message: &QueueMessage) -> Result<Option<Verified>, Failure> {
    match message::open(app, function, &message.body).await {
        Ok(verified) => {
            tracing::info!(function, tenant = verified.tenant().map(tracing::field::display), correlation = %verified.id(), "message");
            let Some(tenant) = verified.tenant() else { return Ok(Some(verified)) };
            // First: no key of a client that is switched off is unwrapped, and keys that were changed are forgotten here.
            let is_off = is_off(app, function, message, tenant).await?;
            if is_off && !goes_on_when_off(function) {
                if matches!(keys::vault_key(app, Owner::Tenant(tenant)).await, Err(StoreError::Destroyed { .. })) {
                    return Ok(nothing_left(function, tenant));
                }
                let scope = DeploymentScope::of_function(function, &message.invocation_id);
                refusal::count(app, &scope, Refused::SwitchedOff, &format!("client:{tenant}")).await?;
                return put_back(app, function, message, LOOK_AGAIN).await;
            }
            match keys::find_for(app, Owner::Tenant(tenant), &Actor::Function(function.into())).await {
                // To an instance of the right region, with all of the message's tries. What was noted says so in the log.
                Err(StoreError::Elsewhere { .. }) => put_back(app, function, message, SEND_ON).await,
                Err(StoreError::Destroyed { .. }) => Ok(nothing_left(function, tenant)),
                // Whatever else is wrong with the key is the function's to find.
                _ => Ok(Some(verified)),
            }
        }
        Err(error) if error.is_transient() => Err(Failure::Other(chain(&error))),
        Err(error) => {
            bury(app, function, message, &error.to_string()).await?;
            Ok(None)
        }
    }
}

fn nothing_left(function: &str, tenant: TenantId) -> Option<Verified> {
    tracing::info!(function, %tenant, "nothing is left to do for a client whose data keys were destroyed");
    None
}

/// A client that is switched off still has a log, which is to be verified: it is published all the same.
fn goes_on_when_off(function: &str) -> bool {
    function == request::FUNCTION
}

/// Asked of the store with every message: what another instance switched off is off here too.
async fn is_off(app: &App, function: &str, message: &QueueMessage, tenant: TenantId) -> Result<bool, StoreError> {
    let scope = DeploymentScope::of_function(function, &message.invocation_id);
    Ok(Roster::read(&scope.store(app).await?).await?.is_off(tenant))
}

/// Puts the message back, under the installation's newest data key: it was found authentic just now, and may go round for
/// longer than the key before counts. Nothing of the client was read.
async fn put_back(app: &App, function: &str, message: &QueueMessage, delay: Duration) -> Result<Option<Verified>, Failure> {
    let body = message::renew(app, &message.body).await?;
    app.queue.send(function, body, delay).await.map_err(StoreError::from)?;
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
