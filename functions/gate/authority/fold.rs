//! What the installation's log says of access, folded event by event, and compared with the directory (G6).
//!
//! Compared: for each person and client the roles and the last day; of each person whether their access ended, its last day,
//! whose other account theirs is and their address, by which accounts are one human's too; and which clients are switched
//! off. Not compared: when somebody confirmed any of it last, people's names, and who owns the installation or runs the
//! tools. Reads only.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use time::OffsetDateTime;

use super::told::{Given, OfPerson, Told};
use crate::{
    audit::trail::Shown,
    tenancy::{
        DeploymentPlace, PersonId, Store, StoreError, TenantId,
        directory::{Grant, Person, SwitchedOff},
    },
};

/// As far as the log has been told.
#[derive(Debug, Default)]
pub struct Fold {
    told: Told,
    latest: Option<OffsetDateTime>,
}

/// What was compared, and what differs, in words.
#[derive(Debug, Default)]
pub struct Compared {
    pub people: usize,
    pub grants: usize,
    pub differences: Vec<String>,
}

impl Fold {
    pub fn take(&mut self, event: &Shown) {
        // The log's order counts, in which they were written: a clock may have been ahead of another.
        self.latest = self.latest.max(Some(event.at));
        self.told.take(&event.kind, &event.object, &event.detail, self.latest.unwrap_or(event.at));
    }

    pub async fn compare(&self, store: &Store<'_, DeploymentPlace>) -> Result<Compared, StoreError> {
        let place = DeploymentPlace::Directory;
        let grants: Vec<Grant> = store.all(place, "").await?.into_iter().map(|held| held.value).collect();
        let people: Vec<Person> = store.all(place, "").await?.into_iter().map(|held| held.value).collect();
        let off = store.all::<SwitchedOff>(place, "").await?.iter().map(|held| held.value.tenant()).collect();
        let differences = [self.of_grants(&grants), self.of_people(&people), self.of_clients(&off)].concat();
        Ok(Compared { people: people.len(), grants: grants.len(), differences })
    }

    fn of_grants(&self, grants: &[Grant]) -> Vec<String> {
        let clients = self.told.clients.iter();
        let told = clients.flat_map(|(client, of)| of.grants.iter().map(|(person, given)| ((*client, *person), given)));
        let mut told: BTreeMap<(TenantId, PersonId), &Given> = told.collect();
        let mut differences = Vec::new();
        for grant in grants {
            let roles: Vec<Value> = grant.roles.iter().map(|role| serde_json::to_value(role).unwrap_or_default()).collect();
            let is = words(&roles, seconds(grant.until));
            let what = name(grant.tenant(), grant.person);
            let said = told.remove(&(grant.tenant(), grant.person)).map(|said| words(&said.roles, said.until));
            match said {
                None => differences.push(format!("{what} is in the store ({is}) and the log never heard of it")),
                Some(said) if said != is => differences.push(format!("{what} is {is} in the store, and {said} by the log")),
                Some(_) => {}
            }
        }
        let gone = told.into_iter().filter(|(_, said)| !said.roles.is_empty());
        differences
            .extend(gone.map(|((client, person), _)| format!("{} stands by the log, and is not in the store", name(client, person))));
        differences
    }

    fn of_people(&self, people: &[Person]) -> Vec<String> {
        let nothing = OfPerson::default();
        let stored: BTreeSet<PersonId> = people.iter().map(|person| person.id).collect();
        let gone = self.told.people.keys().filter(|id| !stored.contains(id));
        let gone = gone.map(|id| format!("person {id} is not in the store, and the log tells of them"));
        people.iter().flat_map(|person| differences(person, self.told.people.get(&person.id).unwrap_or(&nothing))).chain(gone).collect()
    }

    fn of_clients(&self, off: &BTreeSet<TenantId>) -> Vec<String> {
        let told: BTreeSet<TenantId> = self.told.clients.keys().copied().filter(|client| self.told.is_off(*client)).collect();
        let on =
            told.difference(off).map(|client| format!("client {client} is on in the store, and was switched off by the log: {PUT_BACK}"));
        on.chain(off.difference(&told).map(|client| format!("client {client} is switched off in the store, and on by the log"))).collect()
    }
}

const PUT_BACK: &str = "an earlier state was put back";

/// What somebody's record says otherwise than was told. Of an address that their directory gave nothing was told.
fn differences(person: &Person, told: &OfPerson) -> Vec<String> {
    let id = person.id;
    let mut found = Vec::new();
    match (person.has_access(), told.ended.as_ref().is_some_and(|ended| ended.is)) {
        (true, true) => found.push(format!("the access of person {id} is there in the store, and was taken away by the log: {PUT_BACK}")),
        (false, false) => found.push(format!("the access of person {id} is taken away in the store, and stands by the log")),
        (true, false) => {
            let (is, said) = (seconds(person.standing.until), told.until.as_ref().and_then(|until| until.is));
            if is != said {
                found.push(format!("the access of person {id} is {} in the store, and {} by the log", end(is), end(said)));
            }
        }
        (false, true) => {}
    }
    let said = told.same_as.as_ref().and_then(|same_as| same_as.is);
    if person.same_as != said {
        found.push(format!("the account of person {id} is {} in the store, and {} by the log", whose(person.same_as), whose(said)));
    }
    if told.email.as_ref().is_some_and(|email| email.is != person.email) {
        found.push(format!("the address of person {id} is another one in the store than by the log"));
    }
    found
}

fn name(client: TenantId, person: PersonId) -> String {
    format!("the grant of person {person} for client {client}")
}

fn words(roles: &[Value], until: Option<i64>) -> String {
    if roles.is_empty() {
        return "taken away".into();
    }
    let roles: Vec<&str> = roles.iter().filter_map(Value::as_str).collect();
    format!("{} {}", roles.join(" and "), end(until))
}

fn whose(other: Option<PersonId>) -> String {
    other.map_or_else(|| "nobody else's".into(), |other| format!("also person {other}'s"))
}

fn end(until: Option<i64>) -> String {
    let until = until.and_then(|until| OffsetDateTime::from_unix_timestamp(until).ok());
    until.map_or_else(|| "without an end".into(), |until| format!("until {until}"))
}

fn seconds(at: Option<OffsetDateTime>) -> Option<i64> {
    at.map(OffsetDateTime::unix_timestamp)
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use time::Duration;
    use uuid::Uuid;

    use super::*;
    use crate::tenancy::Actor;

    #[test]
    fn of_two_changes_the_later_in_the_log_counts_though_its_clock_was_behind() {
        let (client, priya, noon) = (TenantId(Uuid::from_u128(100)), PersonId(Uuid::from_u128(1)), OffsetDateTime::UNIX_EPOCH);
        let grants = json!([{ "person": priya, "roles": ["approver"], "until": null }]);
        let mut fold = Fold::default();
        let items = [
            ("client.added", json!({ "grants": grants }), noon),
            ("client.grants_changed", json!({ "before": grants, "after": [] }), noon - Duration::MINUTE),
        ];
        for (kind, detail, at) in items {
            let (kind, object, actor) = (kind.to_owned(), format!("client {client}"), Actor::Function("test".into()));
            fold.take(&Shown { place: None, at, kind, object, actor, correlation: String::new(), detail });
        }
        assert_eq!(fold.told.may_approve(client, priya, noon), Some(false));
    }
}
