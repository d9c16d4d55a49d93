//! What people wait for costs few round trips to the store, and goes on doing so: on Azure each is some milliseconds and a
//! request unit or more.

use std::sync::Arc;

use assay::{
    app::App,
    connectors::{
        client::{self, Access, Given},
        demo::{self, What},
    },
    tenancy::{DeploymentScope, directory::Role},
};

use crate::support::{
    browser::{self, Browser},
    clock::START,
    decision,
    flow::{Extent, Flow, HARBOR, deliveries_of, person},
    meeting,
};

const OBJECTIVE: &str = "3.4.1[d]";

/// The calls since `from` that are named so.
fn count(flow: &Flow, from: usize, names: &[&str]) -> usize {
    flow.test.faults.calls().iter().skip(from).filter(|call| names.contains(call)).count()
}

#[tokio::test]
async fn an_approver_opens_and_decides_a_proposal_in_few_round_trips() {
    for mut flow in [Flow::new(Extent::Small).await, Flow::on_azure(Extent::Small).await] {
        let proposal = flow.mailed(person(What::Approver), HARBOR, OBJECTIVE).await;
        let page = format!("portal/proposals/{HARBOR}/{proposal}");
        let session = Browser::of(&flow, What::Approver).await.session();
        let browser = Browser::with_cookie(&flow, &session);
        browser.get(&page).await;

        // Session and directory, the client's records, the evidence.
        let from = flow.test.faults.count();
        let opened = browser.get(&page).await;
        assert_eq!(opened.status, 200);
        assert_eq!(count(&flow, from, &["documents.read", "documents.query"]), 3, "{:?}", &flow.test.faults.calls()[from..]);
        assert_eq!(flow.test.faults.count() - from, 3, "{:?}", &flow.test.faults.calls()[from..]);

        // The decision, its audit item and the message that follows from it are one batch.
        let from = flow.test.faults.count();
        let typed = [("decision", "approve"), ("comment", "I compared it with the RMM.")];
        let taken = browser.send(browser::hidden_of_form(&opened), &format!("{page}/decide"), &typed).await;
        assert_eq!(taken.status, 303);
        assert_eq!(count(&flow, from, &["documents.batch"]), 1, "{:?}", &flow.test.faults.calls()[from..]);
        assert_eq!(count(&flow, from, &["documents.read", "documents.query"]), 2, "{:?}", &flow.test.faults.calls()[from..]);
        assert_eq!(count(&flow, from, &["queue.send"]), 1);
    }
}

#[tokio::test]
async fn a_webhook_is_two_writes_and_a_message_before_its_answer() {
    for mut flow in [Flow::new(Extent::Small).await, Flow::on_azure(Extent::Small).await] {
        let deliveries = deliveries_of(demo::CONNECTWISE, START);
        flow.vendor_sends(&deliveries[0]).await;
        let from = flow.test.faults.count();
        flow.vendor_sends(&deliveries[1]).await;
        assert!(count(&flow, from, &["documents.batch", "blobs.create"]) <= 2, "{:?}", &flow.test.faults.calls()[from..]);
        assert_eq!(count(&flow, from, &["queue.send"]), 1);
        assert!(count(&flow, from, &["documents.read", "documents.query"]) <= 1, "the connection");
    }
}

/// Takes the approver's role for Harbor away, as another process does it, whose memory is its own.
async fn taken_away_elsewhere(flow: &Flow) {
    let elsewhere = App { memory: Arc::default(), ..flow.app().clone() };
    let store = DeploymentScope::of_function("story", "c").store(&elsewhere).await.unwrap();
    let access = Access::read(&store, HARBOR).await.unwrap().unwrap();
    let given = |what, role| Given { person: person(what).id, roles: vec![role], until: None };
    let wanted = [given(What::Engineer, Role::Engineer), given(What::Owner, Role::Approver)];
    client::change_access(&store, &access, &wanted).await.unwrap();
}

#[tokio::test]
async fn access_that_another_process_took_away_is_gone_with_the_next_request() {
    let flow = Flow::new(Extent::Small).await;
    let browser = Browser::of(&flow, What::Approver).await;
    let page = format!("portal/clients/{HARBOR}");
    assert_eq!(browser.get(&page).await.status, 200);
    taken_away_elsewhere(&flow).await;
    assert_eq!(browser.get(&page).await.status, 404);
}

#[tokio::test]
async fn what_a_region_that_lags_behind_said_is_never_taken_for_what_holds_now() {
    let flow = Flow::new(Extent::Small).await;
    let mut app = meeting::once_behind(flow.app(), flow.app()).await;
    app.memory = Arc::default();
    taken_away_elsewhere(&flow).await;
    let changed = decision::roster(&app).await;
    assert!(changed.grants_of(HARBOR, app.now()).all(|grant| grant.person != person(What::Owner).id), "it lags behind");
    let now = decision::roster(&app).await;
    assert!(now.grants_of(HARBOR, app.now()).all(|grant| grant.person != person(What::Approver).id), "it was not remembered");
}
