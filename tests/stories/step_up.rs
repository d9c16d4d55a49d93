//! Changes of great effect want a fresh proof of who somebody is, as the authority says it; and who owns the installation
//! by an app role of the MSP's own directory.

use assay::{
    audit::item::Item,
    tenancy::{DeploymentPlace, directory::Person},
    web::Reply,
};
use serde_json::{Value, json};
use time::Duration;

use super::entra_people::{all, asked, id_of, is, said};
use crate::support::{
    TestApp,
    authority::{Authority, HOME, OLIVIA, PARTNER, PRIYA, SETTINGS},
    browser::{leads_on_to, text},
    visitor::Visitor,
};

const TYPED: [(&str, &str); 2] = [("name", "Priya Nair"), ("email", "priya@northgate.example")];

fn with(more: &[(&'static str, &'static str)]) -> Vec<(&'static str, &'static str)> {
    [SETTINGS, more].concat()
}

/// Olivia lets Priya in; what she is answered.
async fn let_in(olivia: &Visitor<'_>) -> Reply {
    olivia.press("portal/people", &format!("portal/people/{}/let-in", id_of(PRIYA)), &TYPED).await
}

/// Who can sign in.
async fn people(test: &TestApp) -> Vec<String> {
    all::<Person>(test, DeploymentPlace::Directory).await.into_iter().map(|person| person.name).collect()
}

/// Confirms who they are at the address that a refusal leads to; what the authority was asked.
async fn confirms(olivia: &Visitor<'_>, authority: &Authority, refused: &Reply) -> String {
    let page = text(refused);
    let (_, way) = page.split_once("href=\"/api/portal/sign-in?").unwrap_or_else(|| panic!("{page}"));
    let way = format!("portal/sign-in?{}", way.split('"').next().unwrap().replace("&#38;", "&"));
    let opened = text(&olivia.get(&way).await);
    assert!(opened.contains("Confirm that it is you") && !opened.contains("Use another account"), "{opened}");
    let to = leads_on_to(&olivia.press(&way, "portal/sign-in", &[]).await);
    let back = olivia.get(&authority.sign_in(&to)).await;
    assert_eq!((back.status, back.header("location")), (303, Some("/api/portal/people")), "{}", text(&back));
    to
}

#[tokio::test]
async fn eleven_minutes_after_the_sign_in_nobody_is_let_in_before_the_owner_confirmed_who_they_are() {
    let test = TestApp::with(SETTINGS);
    let (authority, olivia) = asked(&test).await;
    test.clock.advance(Duration::minutes(11));
    let refused = let_in(&olivia).await;
    assert_eq!(refused.status, 401);
    assert!(text(&refused).contains("Nothing was changed") && text(&refused).contains("priya@northgate.example"), "what was typed is kept");
    assert_eq!(people(&test).await, ["Olivia Hart"]);

    is(&authority, OLIVIA, "Olivia Hart");
    let asked_for = confirms(&olivia, &authority, &refused).await;
    assert!(asked_for.contains("prompt=login") && !asked_for.contains("claims="), "{asked_for}");
    assert_eq!(let_in(&olivia).await.status, 303);
    assert_eq!(people(&test).await.len(), 2);
}

#[tokio::test]
async fn a_program_is_told_what_is_missing_as_rfc_9470_has_it() {
    let test = TestApp::with(&with(&[("ASSAY_ENTRA_AUTH_CONTEXT", "c1")]));
    let (_, mut olivia) = asked(&test).await;
    olivia.accept = "application/json";
    let refused = olivia.post(&format!("portal/people/{}/let-in", id_of(PRIYA)), &TYPED).await;
    assert_eq!(refused.status, 401);
    assert_eq!(
        refused.header("www-authenticate"),
        Some("Bearer error=\"insufficient_user_authentication\", max_age=\"600\", acr_values=\"c1\"")
    );
    let problem: Value = serde_json::from_slice(&refused.body).unwrap();
    assert_eq!(problem["type"], "urn:assay:problem:insufficient-user-authentication");
}

#[tokio::test]
async fn an_open_sign_in_at_the_authority_proves_nothing_however_new_the_session_is() {
    let test = TestApp::with(SETTINGS);
    let (authority, _) = asked(&test).await;
    is(&authority, OLIVIA, "Olivia Hart");
    let now = test.app().now().unix_timestamp();
    // An hour ago; in an hour; never said; not a number.
    for (claim, status) in [(json!(now - 3600), 401), (json!(now + 3600), 401), (Value::Null, 401), (json!(now - 60), 303)] {
        authority.claim("auth_time", claim.clone());
        let olivia = Visitor::signed_in(&test, &authority).await;
        let answer = let_in(&olivia).await;
        assert_eq!(answer.status, status, "{claim}");
        if claim.is_null() {
            assert!(text(&answer).contains("auth_time"), "whoever runs Assay can mend it");
        }
    }
    authority.claim("auth_time", json!("soon"));
    assert_eq!(Visitor::of(&test).sign_in(&authority).await.status, 401, "such a token signs nobody in");
}

#[tokio::test]
async fn where_the_settings_ask_for_a_context_a_fresh_password_alone_is_not_enough() {
    let test = TestApp::with(&with(&[("ASSAY_ENTRA_AUTH_CONTEXT", "c1")]));
    let (authority, olivia) = asked(&test).await;
    let refused = let_in(&olivia).await;
    assert_eq!(refused.status, 401);
    assert!(text(&refused).contains("stronger sign-in"), "{}", text(&refused));
    is(&authority, OLIVIA, "Olivia Hart");
    authority.claim("acrs", json!(["c1", "c2"]));
    authority.claim("amr", json!(["pwd", "mfa"]));
    let asked_for = confirms(&olivia, &authority, &refused).await;
    assert!(asked_for.contains("acrs") && asked_for.contains("c1"), "{asked_for}");
    assert_eq!(let_in(&olivia).await.status, 303);
    let items: Vec<Item> = all(&test, DeploymentPlace::Directory).await;
    let signed_in: Vec<_> = items.iter().filter(|item| item.kind == "session.signed-in").collect();
    let proof = &signed_in.last().unwrap().detail["proof"];
    assert_eq!((&proof["contexts"], &proof["methods"]), (&json!(["c1", "c2"]), &json!(["pwd", "mfa"])), "it stands in the log");
}

#[tokio::test]
async fn access_is_taken_away_at_once_without_another_sign_in() {
    let test = TestApp::with(SETTINGS);
    let (_, olivia) = asked(&test).await;
    assert_eq!(let_in(&olivia).await.status, 303);
    test.clock.advance(Duration::minutes(40));
    let action = format!("portal/people/{}/end-access", id_of(PRIYA));
    assert_eq!(olivia.press("portal/people", &action, &[]).await.status, 303);
}

#[tokio::test]
async fn the_first_owner_comes_by_an_app_role_of_the_msps_own_directory_and_of_no_other() {
    let both: &'static str = "1111aaaa-2222-4333-8444-555555555555,22222222-2222-4333-8444-555555555555";
    let settings: Vec<_> = with(&[("ASSAY_ENTRA_TENANTS", both)]).into_iter().filter(|(name, _)| *name != "ASSAY_ENTRA_OWNER").collect();
    let test = TestApp::with(&settings);
    let authority = Authority::of(&test);
    // The administrator of a client's directory gives their own people whatever role they like.
    authority.claim("roles", json!(["Owner"]));
    authority.claim("tid", json!(PARTNER));
    authority.claim("iss", json!(format!("https://login.microsoftonline.com/{PARTNER}/v2.0")));
    assert_eq!(Visitor::of(&test).sign_in(&authority).await.status, 403);
    assert_eq!(people(&test).await, [""; 0]);

    authority.claim("tid", json!(HOME));
    authority.claim("iss", json!(format!("https://login.microsoftonline.com/{HOME}/v2.0")));
    for role in [json!(["owner"]), json!(["Reader"]), json!([]), Value::Null] {
        authority.claim("roles", role.clone());
        assert_eq!(Visitor::of(&test).sign_in(&authority).await.status, 403, "{role}");
    }
    authority.claim("roles", json!(["Reader", "Owner"]));
    assert_eq!(Visitor::of(&test).sign_in(&authority).await.status, 303);
    assert_eq!(people(&test).await, ["Olivia Hart"]);
    let items: Vec<Item> = all(&test, DeploymentPlace::Directory).await;
    let added = items.iter().find(|item| item.kind == "person.added").unwrap();
    assert_eq!(added.detail["why"], "has the app role Owner in the MSP's own directory");
    assert_eq!(said(&test, "person.added").await.len(), 1);
}
