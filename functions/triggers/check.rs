//! What must hold between functions, routes and `host.json`, checked in words when the handler starts: if it does not
//! hold, nothing is served. The stand-in host does not ask: it takes any app folder that the real host would take.
//!
//! The host marks envelopes with nothing that an outside caller could not cause too. So the only wall between a
//! stranger and a queue function is that no public address reaches an envelope's path: HTTP lives under a prefix,
//! envelopes live outside it, and no route may look like one.

use std::{collections::BTreeSet, time::Duration};

use serde::Deserialize;
use serde_json::{Value, json};

use super::{Kind, TABLE, Trigger, host_json, route::Template, telemetry};
use crate::config::ConfigError;

/// A function as far as addresses go, whether it comes from [`TABLE`] or from a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Declared {
    pub name: String,
    /// `None`: reached by envelopes only.
    pub http: Option<HttpRoute>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpRoute {
    pub route: String,
    /// In lower case.
    pub methods: Vec<String>,
}

/// What the handler must know of `host.json`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostSettings {
    pub route_prefix: String,
    pub function_timeout: Duration,
}

pub const HOST_JSON: &str = include_str!("../../host.json");

/// Every function's folder name and `function.json`, as they are packaged.
pub const DEFINITIONS: &[(&str, &str)] = &[
    ("analyze", include_str!("analyze/function.json")),
    ("execute", include_str!("execute/function.json")),
    ("publish", include_str!("publish/function.json")),
    ("health", include_str!("health/function.json")),
    ("intake", include_str!("intake/function.json")),
    ("notify", include_str!("notify/function.json")),
    ("portal", include_str!("portal/function.json")),
    ("sweep", include_str!("sweep/function.json")),
    ("webhooks", include_str!("webhooks/function.json")),
];

/// Every reason why this set of functions must not be served; empty when all is well.
pub fn check_table(prefix: &str, functions: &[Declared]) -> Vec<String> {
    let mut reasons = Vec::new();
    let mut names = BTreeSet::new();
    for function in functions {
        if !is_function_name(&function.name) {
            reasons.push(format!(
                "function {:?}: a name starts with a letter, has at most 128 letters, digits, - and _, and is not \"host\"",
                function.name
            ));
        }
        if !names.insert(function.name.to_ascii_lowercase()) {
            reasons.push(format!("function {}: the name is there twice (case does not count)", function.name));
        }
    }
    let envelopes: Vec<&str> = functions.iter().filter(|f| f.http.is_none()).map(|f| f.name.as_str()).collect();
    check_prefix(prefix, &envelopes, &mut reasons);
    let mut seen: Vec<(&Declared, &HttpRoute, Template)> = Vec::new();
    for function in functions {
        let Some(http) = &function.http else { continue };
        let template = match Template::parse(&http.route) {
            Ok(template) => template,
            Err(reason) => {
                reasons.push(format!("function {}: {reason}", function.name));
                continue;
            }
        };
        check_route(function, http, &template, &envelopes, &mut reasons);
        for (other, other_http, _) in seen.iter().filter(|(_, _, t)| t.same_shape(&template)) {
            if http.methods.iter().any(|m| other_http.methods.contains(m)) {
                reasons.push(format!(
                    "functions {} and {}: routes {} and {} have one shape and share a method; one would win silently",
                    other.name, function.name, other_http.route, http.route
                ));
            }
        }
        seen.push((function, http, template));
    }
    reasons
}

fn check_prefix(prefix: &str, envelopes: &[&str], reasons: &mut Vec<String>) {
    if prefix.trim_matches('/').is_empty() {
        reasons.push("routePrefix is empty, so a route could reach an envelope's path".into());
        return;
    }
    match Template::parse(prefix).as_ref().map(Template::first_literal) {
        Ok(Some(_)) if !prefix.contains('{') => {}
        _ => reasons.push(format!("routePrefix {prefix:?} must be plain words between slashes")),
    }
    let first = prefix.split('/').next().unwrap_or_default();
    if let Some(name) = envelopes.iter().find(|name| name.eq_ignore_ascii_case(first)) {
        reasons.push(format!("routePrefix {prefix} begins with the name of function {name}, so a route could reach its envelopes"));
    }
    if is_reserved(prefix) {
        reasons.push(format!("routePrefix {prefix} begins with admin or runtime, which belong to the host"));
    }
}

fn check_route(function: &Declared, http: &HttpRoute, template: &Template, envelopes: &[&str], reasons: &mut Vec<String>) {
    let name = &function.name;
    let route = &http.route;
    if template.first_literal().is_none() {
        reasons.push(format!(
            "function {name}: route {route} must begin with a word; a parameter or catch-all at the root matches every name"
        ));
    }
    if is_reserved(route) {
        reasons.push(format!("function {name}: route {route} begins with admin or runtime, which belong to the host"));
    }
    if let Some(envelope) =
        envelopes.iter().find(|e| template.matches(e).is_some() || template.first_literal() == Some(&e.to_ascii_lowercase()))
    {
        reasons.push(format!("function {name}: route {route} looks like the envelope path of function {envelope}"));
    }
    if http.methods.is_empty() {
        reasons.push(format!("function {name}: no methods are listed, so all are taken"));
    }
    let lists = |method: &str| http.methods.iter().any(|m| m == method);
    if lists("get") && !lists("head") {
        reasons.push(format!("function {name}: get without head; the host answers 404 to a method that is not listed"));
    }
}

/// `^[a-z][a-z0-9_-]{0,127}$` without regard to case, and not "host" (azure-functions-host, Utility.cs).
fn is_function_name(name: &str) -> bool {
    name.len() <= 128
        && name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'))
        && !name.eq_ignore_ascii_case("host")
}

/// The host compares beginnings, so `administer` is refused too.
fn is_reserved(route: &str) -> bool {
    let route = route.to_ascii_lowercase();
    route.starts_with("admin") || route.starts_with("runtime")
}

impl Declared {
    pub fn of(trigger: &Trigger) -> Self {
        let http = match trigger.kind {
            Kind::Http { route, methods, .. } => {
                Some(HttpRoute { route: route.to_owned(), methods: methods.iter().map(|&m| m.to_owned()).collect() })
            }
            Kind::Queue { .. } | Kind::Timer { .. } => None,
        };
        Self { name: trigger.name.to_owned(), http }
    }
}

/// The `function.json` that a trigger must have: one trigger, no output but the HTTP answer.
pub fn definition(trigger: &Trigger) -> Value {
    let bindings = match trigger.kind {
        Kind::Http { route, methods, .. } => json!([
            { "type": "httpTrigger", "direction": "in", "name": "req", "authLevel": "anonymous", "methods": methods, "route": route },
            { "type": "http", "direction": "out", "name": "res" }
        ]),
        Kind::Queue { queue, .. } => json!([{
            "type": "queueTrigger", "direction": "in", "name": "message",
            "queueName": queue, "connection": "AzureWebJobsStorage", "dataType": "binary"
        }]),
        Kind::Timer { schedule, .. } => json!([{
            "type": "timerTrigger", "direction": "in", "name": "timer", "schedule": schedule, "useMonitor": true
        }]),
    };
    json!({ "bindings": bindings })
}

/// Reads what the handler needs of a `host.json`; absent members have the host's defaults.
pub fn host_settings(text: &str) -> Result<HostSettings, String> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct File {
        function_timeout: Option<String>,
        #[serde(default)]
        extensions: Extensions,
    }
    #[derive(Default, Deserialize)]
    struct Extensions {
        #[serde(default)]
        http: Http,
    }
    #[derive(Default, Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Http {
        route_prefix: Option<String>,
    }
    let file: File = serde_json::from_str(text).map_err(|e| format!("not readable: {e}"))?;
    let timeout = file.function_timeout.unwrap_or_else(|| "00:05:00".into());
    let function_timeout = time_span(&timeout).ok_or_else(|| format!("functionTimeout {timeout:?} is not hh:mm:ss"))?;
    Ok(HostSettings { route_prefix: file.extensions.http.route_prefix.unwrap_or_else(|| "api".into()), function_timeout })
}

fn time_span(text: &str) -> Option<Duration> {
    let parts: Vec<u64> = text.split(':').map(|p| p.parse().ok()).collect::<Option<_>>()?;
    match parts[..] {
        [hours, minutes, seconds] if minutes < 60 && seconds < 60 => Some(Duration::from_secs(hours * 3600 + minutes * 60 + seconds)),
        _ => None,
    }
}

/// Every reason why this build's table must not be served under such a `host.json`; empty when all is well.
pub fn check_host_json(text: &str) -> Vec<String> {
    let settings = match host_settings(text) {
        Ok(settings) => settings,
        Err(problem) => return vec![problem],
    };
    let functions: Vec<Declared> = TABLE.iter().map(Declared::of).collect();
    let file = serde_json::from_str(text).unwrap_or_default();
    let mut problems = check_table(&settings.route_prefix, &functions);
    problems.extend(host_json::check(&file));
    problems.extend(telemetry::check(&file));
    problems
}

/// Every reason why this build must not be served with this deadline. A call takes at most the deadline and then
/// `answer_time`.
pub fn check_own(deadline: Duration, answer_time: Duration) -> Vec<ConfigError> {
    let of_host_json = |problem| ConfigError { setting: "host.json", problem };
    let mut reasons: Vec<ConfigError> = check_host_json(HOST_JSON).into_iter().map(of_host_json).collect();
    // A host time-out kills the process, and two together shut the host down: ours must fire first (measured).
    if let Ok(settings) = host_settings(HOST_JSON)
        && deadline + answer_time >= settings.function_timeout
    {
        let most = settings.function_timeout.saturating_sub(answer_time).as_secs();
        let problem = format!("must be less than {most}: functionTimeout of host.json, less the time to answer");
        reasons.push(ConfigError { setting: "ASSAY_DEADLINE_SECONDS", problem });
    }
    reasons
}
