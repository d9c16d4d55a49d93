//! What waits, as those who decide see it.

use assay::gate::{
    Verdict,
    inbox::{Standing, count, inbox},
};
use time::Duration;

use super::{House, draft};

#[tokio::test]
async fn the_inbox_shows_the_oldest_first_page_by_page_and_counts_what_is_yours() {
    let house = House::new().await;
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
    assert_eq!(count(app, &house.priya, &grants, "c").await.unwrap(), 3);
    assert_eq!(count(app, &house.eve, &[house.grant(&house.eve)], "c").await.unwrap(), 0);

    let first = inbox(app, &house.priya, &grants, "c", None, 3).await.unwrap();
    let rest = inbox(app, &house.priya, &grants, "c", first.next.as_deref(), 3).await.unwrap();
    let ids: Vec<_> = first.waiting.iter().chain(&rest.waiting).map(|waiting| waiting.mark.proposal).collect();
    assert_eq!(ids, asked[1..]);
    assert_eq!((first.total, rest.next), (4, None));
    assert_eq!(first.waiting[1].standing, Standing::Asked);
    assert_eq!((first.waiting[0].client.as_str(), first.waiting[0].asked_by.as_str()), ("Harbor Precision", "Marco Reyes"));
    assert_eq!(first.settled.iter().map(|settled| settled.proposal.id).collect::<Vec<_>>(), asked[..1]);

    house.test.clock.advance(Duration::days(7) - Duration::hours(2));
    assert_eq!(count(app, &house.priya, &grants, "c").await.unwrap(), 1, "what is past its deadline does not wait for you");
}
