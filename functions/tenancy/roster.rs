//! The roster: everybody, what each may do for which client, and the clients, as one look at the directory finds them.
//!
//! Every page and many functions need some of it, and people change it seldom. So a process remembers it whole, and asks
//! the store each time only whether the directory's stamp is still the one it was read under: access that was taken away
//! is gone with the next request, wherever it was taken. It changes nothing; who changes the directory reads what is there.

use std::{collections::BTreeSet, sync::Arc};

use time::{Duration, OffsetDateTime};

use super::{
    DeploymentPlace, Gathered, Held, PersonId, Record, Store, StoreError, TenantId, Wanted,
    batch::{STAMP, Stamp},
    directory::{Grant, KeysChanged, Person, SwitchedOff, Tenant},
    keys::{self, Owner},
    policy_mark::PolicyMark,
};
use crate::{app::App, config::Config, platform::ports::Etag};

/// How long it is remembered at most, whatever the stamp says.
const REMEMBERED: Duration = Duration::minutes(10);

pub struct Roster {
    stamp: Option<Etag>,
    /// Records that are there and left out.
    pub unreadable: Vec<StoreError>,
    pub people: Vec<Person>,
    grants: Vec<Grant>,
    off: BTreeSet<TenantId>,
    pub tenants: Vec<Tenant>,
    policy_marks: Vec<PolicyMark>,
}

type Directory<'a> = Store<'a, DeploymentPlace>;

impl Roster {
    /// What it is made of; a batch that touches one of these renews the stamp.
    pub(super) const KINDS: [&'static str; 6] =
        [Person::KIND, Grant::KIND, Tenant::KIND, PolicyMark::KIND, SwitchedOff::KIND, KeysChanged::KIND];

    pub async fn read(store: &Directory<'_>) -> Result<Arc<Self>, StoreError> {
        let found = store.gather(DeploymentPlace::Directory, vec![Self::stamp()]).await?;
        Self::among(store, &found).await
    }

    /// For a caller that needs more of the directory in the same round trip; then [`Roster::among`].
    pub fn stamp() -> Wanted {
        Wanted::one::<Stamp>(STAMP)
    }

    /// The roster as of the stamp that was gathered.
    pub async fn among(store: &Directory<'_>, found: &Gathered<'_, '_, DeploymentPlace>) -> Result<Arc<Self>, StoreError> {
        let stamp = found.one::<Stamp>(STAMP).await?.map(|held| held.etag);
        let (app, name) = (store.app(), store.owner().remembers(DeploymentPlace::Directory, Stamp::KIND));
        let remembered = app.memory.recall::<Self>(&name, app.now() - REMEMBERED);
        if let Some(roster) = remembered.filter(|roster| stamp.is_some() && roster.stamp == stamp) {
            return Ok(roster);
        }
        let moment = app.memory.moment(&name);
        let whole = vec![
            Self::stamp(),
            Wanted::all::<Person>(""),
            Wanted::all::<Grant>(""),
            Wanted::all::<Tenant>(""),
            Wanted::all::<PolicyMark>(""),
            Wanted::all::<SwitchedOff>(""),
            Wanted::all::<KeysChanged>(""),
        ];
        let found = store.gather(DeploymentPlace::Directory, whole).await?;
        forget_keys(app, found.all_of_each("").await?);
        let mut unreadable = Vec::new();
        let roster = Arc::new(Self {
            people: readable(found.all_of_each("").await?, &mut unreadable)?,
            grants: readable(found.all_of_each("").await?, &mut unreadable)?,
            tenants: readable(found.all_of_each("").await?, &mut unreadable)?,
            policy_marks: readable(found.all_of_each("").await?, &mut unreadable)?,
            off: switched_off(found.all_of_each("").await?)?,
            unreadable,
            stamp,
        });
        // Of the same moment as the stamp, or another reader would take it for what that stamp stands for.
        if found.one::<Stamp>(STAMP).await?.map(|held| held.etag) == roster.stamp {
            app.memory.keep(&name, roster.clone(), moment, app.now());
        }
        Ok(roster)
    }

    /// The same with some people as they should be; `None` where nobody is to be put right.
    pub fn with_people(&self, put_right: impl Fn(&Person) -> Option<Person>) -> Option<Self> {
        let right: Vec<Option<Person>> = self.people.iter().map(put_right).collect();
        right.iter().any(Option::is_some).then(|| Self {
            stamp: None,
            unreadable: vec![],
            people: self.people.iter().zip(right).map(|(person, right)| right.unwrap_or_else(|| person.clone())).collect(),
            grants: self.grants.clone(),
            off: self.off.clone(),
            tenants: self.tenants.clone(),
            policy_marks: self.policy_marks.clone(),
        })
    }

    pub fn person(&self, id: PersonId) -> Option<&Person> {
        self.people.iter().find(|person| person.id == id)
    }

    pub fn people_who_may_sign_in<'p>(&'p self, config: &'p Config, now: OffsetDateTime) -> impl Iterator<Item = &'p Person> {
        self.people.iter().filter(move |person| person.may_sign_in(config, now))
    }

    pub fn tenant(&self, id: TenantId) -> Option<&Tenant> {
        self.tenants.iter().find(|tenant| tenant.id == id)
    }

    /// Whether the client is switched off: then nobody's grant gives anything, and no scope is made for its records.
    pub fn is_off(&self, tenant: TenantId) -> bool {
        self.off.contains(&tenant)
    }

    /// [`StoreError::SwitchedOff`] for a client that is switched off.
    pub fn must_be_on(&self, tenant: TenantId) -> Result<(), StoreError> {
        if self.is_off(tenant) { Err(StoreError::SwitchedOff { owner: Owner::Tenant(tenant).to_string() }) } else { Ok(()) }
    }

    /// The clients that are not switched off.
    pub fn tenants_on(&self) -> impl Iterator<Item = &Tenant> {
        self.tenants.iter().filter(|tenant| !self.is_off(tenant.id))
    }

    /// One person's grants for all clients, as far as they hold now; none for a client that is switched off.
    pub fn grants_for(&self, person: PersonId, now: OffsetDateTime) -> impl Iterator<Item = &Grant> {
        self.grants.iter().filter(move |grant| grant.person == person && grant.holds(now) && !self.is_off(grant.tenant()))
    }

    /// Everybody's grants for one client, as far as they hold now; none for one that is switched off.
    pub fn grants_of(&self, tenant: TenantId, now: OffsetDateTime) -> impl Iterator<Item = &Grant> {
        self.grants.iter().filter(move |grant| grant.tenant() == tenant && grant.holds(now) && !self.is_off(tenant))
    }

    /// The same with those that have ended or rest: for who looks over them.
    pub fn every_grant_of(&self, tenant: TenantId) -> impl Iterator<Item = &Grant> {
        self.every_grant().filter(move |grant| grant.tenant() == tenant)
    }

    /// Everybody's, for every client, also those that have ended.
    pub fn every_grant(&self) -> impl Iterator<Item = &Grant> {
        self.grants.iter()
    }

    /// Which version of the client's policy stood highest; `None`: it was not written down yet.
    pub fn policy_mark(&self, tenant: TenantId) -> Option<&PolicyMark> {
        self.policy_marks.iter().find(|mark| mark.tenant == tenant)
    }

    /// Who the human behind an account is, by one of their accounts, the same for all of them: those whom an owner linked
    /// ([`Person::same_as`]), and those with the same mail address. Two accounts of one human decide nothing together.
    pub fn human(&self, person: PersonId) -> PersonId {
        human_among(&self.people, person)
    }

    /// The account that would stop being the same human's as this one, if `after` were written in place of `before`: their
    /// mail address alone joined them.
    pub fn parted_by(&self, before: &Person, after: &Person) -> Option<&Person> {
        let then: Vec<Person> = self.people.iter().map(|one| if one.id == after.id { after } else { one }).cloned().collect();
        let mut joined = self.people.iter().filter(|other| other.id != before.id && has_address_of(before, other));
        joined.find(|other| human_among(&then, other.id) != human_among(&then, after.id))
    }

    /// The client's name, for people.
    pub fn client_name(&self, id: TenantId) -> String {
        self.tenant(id).map_or_else(|| "A client".into(), |tenant| tenant.name.clone())
    }

    /// The person's name, for people.
    pub fn person_name(&self, id: PersonId) -> String {
        self.person(id).map_or_else(|| "Somebody who has left".into(), |person| person.name.clone())
    }
}

fn human_among(people: &[Person], person: PersonId) -> PersonId {
    let mut all = vec![person];
    let mut looked_at = 0;
    while let Some(id) = all.get(looked_at).copied() {
        looked_at += 1;
        let one = people.iter().find(|one| one.id == id);
        let same = |other: &Person| {
            other.same_as == Some(id) || one.is_some_and(|one| one.same_as == Some(other.id) || has_address_of(one, other))
        };
        let more: Vec<PersonId> = people.iter().filter(|other| same(other) && !all.contains(&other.id)).map(|other| other.id).collect();
        all.extend(more);
    }
    all.into_iter().min_by_key(|id| id.0).unwrap_or(person)
}

fn has_address_of(one: &Person, other: &Person) -> bool {
    // Addresses are plain ASCII (`directory::is_plain_address`).
    !one.email.is_empty() && one.email.eq_ignore_ascii_case(&other.email)
}

/// What is in memory may be of before the change. Those of long ago every process has heard of: it reads all of this anew
/// after [`REMEMBERED`] at the latest.
fn forget_keys(app: &App, changed: Vec<Result<Held<KeysChanged>, StoreError>>) {
    for changed in changed.into_iter().filter_map(Result::ok).map(|held| held.value) {
        if app.now() - changed.at < REMEMBERED * 2 {
            app.cache.forget(&keys::cached(Owner::Tenant(changed.tenant)));
        }
    }
}

/// A mark that cannot be read stands all the same: its key says whose it is, and what is switched off is never on by damage.
fn switched_off(found: Vec<Result<Held<SwitchedOff>, StoreError>>) -> Result<BTreeSet<TenantId>, StoreError> {
    let of = |record: Result<Held<SwitchedOff>, StoreError>| match record {
        Ok(held) => Ok(held.value.tenant()),
        Err(error) => match error.unreadable::<SwitchedOff>().and_then(|key| key.parse().ok()) {
            Some(tenant) => Ok(tenant),
            None => Err(error),
        },
    };
    found.into_iter().map(of).collect()
}

/// Without the records that cannot be read: who stands in one has less access, and everybody else is not kept out.
fn readable<T>(found: Vec<Result<Held<T>, StoreError>>, unreadable: &mut Vec<StoreError>) -> Result<Vec<T>, StoreError> {
    let mut values = Vec::with_capacity(found.len());
    for record in found {
        match record {
            Ok(held) => values.push(held.value),
            Err(error) if error.concerns_one_record() => {
                tracing::error!(error = %error, "a record of the directory is left out");
                unreadable.push(error);
            }
            Err(error) => return Err(error),
        }
    }
    Ok(values)
}
