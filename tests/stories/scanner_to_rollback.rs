//! An approval's whole life with Entra sign-in, stopped at every port call in turn: a mail filter opens the link, follows
//! it and sends every form; a human approves; a second human approves; it runs; the engineer asks to take it back; a human
//! approves that; it is taken back. Wherever the process stops, it ends as if nothing had happened: nobody's approval is
//! lost or counted twice, nothing runs twice, and every step stands once in a log that verifies.
//!
//! The same on the Azure adapters, of whose stops every twelfth is taken, or every one with `ASSAY_EVERY_CALL=1`
//! (`support/stops.rs` says which stops stand for which).

use std::collections::BTreeMap;

use assay::{
    connectors::demo,
    tenancy::{
        DeploymentPlace, DeploymentScope, ProposalId,
        directory::{Grant, Identity, Person, Role, Standing},
    },
    web::Reply,
};
use serde_json::json;
use time::Duration;
use uuid::Uuid;

use crate::support::{
    TestApp,
    authority::{self, Authority, HOME},
    browser::{self, hidden_of},
    clock::{START, VirtualClock},
    cosmos, disk,
    end_state::EndState,
    flow::{Extent, Flow, HARBOR, deliveries_of, link_in, pointed_to, vendors_answer},
    scanner::scan,
    stops::{Job, block_on},
    visitor::Visitor,
};

const SUBJECT: &str = "3.4.1[d]";
/// Engineer.
const INES: u128 = 0x1e5;
/// Approvers.
const PAUL: u128 = 0x9a1;
const RUTH: u128 = 0x107;
const AZURE_STEP: usize = 12;

#[test]
fn a_stop_at_any_call_from_scanner_to_rollback_ends_as_if_nothing_had_happened() {
    let (first, now) = block_on(async {
        let flow = Box::pin(world(TestApp::with(authority::SETTINGS))).await;
        let now = flow.app().now();
        (flow.test.closed(), now)
    });
    // A copy takes a tenth of the time.
    let copied = async || {
        let folder = tempfile::tempdir().unwrap();
        disk::copy(first.path(), folder.path());
        with_entra(Flow::taken_over(TestApp::on(folder, VirtualClock::at(now), 2, authority::SETTINGS), START))
    };
    Job { begin: copied, run: scanner_to_rollback }.stop_everywhere(1, taken_back);
}

#[test]
fn a_stop_at_any_call_from_scanner_to_rollback_on_azure_ends_as_if_nothing_had_happened() {
    let azure = async || {
        let settings = cosmos::settings(&[("ASSAY_ENTRA_CREDENTIAL", "managed-identity"), ("ASSAY_MAIL", "mailbox")]);
        let settings: Vec<(&str, &str)> = settings.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        Box::pin(world(TestApp::on_azure_with(&[authority::SETTINGS, &settings].concat()).await)).await
    };
    Job { begin: azure, run: scanner_to_rollback }.stop_everywhere(AZURE_STEP, taken_back);
}

/// Three approvals, of the policy, of the finding (twice) and of taking it back; and nothing is found any more.
fn taken_back(end: &EndState) {
    assert_eq!(end.findings.len(), 0);
    let ended = |kind: &str, how: &str| end.proposals.iter().any(|said| said.contains(kind) && said.ends_with(how));
    assert!(ended("mark_objective", "rolled back") && ended("roll_back_objective", "executed"), "{:?}", end.proposals);
    let by = |name: &str| end.decisions.iter().filter(|said| said.contains(&format!("by {name}, ran: true, signed: true"))).count();
    assert_eq!((by("Paul Adler"), by("Ruth Vance"), end.decisions.len()), (2, 2, 4), "{:?}", end.decisions);
}

async fn scanner_to_rollback(flow: &mut Flow) {
    let (link, marked) = asked(flow, PAUL, &[]).await;
    flow.asks();
    scan(&Visitor::of(&flow.test), &link).await;
    flow.died();
    Human::of(PAUL).approves(flow, &link).await;
    let (link, same) = asked(flow, RUTH, &[]).await;
    assert_eq!(same, marked);
    Human::of(RUTH).approves(flow, &link).await;
    flow.settle().await;
    let take_back = Human::of(INES).asks_to_take_back(flow, marked).await;
    let (link, asked_about) = asked(flow, RUTH, &[marked]).await;
    assert_eq!(asked_about, take_back);
    Human::of(RUTH).approves(flow, &link).await;
    flow.settle().await;
}

/// An installation with Entra sign-in and these three people, where an objective takes two approvals and one is asked for.
async fn world(test: TestApp) -> Flow {
    let mut flow = with_entra(Flow::on(test, Extent::Small).await);
    let store = DeploymentScope::of_function("story", "seed").store(flow.test.app()).await.unwrap();
    let mut batch = store.batch(DeploymentPlace::Directory);
    for (oid, name, role) in
        [(INES, "Ines Ortega", Role::Engineer), (PAUL, "Paul Adler", Role::Approver), (RUTH, "Ruth Vance", Role::Approver)]
    {
        let identity = identity(oid);
        batch.create(&Person {
            id: identity.person(),
            name: name.into(),
            email: format!("{}@northgate.example", name.split(' ').next().unwrap().to_lowercase()),
            is_owner: false,
            operates: false,
            identity: Some(identity),
            sign_in_name: None,
            same_as: None,
            access_ended_at: None,
            standing: Standing { confirmed_at: Some(START), ..Standing::default() },
        });
        let mut grant = Grant::of(HARBOR, identity.person(), vec![role]);
        grant.confirmed_at = Some(START);
        batch.create(&grant);
    }
    batch.commit().await.unwrap();
    drop(store);
    two_approvals(&mut flow).await;
    flow.vendor_sends(&deliveries_of(demo::CONNECTWISE, START)[0]).await;
    asked(&mut flow, RUTH, &[]).await;
    flow.settle().await;
    flow
}

fn with_entra(mut flow: Flow) -> Flow {
    let authority = Authority::of(&flow.test);
    flow.authority = Some(authority.clone());
    flow.test.http.answer_with(move |request| authority.answer(request).or_else(|| Some(Ok(vendors_answer(request, START, 3)))));
    flow
}

/// Ines asks for two approvals of every finding, and Paul approves that.
async fn two_approvals(flow: &mut Flow) {
    let policy = format!("portal/clients/{HARBOR}/policy");
    let rule = [("kind", "mark_objective"), ("needed", "2"), ("decide_within", "168"), ("run_within", "48")];
    let typed = [&rule[..], &[("why", "Four eyes see more."), ("step", "ask")]].concat();
    let (mut ines, mut paul) = (Human::of(INES), Human::of(PAUL));
    ines.signs_in(flow, "portal/clients").await.unwrap();
    let page = ines.sends(flow, &policy, &format!("{policy}#change"), &typed).await;
    paul.signs_in(flow, &page).await.unwrap();
    let decide = format!("{page}/decide#decide");
    assert_eq!(paul.sends(flow, &page, &decide, &[("decision", "approve"), ("comment", "")]).await, page);
    flow.settle().await;
}

/// What this approver was mailed about the objective, other than about `before`; time passes until there is something.
async fn asked(flow: &mut Flow, approver: u128, before: &[ProposalId]) -> (String, ProposalId) {
    let theirs = format!("-{}.eml", identity(approver).person());
    for _ in 0..60 {
        let mails =
            flow.test.mails(&format!("{HARBOR}/")).into_iter().filter(|(name, mail)| name.ends_with(&theirs) && mail.contains(SUBJECT));
        let mut links = mails.map(|(_, mail)| link_in(&mail)).map(|link| (pointed_to(&link).1, link));
        if let Some((id, link)) = links.find(|(id, _)| !before.contains(id)) {
            return (link, id);
        }
        flow.pass(Duration::seconds(30)).await;
    }
    panic!("nobody asks about {SUBJECT}");
}

fn identity(oid: u128) -> Identity {
    Identity { tid: HOME.parse().unwrap(), oid: Uuid::from_u128(oid) }
}

fn location(reply: &Reply) -> String {
    assert_eq!(reply.status, 303, "{}", browser::text(reply));
    reply.header("location").unwrap().trim_start_matches("/api/").to_owned()
}

/// Somebody with a browser, who tries again what was not answered.
struct Human {
    oid: u128,
    cookies: BTreeMap<String, String>,
}

impl Human {
    fn of(oid: u128) -> Self {
        Self { oid, cookies: BTreeMap::new() }
    }

    /// Opens the link, signs in, looks at the page to which it leads, and sends its form.
    async fn approves(mut self, flow: &mut Flow, link: &str) {
        flow.pass(Duration::minutes(2)).await;
        let page = loop {
            match self.gets(flow, link).await {
                Some(reply) if reply.status == 303 => break location(&reply),
                Some(reply) => {
                    assert_eq!(reply.status, 200, "the page of whoever is not signed in");
                    self.signs_in(flow, link).await;
                }
                None => {}
            }
        };
        let typed = [("decision", "approve"), ("comment", "I compared it with the RMM.")];
        assert_eq!(self.sends(flow, &page, &format!("{page}/decide#decide"), &typed).await, page);
    }

    /// The proposal that comes of it.
    async fn asks_to_take_back(mut self, flow: &mut Flow, id: ProposalId) -> ProposalId {
        let page = format!("portal/proposals/{HARBOR}/{id}");
        while self.signs_in(flow, &page).await.is_none() {}
        let action = format!("portal/clients/{HARBOR}/requirements/CM.L2-3.4.1/roll-back#take-back");
        let to = self.sends(flow, &page, &action, &[("reason", "The lab was left out.")]).await;
        to.rsplit('/').next().unwrap().parse().unwrap()
    }

    /// Sends that form of a page; the same form again until it is taken. Where that leads to.
    async fn sends(&mut self, flow: &mut Flow, page: &str, action: &str, typed: &[(&str, &str)]) -> String {
        let form = loop {
            // A page that could not be signed says so in place of its form, and is opened again.
            match self.gets(flow, page).await {
                Some(reply) if browser::text(&reply).contains(&format!("action=\"/api/{action}\"")) => break hidden_of(&reply, action),
                Some(reply) => assert!(browser::text(&reply).contains("open this page again"), "{}", browser::text(&reply)),
                None => {}
            }
        };
        let fields: Vec<(&str, &str)> =
            form.iter().map(|(name, value)| (name.as_str(), value.as_str())).chain(typed.iter().copied()).collect();
        for _ in 0..20 {
            flow.asks();
            let reply = self.at(flow).post(action.split('#').next().unwrap(), &fields).await;
            if let Some(reply) = answered(flow, reply).await {
                return location(&reply);
            }
        }
        panic!("{action} is never taken");
    }

    async fn gets(&mut self, flow: &mut Flow, address: &str) -> Option<Reply> {
        flow.asks();
        let reply = self.at(flow).get(address).await;
        answered(flow, reply).await
    }

    /// To the authority and back, wanting to go there; `None`: it was not answered, and begins anew.
    async fn signs_in(&mut self, flow: &mut Flow, next: &str) -> Option<()> {
        flow.asks();
        let browser = self.at(flow);
        let reply = browser.post("portal/sign-in", &[("next", &format!("/api/{next}"))]).await;
        self.cookies = browser.cookies.into_inner();
        let reply = answered(flow, reply).await?;
        let authority = flow.authority.clone().unwrap();
        authority.claim("oid", json!(Uuid::from_u128(self.oid)));
        let back = authority.sign_in(&browser::leads_on_to(&reply));
        flow.asks();
        let browser = self.at(flow);
        let reply = browser.get(&back).await;
        let cookies = browser.cookies.into_inner();
        answered(flow, reply).await?;
        self.cookies = cookies;
        Some(())
    }

    fn at<'f>(&self, flow: &'f Flow) -> Visitor<'f> {
        let visitor = Visitor::of(&flow.test);
        visitor.cookies.replace(self.cookies.clone());
        visitor
    }
}

/// Unless the process died over it, or could not; then some time passes.
async fn answered(flow: &mut Flow, reply: Reply) -> Option<Reply> {
    if flow.died() || reply.status >= 500 {
        flow.pass(Duration::seconds(30)).await;
        return None;
    }
    Some(reply)
}
