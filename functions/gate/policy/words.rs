//! What a change of the policy changes, in words: each field that differs, from what to what. Whoever approves it reads this
//! on the page, and the log keeps it.
//!
//! Every field is named in a pattern without a rest, so that a new one does not compile before it has words.

use std::{collections::BTreeSet, fmt};

use super::{KINDS, Policy, Rule};
use crate::tenancy::PersonId;

/// One field that differs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// `Mark an objective: approvals needed`
    pub what: String,
    pub was: String,
    pub is: String,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { what, was, is } = self;
        write!(f, "{what}: {was} \u{2192} {is}")
    }
}

/// Every difference, by kind of action and field. `name`: of a person, for people.
pub fn changes(now: &Policy, to: &Policy, name: &dyn Fn(PersonId) -> String) -> Vec<Change> {
    let mut changes = Vec::new();
    for (kind, _, words) in KINDS {
        // As it holds, so that what no floor allows is no difference either.
        let (was, is) = (of_rule(&now.terms(kind).rule), of_rule(&to.terms(kind).rule));
        changes.extend(differing(was, is).map(|(field, was, is)| Change { what: format!("{words}: {field}"), was, is }));
    }
    let Policy { version: _, rules: _, groups, same_human, break_glass, left_out, made_by: _ } = to;
    let people = |all: &BTreeSet<PersonId>| listed(all.iter().map(|id| name(*id)));
    let groups_of: BTreeSet<&String> = now.groups.keys().chain(groups.keys()).collect();
    for group in groups_of {
        let of = |policy: &Policy| policy.groups.get(group).map_or_else(|| "no such group".into(), people);
        changes.push(Change { what: format!("Who is in \u{201c}{group}\u{201d}"), was: of(now), is: of(to) });
    }
    let humans =
        |sets: &[BTreeSet<PersonId>]| listed(sets.iter().map(|set| listed(set.iter().map(|id| name(*id))).replace(", ", " with ")));
    changes.push(Change { what: "Accounts that are one person\u{2019}s".into(), was: humans(&now.same_human), is: humans(same_human) });
    let what = "Who may approve alone in an emergency".into();
    changes.push(Change { what, was: people(&now.break_glass), is: people(break_glass) });
    let what = "Whose decisions teach Assay nothing".into();
    changes.push(Change { what, was: people(&now.left_out), is: people(left_out) });
    changes.retain(|change| change.was != change.is);
    changes
}

/// For a mail or card: the first ones, and how many more.
pub fn summary(changes: &[Change]) -> String {
    const NAMED: usize = 2;
    let named: Vec<String> = changes.iter().take(NAMED).map(ToString::to_string).collect();
    match changes.len().saturating_sub(NAMED) {
        0 => format!("{}.", named.join("; ")),
        more => format!("{}; and {more} more, which the page shows.", named.join("; ")),
    }
}

fn differing<'f>(was: Vec<(&'f str, String)>, is: Vec<(&'f str, String)>) -> impl Iterator<Item = (&'f str, String, String)> {
    was.into_iter().zip(is).filter(|((_, was), (_, is))| was != is).map(|((field, was), (_, is))| (field, was, is))
}

/// Each field of a rule with its name and its value.
fn of_rule(rule: &Rule) -> Vec<(&'static str, String)> {
    let Rule {
        level,
        approvals,
        one_from_each,
        outside_stand_ins,
        comment_needed,
        sign_in_minutes,
        decide_within,
        run_within,
        undo_within,
        remind_before,
        escalate_before,
    } = rule;
    let yes = |is: bool| if is { "yes" } else { "no" }.to_owned();
    let before = |hours: &[u32]| match hours {
        [] => "never".to_owned(),
        hours => format!("{} hours before the deadline", listed(hours.iter().map(ToString::to_string))),
    };
    vec![
        ("level", level.word().into()),
        ("approvals needed", approvals.to_string()),
        ("one of them from each of", listed(one_from_each.iter().cloned())),
        ("a stand-in from outside a group fills its place", yes(*outside_stand_ins)),
        ("an approval needs a comment", yes(*comment_needed)),
        ("a sign-in may be", sign_in_minutes.map_or_else(|| "as old as the session".into(), |minutes| format!("{minutes} minutes old"))),
        ("decided within", format!("{decide_within} hours")),
        ("carried out within", format!("{run_within} hours")),
        ("can be undone for", format!("{undo_within} hours")),
        ("reminds", before(remind_before)),
        ("escalates", before(escalate_before)),
    ]
}

fn listed(items: impl Iterator<Item = String>) -> String {
    let items: Vec<String> = items.collect();
    if items.is_empty() { "none".into() } else { items.join(", ") }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::{Value, json};
    use uuid::Uuid;

    use super::*;
    use crate::gate::level::Level;

    fn person(n: u128) -> PersonId {
        PersonId(Uuid::from_u128(n))
    }

    fn name(id: PersonId) -> String {
        format!("Person {}", id.0.as_u128())
    }

    /// Every field of the stored form gets another value here; one that has none fails the tests below.
    fn other_rule(field: &str) -> Option<Value> {
        Some(match field {
            "level" => json!(Level::L3),
            "approvals" => json!(4),
            "one_from_each" => json!(["client"]),
            "outside_stand_ins" | "comment_needed" => json!(true),
            "sign_in_minutes" => json!(10),
            "decide_within" => json!(100),
            "run_within" => json!(11),
            "undo_within" => json!(9),
            "remind_before" => json!([48, 4]),
            "escalate_before" => json!([12]),
            _ => return None,
        })
    }

    #[test]
    fn whichever_field_of_a_rule_changes_is_said_from_what_to_what() {
        let standard = Rule::of_kind("mark_objective");
        // What is as it always was is left out of the stored form; here each field has something to say.
        let full = Rule { outside_stand_ins: true, remind_before: vec![1], escalate_before: vec![1], ..standard.clone() };
        let (rule, full) = (serde_json::to_value(standard).expect("a rule"), serde_json::to_value(full).expect("a rule"));
        let said: BTreeMap<String, String> = full
            .as_object()
            .expect("fields")
            .keys()
            .map(|field| {
                let mut other = rule.clone();
                other[field] = other_rule(field).unwrap_or_else(|| panic!("{field} has no words and no case here"));
                let to = Policy {
                    rules: BTreeMap::from([("mark_objective".to_owned(), serde_json::from_value(other).expect("a rule"))]),
                    ..Policy::default()
                };
                let changes = changes(&Policy::default(), &to, &name);
                // What only people do is under a fresh sign-in besides.
                let [one, besides @ ..] = &changes[..] else { panic!("{field} changed nothing") };
                assert!(besides.is_empty() || field == "level" && besides.len() == 1, "{field}: {changes:?}");
                (field.clone(), one.to_string())
            })
            .collect();
        assert_eq!(said.len(), of_rule(&Rule::of_kind("mark_objective")).len(), "each field that has words has a case");
        assert_eq!(said["approvals"], "Mark an objective: approvals needed: 1 \u{2192} 4");
        assert_eq!(said["decide_within"], "Mark an objective: decided within: 168 hours \u{2192} 100 hours");
        assert_eq!(said["one_from_each"], "Mark an objective: one of them from each of: none \u{2192} client");
        let before = "24 hours before the deadline \u{2192} 48, 4 hours before the deadline";
        assert_eq!(said["remind_before"], format!("Mark an objective: reminds: {before}"));
        let distinct: BTreeSet<&String> = said.values().collect();
        assert_eq!(distinct.len(), said.len());
    }

    #[test]
    fn whichever_field_of_the_policy_changes_is_said_from_what_to_what() {
        let left_out = BTreeSet::from([person(1)]);
        let now = Policy { groups: BTreeMap::from([("client".to_owned(), BTreeSet::from([person(1)]))]), left_out, ..Policy::default() };
        let fields = serde_json::to_value(&now).expect("a policy");
        for field in fields.as_object().expect("fields").keys() {
            let to = match field.as_str() {
                // These name the version, and change nothing.
                "version" => Policy { version: 9, ..now.clone() },
                "made_by" => Policy { made_by: Some(crate::tenancy::ProposalId(Uuid::nil())), ..now.clone() },
                // Has a test of its own, field by field.
                "rules" => continue,
                "groups" => {
                    let groups =
                        [("client".to_owned(), BTreeSet::from([person(1), person(2)])), ("lead".into(), BTreeSet::from([person(3)]))];
                    Policy { groups: BTreeMap::from(groups), ..now.clone() }
                }
                "same_human" => Policy { same_human: vec![BTreeSet::from([person(1), person(2)])], ..now.clone() },
                "left_out" => Policy { left_out: BTreeSet::from([person(2)]), ..now.clone() },
                "break_glass" => Policy { break_glass: BTreeSet::from([person(4)]), ..now.clone() },
                other => panic!("{other} has no words and no case here"),
            };
            let said: Vec<String> = changes(&now, &to, &name).iter().map(ToString::to_string).collect();
            let expected: &[&str] = match field.as_str() {
                "groups" => &[
                    "Who is in \u{201c}client\u{201d}: Person 1 \u{2192} Person 1, Person 2",
                    "Who is in \u{201c}lead\u{201d}: no such group \u{2192} Person 3",
                ],
                "same_human" => &["Accounts that are one person\u{2019}s: none \u{2192} Person 1 with Person 2"],
                "left_out" => &["Whose decisions teach Assay nothing: Person 1 \u{2192} Person 2"],
                "break_glass" => &["Who may approve alone in an emergency: none \u{2192} Person 4"],
                _ => &[],
            };
            assert_eq!(said, expected, "{field}");
        }
    }

    #[test]
    fn a_summary_names_two_and_counts_the_rest() {
        let change = |n: u32| Change { what: format!("Field {n}"), was: "a".into(), is: "b".into() };
        assert_eq!(summary(&[change(1)]), "Field 1: a \u{2192} b.");
        let all: Vec<Change> = (1..=4).map(change).collect();
        assert_eq!(summary(&all), "Field 1: a \u{2192} b; Field 2: a \u{2192} b; and 2 more, which the page shows.");
    }
}
