//! Those who can sign in, as their owner sees to them: what is written down of somebody is changed, and the owner is told
//! when a newcomer asks to be let in.

use assay::{
    audit::item::Item,
    tenancy::{
        DeploymentPlace, DeploymentScope, PersonId, Roster,
        directory::{Identity, Person},
    },
    triggers::{QueueMessage, Tick, notify, sweep},
    web::entra::{
        access,
        change::{self, Change, ChangeError, Changed},
    },
};
use bytes::Bytes;
use serde_json::json;
use time::Duration;

use super::entra_people::{SAM, all, asked, follow, id_of, is, said};
use crate::support::{
    TestApp,
    authority::{Authority, HOME, LOGIN, OLIVIA, PARTNER, PRIYA, SETTINGS},
    browser::{hidden_of, text},
    faults::Fault,
    flow::mail_files,
    meeting,
    smtp_server::{self, Behaviour, SmtpServer},
    visitor::Visitor,
};

const TYPED: [(&str, &str); 2] = [("name", "Priya Nair"), ("email", "priya@northgate.example")];

/// Priya is let in and runs no tools.
async fn let_in(olivia: &Visitor<'_>) -> String {
    let action = format!("portal/people/{}/let-in", id_of(PRIYA));
    assert_eq!(olivia.press("portal/people", &action, &TYPED).await.status, 303);
    format!("portal/people/{}", id_of(PRIYA))
}

async fn person(test: &TestApp, oid: &str) -> Person {
    let people: Vec<Person> = all(test, DeploymentPlace::Directory).await;
    people.into_iter().find(|person| person.id.to_string() == id_of(oid)).unwrap()
}

/// The fields of a form that was opened, with what is typed into it.
fn form<'f>(hidden: &'f [(String, String)], typed: &[(&'f str, &'f str)]) -> Vec<(&'f str, &'f str)> {
    hidden.iter().map(|(name, value)| (name.as_str(), value.as_str())).chain(typed.iter().copied()).collect()
}

#[tokio::test]
async fn an_owner_changes_name_address_and_tools_of_somebody_who_stays_signed_in() {
    let test = TestApp::with(SETTINGS);
    let (authority, olivia) = asked(&test).await;
    let page = let_in(&olivia).await;
    let priya = Visitor::signed_in(&test, &authority).await;
    assert_eq!(priya.get("portal/connections").await.status, 403);

    assert!(text(&olivia.get("portal/people").await).contains(&format!("href=\"/api/{page}\"")));
    let opened = text(&olivia.get(&page).await);
    for shown in ["value=\"Priya Nair\"", "value=\"priya@northgate.example\"", "From your own directory", PRIYA] {
        assert!(opened.contains(shown), "{shown}: {opened}");
    }
    assert!(!opened.contains("name=\"oid\"") && !opened.contains("value=\"yes\" checked"), "{opened}");
    let hidden = hidden_of(&olivia.get(&page).await, &page);
    let typed =
        [("name", "Priya  Shah"), ("email", "priya.shah@northgate.example"), ("operates", "yes"), ("oid", SAM), ("is_owner", "yes")];
    let done = olivia.post(&page, &form(&hidden, &typed)).await;
    let list = follow(&olivia, &done).await;
    assert!(list.contains("Saved.") && list.contains("Priya Shah") && list.contains("priya.shah@northgate.example"), "{list}");
    assert_eq!(olivia.post(&page, &form(&hidden, &typed)).await.status, 303, "the same form sent twice");

    let changed = person(&test, PRIYA).await;
    assert_eq!((changed.name.as_str(), changed.operates, changed.is_owner), ("Priya Shah", true, false));
    assert_eq!(changed.identity.unwrap().oid.to_string(), PRIYA);
    assert_eq!(priya.get("portal/connections").await.status, 200, "from their next click, without another sign-in");
    let items: Vec<Item> = all(&test, DeploymentPlace::Directory).await;
    let [item] = items.iter().filter(|item| item.kind == "person.changed").collect::<Vec<_>>()[..] else { panic!("once") };
    assert_eq!(
        item.detail["before"],
        json!({ "name": "Priya Nair", "email": "priya@northgate.example", "operates": false, "same_as": null })
    );
    assert_eq!(
        item.detail["after"],
        json!({ "name": "Priya Shah", "email": "priya.shah@northgate.example", "operates": true, "same_as": null })
    );
    assert_eq!((&item.detail["tid"], &item.detail["oid"]), (&json!(HOME), &json!(PRIYA)));

    let fewer = [("name", "Priya Shah"), ("email", "priya.shah@northgate.example")];
    assert_eq!(olivia.press(&page, &page, &fewer).await.status, 303);
    assert_eq!(priya.get("portal/connections").await.status, 403);
    assert!(priya.is_signed_in().await);
}

#[tokio::test]
async fn a_change_that_is_not_in_order_comes_back_as_it_was_typed() {
    let test = TestApp::with(SETTINGS);
    let (_authority, olivia) = asked(&test).await;
    let page = let_in(&olivia).await;
    let typed = [("name", "Priya \u{202e}Nair"), ("email", "priya at northgate"), ("operates", "yes")];
    let wrong = olivia.press(&page, &page, &typed).await;
    let html = text(&wrong);
    assert_eq!(wrong.status, 422);
    for said in ["Nothing was changed yet", "without invisible ones", "Give an e-mail address", "value=\"priya at northgate\"", "checked"] {
        assert!(html.contains(said), "{said}: {html}");
    }
    assert!(html.contains("id=\"email-error\"") && html.contains("href=\"#email\""), "{html}");
    assert_eq!(olivia.post(&page, &form(&hidden_of(&wrong, &page), &TYPED)).await.status, 303, "mended on the page that came back");
    assert!(!said(&test, "person.").await.contains(&"person.changed".to_owned()));
    assert_eq!(olivia.post(&page, &[("token", "forged"), ("name", "x"), ("email", "x@y")]).await.status, 403);
}

#[tokio::test]
async fn of_two_who_change_the_same_person_the_second_is_told_and_keeps_what_they_typed() {
    let test = TestApp::with(SETTINGS);
    let (_authority, olivia) = asked(&test).await;
    let page = let_in(&olivia).await;
    let (first, second) = (hidden_of(&olivia.get(&page).await, &page), hidden_of(&olivia.get(&page).await, &page));
    let shah = [("name", "Priya Shah"), ("email", "priya@northgate.example"), ("operates", "yes")];
    assert_eq!(olivia.post(&page, &form(&first, &shah)).await.status, 303);

    let typed = [("name", "Priya Nair"), ("email", "p.nair@northgate.example")];
    let late = olivia.post(&page, &form(&second, &typed)).await;
    let html = text(&late);
    assert_eq!(late.status, 409, "{html}");
    for said in
        ["Somebody changed this meanwhile", "Priya Shah, priya@northgate.example, runs the tools", "value=\"p.nair@northgate.example\""]
    {
        assert!(html.contains(said), "{said}: {html}");
    }
    assert_eq!(person(&test, PRIYA).await.name, "Priya Shah");
    assert_eq!(olivia.post(&page, &form(&hidden_of(&late, &page), &typed)).await.status, 303);
    let now = person(&test, PRIYA).await;
    assert_eq!((now.name.as_str(), now.email.as_str(), now.operates), ("Priya Nair", "p.nair@northgate.example", false));

    // At the very same moment: one of them.
    let seen = change::fingerprint(&now);
    let meeting = meeting::two_at_once(test.app());
    let (a, b) = (DeploymentScope::of_function("test", "a"), DeploymentScope::of_function("test", "b"));
    let (a, b) = (a.store(&meeting).await.unwrap(), b.store(&meeting).await.unwrap());
    let to = |name, email, operates| Change { seen: &seen, name, email, operates, same_as: "" };
    let (one, other) = tokio::join!(
        change::change(&a, now.id, to("Priya One", "one@northgate.example", false)),
        change::change(&b, now.id, to("Priya Two", "two@northgate.example", true)),
    );
    let overtaken = |outcome: &Result<Changed, ChangeError>| matches!(outcome, Err(ChangeError::Overtaken));
    assert!(one.is_ok() && overtaken(&other) || other.is_ok() && overtaken(&one), "{one:?} {other:?}");
    let changes = said(&test, "person.").await.iter().filter(|kind| *kind == "person.changed").count();
    assert_eq!(changes, 3, "one audit item for each change that happened");
}

#[tokio::test]
async fn accounts_that_only_their_address_joined_stay_one_human_when_one_of_them_gets_another() {
    let test = TestApp::with(SETTINGS);
    let (authority, olivia) = asked(&test).await;
    let_in(&olivia).await;
    is(&authority, SAM, "Priya Admin");
    assert_eq!(Visitor::of(&test).sign_in(&authority).await.status, 403);
    olivia.press("portal/people", &format!("portal/people/{}/let-in", id_of(SAM)), &TYPED).await;
    let page = format!("portal/people/{}", id_of(SAM));
    let typed = [("name", "Priya Admin"), ("email", "priya.admin@northgate.example")];
    let done = olivia.press(&page, &page, &typed).await;
    assert!(follow(&olivia, &done).await.contains("both still count as one human"));
    let (priya, admin) = (person(&test, PRIYA).await, person(&test, SAM).await);
    assert_eq!((admin.email.as_str(), admin.same_as), ("priya.admin@northgate.example", Some(priya.id)));
    let store = DeploymentScope::of_function("test", "c").store(test.app()).await.unwrap();
    let roster = Roster::read(&store).await.unwrap();
    assert_eq!(roster.human(priya.id), roster.human(admin.id));
    let items = all::<Item>(&test, DeploymentPlace::Directory).await;
    let changed = items.iter().rfind(|item| item.kind == "person.changed").unwrap();
    assert_eq!((&changed.detail["before"]["same_as"], &changed.detail["after"]["same_as"]), (&json!(null), &json!(priya.id)));
    // An owner who says that they are two is believed.
    assert_eq!(olivia.press(&page, &page, &[typed.as_slice(), &[("same-as", "")]].concat()).await.status, 303);
    assert_eq!(person(&test, SAM).await.same_as, None);
}

#[tokio::test]
async fn an_owner_stays_one_and_nobody_else_changes_anybody() {
    let test = TestApp::with(SETTINGS);
    let (authority, olivia) = asked(&test).await;
    let priya_page = let_in(&olivia).await;
    let own = format!("portal/people/{}", id_of(OLIVIA));
    let opened = text(&olivia.get(&own).await);
    assert!(opened.contains("You are an owner") && !opened.contains("name=\"operates\""), "{opened}");
    let typed = [("name", "Olivia Hart-Reyes"), ("email", "olivia@northgate.example"), ("is_owner", ""), ("operates", "")];
    assert_eq!(olivia.press(&own, &own, &typed).await.status, 303);
    let owner = person(&test, OLIVIA).await;
    assert!(owner.is_owner && owner.runs_the_tools() && owner.name == "Olivia Hart-Reyes");
    assert!(text(&olivia.get("portal/people").await).contains("Olivia Hart-Reyes · Owner"));

    let priya = Visitor::signed_in(&test, &authority).await;
    for page in [&priya_page, &own] {
        assert_eq!(priya.get(page).await.status, 403);
        assert_eq!(priya.post(page, &TYPED).await.status, 403);
    }
    assert_eq!(olivia.get(&format!("portal/people/{}", id_of(SAM))).await.status, 404);

    // The form was open when access was taken away.
    let hidden = hidden_of(&olivia.get(&priya_page).await, &priya_page);
    let store = DeploymentScope::of_function("test", "c").store(test.app()).await.unwrap();
    access::end(&store, owner.id, id_of(PRIYA).parse().unwrap()).await.unwrap();
    let late = olivia.post(&priya_page, &form(&hidden, &[("name", "Priya"), ("email", "p@x.example"), ("operates", "yes")])).await;
    assert!(follow(&olivia, &late).await.contains("They have no access any more"));
    assert_eq!(olivia.get(&priya_page).await.status, 404);
    let priya = person(&test, PRIYA).await;
    assert!(priya.name == "Priya Nair" && !priya.operates && !priya.has_access());
}

/// Olivia is signed in, and Sam of another organization has asked under Priya's name; Sam's id.
async fn asked_from_elsewhere(test: &TestApp) -> (std::sync::Arc<Authority>, Visitor<'_>, PersonId) {
    let authority = Authority::of(test);
    let olivia = Visitor::signed_in(test, &authority).await;
    is(&authority, SAM, "Priya Nair");
    authority.claim("tid", json!(PARTNER));
    authority.claim("iss", json!(format!("{LOGIN}/{PARTNER}/v2.0")));
    assert_eq!(Visitor::of(test).sign_in(&authority).await.status, 403);
    (authority, olivia, Identity { tid: PARTNER.parse().unwrap(), oid: SAM.parse().unwrap() }.person())
}

#[tokio::test]
async fn another_organizations_people_are_not_made_to_run_the_tools_later_either() {
    let both = format!("{HOME},{PARTNER}");
    let test = TestApp::with(&[SETTINGS, &[("ASSAY_ENTRA_TENANTS", both.as_str())]].concat());
    let (_authority, olivia, sam) = asked_from_elsewhere(&test).await;
    assert_eq!(olivia.press("portal/people", &format!("portal/people/{sam}/let-in"), &TYPED).await.status, 303);
    let page = format!("portal/people/{sam}");
    let opened = text(&olivia.get(&page).await);
    assert!(opened.contains("another organization") && !opened.contains("name=\"operates\""), "{opened}");
    let forged = olivia.press(&page, &page, &[TYPED.as_slice(), &[("operates", "yes")]].concat()).await;
    assert!(forged.status == 422 && text(&forged).contains("cannot run the MSP"), "{}", text(&forged));
    assert_eq!(olivia.press(&page, &page, &[("name", "Sam Okafor"), ("email", "sam@partner.example")]).await.status, 303);
}

#[tokio::test]
async fn a_guest_is_called_one_and_is_never_one_of_the_msps_own() {
    let test = TestApp::with(&[SETTINGS, &[("ASSAY_ENTRA_GUESTS", "allow")]].concat());
    let authority = Authority::of(&test);
    let olivia = Visitor::signed_in(&test, &authority).await;
    is(&authority, SAM, "Priya Nair");
    authority.claim("acct", json!(1));
    assert_eq!(Visitor::of(&test).sign_in(&authority).await.status, 403);
    deliver(&test).await;
    let mails = mail_files(test.folder(), "people/");
    assert!(mails[0].1.contains("A guest in your own directory asks") && !mails[0].1.contains("Priya"), "{}", mails[0].1);

    let asks = text(&olivia.get("portal/people").await);
    for said in ["A <strong>guest</strong> in your own directory", "cannot run the MSP", "say on their page that both are the same human"] {
        assert!(asks.contains(said), "{said}: {asks}");
    }
    assert!(!asks.contains("name=\"operates\""), "{asks}");
    let operates = [TYPED.as_slice(), &[("operates", "yes")]].concat();
    let action = format!("portal/people/{}/let-in", id_of(SAM));
    assert_eq!(olivia.press("portal/people", &action, &operates).await.status, 422);
    assert_eq!(olivia.press("portal/people", &action, &TYPED).await.status, 303);
    assert!(person(&test, SAM).await.standing.is_guest);
    let page = format!("portal/people/{}", id_of(SAM));
    let opened = text(&olivia.get(&page).await);
    assert!(opened.contains("A <strong>guest</strong>") && !opened.contains("name=\"operates\""), "{opened}");
    assert_eq!(olivia.press(&page, &page, &operates).await.status, 422);
}

#[tokio::test]
async fn every_page_of_an_owner_says_how_many_ask_and_costs_nobody_else_a_read() {
    let test = TestApp::with(SETTINGS);
    let (authority, olivia) = asked(&test).await;
    let asks = |html: &str| html.contains("People <span class=\"nowrap\">(1<span class=\"hide\"> waiting</span>)</span>");
    for page in ["portal/inbox", "portal/clients", "portal/audit", "portal/people", "portal/nowhere"] {
        assert!(asks(&text(&olivia.get(page).await)), "{page}");
    }
    assert!(text(&olivia.get("portal/clients").await).contains("1 person asks to be let in"));
    let_in(&olivia).await;
    assert!(!asks(&text(&olivia.get("portal/inbox").await)));
    assert!(text(&olivia.get("portal/people").await).contains("aria-current=\"page\">People</a>"));

    let priya = Visitor::signed_in(&test, &authority).await;
    is(&authority, SAM, "Sam Okafor");
    assert_eq!(Visitor::of(&test).sign_in(&authority).await.status, 403);
    let calls = async |visitor: &Visitor<'_>| {
        test.faults.mend();
        let html = text(&visitor.get("portal/inbox").await);
        (asks(&html), html.contains("/api/portal/people\""), test.faults.count())
    };
    let (told, may_look, least) = calls(&priya).await;
    assert!(!told && !may_look);
    assert_eq!(calls(&olivia).await, (true, true, least + 1), "one query");
}

/// Everything that waits for `notify`, delivered twice.
async fn deliver(test: &TestApp) -> usize {
    let waiting: Vec<Bytes> = test.queue.bodies("notify");
    for body in waiting.iter().chain(&waiting) {
        notify::run(QueueMessage { body: body.clone(), invocation_id: "notify".into() }, test.app()).await.unwrap();
    }
    waiting.len()
}

#[tokio::test]
async fn an_owner_is_mailed_once_about_each_request() {
    let test = TestApp::with(SETTINGS);
    let (authority, olivia) = asked(&test).await;
    for _ in 0..2 {
        assert_eq!(Visitor::of(&test).sign_in(&authority).await.status, 403, "who comes back asks nothing new");
    }
    assert_eq!(deliver(&test).await, 1);
    let mails = mail_files(test.folder(), "people/");
    let [(name, mail)] = mails.as_slice() else { panic!("{mails:?}") };
    assert!(name.ends_with(&format!("-{}.eml", id_of(OLIVIA))), "{name}");
    for said in [
        "To: \"Olivia Hart\"",
        "<olivia@northgate.example>",
        "Subject: Assay: Priya Nair asks to be let in, answer by",
        "Directory: your own",
        "https://assay.example.net/api/portal/people\r\n",
        "nobody comes in before an owner says so",
    ] {
        assert!(mail.contains(said), "{said}: {mail}");
    }
    assert!(!mail.contains("priya@northgate.example"), "{mail}");

    // Turned away, and a week later they ask again: another request.
    olivia.press("portal/people", &format!("portal/people/{}/turn-away", id_of(PRIYA)), &[]).await;
    test.clock.advance(Duration::days(7));
    assert_eq!(Visitor::of(&test).sign_in(&authority).await.status, 403);
    deliver(&test).await;
    assert_eq!(mail_files(test.folder(), "people/").len(), 2);
}

#[tokio::test]
async fn nobody_is_mailed_about_what_was_answered_or_where_no_mails_are_sent() {
    let test = TestApp::with(SETTINGS);
    let (_authority, olivia) = asked(&test).await;
    let_in(&olivia).await;
    assert_eq!(deliver(&test).await, 1);
    assert!(mail_files(test.folder(), "people/").is_empty());

    let test = TestApp::with(&[SETTINGS, &[("ASSAY_MAIL", "none")]].concat());
    drop(asked(&test).await);
    assert_eq!(deliver(&test).await, 0);
}

#[tokio::test]
async fn a_request_whose_message_cannot_be_sent_stands_and_the_sweep_sends_it() {
    // What Priya comes back with is the last thing that happens, with or without the fault.
    let comes_back = async |broken: Option<usize>| {
        let test = TestApp::with(SETTINGS);
        let authority = Authority::of(&test);
        Visitor::signed_in(&test, &authority).await;
        is(&authority, PRIYA, "Priya Nair");
        let priya = Visitor::of(&test);
        let back = authority.sign_in(&priya.depart(None).await);
        match broken {
            Some(call) => test.faults.fail_at(call, Fault::BeforeEffect),
            None => test.faults.mend(),
        }
        let said = text(&priya.get(&back).await);
        assert!(said.contains("waits under People"), "{said}");
        let sends = test.faults.calls().iter().position(|call| *call == "queue.send").unwrap();
        drop(priya);
        (test, sends)
    };
    let (_, sends) = comes_back(None).await;
    let (test, _) = comes_back(Some(sends)).await;
    test.faults.mend();
    assert!(test.queue.bodies("notify").is_empty());
    Box::pin(sweep::run(Tick { past_due: false, invocation_id: "sweep".into() }, test.app())).await.unwrap();
    assert_eq!(deliver(&test).await, 1);
    assert_eq!(mail_files(test.folder(), "people/").len(), 1);
}

#[tokio::test]
async fn what_another_organization_calls_its_people_stands_in_no_mail() {
    let both = format!("{HOME},{PARTNER}");
    let test = TestApp::with(&[SETTINGS, &[("ASSAY_ENTRA_TENANTS", both.as_str())]].concat());
    drop(asked_from_elsewhere(&test).await);
    deliver(&test).await;
    let mails = mail_files(test.folder(), "people/");
    let (_, mail) = mails.first().unwrap();
    assert!(mail.contains("Somebody of another organization asks") && mail.contains(PARTNER), "{mail}");
    assert!(!mail.contains("Priya") && !mail.contains("priya"), "{mail}");
}

/// Everything that is new for `notify`, once.
async fn deliver_new(test: &TestApp, from: usize) -> usize {
    let waiting: Vec<Bytes> = test.queue.bodies("notify");
    for body in &waiting[from..] {
        notify::run(QueueMessage { body: body.clone(), invocation_id: "notify".into() }, test.app()).await.unwrap();
    }
    waiting.len()
}

#[tokio::test]
async fn mails_about_newcomers_count_towards_the_limits_and_four_that_wait_are_one() {
    let server = SmtpServer::start(Behaviour::default()).await;
    let port = server.port.to_string();
    let limit = [("ASSAY_NOTICES_PER_MINUTE", "3")];
    let test = TestApp::with(&[SETTINGS, &smtp_server::settings(&port), &limit].concat());
    let authority = Authority::of(&test);
    Visitor::signed_in(&test, &authority).await;
    let ask = async |from: u32, to: u32| {
        for n in from..to {
            is(&authority, &format!("0c0c0c0c-0b0b-4c0c-8d0d-0000000000{n:02}"), &format!("Newcomer {n}"));
            assert_eq!(Visitor::of(&test).sign_in(&authority).await.status, 403);
        }
    };
    ask(10, 13).await;
    let seen = deliver_new(&test, 0).await;
    assert_eq!(server.taken().len(), 2, "two in a minute beside the one that is kept for emergencies, and the third waits");
    ask(13, 17).await;
    let seen = deliver_new(&test, seen).await;
    assert_eq!(server.taken().len(), 2);
    test.clock.advance(Duration::minutes(1));
    deliver_new(&test, seen).await;
    let taken = server.taken();
    assert_eq!(taken.len(), 3, "one for all that wait, however many messages there are");
    let digest = String::from_utf8(taken[2].bytes.clone()).unwrap();
    assert!(
        digest.contains("Subject: Assay: 5 people ask to be let in") && digest.contains("Newcomer 12") && digest.contains("Newcomer 16")
    );
    assert!(!digest.contains("Newcomer 10"), "whom the owner was told of stands in no other mail: {digest}");
    deliver(&test).await;
    assert_eq!(server.taken().len(), 3, "never twice");
}

#[tokio::test]
async fn a_mail_about_a_newcomer_waits_for_its_service_and_comes_once() {
    let server = SmtpServer::start(Behaviour::default()).await;
    let port = server.port.to_string();
    let test = TestApp::with(&[SETTINGS, &smtp_server::settings(&port)].concat());
    drop(asked(&test).await);
    server.answers_instead("MAIL", "451 4.3.0 later");
    let seen = deliver_new(&test, 0).await;
    assert!(server.taken().is_empty());
    let seen = deliver_new(&test, seen).await;
    deliver_new(&test, seen).await;
    deliver(&test).await;
    assert_eq!(server.taken().len(), 1);
}
