//! What Flex Consumption refuses: a site or a setting with one of these makes the deployment fail after all else is made.
//!
//! learn.microsoft.com, "App settings reference for Azure Functions", deprecations of Flex Consumption; ARM's error 51021
//! ("The following site configuration property … for Flex Consumption sites is invalid"), seen with `ftpsState` in
//! microsoft/azure-pipelines-tasks 21032 and with `functionAppScaleLimit` in Azure/azure-functions-host 10643.

use serde_json::{Value, json};

use super::{Installation, installations};

/// Of `properties` and of `properties.siteConfig`.
const PROPERTIES: &[&str] = &[
    "alwaysOn",
    "containerSize",
    "ftpsState",
    "functionAppScaleLimit",
    "functionsRuntimeScaleMonitoringEnabled",
    "isReserved",
    "isXenon",
    "javaVersion",
    "linuxFxVersion",
    "minimumElasticInstanceCount",
    "netFrameworkVersion",
    "powerShellVersion",
    "preWarmedInstanceCount",
    "use32BitWorkerProcess",
    "vnetBackupRestoreEnabled",
    "vnetContentShareEnabled",
    "vnetImagePullEnabled",
    "vnetRouteAllEnabled",
    "windowsFxVersion",
];

/// And settings that begin like `WEBSITE_CONTENT`.
const SETTINGS: &[&str] = &[
    "ENABLE_ORYX_BUILD",
    "FUNCTIONS_EXTENSION_VERSION",
    "FUNCTIONS_MAX_HTTP_CONCURRENCY",
    "FUNCTIONS_WORKER_PROCESS_COUNT",
    "FUNCTIONS_WORKER_RUNTIME",
    "FUNCTIONS_WORKER_RUNTIME_VERSION",
    "SCM_DO_BUILD_DURING_DEPLOYMENT",
    "WEBSITE_CONTENT",
    "WEBSITE_DNS_SERVER",
    "WEBSITE_MAX_DYNAMIC_APPLICATION_SCALE_OUT",
    "WEBSITE_NODE_DEFAULT_VERSION",
    "WEBSITE_RUN_FROM_PACKAGE",
    "WEBSITE_SKIP_CONTENTSHARE_VALIDATION",
    "WEBSITE_TIME_ZONE",
    "WEBSITE_USE_PLACEHOLDER",
    "WEBSITE_VNET_ROUTE_ALL",
];

/// The names that a Flex app must not have, with any value.
fn refused(site: &Value, settings: &Value) -> Vec<String> {
    let names = |value: Option<&Value>| value.and_then(Value::as_object).into_iter().flat_map(|of| of.keys().cloned()).collect::<Vec<_>>();
    let properties = names(site.get("properties")).into_iter().chain(names(site.pointer("/properties/siteConfig")));
    let properties = properties.filter(|name| PROPERTIES.iter().any(|refused| refused.eq_ignore_ascii_case(name)));
    let is_refused = |name: &String| SETTINGS.contains(&name.as_str()) || name.starts_with("WEBSITE_CONTENT");
    properties.chain(names(Some(settings)).into_iter().filter(is_refused)).collect()
}

fn is_flex(installation: &Installation) -> bool {
    installation.site().body.pointer("/properties/functionAppConfig").is_some()
}

#[test]
fn infra_a_flex_app_has_nothing_that_flex_refuses_and_a_premium_app_shuts_ftp_by_itself() {
    let installations = installations();
    let (flex, premium): (Vec<_>, Vec<_>) = installations.iter().partition(|installation| is_flex(installation));
    assert_eq!((flex.len(), premium.len()), (1, 1), "one of each");
    let (site, settings) = (&flex[0].site().body, Value::Object(flex[0].settings()));
    assert_eq!(refused(site, &settings), Vec::<String>::new());
    assert_eq!(premium[0].site().body.pointer("/properties/siteConfig/ftpsState"), Some(&json!("Disabled")));

    for name in PROPERTIES {
        for place in ["/properties", "/properties/siteConfig"] {
            let mut wrong = site.clone();
            wrong.pointer_mut(place).unwrap()[*name] = Value::Null;
            assert_eq!(refused(&wrong, &settings), [*name], "with null too");
        }
    }
    for name in SETTINGS.iter().chain(&["WEBSITE_CONTENTSHARE"]) {
        let mut wrong = settings.clone();
        wrong[*name] = json!("1");
        assert_eq!(refused(site, &wrong), [*name]);
    }
}
