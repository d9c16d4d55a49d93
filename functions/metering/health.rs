//! How metered billing does, for the doctor: whether usage can be reported, what waits, and what never was.

use time::OffsetDateTime;

use super::{
    PLACE,
    usage::{Month, UsageEvent},
};
use crate::{
    app::App,
    platform::ports::{PortError, PortErrorKind},
    tenancy::{DeploymentScope, StoreError, Wanted},
};

/// What is there to say of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// Since when something waits that was tried and not taken, and why.
    pub waits: Option<(OffsetDateTime, String)>,
    /// Months, this one or the last, with how many clients of each were never reported.
    pub missed: Vec<(String, u64)>,
}

const WAITS: &str = "nothing is lost yet: it is sent again every five minutes, and after 24 hours recorded as missed";

/// Whether a token can be had, and nothing waits that was refused.
pub async fn can_report(app: &App, standing: &Standing) -> Result<(), PortError> {
    app.identity.metering_token().await?;
    match &standing.waits {
        None => Ok(()),
        Some(_) => Err(PortError::new("metered billing", PortErrorKind::Unavailable).advising(WAITS)),
    }
}

pub async fn standing(app: &App) -> Result<Standing, StoreError> {
    let store = DeploymentScope::of_function("doctor", "doctor").store(app).await?;
    let now = app.now();
    let months = [Month::before(now), Month::of(now)];
    let wanted = months.iter().map(|month| Wanted::one::<Month>(month)).chain([Wanted::all::<UsageEvent>("")]).collect();
    let found = store.gather(PLACE, wanted).await?;
    let mut standing = Standing::default();
    for month in months {
        let held = found.one::<Month>(&month).await?;
        standing.missed.extend(held.filter(|held| held.value.missed > 0).map(|held| (month, held.value.missed)));
    }
    let events = found.all::<UsageEvent>("").await?;
    standing.waits = events.into_iter().find_map(|held| Some((held.value.at, held.value.last?)));
    Ok(standing)
}
