//! Queue `notify`: tell those who may decide of a proposal, deliver what is due, and mail a newcomer's request to the owners.

use super::{Failure, QueueMessage, message};
use crate::{
    app::App,
    gate::{
        self, NotifyError,
        delivery::{self, DeliverV1},
    },
};

pub async fn run(message: QueueMessage, app: &App) -> Result<(), Failure> {
    let Some(verified) = message::open(app, "notify", &message).await? else { return Ok(()) };
    let outcome = match verified.tenant() {
        Some(_) if verified.body::<DeliverV1>().is_ok() => Box::pin(delivery::deliver(app, &verified)).await,
        Some(_) => Box::pin(gate::notify(app, &verified)).await,
        None => gate::tell_owners(app, &verified).await,
    };
    message::settle(app, "notify", &message, outcome, NotifyError::is_transient).await
}
