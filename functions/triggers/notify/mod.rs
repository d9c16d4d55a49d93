//! Queue `notify`: mail a proposal to those who may decide it, and a newcomer's request to the owners.

use super::{Failure, QueueMessage, message};
use crate::{
    app::App,
    gate::{self, NotifyError},
};

pub async fn run(message: QueueMessage, app: &App) -> Result<(), Failure> {
    let Some(verified) = message::open(app, "notify", &message).await? else { return Ok(()) };
    let outcome = match verified.tenant() {
        Some(_) => gate::notify(app, &verified).await,
        None => gate::tell_owners(app, &verified).await,
    };
    message::settle(app, "notify", &message, outcome, NotifyError::is_transient).await
}
