//! What is wrong with any log, in one place: for the page that people open first, which reads no client's log for it.
//!
//! One small record among the installation's for each log that has an alarm, kept in step by the sweep. The alarm itself
//! stands in the log and beside its head; this is a copy of its words.

use serde::{Deserialize, Serialize};
use time::{Duration, OffsetDateTime, format_description::well_known::Rfc3339};

use super::{
    anchor::{self, Anchored},
    entry::{Alarm, HEAD_KEY, Head},
    publisher::Published,
};
use crate::tenancy::{DeploymentPlace, Held, Place, Record, Store, StoreError, Wanted, place::AuditPart};

/// For so long after the last one gaps are shown: they cannot be mended, and stand in the log for ever.
pub const GAP_SHOWN: Duration = Duration::days(30);

const AND_MORE: &str = "; since then ";
const THE_LAST: &str = " more, the last at ";

/// The gaps that are shown and one more: the first, how many came since, and the last. Each stands in the log by itself.
pub fn also(gap: Option<&Alarm>, what: String, now: OffsetDateTime) -> Alarm {
    let Some(gap) = gap.filter(|gap| is_shown(gap, now)) else { return Alarm { what, since: now } };
    let (first, more, _) = told(gap);
    let at = now.replace_nanosecond(0).unwrap_or(now).format(&Rfc3339).unwrap_or_default();
    Alarm { what: format!("{first}{AND_MORE}{}{THE_LAST}{at}: {what}", more + 1), since: gap.since }
}

/// The first gap of the alarm, how many more it tells of, and when the last was.
fn told(gap: &Alarm) -> (&str, u64, OffsetDateTime) {
    let more = gap.what.split_once(AND_MORE).and_then(|(first, rest)| {
        let (more, rest) = rest.split_once(THE_LAST)?;
        let (at, _) = rest.split_once(": ")?;
        Some((first, more.parse().ok()?, OffsetDateTime::parse(at, &Rfc3339).ok()?))
    });
    more.unwrap_or((&gap.what, 0, gap.since))
}

fn is_shown(gap: &Alarm, now: OffsetDateTime) -> bool {
    now - told(gap).2 < GAP_SHOWN
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LogAlarm {
    /// A client's id, or `deployment`.
    pub owner: String,
    pub what: String,
    #[serde(with = "time::serde::rfc3339")]
    pub since: OffsetDateTime,
}

impl Record for LogAlarm {
    const KIND: &'static str = "log-alarm";
    const SCHEMA: u32 = 1;

    fn key(&self) -> String {
        self.owner.clone()
    }
}

/// What people must see to, of the records beside a log's head; newest words last.
pub fn alarms(head: Option<&Head>, published: Option<&Published>, anchored: Option<&Anchored>, now: OffsetDateTime) -> Vec<Alarm> {
    let gap = head.and_then(|head| head.gap.clone()).filter(|gap| is_shown(gap, now));
    let stopped = published.and_then(|published| published.alarm.clone());
    let apart = anchored.and_then(|anchored| anchored.alarm.clone());
    gap.into_iter().chain(stopped).chain(apart).collect()
}

/// Brings the copy of a log's alarms up to date.
pub async fn tell<P: Place>(store: &Store<'_, P>, installation: &Store<'_, DeploymentPlace>) -> Result<(), StoreError> {
    let wanted = vec![Wanted::one::<Head>(HEAD_KEY), Wanted::one::<Published>(HEAD_KEY), Wanted::one::<Anchored>(anchor::KEY)];
    let found = store.gather(P::audit(AuditPart::Head), wanted).await?;
    let (head, published) = (found.one::<Head>(HEAD_KEY).await?, found.one::<Published>(HEAD_KEY).await?);
    let anchored = found.one::<Anchored>(anchor::KEY).await?;
    let now = store.app().now();
    let alarms = alarms(
        head.as_ref().map(|held| &held.value),
        published.as_ref().map(|held| &held.value),
        anchored.as_ref().map(|held| &held.value),
        now,
    );
    let owner = store.owner().to_string();
    let is = alarms.first().map(|first| LogAlarm {
        owner: owner.clone(),
        what: alarms.iter().map(|alarm| alarm.what.as_str()).collect::<Vec<_>>().join("; "),
        since: first.since,
    });
    let place = DeploymentPlace::Operations;
    let was = installation.read::<LogAlarm>(place, &owner).await?;
    let mut batch = installation.batch(place);
    match (was, is) {
        (Some(was), Some(is)) if was.value == is => return Ok(()),
        (None, None) => return Ok(()),
        (was, Some(is)) => drop(batch.put(is, was.map(|Held { etag, .. }| etag))),
        (Some(was), None) => drop(batch.delete(&was)),
    }
    match batch.commit().await {
        Err(error) if error.is_conflict() => Ok(()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    #[test]
    fn the_first_gap_and_the_last_are_shown_with_how_many_came_between_and_for_a_month_after_the_last() {
        let day = |n| datetime!(2026-03-01 09:00:00 UTC) + Duration::days(n);
        let first = also(None, "a is gone: 1".into(), day(0));
        assert_eq!(first, Alarm { what: "a is gone: 1".into(), since: day(0) });
        let second = also(Some(&first), "b is gone: 2".into(), day(1));
        assert_eq!(second.what, "a is gone: 1; since then 1 more, the last at 2026-03-02T09:00:00Z: b is gone: 2");
        let third = also(Some(&second), "c is gone: 3".into(), day(29));
        assert_eq!(third.what, "a is gone: 1; since then 2 more, the last at 2026-03-30T09:00:00Z: c is gone: 3");
        assert_eq!(third.since, day(0));
        assert!(is_shown(&third, day(58)) && !is_shown(&third, day(59)));
        assert_eq!(also(Some(&third), "d".into(), day(59)), Alarm { what: "d".into(), since: day(59) });
    }
}
