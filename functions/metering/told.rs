//! What the installation's log says of a month: whom it counted, and what became of what was to be reported.
//!
//! Whoever writes the database can delete a month's record or put an older one back; entries nobody's role lets them change
//! or take away (`audit/walk`). So before somebody is counted the record is compared with them, and with the items that wait
//! for their place. An older state of where the log is read from makes the look longer and never wrong.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use time::OffsetDateTime;

use super::{PLACE, usage::Month};
use crate::{
    audit::{Item, walk},
    tenancy::{DeploymentPlace, Store, StoreError, TenantId, Wanted},
};

const KINDS: [&str; 3] = ["metering.counted", "metering.sent", "metering.missed"];

#[derive(Debug, Default, PartialEq)]
pub(super) struct Told {
    clients: BTreeSet<TenantId>,
    /// By hour, since an item that got its place meanwhile is seen twice.
    sent: BTreeMap<i64, u64>,
    missed: BTreeMap<i64, u64>,
    /// The first entry that was not there yet.
    pub(super) next: u64,
}

/// What it says of the month of this moment, read from where it stood when the month before was last counted.
pub(super) async fn of(store: &Store<'_, DeploymentPlace>, now: OffsetDateTime) -> Result<Told, StoreError> {
    let (month, before) = (Month::of(now), Month::before(now));
    let found = store.gather(PLACE, vec![Wanted::one::<Month>(&before), Wanted::all::<Item>("")]).await?;
    let from = found.one::<Month>(&before).await?.map_or(0, |held| held.value.read);
    let mut told = Told::default();
    for Item { kind, detail, .. } in found.all::<Item>("").await?.iter().map(|held| &held.value) {
        told.take(&month, kind, detail);
    }
    // Before the walk, which sees what is published meanwhile.
    let published = walk::published(store).await?;
    let walked = walk::walk(store, from, u64::MAX, |entry| {
        if let Some((leaf, detail)) = entry.of_kind(&KINDS) {
            told.take(&month, &leaf.kind, &detail);
        }
    })
    .await?;
    told.next = walked.reaching(published)?;
    Ok(told)
}

impl Told {
    fn take(&mut self, month: &str, kind: &str, detail: &Value) {
        if detail["month"] != month {
            return;
        }
        let quantity = || Some((detail["hour"].as_i64()?, detail["quantity"].as_u64()?));
        match kind {
            "metering.counted" => {
                let ids = detail["clients"].as_array().into_iter().flatten().filter_map(Value::as_str);
                self.clients.extend(ids.filter_map(|id| id.parse().ok()).map(TenantId));
            }
            "metering.sent" => self.sent.extend(quantity()),
            "metering.missed" => self.missed.extend(quantity()),
            _ => {}
        }
    }

    /// How many the record of the month should have counted and has not.
    pub(super) fn lacking(&self, month: &Month) -> usize {
        self.clients.difference(&month.clients).count()
    }

    /// The record again as the log has it.
    pub(super) fn mend(&self, month: &mut Month) {
        let newest = self.sent.keys().chain(self.missed.keys()).max();
        let newest = newest.and_then(|hour| OffsetDateTime::from_unix_timestamp(*hour).ok());
        month.clients.extend(&self.clients);
        month.closed = month.closed.max(newest);
        month.accepted = self.sent.values().sum();
        month.missed = self.missed.values().sum();
    }
}
