//! Timer `sweep`, every five minutes: what time alone makes due, and what others left behind.
//!
//! Runs may repeat, overlap or be late: each step is idempotent, keyed by what it finds.

use crate::{
    app::App,
    triggers::{Failure, Tick},
};

#[expect(clippy::unused_async, reason = "not wired yet")]
pub async fn run(_tick: Tick, _app: &App) -> Result<(), Failure> {
    Err(Failure::Other("not wired yet".into()))
}
