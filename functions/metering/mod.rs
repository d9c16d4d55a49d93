//! Metered billing of the managed plan: how many client tenants were under assessment, reported to the Azure Marketplace.
//!
//! Each client counts once in a calendar month (UTC) in which a sweep found it switched on. It is counted durably first
//! ([`count`]), with the usage event of that hour; once the hour is over nothing is added to the event any more, and it is
//! sent ([`send`]) as it stands until the Marketplace has it, which takes one for each hour and calls another try a
//! duplicate. So a stop at any call bills nothing twice. What it did not take within 24 hours can never be sent: that is
//! recorded as missed, and not billed later by guessing. Nothing but the number leaves: no client's name or id.
//!
//! Without `ASSAY_METERING_PLAN` nothing is counted or sent; that it was there before is said once ([`off`]). A month's record
//! that was deleted or put back counts nobody again: it is compared with the log ([`told`]). An event that waits and is
//! deleted in the database is not noticed, and less is billed than the log says.

mod count;
pub mod health;
mod marketplace;
mod off;
mod send;
mod told;
mod usage;

use time::OffsetDateTime;

use crate::{
    app::App,
    tenancy::{DeploymentPlace, DeploymentScope, Roster, StoreError},
};

pub use usage::{Month, UsageEvent};

const PLACE: DeploymentPlace = DeploymentPlace::Operations;

/// What a sweep left of it, for the gauges.
#[derive(Debug, Default)]
pub struct Usage {
    /// Since when the oldest event that could be sent is not accepted, tried or not.
    pub waits: Option<OffsetDateTime>,
    /// Events that this sweep recorded as missed.
    pub missed: u64,
    /// Why somebody was not counted, or an event passed by.
    pub failed: Option<StoreError>,
}

/// Counts the clients that are on and were not counted this month, and sends what is due. For the sweep.
pub async fn run(app: &App, roster: &Roster, correlation: &str) -> Result<Usage, StoreError> {
    let store = DeploymentScope::of_function("sweep", correlation).store(app).await?;
    let (counted, settings) = match &app.config.metering {
        Ok(Some(settings)) => (count::count(&store, settings, roster).await, Ok(settings)),
        Ok(None) => (off::say(&store).await, Err(off::EMPTIED)),
        Err(_) => (Ok(()), Err(off::WRONG)),
    };
    // Whatever kept somebody from being counted, what was counted is sent.
    let mut usage = send::send(&store, settings).await?;
    usage.failed = counted.err().or(usage.failed);
    Ok(usage)
}
