//! An insider who can write the database takes away who stands in for whom, or puts it back: decisions go by that record,
//! and nothing runs by it, since a run goes by the log.

use assay::gate::{Refusal, State, delegation};
use time::Duration;

use super::{
    House, draft,
    putting_back::{Known, Part, keep_the_log},
    quorum::{delegate, stand_in},
    refusal,
};

/// How far the log was told when a delegation was put back.
const TOLD: [Known; 3] = [Known::Waiting, Known::Entry, Known::Followed];

#[tokio::test]
async fn an_insider_who_takes_a_delegation_away_gets_nothing_run_that_the_requesters_stand_in_approved() {
    for known in TOLD {
        let house = House::new().await;
        delegate(&house, &house.sam, &house.priya, Duration::days(2)).await;
        keep_the_log(&house, known).await;
        house.test.clock.advance(Duration::minutes(1));
        let id = house.asked_by(&house.sam, draft()).await;
        assert_eq!(refusal(house.approve(&house.priya, id).await.unwrap_err()), Refusal::DelegateOfExcluded);
        Part::of(&house, "assessment").put_back(&[], |document| document.starts_with("delegation:")).await;
        house.approve(&house.priya, id).await.unwrap();
        let State::Refused { why, .. } = house.execute().await.unwrap().state else { panic!("it ran ({known:?})") };
        assert_eq!(why, "Priya Nair stood in for somebody who may not decide this after it was asked, so that approval does not count.");
        assert!(house.differences().await.iter().any(|said| said.contains("was put back, or is gone")));
    }
}

#[tokio::test]
async fn an_insider_who_puts_a_delegation_back_that_was_laid_down_gets_nothing_run_by_it() {
    for known in TOLD {
        let house = House::new().await;
        let id = house.asked(draft()).await;
        delegate(&house, &house.sam, &house.priya, Duration::days(2)).await;
        let of_two = |document: &str| document.starts_with("delegation:");
        let records = Part::of(&house, "assessment");
        let before = records.copy(of_two).await;
        house.test.clock.advance(Duration::minutes(1));
        let pair = (house.sam.id, house.priya.id);
        delegation::end(house.test.app(), &house.scope(&house.priya), pair).await.unwrap();
        keep_the_log(&house, known).await;
        house.test.clock.advance(Duration::minutes(1));
        assert!(matches!(refusal(stand_in(&house, id).await.unwrap_err()), Refusal::NoDelegation { .. }));

        records.put_back(&before, of_two).await;
        stand_in(&house, id).await.unwrap();
        let State::Refused { why, .. } = house.execute().await.unwrap().state else { panic!("it ran ({known:?})") };
        assert_eq!(why, "When Priya Nair for Zo\u{eb} Okafor answered, nobody had agreed to stand in, so that answer does not count.");
        assert!(house.differences().await.iter().any(|said| said.contains("was put back, or is gone")));
    }
}
