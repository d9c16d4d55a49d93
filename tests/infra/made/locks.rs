//! What nobody deletes by mistake: both vaults, the database and the account of the evidence, and nothing besides, because a
//! lock on what Azure or an upgrade replaces would stop both.

use std::collections::BTreeSet;

use serde_json::json;

use super::{Installation, check_installations, found, leave_out};

const LOCK: &str = "Microsoft.Authorization/locks";

fn faults(of: &Installation) -> Vec<String> {
    let mut told = Vec::new();
    let evidence = of.read_by("ASSAY_BLOB_URL", "Microsoft.Storage/storageAccounts");
    let kept = of.of("Microsoft.KeyVault/vaults").chain(of.of("Microsoft.DocumentDB/databaseAccounts")).chain([evidence]);
    let kept: BTreeSet<_> = kept.map(|one| one.id.as_str()).collect();
    if kept.len() != 4 {
        told.push(format!("{}: two vaults, a database and the evidence are kept, found {kept:?}", of.at));
    }
    let mut locked = BTreeSet::new();
    for lock in of.of(LOCK) {
        let level = lock.text(&["properties", "level"]).unwrap_or_default();
        if level != "CanNotDelete" {
            told.push(format!("{}: is {level}; with ReadOnly the app cannot work, and with none it is no lock", lock.label()));
        }
        locked.insert(lock.scope.as_deref().unwrap_or("the resource group"));
    }
    told.extend(kept.difference(&locked).map(|id| format!("{}: {id} can be deleted: it has no lock", of.at)));
    told.extend(locked.difference(&kept).map(|id| format!("{}: {id} has a lock, and no need of one", of.at)));
    told
}

#[test]
fn infra_both_vaults_the_database_and_the_evidence_cannot_be_deleted_and_nothing_else_is_locked() {
    check_installations(
        faults,
        &[
            ("/vaults/", |of| leave_out(of, |one| one.is(LOCK) && one.id.contains("/vaults/assayv"))),
            ("/databaseAccounts/", |of| leave_out(of, |one| one.is(LOCK) && one.id.contains("/databaseAccounts/"))),
            ("can be deleted", |of| leave_out(of, |one| one.is(LOCK) && one.id.contains("/storageAccounts/"))),
            ("is ReadOnly", |of| found(of, LOCK, "").body["properties"]["level"] = json!("ReadOnly")),
            ("the resource group has a lock", |of| found(of, LOCK, "").scope = None),
            ("no need of one", |of| {
                let host = of.read_by("AzureWebJobsStorage__queueServiceUri", "Microsoft.Storage/storageAccounts").id.clone();
                let evidence = of.read_by("ASSAY_BLOB_URL", "Microsoft.Storage/storageAccounts").id.clone();
                let lock = of.resources.iter_mut().find(|one| one.is(LOCK) && one.scope.as_ref() == Some(&evidence)).unwrap();
                lock.scope = Some(host);
            }),
        ],
    );
}
