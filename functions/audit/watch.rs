//! What is wrong with any log, in one place: for the page that people open first, which reads no client's log for it.
//!
//! One small record among the installation's for each log that has an alarm or is late, kept in step by the sweep. The alarm
//! itself stands in the log and beside its head; this is a copy of its words. A sweep that does not run tells nothing: so it
//! also writes down when it last did, and whoever reads that sees how old it is.

use serde::{Deserialize, Serialize};
use time::{Duration, OffsetDateTime, format_description::well_known::Rfc3339};

use super::{
    Item,
    anchor::{self, Anchored},
    entry::{self, Alarm, HEAD_KEY, Head},
    leaf,
    publisher::Published,
    tiles,
    tlog::Checkpoint,
    witness::{self, Witnessed},
};
use crate::{
    platform::ports::BlobContainer,
    tenancy::{DeploymentPlace, Held, Place, Record, Store, StoreError, Wanted, keys::Owner, place::AuditPart},
};

/// For so long after the last one gaps are shown: they cannot be mended, and stand in the log for ever.
pub const GAP_SHOWN: Duration = Duration::days(30);

const AND_LAST: &str = "; the last: ";
/// As an earlier release said how many, and when the last was.
const AND_MORE: &str = "; since then ";
const THE_LAST: &str = " more, the last at ";

/// The gaps that are shown and one more: the first, how many came since, and the last. Each stands in the log by itself.
pub fn also(gap: Option<&Alarm>, what: String, now: OffsetDateTime) -> Alarm {
    let Some(gap) = gap.filter(|gap| is_shown(gap, now)) else { return Alarm::new(what, now) };
    let (first, count, _) = told(gap);
    Alarm { count, ..gap.clone() }.again(format!("{first}{AND_LAST}{what}"), now)
}

/// The first gap of the alarm, how many it tells of, and when the last was.
fn told(gap: &Alarm) -> (&str, u64, OffsetDateTime) {
    if let Some(last) = gap.last {
        return (gap.what.split_once(AND_LAST).map_or(&*gap.what, |(first, _)| first), gap.count, last);
    }
    let more = gap.what.split_once(AND_MORE).and_then(|(first, rest)| {
        let (more, rest) = rest.split_once(THE_LAST)?;
        let (at, _) = rest.split_once(": ")?;
        Some((first, more.parse::<u64>().ok()? + 1, OffsetDateTime::parse(at, &Rfc3339).ok()?))
    });
    more.unwrap_or((&gap.what, gap.count, gap.since))
}

fn is_shown(gap: &Alarm, now: OffsetDateTime) -> bool {
    now - told(gap).2 < GAP_SHOWN
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LogAlarm {
    /// A client's id, or `deployment`.
    pub owner: String,
    /// Empty: it is behind, and not for long.
    pub what: String,
    #[serde(with = "time::serde::rfc3339")]
    pub since: OffsetDateTime,
    /// Since when what was recorded is not published, or what was published is not copied away.
    #[serde(with = "time::serde::rfc3339::option", default)]
    pub behind_since: Option<OffsetDateTime>,
}

impl Record for LogAlarm {
    const KIND: &'static str = "log-alarm";
    const SCHEMA: u32 = 1;

    fn key(&self) -> String {
        self.owner.clone()
    }
}

/// The records beside a log's head that may hold an alarm.
#[derive(Clone, Copy, Debug, Default)]
pub struct Beside<'r> {
    pub head: Option<&'r Head>,
    pub published: Option<&'r Published>,
    pub anchored: Option<&'r Anchored>,
    pub witnessed: Option<&'r Witnessed>,
}

/// What people must see to; newest words last. That a witness is away is none: nothing waits for it.
pub fn alarms(beside: Beside<'_>, now: OffsetDateTime) -> Vec<Alarm> {
    let Beside { head, published, anchored, witnessed } = beside;
    let gap = head.and_then(|head| head.gap.clone()).filter(|gap| is_shown(gap, now));
    let stopped = published.and_then(|published| published.alarm.clone());
    let apart = anchored.and_then(|anchored| anchored.alarm.clone());
    let other = witnessed.and_then(|witnessed| witnessed.apart.clone());
    gap.into_iter().chain(stopped).chain(apart).chain(other).collect()
}

/// How long a log may be behind before that is an alarm: two sweeps.
const LATE: Duration = Duration::minutes(10);
/// A checkpoint is copied away every quarter of an hour.
const COPY_LATE: Duration = Duration::minutes(30);

/// What of the log is not where it should be, after a sweep that could bring it up to date or not.
fn behind(
    came_through: bool,
    head: Option<&Head>,
    published: Option<&Published>,
    anchored: Option<&Anchored>,
    now: OffsetDateTime,
) -> Option<&'static str> {
    let size = published.map_or(0, |published| published.tree.size());
    if !came_through || head.is_some_and(|head| head.next > size) {
        return Some("its newest entries are not published");
    }
    let copied = anchored.map_or(0, |anchored| anchored.size);
    let is_due = anchored.is_none_or(|anchored| now - anchored.at > COPY_LATE);
    (size > copied && is_due).then_some("its newest checkpoint is not copied to where it cannot be changed")
}

/// Items of a place that are looked at for the oldest of them: those that cannot be read are passed over.
const OLDEST: usize = 10;
/// Entries behind a checkpoint that are looked at for the first of them.
const BEHIND: u64 = 100;

/// Since when the oldest of what was recorded waits for a checkpoint that outsiders can fetch; `None`: nothing waits. For a
/// log that was not brought up to date: it reads the checkpoint, the entry behind it, and each of `unplaced`, where items may
/// wait for their place in the log.
pub async fn waits_since<P: Place>(store: &Store<'_, P>, unplaced: &[P]) -> Result<Option<OffsetDateTime>, StoreError> {
    let note = store.app().blobs.read(BlobContainer::Log, &tiles::name(store.owner(), tiles::CHECKPOINT)).await?;
    // Whether it is ours is the publisher's to say; not what is written down as published, which is so before it is signed.
    let covered = note.and_then(|note| Checkpoint::parse_note(&note)).map_or(0, |checkpoint| checkpoint.size);
    // More than the one behind it: that may be what is gone, which is why nothing was published.
    let entries = entry::range(store, covered, covered + BEHIND).await?;
    let mut oldest = entries.first().and_then(|entry| leaf::read(&entry.leaf).ok()).map(|leaf| leaf.at);
    for place in unplaced {
        let (items, _) = store.page_of_each::<Item>(*place, "", false, OLDEST, None).await?;
        let first = items.into_iter().flatten().map(|held| held.value.at).min();
        oldest = oldest.into_iter().chain(first).min();
    }
    Ok(oldest)
}

/// When a sweep last looked after the logs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Looked {
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
}

impl Looked {
    pub const KEY: &str = "sweep";

    /// Whether the sweep, which comes every five minutes, is not to be expected any more.
    pub fn is_late(&self, now: OffsetDateTime) -> bool {
        now - self.at > 3 * Duration::minutes(5)
    }
}

impl Record for Looked {
    const KIND: &'static str = "logs-looked";
    const SCHEMA: u32 = 1;

    fn key(&self) -> String {
        Self::KEY.into()
    }
}

/// Writes down that a sweep looked after the logs.
pub async fn looks(installation: &Store<'_, DeploymentPlace>) -> Result<(), StoreError> {
    let was = installation.read::<Looked>(DeploymentPlace::Operations, Looked::KEY).await?;
    let mut batch = installation.batch(DeploymentPlace::Operations);
    batch.put(Looked { at: installation.app().now() }, was.map(|Held { etag, .. }| etag));
    batch.commit_unless_overtaken().await.map(drop)
}

/// Of a log that has come to its end no alarm is shown; what there was stands in it.
pub async fn forget(installation: &Store<'_, DeploymentPlace>, owner: Owner) -> Result<(), StoreError> {
    let Some(held) = installation.read::<LogAlarm>(DeploymentPlace::Operations, &owner.to_string()).await? else { return Ok(()) };
    let mut batch = installation.batch(DeploymentPlace::Operations);
    batch.delete(&held);
    batch.commit_unless_overtaken().await.map(drop)
}

/// Brings the copy of a log's alarms up to date. `came_through`: whether the log was brought up to date just now.
pub async fn tell<P: Place>(store: &Store<'_, P>, installation: &Store<'_, DeploymentPlace>, came_through: bool) -> Result<(), StoreError> {
    let wanted = vec![
        Wanted::one::<Head>(HEAD_KEY),
        Wanted::one::<Published>(HEAD_KEY),
        Wanted::one::<Anchored>(anchor::KEY),
        Wanted::one::<Witnessed>(witness::KEY),
    ];
    let found = store.gather(P::audit(AuditPart::Head), wanted).await?;
    let (head, published) = (found.one::<Head>(HEAD_KEY).await?, found.one::<Published>(HEAD_KEY).await?);
    let (anchored, witnessed) = (found.one::<Anchored>(anchor::KEY).await?, found.one::<Witnessed>(witness::KEY).await?);
    let now = store.app().now();
    let head = head.as_ref().map(|held| &held.value);
    let (published, anchored) = (published.as_ref().map(|held| &held.value), anchored.as_ref().map(|held| &held.value));
    let owner = store.owner().to_string();
    let place = DeploymentPlace::Operations;
    let was = installation.read::<LogAlarm>(place, &owner).await?;
    // Of one that is not asked any more nothing is told.
    let witnessed = witnessed.as_ref().map(|held| &held.value).filter(|_| store.app().config.witness.is_some());
    let mut alarms = alarms(Beside { head, published, anchored, witnessed }, now);
    let behind = behind(came_through, head, published, anchored, now);
    let behind_since = behind.map(|_| was.as_ref().and_then(|was| was.value.behind_since).unwrap_or(now));
    alarms.extend(behind.zip(behind_since).filter(|(_, since)| now - *since >= LATE).map(|(what, since)| Alarm::new(what, since)));
    let since = alarms.first().map(|first| first.since).or(behind_since);
    let is = since.map(|since| LogAlarm {
        owner: owner.clone(),
        what: alarms.iter().map(|alarm| alarm.what.as_str()).collect::<Vec<_>>().join("; "),
        since,
        behind_since,
    });
    let mut batch = installation.batch(place);
    match (was, is) {
        (Some(was), Some(is)) if was.value == is => return Ok(()),
        (None, None) => return Ok(()),
        (was, Some(is)) => drop(batch.put(is, was.map(|Held { etag, .. }| etag))),
        (Some(was), None) => drop(batch.delete(&was)),
    }
    batch.commit_unless_overtaken().await.map(drop)
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    #[test]
    fn the_first_gap_and_the_last_are_shown_with_how_many_came_between_and_for_a_month_after_the_last() {
        let day = |n| datetime!(2026-03-01 09:00:00 UTC) + Duration::days(n);
        let first = also(None, "a is gone: 1".into(), day(0));
        assert_eq!(first, Alarm::new("a is gone: 1", day(0)));
        let second = also(Some(&first), "b is gone: 2".into(), day(1));
        assert_eq!((second.what.as_str(), second.count, second.last), ("a is gone: 1; the last: b is gone: 2", 2, Some(day(1))));
        let third = also(Some(&second), "c is gone: 3".into(), day(29));
        assert_eq!((third.what.as_str(), third.count, third.last), ("a is gone: 1; the last: c is gone: 3", 3, Some(day(29))));
        assert_eq!(third.since, day(0));
        assert!(is_shown(&third, day(58)) && !is_shown(&third, day(59)));
        assert_eq!(also(Some(&third), "d".into(), day(59)), Alarm::new("d", day(59)));
    }

    #[test]
    fn an_alarm_of_an_earlier_release_is_read_and_counted_on() {
        let stored = r#"{"what":"a is gone: 1; since then 4 more, the last at 2026-03-02T09:00:00Z: b","since":"2026-03-01T09:00:00Z"}"#;
        let known: Alarm = serde_json::from_str(stored).expect("an old record");
        let at = datetime!(2026-03-03 09:00:00 UTC);
        let next = also(Some(&known), "c".into(), at);
        assert_eq!((next.what.as_str(), next.count, next.last), ("a is gone: 1; the last: c", 6, Some(at)));
    }
}
