//! Where a client stands: every objective's finding and suggestion in one small record.
//!
//! A projection of the objective records, changed in the batches that change them, so that a score, a list of clients or
//! a proposal's "score after" is one point read and not 320. It decides nothing.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::{
    objective::{Kept, Objective},
    score::{self, Answer, Known, Reading, Reckoning},
    suggest::Outcome,
};
use crate::tenancy::{ClientPlace, Gathered, Record, Store, StoreError, Wanted};

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Standing {
    /// By objective, decided ones only.
    findings: BTreeMap<String, Answer>,
    /// By objective.
    suggestions: BTreeMap<String, Suggested>,
    /// When the newest evidence that was analyzed was read.
    #[serde(with = "time::serde::rfc3339::option")]
    pub newest_evidence: Option<OffsetDateTime>,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Suggested {
    pub result: Outcome,
    #[serde(with = "time::serde::rfc3339")]
    pub fresh_until: OffsetDateTime,
    /// An approver rejected it. The gate's record says so and this one does not keep it; see [`Standing::reject`].
    #[serde(skip)]
    pub rejected: bool,
}

impl Standing {
    /// Takes over what an objective's record says now.
    pub fn note(&mut self, objective: &Objective) {
        self.set(&objective.id, objective.answer());
        match &objective.suggestion {
            Some(suggestion) => {
                let suggested = Suggested { result: suggestion.result, fresh_until: suggestion.fresh_until, rejected: false };
                self.suggestions.insert(objective.id.clone(), suggested);
            }
            // All that it rested on is gone: unread again, and unread is unknown (design I8).
            None => self.forget(&objective.id),
        }
    }

    /// Nothing is known to be suggested for this objective.
    pub fn forget(&mut self, objective: &str) {
        self.suggestions.remove(objective);
    }

    /// An approver rejected what is suggested for this objective: that is an answer, so it counts as likely no more.
    pub fn reject(&mut self, objective: &str) {
        if let Some(suggested) = self.suggestions.get_mut(objective) {
            suggested.rejected = true;
        }
    }

    /// As if a human had decided so; for "what would the score be".
    pub fn set(&mut self, objective: &str, found: Answer) {
        match found {
            Answer::Undecided => self.findings.remove(objective),
            answer => self.findings.insert(objective.to_owned(), answer),
        };
    }

    pub fn note_evidence(&mut self, collected_at: OffsetDateTime) {
        self.newest_evidence = self.newest_evidence.max(Some(collected_at));
    }

    pub fn found(&self, objective: &str) -> Answer {
        self.findings.get(objective).copied().unwrap_or(Answer::Undecided)
    }

    pub fn suggested(&self, objective: &str) -> Option<Suggested> {
        self.suggestions.get(objective).copied()
    }

    pub fn known(&self, objective: &str, now: OffsetDateTime) -> Known {
        let is_likely = |s: Suggested| s.result == Outcome::LikelyMet && !s.rejected && now <= s.fresh_until;
        let likely_met = self.suggested(objective).is_some_and(is_likely);
        Known { found: self.found(objective), likely_met }
    }

    pub fn reckon(&self, reading: Reading, now: OffsetDateTime) -> Reckoning {
        score::reckon(reading, |id| self.known(id, now))
    }
}

impl Record for Standing {
    const KIND: &'static str = "standing";
    const SCHEMA: u32 = 1;

    fn key(&self) -> String {
        KEY.into()
    }
}

const KEY: &str = "now";

pub(super) async fn read(store: &Store<'_, ClientPlace>) -> Result<Kept<Standing>, StoreError> {
    Ok(Kept::or_new(store.read(ClientPlace::Assessment, KEY).await?, Standing::default))
}

pub(super) fn wanted() -> Wanted {
    Wanted::one::<Standing>(KEY)
}

/// The same as [`read`], from what was gathered.
pub(super) async fn among(found: &Gathered<'_, '_, ClientPlace>) -> Result<Kept<Standing>, StoreError> {
    Ok(Kept::or_new(found.one(KEY).await?, Standing::default))
}
