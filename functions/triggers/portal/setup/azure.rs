//! What is done outside of Assay, with this installation's own names: consent in Entra ID, and the lock of the anchors.

use crate::{
    app::App,
    audit::anchor_lock::HELD_DAYS,
    config::{EntraSettings, StoreKind},
    platform::ports::BlobContainer,
    web::entra,
};

/// The name of the storage account; `None` where everything is kept in a folder.
pub(super) fn storage_account(app: &App) -> Option<String> {
    let StoreKind::Azure(azure) = &app.config.store else { return None };
    let host = azure.blobs.host_str().unwrap_or_default();
    Some(host.split('.').next().unwrap_or(host).to_owned())
}

/// Commands for the container of the anchors, in the order in which they are run, each with what it does.
pub(super) fn lock_commands(app: &App, account: &str, has_policy: bool) -> Vec<(String, String)> {
    let container = BlobContainer::Anchors.name();
    let group = format!("$(az storage account list --query \"[?name=='{account}'].resourceGroup\" -o tsv)");
    let command = |verb: &str, more: &str| {
        format!("az storage container immutability-policy {verb} --account-name {account} --container-name {container} -g {group}{more}")
    };
    let mut all = Vec::new();
    let StoreKind::Azure(azure) = &app.config.store else { return all };
    if azure.cloud.name == "government" {
        all.push(("Once, for Azure Government:".into(), "az cloud set --name AzureUSGovernment && az login".into()));
    }
    if !has_policy {
        let create = command("create", &format!(" --period {HELD_DAYS}"));
        all.push((
            format!(
                "Only where there is no policy yet: make one, for {HELD_DAYS} days (seven years). It can still be changed and taken away:"
            ),
            create,
        ));
    }
    let etag = command("show", " --query etag -o tsv");
    all.push(("Lock it. This cannot be undone:".into(), command("lock", &format!(" --if-match \"$({etag})\""))));
    all.push(("Show it, and paste the answer below:".into(), command("show", "")));
    all
}

/// Addresses at which administrators consent, each with for whom.
pub(super) fn consent(app: &App, settings: &EntraSettings) -> Vec<(String, String)> {
    let address = |(n, directory): (usize, &uuid::Uuid)| {
        let whose = if n == 0 { "your own directory".into() } else { format!("the directory {directory}") };
        let label = format!("For an administrator of {whose}, who consents for everybody in it:");
        (label, entra::admin_consent(app, settings, &directory.to_string()))
    };
    settings.directories.iter().enumerate().map(address).collect()
}
