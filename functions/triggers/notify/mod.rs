//! Queue `notify`: tells an approver, or a person concerned, once.
//!
//! Idempotent by proposal and approver.

use crate::{
    app::App,
    triggers::{Failure, QueueMessage},
};

#[expect(clippy::unused_async, reason = "not wired yet")]
pub async fn run(_message: QueueMessage, _app: &App) -> Result<(), Failure> {
    Err(Failure::Other("not wired yet".into()))
}
