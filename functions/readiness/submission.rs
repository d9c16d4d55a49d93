//! The client's score in SPRS (the Department of Defense's Supplier Performance Risk System): a person submits it there and records that
//! here with what shows it. Level L3: an engineer stages it with the score of the moment; Assay never submits anything.
//!
//! 32 CFR 170.16: the score of a self-assessment is entered there by the organization itself.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::{
    objective::readable,
    propose::open_proposal,
    score::{Reading, Score, signed},
    standing,
};
use crate::{
    app::App,
    gate::{self, Draft, Proposal, State, proposal::Cause},
    tenancy::{ClientPlace, ProposalId, Scope, Store, StoreError, outbox},
};

pub const KIND: &str = "submit_sprs_score";
/// One waits at a time.
const SUBJECT: &str = "SPRS";

/// What is to be submitted: the proposal's exact bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Submission {
    /// Of 110.
    pub score: i32,
    #[serde(with = "time::serde::rfc3339")]
    pub as_of: OffsetDateTime,
}

#[derive(Debug, thiserror::Error)]
pub enum SubmissionError {
    /// 3.12.4 is not MET, so nothing could be submitted.
    #[error("there is no score")]
    NoScore,
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Stages it in the name of the scope's person. One that waits already with the score of today is given back; one with
/// another score gives way. `client`: its name.
pub async fn propose(app: &App, scope: &Scope, client: &str) -> Result<ProposalId, SubmissionError> {
    let store = scope.store(app).await?;
    let now = app.now();
    let Score::Of(points) = standing::read(&store).await?.value.reckon(Reading::Today, now).score else {
        return Err(SubmissionError::NoScore);
    };
    let open = open_proposal(&store, KIND, SUBJECT).await?.map(|(_, held)| held);
    if let Some(held) = open.as_ref().filter(|held| asked(&held.value) == Some(points)) {
        return Ok(held.value.id);
    }
    let mut batch = store.batch(ClientPlace::Assessment);
    let id = gate::stage(&mut batch, draft(client, &Submission { score: points, as_of: now })).await?;
    if let Some(held) = open {
        // It is open, as was read; if it is answered in this moment, the batch conflicts and nothing is asked.
        let _ = gate::supersede(&mut batch, &held, Some(id), Cause::AskedByHand);
    }
    batch.commit().await?;
    if let Err(error) = outbox::flush(&store, ClientPlace::Assessment).await {
        tracing::warn!(error = %error, "the outbox waits for the sweep");
    }
    Ok(id)
}

/// Ends what asks to submit a score that is not so any more, before anybody is reminded to enter a wrong number. For the
/// sweep; whether there was one.
pub async fn end_overtaken(app: &App, scope: &Scope) -> Result<bool, StoreError> {
    let store = scope.store(app).await?;
    let Some((_, held)) = open_proposal(&store, KIND, SUBJECT).await? else { return Ok(false) };
    let today = standing::read(&store).await?.value.reckon(Reading::Today, app.now()).score;
    if asked(&held.value).is_none_or(|asked| today == Score::Of(asked)) {
        return Ok(false);
    }
    let mut batch = store.batch(ClientPlace::Assessment);
    if gate::supersede(&mut batch, &held, None, Cause::ScoreChanged).is_err() {
        return Ok(false);
    }
    batch.commit_unless_overtaken().await
}

/// Why an open submission is not to be recorded as it was asked, as sentences: another score stands by now. `None` for what
/// is no submission.
pub async fn overtaken(store: &Store<'_, ClientPlace>, proposal: &Proposal) -> Result<Option<String>, StoreError> {
    let Some(asked) = asked(proposal).filter(|_| proposal.state == State::Open) else { return Ok(None) };
    let standing = readable(standing::read(store).await)?.map(|kept| kept.value);
    let today = match standing.map(|standing| standing.reckon(Reading::Today, store.app().now()).score) {
        Some(Score::Of(points)) if points == asked => return Ok(None),
        Some(Score::Of(points)) => format!("The score today is {} of 110", signed(points)),
        Some(Score::IfSspAccepted(_)) => "There is no score today, because 3.12.4, the system security plan, is not found MET".into(),
        None => {
            return Ok(Some(
                "The score of today cannot be read just now, so nothing can be recorded. Open this page again in some minutes.".into(),
            ));
        }
    };
    let asked = signed(asked);
    Ok(Some(format!(
        "{today}, and this asks to submit {asked}: do not submit that. It cannot be recorded, and within minutes Assay withdraws it by itself; an engineer can ask again, with the score that stands. If {asked} is in SPRS already, submit the score that stands there too."
    )))
}

/// The score that a proposal asks to submit; `None` when it is of another kind.
fn asked(proposal: &Proposal) -> Option<i32> {
    let bytes = Some(&proposal.draft).filter(|draft| draft.kind == KIND).map(|draft| &draft.action)?;
    serde_json::from_str::<Submission>(bytes).ok().map(|submission| submission.score)
}

fn draft(client: &str, submission: &Submission) -> Draft {
    let points = signed(submission.score);
    Draft {
        kind: KIND.into(),
        subject: SUBJECT.into(),
        question: format!("Submit the score of {client}, {points} of 110, in SPRS?"),
        explanation:
            "SPRS is the Department of Defense\u{2019}s Supplier Performance Risk System. A person of the client enters the score there."
                .into(),
        action: serde_json::to_string(submission).unwrap_or_default(),
        evidence: vec![],
        reasons: vec![format!("On {} the score was {points} of 110, from what people decided here.", submission.as_of.date())],
        limits: vec!["Assay neither reads nor writes SPRS: that it stands there is what the person records.".into()],
        before: "Not recorded as submitted.".into(),
        after: format!("Recorded as submitted with {points} of 110: by whom, when, under which reference, and what shows it."),
        approve_verb: "record it".into(),
        on_approve: "Nothing runs. The person who submitted it records that, with what shows it, signed and in the audit trail.".into(),
        on_reject: "It is not submitted. An engineer can ask again.".into(),
        undo: None,
    }
}
