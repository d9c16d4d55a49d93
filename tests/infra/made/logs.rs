//! Diagnostic settings: everything that has logs or metrics in Azure sends them to the workspace, or stands here with the reason
//! why not. What Azure has for which type: learn.microsoft.com, Azure Monitor, "Supported log categories" and "Supported
//! metrics" (those that diagnostic settings export).

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{Installation, check_installations, found, installations, leave_out};
use crate::infra::template::Resource;

/// `(type, categories that are kept of it)`.
const KEPT: &[(&str, &[&str])] = &[
    ("Microsoft.Communication/communicationServices", &["EmailSendMailOperational", "Traffic"]),
    ("Microsoft.DocumentDB/databaseAccounts", &["ControlPlaneRequests", "PartitionKeyStatistics", "Requests"]),
    ("Microsoft.EventGrid/systemTopics", &["DeliveryFailures", "AllMetrics"]),
    ("Microsoft.KeyVault/vaults", &["allLogs", "AllMetrics"]),
    ("Microsoft.Network/networkSecurityGroups", &["allLogs"]),
    ("Microsoft.Network/virtualNetworks", &["allLogs", "AllMetrics"]),
    ("Microsoft.OperationalInsights/workspaces", &["Audit"]),
    ("Microsoft.Storage/storageAccounts/blobServices", &["StorageRead", "StorageWrite", "StorageDelete", "Transaction"]),
    // No log of each request: the host asks every queue every two seconds, and there is nothing of a client in either.
    ("Microsoft.Storage/storageAccounts/queueServices", &["Transaction"]),
    ("Microsoft.Storage/storageAccounts/tableServices", &["Transaction"]),
    ("Microsoft.Web/sites", &["FunctionAppLogs", "AllMetrics"]),
];

/// `(type, why nothing is kept of it)`.
const LEFT: &[(&str, &str)] = &[
    ("Microsoft.Insights/components", "its lines lie in the workspace already, and would lie there twice"),
    ("Microsoft.Storage/storageAccounts", "its metrics are the sums of its services', which are kept"),
    ("Microsoft.Storage/storageAccounts/fileServices", "nobody makes a share, and no key of the account opens one"),
    ("Microsoft.Web/serverfarms", "it has no logs, and its metrics only say how busy instances are, which Azure keeps for 93 days"),
];

/// Azure has nothing to keep of them that diagnostic settings could send.
const SILENT: &[&str] = &[
    "Microsoft.Authorization/locks",
    "Microsoft.Authorization/policyAssignments",
    "Microsoft.Authorization/roleAssignments",
    "Microsoft.Authorization/roleDefinitions",
    "Microsoft.Communication/emailServices",
    "Microsoft.Consumption/budgets",
    "Microsoft.Insights/actionGroups",
    "Microsoft.Insights/diagnosticSettings",
    "Microsoft.Insights/metricAlerts",
    "Microsoft.Insights/scheduledQueryRules",
    "Microsoft.Insights/workbooks",
    "Microsoft.ManagedIdentity/userAssignedIdentities",
    "Microsoft.Network/privateDnsZones",
    "Microsoft.Network/privateEndpoints",
];

const ACCOUNT: &str = "Microsoft.Storage/storageAccounts";
/// Every account has all four, whether or not the template names them.
const SERVICES: [&str; 4] = ["blobServices", "queueServices", "tableServices", "fileServices"];

/// Whether a resource has logs of its own, not its parent's: of children only the services of a storage account.
fn is_its_own(kind: &str) -> bool {
    kind.matches('/').count() == 1 || SERVICES.iter().any(|service| kind == format!("{ACCOUNT}/{service}"))
}

fn settings_of<'a>(of: &'a Installation, one: &Resource) -> Vec<&'a Resource> {
    let on_it = |settings: &&Resource| settings.scope.as_ref().is_some_and(|scope| scope.eq_ignore_ascii_case(&one.id));
    of.of("Microsoft.Insights/diagnosticSettings").filter(on_it).collect()
}

/// Names of the categories that are on, of logs and of metrics.
fn enabled(settings: &Resource) -> BTreeSet<String> {
    let of = |part: &str| settings.get(&["properties", part]).and_then(Value::as_array).cloned().unwrap_or_default();
    let on = of("logs").into_iter().chain(of("metrics")).filter(|one| one["enabled"] == true);
    on.filter_map(|one| Some(one["category"].as_str().or(one["categoryGroup"].as_str())?.to_owned())).collect()
}

fn faults(of: &Installation) -> Vec<String> {
    let mut told = Vec::new();
    let workspace = of.of("Microsoft.OperationalInsights/workspaces").next().expect("a workspace");
    for one in of.resources.iter().filter(|one| is_its_own(&one.kind)) {
        let (label, settings) = (one.label(), settings_of(of, one));
        if let Some((_, wanted)) = KEPT.iter().find(|(kind, _)| one.is(kind)) {
            let here = |one: &&&Resource| one.text(&["properties", "workspaceId"]) == Some(&workspace.id);
            let kept: BTreeSet<_> = settings.iter().filter(here).flat_map(|one| enabled(one)).collect();
            let missing = wanted.iter().filter(|name| !kept.contains(**name));
            told.extend(missing.map(|name| format!("{label}: {name} is not sent to the workspace")));
        } else if LEFT.iter().any(|(kind, _)| one.is(kind)) || SILENT.iter().any(|kind| one.is(kind)) {
            told.extend(settings.first().map(|_| format!("{label}: has diagnostic settings after all: put its type among KEPT")));
        } else {
            told.push(format!("{label}: look up whether Azure has diagnostic settings for it, and put its type into one of the lists"));
        }
    }
    for account in of.of(ACCOUNT) {
        for kind in SERVICES.map(|service| format!("{ACCOUNT}/{service}")) {
            let is_left = LEFT.iter().any(|(left, _)| *left == kind);
            if !is_left && of.children(account, &kind).next().is_none() {
                told.push(format!("{}: its {kind} is not in the template, so nothing is kept of it", account.label()));
            }
        }
    }
    told
}

#[test]
fn infra_everything_that_has_logs_sends_them_to_the_workspace_or_says_why_not() {
    let is_on = |one: &Resource, kind: &str| one.is("Microsoft.Insights/diagnosticSettings") && one.id.contains(kind);
    assert!(installations().iter().all(|of| of.resources.iter().any(|one| is_on(one, "/vaults/"))));
    check_installations(
        faults,
        &[
            ("KeyVault/vaults", |of| leave_out(of, |one| one.last_name() == "to-workspace" && one.id.contains("/vaults/"))),
            ("networkSecurityGroups", |of| leave_out(of, |one| one.last_name() == "to-workspace" && one.id.contains("-network-app/"))),
            ("StorageDelete is not sent", |of| {
                let on_blobs = |one: &&mut Resource| one.last_name() == "to-workspace" && one.id.contains("/blobServices/");
                of.resources.iter_mut().find(on_blobs).unwrap().body["properties"]["logs"][2]["enabled"] = json!(false);
            }),
            ("sites", |of| {
                let on_app = |one: &&mut Resource| one.last_name() == "to-workspace" && one.id.contains("/sites/");
                of.resources.iter_mut().find(on_app).unwrap().body["properties"]["workspaceId"] = json!("/elsewhere");
            }),
            ("queueServices is not in the template", |of| leave_out(of, |one| one.is("Microsoft.Storage/storageAccounts/queueServices"))),
            ("put its type into one", |of| found(of, "Microsoft.Insights/workbooks", "").kind = "Microsoft.Search/searchServices".into()),
            ("after all", |of| {
                let plan = of.of("Microsoft.Web/serverfarms").next().unwrap().id.clone();
                found(of, "Microsoft.Insights/diagnosticSettings", "").scope = Some(plan);
            }),
        ],
    );
}

#[test]
fn infra_no_type_stands_in_a_list_of_logs_that_is_made_no_more() {
    let made: BTreeSet<_> = installations().iter().flat_map(|of| of.resources.iter().map(|one| one.kind.clone())).collect();
    let listed = KEPT.iter().map(|(kind, _)| *kind).chain(LEFT.iter().map(|(kind, _)| *kind)).chain(SILENT.iter().copied());
    // The template makes no file service: each account has it by itself.
    let gone: Vec<_> = listed.filter(|kind| !made.contains(*kind) && !kind.ends_with("/fileServices")).collect();
    assert!(gone.is_empty(), "take these out of the lists: {gone:?}");
}
