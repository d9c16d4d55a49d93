//! Finding entries of a log: by what happened, who did it, when, and how it went.
//!
//! What an entry says is sealed, so nothing can be looked up by it: a search opens entries, newest first, and stops after a
//! while with a word of how far it came. With days given it begins and ends near them: entries stand in the order in which
//! they got their places, which is the order in which they happened but for what had to wait.

use serde::{Deserialize, Serialize};
use time::{Date, Duration, OffsetDateTime, Time};

use super::{
    entry::{Entry, entry_key, part_of},
    leaf,
    schema::{self, Outcome},
    trail::Shown,
};
use crate::tenancy::{Actor, PersonId, Place, Store, StoreError};

/// All must hold; one that is not given holds always.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Filter {
    /// A kind, or the name of an area of the schema: `proposal.approved`, `proposals`.
    pub kind: Option<String>,
    pub who: Option<Who>,
    pub outcome: Option<Outcome>,
    /// The first and the last day in UTC, both included.
    pub from: Option<Date>,
    pub to: Option<Date>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Who {
    Person(PersonId),
    /// Any person.
    People,
    /// Assay itself, by rule.
    Assay,
    /// A connected tool.
    Tools,
}

/// Entries that waited longer for their place are found without days only.
pub const LATEST: Duration = Duration::days(7);

impl Filter {
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    pub fn takes(&self, shown: &Shown) -> bool {
        let kind = self.kind.as_ref().is_none_or(|kind| shown.kind == *kind || schema::is_of_area(&shown.kind, kind));
        let who = self.who.is_none_or(|who| match who {
            Who::Person(id) => shown.actor == Actor::Person(id),
            Who::People => matches!(shown.actor, Actor::Person(_)),
            Who::Assay => matches!(shown.actor, Actor::Function(_)),
            Who::Tools => matches!(shown.actor, Actor::Connection(_)),
        });
        let outcome = self.outcome.is_none_or(|outcome| schema::find(&shown.kind).is_some_and(|kind| kind.outcome == outcome));
        let day = shown.at.to_offset(time::UtcOffset::UTC).date();
        kind && who && outcome && self.from.is_none_or(|from| day >= from) && self.to.is_none_or(|to| day <= to)
    }

    /// Whether no entry before this one can be of the days asked for.
    pub(super) fn ends_before(&self, shown: &Shown) -> bool {
        self.from.is_some_and(|from| shown.at.checked_add(LATEST).is_some_and(|last| last < midnight(from)))
    }

    /// The end of what can be of the days asked for: behind it entries are later ones.
    pub(super) async fn end<P: Place>(&self, store: &Store<'_, P>, total: u64) -> Result<u64, StoreError> {
        /// Fewer than that are looked through sooner than the end is found.
        const FEW: u64 = 500;
        let Some(day) = self.to.and_then(Date::next_day).filter(|_| total > FEW) else { return Ok(total) };
        let Some(limit) = midnight(day).checked_add(LATEST) else { return Ok(total) };
        let (mut low, mut high) = (0, total);
        while low < high {
            let middle = low + (high - low) / 2;
            let entry = store.read::<Entry>(part_of(middle), &entry_key(middle)).await?;
            // One that cannot be read tells nothing of its time: what is behind it is looked at.
            let later = entry.and_then(|held| leaf::read(&held.value.leaf).ok()).is_some_and(|leaf| leaf.at > limit);
            if later { high = middle } else { low = middle + 1 }
        }
        Ok(low)
    }
}

fn midnight(day: Date) -> OffsetDateTime {
    day.with_time(Time::MIDNIGHT).assume_utc()
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use time::macros::{date, datetime};
    use uuid::Uuid;

    use super::*;

    fn shown(kind: &str, actor: Actor, at: OffsetDateTime) -> Shown {
        Shown { place: None, at, kind: kind.into(), object: "o".into(), actor, correlation: String::new(), detail: json!({}) }
    }

    #[test]
    fn each_part_of_a_filter_lets_through_what_it_says_and_nothing_else() {
        let dana = PersonId(Uuid::from_u128(7));
        let at = datetime!(2026-03-01 23:59:59 UTC);
        let entry = shown("proposal.rejected", Actor::Person(dana), at);
        let takes = |filter: Filter| filter.takes(&entry);
        assert!(takes(Filter::default()) && Filter::default().is_empty());
        for (kind, holds) in [("proposal.rejected", true), ("proposals", true), ("proposal.reject", false), ("policy", false)] {
            assert_eq!(takes(Filter { kind: Some(kind.into()), ..Filter::default() }), holds, "{kind}");
        }
        for (who, holds) in [
            (Who::Person(dana), true),
            (Who::Person(PersonId(Uuid::from_u128(8))), false),
            (Who::People, true),
            (Who::Assay, false),
            (Who::Tools, false),
        ] {
            assert_eq!(takes(Filter { who: Some(who), ..Filter::default() }), holds, "{who:?}");
        }
        for outcome in Outcome::ALL {
            assert_eq!(takes(Filter { outcome: Some(outcome), ..Filter::default() }), outcome == Outcome::Refused);
        }
        for (from, to, holds) in [
            (Some(date!(2026 - 03 - 01)), Some(date!(2026 - 03 - 01)), true),
            (Some(date!(2026 - 03 - 02)), None, false),
            (None, Some(date!(2026 - 02 - 28)), false),
        ] {
            assert_eq!(takes(Filter { from, to, ..Filter::default() }), holds, "{from:?} {to:?}");
        }
        let from = |day| Filter { from: Some(day), ..Filter::default() }.ends_before(&entry);
        assert!(from(date!(2026 - 03 - 09)) && !from(date!(2026 - 03 - 08)));
    }
}
