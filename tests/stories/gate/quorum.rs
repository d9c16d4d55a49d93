//! More than one approver: k of n, one from each group, who stands in for whom, and who is left out.

use std::collections::{BTreeMap, BTreeSet};

use assay::{
    gate::{
        self, Capacity, DecideError, Draft, Policy, Refusal, Represented, Rule, State, Verdict,
        delegation::{self, Delegation, Reply},
        inbox::{Reader, Standing, inbox},
    },
    tenancy::{ClientPlace, ProposalId, directory::Person},
};
use time::{Duration, OffsetDateTime};

use super::{House, draft, refusal};
use crate::support::decision;

fn two_with_one_of_the_client(house: &House) -> Policy {
    let rule = Rule { approvals: 2, one_from_each: vec!["client".into()], ..Rule::of_kind("mark") };
    Policy {
        rules: BTreeMap::from([("mark".to_owned(), rule)]),
        groups: BTreeMap::from([("client".to_owned(), BTreeSet::from([house.sam.id]))]),
        break_glass: BTreeSet::from([house.priya.id]),
        ..Policy::default()
    }
}

async fn standing(house: &House, person: &Person) -> (Standing, String) {
    let roster = decision::roster(house.test.app()).await;
    let grants = [house.grant(person)];
    let reader = Reader { person, grants: &grants, roster: &roster, correlation: "c" };
    let found = inbox(house.test.app(), reader, None, 10).await.unwrap();
    let [one] = &found.waiting[..] else { panic!("{found:?}") };
    (one.standing, one.mark.progress.clone())
}

#[tokio::test]
async fn two_approve_before_it_runs_and_the_inbox_says_for_whom_it_still_waits() {
    let house = House::new().await;
    house.set_policy(&two_with_one_of_the_client(&house)).await;
    let id = house.asked(draft()).await;
    house.approve(&house.priya, id).await.unwrap();
    assert_eq!((house.state(id).await, house.standing().await), (State::Open, (1, 0)));
    assert!(house.messages("execute").await.is_empty());
    let wanted = "1 of 2, still wanted: one from client";
    assert_eq!(standing(&house, &house.priya).await, (Standing::Given, wanted.into()));
    assert_eq!(standing(&house, &house.sam).await, (Standing::Yours, wanted.into()));
    // The same answer again is the same success; another human is still wanted.
    assert!(house.approve(&house.priya, id).await.unwrap().repeated);
    house.approve(&house.sam, id).await.unwrap();
    assert!(matches!(house.execute().await.unwrap().state, State::Executed { .. }));
    let audited = house.audited(id).await;
    assert_eq!(audited, ["proposal.staged", "proposal.approved", "proposal.approved", "proposal.executed"]);
}

#[tokio::test]
async fn one_of_two_approvals_is_worth_nothing_any_more_and_it_does_not_run() {
    let house = House::new().await;
    house.set_policy(&two_with_one_of_the_client(&house)).await;
    let id = house.asked(draft()).await;
    house.approve(&house.priya, id).await.unwrap();
    house.approve(&house.sam, id).await.unwrap();
    house.take_grant(&house.priya).await;
    let State::Refused { why, .. } = house.execute().await.unwrap().state else { panic!("it ran") };
    assert_eq!(why, "Priya Nair approved this and is no longer an approver of this client.");
}

#[tokio::test]
async fn a_rejection_ends_it_whoever_approved_before() {
    let house = House::new().await;
    house.set_policy(&two_with_one_of_the_client(&house)).await;
    let id = house.asked(draft()).await;
    house.approve(&house.priya, id).await.unwrap();
    let no = house.answer(id, Verdict::Reject).await;
    house.decide(&house.sam, id, &no).await.unwrap();
    assert!(matches!(house.state(id).await, State::Rejected { .. }));
    assert_eq!(house.standing().await, (0, 0));
    assert!(house.messages("execute").await.is_empty());
}

#[tokio::test]
async fn a_change_voids_what_was_approved_before() {
    let house = House::new().await;
    house.set_policy(&two_with_one_of_the_client(&house)).await;
    let id = house.asked(draft()).await;
    house.approve(&house.priya, id).await.unwrap();
    let store = house.store().await;
    let mut batch = store.batch(ClientPlace::Assessment);
    let fresh = Draft { reasons: vec!["All 44 accounts match.".into()], ..draft() };
    gate::revise(&mut batch, &house.held(id).await, fresh).await.unwrap().unwrap();
    batch.commit().await.unwrap();
    assert_eq!(standing(&house, &house.priya).await, (Standing::Yours, "0 of 2, still wanted: one from client".into()));
    house.approve(&house.sam, id).await.unwrap();
    assert_eq!(house.state(id).await, State::Open);
    house.approve(&house.priya, id).await.unwrap();
    assert!(matches!(house.execute().await.unwrap().state, State::Executed { .. }));
}

#[tokio::test]
async fn whose_approval_a_change_voids_is_told_once_for_each_version_and_nobody_else() {
    let house = House::new().await;
    house.set_policy(&two_with_one_of_the_client(&house)).await;
    let id = house.asked(draft()).await;
    house.approve(&house.priya, id).await.unwrap();
    let again = async |reason: &str| {
        let store = house.store().await;
        let mut batch = store.batch(ClientPlace::Assessment);
        let fresh = Draft { reasons: vec![reason.into()], ..draft() };
        gate::revise(&mut batch, &house.held(id).await, fresh).await.unwrap().unwrap();
        batch.commit().await.unwrap();
        assay::tenancy::outbox::flush(&store, ClientPlace::Assessment).await.unwrap();
    };
    let told = async || {
        for _ in 0..2 {
            for message in house.messages("notify").await {
                gate::notify(house.test.app(), &message).await.unwrap();
            }
        }
        let mails = house.mails().await.into_iter().filter(|(_, mail)| mail.contains("Subject: Please look again"));
        mails.map(|(name, _)| name).collect::<Vec<_>>()
    };
    again("All 44 accounts match.").await;
    let [name] = &told().await[..] else { panic!("one mail") };
    assert!(name.ends_with(&format!("{}.eml", house.priya.id)), "{name}");
    let mail = house.mails().await.into_iter().find(|(known, _)| known == name).unwrap().1;
    let mail = mail.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(mail.contains("It does not count") && mail.contains("0 of 2"), "{mail}");
    assert_eq!(house.audited(id).await.iter().filter(|kind| *kind == "proposal.change_told").count(), 1);
    // Nobody had approved this version, so its change tells nobody.
    again("All 45 accounts match.").await;
    assert_eq!(told().await.len(), 1);
    // Both approvals of one are void; who has approved the next before the mail goes out needs none.
    house
        .set_policy(&Policy {
            rules: BTreeMap::from([("mark".to_owned(), Rule { approvals: 3, ..Rule::of_kind("mark") })]),
            ..Policy::default()
        })
        .await;
    gate::bring_under_policy(house.test.app(), &house.scope(&house.marco), house.roster().await.as_ref()).await.unwrap();
    house.approve(&house.priya, id).await.unwrap();
    house.approve(&house.sam, id).await.unwrap();
    again("All 46 accounts match.").await;
    house.approve(&house.sam, id).await.unwrap();
    let told = told().await;
    assert!(told.len() == 2 && told.iter().all(|name| name.ends_with(&format!("{}.eml", house.priya.id))), "{told:?}");
}

#[tokio::test]
async fn who_filed_the_evidence_does_not_decide_what_rests_on_it() {
    let house = House::new().await;
    let mut with = super::resting_on_a_reading(&house).await;
    with.evidence[0].filed_by = Some(house.priya.id);
    let id = house.asked(with).await;
    assert_eq!(refusal(house.approve(&house.priya, id).await.unwrap_err()), Refusal::EvidenceYours { title: "Full inventory".into() });
    assert_eq!(standing(&house, &house.priya).await.0, Standing::Owns);
    assert!(house.approve(&house.sam, id).await.is_ok());
}

async fn delegate_with(house: &House, from: &Person, to: &Person, until: OffsetDateTime) -> Result<Delegation, DecideError> {
    delegation::ask(house.test.app(), &house.scope(from), &house.grant(from), &house.grant(to), until).await
}

async fn reply(house: &House, to: &Person, from: &Person, reply: Reply) -> Result<Delegation, DecideError> {
    delegation::answer(house.test.app(), &house.scope(to), &house.grant(to), from.id, reply).await
}

pub(super) async fn delegate(house: &House, from: &Person, to: &Person, length: Duration) {
    let until = house.test.app().now() + length;
    delegate_with(house, from, to, until).await.unwrap();
    reply(house, to, from, Reply::Agrees).await.unwrap();
}

pub(super) async fn stand_in(house: &House, id: ProposalId) -> Result<gate::Decided, DecideError> {
    let answer = house.answer(id, Verdict::Approve).await;
    let seat = Represented { person: house.sam.id, name: house.sam.name.clone(), may_approve: true };
    house.decide_as(&house.priya, id, &answer, &Capacity { stands_for: Some(seat), ..Capacity::default() }).await
}

#[tokio::test]
async fn a_delegate_fills_the_seat_for_a_while_and_both_names_are_kept() {
    let house = House::new().await;
    house.set_policy(&two_with_one_of_the_client(&house)).await;
    let id = house.asked(draft()).await;
    assert!(matches!(refusal(stand_in(&house, id).await.unwrap_err()), Refusal::NoDelegation { .. }));
    delegate(&house, &house.sam, &house.priya, Duration::days(2)).await;
    house.test.clock.advance(Duration::days(2));
    assert!(matches!(refusal(stand_in(&house, id).await.unwrap_err()), Refusal::NoDelegation { .. }));
    house.test.clock.advance(Duration::days(-1));
    // Priya is not of the client, so Zoë's place among them is not hers to fill.
    let outside = refusal(stand_in(&house, id).await.unwrap_err());
    assert_eq!(outside, Refusal::NotOfGroup { group: "client".into(), name: house.sam.name.clone() });
    assert!(house.held(id).await.value.decisions.is_empty());
    let mut policy = two_with_one_of_the_client(&house);
    policy.rules.get_mut("mark").unwrap().outside_stand_ins = true;
    house.set_policy(&policy).await;
    gate::bring_under_policy(house.test.app(), &house.scope(&house.marco), house.roster().await.as_ref()).await.unwrap();
    let decision = stand_in(&house, id).await.unwrap().decision;
    assert_eq!(decision.names(), "Priya Nair for Zoë Okafor");
    assert_eq!(house.held(id).await.value.progress().words(), "1 of 2", "the client's seat is filled, and a second human is wanted");
    assert!(matches!(refusal(house.approve(&house.sam, id).await.unwrap_err()), Refusal::SameVoice { .. }));
}

#[tokio::test]
async fn accounts_that_the_directory_links_are_one_voice_at_the_decision_and_at_the_run() {
    let house = House::new().await;
    let app = house.test.app();
    let rule = Rule { approvals: 2, ..Rule::of_kind("mark") };
    house.set_policy(&Policy { rules: BTreeMap::from([("mark".to_owned(), rule)]), ..Policy::default() }).await;
    let id = house.asked(draft()).await;
    house.approve(&house.priya, id).await.unwrap();
    house.approve(&house.sam, id).await.unwrap();
    house.change(&house.sam, |sam| sam.same_as = Some(house.priya.id)).await;
    let State::Refused { why, .. } = house.execute().await.unwrap().state else { panic!("it ran") };
    assert_eq!(why, "Not enough approvals count any more (1 of 2).");

    let known = || async { Capacity { roster: Some(decision::roster(app).await), ..Capacity::default() } };
    let id = house.asked(draft()).await;
    house.approve(&house.priya, id).await.unwrap();
    let answer = house.answer(id, Verdict::Approve).await;
    let twice = house.decide_as(&house.sam, id, &answer, &known().await).await.unwrap_err();
    assert_eq!(refusal(twice), Refusal::SameVoice { name: "Priya Nair".into() });

    // Nor does somebody decide with another account what they asked for.
    house.change(&house.sam, |sam| sam.same_as = Some(house.marco.id)).await;
    let own = house.decide_as(&house.sam, id, &answer, &known().await).await.unwrap_err();
    assert_eq!(refusal(own), Refusal::NotYours);
}

#[tokio::test]
async fn only_an_approver_lets_another_approver_stand_in_and_for_thirty_days_at_most() {
    let house = House::new().await;
    let (now, year) = (house.test.app().now(), Duration::days(365));
    for (from, to) in [(&house.eve, &house.priya), (&house.sam, &house.eve), (&house.sam, &house.sam)] {
        assert_eq!(refusal(delegate_with(&house, from, to, now + year).await.unwrap_err()), Refusal::NotApprover);
    }
    let long = delegate_with(&house, &house.sam, &house.priya, now + year).await.unwrap();
    assert_eq!(long.offered(now).map(|offer| offer.until), Some(now + Duration::days(30)));
    assert!(!long.holds(now), "nobody has agreed");
    assert_eq!(refusal(reply(&house, &house.eve, &house.sam, Reply::Agrees).await.unwrap_err()), Refusal::NotApprover);
    assert_eq!(refusal(reply(&house, &house.sam, &house.priya, Reply::Agrees).await.unwrap_err()), Refusal::NotAskedToStandIn);
    let holds = reply(&house, &house.priya, &house.sam, Reply::Agrees).await.unwrap();
    assert_eq!(holds.until(now), Some(now + Duration::days(30)));
    house.test.clock.advance(Duration::hours(1));
    let over = delegate_with(&house, &house.sam, &house.priya, house.test.app().now()).await.unwrap();
    assert!(!over.holds(house.test.app().now()) && over.holds(now), "taken back, and remembered");
    let said = ["approval.stand_in_asked", "approval.delegated", "approval.stand_in_ended"];
    let items: Vec<assay::tenancy::Held<assay::audit::item::Item>> = house.store().await.all(ClientPlace::Assessment, "").await.unwrap();
    let kinds: Vec<&str> = items.iter().map(|held| held.value.kind.as_str()).filter(|kind| kind.starts_with("approval.")).collect();
    assert_eq!(kinds, said);
}

#[tokio::test]
async fn who_is_named_as_a_stand_in_keeps_their_vote_until_they_agree_and_does_not_get_it_back_by_ending_it() {
    let house = House::new().await;
    let asked = || house.asked_by(&house.sam, draft());
    // Zoë asks for something and names Priya as her stand-in, who never said yes: Priya's approval counts.
    let until = house.test.app().now() + Duration::days(5);
    delegate_with(&house, &house.sam, &house.priya, until).await.unwrap();
    let id = asked().await;
    house.approve(&house.priya, id).await.unwrap();
    assert!(matches!(house.execute().await.unwrap().state, State::Executed { .. }));
    // She agrees: what Zoë asks from then on, and has asked already, she does not approve. She can reject it.
    let before = asked().await;
    house.test.clock.advance(Duration::minutes(1));
    reply(&house, &house.priya, &house.sam, Reply::Agrees).await.unwrap();
    let meanwhile = asked().await;
    for id in [before, meanwhile] {
        assert_eq!(refusal(house.approve(&house.priya, id).await.unwrap_err()), Refusal::DelegateOfExcluded);
    }
    // Neither does ending it help, nor agreeing to something else over it.
    house.test.clock.advance(Duration::hours(1));
    reply(&house, &house.priya, &house.sam, Reply::Declines).await.unwrap();
    delegate_with(&house, &house.sam, &house.priya, until).await.unwrap();
    for id in [before, meanwhile] {
        assert_eq!(refusal(house.approve(&house.priya, id).await.unwrap_err()), Refusal::DelegateOfExcluded);
    }
    let no = house.answer(before, Verdict::Reject).await;
    house.decide(&house.priya, before, &no).await.unwrap();
    // What is asked after it ended is hers to decide.
    house.test.clock.advance(Duration::minutes(1));
    let after = asked().await;
    house.approve(&house.priya, after).await.unwrap();
    assert!(matches!(house.state(after).await, State::Approved { .. }));
}

#[tokio::test]
async fn either_of_the_two_ends_it_whatever_rights_are_gone_and_what_never_was_is_not_ended() {
    let house = House::new().await;
    let (app, pair) = (house.test.app(), (house.sam.id, house.priya.id));
    let said = || async {
        let items: Vec<assay::tenancy::Held<assay::audit::item::Item>> =
            house.store().await.all(ClientPlace::Assessment, "").await.unwrap();
        items.into_iter().map(|held| held.value.kind).filter(|kind| kind.starts_with("approval.")).count()
    };
    // Nothing is asked and nothing holds: no record, and no word of an end in the log.
    let none = || Refusal::NotAskedToStandIn;
    assert_eq!(refusal(delegate_with(&house, &house.sam, &house.priya, app.now()).await.unwrap_err()), none());
    assert_eq!(refusal(reply(&house, &house.priya, &house.sam, Reply::Declines).await.unwrap_err()), none());
    assert_eq!((delegation::all(&house.store().await).await.unwrap(), said().await), (vec![], 0));
    // The same length again says nothing new.
    let until = app.now() + Duration::days(2);
    delegate(&house, &house.sam, &house.priya, Duration::days(2)).await;
    delegate_with(&house, &house.sam, &house.priya, until).await.unwrap();
    assert_eq!(said().await, 2);
    // Nobody else ends it; the two do, and no grant is asked for.
    assert_eq!(refusal(delegation::end(app, &house.scope(&house.eve), pair).await.unwrap_err()), none());
    house.test.clock.advance(Duration::hours(1));
    for ends in [&house.sam, &house.priya] {
        let after = delegation::end(app, &house.scope(ends), pair).await.unwrap();
        assert!(!after.holds(app.now()) && after.held_between(app.now() - Duration::MINUTE, app.now()));
        house.test.clock.advance(Duration::hours(1));
        delegate(&house, &house.sam, &house.priya, Duration::days(2)).await;
        house.test.clock.advance(Duration::hours(1));
    }
    let mut approver_no_more = house.grant(&house.priya);
    approver_no_more.roles.clear();
    let from = house.sam.id;
    let down = delegation::answer(app, &house.scope(&house.priya), &approver_no_more, from, Reply::Declines).await.unwrap();
    assert_eq!(down.lasts(app.now()), None);
    // A clock that was a day ahead began it.
    house.test.clock.advance(Duration::days(1));
    delegate(&house, &house.sam, &house.priya, Duration::days(2)).await;
    house.test.clock.advance(Duration::days(-1));
    assert!(reply(&house, &house.priya, &house.sam, Reply::Declines).await.unwrap().lasts(app.now()).is_none());
}

#[tokio::test]
async fn a_delegation_is_looked_at_again_when_it_runs_both_whom_it_excludes_and_whom_it_let_answer() {
    let house = House::new().await;
    house.set_policy(&Policy { rules: BTreeMap::from([("mark".to_owned(), Rule::of_kind("mark"))]), ..Policy::default() }).await;
    // Approved, and then she agrees to stand in for the one who asked.
    let id = house.asked_by(&house.sam, draft()).await;
    house.approve(&house.priya, id).await.unwrap();
    house.test.clock.advance(Duration::minutes(1));
    delegate(&house, &house.sam, &house.priya, Duration::days(2)).await;
    let State::Refused { why, .. } = house.execute().await.unwrap().state else { panic!("it ran") };
    assert_eq!(why, "Priya Nair stood in for somebody who may not decide this after it was asked, so that approval does not count.");

    // An approval in somebody's place: it may end before the run, and must have held when it was given.
    let id = house.asked(draft()).await;
    stand_in(&house, id).await.unwrap();
    house.test.clock.advance(Duration::minutes(1));
    reply(&house, &house.priya, &house.sam, Reply::Declines).await.unwrap();
    assert!(matches!(house.execute().await.unwrap().state, State::Executed { .. }));

    // A record that somebody writes who has the client's key lets her answer, and the run goes by the log.
    let id = house.asked(draft()).await;
    let now = house.test.app().now();
    let span = delegation::Span { begins_at: now, ends_at: now + Duration::days(2) };
    let held: Vec<assay::tenancy::Held<Delegation>> = house.store().await.all(ClientPlace::Assessment, "").await.unwrap();
    for held in held {
        house.overwrite(assay::tenancy::Held { value: Delegation { held: vec![span], ..held.value }, etag: held.etag }).await;
    }
    stand_in(&house, id).await.unwrap();
    let State::Refused { why, .. } = house.execute().await.unwrap().state else { panic!("it ran") };
    assert_eq!(why, "When Priya Nair for Zo\u{eb} Okafor answered, nobody had agreed to stand in, so that answer does not count.");
}

#[tokio::test]
async fn what_an_approver_could_not_approve_themselves_nobody_approves_in_their_place() {
    let house = House::new().await;
    let (store, now) = (house.store().await, house.test.app().now());
    let span = delegation::Span { begins_at: now, ends_at: now + Duration::days(2) };
    let mut batch = store.batch(ClientPlace::Assessment);
    // Zoë stands in for Marco, who asks; Priya stands in for Zoë.
    batch.create(&Delegation { held: vec![span], ..Delegation::none(house.marco.id, house.sam.id) });
    batch.create(&Delegation { held: vec![span], ..Delegation::none(house.sam.id, house.priya.id) });
    batch.commit().await.unwrap();
    let id = house.asked(draft()).await;
    assert_eq!(refusal(house.approve(&house.sam, id).await.unwrap_err()), Refusal::DelegateOfExcluded);
    assert_eq!(refusal(stand_in(&house, id).await.unwrap_err()), Refusal::DelegateOfExcluded);
    assert!(house.approve(&house.priya, id).await.is_ok(), "in her own name: nobody passes on what was passed to them");
}

#[tokio::test]
async fn who_stands_in_for_the_one_who_asks_decides_nothing() {
    let house = House::new().await;
    // Once an approver too, Marco asked Priya to stand in.
    let store = house.store().await;
    let (now, mut batch) = (house.test.app().now(), store.batch(ClientPlace::Assessment));
    let span = delegation::Span { begins_at: now, ends_at: now + Duration::days(2) };
    batch.create(&Delegation { held: vec![span], ..Delegation::none(house.marco.id, house.priya.id) });
    batch.commit().await.unwrap();
    let id = house.asked(draft()).await;
    assert_eq!(refusal(house.approve(&house.priya, id).await.unwrap_err()), Refusal::DelegateOfExcluded);
    assert!(house.approve(&house.sam, id).await.is_ok());
}

#[tokio::test]
async fn a_broken_glass_runs_at_once_is_loud_in_the_log_and_waits_for_its_review() {
    let house = House::new().await;
    house.set_policy(&two_with_one_of_the_client(&house)).await;
    let id = house.asked(draft()).await;
    let answer = house.answer(id, Verdict::Approve).await;
    let now = house.test.app().now();
    let glass = |minutes| Capacity { break_glass: true, signed_in_at: Some(now - Duration::minutes(minutes)), ..Capacity::default() };
    assert_eq!(refusal(house.decide_as(&house.sam, id, &answer, &glass(1)).await.unwrap_err()), Refusal::MayNotBreakGlass);
    assert_eq!(refusal(house.decide_as(&house.priya, id, &answer, &glass(11)).await.unwrap_err()), Refusal::SignInTooOld { minutes: 10 });
    house.decide_as(&house.priya, id, &answer, &glass(1)).await.unwrap();
    assert!(matches!(house.execute().await.unwrap().state, State::Executed { .. }));
    assert_eq!(house.audited(id).await, ["proposal.staged", "proposal.glass_broken", "proposal.executed"]);
    assert_eq!(house.held(id).await.value.review_by, Some(now + Duration::hours(24)));
    let looks = house.answer(id, Verdict::Uphold).await;
    assert!(matches!(refusal(house.decide(&house.priya, id, &looks).await.unwrap_err()), Refusal::SameVoice { .. }));
    house.decide(&house.sam, id, &looks).await.unwrap();
    assert_eq!(house.held(id).await.value.review_by, None);
}

#[tokio::test]
async fn who_asked_takes_it_back_and_nobody_else_can() {
    let house = House::new().await;
    let id = house.asked(draft()).await;
    let app = house.test.app();
    let other = gate::withdraw(app, &house.scope(&house.priya), id).await.unwrap_err();
    assert_eq!(refusal(other), Refusal::NotRequester);
    house.approve(&house.priya, id).await.unwrap();
    gate::withdraw(app, &house.scope(&house.marco), id).await.unwrap();
    assert!(matches!(house.execute().await.unwrap().state, State::Withdrawn { .. }));
    assert!(gate::withdraw(app, &house.scope(&house.marco), id).await.is_ok(), "asked again");
    assert_eq!((house.marks().await.len(), house.standing().await), (0, (0, 0)));
    assert_eq!(house.audited(id).await, ["proposal.staged", "proposal.approved", "proposal.withdrawn"]);
}
