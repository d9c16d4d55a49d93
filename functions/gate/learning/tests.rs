//! Stories of the fold: labels, promotion, demotion, and that the same log is the same bytes however it comes.

use proptest::prelude::*;
use time::{Duration, OffsetDateTime, macros::datetime};
use uuid::Uuid;

use super::{bounds, *};
use crate::{
    gate::level::Level,
    tenancy::{PersonId, ProposalId},
};

const START: OffsetDateTime = datetime!(2026-03-02 09:00 UTC);
const KIND: &str = "remind_learner";
const SUBJECT: &str = "3.2.1[a]";

/// A kind that may become automatic, and the one that never does.
fn config() -> Config {
    let kinds = [(KIND, Level::L0), ("mark_objective", Level::L2)];
    Config {
        kinds: kinds.map(|(kind, floor)| (kind.into(), Terms { start: Level::L2, floor, safest: Level::L2 })).into(),
        ..Config::default()
    }
}

fn rule() -> Rule {
    Rule::of(KIND, SUBJECT)
}

fn reviewer(n: u64) -> PersonId {
    PersonId(Uuid::from_u128(u128::from(900 + n)))
}

/// A log that a story writes, one entry an hour.
#[derive(Default)]
struct Log(Vec<Observed>);

impl Log {
    fn add(&mut self, fact: Fact) -> &mut Self {
        let seq = self.0.len() as u64;
        let at = START + Duration::hours(i64::try_from(seq).expect("short"));
        self.0.push(Observed { seq, at, fact });
        self
    }

    fn staged(&mut self, kind: &str) -> ProposalId {
        let item = ProposalId(Uuid::from_u128(self.0.len() as u128));
        self.add(Fact::Staged { item, kind: kind.into(), subject: SUBJECT.into(), level: Level::L2, by_rule: true });
        item
    }

    fn decided(&mut self, item: ProposalId, by: u64, approved: bool, seconds: i64) -> &mut Self {
        let because = (!approved).then_some(Because::ModelWrong);
        self.add(Fact::Decided { item, reviewer: reviewer(by), approved, because, viewed: Some(Duration::seconds(seconds)) })
    }

    /// So many items of the rule, decided after a look, by two people in turn.
    fn labels(&mut self, agreed: usize, overridden: usize) -> &mut Self {
        for n in 0..agreed + overridden {
            let item = self.staged(KIND);
            self.decided(item, n as u64 % 2, n < agreed, 40);
        }
        self
    }

    /// Test items with a known error in the sample, and how many of them people noticed.
    fn seeded(&mut self, caught: usize, missed: usize) -> &mut Self {
        // The rule is there from then on.
        self.staged(KIND);
        for n in 0..caught + missed {
            let rule = Rule::of("collect_evidence", "ticket");
            let viewed = Some(Duration::seconds(3));
            self.add(Fact::Sampled { rule, item: None, seeded: true, reviewer: reviewer(0), agrees: n >= caught, because: None, viewed });
        }
        self
    }

    fn accepted(&mut self, level: Level) -> &mut Self {
        self.add(Fact::Accepted { rule: rule(), level, by: reviewer(0) })
    }

    fn waited(&mut self, days: usize) -> &mut Self {
        for _ in 0..days * 24 {
            self.add(Fact::Expired { item: ProposalId(Uuid::nil()) });
        }
        self
    }

    fn learned(&self) -> Ledger {
        Ledger::fold(&self.0, &config())
    }

    fn level(&self) -> Level {
        self.learned().thresholds(&config()).level(&rule(), config().terms(KIND))
    }

    fn missing(&self) -> Vec<Missing> {
        self.learned().promotion(&rule(), &config(), |account| account).expect("a rule").expect_err("it may be promoted")
    }
}

/// sle-000
#[test]
fn sle_000_without_data_the_rate_is_unknown_and_the_gate_is_where_its_kind_begins() {
    let nothing = Log::default().learned();
    let thresholds = nothing.thresholds(&config());
    assert_eq!(thresholds.level(&rule(), config().terms(KIND)), Level::L2);
    assert_eq!(thresholds.level(&Rule::of("unheard_of", "x"), config().terms("unheard_of")), Level::L2, "never automatic by default");
    assert_eq!((bounds::interval(0, 0), nothing.promotion(&rule(), &config(), |account| account)), (None, None), "shown as unknown");
    let mut asked = Log::default();
    asked.staged(KIND);
    let missing = asked.missing();
    assert!(missing.contains(&Missing::Labels { have: 0, need: 59 }), "{missing:?}");
}

/// sle-001
#[test]
fn sle_001_three_approvals_of_three_promote_nothing() {
    let mut log = Log::default();
    log.seeded(5, 0).waited(31).labels(3, 0);
    assert_eq!(format!("{:.0}", 100.0 * bounds::upper(0, 3)), "63");
    assert_eq!(log.missing(), [Missing::Labels { have: 3, need: 59 }]);
    log.accepted(Level::L1);
    assert_eq!(log.level(), Level::L2, "a human cannot accept what the numbers do not carry");
}

/// sle-007
#[test]
fn sle_007_what_ran_by_itself_or_was_not_looked_at_is_no_label() {
    let mut log = Log::default();
    for _ in 0..100 {
        let item = log.staged(KIND);
        log.add(Fact::Executed { item });
    }
    assert_eq!(log.learned().rules()[&rule()].total, (0, 0), "ran by itself");
    let item = log.staged(KIND);
    log.decided(item, 0, true, 4);
    log.add(Fact::Decided { item, reviewer: reviewer(1), approved: true, because: None, viewed: None });
    assert_eq!(log.learned().rules()[&rule()].total, (0, 0), "at a glance, and by nobody knows what view");
    // Of what runs by itself, the sample goes to a person, and that is a label.
    let executed: Vec<ProposalId> = (0..1_000).map(|n| ProposalId(Uuid::from_u128(n))).collect();
    let sampled = executed.iter().filter(|item| sample::is_sampled(item.0.as_bytes(), Level::L1, sample::Rate::default())).count();
    assert!((15..=50).contains(&sampled), "{sampled} of 1,000 come to a person");
    let item = log.staged(KIND);
    log.add(Fact::Executed { item }).decided(item, 0, false, 30);
    assert_eq!(log.learned().rules()[&rule()].total, (1, 1));
}

/// sle-023
#[test]
fn sle_023_a_tie_goes_to_the_safer_gate() {
    // The bound that equals the limit does not promote; the sum that equals the alarm demotes (`cusum`).
    let mut log = Log::default();
    log.seeded(5, 0).waited(31).labels(58, 0);
    assert!(bounds::upper(0, 58) >= limit(Level::L1) && bounds::upper(0, 59) < limit(Level::L1));
    assert_eq!(log.missing(), [Missing::Labels { have: 58, need: 59 }]);
    // Of two people who say the opposite of one item, the one who overrides counts.
    let mut log = Log::default();
    let item = log.staged(KIND);
    log.decided(item, 0, true, 40).decided(item, 1, false, 40).decided(item, 2, true, 40);
    assert_eq!(log.learned().rules()[&rule()].total, (1, 1), "one item, one label");
}

#[test]
fn a_promotion_takes_labels_reviewers_seeded_errors_time_and_a_named_human() {
    let mut log = Log::default();
    log.labels(59, 0);
    assert_eq!(log.level(), Level::L2);
    let dwell = Missing::Dwell { until: START + DWELL };
    assert_eq!(log.missing(), [Missing::Seeded { caught: 0, of: 0 }, dwell]);
    log.seeded(3, 1);
    assert_eq!(log.missing(), [Missing::Seeded { caught: 3, of: 4 }, dwell], "75 %");
    log.seeded(1, 0).accepted(Level::L1);
    assert_eq!((log.missing(), log.level()), (vec![dwell], Level::L2), "too soon, whoever accepts it");
    log.waited(30);
    assert_eq!(log.learned().thresholds(&config()).0[&rule()].open_to, Some(Level::L1));
    assert_eq!(log.level(), Level::L2, "numbers alone promote nothing");
    log.accepted(Level::L0);
    assert_eq!(log.level(), Level::L2, "one level at a time");
    log.accepted(Level::L1);
    assert_eq!(log.level(), Level::L1);
    let missing = log.missing();
    assert!(missing.contains(&Missing::Labels { have: 0, need: 299 }) && missing.contains(&Missing::Reviewers { have: 0 }), "{missing:?}");
}

#[test]
fn one_reviewer_is_not_enough_and_can_be_left_out_by_replay() {
    let mut log = Log::default();
    log.seeded(5, 0).waited(31);
    for _ in 0..59 {
        let item = log.staged(KIND);
        log.decided(item, 7, true, 40);
    }
    assert_eq!(log.missing(), [Missing::Reviewers { have: 1 }]);
    log.labels(2, 0).accepted(Level::L1);
    assert_eq!(log.level(), Level::L1);
    let without = Config { excluded: [reviewer(7)].into(), ..config() };
    let replayed = Ledger::fold(&log.0, &without);
    assert_eq!(
        (replayed.rules()[&rule()].level, replayed.rules()[&rule()].n),
        (Level::L2, 2),
        "their labels, and what rested on them, are gone"
    );
}

#[test]
fn nobody_gets_under_the_floor_of_the_policy() {
    let mut log = Log::default();
    log.seeded(5, 0).waited(31);
    let mark = Rule::of("mark_objective", SUBJECT);
    for n in 0..400 {
        let item = log.staged("mark_objective");
        log.decided(item, n % 2, true, 40);
    }
    log.add(Fact::Accepted { rule: mark.clone(), level: Level::L1, by: reviewer(0) });
    let learned = log.learned();
    assert_eq!(learned.promotion(&mark, &config(), |account| account), Some(Err(vec![Missing::Floor])));
    assert_eq!(learned.rules()[&mark].level, Level::L2);
    // Nor by a threshold that was kept when the floor was lower.
    let lower = Thresholds([(mark.clone(), Threshold { level: Level::L0, watched: false, labels: 0, overrides: 0, open_to: None })].into());
    assert_eq!(lower.level(&mark, config().terms("mark_objective")), Level::L2);
}

#[test]
fn a_promoted_rule_falls_all_the_way_at_the_first_bad_sign_and_begins_anew() {
    let mut log = Log::default();
    log.seeded(5, 0).waited(31).labels(60, 0).accepted(Level::L1);
    assert_eq!(log.level(), Level::L1);
    log.labels(0, 2);
    assert_eq!(log.level(), Level::L1);
    log.labels(0, 1);
    assert_eq!(log.level(), Level::L2, "nobody is asked");
    let learned = log.learned().rules()[&rule()].clone();
    assert_eq!((learned.n, learned.k, learned.watched, learned.total), (0, 0, false, (63, 3)));
    log.labels(70, 0).accepted(Level::L1);
    assert_eq!(log.level(), Level::L2, "it dwells first");
    log.waited(30).accepted(Level::L1);
    assert_eq!(log.level(), Level::L1);
}

#[test]
fn a_rule_that_is_overridden_too_often_where_it_begins_is_watched_until_it_shows_itself_again() {
    let mut log = Log::default();
    log.labels(8, 2);
    let learned = log.learned();
    assert_eq!((learned.rules()[&rule()].level, learned.rules()[&rule()].watched), (Level::L2, true), "2 of 10");
    assert!(log.missing().contains(&Missing::Watched));
    log.labels(28, 0);
    assert!(log.learned().rules()[&rule()].watched);
    log.labels(1, 0);
    assert!(!log.learned().rules()[&rule()].watched, "29 without an override: below 10 %");
    let (mut ledger, config) = (Ledger::default(), config());
    let changes: Vec<Change> = log.0.iter().flat_map(|observed| ledger.take_in(observed, &config)).collect();
    let signs: Vec<_> = changes.iter().map(|change| (change.sign, change.after.watched, change.labels)).collect();
    assert_eq!(signs, [(Sign::Posterior, true, 10), (Sign::Recovered, false, 29)], "both are told");
    log.labels(0, 6);
    let (mut ledger, mut told) = (Ledger::default(), 0);
    for observed in &log.0 {
        told += ledger.take_in(observed, &config).len();
    }
    assert_eq!(told, 3, "watched again, and while it is, the next alarm says nothing new");
}

/// As the kinds that run by themselves begin: at L1, and what intake does at L0.
fn by_itself() -> Config {
    let training = Terms { start: Level::L1, floor: Level::L1, safest: Level::L2 };
    let intake = Terms { start: Level::L0, floor: Level::L0, safest: Level::L0 };
    Config { kinds: [(KIND.into(), training), ("collect_evidence".into(), intake)].into(), ..Config::default() }
}

#[test]
fn a_rule_that_begins_at_l1_is_demoted_to_l2_and_without_the_reviewer_it_rests_on_it_is_not() {
    let mut log = Log::default();
    log.labels(20, 2);
    assert!(Ledger::fold(&log.0, &by_itself()).demoted(&by_itself()).is_empty());
    for _ in 0..3 {
        let item = log.staged(KIND);
        log.decided(item, 7, false, 40);
    }
    let ledger = Ledger::fold(&log.0, &by_itself());
    assert_eq!(ledger.demoted(&by_itself()), [(rule(), Level::L2)].into());
    let without = Config { excluded: [reviewer(7)].into(), ..by_itself() };
    assert!(Ledger::fold(&log.0, &without).demoted(&without).is_empty());
    assert_ne!(without.hash(), by_itself().hash());
    assert_ne!(Config { kinds: [].into(), ..by_itself() }.hash(), by_itself().hash());
}

/// sle-007
#[test]
fn sle_007_answers_about_the_sample_are_labels_of_what_ran_by_itself() {
    let mut log = Log::default();
    let ticket = Rule::of("collect_evidence", "ticket");
    let looked = |agrees, seconds| Fact::Sampled {
        rule: ticket.clone(),
        item: None,
        seeded: false,
        reviewer: reviewer(1),
        agrees,
        because: None,
        viewed: Some(Duration::seconds(seconds)),
    };
    log.add(looked(false, 4)).add(looked(true, 40)).add(looked(false, 40)).add(looked(false, 40)).add(looked(false, 40));
    let ledger = Ledger::fold(&log.0, &by_itself());
    let learned = &ledger.rules()[&ticket];
    assert_eq!((learned.total, learned.level, learned.watched), ((4, 3), Level::L0, true), "taken in all the same, and to be looked at");
    assert!(ledger.demoted(&by_itself()).is_empty());
    // Of a proposal that ran, the look in the sample and the look on its page are looks at one item.
    let item = log.staged(KIND);
    log.decided(item, 0, true, 40);
    let drawn = Fact::Sampled {
        rule: rule(),
        item: Some(item),
        seeded: false,
        reviewer: reviewer(1),
        agrees: false,
        because: None,
        viewed: Some(Duration::seconds(9)),
    };
    log.add(drawn);
    assert_eq!(Ledger::fold(&log.0, &by_itself()).rules()[&rule()].total, (1, 1));
}

#[test]
fn what_a_quarter_began_with_is_what_was_said_before_it_whenever_it_is_asked() {
    let mut log = Log::default();
    log.labels(3, 1);
    let april = time::macros::date!(2026 - 04 - 01);
    assert_eq!(log.learned().as_quarter_began(april), [(rule(), (4, 1))].into(), "nothing was said in it yet");
    assert_eq!(log.learned().as_quarter_began(time::macros::date!(2026 - 01 - 01)), [].into(), "the log is younger");
    log.waited(30).labels(0, 2);
    assert!(log.0.last().is_some_and(|last| last.at.date() >= april));
    assert_eq!(log.learned().as_quarter_began(april), [(rule(), (4, 1))].into());
    assert_eq!(log.learned().rules()[&rule()].total, (6, 3));
}

#[test]
fn every_change_says_before_and_after_and_what_it_rests_on() {
    let mut log = Log::default();
    log.seeded(5, 0).waited(31).labels(60, 0).accepted(Level::L1).labels(0, 3);
    let (mut ledger, config) = (Ledger::default(), config());
    let changes: Vec<Change> = log.0.iter().flat_map(|observed| ledger.take_in(observed, &config)).collect();
    let [up, down] = &changes[..] else { panic!("{changes:?}") };
    assert_eq!(
        (up.sign, up.before.level, up.after.level, up.labels, up.overrides, up.reviewers),
        (Sign::Accepted, Level::L2, Level::L1, 60, 0, 2)
    );
    assert_eq!((down.sign, down.before.level, down.after.level, down.labels, down.overrides), (Sign::Drift, Level::L1, Level::L2, 3, 3));
    assert_eq!((down.seq, down.cusum >= 4_500_000), (log.0.len() as u64 - 1, true));
}

/// Anything that can stand in a log, in any order.
fn facts() -> impl Strategy<Value = Vec<Fact>> {
    let item = (0_u128..12).prop_map(|n| ProposalId(Uuid::from_u128(n)));
    let one = (item, 0_u64..3, any::<bool>(), 0_i64..20, 0_u8..10).prop_map(|(item, by, yes, seconds, sort)| match sort {
        0..=3 => Fact::Staged {
            item,
            kind: KIND.into(),
            subject: if yes { "a".into() } else { SUBJECT.into() },
            level: Level::L2,
            by_rule: sort > 0,
        },
        4..=7 => Fact::Decided {
            item,
            reviewer: reviewer(by),
            approved: yes,
            because: (!yes).then_some(Because::BusinessChoice),
            viewed: (seconds > 0).then(|| Duration::seconds(seconds)),
        },
        8 if yes => Fact::Executed { item },
        8 => Fact::Sampled {
            rule: rule(),
            item: (seconds > 9).then_some(item),
            seeded: seconds % 3 == 0,
            reviewer: reviewer(by),
            agrees: seconds % 2 == 0,
            because: None,
            viewed: (seconds > 0).then(|| Duration::seconds(seconds)),
        },
        _ => Fact::Accepted { rule: rule(), level: Level::L1, by: reviewer(by) },
    });
    prop::collection::vec(one, 0..120)
}

proptest! {
    /// G9, I11: the same prefix is the same bytes, however it is cut and whatever of it comes again.
    #[test]
    fn thresholds_are_a_function_of_the_log_prefix_whatever_is_cut_or_delivered_again(
        facts in facts(), cuts in prop::collection::vec(0_usize..120, 0..6), again in prop::collection::vec(0_usize..120, 0..6),
    ) {
        let mut log = Log::default();
        for fact in facts {
            log.add(fact);
        }
        let whole = log.learned();
        let mut pieces = Ledger::default();
        let mut ends: Vec<usize> = cuts.iter().map(|cut| (*cut).min(log.0.len())).chain([log.0.len()]).collect();
        ends.sort_unstable();
        let mut begun = 0_usize;
        for (n, end) in ends.into_iter().enumerate() {
            // A piece is delivered again from somewhere before, and the state goes through its stored form.
            let from = again.get(n).map_or(begun, |back| begun.saturating_sub(*back));
            for observed in &log.0[from..end] {
                pieces.take_in(observed, &config());
            }
            pieces = serde_json::from_slice(&serde_json::to_vec(&pieces).expect("a form")).expect("its form");
            begun = end;
        }
        prop_assert_eq!(pieces.thresholds(&config()).bytes(), whole.thresholds(&config()).bytes());
        prop_assert_eq!(pieces, whole);
    }

    /// G8: whatever stands in the log, no rule is gated under the floor, and only a named human ever promotes.
    #[test]
    fn no_log_gates_a_rule_under_its_floor_or_promotes_it_without_a_human(facts in facts()) {
        let mut log = Log::default();
        for fact in facts.into_iter().filter(|fact| !matches!(fact, Fact::Accepted { .. })) {
            log.add(fact);
        }
        for learned in log.learned().rules().values() {
            prop_assert_eq!(learned.level, Level::L2);
        }
    }
}
