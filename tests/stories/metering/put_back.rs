//! Somebody writes the database past Assay: the log, which nobody can put back, still says whom the month has counted.

use assay::{
    audit,
    metering::Month,
    tenancy::{DeploymentPlace, Held},
};
use serde_json::json;
use time::macros::datetime;

use super::{House, deployment, house};
use crate::support::lines::Lines;

impl House {
    /// What was recorded gets its places, as before each sweep's count.
    async fn placed(&self) {
        audit::sequence(&deployment(self.test.app()).await, [DeploymentPlace::Operations]).await.unwrap();
    }

    async fn month(&self, month: &str) -> Option<Held<Month>> {
        deployment(self.test.app()).await.read::<Month>(DeploymentPlace::Operations, month).await.unwrap()
    }

    async fn loses(&self, month: &str) {
        let held = self.month(month).await.unwrap();
        let store = deployment(self.test.app()).await;
        let mut batch = store.batch(DeploymentPlace::Operations);
        batch.delete(&held);
        batch.commit().await.unwrap();
    }
}

/// Where the log is read from there, and where its items still wait.
#[tokio::test]
async fn a_months_record_that_is_deleted_bills_nobody_again_and_is_an_alarm_once() {
    for is_placed in [true, false] {
        let house = house(2, &[("ASSAY_METERING_INCLUDED", "1")]).await;
        house.sweep_at(datetime!(2026-03-02 09:10 UTC)).await;
        house.sweep_at(datetime!(2026-03-02 10:00 UTC)).await;
        if is_placed {
            house.placed().await;
        }
        house.loses("2026-03").await;
        let (lines, _listening) = Lines::listen("error");
        house.sweep_at(datetime!(2026-03-02 10:05 UTC)).await;
        house.sweep_at(datetime!(2026-03-02 11:00 UTC)).await;
        assert_eq!(house.marketplace.billed("2026-03"), 1, "one of the two is in the base fee");
        assert_eq!(house.told("metering.put_back").await, [json!({ "month": "2026-03", "clients": 2 })]);
        assert_eq!(lines.text().matches("ALARM: whom a month had counted").count(), 1);
        let month = house.month("2026-03").await.unwrap().value;
        assert_eq!((month.clients.len(), month.accepted, month.closed), (2, 1, Some(datetime!(2026-03-02 09:00 UTC))));

        // Who comes then is one more, and above what the base fee includes.
        house.adds(2).await;
        house.sweep_at(datetime!(2026-03-20 09:00 UTC)).await;
        house.sweep_at(datetime!(2026-03-20 10:00 UTC)).await;
        assert_eq!((house.marketplace.billed("2026-03"), house.told("metering.put_back").await.len()), (2, 1));
    }
}

#[tokio::test]
async fn a_months_record_that_is_put_back_counts_nobody_again() {
    let house = house(1, &[]).await;
    house.sweep_at(datetime!(2026-03-02 09:10 UTC)).await;
    let earlier = house.month("2026-03").await.unwrap().value;
    house.adds(1).await;
    house.sweep_at(datetime!(2026-03-02 09:20 UTC)).await;
    house.sweep_at(datetime!(2026-03-02 10:00 UTC)).await;
    house.placed().await;
    let store = deployment(house.test.app()).await;
    let mut batch = store.batch(DeploymentPlace::Operations);
    batch.replace(&Held { value: earlier, etag: house.month("2026-03").await.unwrap().etag });
    batch.commit().await.unwrap();
    house.sweep_at(datetime!(2026-03-03 09:00 UTC)).await;
    house.sweep_at(datetime!(2026-03-03 10:00 UTC)).await;
    assert_eq!((house.marketplace.billed("2026-03"), house.told("metering.put_back").await.len()), (2, 1));
    assert_eq!(house.month("2026-03").await.unwrap().value.accepted, 2);
}

/// A month that begins is none that was put back, and reads no more of the log than came since the one before.
#[tokio::test]
async fn a_new_month_and_a_new_client_are_no_alarm() {
    let house = house(2, &[]).await;
    house.sweep_at(datetime!(2026-03-02 09:10 UTC)).await;
    house.placed().await;
    house.adds(2).await;
    house.sweep_at(datetime!(2026-03-09 09:10 UTC)).await;
    let read = house.month("2026-03").await.unwrap().value.read;
    assert!(read > 0, "{read}");
    house.placed().await;
    house.sweep_at(datetime!(2026-04-02 09:10 UTC)).await;
    house.sweep_at(datetime!(2026-04-02 10:10 UTC)).await;
    assert!(house.month("2026-04").await.unwrap().value.read > read);
    assert_eq!((house.marketplace.billed("2026-04"), house.told("metering.put_back").await.len()), (3, 0));
}
