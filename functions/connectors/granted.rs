//! What the installation's log says of who may do what for which client, folded event by event, and compared with the
//! grants that stand (G6).
//!
//! Compared: for each person and client the roles and the last day. Not compared: when somebody confirmed them last, and
//! the people's own records. Reads only.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::{
    audit::trail::Shown,
    tenancy::{DeploymentPlace, Store, StoreError, directory::Grant},
};

/// As far as the log has been told: roles and last day by client and person, both as the log spells them.
#[derive(Debug, Default)]
pub struct Fold(BTreeMap<(String, String), Value>);

impl Fold {
    pub fn take(&mut self, event: &Shown) {
        let client = event.object.strip_prefix("client ");
        match (event.kind.as_str(), client) {
            ("client.added", Some(client)) => self.give(client, &event.detail["grants"]),
            ("client.grants_changed", Some(client)) => {
                for person in persons(&event.detail["before"]) {
                    self.0.remove(&(client.to_owned(), person));
                }
                self.give(client, &event.detail["after"]);
            }
            ("client.access_reviewed", Some(client)) => self.review(client, &event.detail),
            ("person.access_ended", _) => {
                let Some(person) = event.object.strip_prefix("person ") else { return };
                let clients = event.detail["clients"].as_array().into_iter().flatten().filter_map(Value::as_str);
                for client in clients {
                    self.0.remove(&(client.to_owned(), person.to_owned()));
                }
            }
            _ => {}
        }
    }

    fn review(&mut self, client: &str, detail: &Value) {
        for person in detail["ended"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            self.0.remove(&(client.to_owned(), plain(person)));
        }
        for change in detail["changed"].as_array().into_iter().flatten() {
            let person = plain(change["person"].as_str().unwrap_or_default());
            if let Some(grant) = self.0.get_mut(&(client.to_owned(), person)) {
                grant["until"] = change["until"].clone();
            }
        }
    }

    fn give(&mut self, client: &str, grants: &Value) {
        for grant in grants.as_array().into_iter().flatten() {
            let person = grant["person"].as_str().unwrap_or_default();
            self.0.insert((client.to_owned(), plain(person)), what(&grant["roles"], &grant["until"]));
        }
    }

    /// How many grants were compared, and what differs, in words.
    pub async fn compare(&self, store: &Store<'_, DeploymentPlace>) -> Result<(usize, Vec<String>), StoreError> {
        let mut differences = Vec::new();
        let mut left = self.0.clone();
        let held = store.all::<Grant>(DeploymentPlace::Directory, "").await?;
        for grant in held.iter().map(|held| &held.value) {
            let (tenant, person) = (grant.tenant(), grant.person);
            let roles = serde_json::to_value(&grant.roles).unwrap_or_default();
            let is = what(&roles, &serde_json::json!(grant.until.map(time::OffsetDateTime::unix_timestamp)));
            let grant = format!("the grant of person {person} for client {tenant}");
            match left.remove(&(tenant.to_string(), person.to_string())) {
                None => differences.push(format!("{grant} is in the store ({roles}) and the log never heard of it")),
                Some(said) if said != is => differences.push(format!("{grant} is {is} in the store, and {said} by the log")),
                Some(_) => {}
            }
        }
        for (client, person) in left.keys() {
            differences.push(format!("the grant of person {person} for client {client} stands by the log, and is not in the store"));
        }
        Ok((held.len(), differences))
    }
}

fn persons(grants: &Value) -> Vec<String> {
    grants.as_array().into_iter().flatten().filter_map(|grant| grant["person"].as_str()).map(plain).collect()
}

/// Ids stand with or without hyphens.
fn plain(id: &str) -> String {
    id.replace('-', "")
}

fn what(roles: &Value, until: &Value) -> Value {
    serde_json::json!({ "roles": roles, "until": until })
}
