//! Queue `notify`: tells an approver, or a person concerned, once.
//!
//! Idempotent by proposal and approver.

use crate::{
    app::App,
    triggers::{Failure, QueueMessage},
};

pub async fn run(_message: QueueMessage, _app: &App) -> Result<(), Failure> {
    Err(Failure::Other("not wired yet".into()))
}
