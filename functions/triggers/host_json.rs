//! Whether Azure's host understands `host.json`: every value in it stands at a place that the host's schema of version 2 has,
//! and is of the kind that it takes there.
//!
//! The host passes over a member that it does not know without a word, so a misspelt one would be a setting that nobody made. Only
//! what we set is listed; a new setting gets its line first. What the values have to be is not said here.

use serde_json::Value;

type Kind = fn(&Value) -> bool;

/// Places as JSON pointers (RFC 6901); `*` is any name.
const PLACES: &[(&str, Kind)] = &[
    ("/version", |value| value == "2.0"),
    ("/functionTimeout", is_time_span),
    ("/logging/logLevel/*", is_level),
    ("/logging/applicationInsights/enableDependencyTracking", Value::is_boolean),
    ("/logging/applicationInsights/enableLiveMetrics", Value::is_boolean),
    ("/logging/applicationInsights/httpAutoCollectionOptions/enableHttpTriggerExtendedInfoCollection", Value::is_boolean),
    ("/logging/applicationInsights/samplingSettings/isEnabled", Value::is_boolean),
    ("/extensions/http/routePrefix", Value::is_string),
    ("/extensions/queues/batchSize", |value| value.as_u64().is_some_and(|size| (1..=32).contains(&size))),
    ("/extensions/queues/newBatchThreshold", Value::is_u64),
    ("/extensions/queues/maxDequeueCount", Value::is_u64),
    ("/extensions/queues/visibilityTimeout", is_time_span),
    ("/extensions/queues/maxPollingInterval", is_time_span),
    ("/extensions/queues/messageEncoding", |value| value == "base64" || value == "none"),
    ("/extensionBundle/id", Value::is_string),
    ("/extensionBundle/version", Value::is_string),
    ("/customHandler/description/defaultExecutablePath", Value::is_string),
    ("/customHandler/description/arguments", |value| value.as_array().is_some_and(|all| all.iter().all(Value::is_string))),
    ("/customHandler/enableProxyingHttpRequest", Value::is_boolean),
    ("/customHandler/enableForwardingHttpRequest", Value::is_boolean),
];

/// Every value that the host would not understand, and that there is a version at all; empty when all is well.
pub(super) fn check(host_json: &Value) -> Vec<String> {
    let mut reasons = Vec::new();
    if host_json.get("version").is_none() {
        reasons.push("version is missing, so the host would not start".to_owned());
    }
    walk("", host_json, &mut reasons);
    reasons
}

fn walk(place: &str, value: &Value, reasons: &mut Vec<String>) {
    match value {
        Value::Object(members) if !members.is_empty() => {
            members.iter().for_each(|(name, value)| walk(&format!("{place}/{name}"), value, reasons));
        }
        _ => match PLACES.iter().find(|(known, _)| is_at(known, place)) {
            Some((_, takes)) if takes(value) => {}
            Some(_) => reasons.push(format!("{place} is {value}, which the host does not take there")),
            None => reasons.push(format!("{place} is no place that this check knows, and the host passes over what it does not know")),
        },
    }
}

fn is_at(known: &str, place: &str) -> bool {
    known == place || known.strip_suffix('*').is_some_and(|parent| place.strip_prefix(parent).is_some_and(|name| !name.contains('/')))
}

fn is_level(value: &Value) -> bool {
    value.as_str().is_some_and(|level| ["Trace", "Debug", "Information", "Warning", "Error", "Critical", "None"].contains(&level))
}

/// `hh:mm:ss`.
fn is_time_span(value: &Value) -> bool {
    let is_digits = |(at, byte): (usize, u8)| if at == 2 || at == 5 { byte == b':' } else { byte.is_ascii_digit() };
    value.as_str().is_some_and(|text| text.len() == 8 && text.bytes().enumerate().all(is_digits))
}
