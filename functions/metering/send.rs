//! Sends each event whose hour is over, until the Marketplace has it or its day is over.
//!
//! Before the first try the hour is closed durably, so that every try says the same. What a try came to is written with
//! the event's end in one batch; a try whose end was not written is made again, and then is a duplicate.

use serde_json::json;

use super::{
    PLACE, Usage,
    marketplace::{self, Answer, Which},
    usage::{Month, UsageEvent},
};
use crate::{
    audit::{self, Event},
    config::MeteringSettings,
    platform::ports::Etag,
    tenancy::{DeploymentPlace, Held, Passed, Record as _, Store, StoreError},
};

const NOT_SENT: &str = "Assay did not run, or could not send it, until its day was over.";

/// What became of an event.
enum Came {
    Over,
    Missed,
    Waits,
    /// And the others would be answered the same.
    Away,
}

/// An event that cannot be read, or whose month cannot, holds up no other. Without settings, for that
/// reason, nothing is sent; within the day they may be there again.
pub(super) async fn send(
    store: &Store<'_, DeploymentPlace>,
    settings: Result<&MeteringSettings, &'static str>,
) -> Result<Usage, StoreError> {
    let now = store.app().now();
    let (mut usage, mut passed) = (Usage::default(), Passed::default());
    let events = passed.all(store.all_of_each::<UsageEvent>(PLACE, "").await?)?;
    for event in events.into_iter().filter(|event| event.value.is_due(now)) {
        let due = event.value.due();
        match passed.by(one(store, settings, event).await)? {
            Some(Came::Over) => {}
            Some(Came::Missed) => usage.missed += 1,
            Some(Came::Waits) | None => usage.waits = usage.waits.or(Some(due)),
            Some(Came::Away) => {
                usage.waits = usage.waits.or(Some(due));
                break;
            }
        }
    }
    usage.failed = passed.end(()).err();
    Ok(usage)
}

async fn one(
    store: &Store<'_, DeploymentPlace>,
    settings: Result<&MeteringSettings, &'static str>,
    event: Held<UsageEvent>,
) -> Result<Came, StoreError> {
    if event.value.is_too_late(store.app().now()) {
        let why = event.value.last.clone().unwrap_or_else(|| NOT_SENT.to_owned());
        end(store, &event, End::Missed { why }).await?;
        return Ok(Came::Missed);
    }
    let settings = match settings {
        Ok(settings) => settings,
        Err(why) => return note(store, event, why).await.map(|()| Came::Waits),
    };
    if !close(store, &event.value).await? {
        return Ok(Came::Waits);
    }
    // As it stands since it was closed: somebody may have added to it after it was read.
    let Some(event) = store.read::<UsageEvent>(PLACE, &event.value.key()).await? else { return Ok(Came::Over) };
    match marketplace::report(store.app(), settings, &event.value).await {
        Answer::Accepted { id, which } => end(store, &event, End::Sent { id, which }).await.map(|()| Came::Over),
        Answer::Taken { quantity } => {
            let why = format!("The Marketplace has another event of this hour, with the quantity {quantity}, and takes no second one.");
            end(store, &event, End::Missed { why }).await.map(|()| Came::Missed)
        }
        Answer::Refused { why } => note(store, event, why).await.map(|()| Came::Waits),
        Answer::Away { why } => note(store, event, why).await.map(|()| Came::Away),
    }
}

/// From here on nothing is added to the event. `false`: somebody else is at it; the next sweep goes on.
async fn close(store: &Store<'_, DeploymentPlace>, event: &UsageEvent) -> Result<bool, StoreError> {
    let (month, etag) = month_of(store, event).await?;
    if month.is_closed(event.hour()) {
        return Ok(true);
    }
    let mut batch = store.batch(PLACE);
    batch.put(Month { closed: Some(event.hour()), ..month }, etag);
    batch.commit_unless_overtaken().await
}

enum End {
    Sent { id: Option<String>, which: Which },
    Missed { why: String },
}

/// The event is over, and its month's total says how. Where another sweep was faster, it said the same.
async fn end(store: &Store<'_, DeploymentPlace>, event: &Held<UsageEvent>, end: End) -> Result<(), StoreError> {
    let (mut month, etag) = month_of(store, &event.value).await?;
    let UsageEvent { quantity, plan, dimension, .. } = &event.value;
    let mut detail = json!({ "month": month.month, "hour": event.value.hour().unix_timestamp(), "quantity": quantity });
    let kind = match end {
        End::Sent { id, which } => {
            month.accepted += quantity;
            (detail["plan"], detail["dimension"]) = (json!(plan), json!(dimension));
            (detail["usage_event"], detail["before"]) = (json!(id), json!(which != Which::This));
            if which == Which::Unshown {
                detail["unshown"] = json!(true);
            }
            "metering.sent"
        }
        End::Missed { why } => {
            tracing::error!(month = month.month, quantity, why, "usage was never reported, and will not be billed");
            month.missed += quantity;
            (detail["why"], detail["tried"]) = (json!(why), json!(month.is_closed(event.value.hour())));
            "metering.missed"
        }
    };
    let mut batch = store.batch(PLACE);
    audit::record(&mut batch, Event::new(kind, format!("month {}", month.month), detail));
    batch.delete(event).put(month, etag);
    batch.commit_unless_overtaken().await.map(drop)
}

/// Why it waits, for the doctor and for what is said when its day is over; written when it changes.
async fn note(store: &Store<'_, DeploymentPlace>, event: Held<UsageEvent>, why: &'static str) -> Result<(), StoreError> {
    if event.value.last.as_deref() == Some(why) {
        return Ok(());
    }
    let mut batch = store.batch(PLACE);
    batch.replace(&Held { value: UsageEvent { last: Some(why.into()), ..event.value }, etag: event.etag });
    batch.commit_unless_overtaken().await.map(drop)
}

async fn month_of(store: &Store<'_, DeploymentPlace>, event: &UsageEvent) -> Result<(Month, Option<Etag>), StoreError> {
    let month = Month::of(event.at);
    let held = store.read::<Month>(PLACE, &month).await?;
    Ok(held.map_or_else(|| (Month::begun(month), None), |held| (held.value, Some(held.etag))))
}
