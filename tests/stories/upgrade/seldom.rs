//! What happens to an MSP seldom, once each, after the year: so the year stays as 0.1.0 lived it, whose store can be compared.

use assay::{
    audit::{self, dead_letter},
    connectors::demo::{self, What},
    metering::UsageEvent,
    tenancy::{ClientPlace, DeploymentPlace, DeploymentScope},
};
use serde_json::json;

use super::super::{
    after_the_fact::{answer, named, policy_asked},
    entra_people::is,
    policy_page, put_away,
};
use crate::support::{
    authority::{self, Authority, PRIYA},
    browser::{Browser, text},
    cosmos,
    flow::{Flow, HARBOR, deliveries_of, with_body},
    marketplace::METERED,
    visitor::Visitor,
};

pub(super) const DEMO: (&str, &str) = ("ASSAY_SIGN_IN", "demo");

pub(super) async fn happens(flow: &mut Flow) {
    is_a_demo(flow).await;
    takes_part(flow).await;
    one_approves_alone(flow).await;
    flow.settle().await;
    webhook_is_switched_off(flow).await;
    record_is_damaged_and_put_back(flow).await;
    form_is_forged(flow).await;
    Box::pin(is_on_azure_with_entra(flow)).await;
    flow.settle().await;
    is_metered(flow).await;
}

/// As its program says of each of its stores.
async fn is_a_demo(flow: &Flow) {
    audit::demo::mark(&flow.deployment().await, DeploymentPlace::Directory).await.unwrap();
    audit::demo::mark(&flow.client(HARBOR).await, ClientPlace::Assessment).await.unwrap();
}

async fn takes_part(flow: &Flow) {
    let page = format!("portal/analytics/{HARBOR}");
    let begun = Browser::of(flow, What::Owner).await.press(&page, &format!("{page}/take-part"), &[]).await;
    assert_eq!(begun.status, 303, "{}", text(&begun));
}

/// Whom the policy names since a moment ago; nobody reviews it.
async fn one_approves_alone(flow: &mut Flow) {
    let change = policy_asked(flow, "alone", &[(named().as_str(), "yes"), ("why-alone", "Somebody must be able to.")]).await;
    decided(flow, &change, &[("decision", "approve")]).await;
    let change = another_policy(flow, "100").await;
    decided(flow, &change, &[("decision", "alone"), ("comment", "The assessor leaves in an hour.")]).await;
}

/// The page on which it is asked whether another change may wait so many hours.
pub(super) async fn another_policy(flow: &Flow, hours: &str) -> String {
    policy_page::asked(flow, "change_policy", &[("decide_within", hours), ("sign_in_minutes", "10")]).await
}

async fn decided(flow: &mut Flow, page: &str, typed: &[(&str, &str)]) {
    let taken = answer(&Browser::of(flow, What::Approver).await, page, "decide", typed).await;
    assert_eq!(taken.status, 303, "{}", text(&taken));
    flow.pump().await;
}

async fn webhook_is_switched_off(flow: &mut Flow) {
    let sent = &deliveries_of(demo::AUTOTASK, flow.app().now())[0];
    let off = with_body(sent, sent.body.replace(r#""Action":"Create""#, r#""Action":"Deactivated""#));
    flow.vendor_sends(&off).await;
    flow.pump().await;
}

async fn record_is_damaged_and_put_back(flow: &mut Flow) {
    let letters = dead_letter::all(flow.app(), &DeploymentScope::of_function("story", "story")).await.unwrap();
    let (place, id) = (DeploymentPlace::Operations, format!("dead-letter:{}", letters[0].id));
    let whole = put_away::damage(flow.app(), place, &id).await;
    flow.sweep().await;
    put_away::lies_there(flow.app(), place, &id, &whole).await;
}

async fn form_is_forged(flow: &Flow) {
    let action = format!("portal/connections/{}/pull", demo::CONNECTWISE);
    let refused = Browser::of(flow, What::Engineer).await.post(&action, &[]).await;
    assert_eq!(refused.status, 403);
}

/// By its settings only: an owner records that the copies are locked, and a stranger asks to be let in.
async fn is_on_azure_with_entra(flow: &mut Flow) {
    let azure = cosmos::settings(&[]);
    let azure: Vec<(&str, &str)> = azure.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    flow.test.restart_with(&[azure.as_slice(), authority::SETTINGS].concat());
    let authority = Authority::of(&flow.test);
    {
        let olivia = Visitor::signed_in(&flow.test, &authority).await;
        let recorded = olivia.press("portal/setup", "portal/setup/lock", &[("azure-says", &locked())]).await;
        assert_eq!(recorded.status, 303, "{}", text(&recorded));
        is(&authority, PRIYA, "Priya Nair");
        assert_eq!(Visitor::of(&flow.test).sign_in(&authority).await.status, 403);
    }
    flow.test.restart_with(&[DEMO]);
    flow.vendor_has_devices(usize::MAX);
}

/// What Azure answers.
fn locked() -> String {
    let account = "/subscriptions/s/resourceGroups/rg/providers/Microsoft.Storage/storageAccounts/assaytest";
    let id = format!("{account}/blobServices/default/containers/anchors/immutabilityPolicies/default");
    json!({ "id": id, "state": "Locked", "immutabilityPeriodSinceCreationInDays": 2557 }).to_string()
}

/// For a sweep: its clients are counted, and before they are reported the plan is given up, which is said once.
async fn is_metered(flow: &mut Flow) {
    flow.test.restart_with(&[&[DEMO], METERED].concat());
    flow.sweep().await;
    flow.test.restart_with(&[DEMO]);
    flow.sweep().await;
    let waits = flow.deployment().await.all::<UsageEvent>(DeploymentPlace::Operations, "").await.unwrap();
    assert_eq!(waits.len(), 1);
}
