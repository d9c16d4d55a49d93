//! People whom Entra vouches for and nobody here knows: they ask to be let in, and an owner says yes or no.
//!
//! Asking is bounded (once per identity, few at a time, a week), because anybody of an allowed directory can do it. What
//! the token says of name and address is shown to the owner, who writes down what holds.

use serde::{Deserialize, Serialize};
use serde_json::json;
use time::{Duration, OffsetDateTime};

use super::{access, verify::Claims};
use crate::{
    app::App,
    audit,
    tenancy::{
        DeploymentPlace, DeploymentScope, Record, Store, StoreError,
        directory::{Identity, Person, is_plain_address},
    },
    web::{Request, pages::FieldError, session::scope},
};

/// Who may wait at once.
const MOST: usize = 50;
const KEEP: Duration = Duration::days(7);

const MAX_NAME_CHARS: usize = 120;

/// Somebody who wants in.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Asking {
    pub identity: Identity,
    /// As their directory has it.
    pub name: String,
    pub email: String,
    #[serde(with = "time::serde::rfc3339")]
    pub asked_at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339")]
    pub expires_at: OffsetDateTime,
    /// An owner said no; until it expires they need not say it again.
    pub turned_away: bool,
}

impl Record for Asking {
    const KIND: &'static str = "asking";
    const SCHEMA: u32 = 1;

    fn key(&self) -> String {
        self.identity.person().to_string()
    }
}

/// What became of asking.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// An owner sees it now, or saw it before.
    Waits,
    /// Too many wait already.
    Full,
}

impl Asked {
    pub(super) fn words(self) -> &'static str {
        match self {
            Self::Waits => {
                "Your organization confirmed who you are, but nobody has let you in to Assay. The owner of this installation has been asked; sign in again when they have answered."
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
    if earlier.is_some_and(|held| held.value.expires_at > now) {
        return Ok(Asked::Waits);
    }
    if known.iter().filter(|held| held.value.expires_at > now).count() >= MOST {
        return Ok(Asked::Full);
    }
    let Person { name, email, .. } = person(identity, claims, false);
    let asking = Asking { identity, name, email, asked_at: now, expires_at: now + KEEP, turned_away: false };
    let mut batch = store.batch(DeploymentPlace::Directory);
    let detail = json!({ "name": asking.name, "email": asking.email });
    audit::record(&mut batch, audit::Event::new("person.asked", format!("person {}", identity.person()), detail));
    batch.put(asking, earlier.map(|held| held.etag.clone()));
    match batch.commit().await {
        // They asked twice at once.
        Err(error) if error.is_conflict() => Ok(Asked::Waits),
        other => other.map(|()| Asked::Waits),
    }
}

/// Who waits for an answer, the longest first.
pub async fn waiting(store: &Directory<'_>) -> Result<Vec<Asking>, StoreError> {
    let now = store.app().now();
    let all = store.all::<Asking>(DeploymentPlace::Directory, "").await?;
    let mut waiting: Vec<Asking> = all.into_iter().map(|held| held.value).collect();
    waiting.retain(|asking| asking.expires_at > now && !asking.turned_away);
    waiting.sort_by_key(|asking| asking.asked_at);
    Ok(waiting)
}

/// Lets somebody in under this name and address. The caller has checked that an owner says so. What they may do for
/// a client is said on the client's own page.
pub async fn let_in(store: &Directory<'_>, id: &str, name: &str, email: &str, operates: bool) -> Result<Person, LetInError> {
    let wrong = faults(name, email);
    if !wrong.is_empty() {
        return Err(LetInError::Form(wrong));
    }
    let asking = store.read::<Asking>(DeploymentPlace::Directory, id).await?.ok_or(LetInError::Gone)?;
    if asking.value.expires_at <= store.app().now() {
        return Err(LetInError::Gone);
    }
    let identity = asking.value.identity;
    let earlier = store.read::<Person>(DeploymentPlace::Directory, id).await?;
    // What they had before must not come to life again.
    if let Some(held) = &earlier {
        access::clear(store, &held.value).await?;
    }
    let person = Person {
        id: identity.person(),
        name: name.into(),
        email: email.into(),
        is_owner: false,
        operates,
        identity: Some(identity),
        access_ended_at: None,
    };
    let mut batch = store.batch(DeploymentPlace::Directory);
    batch.delete(&asking);
    batch.put(person.clone(), earlier.map(|held| held.etag));
    let detail = json!({ "name": person.name, "email": person.email, "operates": operates });
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
    let detail = json!({ "name": asking.value.name, "email": asking.value.email });
    audit::record(&mut batch, audit::Event::new("person.turned_away", format!("person {id}"), detail));
    match batch.commit().await {
        Err(error) if error.is_conflict() => Err(LetInError::Gone),
        other => Ok(other?),
    }
}

/// Deletes what nobody answered in time; for the sweep. Returns how many.
pub async fn drop_expired(app: &App, correlation: &str) -> Result<usize, StoreError> {
    let store = DeploymentScope::of_function("sweep", correlation).store(app).await?;
    let mut over = store.all::<Asking>(DeploymentPlace::Directory, "").await?;
    over.retain(|held| held.value.expires_at <= app.now());
    let mut batch = store.batch(DeploymentPlace::Directory);
    for held in &over {
        batch.delete(held);
    }
    match batch.commit().await {
        Err(error) if error.is_conflict() => Ok(0),
        other => other.map(|()| over.len()),
    }
}

/// Somebody as their token has them, cut to what fits.
pub(super) fn person(identity: Identity, claims: &Claims, is_owner: bool) -> Person {
    let shown = |c: &char| !c.is_control() && !turns_text(*c);
    let name: String = claims.name.iter().flat_map(|name| name.chars()).filter(shown).take(MAX_NAME_CHARS).collect();
    let name = Some(name.trim().to_owned()).filter(|name| !name.is_empty());
    Person {
        id: identity.person(),
        name: name.unwrap_or_else(|| "Somebody without a name".into()),
        email: claims.email.clone().filter(|email| is_plain_address(email)).unwrap_or_default(),
        is_owner,
        operates: is_owner,
        identity: Some(identity),
        access_ended_at: None,
    }
}

/// Marks that make a text read otherwise than it is written (Unicode bidirectional controls).
fn turns_text(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

fn faults(name: &str, email: &str) -> Vec<FieldError> {
    let mut faults = Vec::new();
    if name.is_empty() || name.chars().count() > MAX_NAME_CHARS || name.chars().any(|c| c.is_control() || turns_text(c)) {
        faults.push(FieldError { field: "name", message: format!("Give the person's name, at most {MAX_NAME_CHARS} characters.") });
    }
    if !is_plain_address(email) {
        faults.push(FieldError { field: "email", message: "Give an e-mail address, such as priya@example.net.".into() });
    }
    faults
}
