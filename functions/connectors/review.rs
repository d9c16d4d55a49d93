//! The review of access: who can sign in and what they are in the installation, and for each client who may do what.
//!
//! Due every 90 days, or as the settings say (NIST SP 800-171 r2 3.1.1 and 3.1.2 ask who is authorized; the interval is
//! ours). Whoever reviews answers line by line: keep, end, or another last day. Answers, their effect and the record of the
//! review are one batch; where people pass what one batch holds, the record comes with the last.

#![allow(clippy::option_option, reason = "nothing to look over is another thing than never looked over")]
#![allow(clippy::implicit_hasher, reason = "the answers of one form")]

use std::{collections::HashMap, fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use serde_json::json;
use time::{Duration, OffsetDateTime};

use super::client::{self, ClientError, Given};
use crate::{
    audit,
    tenancy::{
        DeploymentPlace, Held, PersonId, Record, Roster, Store, StoreError, TenantId,
        directory::{Grant, LastSignIn, Origin, Ownership, Person, Role, Tenant},
        seal::sha256,
    },
    web::{entra::access, pages::FieldError},
};

/// Lines that one batch writes, beside the client, the record and the audit items.
const TOGETHER: usize = 45;

/// What a review is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum About {
    /// Who can sign in: owners, who runs the MSP's tools, and everybody else.
    Installation,
    Client(TenantId),
}

const INSTALLATION: &str = "installation";

impl fmt::Display for About {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Installation => f.write_str(INSTALLATION),
            Self::Client(tenant) => tenant.fmt(f),
        }
    }
}

impl FromStr for About {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        if text == INSTALLATION { Ok(Self::Installation) } else { text.parse().map(Self::Client).map_err(|_| ()) }
    }
}

/// What somebody has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// In the installation. Neither: they can sign in, and are nothing here but for clients.
    Installation {
        owner: Option<Option<Ownership>>,
        operates: bool,
    },
    Client(Vec<Role>),
}

/// One line of a review.
#[derive(Clone, Debug)]
pub struct Line {
    pub person: PersonId,
    /// `None` when nobody of this id is known.
    pub of: Option<Person>,
    pub what: What,
    pub given: Origin,
    pub until: Option<OffsetDateTime>,
    pub confirmed_at: Option<OffsetDateTime>,
    pub last_sign_in: Option<OffsetDateTime>,
}

#[derive(Clone, Debug)]
pub struct Review {
    pub about: About,
    /// Of the client; empty for the installation.
    pub client: String,
    /// By name; what nobody can use is among it.
    pub lines: Vec<Line>,
    pub is_due: bool,
    /// The newest first.
    pub earlier: Vec<AccessReview>,
}

/// What is to become of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    Keep,
    End,
    /// `None`: without an end.
    Until(Option<OffsetDateTime>),
}

/// That somebody looked over access, and what they said. Who it was about is named by id.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccessReview {
    pub about: About,
    pub by: PersonId,
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
    pub kept: Vec<PersonId>,
    pub ended: Vec<PersonId>,
    pub changed: Vec<NewEnd>,
}

/// A last day that a review gave or took away.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewEnd {
    pub person: PersonId,
    #[serde(with = "time::serde::rfc3339::option")]
    pub until: Option<OffsetDateTime>,
}

impl Record for AccessReview {
    const KIND: &'static str = "access-review";
    const SCHEMA: u32 = 1;

    /// In the order of time below what it is about.
    fn key(&self) -> String {
        format!("{}:{:012}", self.about, self.at.unix_timestamp())
    }
}

type Directory<'a> = Store<'a, DeploymentPlace>;

/// The installation first, then all clients, those first whose review is due longest.
pub async fn all(store: &Directory<'_>) -> Result<Vec<Review>, StoreError> {
    let roster = Roster::read(store).await?;
    let signed_in = store.all::<LastSignIn>(DeploymentPlace::Directory, "").await?;
    let signed_in: HashMap<PersonId, OffsetDateTime> = signed_in.into_iter().map(|held| (held.value.person, held.value.at)).collect();
    let mut earlier: HashMap<About, Vec<AccessReview>> = HashMap::new();
    for held in store.all::<AccessReview>(DeploymentPlace::Directory, "").await? {
        earlier.entry(held.value.about).or_default().insert(0, held.value);
    }
    let mut review = |about, client: &str, mut lines: Vec<Line>| {
        for line in &mut lines {
            line.last_sign_in = signed_in.get(&line.person).copied();
        }
        lines.sort_by_key(|line| (line.of.as_ref().map(|person| person.name.to_lowercase()), line.person.0));
        let is_due = is_due(oldest(lines.iter().map(|line| line.confirmed_at)), store);
        Review { about, client: client.to_owned(), lines, is_due, earlier: earlier.remove(&about).unwrap_or_default() }
    };
    let everybody = roster.people.iter().filter(|person| person.has_access()).map(of_person).collect();
    let installation = review(About::Installation, "", everybody);
    let mut tenants: Vec<&Tenant> = roster.tenants.iter().collect();
    tenants.sort_by_key(|tenant| {
        (oldest(roster.every_grant_of(tenant.id).map(|grant| grant.confirmed_at)).unwrap_or(Some(tenant.created_at)), tenant.name.clone())
    });
    let clients = tenants.into_iter().map(|tenant| {
        let lines = roster.every_grant_of(tenant.id).map(|grant| of_grant(grant, roster.person(grant.person))).collect();
        review(About::Client(tenant.id), &tenant.name, lines)
    });
    Ok([installation].into_iter().chain(clients.collect::<Vec<_>>()).collect())
}

fn of_person(person: &Person) -> Line {
    let owner = person.is_owner.then_some(person.standing.ownership);
    Line {
        person: person.id,
        of: Some(person.clone()),
        what: What::Installation { owner, operates: person.operates },
        given: person.standing.given,
        until: person.standing.until,
        confirmed_at: person.standing.confirmed_at,
        last_sign_in: None,
    }
}

fn of_grant(grant: &Grant, of: Option<&Person>) -> Line {
    Line {
        person: grant.person,
        of: of.cloned(),
        what: What::Client(grant.roles.clone()),
        given: grant.given,
        until: grant.until,
        confirmed_at: grant.confirmed_at,
        last_sign_in: None,
    }
}

/// How much is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Due {
    pub installation: bool,
    pub clients: usize,
}

/// For the owner's pages, from one look at everybody and all grants.
pub fn due(roster: &Roster, store: &Directory<'_>) -> Due {
    let mut of: HashMap<TenantId, Option<OffsetDateTime>> = HashMap::new();
    for grant in roster.every_grant() {
        of.entry(grant.tenant()).and_modify(|at| *at = (*at).min(grant.confirmed_at)).or_insert(grant.confirmed_at);
    }
    let everybody = roster.people.iter().filter(|person| person.has_access()).map(|person| person.standing.confirmed_at);
    Due {
        installation: is_due(oldest(everybody), store),
        clients: roster.tenants.iter().filter(|tenant| is_due(of.get(&tenant.id).copied(), store)).count(),
    }
}

/// `None` where there is nothing; of several the one that was confirmed longest ago, or never.
fn oldest(confirmed: impl Iterator<Item = Option<OffsetDateTime>>) -> Option<Option<OffsetDateTime>> {
    confirmed.min()
}

/// Never confirmed, or too long ago; never where there is nothing to look over.
fn is_due(oldest: Option<Option<OffsetDateTime>>, store: &Directory<'_>) -> bool {
    let (every, now) = (store.app().config.access_review, store.app().now());
    oldest.is_some_and(|at| at.is_none_or(|at| at + every <= now))
}

impl Review {
    /// What a form was made from.
    pub fn fingerprint(&self) -> String {
        fingerprint(self.lines.iter())
    }
}

fn fingerprint<'l>(lines: impl Iterator<Item = &'l Line>) -> String {
    let mut lines: Vec<String> = lines.map(|line| format!("{} {:?} {:?}", line.person, line.what, line.until)).collect();
    lines.sort();
    sha256(lines.join("\n").as_bytes())
}

/// Whether an answer gives somebody more than they have.
pub fn gives_more(until: Option<OffsetDateTime>, answer: Answer) -> bool {
    match (until, answer) {
        (_, Answer::Keep | Answer::End) | (None, Answer::Until(_)) => false,
        (Some(_), Answer::Until(None)) => true,
        (Some(before), Answer::Until(Some(after))) => after > before,
    }
}

/// Records the review with its effect, for a caller who has checked that an owner says so and saw exactly this (`seen`).
/// Refused when it changed since. Who is not answered for is kept.
pub async fn record(
    store: &Directory<'_>,
    owner: PersonId,
    about: About,
    seen: &str,
    answers: &HashMap<PersonId, Answer>,
) -> Result<(), ClientError> {
    if let Some(Answer::Until(Some(_))) = answers.values().find(|answer| is_past(**answer, store.app().now())) {
        return Err(wrong("A last day lies in the past: give a day to come, or end it."));
    }
    let of = |person: PersonId| answers.get(&person).copied().unwrap_or(Answer::Keep);
    match about {
        About::Installation => of_installation(store, owner, seen, &of).await,
        About::Client(tenant) => of_client(store, owner, tenant, seen, &of).await,
    }
}

fn is_past(answer: Answer, now: OffsetDateTime) -> bool {
    matches!(answer, Answer::Until(Some(until)) if until <= now)
}

fn wrong(message: &str) -> ClientError {
    ClientError::Form(FieldError { field: "answers", message: message.into() })
}

/// What a review says, as the lines come by.
fn said(about: About, by: PersonId, at: OffsetDateTime, answers: impl Iterator<Item = (PersonId, Answer)>) -> AccessReview {
    let mut review = AccessReview { about, by, at, kept: Vec::new(), ended: Vec::new(), changed: Vec::new() };
    for (person, answer) in answers {
        match answer {
            Answer::Keep => review.kept.push(person),
            Answer::End => review.ended.push(person),
            Answer::Until(until) => review.changed.push(NewEnd { person, until }),
        }
    }
    review
}

impl AccessReview {
    fn event(&self) -> audit::Event {
        let changed: Vec<_> = self
            .changed
            .iter()
            .map(|one| json!({ "person": one.person, "until": one.until.map(OffsetDateTime::unix_timestamp) }))
            .collect();
        let detail = json!({ "kept": self.kept, "ended": self.ended, "changed": changed });
        match self.about {
            About::Installation => audit::Event::new("people.access_reviewed", INSTALLATION, detail),
            About::Client(tenant) => audit::Event::new("client.access_reviewed", format!("client {tenant}"), detail),
        }
    }
}

async fn of_client(
    store: &Directory<'_>,
    owner: PersonId,
    id: TenantId,
    seen: &str,
    answer: &(dyn Fn(PersonId) -> Answer + Sync),
) -> Result<(), ClientError> {
    let now = store.app().now();
    // Read before the grants: a change of any of them renews it.
    let Some(client) = store.read::<Tenant>(DeploymentPlace::Directory, &id.to_string()).await? else { return Ok(()) };
    let roster = Roster::read(store).await?;
    let mut held = store.all::<Grant>(DeploymentPlace::Directory, &format!("{id}:")).await?;
    let lines: Vec<Line> = held.iter().map(|held| of_grant(&held.value, None)).collect();
    if fingerprint(lines.iter()) != seen {
        return Err(ClientError::overtaken());
    }
    let assessor_stays = |held: &Held<Grant>| held.value.has(Role::Assessor) && answer(held.value.person) == Answer::Until(None);
    if held.iter().any(assessor_stays) {
        return Err(wrong("An assessor's access ends: give the last day."));
    }
    let counts = |grant: &Grant| roster.person(grant.person).is_some_and(|person| person.may_sign_in(&store.app().config, now));
    let before: Vec<Given> = held.iter().map(|held| &held.value).filter(|grant| counts(grant) && grant.holds(now)).map(given).collect();
    let after: Vec<Given> = before.iter().filter(|given| answer(given.person) != Answer::End).cloned().collect();
    if let Some(why) = client::nobody_decides(&after).filter(|_| client::nobody_decides(&before).is_none()) {
        return Err(wrong(&format!("{why} Give somebody else the role first, on the client's own page.")));
    }
    // What is taken away first, if it does not fit into one batch.
    held.sort_by_key(|held| (answer(held.value.person) != Answer::End, held.value.person.0));
    let review = said(About::Client(id), owner, now, held.iter().map(|held| (held.value.person, answer(held.value.person))));
    let mut chunks = held.chunks(TOGETHER).collect::<Vec<_>>();
    if chunks.is_empty() {
        chunks.push(&[]);
    }
    let last = chunks.len() - 1;
    for (n, some) in chunks.into_iter().enumerate() {
        let part = said(review.about, owner, now, some.iter().map(|held| (held.value.person, answer(held.value.person))));
        let mut batch = store.batch(DeploymentPlace::Directory);
        if n == 0 {
            // Its content stays; its etag goes on, so that of two changes at once one is refused.
            batch.replace(&client);
        }
        for one in some {
            let mut kept = one.clone();
            kept.value.confirmed_at = Some(now);
            match answer(one.value.person) {
                Answer::End => {
                    batch.delete(one);
                    continue;
                }
                Answer::Until(until) => kept.value.until = until,
                Answer::Keep => {}
            }
            batch.replace(&kept);
        }
        // Each batch says what it does; the review stands when all of it is done.
        audit::record(&mut batch, part.event());
        if n == last {
            batch.create(&review);
        }
        commit(batch.commit().await)?;
    }
    Ok(())
}

fn given(grant: &Grant) -> Given {
    Given { person: grant.person, roles: grant.roles.clone(), until: grant.until }
}

async fn of_installation(
    store: &Directory<'_>,
    owner: PersonId,
    seen: &str,
    answer: &(dyn Fn(PersonId) -> Answer + Sync),
) -> Result<(), ClientError> {
    let now = store.app().now();
    if answer(owner) != Answer::Keep {
        return Err(wrong("You do not end your own access, nor give it a last day; another owner can."));
    }
    let mut held = store.all::<Person>(DeploymentPlace::Directory, "").await?;
    held.retain(|held| held.value.has_access());
    let lines: Vec<Line> = held.iter().map(|held| of_person(&held.value)).collect();
    if fingerprint(lines.iter()) != seen {
        return Err(ClientError::overtaken());
    }
    // Whoever reviews stands in the first batch, so that of two owners who end each other one is refused; then what is taken.
    held.sort_by_key(|held| (held.value.id != owner, answer(held.value.id) != Answer::End, held.value.id.0));
    let review = said(About::Installation, owner, now, held.iter().map(|held| (held.value.id, answer(held.value.id))));
    let mut ended = Vec::new();
    let chunks = held.chunks(TOGETHER).collect::<Vec<_>>();
    let last = chunks.len().saturating_sub(1);
    for (n, some) in chunks.into_iter().enumerate() {
        let part = said(review.about, owner, now, some.iter().map(|held| (held.value.id, answer(held.value.id))));
        let mut batch = store.batch(DeploymentPlace::Directory);
        for one in some {
            let mut kept = one.clone();
            kept.value.standing.confirmed_at = Some(now);
            match answer(one.value.id) {
                Answer::End => {
                    kept.value = access::ended(&one.value, now);
                    audit::record(&mut batch, access::ended_event(&one.value, "a review of access"));
                    ended.push(kept.value.clone());
                }
                Answer::Until(until) => kept.value.standing.until = until,
                Answer::Keep => {}
            }
            batch.replace(&kept);
        }
        // Each batch says what it does; the review stands when all of it is done.
        audit::record(&mut batch, part.event());
        if n == last {
            batch.create(&review);
        }
        commit(batch.commit().await)?;
    }
    // What an interruption leaves of it, the sweep ends.
    access::clear(store, &ended.iter().collect::<Vec<_>>()).await?;
    Ok(())
}

fn commit(outcome: Result<(), StoreError>) -> Result<(), ClientError> {
    match outcome {
        Err(error) if error.is_conflict() => Err(ClientError::overtaken()),
        other => Ok(other?),
    }
}

/// How long a confirmation counts, as a sentence says it.
pub fn interval(every: Duration) -> String {
    match every.whole_days() {
        1 => "every day".into(),
        days => format!("every {days} days"),
    }
}
