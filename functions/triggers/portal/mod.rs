//! `GET|POST /api/portal/{*rest}`: pages and decisions for people.
//!
//! Picks the use case and the template; GET and HEAD change nothing.

use crate::{
    app::App,
    web::{Problem, Reply, Request},
};

#[expect(clippy::unused_async, reason = "not wired yet")]
pub async fn run(request: Request, _app: &App) -> Reply {
    Problem::new(501, "not-wired", "Not wired yet", "This function does nothing yet; nothing was kept.").reply(&request.invocation_id)
}
