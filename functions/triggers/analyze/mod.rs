//! Queue `analyze`: say what new evidence means for the objectives it touches.

use super::{Failure, QueueMessage, message};
use crate::{
    app::App,
    audit,
    readiness::{self, AnalyzeError},
    tenancy::{ClientPlace, Scope},
};

pub async fn run(message: QueueMessage, app: &App) -> Result<(), Failure> {
    let Some(verified) = message::open(app, "analyze", &message).await? else { return Ok(()) };
    let outcome = readiness::analyze(app, &verified).await;
    let analyzed = outcome.is_ok();
    message::settle(app, "analyze", &message, outcome, AnalyzeError::is_transient).await?;
    if let (true, Some(scope)) = (analyzed, Scope::of_message(&verified)) {
        // A courtesy to people who look at the trail: what is left, the sweep brings in.
        let store = scope.store(app).await?;
        if let Err(error) = audit::sequence(&store, ClientPlace::with_outbox()).await {
            tracing::warn!(error = %error, "log not brought up to date; the sweep will");
        }
    }
    Ok(())
}
