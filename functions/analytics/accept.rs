//! A named person proposes that a demoted rule runs by itself again; another one approves it, as any action at L2.
//!
//! It can be asked only when nothing is missing for it ([`Ledger::promotion`](crate::gate::learning::Ledger::promotion)),
//! which is looked at again when it is carried out, and once more by the fold that reads `rule.accepted` from the log: so
//! an override in between wins. Never under the floor of the kind.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::keep::{self, config};
use crate::{
    app::App,
    audit,
    gate::{
        Decision, Draft, NotPerformed, Proposal,
        learning::{Learned, Rule},
        level::Level,
        policy::ACCEPT_RULE,
        proposal::{OpenMark, stage},
    },
    tenancy::{Batch, ClientPlace, DeploymentScope, ProposalId, Roster, Scope, Store, StoreError, outbox},
};

/// The action's bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct AcceptRule {
    rule: Rule,
    level: Level,
}

#[derive(Debug, thiserror::Error)]
pub enum AcceptError {
    /// Something is missing for it, or it is where its kind begins already.
    #[error("the rule may not be gated less strictly")]
    NotOpen,
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Stages it in the name of the scope's person, or names the proposal that waits already. `client`: its name, for
/// sentences.
pub async fn propose(app: &App, scope: &Scope, client: &str, rule: &Rule) -> Result<ProposalId, AcceptError> {
    let store = scope.store(app).await?;
    let open = store.all::<OpenMark>(ClientPlace::Assessment, "").await?;
    let same = |mark: &OpenMark| mark.kind == ACCEPT_RULE && mark.subject == rule.name();
    if let Some(mark) = open.into_iter().map(|held| held.value).find(same) {
        return Ok(mark.proposal);
    }
    let (known, behind) = keep::known(&store).await?;
    let roster = who_is_who(&store).await?;
    let level = known.ledger.promotion(rule, &config(), |account| roster.human(account)).and_then(Result::ok).filter(|_| behind == 0);
    let (Some(learned), Some(level)) = (known.ledger.rules().get(rule), level) else { return Err(AcceptError::NotOpen) };
    let mut batch = store.batch(ClientPlace::Assessment);
    let id = stage(&mut batch, draft(client, rule, level, (learned, learned.humans(|account| roster.human(account))))).await?;
    batch.commit().await?;
    if let Err(error) = outbox::flush(&store, ClientPlace::Assessment).await {
        tracing::warn!(error = %error, "the outbox waits for the sweep");
    }
    Ok(id)
}

fn draft(client: &str, rule: &Rule, level: Level, (learned, humans): (&Learned, usize)) -> Draft {
    let action = json!(AcceptRule { rule: rule.clone(), level }).to_string();
    let Learned { n, k, .. } = learned;
    Draft {
        kind: ACCEPT_RULE.into(),
        subject: rule.name().into(),
        question: format!("Let Assay do this at {} for {client}: {}?", level.word(), rule.name().replace('_', " ")),
        explanation: level.meaning().into(),
        action,
        evidence: vec![],
        reasons: vec![format!("{k} overrides in {n} decisions by {humans} people since people were asked.")],
        limits: vec!["What people said of it so far may not hold for what comes. If they override it too often again, they are asked again, without a decision.".into()],
        before: learned.level.meaning().into(),
        after: level.meaning().into(),
        approve_verb: format!("allow {}", level.word()),
        on_approve: format!("From the next time on it runs at {}, unless this client\u{2019}s policy asks for more.", level.word()),
        on_reject: "People go on approving it each time.".into(),
        undo: None,
    }
}

/// The directory: two accounts of one person are one reviewer.
async fn who_is_who(store: &Store<'_, ClientPlace>) -> Result<Arc<Roster>, StoreError> {
    Roster::read(&DeploymentScope::of_function("accept", store.correlation()).store(store.app()).await?).await
}

/// Adds to the gate's batch what the approved proposal does: an entry of the log, from which the rule's level follows.
pub async fn perform(proposal: &Proposal, decision: Option<&Decision>, batch: &mut Batch<'_, '_, ClientPlace>) -> Result<(), NotPerformed> {
    let refused = |why: &str| Err(NotPerformed::Refused(why.into()));
    let Some(decision) = decision else { return refused("Nobody approved it.") };
    let Ok(AcceptRule { rule, level }) = serde_json::from_str(&proposal.draft.action) else {
        return refused("The stored action is not in a form that this release knows.");
    };
    let (known, behind) = keep::known(batch.store()).await?;
    if behind > 0 {
        return refused("The log is being counted just now; ask again in some minutes. Nothing was changed.");
    }
    let roster = who_is_who(batch.store()).await?;
    if known.ledger.promotion(&rule, &config(), |account| roster.human(account)).and_then(Result::ok) != Some(level) {
        return refused("What people decided since speaks against it; nothing was changed.");
    }
    let detail = json!({ "rule": rule, "level": level, "proposal": proposal.id, "by": decision.person });
    audit::record(batch, audit::Event::new("rule.accepted", format!("rule {}", rule.name()), detail));
    Ok(())
}
