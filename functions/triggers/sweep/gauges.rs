//! Gauges: one line of numbers at the end of each sweep, from which Azure's alerts and workbook are drawn.
//!
//! The host hands the handler's lines to Application Insights (`traces`, the line in `message`). There they are read by
//! people who see no client, so the line is of the whole installation: numbers, no name, no id, nothing that says whose.
//! The figures are what the sweep's steps read anyway; only dead letters and refused requests are read for it, once for
//! the installation, and what waits in a log that could not be brought up to date. It writes nothing down.
//!
//! | field | what it is |
//! | --- | --- |
//! | `clients` | clients that are switched on |
//! | `dead_letters` | messages that wait for a person |
//! | `poisoned` | messages that this sweep took out of the poison queues |
//! | `checkpoint_age_seconds` | how long the oldest recorded item or entry of any log waits for a published checkpoint, after the sweep tried; 0: none waits |
//! | `approvals_waiting` | proposals that wait for a person's decision |
//! | `oldest_approval_hours` | how long the oldest of them does, in whole hours; 0: none waits |
//! | `usage_waits_hours` | how long the oldest usage event of metered billing that could be sent is not accepted, tried or not, in whole hours; 0: none waits |
//! | `usage_missed` | usage events that this sweep recorded as missed, which are never billed |
//! | `taken_in_28d` | records of tools that became evidence in the last 28 days |
//! | `refused_28d` | requests that webhooks refused in that time |
//! | `failed_28d` | messages that became dead letters in that time |
//! | `decided_28d` | proposals raised by rule that somebody decided in that time after a look |
//! | `overridden_28d` | those of them that were rejected: of the one before, the override frequency of `analytics` |
//! | `incomplete` | `true`: a step of the sweep failed or was cut off; otherwise absent |
//!
//! A figure that nothing of could be read is absent, never 0. One of many clients or logs is that of those which could be
//! read, and then the line says `incomplete`: a client whose key is revoked must not blind an alert about the others.

use time::OffsetDateTime;

use crate::{
    analytics::lately::{Lately, WINDOW},
    audit::dead_letter::Letters,
    gate::Reminded,
    metering::Usage,
};

/// Every figure of the line. The queries in `infra/` name no other, and leave none out.
pub const FIELDS: &[&str] = &[
    "clients",
    "dead_letters",
    "poisoned",
    "checkpoint_age_seconds",
    "approvals_waiting",
    "oldest_approval_hours",
    "usage_waits_hours",
    "usage_missed",
    "taken_in_28d",
    "refused_28d",
    "failed_28d",
    "decided_28d",
    "overridden_28d",
];

/// What tells the line from all others: its `message`.
pub const MESSAGE: &str = "gauges";

/// What the sweep has read so far. The line is written when this goes: a sweep that its deadline cuts off is dropped where
/// it stands, and that is when the line is needed most.
#[derive(Debug, Default)]
pub(super) struct Gauges {
    clients: Option<u64>,
    dead_letters: Option<u64>,
    poisoned: Option<u64>,
    checkpoint_age: Option<u64>,
    approvals: Option<u64>,
    oldest_approval: Option<u64>,
    usage_waits: Option<u64>,
    usage_missed: Option<u64>,
    taken_in: Option<u64>,
    refused: Option<u64>,
    failed: Option<u64>,
    decided: Option<u64>,
    overridden: Option<u64>,
    missed: bool,
    ended: bool,
}

impl Gauges {
    pub(super) fn clients(&mut self, on: usize) {
        self.clients = Some(on as u64);
    }

    pub(super) fn poisoned(&mut self, drained: usize) {
        self.poisoned = Some(drained as u64);
    }

    pub(super) fn letters(&mut self, letters: &Letters, now: OffsetDateTime) {
        self.dead_letters = Some(letters.waiting() as u64);
        self.failed = Some(letters.died_since(now - WINDOW) as u64);
    }

    pub(super) fn refused(&mut self, requests: u64) {
        self.refused = Some(requests);
    }

    /// Of one log: since when something waits in it.
    pub(super) fn log(&mut self, waits_since: Option<OffsetDateTime>, now: OffsetDateTime) {
        at_least(&mut self.checkpoint_age, waits_since.map_or(0, |since| seconds(since, now)));
    }

    /// Of one client.
    pub(super) fn approvals(&mut self, reminded: &Reminded, now: OffsetDateTime) {
        add(&mut self.approvals, reminded.waiting as u64);
        at_least(&mut self.oldest_approval, reminded.oldest.map_or(0, |since| seconds(since, now) / 3600));
    }

    pub(super) fn usage(&mut self, usage: &Usage, now: OffsetDateTime) {
        self.usage_waits = Some(usage.waits.map_or(0, |since| seconds(since, now) / 3600));
        self.usage_missed = Some(usage.missed);
    }

    /// Of one client.
    pub(super) fn lately(&mut self, lately: &Lately) {
        add(&mut self.taken_in, lately.taken_in);
        add(&mut self.decided, lately.overrides.n);
        add(&mut self.overridden, lately.overrides.k);
    }

    /// Something could not be read.
    pub(super) fn missed(&mut self) {
        self.missed = true;
    }

    /// The sweep came to its end.
    pub(super) fn ended(&mut self) {
        self.ended = true;
    }
}

impl Drop for Gauges {
    fn drop(&mut self) {
        tracing::info!(
            clients = self.clients,
            dead_letters = self.dead_letters,
            poisoned = self.poisoned,
            checkpoint_age_seconds = self.checkpoint_age,
            approvals_waiting = self.approvals,
            oldest_approval_hours = self.oldest_approval,
            usage_waits_hours = self.usage_waits,
            usage_missed = self.usage_missed,
            taken_in_28d = self.taken_in,
            refused_28d = self.refused,
            failed_28d = self.failed,
            decided_28d = self.decided,
            overridden_28d = self.overridden,
            incomplete = (self.missed || !self.ended).then_some(true),
            "{MESSAGE}"
        );
    }
}

fn add(sum: &mut Option<u64>, more: u64) {
    *sum = Some(sum.unwrap_or(0) + more);
}

fn at_least(most: &mut Option<u64>, one: u64) {
    *most = Some(most.unwrap_or(0).max(one));
}

/// None where a clock went back.
fn seconds(since: OffsetDateTime, now: OffsetDateTime) -> u64 {
    u64::try_from((now - since).whole_seconds()).unwrap_or(0)
}
