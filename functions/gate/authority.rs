//! What the installation's log says of who may approve: so that a grant, a person's record or the mark of a client that is
//! switched off, which somebody puts back or deletes in the database, lets nothing run.
//!
//! Every change of them has its audit item. The sweep follows the log and keeps what is true by it in sixteen parts, in
//! another partition than the directory, and says as an alarm what the directory has otherwise. Before something runs, what
//! came since is read from the log itself, to the last entry that is there, and from the items that wait (as
//! [`super::ran`] does it for a client's log); so an older state of what is kept makes the look longer and never wrong.
//!
//! Who has no grant by the log but never had one that was taken away is believed: nobody writes a new grant without the
//! installation's data key, and an earlier release may have told of none. A decision goes by the directory alone, and until
//! somebody mends it, so does what such a person may read.

pub mod fold;
pub mod told;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use time::OffsetDateTime;

use self::told::{KINDS, OfClient, OfPerson, Told};
use crate::{
    audit::{
        self, Item,
        entry::{HEAD_KEY, Head},
        walk::{self, Walked, walk},
    },
    tenancy::{
        DeploymentPlace, Held, PersonId, Record, Roster, Store, StoreError, TenantId, Wanted,
        directory::{Person, Role},
        place::AuditPart,
    },
};

const PLACE: DeploymentPlace = DeploymentPlace::Log(AuditPart::Head);
/// Entries that one sweep follows, at most.
const AT_ONCE: u64 = 10_000;
/// Parts in which the clients are kept.
const PARTS: u8 = 16;
/// The part that keeps people.
const PEOPLE: &str = "people";

/// How far the log was followed, how often each part was written, and what the directory had otherwise at the last look:
/// said at the next one if it still has, since a change may come between two reads.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Followed {
    next: u64,
    /// A part that is put back alone was written less often.
    parts: BTreeMap<String, u64>,
    /// And whether it was said.
    otherwise: BTreeMap<String, bool>,
}

impl Record for Followed {
    const KIND: &'static str = "access-followed";
    /// 2: items are folded otherwise, so what was followed is followed anew.
    const SCHEMA: u32 = 2;

    fn key(&self) -> String {
        HEAD_KEY.into()
    }

    fn upgrade(_: u32, body: Value) -> Value {
        json!({ "next": 0, "parts": {}, "otherwise": body["otherwise"] })
    }
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Part {
    part: String,
    written: u64,
    clients: BTreeMap<TenantId, OfClient>,
    people: BTreeMap<PersonId, OfPerson>,
}

impl Record for Part {
    const KIND: &'static str = "access-told";
    const SCHEMA: u32 = 2;

    fn key(&self) -> String {
        self.part.clone()
    }

    fn upgrade(_: u32, body: Value) -> Value {
        json!({ "part": body["part"], "written": body["written"], "clients": {}, "people": {} })
    }
}

fn part_of(tenant: TenantId) -> String {
    format!("{:02}", tenant.0.as_bytes()[15] % PARTS)
}

/// The items of the directory that wait for their place; whoever asks [`told`] reads them in the same round trip as the
/// directory.
pub(super) fn waiting() -> Wanted {
    Wanted::all::<Item>("")
}

/// What the log, and what waits for its place, says of the people and of this client.
pub(super) async fn told(directory: &Store<'_, DeploymentPlace>, waiting: &[Held<Item>], tenant: TenantId) -> Result<Told, StoreError> {
    let parts = [part_of(tenant), PEOPLE.into()];
    let wanted = parts.iter().map(|part| Wanted::one::<Part>(part)).chain([Wanted::one::<Followed>(HEAD_KEY), walk::wanted()]);
    let kept = directory.gather(PLACE, wanted.collect()).await?;
    // Before the walk, which sees what is published meanwhile.
    let published = walk::published_among(directory, &kept).await?;
    let Followed { mut next, parts: written, .. } = kept.one::<Followed>(HEAD_KEY).await?.map(|held| held.value).unwrap_or_default();
    let mut told = Told::default();
    for part in &parts {
        let held = kept.one::<Part>(part).await?.map(|held| held.value).unwrap_or_default();
        if held.written < written.get(part).copied().unwrap_or_default() {
            next = 0;
        }
        told.clients.extend(held.clients);
        told.people.extend(held.people);
    }
    read_on(directory, &mut told, next, u64::MAX).await?.reaching(published)?;
    take_waiting(&mut told, waiting);
    Ok(told)
}

/// What the entries from there on tell, `most` of them at most.
async fn read_on(store: &Store<'_, DeploymentPlace>, told: &mut Told, from: u64, most: u64) -> Result<Walked, StoreError> {
    walk(store, from, most, |entry| {
        if let Some((leaf, detail)) = entry.of_kind(&KINDS) {
            told.take(&leaf.kind, &leaf.object, &detail, leaf.at);
        }
    })
    .await
}

fn take_waiting(told: &mut Told, waiting: &[Held<Item>]) {
    for Item { kind, object, detail, at, .. } in waiting.iter().map(|held| &held.value) {
        told.take(kind, object, detail, *at);
    }
}

/// Follows the log, and says what the directory has otherwise. For the sweep.
pub async fn watch(store: &Store<'_, DeploymentPlace>) -> Result<(), StoreError> {
    let wanted = vec![Wanted::one::<Head>(HEAD_KEY), Wanted::one::<Followed>(HEAD_KEY), Wanted::all::<Part>("")];
    let found = store.gather(PLACE, wanted).await?;
    // A head that was put back makes this later; nothing is missed.
    let length = found.one::<Head>(HEAD_KEY).await?.map_or(0, |held| held.value.next);
    let (mut followed, etag) = found.one::<Followed>(HEAD_KEY).await?.map_or_else(Default::default, |held| (held.value, Some(held.etag)));
    let mut held: BTreeMap<String, Held<Part>> =
        found.all::<Part>("").await?.into_iter().map(|held| (held.value.part.clone(), held)).collect();
    let written = |part: &String| held.get(part).map_or(0, |held| held.value.written);
    if followed.parts.iter().any(|(part, times)| written(part) < *times) {
        tracing::error!("ALARM: what the log says of access was put back; it is followed anew");
        followed.next = 0;
    }
    let mut told = Told::default();
    for part in held.values() {
        told.clients.extend(part.value.clients.clone());
        told.people.extend(part.value.people.clone());
    }
    if followed.next < length {
        let most = AT_ONCE.min(length - followed.next);
        followed.next = read_on(store, &mut told, followed.next, most).await?.reaching(length)?;
        // Each part by itself, since all of many clients may be more than one batch holds; after a crash the same entries are
        // followed again, and change nothing.
        for mut part in parts(&told) {
            let before = held.remove(&part.part);
            let times = before.as_ref().map_or(0, |before| before.value.written);
            part.written = times;
            if before.as_ref().is_none_or(|before| before.value != part) {
                part.written = times + 1;
                followed.parts.insert(part.part.clone(), part.written);
                let mut batch = store.batch(PLACE);
                batch.put(part, before.map(|before| before.etag));
                // Another sweep may have been faster.
                if !batch.commit_unless_overtaken().await? {
                    return Ok(());
                }
            }
        }
    }
    if followed.next >= length {
        say(store, &told, &mut followed.otherwise).await?;
    }
    let mut batch = store.batch(PLACE);
    batch.put(followed, etag);
    batch.commit_unless_overtaken().await.map(drop)
}

fn parts(told: &Told) -> Vec<Part> {
    let mut parts: BTreeMap<String, Part> = BTreeMap::new();
    for (tenant, client) in &told.clients {
        let part = parts.entry(part_of(*tenant)).or_default();
        part.clients.insert(*tenant, client.clone());
    }
    parts.insert(PEOPLE.into(), Part { people: told.people.clone(), ..Part::default() });
    parts.into_iter().map(|(name, part)| Part { part: name, ..part }).collect()
}

/// Says in the log what the directory has otherwise than was told, once for each, at the second look.
async fn say(store: &Store<'_, DeploymentPlace>, told: &Told, known: &mut BTreeMap<String, bool>) -> Result<(), StoreError> {
    let found = otherwise(store, told).await?;
    let mut now = BTreeMap::new();
    let mut batch = store.batch(DeploymentPlace::Directory);
    let mut news = 0;
    for (object, why) in found {
        let what = format!("{object}: {why}");
        // What does not fit into one batch is said by the next look.
        let is_said = match known.get(&what) {
            Some(false) if news < 40 => {
                tracing::error!(object, why, "ALARM: the directory is not as the log tells it");
                audit::record(&mut batch, audit::Event::new("access.put_back", object, json!({ "why": why })));
                news += 1;
                true
            }
            Some(is_said) => *is_said,
            None => false,
        };
        now.insert(what, is_said);
    }
    *known = now;
    // First in the log, then noted that it was: after a crash it is said twice, never not at all.
    batch.commit().await
}

/// As object and words.
async fn otherwise(store: &Store<'_, DeploymentPlace>, told: &Told) -> Result<Vec<(String, String)>, StoreError> {
    let (roster, now, mut told) = (Roster::read(store).await?, store.app().now(), told.clone());
    take_waiting(&mut told, &store.all(DeploymentPlace::Directory, "").await?);
    let approves = roster.every_grant().filter(|grant| grant.has(Role::Approver) && grant.holds(now));
    let taken = approves
        .filter(|grant| roster.person(grant.person).is_some_and(Person::has_access))
        .filter(|grant| told.may_approve(grant.tenant(), grant.person, now) == Some(false))
        .map(|grant| (format!("client {}", grant.tenant()), format!("person {} is an approver there, which was taken away", grant.person)));
    let people = roster.people.iter().filter(|person| told.put_right(person).is_some());
    let known =
        people.map(|person| (format!("person {}", person.id), "their address, or as whom else they are known, is an earlier one".into()));
    let on = roster.tenants_on().filter(|tenant| told.is_off(tenant.id));
    let off = on.map(|tenant| (format!("client {}", tenant.id), "it is on, and was switched off".into()));
    Ok(taken.chain(known).chain(off).collect())
}

/// Whether the log says that somebody whom the directory calls an approver is none; said loudly, since a record was put back.
pub(super) fn is_taken_away(told: &Told, tenant: TenantId, person: PersonId, now: OffsetDateTime) -> bool {
    let taken = told.may_approve(tenant, person, now) == Some(false);
    if taken {
        tracing::error!(%tenant, %person, "ALARM: a grant that was taken away is in the directory");
    }
    taken
}
