//! The page that shows a card and a mail as they are sent, held against what came out at the other end, to the byte.

use assay::{
    app::App,
    gate::{
        self,
        delivery::{self, DeliverV1},
    },
};
use serde_json::json;
use time::Duration;

use super::{House, delivering::Token, draft};
use crate::support::{
    TestApp, authority,
    authority::Authority,
    browser::text,
    http::response,
    smtp_server::{self, Behaviour, SmtpServer},
    visitor::Visitor,
};

const HOOK: &str = "https://prod-12.westus.logic.azure.com/workflows/a/triggers/manual/paths/invoke?api-version=2016-06-01&sig=SECRET";
const ACS: &[(&str, &str)] = &[
    ("ASSAY_MAIL", "acs"),
    ("ASSAY_ACS_URL", "https://assay-mail.communication.azure.com"),
    ("ASSAY_MAIL_FROM", "a@mail.northgate.example"),
];

async fn house(settings: &[(&str, &str)]) -> (House, std::sync::Arc<Authority>) {
    let house = House::on(TestApp::with(&[authority::SETTINGS, settings].concat())).await;
    let authority = Authority::of(&house.test);
    std::fs::create_dir_all(house.test.folder().join("vault/secrets")).unwrap();
    std::fs::write(house.test.folder().join("vault/secrets/teams"), format!("{HOOK}\n")).unwrap();
    let answering = authority.clone();
    house.test.http.answer_with(move |request| {
        let ours = request.url.as_str() == HOOK || request.url.host_str() == Some("assay-mail.communication.azure.com");
        if ours { Some(Ok(response(202, &[], ""))) } else { answering.answer(request) }
    });
    // She looks at the page, and is the one who is mailed.
    house.change(&house.priya, |priya| priya.operates = true).await;
    authority.claim("oid", json!(house.priya.identity.unwrap().oid.hyphenated().to_string()));
    (house, authority)
}

/// Everything that the page shows as it is sent, as a browser reads it.
async fn shown(house: &House, authority: &Authority) -> Vec<String> {
    let page = text(&Visitor::signed_in(&house.test, authority).await.get("portal/delivery").await);
    assert!(page.contains("reminded as the client&#39;s policy says") && !page.contains("sign in within"), "{page}");
    let raw = page.split("<pre class=\"raw\"").skip(1).map(|part| {
        let (_, part) = part.split_once('>').unwrap();
        let part = part.split("</pre>").next().unwrap();
        part.replace("&#60;", "<").replace("&#62;", ">").replace("&#34;", "\"").replace("&#39;", "'").replace("&#38;", "&")
    });
    raw.collect()
}

async fn asked_and_delivered(house: &House, app: &App) {
    for message in house.messages("notify").await {
        if message.body::<DeliverV1>().is_ok() {
            delivery::deliver(app, &message).await.unwrap();
        }
    }
}

/// With the token that the preview does not make.
fn without_token(sent: &str) -> String {
    let (_, rest) = sent.split_once("token=").unwrap();
    let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && !"-_.".contains(c)).unwrap_or(rest.len());
    let token = &rest[..end];
    sent.replace(token, "TOKEN")
}

#[tokio::test]
async fn the_page_shows_a_reminder_to_the_byte_and_what_an_emergency_and_a_digest_look_like() {
    let (house, authority) = house(&[]).await;
    let id = house.asked(draft()).await;
    house.test.clock.advance(house.held(id).await.value.decide_by - Duration::hours(24) - house.test.app().now());
    let shown = shown(&house, &authority).await;
    gate::remind(house.test.app(), &house.scope(&house.marco)).await.unwrap();
    let mails = house.mails().await;
    let hers = without_token(&mails.iter().find(|(_, mail)| mail.contains("priya@northgate.example")).unwrap().1);
    assert!(hers.contains("Subject: Reminder: ") && shown.contains(&hers), "{hers} is none of {shown:#?}");
    // Card, text, HTML and mail of each, as one reads them.
    let [_, _, emergency, digest] = shown.chunks(4).collect::<Vec<_>>()[..] else { panic!("{}", shown.len()) };
    for said in ["Approved by one person alone: Mark AC.L2-3.1.1[a]", "whether or not anybody answers"] {
        assert!(emergency[1].replace('\n', " ").contains(said), "{emergency:#?}");
    }
    assert!(emergency[3].contains("Subject: EMERGENCY: Harbor Precision: AC.L2-3.1.1[a]"), "{emergency:#?}");
    assert!(digest[0].contains("Example client: 4 approvals wait") && digest[1].contains("CM.L2-3.4.1[b]"), "{digest:#?}");
}

#[tokio::test]
async fn what_the_page_shows_is_what_each_way_gets_to_the_byte() {
    let server = SmtpServer::start(Behaviour::default()).await;
    let port = server.port.to_string();
    let smtp = smtp_server::settings(&port);
    for (way, settings) in [("mailbox", &[][..]), ("smtp", &smtp), ("acs", ACS), ("teams", &[("ASSAY_TEAMS", "secret:teams")])] {
        let (house, authority) = house(settings).await;
        let app = App { identity: std::sync::Arc::new(Token), ..house.test.app().clone() };
        house.asked(draft()).await;
        let shown = shown(&house, &authority).await;
        gate::notify(&app, house.messages("notify").await.last().unwrap()).await.unwrap();
        asked_and_delivered(&house, &app).await;
        let posted = |host: &str| -> Vec<String> {
            let calls = house.test.http.calls();
            let bodies = calls.iter().filter(|call| call.url.host_str().is_some_and(|name| name.ends_with(host)));
            bodies.map(|call| String::from_utf8(call.body.to_vec()).unwrap()).collect()
        };
        let sent: Vec<String> = match way {
            "mailbox" => house.mails().await.into_iter().map(|(_, mail)| mail).collect(),
            "smtp" => server.taken().into_iter().map(|mail| String::from_utf8(mail.bytes).unwrap()).collect(),
            "acs" => posted("communication.azure.com"),
            _ => posted("logic.azure.com"),
        };
        let hers: Vec<String> =
            sent.iter().filter(|sent| way == "teams" || sent.contains("priya@northgate.example")).map(|sent| without_token(sent)).collect();
        assert_eq!(hers.len(), 1, "{way}: {sent:?}");
        assert!(shown.contains(&hers[0]), "{way}: {} is none of {shown:#?}", hers[0]);
        let said = "Mark AC.L2-3.1.1[a] as MET for Harbor Precision?";
        assert!(way == "teams" || (shown[1].starts_with(said) && shown[2].contains("<h1>")), "{way}: the text and the HTML: {shown:#?}");
    }
}
