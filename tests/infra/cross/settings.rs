//! Every setting of an installation in Azure is set by the template or left to the operator with a reason, and the
//! template sets none that the code does not know; what it sets is a good configuration.

use assay::config::{RawConfig, SETTINGS, check};
use regex::Regex;
use serde_json::Value;

use super::{Installation, installations};

/// `(setting, why the template does not set it)`; each can be given in `moreSettings`.
const LEFT: &[(&str, &str)] = &[
    ("ASSAY_DATA", "of a store in a folder"),
    ("ASSAY_QUEUE_TOKEN", "of the stand-in host"),
    ("ASSAY_CLOUD_PROFILE", "of a custom cloud, for which there is no template"),
    ("ASSAY_DEMO_VENDOR_URL", "of the demo, which no package has"),
    ("ASSAY_ENTRA_GUESTS", "the default refuses; allowing them is a decision of the owner's"),
    ("ASSAY_NOTICES_PER_MINUTE", "the default is meant for all"),
    ("ASSAY_NOTICES_PER_HOUR", "the default is meant for all"),
    ("ASSAY_ACCESS_REVIEW_DAYS", "the default is meant for all"),
    ("ASSAY_UNSIGNED_KEYS_UNTIL", "for an upgrade from a release before the template"),
    ("ASSAY_WITNESS_URL", "a witness is somebody else's, and chosen later"),
    ("ASSAY_WITNESS_KEY", "a witness is somebody else's, and chosen later"),
    ("ASSAY_DEADLINE_SECONDS", "goes with functionTimeout of host.json, which is in the package"),
    ("ASSAY_MAX_CONCURRENT", "the default is measured"),
    ("ASSAY_LOG", "the default is meant for all; debug is for a day"),
];

/// What Azure will put where the snapshot has an expression: `(what it reads, value)` for each cloud.
const FILLED: &[(&str, [&str; 2])] = &[
    (".clientId", ["01234567-89ab-4def-8123-456789abcdef"; 2]),
    (".documentEndpoint", ["https://name.documents.azure.com:443/", "https://name.documents.azure.us:443/"]),
    (".primaryEndpoints.blob", ["https://name.blob.core.windows.net/", "https://name.blob.core.usgovcloudapi.net/"]),
    (".primaryEndpoints.queue", ["https://name.queue.core.windows.net/", "https://name.queue.core.usgovcloudapi.net/"]),
    (".primaryEndpoints.table", ["https://name.table.core.windows.net/", "https://name.table.core.usgovcloudapi.net/"]),
    (".keyUri", ["https://name.vault.azure.net/keys/deployment", "https://name.vault.usgovcloudapi.net/keys/deployment"]),
    ("'government', 'public')", ["public", "government"]),
    (".defaultHostName)", ["https://name.azurewebsites.net", "https://name.azurewebsites.us"]),
    (".hostName)", ["https://name.unitedstates.communication.azure.com", "https://name.usgov.communication.azure.us"]),
    (".fromSenderDomain)", ["DoNotReply@name.azurecomm.net", "DoNotReply@name.azurecomm.us"]),
];

fn filled(installation: &Installation, cloud: usize) -> RawConfig {
    let fill = |(name, value): (String, Value)| {
        let text = value.as_str().unwrap_or_else(|| panic!("{}: {name} is no text", installation.at)).to_owned();
        if !text.starts_with('[') {
            return (name, text);
        }
        let found = FILLED.iter().find(|(read, _)| text.contains(read));
        let filled =
            found.unwrap_or_else(|| panic!("{}: what will Azure put for {name}? say it in FILLED: {text}", installation.at)).1[cloud];
        (name, filled.to_owned())
    };
    let own = |(name, _): &(String, Value)| name.starts_with("ASSAY_") || name.starts_with("AzureWebJobsStorage");
    installation.settings().into_iter().filter(own).map(fill).collect()
}

#[test]
fn infra_every_setting_is_set_by_the_template_or_left_to_the_operator_and_no_other_is() {
    for installation in installations() {
        let set = installation.settings();
        for setting in SETTINGS {
            let left = LEFT.iter().any(|(name, _)| *name == setting.name);
            let at = installation.at;
            assert!(
                set.contains_key(setting.name) != left,
                "{at}: {}: set it in the template, or name it in LEFT with the reason; not both",
                setting.name
            );
        }
        for (name, _) in set.iter().filter(|(name, _)| name.to_uppercase().starts_with("ASSAY")) {
            assert!(
                SETTINGS.iter().any(|setting| setting.name == name),
                "{}: the template sets {name}, which no code reads",
                installation.at
            );
        }
    }
    for (name, _) in LEFT {
        assert!(SETTINGS.iter().any(|setting| setting.name == *name), "LEFT names {name}, which is no setting");
    }
}

#[test]
fn infra_the_settings_of_the_template_are_a_good_configuration_in_both_clouds() {
    for (cloud, installation) in installations().iter().enumerate() {
        let raw = filled(installation, cloud);
        let config = check(&raw).unwrap_or_else(|errors| panic!("{}: {errors:?}", installation.at));
        assert_eq!(
            config.region.as_deref(),
            installation.site().text(&["location"]),
            "{}: ASSAY_REGION is where the app runs",
            installation.at
        );
        assert!(!config.is_demo());
    }
}

#[test]
fn infra_the_functions_host_listens_where_the_app_sends() {
    for installation in installations() {
        let host = installation.setting("AzureWebJobsStorage__queueServiceUri");
        assert_eq!(host, installation.setting("ASSAY_QUEUE_URL"), "{}: messages would wait for ever", installation.at);
        let set = installation.settings();
        for name in
            ["AzureWebJobsStorage", "AzureWebJobsDashboard", "WEBSITE_CONTENTAZUREFILECONNECTIONSTRING", "APPINSIGHTS_INSTRUMENTATIONKEY"]
        {
            assert!(!set.contains_key(name), "{}: {name} holds a key; the app acts as its identity", installation.at);
        }
        assert_eq!(installation.setting("AzureWebJobsStorage__credential"), "managedidentity", "{}", installation.at);
    }
}

#[test]
fn infra_each_secret_that_a_setting_names_is_made_by_the_template_and_none_stands_in_a_setting() {
    let named = Regex::new("^secret:(.+)$").unwrap();
    for installation in installations() {
        let made = super::names(installation.of("Microsoft.KeyVault/vaults/secrets"));
        for (name, value) in installation.settings() {
            let text = value.as_str().unwrap_or_default().to_owned();
            assert!(
                !text.to_lowercase().contains("listkeys(") && !text.contains("parameters('smtpPassword')"),
                "{}: {name}: {text}",
                installation.at
            );
            if let Some(secret) = named.captures(&text) {
                assert!(
                    made.contains(&secret[1].to_owned()),
                    "{}: {name} names the secret {}, which nobody makes: {made:?}",
                    installation.at,
                    &secret[1]
                );
            }
        }
    }
}
