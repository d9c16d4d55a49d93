//! Connecting a first tool and adding a client, through the pages as a browser uses them.

use assay::{
    audit::item::Item,
    connectors::{
        Connection, Credentials, connection,
        demo::{AUTOTASK, What, connectwise, deliveries},
    },
    tenancy::{Actor, DeploymentPlace, Roster, directory::Role},
    triggers::portal,
    web::{Method, Reply},
};
use time::Duration;
use url::form_urlencoded;

use crate::support::{
    browser::{Browser, ORIGIN, hidden_of_form, text},
    clock::START,
    flow::{Extent, Flow, HARBOR, deliveries_of, person},
    http::response,
};

const CONNECTWISE: &[(&str, &str)] = &[
    ("name", "The second ConnectWise"),
    ("host", connectwise::HOST),
    ("company", connectwise::COMPANY),
    ("public_key", "a public key of the story"),
    ("private_key", "a private key of the story"),
    ("client_id", connectwise::CLIENT_ID),
];

async fn fill_in_connectwise(browser: &Browser<'_>, typed: &[(&str, &str)]) -> Reply {
    let all = [typed, CONNECTWISE].concat();
    browser.fill_in("portal/connections/new?vendor=connectwise_manage", "portal/connections", &all).await
}

async fn connections(flow: &Flow) -> Vec<Connection> {
    connection::all(&flow.deployment().await).await.unwrap()
}

async fn connection_named(flow: &Flow, name: &str) -> Connection {
    connections(flow).await.into_iter().find(|connection| connection.name == name).unwrap()
}

async fn audited(flow: &Flow, kind: &str) -> Vec<Item> {
    let items = flow.deployment().await.all::<Item>(DeploymentPlace::Directory, "").await.unwrap();
    items.into_iter().map(|held| held.value).filter(|item| item.kind == kind).collect()
}

#[tokio::test]
async fn an_engineer_adds_a_connectwise_connection_and_a_signed_webhook_to_its_address_is_accepted() {
    let mut flow = Flow::new(Extent::Small).await;
    let connection = {
        let marco = Browser::of(&flow, What::Engineer).await;
        let choice = text(&marco.get("portal/connections/new").await);
        assert!(choice.contains("vendor=connectwise_manage") && choice.contains("vendor=autotask"));
        let reply = fill_in_connectwise(&marco, &[]).await;
        let connection = connection_named(&flow, "The second ConnectWise").await;
        let page = text(&marco.follow(&reply).await);
        assert!(page.contains("Added. Test it now, give the vendor"), "{page}");
        assert!(page.contains(&format!("{ORIGIN}/api/{}", connection.webhook_path())), "the webhook address");
        assert_eq!(audited(&flow, "connection.added").await.len(), 2, "the story's own, and this one");
        connection
    };
    let mut delivery = deliveries(START).into_iter().find(|delivery| delivery.connector == "connectwise_manage").unwrap();
    delivery.connection = connection.id;
    assert_eq!(flow.post(&delivery).await.unwrap().status, 200);
    delivery.body.push(' ');
    assert_eq!(flow.post(&delivery).await.unwrap().status, 401, "another body under the same signature");
}

#[tokio::test]
async fn a_form_sent_twice_adds_one_connection() {
    let flow = Flow::new(Extent::Small).await;
    let marco = Browser::of(&flow, What::Engineer).await;
    let html = text(&marco.get("portal/connections/new?vendor=connectwise_manage").await);
    let hidden = |name: &str| {
        let start = html.rsplit_once(&format!("name=\"{name}\" value=\"")).unwrap().1;
        start.split('"').next().unwrap().to_owned()
    };
    let mut body = form_urlencoded::Serializer::new(String::new());
    for name in ["token", "vendor", "id"] {
        body.append_pair(name, &hidden(name));
    }
    body.extend_pairs(CONNECTWISE);
    let body = body.finish();
    for _ in 0..2 {
        assert_eq!(portal::run(marco.request(Method::Post, "portal/connections", &body), flow.app()).await.status, 303);
    }
    assert_eq!(connections(&flow).await.len(), 2);
}

#[tokio::test]
async fn what_was_typed_comes_back_with_its_errors_and_secrets_never_do() {
    let flow = Flow::new(Extent::Small).await;
    let marco = Browser::of(&flow, What::Engineer).await;
    let reply = fill_in_connectwise(&marco, &[("host", "not a host"), ("company", "")]).await;
    let html = text(&reply);
    assert_eq!(reply.status, 422);
    assert!(html.contains("The host must be a bare name") && html.contains("Login company is missing."));
    assert!(html.contains("The second ConnectWise") && html.contains("not a host"));
    assert!(!html.contains("a public key of the story") && !html.contains("a private key of the story"));
    assert_eq!(connections(&flow).await.len(), 1);

    fill_in_connectwise(&marco, &[]).await;
    let id = connection_named(&flow, "The second ConnectWise").await.id;
    for address in ["portal/connections".to_owned(), format!("portal/connections/{id}")] {
        let html = text(&marco.get(&address).await);
        assert!(html.contains("The second ConnectWise"), "{address}");
        assert!(!html.contains("key of the story"), "{address}");
    }
    let item = serde_json::to_string(&audited(&flow, "connection.added").await).unwrap();
    assert!(item.contains("The second ConnectWise") && !item.contains("key of the story"));
}

#[tokio::test]
async fn an_approver_and_a_foreign_origin_are_refused_and_nothing_is_added() {
    let flow = Flow::new(Extent::Small).await;
    let priya = Browser::of(&flow, What::Approver).await;
    let id = connections(&flow).await[0].id;
    for address in
        ["portal/connections/new", "portal/connections/new?vendor=autotask", &format!("portal/connections/{id}"), "portal/clients/new"]
    {
        assert_eq!(priya.get(address).await.status, 403, "{address}");
    }
    for address in ["portal/connections", &format!("portal/connections/{id}"), "portal/clients"] {
        let request = priya.request(Method::Post, address, "name=x");
        assert_eq!(portal::run(request, flow.app()).await.status, 403, "{address}");
    }
    let mut marco = Browser::of(&flow, What::Engineer).await;
    marco.origin = "https://evil.example";
    assert_eq!(fill_in_connectwise(&marco, &[]).await.status, 403);
    let mut olivia = Browser::of(&flow, What::Owner).await;
    olivia.origin = "https://evil.example";
    assert_eq!(olivia.fill_in("portal/clients/new", "portal/clients", &[("name", "Kestrel")]).await.status, 403);
    assert_eq!(connections(&flow).await.len(), 1);
    assert_eq!(Roster::read(&flow.deployment().await).await.unwrap().tenants.len(), 2);
}

#[tokio::test]
async fn a_random_webhook_secret_is_shown_once_and_a_changed_one_holds_beside_the_old_for_ten_minutes() {
    let flow = Flow::new(Extent::Small).await;
    let marco = Browser::of(&flow, What::Engineer).await;
    let typed = [
        ("name", "Our Autotask"),
        ("host", "webservices5.autotask.net"),
        ("user", "api@northgate.example"),
        ("secret", "the API secret"),
        ("integration_code", "the code"),
    ];
    let reply = marco.fill_in("portal/connections/new?vendor=autotask", "portal/connections", &typed).await;
    let held = connection_named(&flow, "Our Autotask").await;
    let Credentials::Autotask { webhook_secret: random, .. } = &held.credentials else { panic!("another vendor") };
    assert_eq!(reply.status, 200);
    assert!(text(&reply).contains(&random.0) && random.0.len() == 43);
    let address = format!("portal/connections/{}", held.id);
    assert!(!text(&marco.get(&address).await).contains(&random.0));

    let change = [&typed[..3], &[("webhook_secret", "a secret that we chose"), ("ticket_types", "1 = psa_ticket_incident")]].concat();
    assert_eq!(marco.fill_in(&address, &address, &change).await.status, 303);
    let now = connection_named(&flow, "Our Autotask").await;
    let Credentials::Autotask { secret, webhook_secret, previous_webhook_secret, .. } = now.credentials else { panic!("another vendor") };
    let previous = previous_webhook_secret.unwrap();
    assert_eq!((secret.0.as_str(), webhook_secret.0.as_str()), ("the API secret", "a secret that we chose"));
    assert_eq!((&previous.secret, previous.until), (random, flow.app().now() + Duration::minutes(10)));
    assert_eq!(now.settings.ticket_types["1"], "psa_ticket_incident");

    let wrong = [&typed[..3], &[("ticket_types", "1 = psa_ticket_incident\n2 = incident")]].concat();
    let reply = marco.fill_in(&address, &address, &wrong).await;
    assert_eq!(reply.status, 422);
    assert!(text(&reply).contains("Line 2 of the ticket types") && text(&reply).contains("2 = incident"));
    assert_eq!(audited(&flow, "connection.changed").await.len(), 1);
}

#[tokio::test]
async fn an_autotask_connection_without_its_webhooks_guids_does_not_look_well_and_who_enters_them_is_in_the_log() {
    let mut flow = Flow::new(Extent::Both).await;
    let mut held = connection::read(&flow.deployment().await, AUTOTASK).await.unwrap().unwrap();
    let Credentials::Autotask { user, webhook_guids, .. } = &mut held.credentials else { panic!("another vendor") };
    let (user, guids) = (user.clone(), std::mem::take(webhook_guids));
    connection::change(&flow.deployment().await, held.clone()).await.unwrap();
    let sent = deliveries_of(AUTOTASK, START);
    assert_eq!(flow.post(&sent[0]).await.unwrap().status, 200);
    flow.pump().await;

    {
        let marco = Browser::of(&flow, What::Engineer).await;
        let page = text(&marco.get("portal/connections").await);
        for said in [
            "Refused</span>",
            "GUID is not entered here. Enter the GUID that Autotask gives under Change",
            "until then its events are refused",
        ] {
            assert!(page.contains(said), "{said}: {page}");
        }
        let address = format!("portal/connections/{AUTOTASK}");
        let entered = guids.join("\n");
        let typed = [("name", held.name.as_str()), ("host", &held.host), ("user", &user), ("webhook_guids", &entered)];
        assert_eq!(marco.fill_in(&address, &address, &typed).await.status, 303);
    }
    let mut logged: Vec<_> =
        audited(&flow, "connection.changed").await.into_iter().map(|item| item.detail["webhook_guids"].clone()).collect();
    logged.sort_by_key(|guids| guids.as_array().map(Vec::len));
    assert_eq!(logged, [serde_json::json!([]), serde_json::json!(guids)]);

    assert_eq!(flow.post(&sent[1]).await.unwrap().status, 200);
    flow.pump().await;
    let marco = Browser::of(&flow, What::Engineer).await;
    let page = text(&marco.get("portal/connections").await);
    assert!(!page.contains("GUID is not entered here"), "{page}");
}

#[tokio::test]
async fn the_owner_adds_a_client_says_who_may_do_what_for_it_and_an_engineer_cannot() {
    let flow = Flow::new(Extent::Small).await;
    let (owner, approver) = (person(What::Owner), person(What::Approver));
    let olivia = Browser::of(&flow, What::Owner).await;
    assert!(text(&olivia.get("portal/clients").await).contains("/api/portal/clients/new"));
    let checkbox = format!("approver-{}", approver.id);
    let nobody = olivia.fill_in("portal/clients/new", "portal/clients", &[("name", "Kestrel")]).await;
    assert_eq!(nobody.status, 422);
    assert!(text(&nobody).contains("tick an approver"));
    let typed = [("name", " Kestrel Avionics & Søn "), (checkbox.as_str(), "yes")];
    assert_eq!(olivia.fill_in("portal/clients/new", "portal/clients", &typed).await.status, 303);

    let store = flow.deployment().await;
    let tenants = Roster::read(&store).await.unwrap().tenants.clone();
    let kestrel = tenants.iter().find(|tenant| tenant.name == "Kestrel Avionics & Søn").unwrap();
    let mut grants = Roster::read(&store).await.unwrap().grants_of(kestrel.id, flow.app().now()).cloned().collect::<Vec<_>>();
    grants.sort_by_key(|grant| grant.person != owner.id);
    let roles: Vec<_> = grants.iter().map(|grant| (grant.person, grant.roles.clone())).collect();
    assert_eq!(roles, [(owner.id, vec![Role::Engineer]), (approver.id, vec![Role::Approver])]);
    assert_eq!(audited(&flow, "client.added").await.len(), 1);
    assert!(text(&olivia.get("portal/clients").await).contains("Kestrel Avionics"));
    assert_eq!(olivia.get(&format!("portal/clients/{}", kestrel.id)).await.status, 200);

    let again = olivia.fill_in("portal/clients/new", "portal/clients", &[("name", "kestrel avionics & søn")]).await;
    assert_eq!(again.status, 422);
    assert!(text(&again).contains("a client of this name already"));

    let marco = Browser::of(&flow, What::Engineer).await;
    assert!(!text(&marco.get("portal/clients").await).contains("/api/portal/clients/new"));
    assert_eq!(marco.get("portal/clients/new").await.status, 403);
    assert_eq!(marco.get(&format!("portal/clients/{}", kestrel.id)).await.status, 404, "no grant");
}

#[tokio::test]
async fn the_owner_changes_who_may_do_what_for_a_client_and_never_so_that_nobody_can_decide() {
    let flow = Flow::new(Extent::Small).await;
    let (marco, priya) = (person(What::Engineer), person(What::Approver));
    let (olivia, page) = (Browser::of(&flow, What::Owner).await, format!("portal/clients/{HARBOR}/people"));
    assert_eq!(olivia.get(&format!("portal/clients/{HARBOR}")).await.status, 404, "no grant, but she can give one");
    assert!(text(&olivia.get("portal/clients").await).contains(&page));
    let (asks, decides, both) = (format!("engineer-{}", marco.id), format!("approver-{}", priya.id), format!("approver-{}", marco.id));

    for (typed, why) in [(vec![(asks.as_str(), "yes")], "tick an approver"), (vec![(&asks, "yes"), (&both, "yes")], "somebody else")] {
        let refused = olivia.fill_in(&page, &page, &typed).await;
        assert_eq!(refused.status, 422);
        assert!(text(&refused).contains(why), "{why}");
    }
    let opened = olivia.open(&page).await;
    assert_eq!(olivia.send(opened.clone(), &page, &[(&asks, "yes"), (&decides, "yes")]).await.status, 303);
    let grants = Roster::read(&flow.deployment().await).await.unwrap().grants_of(HARBOR, flow.app().now()).cloned().collect::<Vec<_>>();
    let mut roles: Vec<_> = grants.into_iter().map(|grant| (grant.person, grant.roles)).collect();
    roles.sort_by_key(|(id, _)| *id != marco.id);
    assert_eq!(roles, [(marco.id, vec![Role::Engineer]), (priya.id, vec![Role::Approver])]);
    assert_eq!(audited(&flow, "client.grants_changed").await.len(), 1);

    let own = format!("engineer-{}", person(What::Owner).id);
    assert_eq!(olivia.fill_in(&page, &page, &[(&asks, "yes"), (&decides, "yes"), (&own, "yes")]).await.status, 303);
    assert!(text(&olivia.get(&format!("portal/clients/{HARBOR}")).await).contains(&page));
    assert_eq!(olivia.send(opened, &page, &[(&asks, "yes"), (&decides, "yes"), (&both, "yes")]).await.status, 409, "an old form");
    assert_eq!(olivia.fill_in(&page, &page, &[(&asks, "yes"), (&decides, "yes"), (&own, "yes")]).await.status, 303);
    assert_eq!(audited(&flow, "client.grants_changed").await.len(), 2, "nothing changed since");

    let marco = Browser::of(&flow, What::Engineer).await;
    assert_eq!(marco.get(&page).await.status, 403);
    assert_eq!(marco.post(&page, &[(&both, "yes")]).await.status, 403);
    assert!(!text(&marco.get(&format!("portal/clients/{HARBOR}")).await).contains(&page));
}

/// Reads everything of the one connection, by the button, as far as it comes now; what the page shows then.
async fn read_now(flow: &mut Flow) -> String {
    let connection = connections(flow).await[0].id;
    let action = format!("portal/connections/{connection}/pull");
    assert_eq!(Browser::of(flow, What::Engineer).await.press("portal/connections", &action, &[]).await.status, 303);
    flow.pump().await;
    text(&Browser::of(flow, What::Engineer).await.get("portal/connections").await)
}

#[tokio::test]
async fn a_read_that_failed_or_waits_says_so_why_and_what_to_do_and_is_never_green() {
    let mut flow = Flow::new(Extent::Small).await;
    flow.test.http.answer_with(|_| Some(Ok(response(401, &[], ""))));
    let page = read_now(&mut flow).await;
    assert!(page.contains(r#"<span class="tag not">Failed after 0 records, 1 company to go</span>"#), "{page}");
    assert!(page.contains("credentials or rights") && page.contains("then read again"));
    assert!(!page.contains("records read</span>"));

    flow.test.http.answer_with(|_| Some(Ok(response(429, &[("retry-after", "600")], ""))));
    let page = read_now(&mut flow).await;
    assert!(page.contains(r#"<span class="tag wait">Waiting"#) && page.contains("throttled") && page.contains("in 10 minutes"), "{page}");
}

#[tokio::test]
async fn only_who_may_open_the_connections_is_sent_there_to_see_what_is_wrong() {
    let mut flow = Flow::new(Extent::Small).await;
    flow.test.http.answer_with(|_| Some(Ok(response(401, &[], ""))));
    read_now(&mut flow).await;
    let clients = async |what| text(&Browser::of(&flow, what).await.get("portal/clients").await);
    assert!(clients(What::Engineer).await.contains(r#"<a href="/api/portal/connections">See why</a>"#));
    let page = clients(What::Approver).await;
    assert!(page.contains("ConnectWise PSA: something is wrong") && !page.contains("/api/portal/connections"), "{page}");
}

#[tokio::test]
async fn who_saves_a_connection_that_a_colleague_changed_meanwhile_hears_of_it_and_loses_nothing() {
    let flow = Flow::new(Extent::Small).await;
    let (marco, olivia) = (Browser::of(&flow, What::Engineer).await, Browser::of(&flow, What::Owner).await);
    let page = format!("portal/connections/{}", connections(&flow).await[0].id);
    let typed = |name, types| [&[("name", name), ("configuration_types", types)], CONNECTWISE].concat();
    let opened = olivia.open(&page).await;
    assert!(opened.iter().all(|(_, value)| !value.contains("private key")));
    let of_marco = typed("Named by Marco", "17 = rmm_device_inventory");
    assert_eq!(marco.fill_in(&page, &page, &of_marco).await.status, 303);

    let of_olivia = typed("Named by Olivia", "");
    let reply = olivia.send(opened.clone(), &page, &of_olivia).await;
    let html = text(&reply);
    assert_eq!(reply.status, 409);
    for said in [
        "was changed after you opened the form",
        "Name: kept now is Named by Marco",
        "Configuration types: kept now is 17 = rmm_device_inventory",
        "value=\"Named by Olivia\"",
    ] {
        assert!(html.contains(said), "{said}: {html}");
    }
    assert!(!html.contains("key of the story"), "no secret");
    assert_eq!(connections(&flow).await[0].name, "Named by Marco");
    let forged = opened.iter().cloned().map(|(name, value)| (name.clone(), if name == "seen" { "other".into() } else { value }));
    assert_eq!(olivia.send(forged.collect(), &page, &of_olivia).await.status, 403, "the token says what was seen");

    // Now she has seen it. A browser that repeats the form hears the same.
    let again = hidden_of_form(&reply);
    for _ in 0..2 {
        assert_eq!(olivia.send(again.clone(), &page, &of_olivia).await.status, 303);
    }
    assert_eq!(connections(&flow).await[0].name, "Named by Olivia");
    assert_eq!(audited(&flow, "connection.changed").await.len(), 2);
}

#[tokio::test]
async fn types_that_mean_nothing_yet_are_named_where_people_can_say_what_they_mean() {
    let mut flow = Flow::new(Extent::Small).await;
    let mut connection = connections(&flow).await.remove(0);
    connection.settings.configuration_types.clear();
    connection::change(&flow.deployment().await, connection.clone()).await.unwrap();
    let page = read_now(&mut flow).await;
    let named = "<code>17</code> Managed Workstation: 3 configurations";
    assert!(page.contains("Types without a meaning") && page.contains(named), "{page}");

    let marco = Browser::of(&flow, What::Engineer).await;
    let address = format!("portal/connections/{}", connection.id);
    assert!(text(&marco.get(&address).await).contains(named));
    let typed = [CONNECTWISE, &[("configuration_types", "17 = rmm_device_inventory")]].concat();
    assert_eq!(marco.fill_in(&address, &address, &typed).await.status, 303);
    for address in [address.as_str(), "portal/connections"] {
        assert!(!text(&marco.get(address).await).contains(named), "{address}");
    }
}

#[tokio::test]
async fn an_engineer_says_that_an_alarm_is_seen_to_and_the_log_says_who_did() {
    let mut flow = Flow::new(Extent::Small).await;
    flow.test.http.answer_with(|_| Some(Ok(response(401, &[], ""))));
    let page = read_now(&mut flow).await;
    assert!(page.contains("Look here") && page.contains("I have seen to it"), "{page}");

    let id = connections(&flow).await[0].id;
    let action = format!("portal/connections/{id}/alarms/pull_refused/clear");
    let priya = Browser::of(&flow, What::Approver).await;
    assert_eq!(portal::run(priya.request(Method::Post, &action, "token=x"), flow.app()).await.status, 403);
    let marco = Browser::of(&flow, What::Engineer).await;
    assert_eq!(portal::run(marco.request(Method::Post, &action, "token=x"), flow.app()).await.status, 403, "not our form");
    let reply = marco.press("portal/connections", &action, &[]).await;
    let page = text(&marco.follow(&reply).await);
    assert!(page.contains("Noted, with your name") && !page.contains("I have seen to it") && !page.contains("Look here"));
    assert!(page.contains("Failed after"), "what happened stays to be seen");
    let items = flow.deployment().await.all::<Item>(DeploymentPlace::Operations, "").await.unwrap();
    let cleared = items.iter().find(|item| item.value.kind == "alert.cleared").unwrap();
    assert_eq!(cleared.value.actor, Actor::Person(person(What::Engineer).id));
}
