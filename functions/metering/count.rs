//! Which clients this month has not counted yet: counted, with the event of this hour, in one batch with the audit item.

use serde_json::json;

use super::{
    PLACE,
    usage::{Month, UsageEvent, hour_of},
};
use crate::{
    audit::{self, Event},
    config::MeteringSettings,
    platform::ports::Etag,
    tenancy::{DeploymentPlace, Held, Roster, Store, StoreError, TenantId, Wanted},
};

pub(super) async fn count(store: &Store<'_, DeploymentPlace>, settings: &MeteringSettings, roster: &Roster) -> Result<(), StoreError> {
    let now = store.app().now();
    let (month, hour) = (Month::of(now), UsageEvent::key_at(now));
    let found = store.gather(PLACE, vec![Wanted::one::<Month>(&month), Wanted::one::<UsageEvent>(&hour)]).await?;
    let (mut of_month, month_etag) = apart(found.one::<Month>(&month).await?, || Month::begun(month.clone()));
    let new: Vec<TenantId> = roster.tenants_on().map(|tenant| tenant.id).filter(|id| !of_month.clients.contains(id)).collect();
    if new.is_empty() {
        return Ok(());
    }
    let billable = of_month.billable(new.len(), settings.included);
    let mut batch = store.batch(PLACE);
    if billable > 0 {
        let (mut event, etag) = apart(found.one::<UsageEvent>(&hour).await?, || UsageEvent::of(settings, now));
        // By another instance's clock the hour is over, or the settings changed within it: the next hour's event takes them.
        if of_month.is_closed(hour_of(now)) || !event.is_for(settings) {
            return Ok(());
        }
        event.quantity += billable;
        batch.put(event, etag);
    }
    let detail = json!({
        "month": month,
        "hour": hour_of(now).unix_timestamp(),
        "clients": new,
        "counted": of_month.clients.len() + new.len(),
        "included": settings.included,
        "billable": billable,
    });
    audit::record(&mut batch, Event::new("metering.counted", format!("month {month}"), detail));
    of_month.clients.extend(new);
    batch.put(of_month, month_etag);
    // Whoever was faster counted them, or the next sweep does.
    batch.commit_unless_overtaken().await.map(drop)
}

fn apart<T>(held: Option<Held<T>>, begin: impl FnOnce() -> T) -> (T, Option<Etag>) {
    held.map_or_else(|| (begin(), None), |held| (held.value, Some(held.etag)))
}
