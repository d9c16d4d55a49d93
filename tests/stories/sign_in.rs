//! Signing in and out: what a browser holds, what the store holds, and what is written down about it.

use assay::{
    app::App,
    tenancy::{
        DeploymentPlace, DeploymentScope, PersonId,
        directory::{Person, Session},
        keys::{self, Owner},
        seal::sha256,
    },
    web::{Method, Request, demo_sign_in, session},
};
use bytes::Bytes;
use time::Duration;

use crate::support::app::TestApp;

async fn directory(app: &App) -> Person {
    let person = Person {
        id: PersonId(app.ids.uuid()),
        name: "Priya Nair".into(),
        email: "priya@example.net".into(),
        is_owner: false,
        operates: false,
        identity: None,
        sign_in_name: None,
        same_as: None,
        access_ended_at: None,
        standing: assay::tenancy::directory::Standing::default(),
    };
    let store = DeploymentScope::of_function("test", "c").store(app).await.unwrap();
    let mut batch = store.batch(DeploymentPlace::Directory);
    batch.create(&person);
    batch.commit().await.unwrap();
    person
}

fn request(cookie: &str) -> Request {
    Request {
        method: Method::Post,
        path: "portal/sign-in".into(),
        query: String::new(),
        headers: vec![("cookie".into(), cookie.into())],
        body: Bytes::new(),
        invocation_id: "invocation".into(),
    }
}

/// What a browser would send back: the name and value of a Set-Cookie.
fn kept(set_cookie: &session::SetCookie) -> String {
    set_cookie.header().split(';').next().unwrap().to_owned()
}

async fn sessions(app: &App) -> Vec<Session> {
    let store = DeploymentScope::of_function("test", "c").store(app).await.unwrap();
    store.all::<Session>(DeploymentPlace::Directory, "").await.unwrap().into_iter().map(|held| held.value).collect()
}

async fn audit_kinds(app: &App) -> Vec<String> {
    let store = DeploymentScope::of_function("test", "c").store(app).await.unwrap();
    let items = store.all::<assay::audit::item::Item>(DeploymentPlace::Directory, "").await.unwrap();
    items.into_iter().map(|held| held.value.kind).collect()
}

#[tokio::test]
async fn who_signs_in_is_known_until_they_sign_out_and_both_are_written_down() {
    let test = TestApp::new();
    let app = test.app();
    let priya = directory(app).await;
    let cookie = kept(&demo_sign_in::sign_in(app, &request(""), priya.id).await.unwrap());

    let current = session::current(app, &request(&cookie)).await.unwrap().expect("signed in");
    assert_eq!(current.person, priya);
    let token = cookie.split_once('=').unwrap().1.split('.').next().unwrap();
    assert_eq!(current.session.token_hash, sha256(token.as_bytes()), "the store holds the hash, never the token");

    let cleared = session::sign_out(app, &request(&cookie)).await.unwrap();
    assert!(cleared.header().contains("Max-Age=0"));
    assert!(session::current(app, &request(&cookie)).await.unwrap().is_none(), "a kept cookie is worth nothing");
    session::sign_out(app, &request(&cookie)).await.unwrap();
    assert_eq!(audit_kinds(app).await, ["session.signed-in", "session.signed-out"], "once each");
}

#[tokio::test]
async fn a_session_ends_after_eight_hours_however_busy_it_was() {
    let test = TestApp::new();
    let app = test.app();
    let priya = directory(app).await;
    let cookie = kept(&demo_sign_in::sign_in(app, &request(""), priya.id).await.unwrap());
    let mut cookie = cookie;
    for _ in 0..9 {
        test.clock.advance(Duration::minutes(53));
        let current = session::current(app, &request(&cookie)).await.unwrap().expect("who goes on stays");
        let key = keys::data_key(app, Owner::Deployment).await.unwrap();
        cookie = kept(&session::renewed(app, &request(&cookie), &current, &key).expect("an old cookie is given anew"));
    }
    test.clock.advance(Duration::minutes(3));
    assert!(session::current(app, &request(&cookie)).await.unwrap().is_none());
    assert_eq!(session::drop_expired(app, "sweep").await.unwrap(), 1);
    assert!(sessions(app).await.is_empty());
    assert_eq!(audit_kinds(app).await, ["session.signed-in", "session.ended"]);
}

#[tokio::test]
async fn signing_in_again_ends_the_session_the_browser_had() {
    let test = TestApp::new();
    let app = test.app();
    let priya = directory(app).await;
    let first = kept(&demo_sign_in::sign_in(app, &request(""), priya.id).await.unwrap());
    let second = kept(&demo_sign_in::sign_in(app, &request(&first), priya.id).await.unwrap());
    assert_ne!(first, second);
    assert!(session::current(app, &request(&first)).await.unwrap().is_none());
    assert!(session::current(app, &request(&second)).await.unwrap().is_some());
}

#[tokio::test]
async fn a_cookie_that_is_not_ours_is_nobody() {
    let test = TestApp::new();
    let app = test.app();
    directory(app).await;
    let invented = format!("assay={}", "A".repeat(43));
    for cookie in ["", "assay=", "assay=../../x", "assay=:", "other=1", &invented] {
        assert!(session::current(app, &request(cookie)).await.unwrap().is_none(), "{cookie}");
    }
    let unknown = PersonId(app.ids.uuid());
    assert!(matches!(demo_sign_in::sign_in(app, &request(""), unknown).await, Err(demo_sign_in::SignInError::Unknown)));
    assert!(sessions(app).await.is_empty());
}

#[tokio::test]
async fn without_demo_sign_in_nobody_becomes_anybody_by_picking() {
    let test = TestApp::with(&[("ASSAY_SIGN_IN", "none"), ("ASSAY_PUBLIC_URL", "https://assay.example.net")]);
    let app = test.app();
    let priya = directory(app).await;
    assert!(matches!(demo_sign_in::sign_in(app, &request(""), priya.id).await, Err(demo_sign_in::SignInError::Off)));
    assert!(audit_kinds(app).await.is_empty());
    let cleared = session::sign_out(app, &request("")).await.unwrap();
    assert!(cleared.header().starts_with("__Host-assay=; Path=/; HttpOnly; SameSite=Lax; Secure"));
}

#[tokio::test]
async fn on_plain_http_the_cookie_is_still_out_of_reach_of_scripts_and_other_sites() {
    let test = TestApp::new();
    let priya = directory(test.app()).await;
    let cookie = demo_sign_in::sign_in(test.app(), &request(""), priya.id).await.unwrap();
    assert!(
        cookie.header().starts_with("assay=") && cookie.header().contains("HttpOnly; SameSite=Lax") && !cookie.header().contains("Secure")
    );
    assert!(!format!("{cookie:?}").contains(cookie.header()), "never in a log");
}
