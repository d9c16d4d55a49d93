//! host.json: what the real host reads from it, with the host's names, ranges and defaults.
//!
//! Only the keys that steer a custom handler, its queues and its routes. Everything wrong is reported at once. It
//! never guesses: a key with a wrong type is an error, as it is in Azure, not a default.

use std::{path::PathBuf, time::Duration};

use serde_json::Value;

/// The settings of host.json that the stand-in obeys.
#[derive(Clone, Debug)]
pub struct HostJson {
    /// `customHandler.description.defaultExecutablePath`, as written.
    pub executable: String,
    /// `workingDirectory`, as written; relative to the app folder.
    pub working_directory: PathBuf,
    /// Joined with spaces and split again, as the host does.
    pub arguments: Vec<String>,
    pub proxying: bool,
    pub initialization_timeout: Duration,
    /// `None` for -1: no limit.
    pub function_timeout: Option<Duration>,
    /// Without slashes at its ends; may be empty.
    pub route_prefix: String,
    pub queues: QueueSettings,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueSettings {
    pub batch_size: usize,
    pub new_batch_threshold: usize,
    pub max_dequeue_count: u32,
    pub visibility_timeout: Duration,
    pub max_polling_interval: Duration,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HostJsonProblem {
    #[error("is not JSON: {0}")]
    NotJson(String),
    #[error("version must be \"2.0\"")]
    Version,
    #[error("customHandler.description.defaultExecutablePath is missing or empty")]
    NoExecutable,
    #[error("customHandler.http has routes, which the host does not take beside function.json files")]
    HandlerRoutes,
    #[error("{0} must be {1}")]
    Value(&'static str, &'static str),
}

impl HostJson {
    /// `expand` gives the value of a setting for `%NAME%` in arguments; an unset name becomes empty.
    pub fn parse(text: &str, expand: impl Fn(&str) -> Option<String>) -> Result<Self, Vec<HostJsonProblem>> {
        let json: Value =
            serde_json::from_str(text.trim_start_matches('\u{feff}')).map_err(|e| vec![HostJsonProblem::NotJson(e.to_string())])?;
        let mut keys = Keys { json: &json, problems: Vec::new() };
        if json["version"] != "2.0" {
            keys.problems.push(HostJsonProblem::Version);
        }
        let description = &json["customHandler"]["description"];
        let executable = description["defaultExecutablePath"].as_str().unwrap_or_default().to_owned();
        if executable.is_empty() {
            keys.problems.push(HostJsonProblem::NoExecutable);
        }
        if !json["customHandler"]["http"].is_null() {
            keys.problems.push(HostJsonProblem::HandlerRoutes);
        }
        let arguments: Vec<&str> = description["arguments"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let arguments = arguments.iter().map(|a| expand_percent(a, &expand)).collect::<Vec<_>>().join(" ");
        let batch_size = keys.whole("/extensions/queues/batchSize", 16, 1..=32, "a whole number from 1 to 32");
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        let half = (batch_size / 2 * processors as u64).max(1);
        let host = Self {
            executable,
            working_directory: PathBuf::from(description["workingDirectory"].as_str().unwrap_or_default()),
            arguments: arguments.split_whitespace().map(str::to_owned).collect(),
            proxying: json["customHandler"]["enableProxyingHttpRequest"] == true,
            initialization_timeout: keys.span("/customHandler/initializationTimeout", Duration::from_secs(30), Duration::from_millis(1)),
            function_timeout: match &json["functionTimeout"] {
                Value::String(text) if text == "-1" => None,
                Value::Number(number) if number.as_i64() == Some(-1) => None,
                _ => Some(keys.span("/functionTimeout", Duration::from_mins(30), Duration::from_secs(1))),
            },
            route_prefix: json["extensions"]["http"]["routePrefix"].as_str().unwrap_or("api").trim_matches('/').to_owned(),
            queues: QueueSettings {
                batch_size: usize::try_from(batch_size).unwrap_or(16),
                new_batch_threshold: usize::try_from(keys.whole(
                    "/extensions/queues/newBatchThreshold",
                    half,
                    0..=1000,
                    "a whole number from 0 on",
                ))
                .unwrap_or(8),
                max_dequeue_count: u32::try_from(keys.whole("/extensions/queues/maxDequeueCount", 5, 1..=1000, "a whole number from 1 on"))
                    .unwrap_or(5),
                visibility_timeout: keys.span("/extensions/queues/visibilityTimeout", Duration::ZERO, Duration::ZERO),
                max_polling_interval: keys.span(
                    "/extensions/queues/maxPollingInterval",
                    Duration::from_secs(2),
                    Duration::from_millis(100),
                ),
            },
        };
        keys.one_of("/extensions/queues/messageEncoding", &["base64", "none"], "base64 or none");
        if keys.problems.is_empty() { Ok(host) } else { Err(keys.problems) }
    }
}

struct Keys<'a> {
    json: &'a Value,
    problems: Vec<HostJsonProblem>,
}

impl Keys<'_> {
    fn whole(&mut self, at: &'static str, default: u64, range: std::ops::RangeInclusive<u64>, expected: &'static str) -> u64 {
        match self.json.pointer(at) {
            None => default,
            Some(value) => value.as_u64().filter(|n| range.contains(n)).unwrap_or_else(|| {
                self.problems.push(HostJsonProblem::Value(at, expected));
                default
            }),
        }
    }

    fn span(&mut self, at: &'static str, default: Duration, least: Duration) -> Duration {
        match self.json.pointer(at) {
            None => default,
            Some(value) => value.as_str().and_then(time_span).filter(|span| *span >= least).unwrap_or_else(|| {
                self.problems.push(HostJsonProblem::Value(at, "a time span such as 00:00:30"));
                default
            }),
        }
    }

    fn one_of(&mut self, at: &'static str, allowed: &[&str], expected: &'static str) {
        if let Some(value) = self.json.pointer(at)
            && !value.as_str().is_some_and(|text| allowed.contains(&text.to_ascii_lowercase().as_str()))
        {
            self.problems.push(HostJsonProblem::Value(at, expected));
        }
    }
}

/// `[d.]hh:mm:ss[.fff]`, .NET's form.
pub fn time_span(text: &str) -> Option<Duration> {
    let (days, rest) = match text.split_once('.') {
        Some((days, rest)) if rest.contains(':') => (days.parse::<u32>().ok()?, rest),
        _ => (0, text),
    };
    let mut parts = rest.split(':');
    let (hours, minutes, seconds) = (parts.next()?.parse::<u32>().ok()?, parts.next()?.parse::<u32>().ok()?, parts.next()?);
    let seconds = Duration::try_from_secs_f64(seconds.parse().ok()?).ok()?;
    let fits = parts.next().is_none() && hours < 24 && minutes < 60 && seconds < Duration::from_mins(1);
    fits.then(|| Duration::from_secs(u64::from(days) * 86_400 + u64::from(hours) * 3600 + u64::from(minutes) * 60) + seconds)
}

/// Replaces `%NAME%` by the setting of that name; an unset one becomes empty, a lone percent sign stays.
pub fn expand_percent(text: &str, setting: impl Fn(&str) -> Option<String>) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('%') {
        out.push_str(before);
        let Some((name, next)) = after.split_once('%') else {
            out.push('%');
            rest = after;
            continue;
        };
        out.push_str(&setting(name).unwrap_or_default());
        rest = next;
    }
    out + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_spans_are_read_as_dotnet_writes_them() {
        assert_eq!(time_span("00:00:30"), Some(Duration::from_secs(30)));
        assert_eq!(time_span("1.02:03:04.5"), Some(Duration::from_millis(93_784_500)));
        for bad in ["30", "00:60:00", "24:00:00", "a:b:c", "00:00:61", "-00:00:01"] {
            assert_eq!(time_span(bad), None, "{bad}");
        }
    }

    #[test]
    fn percent_names_are_expanded_and_unset_ones_become_empty() {
        let setting = |name: &str| (name == "A").then(|| "x".to_owned());
        assert_eq!(expand_percent("--a=%A% %B%.", setting), "--a=x .");
        assert_eq!(expand_percent("100%", setting), "100%");
    }
}
