//! Silence, and news: how a proposal ends without a decision.

use std::collections::{BTreeMap, BTreeSet};

use assay::{
    gate::{
        self, DecideError, Draft, Policy, Refusal, Rule, State, Verdict,
        delivery::{self, DeliverV1},
        inbox::{self, Reader},
        proposal::Cause,
    },
    platform::ports::{BatchOutcome, Op, Partition},
    tenancy::{ClientPlace, DeploymentPlace, Place as _, outbox},
};
use serde_json::json;
use time::Duration;

use super::{House, draft, reading::page};
use crate::support::{TestApp, faults::Fault, meeting::two_at_once};

#[tokio::test]
async fn nobody_answers_for_a_week_and_it_expires_once_and_for_good() {
    let house = House::new().await;
    let id = house.asked(draft()).await;
    let scope = house.scope(&house.marco);
    house.test.clock.advance(Duration::days(7) - Duration::seconds(1));
    assert_eq!(gate::expire(house.test.app(), &scope).await.unwrap(), 0);
    house.test.clock.advance(Duration::seconds(1));
    let answer = house.answer(id, Verdict::Approve).await;
    let late = house.decide(&house.priya, id, &answer).await.unwrap_err();
    assert!(matches!(late, DecideError::Refused(Refusal::Expired { .. })), "also before the sweep wrote it");
    assert_eq!(gate::expire(house.test.app(), &scope).await.unwrap(), 1);
    assert_eq!(gate::expire(house.test.app(), &scope).await.unwrap(), 0);
    house.test.clock.advance(Duration::days(-3));
    let back = house.decide(&house.priya, id, &answer).await.unwrap_err();
    assert!(matches!(back, DecideError::Refused(Refusal::Expired { .. })), "a clock that goes back reopens nothing");
    assert_eq!(house.audited(id).await, ["proposal.staged", "proposal.expired"]);
    assert_eq!(house.standing().await, (0, 0));
    assert!(house.messages("execute").await.is_empty());
    assert_eq!(house.messages("notify").await.len(), 1, "that it was asked, and nothing of an end without a decision");
}

#[tokio::test]
async fn of_two_sweeps_at_once_one_expires_it_and_the_other_goes_on() {
    let house = House::new().await;
    let id = house.asked(draft()).await;
    house.test.clock.advance(Duration::days(7));
    let (both, scope) = (two_at_once(house.test.app()), house.scope(&house.marco));
    let (one, other) = tokio::join!(gate::expire(&both, &scope), gate::expire(&both, &scope));
    assert_eq!(one.unwrap() + other.unwrap(), 1);
    assert_eq!(house.audited(id).await, ["proposal.staged", "proposal.expired"]);
}

#[tokio::test]
async fn a_store_that_fails_while_something_expires_is_no_faster_sweep() {
    for at in 0.. {
        let house = House::new().await;
        house.asked(draft()).await;
        house.test.clock.advance(Duration::days(7));
        house.test.faults.fail_at(at, Fault::BeforeEffect);
        let swept = gate::expire(house.test.app(), &house.scope(&house.marco)).await;
        if !house.test.faults.struck() {
            assert_eq!(swept.unwrap(), 1);
            break;
        }
        assert!(swept.is_err(), "call {at}");
    }
}

/// One flipped character in a document: of the disk, or of whoever writes the database.
async fn damage(house: &House, id: &str) {
    let place = ClientPlace::Assessment;
    let partition = Partition::reserved_for_tenancy(place.container(), format!("{}/{}", house.tenant, place.key()));
    let documents = &house.test.app().documents;
    let mut document = documents.read(&partition, id).await.unwrap().unwrap();
    let sealed = document.body["sealed"].as_str().unwrap().to_owned();
    let (start, last) = sealed.split_at(sealed.len() / 2);
    let flipped = if last.starts_with('A') { "B" } else { "A" };
    document.body["sealed"] = format!("{start}{flipped}{}", &last[1..]).into();
    let replace = Op::Replace { id: document.id, body: document.body, if_match: document.etag };
    assert!(matches!(documents.batch(&partition, vec![replace]).await.unwrap(), BatchOutcome::Committed(_)));
}

#[tokio::test]
async fn one_damaged_record_keeps_no_other_from_being_reviewed_reminded_and_expired() {
    let house = House::new().await;
    let alone = BTreeMap::from([("mark".to_owned(), Rule { approvals: 2, ..Rule::of_kind("mark") })]);
    house.set_policy(&Policy { rules: alone, break_glass: BTreeSet::from([house.priya.id]), ..Policy::default() }).await;
    let damaged = house.asked(Draft { subject: "3.1.1[b]".into(), ..draft() }).await;
    let reviewed = house.asked(draft()).await;
    let waits = house.asked(Draft { subject: "3.1.1[c]".into(), ..draft() }).await;
    house.approve_alone(&house.priya, reviewed).await;
    house.execute().await.unwrap();
    damage(&house, &format!("proposal:{damaged}")).await;
    let scope = house.scope(&house.marco);
    house.test.clock.advance(Duration::hours(25));
    assert_eq!(gate::remind(house.test.app(), &scope).await.unwrap().told, 1, "the damaged one is not due yet");
    house.test.clock.advance(Duration::days(5));
    gate::remind(house.test.app(), &scope).await.unwrap_err();
    assert!(house.audited(reviewed).await.contains(&"proposal.review_overdue".to_owned()), "{:?}", house.audited(reviewed).await);
    assert!(house.audited(waits).await.contains(&"proposal.reminded".to_owned()), "{:?}", house.audited(waits).await);
    house.test.clock.advance(Duration::days(1));
    let roster = house.roster().await;
    gate::bring_under_policy(house.test.app(), &scope, &roster).await.unwrap();
    gate::expire(house.test.app(), &scope).await.unwrap_err();
    assert!(matches!(house.state(waits).await, State::Expired { .. }));
    // A mark that does not open hides no other either.
    damage(&house, &format!("review:{reviewed}")).await;
    let late = house.asked(draft()).await;
    house.test.clock.advance(Duration::days(6) + Duration::hours(1));
    gate::remind(house.test.app(), &scope).await.unwrap_err();
    assert!(house.audited(late).await.contains(&"proposal.reminded".to_owned()));
}

/// Whoever approves alone and can write the database, without any key, lays one of each in the way of the notice.
#[tokio::test]
async fn no_record_that_cannot_be_read_keeps_people_from_being_told_that_somebody_approved_alone() {
    let house = House::on(TestApp::with(&[("ASSAY_TEAMS", "secret:teams")])).await;
    let two = BTreeMap::from([("mark".to_owned(), Rule { approvals: 2, ..Rule::of_kind("mark") })]);
    house.set_policy(&Policy { rules: two, break_glass: BTreeSet::from([house.priya.id]), ..Policy::default() }).await;
    let (app, id, place) = (house.test.app(), house.asked(draft()).await, ClientPlace::Assessment);
    let partition = Partition::reserved_for_tenancy(place.container(), format!("{}/{}", house.tenant, place.key()));
    let lay = |id: &str| Op::Create { id: id.into(), body: json!({ "schema": 1, "sealed": "AAAA" }) };
    let operations = DeploymentPlace::Operations;
    let installation = Partition::reserved_for_tenancy(operations.container(), operations.path("deployment"));
    let notice = format!("{id}:v1:glass");
    let card = format!("posting:{notice}:teams:{}", delivery::EVERYBODY);
    let mail = format!("posting:{notice}:mail:{}", house.sam.id);
    let own = [&format!("notified:{notice}"), &card, &mail].map(|known_before| lay(known_before));
    let any = ["send:0", "posting:0", "open:0", "notified:0"].map(lay);
    for (partition, laid) in [(partition, own.into_iter().chain(any).collect()), (installation, vec![lay("pace:teams")])] {
        assert!(matches!(app.documents.batch(&partition, laid).await.unwrap(), BatchOutcome::Committed(_)));
    }
    house.approve_alone(&house.priya, id).await;
    // Each of these would be a dead letter if it failed.
    gate::notify(app, house.messages("notify").await.last().unwrap()).await.unwrap();
    for message in house.messages("notify").await {
        if message.body::<DeliverV1>().is_ok() {
            delivery::deliver(app, &message).await.unwrap();
        }
    }
    let told = house.mails().await;
    assert_eq!(told.iter().filter(|(_, mail)| mail.contains("Subject: EMERGENCY: ")).count(), 2, "{told:?}");
    let found = house.audited(id).await.into_iter().filter(|kind| kind == "notice.in_the_way").count();
    assert_eq!(found, 3, "the notice, the card and a mail: {:?}", house.audited(id).await);
    assert!(matches!(house.execute().await.unwrap().state, State::Executed { .. }));
    assert!(page(&house, &house.sam, id).await.review.is_some(), "and it can be reviewed");
    let (grants, roster) = ([house.grant(&house.sam)], house.roster().await);
    let reader = Reader { person: &house.sam, grants: &grants, roster: &roster, correlation: "c" };
    let shown = inbox::inbox(app, reader, None, 10).await.unwrap();
    assert_eq!((shown.reviews.len(), shown.partly), (1, vec!["Harbor Precision".to_owned()]), "and stands in the inbox, which says so");
    // A message that was lost is sent again, too, and the sweep fails for as long as they lie there.
    let waits = house.asked(Draft { subject: "3.1.1[b]".into(), ..draft() }).await;
    gate::notify(app, house.messages("notify").await.last().unwrap()).await.unwrap();
    let sent = house.messages("notify").await.len();
    house.test.clock.advance(Duration::hours(5));
    let store = house.store().await;
    delivery::wake(&store).await.unwrap_err();
    assert_eq!(house.messages("notify").await.len(), sent + 3, "the card and two mails about {waits}");
    outbox::sweep(&store, place).await.unwrap_err();
}

#[tokio::test]
async fn that_somebody_approved_alone_is_told_by_the_sweep_where_the_message_is_lost() {
    let house = House::new().await;
    let two = BTreeMap::from([("mark".to_owned(), Rule { approvals: 2, ..Rule::of_kind("mark") })]);
    house.set_policy(&Policy { rules: two, break_glass: BTreeSet::from([house.priya.id]), ..Policy::default() }).await;
    let (app, id) = (house.test.app(), house.asked(draft()).await);
    house.approve_alone(&house.priya, id).await;
    let message = house.messages("notify").await.pop().unwrap();
    for _ in 0..2 {
        gate::remind(app, &house.scope(&house.marco)).await.unwrap();
        gate::notify(app, &message).await.unwrap();
    }
    let told = house.mails().await;
    assert_eq!(told.iter().filter(|(_, mail)| mail.contains("Subject: EMERGENCY: ")).count(), 2, "once each: {told:?}");
    assert_eq!(house.audited(id).await.iter().filter(|kind| *kind == "proposal.glass_told").count(), 1);
}

#[tokio::test]
async fn an_approval_whose_message_is_lost_expires_too() {
    let house = House::new().await;
    let id = house.asked(draft()).await;
    house.approve(&house.priya, id).await.unwrap();
    assert_eq!(house.standing().await, (0, 1));
    house.test.clock.advance(Duration::days(2));
    assert_eq!(gate::expire(house.test.app(), &house.scope(&house.marco)).await.unwrap(), 1);
    assert!(matches!(house.state(id).await, State::Expired { approved: true, .. }));
    assert_eq!(house.standing().await, (0, 0));
    assert_eq!(house.messages("notify").await.len(), 2, "that it was asked, and that it was not done");
}

#[tokio::test]
async fn of_what_runs_by_rule_and_did_not_run_in_time_nobody_is_told() {
    let house = House::new().await;
    let id = house.asked(Draft { kind: "collect_evidence".into(), ..draft() }).await;
    house.test.clock.advance(Duration::days(2));
    assert_eq!(gate::expire(house.test.app(), &house.scope(&house.marco)).await.unwrap(), 1);
    assert!(matches!(house.state(id).await, State::Expired { approved: true, .. }));
    assert!(house.messages("notify").await.is_empty());
}

#[tokio::test]
async fn news_puts_another_proposal_in_its_place_and_the_old_link_says_so() {
    let house = House::new().await;
    let old = house.asked(draft()).await;
    let seen = house.answer(old, Verdict::Approve).await;
    let store = house.store().await;
    let mut batch = store.batch(ClientPlace::Assessment);
    let new = gate::stage(&mut batch, Draft { after: "NOT MET".into(), ..draft() }).await.unwrap();
    gate::supersede(&mut batch, &house.held(old).await, Some(new), Cause::NewEvidence).unwrap();
    batch.commit().await.unwrap();
    let late = house.decide(&house.priya, old, &seen).await.unwrap_err();
    let DecideError::Refused(refusal) = late else { panic!("{late}") };
    assert_eq!(refusal, Refusal::Superseded { by: Some(new), cause: Cause::NewEvidence });
    assert!(refusal.sentence().contains("another one stands in its place"));
    assert_eq!(house.audited(old).await, ["proposal.staged", "proposal.superseded"]);
    assert_eq!(house.standing().await, (1, 0));
    assert!(house.approve(&house.priya, new).await.is_ok());
}

#[tokio::test]
async fn what_is_settled_cannot_be_superseded() {
    let house = House::new().await;
    let id = house.asked(draft()).await;
    let no = house.answer(id, Verdict::Reject).await;
    house.decide(&house.sam, id, &no).await.unwrap();
    let store = house.store().await;
    let mut batch = store.batch(ClientPlace::Assessment);
    let late = gate::supersede(&mut batch, &house.held(id).await, None, Cause::EvidenceTooOld);
    assert!(matches!(late, Err(Refusal::AlreadyDecided { approved: false, .. })));
    assert!(batch.is_empty());
}
