//! What a changed policy would have meant: each term of it is held against the decisions of the last thirty days, and each
//! difference is said in words.

use std::collections::{BTreeMap, BTreeSet};

use assay::gate::{
    self, Capacity, Draft, Level, Policy, Rule, Verdict,
    dry_run::{self, Line},
};
use time::Duration;

use super::{House, draft};

const KIND: &str = "mark_objective";

/// In this order: approved at once with a comment after a fresh sign-in; approved after 100 hours without a comment, an
/// hour after the sign-in; never decided.
async fn a_month(house: &House) {
    let asked = || house.asked(Draft { kind: KIND.into(), ..draft() });
    let first = asked().await;
    house.approve(&house.priya, first).await.unwrap();
    let second = asked().await;
    house.test.clock.advance(Duration::hours(100));
    let mut bare = house.answer(second, Verdict::Approve).await;
    bare.comment = String::new();
    let signed_in_at = Some(house.test.app().now() - Duration::hours(1));
    house.decide_as(&house.sam, second, &bare, &Capacity { signed_in_at, ..Capacity::default() }).await.unwrap();
    asked().await;
    house.test.clock.advance(Duration::days(8));
    gate::expire(house.test.app(), &house.scope(&house.marco)).await.unwrap();
}

/// What the change would have meant, as why each of the proposals would have come out otherwise, the oldest first.
async fn meant(house: &House, change: impl FnOnce(&mut Rule, &mut Policy)) -> Vec<Vec<String>> {
    let today = Policy::default();
    let (mut rule, mut wanted) = (today.terms(KIND).rule, today.clone());
    change(&mut rule, &mut wanted);
    wanted.rules.insert(KIND.into(), rule);
    let now = house.test.app().now();
    let lately = dry_run::lately(&house.store().await, now).await.unwrap();
    let lines = dry_run::weigh(&lately, &today, &wanted, now);
    let Some(Line { staged, decided, otherwise, .. }) = lines.into_iter().find(|line| line.kind == "Mark an objective") else {
        return vec![];
    };
    assert_eq!((staged, decided), (3, 2));
    otherwise.into_iter().rev().map(|one| one.why).collect()
}

#[tokio::test]
async fn a_look_back_says_of_each_proposal_why_it_would_have_come_out_otherwise() {
    let house = House::new().await;
    a_month(&house).await;
    assert!(meant(&house, |_, _| {}).await.is_empty(), "nothing is different");
    let waits = |progress: &str| format!("It would have waited for another approval: {progress}.");

    let comment = meant(&house, |rule, _| rule.comment_needed = true).await;
    assert_eq!(comment, [vec!["Zo\u{eb} Okafor approved it without a comment.".to_owned(), waits("0 of 1")]]);
    let sign_in = meant(&house, |rule, _| rule.sign_in_minutes = Some(30)).await;
    let old = "When Zo\u{eb} Okafor answered, they had signed in 60 minutes before; it may be 30 minutes at most.";
    assert_eq!(sign_in, [vec![old.to_owned(), waits("0 of 1")]]);
    let two = meant(&house, |rule, _| rule.approvals = 2).await;
    assert_eq!(two, [vec![waits("1 of 2")], vec![waits("1 of 2")]]);
    let group = meant(&house, |rule, policy| {
        rule.one_from_each = vec!["client".into()];
        policy.groups = BTreeMap::from([("client".to_owned(), BTreeSet::from([house.sam.id]))]);
    });
    assert_eq!(group.await, [vec![waits("1 of 1, still wanted: one from client")]], "of the first, which Priya approved");

    let shorter = meant(&house, |rule, _| rule.decide_within = 72).await;
    assert_eq!(shorter, [vec!["Zo\u{eb} Okafor approved it after 100 hours; it would have expired.".to_owned(), waits("0 of 1")]]);
    let longer = meant(&house, |rule, _| rule.decide_within = 200).await;
    assert_eq!(longer, [vec!["It expired undecided, and would have waited 32 hours longer.".to_owned()]]);
    let human = meant(&house, |rule, _| rule.level = Level::L3).await;
    assert_eq!(human, vec![vec!["A person would have had to do it, and to record it.".to_owned()]; 3]);
    assert!(meant(&house, |rule, _| rule.remind_before = vec![5]).await.is_empty(), "a reminder changes no outcome");
}

#[tokio::test]
async fn an_approval_too_many_that_would_not_have_counted_changes_nothing() {
    let house = House::new().await;
    let two = Rule { approvals: 2, ..Rule::of_kind(KIND) };
    house.set_policy(&Policy { rules: BTreeMap::from([(KIND.to_owned(), two)]), ..Policy::default() }).await;
    let id = house.asked(Draft { kind: KIND.into(), ..draft() }).await;
    house.approve(&house.priya, id).await.unwrap();
    let mut bare = house.answer(id, Verdict::Approve).await;
    bare.comment = String::new();
    house.decide(&house.sam, id, &bare).await.unwrap();
    let now = house.test.app().now();
    let lately = dry_run::lately(&house.store().await, now).await.unwrap();
    let with = |approvals| {
        let rule = Rule { approvals, comment_needed: true, ..Rule::of_kind(KIND) };
        Policy { rules: BTreeMap::from([(KIND.to_owned(), rule)]), ..Policy::default() }
    };
    let otherwise = |policy: &Policy| dry_run::weigh(&lately, &Policy::default(), policy, now)[0].otherwise.len();
    assert_eq!((otherwise(&with(1)), otherwise(&with(2))), (0, 1));
}
