//! Queue `notify`: mail a proposal to those who may decide it.

use super::{Failure, QueueMessage, message};
use crate::{
    app::App,
    gate::{self, NotifyError},
};

pub async fn run(message: QueueMessage, app: &App) -> Result<(), Failure> {
    let Some(verified) = message::open(app, "notify", &message).await? else { return Ok(()) };
    message::settle(app, "notify", &message, gate::notify(app, &verified).await, NotifyError::is_transient).await
}
