//! How a connection is doing: rejects and alarms counted, not multiplied, and what people are shown of it.
//!
//! A reject is one record per connection, reason and hour; the audit log hears when a count starts, not of every repeat
//! (design I5), so a flood of forged bodies cannot fill the log.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::{Connection, connection, delivery::Delivery, pull, unlisted};
use crate::{
    audit::{self, counted},
    tenancy::{ConnectionId, ConnectionPlace, DeploymentPlace, Record, Store, StoreError},
};

/// Refused requests of one kind in one hour.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Reject {
    /// `None`: no connection of ours was named.
    pub connection: Option<ConnectionId>,
    pub reason: String,
    #[serde(with = "time::serde::rfc3339")]
    pub first_at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339")]
    pub last_at: OffsetDateTime,
    pub count: u64,
}

impl Record for Reject {
    const KIND: &'static str = "reject";
    const SCHEMA: u32 = 1;

    fn key(&self) -> String {
        reject_key(self.connection, self.first_at, &self.reason)
    }
}

fn reject_key(connection: Option<ConnectionId>, at: OffsetDateTime, reason: &str) -> String {
    format!("{}:{:010}:{reason}", of(connection), at.unix_timestamp() / 3600)
}

fn of(connection: Option<ConnectionId>) -> String {
    connection.map_or_else(|| "none".into(), |id| id.to_string())
}

/// Something about a connection that a person should look into.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Alert {
    pub connection: ConnectionId,
    pub alarm: Alarm,
    pub reason: String,
    #[serde(with = "time::serde::rfc3339")]
    pub first_at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339")]
    pub last_at: OffsetDateTime,
    pub count: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Alarm {
    /// The vendor says, signed, that it switched our webhook off.
    DeactivationNotice,
    /// Somebody says so without a signature, as the vendor's own notice comes: a hint, and never an alarm by itself.
    UnverifiedDeactivation,
    /// The vendor refuses our credentials or our request.
    PullRefused,
    /// The vendor asked us to wait, or did not answer, for as long as we ask.
    PullGaveUp,
    /// A client's key or one of its records cannot be used, so a read left the client out.
    ClientSkipped,
}

impl Alarm {
    const ALL: [Self; 5] =
        [Self::DeactivationNotice, Self::UnverifiedDeactivation, Self::PullRefused, Self::PullGaveUp, Self::ClientSkipped];

    pub fn of_key(key: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|alarm| alarm.key() == key)
    }

    /// Anybody could have caused it: it is shown as unverified, and forgotten by itself.
    pub fn is_hint(self) -> bool {
        self == Self::UnverifiedDeactivation
    }

    /// Also a segment of its button's address.
    pub fn key(self) -> &'static str {
        match self {
            Self::DeactivationNotice => "deactivation_notice",
            Self::UnverifiedDeactivation => "unverified_deactivation",
            Self::PullRefused => "pull_refused",
            Self::PullGaveUp => "pull_gave_up",
            Self::ClientSkipped => "client_skipped",
        }
    }

    /// For people: what it may mean and what to do.
    pub fn words(self) -> &'static str {
        match self {
            Self::DeactivationNotice => {
                "Autotask says that it switched the webhook off. Switch it on again there, then read the configurations once: that repairs the gap."
            }
            Self::UnverifiedDeactivation => {
                "A notice says that the vendor switched the webhook off. Such notices carry no signature, so anybody could have sent it. Look at the webhook in Autotask; if it is off, switch it on again and read the configurations once."
            }
            Self::PullRefused => "The vendor refused to be read. Check the credentials and the rights of the API user.",
            Self::PullGaveUp => {
                "The vendor did not let itself be read for about half a day, and never said no. Look whether the tool is up and what else uses its API allowance, then read again."
            }
            Self::ClientSkipped => {
                "A read left a client out, because its key cannot be used or a record of it cannot be read; the other clients were read. The audit trail says which client and why. If it is the key, have it switched on again in the vault; if it is a record, have the data restored from a backup or the release put back that wrote it. Then read again."
            }
        }
    }
}

impl Record for Alert {
    const KIND: &'static str = "alert";
    const SCHEMA: u32 = 1;

    fn key(&self) -> String {
        format!("{}:{}", self.connection, self.alarm.key())
    }
}

/// Counts a refused request; the first of an hour is audited.
pub async fn reject(store: &Store<'_, DeploymentPlace>, connection: Option<ConnectionId>, reason: &str) -> Result<(), StoreError> {
    let now = store.app().now();
    let key = reject_key(connection, now, reason);
    let again = |reject: &mut Reject| {
        reject.count += 1;
        reject.last_at = now;
    };
    counted::count(store, &key, again, || {
        let first = Reject { connection, reason: reason.into(), first_at: now, last_at: now, count: 1 };
        (first, begun("webhook.rejected", &key, now))
    })
    .await
}

/// Raises an alarm, or counts it when it is raised already.
pub async fn alarm(
    store: &Store<'_, DeploymentPlace>,
    connection: Option<ConnectionId>,
    alarm: Alarm,
    reason: &str,
) -> Result<(), StoreError> {
    let Some(connection) = connection else { return Ok(()) };
    let now = store.app().now();
    let key = format!("{connection}:{}", alarm.key());
    let again = |alert: &mut Alert| {
        alert.count += 1;
        alert.last_at = now;
    };
    counted::count(store, &key, again, || {
        let first = Alert { connection, alarm, reason: reason.into(), first_at: now, last_at: now, count: 1 };
        (first, begun("alert.raised", &key, now))
    })
    .await
}

/// A person has looked into it. Nothing to clear is no error: somebody else was faster.
pub async fn clear(store: &Store<'_, DeploymentPlace>, connection: ConnectionId, alarm: Alarm) -> Result<(), StoreError> {
    let key = format!("{connection}:{}", alarm.key());
    let Some(held) = store.read::<Alert>(DeploymentPlace::Operations, &key).await? else { return Ok(()) };
    let mut batch = store.batch(DeploymentPlace::Operations);
    batch.delete(&held);
    audit::record(
        &mut batch,
        audit::Event::new("alert.cleared", format!("connection {connection}"), serde_json::json!({ "alarm": alarm })),
    );
    batch.commit_unless_overtaken().await.map(drop)
}

fn begun(kind: &'static str, key: &str, at: OffsetDateTime) -> audit::Event {
    audit::Event::new(kind, key, serde_json::json!({ "at": at.unix_timestamp() }))
}

/// What the pages show of one connection.
#[derive(Clone, Debug)]
pub struct Health {
    pub connection: Connection,
    pub last_delivery: Option<Delivery>,
    pub pull: Option<pull::Report>,
    /// Types of the last whole read that mean nothing yet.
    pub unlisted: Vec<unlisted::Seen>,
    pub alerts: Vec<Alert>,
    /// Told without proof lately; see [`Alarm::is_hint`].
    pub hints: Vec<Alert>,
    /// Refused in the last 24 hours.
    pub rejected: u64,
}

/// How long a hint is shown after it was last given.
const HINT_LASTS: time::Duration = time::Duration::days(7);

pub async fn of_all(store: &Store<'_, DeploymentPlace>) -> Result<Vec<Health>, StoreError> {
    let mut healths = Vec::new();
    for connection in connection::all(store).await? {
        let id = connection.id;
        let told = values(store.all::<Alert>(DeploymentPlace::Operations, &format!("{id}:")).await?);
        let (mut hints, alerts): (Vec<_>, Vec<_>) = told.into_iter().partition(|alert: &Alert| alert.alarm.is_hint());
        hints.retain(|hint| store.app().now() - hint.last_at < HINT_LASTS);
        healths.push(Health {
            last_delivery: deliveries(store, id, 1).await?.pop(),
            pull: pull::report(store, id).await?,
            unlisted: unlisted::seen(store, id, &connection.settings).await?,
            alerts,
            hints,
            rejected: rejects(store, Some(id)).await?.iter().map(|reject| reject.count).sum(),
            connection,
        });
    }
    Ok(healths)
}

/// Refused requests of the last 24 hours, newest first.
pub async fn rejects(store: &Store<'_, DeploymentPlace>, connection: Option<ConnectionId>) -> Result<Vec<Reject>, StoreError> {
    let since = store.app().now() - time::Duration::hours(24);
    counted::begun_since(store, &format!("{}:", of(connection)), since, |reject: &Reject| reject.first_at).await
}

/// How many requests were refused since then, of all connections and of none; a look at each, and one more for every
/// hundred hours and reasons.
pub async fn refused(store: &Store<'_, DeploymentPlace>, since: OffsetDateTime) -> Result<u64, StoreError> {
    let connections = connection::all(store).await?;
    let mut refused = 0;
    for connection in connections.iter().map(|connection| Some(connection.id)).chain([None]) {
        let begun = counted::begun_since(store, &format!("{}:", of(connection)), since, |reject: &Reject| reject.first_at).await?;
        refused += begun.iter().map(|reject| reject.count).sum::<u64>();
    }
    Ok(refused)
}

/// The newest deliveries of a connection.
pub async fn deliveries(store: &Store<'_, DeploymentPlace>, connection: ConnectionId, limit: usize) -> Result<Vec<Delivery>, StoreError> {
    let mut found = Vec::new();
    for shard in ConnectionPlace::all().filter(|place| *place != ConnectionPlace::Mapping) {
        let (page, _) = store.page::<Delivery>(DeploymentPlace::Connection(connection, shard), "", true, limit, None).await?;
        found.extend(page.into_iter().map(|held| held.value));
    }
    found.sort_by_key(|delivery| std::cmp::Reverse((delivery.received_at, delivery.id)));
    found.truncate(limit);
    Ok(found)
}

fn values<T>(held: Vec<crate::tenancy::Held<T>>) -> Vec<T> {
    held.into_iter().map(|held| held.value).collect()
}
