//! Metered billing that was on and is not any more: said once, by the newest month that it counted.

use serde_json::json;

use super::{PLACE, usage::Month};
use crate::{
    audit::{self, Event},
    tenancy::{DeploymentPlace, Held, Store, StoreError, Wanted},
};

pub(super) const EMPTIED: &str =
    "ASSAY_METERING_PLAN is empty: whom it counted is reported if it is set again within the day, and else never.";
pub(super) const WRONG: &str = "The settings of metered billing are wrong: assay doctor names them.";

pub(super) async fn say(store: &Store<'_, DeploymentPlace>) -> Result<(), StoreError> {
    let now = store.app().now();
    let months = [Month::of(now), Month::before(now)];
    let found = store.gather(PLACE, months.iter().map(|month| Wanted::one::<Month>(month)).collect()).await?;
    for month in months {
        let Some(Held { value, etag }) = found.one::<Month>(&month).await? else { continue };
        if value.off.is_none() {
            let mut batch = store.batch(PLACE);
            audit::record(&mut batch, Event::new("metering.off", format!("month {month}"), json!({ "month": month })));
            batch.replace(&Held { value: Month { off: Some(now), ..value }, etag });
            batch.commit_unless_overtaken().await?;
        }
        break;
    }
    Ok(())
}
