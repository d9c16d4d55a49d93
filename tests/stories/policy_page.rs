//! The policy's page: what stands, what a change would have meant, and asking for it. A request never says its own level.

use assay::{
    connectors::demo::What,
    gate::{Policy, Verdict},
};

use crate::support::{
    browser::{Browser, hidden_of, text},
    flow::{Extent, Flow, HARBOR, person},
};

const TWO: [(&str, &str); 5] =
    [("kind", "mark_objective"), ("needed", "2"), ("decide_within", "168"), ("run_within", "48"), ("why", "Four eyes see more.")];

#[tokio::test]
async fn an_engineer_tries_a_change_on_what_was_and_asks_for_it_and_it_holds_once_an_approver_said_so() {
    let mut flow = Flow::new(Extent::Small).await;
    flow.answer(person(What::Approver), HARBOR, "3.4.1[d]", Verdict::Approve).await;
    flow.pump().await;
    let page = format!("portal/clients/{HARBOR}/policy");
    let engineer = Browser::of(&flow, What::Engineer).await;
    let shown = text(&engineer.get(&page).await);
    for said in ["nobody has changed them", "Mark an objective", "needs 1 approval", "Affirm", "is done by a person and recorded"] {
        assert!(shown.contains(said), "{said}: {shown}");
    }
    let link = text(&engineer.get(&format!("portal/clients/{HARBOR}")).await);
    assert!(link.contains(&format!("href=\"/api/{page}\"")), "the client's page leads here");

    let tried = engineer.fill_in(&page, &page, &[&TWO[..], &[("step", "try")]].concat()).await;
    let html = text(&tried);
    assert!(tried.status == 200 && html.contains("1 approved; 1 of those would have waited for another approval"), "{html}");
    let store = flow.client(HARBOR).await;
    assert_eq!(Policy::read(&store).await.unwrap().version, 0);

    let asked = engineer.fill_in(&page, &page, &[&TWO[..], &[("step", "ask")]].concat()).await;
    let proposal = engineer.follow(&asked).await;
    assert!(text(&proposal).contains("Change the approval policy for") && text(&proposal).contains("You asked for this"));
    assert!(text(&engineer.get(&page).await).contains("A change is asked for already"));
    let address = asked.header("location").unwrap().strip_prefix("/api/").unwrap().to_owned();
    let approver = Browser::of(&flow, What::Approver).await;
    let decide = format!("{address}/decide");
    let form = hidden_of(&approver.get(&address).await, &format!("{decide}#decide"));
    assert_eq!(approver.send(form, &decide, &[("decision", "approve")]).await.status, 303);
    flow.pump().await;
    let policy = Policy::read(&flow.client(HARBOR).await).await.unwrap();
    assert_eq!((policy.version, policy.terms("mark_objective").rule.approvals), (1, 2));
}

#[tokio::test]
async fn what_cannot_stand_comes_back_with_what_is_wrong() {
    let flow = Flow::new(Extent::Small).await;
    let page = format!("portal/clients/{HARBOR}/policy");
    let engineer = Browser::of(&flow, What::Engineer).await;
    for (typed, said) in [
        (vec![("kind", "affirm"), ("needed", "1"), ("step", "ask")], "Choose which kind"),
        (vec![("kind", "mark_objective"), ("needed", "9"), ("decide_within", "1"), ("run_within", "1"), ("step", "ask")], "one to five"),
        (vec![("kind", "mark_objective"), ("needed", "2"), ("decide_within", "x"), ("run_within", "1"), ("step", "ask")], "Say in hours"),
    ] {
        let reply = engineer.fill_in(&page, &page, &typed).await;
        assert!(reply.status == 422 && text(&reply).contains(said), "{said}: {}", text(&reply));
    }
}

#[tokio::test]
async fn a_level_in_a_request_is_refused_and_nothing_is_done() {
    let mut flow = Flow::new(Extent::Small).await;
    let id = flow.mailed(person(What::Approver), HARBOR, "3.4.1[d]").await;
    let page = format!("portal/proposals/{HARBOR}/{id}");
    let approver = Browser::of(&flow, What::Approver).await;
    let decide = format!("{page}/decide");
    for field in ["level", "gate_level", "gate", "quorum", "approvals"] {
        let reply = approver.fill_in(&page, &decide, &[("decision", "approve"), (field, "L0")]).await;
        assert_eq!(reply.status, 400, "{field}");
    }
    let form = hidden_of(&approver.get(&page).await, &format!("{decide}#decide"));
    assert_eq!(approver.send(form.clone(), &format!("{decide}?level=L0"), &[("decision", "approve")]).await.status, 400);
    assert_eq!(approver.send(form, &decide, &[("decision", "approve")]).await.status, 303);
}
