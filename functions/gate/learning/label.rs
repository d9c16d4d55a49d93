//! Labels: which decisions say something about a rule.
//!
//! Only a named human's decision on an item that this human truly saw: after sign-in, for at least [`MIN_VIEW`]. What ran
//! by itself is nobody's approval, however often it went well; counting it would let a rule vouch for itself.

use serde::{Deserialize, Serialize};
use time::{Duration, OffsetDateTime};

/// Who decides faster has not read what they decide.
pub const MIN_VIEW: Duration = Duration::seconds(5);

/// How a person came to a decision: what the form says besides the answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Look {
    /// When the page from which they decided was shown to them, signed in; `None` where nobody knows.
    pub shown_at: Option<OffsetDateTime>,
    /// Why they rejected.
    pub because: Option<Because>,
}

impl Look {
    /// How long the page was open; `None` where nobody knows, also because a clock went back.
    pub fn viewed(&self, decided_at: OffsetDateTime) -> Option<Duration> {
        self.shown_at.map(|shown| decided_at - shown).filter(|viewed| !viewed.is_negative())
    }
}

/// Why a person overrode what was asked. The split tells what has to be mended: the rule, what it can see, or nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Because {
    ModelWrong,
    ContextMissing,
    BusinessChoice,
}

impl Because {
    pub const ALL: [Self; 3] = [Self::ModelWrong, Self::ContextMissing, Self::BusinessChoice];

    /// As a form and the log write it.
    pub fn key(self) -> &'static str {
        match self {
            Self::ModelWrong => "model_wrong",
            Self::ContextMissing => "context_missing",
            Self::BusinessChoice => "business_choice",
        }
    }

    pub fn of_key(key: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|because| because.key() == key)
    }

    /// For people, as what the one who rejects says.
    pub fn words(self) -> &'static str {
        match self {
            Self::ModelWrong => "It is wrong: the evidence does not show this",
            Self::ContextMissing => "Something speaks against it that Assay cannot see",
            Self::BusinessChoice => "It may be right; we decide otherwise",
        }
    }
}

/// What one item taught.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Label {
    pub overridden: bool,
    /// `None` also where an override of an earlier release gave no reason: it counts all the same.
    pub because: Option<Because>,
}

/// The label of a decision that was made `viewed` after its page was shown; `None` when the item was not truly seen.
pub fn label(approved: bool, because: Option<Because>, viewed: Option<Duration>) -> Option<Label> {
    viewed.filter(|viewed| *viewed >= MIN_VIEW).map(|_| Label { overridden: !approved, because: because.filter(|_| !approved) })
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    #[test]
    fn only_what_was_truly_seen_is_a_label() {
        let seen = Some(MIN_VIEW);
        let wrong = Some(Because::ModelWrong);
        assert_eq!(label(true, None, seen), Some(Label { overridden: false, because: None }));
        assert_eq!(label(false, wrong, seen), Some(Label { overridden: true, because: wrong }));
        assert_eq!(label(true, wrong, seen), Some(Label { overridden: false, because: None }), "a yes has no reason against it");
        assert_eq!(label(false, None, seen), Some(Label { overridden: true, because: None }), "no reason: an override all the same");
        assert_eq!(label(false, wrong, Some(MIN_VIEW - Duration::MILLISECOND)), None, "faster than anybody reads");
        assert_eq!(label(true, None, None), None, "nobody knows that it was seen");
    }

    #[test]
    fn a_page_that_was_shown_after_the_decision_was_never_looked_at() {
        let decided = datetime!(2026-11-25 10:00 UTC);
        let look = |seconds| Look { shown_at: Some(decided - Duration::seconds(seconds)), because: None };
        assert_eq!(look(90).viewed(decided), Some(Duration::seconds(90)));
        assert_eq!((look(-1).viewed(decided), Look::default().viewed(decided)), (None, None));
    }

    #[test]
    fn every_reason_is_found_by_its_key() {
        for because in Because::ALL {
            assert_eq!(Because::of_key(because.key()), Some(because));
            assert_eq!(serde_json::to_value(because).expect("a word"), because.key());
        }
        assert_eq!(Because::of_key("because"), None);
    }
}
