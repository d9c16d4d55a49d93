//! What the client's log says became of proposals, who stood in for whom, and which version of the policy stood: so that a
//! proposal whose records somebody puts back together, as they were before it ran or ended, is not carried out (again), nor
//! one that a stand-in answered who was none, nor any under a policy that is put back together with its mark.
//!
//! Each run and each end names its proposal in its audit item. The sweep follows the log and keeps them by weeks, for as long
//! as a proposal can live, in another partition than the proposals; what came since is read from the log itself, to the
//! last entry that is there, and an item without its entry is read where it waits. So an older state of what is kept makes
//! the look longer and never wrong. Where the log is shorter than its checkpoint nothing is carried out until it is whole.
//!
//! Reads and keeps; decides nothing. Not found: a run that is put back together with its own item, or with its entry while
//! no checkpoint counts that (a minute), which wants the right to delete entries; and what somebody with the client's data
//! key writes into the weeks.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::RangeInclusive,
};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use time::{Duration, OffsetDateTime};

use super::{
    delegation::{Delegation, told},
    policy::search,
    proposal::{Proposal, object},
};
use crate::{
    audit::{
        Item,
        entry::{HEAD_KEY, Head},
        walk::{self, walk},
    },
    tenancy::{ClientPlace, Gathered, Record, Store, StoreError, Wanted, place::AuditPart},
};

const PLACE: ClientPlace = ClientPlace::Log(AuditPart::Head);
/// Nothing waits longer to be approved, carried out and undone (`Policy::check`: 90, 14 and 7 days), and a day for clocks.
const KEPT: Duration = Duration::days(90 + 14 + 7 + 1);
/// Entries that one sweep follows, at most.
const AT_ONCE: u64 = 2000;

const RAN: &str = "ran";
const UNDONE: &str = "undone";
const ENDED: &str = "ended";
/// What is said of a proposal, and how it is kept: after its end nothing of it runs, after a run only what undoes that.
const SAID: [(&str, &str); 11] = [
    ("proposal.executed", RAN),
    ("proposal.undone", UNDONE),
    ("proposal.rolled_back", ENDED),
    ("proposal.rejected", ENDED),
    ("proposal.withdrawn", ENDED),
    ("proposal.superseded", ENDED),
    ("proposal.expired", ENDED),
    ("proposal.refused", ENDED),
    ("proposal.failed", ENDED),
    ("proposal.not_undone", ENDED),
    ("proposal.recorded", ENDED),
];

/// How far the log was followed, who stood in for whom and which version of the policy stood until there, and how much each
/// week says: a week that is put back alone says less.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Followed {
    next: u64,
    weeks: BTreeMap<i64, usize>,
    stand_ins: told::Told,
    policy: u32,
}

impl Followed {
    fn take(&mut self, kind: &str, detail: &Value, at: OffsetDateTime) {
        self.stand_ins.take(kind, detail, at);
        self.policy = self.policy.max(search::version_told(kind, detail).unwrap_or_default());
    }

    /// Whether more was said in this week than its record holds: an earlier one was put back.
    fn knew_more(&self, week: i64, held: usize) -> bool {
        held < self.weeks.get(&week).copied().unwrap_or_default()
    }
}

impl Record for Followed {
    const KIND: &'static str = "ran-followed";
    /// 2: with those who stood in, and the policy; an earlier one is followed anew.
    const SCHEMA: u32 = 2;

    fn key(&self) -> String {
        HEAD_KEY.into()
    }

    fn upgrade(_: u32, _: Value) -> Value {
        json!({ "next": 0, "weeks": {}, "stand_ins": {}, "policy": 0 })
    }
}

/// What the log says, and the items that wait for their place in it.
#[derive(Debug)]
pub(super) struct Said {
    /// The proposal ended or ran.
    pub is_over: bool,
    /// When who stood in for whom.
    pub delegations: Vec<Delegation>,
    /// The highest version of the policy that stood; 0: none is told of.
    pub policy: u32,
}

/// What was said of proposals in one week. One document holds 15,000 of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Week {
    /// Since 1970.
    week: i64,
    said: BTreeSet<String>,
}

impl Record for Week {
    const KIND: &'static str = "ran-week";
    const SCHEMA: u32 = 1;

    fn key(&self) -> String {
        key_of(self.week)
    }
}

fn key_of(week: i64) -> String {
    format!("{week:06}")
}

fn week_of(at: OffsetDateTime) -> i64 {
    at.unix_timestamp().div_euclid(Duration::WEEK.whole_seconds())
}

/// In which it may have been said of a proposal that it ended or ran: a clock may have been behind when it was staged, or be
/// behind now.
fn weeks_of(staged_at: OffsetDateTime, now: OffsetDateTime) -> RangeInclusive<i64> {
    week_of(staged_at.max(now - KEPT)) - 1..=week_of(now) + 1
}

/// The first week of which anything can still count, for the same reason one before the oldest proposal.
fn oldest(now: OffsetDateTime) -> i64 {
    week_of(now - KEPT) - 1
}

fn named(object: &str, word: &str) -> String {
    format!("{}.{word}", object.trim_start_matches("proposal ").replace('-', ""))
}

/// What an item of this kind says of its proposal.
fn said(kind: &str, object: &str) -> Option<String> {
    SAID.iter().find(|(said, _)| *said == kind).map(|(_, word)| named(object, word))
}

/// The items that wait for their place beside the proposals; whoever looks for a proposal asks for them in the same round trip.
pub(super) fn waiting() -> Wanted {
    Wanted::all::<Item>("")
}

/// Whether the log, or an item among those found ([`waiting`]), says that this proposal ended or ran; for what `undoes` it,
/// that it ended or was undone. And who stood in for whom, and which policy stood.
pub(super) async fn said_of(
    store: &Store<'_, ClientPlace>,
    found: &Gathered<'_, '_, ClientPlace>,
    proposal: &Proposal,
    undoes: bool,
) -> Result<Said, StoreError> {
    let object = object(proposal.id);
    let over = [named(&object, if undoes { UNDONE } else { RAN }), named(&object, ENDED)];
    let is_it = |kind: &str, object: &str| said(kind, object).is_some_and(|said| over.contains(&said));
    let waiting = found.all::<Item>("").await?;
    let mut is_over = waiting.iter().any(|held| is_it(&held.value.kind, &held.value.object));
    let weeks = weeks_of(proposal.staged_at, store.app().now());
    let wanted = weeks.clone().map(|week| Wanted::one::<Week>(&key_of(week))).chain([Wanted::one::<Followed>(HEAD_KEY), walk::wanted()]);
    let kept = store.gather(PLACE, wanted.collect()).await?;
    // Before the walk, which sees what is published meanwhile.
    let published = walk::published_among(store, &kept).await?;
    let mut followed = kept.one::<Followed>(HEAD_KEY).await?.map(|held| held.value).unwrap_or_default();
    for week in weeks {
        let says = kept.one::<Week>(&key_of(week)).await?.map(|held| held.value.said).unwrap_or_default();
        is_over |= over.iter().any(|one| says.contains(one));
        if followed.knew_more(week, says.len()) {
            followed = Followed::default();
        }
    }
    if !is_over {
        let kinds = kinds();
        let walked = walk(store, followed.next, u64::MAX, |entry| {
            let Some((leaf, detail)) = entry.of_kind(&kinds) else { return };
            is_over |= is_it(&leaf.kind, &leaf.object);
            followed.take(&leaf.kind, &detail, leaf.at);
        })
        .await?;
        if !is_over {
            walked.reaching(published)?;
        }
    }
    for Item { kind, detail, at, .. } in waiting.iter().map(|held| &held.value) {
        followed.take(kind, detail, *at);
    }
    Ok(Said { is_over, delegations: followed.stand_ins.delegations(), policy: followed.policy })
}

/// The highest version of the policy that the log told of when the sweep followed it last.
pub(super) async fn policy_told(store: &Store<'_, ClientPlace>) -> Result<u32, StoreError> {
    Ok(store.read::<Followed>(PLACE, HEAD_KEY).await?.map_or(0, |held| held.value.policy))
}

fn kinds() -> Vec<&'static str> {
    SAID.iter().map(|(kind, _)| *kind).chain(told::KINDS).chain(search::KINDS).collect()
}

/// Follows the log, and forgets what is too old to run. For the sweep.
pub async fn follow(store: &Store<'_, ClientPlace>) -> Result<(), StoreError> {
    let found = store.gather(PLACE, vec![Wanted::one::<Head>(HEAD_KEY), Wanted::one::<Followed>(HEAD_KEY)]).await?;
    // A head that was put back makes this later; nothing is missed.
    let length = found.one::<Head>(HEAD_KEY).await?.map_or(0, |held| held.value.next);
    let (mut followed, etag) = found.one::<Followed>(HEAD_KEY).await?.map_or_else(Default::default, |held| (held.value, Some(held.etag)));
    if length <= followed.next {
        return Ok(());
    }
    let mut news: BTreeMap<i64, BTreeSet<String>> = BTreeMap::new();
    let (kinds, next) = (kinds(), followed.next);
    let walked = walk(store, next, AT_ONCE.min(length - next), |entry| {
        let Some((leaf, detail)) = entry.of_kind(&kinds) else { return };
        if let Some(said) = said(&leaf.kind, &leaf.object) {
            news.entry(week_of(leaf.at)).or_default().insert(said);
        }
        followed.take(&leaf.kind, &detail, leaf.at);
    })
    .await?;
    followed.stand_ins.forget(store.app().now());
    followed.next = walked.reaching(length)?;
    let oldest = oldest(store.app().now());
    let kept = followed.weeks.split_off(&oldest);
    let too_old = std::mem::replace(&mut followed.weeks, kept);
    let mut batch = store.batch(PLACE);
    for week in too_old.into_keys() {
        batch.remove::<Week>(&key_of(week));
    }
    for (week, said) in news.split_off(&oldest) {
        let held = store.read::<Week>(PLACE, &key_of(week)).await?;
        let (mut now, etag) = held.map_or((Week { week, said: BTreeSet::new() }, None), |held| (held.value, Some(held.etag)));
        if followed.knew_more(week, now.said.len()) {
            tracing::error!(owner = %store.owner(), week, "ALARM: what the log says of proposals was put back; it is followed anew");
            followed = Followed::default();
            batch = store.batch(PLACE);
            break;
        }
        now.said.extend(said);
        followed.weeks.insert(week, now.said.len());
        batch.put(now, etag);
    }
    batch.put(followed, etag);
    // Where another sweep was faster, it saw the same entries.
    batch.commit_unless_overtaken().await.map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gate::{Policy, Rule};

    #[test]
    fn a_week_of_fifteen_thousand_fits_one_document() {
        let said = (0..15_000).map(|n: u128| named(&format!("proposal {}", uuid::Uuid::from_u128(n)), UNDONE)).collect();
        let week = serde_json::to_vec(&Week { week: 2960, said }).expect("json");
        // Sealed it is a third longer.
        assert!(week.len() * 4 / 3 < crate::platform::ports::MAX_DOCUMENT_BYTES, "{}", week.len());
    }

    #[test]
    fn a_run_is_remembered_for_as_long_as_anything_waits_and_a_day() {
        let stands = |decide_within, run_within, undo_within| {
            let rule = Rule { decide_within, run_within, undo_within, ..Rule::of_kind("assign_training") };
            Policy { rules: [("assign_training".to_owned(), rule)].into(), ..Policy::default() }.check().is_ok()
        };
        let (decide, run, undo) = (90 * 24, 14 * 24, 7 * 24);
        assert!(stands(decide, run, undo));
        assert!(!stands(decide + 1, run, undo) && !stands(decide, run + 1, undo) && !stands(decide, run, undo + 1));
        assert_eq!(KEPT, Duration::hours(i64::from(decide + run + undo)) + Duration::DAY);
    }

    #[test]
    fn a_proposal_is_looked_for_from_the_week_before_it_was_staged_to_the_one_after_this() {
        let now = time::macros::datetime!(2026-11-25 09:00 UTC);
        let this = week_of(now);
        assert_eq!(week_of(now + Duration::WEEK), this + 1);
        assert_eq!(weeks_of(now, now), this - 1..=this + 1);
        assert_eq!(weeks_of(now - 3 * Duration::WEEK, now), this - 4..=this + 1);
        // One that is older than anything can be is as old as that, and nothing of what it needs is forgotten.
        let oldest_of_all = *weeks_of(now - 2 * KEPT, now).start();
        assert_eq!((oldest_of_all, oldest(now)), (week_of(now - KEPT) - 1, week_of(now - KEPT) - 1));
    }

    #[test]
    fn a_week_that_holds_less_than_was_said_in_it_was_put_back() {
        let followed = Followed { weeks: [(7, 3)].into(), ..Followed::default() };
        assert_eq!([2, 3, 4].map(|held| followed.knew_more(7, held)), [true, false, false]);
        assert!(!followed.knew_more(8, 0), "nothing was said in it");
    }

    #[test]
    fn an_end_is_the_end_of_everything_and_a_run_of_itself_alone() {
        let id = "proposal 0192a3b4-c5d6-7e8f-9a0b-1c2d3e4f5a6b";
        assert_eq!(said("proposal.executed", id), Some(named(id, RAN)));
        assert_eq!(said("proposal.undone", id), Some(named(id, UNDONE)));
        for kind in ["rolled_back", "rejected", "withdrawn", "superseded", "expired", "refused", "failed", "not_undone", "recorded"] {
            assert_eq!(said(&format!("proposal.{kind}"), id), Some(named(id, ENDED)), "{kind}");
        }
        for kind in ["staged", "approved", "overridden", "escalated", "notified", "revised", "upheld"] {
            assert_eq!(said(&format!("proposal.{kind}"), id), None, "{kind}");
        }
    }
}
