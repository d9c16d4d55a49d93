//! Who may approve for which client, and which accounts are one human's, told item by item of the installation's log.
//!
//! Pure. Of two items about the same the later one counts, by the times they say, however often and in whatever order they
//! are told: an item may wait for its place and have it already, or be put back after it had it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use time::OffsetDateTime;

use crate::tenancy::{
    PersonId, TenantId,
    directory::{Person, Role},
};

/// The kinds of items that tell of it.
pub const KINDS: [&str; 9] = [
    "client.added",
    "client.grants_changed",
    "client.access_reviewed",
    "client.offboarding.switched_off",
    "client.offboarding.taken_back",
    "person.added",
    "person.changed",
    "person.access_ended",
    "people.access_reviewed",
];

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Told {
    pub clients: BTreeMap<TenantId, OfClient>,
    pub people: BTreeMap<PersonId, OfPerson>,
}

/// What was told of one client.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct OfClient {
    pub(super) grants: BTreeMap<PersonId, Given>,
    #[serde(default)]
    off: Option<Said<bool>>,
}

/// What was told of one person.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct OfPerson {
    /// Whether their access ended, for every client.
    #[serde(default)]
    pub(super) ended: Option<Said<bool>>,
    #[serde(default)]
    pub(super) until: Option<Said<Option<i64>>>,
    #[serde(default)]
    pub(super) same_as: Option<Said<Option<PersonId>>>,
    #[serde(default)]
    pub(super) email: Option<Said<String>>,
}

/// What somebody got for a client; without roles it was taken away.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Given {
    at: i64,
    pub(super) roles: Vec<Value>,
    pub(super) until: Option<i64>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Said<T> {
    at: i64,
    pub(super) is: T,
}

fn say<T>(known: &mut Option<Said<T>>, at: i64, is: T) {
    if known.as_ref().is_none_or(|known| known.at <= at) {
        *known = Some(Said { at, is });
    }
}

impl Told {
    /// One more item; others than [`KINDS`] say nothing.
    pub fn take(&mut self, kind: &str, object: &str, detail: &Value, at: OffsetDateTime) {
        if !KINDS.contains(&kind) {
            return;
        }
        // Microseconds: as exact as a clock, and a number that JSON keeps.
        let at = i64::try_from(at.unix_timestamp_nanos() / 1000).unwrap_or(i64::MAX);
        if let Some(client) = object.strip_prefix("client ").and_then(|id| id.parse().ok()) {
            self.clients.entry(client).or_default().take(kind, detail, at);
        }
        if let Some(person) = object.strip_prefix("person ").and_then(|id| id.parse().ok()) {
            self.people.entry(person).or_default().take(kind, detail, at);
            // Grants that went with their access.
            for client in list(&detail["clients"]).filter_map(|id| id.as_str()?.parse().ok()) {
                self.clients.entry(client).or_default().take_away(Some(person), at);
            }
        }
        if kind == "people.access_reviewed" {
            for change in list(&detail["changed"]) {
                let Some(person) = person(&change["person"]) else { continue };
                say(&mut self.people.entry(person).or_default().until, at, change["until"].as_i64());
            }
        }
    }

    /// Whether somebody may approve for the client; `None`: nobody told of a grant of theirs.
    pub fn may_approve(&self, tenant: TenantId, id: PersonId, now: OffsetDateTime) -> Option<bool> {
        let is_past = |until: Option<i64>| until.is_some_and(|until| until <= now.unix_timestamp());
        let person = self.people.get(&id);
        let ended = person.and_then(|person| person.ended.as_ref());
        let is_over = person.and_then(|person| person.until.as_ref()).is_some_and(|until| is_past(until.is));
        if ended.is_some_and(|ended| ended.is) || is_over {
            return Some(false);
        }
        let given = self.clients.get(&tenant)?.grants.get(&id)?;
        // Whoever is let in again has nothing of what they had.
        let is_before = person.and_then(OfPerson::let_in_again).is_some_and(|again| given.at < again);
        let approves = given.roles.contains(&serde_json::to_value(Role::Approver).unwrap_or_default());
        Some(approves && !is_past(given.until) && !is_before)
    }

    /// Whether the client is switched off.
    pub fn is_off(&self, tenant: TenantId) -> bool {
        self.clients.get(&tenant).and_then(|client| client.off.as_ref()).is_some_and(|off| off.is)
    }

    /// Somebody as they were told of, where their record says otherwise whom else they are.
    pub fn put_right(&self, person: &Person) -> Option<Person> {
        let told = self.people.get(&person.id)?;
        let mut right = person.clone();
        if let Some(same_as) = &told.same_as {
            right.same_as = same_as.is;
        }
        if let Some(email) = &told.email {
            right.email.clone_from(&email.is);
        }
        (right != *person).then_some(right)
    }
}

impl OfClient {
    fn take(&mut self, kind: &str, detail: &Value, at: i64) {
        match kind {
            "client.added" => self.give(&detail["grants"], at),
            "client.grants_changed" => {
                for grant in list(&detail["before"]) {
                    self.take_away(person(&grant["person"]), at);
                }
                self.give(&detail["after"], at);
            }
            "client.access_reviewed" => {
                for ended in list(&detail["ended"]) {
                    self.take_away(person(ended), at);
                }
                for change in list(&detail["changed"]) {
                    let given = person(&change["person"]).and_then(|person| self.grants.get_mut(&person));
                    if let Some(given) = given.filter(|given| given.at <= at) {
                        (given.at, given.until) = (at, change["until"].as_i64());
                    }
                }
            }
            "client.offboarding.switched_off" => say(&mut self.off, at, true),
            "client.offboarding.taken_back" => say(&mut self.off, at, false),
            _ => {}
        }
    }

    fn give(&mut self, grants: &Value, at: i64) {
        for grant in list(grants) {
            let Some(person) = person(&grant["person"]) else { continue };
            let roles = grant["roles"].as_array().cloned().unwrap_or_default();
            self.set(person, Given { at, roles, until: grant["until"].as_i64() });
        }
    }

    fn take_away(&mut self, person: Option<PersonId>, at: i64) {
        if let Some(person) = person {
            self.set(person, Given { at, roles: vec![], until: None });
        }
    }

    fn set(&mut self, person: PersonId, given: Given) {
        if self.grants.get(&person).is_none_or(|known| known.at <= given.at) {
            self.grants.insert(person, given);
        }
    }
}

impl OfPerson {
    fn take(&mut self, kind: &str, detail: &Value, at: i64) {
        match kind {
            "person.access_ended" => say(&mut self.ended, at, true),
            // Who becomes an owner at their sign-in came in before; who is let in gets an address.
            "person.added" if detail["owner"] == true && detail["email"].is_null() => {}
            "person.added" => {
                if self.ended.is_some() {
                    say(&mut self.ended, at, false);
                }
                say(&mut self.until, at, None);
                // Who comes back is still whose other account they were, or is from now on.
                if let Some(other) = person(&detail["same_as"]) {
                    say(&mut self.same_as, at, Some(other));
                }
                if let Some(email) = detail["email"].as_str() {
                    say(&mut self.email, at, email.into());
                }
            }
            "person.changed" => {
                let after = &detail["after"];
                say(&mut self.same_as, at, person(&after["same_as"]));
                if let Some(email) = after["email"].as_str() {
                    say(&mut self.email, at, email.into());
                }
            }
            _ => {}
        }
    }

    /// When they were let in after their access had ended.
    fn let_in_again(&self) -> Option<i64> {
        self.ended.as_ref().filter(|ended| !ended.is).map(|ended| ended.at)
    }
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn person(id: &Value) -> Option<PersonId> {
    id.as_str().and_then(|id| id.parse().ok())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;
    use uuid::Uuid;

    use super::*;

    const HARBOR: TenantId = TenantId(Uuid::from_u128(100));

    fn person(n: u128) -> PersonId {
        PersonId(Uuid::from_u128(n))
    }

    fn at(minute: i64) -> OffsetDateTime {
        OffsetDateTime::UNIX_EPOCH + time::Duration::minutes(minute)
    }

    fn item() -> impl Strategy<Value = (&'static str, String, Value)> {
        let who = || (1..3u128).prop_map(person);
        let grants = || {
            who().prop_flat_map(|who| any::<bool>().prop_map(move |approves| json!([{ "person": who, "roles": if approves { json!(["approver"]) } else { json!([]) }, "until": null }])))
        };
        let client = format!("client {HARBOR}");
        let of = move |who: PersonId| format!("person {who}");
        prop_oneof![
            (grants(), grants(), Just(client.clone())).prop_map(|(before, after, client)| (
                "client.grants_changed",
                client,
                json!({ "before": before, "after": after })
            )),
            (who(), Just(client)).prop_map(|(who, client)| (
                "client.access_reviewed",
                client,
                json!({ "kept": [], "ended": [who], "changed": [] })
            )),
            who().prop_map(move |who| ("person.access_ended", of(who), json!({ "clients": [HARBOR] }))),
            who().prop_map(move |who| ("person.added", of(who), json!({ "email": "a@b.example" }))),
            (who(), proptest::option::of(who())).prop_map(move |(who, same_as)| (
                "person.changed",
                of(who),
                json!({ "after": { "same_as": same_as } })
            )),
        ]
    }

    proptest! {
        #[test]
        fn it_is_the_same_in_whatever_order_and_however_often_it_is_told(
            items in proptest::collection::vec(item(), 0..12), seed in any::<u64>(),
        ) {
            let dated: Vec<_> = items.into_iter().zip(0..).map(|((kind, object, detail), minute)| (kind, object, detail, at(minute))).collect();
            let told = |order: &mut dyn Iterator<Item = usize>| {
                let mut told = Told::default();
                for n in order {
                    let (kind, object, detail, at) = &dated[n];
                    told.take(kind, object, detail, *at);
                }
                told
            };
            let straight = told(&mut (0..dated.len()));
            let mut mixed: Vec<usize> = (0..dated.len()).chain(0..dated.len()).collect();
            mixed.sort_by_key(|n| (*n as u64 + 1).wrapping_mul(seed | 1));
            let mixed = told(&mut mixed.into_iter().chain(0..dated.len()));
            for id in [person(1), person(2)] {
                prop_assert_eq!(straight.may_approve(HARBOR, id, at(99)), mixed.may_approve(HARBOR, id, at(99)));
            }
        }
    }

    #[test]
    fn what_was_said_earlier_and_is_told_again_changes_nothing() {
        let (client, priya, start) = (format!("client {HARBOR}"), person(1), time::macros::datetime!(2026-11-25 09:00 UTC));
        let given = json!([{ "person": priya, "roles": ["approver"], "until": null }]);
        let items = [
            ("client.added", json!({ "grants": given })),
            (
                "client.access_reviewed",
                json!({ "kept": [], "ended": [], "changed": [{ "person": priya, "until": start.unix_timestamp() + 9 }] }),
            ),
            ("client.grants_changed", json!({ "before": given, "after": [] })),
        ];
        let mut told = Told::default();
        let mut take = |n: usize| {
            let at = start + time::Duration::milliseconds(i64::try_from(n).expect("few"));
            told.take(items[n].0, &client, &items[n].1, at);
            [8, 9].map(|second| told.may_approve(HARBOR, priya, start + time::Duration::seconds(second)))
        };
        assert_eq!(take(0), [Some(true), Some(true)]);
        assert_eq!(take(1), [Some(true), Some(false)], "its last day was set");
        assert_eq!(take(0), [Some(true), Some(false)]);
        for n in [2, 1, 0] {
            assert_eq!(take(n), [Some(false), Some(false)], "it was taken away");
        }
    }

    #[test]
    fn what_is_given_at_the_moment_in_which_somebody_comes_back_is_theirs() {
        let (mut told, priya) = (Told::default(), person(1));
        told.take("person.access_ended", &format!("person {priya}"), &json!({}), at(1));
        told.take("person.added", &format!("person {priya}"), &json!({}), at(2));
        let gives = json!({ "grants": [{ "person": priya, "roles": ["approver"], "until": null }] });
        told.take("client.added", &format!("client {HARBOR}"), &gives, at(2));
        assert_eq!(told.may_approve(HARBOR, priya, at(3)), Some(true));
    }

    #[test]
    fn who_is_let_in_again_has_nothing_of_what_they_had() {
        let mut told = Told::default();
        let (client, priya) = (format!("client {HARBOR}"), person(1));
        let gives = json!({ "before": [], "after": [{ "person": priya, "roles": ["engineer", "approver"], "until": 60 * 50 }] });
        assert_eq!(told.may_approve(HARBOR, priya, at(0)), None, "nobody told of it");
        told.take("client.grants_changed", &client, &gives, at(1));
        assert_eq!(told.may_approve(HARBOR, priya, at(49)), Some(true));
        assert_eq!(told.may_approve(HARBOR, priya, at(50)), Some(false), "its last day has passed");
        told.take("person.access_ended", &format!("person {priya}"), &json!({}), at(2));
        assert_eq!(told.may_approve(HARBOR, priya, at(3)), Some(false));
        told.take("person.added", &format!("person {priya}"), &json!({}), at(3));
        assert_eq!(told.may_approve(HARBOR, priya, at(4)), Some(false));
        told.take("client.grants_changed", &client, &gives, at(5));
        assert_eq!(told.may_approve(HARBOR, priya, at(6)), Some(true));
        let shorter = json!({ "kept": [], "ended": [], "changed": [{ "person": priya, "until": 60 * 8 }] });
        told.take("people.access_reviewed", "installation", &shorter, at(7));
        assert_eq!(told.may_approve(HARBOR, priya, at(8)), Some(false));
    }

    #[test]
    fn a_grant_that_went_with_somebodys_access_was_taken_away_although_nobody_told_that_it_was_given() {
        let mut told = Told::default();
        let (object, priya) = (format!("person {}", person(1)), person(1));
        told.take("person.access_ended", &object, &json!({ "clients": [HARBOR] }), at(1));
        told.take("person.added", &object, &json!({ "email": "priya@northgate.example" }), at(2));
        assert_eq!(told.may_approve(HARBOR, priya, at(3)), Some(false));
        assert_eq!(told.may_approve(TenantId(Uuid::from_u128(101)), priya, at(3)), None);
    }

    #[test]
    fn who_becomes_an_owner_is_not_let_in_again_by_that() {
        let mut told = Told::default();
        let (client, object, priya) = (format!("client {HARBOR}"), format!("person {}", person(1)), person(1));
        told.take("person.access_ended", &object, &json!({}), at(1));
        told.take("person.added", &object, &json!({ "email": "priya@northgate.example", "owner": true }), at(2));
        let gives = json!({ "before": [], "after": [{ "person": priya, "roles": ["approver"], "until": null }] });
        told.take("client.grants_changed", &client, &gives, at(3));
        let ends = json!({ "changed": [{ "person": priya, "until": 60 * 8 }] });
        told.take("people.access_reviewed", "installation", &ends, at(4));
        told.take("person.added", &object, &json!({ "owner": true, "why": "the app role Owner" }), at(5));
        assert_eq!(told.may_approve(HARBOR, priya, at(6)), Some(true), "what they got since they came in is theirs");
        assert_eq!(told.may_approve(HARBOR, priya, at(8)), Some(false), "and ends when it ended");
    }

    #[test]
    fn whose_other_account_somebody_comes_back_as_counts_from_then_on() {
        let mut told = Told::default();
        let (priya, sam) = (person(1), person(2));
        let object = format!("person {priya}");
        told.take("person.changed", &object, &json!({ "after": { "same_as": null } }), at(1));
        told.take("person.added", &object, &json!({ "same_as": sam }), at(2));
        let same_as = |told: &Told| told.people[&priya].same_as.as_ref().and_then(|said| said.is);
        assert_eq!(same_as(&told), Some(sam));
        told.take("person.added", &object, &json!({}), at(3));
        assert_eq!(same_as(&told), Some(sam), "nothing was said of it");
    }
}
