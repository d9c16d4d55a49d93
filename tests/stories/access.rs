//! Who may do what, for how long, by which account: grants that end, roles that only read, one human with two accounts, and
//! the owner's review.

use assay::{
    audit::item::Item,
    connectors::demo::{CONNECTWISE, DemoPerson, PEOPLE, What},
    gate::{Proposal, State, Verdict},
    tenancy::{ClientPlace, DeploymentPlace, DeploymentScope, PersonId, Roster, directory::Person},
    web::Reply,
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
    assert!(roster(&flow).await.grants_for(person(What::Approver).id, flow.app().now()).all(|grant| grant.tenant != HARBOR));
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
async fn the_owner_looks_over_access_every_90_days_and_confirms_exactly_what_they_saw() {
    let flow = Flow::new(Extent::Small).await;
    let owner = Browser::of(&flow, What::Owner).await;
    let seen = text(&owner.get("portal/access").await);
    assert!(seen.contains("Harbor") && seen.contains("Last confirmed") && !seen.contains("Due."), "{seen}");

    flow.test.clock.advance(Duration::days(91));
    let owner = Browser::of(&flow, What::Owner).await;
    assert!(text(&owner.get("portal/clients").await).contains("due for 2 clients"));
    let action = format!("portal/access/{HARBOR}/confirm");
    let opened = crate::support::browser::hidden_of(&owner.get("portal/access").await, &action);
    // Somebody changes it meanwhile.
    assert_eq!(give(&owner, &[]).await.status, 303);
    let overtaken = owner.send(opened, &action, &[]).await;
    assert_eq!(overtaken.status, 409);
    assert!(text(&overtaken).contains("nothing was confirmed"));

    let done = owner.press("portal/access", &action, &[]).await;
    let page = text(&owner.follow(&done).await);
    assert!(page.contains("Confirmed for Harbor"), "{page}");
    assert!(text(&owner.get("portal/clients").await).contains("due for 1 client<"), "the other one is still due");
    let store = DeploymentScope::of_function("story", "c").store(flow.app()).await.unwrap();
    let items = store.all::<Item>(DeploymentPlace::Directory, "").await.unwrap();
    assert!(items.iter().any(|held| held.value.kind == "client.access_reviewed"));
}
