//! Who may do what, for how long, by which account: grants that end, roles that only read, one human with two accounts, and
//! the owner's review.

use assay::{
    audit::item::Item,
    connectors::{
        demo::{CONNECTWISE, DemoPerson, PEOPLE, What},
        review::{About, AccessReview},
    },
    gate::{Proposal, State, Verdict},
    tenancy::{ClientPlace, DeploymentPlace, DeploymentScope, PersonId, Roster, directory::Person},
    web::{Reply, entra::access},
};
use time::Duration;

use crate::support::{
    browser::{Browser, approves, text},
    clock::START,
    flow::{Extent, Flow, HARBOR, deliveries_of, person},
};

const OBJECTIVE: &str = "3.4.1[d]";

fn page() -> String {
    format!("portal/clients/{HARBOR}/people")
}

fn field(role: &str, who: &DemoPerson) -> String {
    format!("{role}-{}", who.id)
}

/// The demo's second approver.
fn dana() -> &'static DemoPerson {
    PEOPLE.iter().filter(|person| person.what == What::Approver).nth(1).unwrap()
}

/// Everybody as the demo has them, but for what is said of one.
async fn give(owner: &Browser<'_>, more: &[(&str, &str)]) -> Reply {
    let (engineer, approver) = (field("engineer", person(What::Engineer)), approves(What::Approver));
    let base = [(engineer.as_str(), "yes"), (approver.as_str(), "yes")];
    owner.fill_in(&page(), &page(), &[base.as_slice(), more].concat()).await
}

async fn roster(flow: &Flow) -> std::sync::Arc<Roster> {
    Roster::read(&DeploymentScope::of_function("story", "c").store(flow.app()).await.unwrap()).await.unwrap()
}

#[tokio::test]
async fn what_was_given_until_a_day_holds_through_that_day_and_not_a_second_longer() {
    let mut flow = Flow::new(Extent::Small).await;
    flow.vendor_sends(&deliveries_of(CONNECTWISE, START)[0]).await;
    let owner = Browser::of(&flow, What::Owner).await;
    let until = format!("until-{}", person(What::Approver).id);
    let tomorrow = (START + Duration::days(1)).date();
    assert_eq!(give(&owner, &[(&until, &tomorrow.to_string())]).await.status, 303);
    assert!(text(&owner.get(&page()).await).contains(&format!("value=\"{tomorrow}\"")));

    let end = tomorrow.next_day().unwrap().midnight().assume_utc();
    flow.test.clock.advance(end - flow.app().now() - Duration::seconds(1));
    let approver = Browser::of(&flow, What::Approver).await;
    assert_eq!(approver.get(&format!("portal/clients/{HARBOR}")).await.status, 200);
    flow.test.clock.advance(Duration::seconds(1));
    assert_eq!(approver.get(&format!("portal/clients/{HARBOR}")).await.status, 404, "from the next click");
    assert!(roster(&flow).await.grants_for(person(What::Approver).id, flow.app().now()).all(|grant| grant.tenant() != HARBOR));
}

#[tokio::test]
async fn what_an_approver_approved_before_their_time_was_over_does_not_run_after_it() {
    let mut flow = Flow::new(Extent::Small).await;
    flow.vendor_sends(&deliveries_of(CONNECTWISE, START)[0]).await;
    let owner = Browser::of(&flow, What::Owner).await;
    let until = format!("until-{}", person(What::Approver).id);
    let today = flow.app().now().date();
    assert_eq!(give(&owner, &[(&until, &today.to_string())]).await.status, 303);
    flow.answer(person(What::Approver), HARBOR, OBJECTIVE, Verdict::Approve).await;
    flow.test.clock.advance(today.next_day().unwrap().midnight().assume_utc() - flow.app().now());
    flow.settle().await;
    let proposals = flow.client(HARBOR).await.all::<Proposal>(ClientPlace::Assessment, "").await.unwrap();
    let about = proposals.into_iter().find(|held| held.value.draft.subject == OBJECTIVE).unwrap().value;
    let State::Refused { why, .. } = &about.state else { panic!("{:?}", about.state) };
    assert!(why.contains("no longer an approver"), "{why}");
}

#[tokio::test]
async fn an_auditor_reads_everything_and_changes_nothing_and_an_assessor_needs_a_last_day() {
    let flow = Flow::new(Extent::Small).await;
    let owner = Browser::of(&flow, What::Owner).await;
    let (auditor, assessor) = (field("auditor", dana()), field("assessor", dana()));
    let refused = give(&owner, &[(&assessor, "yes")]).await;
    assert_eq!(refused.status, 422);
    assert!(text(&refused).contains("An assessor\u{2019}s access ends") || text(&refused).contains("An assessor&#39;s access ends"));
    let past = give(&owner, &[(&auditor, "yes"), (&format!("until-{}", dana().id), "2020-01-01")]).await;
    assert_eq!(past.status, 422);
    let no_day = give(&owner, &[(&auditor, "yes"), (&format!("until-{}", dana().id), "soon")]).await;
    assert!(no_day.status == 422 && text(&no_day).contains("value=\"soon\""));

    assert_eq!(give(&owner, &[(&auditor, "yes")]).await.status, 303);
    let dana = Browser::of_person(&flow, dana().id).await;
    for address in [format!("portal/clients/{HARBOR}"), format!("portal/audit/{HARBOR}"), "portal/inbox".into()] {
        assert_eq!(dana.get(&address).await.status, 200, "{address}");
    }
    let propose = format!("portal/clients/{HARBOR}/requirements/CM.L2-3.4.1/propose");
    assert_eq!(dana.post(&propose, &[("token", "")]).await.status, 403);
    assert_eq!(dana.get("portal/access").await.status, 403);
}

#[tokio::test]
async fn accounts_of_one_human_are_one_by_address_or_by_the_owners_word_through_any_chain() {
    let flow = Flow::new(Extent::Small).await;
    let store = DeploymentScope::of_function("story", "c").store(flow.app()).await.unwrap();
    let id = |n: u128| PersonId(uuid::Uuid::from_u128(n));
    let person = |n, email: &str, same_as| Person {
        id: id(n),
        name: format!("Account {n}"),
        email: email.into(),
        is_owner: false,
        operates: false,
        identity: None,
        sign_in_name: None,
        same_as,
        access_ended_at: None,
        standing: assay::tenancy::directory::Standing::default(),
    };
    let mut batch = store.batch(DeploymentPlace::Directory);
    for one in [
        person(11, "sam@example.net", None),
        person(12, "SAM@example.net", None),
        person(13, "", Some(id(12))),
        person(14, "", None),
        person(15, "", Some(id(15))),
        person(16, "other@example.net", Some(id(17))),
        person(17, "", Some(id(16))),
    ] {
        batch.create(&one);
    }
    batch.commit().await.unwrap();
    let roster = roster(&flow).await;
    let humans = [11, 12, 13, 14, 15, 16, 17, 99].map(|n| roster.human(id(n)).0.as_u128());
    assert_eq!(humans, [11, 11, 11, 14, 15, 16, 16, 99], "no address is nobody's, and a circle ends");
}

#[tokio::test]
async fn the_owner_looks_over_everybodys_access_every_90_days_and_confirms_exactly_what_they_saw() {
    let flow = Flow::new(Extent::Small).await;
    let owner = Browser::of(&flow, What::Owner).await;
    let seen = text(&owner.get("portal/access").await);
    assert!(seen.contains("Harbor") && seen.contains("No review is recorded yet") && !seen.contains("Due."), "{seen}");
    // Owners and who runs the tools are among them, the reader too, and when they last signed in.
    for said in ["Who can sign in", "<td>Owner</td>", "Runs the MSP&#39;s tools", "yours: another owner ends it", "just now"] {
        assert!(seen.contains(said), "{said}: {seen}");
    }
    assert!(!text(&owner.get("portal/clients").await).contains("review of access is due"));

    flow.test.clock.advance(Duration::days(91));
    let owner = Browser::of(&flow, What::Owner).await;
    assert!(text(&owner.get("portal/clients").await).contains("due for 2 clients and who can sign in"));
    let action = format!("portal/access/{HARBOR}/confirm");
    let opened = crate::support::browser::hidden_of(&owner.get("portal/access").await, &action);
    // Somebody changes it meanwhile.
    assert_eq!(give(&owner, &[]).await.status, 303);
    let overtaken = owner.send(opened, &action, &[]).await;
    assert_eq!(overtaken.status, 409);
    assert!(text(&overtaken).contains("nothing was confirmed"));

    let done = owner.press("portal/access", &action, &[]).await;
    let page = text(&owner.follow(&done).await);
    assert!(page.contains("Recorded: Harbor") && page.contains("2 kept"), "{page}");
    assert!(text(&owner.get("portal/clients").await).contains("due for 1 client and who can sign in"), "the others are still due");
    assert_eq!(owner.press("portal/access", "portal/access/installation/confirm", &[]).await.status, 303);
    assert!(text(&owner.get("portal/clients").await).contains("due for 1 client."));

    let store = DeploymentScope::of_function("story", "c").store(flow.app()).await.unwrap();
    let reviews = store.all::<AccessReview>(DeploymentPlace::Directory, "").await.unwrap();
    let harbor = &reviews.iter().find(|held| held.value.about == About::Client(HARBOR)).unwrap().value;
    assert_eq!((harbor.by, harbor.at, harbor.ended.len()), (person(What::Owner).id, flow.app().now(), 0));
    let mut kept = harbor.kept.clone();
    kept.sort_by_key(|id| id.0);
    let mut all = vec![person(What::Engineer).id, person(What::Approver).id];
    all.sort_by_key(|id| id.0);
    assert_eq!(kept, all, "who was kept stands in it");
    let items = store.all::<Item>(DeploymentPlace::Directory, "").await.unwrap();
    let said: Vec<&str> = items.iter().map(|held| held.value.kind.as_str()).filter(|kind| kind.ends_with("access_reviewed")).collect();
    assert_eq!(said, ["client.access_reviewed", "people.access_reviewed"]);
}

#[tokio::test]
async fn an_answer_ends_a_role_or_gives_it_another_last_day_and_what_cannot_be_comes_back_as_it_was_typed() {
    let flow = Flow::new(Extent::Small).await;
    let owner = Browser::of(&flow, What::Owner).await;
    let dana_approves = field("approver", dana());
    assert_eq!(give(&owner, &[(&dana_approves, "yes")]).await.status, 303);
    let action = format!("portal/access/{HARBOR}/confirm");
    let (answer, until) = (|who: PersonId| format!("answer-{who}"), |who: PersonId| format!("until-{who}"));
    let (engineer, approver) = (person(What::Engineer).id, person(What::Approver).id);

    // Without an approver nobody could decide anything.
    let nobody = [(answer(approver), "end"), (answer(dana().id), "end")];
    let nobody: Vec<(&str, &str)> = nobody.iter().map(|(name, value)| (name.as_str(), *value)).collect();
    let refused = owner.press("portal/access", &action, &nobody).await;
    assert!(refused.status == 422 && text(&refused).contains("Nobody could decide anything"));
    assert!(text(&refused).contains("<option value=\"end\" selected>"), "with what was chosen");
    for (day, why) in [("2020-01-01", "lies in the past"), ("soon", "is no date")] {
        let refused = owner.press("portal/access", &action, &[(&answer(engineer), "until"), (&until(engineer), day)]).await;
        assert!(refused.status == 422 && text(&refused).contains(why), "{day}");
    }

    let day = (flow.app().now() + Duration::days(10)).date();
    let typed = [(answer(approver), "end".to_owned()), (answer(engineer), "until".into()), (until(engineer), day.to_string())];
    let typed: Vec<(&str, &str)> = typed.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let page = text(&owner.follow(&owner.press("portal/access", &action, &typed).await).await);
    assert!(page.contains("1 kept, 1 ended, 1 with another last day") && page.contains(&format!("value=\"{day}\"")), "{page}");
    let roster = roster(&flow).await;
    let grants: Vec<_> = roster.every_grant_of(HARBOR).collect();
    assert_eq!(grants.len(), 2);
    let ends = grants.iter().find(|grant| grant.person == engineer).unwrap().until.unwrap();
    assert_eq!(ends, day.next_day().unwrap().midnight().assume_utc());
    assert_eq!(Browser::of(&flow, What::Approver).await.get(&format!("portal/clients/{HARBOR}")).await.status, 404);

    // To prolong it asks for a fresh sign-in, to end it never does.
    flow.test.clock.advance(Duration::minutes(20));
    let later = [(answer(engineer), "until"), (until(engineer), "")];
    let later: Vec<(&str, &str)> = later.iter().map(|(name, value)| (name.as_str(), *value)).collect();
    let stale = owner.press("portal/access", &action, &later).await;
    assert!(stale.status == 403 || stale.status == 401, "{}", stale.status);
    assert!(text(&stale).contains("portal%2Faccess\""), "the way on leads to the page: {}", text(&stale));
    assert_eq!(Browser::of(&flow, What::Owner).await.press("portal/access", &action, &later).await.status, 303);
}

#[tokio::test]
async fn whose_sign_in_a_review_ends_is_out_at_once_and_a_last_day_ends_it_by_itself() {
    let flow = Flow::new(Extent::Small).await;
    let owner = Browser::of(&flow, What::Owner).await;
    let action = "portal/access/installation/confirm";
    let (engineer, approver, myself) = (person(What::Engineer).id, person(What::Approver).id, person(What::Owner).id);
    let own = owner.press("portal/access", action, &[(&format!("answer-{myself}"), "end")]).await;
    assert!(own.status == 422 && text(&own).contains("You do not end your own access"));

    let there = Browser::of(&flow, What::Engineer).await;
    assert_eq!(there.get("portal/connections").await.status, 200);
    let tomorrow = (flow.app().now() + Duration::days(1)).date();
    let typed = [
        (format!("answer-{engineer}"), "end".to_owned()),
        (format!("answer-{approver}"), "until".into()),
        (format!("until-{approver}"), tomorrow.to_string()),
    ];
    let typed: Vec<(&str, &str)> = typed.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    assert_eq!(owner.press("portal/access", action, &typed).await.status, 303);
    assert_eq!(there.get("portal/connections").await.status, 303, "their next click leads to sign-in");
    assert!(roster(&flow).await.every_grant().all(|grant| grant.person != engineer), "and no client is theirs");

    let end = tomorrow.next_day().unwrap().midnight().assume_utc();
    flow.test.clock.advance(end - flow.app().now() - Duration::minutes(1));
    let session = Browser::of(&flow, What::Approver).await.session();
    assert_eq!(Browser::with_cookie(&flow, &session).get("portal/inbox").await.status, 200);
    flow.test.clock.advance(Duration::minutes(1));
    assert_eq!(Browser::with_cookie(&flow, &session).get("portal/inbox").await.status, 303, "before any sweep");
    access::finish(flow.app(), "sweep").await.unwrap();
    let person = roster(&flow).await.person(approver).unwrap().clone();
    assert_eq!(person.access_ended_at, Some(flow.app().now()));
    let store = DeploymentScope::of_function("story", "c").store(flow.app()).await.unwrap();
    let items = store.all::<Item>(DeploymentPlace::Directory, "").await.unwrap();
    let why = items.iter().filter(|held| held.value.kind == "person.access_ended").map(|held| held.value.detail["why"].to_string());
    let why: Vec<String> = why.filter(|why| why != "null").collect();
    assert_eq!(why, ["\"a review of access\"", "\"their last day has passed\""]);
}
