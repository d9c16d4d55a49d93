//! Scores, Conditional status and POA&M eligibility: worked cases from a file, and what must hold for any answers.

use std::collections::BTreeMap;

use assay::readiness::{
    catalogue::catalogue,
    poam::{self, Status},
    score::{Answer, HIGHEST, Known, LOWEST, Reading, SSP, Score, reckon},
};
use proptest::prelude::*;
use serde_json::Value;
use time::{Date, macros::format_description};

use crate::support::shared;

#[test]
fn scoring_cases() {
    let Some(path) = shared::dir("ASSAY_SCORING_CASES", "cmmc/scoring-cases.json") else { return };
    let file: Value = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
    let cases = file["cases"].as_array().unwrap();
    assert!(!cases.is_empty(), "{} has no case", path.display());
    let failures: Vec<String> =
        cases.iter().flat_map(|case| differences(case).into_iter().map(|d| format!("{}: {d}", case["id"]))).collect();
    assert!(failures.is_empty(), "{failures:#?}");
}

/// What the case expects and we do not give.
fn differences(case: &Value) -> Vec<String> {
    let answers = answers_of(case);
    let known = |id: &str| Known { found: answers[id], likely_met: false };
    let reckoning = reckon(Reading::Today, known);
    let ids = |open: Vec<&assay::readiness::score::OpenRequirement>| open.iter().map(|o| o.requirement.id).collect::<Vec<_>>();
    let (allowed, refused) = (ids(reckoning.poam_allowed().collect()), ids(reckoning.poam_refused().collect()));
    let expected = &case["expected"];
    let mut differences = Vec::new();
    let mut compare = |field: &str, ours: Value| {
        let theirs = &expected[field];
        let same = match (theirs, &ours) {
            (Value::Number(count), Value::Array(list)) => count.as_u64() == Some(list.len() as u64),
            (Value::Array(theirs), Value::Array(ours)) => sorted(theirs) == sorted(ours),
            (Value::Null, _) if expected.get(field).is_none() => true,
            // A case may say in words that there is no score.
            (Value::String(_), Value::Null) => field == "score",
            _ => *theirs == ours,
        };
        if !same {
            differences.push(format!("{field} should be {theirs}, is {ours}"));
        }
    };
    let score = match reckoning.score {
        Score::Of(points) => Value::from(points),
        Score::IfSspAccepted(_) => Value::Null,
    };
    compare("score", score);
    compare("status", reckoning.status.word().into());
    compare("not_met_count", reckoning.open.len().into());
    compare("poam_allowed", allowed.into());
    compare("poam_refused", refused.into());
    compare("score_gate_88", reckoning.reaches_the_gate().into());
    if let (Some(date), Status::Conditional) = (case["status_date"].as_str(), reckoning.status) {
        let date = Date::parse(date, format_description!("[year]-[month]-[day]")).unwrap();
        compare("poam_close_by", poam::close_by(date).unwrap().to_string().into());
    } else {
        compare("poam_close_by", Value::Null);
    }
    differences
}

fn sorted(list: &[Value]) -> Vec<String> {
    let mut texts: Vec<String> = list.iter().map(ToString::to_string).collect();
    texts.sort();
    texts
}

/// Answers of all objectives: a listed objective as listed; the others of its requirement by the case's default; all
/// objectives of a requirement that is only listed itself by that, a partial one in one objective.
fn answers_of(case: &Value) -> BTreeMap<&'static str, Answer> {
    let default = answer(&case["default"]);
    let listed = &case["objective_findings"];
    let mut answers = BTreeMap::new();
    for requirement in &catalogue().requirements {
        let objectives = catalogue().objectives_of(requirement.id);
        let has_listed = objectives.iter().any(|o| listed.get(o.id).is_some());
        let of_requirement = case["findings"].get(requirement.id).map(answer);
        for objective in objectives {
            let is_last = objectives.last().is_some_and(|last| last.id == objective.id);
            let this = match (listed.get(objective.id), of_requirement) {
                (Some(value), _) => answer(value),
                (None, Some(Answer::Partial)) if !is_last || has_listed => Answer::Met,
                (None, Some(Answer::NotMet) | None) if has_listed => default,
                (None, Some(finding)) => finding,
                (None, None) => default,
            };
            answers.insert(objective.id, this);
        }
    }
    answers
}

fn answer(value: &Value) -> Answer {
    match value.as_str() {
        Some("MET") => Answer::Met,
        Some("NOT_MET") => Answer::NotMet,
        Some("PARTIAL") => Answer::Partial,
        Some("NOT_APPLICABLE") => Answer::NotApplicable,
        _ => Answer::Undecided,
    }
}

#[test]
fn while_the_ssp_is_undecided_there_are_points_but_no_score_in_any_reading() {
    for reading in Reading::ALL {
        let all_else_met =
            |id: &str| Known { found: if id.starts_with("3.12.4[") { Answer::Undecided } else { Answer::Met }, likely_met: true };
        let reckoning = reckon(reading, all_else_met);
        assert_eq!(reckoning.score, Score::IfSspAccepted(110));
        assert_eq!(reckoning.status, Status::None);
        assert!(!reckoning.reaches_the_gate());
    }
}

#[test]
fn a_system_security_plan_that_is_declared_not_applicable_gives_no_score_and_stays_open() {
    let ssp: Vec<&str> = catalogue().objectives_of(SSP).iter().map(|o| o.id).collect();
    for declared in [&ssp[..], &ssp[..1]] {
        for reading in Reading::ALL {
            let reckoning = reckon(reading, |id| Known {
                found: if declared.contains(&id) { Answer::NotApplicable } else { Answer::Met },
                likely_met: false,
            });
            assert_eq!((reckoning.score, reckoning.status), (Score::IfSspAccepted(110), Status::None));
            assert_eq!(reckoning.open.iter().map(|o| o.requirement.id).collect::<Vec<_>>(), [SSP]);
        }
    }
}

#[test]
fn with_nothing_read_today_is_the_floor_and_best_is_the_ceiling_if_the_ssp_is_accepted() {
    assert_eq!(reckon(Reading::Today, |_| Known::NOTHING).score, Score::IfSspAccepted(LOWEST));
    assert_eq!(reckon(Reading::Likely, |_| Known::NOTHING).score, Score::IfSspAccepted(LOWEST));
    assert_eq!(reckon(Reading::Best, |_| Known::NOTHING).score, Score::IfSspAccepted(HIGHEST));
}

#[test]
fn eighty_eight_requirements_met_with_22_fives_open_is_zero_points_and_no_gate() {
    let fives: Vec<_> = catalogue().requirements.iter().filter(|r| r.weight == Some(5)).take(22).map(|r| r.id).collect();
    let reckoning = reckon(Reading::Today, |id| {
        let open = fives.contains(&assay::readiness::catalogue::requirement_of(id));
        Known { found: if open { Answer::NotMet } else { Answer::Met }, likely_met: false }
    });
    assert_eq!(reckoning.score, Score::Of(0));
    assert!(!reckoning.reaches_the_gate());
    assert!(poam::reaches_the_gate(88) && !poam::reaches_the_gate(87));
}

#[test]
fn partial_credit_anywhere_else_than_3_5_3_and_3_13_11_is_a_plain_not_met() {
    let reckoning =
        reckon(Reading::Today, |id| Known { found: if id == "3.1.1[a]" { Answer::Partial } else { Answer::Met }, likely_met: false });
    assert_eq!(reckoning.score, Score::Of(105));
}

fn any_known() -> impl Strategy<Value = Vec<Known>> {
    let found = prop_oneof![
        4 => Just(Answer::Undecided),
        3 => Just(Answer::Met),
        1 => Just(Answer::NotMet),
        1 => Just(Answer::NotApplicable),
        1 => Just(Answer::Partial)
    ];
    proptest::collection::vec((found, any::<bool>()).prop_map(|(found, likely_met)| Known { found, likely_met }), 320)
}

fn points(reading: Reading, known: &[Known]) -> i32 {
    let by_id: BTreeMap<_, _> = catalogue().objectives.iter().map(|o| o.id).zip(known.iter().copied()).collect();
    reckon(reading, |id| by_id[id]).score.points()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn points_stay_in_range_and_today_is_never_above_likely_nor_likely_above_best(known in any_known()) {
        let [today, likely, best] = Reading::ALL.map(|reading| points(reading, &known));
        prop_assert!(LOWEST <= today && today <= likely && likely <= best && best <= HIGHEST);
    }

    #[test]
    fn turning_an_objective_to_met_never_lowers_the_points(known in any_known(), at in 0..320_usize) {
        let mut better = known.clone();
        better[at].found = Answer::Met;
        for reading in Reading::ALL {
            prop_assert!(points(reading, &known) <= points(reading, &better));
        }
    }

    #[test]
    fn a_score_exists_only_when_every_objective_of_the_ssp_was_found_met(known in any_known()) {
        let by_id: BTreeMap<_, _> = catalogue().objectives.iter().map(|o| o.id).zip(known.iter().copied()).collect();
        let found = catalogue().objectives_of(SSP).iter().all(|o| by_id[o.id].found == Answer::Met);
        let score = reckon(Reading::Best, |id| by_id[id]).score;
        prop_assert_eq!(found, matches!(score, Score::Of(_)));
    }
}
