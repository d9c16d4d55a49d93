//! Queue `execute`: runs the exact bytes that were approved.
//!
//! Everything is checked again here; idempotent by the proposal's id and version.

use crate::{
    app::App,
    triggers::{Failure, QueueMessage},
};

#[expect(clippy::unused_async, reason = "not wired yet")]
pub async fn run(_message: QueueMessage, _app: &App) -> Result<(), Failure> {
    Err(Failure::Other("not wired yet".into()))
}
