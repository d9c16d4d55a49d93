//! The decision page of readiness's own proposals, as it is while others are decided and after it was decided itself; and
//! how a finding is taken back from it.

use assay::{
    connectors::demo::{DemoPerson, What},
    evidence::Evidence,
    gate::{self, DecideError, Draft, Proposal, Refusal, State, Verdict},
    platform::ports::{BatchOutcome, Container, Document, Op, Partition},
    readiness::{self, ByHand, Found, Objective, objective::key_of},
    tenancy::{ClientPlace, ProposalId, Scope},
};
use time::Duration;

use super::analysis::{Client, INVENTORY, frame};
use crate::support::{
    browser::{Browser, text},
    decision,
    flow::{Extent, Flow, HARBOR, person},
};

const ROLL_BACK: &str = "/requirements/CM.L2-3.4.1/roll-back";

async fn asked_for_an_inventory() -> Flow {
    let mut flow = Flow::new(Extent::Small).await;
    flow.pass(Duration::minutes(5)).await;
    flow
}

fn priya() -> &'static DemoPerson {
    person(What::Approver)
}

/// Marco proposes it by hand, Priya approves, and it runs.
async fn finds(flow: &mut Flow, objective: &str, found: Found) -> ProposalId {
    let (_, grant) = flow.reader(person(What::Engineer), HARBOR).await.unwrap();
    let wish = ByHand { objective, found, evidence: &[], reason: "I looked at it on site." };
    readiness::propose_by_hand(flow.app(), &Scope::of_person(&grant, "page"), &wish).await.unwrap();
    approves(flow, objective).await
}

async fn approves(flow: &mut Flow, objective: &str) -> ProposalId {
    let id = flow.answer(priya(), HARBOR, objective, Verdict::Approve).await.proposal.id;
    flow.pump().await;
    id
}

async fn stands(flow: &Flow, objective: &str) -> Option<(Found, ProposalId)> {
    let held = flow.client(HARBOR).await.read::<Objective>(ClientPlace::Assessment, &key_of(objective)).await.unwrap();
    held.and_then(|held| held.value.finding).map(|finding| (finding.found, finding.proposal))
}

fn page_of(id: ProposalId) -> String {
    format!("portal/proposals/{HARBOR}/{id}")
}

fn roll_back() -> String {
    format!("portal/clients/{HARBOR}{ROLL_BACK}")
}

/// What stands under "What changes".
fn changes(html: &str) -> (&str, &str) {
    let part = html.split_once("<h2>What changes</h2>").unwrap().1.split_once("<h2>").unwrap().0;
    part.split_once("<details").unwrap_or((part, ""))
}

#[tokio::test]
async fn before_and_after_are_those_of_today_and_not_of_the_day_it_was_asked() {
    let mut flow = asked_for_an_inventory().await;
    let f = flow.mailed(priya(), HARBOR, "3.4.1[f]").await;
    approves(&mut flow, "3.4.1[d]").await;
    let html = text(&Browser::of(&flow, What::Approver).await.get(&page_of(f)).await);
    let (today, asked) = changes(&html);
    assert!(today.contains("Today") && today.contains("If you approve"), "{today}");
    assert!(today.contains("while [a], [b], [c] and [e] of CM.L2-3.4.1 are open"), "{today}");
    assert!(asked.contains("As it was asked on") && asked.contains("while [a], [b], [c], [d] and [e] of"), "{asked}");

    for objective in ["3.4.1[a]", "3.4.1[b]", "3.4.1[c]", "3.4.1[e]"] {
        finds(&mut flow, objective, Found::NotApplicable).await;
    }
    let html = text(&Browser::of(&flow, What::Engineer).await.get(&page_of(f)).await);
    let (today, asked) = changes(&html);
    assert!(today.contains("If approved") && today.contains("MET. Score today goes from"), "{today}");
    assert!(asked.contains("The score today stays"), "{asked}");

    assert_eq!(approves(&mut flow, "3.4.1[f]").await, f);
    let html = text(&Browser::of(&flow, What::Approver).await.get(&page_of(f)).await);
    assert!(html.contains("CM.L2-3.4.1[f] became MET.") && html.contains("When it was asked, "), "{html}");
}

/// As a fault of the disk leaves it.
async fn damage(flow: &Flow, id: &str) {
    let partition = Partition::reserved_for_tenancy(Container::Clients, format!("{HARBOR}/assessment"));
    let Document { id, mut body, etag } = flow.app().documents.read(&partition, id).await.unwrap().unwrap();
    body["sealed"] = "AAAA".into();
    let replace = Op::Replace { id, body, if_match: etag };
    assert!(matches!(flow.app().documents.batch(&partition, vec![replace]).await.unwrap(), BatchOutcome::Committed(_)));
}

#[tokio::test]
async fn where_a_record_of_today_is_damaged_the_page_says_so_and_shows_what_was_asked() {
    let mut flow = asked_for_an_inventory().await;
    let f = flow.mailed(priya(), HARBOR, "3.4.1[f]").await;
    let d = approves(&mut flow, "3.4.1[d]").await;
    damage(&flow, &format!("objective:{}", key_of("3.4.1[d]"))).await;
    let html = text(&Browser::of(&flow, What::Engineer).await.get(&page_of(d)).await);
    assert!(html.contains("CM.L2-3.4.1[d] became MET.") && !html.contains("/roll-back"), "{html}");

    let unknown = "What this would change as of today cannot be read just now.";
    let priya = Browser::of(&flow, What::Approver).await;
    assert!(!text(&priya.get(&page_of(f)).await).contains(unknown));
    damage(&flow, "standing:now").await;
    let html = text(&priya.get(&page_of(f)).await);
    assert!(html.contains(unknown) && html.contains("When it was asked, "), "{html}");
    assert!(html.contains("Mark an objective") && html.contains("/requirements/CM.L2-3.4.1\""), "{html}");
}

#[tokio::test]
async fn a_finding_is_taken_back_from_the_page_that_made_it_and_with_a_reason() {
    let mut flow = asked_for_an_inventory().await;
    let met = approves(&mut flow, "3.4.1[d]").await;
    let not_met = finds(&mut flow, "3.4.1[d]", Found::NotMet).await;
    let marco = Browser::of(&flow, What::Engineer).await;

    let earlier = text(&marco.get(&page_of(met)).await);
    assert!(earlier.contains("became MET. It was decided anew since: today it is NOT MET."), "{earlier}");
    assert!(!earlier.contains("roll-back"), "what it made does not stand any more");
    let requirement = text(&marco.get(&format!("portal/clients/{HARBOR}/requirements/CM.L2-3.4.1")).await);
    assert!(requirement.contains(&format!("{}#take-back", page_of(not_met))), "{requirement}");

    let without = marco.fill_in(&page_of(not_met), &roll_back(), &[("reason", " ")]).await;
    assert_eq!(without.status, 422);
    assert!(text(&without).contains("Say why: the approver decides on your reason."));
    let asked = marco.fill_in(&page_of(not_met), &roll_back(), &[("reason", "I counted the wrong building.")]).await;
    assert_eq!(asked.status, 303, "{}", text(&asked));
    let address = asked.header("location").unwrap().strip_prefix("/api/").unwrap().to_owned();
    let page = text(&marco.get(&address).await);
    assert!(page.contains("Take back a finding") && page.contains("I counted the wrong building."), "{page}");
    let requirement = text(&marco.get(&format!("portal/clients/{HARBOR}/requirements/CM.L2-3.4.1")).await);
    assert!(requirement.contains("Take back the finding NOT MET on CM.L2-3.4.1[d]"), "{requirement}");

    approves(&mut flow, "3.4.1[d]").await;
    assert_eq!(stands(&flow, "3.4.1[d]").await, Some((Found::Met, met)));
    let marco = Browser::of(&flow, What::Engineer).await;
    let done = text(&marco.get(&address).await);
    assert!(done.contains("CM.L2-3.4.1[d] became MET again, as Priya Nair found it on") && !done.contains("/roll-back"), "{done}");
    let first = text(&marco.get(&page_of(met)).await);
    assert!(first.contains("/roll-back") && !first.contains("decided anew"), "it stands again, so it can be taken back");
}

#[tokio::test]
async fn a_page_that_was_open_takes_back_its_own_finding_or_none() {
    let mut flow = asked_for_an_inventory().await;
    let met = approves(&mut flow, "3.4.1[d]").await;
    let marco = Browser::of(&flow, What::Engineer).await;
    let opened = marco.open(&page_of(met)).await;
    let session = marco.session();
    let not_met = finds(&mut flow, "3.4.1[d]", Found::NotMet).await;

    let marco = Browser::with_cookie(&flow, &session);
    let reason = [("reason", "The list is wrong.")];
    for reason in [reason, [("reason", "")]] {
        let late = marco.send(opened.clone(), &roll_back(), &reason).await;
        assert_eq!(late.status, 409);
        let words = "Another finding stands by now: Priya Nair found CM.L2-3.4.1[d] NOT MET on";
        assert!(text(&late).contains(words), "{}", text(&late));
    }

    let mut mixed = marco.open(&page_of(not_met)).await;
    mixed.iter_mut().filter(|(name, _)| name == "finding").for_each(|(_, value)| *value = met.to_string());
    assert_eq!(marco.send(mixed, &roll_back(), &reason).await.status, 403, "the token is of the finding that was shown");
    assert_eq!(stands(&flow, "3.4.1[d]").await, Some((Found::NotMet, not_met)));
}

/// Priya found it MET on an inventory and, some days later, NOT MET. Marco asks to take the second finding back.
async fn asked_to_restore_met(days: i64, meanwhile: impl AsyncFnOnce(&mut Client)) -> (Client, Proposal) {
    // On the heap, with all that a client's future holds.
    Box::pin(async {
        let mut client = Client::new().await;
        client.analyzes(client.inventory(43, 43)).await;
        let met = client.open_about(INVENTORY).await.unwrap();
        client.decides(&met, Verdict::Approve).await;
        client.test.clock.advance(Duration::days(days));
        let wish = ByHand { objective: INVENTORY, found: Found::NotMet, evidence: &[], reason: "The lab is missing." };
        readiness::propose_by_hand(client.app(), &client.as_engineer(), &wish).await.unwrap();
        let not_met = client.open_about(INVENTORY).await.unwrap();
        client.decides(&not_met, Verdict::Approve).await;
        meanwhile(&mut client).await;
        readiness::propose_roll_back(client.app(), &client.as_engineer(), not_met.id, "The lab is out of scope.").await.unwrap();
        let asked = client.open_about(INVENTORY).await.unwrap();
        (client, asked)
    })
    .await
}

#[tokio::test]
async fn what_stands_again_is_shown_with_its_records_and_says_who_put_it_back() {
    let (mut client, asked) = asked_to_restore_met(1, async |_| {}).await;
    assert_eq!(asked.draft.evidence.iter().map(|e| e.title.as_str()).collect::<Vec<_>>(), ["Full inventory"]);
    let words = "CM.L2-3.4.1[d] is MET again, as Priya Nair found it on 2026-03-02.";
    assert!(asked.draft.on_approve.starts_with(words), "{}", asked.draft.on_approve);

    client.decides(&asked, Verdict::Approve).await;
    let finding = client.objective(INVENTORY).await.finding.unwrap();
    let restored = finding.restored.unwrap();
    assert_eq!((finding.found, restored.name.as_str(), restored.proposal), (Found::Met, "Priya Nair", asked.id));
    let page = decision::requirement(client.app(), &client.engineer, "CM.L2-3.4.1", frame(&client)).await;
    assert!(page.objectives[3].finding.as_ref().unwrap().restored.is_some());
}

#[tokio::test]
async fn a_met_does_not_stand_again_on_a_record_that_no_longer_counts() {
    let deleted = async |client: &mut Client| client.file(&Evidence { deleted: true, ..client.inventory(43, 43) }).await;
    let (_, asked) = asked_to_restore_met(1, deleted).await;
    assert!(asked.draft.limits[0].contains("\"Full inventory\" was deleted at its source"), "{:?}", asked.draft.limits);

    let (mut client, asked) = asked_to_restore_met(30, async |_| {}).await;
    let Draft { limits, on_approve, after, .. } = &asked.draft;
    assert!(
        limits[0].contains("Priya Nair found CM.L2-3.4.1[d] MET on 2026-03-02, but \"Full inventory\" was read too long ago"),
        "{limits:?}"
    );
    assert!(on_approve.starts_with("CM.L2-3.4.1[d] is undecided again") && after.starts_with("Undecided."), "{on_approve} {after}");
    client.decides(&asked, Verdict::Approve).await;
    assert_eq!(client.objective(INVENTORY).await.finding, None);

    let read_again = async |client: &mut Client| client.analyzes(client.inventory(43, 43)).await;
    let (mut client, asked) = asked_to_restore_met(30, read_again).await;
    assert_eq!(asked.draft.evidence[0].collected_at, client.now(), "the same state, read today");
    client.decides(&asked, Verdict::Approve).await;
    assert_eq!(client.objective(INVENTORY).await.finding.unwrap().evidence, asked.draft.evidence);
}

#[tokio::test]
async fn what_should_stand_again_is_looked_at_once_more_when_it_is_decided_and_when_it_is_carried_out() {
    let (client, asked) = asked_to_restore_met(1, async |_| {}).await;
    client.test.clock.advance(Duration::days(6) + Duration::HOUR);
    let refused = client.answers(&asked, Verdict::Approve).await.unwrap_err();
    assert!(matches!(refused, DecideError::Refused(Refusal::EvidenceStale { .. })), "{refused:?}");

    let (mut client, asked) = asked_to_restore_met(1, async |_| {}).await;
    client.file(&Evidence { hash: "another".into(), ..client.inventory(41, 43) }).await;
    let done = client.decides(&asked, Verdict::Approve).await;
    assert!(matches!(&done.state, State::Refused { why, .. } if why.contains("Full inventory")), "{:?}", done.state);

    // As an earlier release staged it, without the records.
    let (mut client, asked) = asked_to_restore_met(1, async |_| {}).await;
    let blind = {
        let store = client.as_engineer().store(client.app()).await.unwrap();
        let mut batch = store.batch(ClientPlace::Assessment);
        let id = gate::stage(&mut batch, Draft { evidence: vec![], ..asked.draft }).await.unwrap();
        batch.commit().await.unwrap();
        id
    };
    let blind = client.read::<Proposal>(&blind.to_string()).await.unwrap();
    let done = client.decides(&blind, Verdict::Approve).await;
    assert!(matches!(&done.state, State::Refused { why, .. } if why.contains("was not shown")), "{:?}", done.state);
    assert_eq!(client.objective(INVENTORY).await.finding.unwrap().found, Found::NotMet);
}
