//! `POST /api/webhooks/{connector}/{connection}/{*rest}`: a vendor says that something changed.
//!
//! Verify on the raw bytes, store them once, enqueue, answer: nothing else happens before the answer (design, main job 1).

use crate::{
    app::App,
    connectors,
    web::{Problem, Reply, Request},
};

pub async fn run(request: Request, app: &App) -> Reply {
    let path = request.path.clone();
    let mut parts = path.splitn(4, '/').skip(1);
    match (parts.next(), parts.next(), parts.next()) {
        (Some(connector), Some(connection), rest) => {
            connectors::accept::accept(app, request, connector, connection, rest.unwrap_or_default()).await
        }
        _ => Problem::not_found().reply(&request.invocation_id),
    }
}
