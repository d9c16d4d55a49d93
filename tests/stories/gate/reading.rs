//! What those who decide see: the inbox, and the page of one proposal.

use std::collections::{BTreeMap, BTreeSet};

use askama::Template as _;
use assay::{
    gate::{
        self, Draft, Policy, Rule, Verdict,
        inbox::{Reader, Standing, count, inbox},
        proposal::Cause,
        view,
    },
    tenancy::{
        ClientPlace, DeploymentPlace, DeploymentScope, ProposalId, Roster, Scope, TenantId,
        directory::{Grant, Person, Role, Tenant},
    },
    web::pages::{Frame, ProposalPage, ProposalState, Run, Section},
};
use time::Duration;
use uuid::Uuid;

use super::{House, draft, perform};
use crate::support::decision;

#[tokio::test]
async fn the_inbox_shows_yours_and_the_nearest_deadline_first_page_by_page_and_counts_what_is_yours() {
    let house = House::new().await;
    let roster = decision::roster(house.test.app()).await;
    let app = house.test.app();
    let mut asked = Vec::new();
    for n in 0..5 {
        let who = if n == 2 { &house.priya } else { &house.marco };
        asked.push(house.asked_by(who, draft()).await);
        house.test.clock.advance(Duration::hours(1));
    }
    let no = house.answer(asked[0], Verdict::Reject).await;
    house.decide(&house.sam, asked[0], &no).await.unwrap();
    let grants = [house.grant(&house.priya)];
    assert_eq!(count(app, eyes(&house.priya, &grants, &roster)).await.unwrap(), 3);
    assert_eq!(count(app, eyes(&house.eve, &[house.grant(&house.eve)], &roster)).await.unwrap(), 0);

    let first = inbox(app, eyes(&house.priya, &grants, &roster), None, 3).await.unwrap();
    let rest = inbox(app, eyes(&house.priya, &grants, &roster), first.next.as_deref(), 3).await.unwrap();
    let ids: Vec<_> = first.waiting.iter().chain(&rest.waiting).map(|waiting| waiting.mark.proposal).collect();
    assert_eq!(ids, [asked[1], asked[3], asked[4], asked[2]]);
    assert_eq!((first.total, rest.next), (4, None));
    assert_eq!(rest.waiting[0].standing, Standing::Asked);
    assert_eq!((first.waiting[0].client.as_str(), first.waiting[0].asked_by.as_str()), ("Harbor Precision", "Marco Reyes"));
    assert_eq!(first.settled.iter().map(|settled| settled.proposal.id).collect::<Vec<_>>(), asked[..1]);
    let page = view::inbox_page(frame(&house), first, None);
    assert_eq!((page.yours.len(), page.others.len(), page.decided[0].outcome.word.as_str()), (3, 0, "Rejected"));
    assert!(page.next.unwrap().href.starts_with("/api/portal/inbox?after="));

    house.test.clock.advance(Duration::days(7) - Duration::hours(2));
    assert_eq!(count(app, eyes(&house.priya, &grants, &roster)).await.unwrap(), 1, "what is past its deadline does not wait for you");
}

#[tokio::test]
async fn what_closes_in_two_hours_stands_before_what_was_asked_earlier_and_has_a_week() {
    let house = House::new().await;
    let rules = BTreeMap::from([("urgent".to_owned(), Rule { decide_within: 2, ..Rule::of_kind("urgent") })]);
    house.set_policy(&Policy { rules, ..Policy::default() }).await;
    let mut asked = Vec::new();
    for kind in ["mark", "mark", "urgent"] {
        asked.push(house.asked(Draft { kind: kind.into(), ..draft() }).await);
        house.test.clock.advance(Duration::minutes(1));
    }
    let (roster, grants) = (decision::roster(house.test.app()).await, [house.grant(&house.priya)]);
    let found = inbox(house.test.app(), eyes(&house.priya, &grants, &roster), None, 10).await.unwrap();
    let ids: Vec<_> = found.waiting.iter().map(|waiting| waiting.mark.proposal).collect();
    assert_eq!(ids, [asked[2], asked[0], asked[1]]);
    let next = page(&house, &house.priya, asked[0]).await.next.unwrap();
    assert!(next.href.ends_with(&asked[2].to_string()), "{}", next.href);
}

#[tokio::test]
async fn the_oldest_of_many_is_among_what_was_decided_lately_as_soon_as_it_is_decided() {
    let house = House::new().await;
    let roster = decision::roster(house.test.app()).await;
    let mut asked = Vec::new();
    for _ in 0..45 {
        asked.push(house.asked(draft()).await);
        house.test.clock.advance(Duration::minutes(1));
    }
    for id in &asked[..2] {
        let no = house.answer(*id, Verdict::Reject).await;
        house.decide(&house.sam, *id, &no).await.unwrap();
        house.test.clock.advance(Duration::minutes(1));
    }
    let found = inbox(house.test.app(), eyes(&house.priya, &[house.grant(&house.priya)], &roster), None, 10).await.unwrap();
    assert_eq!(found.settled.iter().map(|settled| settled.proposal.id).collect::<Vec<_>>(), [asked[1], asked[0]]);
}

#[tokio::test]
async fn a_client_whose_key_is_revoked_is_named_and_the_others_are_shown() {
    let mut house = House::new().await;
    let id = house.asked(draft()).await;
    let other = Tenant { id: TenantId(Uuid::from_u128(200)), name: "Blue Fjord".into(), created_at: house.test.app().now() };
    let theirs = Grant::of(other.id, house.priya.id, vec![Role::Approver]);
    let store = Scope::of_person(&theirs, "c").store(house.test.app()).await.unwrap();
    let mut batch = store.batch(ClientPlace::Assessment);
    gate::stage(&mut batch, draft()).await.unwrap();
    batch.commit().await.unwrap();
    let directory = DeploymentScope::of_function("test", "c").store(house.test.app()).await.unwrap();
    let mut batch = directory.batch(DeploymentPlace::Directory);
    batch.create(&other);
    batch.commit().await.unwrap();
    drop((store, directory));
    revoke(&house, other.id);
    house.test.restart();

    let roster = decision::roster(house.test.app()).await;
    let grants = [house.grant(&house.priya), theirs];
    let found = inbox(house.test.app(), eyes(&house.priya, &grants, &roster), None, 10).await.unwrap();
    assert_eq!(found.waiting.iter().map(|waiting| waiting.mark.proposal).collect::<Vec<_>>(), [id]);
    assert_eq!(found.unavailable, ["Blue Fjord"]);
    assert!(view::inbox_page(frame(&house), found, None).notice.unwrap().starts_with("Blue Fjord cannot be shown"));
}

#[tokio::test]
async fn the_page_shows_each_reader_what_they_may_do() {
    let house = House::new().await;
    let id = house.asked(draft()).await;
    gate::notify(house.test.app(), &house.messages("notify").await[0]).await.unwrap();
    let priya = page(&house, &house.priya, id).await;
    let ProposalState::Open(form) = &priya.state else { panic!("{:?}", priya.state) };
    assert_eq!((form.approve_label.as_str(), form.token.as_str()), ("Approve and mark MET", priya.hash.as_str()));
    assert_eq!(priya.others, ["Zoë Okafor"]);
    assert_eq!(priya.history[1].text, "mailed Priya Nair and Zoë Okafor");
    let html = priya.render().unwrap();
    assert!(html.contains("Mark AC.L2-3.1.1[a] as MET for Harbor Precision?") && html.contains("Approve and mark MET"));
    for reader in [&house.marco, &house.eve] {
        let seen = page(&house, reader, id).await;
        assert!(matches!(seen.state, ProposalState::NotYours { .. }));
        let html = seen.render().unwrap();
        assert!(html.contains("<dt>Open until</dt>") && html.contains("Priya Nair, Zoë Okafor; one decision is enough"), "{html}");
    }

    house.approve(&house.sam, id).await.unwrap();
    gate::execute(house.test.app(), &house.messages("execute").await[0], perform).await.unwrap();
    let decided = page(&house, &house.priya, id).await;
    assert!(matches!(&decided.state, ProposalState::Decided { by, by_you: false, run: Run::Done { .. }, .. } if by == "Zoë Okafor"));
    let html = decided.render().unwrap();
    assert!(html.contains("Zoë Okafor") && html.contains("<dt>Was open until</dt>"), "{html}");
    assert_eq!(decided.history.len(), 4);
}

#[tokio::test]
async fn evidence_that_is_too_old_is_said_in_words_and_only_rejecting_is_offered() {
    let house = House::new().await;
    let id = house.asked(super::resting_on_a_reading(&house).await).await;
    let words = |page: &ProposalPage| page.evidence[0].freshness.word.clone();
    let fresh = page(&house, &house.priya, id).await;
    assert!(fresh.render().unwrap().contains(r#"value="approve""#), "{}", words(&fresh));
    house.test.clock.advance(Duration::days(3) + Duration::seconds(1));
    let stale = page(&house, &house.priya, id).await;
    assert!(words(&stale).contains("Too old to count"), "{}", words(&stale));
    let html = stale.render().unwrap();
    assert!(html.contains("Cannot be approved now") && html.contains("too old to count by now: Full inventory"), "{html}");
    assert!(!html.contains(r#"value="approve""#) && html.contains(r#"value="reject""#));
}

#[tokio::test]
async fn an_expired_and_a_superseded_proposal_say_so_and_lead_on() {
    let house = House::new().await;
    let old = house.asked(draft()).await;
    let store = house.store().await;
    let mut batch = store.batch(ClientPlace::Assessment);
    let new = gate::stage(&mut batch, Draft { after: "NOT MET".into(), ..draft() }).await.unwrap();
    gate::supersede(&mut batch, &house.held(old).await, Some(new), Cause::EvidenceTooOld).unwrap();
    batch.commit().await.unwrap();
    let superseded = page(&house, &house.priya, old).await;
    let ProposalState::Closed { why, by: Some(link), .. } = &superseded.state else { panic!("{:?}", superseded.state) };
    assert!(link.href.ends_with(&new.to_string()) && why.contains("became too old to count"), "{why}");
    let last = superseded.history.last().unwrap();
    assert_eq!((last.actor.as_str(), last.text.as_str()), ("Assay", "withdrew it: its evidence became too old to count"));
    assert_eq!(superseded.next.map(|link| link.href), Some(format!("/api/portal/proposals/{}/{new}", house.tenant)));

    let mut batch = store.batch(ClientPlace::Assessment);
    gate::supersede(&mut batch, &house.held(new).await, None, Cause::AskedByHand).unwrap();
    let newest = gate::stage(&mut batch, draft()).await.unwrap();
    batch.commit().await.unwrap();
    let last = page(&house, &house.priya, new).await.history.pop().unwrap();
    assert_eq!((last.actor.as_str(), last.text.as_str()), ("A colleague", "asked about the same by hand, and that took its place"));

    house.test.clock.advance(Duration::days(8));
    assert!(matches!(page(&house, &house.priya, newest).await.state, ProposalState::Expired { .. }));
}

#[tokio::test]
async fn without_a_grant_a_proposal_looks_like_none() {
    let house = House::new().await;
    let roster = decision::roster(house.test.app()).await;
    let id = house.asked(draft()).await;
    let app = house.test.app();
    let token = |_: &gate::Proposal| String::new();
    let (others, own) = ([house.grant(&house.sam)], [house.grant(&house.priya)]);
    let stranger = eyes(&house.priya, &others, &roster);
    let seen = decision::page(app, stranger, house.tenant, id, frame(&house), token).await.unwrap();
    let absent = eyes(&house.priya, &own, &roster);
    let none = ProposalId(Uuid::from_u128(7));
    let nothing = decision::page(app, absent, house.tenant, none, frame(&house), token).await.unwrap();
    assert!(seen.is_none() && nothing.is_none());
}

#[tokio::test]
async fn who_approves_with_one_account_and_then_alone_with_another_is_shown_as_one_voice() {
    let house = House::new().await;
    let two = BTreeMap::from([("mark".to_owned(), Rule { approvals: 2, ..Rule::of_kind("mark") })]);
    house.set_policy(&Policy { rules: two, break_glass: BTreeSet::from([house.sam.id]), ..Policy::default() }).await;
    let id = house.asked(draft()).await;
    house.approve(&house.priya, id).await.unwrap();
    house.change(&house.sam, |other| other.same_as = Some(house.priya.id)).await;
    house.approve_alone(&house.sam, id).await;
    let shown = page(&house, &house.marco, id).await;
    assert_eq!((shown.quorum.needed, shown.quorum.given.len()), (2, 1), "{:?}", shown.quorum.given);
    assert!(matches!(shown.state, ProposalState::Decided { by, .. } if by == "Priya Nair"));
}

/// What a trigger needs: futures that may move between threads.
#[tokio::test]
async fn every_use_case_can_run_on_a_server() {
    fn sendable<T: Send>(_: T) {}
    let house = House::new().await;
    let app = house.test.app();
    let id = house.asked(draft()).await;
    let message = &house.messages("notify").await[0];
    let (grants, scope) = ([house.grant(&house.priya)], house.scope(&house.priya));
    let answer = house.answer(id, Verdict::Approve).await;
    let roster = decision::roster(app).await;
    let reader = eyes(&house.priya, &grants, &roster);
    sendable(gate::execute(app, message, perform));
    sendable(gate::notify(app, message));
    sendable(gate::decide(app, &scope, &grants[0], &house.priya, id, &answer));
    sendable(gate::expire(app, &scope));
    sendable(gate::remind(app, &scope));
    sendable(inbox(app, eyes(&house.priya, &grants, &roster), None, 10));
    sendable(count(app, eyes(&house.priya, &grants, &roster)));
    sendable(decision::page(app, reader, house.tenant, id, frame(&house), |_| String::new()));
}

/// As the vault's keeper would: in the key's file.
fn revoke(house: &House, tenant: TenantId) {
    let vault = house.test.folder().join("vault");
    let file = std::fs::read_dir(vault).unwrap().map(|entry| entry.unwrap().path());
    let path = file.into_iter().find(|path| path.to_string_lossy().contains(&tenant.to_string())).unwrap();
    let mut key: serde_json::Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    key["revoked"] = true.into();
    std::fs::write(path, key.to_string()).unwrap();
}

fn eyes<'a>(person: &'a Person, grants: &'a [Grant], roster: &'a Roster) -> Reader<'a> {
    Reader { person, grants, roster, correlation: "c" }
}

fn frame(house: &House) -> Frame {
    Frame::new(&house.test.app().config, house.test.app().now(), Section::Approvals, None, 0)
}

pub(super) async fn page(house: &House, person: &Person, id: ProposalId) -> ProposalPage {
    let grants = [house.grant(person)];
    let roster = decision::roster(house.test.app()).await;
    let reader = eyes(person, &grants, &roster);
    let token = |proposal: &gate::Proposal| proposal.hash.clone();
    decision::page(house.test.app(), reader, house.tenant, id, frame(house), token).await.unwrap().unwrap()
}
