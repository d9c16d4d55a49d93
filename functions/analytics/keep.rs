//! Keeping up with a client's log: what was folded so far is kept, sealed, beside the client's records.
//!
//! Only the sweep writes it ([`follow`]), in one batch with an audit item for every rule that is gated otherwise from
//! here on. Whoever shows figures folds what came since in memory ([`known`]) and writes nothing. If the record were
//! lost, the log is folded again, and what the log says already of a gate is not said twice.

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::Tally;
use crate::{
    app::App,
    audit::{
        self,
        entry::{HEAD_KEY, Head},
        trail,
    },
    gate::{
        learning::{Change, Config, Ledger, Observed, Terms, fact},
        policy,
    },
    tenancy::{ClientPlace, Held, Place as _, Record, Scope, Store, StoreError, place::AuditPart},
};

/// Entries that the log gives at once; see [`trail::page`].
const GROUP: u64 = 100;
/// Groups that one run of the sweep folds, and that a page folds in memory.
const GROUPS_OF_A_RUN: usize = 20;
const GROUPS_OF_A_PAGE: usize = 3;
/// Entries without anything to count that may lie behind before the place is written down.
const MAY_LAG: u64 = 500;
/// Changes in one batch.
const CHANGES: usize = 40;

/// Between which levels learning may move each kind of action of this release: each begins at its floor, so for marking
/// and taking back people are needed whatever the numbers.
pub fn config() -> Config {
    let kinds = policy::KINDS.iter().map(|(kind, floor, _)| ((*kind).to_owned(), Terms { start: *floor, floor: *floor }));
    Config { kinds: kinds.collect(), ..Config::default() }
}

/// What a client's log came to, up to a place.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Known {
    /// The place of the first entry that was not folded.
    pub next: u64,
    /// Changes by entries before this place stand in the log.
    told: u64,
    /// Changes that were found and not told yet: not before the end of the log is known, which may tell of them.
    pending: Vec<Change>,
    pub ledger: Ledger,
    pub tally: Tally,
}

const GATE_CHANGED: &str = "rule.gate_changed";

impl Record for Known {
    const KIND: &'static str = "figures";
    const SCHEMA: u32 = 1;

    fn key(&self) -> String {
        KEY.into()
    }
}

const KEY: &str = "log";

impl Known {
    /// The next changes that the log does not tell of.
    fn take_untold(&mut self) -> Vec<Change> {
        let told = self.told;
        self.pending.retain(|change| change.seq >= told);
        let changes: Vec<Change> = self.pending.drain(..self.pending.len().min(CHANGES)).collect();
        self.told = changes.last().map_or(told, |change| change.seq + 1);
        changes
    }
}

/// Folds what the log got since the last run; returns how many rules are gated otherwise. For the sweep.
pub async fn follow(app: &App, scope: &Scope) -> Result<usize, StoreError> {
    let store = scope.store(app).await?;
    let (held, end) = begin(&store).await?;
    let etag = held.as_ref().map(|held| held.etag.clone());
    let mut known = held.map(|held| held.value).unwrap_or_default();
    let (before, mut counted) = (known.next, false);
    for _ in 0..GROUPS_OF_A_RUN {
        if known.next < end {
            counted |= fold_group(&store, &mut known).await?;
        }
    }
    let changes = if known.next < end { Vec::new() } else { known.take_untold() };
    if changes.is_empty() && !counted && known.next - before < MAY_LAG {
        return Ok(0);
    }
    let mut batch = store.batch(ClientPlace::Assessment);
    for change in &changes {
        let detail = serde_json::to_value(change).unwrap_or_else(|_| json!({}));
        audit::record(&mut batch, audit::Event::new(GATE_CHANGED, format!("rule {}", change.rule.name()), detail));
    }
    batch.put(known, etag);
    match batch.commit().await {
        // Another sweep did the same.
        Err(error) if error.is_conflict() => Ok(0),
        other => other.map(|()| changes.len()),
    }
}

/// What is known now, with how many entries of the log are not in it yet. Writes nothing.
pub async fn known(store: &Store<'_, ClientPlace>) -> Result<(Known, u64), StoreError> {
    let (held, end) = begin(store).await?;
    let mut known = held.map(|held| held.value).unwrap_or_default();
    for _ in 0..GROUPS_OF_A_PAGE {
        if known.next < end {
            fold_group(store, &mut known).await?;
        }
    }
    let behind = end.saturating_sub(known.next);
    Ok((known, behind))
}

/// What is kept, and the length of the log.
async fn begin(store: &Store<'_, ClientPlace>) -> Result<(Option<Held<Known>>, u64), StoreError> {
    let kept = store.read::<Known>(ClientPlace::Assessment, KEY).await?;
    let head = store.read::<Head>(ClientPlace::audit(AuditPart::Head), HEAD_KEY).await?;
    Ok((kept, head.map_or(0, |head| head.value.next)))
}

/// Folds on to the end of the group of entries in which the fold stands; whether anything in it counted.
async fn fold_group(store: &Store<'_, ClientPlace>, known: &mut Known) -> Result<bool, StoreError> {
    let (config, end) = (config(), (known.next / GROUP + 1) * GROUP);
    let group = trail::page(store, std::iter::empty(), Some(end)).await?;
    let mut counted = false;
    for shown in group.entries.iter().rev() {
        let Some(seq) = shown.place.map(|place| place.seq).filter(|seq| *seq >= known.next) else { continue };
        if let Some(fact) = fact(&shown.kind, &shown.object, &shown.actor, &shown.detail) {
            let observed = Observed { seq, at: shown.at, fact };
            known.pending.extend(known.ledger.take_in(&observed, &config));
            known.tally.take_in(&observed);
            counted = true;
        } else if shown.kind == GATE_CHANGED {
            known.told = known.told.max(shown.detail["seq"].as_u64().map_or(0, |seq| seq + 1));
            counted = true;
        }
    }
    known.next = end.min(group.total).max(known.next);
    Ok(counted)
}
