//! How metered billing does, for the doctor: whether usage can be reported, what waits, and what never was.

use time::OffsetDateTime;

use super::{
    PLACE,
    usage::{Month, UsageEvent},
};
use crate::{
    app::App,
    platform::ports::{PortError, PortErrorKind},
    tenancy::{DeploymentScope, Held, StoreError, Wanted},
};

/// What is there to say of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// Since when something waits that was tried and not taken, and why.
    pub waits: Option<(OffsetDateTime, String)>,
    /// Months, this one or the last, with how many clients of each were never reported.
    pub missed: Vec<(String, u64)>,
    /// Since when it is off, where it was on this month or the last.
    pub off: Option<OffsetDateTime>,
}

const WAITS: &str = "nothing is lost yet: it is sent again every five minutes, and after 24 hours recorded as missed";

/// Whether a token can be had, where it is needed, and nothing waits that was refused.
pub async fn can_report(app: &App, standing: &Standing) -> Result<(), PortError> {
    if let Ok(Some(_)) = app.config.metering {
        app.identity.metering_token().await?;
    }
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
        let Some(Held { value: Month { missed, off, .. }, .. }) = found.one::<Month>(&month).await? else { continue };
        standing.missed.extend((missed > 0).then_some((month, missed)));
        standing.off = off;
    }
    let events = found.all::<UsageEvent>("").await?;
    standing.waits = events.into_iter().find_map(|held| Some((held.value.at, held.value.last?)));
    Ok(standing)
}
