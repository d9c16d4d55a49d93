//! What learning and figures see of the log: a few plain facts about proposals, each at its place.
//!
//! Whoever reads the log fills these; nothing below this line knows how an entry is stored. Kinds that say nothing about
//! proposals are left out, and so are entries whose form this release does not know: they teach nothing.

use serde_json::Value;
use time::{Duration, OffsetDateTime, format_description::well_known::Rfc3339};

use super::{Because, Rule};
use crate::{
    gate::level::Level,
    tenancy::{Actor, PersonId, ProposalId},
};

/// One entry of the log.
#[derive(Clone, Debug, PartialEq)]
pub struct Observed {
    /// Its place: an entry that is delivered again is known by it.
    pub seq: u64,
    pub at: OffsetDateTime,
    pub fact: Fact,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Fact {
    Staged {
        item: ProposalId,
        kind: String,
        subject: String,
        level: Level,
        /// By rule, not because a person asked.
        by_rule: bool,
        /// Wrong on purpose, to see whether people look.
        seeded: bool,
    },
    Decided {
        item: ProposalId,
        reviewer: PersonId,
        approved: bool,
        because: Option<Because>,
        /// From the signed-in view to the decision.
        viewed: Option<Duration>,
    },
    Executed {
        item: ProposalId,
    },
    /// Nobody decided, or it did not run, in time.
    Expired {
        item: ProposalId,
    },
    /// It ended in another way: replaced, or refused when it was to run.
    Ended {
        item: ProposalId,
    },
    /// A finding was made or taken back: what stands about this subject now, and whether that is another answer.
    Found {
        item: ProposalId,
        subject: String,
        taken_back: bool,
        changed: bool,
    },
    /// A named human lets a rule be gated less strictly.
    Accepted {
        rule: Rule,
        level: Level,
        by: PersonId,
    },
}

/// The fact that an entry states, by its kind, object, actor and detail; `None` where it states none of these.
pub fn fact(kind: &str, object: &str, actor: &Actor, detail: &Value) -> Option<Fact> {
    let item = || object.strip_prefix("proposal ")?.parse().ok();
    let text = |name: &str| detail[name].as_str().unwrap_or_default().to_owned();
    let person = match actor {
        Actor::Person(id) => Some(*id),
        Actor::Function(_) | Actor::Connection(_) => None,
    };
    Some(match kind {
        "proposal.staged" => Fact::Staged {
            item: item()?,
            kind: text("kind"),
            subject: text("subject"),
            // Entries of before levels were written down.
            level: Level::of_word(&text("level")).unwrap_or(Level::L2),
            by_rule: person.is_none(),
            seeded: detail["seeded"] == true,
        },
        "proposal.approved" | "proposal.rejected" => Fact::Decided {
            item: item()?,
            reviewer: person?,
            approved: kind == "proposal.approved",
            because: Because::of_key(&text("because")),
            viewed: detail["viewed_ms"].as_i64().map(Duration::milliseconds),
        },
        "proposal.executed" => Fact::Executed { item: item()? },
        "proposal.expired" => Fact::Expired { item: item()? },
        "proposal.superseded" | "proposal.refused" => Fact::Ended { item: item()? },
        "objective.marked" | "objective.rolled_back" => Fact::Found {
            item: text("proposal").parse().ok()?,
            subject: text("objective"),
            taken_back: kind == "objective.rolled_back",
            changed: detail["before"] != detail["after"],
        },
        _ => return None,
    })
}

/// What the log keeps of how a decision came about, beside the decision itself.
pub fn detail_of(look: &super::Look, decided_at: OffsetDateTime) -> Vec<(&'static str, Value)> {
    let shown_at = look.shown_at.and_then(|shown| shown.format(&Rfc3339).ok());
    let viewed = look.viewed(decided_at).and_then(|viewed| i64::try_from(viewed.whole_milliseconds()).ok());
    let because = look.because.map(Because::key);
    [shown_at.map(|at| ("shown_at", at.into())), viewed.map(|ms| ("viewed_ms", ms.into())), because.map(|key| ("because", key.into()))]
        .into_iter()
        .flatten()
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use time::macros::datetime;
    use uuid::Uuid;

    use super::*;
    use crate::gate::learning::Look;

    fn by_rule() -> Actor {
        Actor::Function("analyze".into())
    }

    #[test]
    fn the_entries_that_the_gate_writes_are_understood_and_others_say_nothing() {
        let (item, priya) = (ProposalId(Uuid::from_u128(5)), PersonId(Uuid::from_u128(9)));
        let object = format!("proposal {item}");
        let staged = json!({ "kind": "mark_objective", "subject": "3.4.1[d]", "hash": "h", "version": 1 });
        let mark = |by_rule| Fact::Staged {
            item,
            kind: "mark_objective".into(),
            subject: "3.4.1[d]".into(),
            level: Level::L2,
            by_rule,
            seeded: false,
        };
        assert_eq!(fact("proposal.staged", &object, &by_rule(), &staged), Some(mark(true)));
        assert_eq!(fact("proposal.staged", &object, &Actor::Person(priya), &staged), Some(mark(false)));
        let no = json!({ "version": 1, "because": "context_missing", "viewed_ms": 42_000 });
        let expected = Fact::Decided {
            item,
            reviewer: priya,
            approved: false,
            because: Some(Because::ContextMissing),
            viewed: Some(Duration::seconds(42)),
        };
        assert_eq!(fact("proposal.rejected", &object, &Actor::Person(priya), &no), Some(expected));
        assert_eq!(fact("proposal.rejected", &object, &by_rule(), &no), None, "nobody but a person decides");
        assert_eq!(fact("proposal.notified", &object, &by_rule(), &json!({})), None);
        assert_eq!(fact("proposal.executed", "proposal ../..", &by_rule(), &json!({})), None);
        let back = json!({ "objective": "3.4.1[d]", "before": "MET", "after": "undecided", "proposal": item });
        let expected = Fact::Found { item, subject: "3.4.1[d]".into(), taken_back: true, changed: true };
        assert_eq!(fact("objective.rolled_back", "objective 3.4.1[d]", &by_rule(), &back), Some(expected));
    }

    #[test]
    fn what_the_log_keeps_of_a_look_is_what_is_read_from_it() {
        let decided = datetime!(2026-11-25 10:00 UTC);
        let look = Look { shown_at: Some(decided - Duration::milliseconds(61_500)), because: Some(Because::BusinessChoice) };
        let detail: Value =
            detail_of(&look, decided).into_iter().map(|(name, value)| (name.to_owned(), value)).collect::<serde_json::Map<_, _>>().into();
        assert_eq!(detail, json!({ "shown_at": "2026-11-25T09:58:58.5Z", "viewed_ms": 61_500, "because": "business_choice" }));
        let priya = Actor::Person(PersonId(Uuid::from_u128(9)));
        let Some(Fact::Decided { because, viewed, .. }) =
            fact("proposal.rejected", &format!("proposal {}", Uuid::from_u128(5)), &priya, &detail)
        else {
            panic!("no decision")
        };
        assert_eq!((because, viewed), (look.because, look.viewed(decided)));
        assert!(detail_of(&Look::default(), decided).is_empty(), "nothing is made up");
    }
}
