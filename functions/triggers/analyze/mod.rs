//! Queue `analyze`: say what new evidence means for the objectives it touches.

use super::{Failure, QueueMessage, message};
use crate::{
    app::App,
    audit,
    readiness::{self, AnalyzeError},
    tenancy::Scope,
};

pub async fn run(message: QueueMessage, app: &App) -> Result<(), Failure> {
    let Some(verified) = message::open(app, "analyze", &message).await? else { return Ok(()) };
    let outcome = readiness::analyze(app, &verified).await;
    let written = outcome.as_ref().ok().copied();
    message::settle(app, "analyze", &message, outcome.map(|_| ()), AnalyzeError::is_transient).await?;
    if let (Some(places), Some(scope)) = (written, Scope::of_message(&verified)) {
        // A courtesy to people who look at the trail: what is left, and what others wrote elsewhere, the sweep brings in.
        let store = scope.store(app).await?;
        if let Err(error) = audit::sequence(&store, places).await {
            tracing::warn!(error = %error, "log not brought up to date; the sweep will");
        }
    }
    Ok(())
}
