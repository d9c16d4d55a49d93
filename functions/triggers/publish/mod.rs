//! Queue `publish`: bring an owner's log up to date and move its checkpoint, soon after something was recorded.
//!
//! One message stands for all that happened meanwhile, and the sweep does the same where a message was lost or did nothing,
//! so running it twice or not at all ends alike.

use super::{Failure, QueueMessage, message, sweep};
use crate::{
    app::App,
    audit::{
        self, PublishError,
        request::{self, PublishV1},
    },
    tenancy::{ClientPlace, DeploymentScope, Place, Scope, Store, message::MessageError},
};

pub async fn run(message: QueueMessage, app: &App) -> Result<(), Failure> {
    let Some(verified) = message::open(app, request::FUNCTION, &message).await? else { return Ok(()) };
    let about = match verified.body::<PublishV1>() {
        Ok(about) => about,
        Err(error) => return message::settle(app, request::FUNCTION, &message, Err(error), MessageError::is_transient).await,
    };
    let outcome = match Scope::of_message(&verified) {
        Some(scope) => client(app, &scope, &about).await,
        None => deployment(app, &message.invocation_id, &about).await,
    };
    // An alarm is written down and shown, and whatever else went wrong the sweep tries again within minutes: a message that
    // comes again or is buried would tell nobody more.
    if let Err(PublishError::Store(error)) = outcome {
        tracing::warn!(error = %error, "no checkpoint was made; the sweep makes it");
    }
    Ok(())
}

async fn client(app: &App, scope: &Scope, about: &PublishV1) -> Result<(), PublishError> {
    let places = ClientPlace::with_outbox().filter(|place| about.covers(place)).collect();
    bring_up_to_date(&scope.store(app).await?, places).await.published
}

async fn deployment(app: &App, correlation: &str, about: &PublishV1) -> Result<(), PublishError> {
    let scope = DeploymentScope::of_function(request::FUNCTION, correlation);
    let mut places = sweep::every_place(app, &scope).await?;
    places.retain(|place| about.covers(place));
    bring_up_to_date(&scope.store(app).await?, places).await.published
}

/// How far a log was brought.
pub(super) struct Brought {
    /// Whether everything that was recorded before has its place in the log.
    pub(super) is_placed: bool,
    pub(super) published: Result<(), PublishError>,
}

/// Gives what waits its place, then publishes. Boxed: many calls one after the other.
pub(super) async fn bring_up_to_date<P: Place>(store: &Store<'_, P>, places: Vec<P>) -> Brought {
    let is_placed = match Box::pin(audit::sequence(store, places.iter().copied())).await {
        Ok(sequenced) => sequenced.complete,
        Err(error) => return Brought { is_placed: false, published: Err(error.into()) },
    };
    if !is_placed {
        // Another run has the log: what it does not place is asked for again.
        for place in &places {
            request::note(store.app(), store.owner(), place);
        }
    }
    let published = Box::pin(audit::publish(store)).await.map(drop);
    // What is published stands, with or without a witness.
    if published.is_ok()
        && let Err(error) = Box::pin(audit::witness::cosign(store)).await
    {
        tracing::warn!(error = %error, "the checkpoint was not cosigned; the sweep asks again");
    }
    Brought { is_placed, published }
}
