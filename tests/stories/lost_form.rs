//! Forms of a sign-in that is over: nothing is done, nothing typed is lost, and the way on leads back to the page.

use assay::{
    connectors::demo::What,
    gate::proposal::{Proposal, State},
    tenancy::ClientPlace,
};
use time::Duration;

use crate::support::{
    browser::{Browser, cookie_of, hidden_of_form, text},
    flow::{Extent, Flow, HARBOR, person},
};

const TYPED: [(&str, &str); 2] = [("decision", "approve"), ("comment", "Compared with the RMM: <b>two</b> left.\nBoth are disabled.")];

#[tokio::test]
async fn a_decision_after_the_hour_is_handed_back_with_the_way_to_its_page() {
    let mut flow = Flow::new(Extent::Small).await;
    let id = flow.mailed(person(What::Approver), HARBOR, "3.4.1[d]").await;
    let page = format!("portal/proposals/{HARBOR}/{id}");
    let session = Browser::of(&flow, What::Approver).await.session();
    let late = Browser::with_cookie(&flow, &session);
    let opened = hidden_of_form(&late.get(&page).await);
    flow.test.clock.advance(Duration::minutes(61));

    let reply = late.send(opened.clone(), &format!("{page}/decide"), &TYPED).await;
    let html = text(&reply);
    assert_eq!(reply.status, 401);
    for said in [
        "<h1>You are not signed in</h1>",
        "nothing was done",
        "Compared with the RMM: &#60;b&#62;two&#60;/b&#62; left.\nBoth are disabled.</textarea>",
        &format!("/api/portal/sign-in?next=%2Fapi%2Fportal%2Fproposals%2F{HARBOR}%2F{id}\""),
    ] {
        assert!(html.contains(said), "{said}: {html}");
    }
    assert!(!html.contains("sender") && !html.contains("approve<"), "{html}");

    // Signed in again, the page that was open takes nothing either, and loses nothing.
    let again = Browser::of(&flow, What::Approver).await;
    let reply = again.send(opened, &format!("{page}/decide"), &TYPED).await;
    let html = text(&reply);
    assert!(reply.status == 403 && html.contains("Both are disabled.") && html.contains(&format!("href=\"/api/{page}\"")), "{html}");
    let held = flow.client(HARBOR).await.read::<Proposal>(ClientPlace::Assessment, &id.to_string()).await.unwrap().unwrap();
    assert!(matches!(held.value.state, State::Open));
}

#[tokio::test]
async fn each_form_leads_back_to_the_page_it_stood_on_and_shows_no_credential() {
    let flow = Flow::new(Extent::Small).await;
    let nobody = Browser::of_nobody(&flow);
    let requirement = format!("portal/clients/{HARBOR}/requirements/AC.L2-3.1.1");
    let cases = [
        (format!("{requirement}/propose"), requirement.clone()),
        (format!("{requirement}/roll-back"), requirement),
        ("portal/clients".into(), "portal/clients/new".into()),
        (format!("portal/clients/{HARBOR}/people"), format!("portal/clients/{HARBOR}/people")),
        ("portal/people/x/let-in".into(), "portal/people".into()),
        ("portal/people/x".into(), "portal/people/x".into()),
        (format!("portal/audit/{HARBOR}/export"), format!("portal/audit/{HARBOR}")),
        ("portal/connections/x/pull".into(), "portal/connections".into()),
        ("portal/dead-letters/replay".into(), "portal/dead-letters".into()),
        ("portal/set-aside/x/see-to".into(), "portal/set-aside".into()),
        ("portal/mapping".into(), "portal/mapping".into()),
        ("portal/a%2f..//evil.example".into(), "portal/clients".into()),
    ];
    for (action, page) in cases {
        let html = text(&nobody.post(&action, &[("why", "Because")]).await);
        let next = format!("sign-in?next=%2Fapi%2F{}\"", page.replace('/', "%2F"));
        assert!(html.contains(&next), "{action}: {html}");
        assert_eq!(html.contains("Because</textarea>"), !action.contains("/connections"), "{action}: {html}");
    }
    let html = text(&nobody.post("portal/connections", &[("vendor", "autotask"), ("key", "hunter2"), ("name", "hunter2")]).await);
    assert!(html.contains("connections%2Fnew%3Fvendor%3Dautotask\"") && !html.contains("hunter2"), "{html}");
    let mut elsewhere = Browser::of_nobody(&flow);
    elsewhere.origin = "https://evil.example";
    let html = text(&elsewhere.post("portal/clients", &[("why", "Call 555-0100")]).await);
    assert!(html.contains("You are not signed in") && !html.contains("555-0100"), "another site writes nothing on our pages: {html}");
}

#[tokio::test]
async fn signing_out_after_the_hour_signs_out() {
    let flow = Flow::new(Extent::Small).await;
    let session = Browser::of(&flow, What::Engineer).await.session();
    let late = Browser::with_cookie(&flow, &session);
    let opened = text(&late.get("portal/clients").await);
    assert!(opened.contains("action=\"/api/portal/sign-out\""));
    flow.test.clock.advance(Duration::minutes(61));

    let mut elsewhere = Browser::of_nobody(&flow);
    elsewhere.origin = "https://evil.example";
    let reply = elsewhere.post("portal/sign-out", &[]).await;
    assert!(reply.status == 401 && cookie_of(&reply).is_none(), "another site signs nobody out");
    let reply = late.post("portal/sign-out", &[("token", "of the hour before")]).await;
    assert_eq!((reply.status, reply.header("location")), (303, Some("/api/portal/sign-in")));
    assert_eq!(cookie_of(&reply).as_deref(), Some("assay="), "the cookie is cleared");
    flow.test.clock.advance(Duration::minutes(-61));
    assert_eq!(late.get("portal/clients").await.status, 303, "and a kept copy is worth nothing");
}
