//! An owner tries whether what Assay sends arrives, before anybody waits for it.

use assay::{audit::trail, connectors::demo::What, tenancy::DeploymentPlace};
use time::Duration;

use crate::support::{
    TestApp,
    browser::{Browser, text},
    flow::{Extent, Flow, person},
    http::response,
};

const HOOK: &str = "https://prod-12.westus.logic.azure.com/workflows/a/triggers/manual/paths/invoke?api-version=2016-06-01&sig=SECRET";
const PAGE: &str = "portal/delivery";
const TEST: &str = "portal/delivery/test";

/// With cards; Teams answers so.
async fn with_cards(status: u16) -> Flow {
    let flow = Flow::begun(TestApp::with(&[("ASSAY_TEAMS", "secret:teams")]), Extent::Small).await;
    let secrets = flow.test.folder().join("vault/secrets");
    std::fs::create_dir_all(&secrets).unwrap();
    std::fs::write(secrets.join("teams"), format!("{HOOK}\n")).unwrap();
    flow.test.http.answer_with(move |request| (request.url.as_str() == HOOK).then(|| Ok(response(status, &[], ""))));
    flow
}

async fn tested(browser: &Browser<'_>) -> String {
    let sent = browser.press(PAGE, TEST, &[]).await;
    text(&browser.follow(&sent).await)
}

fn cards(flow: &Flow) -> Vec<String> {
    let calls = flow.test.http.calls();
    calls.iter().filter(|call| call.url.as_str() == HOOK).map(|call| String::from_utf8(call.body.to_vec()).unwrap()).collect()
}

async fn said(flow: &Flow) -> Vec<String> {
    let store = flow.deployment().await;
    let trail = trail::page(&store, [DeploymentPlace::Operations], None).await.unwrap();
    let all = trail.waiting.into_iter().chain(trail.entries).filter(|shown| shown.kind == "delivery.tested");
    all.map(|shown| shown.detail.to_string()).collect()
}

#[tokio::test]
async fn an_owner_sends_a_test_gets_a_mail_and_a_card_and_setup_says_that_it_arrives() {
    let flow = with_cards(202).await;
    let owner = Browser::of(&flow, What::Owner).await;
    let before = text(&owner.get("portal/setup").await);
    assert!(before.contains("Send a test there"), "{before}");
    let page = tested(&owner).await;
    assert!(page.contains("The card was taken") && page.contains("The mail was taken"), "{page}");
    let (posted, mails) = (cards(&flow), flow.test.mails("people/"));
    assert!(posted.len() == 1 && posted[0].contains("This is a test: nothing waits for you"), "{posted:?}");
    let [(name, mail)] = mails.as_slice() else { panic!("{mails:?}") };
    let (owner_of, link) = (person(What::Owner), "/api/portal/delivery");
    assert!(name.ends_with(&format!("-{}.eml", owner_of.id)) && mail.contains(owner_of.email) && mail.contains(link), "{mail}");
    assert!(!mail.contains("/api/portal/link?") && !posted[0].contains("Harbor"), "it leads to no decision and names no client");
    assert_eq!(said(&flow).await, [r#"{"mail":"accepted","teams":"accepted"}"#]);
    let after = text(&owner.get("portal/setup").await);
    assert!(after.contains("The last one was taken") && !after.contains("Send a test there"), "{after}");
    let log = text(&owner.get("portal/audit").await);
    assert!(log.contains("tested how people are told: card accepted, mail accepted"), "{log}");

    // A test is no way to flood people.
    for _ in 0..2 {
        tested(&owner).await;
    }
    let page = tested(&owner).await;
    assert!(page.contains("tested a moment ago") && cards(&flow).len() == 3, "{page}");
    flow.test.clock.advance(Duration::minutes(2));
    assert!(tested(&owner).await.contains("The card was taken"));
}

#[tokio::test]
async fn what_a_service_refuses_is_said_with_what_to_mend_and_the_other_way_is_tried_all_the_same() {
    for (status, says) in [(401, "The card was refused: "), (503, "The card was not taken: ")] {
        let flow = with_cards(status).await;
        let owner = Browser::of(&flow, What::Owner).await;
        let page = tested(&owner).await;
        assert!(page.contains(says) && page.contains("The mail was taken") && !page.contains("SECRET"), "{page}");
        let expected = if status == 401 { "refused" } else { "no_answer" };
        assert_eq!(said(&flow).await, [format!(r#"{{"mail":"accepted","teams":"{expected}"}}"#)]);
        let setup = text(&owner.get("portal/setup").await);
        assert_eq!(setup.contains("The last one by teams was refused"), status == 401, "{setup}");
    }
}

#[tokio::test]
async fn only_who_runs_the_tools_tests_by_a_form_of_ours_and_where_nothing_is_on_nothing_is_offered() {
    let flow = with_cards(202).await;
    assert_eq!(Browser::of(&flow, What::Approver).await.post(TEST, &[]).await.status, 403);
    assert_eq!(Browser::of(&flow, What::Owner).await.post(TEST, &[]).await.status, 403, "not by a form of ours");
    assert_eq!(Browser::of(&flow, What::Owner).await.get(TEST).await.status, 303);
    assert!(cards(&flow).is_empty() && flow.test.mails("people/").is_empty());
    assert_eq!(said(&flow).await, Vec::<String>::new());
    let flow = Flow::begun(TestApp::with(&[("ASSAY_MAIL", "none")]), Extent::Small).await;
    let page = text(&Browser::of(&flow, What::Owner).await.get(PAGE).await);
    assert!(!page.contains("Send a test"), "{page}");
}

#[tokio::test]
async fn the_page_says_how_few_mails_a_domain_of_azures_own_takes() {
    let mail = [
        ("ASSAY_MAIL", "acs"),
        ("ASSAY_ACS_URL", "https://assay-mail.communication.azure.com"),
        ("ASSAY_MAIL_FROM", "DoNotReply@01234567.azurecomm.net"),
    ];
    let flow = Flow::begun(TestApp::with(&mail), Extent::Small).await;
    let page = text(&Browser::of(&flow, What::Owner).await.get(PAGE).await);
    assert!(page.contains("At most 30 cards, and 5 mails by a service, go out in a minute, and 100 and 10 in an hour"), "{page}");
}
