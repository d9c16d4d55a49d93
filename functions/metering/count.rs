//! Which clients this month has not counted yet: counted, with the event of this hour, in one batch with the audit item.
//!
//! Whom it counted already its record says, and the log, which alone cannot be put back: where they differ the record is
//! made again from the log, loudly.

use serde_json::json;

use super::{
    PLACE, told,
    usage::{Month, UsageEvent, hour_of},
};
use crate::{
    audit::{self, Event},
    config::MeteringSettings,
    platform::ports::Etag,
    tenancy::{DeploymentPlace, Held, Roster, Store, StoreError, TenantId, Wanted},
};

/// Clients of one batch: their ids are in its audit item, which holds 64 KiB. The next sweep counts the others.
const AT_ONCE: usize = 1000;

pub(super) async fn count(store: &Store<'_, DeploymentPlace>, settings: &MeteringSettings, roster: &Roster) -> Result<(), StoreError> {
    let now = store.app().now();
    let (month, hour) = (Month::of(now), UsageEvent::key_at(now));
    let found = store.gather(PLACE, vec![Wanted::one::<Month>(&month), Wanted::one::<UsageEvent>(&hour)]).await?;
    let (mut of_month, month_etag) = apart(found.one::<Month>(&month).await?, || Month::begun(month.clone()));
    if not_counted(roster, &of_month).is_empty() && of_month.off.is_none() {
        return Ok(());
    }
    let told = told::of(store, now).await?;
    let mut batch = store.batch(PLACE);
    let lacking = told.lacking(&of_month);
    if lacking > 0 {
        told.mend(&mut of_month);
        let detail = json!({ "month": month, "clients": lacking });
        audit::record(&mut batch, Event::new("metering.put_back", format!("month {month}"), detail));
    }
    (of_month.read, of_month.off) = (told.next, None);
    let new = not_counted(roster, &of_month);
    if !new.is_empty() {
        let billable = of_month.billable(new.len(), settings.included);
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
    }
    batch.put(of_month, month_etag);
    // Whoever was faster counted them, or the next sweep does; and what it counted was not put back.
    if batch.commit_unless_overtaken().await? && lacking > 0 {
        tracing::error!(month, clients = lacking, "ALARM: whom a month had counted was deleted or put back; it is as the log has it again");
    }
    Ok(())
}

fn not_counted(roster: &Roster, month: &Month) -> Vec<TenantId> {
    roster.tenants_on().map(|tenant| tenant.id).filter(|id| !month.clients.contains(id)).take(AT_ONCE).collect()
}

fn apart<T>(held: Option<Held<T>>, begin: impl FnOnce() -> T) -> (T, Option<Etag>) {
    held.map_or_else(|| (begin(), None), |held| (held.value, Some(held.etag)))
}
