//! What is wrong with any log, in one place: for the page that people open first, which reads no client's log for it.
//!
//! One small record among the installation's for each log that has an alarm, kept in step by the sweep. The alarm itself
//! stands in the log and beside its head; this is a copy of its words.

use serde::{Deserialize, Serialize};
use time::{Duration, OffsetDateTime};

use super::{
    anchor::{self, Anchored},
    entry::{Alarm, HEAD_KEY, Head},
    publisher::Published,
};
use crate::tenancy::{DeploymentPlace, Held, Place, Record, Store, StoreError, Wanted, place::AuditPart};

/// For so long a gap is shown: it cannot be mended, and stands in the log for ever.
pub const GAP_SHOWN: Duration = Duration::days(30);

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
    let gap = head.and_then(|head| head.gap.clone()).filter(|gap| now - gap.since < GAP_SHOWN);
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
