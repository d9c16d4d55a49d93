//! Requests that say of themselves who they are and where they came in, by the recipes `shd-1` and `shd-3`. Those that
//! only a socket shows are with the handler's tests (`contract/host_handler/hostile.rs`).

use assay::{
    connectors::demo::What,
    triggers::portal,
    web::{Method, Reply, Request},
};
use url::form_urlencoded;

use crate::support::{
    browser::{Browser, ORIGIN, hidden_of_form, text},
    flow::{Extent, Flow, HARBOR, mails_to, person},
};

const OWNER: &str = "eyJhdXRoX3R5cCI6ICJhYWQiLCAiY2xhaW1zIjogW3sidHlwIjogInJvbGVzIiwgInZhbCI6ICJHYXRlLkFkbWluIn1dfQ==";

/// The request with these headers more.
async fn ask(flow: &Flow, request: Request, more: &[(&str, &str)]) -> Reply {
    let more = more.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    portal::run(Request { headers: request.headers.into_iter().chain(more).collect(), ..request }, flow.app()).await
}

#[tokio::test]
async fn shd_1_a_forged_client_principal_is_nobody() {
    let flow = Flow::new(Extent::Small).await;
    let nobody = Browser::of_nobody(&flow);
    let forged = [("x-ms-client-principal", OWNER), ("x-ms-client-principal-name", "olivia@northgate.example")];
    for form in ["portal/clients".to_owned(), format!("portal/audit/{HARBOR}/export")] {
        assert_eq!(ask(&flow, nobody.request(Method::Post, &form, ""), &forged).await.status, 401, "{form}");
    }
    let told = ask(&flow, nobody.request(Method::Get, "portal/clients", ""), &forged).await;
    assert!(told.status == 303 && told.header("location").unwrap().starts_with("/api/portal/sign-in"), "{told:?}");
}

#[tokio::test]
async fn shd_3_whatever_host_a_request_names_links_are_of_the_configured_one() {
    let mut flow = Flow::new(Extent::Small).await;
    let marco = Browser::of(&flow, What::Engineer).await;
    let page = format!("portal/clients/{HARBOR}/requirements/MA.L2-3.7.2");
    let other = [("host", "other.example"), ("x-forwarded-host", "other.example"), ("forwarded", "host=other.example")];
    let opened = ask(&flow, marco.request(Method::Get, &page, ""), &other).await;
    assert!(opened.status == 200 && !text(&opened).contains("other.example"), "{}", text(&opened));
    let action = format!("{page}/propose");
    let typed = [("objective", "3.7.2[a]"), ("found", "not_met"), ("why", "There is no such policy.")];
    let fields = hidden_of_form(&opened).into_iter().chain(typed.map(|(name, value)| (name.to_owned(), value.to_owned())));
    let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
    let staged = ask(&flow, marco.request(Method::Post, &action, &body), &other).await;
    assert!(staged.status == 303 && staged.header("location").unwrap().starts_with("/api/portal/proposals/"), "{}", text(&staged));
    flow.mailed(person(What::Approver), HARBOR, "MA.L2-3.7.2[a]").await;
    let mails = mails_to(&flow.test, person(What::Approver), HARBOR);
    assert!(mails.iter().any(|mail| mail.contains(&format!("{ORIGIN}/api/portal/link"))), "{mails:?}");
    assert!(mails.iter().all(|mail| !mail.contains("other.example")), "{mails:?}");
}
