//! Signing in with Entra ID: the good way, and every way in which nobody may be signed in.

use assay::{
    audit::{item::Item, refusal::Refusal},
    platform::ports::{PortError, PortErrorKind},
    tenancy::{
        DeploymentPlace, DeploymentScope, Record,
        directory::{Identity, Person, Session},
    },
    triggers::sweep,
    web::Method,
};
use serde_json::{Value, json};
use time::Duration;

use crate::support::{
    TestApp,
    authority::{Authority, CLIENT_ID, HOME, LOGIN, OLIVIA, PARTNER, PRIYA, SETTINGS, Signing, discovery, json_answer},
    browser, cosmos,
    faults::Fault,
    http::response,
    key_vault::DEPLOYMENT_KEY,
    visitor::Visitor,
};

const SESSION: &str = "__Host-assay";
const ATTEMPT: &str = "__Host-assay-sign-in";

async fn all<T: Record>(test: &TestApp, place: DeploymentPlace) -> Vec<T> {
    let store = DeploymentScope::of_function("test", "c").store(test.app()).await.unwrap();
    store.all::<T>(place, "").await.unwrap().into_iter().map(|held| held.value).collect()
}

async fn sessions(test: &TestApp) -> usize {
    all::<Session>(test, DeploymentPlace::Directory).await.len()
}

/// What the directory's audit items of this beginning say happened, in order.
async fn said(test: &TestApp, of: &str) -> Vec<String> {
    let items = all::<Item>(test, DeploymentPlace::Directory).await;
    items.into_iter().map(|item| item.kind).filter(|kind| kind.starts_with(of)).collect()
}

/// The reasons that were counted, each as often as it was.
async fn refusals(test: &TestApp) -> Vec<(String, u64)> {
    all::<Refusal>(test, DeploymentPlace::Operations).await.into_iter().map(|refusal| (refusal.reason, refusal.count)).collect()
}

fn installation() -> TestApp {
    TestApp::with(SETTINGS)
}

#[tokio::test]
async fn the_owner_signs_in_lands_where_they_wanted_and_signs_out() {
    let test = installation();
    let authority = Authority::of(&test);
    let olivia = Visitor::of(&test);

    let turned_away = olivia.get("portal/audit?after=x").await;
    let page = olivia.get(turned_away.header("location").unwrap().strip_prefix("/api/").unwrap()).await;
    let html = browser::text(&page);
    assert!(html.contains("Sign in with your organization") && html.contains(&format!("{LOGIN}/{HOME}/oauth2/v2.0/logout")));
    assert_eq!(sessions(&test).await, 0);

    let reply = olivia.press("portal/sign-in?next=%2Fapi%2Fportal%2Faudit%3Fafter%3Dx", "portal/sign-in", &[]).await;
    for reply in [&page, &reply] {
        // Chromium holds it against every redirect after the form, also one of the authority's to a host we cannot know.
        let policy = reply.header("content-security-policy").unwrap();
        assert!(policy.contains("form-action 'self';"), "{policy}");
    }
    assert!(browser::text(&reply).contains("Leading you to sign-in"));
    let back = authority.sign_in(&browser::leads_on_to(&reply));
    let arrived = olivia.get(&back).await;
    assert_eq!((arrived.status, arrived.header("location")), (303, Some("/api/portal/audit?after=x")));
    assert_eq!(olivia.cookies.borrow().keys().collect::<Vec<_>>(), [SESSION], "the attempt's cookie is gone");
    assert!(olivia.is_signed_in().await);

    let people: Vec<Person> = all(&test, DeploymentPlace::Directory).await;
    let identity = Identity { tid: HOME.parse().unwrap(), oid: OLIVIA.parse().unwrap() };
    assert_eq!(people.len(), 1);
    assert_eq!((people[0].id, people[0].identity, people[0].is_owner), (identity.person(), Some(identity), true));
    assert_eq!((people[0].name.as_str(), people[0].email.as_str()), ("Olivia Hart", "olivia@northgate.example"));
    assert_eq!(said(&test, "person.").await, ["person.added"]);
    assert_eq!(said(&test, "session.").await, ["session.signed-in"]);
    for item in all::<Item>(&test, DeploymentPlace::Directory).await {
        assert_eq!((&item.detail["tid"], &item.detail["oid"]), (&json!(HOME), &json!(OLIVIA)), "{item:?}");
    }

    let out = olivia.press("portal/clients", "portal/sign-out", &[]).await;
    assert_eq!(out.header("location"), Some("/api/portal/sign-in"));
    assert!(olivia.cookies.borrow().is_empty());
    assert!(!olivia.is_signed_in().await);
    assert_eq!(said(&test, "session.").await, ["session.signed-in", "session.signed-out"]);
    assert_eq!(refusals(&test).await, []);
    assert_eq!((authority.asked("discovery"), authority.asked("keys"), authority.asked("token")), (1, 1, 1));
    Box::pin(sweep::run(assay::triggers::Tick { past_due: false, invocation_id: "sweep".into() }, test.app())).await.unwrap();
}

#[tokio::test]
async fn signing_in_again_is_another_token_and_ends_the_session_the_browser_had() {
    let test = installation();
    let authority = Authority::of(&test);
    let olivia = Visitor::signed_in(&test, &authority).await;
    let first = olivia.cookies.borrow()[SESSION].clone();
    assert_eq!(olivia.sign_in(&authority).await.status, 303);
    assert_ne!(olivia.cookies.borrow()[SESSION], first);
    assert_eq!(sessions(&test).await, 1);
    olivia.cookies.borrow_mut().insert(SESSION.into(), first);
    assert!(!olivia.is_signed_in().await);
    assert_eq!(all::<Person>(&test, DeploymentPlace::Directory).await.len(), 1, "the same person as before");
    assert_eq!(said(&test, "person.").await, ["person.added"]);
    let ended = ["session.signed-in", "session.ended", "session.signed-in"];
    assert_eq!(said(&test, "session.").await, ended);
}

#[tokio::test]
async fn settings_that_close_the_door_sign_out_whom_they_leave_out() {
    let mut test = installation();
    let cookies = {
        let authority = Authority::of(&test);
        Visitor::signed_in(&test, &authority).await.cookies.into_inner()
    };
    let other_directory: Vec<(&str, &str)> = SETTINGS.iter().copied().filter(|(name, _)| *name != "ASSAY_ENTRA_TENANTS").collect();
    let other_directory = [other_directory.as_slice(), &[("ASSAY_ENTRA_TENANTS", PARTNER)]].concat();
    let none = [("ASSAY_SIGN_IN", "none"), ("ASSAY_PUBLIC_URL", "https://assay.example.net")];
    for (settings, stays) in [(other_directory.as_slice(), false), (none.as_slice(), false), (SETTINGS, true)] {
        test.restart_with(settings);
        let olivia = Visitor::of(&test);
        olivia.cookies.borrow_mut().clone_from(&cookies);
        assert_eq!(olivia.is_signed_in().await, stays, "{settings:?}");
    }
}

/// Tokens that must sign nobody in, and the reason that is counted.
#[tokio::test]
async fn a_token_with_anything_wrong_signs_nobody_in() {
    type Twist = Box<dyn Fn(&Authority)>;
    let claim = |name: &'static str, value: Value| -> Twist { Box::new(move |authority| authority.claim(name, value.clone())) };
    let header = |name: &'static str, value: Value| -> Twist { Box::new(move |authority| authority.header(name, value.clone())) };
    let sign = |how| -> Twist { Box::new(move |authority| authority.sign(how)) };
    let both = |a: Twist, b: Twist| -> Twist {
        Box::new(move |authority| {
            a(authority);
            b(authority);
        })
    };
    let of = |tid: &str| json!(format!("{LOGIN}/{tid}/v2.0"));
    let whole = |more: &str| {
        format!(
            r#"{{"ver":"2.0","iss":"{LOGIN}/{HOME}/v2.0","aud":"{CLIENT_ID}","tid":"{HOME}","oid":"{OLIVIA}","sub":"s","iat":1772442000,"exp":1772445600,"nonce":"NONCE","acct":0{more}}}"#
        )
    };
    let by_hand = |more: &'static str| -> Twist {
        let payload = whole(more);
        Box::new(move |authority| authority.payload(&payload))
    };
    let wrong: Vec<(Twist, &str)> = vec![
        (claim("aud", json!("bbbbbbbb-bbbb-4ccc-8ddd-eeeeeeeeeeee")), "token-audience"),
        (claim("aud", json!([CLIENT_ID])), "token-malformed"),
        (claim("aud", Value::Null), "token-malformed"),
        (claim("nonce", json!("another")), "token-nonce"),
        (claim("nonce", Value::Null), "token-nonce"),
        (both(claim("tid", json!(PARTNER)), claim("iss", of(PARTNER))), "token-directory"),
        (claim("tid", json!(HOME.to_uppercase())), "token-directory"),
        (claim("tid", json!("organizations")), "token-directory"),
        (claim("tid", Value::Null), "token-malformed"),
        (claim("iss", of(PARTNER)), "token-issuer"),
        (claim("iss", json!(format!("https://sts.windows.net/{HOME}/"))), "token-issuer"),
        (claim("iss", json!(format!("{LOGIN}/{HOME}/v2.0/"))), "token-issuer"),
        (claim("oid", Value::Null), "token-of-an-app"),
        (claim("oid", json!("olivia@northgate.example")), "token-of-an-app"),
        (claim("sub", Value::Null), "token-of-an-app"),
        (claim("sub", json!(OLIVIA)), "token-of-an-app"),
        (claim("idtyp", json!("app")), "token-of-an-app"),
        (claim("idp", json!(format!("https://sts.windows.net/{PARTNER}/"))), "token-of-a-guest"),
        (claim("acct", json!(1)), "token-of-a-guest"),
        (claim("acct", json!("1")), "token-malformed"),
        (claim("acct", Value::Null), "token-without-acct"),
        (claim("ver", json!("1.0")), "token-malformed"),
        (claim("exp", json!("2030")), "token-malformed"),
        (claim("exp", json!(1.5)), "token-malformed"),
        (claim("exp", Value::Null), "token-malformed"),
        (sign(Signing::None), "token-algorithm"),
        (sign(Signing::Hs256), "token-algorithm"),
        (sign(Signing::Stranger), "token-signature"),
        (header("alg", json!("PS256")), "token-algorithm"),
        (header("alg", json!("rs256")), "token-algorithm"),
        (header("kid", Value::Null), "token-malformed"),
        (header("kid", json!("../key-0")), "token-unknown-key"),
        (header("typ", json!("at+jwt")), "token-malformed"),
        (header("jku", json!("https://evil.example/keys")), "token-header"),
        (header("jwk", json!({ "kty": "RSA" })), "token-header"),
        (header("x5u", json!("https://evil.example/cert")), "token-header"),
        (header("crit", json!(["exp"])), "token-header"),
        (header("b64", json!(false)), "token-header"),
        (by_hand(r#","aud":"x""#), "token-malformed"),
        (by_hand(r#","\u0074id":"x""#), "token-malformed"),
        (by_hand(r#","amr":1,"amr":2"#), "token-malformed"),
        (by_hand(r"} {"), "token-malformed"),
    ];
    for (number, (twist, reason)) in wrong.into_iter().enumerate() {
        let test = installation();
        let authority = Authority::of(&test);
        twist(&authority);
        let stranger = Visitor::of(&test);
        let reply = stranger.sign_in(&authority).await;
        assert!(matches!(reply.status, 401 | 403), "{number} {reason}: {}", reply.status);
        assert_eq!(refusals(&test).await, [(reason.to_owned(), 1)], "{number}");
        assert_eq!(
            all::<Item>(&test, DeploymentPlace::Operations).await.into_iter().map(|item| item.kind).collect::<Vec<_>>(),
            ["session.refused"]
        );
        assert!(!stranger.is_signed_in().await && !stranger.cookies.borrow().contains_key(SESSION), "{number} {reason}");
        assert_eq!(sessions(&test).await + all::<Person>(&test, DeploymentPlace::Directory).await.len(), 0, "{number} {reason}");
        let html = browser::text(&reply);
        let internals = html.contains(HOME) || html.contains("nonce") || html.contains("token-");
        assert!(html.contains("Sign in</a>") && !internals, "what to do, and no internals: {html}");
        assert_eq!(html.contains("optional claim"), reason == "token-without-acct", "{html}");
    }
    // By hand the rest of it was right.
    let test = installation();
    let authority = Authority::of(&test);
    by_hand("")(&authority);
    assert_eq!(Visitor::of(&test).sign_in(&authority).await.status, 303);
}

#[tokio::test]
async fn a_guest_and_another_directory_come_in_where_the_settings_say_so() {
    let both = format!("{HOME},{PARTNER}");
    let more: Vec<(&str, &str)> = SETTINGS.iter().copied().chain([("ASSAY_ENTRA_TENANTS", both.as_str())]).collect();
    let test = TestApp::with(&more);
    let olivia = Visitor::of(&test);
    let reply = olivia.post("portal/sign-in", &[]).await;
    assert_eq!(reply.status, 503, "nobody answers for organizations here");
    assert_eq!(test.http.called(), [format!("GET {LOGIN}/organizations/v2.0/.well-known/openid-configuration")]);

    let more: Vec<(&str, &str)> = SETTINGS.iter().copied().chain([("ASSAY_ENTRA_GUESTS", "allow")]).collect();
    let test = TestApp::with(&more);
    let authority = Authority::of(&test);
    authority.claim("acct", json!(1));
    authority.claim("idp", json!(format!("https://sts.windows.net/{PARTNER}/")));
    assert_eq!(Visitor::of(&test).sign_in(&authority).await.status, 303);
    authority.claim("acct", Value::Null);
    assert_eq!(Visitor::of(&test).sign_in(&authority).await.status, 303, "where guests may come, nothing must say who is one");
}

#[tokio::test]
async fn clocks_may_be_four_minutes_apart_and_not_six() {
    for (claim, minutes, good) in
        [("exp", -4, true), ("exp", -6, false), ("nbf", 4, true), ("nbf", 6, false), ("iat", 4, true), ("iat", 6, false)]
    {
        let test = installation();
        let authority = Authority::of(&test);
        authority.claim(claim, json!((test.app().now() + Duration::minutes(minutes)).unix_timestamp()));
        let visitor = Visitor::of(&test);
        let reply = visitor.sign_in(&authority).await;
        assert_eq!(reply.status == 303, good, "{claim} {minutes} minutes: {}", browser::text(&reply));
        let reason = if claim == "exp" { "token-expired" } else { "token-not-yet-valid" };
        assert_eq!(refusals(&test).await.iter().any(|(counted, _)| counted == reason), !good);
    }
}

#[tokio::test]
async fn a_new_key_is_fetched_once_and_a_flood_of_unknown_ones_is_not_a_flood_of_calls() {
    let test = installation();
    let authority = Authority::of(&test);
    Visitor::signed_in(&test, &authority).await;
    assert_eq!(authority.asked("keys"), 1);

    test.clock.advance(Duration::hours(1));
    authority.rotate();
    Visitor::signed_in(&test, &authority).await;
    Visitor::signed_in(&test, &authority).await;
    assert_eq!((authority.asked("keys"), authority.asked("discovery")), (2, 1), "fetched again once, by the unknown id");

    test.clock.advance(Duration::minutes(5));
    for n in 0..20 {
        authority.name_key(&format!("invented-{n}"));
        assert_eq!(Visitor::of(&test).sign_in(&authority).await.status, 401);
    }
    assert_eq!(authority.asked("keys"), 5, "three times in five minutes");
    assert_eq!(refusals(&test).await, [("token-unknown-key".to_owned(), 20)]);
    // After a day they are fetched in any case.
    test.clock.advance(Duration::hours(25));
    authority.name_key("key-1");
    Visitor::signed_in(&test, &authority).await;
    assert_eq!((authority.asked("keys"), authority.asked("discovery")), (6, 2));
}

#[tokio::test]
async fn when_the_authoritys_keys_cannot_be_fetched_those_that_are_known_count_for_a_day_and_then_a_page_says_so() {
    let down = || Some(Err(PortError::new("stub", PortErrorKind::Unavailable)));
    let test = installation();
    let authority = Authority::of(&test);
    Visitor::signed_in(&test, &authority).await;
    for endpoint in ["keys", "discovery"] {
        authority.break_down(endpoint, down());
    }
    for _ in 0..23 {
        test.clock.advance(Duration::hours(1));
        Visitor::signed_in(&test, &authority).await;
    }
    assert_eq!((authority.asked("keys"), authority.asked("discovery")), (1, 1), "nothing was fetched meanwhile");
    let inside = Visitor::signed_in(&test, &authority).await;
    test.clock.advance(Duration::minutes(59));
    inside.get("portal/clients").await;
    test.clock.advance(Duration::minutes(2));
    let reply = Visitor::of(&test).post("portal/sign-in", &[]).await;
    assert_eq!(reply.status, 503);
    assert!(browser::text(&reply).contains("cannot be reached") && browser::text(&reply).contains("try again in a minute"));
    assert!(inside.is_signed_in().await, "who is signed in stays so");
    assert_eq!(refusals(&test).await, [("authority-unavailable".to_owned(), 1)]);

    // The keys alone are away: a token cannot be judged, so it counts for nothing.
    authority.break_down("discovery", None);
    let olivia = Visitor::of(&test);
    let reply = olivia.sign_in(&authority).await;
    assert!(reply.status == 503 && browser::text(&reply).contains("Sign in again"), "{}", browser::text(&reply));
    assert!(!olivia.is_signed_in().await);
    authority.break_down("keys", None);
    assert!(Visitor::signed_in(&test, &authority).await.is_signed_in().await);
}

#[tokio::test]
async fn a_state_counts_once_in_the_browser_that_began_and_for_ten_minutes() {
    let test = installation();
    let authority = Authority::of(&test);
    let olivia = Visitor::of(&test);
    let back = authority.sign_in(&olivia.depart(None).await);

    // The address in another browser: also one that began a sign-in of its own.
    let other = Visitor::of(&test);
    assert_eq!(other.get(&back).await.status, 401);
    other.depart(None).await;
    assert_eq!(other.get(&back).await.status, 401);
    assert_eq!(authority.asked("token"), 0, "the code is still the first browser's");
    assert_eq!(olivia.ask(Method::Head, &back, "").await.header("location"), Some("/api/portal/sign-in"), "a scanner's HEAD is none");

    assert_eq!(olivia.get(&back).await.status, 303);
    let again = olivia.get(&back).await;
    assert_eq!(again.status, 401);
    assert!(olivia.is_signed_in().await, "what was good stays good");

    // Nor in a browser that kept the attempt's cookie.
    let kept = Visitor::of(&test);
    let back = authority.sign_in(&kept.depart(None).await);
    let cookie = kept.cookies.borrow()[ATTEMPT].clone();
    assert_eq!(kept.get(&back).await.status, 303);
    kept.cookies.borrow_mut().insert(ATTEMPT.into(), cookie);
    let asked = authority.asked("token");
    assert_eq!((kept.get(&back).await.status, authority.asked("token")), (401, asked));

    let late = Visitor::of(&test);
    let back = authority.sign_in(&late.depart(Some("/api/portal/audit?after=x")).await);
    test.clock.advance(Duration::minutes(10));
    let page = browser::text(&late.get(&back).await);
    assert!(page.contains("ten minutes") && page.contains("sign-in?next=%2Fapi%2Fportal%2Faudit%3Fafter%3Dx"), "{page}");
    for nothing in ["portal/signed-in", "portal/signed-in?state=&code=x", "portal/signed-in?code=x&state=invented"] {
        assert_eq!(late.get(nothing).await.status, 401, "{nothing}");
    }
    let mut counted = refusals(&test).await;
    counted.sort();
    // What no sign-in of the browser's own belongs to is not counted.
    assert_eq!(counted, [("took-too-long".to_owned(), 1), ("unknown-state".into(), 2)]);

    assert_eq!(sessions(&test).await, 2);
    assert_eq!(assay::web::entra::drop_expired(test.app(), "sweep").await.unwrap(), 2, "whose time is over");
    assert_eq!(assay::web::entra::drop_expired(test.app(), "sweep").await.unwrap(), 0);
}

#[tokio::test]
async fn a_state_that_was_refused_is_spent_and_of_two_at_once_one_redeems_the_code() {
    let test = installation();
    let authority = Authority::of(&test);
    let olivia = Visitor::of(&test);
    for (twist, answered) in [("code", 1), ("nonce", 2)] {
        let mut back = authority.sign_in(&olivia.depart(None).await);
        if twist == "nonce" {
            authority.claim("nonce", json!("another"));
        } else {
            back = back.replace("code=", "code=invented-");
        }
        let cookie = olivia.cookies.borrow()[ATTEMPT].clone();
        for again in [false, true] {
            olivia.cookies.borrow_mut().insert(ATTEMPT.into(), cookie.clone());
            let reply = olivia.get(&back).await;
            assert_eq!((reply.status, authority.asked("token")), (401, answered), "{twist}");
            assert_eq!(browser::text(&reply).contains("finished before"), again, "{twist}");
        }
    }

    let test = installation();
    let authority = Authority::of(&test);
    let calls = {
        let olivia = Visitor::signed_in(&test, &authority).await;
        let back = authority.sign_in(&olivia.depart(None).await);
        test.faults.mend();
        assert_eq!(olivia.get(&back).await.status, 303);
        test.faults.calls()
    };
    let olivia = Visitor::signed_in(&test, &authority).await;
    let back = authority.sign_in(&olivia.depart(None).await);
    let again = Visitor::of(&test);
    again.cookies.borrow_mut().clone_from(&olivia.cookies.borrow());
    let asked = authority.asked("token");
    let hold = test.faults.hold_at(calls.iter().position(|call| *call == "http.send").unwrap());
    let (first, second) = tokio::join!(olivia.get(&back), async {
        hold.reached().await;
        let second = again.get(&back).await;
        hold.let_go();
        second
    });
    assert_eq!((first.status, second.status, authority.asked("token")), (303, 401, asked + 1));
}

#[tokio::test]
async fn the_session_that_a_browser_had_may_end_while_it_signs_in_again() {
    let test = installation();
    let authority = Authority::of(&test);
    let olivia = Visitor::signed_in(&test, &authority).await;
    let back = authority.sign_in(&olivia.depart(None).await);
    test.faults.mend();
    assert_eq!(olivia.get(&back).await.status, 303);
    let signs_in = test.faults.calls().iter().rposition(|call| *call == "documents.batch").unwrap();

    let back = authority.sign_in(&olivia.depart(None).await);
    let tab = Visitor::of(&test);
    tab.cookies.borrow_mut().clone_from(&olivia.cookies.borrow());
    let hold = test.faults.hold_at(signs_in);
    let (arrived, out) = tokio::join!(olivia.get(&back), async {
        hold.reached().await;
        let out = tab.press("portal/clients", "portal/sign-out", &[]).await;
        hold.let_go();
        out
    });
    assert!(hold.struck() && out.status == 303);
    assert_eq!(arrived.status, 303, "{}", browser::text(&arrived));
    assert!(olivia.is_signed_in().await);
    assert_eq!(sessions(&test).await, 1);
    let ended = ["session.signed-in", "session.ended", "session.signed-in", "session.signed-out", "session.signed-in"];
    assert_eq!(said(&test, "session.").await, ended);
}

#[tokio::test]
async fn who_began_no_sign_in_here_is_answered_and_the_store_hears_nothing() {
    let test = installation();
    let authority = Authority::of(&test);
    Visitor::signed_in(&test, &authority).await;
    test.faults.mend();
    let stranger = Visitor::of(&test);
    for cookie in [None, Some("invented"), Some("")] {
        if let Some(cookie) = cookie {
            stranger.cookies.borrow_mut().insert(ATTEMPT.into(), cookie.into());
        }
        let reply = stranger.get("portal/signed-in?code=x&state=y").await;
        assert!(reply.status == 401 && browser::text(&reply).contains("Sign in</a>"));
    }
    assert_eq!(test.faults.calls(), [""; 0]);
    // An attempt of its own, and another's address: that is counted.
    stranger.depart(None).await;
    assert_eq!(stranger.get("portal/signed-in?code=x&state=y").await.status, 401);
    assert_eq!(refusals(&test).await, [("unknown-state".to_owned(), 1)]);
}

#[tokio::test]
async fn what_the_authority_does_wrong_signs_nobody_in_and_says_what_to_do() {
    let outage = || Err(PortError::new("stub", PortErrorKind::Unavailable));
    let elsewhere = {
        let mut document = discovery();
        document["jwks_uri"] = json!("https://evil.example/keys");
        document
    };
    let answers = [
        ("discovery", outage(), 503, "authority-unavailable"),
        ("discovery", Ok(response(500, &[], "")), 503, "authority-unavailable"),
        ("discovery", Ok(response(200, &[], "<html>")), 503, "authority-unavailable"),
        ("discovery", Ok(json_answer(200, &elsewhere)), 503, "authority-unavailable"),
        // The code was taken by then.
        ("keys", outage(), 503, "authority-unavailable"),
        ("keys", Ok(json_answer(200, &json!({ "keys": [] }))), 503, "authority-unavailable"),
        ("token", outage(), 503, "authority-unavailable"),
        ("token", Ok(response(503, &[], "")), 503, "authority-unavailable"),
        ("token", Ok(response(429, &[("retry-after", "5")], "")), 503, "authority-unavailable"),
        ("token", Ok(response(200, &[], "{}")), 503, "authority-unavailable"),
        ("token", Ok(json_answer(200, &json!({ "id_token": "x.y" }))), 401, "token-malformed"),
        ("token", Ok(json_answer(400, &json!({ "error": "invalid_grant", "error_description": "hush" }))), 401, "code-refused"),
        ("token", Ok(response(400, &[], "<html>hush")), 401, "code-refused"),
        ("token", Ok(json_answer(401, &json!({ "error": "invalid_client" }))), 503, "credential-refused"),
        ("token", Ok(json_answer(400, &json!({ "error": "invalid_request", "error_codes": [700_213] }))), 503, "credential-refused"),
        ("token", Ok(json_answer(400, &json!({ "error": "invalid_request", "error_codes": [50_011] }))), 503, "address-refused"),
    ];
    for (endpoint, answer, status, reason) in answers {
        let test = installation();
        let authority = Authority::of(&test);
        let olivia = Visitor::of(&test);
        if endpoint == "discovery" {
            authority.break_down(endpoint, Some(answer));
            let reply = olivia.post("portal/sign-in", &[]).await;
            assert_eq!(reply.status, status);
            assert_eq!(refusals(&test).await, [(reason.to_owned(), 1)]);
            continue;
        }
        let back = authority.sign_in(&olivia.depart(Some("/api/portal/inbox")).await);
        let goes_on = endpoint == "token" && reason == "authority-unavailable" && !answer.as_ref().is_ok_and(|answer| answer.status == 200);
        authority.break_down(endpoint, Some(answer));
        let reply = olivia.get(&back).await;
        assert_eq!(reply.status, status, "{endpoint} {reason}");
        let page = browser::text(&reply);
        assert!(!page.contains("hush") && page.contains("sign-in?next=%2Fapi%2Fportal%2Finbox"), "{page}");
        assert!(goes_on == page.contains("in a minute") && (reason != "address-refused" || page.contains("ASSAY_PUBLIC_URL")), "{page}");
        assert_eq!(refusals(&test).await, [(reason.to_owned(), 1)]);
        assert_eq!(sessions(&test).await, 0);
        authority.break_down(endpoint, None);
        // What could not be asked can be asked again by the same address; the rest begins anew.
        let reply = olivia.get(&back).await;
        assert_eq!(reply.status == 303, goes_on, "{endpoint} {reason}");
        assert_eq!(olivia.sign_in(&authority).await.status, 303);
    }
    let test = installation();
    let authority = Authority::of(&test);
    std::fs::remove_file(test.folder().join("vault/secrets/assay-sign-in")).unwrap();
    let reply = Visitor::of(&test).sign_in(&authority).await;
    assert!(reply.status == 503 && browser::text(&reply).contains("ASSAY_ENTRA_CREDENTIAL"));
    let olivia = Visitor::of(&test);
    let state = authority.sign_in(&olivia.depart(None).await).split_once("state=").unwrap().1.split('&').next().unwrap().to_owned();
    let declined = olivia.get(&format!("portal/signed-in?state={state}&error=access_denied&error_description=%3Cscript%3Ehush")).await;
    assert!(declined.status == 401 && !browser::text(&declined).contains("hush"));
}

#[tokio::test]
async fn no_address_leads_elsewhere_after_sign_in() {
    let test = installation();
    let authority = Authority::of(&test);
    for (next, leads) in [
        ("/api/portal/inbox", "/api/portal/inbox"),
        ("https://evil.example/api/portal/inbox", "/api/portal/clients"),
        ("//evil.example/api/portal/inbox", "/api/portal/clients"),
        ("/api/portal/../../evil", "/api/portal/clients"),
        ("/api/portal/signed-in?code=x&state=y", "/api/portal/clients"),
        ("/api/portal/sign-out", "/api/portal/clients"),
        ("javascript:alert(1)", "/api/portal/clients"),
    ] {
        let visitor = Visitor::of(&test);
        let back = authority.sign_in(&visitor.depart(Some(next)).await);
        // Nor does what the address itself says.
        let arrived = visitor.get(&format!("{back}&next=https%3A%2F%2Fevil.example")).await;
        assert_eq!(arrived.header("location"), Some(leads), "{next}");
    }
}

#[tokio::test]
async fn nothing_but_our_own_cookie_signs_anybody_in() {
    let test = installation();
    let authority = Authority::of(&test);
    Visitor::signed_in(&test, &authority).await;
    let mut forged = Visitor::of(&test);
    forged.headers = [
        ("x-ms-client-principal", "eyJhdXRoX3R5cCI6ImFhZCJ9"),
        ("x-ms-client-principal-id", OLIVIA),
        ("x-ms-client-principal-name", "olivia@northgate.example"),
        ("x-ms-token-aad-id-token", "eyJhbGciOiJub25lIn0.e30."),
        ("authorization", "Bearer eyJhbGciOiJub25lIn0.e30."),
        ("x-forwarded-host", "assay.example.net"),
        ("x-forwarded-proto", "http"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .to_vec();
    assert!(!forged.is_signed_in().await);
    // Secure by configuration: what the request says of its scheme changes nothing (the visitor looks at each cookie).
    forged.depart(None).await;
    assert!(forged.cookies.borrow().contains_key(ATTEMPT));

    // A form of another site begins nothing.
    forged.headers = vec![("sec-fetch-site".into(), "cross-site".into())];
    assert_eq!(forged.post("portal/sign-in", &[]).await.status, 403);
}

#[tokio::test]
async fn an_hour_of_silence_or_eight_hours_end_the_sign_in_and_looking_at_pages_writes_nothing() {
    let test = installation();
    let authority = Authority::of(&test);
    let olivia = Visitor::signed_in(&test, &authority).await;
    test.clock.advance(Duration::minutes(4));
    let first = olivia.cookies.borrow()[SESSION].clone();
    assert!(olivia.is_signed_in().await);
    assert_eq!(olivia.cookies.borrow()[SESSION], first, "within five minutes it is not given anew");
    test.faults.mend();
    for _ in 0..8 {
        test.clock.advance(Duration::minutes(55));
        assert!(olivia.is_signed_in().await, "who goes on stays");
    }
    assert!(!test.faults.calls().contains(&"documents.batch"), "{:?}", test.faults.calls());
    // Nobody gives an old cookie a newer time.
    let [token, _, mac] = first.split('.').collect::<Vec<_>>()[..] else { panic!("{first}") };
    let forged = format!("{token}.{}.{mac}", test.app().now().unix_timestamp());
    for old in [first.as_str(), &forged, token] {
        let thief = Visitor::of(&test);
        thief.cookies.borrow_mut().insert(SESSION.into(), old.into());
        assert!(!thief.is_signed_in().await, "{old}");
    }
    test.clock.advance(Duration::minutes(40));
    assert!(!olivia.is_signed_in().await, "eight hours are over");

    let priya = Visitor::signed_in(&test, &authority).await;
    test.clock.advance(Duration::minutes(60));
    assert!(!priya.is_signed_in().await, "an hour of silence");
}

#[tokio::test]
async fn any_number_may_begin_and_it_costs_the_store_nothing() {
    let test = installation();
    let authority = Authority::of(&test);
    let olivia = Visitor::of(&test);
    let back = authority.sign_in(&olivia.depart(None).await);
    test.faults.mend();
    for _ in 0..500 {
        Visitor::of(&test).depart(None).await;
    }
    assert!(!test.faults.calls().contains(&"documents.batch"), "{:?}", test.faults.calls());
    assert_eq!(olivia.get(&back).await.status, 303);
}

/// Stopped at any port call, before it or with its answer lost: whoever begins again is signed in, once known, and never
/// without its audit items.
#[tokio::test]
async fn a_sign_in_stopped_at_any_call_can_be_begun_again() {
    let calls = {
        let test = installation();
        let authority = Authority::of(&test);
        test.faults.mend();
        Visitor::signed_in(&test, &authority).await;
        test.faults.count()
    };
    assert!(calls > 10, "{calls} calls");
    for call in 0..calls {
        for (fault, dies) in [Fault::BeforeEffect, Fault::AnswerLost].into_iter().flat_map(|fault| [(fault, true), (fault, false)]) {
            let mut test = installation();
            let authority = Authority::of(&test);
            if dies {
                test.faults.stop_at(call, fault);
            } else {
                test.faults.fail_at(call, fault);
            }
            let olivia = Visitor::of(&test);
            let begun = olivia.post("portal/sign-in", &[]).await;
            if begun.status == 200 {
                let back = authority.sign_in(&browser::leads_on_to(&begun));
                let reply = olivia.get(&back).await;
                assert_ne!(reply.status, 500, "call {call}");
            }
            assert!(test.faults.struck(), "call {call}");
            drop(olivia);
            test.faults.mend();
            if dies {
                test.restart();
            }
            let authority = Authority::of(&test);
            Visitor::signed_in(&test, &authority).await;
            let people: Vec<Person> = all(&test, DeploymentPlace::Directory).await;
            assert_eq!(people.len(), 1, "call {call} {fault:?}");
            assert_eq!(said(&test, "person.").await, ["person.added"], "call {call} {fault:?}");
            let signed_in = said(&test, "session.").await;
            assert_eq!(
                signed_in.iter().filter(|kind| *kind == "session.signed-in").count(),
                sessions(&test).await,
                "call {call} {fault:?}"
            );
        }
    }
}

#[tokio::test]
async fn whom_nobody_let_in_is_told_so_and_has_no_session() {
    let test = installation();
    let authority = Authority::of(&test);
    authority.claim("oid", json!(PRIYA));
    authority.claim("name", json!("Priya Nair"));
    let priya = Visitor::of(&test);
    let reply = priya.sign_in(&authority).await;
    assert_eq!(reply.status, 403);
    assert!(browser::text(&reply).contains("nobody has let you in"), "{}", browser::text(&reply));
    assert_eq!((sessions(&test).await, priya.is_signed_in().await), (0, false));
    assert_eq!(refusals(&test).await, [("not-let-in".to_owned(), 1)]);
    assert_eq!(said(&test, "person.").await, ["person.asked"]);
    // The e-mail address of the owner is not the owner.
    authority.claim("preferred_username", json!("olivia@northgate.example"));
    authority.claim("email", json!("olivia@northgate.example"));
    assert_eq!(Visitor::of(&test).sign_in(&authority).await.status, 403);
    // Nor is the same object id in another directory: that directory may not even ask.
}

#[tokio::test]
async fn in_azure_a_managed_identity_stands_for_the_apps_secret() {
    let store = cosmos::settings(&[("ASSAY_DEPLOYMENT_KEY", DEPLOYMENT_KEY), ("ASSAY_ENTRA_CREDENTIAL", "managed-identity")]);
    let store = store.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let settings: Vec<_> = SETTINGS.iter().copied().filter(|(name, _)| *name != "ASSAY_ENTRA_CREDENTIAL").chain(store).collect();
    let test = TestApp::on_azure_with(&settings).await;
    let authority = Authority::of(&test);
    let olivia = Visitor::of(&test);
    assert_eq!(olivia.sign_in(&authority).await.status, 303);
    assert!(olivia.is_signed_in().await);
}
