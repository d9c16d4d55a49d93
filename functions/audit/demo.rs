//! `demo.marked`: the entry by which a demo's log itself says so, whatever the header of its export says.
//!
//! A header can be rewritten; an entry cannot be taken out of a chain. Each log of a demo gets it once, before anything
//! else where that is possible.

use super::{Event, record};
use crate::tenancy::{Place, Store, StoreError, demo_mark::DemoMark};

/// The kind of the entry. It stands in the leaf, so it can be read where nothing is disclosed.
pub const MARKED: &str = "demo.marked";

/// Marks the owner's log, once; `place` is where the owner's mark is kept.
pub async fn mark<P: Place>(store: &Store<'_, P>, place: P) -> Result<(), StoreError> {
    let mark = DemoMark { since: store.app().now() };
    let mut batch = store.batch(place);
    batch.create(&mark);
    record(&mut batch, Event::new(MARKED, "store", serde_json::json!({})));
    batch.commit_unless_overtaken().await.map(drop)
}
