//! Silence, and news: how a proposal ends without a decision.

use assay::{
    gate::{self, DecideError, Draft, Refusal, State, Verdict, proposal::Cause},
    tenancy::ClientPlace,
};
use time::Duration;

use super::{House, draft};

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
