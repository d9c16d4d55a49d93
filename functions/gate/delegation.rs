//! Delegation: an approver lets another approver of the same client answer in their place for a while.
//!
//! Depth 1: the seat is that of the person who holds the right, and nobody passes on what was passed to them. A decision
//! names both. Whoever stands for the one who asks is as excluded as that person.

use serde::{Deserialize, Serialize};
use time::{Duration, OffsetDateTime};

use crate::tenancy::{PersonId, Record};

/// The longest time box.
pub const LONGEST: Duration = Duration::days(30);

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delegation {
    /// Whose seat.
    pub from: PersonId,
    pub to: PersonId,
    #[serde(with = "time::serde::rfc3339")]
    pub begins_at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339")]
    pub ends_at: OffsetDateTime,
}

impl Delegation {
    /// Whether it holds at this moment. One longer than the longest time box holds for that long.
    pub fn holds(&self, now: OffsetDateTime) -> bool {
        self.from != self.to && self.begins_at <= now && now < self.ends_at.min(self.begins_at + LONGEST)
    }
}

impl Record for Delegation {
    const KIND: &'static str = "delegation";
    const SCHEMA: u32 = 1;

    fn key(&self) -> String {
        format!("{}:{}", self.from, self.to)
    }
}
