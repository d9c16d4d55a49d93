//! Who comes in: people ask, an owner lets them in or turns them away, and takes access away again.

use assay::{
    audit::item::Item,
    tenancy::{
        DeploymentPlace, DeploymentScope, Record,
        directory::{Grant, Identity, Ownership, Person, Role, Session, Standing, Tenant},
        keys::{self, Owner},
    },
    web::{
        Reply,
        entra::{access, let_in},
    },
};
use serde_json::json;
use time::Duration;

use crate::support::{
    TestApp,
    authority::{Authority, HOME, LOGIN, OLIVIA, PARTNER, PRIYA, SETTINGS},
    browser::{hidden_of, text},
    faults::Fault,
    meeting,
    visitor::Visitor,
};

pub(super) const SAM: &str = "0c0c0c0c-0b0b-4c0c-8d0d-0e0e0e0e0e0e";

pub(super) async fn all<T: Record>(test: &TestApp, place: DeploymentPlace) -> Vec<T> {
    let store = DeploymentScope::of_function("test", "c").store(test.app()).await.unwrap();
    store.all::<T>(place, "").await.unwrap().into_iter().map(|held| held.value).collect()
}

/// What the directory's audit items of this beginning say happened, in order.
pub(super) async fn said(test: &TestApp, of: &str) -> Vec<String> {
    let items = all::<Item>(test, DeploymentPlace::Directory).await;
    items.into_iter().map(|item| item.kind).filter(|kind| kind.starts_with(of)).collect()
}

/// From now on the authority vouches for this one.
pub(super) fn is(authority: &Authority, oid: &str, name: &str) {
    authority.claim("oid", json!(oid));
    authority.claim("name", json!(name));
    authority.claim("preferred_username", json!(format!("{}@northgate.example", name.split(' ').next().unwrap().to_lowercase())));
}

pub(super) fn id_of(oid: &str) -> String {
    Identity { tid: HOME.parse().unwrap(), oid: oid.parse().unwrap() }.person().to_string()
}

/// Olivia is signed in, and Priya has asked.
pub(super) async fn asked(test: &TestApp) -> (std::sync::Arc<Authority>, Visitor<'_>) {
    let authority = Authority::of(test);
    let olivia = Visitor::signed_in(test, &authority).await;
    is(&authority, PRIYA, "Priya Nair");
    assert_eq!(Visitor::of(test).sign_in(&authority).await.status, 403);
    (authority, olivia)
}

pub(super) async fn follow(visitor: &Visitor<'_>, reply: &Reply) -> String {
    assert_eq!(reply.status, 303, "{}", text(reply));
    text(&visitor.get(reply.header("location").unwrap().strip_prefix("/api/").unwrap()).await)
}

#[tokio::test]
async fn an_owner_lets_somebody_in_under_the_name_and_address_they_write_down() {
    let test = TestApp::with(SETTINGS);
    let (authority, olivia) = asked(&test).await;
    assert!(text(&olivia.get("portal/clients").await).contains("1 person asks to be let in"));
    let page = text(&olivia.get("portal/people").await);
    assert!(!page.contains("it was taken away") && !page.contains("ASSAY_ENTRA_OWNER"), "{page}");
    assert!(page.contains("value=\"Priya Nair\"") && page.contains("value=\"priya@northgate.example\""), "{page}");

    let action = format!("portal/people/{}/let-in", id_of(PRIYA));
    let wrong = olivia.press("portal/people", &action, &[("name", ""), ("email", "priya@northgate.example\r\nBcc: x@y")]).await;
    assert_eq!(wrong.status, 422);
    assert!(text(&wrong).contains("Nobody was let in yet"));
    let form = hidden_of(&olivia.get("portal/people").await, &action);
    let form: Vec<(&str, &str)> = form.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let form = [form.as_slice(), &[("name", "Priya Nair"), ("email", "priya.nair@northgate.example"), ("operates", "yes")]].concat();
    let done = olivia.post(&action, &form).await;
    assert!(follow(&olivia, &done).await.contains("Let in. They can sign in now"));
    assert!(follow(&olivia, &olivia.post(&action, &form).await).await.contains("Somebody has answered already"));

    let priya = Visitor::signed_in(&test, &authority).await;
    assert_eq!(priya.get("portal/connections").await.status, 200, "she runs the tools");
    assert_eq!(priya.get("portal/people").await.status, 403, "and says nothing about who comes in");
    let people: Vec<Person> = all(&test, DeploymentPlace::Directory).await;
    let priya = people.iter().find(|person| person.name == "Priya Nair").unwrap();
    assert_eq!((priya.email.as_str(), priya.is_owner, priya.operates), ("priya.nair@northgate.example", false, true));
    assert_eq!(said(&test, "person.").await, ["person.added", "person.asked", "person.added"]);
    assert!(all::<let_in::Asking>(&test, DeploymentPlace::Directory).await.is_empty());
}

#[tokio::test]
async fn who_is_turned_away_does_not_come_back_for_a_week() {
    let test = TestApp::with(SETTINGS);
    let (authority, olivia) = asked(&test).await;
    let action = format!("portal/people/{}/turn-away", id_of(PRIYA));
    let done = olivia.press("portal/people", &action, &[]).await;
    assert!(follow(&olivia, &done).await.contains("Turned away"));
    for _ in 0..2 {
        let reply = Visitor::of(&test).sign_in(&authority).await;
        assert!(reply.status == 403 && text(&reply).contains("did not let you in"), "{}", text(&reply));
        let page = text(&olivia.get("portal/people").await);
        assert!(page.contains("Nobody asks") && page.contains("Let in after all"), "{page}");
    }
    assert_eq!(said(&test, "person.").await, ["person.added", "person.asked", "person.turned_away"]);
    test.clock.advance(Duration::days(7));
    assert_eq!(let_in::drop_expired(test.app(), "sweep").await.unwrap(), 1);
    assert_eq!(Visitor::of(&test).sign_in(&authority).await.status, 403);
    is(&authority, OLIVIA, "Olivia Hart");
    let olivia = Visitor::signed_in(&test, &authority).await;
    assert!(text(&olivia.get("portal/people").await).contains("Priya Nair"), "then they may ask again");
}

#[tokio::test]
async fn who_was_turned_away_can_be_let_in_after_all() {
    let test = TestApp::with(SETTINGS);
    let (authority, olivia) = asked(&test).await;
    olivia.press("portal/people", &format!("portal/people/{}/turn-away", id_of(PRIYA)), &[]).await;
    let typed = [("name", "Priya Nair"), ("email", "priya@northgate.example")];
    let done = olivia.press("portal/people", &format!("portal/people/{}/let-in", id_of(PRIYA)), &typed).await;
    assert!(follow(&olivia, &done).await.contains("Let in. They can sign in now"));
    Visitor::signed_in(&test, &authority).await;
}

#[tokio::test]
async fn a_request_that_is_left_over_takes_nothing_from_who_has_access_by_now() {
    let test = TestApp::with(SETTINGS);
    let (authority, olivia) = asked(&test).await;
    let store = DeploymentScope::of_function("test", "c").store(test.app()).await.unwrap();
    let left = store.read::<let_in::Asking>(DeploymentPlace::Directory, &id_of(PRIYA)).await.unwrap().unwrap();
    let typed = [("name", "Priya Nair"), ("email", "priya@northgate.example")];
    let action = format!("portal/people/{}/let-in", id_of(PRIYA));
    let form = hidden_of(&olivia.get("portal/people").await, &action);
    olivia.press("portal/people", &action, &typed).await;
    let priya = Visitor::signed_in(&test, &authority).await;
    let client = grant_of_many_clients(&test, &id_of(PRIYA), 1).await;
    let mut batch = store.batch(DeploymentPlace::Directory);
    batch.create(&left.value);
    batch.commit().await.unwrap();

    let page = text(&olivia.get("portal/people").await);
    assert!(page.contains("Nobody asks") && !page.contains(&action), "{page}");
    let form = form.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let done = olivia.post(&action, &form.chain(typed).collect::<Vec<_>>()).await;
    assert!(follow(&olivia, &done).await.contains("Somebody has answered already"));
    assert_eq!(priya.get(&format!("portal/clients/{}", client.id)).await.status, 200, "session and grant are as they were");
    assert!(all::<let_in::Asking>(&test, DeploymentPlace::Directory).await.is_empty());

    // The sweep takes such a request away when nobody answers it.
    let mut batch = store.batch(DeploymentPlace::Directory);
    batch.create(&left.value);
    batch.commit().await.unwrap();
    assert_eq!(let_in::drop_expired(test.app(), "sweep").await.unwrap(), 1);
    assert!(all::<let_in::Asking>(&test, DeploymentPlace::Directory).await.is_empty());
}

#[tokio::test]
async fn whom_the_settings_make_an_owner_asks_for_nothing_any_more() {
    let mut test = TestApp::with(SETTINGS);
    drop(asked(&test).await);
    let priya_owns: Vec<(&str, &str)> = SETTINGS.iter().copied().filter(|(name, _)| *name != "ASSAY_ENTRA_OWNER").collect();
    test.restart_with(&[priya_owns.as_slice(), &[("ASSAY_ENTRA_OWNER", PRIYA)]].concat());
    let authority = Authority::of(&test);
    is(&authority, PRIYA, "Priya Nair");
    let priya = Visitor::signed_in(&test, &authority).await;
    assert_eq!(priya.get("portal/people").await.status, 200);
    assert!(all::<let_in::Asking>(&test, DeploymentPlace::Directory).await.is_empty());
}

#[tokio::test]
async fn another_organizations_people_cannot_run_the_tools_whatever_they_are_called() {
    let both = format!("{HOME},{PARTNER}");
    let test = TestApp::with(&[SETTINGS, &[("ASSAY_ENTRA_TENANTS", both.as_str())]].concat());
    let authority = Authority::of(&test);
    let olivia = Visitor::signed_in(&test, &authority).await;
    is(&authority, SAM, "Priya Nair");
    authority.claim("tid", json!(PARTNER));
    authority.claim("iss", json!(format!("{LOGIN}/{PARTNER}/v2.0")));
    assert_eq!(Visitor::of(&test).sign_in(&authority).await.status, 403);
    let page = text(&olivia.get("portal/people").await);
    for said in ["another organization", PARTNER, "<code class=\"break\">priya@northgate.example</code>", SAM, "cannot run the MSP"] {
        assert!(page.contains(said), "{said}: {page}");
    }
    assert!(page.contains("From your own directory") && page.contains(OLIVIA) && !page.contains("name=\"operates\""), "{page}");

    let id = Identity { tid: PARTNER.parse().unwrap(), oid: SAM.parse().unwrap() }.person();
    let action = format!("portal/people/{id}/let-in");
    let typed = [("name", "Priya Nair (Partner)"), ("email", "priya@partner.example")];
    let forged = olivia.press("portal/people", &action, &[typed.as_slice(), &[("operates", "yes")]].concat()).await;
    assert!(forged.status == 422 && text(&forged).contains("cannot run the MSP"), "{}", text(&forged));
    assert_eq!(olivia.press("portal/people", &action, &typed).await.status, 303);
    let items = all::<Item>(&test, DeploymentPlace::Directory).await;
    let added = items.iter().rfind(|item| item.kind == "person.added").unwrap();
    assert_eq!((&added.detail["tid"], &added.detail["oid"]), (&json!(PARTNER), &json!(SAM)));
}

#[tokio::test]
async fn fifty_may_ask_at_once_and_no_more() {
    let test = TestApp::with(SETTINGS);
    let authority = Authority::of(&test);
    for n in 0..52 {
        is(&authority, &format!("{n:08}-0b0b-4c0c-8d0d-0e0e0e0e0e0e"), "Somebody Else");
        let reply = Visitor::of(&test).sign_in(&authority).await;
        assert_eq!(reply.status, 403);
        assert_eq!(text(&reply).contains("many others already wait"), n >= 50, "{n}");
    }
    let waiting = all::<let_in::Asking>(&test, DeploymentPlace::Directory).await;
    assert_eq!(waiting.len(), 50);
    // Whom an owner has answered makes room.
    let store = DeploymentScope::of_function("test", "c").store(test.app()).await.unwrap();
    let_in::turn_away(&store, &waiting[0].key()).await.unwrap();
    is(&authority, PRIYA, "Priya Nair");
    assert!(text(&Visitor::of(&test).sign_in(&authority).await).contains("waits under People for a week"));
    // The owner comes in all the same.
    is(&authority, OLIVIA, "Olivia Hart");
    Visitor::signed_in(&test, &authority).await;
}

#[tokio::test]
async fn strangers_of_one_directory_keep_nobody_of_another_out() {
    let both = format!("{HOME},{PARTNER}");
    let test = TestApp::with(&[SETTINGS, &[("ASSAY_ENTRA_TENANTS", both.as_str())]].concat());
    let authority = Authority::of(&test);
    let of = |tid: &str| {
        authority.claim("tid", json!(tid));
        authority.claim("iss", json!(format!("{LOGIN}/{tid}/v2.0")));
    };
    of(PARTNER);
    for n in 0..51 {
        is(&authority, &format!("{n:08}-0b0b-4c0c-8d0d-0e0e0e0e0e0e"), "Somebody Else");
        let reply = Visitor::of(&test).sign_in(&authority).await;
        assert_eq!(text(&reply).contains("many others already wait"), n >= 50, "{n}");
    }
    of(HOME);
    is(&authority, PRIYA, "Priya Nair");
    assert!(text(&Visitor::of(&test).sign_in(&authority).await).contains("waits under People for a week"));
}

#[tokio::test]
async fn what_a_directory_calls_somebody_is_cut_to_what_can_be_kept() {
    let test = TestApp::with(SETTINGS);
    let authority = Authority::of(&test);
    is(&authority, PRIYA, "x");
    authority.claim("name", json!(format!("<b>\r\n\u{202e}\u{61c}\u{200b}  {}", "n".repeat(500))));
    authority.claim("email", json!("\"x\"@y>\r\nBcc: z@z"));
    assert_eq!(Visitor::of(&test).sign_in(&authority).await.status, 403);
    let asking = all::<let_in::Asking>(&test, DeploymentPlace::Directory).await;
    assert_eq!((asking[0].name.chars().count(), asking[0].email.as_str()), (120, ""));
    assert!(asking[0].name.starts_with("<b> nnn"), "{:?}", asking[0].name);
    is(&authority, OLIVIA, "Olivia Hart");
    authority.claim("email", json!(null));
    let olivia = Visitor::signed_in(&test, &authority).await;
    for hidden in ['\u{200b}', '\u{61c}', '\u{202e}', '\u{ad}', '\u{e0041}'] {
        let typed = [("name", format!("Priya{hidden}Nair")), ("email", "priya@northgate.example".into())];
        let typed = typed.each_ref().map(|(name, value)| (*name, value.as_str()));
        assert_eq!(
            olivia.press("portal/people", &format!("portal/people/{}/let-in", id_of(PRIYA)), &typed).await.status,
            422,
            "{hidden:?}"
        );
    }
}

#[tokio::test]
async fn whose_access_is_taken_away_is_out_at_once_without_grants_and_can_be_let_in_again() {
    let test = TestApp::with(SETTINGS);
    let (authority, olivia) = asked(&test).await;
    let typed = [("name", "Priya Nair"), ("email", "priya@northgate.example")];
    olivia.press("portal/people", &format!("portal/people/{}/let-in", id_of(PRIYA)), &typed).await;
    let priya = Visitor::signed_in(&test, &authority).await;
    let client = grant_of_many_clients(&test, &id_of(PRIYA), 200).await;
    assert_eq!(priya.get(&format!("portal/clients/{}", client.id)).await.status, 200);
    // It is another account of Olivia's, an owner says.
    let (page, olivias) = (format!("portal/people/{}", id_of(PRIYA)), id_of(OLIVIA));
    assert_eq!(olivia.press(&page, &page, &[typed.as_slice(), &[("same-as", &olivias)]].concat()).await.status, 303);

    let own = format!("portal/people/{}/end-access", id_of(OLIVIA));
    assert!(!text(&olivia.get("portal/people").await).contains(&own), "nobody takes away their own");
    let action = format!("portal/people/{}/end-access", id_of(PRIYA));
    let forged = olivia.post(&action, &[("token", "forged")]).await;
    assert_eq!(forged.status, 403);
    let done = olivia.press("portal/people", &action, &[]).await;
    let page = follow(&olivia, &done).await;
    assert!(page.contains("Taken away") && page.contains("Who may not sign in any more (1)"), "{page}");
    let former = page.split_once("Who may not sign in any more").unwrap().1;
    assert!(former.contains("priya@northgate.example") && former.contains(PRIYA), "who exactly: {former}");
    assert!(!priya.is_signed_in().await);
    assert!(all::<Grant>(&test, DeploymentPlace::Directory).await.is_empty());
    assert_eq!(all::<Session>(&test, DeploymentPlace::Directory).await.len(), 1, "Olivia's");
    assert!(said(&test, "person.").await.contains(&"person.access_ended".to_owned()));
    assert!(said(&test, "session.").await.contains(&"session.ended".to_owned()));

    // Signing in again only asks, and an owner sees that they were here before.
    assert_eq!(Visitor::of(&test).sign_in(&authority).await.status, 403);
    let page = text(&olivia.get("portal/people").await);
    assert!(page.contains("They had access until") && page.contains("it was taken away"), "{page}");
    assert!(page.contains("another account of Olivia Hart"), "{page}");
    let typed = [("name", "Priya Nair"), ("email", "priya.nair@northgate.example")];
    olivia.press("portal/people", &format!("portal/people/{}/let-in", id_of(PRIYA)), &typed).await;
    let people: Vec<Person> = all(&test, DeploymentPlace::Directory).await;
    let again = people.iter().find(|person| person.id.to_string() == id_of(PRIYA)).unwrap();
    assert_eq!((again.email.as_str(), again.same_as), ("priya.nair@northgate.example", Some(olivias.parse().unwrap())));
    assert!(!priya.is_signed_in().await, "what they had before does not come to life again");
    let back = Visitor::signed_in(&test, &authority).await;
    assert_eq!(back.get(&format!("portal/clients/{}", client.id)).await.status, 404, "nor their grants");
}

/// Interrupted at any call, it is as if nothing had happened, or the sweep ends it.
#[tokio::test]
async fn taking_access_away_that_stops_at_any_call_is_ended_by_the_sweep() {
    for call in 0.. {
        for fault in [Fault::BeforeEffect, Fault::AnswerLost] {
            let test = TestApp::with(SETTINGS);
            let (authority, olivia) = asked(&test).await;
            let typed = [("name", "Priya Nair"), ("email", "priya@northgate.example")];
            olivia.press("portal/people", &format!("portal/people/{}/let-in", id_of(PRIYA)), &typed).await;
            Visitor::signed_in(&test, &authority).await;
            grant_of_many_clients(&test, &id_of(PRIYA), 95).await;
            let store = DeploymentScope::of_function("test", "c").store(test.app()).await.unwrap();
            let (owner, person) = (id_of(OLIVIA).parse().unwrap(), id_of(PRIYA).parse().unwrap());
            test.faults.stop_at(call, fault);
            let _ = access::end(&store, owner, person).await;
            if !test.faults.struck() {
                assert!(call > 5, "{call} calls");
                return;
            }
            test.faults.mend();
            access::finish(test.app(), "sweep").await.unwrap();
            let people: Vec<Person> = all(&test, DeploymentPlace::Directory).await;
            let has_access = people.iter().any(|known| known.id == person && known.has_access());
            let grants = all::<Grant>(&test, DeploymentPlace::Directory).await.len();
            let sessions = all::<Session>(&test, DeploymentPlace::Directory).await.iter().filter(|s| s.person == person).count();
            assert_eq!((grants, sessions), if has_access { (95, 1) } else { (0, 0) }, "call {call} {fault:?}");
            let heard = said(&test, "person.").await;
            assert_eq!(heard.contains(&"person.access_ended".to_owned()), !has_access, "call {call} {fault:?}");
        }
    }
}

/// So many that one batch does not hold them; the first client.
async fn grant_of_many_clients(test: &TestApp, person: &str, clients: usize) -> Tenant {
    let app = test.app();
    let store = DeploymentScope::of_function("test", "c").store(app).await.unwrap();
    let mut first = None;
    for n in 0..clients {
        let tenant = Tenant { id: assay::tenancy::TenantId(app.ids.uuid()), name: format!("Client {n}"), created_at: app.now() };
        let mut batch = store.batch(DeploymentPlace::Directory);
        batch.create(&tenant);
        batch.create(&Grant::of(tenant.id, person.parse().unwrap(), vec![Role::Approver]));
        batch.commit().await.unwrap();
        first.get_or_insert(tenant);
    }
    let first = first.unwrap();
    keys::data_key(app, Owner::Tenant(first.id)).await.unwrap();
    first
}

#[tokio::test]
async fn the_sweep_reads_grants_and_sessions_once_however_many_left() {
    let calls = async |leavers: u128| {
        let test = TestApp::with(SETTINGS);
        let store = DeploymentScope::of_function("test", "c").store(test.app()).await.unwrap();
        let mut batch = store.batch(DeploymentPlace::Directory);
        for n in 1..=leavers {
            batch.create(&Person {
                id: uuid::Uuid::from_u128(n).to_string().parse().unwrap(),
                name: "Sam Okafor".into(),
                email: String::new(),
                is_owner: false,
                operates: false,
                identity: None,
                sign_in_name: None,
                same_as: None,
                access_ended_at: Some(test.app().now()),
                standing: Standing::default(),
            });
        }
        batch.commit().await.unwrap();
        test.faults.mend();
        access::finish(test.app(), "sweep").await.unwrap();
        test.faults.count()
    };
    assert_eq!(calls(1).await, calls(9).await);
}

#[tokio::test]
async fn an_owner_always_remains() {
    let test = TestApp::with(SETTINGS);
    let authority = Authority::of(&test);
    Visitor::signed_in(&test, &authority).await;
    // A setting that names another owner makes one more, also of somebody who is known.
    let (first, second) = (id_of(OLIVIA).parse().unwrap(), id_of(SAM).parse().unwrap());
    let store = DeploymentScope::of_function("test", "c").store(test.app()).await.unwrap();
    let olivia = store.read::<Person>(DeploymentPlace::Directory, &id_of(OLIVIA)).await.unwrap().unwrap().value;
    let mut batch = store.batch(DeploymentPlace::Directory);
    batch.create(&Person { id: second, name: "Sam Okafor".into(), ..olivia });
    batch.commit().await.unwrap();

    let meeting = meeting::two_at_once(test.app());
    let (a, b) = (DeploymentScope::of_function("test", "a"), DeploymentScope::of_function("test", "b"));
    let (a, b) = (a.store(&meeting).await.unwrap(), b.store(&meeting).await.unwrap());
    let (one, other) = tokio::join!(access::end(&a, first, second), access::end(&b, second, first));
    assert_eq!(u8::from(one.is_ok()) + u8::from(other.is_ok()), 1, "of two at once one is refused: {one:?} {other:?}");
    let people: Vec<Person> = all(&test, DeploymentPlace::Directory).await;
    assert_eq!(people.iter().filter(|person| person.is_owner && person.has_access()).count(), 1);
    let left = if one.is_ok() { first } else { second };
    assert!(matches!(access::end(&store, left, left).await, Err(access::AccessError::NotYours)));
    let gone = if left == first { second } else { first };
    assert!(matches!(access::end(&store, gone, left).await, Err(access::AccessError::NotYours)), "who is out says nothing");
}

#[tokio::test]
async fn the_setting_makes_a_known_person_an_owner_and_gives_nobody_back_what_was_taken() {
    let test = TestApp::with(SETTINGS);
    let authority = Authority::of(&test);
    let identity = Identity { tid: HOME.parse().unwrap(), oid: OLIVIA.parse().unwrap() };
    let store = DeploymentScope::of_function("test", "c").store(test.app()).await.unwrap();
    let known = Person {
        id: identity.person(),
        name: "Olivia Hart".into(),
        email: "o.hart@northgate.example".into(),
        is_owner: false,
        operates: false,
        identity: Some(identity),
        sign_in_name: None,
        same_as: None,
        access_ended_at: None,
        standing: Standing::default(),
    };
    let mut batch = store.batch(DeploymentPlace::Directory);
    batch.create(&known);
    batch.commit().await.unwrap();
    let olivia = Visitor::signed_in(&test, &authority).await;
    assert_eq!(olivia.get("portal/people").await.status, 200);
    let mut held = store.read::<Person>(DeploymentPlace::Directory, &known.key()).await.unwrap().unwrap();
    assert_eq!((held.value.is_owner, held.value.email.as_str()), (true, "o.hart@northgate.example"), "the address stays as it was");

    held.value.access_ended_at = Some(test.app().now());
    let mut batch = store.batch(DeploymentPlace::Directory);
    batch.replace(&held);
    batch.commit().await.unwrap();
    assert!(!olivia.is_signed_in().await);
    assert_eq!(Visitor::of(&test).sign_in(&authority).await.status, 403);

    // Another owner who lets them in is told what that makes of them, and so is the log.
    let sam = Identity { tid: HOME.parse().unwrap(), oid: SAM.parse().unwrap() };
    let mut batch = store.batch(DeploymentPlace::Directory);
    let standing = Standing { ownership: Some(Ownership::Settings), ..Standing::default() };
    batch.create(&Person { id: sam.person(), name: "Sam Okafor".into(), is_owner: true, identity: Some(sam), standing, ..known });
    batch.commit().await.unwrap();
    is(&authority, SAM, "Sam Okafor");
    let sam = Visitor::signed_in(&test, &authority).await;
    let page = text(&sam.get("portal/people").await);
    assert!(page.contains("The settings name them as owner") && page.contains("let in, they are an owner"), "{page}");
    let typed = [("name", "Olivia Hart"), ("email", "o.hart@northgate.example")];
    assert_eq!(sam.press("portal/people", &format!("portal/people/{}/let-in", id_of(OLIVIA)), &typed).await.status, 303);
    let items = all::<Item>(&test, DeploymentPlace::Directory).await;
    let added = items.iter().rfind(|item| item.kind == "person.added").unwrap();
    assert_eq!((&added.detail["owner"], &added.detail["oid"]), (&json!(true), &json!(OLIVIA)));
    is(&authority, OLIVIA, "Olivia Hart");
    assert_eq!(Visitor::signed_in(&test, &authority).await.get("portal/people").await.status, 200);
    let added = said(&test, "person.").await.iter().filter(|kind| *kind == "person.added").count();
    assert_eq!(added, 2, "once by the settings, once by Sam");
}

#[tokio::test]
async fn a_person_of_an_earlier_release_is_read_as_one_with_access() {
    let old = json!({ "id": "0192f3a4c5d67e8f9012a3b4c5d6e7f8", "name": "Ada", "email": "ada@example.net", "is_owner": true });
    let person: Person = serde_json::from_value(Person::upgrade(1, old)).unwrap();
    assert!(person.has_access() && person.identity.is_none() && person.runs_the_tools());
}
