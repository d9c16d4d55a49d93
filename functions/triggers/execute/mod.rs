//! Queue `execute`: run what was approved. Hands the checked action to the area that staged it.

use super::{Failure, QueueMessage, message};
use crate::{
    analytics,
    app::App,
    audit,
    gate::{
        self, ExecuteError, NotPerformed,
        policy::{ACCEPT_RULE, CHANGE_POLICY},
    },
    readiness,
    tenancy::{ClientPlace, Scope},
};

pub async fn run(message: QueueMessage, app: &App) -> Result<(), Failure> {
    let Some(verified) = message::open(app, "execute", &message).await? else { return Ok(()) };
    let outcome = gate::execute(app, &verified, |proposal, decision, batch| {
        Box::pin(async move {
            if readiness::mark::performs(&proposal.draft.kind) {
                readiness::perform(proposal, decision, batch).await
            } else if proposal.draft.kind == CHANGE_POLICY {
                gate::amend::perform(proposal, decision, batch).await
            } else if proposal.draft.kind == ACCEPT_RULE {
                analytics::accept::perform(proposal, decision, batch).await
            } else {
                Err(NotPerformed::Failed(format!("This release does not know the action {}.", proposal.draft.kind)))
            }
        })
    })
    .await
    .map(|_| ());
    let executed = outcome.is_ok();
    message::settle(app, "execute", &message, outcome, ExecuteError::is_transient).await?;
    if let (true, Some(scope)) = (executed, Scope::of_message(&verified)) {
        // Decided and executed there; what others wrote elsewhere, the sweep brings in.
        let store = scope.store(app).await?;
        if let Err(error) = audit::sequence(&store, [ClientPlace::Assessment]).await {
            tracing::warn!(error = %error, "log not brought up to date; the sweep will");
        }
    }
    Ok(())
}
