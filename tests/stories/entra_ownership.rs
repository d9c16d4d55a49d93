//! Ownership that comes of the app role of the MSP's own directory, and goes with it.

use assay::{
    audit::item::Item,
    tenancy::{
        DeploymentPlace,
        directory::{Ownership, Person, Session},
    },
    web::{entra::access, session},
};
use serde_json::json;
use time::Duration;

use super::entra_people::{SAM, all, id_of, is, said};
use crate::support::{
    TestApp,
    authority::{Authority, HOME, LOGIN, OLIVIA, PARTNER, PRIYA, SETTINGS},
    browser::text,
    visitor::Visitor,
};

async fn person(test: &TestApp, oid: &str) -> Person {
    let people: Vec<Person> = all(test, DeploymentPlace::Directory).await;
    people.into_iter().find(|person| person.id.to_string() == id_of(oid)).unwrap()
}

/// An installation whose settings name nobody: owners come by the app role alone.
fn by_role_alone() -> TestApp {
    TestApp::with(&[SETTINGS, &[("ASSAY_ENTRA_OWNER", "")]].concat())
}

async fn owns(visitor: &Visitor<'_>) -> bool {
    visitor.get("portal/people").await.status == 200
}

#[tokio::test]
async fn who_loses_the_app_role_is_no_owner_any_more_from_their_next_sign_in_on_in_every_browser_they_have() {
    let test = by_role_alone();
    let authority = Authority::of(&test);
    authority.claim("roles", json!(["Owner"]));
    let olivia = Visitor::signed_in(&test, &authority).await;
    is(&authority, PRIYA, "Priya Nair");
    let desk = Visitor::signed_in(&test, &authority).await;
    assert!(owns(&olivia).await && owns(&desk).await);
    assert_eq!(person(&test, PRIYA).await.standing.ownership, Some(Ownership::AppRole));
    assert!(text(&olivia.get("portal/access").await).contains("Owner, by the app role"));

    // With the role still there, another sign-in changes nothing and writes nothing of it.
    assert!(owns(&Visitor::signed_in(&test, &authority).await).await);
    assert_eq!(said(&test, "person.").await, ["person.added", "person.added"]);

    authority.claim("roles", json!(["Reader"]));
    let phone = Visitor::signed_in(&test, &authority).await;
    assert!(!owns(&phone).await && !owns(&desk).await, "the earlier session too, with its next request");
    assert!(phone.is_signed_in().await, "what is left is a person without a role");
    assert_eq!(phone.get("portal/connections").await.status, 403);
    let priya = person(&test, PRIYA).await;
    assert!(!priya.is_owner && !priya.runs_the_tools() && priya.has_access());
    let items = all::<Item>(&test, DeploymentPlace::Directory).await;
    let ended = items.iter().find(|item| item.kind == "person.ownership_ended").unwrap();
    assert_eq!((&ended.detail["oid"], &ended.detail["owner"]), (&json!(PRIYA), &json!(false)));
    assert!(text(&olivia.get("portal/audit").await).contains("is no owner any more: Priya Nair"));

    // And back with the role.
    authority.claim("roles", json!("Owner"));
    assert!(owns(&Visitor::signed_in(&test, &authority).await).await && owns(&desk).await);
}

#[tokio::test]
async fn an_owner_who_does_not_sign_in_again_can_do_nothing_after_eight_hours() {
    let test = by_role_alone();
    let authority = Authority::of(&test);
    authority.claim("roles", json!(["Owner"]));
    let olivia = Visitor::signed_in(&test, &authority).await;
    // They are busy all day, and nothing prolongs it.
    let signed_in_at = test.app().now();
    authority.claim("roles", json!([]));
    for _ in 0..15 {
        test.clock.advance(Duration::minutes(30));
        assert!(owns(&olivia).await);
    }
    let sessions: Vec<Session> = all(&test, DeploymentPlace::Directory).await;
    assert!(sessions.iter().all(|session| session.expires_at <= signed_in_at + Duration::hours(8)));
    test.clock.advance(signed_in_at + session::LIFE - test.app().now());
    assert!(!olivia.is_signed_in().await);
    assert_eq!(session::LIFE, Duration::hours(8), "as the README says");
}

#[tokio::test]
async fn whom_the_settings_named_stays_an_owner_and_a_role_of_another_directory_counts_for_nothing() {
    let both = format!("{HOME},{PARTNER}");
    let named = [SETTINGS, &[("ASSAY_ENTRA_TENANTS", both.as_str())]].concat();
    let unnamed = [named.as_slice(), &[("ASSAY_ENTRA_OWNER", "")]].concat();
    let mut test = TestApp::with(&named);
    {
        let authority = Authority::of(&test);
        assert!(owns(&Visitor::signed_in(&test, &authority).await).await);
        assert_eq!(person(&test, OLIVIA).await.standing.ownership, Some(Ownership::Settings));
    }
    test.restart_with(&unnamed);
    let authority = Authority::of(&test);
    let olivia = Visitor::signed_in(&test, &authority).await;
    assert!(owns(&olivia).await, "the setting may be emptied once it was used");
    assert!(text(&olivia.get("portal/access").await).contains("Owner, named by the settings"));

    // A client's own directory hands out the role; it is asked as anybody's.
    is(&authority, SAM, "Sam Okafor");
    authority.claim("tid", json!(PARTNER));
    authority.claim("iss", json!(format!("{LOGIN}/{PARTNER}/v2.0")));
    authority.claim("roles", json!(["Owner"]));
    assert_eq!(Visitor::of(&test).sign_in(&authority).await.status, 403);
}

#[tokio::test]
async fn when_no_owner_is_left_the_app_role_makes_one_again() {
    let test = by_role_alone();
    let authority = Authority::of(&test);
    authority.claim("roles", json!(["Owner"]));
    Visitor::signed_in(&test, &authority).await;
    authority.claim("roles", json!([]));
    let olivia = Visitor::signed_in(&test, &authority).await;
    assert!(!owns(&olivia).await);
    let people: Vec<Person> = all(&test, DeploymentPlace::Directory).await;
    assert!(people.iter().all(|person| !person.is_owner), "nobody owns it");
    access::finish(test.app(), "sweep").await.unwrap();
    // Whoever runs the directory gives the role to somebody, known here or not.
    is(&authority, PRIYA, "Priya Nair");
    authority.claim("roles", json!(["Owner"]));
    let priya = Visitor::signed_in(&test, &authority).await;
    assert!(owns(&priya).await);
    is(&authority, OLIVIA, "Olivia Hart");
    assert!(owns(&Visitor::signed_in(&test, &authority).await).await);
}

#[tokio::test]
async fn what_an_owner_gave_somebody_stays_when_the_role_goes_and_an_owner_of_an_earlier_release_is_of_the_role() {
    let test = by_role_alone();
    let authority = Authority::of(&test);
    authority.claim("roles", json!(["Owner"]));
    Visitor::signed_in(&test, &authority).await;
    let store = assay::tenancy::DeploymentScope::of_function("test", "c").store(test.app()).await.unwrap();
    let mut held = store.read::<Person>(DeploymentPlace::Directory, &id_of(OLIVIA)).await.unwrap().unwrap();
    held.value.operates = true;
    let mut batch = store.batch(DeploymentPlace::Directory);
    batch.replace(&held);
    batch.commit().await.unwrap();
    authority.claim("roles", json!([]));
    let olivia = Visitor::signed_in(&test, &authority).await;
    assert_eq!(olivia.get("portal/connections").await.status, 200, "an owner let them run the tools");

    let mut held = store.read::<Person>(DeploymentPlace::Directory, &id_of(OLIVIA)).await.unwrap().unwrap();
    (held.value.is_owner, held.value.standing.ownership) = (true, None);
    let mut batch = store.batch(DeploymentPlace::Directory);
    batch.replace(&held);
    batch.commit().await.unwrap();
    let olivia = Visitor::signed_in(&test, &authority).await;
    assert!(!owns(&olivia).await);
    assert_eq!(olivia.get("portal/connections").await.status, 403, "there it came with the ownership");
}
