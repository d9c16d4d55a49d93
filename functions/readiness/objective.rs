//! The record of one objective of one client: what a rule suggests, what a named human found, what was last proposed.
//!
//! The 320 objectives are in the catalogue; a record exists from the first suggestion or finding on. A suggestion never
//! becomes a finding here: only `mark` writes findings, inside the gate's batch.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::{score::Answer, suggest::Suggestion};
use crate::{
    evidence::EvidenceRef,
    gate::Proposal,
    tenancy::{ClientPlace, Gathered, Held, PersonId, ProposalId, Record, Store, StoreError, Wanted},
};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Objective {
    /// `3.4.1[d]`.
    pub id: String,
    pub suggestion: Option<Suggestion>,
    pub finding: Option<Finding>,
    /// The last proposal to mark it, whatever became of it; the gate keeps its state.
    pub last_proposal: Option<LastProposal>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastProposal {
    pub id: ProposalId,
    pub version: u32,
    /// What it proposes.
    pub found: Found,
    /// Asked for by a person, not raised from evidence.
    pub by_hand: bool,
    /// Only of one by hand: before it, an approver rejected what the rule asked about the suggestion of today.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub rule_rejected: bool,
}

/// What a named human decided.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    pub found: Found,
    pub person: PersonId,
    /// The name as it was shown then.
    pub name: String,
    #[serde(with = "time::serde::rfc3339")]
    pub decided_at: OffsetDateTime,
    pub proposal: ProposalId,
    /// The records in the state that was approved.
    pub evidence: Vec<EvidenceRef>,
    /// Why, in the words of the person who proposed it; empty for what Assay raised.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// What the approver added.
    pub comment: String,
    /// Since when it stands again, and by whose decision; `None` while it was never taken back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restored: Option<Restored>,
}

/// Somebody decided that a later finding is taken back, and so an earlier one stands again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Restored {
    pub person: PersonId,
    /// The name as it was shown then.
    pub name: String,
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
    /// The proposal to take the later finding back.
    pub proposal: ProposalId,
}

impl Finding {
    /// What people said about it: who decided, then who asked.
    pub fn said(&self) -> String {
        let words: Vec<&str> = [&*self.comment, &*self.reason].into_iter().filter(|words| !words.is_empty()).collect();
        words.join(" ")
    }
}

/// The values a finding can have (32 CFR 170.24(b)), and the partial state in which two requirements lose three points.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Found {
    Met,
    /// Counts as MET.
    NotApplicable,
    NotMet,
    /// NOT MET, in the state that [`Found::partial_state`] describes.
    Partial,
}

impl Found {
    pub const ALL: [Self; 4] = [Self::Met, Self::NotApplicable, Self::NotMet, Self::Partial];

    /// The value of a form's field, as it is stored too.
    pub fn key(self) -> &'static str {
        match self {
            Self::Met => "met",
            Self::NotApplicable => "not_applicable",
            Self::NotMet => "not_met",
            Self::Partial => "partial",
        }
    }

    pub fn of_key(key: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|found| found.key() == key)
    }

    pub fn answer(self) -> Answer {
        match self {
            Self::Met => Answer::Met,
            Self::NotApplicable => Answer::NotApplicable,
            Self::NotMet => Answer::NotMet,
            Self::Partial => Answer::Partial,
        }
    }

    pub fn words(self) -> &'static str {
        self.answer().words()
    }

    /// The partial state of an objective in words, where the rule knows one (32 CFR 170.24(c)(2)(i)(B)). It is recorded
    /// on exactly two objectives: the one that is open while the others of 3.5.3 are met, and the only one of 3.13.11.
    pub fn partial_state(objective: &str) -> Option<&'static str> {
        match objective {
            "3.5.3[d]" => Some("multifactor authentication is in place for remote and privileged users, but not yet for general users"),
            "3.13.11[a]" => Some("encryption is employed, but it is not FIPS-validated"),
            _ => None,
        }
    }
}

impl Objective {
    pub fn new(id: &str) -> Self {
        Self { id: id.into(), suggestion: None, finding: None, last_proposal: None }
    }

    pub fn answer(&self) -> Answer {
        self.finding.as_ref().map_or(Answer::Undecided, |finding| finding.found.answer())
    }
}

impl Record for Objective {
    const KIND: &'static str = "objective";
    const SCHEMA: u32 = 1;

    /// `3.4.1.d`: brackets are reserved characters.
    fn key(&self) -> String {
        key_of(&self.id)
    }
}

/// `3.4.1[d]` -> `3.4.1.d`, in paths and record ids.
pub fn key_of(objective: &str) -> String {
    objective.replace('[', ".").replace(']', "")
}

/// A record that may not exist yet.
#[derive(Clone, Debug)]
pub(super) struct Kept<T> {
    pub(super) value: T,
    pub(super) etag: Option<crate::platform::ports::Etag>,
}

impl<T> Kept<T> {
    pub(super) fn or_new(held: Option<Held<T>>, new: impl FnOnce() -> T) -> Self {
        match held {
            Some(Held { value, etag }) => Self { value, etag: Some(etag) },
            None => Self { value: new(), etag: None },
        }
    }
}

/// The objective's record, or a new one without suggestion and finding.
pub(super) async fn read(store: &Store<'_, ClientPlace>, id: &str) -> Result<Kept<Objective>, StoreError> {
    let held = store.read::<Objective>(ClientPlace::Assessment, &key_of(id)).await?;
    Ok(Kept::or_new(held, || Objective::new(id)))
}

pub(super) fn wanted(id: &str) -> Wanted {
    Wanted::one::<Objective>(&key_of(id))
}

/// All objectives of a requirement (`3.4.1`).
pub(super) fn wanted_of(requirement: &str) -> Wanted {
    Wanted::all::<Objective>(&format!("{requirement}."))
}

/// The same, from what was gathered.
pub(super) async fn among(found: &Gathered<'_, '_, ClientPlace>, id: &str) -> Result<Kept<Objective>, StoreError> {
    Ok(Kept::or_new(found.one::<Objective>(&key_of(id)).await?, || Objective::new(id)))
}

/// The last proposal about an objective, as the gate keeps it.
pub(super) async fn last_proposal(store: &Store<'_, ClientPlace>, objective: &Objective) -> Result<Option<Held<Proposal>>, StoreError> {
    match &objective.last_proposal {
        Some(last) => store.read::<Proposal>(ClientPlace::Assessment, &last.id.to_string()).await,
        None => Ok(None),
    }
}

/// `None` for a record that stays unreadable until somebody mends it: the rest does without it.
pub(super) fn readable<T>(read: Result<T, StoreError>) -> Result<Option<T>, StoreError> {
    match read {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.concerns_one_record() => {
            tracing::warn!(error = %error, "a record that cannot be read is done without");
            Ok(None)
        }
        Err(error) => Err(error),
    }
}
