//! Who is woken, by what and how soon. Of every alert the whole condition stands here, so that a change of it is meant; and each
//! tells the people that `alertEmail` named.

use serde_json::{Value, json};

use super::{Installation, check_installations, found, leave_out, workbook::asked};
use crate::infra::template::Resource;

const LOG: &str = "Microsoft.Insights/scheduledQueryRules";
const METRIC: &str = "Microsoft.Insights/metricAlerts";
const EVENTS: &str = "Microsoft.EventGrid/systemTopics/eventSubscriptions";

/// One that asks the logs: `(name, what, told when it finds, severity, how often, of how long)`.
type Row = (&'static str, &'static str, (&'static str, u64), u64, &'static str, &'static str);

const ALERTS: &[Row] = &[
    // Poison depth: what the sweep has not drained yet, and what it has.
    ("dead-letters", "newest gauges | where dead_letters > 0 or poisoned > 0", ("GreaterThan", 0), 2, "PT5M", "PT15M"),
    // Age of the oldest thing that no signed checkpoint covers.
    ("checkpoint-age", "newest gauges | where checkpoint_age_seconds > 1800", ("GreaterThan", 0), 1, "PT5M", "PT15M"),
    // Backlog of approvals.
    ("approvals-wait", "newest gauges | where oldest_approval_hours > 48 or approvals_waiting > 50", ("GreaterThan", 0), 3, "PT1H", "PT1H"),
    ("usage", "gauges | where usage_waits_hours > 2 or usage_missed > 0", ("GreaterThan", 0), 2, "PT1H", "PT2H"),
    (
        "silent",
        "traces | where message has \"gauges\" | where parse_json(message).message == \"gauges\"",
        ("LessThan", 1),
        1,
        "PT5M",
        "PT30M",
    ),
    ("alarm", "traces | where message has \"ALARM\"", ("GreaterThan", 0), 0, "PT5M", "PT10M"),
];

/// The one group of people, who have a mail address.
fn people(of: &Installation) -> Result<&str, String> {
    let groups: Vec<_> = of.of("Microsoft.Insights/actionGroups").collect();
    let [group] = groups.as_slice() else { return Err(format!("{}: one group of people to wake, found {}", of.at, groups.len())) };
    let mailed = group.get(&["properties", "emailReceivers"]).and_then(Value::as_array).cloned().unwrap_or_default();
    let is_told = group.get(&["properties", "enabled"]) == Some(&json!(true))
        && mailed.iter().any(|one| one["emailAddress"].as_str().is_some_and(|address| address.contains('@')));
    if is_told { Ok(&group.id) } else { Err(format!("{}: mails nobody", group.label())) }
}

/// What differs from what is expected, each with its path.
fn differs(one: &Resource, expected: &[(&str, Value)]) -> Vec<String> {
    let found = |path: &str| one.body.pointer(&format!("/properties/{path}")).cloned().unwrap_or_default();
    let wrong = expected.iter().filter(|(path, value)| found(path) != *value);
    wrong.map(|(path, value)| format!("{}: {path} is {}, not {value}", one.label(), found(path))).collect()
}

fn log_faults(of: &Installation, people: &str) -> Vec<String> {
    let mut told = Vec::new();
    let insights = &of.of("Microsoft.Insights/components").next().expect("Application Insights").id;
    for (name, query, (operator, threshold), severity, every, window) in ALERTS {
        let Some(alert) = of.of(LOG).find(|one| one.name.ends_with(&format!("-{name}"))) else {
            told.push(format!("{}: no alert {name}", of.at));
            continue;
        };
        let asks = asked(alert.body.pointer("/properties/criteria/allOf/0/query").and_then(Value::as_str).unwrap_or_default());
        if asks != *query {
            told.push(format!("{}: asks `{asks}`, not `{query}`", alert.label()));
        }
        told.extend(differs(
            alert,
            &[
                ("enabled", json!(true)),
                ("severity", json!(severity)),
                ("scopes", json!([insights])),
                ("evaluationFrequency", json!(every)),
                ("windowSize", json!(window)),
                ("criteria/allOf/0/timeAggregation", json!("Count")),
                ("criteria/allOf/0/operator", json!(operator)),
                ("criteria/allOf/0/threshold", json!(threshold)),
                ("criteria/allOf/0/failingPeriods", json!({"numberOfEvaluationPeriods": 1, "minFailingPeriodsToAlert": 1})),
                // A second condition would have to hold as well.
                ("criteria/allOf/1", Value::Null),
                ("actions/actionGroups", json!([people])),
            ],
        ));
    }
    let is_known = |one: &&Resource| !ALERTS.iter().any(|(name, ..)| one.name.ends_with(&format!("-{name}")));
    told.extend(of.of(LOG).filter(is_known).map(|one| format!("{}: stands in no row here", one.label())));
    told
}

/// Requests that failed: the platform counts them, also when the app writes nothing any more.
fn failed_request_faults(of: &Installation, people: &str) -> Vec<String> {
    let alerts: Vec<_> = of.of(METRIC).collect();
    let [alert] = alerts.as_slice() else { return vec![format!("{}: one metric alert, of Http5xx, found {}", of.at, alerts.len())] };
    differs(
        alert,
        &[
            ("enabled", json!(true)),
            ("severity", json!(2)),
            ("scopes", json!([of.site().id])),
            ("evaluationFrequency", json!("PT1M")),
            ("windowSize", json!("PT5M")),
            ("criteria/allOf/0/criterionType", json!("StaticThresholdCriterion")),
            ("criteria/allOf/0/metricName", json!("Http5xx")),
            ("criteria/allOf/0/timeAggregation", json!("Total")),
            ("criteria/allOf/0/operator", json!("GreaterThan")),
            ("criteria/allOf/0/threshold", json!(10)),
            ("criteria/allOf/1", Value::Null),
            ("actions", json!([{"actionGroupId": people}])),
        ],
    )
}

/// Ends of keys and secrets: each vault tells its own, by Event Grid; no log has them.
fn expiry_faults(of: &Installation, people: &str) -> Vec<String> {
    let mut told = Vec::new();
    for vault in of.of("Microsoft.KeyVault/vaults") {
        let topic = of.of("Microsoft.EventGrid/systemTopics").find(|topic| topic.text(&["properties", "source"]) == Some(&vault.id));
        let Some(subscription) = topic.and_then(|topic| of.children(topic, EVENTS).next()) else {
            told.push(format!("{}: nobody is told when its keys end", vault.label()));
            continue;
        };
        let events = ["KeyNearExpiry", "KeyExpired", "SecretNearExpiry", "SecretExpired"].map(|of| format!("Microsoft.KeyVault.{of}"));
        told.extend(differs(
            subscription,
            &[
                ("filter", json!({"includedEventTypes": events})),
                ("destination/endpointType", json!("MonitorAlert")),
                ("destination/properties/severity", json!("Sev2")),
                ("destination/properties/actionGroups", json!([people])),
            ],
        ));
    }
    told
}

fn faults(of: &Installation) -> Vec<String> {
    match people(of) {
        Err(told) => vec![told],
        Ok(people) => [log_faults, failed_request_faults, expiry_faults].iter().flat_map(|faults| faults(of, people)).collect(),
    }
}

#[test]
fn infra_people_are_woken_by_poison_old_checkpoints_waiting_approvals_ending_keys_and_failed_requests() {
    fn set(of: &mut Installation, kind: &str, ending: &str, path: &str, value: Value) {
        *found(of, kind, ending).body.pointer_mut(&format!("/properties/{path}")).unwrap_or_else(|| panic!("no {path}")) = value;
    }
    const QUERY: &str = "criteria/allOf/0/query";
    check_installations(
        faults,
        &[
            ("no alert dead-letters", |of| leave_out(of, |one| one.is(LOG) && one.name.ends_with("-dead-letters"))),
            ("no alert checkpoint-age", |of| leave_out(of, |one| one.is(LOG) && one.name.ends_with("-checkpoint-age"))),
            ("no alert approvals-wait", |of| leave_out(of, |one| one.is(LOG) && one.name.ends_with("-approvals-wait"))),
            ("of Http5xx, found 0", |of| leave_out(of, |one| one.is(METRIC))),
            ("nobody is told when its keys end", |of| leave_out(of, |one| one.is(EVENTS))),
            ("one group of people", |of| leave_out(of, |one| one.is("Microsoft.Insights/actionGroups"))),
            ("mails nobody", |of| set(of, "Microsoft.Insights/actionGroups", "", "emailReceivers", json!([]))),
            ("enabled is false", |of| set(of, LOG, "-dead-letters", "enabled", json!(false))),
            ("checkpoint_age_seconds > 18000", |of| {
                let query = found(of, LOG, "-checkpoint-age").body["properties"]["criteria"]["allOf"][0]["query"].as_str().unwrap();
                let query = query.replace("> 1800", "> 18000");
                set(of, LOG, "-checkpoint-age", QUERY, json!(query));
            }),
            ("threshold is 9", |of| set(of, LOG, "-approvals-wait", "criteria/allOf/0/threshold", json!(9))),
            ("operator is \"LessThan\"", |of| set(of, LOG, "-alarm", "criteria/allOf/0/operator", json!("LessThan"))),
            ("windowSize is \"P1D\"", |of| set(of, LOG, "-silent", "windowSize", json!("P1D"))),
            ("actionGroups is []", |of| set(of, LOG, "-usage", "actions/actionGroups", json!([]))),
            ("stands in no row", |of| found(of, LOG, "-alarm").name = "assay-new".into()),
            ("metricName is", |of| set(of, METRIC, "", "criteria/allOf/0/metricName", json!("Http4xx"))),
            ("threshold is 1000", |of| set(of, METRIC, "", "criteria/allOf/0/threshold", json!(1000))),
            ("actions is []", |of| set(of, METRIC, "", "actions", json!([]))),
            ("filter is", |of| set(of, EVENTS, "", "filter/includedEventTypes", json!(["Microsoft.KeyVault.SecretNearExpiry"]))),
            ("endpointType is", |of| set(of, EVENTS, "", "destination/endpointType", json!("WebHook"))),
            ("nobody is told", |of| set(of, "Microsoft.EventGrid/systemTopics", "", "source", json!("/elsewhere"))),
        ],
    );
}
