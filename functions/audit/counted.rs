//! Counts that stand for many of the same: rejects, alarms, refusals.
//!
//! One record by its key; the deployment's log hears when a count starts, not of every repeat, so that who keeps trying
//! cannot fill it (design I5).

use time::OffsetDateTime;

use super::{Event, record};
use crate::tenancy::{DeploymentPlace, Record, Store, StoreError};

/// Tries of a count when others count at the same moment.
const TRIES: usize = 8;

/// Counts once more under `key`: `again` changes what is there, `first` begins it, with its audit item.
pub async fn count<T: Record>(
    store: &Store<'_, DeploymentPlace>,
    key: &str,
    again: impl Fn(&mut T),
    first: impl Fn() -> (T, Event),
) -> Result<(), StoreError> {
    for _ in 0..TRIES {
        let held = store.read::<T>(DeploymentPlace::Operations, key).await?;
        let mut batch = store.batch(DeploymentPlace::Operations);
        if let Some(mut held) = held {
            again(&mut held.value);
            batch.replace(&held);
        } else {
            let (begun, event) = first();
            record(&mut batch, event);
            batch.create(&begun);
        }
        match batch.commit().await {
            Err(error) if error.is_conflict() => {}
            other => return other,
        }
    }
    // A repeat that could not be counted in a crowd is not worth a failure: the count had started.
    Ok(())
}

/// The counts under this prefix that began at `since` or later, newest first. Behind the prefix the key begins with the
/// hour, so that looking ends where they grow too old.
pub async fn begun_since<T: Record>(
    store: &Store<'_, DeploymentPlace>,
    prefix: &str,
    since: OffsetDateTime,
    began: impl Fn(&T) -> OffsetDateTime,
) -> Result<Vec<T>, StoreError> {
    let mut found = Vec::new();
    let mut after = None;
    loop {
        let (page, next) = store.page::<T>(DeploymentPlace::Operations, prefix, true, 0, after).await?;
        let old = page.iter().any(|held| began(&held.value) < since);
        found.extend(page.into_iter().map(|held| held.value).filter(|counted| began(counted) >= since));
        match next {
            Some(next) if !old => after = Some(next),
            _ => return Ok(found),
        }
    }
}
