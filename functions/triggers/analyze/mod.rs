//! Queue `analyze`: new evidence of a client changes the suggestions it touches.
//!
//! One run per client at a time; a run that finds another at work leaves a mark and succeeds.

use crate::{
    app::App,
    triggers::{Failure, QueueMessage},
};

#[expect(clippy::unused_async, reason = "not wired yet")]
pub async fn run(_message: QueueMessage, _app: &App) -> Result<(), Failure> {
    Err(Failure::Other("not wired yet".into()))
}
