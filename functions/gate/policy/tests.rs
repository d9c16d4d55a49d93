//! Floors, ends and words of the rules.

use proptest::prelude::*;

use super::*;

#[test]
fn the_floors_are_those_that_nobody_can_go_under() {
    for (kind, level) in [
        ("mark_objective", Level::L2),
        ("publish_package", Level::L2),
        ("submit_sprs_score", Level::L3),
        ("affirm", Level::L3),
        ("lock_worm", Level::L3),
        ("collect_evidence", Level::L0),
        ("hash_evidence", Level::L0),
        (CHANGE_POLICY, Level::L2),
        ("what a later release does", Level::L2),
    ] {
        assert_eq!(floor(kind), level, "{kind}");
        assert_eq!(Policy::default().terms(kind).level(), level, "{kind}");
    }
}

#[test]
fn a_policy_that_could_not_stand_says_why() {
    let with = |kind: &str, rule: Rule| Policy { rules: BTreeMap::from([(kind.to_owned(), rule)]), ..Policy::default() };
    let mark = || Rule::of_kind("mark_objective");
    let cases = [
        (with("mark_objective", Rule { level: Level::L1, ..mark() }), "never below L2: Nothing happens before"),
        (with("affirm", Rule { level: Level::L2, approvals: 2, ..Rule::of_kind("affirm") }), "never below L3: A named person does this"),
        (with("mark_objective", Rule { approvals: 0, ..mark() }), "one to five"),
        (with("mark_objective", Rule { one_from_each: vec!["security".into()], ..mark() }), "Nobody is in the group"),
        (with("mark_objective", Rule { one_from_each: vec!["a".into(), "b".into()], ..mark() }), "more groups"),
        (with("mark_objective", Rule { decide_within: 0, ..mark() }), "decided within"),
        (with("mark_objektive", mark()), "no kind of action"),
        (with("mark_objective", Rule { sign_in_minutes: Some(4), ..mark() }), "5 to 480 minutes old"),
        (with("mark_objective", Rule { sign_in_minutes: Some(481), ..mark() }), "5 to 480 minutes old"),
        (with(CHANGE_POLICY, Rule { sign_in_minutes: Some(11), ..Rule::of_kind(CHANGE_POLICY) }), "5 to 10 minutes old"),
        (with(CHANGE_POLICY, Rule { level: Level::L3, ..Rule::of_kind(CHANGE_POLICY) }), "nobody could change the policy again"),
    ];
    for (policy, why) in cases {
        let fault = policy.check().expect_err(why);
        assert!(fault.to_string().contains(why), "{fault}");
    }
    assert_eq!(with("mark_objective", Rule { approvals: 2, ..mark() }).check(), Ok(()));
}

/// Each number of a rule at both ends of what it may be, and one beyond.
type Change = fn(&mut Rule, u32);

#[test]
fn each_number_of_a_rule_has_its_ends() {
    let stands = |kind: &str, change: Change, value: u32| {
        let mut rule = Rule::of_kind(kind);
        change(&mut rule, value);
        let groups = BTreeMap::from(["a", "b"].map(|name| (name.to_owned(), BTreeSet::from([PersonId(uuid::Uuid::from_u128(1))]))));
        Policy { rules: BTreeMap::from([(kind.to_owned(), rule)]), groups, ..Policy::default() }.check().is_ok()
    };
    let cases: [(&str, Change, u32, u32); 9] = [
        ("mark_objective", |rule, value| rule.approvals = u8::try_from(value).unwrap_or(u8::MAX), 1, 5),
        ("mark_objective", |rule, value| rule.sign_in_minutes = Some(value), 5, 480),
        ("publish_package", |rule, value| rule.sign_in_minutes = Some(value), 5, 10),
        ("affirm", |rule, value| rule.sign_in_minutes = Some(value), 5, 10),
        ("assign_training", |rule, value| rule.undo_within = value, 1, 168),
        ("mark_objective", |rule, value| rule.decide_within = value, 1, 2160),
        ("mark_objective", |rule, value| rule.run_within = value, 1, 336),
        ("mark_objective", |rule, value| rule.remind_before = vec![value], 1, 2160),
        ("mark_objective", |rule, value| rule.escalate_before = vec![value], 1, 2160),
    ];
    for (n, (kind, change, least, most)) in cases.into_iter().enumerate() {
        assert!(stands(kind, change, least) && stands(kind, change, most), "case {n}");
        assert!(!stands(kind, change, least - 1) && !stands(kind, change, most + 1), "case {n}");
    }
    let counts: [(Change, u32); 2] =
        [(|rule, count| rule.remind_before = (1..=count).collect(), 3), (|rule, count| rule.escalate_before = (1..=count).collect(), 3)];
    for (change, most) in counts {
        assert!(
            stands("mark_objective", change, 0) && stands("mark_objective", change, most) && !stands("mark_objective", change, most + 1)
        );
    }
    assert!(!stands("mark_objective", |rule, hours| rule.remind_before = vec![hours; 2], 24), "the same hour twice");
    let of_groups = |names: &[&str], approvals: u32| {
        let mut rule = Rule { approvals: u8::try_from(approvals).unwrap_or(u8::MAX), ..Rule::of_kind("mark_objective") };
        rule.one_from_each = names.iter().map(|name| (*name).to_owned()).collect();
        let groups = BTreeMap::from(["a", "b"].map(|name| (name.to_owned(), BTreeSet::from([PersonId(uuid::Uuid::from_u128(1))]))));
        Policy { rules: BTreeMap::from([("mark_objective".to_owned(), rule)]), groups, ..Policy::default() }.check().is_ok()
    };
    assert!(of_groups(&["a", "b"], 2) && of_groups(&["a"], 2) && !of_groups(&["a", "b"], 1) && !of_groups(&["a", "a"], 2));
    // What another level never asks for is no fault in it.
    assert!(stands("collect_evidence", |rule, hours| rule.undo_within = hours, 0));
}

#[test]
fn a_rule_says_in_words_what_it_asks() {
    let mark = || Rule::of_kind("mark_objective");
    for (rule, words) in [
        (Rule::of_kind("collect_evidence"), "runs by rule"),
        (Rule::of_kind("assign_training"), "runs, and can be undone for 72 hours"),
        (mark(), "needs 1 approval"),
        (
            Rule { approvals: 2, one_from_each: vec!["client".into(), "security".into()], comment_needed: true, ..mark() },
            "needs 2 approvals, one of them from client, one from security, with a comment",
        ),
        (Rule::of_kind("publish_package"), "needs 1 approval, after a sign-in of the last 10 minutes"),
        (Rule::of_kind("affirm"), "is done by a person and recorded, after a sign-in of the last 10 minutes"),
    ] {
        assert_eq!(rule.words(), words);
    }
}

#[test]
fn only_the_hours_that_everybody_has_are_left_out_of_what_is_stored() {
    let stored = |hours: Vec<u32>| {
        let rule = Rule { remind_before: hours.clone(), ..Rule::of_kind("mark_objective") };
        let text = serde_json::to_value(&rule).expect("written");
        let back: Rule = serde_json::from_value(text.clone()).expect("read");
        assert_eq!(back.remind_before, hours);
        text.get("remind_before").is_some()
    };
    assert!(!stored(vec![24]) && stored(vec![23]) && stored(vec![]) && stored(vec![24, 1]));
}

#[test]
fn what_people_overrode_too_often_asks_for_more_and_never_for_less() {
    let terms = |kind: &str| Policy::default().terms(kind);
    let demoted = terms("assign_training").demoted(Level::L2);
    assert_eq!((demoted.level(), demoted.rule.approvals, demoted.demoted_from), (Level::L2, 1, Some(Level::L1)));
    assert_eq!(terms("collect_evidence").demoted(Level::L1).rule.approvals, 0);
    for level in [Level::L0, Level::L1, Level::L2] {
        assert_eq!(terms("mark_objective").demoted(level), terms("mark_objective"), "{level:?}");
    }
}

#[test]
fn what_people_are_asked_about_stays_with_them_and_what_made_it_stricter_is_said() {
    let trained = Policy::default().terms("assign_training");
    let asked = trained.clone().asking_people();
    assert_eq!((asked.level(), asked.rule.approvals, asked.demoted_from), (Level::L2, 1, None));
    let demoted = trained.demoted(Level::L2);
    assert_eq!(demoted.clone().asking_people(), demoted);
}

#[test]
fn accounts_that_are_linked_over_others_are_one_human() {
    let id = |n: u128| PersonId(uuid::Uuid::from_u128(n));
    let same_human = vec![BTreeSet::from([id(4), id(3)]), BTreeSet::from([id(7), id(8)])];
    let terms = Terms { same_human, linked: vec![BTreeSet::from([id(3), id(2)])], ..Policy::default().terms("mark_objective") };
    assert_eq!([2, 3, 4].map(|n| terms.human(id(n))), [id(2); 3]);
    assert!(terms.is_same_human(id(2), id(4)) && !terms.is_same_human(id(2), id(7)) && !terms.is_same_human(id(2), id(5)));
}

proptest! {
    /// G8.
    #[test]
    fn whatever_is_written_no_kind_is_gated_below_its_floor(
        kind in prop::sample::select(KINDS.iter().map(|(kind, ..)| *kind).chain(["unknown"]).collect::<Vec<_>>()),
        level in prop::sample::select(Level::ALL.to_vec()),
        approvals in 0..9_u8,
        sign_in_minutes in prop::option::of(0..700_u32),
    ) {
        let rule = Rule { level, approvals, sign_in_minutes, ..Rule::of_kind(kind) };
        let policy = Policy { rules: BTreeMap::from([(kind.to_owned(), rule)]), ..Policy::default() };
        let terms = policy.terms(kind);
        prop_assert!(terms.level() >= floor(kind) && terms.rule.level == terms.level());
        prop_assert!(terms.level() != Level::L2 || terms.rule.approvals >= 1);
        if level < floor(kind) {
            prop_assert!(policy.check().is_err());
        }
        if has_great_effect(kind) || terms.level() == Level::L3 {
            prop_assert!(terms.rule.sign_in_minutes.is_some_and(|minutes| minutes <= SIGN_IN_AT_MOST));
            prop_assert!(sign_in_minutes.is_none_or(|minutes| minutes <= SIGN_IN_AT_MOST) || policy.check().is_err());
        }
    }
}

#[test]
fn by_default_there_is_a_week_to_decide_two_days_to_run_and_three_to_undo_what_runs_by_its_level() {
    for (kind, undo_within) in [("mark_objective", 0), ("assign_training", 72), ("affirm", 0), ("collect_evidence", 0)] {
        let rule = Rule::of_kind(kind);
        assert_eq!((rule.decide_within, rule.run_within, rule.undo_within), (168, 48, undo_within), "{kind}");
        assert_eq!(rule.remind_before, [24]);
    }
}
