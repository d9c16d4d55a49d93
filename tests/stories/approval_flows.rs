//! The sample flows of approvals (`security/approval_flows`), each by its id; the steps are the sample's.

use assay::{
    connectors::demo::What,
    gate::{self, Draft, Proposal, State},
    tenancy::{ClientPlace, ProposalId, Scope, outbox},
    web::Reply,
};
use time::Duration;

use crate::support::{
    browser::{Browser, hidden_of_form, text},
    faults::Fault,
    flow::{Extent, Flow, HARBOR, person},
    shared,
};

/// The flows that have a test here. What the folder has beyond these fails [`every_sample_flow_has_its_test`].
const TESTED: [&str; 8] = ["sfl-1", "sfl-2", "sfl-3", "sfl-4", "sfl-5", "sfl-6", "sfl-7", "sfl-8"];
const APPROVE: [(&str, &str); 2] = [("decision", "approve"), ("comment", "I compared it with the RMM.")];

#[test]
fn every_sample_flow_has_its_test() {
    let Some(folder) = shared::dir("ASSAY_SECURITY_CASES", "security") else { return };
    let mut flows = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if name.starts_with("approval_flows") && path.extension().is_some_and(|kind| kind == "jsonl") {
            let lines = std::fs::read_to_string(&path).unwrap();
            let ids = lines.lines().filter(|line| !line.trim().is_empty()).map(|line| {
                let case: serde_json::Value = serde_json::from_str(line).unwrap();
                case["id"].as_str().unwrap().to_owned()
            });
            flows.extend(ids);
        }
    }
    assert!(!flows.is_empty(), "the folder has no flow");
    flows.retain(|id| !TESTED.contains(&id.as_str()));
    assert_eq!(flows, Vec::<String>::new(), "flows without a test");
}

struct House {
    flow: Flow,
    id: ProposalId,
    page: String,
}

impl House {
    async fn new() -> Self {
        let mut flow = Flow::new(Extent::Small).await;
        let id = flow.mailed(person(What::Approver), HARBOR, "3.4.1[d]").await;
        Self { flow, id, page: format!("portal/proposals/{HARBOR}/{id}") }
    }

    async fn state(&self) -> State {
        self.proposal().await.state
    }

    async fn proposal(&self) -> Proposal {
        self.flow.client(HARBOR).await.read::<Proposal>(ClientPlace::Assessment, &self.id.to_string()).await.unwrap().unwrap().value
    }

    async fn send(&self, browser: &Browser<'_>, form: Vec<(String, String)>) -> Reply {
        browser.send(form, &format!("{}/decide", self.page), &APPROVE).await
    }
}

#[tokio::test]
async fn sfl_1_a_mail_scanner_opens_the_link_first() {
    let house = House::new().await;
    let scanner = Browser::of_nobody(&house.flow);
    for _ in 0..3 {
        let seen = scanner.get(&house.page).await;
        assert!(seen.status == 303 || seen.status == 200, "{}", seen.status);
        assert!(!text(&seen).contains("Harbor"), "nothing of it is told");
        let _ = scanner.post(&format!("{}/decide", house.page), &APPROVE).await;
    }
    assert_eq!(house.state().await, State::Open);
    let approver = Browser::of(&house.flow, What::Approver).await;
    let form = hidden_of_form(&approver.get(&house.page).await);
    assert_eq!(house.send(&approver, form).await.status, 303);
    assert_eq!(house.proposal().await.approvals().count(), 1);
}

#[tokio::test]
async fn sfl_2_two_decisions_in_parallel() {
    let house = House::new().await;
    let (one, two) = (Browser::of(&house.flow, What::Approver).await, Browser::of(&house.flow, What::Approver).await);
    let forms = (hidden_of_form(&one.get(&house.page).await), hidden_of_form(&two.get(&house.page).await));
    let no = [("decision", "reject"), ("because", "model_wrong"), ("comment", "The inventory lacks two machines.")];
    let decide = format!("{}/decide", house.page);
    let (first, second) = tokio::join!(house.send(&one, forms.0), two.send(forms.1, &decide, &no));
    let mut statuses = [first.status, second.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [303, 409]);
    assert_eq!(house.proposal().await.decisions.len(), 1, "one decision");
}

#[tokio::test]
async fn sfl_3_the_requester_is_in_the_approver_group() {
    let house = House::new().await;
    let asked = house.proposal().await;
    // The approver asks the same, as a person with that grant can.
    let (_, grant) = house.flow.reader(person(What::Approver), HARBOR).await.unwrap();
    let store = Scope::of_person(&grant, "story").store(house.flow.app()).await.unwrap();
    let mut batch = store.batch(ClientPlace::Assessment);
    let id = gate::stage(&mut batch, Draft { kind: "publish_package".into(), ..asked.draft }).await.unwrap();
    batch.commit().await.unwrap();
    outbox::flush(&store, ClientPlace::Assessment).await.unwrap();
    let own = House { page: format!("portal/proposals/{HARBOR}/{id}"), id, ..house };
    let approver = Browser::of(&own.flow, What::Approver).await;
    let page = approver.get(&own.page).await;
    assert!(text(&page).contains("You asked for this") && !text(&page).contains("value=\"approve\""));
    // No form is offered; one that is made up has no token, and with the machine's own eyes it is refused as well.
    assert_eq!(approver.post(&format!("{}/decide", own.page), &APPROVE).await.status, 403);
    let Proposal { version, hash, .. } = own.proposal().await;
    let answer = gate::Answer { verdict: gate::Verdict::Approve, version, hash, comment: String::new() };
    let (who, grant) = own.flow.reader(person(What::Approver), HARBOR).await.unwrap();
    let refused = gate::decide(own.flow.app(), &Scope::of_person(&grant, "story"), &grant, &who, id, &answer).await.unwrap_err();
    assert!(matches!(refused, gate::DecideError::Refused(gate::Refusal::NotYours)), "{refused}");
    assert_eq!(own.state().await, State::Open);
}

#[tokio::test]
async fn sfl_4_the_staged_payload_is_edited_after_the_notice() {
    let house = House::new().await;
    let approver = Browser::of(&house.flow, What::Approver).await;
    let form = hidden_of_form(&approver.get(&house.page).await);
    let store = house.flow.client(HARBOR).await;
    let held = store.read::<Proposal>(ClientPlace::Assessment, &house.id.to_string()).await.unwrap().unwrap();
    let mut batch = store.batch(ClientPlace::Assessment);
    let draft = Draft { reasons: vec!["Another reason.".into()], ..held.value.draft.clone() };
    gate::revise(&mut batch, &held, draft).await.unwrap().unwrap();
    batch.commit().await.unwrap();
    let reply = house.send(&approver, form).await;
    assert!(reply.status == 409 && text(&reply).contains("changed after you opened it"), "{}", reply.status);
    let stands = house.proposal().await;
    assert_eq!((stands.state.clone(), stands.version, stands.decisions.len()), (State::Open, 2, 0), "the new version waits");
}

#[tokio::test]
async fn sfl_5_expiry_passes() {
    let mut house = House::new().await;
    let due = house.proposal().await.decide_by - house.flow.app().now();
    house.flow.test.clock.advance(due - Duration::minutes(10));
    let browser = Browser::of(&house.flow, What::Approver).await;
    let form = hidden_of_form(&browser.get(&house.page).await);
    let session = browser.session();
    house.flow.test.clock.advance(Duration::minutes(11));
    let reply = house.send(&Browser::with_cookie(&house.flow, &session), form).await;
    assert_eq!(reply.status, 410, "{}", text(&reply));
    house.flow.sweep().await;
    assert!(matches!(house.state().await, State::Expired { approved: false, .. } | State::Superseded { .. }));
}

#[tokio::test]
async fn sfl_6_the_audit_store_refuses_writes() {
    let house = House::new().await;
    let approver = Browser::of(&house.flow, What::Approver).await;
    let form = hidden_of_form(&approver.get(&house.page).await);
    // The decision and its audit item are one batch: whatever call on the way is refused, there is neither.
    let mut at = 0;
    loop {
        house.flow.test.faults.stop_at(at, Fault::BeforeEffect);
        let reply = house.send(&approver, form.clone()).await;
        let struck = house.flow.test.faults.struck();
        house.flow.test.faults.mend();
        if !struck || reply.status == 303 {
            break;
        }
        assert_eq!(reply.status, 503, "stopped at call {at}");
        assert_eq!(house.state().await, State::Open, "stopped at call {at}");
        at += 1;
    }
    assert!(at >= 3, "only {at} calls were tried");
}

#[tokio::test]
async fn sfl_7_the_link_is_used_by_a_colleague() {
    let house = House::new().await;
    let approver = Browser::of(&house.flow, What::Approver).await;
    let form = hidden_of_form(&approver.get(&house.page).await);
    let colleague = Browser::of(&house.flow, What::Engineer).await;
    assert_eq!(house.send(&colleague, form).await.status, 403);
    assert_eq!(house.state().await, State::Open);
}

#[tokio::test]
async fn sfl_8_the_decision_is_sent_twice() {
    let mut house = House::new().await;
    let approver = Browser::of(&house.flow, What::Approver).await.session();
    let browser = Browser::with_cookie(&house.flow, &approver);
    let form = hidden_of_form(&browser.get(&house.page).await);
    for _ in 0..2 {
        assert_eq!(house.send(&browser, form.clone()).await.status, 303);
    }
    house.flow.pump().await;
    let done = house.proposal().await;
    assert!(matches!(done.state, State::Executed { .. }) && done.decisions.len() == 1, "{:?}", done.state);
}
