//! Gate levels: how much of a human an action needs. They come from policy ([`super::policy`]), never from a request.

use serde::{Deserialize, Serialize};

/// In order: a higher level asks more of people.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Level {
    /// Runs by rule; all of it stands in the log.
    L0,
    /// Runs and tells; a person can review, override and escalate afterwards.
    L1,
    /// Runs only after its quorum approved.
    L2,
    /// A named human does it outside Assay; here it is recorded with evidence, and never carried out.
    L3,
}

impl Level {
    pub const ALL: [Self; 4] = [Self::L0, Self::L1, Self::L2, Self::L3];

    pub fn word(self) -> &'static str {
        match self {
            Self::L0 => "L0",
            Self::L1 => "L1",
            Self::L2 => "L2",
            Self::L3 => "L3",
        }
    }

    pub fn of_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|level| level.word() == word)
    }

    /// One sentence for people.
    pub fn meaning(self) -> &'static str {
        match self {
            Self::L0 => "Assay does this by itself and writes down all of it.",
            Self::L1 => "Assay does this and tells people, who can review it and undo it for a while.",
            Self::L2 => "Nothing happens before the people whom the policy names have approved it.",
            Self::L3 => "A named person does this outside Assay and records it here with evidence; Assay never does it.",
        }
    }
}
