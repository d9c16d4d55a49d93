//! What an operator sees in the portal: throughput, error rate and how often people overrode, each a chart over the figures that
//! the sweep writes. And the figures themselves: alerts and workbook together read every one, and none that there is not.

use std::collections::BTreeSet;

use assay::triggers::sweep::gauges::FIELDS;
use regex::Regex;
use serde_json::{Value, json};

use super::{Installation, check_installations, found, leave_out};

const WORKBOOK: &str = "Microsoft.Insights/workbooks";
const LOG: &str = "Microsoft.Insights/scheduledQueryRules";

/// `(name, how its title begins, what is asked)`.
const CHARTS: &[(&str, &str, &str)] = &[
    ("throughput", "Throughput: ", "gauges | summarize taken_in = max(taken_in_28d), refused = max(refused_28d) by bin(timestamp, 1h)"),
    (
        "error-rate",
        "Error rate: ",
        "gauges | extend all = taken_in_28d + failed_28d | where all > 0 | summarize percent = max(100.0 * failed_28d / all) by bin(timestamp, 1h)",
    ),
    (
        "overrides",
        "Override frequency: ",
        "gauges | where decided_28d > 0 | summarize percent = max(100.0 * overridden_28d / decided_28d) by bin(timestamp, 1h)",
    ),
];

/// A query in short: `gauges` for the lines of figures, `newest gauges` for the last of them, and a figure by its name.
pub(super) fn asked(query: &str) -> String {
    let figure = Regex::new(r"to(int|double)\(line\.(\w+)\)").unwrap();
    figure
        .replace_all(query, "$2")
        .replace("traces | where message has \"gauges\" | extend line = parse_json(message) | where line.message == \"gauges\"", "gauges")
        .replace("gauges | top 1 by timestamp desc", "newest gauges")
}

/// The figures that a query reads.
fn figures(query: &str) -> BTreeSet<String> {
    let all = Regex::new(r"line\.(\w+)").unwrap();
    all.captures_iter(query).map(|found| found[1].to_owned()).filter(|name| name != "message").collect()
}

fn items(of: &Installation) -> Vec<Value> {
    let text = of.of(WORKBOOK).find_map(|one| one.text(&["properties", "serializedData"])).unwrap_or("{}");
    serde_json::from_str::<Value>(text).unwrap()["items"].as_array().cloned().unwrap_or_default()
}

fn chart_faults(of: &Installation) -> Vec<String> {
    let mut told = Vec::new();
    let items = items(of);
    for (name, title, query) in CHARTS {
        let Some(chart) = items.iter().find(|item| item["name"] == *name) else {
            told.push(format!("{}: the workbook has no {name}", of.at));
            continue;
        };
        let content = &chart["content"];
        let asks = asked(content["query"].as_str().unwrap_or_default());
        if asks != *query {
            told.push(format!("{}: {name} asks `{asks}`, not `{query}`", of.at));
        }
        if !content["title"].as_str().is_some_and(|found| found.starts_with(title)) {
            told.push(format!("{}: the title of {name} does not say \"{title}\"", of.at));
        }
        if (&chart["type"], &content["visualization"]) != (&json!(3), &json!("timechart")) {
            told.push(format!("{}: {name} is no chart", of.at));
        }
    }
    let insights = of.of("Microsoft.Insights/components").next().map(|one| one.id.as_str());
    let shown = of.of(WORKBOOK).filter(|one| one.text(&["kind"]) == Some("shared") && one.text(&["properties", "sourceId"]) == insights);
    if shown.count() != 1 {
        told.push(format!("{}: one workbook of the app's own insights, for all who may read them", of.at));
    }
    told
}

/// Alerts and workbook each read figures that the sweep writes, and it writes none for nobody.
fn figure_faults(of: &Installation) -> Vec<String> {
    let written: BTreeSet<_> = FIELDS.iter().map(ToString::to_string).collect();
    let queries = |all: Vec<&str>| all.into_iter().flat_map(figures).collect::<BTreeSet<_>>();
    let alerts = of.of(LOG).filter_map(|one| one.body.pointer("/properties/criteria/allOf/0/query").and_then(Value::as_str));
    let alerts = queries(alerts.collect());
    let items = items(of);
    let workbook = queries(items.iter().filter_map(|item| item["content"]["query"].as_str()).collect());
    let mut told = Vec::new();
    for (who, read) in [("an alert", &alerts), ("the workbook", &workbook)] {
        told.extend(read.difference(&written).map(|name| format!("{}: {who} reads {name}, which no sweep writes", of.at)));
    }
    let read: BTreeSet<_> = alerts.union(&workbook).cloned().collect();
    told.extend(written.difference(&read).map(|name| format!("{}: nothing reads {name}", of.at)));
    told
}

/// Changes the workbook's text.
fn rewrite(of: &mut Installation, from: &str, to: &str) {
    let text = &mut found(of, WORKBOOK, "").body["properties"]["serializedData"];
    let changed = text.as_str().unwrap().replace(from, to);
    assert_ne!(text.as_str(), Some(changed.as_str()), "the workbook has no {from}");
    *text = changed.into();
}

#[test]
fn infra_the_workbook_shows_throughput_error_rate_and_how_often_people_overrode() {
    check_installations(
        chart_faults,
        &[
            ("has no throughput", |of| rewrite(of, "\"name\": \"throughput\"", "\"name\": \"other\"")),
            ("has no overrides", |of| leave_out(of, |one| one.is(WORKBOOK))),
            ("error-rate asks", |of| rewrite(of, "100.0 * todouble(line.failed_28d)", "100.0 * todouble(line.refused_28d)")),
            ("overrides asks", |of| rewrite(of, "/ todouble(line.decided_28d)", "/ todouble(line.taken_in_28d)")),
            ("does not say \"Error rate", |of| rewrite(of, "Error rate", "Rate")),
            ("throughput is no chart", |of| rewrite(of, "\"timechart\"", "\"table\"")),
            ("the app's own insights", |of| found(of, WORKBOOK, "").body["properties"]["sourceId"] = json!("/elsewhere")),
        ],
    );
}

#[test]
fn infra_alerts_and_workbook_read_every_figure_of_the_sweeps_line_and_no_other() {
    check_installations(
        figure_faults,
        &[
            ("an alert reads dead_leters, which", |of| {
                let query = &mut found(of, LOG, "-dead-letters").body["properties"]["criteria"]["allOf"][0]["query"];
                *query = query.as_str().unwrap().replace("line.dead_letters", "line.dead_leters").into();
            }),
            ("nothing reads poisoned", |of| leave_out(of, |one| one.is(LOG) && one.name.ends_with("-dead-letters"))),
            ("nothing reads usage_missed", |of| leave_out(of, |one| one.is(LOG) && one.name.ends_with("-usage"))),
            ("the workbook reads overriden_28d, which", |of| rewrite(of, "line.overridden_28d", "line.overriden_28d")),
            ("nothing reads clients", |of| rewrite(of, "line.clients", "line.taken_in_28d")),
        ],
    );
}
