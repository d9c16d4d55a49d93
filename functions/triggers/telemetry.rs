//! What of `host.json` keeps the addresses of requests out of Application Insights: a webhook's path is the secret of a
//! vendor that signs nothing, and a link's holds a token, and who reads telemetry must learn neither.
//!
//! The host offers an address in three ways, so each is shut where it comes from and again where it would be let through:
//! as a request (Azure/azure-webjobs-sdk f79ea0bff: `RequestTrackingTelemetryModule` gives it a URL, which the category
//! `Host.Results` stands for); as a dependency, since the proxied call to the handler is one (Azure/azure-functions-host
//! 11433, 11602); as a line of the host's own (11602, and `SystemTraceMiddleware` at 89dc438d4). Live Metrics stands before
//! the filters and is told everything. What must come through does: the handler's lines, with the sweep's gauges, of which
//! sampling would drop some; functions that fail; what the host warns of.
//!
//! Not seen here: an app setting `AzureFunctionsJobHost__logging__…` outranks the file, and the access logs of App Service
//! (`AppServiceHTTPLogs`) have every path. `infra/` sets neither.

use std::collections::BTreeMap;

use serde_json::Value;

/// What writes addresses, and never anything that is missed: off by name, also where somebody wants to see more.
const WITH_ADDRESSES: [&str; 5] = [
    // Requests, with their URL.
    "Host.Results",
    // "Request starting HTTP/1.1 POST http://…"
    "Microsoft.AspNetCore.Hosting.Diagnostics",
    // "Executing HTTP request: { …, uri: … }"
    "Microsoft.Azure.WebJobs.Script.WebHost.Middleware.SystemTraceMiddleware",
    // "Sending HTTP request …"
    "System.Net.Http.HttpClient",
    // "Proxying to http://127.0.0.1:…"; what fails there, the function's own failure says.
    "Yarp",
];

/// The handler's stdout: one line, one trace.
const HANDLER: &str = "Host.Function.Console";

/// What must come through, and from which level on.
const WANTED: [(&str, Level); 4] = [
    (HANDLER, Level::Information),
    ("Function.sweep", Level::Error),
    ("Host.Startup", Level::Error),
    ("Microsoft.Azure.WebJobs.Script.WebHost.WebJobsScriptHostService", Level::Error),
];

/// Switches, and why each stands as it does.
const SWITCHES: [(&str, &str); 4] = [
    ("/httpAutoCollectionOptions/enableHttpTriggerExtendedInfoCollection", "requests would have their URL"),
    ("/enableDependencyTracking", "the call to the handler would be a dependency with its URL"),
    ("/enableLiveMetrics", "Live Metrics would be told what the log levels keep back"),
    ("/samplingSettings/isEnabled", "lines that alerts are drawn from would be dropped under load"),
];

/// The host's levels, the most talkative first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Level {
    Trace,
    Debug,
    Information,
    Warning,
    Error,
    Critical,
    None,
}

impl Level {
    fn of(name: &str) -> Option<Self> {
        let all = [Self::Trace, Self::Debug, Self::Information, Self::Warning, Self::Error, Self::Critical, Self::None];
        all.into_iter().find(|level| format!("{level:?}").eq_ignore_ascii_case(name))
    }
}

/// Every reason why this `host.json` must not be packaged; empty when all is well.
pub fn check(host: &Value) -> Vec<String> {
    let levels = Levels::of(host);
    let mut reasons = Vec::new();
    if levels.of_category("").is_none() {
        reasons.push("logging.logLevel must have a default, which is a level of the host: without it the host's own holds".into());
    }
    for (name, level) in &levels.0 {
        if name != &HANDLER.to_ascii_lowercase() && level.is_none_or(|level| level < Level::Warning) {
            reasons.push(format!("logging.logLevel.{name} must be Warning or less: only the handler knows what it writes below that"));
        }
    }
    for category in WITH_ADDRESSES {
        let more_exact = levels.0.iter().filter(|(name, _)| name.starts_with(&category.to_ascii_lowercase())).map(|(_, level)| *level);
        if more_exact.chain([levels.of_category(category)]).any(|level| level != Some(Level::None)) {
            reasons.push(format!("logging.logLevel must have {category} at None: what it writes holds the addresses of requests"));
        }
    }
    for (category, wanted) in WANTED {
        if levels.of_category(category).is_none_or(|level| level > wanted) {
            reasons.push(format!("logging.logLevel must let {category} through from {wanted:?} on: alerts are drawn from it"));
        }
    }
    for (switch, why) in SWITCHES {
        if host.pointer(&format!("/logging/applicationInsights{switch}")) != Some(&Value::Bool(false)) {
            reasons.push(format!("logging.applicationInsights{} must be false: {why}", switch.replace('/', ".")));
        }
    }
    if host.get("telemetryMode").is_some() {
        reasons.push("telemetryMode must not be set: what else OpenTelemetry would export is not looked at here".into());
    }
    reasons
}

/// `logging.logLevel`: the beginning of a category, in lower case, to its level; `None` where that is none of the host's.
struct Levels(BTreeMap<String, Option<Level>>);

impl Levels {
    fn of(host: &Value) -> Self {
        let levels = host.pointer("/logging/logLevel").and_then(Value::as_object).into_iter().flatten();
        Self(levels.map(|(name, level)| (name.to_ascii_lowercase(), level.as_str().and_then(Level::of))).collect())
    }

    /// As the host selects it: by the longest name that the category begins with, whatever their case; else the default.
    fn of_category(&self, category: &str) -> Option<Level> {
        let category = category.to_ascii_lowercase();
        let named = self.0.iter().filter(|(name, _)| category.starts_with(name.as_str())).max_by_key(|(name, _)| name.len());
        named.map_or_else(|| self.0.get("default").copied().flatten(), |(_, level)| *level)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{super::check::HOST_JSON, *};

    fn own() -> Value {
        serde_json::from_str(HOST_JSON).expect("our own")
    }

    /// The reasons against our own file with one member set.
    fn with(pointer: &str, value: Value) -> String {
        let mut host = own();
        let (parent, name) = pointer.rsplit_once('/').expect("a pointer");
        host.pointer_mut(parent).expect("there").as_object_mut().expect("an object").insert(name.into(), value);
        check(&host).join("\n")
    }

    #[test]
    fn our_own_host_json_lets_no_address_through_and_no_line_of_ours_is_lost() {
        assert_eq!(check(&own()), Vec::<String>::new());
    }

    #[test]
    fn whatever_would_let_addresses_out_again_is_refused_by_its_name() {
        assert!(with("/logging/logLevel/default", json!("Information")).contains("default must be Warning or less"));
        assert!(with("/logging/logLevel/Microsoft", json!("Debug")).contains("microsoft must be Warning or less"));
        for category in WITH_ADDRESSES {
            for level in ["Information", "Warning", "error", "Criticl"] {
                assert!(with(&format!("/logging/logLevel/{category}"), json!(level)).contains(category), "{category} at {level}");
                let part = format!("/logging/logLevel/{category}.Part");
                assert!(with(&part, json!(level)).contains(category), "a part of {category} at {level}");
            }
        }
        for (switch, why) in SWITCHES {
            assert!(with(&format!("/logging/applicationInsights{switch}"), json!(true)).contains(why), "{switch}");
        }
        assert!(with("/telemetryMode", json!("OpenTelemetry")).contains("telemetryMode"));
        assert!(check(&json!({})).len() > WITH_ADDRESSES.len() + SWITCHES.len(), "the host's own defaults let all of it out");
    }

    #[test]
    fn what_alerts_are_drawn_from_may_not_be_silenced() {
        for (name, level, silenced) in [
            (HANDLER, "Warning", HANDLER),
            ("Function", "Critical", "Function.sweep"),
            ("Host", "None", "Host.Startup"),
            ("default", "None", "WebJobsScriptHostService"),
        ] {
            assert!(with(&format!("/logging/logLevel/{name}"), json!(level)).contains(silenced), "{name} at {level}");
        }
        // A name for more than one category does not reach what has a longer one.
        assert!(!with("/logging/logLevel/Host", json!("Error")).contains(HANDLER));
    }
}
