//! Whether the audit logs are up to date, said on the page that people open first: also when nothing runs that would say so.

use assay::{
    connectors::demo::{self, What},
    tenancy::{keys::Owner, signing::SigningUse},
};
use time::Duration;

use crate::support::{
    browser::{Browser, text},
    clock::START,
    flow::{Extent, Flow, HARBOR, deliveries_of},
    key_vault::{installation_of, signing_key},
};

async fn first_page(flow: &Flow, who: What) -> String {
    text(&Browser::of(flow, who).await.get("portal/clients").await)
}

#[tokio::test(start_paused = true)]
async fn the_first_page_says_how_fresh_the_logs_are_and_that_a_log_falls_behind() {
    let (test, fake) = installation_of(Owner::Tenant(HARBOR)).await;
    let mut flow = Flow::begun(test, Extent::Small).await;
    flow.vendor_sends(&deliveries_of(demo::CONNECTWISE, START)[0]).await;
    flow.settle().await;
    flow.sweep().await;
    let page = first_page(&flow, What::Owner).await;
    assert!(page.contains("Audit logs looked after") && page.contains("none has an alarm"), "{page}");
    assert!(!first_page(&flow, What::Approver).await.contains("Audit logs looked after"), "whom the tools are not told of");

    // The vault refuses the key of the checkpoints: nothing can be published.
    fake.refuse(&signing_key(SigningUse::Checkpoints), Some((403, "KeyDisabled")));
    flow.vendor_sends(&deliveries_of(demo::CONNECTWISE, START)[1]).await;
    flow.pass(Duration::minutes(5)).await;
    assert!(!first_page(&flow, What::Owner).await.contains("are not published"), "it may be the next sweep's");
    for _ in 0..3 {
        flow.pass(Duration::minutes(5)).await;
    }
    let page = first_page(&flow, What::Owner).await;
    assert!(page.contains("Harbor Precision") && page.contains("its newest entries are not published"), "{page}");

    fake.refuse(&signing_key(SigningUse::Checkpoints), None);
    for _ in 0..5 {
        flow.pass(Duration::minutes(5)).await;
    }
    assert!(!first_page(&flow, What::Owner).await.contains("are not published"));
}

#[tokio::test]
async fn a_sweep_that_does_not_run_any_more_is_an_alarm_of_its_own() {
    let mut flow = Flow::new(Extent::Small).await;
    flow.settle().await;
    flow.sweep().await;
    flow.test.clock.advance(Duration::minutes(14));
    assert!(!first_page(&flow, What::Owner).await.contains("were last looked after"));
    flow.test.clock.advance(Duration::minutes(2));
    let page = first_page(&flow, What::Owner).await;
    assert!(page.contains("The audit logs were last looked after") && page.contains("sweep"), "{page}");
}
