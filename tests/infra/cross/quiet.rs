//! Addresses are secrets: a webhook's path lets in whoever has it where the vendor signs nothing, and a mail's link says
//! who decides what. So neither the Functions host nor the platform may log them.
//!
//! The host's request telemetry is its category `Host.Results`; a request that fails is logged there at Error, so nothing
//! less than None is off. Handing a request to the handler is an HTTP call of the host's own: dependency tracking and the
//! live stream would show its address. Categories beside the few below are those of its web server and proxy.

use std::path::Path;

use serde_json::{Value, json};

use super::{Installation, installations};
use crate::infra::template::{self, property};

/// Log categories that `host.json` may set, with the least level that says nothing of addresses.
const CATEGORIES: &[(&str, &str)] = &[
    ("default", "Information"),
    ("Host.Results", "None"),
    ("Host.Aggregator", "Information"),
    ("Function", "Information"),
    ("Host.Function.Console", "Information"),
];
const LEVELS: [&str; 7] = ["Trace", "Debug", "Information", "Warning", "Error", "Critical", "None"];

/// Diagnostic categories of a function app that hold no addresses.
const OF_THE_APP: &[&str] = &["FunctionAppLogs", "AppServiceAuditLogs", "AppServiceIPSecAuditLogs", "AppServicePlatformLogs"];

fn host_faults(host: &Value) -> Vec<String> {
    let mut told = Vec::new();
    let logging = &host["logging"];
    let levels = logging["logLevel"].as_object().cloned().unwrap_or_default();
    for (category, level) in &levels {
        let rank = |level: &str| LEVELS.iter().position(|known| known.eq_ignore_ascii_case(level));
        match CATEGORIES.iter().find(|(known, _)| known == category) {
            // Off is off, whatever it is.
            None if level == "None" => {}
            None => told.push(format!("host.json: logLevel of {category}: not known to say nothing of addresses; leave it out")),
            Some((_, least)) if level.as_str().and_then(rank) < rank(least) => {
                told.push(format!("host.json: logLevel of {category} is {level}; set it to {least}, or addresses are logged"));
            }
            Some(_) => {}
        }
    }
    if !levels.contains_key("Host.Results") {
        told.push("host.json: logLevel has no Host.Results; set it to None, or every request is logged with its address".into());
    }
    for part in ["enableDependencyTracking", "enableLiveMetrics"] {
        if logging["applicationInsights"][part] != false {
            told.push(format!("host.json: logging.applicationInsights.{part} is not false: the host's own calls to the handler are kept with their addresses"));
        }
    }
    told
}

fn app_faults(installation: &Installation) -> Vec<String> {
    let mut told = Vec::new();
    let site = installation.site();
    for part in ["httpLoggingEnabled", "requestTracingEnabled", "detailedErrorLoggingEnabled"] {
        if site.get(&["properties", "siteConfig", part]) != Some(&json!(false)) {
            told.push(format!("{}: siteConfig.{part} is not false", site.label()));
        }
    }
    let mut logs = 0;
    for settings in installation
        .of("Microsoft.Insights/diagnosticSettings")
        .filter(|one| one.scope.as_ref().is_some_and(|of| of.eq_ignore_ascii_case(&site.id)))
    {
        logs += 1;
        for log in settings.get(&["properties", "logs"]).and_then(Value::as_array).into_iter().flatten() {
            let category = property(log, "category").and_then(Value::as_str);
            if property(log, "enabled") != Some(&json!(false)) && !category.is_some_and(|category| OF_THE_APP.contains(&category)) {
                told.push(format!("{}: {log} holds addresses, or could; name only {}", settings.label(), OF_THE_APP.join(", ")));
            }
        }
    }
    if logs == 0 {
        told.push(format!("{}: has no diagnostic settings at all", site.label()));
    }
    // The platform lets a setting change host.json.
    let loud = |name: &str| name.to_lowercase().starts_with("azurefunctionsjobhost__logging");
    let found = installation.settings().into_iter().filter(|(name, _)| loud(name));
    told.extend(found.map(|(name, _)| format!("{}: setting {name} changes what host.json says of logging", installation.at)));
    told
}

fn host() -> Value {
    template::json(&Path::new(env!("CARGO_MANIFEST_DIR")).join("host.json")).unwrap()
}

#[test]
fn infra_no_log_of_the_platform_holds_the_address_of_a_webhook_or_a_link() {
    let mut told = host_faults(&host());
    told.extend(installations().iter().flat_map(app_faults));
    assert!(told.is_empty(), "{}", told.join("\n"));
}

#[test]
fn infra_when_addresses_would_be_logged_again_it_is_noticed() {
    for (path, value) in [
        ("/logLevel/Host.Results", json!("Error")),
        ("/logLevel/Host.Results", Value::Null),
        ("/logLevel/default", json!("Debug")),
        ("/logLevel/Yarp.ReverseProxy", json!("Information")),
        ("/logLevel/Microsoft.AspNetCore.Hosting.Diagnostics", json!("Information")),
        ("/applicationInsights/enableDependencyTracking", json!(true)),
        ("/applicationInsights/enableLiveMetrics", Value::Null),
    ] {
        let mut host = host();
        let (parent, name) = path.rsplit_once('/').unwrap();
        let parent = host["logging"].pointer_mut(parent).unwrap();
        if value.is_null() {
            parent.as_object_mut().unwrap().remove(name);
        } else {
            parent[name] = value.clone();
        }
        assert_eq!(host_faults(&host).len(), 1, "{path} = {value}: {:?}", host_faults(&host));
    }
    let changes: [fn(&mut Installation); 4] = [
        |of| site(of)["properties"]["siteConfig"]["httpLoggingEnabled"] = json!(true),
        |of| diagnostics(of)["properties"]["logs"] = json!([{"category": "AppServiceHTTPLogs", "enabled": true}]),
        |of| diagnostics(of)["properties"]["logs"] = json!([{"categoryGroup": "allLogs", "enabled": true}]),
        |of| {
            let settings = of.resources.iter_mut().find(|one| one.last_name() == "appsettings").unwrap();
            settings.body["properties"]["AzureFunctionsJobHost__logging__logLevel__Host.Results"] = json!("Information");
        },
    ];
    for change in changes {
        let mut installation = installations().remove(0);
        change(&mut installation);
        assert_eq!(app_faults(&installation).len(), 1, "{:?}", app_faults(&installation));
    }
}

fn site(installation: &mut Installation) -> &mut Value {
    &mut installation.resources.iter_mut().find(|one| one.is("Microsoft.Web/sites")).unwrap().body
}

fn diagnostics(installation: &mut Installation) -> &mut Value {
    let site = installation.site().id.clone();
    let of_site =
        |one: &&mut template::Resource| one.is("Microsoft.Insights/diagnosticSettings") && one.scope.as_deref() == Some(site.as_str());
    &mut installation.resources.iter_mut().find(of_site).unwrap().body
}
