//! One analysis per client at a time, coalesced: who finds the lease taken leaves a mark and goes.
//!
//! The holder is a message id, so that a message that is delivered again takes its own lease again; each time as another
//! run, so that a copy of the message which still works cannot let go of what the other took. What is being worked on
//! stays on the record until it is done: a holder that dies loses nothing, and a record that is marked again while it is
//! being worked on is worked on again. The lease saves work; correctness rests on the etags of what is written.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

use crate::tenancy::{ClientPlace, Record, Store, StoreError};

/// Longer than one round of work; renewed with every round.
const TERM: Duration = Duration::minutes(2);
/// Marks that one record holds; beyond it the message waits in its queue.
const MAX_MARKS: usize = 2000;
const ATTEMPTS: usize = 8;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Lease {
    holder: Uuid,
    /// New with every [`take`]: two deliveries of one message are one holder and two runs.
    #[serde(default)]
    run: Uuid,
    #[serde(with = "time::serde::rfc3339")]
    until: OffsetDateTime,
    /// Source keys that nobody took yet.
    dirty: BTreeSet<String>,
    /// Source keys that the holder works on.
    working: BTreeSet<String>,
}

impl Record for Lease {
    const KIND: &'static str = "lease";
    const SCHEMA: u32 = 1;

    fn key(&self) -> String {
        KEY.into()
    }
}

impl Lease {
    /// A lease that ends later than one taken now would is from before a clock was set back; it must not block for hours.
    fn is_held(&self, now: OffsetDateTime) -> bool {
        now < self.until && self.until - now <= TERM
    }
}

const KEY: &str = "analysis";

pub(super) enum Turn {
    /// These source keys are the caller's to work on, as this run.
    Work { run: Uuid, keys: Vec<String> },
    /// Somebody else works for this client and will find the mark.
    Marked,
    /// There are too many marks; come back later.
    Full,
}

/// Takes the lease for `holder`, or leaves `source_key` for whoever has it.
pub(super) async fn take(store: &Store<'_, ClientPlace>, holder: Uuid, source_key: &str) -> Result<Turn, StoreError> {
    let run = store.app().ids.uuid();
    let mut lost = None;
    for _ in 0..ATTEMPTS {
        let now = store.app().now();
        let held = store.read::<Lease>(ClientPlace::Assessment, KEY).await?;
        let mut batch = store.batch(ClientPlace::Assessment);
        let turn = match held {
            Some(mut held) if held.value.holder != holder && held.value.is_held(now) => {
                if held.value.dirty.len() >= MAX_MARKS {
                    return Ok(Turn::Full);
                }
                if !held.value.dirty.insert(source_key.into()) {
                    return Ok(Turn::Marked);
                }
                batch.replace(&held);
                Turn::Marked
            }
            Some(mut held) => {
                held.value.dirty.insert(source_key.into());
                (held.value.holder, held.value.run) = (holder, run);
                let keys = begin_round(&mut held.value, now);
                batch.replace(&held);
                Turn::Work { run, keys }
            }
            None => {
                let working = BTreeSet::from([source_key.to_owned()]);
                batch.create(&Lease { holder, run, until: now + TERM, dirty: BTreeSet::new(), working });
                Turn::Work { run, keys: vec![source_key.into()] }
            }
        };
        match batch.commit().await {
            Ok(()) => return Ok(turn),
            Err(error) if error.is_conflict() => lost = Some(error),
            Err(error) => return Err(error),
        }
    }
    Err(lost.unwrap_or(StoreError::Refused { refused: vec![] }))
}

/// After a round of work: lets go when no mark was left, else gives the next round. Nothing when another run took over,
/// which has taken these keys along.
pub(super) async fn finish_round(store: &Store<'_, ClientPlace>, run: Uuid) -> Result<Option<Vec<String>>, StoreError> {
    let mut lost = None;
    for _ in 0..ATTEMPTS {
        let Some(mut held) = store.read::<Lease>(ClientPlace::Assessment, KEY).await? else { return Ok(None) };
        if held.value.run != run {
            return Ok(None);
        }
        let mut batch = store.batch(ClientPlace::Assessment);
        let next = if held.value.dirty.is_empty() {
            batch.delete(&held);
            None
        } else {
            held.value.working.clear();
            let keys = begin_round(&mut held.value, store.app().now());
            batch.replace(&held);
            Some(keys)
        };
        match batch.commit().await {
            Ok(()) => return Ok(next),
            Err(error) if error.is_conflict() => lost = Some(error),
            Err(error) => return Err(error),
        }
    }
    Err(lost.unwrap_or(StoreError::Refused { refused: vec![] }))
}

/// A source key that a dead holder left, if one did: for the sweep.
pub(super) async fn left_over(store: &Store<'_, ClientPlace>) -> Result<Option<String>, StoreError> {
    let Some(held) = store.read::<Lease>(ClientPlace::Assessment, KEY).await? else { return Ok(None) };
    let is_over = !held.value.is_held(store.app().now());
    let Lease { dirty, working, .. } = held.value;
    Ok(if is_over { working.into_iter().chain(dirty).next() } else { None })
}

fn begin_round(lease: &mut Lease, now: OffsetDateTime) -> Vec<String> {
    lease.until = now + TERM;
    let dirty = std::mem::take(&mut lease.dirty);
    lease.working.extend(dirty);
    lease.working.iter().cloned().collect()
}
