//! What happens to an MSP in a year, once each, as it was lived with 0.1.0: what came since is in `seldom.rs` and `midst.rs`.

use assay::{
    connectors::demo::{self, Delivery, What},
    custody::offboarding,
    gate::Verdict,
    readiness,
    tenancy::{
        DeploymentPlace, Scope, TenantId,
        directory::{Grant, Role},
    },
};
use time::Duration;

use super::super::{policy_page, put_away, verify_store};
use crate::support::{
    TestApp,
    browser::{Browser, approves, hidden_of, text},
    clock::START,
    flow::{Extent, Flow, HARBOR, RIDGE, deliveries_of, person, with_body},
};

pub(super) const OBJECTIVE: &str = "3.4.1[d]";

/// Harbor Precision is looked after, Ridge Composites is let go.
pub(super) async fn year(test: TestApp) -> Flow {
    let mut flow = Flow::begun(test, Extent::Both).await;
    owner_reads(&flow, RIDGE).await;
    verify_store::grants_are_told(&flow).await;
    tools_send(&mut flow).await;
    let approved = flow.answer(person(What::Approver), HARBOR, OBJECTIVE, Verdict::Approve).await;
    flow.settle().await;
    stands_in(&flow).await;
    policy_page::changed(&mut flow, "100").await;
    put_away::somebody_forges_a_message(&mut flow).await;
    flow.settle().await;
    let (_, grant) = flow.reader(person(What::Engineer), HARBOR).await.unwrap();
    let engineer = Scope::of_person(&grant, "page");
    readiness::propose_roll_back(flow.app(), &engineer, approved.proposal.id, "The list misses the lab's devices.").await.unwrap();
    further_data_keys(&mut flow).await;
    is_let_go(&mut flow, RIDGE).await;
    access_is_looked_over(&flow).await;
    // What is asked anew after so long, and what the tools say now.
    flow.vendor_sends(&deliveries_of(demo::CONNECTWISE, flow.app().now())[0]).await;
    flow.settle().await;
    flow
}

/// What is well, what carries a marking, what is of a company that nobody mapped, and what nobody signed.
async fn tools_send(flow: &mut Flow) {
    for delivery in demo::deliveries(START) {
        flow.vendor_sends(&delivery).await;
    }
    let sent = &deliveries_of(demo::CONNECTWISE, START)[0];
    for (ticket, from, to) in [("918398", "Phishing mail", "CUI//SP-CTI"), ("918399", r#"\"id\":250"#, r#"\"id\":9911"#)] {
        let body = sent.body.replace(from, to).replace("918311", ticket);
        flow.vendor_sends(&with_body(sent, body)).await;
    }
    let forged = Delivery { body: sent.body.replace("Phishing", "Lovely"), ..sent.clone() };
    assert_eq!(flow.post(&forged).await.unwrap().status, 401);
    flow.settle().await;
}

/// The approver asks the owner, who becomes an approver too, and agrees.
async fn stands_in(flow: &Flow) {
    let owner = Browser::of(flow, What::Owner).await;
    let people = format!("portal/clients/{HARBOR}/people");
    let (both, engineer) = ([approves(What::Approver), approves(What::Owner)], format!("engineer-{}", person(What::Engineer).id));
    let ticked = [(both[0].as_str(), "yes"), (both[1].as_str(), "yes"), (engineer.as_str(), "yes")];
    assert_eq!(owner.fill_in(&people, &people, &ticked).await.status, 303);
    let page = format!("portal/clients/{HARBOR}/policy");
    let approver = Browser::of(flow, What::Approver).await;
    let asked = hidden_of(&approver.get(&page).await, &format!("{page}#stand-in"));
    let who = person(What::Owner).id.to_string();
    assert_eq!(approver.send(asked, &page, &[("who", &who), ("for_days", "3")]).await.status, 303);
}

async fn further_data_keys(flow: &mut Flow) {
    {
        let owner = Browser::of(flow, What::Owner).await;
        let of_harbor = format!("portal/clients/{HARBOR}/keys");
        for page in ["portal/keys", &of_harbor] {
            let made = owner.press(page, &format!("{page}/rotate"), &[("reason", "A copy of a laptop's memory")]).await;
            assert_eq!(made.status, 303, "{}", text(&made));
        }
    }
    for _ in 0..8 {
        flow.clock_jumps(Duration::hours(6));
        flow.sweep().await;
    }
    flow.settle().await;
}

/// Who exports a client's record reads it.
async fn owner_reads(flow: &Flow, client: TenantId) {
    let store = flow.deployment().await;
    let mut batch = store.batch(DeploymentPlace::Directory);
    batch.create(&Grant::of(client, person(What::Owner).id, vec![Role::Engineer]));
    batch.commit().await.unwrap();
}

/// All the way to the certificate.
async fn is_let_go(flow: &mut Flow, client: TenantId) {
    step(flow, client, "begin", &[("reason", "Contract ended")]).await;
    let manifest = {
        let export = press(flow, client, "export", &[]).await;
        assert_eq!(export.status, 200, "{}", text(&export));
        let known = offboarding::read(&flow.deployment().await, client).await.unwrap().unwrap();
        known.held.unwrap().value.export.unwrap().manifest
    };
    step(flow, client, "keep", &[("place", "Archive, shelf 7"), ("sha256", &manifest)]).await;
    step(flow, client, "switch-off", &[]).await;
    flow.clock_jumps(Duration::days(31));
    step(flow, client, "destroy", &[]).await;
    std::fs::remove_file(flow.test.folder().join(format!("vault/{client}.json"))).unwrap();
    flow.clock_jumps(Duration::days(1));
    step(flow, client, "look", &[]).await;
    flow.clock_jumps(Duration::days(91));
    step(flow, client, "certify", &[]).await;
    flow.settle().await;
}

async fn press(flow: &Flow, client: TenantId, step: &str, typed: &[(&str, &str)]) -> assay::web::Reply {
    let page = format!("portal/clients/{client}/offboarding");
    Browser::of(flow, What::Owner).await.press(&page, &format!("{page}/{step}"), typed).await
}

async fn step(flow: &Flow, client: TenantId, step: &str, typed: &[(&str, &str)]) {
    let reply = press(flow, client, step, typed).await;
    assert_eq!(reply.status, 303, "{step}: {}", text(&reply));
}

async fn access_is_looked_over(flow: &Flow) {
    let owner = Browser::of(flow, What::Owner).await;
    let done = owner.press("portal/access", &format!("portal/access/{HARBOR}/confirm"), &[]).await;
    assert_eq!(done.status, 303, "{}", text(&done));
}
