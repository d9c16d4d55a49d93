//! From a look at a decision page to the figures: what the form knows of the look, what the log keeps, what the page says.

use assay::{
    analytics::sharing::Sharing,
    audit::trail,
    connectors::demo::What,
    gate::policy::SignedPolicy,
    tenancy::{
        ClientPlace, DeploymentPlace, ProposalId,
        directory::{Grant, Role},
    },
};
use serde_json::Value;
use time::Duration;

use crate::support::{
    browser::{Browser, hidden_of, hidden_of_form, text},
    flow::{Extent, Flow, HARBOR, RIDGE, person},
};

const OBJECTIVE: &str = "3.4.1[d]";

/// The page of what waits for the approver.
async fn asked(flow: &mut Flow) -> (ProposalId, String) {
    let id = flow.mailed(person(What::Approver), HARBOR, OBJECTIVE).await;
    (id, format!("portal/proposals/{HARBOR}/{id}"))
}

async fn detail_of(flow: &Flow, kind: &str) -> Value {
    let trail = trail::page(&flow.client(HARBOR).await, ClientPlace::with_outbox(), None).await.unwrap();
    let entry = trail.waiting.into_iter().chain(trail.entries).find(|shown| shown.kind == kind);
    entry.unwrap_or_else(|| panic!("no {kind} in the log")).detail
}

/// The words of a page, without its marks.
fn words(html: &str) -> String {
    let mut inside = false;
    let text = html.chars().map(|c| {
        let outside = !inside && c != '<';
        inside = (inside || c == '<') && c != '>';
        if outside { c } else { ' ' }
    });
    text.collect::<String>().split_whitespace().collect::<Vec<_>>().join(" ")
}

#[tokio::test]
async fn a_decision_says_how_long_its_page_was_open_although_looking_wrote_nothing() {
    let mut flow = Flow::new(Extent::Small).await;
    let (_, page) = asked(&mut flow).await;
    let browser = Browser::of(&flow, What::Approver).await;
    let from = flow.test.faults.count();
    let form = hidden_of_form(&browser.get(&page).await);
    assert!(!flow.test.faults.calls()[from..].contains(&"documents.batch"), "a look writes nothing");
    flow.test.clock.advance(Duration::seconds(95));
    let typed = [("decision", "approve"), ("comment", "I compared it with the RMM.")];
    assert_eq!(browser.send(form, &format!("{page}/decide"), &typed).await.status, 303);
    let session = browser.session();
    let detail = detail_of(&flow, "proposal.approved").await;
    assert_eq!((&detail["viewed_ms"], &detail["because"]), (&Value::from(95_000), &Value::Null));
    assert!(detail["shown_at"].is_string());

    flow.pump().await;
    flow.sweep().await;
    flow.sweep().await;
    let browser = Browser::with_cookie(&flow, &session);
    let from = flow.test.faults.count();
    let reply = browser.get(&format!("portal/analytics/{HARBOR}")).await;
    let html = text(&reply);
    assert_eq!(reply.status, 200, "{html}");
    assert!(!flow.test.faults.calls()[from..].contains(&"documents.batch"), "nor does looking at figures");
    let said = words(&html);
    for expected in [
        "Time to decision 1 min half of 1 decision; nine in ten within 1 min",
        "Override frequency 0 of 1 95 % sure: 0.0 to 97.5 %",
        "Error rate 0 of 1",
        "Rubber-stamp index 0 of 1",
        "Agreement of reviewers Unknown nothing was decided by two people yet",
        "CM.L2-3.4.1[d] L2 0 of 1 0.0 to 97.5 % the policy goes no further for this kind of action",
        "and that is right",
    ] {
        assert!(said.contains(expected), "{expected}: {said}");
    }
    let all = words(&text(&browser.get("portal/analytics").await));
    assert!(all.contains("By client") && all.contains("1 min / 1 min"), "{all}");
    let other = words(&text(&browser.get(&format!("portal/analytics/{RIDGE}")).await));
    assert!(other.contains("Override frequency Unknown") && !other.contains("0 of 0"), "without data nothing is zero percent: {other}");
    assert_eq!(browser.get("portal/analytics/00000000000000000000000000000001").await.status, 404);
}

#[tokio::test]
async fn who_rejects_says_why_and_a_form_that_came_back_was_looked_at_all_the_time() {
    let mut flow = Flow::new(Extent::Small).await;
    let (_, page) = asked(&mut flow).await;
    let decide = format!("{page}/decide");
    let browser = Browser::of(&flow, What::Approver).await;
    let form = browser.open(&page).await;
    flow.test.clock.advance(Duration::seconds(20));
    let back = browser.send(form, &decide, &[("decision", "reject"), ("comment", "Two are missing.")]).await;
    let html = text(&back);
    assert_eq!(back.status, 422);
    assert!(html.contains("href=\"#because\"") && html.contains("Two are missing.") && html.contains("aria-invalid"), "{html}");
    flow.test.clock.advance(Duration::seconds(30));
    let typed = [("decision", "reject"), ("because", "context_missing"), ("comment", "Two are missing.")];
    assert_eq!(browser.send(hidden_of_form(&back), &decide, &typed).await.status, 303);
    let detail = detail_of(&flow, "proposal.rejected").await;
    assert_eq!((&detail["viewed_ms"], &detail["because"]), (&Value::from(50_000), &Value::from("context_missing")));
}

#[tokio::test]
async fn nobody_can_say_that_they_looked_longer_than_they_did() {
    let mut flow = Flow::new(Extent::Small).await;
    let (_, page) = asked(&mut flow).await;
    let browser = Browser::of(&flow, What::Approver).await;
    let mut form = browser.open(&page).await;
    let (_, token) = form.iter_mut().find(|(name, _)| name == "token").unwrap();
    let (millis, mac) = token.split_once('.').unwrap();
    *token = format!("{}.{mac}", millis.parse::<i64>().unwrap() - 60_000);
    let refused = browser.send(form, &format!("{page}/decide"), &[("decision", "approve")]).await;
    assert_eq!(refused.status, 403, "{}", text(&refused));
}

#[tokio::test]
async fn the_owner_lets_a_client_take_part_and_its_counts_are_lent_once_a_quarter_until_it_stops() {
    let mut flow = Flow::new(Extent::Small).await;
    asked(&mut flow).await;
    let (page, action) = (format!("portal/analytics/{HARBOR}"), format!("portal/analytics/{HARBOR}/take-part"));
    let approver = Browser::of(&flow, What::Approver).await;
    let html = text(&approver.get(&page).await);
    assert!(html.contains("This client takes no part") && html.contains("The owner decides"), "{html}");
    assert_eq!(approver.post(&action, &[("takes-part", "yes"), ("token", "x")]).await.status, 403);
    let owner = Browser::of(&flow, What::Owner).await;
    assert!(text(&owner.get("portal/analytics").await).contains("No client yet"), "an owner sees what they have a grant for");
    assert_eq!(owner.get(&page).await.status, 404);
    let store = flow.deployment().await;
    let mut batch = store.batch(DeploymentPlace::Directory);
    let (tenant, person) = (HARBOR, person(What::Owner).id);
    batch.create(&Grant::of(tenant, person, vec![Role::Auditor]));
    batch.commit().await.unwrap();
    for _ in 0..2 {
        assert_eq!(owner.press(&page, &action, &[]).await.status, 303);
    }
    assert_eq!(owner.press(&page, &action, &[]).await.status, 303, "out and in again");
    assert!(text(&owner.get(&page).await).contains("This client takes part"));
    drop(store);
    flow.sweep().await;
    let shared = sharing(&flow).await;
    assert_eq!((shared.opted_in, shared.opted_out), (Some(flow.app().now().date()), Some(flow.app().now().date())));
    let counted = shared.counted.unwrap();
    let counts: Vec<_> = shared.counts.values().copied().collect();
    assert_eq!(counts, [] as [(u64, u64); 0], "what was asked since the quarter began is not of it");
    flow.sweep().await;
    assert_eq!(sharing(&flow).await, shared, "once a quarter");
    // Into the next quarter.
    flow.test.clock.advance(Duration::days(60));
    flow.sweep().await;
    let next = sharing(&flow).await;
    assert!(next.counted.unwrap() > counted);
    assert!(!next.counts.is_empty() && next.counts.values().all(|count| *count == (0, 0)), "asked, and nobody decided: {:?}", next.counts);
    let owner = Browser::of(&flow, What::Owner).await;
    assert_eq!(owner.press(&page, &action, &[]).await.status, 303);
    let stopped = sharing(&flow).await;
    assert!(stopped.opted_in.is_none() && stopped.counts.is_empty(), "{stopped:?}");
}

async fn sharing(flow: &Flow) -> Sharing {
    let all = flow.deployment().await.all::<Sharing>(DeploymentPlace::Operations, "").await.unwrap();
    let [held] = &all[..] else { panic!("{all:?}") };
    held.value.clone()
}

#[tokio::test]
async fn a_reviewer_is_left_out_by_a_change_of_the_policy_that_another_person_approves_and_the_page_says_so() {
    let mut flow = Flow::new(Extent::Small).await;
    let (_, page) = asked(&mut flow).await;
    let browser = Browser::of(&flow, What::Approver).await;
    let form = hidden_of_form(&browser.get(&page).await);
    flow.test.clock.advance(Duration::seconds(95));
    assert_eq!(browser.send(form, &format!("{page}/decide"), &[("decision", "approve")]).await.status, 303);
    flow.pump().await;
    flow.sweep().await;
    flow.sweep().await;
    let (analytics, action) = (format!("portal/analytics/{HARBOR}"), format!("portal/analytics/{HARBOR}/leave-out"));
    let engineer = Browser::of(&flow, What::Engineer).await;
    let opened = engineer.get(&analytics).await;
    let html = text(&opened);
    assert!(html.contains("Leave a reviewer out") && words(&html).contains("L2 0 of 1 0.0 to 97.5 %"), "{html}");
    let approver = person(What::Approver);
    let id = approver.id.to_string();
    let form = || hidden_of(&opened, &format!("{action}#leave-out"));
    let bare = engineer.send(form(), &action, &[("reviewer", &id), ("count", "out")]).await;
    assert_eq!(bare.status, 422, "without a reason");
    let typed = [("reviewer", id.as_str()), ("count", "out"), ("why", "Everything was approved within a minute.")];
    let asked = engineer.send(form(), &action, &typed).await;
    assert_eq!(asked.status, 303, "{}", text(&asked));
    assert_eq!(flow.client(HARBOR).await.all::<SignedPolicy>(ClientPlace::Assessment, "").await.unwrap().len(), 0);
    let proposal = asked.header("location").unwrap().strip_prefix("/api/").unwrap();
    // Another policy takes an approver who signed in a moment ago.
    let priya = Browser::of(&flow, What::Approver).await;
    let opened = priya.get(proposal).await;
    let typed = [("decision", "approve"), ("comment", "I looked at what he approved.")];
    let taken = priya.send(hidden_of_form(&opened), &format!("{proposal}/decide"), &typed).await;
    assert_eq!(taken.status, 303, "{}", text(&taken));
    flow.pump().await;
    flow.sweep().await;
    flow.sweep().await;
    // A page may remember the policy for half a minute.
    flow.test.clock.advance(Duration::minutes(1));
    let browser = Browser::of(&flow, What::Approver).await;
    let said = words(&text(&browser.get(&analytics).await));
    assert!(said.contains(&format!("Left out What {} decided teaches Assay nothing", approver.name)), "{said}");
    assert!(said.contains("Override frequency Unknown"), "{said}");
    assert!(said.contains("left out now"), "{said}");
    assert!(detail_of(&flow, "policy.changed").await["changes"][0].as_str().unwrap().starts_with("Whose decisions teach Assay nothing"));
}
