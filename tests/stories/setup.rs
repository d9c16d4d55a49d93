//! A first day: an owner walks the setup from an empty installation to the first approval, and what they stumble over.

use std::sync::Arc;

use assay::{
    app::App,
    audit::{
        anchor::{self, Anchored},
        item::Item,
    },
    config::{Config, DataBoundary},
    connectors::demo::{self, What, autotask, connectwise},
    gate::{Level, policy},
    platform::{ports::Retention, process::Module},
    tenancy::{
        DeploymentPlace, PersonId, Place as _, Roster, TenantId,
        directory::{Person, Standing},
        keys::Owner,
        place::AuditPart,
        signing::SigningUse,
    },
    triggers::{health::doctor, portal},
    web::{Method, Reply, entra},
};
use serde_json::json;
use time::Duration;
use uuid::Uuid;

use super::entra_people::{all, is};
use crate::support::{
    TestApp,
    authority::{Authority, HOME, OLIVIA, PARTNER, PRIYA, SETTINGS},
    browser::{Browser, hidden_of, text},
    clock::START,
    cosmos,
    flow::{Extent, Flow, HARBOR, deliveries_of, person, somebody},
    http::response,
    key_vault::{FakeVaults, installation_of, key_uri, open, signing_key},
    visitor::Visitor,
};

const LOCK: &str = "Lock of the logs\u{2019} copies";

/// What the page says of one step.
fn step(reply: &Reply, title: &str) -> String {
    let html = text(reply);
    assert!(matches!(reply.status, 200 | 422), "{html}");
    let (_, step) = html.split_once(&format!(". {title}</h2>")).unwrap_or_else(|| panic!("no step {title}: {html}"));
    step.split("</section>").next().unwrap().to_owned()
}

/// How it stands, in its word.
fn stands(reply: &Reply, title: &str) -> String {
    let step = step(reply, title);
    let (_, tag) = step.split_once("<span class=\"tag ").unwrap();
    tag.split_once("\">").unwrap().1.split('<').next().unwrap().to_owned()
}

/// The steps that first approvals wait for, in their order.
fn blocking(reply: &Reply) -> Vec<String> {
    let html = text(reply);
    let titles = html.split(" <strong>First approvals wait for this.").map(|before| {
        let title = before.rsplit_once("</h2>").unwrap_or(("", "")).0.rsplit_once(". ").unwrap_or(("", "")).1;
        title.to_owned()
    });
    let mut titles: Vec<String> = titles.collect();
    titles.pop();
    titles
}

/// People of the demo, and nothing else.
async fn empty_installation() -> Flow {
    let flow = Flow::taken_over(TestApp::new(), START);
    {
        let store = flow.deployment().await;
        let mut batch = store.batch(DeploymentPlace::Directory);
        for one in demo::PEOPLE {
            batch.create(&Person {
                id: one.id,
                name: one.name.into(),
                email: one.email.into(),
                is_owner: one.what == What::Owner,
                operates: one.what == What::Engineer,
                identity: None,
                sign_in_name: None,
                same_as: None,
                access_ended_at: None,
                standing: Standing { confirmed_at: Some(START), ..Standing::default() },
            });
        }
        batch.commit().await.unwrap();
    }
    flow
}

async fn setup(flow: &Flow) -> Reply {
    Browser::of(flow, What::Owner).await.get("portal/setup").await
}

async fn clients_page(flow: &Flow) -> String {
    text(&Browser::of(flow, What::Owner).await.get("portal/clients").await)
}

async fn said(flow: &Flow, kind: &str) -> Vec<Item> {
    let items = flow.deployment().await.all::<Item>(DeploymentPlace::Directory, "").await.unwrap();
    let more = flow.deployment().await.all::<Item>(DeploymentPlace::Operations, "").await.unwrap();
    items.into_iter().chain(more).map(|held| held.value).filter(|item| item.kind == kind).collect()
}

#[tokio::test]
async fn an_owner_is_led_from_an_empty_installation_to_the_first_approval_and_left_alone_after_it() {
    let mut flow = empty_installation().await;
    let clients = clients_page(&flow).await;
    assert!(clients.contains("Nothing can be approved yet. Still missing: First client; First connection;"), "{clients}");
    let page = setup(&flow).await;
    let all = [
        "First client",
        "First connection",
        "First event of a tool",
        "What boards and types mean",
        "Companies mapped to clients",
        "Approvers",
    ];
    assert_eq!(blocking(&page), all);
    assert!(step(&page, "First client").contains("/api/portal/clients/new"));
    assert_eq!(stands(&page, "Settings and parts"), "Not looked yet");

    // A client, with who asks and who decides.
    {
        let olivia = Browser::of(&flow, What::Owner).await;
        let (asks, decides) = (format!("engineer-{}", person(What::Engineer).id), format!("approver-{}", person(What::Approver).id));
        let typed = [("name", "Harbor Precision"), (asks.as_str(), "yes"), (decides.as_str(), "yes")];
        assert_eq!(olivia.fill_in("portal/clients/new", "portal/clients", &typed).await.status, 303);
    }
    let page = setup(&flow).await;
    assert_eq!(blocking(&page), all[1..5]);
    assert_eq!([stands(&page, "First client"), stands(&page, "Approvers")], ["Done", "Done"]);
    assert!(step(&page, "Approvers").contains("Harbor Precision: approver Priya Nair; engineer Marco Reyes, Olivia Hart."));
    assert!(step(&page, "Companies mapped to clients").contains("Companies appear as their first records arrive."));

    // A connection, tested as soon as it is there.
    let connection = {
        let olivia = Browser::of(&flow, What::Owner).await;
        let typed = [
            ("name", "Our ConnectWise"),
            ("host", connectwise::HOST),
            ("company", connectwise::COMPANY),
            ("public_key", "a public key"),
            ("private_key", "a private key"),
            ("client_id", connectwise::CLIENT_ID),
        ];
        let added = olivia.fill_in("portal/connections/new?vendor=connectwise_manage", "portal/connections", &typed).await;
        assert!(text(&olivia.follow(&added).await).contains("Added. Test it now"));
        let connection = assay::connectors::connection::all(&flow.deployment().await).await.unwrap().pop().unwrap();
        assert!(step(&olivia.get("portal/setup").await, "First connection").contains("not tested lately"));
        let tested = olivia.press("portal/connections", &format!("portal/connections/{}/test", connection.id), &[]).await;
        let page = text(&olivia.follow(&tested).await);
        assert!(page.contains("Our ConnectWise: It answered: the credentials are good, and they may read configurations."), "{page}");
        assert!(page.contains("Answers</span>"));
        // What its types and boards mean: the same form, with the secrets left as they are.
        let address = format!("portal/connections/{}", connection.id);
        let meant = [
            &typed[..3],
            &typed[5..],
            &[("boards", "21 = psa_ticket_incident"), ("configuration_types", "17 = rmm_device_inventory\n21 = rmm_device_inventory")],
        ]
        .concat();
        assert_eq!(olivia.fill_in(&address, &address, &meant).await.status, 303);
        connection
    };
    let page = setup(&flow).await;
    assert_eq!(blocking(&page), ["First event of a tool", "Companies mapped to clients"]);
    assert_eq!(stands(&page, "First connection"), "Done");

    // The tool sends its first event, and the company is mapped.
    let mut delivery = deliveries_of(demo::CONNECTWISE, START).remove(0);
    delivery.connection = connection.id;
    flow.vendor_sends(&delivery).await;
    flow.pump().await;
    let page = setup(&flow).await;
    assert_eq!(
        (blocking(&page), stands(&page, "First event of a tool")),
        (vec!["Companies mapped to clients".to_owned()], "Done".to_owned())
    );
    assert!(step(&page, "Companies mapped to clients").contains("1 company waits to be mapped."));
    let harbor: TenantId = Roster::read(&flow.deployment().await).await.unwrap().tenants[0].id;
    {
        let marco = Browser::of(&flow, What::Engineer).await;
        assert_eq!(marco.press("portal/mapping", "portal/mapping", &[("client", &harbor.to_string())]).await.status, 303);
    }
    let page = setup(&flow).await;
    assert_eq!(blocking(&page), [""; 0]);
    assert!(text(&page).contains("Nothing here keeps anybody from approving."));
    let clients = clients_page(&flow).await;
    assert!(!clients.contains("Nothing can be approved yet"), "never again");
    assert!(clients.contains("<a href=\"/api/portal/setup\">Setup</a>"), "the quiet link stays");

    // And so it is: something is asked and approved.
    flow.answer_on_the_page(person(What::Approver), harbor, "3.4.1[d]", "approve").await;
    assert!(!text(&Browser::of(&flow, What::Approver).await.get("portal/clients").await).contains("/api/portal/setup"));
}

#[tokio::test]
async fn opening_setup_and_health_changes_nothing_and_only_who_may_sees_them() {
    let flow = Flow::new(Extent::Small).await;
    let (olivia, marco, priya) =
        (Browser::of(&flow, What::Owner).await, Browser::of(&flow, What::Engineer).await, Browser::of(&flow, What::Approver).await);
    let from = flow.test.faults.count();
    assert_eq!((olivia.get("portal/setup").await.status, olivia.get("portal/health").await.status), (200, 200));
    let calls = flow.test.faults.calls()[from..].to_vec();
    assert!(calls.iter().all(|call| !call.contains("batch") && !call.contains("create") && !call.contains("send")), "{calls:?}");

    assert_eq!((marco.get("portal/setup").await.status, marco.get("portal/health").await.status), (403, 200));
    assert_eq!((priya.get("portal/setup").await.status, priya.get("portal/health").await.status), (403, 403));
    for address in ["portal/setup/lock", "portal/health"] {
        assert_eq!(priya.post(address, &[("token", "x")]).await.status, 403, "{address}");
    }
    assert_eq!(marco.post("portal/setup/lock", &[("token", "x")]).await.status, 403);
}

#[tokio::test]
async fn a_live_test_says_in_words_what_came_back_and_keeps_nothing_but_that_it_was_made() {
    let flow = Flow::new(Extent::Both).await;
    let test_of = |id| format!("portal/connections/{id}/test");
    let directory = |answer: Option<(u16, &'static str)>| {
        move |request: &assay::platform::ports::HttpRequest| {
            let (status, body) = match answer {
                Some(answer) if request.url.path().starts_with("/login/companyinfo/") => {
                    (200, if answer.1 == "null" { "null" } else { r#"{"Codebase":"v2026_1/"}"# })
                }
                Some(answer) => answer,
                None => return None,
            };
            Some(Ok(response(status, &[], body)))
        }
    };
    for (answer, expected) in [
        ((401, ""), "It refused: a key or the client id is wrong"),
        ((403, ""), "It refused: a key or the client id is wrong"),
        ((200, "null"), "It knows no such login company at this host"),
        ((500, ""), "It did not answer, or only with an error of its own"),
        ((429, ""), "It asked to come back later"),
        ((200, "<html>"), "Something answered that is not the tool"),
        ((200, "[]"), "It showed no configuration"),
        ((200, r#"[{"id":1}]"#), "they may read configurations. One was read and not kept."),
    ] {
        flow.test.clock.advance(Duration::minutes(2));
        flow.test.http.answer_with(directory(Some(answer)));
        let marco = Browser::of(&flow, What::Engineer).await;
        let reply = marco.press("portal/connections", &test_of(demo::CONNECTWISE), &[]).await;
        let page = text(&marco.follow(&reply).await).replace("&#39;", "'");
        assert!(page.contains(expected), "{answer:?}: {page}");
        assert!(!page.contains(connectwise::PRIVATE_KEY));
        let good = expected.contains("configuration");
        assert_eq!(
            stands(&setup(&flow).await, "First connection"),
            if good { "To do" } else { "Look here" },
            "{answer:?}: the other was not tested"
        );
    }
    flow.test.clock.advance(Duration::minutes(2));
    flow.test.http.answer_with(|request| {
        let zone = format!(
            "https://{}/ATServicesRest/",
            if request.url.path().contains("oneInformation") { "webservices6.autotask.net" } else { autotask::HOST }
        );
        Some(Ok(response(200, &[], json!({ "url": zone }).to_string())))
    });
    let marco = Browser::of(&flow, What::Engineer).await;
    let reply = marco.press("portal/connections", &test_of(demo::AUTOTASK), &[]).await;
    let page = text(&marco.follow(&reply).await);
    assert!(page.contains("It knows no such API user in this zone"), "{page}");

    let mut outcomes: Vec<_> =
        said(&flow, "connection.tested").await.iter().map(|item| item.detail["outcome"].as_str().unwrap().to_owned()).collect();
    outcomes.sort();
    assert_eq!(outcomes, ["busy", "good", "good", "refused", "refused", "strange", "unreachable", "wrong_company", "wrong_company"]);
    let all = serde_json::to_string(&said(&flow, "connection.tested").await).unwrap();
    assert!(!all.contains(connectwise::PRIVATE_KEY) && !all.contains("\"id\":1"));

    // Three in a minute, then the vendor is spared.
    let marco = Browser::of(&flow, What::Engineer).await;
    for _ in 0..2 {
        marco.press("portal/connections", &test_of(demo::AUTOTASK), &[]).await;
    }
    let asked = flow.test.http.called().len();
    let reply = marco.press("portal/connections", &test_of(demo::AUTOTASK), &[]).await;
    assert!(text(&marco.follow(&reply).await).contains("It was tested a moment ago"));
    assert_eq!(flow.test.http.called().len(), asked);
    assert_eq!(marco.post(&test_of(demo::AUTOTASK), &[("token", "other")]).await.status, 403);
}

#[tokio::test]
async fn the_demos_vendors_answer_a_live_test_too_and_other_credentials_are_not_tested_ones() {
    let flow = Flow::new(Extent::Both).await;
    let marco = Browser::of(&flow, What::Engineer).await;
    for id in [demo::CONNECTWISE, demo::AUTOTASK] {
        let reply = marco.press("portal/connections", &format!("portal/connections/{id}/test"), &[]).await;
        assert!(text(&marco.follow(&reply).await).contains("they may read configurations"), "{id}");
    }
    assert_eq!(stands(&setup(&flow).await, "First connection"), "Done");
    let mut other = assay::connectors::connection::read(&flow.deployment().await, demo::AUTOTASK).await.unwrap().unwrap();
    other.host = "webservices6.autotask.net".into();
    assay::connectors::connection::change(&flow.deployment().await, other).await.unwrap();
    assert_eq!(stands(&setup(&flow).await, "First connection"), "To do");
}

#[tokio::test]
async fn a_broken_vault_is_shown_on_both_pages_in_the_doctors_words_and_with_what_waits() {
    let flow = Flow::new(Extent::Small).await;
    let fake = FakeVaults::new();
    let app = App { vault: Arc::new(open(&fake, &[])), ..flow.app().clone() };
    let olivia = Browser::of(&flow, What::Owner).await;
    let ask = async |method, address: &str, body: &str| portal::run(olivia.request(method, address, body), &app).await;
    let page = text(&ask(Method::Get, "portal/health", "").await);
    assert!(page.contains("Not looked yet"), "{page}");

    for usage in [SigningUse::Links, SigningUse::Receipts] {
        fake.disable(&signing_key(usage));
    }
    let again = async || {
        let hidden = hidden_of(&ask(Method::Get, "portal/health", "").await, "portal/health");
        let token = hidden.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&");
        ask(Method::Post, "portal/health", &token).await
    };
    let looked = again().await;
    assert_eq!(looked.status, 200);
    let plain = |reply: &Reply| text(reply).replace("&#39;", "'").replace("&#34;", "\"");
    let (health, setup) = (plain(&looked), plain(&ask(Method::Get, "portal/setup", "").await));
    let findings = doctor::examine(&app).await;
    let bad: Vec<_> = findings.iter().filter_map(|finding| Some((finding, finding.outcome.as_ref().err()?))).collect();
    assert!(bad.len() >= 2, "{findings:?}");
    for (finding, error) in &bad {
        assert!(health.contains(&format!("<th scope=\"row\">{}", finding.what)) && health.contains(error.advice()), "{finding}: {health}");
        if finding.setting.is_some() {
            assert!(setup.contains(&format!("{}: {}; {}", finding.what, error.kind, error.advice())), "{finding}: {setup}");
        }
    }
    assert!(health.contains("nothing can be decided, and nothing approved is carried out."), "{health}");
    assert!(health.contains("container clients") && health.contains("cryptography"), "also what is good");
    assert!(
        setup.contains("First approvals wait for this.")
            && setup.contains(". Settings and parts</h2>\n<p><span class=\"tag not\">Look here"),
        "{setup}"
    );
    assert!(plain(&ask(Method::Get, "portal/clients", "").await).contains("Still missing: Settings and parts"));

    // Not twice in half a minute; then it is mended.
    assert!(plain(&again().await).contains("It was looked at a moment ago"));
    let app_again = App { vault: flow.app().vault.clone(), ..app.clone() };
    flow.test.clock.advance(Duration::minutes(1));
    doctor::look(&app_again, false).await;
    assert!(plain(&ask(Method::Get, "portal/health", "").await).contains("are as they should be."));
    assert_eq!(stands(&ask(Method::Get, "portal/setup", "").await, "Settings and parts"), "Done");
}

/// A build of these tests has the FIPS module or not; what is missed of each is held by the doctor's own test.
#[tokio::test]
async fn where_cui_may_lie_a_program_without_the_fips_module_is_to_be_mended_and_no_approval_waits_for_it() {
    let flow = Flow::new(Extent::Small).await;
    let olivia = Browser::of(&flow, What::Owner).await;
    for boundary in [Some(DataBoundary::GovCui), Some(DataBoundary::CommercialNoCui), None] {
        let config = Config { boundary, ..(*flow.app().config).clone() };
        let app = App { config: Arc::new(config), ..flow.app().clone() };
        let look = doctor::look(&app, false).await;
        let missed = boundary == Some(DataBoundary::GovCui) && Module::of_this_process() == Module::Plain;
        let bad: Vec<_> = look.findings.iter().filter(|finding| finding.outcome.is_err()).map(|finding| finding.what.as_str()).collect();
        assert_eq!(bad, if missed { vec!["the FIPS module"] } else { vec![] }, "{boundary:?}");
        assert!(look.findings.iter().all(|finding| finding.ailment(true).is_none()), "health stays ok");

        let open = async |address: &str| portal::run(olivia.request(Method::Get, address, ""), &app).await;
        let (health, setup) = (text(&open("portal/health").await), open("portal/setup").await);
        let parts = step(&setup, "Settings and parts");
        for page in [&health, &parts] {
            assert_eq!(page.contains("make the package with infra/package --fips"), missed, "{boundary:?}: {page}");
        }
        assert_eq!(health.contains("for SC.L2-3.13.11 nothing may be said of this program."), missed, "{health}");
        assert_eq!(stands(&setup, "Settings and parts"), if missed { "Look here" } else { "Done" });
        assert!(!blocking(&setup).contains(&"Settings and parts".to_owned()), "{parts}");
    }
}

#[tokio::test]
async fn whose_key_it_is_owners_read_and_not_who_runs_the_tools_without_a_role_there() {
    let (test, fake) = installation_of(Owner::Tenant(HARBOR)).await;
    let mut flow = Flow::begun(test, Extent::Small).await;
    flow.vendor_sends(&deliveries_of(demo::CONNECTWISE, START)[0]).await;
    flow.settle().await;
    let id = PersonId(Uuid::from_u128(0x700));
    let store = flow.deployment().await;
    let mut batch = store.batch(DeploymentPlace::Directory);
    batch.create(&Person { operates: true, ..somebody(id, "Tess Tools") });
    batch.commit().await.unwrap();
    fake.refuse(&key_uri("harbor"), Some((403, "KeyDisabled")));
    flow.test.clock.advance(Duration::minutes(6));
    let (olivia, runs_tools) = (Browser::of(&flow, What::Owner).await, Browser::of_person(&flow, id).await);
    let hidden = hidden_of(&olivia.get("portal/health").await, "portal/health");
    let token = hidden.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&");
    let looked = text(&portal::run(olivia.request(Method::Post, "portal/health", &token), flow.app()).await);
    let seen = text(&runs_tools.get("portal/health").await);
    let tenants = Roster::read(&flow.deployment().await).await.unwrap().tenants.clone();
    let name = &tenants.iter().find(|client| client.id == HARBOR).unwrap().name;
    let row = format!("the key of client {HARBOR}");
    assert!(looked.contains(&row) && looked.contains(name), "{name}: {looked}");
    assert!(seen.contains(&row), "{seen}");
    assert!(!seen.contains(name), "{name}: {seen}");
}

#[tokio::test]
async fn an_owner_who_is_alone_reads_how_others_come_in_and_when_the_setting_is_to_be_emptied() {
    let test = TestApp::with(SETTINGS);
    let authority = Authority::of(&test);
    let olivia = Visitor::signed_in(&test, &authority).await;
    let page = olivia.get("portal/setup").await;
    assert_eq!([stands(&page, "Owners"), stands(&page, "Consent in Entra ID"), stands(&page, "Approvers")], ["Advised", "Done", "To do"]);
    assert!(step(&page, "Owners").contains("the app role Owner"));
    assert!(
        step(&page, "Approvers")
            .contains("You are the only one who can sign in. Send colleagues the address https://assay.example.net/api/portal/clients")
    );
    let consent = step(&page, "Consent in Entra ID").replace("&#38;", "&");
    assert!(
        consent.contains("openid, profile, email") && consent.contains("Nothing of Microsoft Graph is read or asked for in this release")
    );
    assert!(consent.contains("https://login.microsoftonline.com/") && consent.contains("/v2.0/adminconsent?client_id="), "{consent}");
    assert!(
        consent.contains("scope=openid+profile+email&redirect_uri=https%3A%2F%2Fassay.example.net%2Fapi%2Fportal%2Fsigned-in"),
        "{consent}"
    );

    let government = TestApp::with(&[SETTINGS, &[("ASSAY_CLOUD", "government")]].concat());
    let address = entra::admin_consent(government.app(), government.app().config.entra().unwrap(), HOME);
    assert!(address.starts_with(&format!("https://login.microsoftonline.us/{HOME}/v2.0/adminconsent?")), "{address}");

    // Back from the administrator's consent: nothing is stated, nothing begun, and the page is the one it came from.
    let back = olivia.get("portal/signed-in?admin_consent=True&tenant=x&scope=openid").await;
    assert_eq!((back.status, back.header("location")), (303, Some("/api/portal/setup")));

    authority.claim("roles", json!(["Owner"]));
    is(&authority, PRIYA, "Priya Nair");
    Visitor::signed_in(&test, &authority).await;
    let page = olivia.get("portal/setup").await;
    assert!(step(&page, "Owners").contains("so empty the setting ASSAY_ENTRA_OWNER"), "{}", step(&page, "Owners"));
    assert_eq!(stands(&page, "Owners"), "Advised");
    assert_eq!(all::<Person>(&test, DeploymentPlace::Directory).await.iter().filter(|person| person.is_owner).count(), 2);
}

#[tokio::test]
async fn people_of_a_further_directory_who_never_came_may_lack_its_consent() {
    let both = format!("{HOME},{PARTNER}");
    let test = TestApp::with(&[SETTINGS, &[("ASSAY_ENTRA_TENANTS", both.as_str()), ("ASSAY_ENTRA_OWNER", OLIVIA)]].concat());
    let authority = Authority::of(&test);
    let olivia = Visitor::signed_in(&test, &authority).await;
    let page = olivia.get("portal/setup").await;
    assert_eq!(stands(&page, "Consent in Entra ID"), "Advised");
    assert!(step(&page, "Consent in Entra ID").contains("none of them has come yet. Each consents for itself."));
    assert!(step(&page, "Consent in Entra ID").contains(&format!("{PARTNER}/v2.0/adminconsent")));
}

/// Settings of an installation on Azure; what it keeps lies in the story's folder.
fn on_azure() -> TestApp {
    let settings: Vec<(String, String)> = cosmos::settings(&[]).into_iter().collect();
    let settings: Vec<(&str, &str)> = settings.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    TestApp::with(&[settings.as_slice(), SETTINGS].concat())
}

#[tokio::test]
async fn an_owner_records_that_the_copies_are_locked_with_what_azure_answered_and_nothing_less() {
    let test = on_azure();
    let authority = Authority::of(&test);
    let olivia = Visitor::signed_in(&test, &authority).await;
    let page = olivia.get("portal/setup").await;
    let said = step(&page, LOCK).replace("&#39;", "'").replace("&#34;", "\"");
    for words in [
        "cannot be undone",
        "neither the storage account nor its resource group can be deleted until then",
        "az storage container immutability-policy lock --account-name assaytest --container-name anchors -g $(az storage account list --query \"[?name=='assaytest'].resourceGroup\" -o tsv) --if-match",
        "Storage Account Contributor",
    ] {
        assert!(said.contains(words), "{words}: {said}");
    }
    assert_eq!(stands(&page, LOCK), "Advised");

    let id = "/subscriptions/s/resourceGroups/rg/providers/Microsoft.Storage/storageAccounts/assaytest/blobServices/default/containers/anchors/immutabilityPolicies/default";
    let answer = |state: &str, id: &str| json!({ "id": id, "state": state, "immutabilityPeriodSinceCreationInDays": 2192 }).to_string();
    let send = async |answer: &str| olivia.press("portal/setup", "portal/setup/lock", &[("azure-says", answer)]).await;
    for (answer, why) in [
        (answer("Unlocked", id), "it is not locked, and nothing was recorded"),
        (answer("Locked", &id.replace("assaytest", "others")), "not the policy of the container anchors"),
        ("I locked it".to_owned(), "Paste the whole answer"),
    ] {
        let refused = send(&answer).await;
        assert_eq!(refused.status, 422);
        assert!(text(&refused).contains(why) && text(&refused).contains("Nothing was recorded"), "{why}: {}", text(&refused));
    }
    // An old sign-in is not enough for what cannot be taken back.
    let opened = hidden_of(&olivia.get("portal/setup").await, "portal/setup/lock");
    test.clock.advance(Duration::minutes(11));
    let good = answer("Locked", id);
    let fields: Vec<(&str, &str)> =
        opened.iter().map(|(name, value)| (name.as_str(), value.as_str())).chain([("azure-says", good.as_str())]).collect();
    let stale = olivia.post("portal/setup/lock", &fields).await;
    assert!(stale.status == 401 && text(&stale).contains("Confirm that it is you"), "{}", text(&stale));
    assert!(all::<Item>(&test, DeploymentPlace::Directory).await.iter().all(|item| item.kind != "anchors.lock_recorded"));

    let olivia = Visitor::signed_in(&test, &authority).await;
    let recorded = olivia.press("portal/setup", "portal/setup/lock", &[("azure-says", &good)]).await;
    assert_eq!(recorded.status, 303, "{}", text(&recorded));
    let page = olivia.get(recorded.header("location").unwrap().strip_prefix("/api/").unwrap()).await;
    assert!(text(&page).contains("Recorded, with your name."));
    assert_eq!(stands(&page, LOCK), "Done");
    assert!(step(&page, LOCK).contains("recorded just now that it is locked for 2192 days"), "{}", step(&page, LOCK));
    let items = all::<Item>(&test, DeploymentPlace::Directory).await;
    let item = items.iter().find(|item| item.kind == "anchors.lock_recorded").unwrap();
    assert_eq!((item.detail["level"].as_str(), item.detail["days"].as_u64()), (Some("L3"), Some(2192)));
    assert_eq!(policy::floor("lock_worm"), Level::L3);

    test.clock.advance(Duration::hours(2));
    let olivia = Visitor::signed_in(&test, &authority).await;
    // What Azure tells by itself counts for more than what somebody recorded.
    let store = assay::tenancy::DeploymentScope::of_function("story", "c").store(test.app()).await.unwrap();
    for (retention, word) in
        [(Retention::Unlocked { until: None }, "Look here"), (Retention::Policy, "Done"), (Retention::Locked { until: None }, "Done")]
    {
        let place = DeploymentPlace::audit(AuditPart::Head);
        let etag = store.read::<Anchored>(place, anchor::KEY).await.unwrap().map(|held| held.etag);
        let mut batch = store.batch(place);
        batch.put(Anchored { size: 1, at: test.app().now(), alarm: None, retention: Some(retention) }, etag);
        batch.commit().await.unwrap();
        assert_eq!(stands(&olivia.get("portal/setup").await, LOCK), word, "{retention:?}");
    }
}

#[tokio::test]
async fn without_azure_there_is_nothing_to_lock_and_nothing_is_recorded() {
    let flow = Flow::new(Extent::Small).await;
    let page = setup(&flow).await;
    assert!(step(&page, "Companies mapped to clients").contains("you are none: Marco Reyes can"), "the owner has no role there");
    assert_eq!(stands(&page, LOCK), "Nothing to do");
    assert!(!text(&page).contains("portal/setup/lock"), "no form");
    assert!(step(&page, LOCK).contains("there is nothing to lock"));
    assert_eq!(
        [stands(&page, "Owners"), stands(&page, "Consent in Entra ID"), stands(&page, "Approval policy")],
        ["Nothing to do", "Nothing to do", "The default"]
    );
}
