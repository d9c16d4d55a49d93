//! How each channel does, for the page of its name: counted over all clients, so it holds nothing of any of them.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::{Channel, Outcome};
use crate::app::App;
use crate::tenancy::{DeploymentPlace, DeploymentScope, Held, Record, Store, StoreError};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChannelHealth {
    pub channel: Channel,
    pub accepted: u64,
    #[serde(with = "time::serde::rfc3339::option")]
    pub accepted_at: Option<OffsetDateTime>,
    pub refused: u64,
    #[serde(with = "time::serde::rfc3339::option")]
    pub refused_at: Option<OffsetDateTime>,
    /// Of the last refusal; a sentence of ours.
    pub why: String,
    /// What could not be sent before its time was over.
    #[serde(default)]
    pub late: u64,
    #[serde(default, with = "time::serde::rfc3339::option")]
    pub late_at: Option<OffsetDateTime>,
}

impl Record for ChannelHealth {
    const KIND: &'static str = "channel";
    const SCHEMA: u32 = 1;

    fn key(&self) -> String {
        self.channel.word().into()
    }
}

impl ChannelHealth {
    fn new(channel: Channel) -> Self {
        Self { channel, accepted: 0, accepted_at: None, refused: 0, refused_at: None, why: String::new(), late: 0, late_at: None }
    }

    /// The last that was heard of it was a refusal.
    pub fn is_failing(&self) -> bool {
        self.refused_at.is_some() && self.refused_at >= self.accepted_at
    }
}

pub async fn all(store: &Store<'_, DeploymentPlace>) -> Result<Vec<ChannelHealth>, StoreError> {
    let held = store.all::<ChannelHealth>(DeploymentPlace::Operations, "").await?;
    Ok(held.into_iter().map(|held| held.value).collect())
}

/// A figure, not a fact that others rest on: what a race or an outage keeps from being counted is only logged.
pub(in crate::gate) async fn count(app: &App, channel: Channel, outcome: &Outcome, correlation: &str) {
    if let Err(error) = write(app, channel, outcome, correlation).await {
        tracing::warn!(error = %error, "a delivery was not counted");
    }
}

async fn write(app: &App, channel: Channel, outcome: &Outcome, correlation: &str) -> Result<(), StoreError> {
    let store = DeploymentScope::of_function("notify", correlation).store(app).await?;
    let held = store.read::<ChannelHealth>(DeploymentPlace::Operations, channel.word()).await?;
    let mut health = held.as_ref().map_or_else(|| ChannelHealth::new(channel), |held| held.value.clone());
    match outcome {
        Outcome::Accepted => {
            health.accepted += 1;
            health.accepted_at = Some(app.now());
        }
        Outcome::Refused { why } => {
            health.refused += 1;
            (health.refused_at, health.why) = (Some(app.now()), why.clone());
        }
        Outcome::TooLate => {
            health.late += 1;
            health.late_at = Some(app.now());
        }
        Outcome::SignedIn => return Ok(()),
    }
    let mut batch = store.batch(DeploymentPlace::Operations);
    match held {
        Some(held) => batch.replace(&Held { value: health, etag: held.etag }),
        None => batch.create(&health),
    };
    batch.commit().await
}
