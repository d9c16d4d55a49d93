//! What the app may do in Azure is what its code does: every right that a call needs is given, where it is needed, and
//! none besides. Rights are read from the code: from the SDK calls of the adapters, and from which container is used how.
//!
//! What the Functions host itself needs cannot be read from our code: those built-in roles are listed with their reason.

use std::{collections::BTreeSet, fs, path::Path};

use assay::platform::ports::{BlobContainer, Container};
use regex::Regex;
use serde_json::Value;

use super::{Installation, installations};
use crate::infra::template::Resource;

const BLOB: &str = "Microsoft.Storage/storageAccounts/blobServices/containers/blobs";
const SQL: &str = "Microsoft.DocumentDB/databaseAccounts/sqlDatabases/containers";

/// `(SDK call in platform/azure/vault, the right it needs)`; `None` calls nothing.
const VAULT_CALLS: &[(&str, Option<&str>)] = &[
    ("wrap_key", Some("Microsoft.KeyVault/vaults/keys/wrap/action")),
    ("unwrap_key", Some("Microsoft.KeyVault/vaults/keys/unwrap/action")),
    ("sign", Some("Microsoft.KeyVault/vaults/keys/sign/action")),
    ("get_key", Some("Microsoft.KeyVault/vaults/keys/read")),
    ("list_key_properties_versions", Some("Microsoft.KeyVault/vaults/keys/read")),
    ("create_key", Some("Microsoft.KeyVault/vaults/keys/create/action")),
    ("get_secret", Some("Microsoft.KeyVault/vaults/secrets/getSecret/action")),
    ("clone", None),
];

/// `(operation of the port, rights)`. Making a blob where there is none needs `add/action`, replacing one `write`
/// (learn.microsoft.com, "Permissions for calling data operations"); a container's own policy is read by Azure's side.
const BLOB_OPERATIONS: &[(&str, &[&str])] = &[
    ("create", &["add/action"]),
    ("read", &["read"]),
    ("read_held", &["read"]),
    ("replace", &["write"]),
    ("retention", &["read", "containers/read"]),
    ("list", &["read"]),
    ("delete", &["delete"]),
    ("append", &["add/action", "read"]),
    ("lease", &["write"]),
    ("renew", &["write"]),
    ("release", &["write"]),
];

/// `(operation of the port, rights)`.
const DOCUMENT_OPERATIONS: &[(&str, &[&str])] = &[
    ("read", &["items/read"]),
    ("query", &["executeQuery"]),
    ("batch", &["items/create", "items/replace", "items/delete"]),
    ("changes", &["readChangeFeed"]),
];
const CHANGES: &[&str] = &["items/replace", "items/delete"];

/// Mails: learn.microsoft.com, "Send email with Microsoft Entra ID": no fewer actions are documented.
const MAIL: &[&str] = &[
    "Microsoft.Communication/CommunicationServices/Read",
    "Microsoft.Communication/CommunicationServices/Write",
    "Microsoft.Communication/EmailServices/Write",
];

/// A built-in role: what it is, who gets it, on what, which data actions of it matter, and why it is that one.
struct BuiltIn {
    id: &'static str,
    name: &'static str,
    who: Who,
    on: On,
    why: &'static str,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Who {
    App,
    Keys,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum On {
    HostAccount,
    PackagesAccount,
    AppVault,
    EncryptionVault,
    Insights,
}

const BUILT_IN: &[BuiltIn] = &[
    BuiltIn {
        id: "b7e6dc6d-f1e8-4753-8033-0f276bb0955b",
        name: "Storage Blob Data Owner",
        who: Who::App,
        on: On::HostAccount,
        why: "the Functions host keeps its locks and keys there (functions-host.md); nothing of Assay's is in its blobs",
    },
    BuiltIn {
        id: "974c5e8b-45b9-4653-ba55-5f855dd0fb88",
        name: "Storage Queue Data Contributor",
        who: Who::App,
        on: On::HostAccount,
        why: "the host reads every queue and makes poison queues; Assay sends, receives and deletes messages",
    },
    BuiltIn {
        id: "0a9a7e1f-b9d0-4cc4-a60d-0319b160aaa3",
        name: "Storage Table Data Contributor",
        who: Who::App,
        on: On::HostAccount,
        why: "the host writes its diagnostic events there",
    },
    BuiltIn {
        id: "ba92f5b4-2d11-453d-a403-e96b0029c9fe",
        name: "Storage Blob Data Contributor",
        who: Who::App,
        on: On::PackagesAccount,
        why: "on Flex the platform puts the program there as the app, and nothing else is in that account",
    },
    BuiltIn {
        id: "2a2b9908-6ea1-4ae2-8e65-a410df84e7d1",
        name: "Storage Blob Data Reader",
        who: Who::App,
        on: On::PackagesAccount,
        why: "on Premium the app runs the program from there, and cannot put another one in its place",
    },
    BuiltIn {
        id: "4633458b-17de-408a-b874-0445c86b69e6",
        name: "Key Vault Secrets User",
        who: Who::App,
        on: On::AppVault,
        why: "reads secrets, and besides only how they are called",
    },
    BuiltIn {
        id: "3913510d-42f4-4e42-8a64-420c390055eb",
        name: "Monitoring Metrics Publisher",
        who: Who::App,
        on: On::Insights,
        why: "writes log lines, since keys are off there",
    },
    BuiltIn {
        id: "e147488a-f6f5-4113-8e2d-b22465e65bf6",
        name: "Key Vault Crypto Service Encryption User",
        who: Who::Keys,
        on: On::EncryptionVault,
        why: "the identity of Cosmos DB and Storage wraps and unwraps with their keys",
    },
];

/// Roles that nobody here ever has, also when they stand in a table above.
const NEVER: &[(&str, &str)] = &[
    ("8e3af657-a8ff-443c-a75c-2fe8c4bcb635", "Owner"),
    ("b24988ac-6180-42a0-ab88-20f7382dd24c", "Contributor"),
    ("18d7d88d-d35e-4fb5-a5c3-7773c20a72d9", "User Access Administrator"),
    ("f58310d9-a9f6-439a-9e8d-f62e7b41a168", "Role Based Access Control Administrator"),
    ("00482a5a-887f-4fb3-b363-3b7fe8e74483", "Key Vault Administrator"),
    ("14b46e9e-c2b7-41b4-b07b-48a6ebf60603", "Key Vault Crypto Officer"),
    ("b86a8fe4-44ce-4948-aee5-eccb2c155cd7", "Key Vault Secrets Officer"),
    ("09976791-48a7-449e-bb21-39d1a415f350", "Communication and Email Service Owner"),
];

fn source(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    if path.is_file() {
        return fs::read_to_string(path).unwrap();
    }
    let mut entries: Vec<_> = fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    let own = |path: &std::path::PathBuf| path.is_dir() || path.extension().is_some_and(|of| of == "rs");
    entries.into_iter().filter(own).map(|path| source(&path.to_string_lossy())).collect()
}

/// Rights that the vault's adapter needs, from its calls.
fn vault_rights() -> BTreeSet<String> {
    let calls = Regex::new(r"\bclient\s*\.\s*([a-z_]+)\(").unwrap();
    let text = source("functions/platform/azure/vault");
    let mut needed = BTreeSet::new();
    for found in calls.captures_iter(&text) {
        let call = VAULT_CALLS.iter().find(|(call, _)| *call == &found[1]);
        let (_, right) =
            call.unwrap_or_else(|| panic!("platform/azure/vault calls {}: say in VAULT_CALLS which right that needs", &found[1]));
        needed.extend(right.map(str::to_owned));
    }
    needed
}

/// Rights on one blob container, from how the code uses it.
fn blob_rights(container: BlobContainer) -> BTreeSet<String> {
    let uses = Regex::new(r"\.\s*blobs\s*\.\s*([a-z_]+)\(\s*(?:BlobContainer::)?(\w+)").unwrap();
    let mut needed = BTreeSet::new();
    for found in uses.captures_iter(&source("functions")) {
        // The doctor's look, which names each by a variable: what is held it asks about, and deletes only what is not.
        let looked_at = &found[2] == "container"
            && match &found[1] {
                "retention" => container == BlobContainer::Anchors,
                "delete" => container != BlobContainer::Anchors,
                _ => true,
            };
        if !looked_at && found[2] != format!("{container:?}") {
            continue;
        }
        let operation = BLOB_OPERATIONS.iter().find(|(operation, _)| *operation == &found[1]);
        let (_, rights) = operation.unwrap_or_else(|| panic!("blobs.{} is not in BLOB_OPERATIONS: say which right it needs", &found[1]));
        for right in *rights {
            needed.insert(right.strip_prefix("containers/").map_or_else(
                || format!("{BLOB}/{right}"),
                |right| format!("Microsoft.Storage/storageAccounts/blobServices/containers/{right}"),
            ));
        }
    }
    needed
}

/// Rights on one container of the database, from which operations of the port are used; each operation of a batch needs
/// its own. Where the logs' entries lie nothing changes, once their heads lie in a container of their own.
fn document_rights(container: Container) -> BTreeSet<String> {
    let ports = source("functions/platform/ports.rs");
    let (_, port) = ports.split_once("pub trait Documents").expect("the port of documents");
    let (port, _) = port.split_once("\n}").expect("its end");
    let users = source("functions").replace(&source("functions/platform"), "");
    let mut needed = BTreeSet::from(["Microsoft.DocumentDB/databaseAccounts/readMetadata".to_owned()]);
    for operation in Regex::new(r"async fn ([a-z_]+)\(").unwrap().captures_iter(port) {
        let found = DOCUMENT_OPERATIONS.iter().find(|(known, _)| *known == &operation[1]);
        let (_, rights) =
            found.unwrap_or_else(|| panic!("Documents::{} is not in DOCUMENT_OPERATIONS: say which rights it needs", &operation[1]));
        if Regex::new(&format!(r"documents\s*\.\s*{}\(", &operation[1])).unwrap().is_match(&users) {
            let kept = rights.iter().filter(|right| container.name() != "audit" || !CHANGES.contains(right));
            needed.extend(kept.map(|right| format!("{SQL}/{right}")));
        }
    }
    needed
}

impl Installation {
    fn principal(&self, assignment: &Resource) -> Who {
        let text = assignment.text(&["properties", "principalId"]).unwrap_or_default().to_lowercase();
        let app = self.site().get(&["identity", "userAssignedIdentities"]).and_then(Value::as_object);
        let app = app.and_then(|of| of.keys().next()).unwrap_or_else(|| panic!("{}: the app has no identity", self.at)).to_lowercase();
        if text.contains(&format!("'{app}'")) {
            return Who::App;
        }
        let identity =
            self.of("Microsoft.ManagedIdentity/userAssignedIdentities").find(|one| text.contains(&format!("'{}'", one.id.to_lowercase())));
        assert!(identity.is_some(), "{}: gives a right to something else than the template's identities", assignment.label());
        Who::Keys
    }

    fn place(&self, of: On) -> &Resource {
        let account = |setting: &str| self.read_by(setting, "Microsoft.Storage/storageAccounts");
        match of {
            On::HostAccount => account("AzureWebJobsStorage__blobServiceUri"),
            On::PackagesAccount => {
                let mut others = self.of("Microsoft.Storage/storageAccounts");
                let (host, evidence) = (account("AzureWebJobsStorage__blobServiceUri"), account("ASSAY_BLOB_URL"));
                others
                    .find(|one| one.id != host.id && one.id != evidence.id)
                    .unwrap_or_else(|| panic!("{}: no account of packages", self.at))
            }
            On::AppVault => self.of("Microsoft.KeyVault/vaults").find(|vault| self.in_app_vault(vault)).unwrap(),
            On::EncryptionVault => self.of("Microsoft.KeyVault/vaults").find(|vault| !self.in_app_vault(vault)).unwrap(),
            On::Insights => self.of("Microsoft.Insights/components").next().unwrap(),
        }
    }

    fn in_app_vault(&self, vault: &Resource) -> bool {
        self.read_by("ASSAY_DEPLOYMENT_KEY", "Microsoft.KeyVault/vaults/keys").id.starts_with(&format!("{}/", vault.id))
    }

    /// What the app may do on a resource by roles of the template's own.
    fn own_rights(&self, on: &str) -> BTreeSet<String> {
        let mut rights = BTreeSet::new();
        for assignment in self
            .of("Microsoft.Authorization/roleAssignments")
            .filter(|one| one.scope.as_deref().is_some_and(|of| of.eq_ignore_ascii_case(on)))
        {
            if let Some(role) = self.definition(assignment, "Microsoft.Authorization/roleDefinitions") {
                assert_eq!(self.principal(assignment), Who::App, "{}", assignment.label());
                rights.extend(actions(role));
            }
        }
        rights
    }

    fn definition(&self, assignment: &Resource, kind: &str) -> Option<&Resource> {
        let id = assignment.text(&["properties", "roleDefinitionId"]).unwrap_or_default();
        self.of(kind).find(|role| role.id.eq_ignore_ascii_case(id) || (id.starts_with('[') && id.contains(role.last_name())))
    }
}

fn actions(role: &Resource) -> BTreeSet<String> {
    let permissions = role.get(&["properties", "permissions"]).and_then(Value::as_array).cloned().unwrap_or_default();
    let lists = permissions.iter().flat_map(|one| [&one["actions"], &one["dataActions"]]).filter_map(Value::as_array);
    let actions: BTreeSet<String> = lists.flatten().filter_map(Value::as_str).map(str::to_owned).collect();
    assert!(actions.iter().all(|action| !action.contains('*')), "{}: an action with *: {actions:?}", role.label());
    actions
}

#[test]
fn infra_the_app_may_do_with_keys_what_it_does_and_can_destroy_none() {
    let mut needed = vault_rights();
    assert!(needed.len() >= 6, "the calls of platform/azure/vault are not found any more: {needed:?}");
    needed.remove("Microsoft.KeyVault/vaults/secrets/getSecret/action"); // by the built-in role, below
    for installation in installations() {
        assert_eq!(installation.own_rights(&installation.place(On::AppVault).id), needed, "{}", installation.at);
    }
}

/// `(container, right, why)`: given with the role that it shares with others.
const SHARED: &[(&str, &str, &str)] = &[
    ("raw", "write", "one role for the containers in which blobs change"),
    ("mailbox", "write", "one role for the containers in which blobs change"),
    ("raw", "containers/read", "one role for the containers in which blobs change; that it is there can be looked at"),
    ("mailbox", "containers/read", "one role for the containers in which blobs change; that it is there can be looked at"),
    ("log", "containers/read", "one role for the containers in which blobs change; that it is there can be looked at"),
];

#[test]
fn infra_the_app_may_do_in_each_blob_container_what_it_does_there_and_replace_no_copy_of_a_checkpoint() {
    for installation in installations() {
        let account = installation.read_by("ASSAY_BLOB_URL", "Microsoft.Storage/storageAccounts");
        assert_eq!(
            installation.own_rights(&account.id),
            BTreeSet::new(),
            "{}: rights on the whole account of the evidence",
            installation.at
        );
        for container in BlobContainer::ALL {
            let name = container.name();
            let given = installation.own_rights(&format!("{}/blobServices/default/containers/{name}", account.id));
            let needed = blob_rights(container);
            assert!(!needed.is_empty(), "no use of {name} is found in the code any more");
            let missing: Vec<_> = needed.difference(&given).collect();
            assert!(missing.is_empty(), "{}: in {name} the app needs {missing:?}", installation.at);
            for right in given.difference(&needed) {
                let excused = SHARED.iter().any(|(of, end, _)| *of == name && right.ends_with(&format!("/{end}")));
                assert!(excused, "{}: in {name} the app may {right}, and no code does", installation.at);
            }
            for (_, end, _) in SHARED.iter().filter(|(of, _, _)| *of == name) {
                let needless = given.difference(&needed).any(|right| right.ends_with(&format!("/{end}")));
                assert!(needless, "SHARED excuses {end} in {name}, which the code needs by now, or nobody is given: take it out");
            }
        }
    }
}

#[test]
fn infra_the_app_may_do_in_each_container_of_the_database_what_it_does_there_and_rewrite_no_log_entry() {
    for installation in installations() {
        let account = installation.read_by("ASSAY_COSMOS_URL", "Microsoft.DocumentDB/databaseAccounts");
        let database = installation.setting("ASSAY_COSMOS_DATABASE");
        let assignments: Vec<_> = installation.children(account, "Microsoft.DocumentDB/databaseAccounts/sqlRoleAssignments").collect();
        for container in installation.of("Microsoft.DocumentDB/databaseAccounts/sqlDatabases/containers") {
            let scope = format!("{}/dbs/{database}/colls/{}", account.id, container.last_name());
            let on: Vec<_> = assignments.iter().filter(|one| one.text(&["properties", "scope"]) == Some(scope.as_str())).collect();
            assert_eq!(on.len(), 1, "{}: one data role, scoped to the container", container.label());
            assert_eq!(installation.principal(on[0]), Who::App);
            let role = installation.definition(on[0], "Microsoft.DocumentDB/databaseAccounts/sqlRoleDefinitions");
            let role = role.unwrap_or_else(|| panic!("{}: a built-in data role may do everything", on[0].label()));
            let known = Container::ALL.into_iter().find(|known| known.name() == container.last_name());
            // A container that comes with the next release is used like those of records.
            let needed = document_rights(known.unwrap_or(Container::Deployment));
            assert_eq!(actions(role), needed, "{}", container.label());
        }
        let containers = installation.of("Microsoft.DocumentDB/databaseAccounts/sqlDatabases/containers").count();
        assert_eq!(assignments.len(), containers, "{}: a data role above a container, or of somebody else", installation.at);
    }
}

#[test]
fn infra_built_in_roles_are_those_with_a_reason_and_nobody_is_owner_or_contributor() {
    assert!(BUILT_IN.iter().all(|role| !role.why.is_empty() && NEVER.iter().all(|(never, _)| *never != role.id)));
    let mut used = vec![false; BUILT_IN.len()];
    for installation in installations() {
        for assignment in installation.of("Microsoft.Authorization/roleAssignments") {
            if installation.definition(assignment, "Microsoft.Authorization/roleDefinitions").is_some() {
                continue;
            }
            let label = assignment.label();
            let id = assignment.text(&["properties", "roleDefinitionId"]).unwrap_or_default();
            let id = id.trim_end_matches([']', ')', '\'']).rsplit(['/', '\'']).next().unwrap_or_default();
            if let Some((_, name)) = NEVER.iter().find(|(never, _)| never.eq_ignore_ascii_case(id)) {
                panic!("{label}: gives the role {name}, which nobody has here");
            }
            let scope = assignment.scope.as_deref().unwrap_or_else(|| panic!("{label}: a role on the whole resource group"));
            let who = installation.principal(assignment);
            let found = BUILT_IN
                .iter()
                .position(|role| role.id == id && role.who == who && installation.place(role.on).id.eq_ignore_ascii_case(scope));
            let found = found.unwrap_or_else(|| {
                panic!("{label}: {who:?} has the built-in role {id} on {scope}; name it in BUILT_IN with the reason, or take it out")
            });
            used[found] = true;
            assert_eq!(
                assignment.text(&["properties", "principalType"]),
                Some("ServicePrincipal"),
                "{label}: fails while the identity is new"
            );
        }
    }
    for (role, used) in BUILT_IN.iter().zip(used) {
        assert!(used, "{}: nobody gets it: take it out of BUILT_IN, or give it ({})", role.name, role.why);
    }
}

#[test]
fn infra_roles_of_our_own_are_for_vault_blobs_and_mails_and_hold_nothing_that_the_code_does_not_do() {
    let mut known = vault_rights();
    known.extend(BlobContainer::ALL.into_iter().flat_map(blob_rights));
    known.extend(MAIL.iter().map(|action| (*action).to_owned()));
    for installation in installations() {
        let mut assigned = BTreeSet::new();
        for assignment in installation.of("Microsoft.Authorization/roleAssignments") {
            assigned.extend(installation.definition(assignment, "Microsoft.Authorization/roleDefinitions").map(|role| role.id.clone()));
        }
        for role in installation.of("Microsoft.Authorization/roleDefinitions") {
            let unknown: Vec<_> = actions(role).into_iter().filter(|action| !known.contains(action)).collect();
            assert!(unknown.is_empty(), "{}: {unknown:?}, which no code does", role.label());
            assert!(assigned.contains(&role.id), "{}: nobody has it", role.label());
            for negation in ["notActions", "notDataActions"] {
                let all = role.get(&["properties", "permissions"]).and_then(Value::as_array).cloned().unwrap_or_default();
                assert!(
                    all.iter().all(|one| one[negation].as_array().is_none_or(Vec::is_empty)),
                    "{}: {negation} forbids nothing to other roles",
                    role.label()
                );
            }
        }
        let mails = installation.setting("ASSAY_MAIL") == "acs";
        let given =
            installation.of("Microsoft.Communication/communicationServices").any(|one| !installation.own_rights(&one.id).is_empty());
        assert_eq!(mails, given, "{}: who mails by Communication Services may send there", installation.at);
    }
}
