//! How the year ends: in the middle of things, as a release leaves them that another one takes the place of.

use std::sync::Arc;

use assay::{
    audit::log_key::Signer,
    connectors::demo::{self, What},
    tenancy::keys::Owner,
};

use super::{
    super::after_the_fact::answer,
    seldom::{DEMO, another_policy},
};
use crate::support::{
    browser::{Browser, text},
    flow::{Flow, HARBOR, deliveries_of, vendors_answer},
    http::response,
    witness::Witness,
};

const WITNESS: &str = "https://witness.example/w1";
const TEAMS: &str = "https://prod-12.westus.logic.azure.com/workflows/a/triggers/manual/paths/invoke?api-version=2016-06-01&sig=SECRET";

pub(super) async fn ends(flow: &mut Flow) {
    let witness = Witness::new(7);
    has_cards_and_a_witness(flow, &witness).await;
    flow.sweep().await;
    let change = another_policy(flow, "90").await;
    // A card goes out, and the mails wait for whom it brings nobody.
    flow.pump().await;
    witness.says(Some((422, "this is another log")));
    flow.sweep().await;
    an_analysis_fails(flow).await;
    a_read_begins(flow).await;
    nothing_can_be_sent_when_it_is_approved(flow, &change).await;
}

/// The witness knows the log of the client, and not the installation's.
async fn has_cards_and_a_witness(flow: &mut Flow, witness: &Arc<Witness>) {
    let secrets = flow.test.folder().join("vault/secrets");
    std::fs::create_dir_all(&secrets).unwrap();
    std::fs::write(secrets.join("teams"), TEAMS).unwrap();
    let key = witness.key();
    flow.test.restart_with(&[DEMO, ("ASSAY_TEAMS", "secret:teams"), ("ASSAY_WITNESS_URL", WITNESS), ("ASSAY_WITNESS_KEY", &key)]);
    witness.knows(&Signer::of(flow.app(), Owner::Tenant(HARBOR)).await.unwrap().ed25519().to_string());
    let (at, witness) = (flow.app().now(), witness.clone());
    flow.test.http.answer_with(move |request| {
        Some(Ok(match request.url.as_str() {
            TEAMS => response(202, &[], ""),
            url if url.starts_with(WITNESS) => witness.answers(request),
            _ => vendors_answer(request, at, usize::MAX),
        }))
    });
}

/// The database does not answer once, when the analysis has just taken the client's lease.
async fn an_analysis_fails(flow: &mut Flow) {
    flow.vendor_sends(&deliveries_of(demo::CONNECTWISE, flow.app().now())[3]).await;
    flow.pump_once("intake").await;
    flow.test.faults.fail_behind("documents.batch");
    flow.pump_once("analyze").await;
    assert!(flow.test.faults.struck());
    flow.test.faults.mend();
}

/// A page of the client's devices is read, and another is due.
async fn a_read_begins(flow: &mut Flow) {
    let at = flow.app().now();
    flow.test.http.answer_with(move |request| {
        let mut answer = vendors_answer(request, at, usize::MAX);
        if request.url.path().ends_with("/company/configurations") {
            answer.headers.push(("link".into(), "<https://api-na.myconnectwise.net/x?page=2>; rel=\"next\"".into()));
        }
        Some(Ok(answer))
    });
    let action = format!("portal/connections/{}/pull", demo::CONNECTWISE);
    let begun = Browser::of(flow, What::Engineer).await.press("portal/connections", &action, &[]).await;
    assert_eq!(begun.status, 303, "{}", text(&begun));
    flow.pump_once("intake").await;
}

async fn nothing_can_be_sent_when_it_is_approved(flow: &Flow, page: &str) {
    let approver = Browser::of(flow, What::Approver).await;
    flow.test.queue.goes_away(true);
    let taken = answer(&approver, page, "decide", &[("decision", "approve")]).await;
    flow.test.queue.goes_away(false);
    assert_eq!(taken.status, 303, "{}", text(&taken));
}
