//! What evidence makes Assay suggest, and what it never does; the evidence map against its source.

use std::collections::BTreeMap;

use assay::{
    evidence::{Evidence, Observed, Origin, Population},
    readiness::{
        catalogue::catalogue,
        map::{Grade, evidence_map},
        suggest::{Outcome, Suggestion, suggest},
        topic::Topic,
    },
    tenancy::ConnectionId,
};
use proptest::prelude::*;
use serde_json::Value;
use time::{Duration, OffsetDateTime, macros::datetime};
use uuid::Uuid;

use crate::support::shared;

const NOW: OffsetDateTime = datetime!(2026-11-25 09:00 UTC);

#[test]
fn the_map_has_the_ids_grades_and_ages_of_its_source_and_no_grade_above_partial() {
    let Some(folder) = shared::dir("ASSAY_CASES", "connectors") else { return };
    let path = folder.join("evidence-map.json");
    if !path.exists() {
        return;
    }
    let source: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let source = source["map"].as_array().unwrap();
    assert_eq!(source.len(), evidence_map().entries.len());
    for theirs in source {
        let ours = evidence_map().entry(theirs["record_type"].as_str().unwrap()).expect("a record type of the source");
        let mut expected = BTreeMap::new();
        for (grade, ids) in theirs["objectives"].as_object().unwrap() {
            for id in ids.as_array().unwrap() {
                expected.insert(id.as_str().unwrap(), grade.as_str());
            }
        }
        let actual: BTreeMap<_, _> = ours.objectives().map(|(id, grade)| (id, grade.word())).collect();
        assert_eq!(actual, expected, "{}", ours.record_type);
        assert_eq!(theirs["max_age_days"], ours.max_age().whole_days(), "{}", ours.record_type);
        assert_ne!(theirs["why"], ours.why);
        assert_ne!(theirs["limits"], ours.limits);
    }
}

#[test]
fn a_complete_device_inventory_makes_the_inventory_objective_likely_met_and_says_what_it_does_not_show() {
    let suggestion = about("3.4.1[d]", &[inventory("rmm", 43, 43, NOW)]).expect("it was read");
    assert_eq!((suggestion.result, suggestion.grade), (Outcome::LikelyMet, Grade::Partial));
    assert!(suggestion.population_complete && suggestion.is_fresh(NOW));
    assert!(suggestion.reasons[0].contains("43 of 43"));
    assert!(suggestion.limits[0].contains("firmware"), "{:?}", suggestion.limits);
    assert_eq!(suggestion.citations[0].title, "inventory of rmm");
}

#[test]
fn a_complete_inventory_is_not_enough_where_the_objective_asks_for_what_no_inventory_lists() {
    let suggestion = about("3.4.1[e]", &[inventory("rmm", 43, 43, NOW)]).expect("it was read");
    assert_eq!((suggestion.result, suggestion.grade), (Outcome::NotEnough, Grade::Partial), "the grade is the map's");
    let first = &suggestion.reasons[0];
    assert!(first.contains("43 of 43") && first.contains("firmware and documentation"), "{first}");
    let old = about("3.4.1[e]", &[inventory("rmm", 43, 43, NOW - Duration::days(8))]).expect("read");
    assert!(old.reasons[0].contains("too old"), "{}", old.reasons[0]);
}

#[test]
fn what_nobody_read_is_unknown_and_never_suggested_met() {
    assert_eq!(about("3.4.1[d]", &[]), None);
    assert_eq!(about("3.12.4[a]", &[inventory("rmm", 43, 43, NOW)]), None);
}

#[test]
fn a_single_device_from_a_webhook_is_not_enough_because_nobody_said_how_many_there_are() {
    let suggestion = about("3.4.1[d]", &[device("HPM-CNC-07", NOW)]).expect("something was read");
    assert_eq!(suggestion.result, Outcome::NotEnough);
    assert!(suggestion.reasons[0].contains("unknown whether this is all"), "{}", suggestion.reasons[0]);
}

#[test]
fn a_reading_that_missed_two_devices_takes_the_suggestion_back() {
    let suggestion = about("3.4.1[d]", &[inventory("rmm", 43, 43, NOW - Duration::DAY), inventory("rmm", 43, 45, NOW)]).expect("read");
    assert_eq!(suggestion.result, Outcome::NotEnough);
    assert!(suggestion.reasons[0].contains("43 of 45"));
}

#[test]
fn two_tools_must_both_have_read_all_while_both_readings_are_fresh() {
    let both = [inventory("rmm", 43, 43, NOW), inventory("psa", 40, 43, NOW - Duration::hours(1))];
    assert_eq!(about("3.4.1[d]", &both).expect("read").result, Outcome::NotEnough);
    let the_other_is_old = [inventory("rmm", 43, 43, NOW), inventory("psa", 40, 43, NOW - Duration::days(30))];
    assert_eq!(about("3.4.1[d]", &the_other_is_old).expect("read").result, Outcome::LikelyMet);
}

#[test]
fn a_reading_older_than_the_map_allows_is_not_enough_and_a_suggestion_goes_stale_by_itself() {
    let old = about("3.4.1[d]", &[inventory("rmm", 43, 43, NOW - Duration::days(8))]).expect("read");
    assert_eq!(old.result, Outcome::NotEnough);
    assert!(old.reasons[0].contains("too old"));
    let fresh = about("3.4.1[d]", &[inventory("rmm", 43, 43, NOW)]).expect("read");
    assert!(!fresh.is_fresh(NOW + Duration::days(8)));
}

#[test]
fn evidence_that_only_supports_is_not_enough_however_complete() {
    let suggestion = about("3.1.1[c]", &[inventory("rmm", 43, 43, NOW)]).expect("read");
    assert_eq!((suggestion.result, suggestion.grade), (Outcome::NotEnough, Grade::Supporting));
}

#[test]
fn a_policy_that_demands_something_does_not_show_that_it_is_so() {
    let policy = population("graph", "device_compliance_policy", 5, 5, NOW, &[]);
    let suggestion = about("3.4.2[b]", &[policy]).expect("read");
    assert_eq!((suggestion.result, suggestion.grade), (Outcome::NotEnough, Grade::Supporting));
    assert!(suggestion.reasons[0].contains("demanded"));
}

#[test]
fn one_unencrypted_volume_contradicts_whatever_the_population_says() {
    let all = population("rmm", "disk_encryption_state", 43, 43, NOW, &[]);
    let one = single("rmm", "disk_encryption_state", "HPM-LT-03", NOW, &[("encryption", "Off")]);
    let suggestion = about("3.13.16[a]", &[all.clone(), one.clone()]).expect("read");
    assert_eq!(suggestion.result, Outcome::Contradicted);
    assert!(suggestion.reasons[0].contains("HPM-LT-03"), "{}", suggestion.reasons[0]);
    let mended = single("rmm", "disk_encryption_state", "HPM-LT-03", NOW + Duration::HOUR, &[("encryption", "On")]);
    assert_eq!(about("3.13.16[a]", &[all, one, mended]).expect("read").result, Outcome::LikelyMet);
}

#[test]
fn an_observed_state_outranks_a_policy_that_is_assigned_to_nobody() {
    let policy = single("graph", "device_compliance_policy", "Baseline", NOW, &[("assignment", "none")]);
    assert_eq!(about("3.4.2[b]", std::slice::from_ref(&policy)).expect("read").result, Outcome::Contradicted);
    let state = population("azure", "azure_policy_state", 61, 61, NOW, &[]);
    assert_eq!(about("3.4.2[b]", &[policy, state]).expect("read").result, Outcome::LikelyMet);
}

#[test]
fn another_reading_with_the_same_answer_is_the_same_suggestion() {
    let first = about("3.4.1[d]", &[inventory("rmm", 43, 43, NOW - Duration::DAY)]).expect("read");
    let second = about("3.4.1[d]", &[inventory("rmm", 44, 44, NOW)]).expect("read");
    assert!(!second.differs_from(Some(&first)));
    assert!(second.differs_from(None));
}

#[test]
fn tickets_that_were_deleted_never_hide_those_that_are_still_there() {
    let ticket = |n: i64| single("psa", "psa_ticket_incident", &format!("T{n}"), NOW - Duration::hours(n + 1), &[]);
    let deleted = |n: i64| Evidence { deleted: true, occurred_at: NOW, hash: format!("T{n} is gone"), ..ticket(n) };
    let all: Vec<Evidence> = (0..200).map(ticket).collect();
    let cited = |gone: std::ops::Range<i64>| -> Vec<String> {
        let events: Vec<Evidence> = all.iter().cloned().chain(gone.map(deleted)).collect();
        let suggestion = about("3.6.2[a]", &events).expect("195 are still there");
        suggestion.citations.into_iter().map(|cited| cited.title).collect()
    };
    assert_eq!(cited(190..195), ["T0", "T1", "T2", "T3", "T4"], "old ones");
    assert_eq!(cited(0..5), ["T5", "T6", "T7", "T8", "T9"], "the newest");
}

#[test]
fn when_as_many_tickets_are_deleted_as_are_remembered_the_others_are_not_taken_for_unread() {
    let ticket = |n: i64| single("psa", "psa_ticket_incident", &format!("T{n}"), NOW - Duration::hours(n + 1), &[]);
    let deleted = |n: i64| Evidence { deleted: true, occurred_at: NOW, hash: format!("T{n} is gone"), ..ticket(n) };
    let after = |all: i64| about("3.6.2[a]", &(0..all).map(ticket).chain((0..25).map(deleted)).collect::<Vec<_>>());
    let suggestion = after(200).expect("175 are still there");
    assert_eq!((suggestion.result, suggestion.is_fresh(NOW)), (Outcome::NotEnough, true));
    assert!(suggestion.citations.is_empty(), "none of those that were deleted");
    assert!(suggestion.reasons[0].contains("older ones are not remembered"), "{}", suggestion.reasons[0]);
    assert_eq!(after(25), None, "all are gone");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    /// Events arrive in any order and more than once; evidence keeps each record's newest state, and the analysis reads that.
    #[test]
    fn neither_the_order_of_events_nor_their_repetition_changes_what_is_suggested(
        events in proptest::collection::vec((0..9_u8, 0..40_i64, any::<bool>(), any::<bool>()), 1..30),
        order in proptest::collection::vec(any::<prop::sample::Index>(), 60),
    ) {
        let records: Vec<Evidence> = events.iter().map(|&(name, hour, off, deleted)| {
            let at = NOW - Duration::hours(hour);
            let state = if off { "off" } else { "on" };
            if name == 0 {
                population("rmm", "disk_encryption_state", 9, if off { 10 } else { 9 }, at, &[])
            } else {
                    let seen = single("rmm", "disk_encryption_state", &format!("D{name}"), at, &[("encryption", state)]);
                    Evidence { deleted, hash: format!("{} {deleted}", seen.hash), ..seen }
            }
        }).collect();
        let in_order = about("3.13.16[a]", &records);
        let shuffled: Vec<Evidence> = order.iter().map(|i| i.get(&records).clone()).chain(records.iter().rev().cloned()).collect();
        prop_assert_eq!(in_order, about("3.13.16[a]", &shuffled));
    }
}

/// What is suggested after these events, each taken in as evidence keeps it: the newest state of its record.
fn about(objective: &str, events: &[Evidence]) -> Option<Suggestion> {
    let mut kept: BTreeMap<String, Evidence> = BTreeMap::new();
    let mut topics: BTreeMap<String, Topic> = BTreeMap::new();
    for event in events {
        let version = |e: &Evidence| (e.occurred_at, e.collected_at, e.hash.clone());
        let record = kept.entry(event.source_key.clone()).or_insert_with(|| event.clone());
        if version(record) < version(event) {
            *record = event.clone();
        }
        let record_type = record.record_type.clone().unwrap();
        let topic = topics.entry(record_type.clone()).or_insert_with(|| Topic::new(&record_type));
        topic.take_in(evidence_map().entry(&record_type).unwrap(), record);
    }
    suggest(evidence_map(), catalogue().objective(objective).unwrap(), |t| topics.get(t), NOW)
}

fn inventory(tool: &str, read: u64, total: u64, at: OffsetDateTime) -> Evidence {
    population(tool, "rmm_device_inventory", read, total, at, &[])
}

fn device(name: &str, at: OffsetDateTime) -> Evidence {
    single("rmm", "rmm_device_inventory", name, at, &[])
}

fn population(tool: &str, record_type: &str, read: u64, total: u64, at: OffsetDateTime, facts: &[(&str, &str)]) -> Evidence {
    let mut evidence = single(tool, record_type, &format!("inventory of {tool}"), at, facts);
    evidence.source_key = format!("{tool}:population:{record_type}");
    evidence.population = Population::Of { read, total };
    evidence.hash = format!("{read}/{total}@{at}");
    evidence
}

fn single(tool: &str, record_type: &str, name: &str, at: OffsetDateTime, facts: &[(&str, &str)]) -> Evidence {
    let facts: BTreeMap<String, String> = facts.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
    Evidence {
        source_key: format!("{tool}:configuration:{name}"),
        record_type: Some(record_type.into()),
        title: name.into(),
        hash: format!("{facts:?}@{at}"),
        origin: Origin::Observed(Observed {
            connection: ConnectionId(Uuid::nil()),
            system: tool.into(),
            entity: "configuration".into(),
            vendor_id: name.into(),
            facts,
            raw: None,
        }),
        occurred_at: at,
        collected_at: at,
        population: Population::Unknown,
        deleted: false,
        revision: 0,
    }
}
