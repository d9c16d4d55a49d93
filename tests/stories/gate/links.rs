//! The link of a mail: whoever opens it changes nothing, and whoever signs in finds the way.

use assay::{
    gate::{
        self, State,
        link::{
            self, Spent,
            token::AUDIENCE_VIEW,
            verify::{Expected, LinkKey, verify},
        },
        proposal::Answers,
        state::Cause,
    },
    tenancy::{
        ClientPlace, Held, ProposalId, Record as _,
        signing::{self, SigningUse},
    },
    web::Reply,
};
use serde_json::json;
use time::Duration;

use super::{House, draft};
use crate::support::{
    TestApp, authority,
    authority::Authority,
    browser::{self, text},
    flow::link_in,
    scanner::scan,
    visitor::Visitor,
};

/// A client's proposal that two approvers were mailed about, at an installation with Entra sign-in.
struct Asked {
    house: House,
    authority: std::sync::Arc<Authority>,
    id: ProposalId,
}

impl Asked {
    /// Marco asks; Priya and Zoë are mailed.
    async fn new() -> Self {
        let house = House::on(TestApp::with(authority::SETTINGS)).await;
        let authority = Authority::of(&house.test);
        let id = house.asked(draft()).await;
        gate::notify(house.test.app(), &house.messages("notify").await[0]).await.unwrap();
        Self { house, authority, id }
    }

    /// The address in somebody's mail: `portal/link?token=...`.
    async fn link_to(&self, person: &assay::tenancy::directory::Person) -> String {
        let mails = self.house.mails().await;
        let (_, mail) = mails.iter().find(|(name, _)| name.ends_with(&format!("{}.eml", person.id))).unwrap();
        link_in(mail)
    }

    /// A browser in which this person signs in, wanting to go there.
    async fn arrives(&self, person: &assay::tenancy::directory::Person, next: &str) -> (Visitor<'_>, Reply) {
        self.authority.claim("oid", json!(person.identity.unwrap().oid.hyphenated().to_string()));
        let visitor = Visitor::of(&self.house.test);
        let back = self.authority.sign_in(&visitor.depart(Some(&format!("/api/{next}"))).await);
        let arrived = visitor.get(&back).await;
        assert_eq!(arrived.status, 303, "{}", text(&arrived));
        (visitor, arrived)
    }

    fn page(&self) -> String {
        format!("portal/proposals/{}/{}", self.house.tenant, self.id)
    }
}

fn location(reply: &Reply) -> &str {
    assert_eq!(reply.status, 303, "{}", text(reply));
    reply.header("location").unwrap().strip_prefix("/api/").unwrap()
}

/// `sfl-1`.
#[tokio::test]
async fn a_scanner_that_follows_everything_and_sends_every_form_decides_nothing_and_then_the_approver_does_with_the_same_link() {
    let asked = Asked::new().await;
    let (house, link) = (&asked.house, asked.link_to(&asked.house.priya).await);
    let from = house.test.faults.count();
    let scanner = Visitor::of(&house.test);
    let seen = scan(&scanner, &link).await;
    assert!(seen.len() >= 2, "the link and the page to sign in: {seen:?}");
    let calls = house.test.faults.calls().split_off(from);
    let wrote = ["documents.batch", "blobs.create", "queue.send", "vault.sign"];
    assert!(!calls.iter().any(|call| wrote.contains(call)), "{calls:?}");
    assert_eq!(house.audited(asked.id).await, ["proposal.staged", "proposal.notified"]);
    // Forms that it could only have guessed.
    let hash = house.held(asked.id).await.value.hash;
    let token = link.split_once("token=").unwrap().1;
    let guessed = [("decision", "approve"), ("version", "1"), ("hash", hash.as_str()), ("token", "x"), ("permit", token)];
    for address in [format!("{}/decide", asked.page()), link.clone()] {
        assert_eq!(scanner.post(&address, &guessed).await.status, 401);
    }
    assert_eq!(house.state(asked.id).await, State::Open);

    let (priya, arrived) = asked.arrives(&house.priya, &link).await;
    assert_eq!(location(&arrived), link, "where she wanted to go");
    assert_eq!(location(&priya.get(&link).await), asked.page());
    let decide = format!("{}/decide", asked.page());
    let hidden = browser::hidden_of_form(&priya.get(&asked.page()).await);
    let fields = |hidden: &[(String, String)]| -> Vec<(String, String)> {
        hidden.iter().cloned().chain([("decision".into(), "approve".into()), ("comment".into(), "I looked.".into())]).collect()
    };
    let send = async |fields: Vec<(String, String)>| {
        let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        priya.post(&decide, &fields).await
    };
    assert_eq!(location(&send(fields(&hidden)).await), asked.page());
    let approved = house.held(asked.id).await.value;
    assert!(matches!(approved.state, State::Approved { .. }), "{:?}", approved.state);
    assert_eq!(approved.decisions.iter().map(|one| one.person).collect::<Vec<_>>(), [house.priya.id]);
    // The link was never spent; the same form again is the same decision.
    assert_eq!(location(&priya.get(&link).await), asked.page());
    assert_eq!(location(&send(fields(&hidden)).await), asked.page());
    let spent: Vec<Held<Spent>> = house.store().await.all(ClientPlace::Assessment, "").await.unwrap();
    assert_eq!((spent.len(), spent[0].value.person, spent[0].value.proposal), (1, house.priya.id, asked.id));
    assert_eq!(house.audited(asked.id).await.iter().filter(|kind| *kind == "proposal.approved").count(), 1);
}

#[tokio::test]
async fn without_sign_in_every_link_shows_the_same_page_that_names_nobody_and_nothing() {
    let asked = Asked::new().await;
    let link = asked.link_to(&asked.house.priya).await;
    let token = link.split_once("token=").unwrap().1;
    let scanner = Visitor::of(&asked.house.test);
    let page = scanner.get(&link).await;
    assert_eq!((page.status, page.header("cache-control"), page.header("referrer-policy")), (200, Some("no-store"), Some("no-referrer")));
    let html = text(&page).replace(token, "TOKEN");
    let draft = draft();
    let ids = [asked.house.tenant.to_string(), asked.id.to_string()];
    for secret in ["Harbor", "Priya", "Marco", "3.1.1", "approv", &draft.question].into_iter().chain(ids.iter().map(String::as_str)) {
        assert!(!html.to_lowercase().contains(&secret.to_lowercase()), "{secret} stands in {html}");
    }
    assert!(!html.contains("<form") && !html.contains("<script"));
    for other in ["portal/link?token=TOKEN", &link.replace("token=e", "token=f")] {
        let (reply, theirs) = (scanner.get(other).await, other.split_once("token=").unwrap().1);
        assert_eq!((reply.status, text(&reply).replace(theirs, "TOKEN")), (200, html.clone()), "the same for a good and a bad one");
    }
    for odd in ["portal/link", "portal/link?token=%0d%0aset-cookie:x", "portal/link?next=https://other.example"] {
        let reply = scanner.get(odd).await;
        assert!(reply.status == 200 && text(&reply).contains("href=\"/api/portal/sign-in"), "{odd}");
        assert!(!text(&reply).contains("other.example\""));
    }
}

#[tokio::test]
async fn an_expired_link_to_what_is_still_open_leads_to_the_inbox_and_says_so() {
    let asked = Asked::new().await;
    let link = asked.link_to(&asked.house.priya).await;
    asked.house.test.clock.advance(Duration::hours(72) + Duration::minutes(2));
    let (priya, arrived) = asked.arrives(&asked.house.priya, &link).await;
    let inbox = priya.get(location(&arrived)).await;
    let address = location(&inbox).to_owned();
    assert!(address.starts_with("portal/inbox?link=expired&proof="), "{address}");
    let html = text(&priya.get(&address).await);
    assert!(html.contains("The time of that link is over.") && html.contains(&asked.page()), "{html}");
    assert!(!text(&priya.get("portal/inbox?link=expired&proof=x").await).contains("The time of that link"), "a link alone states nothing");
}

#[tokio::test]
async fn a_link_says_first_what_changed_since_the_mail_what_no_longer_stands_and_whose_it_is() {
    let asked = Asked::new().await;
    let house = &asked.house;
    let (to_priya, to_zoe) = (asked.link_to(&house.priya).await, asked.link_to(&house.sam).await);
    let (priya, _) = asked.arrives(&house.priya, &to_priya).await;
    let theirs = text(&priya.get(&to_zoe).await);
    assert!(theirs.contains("This link was sent to somebody else") && theirs.contains(&asked.page()), "{theirs}");

    let store = house.store().await;
    let mut batch = store.batch(ClientPlace::Assessment);
    gate::revise(&mut batch, &house.held(asked.id).await, gate::Draft { after: "MET, with the newer reading".into(), ..draft() })
        .await
        .unwrap()
        .unwrap();
    batch.commit().await.unwrap();
    let changed = text(&priya.get(&to_priya).await);
    assert!(changed.contains("This changed since the mail was written") && changed.contains("version 2 now"), "{changed}");

    let mut batch = store.batch(ClientPlace::Assessment);
    let by = gate::stage(&mut batch, draft()).await.unwrap();
    gate::supersede(&mut batch, &house.held(asked.id).await, Some(by), Cause::NewEvidence).unwrap();
    batch.commit().await.unwrap();
    let superseded = text(&priya.get(&to_priya).await);
    assert!(superseded.contains("Superseded") && superseded.contains("another one stands in its place"), "{superseded}");
    assert!(superseded.contains(&format!("portal/proposals/{}/{by}", house.tenant)));
}

#[tokio::test]
async fn a_link_that_was_changed_or_never_sent_or_leads_to_a_client_without_a_grant_is_one_and_the_same_page() {
    let asked = Asked::new().await;
    let house = &asked.house;
    let link = asked.link_to(&house.priya).await;
    let (priya, _) = asked.arrives(&house.priya, &link).await;
    let proposal = house.held(asked.id).await.value;
    let now = house.test.app().now();
    // Well signed, and no notice knows it.
    let unknown = link::make::row(house.tenant, &proposal, house.priya.id, "no such notice", now);
    let unknown = link::link(house.test.app(), house.tenant, &proposal, &unknown).await.unwrap();
    let unknown = unknown.strip_prefix("https://assay.example.net/api/").unwrap().to_owned();
    let (_, permit) = link::Permit::make(house.test.app(), house.tenant, asked.id, house.priya.id, &proposal.hash).await.unwrap();
    let expected = text(&priya.get("portal/link?token=x").await);
    assert!(expected.contains("This link cannot be used"), "{expected}");
    for bad in [unknown, format!("portal/link?token={permit}"), link.replace('.', ""), format!("{link}A"), "portal/link".into()] {
        let reply = priya.get(&bad).await;
        assert_eq!((reply.status, text(&reply)), (404, expected.clone()), "{bad}");
    }
    house.take_grant(&house.priya).await;
    let reply = priya.get(&link).await;
    assert!(reply.status == 404 && text(&reply).contains("This link cannot be used"));
}

#[tokio::test]
async fn a_permit_is_of_one_person_one_hash_and_one_page_and_is_used_up_by_one_decision() {
    let asked = Asked::new().await;
    let house = &asked.house;
    let link = asked.link_to(&house.priya).await;
    let (priya, _) = asked.arrives(&house.priya, &link).await;
    let (zoe, _) = asked.arrives(&house.sam, &link).await;
    let decide = format!("{}/decide", asked.page());
    let form = |reply: &Reply| browser::hidden_of_form(reply);
    let (of_priya, again, of_zoe) =
        (form(&priya.get(&asked.page()).await), form(&priya.get(&asked.page()).await), form(&zoe.get(&asked.page()).await));
    let value = |form: &[(String, String)], name: &str| form.iter().find(|(field, _)| field == name).unwrap().1.clone();
    let send = async |visitor: &Visitor<'_>, form: &[(String, String)], permit: String| {
        let fields = form
            .iter()
            .filter(|(name, _)| name != "permit")
            .cloned()
            .chain([("permit".into(), permit), ("decision".into(), "approve".into())]);
        let fields: Vec<(String, String)> = fields.collect();
        visitor.post(&decide, &fields.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect::<Vec<_>>()).await
    };
    let view = link.split_once("token=").unwrap().1.to_owned();
    for foreign in [value(&of_zoe, "permit"), value(&again, "permit"), view, String::new(), "x".repeat(5000)] {
        assert_eq!(send(&priya, &of_priya, foreign).await.status, 403);
    }
    assert_eq!(house.state(asked.id).await, State::Open);
    let before = house.held(asked.id).await;
    assert_eq!(send(&priya, &of_priya, value(&of_priya, "permit")).await.status, 303);

    // Somebody with the key of the store puts the open proposal back and takes the decision's record away.
    let store = house.store().await;
    let mut batch = store.batch(ClientPlace::Assessment);
    batch.replace(&Held { value: before.value, etag: house.held(asked.id).await.etag });
    batch.remove::<Answers>(&asked.id.to_string());
    batch.commit().await.unwrap();
    let reply = send(&priya, &of_priya, value(&of_priya, "permit")).await;
    assert_eq!((reply.status, house.state(asked.id).await), (409, State::Open), "used up");
    let spent: Vec<Held<Spent>> = store.all(ClientPlace::Assessment, "").await.unwrap();
    assert_eq!((spent.len(), spent[0].value.key()), (1, spent[0].value.jti.clone()));
}

#[tokio::test]
async fn the_longest_link_is_short_enough_for_filters_that_write_it_anew() {
    let host = format!("https://{}.example.net", "a".repeat(180));
    let settings: Vec<(&str, &str)> =
        authority::SETTINGS.iter().map(|(name, value)| (*name, if *name == "ASSAY_PUBLIC_URL" { host.as_str() } else { *value })).collect();
    let house = House::on(TestApp::with(&settings)).await;
    let id = house.asked(draft()).await;
    gate::notify(house.test.app(), &house.messages("notify").await[0]).await.unwrap();
    let mails = house.mails().await;
    for (_, mail) in &mails {
        assert!(mail.split("\r\n").all(|line| line.len() <= 998), "RFC 5322 2.1.1");
    }
    let proposal = house.held(id).await.value;
    let row = link::make::row(house.tenant, &proposal, house.priya.id, "n", house.test.app().now());
    let link = link::link(house.test.app(), house.tenant, &proposal, &row).await.unwrap();
    assert!(link.len() < link::make::MAX_LINK_BYTES, "{} bytes", link.len());
    println!("the longest link has {} bytes", link.len());
}

#[tokio::test]
async fn a_link_that_is_mailed_long_after_it_was_promised_opens_for_an_hour() {
    let house = House::new().await;
    let (app, id) = (house.test.app(), house.asked(draft()).await);
    let proposal = house.held(id).await.value;
    let row = link::make::row(house.tenant, &proposal, house.priya.id, "notice", app.now());
    house.test.clock.advance(Duration::hours(80));
    let address = link::link(app, house.tenant, &proposal, &row).await.unwrap();
    let (_, token) = address.split_once("token=").unwrap();
    let keys: Vec<_> = signing::verifying_keys(app, SigningUse::Links).await.unwrap().iter().cloned().map(LinkKey::from).collect();
    let (iss, tid, sub, oid) = (app.config.origin(), house.tenant.to_string(), id.to_string(), house.priya.id.to_string());
    let expected = Expected { iss: &iss, aud: AUDIENCE_VIEW, tid: &tid, oid: &oid, sub: &sub, act: &proposal.hash };
    let opens = |after| verify(token, &keys, app.now() + after, &expected).is_ok();
    assert!(opens(Duration::ZERO) && opens(Duration::minutes(59)) && !opens(Duration::minutes(70)));
}
