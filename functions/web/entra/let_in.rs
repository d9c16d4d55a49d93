//! People whom Entra vouches for and nobody here knows: they ask to be let in, and an owner says yes or no.
//!
//! Asking is bounded (once per identity, few of a directory at a time, a week), because anybody of an allowed directory can do it. What
//! the token says of name and address is shown to the owner, who writes down what holds.

use serde::{Deserialize, Serialize};
use serde_json::json;
use time::{Duration, OffsetDateTime};

use super::{access, verify::Claims};
use crate::{
    app::App,
    audit,
    tenancy::{
        DeploymentPlace, DeploymentScope, PersonId, Record, Roster, Store, StoreError,
        directory::{Identity, Origin, Ownership, Person, Standing, is_plain_address},
        outbox,
    },
    web::{Request, pages::FieldError, session::scope},
};

/// Who may wait at once, of one directory: strangers of one keep nobody of another out.
const MOST: usize = 50;
/// Together with those of it who were turned away.
const MOST_KEPT: usize = 500;
/// Requests that the sweep deletes in one batch.
const TOGETHER: usize = 100;
const KEEP: Duration = Duration::days(7);

const MAX_NAME_CHARS: usize = 120;

/// Somebody who wants in.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Asking {
    pub identity: Identity,
    /// As their directory has it.
    pub name: String,
    pub email: String,
    /// With which they sign in there.
    #[serde(default)]
    pub sign_in_name: Option<String>,
    /// [`Standing::is_guest`].
    #[serde(default)]
    pub is_guest: bool,
    #[serde(with = "time::serde::rfc3339")]
    pub asked_at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339")]
    pub expires_at: OffsetDateTime,
    /// An owner said no; until it expires they need not say it again.
    pub turned_away: bool,
    /// Owners whose mail about it is over, sent or refused.
    #[serde(default)]
    pub told: Vec<PersonId>,
}

impl Record for Asking {
    const KIND: &'static str = "asking";
    const SCHEMA: u32 = 1;

    fn key(&self) -> String {
        self.identity.person().to_string()
    }
}

impl Asking {
    /// Nobody has answered, and it is not too late to.
    pub fn waits(&self, now: OffsetDateTime) -> bool {
        !self.turned_away && self.expires_at > now
    }
}

/// Message to `notify`: an owner is told of the request of this person, if it still waits.
#[derive(Debug, Serialize, Deserialize)]
pub struct AskedV1 {
    pub person: PersonId,
    /// How often the mail service did not take it.
    #[serde(default)]
    pub tries: u32,
}

/// What became of asking.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// Under People, for an owner.
    Waits,
    /// An owner said no.
    TurnedAway,
    /// Too many wait already.
    Full,
}

impl Asked {
    pub(super) fn words(self) -> &'static str {
        match self {
            Self::Waits => {
                "Your organization confirmed who you are, but nobody has let you in to Assay. Your request waits under People for a week; tell the owner of this installation, and sign in again when they have let you in."
            }
            Self::TurnedAway => {
                "Your organization confirmed who you are, but the owner of this installation did not let you in to Assay. If that is a mistake, talk to them: for a week they can still let you in under People."
            }
            Self::Full => {
                "Your organization confirmed who you are, but nobody has let you in to Assay, and many others already wait. Ask the owner of this installation yourself, then sign in again."
            }
        }
    }
}

/// Why nobody was let in.
#[derive(Debug, thiserror::Error)]
pub enum LetInError {
    #[error("the form is not in order")]
    Form(Vec<FieldError>),
    /// They asked too long ago, or another owner has answered.
    #[error("nobody asks under this id")]
    Gone,
    #[error(transparent)]
    Store(#[from] StoreError),
}

type Directory<'a> = Store<'a, DeploymentPlace>;

pub(super) async fn ask(app: &App, request: &Request, identity: Identity, claims: &Claims) -> Result<Asked, StoreError> {
    let store = scope(&request.invocation_id).store(app).await?;
    let known = store.all::<Asking>(DeploymentPlace::Directory, "").await?;
    let now = app.now();
    let earlier = known.iter().find(|held| held.value.identity == identity);
    if let Some(held) = earlier.filter(|held| held.value.expires_at > now) {
        return Ok(if held.value.turned_away { Asked::TurnedAway } else { Asked::Waits });
    }
    let kept = known.iter().filter(|held| held.value.expires_at > now && held.value.identity.tid == identity.tid);
    if kept.clone().count() >= MOST_KEPT || kept.filter(|held| !held.value.turned_away).count() >= MOST {
        return Ok(Asked::Full);
    }
    let Person { name, email, sign_in_name, .. } = person(identity, claims, None, now);
    let asking = Asking {
        identity,
        name,
        email,
        sign_in_name,
        is_guest: claims.is_guest,
        asked_at: now,
        expires_at: now + KEEP,
        turned_away: false,
        told: Vec::new(),
    };
    let mut batch = store.batch(DeploymentPlace::Directory);
    let detail = json!({ "name": asking.name, "email": asking.email, "sign_in_name": asking.sign_in_name, "guest": asking.is_guest });
    let detail = identity.into_detail(detail);
    audit::record(&mut batch, audit::Event::new("person.asked", format!("person {}", identity.person()), detail));
    batch.put(asking, earlier.map(|held| held.etag.clone()));
    if app.config.mails {
        outbox::send(&mut batch, "notify", &AskedV1 { person: identity.person(), tries: 0 }, std::time::Duration::ZERO)?;
    }
    match batch.commit().await {
        // They asked twice at once.
        Err(error) if error.is_conflict() => return Ok(Asked::Waits),
        other => other?,
    }
    // The request is durable; what cannot be sent now is sent by the sweep.
    if app.config.mails
        && let Err(error) = outbox::flush(&store, DeploymentPlace::Directory).await
    {
        tracing::warn!(error = %error, "the outbox waits for the sweep");
    }
    Ok(Asked::Waits)
}

/// How many wait for an answer, as it was half a minute ago at most: on every page of an owner. Who has access all the same
/// and asks for nothing is counted until the sweep.
pub async fn waiting(store: &Directory<'_>) -> Result<usize, StoreError> {
    const REMEMBERED: Duration = Duration::seconds(30);
    let (app, now) = (store.app(), store.app().now());
    let name = store.owner().remembers(DeploymentPlace::Directory, Asking::KIND);
    if let Some(count) = app.memory.recall::<usize>(&name, now - REMEMBERED) {
        return Ok(*count);
    }
    let moment = app.memory.moment(&name);
    let all = store.all::<Asking>(DeploymentPlace::Directory, "").await?;
    let count = all.iter().filter(|held| held.value.waits(now)).count();
    app.memory.keep(&name, std::sync::Arc::new(count), moment, now);
    Ok(count)
}

/// Whom an owner may let in: who waits for an answer, the longest first, and who was turned away.
pub async fn without_access(store: &Directory<'_>) -> Result<(Vec<Asking>, Vec<Asking>), StoreError> {
    let now = store.app().now();
    let all = store.all::<Asking>(DeploymentPlace::Directory, "").await?;
    let mut asking: Vec<Asking> = all.into_iter().map(|held| held.value).filter(|asking| asking.expires_at > now).collect();
    if !asking.is_empty() {
        let roster = Roster::read(store).await?;
        asking.retain(|asking| !is_inside(&roster, asking));
    }
    asking.sort_by_key(|asking| asking.asked_at);
    Ok(asking.into_iter().partition(|asking| !asking.turned_away))
}

/// Whether somebody is of the MSP's own people. What others are called, their own organization chooses.
pub fn is_own(app: &App, identity: Identity, is_guest: bool) -> bool {
    is_own_directory(app, identity) && !is_guest
}

/// Whether the directory is the MSP's own: the first that the settings name. In another, whoever runs that directory
/// chooses what its people are called.
pub fn is_own_directory(app: &App, identity: Identity) -> bool {
    app.config.entra().is_some_and(|entra| entra.directories.first() == Some(&identity.tid))
}

/// Whether the settings name them as an owner, so that they are one once they are let in.
pub fn is_named_owner(app: &App, identity: Identity) -> bool {
    is_own_directory(app, identity) && app.config.entra().is_some_and(|entra| entra.owner == Some(identity.oid))
}

/// The app registration's role that makes an owner.
pub const OWNER_ROLE: &str = "Owner";

/// Whether the MSP's own directory gave them the role. In another directory its own administrators hand out any role, also
/// this one, so there it says nothing.
pub(super) fn has_owners_role(app: &App, claims: &Claims) -> bool {
    let identity = Identity { tid: claims.tid, oid: claims.oid };
    is_own_directory(app, identity) && claims.roles.iter().any(|role| role == OWNER_ROLE)
}

/// Lets somebody in under this name and address. The caller has checked that an owner says so. What they may do for
/// a client is said on the client's own page.
pub async fn let_in(store: &Directory<'_>, id: &str, name: &str, email: &str, operates: bool) -> Result<Person, LetInError> {
    let asking = store.read::<Asking>(DeploymentPlace::Directory, id).await?.ok_or(LetInError::Gone)?;
    if asking.value.expires_at <= store.app().now() {
        return Err(LetInError::Gone);
    }
    let identity = asking.value.identity;
    let earlier = store.read::<Person>(DeploymentPlace::Directory, id).await?;
    // The settings made them an owner meanwhile: this answer comes too late to change what they have.
    if earlier.as_ref().is_some_and(|held| held.value.has_access()) {
        let mut batch = store.batch(DeploymentPlace::Directory);
        batch.delete(&asking);
        return match batch.commit().await {
            Err(error) if !error.is_conflict() => Err(error.into()),
            _ => Err(LetInError::Gone),
        };
    }
    let name = one_line(name);
    let is_guest = asking.value.is_guest;
    let wrong = faults(&name, email, operates && !is_own(store.app(), identity, is_guest));
    if !wrong.is_empty() {
        return Err(LetInError::Form(wrong));
    }
    // What they had before must not come to life again.
    if let Some(held) = &earlier {
        access::clear(store, &[&held.value]).await?;
    }
    let owns = is_named_owner(store.app(), identity);
    let mut person = Person {
        id: identity.person(),
        name,
        email: email.into(),
        is_owner: owns,
        operates,
        identity: Some(identity),
        sign_in_name: asking.value.sign_in_name.clone(),
        // Whose other account this is they are also when they come back.
        same_as: earlier.as_ref().and_then(|held| held.value.same_as),
        access_ended_at: None,
        standing: standing(Origin::now(store), is_guest, owns.then_some(Ownership::Settings)),
    };
    if let Some(held) = earlier.as_ref().filter(|_| person.same_as.is_none()) {
        person.same_as = Roster::read(store).await?.parted_by(&held.value, &person).map(|other| other.id);
    }
    let mut batch = store.batch(DeploymentPlace::Directory);
    batch.delete(&asking);
    batch.put(person.clone(), earlier.map(|held| held.etag));
    let detail = json!({ "name": person.name, "email": person.email, "operates": person.operates, "guest": is_guest });
    let mut detail = identity.into_detail(detail);
    if let Some(other) = person.same_as {
        detail["same_as"] = json!(other);
    }
    if owns {
        detail["owner"] = json!(true);
        detail["why"] = json!("let in by an owner, and named as the owner by the settings");
    }
    audit::record(&mut batch, audit::Event::new("person.added", format!("person {}", person.id), detail));
    match batch.commit().await {
        Err(error) if error.is_conflict() => Err(LetInError::Gone),
        other => Ok(other.map(|()| person)?),
    }
}

/// Says no.
pub async fn turn_away(store: &Directory<'_>, id: &str) -> Result<(), LetInError> {
    let mut asking = store.read::<Asking>(DeploymentPlace::Directory, id).await?.ok_or(LetInError::Gone)?;
    if asking.value.turned_away {
        return Ok(());
    }
    asking.value.turned_away = true;
    let mut batch = store.batch(DeploymentPlace::Directory);
    batch.replace(&asking);
    let detail = asking.value.identity.into_detail(json!({ "name": asking.value.name, "email": asking.value.email }));
    audit::record(&mut batch, audit::Event::new("person.turned_away", format!("person {id}"), detail));
    match batch.commit().await {
        Err(error) if error.is_conflict() => Err(LetInError::Gone),
        other => Ok(other?),
    }
}

/// Deletes what nobody answered in time, and what is left over of who has access by now; for the sweep. Returns how many.
pub async fn drop_expired(app: &App, correlation: &str) -> Result<usize, StoreError> {
    let store = DeploymentScope::of_function("sweep", correlation).store(app).await?;
    let mut over = store.all::<Asking>(DeploymentPlace::Directory, "").await?;
    if over.is_empty() {
        return Ok(0);
    }
    let roster = Roster::read(&store).await?;
    over.retain(|held| held.value.expires_at <= app.now() || is_inside(&roster, &held.value));
    for some in over.chunks(TOGETHER) {
        let mut batch = store.batch(DeploymentPlace::Directory);
        for held in some {
            batch.delete(held);
        }
        match batch.commit().await {
            // Somebody asks again at this moment; the next sweep takes the others.
            Err(error) if error.is_conflict() => {}
            other => other?,
        }
    }
    Ok(over.len())
}

fn is_inside(roster: &Roster, asking: &Asking) -> bool {
    roster.person(asking.identity.person()).is_some_and(Person::has_access)
}

/// Somebody as their token has them, cut to what fits.
pub(super) fn person(identity: Identity, claims: &Claims, ownership: Option<Ownership>, now: OffsetDateTime) -> Person {
    Person {
        id: identity.person(),
        name: claims.name.as_deref().and_then(shown).unwrap_or_else(|| "Somebody without a name".into()),
        email: claims.email.clone().filter(|email| is_plain_address(email)).unwrap_or_default(),
        is_owner: ownership.is_some(),
        // An owner runs the tools as long as they are one; what an owner gives of it is another thing.
        operates: false,
        identity: Some(identity),
        sign_in_name: claims.sign_in_name.as_deref().and_then(shown),
        same_as: None,
        access_ended_at: None,
        standing: standing(Origin { at: Some(now), by: None }, claims.is_guest, ownership),
    }
}

/// Of somebody who comes in now: whoever gave it has looked at it.
fn standing(given: Origin, is_guest: bool, ownership: Option<Ownership>) -> Standing {
    Standing { given, is_guest, ownership, until: None, confirmed_at: given.at }
}

/// A text of a stranger's as it may stand on a page.
fn shown(text: &str) -> Option<String> {
    let seen: String = text.chars().filter(|c| c.is_whitespace() || !is_hidden(*c)).collect();
    let cut: String = one_line(&seen).chars().take(MAX_NAME_CHARS).collect();
    Some(cut.trim_end().to_owned()).filter(|text| !text.is_empty())
}

/// Any run of white space is one blank.
pub(super) fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Control and format characters (Unicode categories Cc and Cf): nobody sees them, and some make a text read otherwise than
/// it is written.
fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{600}'..='\u{605}' | '\u{61c}' | '\u{6dd}' | '\u{70f}' | '\u{890}'..='\u{891}' | '\u{8e2}' | '\u{180e}'
            | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
            | '\u{110bd}' | '\u{110cd}' | '\u{13430}'..='\u{1343f}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0001}' | '\u{e0020}'..='\u{e007f}')
}

/// `wrongly_operates`: whose own people run the MSP's tools are the MSP's.
pub(super) fn faults(name: &str, email: &str, wrongly_operates: bool) -> Vec<FieldError> {
    let mut faults = Vec::new();
    if name.is_empty() || name.chars().count() > MAX_NAME_CHARS || name.chars().any(is_hidden) {
        let message = format!("Give the person's name, at most {MAX_NAME_CHARS} characters, without invisible ones.");
        faults.push(FieldError { field: "name", message });
    }
    if !is_plain_address(email) {
        faults.push(FieldError { field: "email", message: "Give an e-mail address, such as priya@example.net.".into() });
    }
    if wrongly_operates {
        let message = "Another organization's people cannot run the MSP's tools.".into();
        faults.push(FieldError { field: "operates", message });
    }
    faults
}
