//! Queue `intake`: one stored webhook body, or one page of a pull, becomes evidence.
//!
//! Idempotent by the delivery's id in the message.

use crate::{
    app::App,
    triggers::{Failure, QueueMessage},
};

#[expect(clippy::unused_async, reason = "not wired yet")]
pub async fn run(_message: QueueMessage, _app: &App) -> Result<(), Failure> {
    Err(Failure::Other("not wired yet".into()))
}
