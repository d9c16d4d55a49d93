//! What learning and figures see of the log: a few plain facts about proposals, each at its place.
//!
//! Whoever reads the log fills these; nothing below this line knows how an entry is stored. Kinds that say nothing about
//! proposals are left out, and so are entries whose form this release does not know: they teach nothing.

use serde_json::Value;
use time::{Duration, OffsetDateTime, format_description::well_known::Rfc3339};

use super::{Because, Look, Rule};
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
    /// What it did was undone, or was to be undone and could not be.
    Undone {
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
    /// A person looked at what ran without anybody's approval and was drawn ([`super::sample`]).
    Sampled {
        rule: Rule,
        /// The proposal, where it was one.
        item: Option<ProposalId>,
        /// It was wrong on purpose, to see whether people look.
        seeded: bool,
        reviewer: PersonId,
        agrees: bool,
        because: Option<Because>,
        viewed: Option<Duration>,
    },
    /// It was cleared to run by itself, and came to people before it ran.
    Recalled {
        item: ProposalId,
        level: Level,
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
    if let Some(deed) = kind.strip_prefix("proposal.") {
        return of_proposal(deed, object.strip_prefix("proposal ")?.parse().ok()?, actor, detail);
    }
    let text = |name: &str| detail[name].as_str().unwrap_or_default().to_owned();
    if kind == "sample.reviewed" {
        let Actor::Person(reviewer) = *actor else { return None };
        return Some(Fact::Sampled {
            rule: Rule::of_name(text("rule")),
            item: text("proposal").parse().ok(),
            seeded: detail["test_item"] == true,
            reviewer,
            agrees: detail["agrees"] == true,
            because: Because::of_key(&text("because")),
            viewed: viewed(detail),
        });
    }
    if kind == "rule.accepted" {
        let (level, by) = (Level::of_word(&text("level"))?, text("by").parse().ok()?);
        return Some(Fact::Accepted { rule: Rule::of_name(text("rule")), level, by });
    }
    let taken_back = match kind {
        "objective.marked" => false,
        "objective.rolled_back" => true,
        _ => return None,
    };
    let changed = detail["before"] != detail["after"];
    Some(Fact::Found { item: text("proposal").parse().ok()?, subject: text("objective"), taken_back, changed })
}

fn viewed(detail: &Value) -> Option<Duration> {
    detail["viewed_ms"].as_i64().map(Duration::milliseconds)
}

/// By the second word of the kind.
fn of_proposal(deed: &str, item: ProposalId, actor: &Actor, detail: &Value) -> Option<Fact> {
    let text = |name: &str| detail[name].as_str().unwrap_or_default().to_owned();
    let person = match actor {
        Actor::Person(id) => Some(*id),
        Actor::Function(_) | Actor::Connection(_) => None,
    };
    Some(match deed {
        "staged" => Fact::Staged {
            item,
            kind: text("kind"),
            subject: text("subject"),
            // Entries of before levels were written down.
            level: Level::of_word(&text("level")).unwrap_or(Level::L2),
            by_rule: person.is_none(),
        },
        // Before it ran, or of what had run by itself.
        "approved" | "upheld" | "rejected" | "overridden" => Fact::Decided {
            item,
            reviewer: person?,
            approved: matches!(deed, "approved" | "upheld"),
            because: Because::of_key(&text("because")),
            viewed: viewed(detail),
        },
        // In an emergency, or done outside Assay: somebody decided, and nothing is learned from how.
        "glass_broken" | "recorded" => Fact::Decided { item, reviewer: person?, approved: true, because: None, viewed: None },
        "revised" if detail["level_before"].is_string() => Fact::Recalled { item, level: Level::of_word(&text("level"))? },
        "executed" => Fact::Executed { item },
        "undone" | "rolled_back" | "not_undone" => Fact::Undone { item },
        "expired" => Fact::Expired { item },
        "superseded" | "withdrawn" | "refused" | "failed" => Fact::Ended { item },
        _ => return None,
    })
}

/// Adds to a decision's detail how it came about, as far as that is known; [`fact`] reads it.
pub fn note_look(detail: &mut Value, look: &Look, decided_at: OffsetDateTime) {
    if let Some(at) = look.shown_at.and_then(|shown| shown.format(&Rfc3339).ok()) {
        detail["shown_at"] = at.into();
    }
    if let Some(ms) = look.viewed(decided_at).and_then(|viewed| i64::try_from(viewed.whole_milliseconds()).ok()) {
        detail["viewed_ms"] = ms.into();
    }
    if let Some(because) = look.because {
        detail["because"] = because.key().into();
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use time::macros::datetime;
    use uuid::Uuid;

    use super::*;

    fn by_rule() -> Actor {
        Actor::Function("analyze".into())
    }

    #[test]
    fn the_entries_that_the_gate_writes_are_understood_and_others_say_nothing() {
        let (item, priya) = (ProposalId(Uuid::from_u128(5)), PersonId(Uuid::from_u128(9)));
        let object = format!("proposal {item}");
        let staged = json!({ "kind": "mark_objective", "subject": "3.4.1[d]", "hash": "h", "version": 1 });
        let mark = |by_rule| Fact::Staged { item, kind: "mark_objective".into(), subject: "3.4.1[d]".into(), level: Level::L2, by_rule };
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
        let of_by_itself = fact("proposal.overridden", &object, &Actor::Person(priya), &json!({ "viewed_ms": 9_000 }));
        assert!(matches!(of_by_itself, Some(Fact::Decided { approved: false, viewed: Some(_), .. })), "{of_by_itself:?}");
        assert_eq!(
            fact("proposal.not_undone", &object, &by_rule(), &json!({ "why": "gone" })),
            Some(Fact::Undone { item }),
            "the worst of ends"
        );
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
        let mut detail = json!({});
        note_look(&mut detail, &look, decided);
        assert_eq!(detail, json!({ "shown_at": "2026-11-25T09:58:58.5Z", "viewed_ms": 61_500, "because": "business_choice" }));
        let priya = Actor::Person(PersonId(Uuid::from_u128(9)));
        let Some(Fact::Decided { because, viewed, .. }) =
            fact("proposal.rejected", &format!("proposal {}", Uuid::from_u128(5)), &priya, &detail)
        else {
            panic!("no decision")
        };
        assert_eq!((because, viewed), (look.because, look.viewed(decided)));
        let mut unknown = json!({ "version": 1 });
        note_look(&mut unknown, &Look::default(), decided);
        assert_eq!(unknown, json!({ "version": 1 }), "nothing is made up");
    }
}
