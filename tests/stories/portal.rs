//! The portal as people use it: copies of the log, rights, clients that cannot be read, what was set aside or refused.

use std::io::Cursor;

use assay::{
    audit::{
        self, Event,
        entry::{HEAD_KEY, Head, Lease},
        verify::verify,
    },
    connectors::demo::What,
    tenancy::{ClientPlace, Place as _, Store, place::AuditPart},
};
use time::Duration;

use crate::support::{
    browser::{Browser, text},
    flow::{Extent, Flow, HARBOR},
};

/// As a run of the sequencer leaves it that died, or that is at work in another process.
async fn somebody_holds_the_log(flow: &Flow, store: &Store<'_, ClientPlace>) {
    let head = ClientPlace::audit(AuditPart::Head);
    let held = store.read::<Head>(head, HEAD_KEY).await.unwrap();
    let (next, hash) = held.as_ref().map_or((0, audit::chain::start(&HARBOR.to_string())), |held| (held.value.next, held.value.hash));
    let lease = Some(Lease::new(flow.app().ids.uuid(), flow.app().now()));
    let mut batch = store.batch(head);
    batch.put(Head { next, hash, lease }, held.map(|held| held.etag));
    batch.commit().await.unwrap();
}

#[tokio::test]
async fn a_copy_of_the_log_is_refused_while_entries_wait_for_their_place_and_then_holds_them_and_itself() {
    let flow = Flow::new(Extent::Small).await;
    let marco = Browser::of(&flow, What::Engineer).await;
    let store = flow.client(HARBOR).await;
    let mut batch = store.batch(ClientPlace::Assessment);
    audit::record(&mut batch, Event::new("proposal.approved", "proposal 1", serde_json::json!({})));
    batch.commit().await.unwrap();
    somebody_holds_the_log(&flow, &store).await;

    let (page, action) = (format!("portal/audit/{HARBOR}"), format!("portal/audit/{HARBOR}/export"));
    let reply = marco.press(&page, &action, &[]).await;
    assert_eq!(reply.status, 503);
    assert!(text(&reply).contains("1 entry still waits for a place in this log") && text(&reply).contains("in a few seconds"));
    assert!(!text(&marco.get(&page).await).contains("copy of this log"), "no copy was made, so none is written down");

    flow.test.clock.advance(Duration::seconds(31));
    let reply = marco.press(&page, &action, &[]).await;
    assert_eq!(reply.status, 200);
    let report = verify(Cursor::new(&reply.body)).unwrap();
    assert_eq!((report.kinds["proposal.approved"], report.kinds["log.exported"], report.header.entries), (1, 1, 2));
}
