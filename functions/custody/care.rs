//! The care of an owner's keys, by the sweep: a further data key in time, the newest version of the vault key around
//! them, and what older ones sealed sealed again.
//!
//! The key record is no sealed record and has no log beside it, so what became of it is written down twice: the record
//! first, then a [`KeyState`] among the owner's records, in one batch with the audit item that says the difference. A
//! stop in between is seen by the next look, and so is a change that somebody else made.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::json;
use time::{Duration, OffsetDateTime};

use crate::{
    audit,
    platform::ports::Continuation,
    tenancy::{
        Held, Place, Record, Store, StoreError,
        key_change::{self, Change, Facts},
        signing::{self, SigningUse},
    },
};

/// A data key seals no longer than this, and no more often (of 2^32 that NIST SP 800-38D 8.3 allows with random nonces;
/// processes that die tell less than they sealed).
pub const MOST_DAYS: Duration = Duration::days(90);
pub const MOST_SEALS: u64 = 1 << 28;
/// How often it is looked whether the vault key has a newer version.
const LOOK_EVERY: Duration = Duration::days(1);
/// Documents of one client that one sweep seals again, at most.
const AT_ONCE: usize = 200;

/// What is known of the owner's keys.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyState {
    vault_key: String,
    vault_version: String,
    epoch: u32,
    /// Where its records may be read; `None` until it was looked at.
    #[serde(default)]
    regions: Option<String>,
    /// `None` until the record has the form of a release that says so.
    #[serde(with = "time::serde::rfc3339::option")]
    since: Option<OffsetDateTime>,
    /// The name of the key that signed the record; `None` until one did.
    #[serde(default)]
    signed_by: Option<String>,
    #[serde(with = "time::serde::rfc3339")]
    looked_at: OffsetDateTime,
    /// How far what older data keys sealed is sealed again; `None`: all of it.
    resealing: Option<Progress>,
}

/// In which of the owner's places, and after which document.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Progress {
    place: usize,
    after: Option<String>,
    documents: usize,
    /// How many do not open, by the reason.
    #[serde(default)]
    unreadable: BTreeMap<String, usize>,
}

impl KeyState {
    fn of(facts: &Facts, looked_at: OffsetDateTime, resealing: Option<Progress>) -> Self {
        let Facts { vault_key, vault_version, epoch, since, regions, signed_by, .. } = facts.clone();
        Self { vault_key, vault_version, epoch, since, signed_by, looked_at, resealing, regions: Some(regions.text()) }
    }
}

impl Record for KeyState {
    const KIND: &'static str = "key-state";
    const SCHEMA: u32 = 1;

    fn key(&self) -> String {
        KEY.into()
    }
}

const KEY: &str = "state";

/// Looks after the keys of the store's owner; `home` is where their state lies, `places` are those whose records are
/// written again and again. What is written once (raw bodies, log entries) stays under the data key that sealed it.
pub async fn care<P: Place>(store: &Store<'_, P>, home: P, places: impl IntoIterator<Item = P>) -> Result<(), StoreError> {
    let (app, now) = (store.app(), store.app().now());
    let held = store.read::<KeyState>(home, KEY).await?;
    if held.as_ref().is_some_and(|held| held.value.resealing.is_none() && now < held.value.looked_at + LOOK_EVERY) {
        return Ok(());
    }
    let Some(found) = key_change::facts(app, store.owner()).await? else { return Ok(()) };
    let held = match held {
        Some(held) => held,
        // What is there before anything changes, so that the first change is seen as one.
        None => write(store, home, None, KeyState::of(&found, now - LOOK_EVERY, None), Vec::new()).await?,
    };
    let due = now >= held.value.looked_at + LOOK_EVERY;
    // Boxed: it is due once a day, and part of every sweep.
    let facts = if due { Box::pin(changed(store, found)).await? } else { found };
    let (before, after) = (Known::of_state(&held.value), Known::of(&facts));
    let looked_at = if due { now } else { held.value.looked_at };
    let mut state = KeyState::of(&facts, looked_at, held.value.resealing.clone());
    if after.epoch > before.epoch || after.signed_by.is_some() && before.signed_by.is_none() {
        state.resealing = Some(Progress::default());
    }
    let events = events(&before, &after);
    let held = write(store, home, Some(held), state, events).await?;
    // A store that was opened before the keys changed, or knows them from before, waits for the next sweep.
    match held.value.resealing {
        Some(_) if before == after && store.key()?.epoch() == facts.epoch => {
            reseal(store, home, held, &places.into_iter().collect::<Vec<_>>()).await
        }
        _ => Ok(()),
    }
}

/// Makes the changes that are due, one after the other.
async fn changed<P: Place>(store: &Store<'_, P>, mut facts: Facts) -> Result<Facts, StoreError> {
    let (app, owner) = (store.app(), store.owner());
    let signing = signing::verifying_keys(app, SigningUse::Receipts).await?;
    let next = |facts: &Facts| {
        let old = facts.since.is_some_and(|since| app.now() >= since + MOST_DAYS);
        // By the newest, so that a key that signed before can be retired.
        let is_signed = signing.first().is_some_and(|newest| facts.signed_by.as_deref() == Some(newest.kid()));
        if is_signed { (old || facts.seals >= MOST_SEALS).then_some(Change::NextKey) } else { Some(Change::Lift) }
    };
    // At most both, one after the other; what somebody else does meanwhile is for the next look.
    for _ in 0..2 {
        let Some(change) = next(&facts) else { break };
        facts = key_change::change(app, owner, &facts, change).await?.unwrap_or(facts);
    }
    let newest = app.vault.newest_version(&facts.vault_key).await?;
    if newest != facts.vault_version {
        facts = key_change::change(app, owner, &facts, Change::Rewrap).await?.unwrap_or(facts);
    }
    Ok(facts)
}

/// What the log hears of.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Known {
    vault_key: String,
    vault_version: String,
    epoch: u32,
    regions: Option<String>,
    signed_by: Option<String>,
}

impl Known {
    fn of(facts: &Facts) -> Self {
        let Facts { vault_key, vault_version, epoch, regions, signed_by, .. } = facts.clone();
        Self { vault_key, vault_version, epoch, regions: Some(regions.text()), signed_by }
    }

    fn of_state(state: &KeyState) -> Self {
        let KeyState { vault_key, vault_version, epoch, regions, signed_by, .. } = state.clone();
        Self { vault_key, vault_version, epoch, regions, signed_by }
    }
}

fn events(before: &Known, after: &Known) -> Vec<audit::Event> {
    let mut events = Vec::new();
    // Fewer than before: an earlier record was put back, which is said elsewhere ([`super::watch()`]).
    if after.epoch > before.epoch {
        let detail = json!({ "before": before.epoch, "after": after.epoch });
        events.push(audit::Event::new("key.rotated", format!("data key {}", after.epoch), detail));
    }
    if (&after.vault_key, &after.vault_version) != (&before.vault_key, &before.vault_version) {
        let named = |known: &Known| json!({ "key": known.vault_key, "version": known.vault_version });
        let detail = json!({ "before": named(before), "after": named(after) });
        events.push(audit::Event::new("key.rewrapped", format!("data key {}", after.epoch), detail));
    }
    if before.regions.is_some() && before.regions != after.regions {
        let detail = json!({ "before": before.regions, "after": after.regions });
        events.push(audit::Event::new("key.regions_changed", "regions", detail));
    }
    match (&before.signed_by, &after.signed_by) {
        (None, Some(_)) => events.push(audit::Event::new("key.lifted", format!("data key {}", after.epoch), json!({}))),
        (Some(one), Some(other)) if one != other => {
            let detail = json!({ "before": one, "after": other });
            events.push(audit::Event::new("key.signed", format!("data key {}", after.epoch), detail));
        }
        _ => {}
    }
    events
}

async fn write<P: Place>(
    store: &Store<'_, P>,
    home: P,
    held: Option<Held<KeyState>>,
    state: KeyState,
    events: Vec<audit::Event>,
) -> Result<Held<KeyState>, StoreError> {
    let mut batch = store.batch(home);
    batch.put(state.clone(), held.map(|held| held.etag));
    for event in events {
        audit::record(&mut batch, event);
    }
    let etags = batch.commit_with_etags().await?;
    let unknown = || crate::platform::ports::PortError::new("key state", crate::platform::ports::PortErrorKind::Unavailable);
    let etag = etags.into_iter().next().flatten().ok_or_else(unknown)?;
    Ok(Held { value: state, etag })
}

/// Goes on from where the last sweep stopped.
async fn reseal<P: Place>(store: &Store<'_, P>, home: P, held: Held<KeyState>, places: &[P]) -> Result<(), StoreError> {
    let Held { value: mut state, etag } = held;
    let Some(mut progress) = state.resealing.take() else { return Ok(()) };
    let mut looked = 0;
    while looked < AT_ONCE {
        let Some(place) = places.get(progress.place) else { break };
        let page = store.reseal(*place, progress.after.take().map(Continuation), AT_ONCE - looked).await?;
        looked += page.looked;
        progress.documents += page.documents;
        for why in page.unreadable {
            *progress.unreadable.entry(why.to_owned()).or_default() += 1;
        }
        match page.next {
            Some(Continuation(next)) => progress.after = Some(next),
            None => progress.place += 1,
        }
    }
    let mut events = Vec::new();
    if progress.place < places.len() {
        state.resealing = Some(progress);
    } else {
        let unreadable: usize = progress.unreadable.values().sum();
        let detail = json!({ "documents": progress.documents, "unreadable": unreadable, "why": progress.unreadable });
        events.push(audit::Event::new("key.resealed", format!("data key {}", state.epoch), detail));
    }
    // This record itself is among what was sealed again: it was written a moment ago, under the newest.
    write(store, home, Some(Held { value: state.clone(), etag }), state, events).await.map(drop)
}
