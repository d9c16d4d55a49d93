//! Cards in Teams, and the mails that follow when they bring nobody: over what Teams answers, limits, and crashes.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
};

use assay::{
    app::App,
    gate::{
        self, Policy, Rule, State, Verdict,
        delivery::{self, Channel, DeliverV1, Outcome, Posting, health},
        notify::Occasion,
    },
    platform::{
        ports::{HttpRequest, Identity, PortError, PortErrorKind},
        process::HttpClient,
    },
    tenancy::{
        ClientPlace, DeploymentPlace, DeploymentScope, Held, PersonId, ProposalId, Record as _,
        directory::{Grant, Person},
    },
};
use serde_json::Value;
use time::Duration;
use url::Url;
use warp::Filter as _;
use zeroize::Zeroizing;

use super::{House, draft, flush};
use crate::support::{
    TestApp, authority,
    authority::Authority,
    browser::text,
    faults::Fault,
    flow::{link_in, pointed_to},
    visitor::Visitor,
};

const HOOK: &str = "https://prod-12.westus.logic.azure.com/workflows/a/triggers/manual/paths/invoke?api-version=2016-06-01&sig=SECRET";

fn settings<'a>(more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    [("ASSAY_TEAMS", "secret:teams")].into_iter().chain(more.iter().copied()).collect()
}

async fn house(more: &[(&str, &str)]) -> House {
    let house = House::on(TestApp::with(&settings(more))).await;
    let secrets = house.test.folder().join("vault/secrets");
    std::fs::create_dir_all(&secrets).unwrap();
    std::fs::write(secrets.join("teams"), format!("{HOOK}\n")).unwrap();
    house
}

/// Somebody asks, and what is due is queued.
async fn asked(house: &House) -> ProposalId {
    let id = house.asked(draft()).await;
    gate::notify(house.test.app(), house.messages("notify").await.last().unwrap()).await.unwrap();
    id
}

/// Every message about a delivery over this channel, once, in the order in which they were sent.
async fn deliver(house: &House, app: &App, channel: Channel) {
    for message in house.messages("notify").await {
        if message.body::<DeliverV1>().is_ok_and(|due| due.posting.contains(&format!(":{}:", channel.word()))) {
            delivery::deliver(app, &message).await.unwrap();
        }
    }
}

async fn postings(house: &House) -> Vec<Posting> {
    let held: Vec<Held<Posting>> = house.store().await.all(ClientPlace::Assessment, "").await.unwrap();
    held.into_iter().map(|held| held.value).collect()
}

/// Teams takes every card; what else is asked, the authority answers.
fn teams_accepts_beside(house: &House, authority: &Arc<Authority>) {
    let authority = authority.clone();
    house.test.http.answer_with(move |request| {
        let teams = request.url.as_str() == HOOK;
        if teams { Some(Ok(crate::support::http::response(202, &[], ""))) } else { authority.answer(request) }
    });
}

/// Bodies of the cards that were posted.
fn cards(house: &House) -> Vec<Value> {
    let calls = house.test.http.calls();
    calls.iter().filter(|call| call.url.as_str() == HOOK).map(|call| serde_json::from_slice(&call.body).unwrap()).collect()
}

fn title(card: &Value) -> &str {
    card["attachments"][0]["content"]["body"][0]["inlines"][0]["text"].as_str().unwrap()
}

fn opens(card: &Value) -> &str {
    card["attachments"][0]["content"]["actions"][0]["url"].as_str().unwrap()
}

#[tokio::test]
async fn a_card_goes_out_once_and_leads_every_approver_to_the_page_and_who_does_not_sign_in_is_mailed() {
    let house = house(authority::SETTINGS).await;
    let authority = Authority::of(&house.test);
    teams_accepts_beside(&house, &authority);
    let id = asked(&house).await;
    assert!(house.mails().await.is_empty(), "the mails wait");
    for _ in 0..3 {
        deliver(&house, house.test.app(), Channel::Teams).await;
    }
    let posted = cards(&house);
    assert_eq!((posted.len(), title(&posted[0])), (1, "Mark AC.L2-3.1.1[a] as MET for Harbor Precision?"));
    assert_eq!(pointed_to(opens(&posted[0])), (house.tenant, id));
    assert_eq!(house.audited(id).await, ["proposal.staged", "proposal.notified", "notice.accepted"]);

    // Zoë follows the card; its link is for all who see the channel.
    authority.claim("oid", serde_json::json!(house.sam.identity.unwrap().oid.hyphenated().to_string()));
    house.test.clock.advance(Duration::hours(1));
    let zoe = Visitor::signed_in(&house.test, &authority).await;
    let led = zoe.get(&link_in(&format!("{} ", opens(&posted[0])))).await;
    let page = format!("portal/proposals/{}/{id}", house.tenant);
    assert_eq!(led.header("location"), Some(format!("/api/{page}").as_str()), "{}", text(&led));
    assert_eq!(zoe.get(&page).await.status, 200);

    // Priya signs in for something else, and looks at another page.
    authority.claim("oid", serde_json::json!(house.priya.identity.unwrap().oid.hyphenated().to_string()));
    let elsewhere = Visitor::signed_in(&house.test, &authority).await;
    assert!(elsewhere.is_signed_in().await);
    // Four hours after the card, she has not looked.
    house.test.clock.advance(Duration::hours(3));
    deliver(&house, house.test.app(), Channel::Mail).await;
    let mails = house.mails().await;
    assert!(mails.len() == 1 && mails[0].0.ends_with(&format!("{}.eml", house.priya.id)), "{mails:?}");
    let outcomes: Vec<(Channel, Outcome)> = house.notified(id).await[0].posted.iter().map(|p| (p.channel, p.outcome.clone())).collect();
    assert!(
        outcomes.contains(&(Channel::Mail, Outcome::SignedIn)) && outcomes.contains(&(Channel::Mail, Outcome::Accepted)),
        "{outcomes:?}"
    );
    assert!(postings(&house).await.is_empty());
    let priya = Visitor::of(&house.test);
    assert_eq!(priya.get(&link_in(&mails[0].1)).await.status, 200);
}

/// What is asked, when Zoë did this an hour after the card, in a process that ended since, and its mails come so much later.
async fn after_the_card(led: impl AsyncFn(&House, &Visitor<'_>, &str) -> Option<String>, then: Duration) -> (House, ProposalId) {
    let house = house(authority::SETTINGS).await;
    let authority = Authority::of(&house.test);
    teams_accepts_beside(&house, &authority);
    let rule = Rule { decide_within: 12, ..Rule::of_kind("mark") };
    house.set_policy(&Policy { rules: BTreeMap::from([("mark".to_owned(), rule)]), ..Policy::default() }).await;
    let id = asked(&house).await;
    deliver(&house, house.test.app(), Channel::Teams).await;
    house.test.clock.advance(Duration::hours(1));
    authority.claim("oid", serde_json::json!(house.sam.identity.unwrap().oid.hyphenated().to_string()));
    let zoe = Visitor::of(&house.test);
    let link = format!("/api/{}", link_in(&format!("{} ", opens(&cards(&house)[0]))));
    let next = led(&house, &zoe, &link).await;
    let arrived = zoe.get(&authority.sign_in(&zoe.depart(next.as_deref()).await)).await;
    assert_eq!(arrived.status, 303, "{}", text(&arrived));
    house.test.clock.advance(then);
    deliver(&house, house.test.app(), Channel::Mail).await;
    (house, id)
}

/// Who is mailed four hours after the card.
async fn mailed_after(led: impl AsyncFn(&House, &Visitor<'_>, &str) -> Option<String>) -> Vec<String> {
    let (house, _) = after_the_card(led, Duration::hours(3)).await;
    let of =
        |name: &str| [&house.priya, &house.sam].into_iter().find(|one| name.ends_with(&format!("{}.eml", one.id))).unwrap().name.clone();
    let mut mailed: Vec<String> = house.mails().await.iter().map(|(name, _)| of(name)).collect();
    mailed.sort();
    mailed
}

#[tokio::test]
async fn only_a_sign_in_that_led_to_the_proposal_or_the_inbox_spares_the_mail_and_any_other_does_not() {
    let both = ["Priya Nair", "Zoë Okafor"];
    assert_eq!(mailed_after(async |_, _, link| Some(link.to_owned())).await, both[..1], "the link of the card");
    assert_eq!(mailed_after(async |_, _, _| Some("/api/portal/inbox".into())).await, both[..1], "the inbox");
    assert_eq!(mailed_after(async |_, _, _| None).await, both, "no page in particular");
    assert_eq!(mailed_after(async |_, _, _| Some("/api/portal/connections".into())).await, both, "another page");
    assert_eq!(mailed_after(async |_, _, link| Some(format!("{}x", &link[..link.len() - 1]))).await, both, "a link that does not count");
}

#[tokio::test]
async fn of_who_looked_at_the_card_in_time_nobody_says_that_they_could_not_be_told() {
    let (house, id) = after_the_card(async |_, _, link| Some(link.to_owned()), Duration::hours(12)).await;
    let notified = house.notified(id).await;
    let of = |who: &Person| {
        let mails = notified[0].posted.iter().filter(|posted| posted.channel == Channel::Mail && posted.to == who.id);
        mails.map(|posted| posted.outcome.clone()).collect::<Vec<_>>()
    };
    assert_eq!((of(&house.sam), of(&house.priya)), (vec![Outcome::SignedIn], vec![Outcome::TooLate]));
}

#[tokio::test]
async fn what_is_decided_or_over_is_not_posted_any_more() {
    let house = house(&[]).await;
    house.test.http.lay_response(HOOK, 202, &[], "");
    let (decided, over) = (asked(&house).await, asked(&house).await);
    let no = house.answer(decided, Verdict::Reject).await;
    house.decide(&house.sam, decided, &no).await.unwrap();
    house.test.clock.advance(Duration::days(8));
    deliver(&house, house.test.app(), Channel::Teams).await;
    deliver(&house, house.test.app(), Channel::Mail).await;
    assert!(cards(&house).is_empty() && house.mails().await.is_empty() && postings(&house).await.is_empty());
    assert_eq!(house.state(over).await, State::Open);
    // That nobody could be told in time stands there; that nobody had to be any more needs no word.
    let too_late = async |id| house.notified(id).await[0].posted.iter().filter(|posted| posted.outcome == Outcome::TooLate).count();
    assert_eq!((too_late(decided).await, too_late(over).await), (0, 3));
    let kinds = house.audited(over).await;
    assert_eq!(kinds.iter().filter(|kind| *kind == "notice.too_late").count(), 3, "{kinds:?}");
}

#[tokio::test]
async fn who_did_not_look_at_the_card_is_mailed_in_time_however_little_is_left() {
    let house = house(&[]).await;
    house.test.http.lay_response(HOOK, 202, &[], "");
    let rule = Rule { decide_within: 2, remind_before: vec![1], ..Rule::of_kind("mark") };
    house.set_policy(&Policy { rules: BTreeMap::from([("mark".to_owned(), rule)]), ..Policy::default() }).await;
    asked(&house).await;
    deliver(&house, house.test.app(), Channel::Teams).await;
    house.test.clock.advance(Duration::minutes(59));
    deliver(&house, house.test.app(), Channel::Mail).await;
    assert!(house.mails().await.is_empty(), "the card has half of the two hours");
    house.test.clock.advance(Duration::minutes(1));
    deliver(&house, house.test.app(), Channel::Mail).await;
    assert_eq!(house.mails().await.len(), 2, "two hours to decide in, of which one is left");

    // The sweep comes a few minutes late.
    house.test.clock.advance(Duration::minutes(4));
    assert_eq!(gate::remind(house.test.app(), &house.scope(&house.marco)).await.unwrap().told, 1);
    deliver(&house, house.test.app(), Channel::Teams).await;
    house.test.clock.advance(Duration::minutes(28));
    deliver(&house, house.test.app(), Channel::Mail).await;
    let mails = house.mails().await;
    assert_eq!(mails.iter().filter(|(_, mail)| mail.contains("Subject: Reminder: ")).count(), 2, "{mails:?}");
    assert!(postings(&house).await.is_empty());
}

#[tokio::test]
async fn whose_role_or_access_is_taken_away_while_the_mail_waits_is_mailed_nothing() {
    let house = house(&[]).await;
    house.test.http.lay_response(HOOK, 202, &[], "");
    let id = asked(&house).await;
    deliver(&house, house.test.app(), Channel::Teams).await;
    house.change(&house.sam, |sam| sam.access_ended_at = Some(house.test.app().now())).await;
    let directory = DeploymentScope::of_function("test", "revoke").store(house.test.app()).await.unwrap();
    let key = house.grant(&house.priya).key();
    let mut batch = directory.batch(DeploymentPlace::Directory);
    batch.delete(&directory.read::<Grant>(DeploymentPlace::Directory, &key).await.unwrap().unwrap());
    batch.commit().await.unwrap();
    house.test.clock.advance(Duration::hours(4));
    deliver(&house, house.test.app(), Channel::Mail).await;
    assert!(house.mails().await.is_empty() && postings(&house).await.is_empty());
    assert!(house.notified(id).await[0].posted.iter().all(|posted| posted.channel == Channel::Teams));
}

#[tokio::test]
async fn a_channel_that_asks_to_wait_is_tried_again_when_it_said_and_then_never_twice() {
    let house = house(&[]).await;
    house.test.http.lay_response(HOOK, 429, &[("retry-after", "90")], "");
    house.test.http.lay_response(HOOK, 202, &[], "");
    asked(&house).await;
    deliver(&house, house.test.app(), Channel::Teams).await;
    let waits: Vec<Posting> = postings(&house).await.into_iter().filter(|posting| posting.channel == Channel::Teams).collect();
    assert_eq!((waits.len(), waits[0].tries, waits[0].due_at), (1, 1, house.test.app().now() + Duration::seconds(90)));
    house.test.clock.advance(Duration::seconds(90));
    for _ in 0..3 {
        deliver(&house, house.test.app(), Channel::Teams).await;
    }
    assert_eq!(cards(&house).len(), 2);
    assert!(postings(&house).await.iter().all(|posting| posting.channel == Channel::Mail));
}

#[tokio::test]
async fn where_the_workflow_is_gone_all_are_mailed_at_once_and_the_page_says_why() {
    let house = house(&[]).await;
    house.test.http.lay_response(HOOK, 404, &[], "WorkflowNotFound SECRET");
    let id = asked(&house).await;
    deliver(&house, house.test.app(), Channel::Teams).await;
    deliver(&house, house.test.app(), Channel::Mail).await;
    assert_eq!(house.mails().await.len(), 2);
    let kinds = house.audited(id).await;
    assert_eq!(kinds.iter().filter(|kind| *kind == "notice.refused").count(), 1, "{kinds:?}");
    let store = DeploymentScope::of_function("test", "c").store(house.test.app()).await.unwrap();
    let teams = health::all(&store).await.unwrap().into_iter().find(|health| health.channel == Channel::Teams).unwrap();
    assert!(teams.is_failing() && teams.why.contains("The workflow is not there any more"), "{teams:?}");
    assert!(!teams.why.contains("SECRET"), "nothing of the answer, nothing of the address");
}

#[tokio::test]
async fn a_vault_that_holds_no_workflows_address_refuses_and_nothing_is_called() {
    let house = house(&[]).await;
    for wrong in ["https://evil.example/?sig=x", "not an address", "http://127.0.0.1:1/?sig=x"] {
        std::fs::write(house.test.folder().join("vault/secrets/teams"), wrong).unwrap();
        asked(&house).await;
        deliver(&house, house.test.app(), Channel::Teams).await;
    }
    assert!(house.test.http.calls().is_empty());
    assert!(postings(&house).await.iter().all(|posting| posting.channel == Channel::Mail));
}

#[tokio::test]
async fn more_than_a_minute_takes_waits_for_the_next_and_four_that_wait_become_one() {
    let house = house(&[("ASSAY_NOTICES_PER_MINUTE", "3")]).await;
    house.test.http.lay_response(HOOK, 202, &[], "");
    for _ in 0..3 {
        asked(&house).await;
    }
    deliver(&house, house.test.app(), Channel::Teams).await;
    assert_eq!(cards(&house).len(), 2);
    house.test.clock.advance(Duration::minutes(1));
    deliver(&house, house.test.app(), Channel::Teams).await;
    assert_eq!(cards(&house).len(), 3);

    house.test.clock.advance(Duration::minutes(1));
    let mut ids = Vec::new();
    for _ in 0..12 {
        ids.push(asked(&house).await);
    }
    deliver(&house, house.test.app(), Channel::Teams).await;
    let posted = cards(&house);
    assert_eq!((posted.len(), title(&posted[3])), (4, "Harbor Precision: 12 approvals wait"));
    let content = &posted[3]["attachments"][0]["content"];
    assert_eq!(content.to_string().matches("Mark AC.L2-3.1.1[a]").count(), delivery::notice::DIGEST_ITEMS);
    assert!(opens(&posted[3]).ends_with("/api/portal/inbox"));
    for id in ids {
        assert_eq!(house.notified(id).await[0].posted[0].together, 12);
    }
}

#[tokio::test]
async fn wherever_a_delivery_stops_the_card_comes_and_the_next_run_ends_it() {
    for fault in [Fault::BeforeEffect, Fault::AnswerLost] {
        let mut at = 0;
        loop {
            let mut house = house(&[]).await;
            house.test.http.lay_response(HOOK, 202, &[], "");
            let id = asked(&house).await;
            let message = house.messages("notify").await.into_iter().find(|message| message.body::<DeliverV1>().is_ok()).unwrap();
            house.test.restart();
            house.test.faults.stop_at(at, fault);
            let _ = delivery::deliver(house.test.app(), &message).await;
            let struck = house.test.faults.struck();
            house.test.faults.mend();
            house.test.restart();
            // The message comes again, and once more when a claim of the dead process has ended.
            delivery::deliver(house.test.app(), &message).await.unwrap();
            house.test.clock.advance(Duration::minutes(3));
            delivery::deliver(house.test.app(), &message).await.unwrap();
            flush(&house).await.unwrap();
            let sent = cards(&house).len();
            assert!((1..=2).contains(&sent), "stopped at call {at}, {fault:?}: {sent} cards");
            let accepted = house.audited(id).await.iter().filter(|kind| *kind == "notice.accepted").count();
            assert_eq!(accepted, 1, "stopped at call {at}, {fault:?}");
            if !struck {
                assert_eq!(sent, 1);
                break;
            }
            at += 1;
        }
        assert!(at > 5, "only {at} calls were tried");
    }
}

#[tokio::test]
async fn a_delivery_whose_message_was_lost_is_sent_on_its_way_again_by_the_sweep() {
    let house = house(&[]).await;
    house.test.http.lay_response(HOOK, 202, &[], "");
    asked(&house).await;
    let sent = house.messages("notify").await.len();
    assert_eq!(gate::remind(house.test.app(), &house.scope(&house.marco)).await.unwrap().told, 0);
    assert_eq!(house.messages("notify").await.len(), sent, "it is not late yet");
    house.test.clock.advance(Duration::minutes(16));
    gate::remind(house.test.app(), &house.scope(&house.marco)).await.unwrap();
    let again = house.messages("notify").await.split_off(sent);
    assert_eq!(again.len(), 1, "the mails are not due");
    delivery::deliver(house.test.app(), &again[0]).await.unwrap();
    assert_eq!(cards(&house).len(), 1);
}

type Calls = Arc<Mutex<Vec<(String, String, Value)>>>;

/// A server on this machine that answers as a workflow's trigger does.
fn workflow(statuses: Vec<u16>) -> (Url, Calls) {
    let calls = Calls::default();
    let (seen, answers) = (calls.clone(), Arc::new(Mutex::new(statuses.into_iter())));
    let routes = warp::post().and(warp::path::full()).and(warp::header("content-type")).and(warp::body::bytes()).map(
        move |path: warp::path::FullPath, kind: String, body: bytes::Bytes| {
            seen.lock().unwrap().push((path.as_str().to_owned(), kind, serde_json::from_slice(&body).unwrap()));
            let status = answers.lock().unwrap().next().unwrap_or(202);
            let reply = warp::http::Response::builder().status(status).header("retry-after", "1");
            reply.body(if status == 202 { "" } else { r#"{"error":{"code":"TooManyRequests"}}"# })
        },
    );
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let url = Url::parse(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
    let listener = tokio::net::TcpListener::from_std(listener).unwrap();
    tokio::spawn(warp::serve(routes).incoming(listener).run());
    (url, calls)
}

#[tokio::test]
async fn over_a_real_connection_a_card_is_posted_as_json_and_429_is_waited_for() {
    let house = house(&[]).await;
    let (url, calls) = workflow(vec![429, 202]);
    let app = App { http: Arc::new(HttpClient::new(Some(url))), ..house.test.app().clone() };
    let id = asked(&house).await;
    deliver(&house, &app, Channel::Teams).await;
    house.test.clock.advance(Duration::seconds(2));
    deliver(&house, &app, Channel::Teams).await;
    let calls = calls.lock().unwrap().clone();
    assert_eq!(calls.len(), 2);
    for (path, kind, body) in &calls {
        assert_eq!(path, "/prod-12.westus.logic.azure.com/workflows/a/triggers/manual/paths/invoke");
        assert_eq!((kind.as_str(), &body["type"]), ("application/json", &Value::from("message")));
        assert_eq!(body["attachments"][0]["contentType"], "application/vnd.microsoft.card.adaptive");
        assert_eq!(pointed_to(opens(body)), (house.tenant, id));
    }
    assert_eq!(house.notified(id).await[0].posted[0].outcome, Outcome::Accepted);
}

const MAIL: &[(&str, &str)] = &[
    ("ASSAY_TEAMS", ""),
    ("ASSAY_MAIL", "acs"),
    ("ASSAY_ACS_URL", "https://assay-mail.communication.azure.com"),
    ("ASSAY_MAIL_FROM", "DoNotReply@mail.northgate.example"),
];
const SEND: &str = "https://assay-mail.communication.azure.com/emails:send?api-version=2023-03-31";

pub(super) struct Token;

#[async_trait::async_trait]
impl Identity for Token {
    async fn assertion(&self) -> Result<Zeroizing<String>, PortError> {
        Err(PortError::new("stub", PortErrorKind::Missing))
    }

    async fn mail_token(&self) -> Result<Zeroizing<String>, PortError> {
        Ok(Zeroizing::new("token of the app".into()))
    }

    async fn metering_token(&self) -> Result<Zeroizing<String>, PortError> {
        Err(PortError::new("stub", PortErrorKind::Missing))
    }

    async fn check(&self) -> Result<(), PortError> {
        Ok(())
    }
}

fn header<'c>(call: &'c HttpRequest, name: &str) -> &'c str {
    &call.headers.iter().find(|(header, _)| header == name).unwrap().1
}

#[tokio::test]
async fn by_azures_mail_service_each_approver_is_mailed_once_as_the_app_and_a_throttled_mail_comes_later_as_the_same_operation() {
    let house = house(MAIL).await;
    let app = App { identity: Arc::new(Token), ..house.test.app().clone() };
    house.test.http.lay_response(SEND, 429, &[("retry-after", "30")], "");
    house.test.http.lay_response(
        SEND,
        202,
        &[("operation-location", "https://assay-mail.communication.azure.com/emails/operations/a")],
        "{}",
    );
    let id = asked(&house).await;
    deliver(&house, &app, Channel::Mail).await;
    house.test.clock.advance(Duration::seconds(30));
    deliver(&house, &app, Channel::Mail).await;
    deliver(&house, &app, Channel::Mail).await;
    assert!(house.mails().await.is_empty() && postings(&house).await.is_empty());
    let calls = house.test.http.calls();
    let operations: Vec<&str> = calls.iter().map(|call| header(call, "Operation-Id")).collect();
    assert_eq!((operations.len(), operations.iter().collect::<BTreeSet<_>>().len()), (3, 2), "two people, one of them tried twice");
    for call in &calls {
        assert_eq!(header(call, "Authorization"), "Bearer token of the app");
        let body: Value = serde_json::from_slice(&call.body).unwrap();
        assert_eq!(body["senderAddress"], "DoNotReply@mail.northgate.example");
        assert_eq!(body["content"]["subject"], "Harbor Precision: approve AC.L2-3.1.1[a] by Mon 9 Mar");
        for part in ["plainText", "html"] {
            let part = body["content"][part].as_str().unwrap();
            assert_eq!(pointed_to(&link_in(part)), (house.tenant, id));
        }
        assert_eq!(body["userEngagementTrackingDisabled"], true);
    }
    let to: Vec<Value> =
        calls.iter().map(|call| serde_json::from_slice::<Value>(&call.body).unwrap()["recipients"]["to"][0]["address"].clone()).collect();
    assert!(to.contains(&Value::from("priya@northgate.example")) && to.contains(&Value::from("zoe@harbor.example")), "{to:?}");
    let kinds = house.audited(id).await;
    assert_eq!(kinds.iter().filter(|kind| *kind == "notice.accepted").count(), 2, "{kinds:?}");
}

#[tokio::test]
async fn however_much_else_goes_out_an_emergency_is_told_at_once() {
    let settings = [MAIL, &[("ASSAY_NOTICES_PER_MINUTE", "10"), ("ASSAY_NOTICES_PER_HOUR", "10")]].concat();
    let house = house(&settings).await;
    let app = App { identity: Arc::new(Token), ..house.test.app().clone() };
    house.test.http.lay_response(SEND, 202, &[], "{}");
    let rule = Rule { approvals: 2, escalate_before: vec![1], ..Rule::of_kind("mark") };
    let two = BTreeMap::from([("mark".to_owned(), rule)]);
    house.set_policy(&Policy { rules: two, break_glass: BTreeSet::from([house.priya.id]), ..Policy::default() }).await;
    let mut id = house.asked(draft()).await;
    for _ in 0..5 {
        id = house.asked(draft()).await;
    }
    // An hour before the deadline of all, everybody is told loudly of each, in a mail of its own.
    house.test.clock.advance(Duration::days(7) - Duration::minutes(30));
    gate::remind(&app, &house.scope(&house.marco)).await.unwrap();
    deliver(&house, &app, Channel::Mail).await;
    let (sent, wait) = (house.test.http.calls(), postings(&house).await);
    assert!(sent.len() == 8 && wait.iter().filter(|one| one.occasion == Occasion::Escalated).count() > 2, "{} {wait:?}", sent.len());
    house.approve_alone(&house.priya, id).await;
    gate::notify(&app, house.messages("notify").await.last().unwrap()).await.unwrap();
    deliver(&house, &app, Channel::Mail).await;
    let calls = house.test.http.calls().split_off(8);
    let subjects: Vec<Value> =
        calls.iter().map(|call| serde_json::from_slice::<Value>(&call.body).unwrap()["content"]["subject"].clone()).collect();
    assert!(subjects.len() == 2 && subjects.iter().all(|subject| subject.as_str().unwrap().starts_with("EMERGENCY: ")), "{subjects:?}");
}

#[tokio::test]
async fn without_a_token_nothing_is_sent_and_the_page_says_what_to_do() {
    let house = house(MAIL).await;
    asked(&house).await;
    deliver(&house, house.test.app(), Channel::Mail).await;
    assert!(house.test.http.calls().is_empty() && postings(&house).await.is_empty());
    let store = DeploymentScope::of_function("test", "c").store(house.test.app()).await.unwrap();
    let mail = health::all(&store).await.unwrap().into_iter().find(|health| health.channel == Channel::Mail).unwrap();
    assert!(mail.is_failing() && mail.why.contains("its identity and role"), "{mail:?}");
}

#[tokio::test]
async fn a_mail_that_the_service_may_not_have_taken_is_made_anew_once_it_could_not_tell() {
    let house = house(MAIL).await;
    let app = App { identity: Arc::new(Token), ..house.test.app().clone() };
    house.test.http.lay_response(SEND, 500, &[("retry-after", "600")], "");
    house.test.http.lay_response(SEND, 202, &[], "{}");
    asked(&house).await;
    deliver(&house, &app, Channel::Mail).await;
    house.test.clock.advance(Duration::minutes(10));
    deliver(&house, &app, Channel::Mail).await;
    let calls = house.test.http.calls();
    let requests: BTreeSet<&str> = calls.iter().map(|call| header(call, "Repeatability-Request-Id")).collect();
    assert_eq!((calls.len(), requests.len()), (3, 3), "an old request would be refused as too late");
}

/// With so many approvers that one batch does not hold what is queued for them.
async fn crowded() -> House {
    let house = house(&[]).await;
    let store = DeploymentScope::of_function("test", "setup").store(house.test.app()).await.unwrap();
    for n in 0..CROWD {
        let id = PersonId(uuid::Uuid::from_u128(1000 + n));
        let person = Person { id, name: format!("Approver {n}"), email: format!("a{n}@harbor.example"), ..house.sam.clone() };
        let mut batch = store.batch(DeploymentPlace::Directory);
        batch.create(&person);
        let mut grant = house.grant(&house.sam);
        grant.person = id;
        batch.create(&grant);
        batch.commit().await.unwrap();
    }
    drop(store);
    house
}

const CROWD: u128 = 110;
/// Two who approve in every house, and the card.
const QUEUED: usize = 110 + 2 + 1;

#[tokio::test]
async fn however_many_are_told_each_delivery_is_queued_once_wherever_it_stops() {
    let house = crowded().await;
    house.asked(draft()).await;
    let message = house.messages("notify").await.pop().unwrap();
    house.test.faults.mend();
    gate::notify(house.test.app(), &message).await.unwrap();
    let calls = house.test.faults.calls();
    let batches: Vec<usize> = (0..calls.len()).filter(|n| calls[*n] == "documents.batch").collect();
    assert_eq!(postings(&house).await.len(), QUEUED);

    for fault in [Fault::BeforeEffect, Fault::AnswerLost] {
        for stop in &batches[..3] {
            let house = crowded().await;
            let id = house.asked(draft()).await;
            let message = house.messages("notify").await.pop().unwrap();
            house.test.faults.stop_at(*stop, fault);
            gate::notify(house.test.app(), &message).await.unwrap_err();
            house.test.faults.mend();
            gate::notify(house.test.app(), &message).await.unwrap();
            assert_eq!(postings(&house).await.len(), QUEUED, "{stop}");
            let told = house.notified(id).await;
            assert!(told.len() == 1 && told[0].left.is_empty() && told[0].links.len() == QUEUED, "{stop}");
            let sent = house.messages("notify").await.iter().filter(|sent| sent.body::<DeliverV1>().is_ok()).count();
            assert_eq!(sent, QUEUED, "{stop}");
        }
    }
}
