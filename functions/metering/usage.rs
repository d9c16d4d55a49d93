//! What is kept of metered billing: whom a month has counted, and the usage events that are not over yet.
//!
//! Both lie in one place, so that a count and its event, or an event's end and its total, are one batch.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use time::{Duration, OffsetDateTime, UtcOffset, format_description::BorrowedFormatItem, macros::format_description};

use crate::{
    config::MeteringSettings,
    tenancy::{Record, TenantId},
};

/// The Marketplace takes an event until so long after its moment.
const TAKEN_FOR: Duration = Duration::hours(24);

const MONTH: &[BorrowedFormatItem<'_>] = format_description!("[year]-[month]");
const HOUR: &[BorrowedFormatItem<'_>] = format_description!("[year]-[month]-[day]T[hour]");

/// A calendar month, in UTC.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Month {
    /// Such as `2026-03`.
    pub month: String,
    /// Counted already.
    pub clients: BTreeSet<TenantId>,
    /// The newest hour whose event was sent, or is about to be: nothing is added to it, or to one before it, any more.
    #[serde(with = "time::serde::rfc3339::option")]
    pub closed: Option<OffsetDateTime>,
    /// Clients in events that the Marketplace took.
    pub accepted: u64,
    /// Clients in events that it did not take in time.
    pub missed: u64,
    /// Up to which entry the log was read when somebody was last counted: the next month's begin behind it.
    #[serde(default)]
    pub read: u64,
    /// When it was found that the plan's setting was emptied; `None`: it is there, as far as that is known.
    #[serde(default, with = "time::serde::rfc3339::option")]
    pub off: Option<OffsetDateTime>,
}

impl Record for Month {
    const KIND: &'static str = "metered-month";
    const SCHEMA: u32 = 1;

    fn key(&self) -> String {
        self.month.clone()
    }
}

impl Month {
    pub(super) fn begun(month: String) -> Self {
        Self { month, clients: BTreeSet::new(), closed: None, accepted: 0, missed: 0, read: 0, off: None }
    }

    /// Which month this is.
    pub fn of(at: OffsetDateTime) -> String {
        at.to_offset(UtcOffset::UTC).format(MONTH).unwrap_or_default()
    }

    /// The month before it.
    pub(super) fn before(at: OffsetDateTime) -> String {
        let at = at.to_offset(UtcOffset::UTC);
        Self::of(at - Duration::days(at.day().into()))
    }

    /// How many of so many `more` clients are not in the base fee, which includes the first `included` of the month.
    pub(super) fn billable(&self, more: usize, included: u64) -> u64 {
        let above = |clients: usize| u64::try_from(clients).unwrap_or(u64::MAX).saturating_sub(included);
        above(self.clients.len() + more) - above(self.clients.len())
    }

    pub(super) fn is_closed(&self, hour: OffsetDateTime) -> bool {
        self.closed.is_some_and(|closed| hour <= closed)
    }
}

/// Clients of one hour that the Marketplace has to hear of; the record goes when it has, or never can.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsageEvent {
    /// When the first of them was counted: the moment that the Marketplace is told, in every try.
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
    pub quantity: u64,
    /// To whose bill it goes, as the settings were then.
    pub plan: String,
    pub dimension: String,
    pub resource: String,
    /// Why the last try did not succeed.
    pub last: Option<String>,
}

impl Record for UsageEvent {
    const KIND: &'static str = "usage-event";
    const SCHEMA: u32 = 1;

    /// One for each hour, as the Marketplace has it.
    fn key(&self) -> String {
        Self::key_at(self.at)
    }
}

impl UsageEvent {
    pub(super) fn of(settings: &MeteringSettings, at: OffsetDateTime) -> Self {
        let MeteringSettings { plan, dimension, resource, .. } = settings.clone();
        // To the second, as it is sent.
        let at = at.to_offset(UtcOffset::UTC).truncate_to_second();
        Self { at, quantity: 0, plan, dimension, resource, last: None }
    }

    pub(super) fn key_at(at: OffsetDateTime) -> String {
        at.to_offset(UtcOffset::UTC).format(HOUR).unwrap_or_default()
    }

    pub fn hour(&self) -> OffsetDateTime {
        hour_of(self.at)
    }

    /// Whether it is for the same bill.
    pub(super) fn is_for(&self, settings: &MeteringSettings) -> bool {
        (&self.plan, &self.dimension, &self.resource) == (&settings.plan, &settings.dimension, &settings.resource)
    }

    /// When its hour is over: no client is added to it any more.
    pub(super) fn due(&self) -> OffsetDateTime {
        self.hour() + Duration::hours(1)
    }

    pub(super) fn is_due(&self, now: OffsetDateTime) -> bool {
        now >= self.due()
    }

    /// The Marketplace does not take it any more.
    pub(super) fn is_too_late(&self, now: OffsetDateTime) -> bool {
        now - self.at > TAKEN_FOR
    }
}

pub(super) fn hour_of(at: OffsetDateTime) -> OffsetDateTime {
    at.to_offset(UtcOffset::UTC).truncate_to_hour()
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;
    use uuid::Uuid;

    use super::*;

    #[test]
    fn the_base_fee_includes_the_first_clients_of_a_month_whenever_they_come() {
        let mut month = Month::begun("2026-03".into());
        let mut billed = Vec::new();
        for more in [1, 1, 2, 0, 3] {
            billed.push(month.billable(more, 3));
            let so_far = month.clients.len();
            month.clients.extend((so_far..so_far + more).map(|n| TenantId(Uuid::from_u128(n as u128))));
        }
        assert_eq!(billed, [0, 0, 1, 0, 3]);
        assert_eq!((Month::begun("2026-03".into()).billable(5, 0), Month::begun("2026-03".into()).billable(5, 9)), (5, 0));
    }

    #[test]
    fn months_and_hours_are_those_of_utc() {
        let at = datetime!(2026-04-01 01:30 +2);
        assert_eq!((Month::of(at).as_str(), Month::before(at).as_str()), ("2026-03", "2026-02"));
        assert_eq!((UsageEvent::key_at(at).as_str(), hour_of(at)), ("2026-03-31T23", datetime!(2026-03-31 23:00 UTC)));
    }

    #[test]
    fn an_event_is_sent_from_the_end_of_its_hour_until_a_day_after_its_moment() {
        let settings = MeteringSettings {
            endpoint: "https://marketplace.example/".parse().expect("a url"),
            plan: "managed".into(),
            resource: "/subscriptions/1".into(),
            dimension: "clients".into(),
            included: 0,
        };
        let event = UsageEvent::of(&settings, datetime!(2026-03-02 09:40:01.5 UTC));
        assert_eq!(event.at, datetime!(2026-03-02 09:40:01 UTC));
        for (now, due, too_late) in [
            (datetime!(2026-03-02 09:59:59 UTC), false, false),
            (datetime!(2026-03-02 10:00 UTC), true, false),
            (datetime!(2026-03-03 09:40:01 UTC), true, false),
            (datetime!(2026-03-03 09:40:02 UTC), true, true),
        ] {
            assert_eq!((event.is_due(now), event.is_too_late(now)), (due, too_late), "{now}");
        }
    }
}
