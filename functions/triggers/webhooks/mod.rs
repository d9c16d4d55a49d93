//! `POST /api/webhooks/{connector}/{connection}/{*rest}`: a vendor says that something changed.
//!
//! Verify on the raw bytes, store them once, enqueue, answer: nothing else happens before the answer (design, main job 1).

use crate::{
    app::App,
    web::{Problem, Reply, Request},
};

#[expect(clippy::unused_async, reason = "not wired yet")]
pub async fn run(request: Request, _app: &App) -> Reply {
    Problem::new(501, "not-wired", "Not wired yet", "This function does nothing yet; nothing was kept.").reply(&request.invocation_id)
}
