//! The client's score in SPRS (the Department of Defense's Supplier Performance Risk System): a person submits it there and records that
//! here with what shows it. Level L3: an engineer stages it with the score of the moment; Assay never submits anything.
//!
//! 32 CFR 170.16: the score of a self-assessment is entered there by the organization itself.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::{
    score::{Reading, Score, signed},
    standing,
};
use crate::{
    app::App,
    gate::{self, Draft, proposal::OpenMark},
    tenancy::{ClientPlace, ProposalId, Scope, StoreError, outbox},
};

pub const KIND: &str = "submit_sprs_score";

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

/// Stages it in the name of the scope's person; one that waits already is given back. `client`: its name.
pub async fn propose(app: &App, scope: &Scope, client: &str) -> Result<ProposalId, SubmissionError> {
    let store = scope.store(app).await?;
    let open = store.all::<OpenMark>(ClientPlace::Assessment, "").await?;
    if let Some(mark) = open.into_iter().map(|held| held.value).find(|mark| mark.kind == KIND) {
        return Ok(mark.proposal);
    }
    let now = app.now();
    let Score::Of(points) = standing::read(&store).await?.value.reckon(Reading::Today, now).score else {
        return Err(SubmissionError::NoScore);
    };
    let mut batch = store.batch(ClientPlace::Assessment);
    let id = gate::stage(&mut batch, draft(client, &Submission { score: points, as_of: now })).await?;
    batch.commit().await?;
    if let Err(error) = outbox::flush(&store, ClientPlace::Assessment).await {
        tracing::warn!(error = %error, "the outbox waits for the sweep");
    }
    Ok(id)
}

fn draft(client: &str, submission: &Submission) -> Draft {
    let points = signed(submission.score);
    Draft {
        kind: KIND.into(),
        subject: "SPRS".into(),
        question: format!("Submit the score of {client}, {points} of 110, in SPRS?"),
        explanation:
            "SPRS is the Department of Defense\u{2019}s Supplier Performance Risk System. A person of the client enters the score there."
                .into(),
        action: serde_json::to_string(submission).unwrap_or_default(),
        evidence: vec![],
        reasons: vec![format!("The score today is {points} of 110, from what people decided here.")],
        limits: vec!["Assay neither reads nor writes SPRS: that it stands there is what the person records.".into()],
        before: "Not recorded as submitted.".into(),
        after: format!("Recorded as submitted with {points} of 110: by whom, when, under which reference, and what shows it."),
        approve_verb: "record it".into(),
        on_approve: "Nothing runs. The person who submitted it records that, with what shows it, signed and in the audit trail.".into(),
        on_reject: "It is not submitted. An engineer can ask again.".into(),
        undo: None,
    }
}
