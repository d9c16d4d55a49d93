//! Queue `intake`: turn a stored delivery, or a page of a pull, into evidence of the right client.

use super::{Failure, QueueMessage, message};
use crate::{
    app::App,
    connectors::{self, ConnectorError},
};

pub async fn run(message: QueueMessage, app: &App) -> Result<(), Failure> {
    let Some(verified) = message::open(app, "intake", &message).await? else { return Ok(()) };
    message::settle(app, "intake", &message, connectors::intake::run(app, &verified).await, ConnectorError::is_transient).await
}
