//! People whom the settings leave out: let in once, of a directory that is named no more. And who comes by an address that
//! is not the installation's own, and whom a newcomer asks.

use assay::{
    tenancy::{
        DeploymentPlace, DeploymentScope, TenantId,
        directory::{Grant, Identity, Role, Tenant},
        keys::{self, Owner},
    },
    web::{Method, Reply},
};
use serde_json::json;

use super::entra_people::{SAM, all, asked, id_of, is};
use crate::support::{
    TestApp,
    authority::{Authority, HOME, LOGIN, OLIVIA, ORIGIN, PARTNER, PRIYA, SETTINGS},
    browser::text,
    visitor::Visitor,
};

#[tokio::test]
async fn whom_the_settings_leave_out_is_offered_nowhere_and_said_in_words_and_keeps_what_they_had() {
    let both = format!("{HOME},{PARTNER}");
    let mut test = TestApp::with(&[SETTINGS, &[("ASSAY_ENTRA_TENANTS", both.as_str())]].concat());
    let sam = Identity { tid: PARTNER.parse().unwrap(), oid: SAM.parse().unwrap() }.person();
    let tenant = TenantId(test.app().ids.uuid());
    {
        let (authority, olivia) = asked(&test).await;
        let typed = [("name", "Priya Nair"), ("email", "priya@northgate.example")];
        olivia.press("portal/people", &format!("portal/people/{}/let-in", id_of(PRIYA)), &typed).await;
        is(&authority, SAM, "Sam Okafor");
        authority.claim("tid", json!(PARTNER));
        authority.claim("iss", json!(format!("{LOGIN}/{PARTNER}/v2.0")));
        assert_eq!(Visitor::of(&test).sign_in(&authority).await.status, 403);
        let typed = [("name", "Sam Okafor"), ("email", "sam@partner.example")];
        olivia.press("portal/people", &format!("portal/people/{sam}/let-in"), &typed).await;
        let store = DeploymentScope::of_function("test", "c").store(test.app()).await.unwrap();
        let mut batch = store.batch(DeploymentPlace::Directory);
        batch.create(&Tenant { id: tenant, name: "Harbor Precision".into(), created_at: test.app().now() });
        let roles =
            [(sam, Role::Approver), (id_of(OLIVIA).parse().unwrap(), Role::Engineer), (id_of(PRIYA).parse().unwrap(), Role::Approver)];
        for (person, role) in roles {
            batch.create(&Grant::of(tenant, person, vec![role]));
        }
        batch.commit().await.unwrap();
        keys::data_key(test.app(), Owner::Tenant(tenant)).await.unwrap();
        let page = text(&olivia.get(&format!("portal/clients/{tenant}/people")).await);
        assert!(page.contains("Sam Okafor"), "{page}");
    }

    test.restart_with(SETTINGS);
    let authority = Authority::of(&test);
    let olivia = Visitor::signed_in(&test, &authority).await;
    let page = text(&olivia.get("portal/people").await);
    let (inside, outside) = page.split_once("Whom the settings leave out").unwrap();
    assert!(inside.contains("Priya Nair") && !inside.contains("Sam Okafor"), "{inside}");
    for said in ["ASSAY_ENTRA_TENANTS", "Sam Okafor", PARTNER, "for 1 client", &format!("portal/people/{sam}/end-access")] {
        assert!(outside.contains(said), "{said}: {outside}");
    }
    assert!(!text(&olivia.get("portal/clients/new").await).contains("Sam Okafor"));
    let form = format!("portal/clients/{tenant}/people");
    assert!(!text(&olivia.get(&form).await).contains("Sam Okafor"));
    // They are no approver of whom the owner may think that they decide.
    let engineer = format!("engineer-{}", id_of(OLIVIA));
    let nobody_decides = olivia.press(&form, &form, &[(&engineer, "yes")]).await;
    assert!(nobody_decides.status == 422 && text(&nobody_decides).contains("Nobody could decide anything"));
    let both = [(engineer.as_str(), "yes"), (&format!("engineer-{}", id_of(PRIYA)), "yes"), (&format!("approver-{}", id_of(PRIYA)), "yes")];
    assert_eq!(olivia.press(&form, &form, &both).await.status, 303);
    let grants: Vec<Grant> = all(&test, DeploymentPlace::Directory).await;
    assert!(grants.iter().any(|grant| grant.person == sam && grant.has(Role::Approver)), "it counts again when the setting does");
}

#[tokio::test]
async fn at_an_address_that_is_not_our_own_the_texts_name_the_one_that_is() {
    let test = TestApp::with(SETTINGS);
    let authority = Authority::of(&test);
    let said = format!("Assay&#39;s address is {ORIGIN}");
    let names_it = |reply: &Reply| text(reply).contains(&said);
    // The browser begins at the app's other name, where its cookie stays, and comes back to ours.
    let there = Visitor::of(&test);
    let back = authority.sign_in(&there.depart(None).await);
    let here = Visitor::of(&test);
    let reply = here.get(&back).await;
    assert!(reply.status == 401 && names_it(&reply), "{}", text(&reply));
    // And one that says where it begins.
    let mut other = Visitor::of(&test);
    other.headers.push(("sec-fetch-site".into(), "cross-site".into()));
    let reply = other.ask(Method::Post, "portal/sign-in", "").await;
    assert!(reply.status == 403 && names_it(&reply), "{}", text(&reply));
}

#[tokio::test]
async fn a_newcomer_without_a_grant_is_sent_to_their_owner_and_not_to_pages_that_are_not_theirs() {
    let test = TestApp::with(SETTINGS);
    let (authority, olivia) = asked(&test).await;
    let action = format!("portal/people/{}/let-in", id_of(PRIYA));
    olivia.press("portal/people", &action, &[("name", "Priya Nair"), ("email", "priya@northgate.example")]).await;
    let page = text(&Visitor::signed_in(&test, &authority).await.get("portal/clients").await);
    assert!(page.contains("Ask Olivia Hart to give you a grant.") && !page.contains("portal/mapping"), "{page}");
    assert!(text(&olivia.get("portal/clients").await).contains("portal/mapping"));
}
