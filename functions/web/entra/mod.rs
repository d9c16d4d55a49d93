//! Sign-in with Entra ID: authorization code with PKCE (RFC 7636), and the ID token verified here.
//!
//! [`begin`] gives the browser an attempt and says where it goes; [`finish`] takes what it brings back, once. Only
//! directory and object id (`tid`, `oid`) say who somebody is; name and address in a token merely inform. Nothing else
//! signs anybody in: no header of Easy Auth, no `Authorization`. Whoever is verified but not known asks to be let in.

pub mod access;
mod attempt;
mod authorize;
pub mod change;
pub mod check;
mod keys;
pub mod let_in;
mod token;
mod verify;

use serde_json::json;
use url::Url;

use self::{
    attempt::Attempt,
    keys::Authority,
    let_in::{Asked, Asking},
    verify::Claims,
};
pub use self::{
    attempt::drop_expired,
    authorize::{SCOPE, admin_consent},
    verify::TokenError,
};
use super::{
    Problem, Request,
    session::{Begun, Next, SetCookie, scope},
};
use crate::{
    app::App,
    audit,
    config::EntraSettings,
    platform::ports::PortError,
    tenancy::{
        DeploymentPlace, DeploymentScope, Record as _, StoreError,
        directory::{Identity, Ownership, Person, Proof},
    },
};

/// Why nobody was signed in.
#[derive(Debug, thiserror::Error)]
pub enum EntraError {
    #[error("Entra sign-in is off")]
    Off,
    /// Anybody may open the address: it is answered, and nothing is written.
    #[error("this browser began no sign-in")]
    NothingBegun,
    #[error("no sign-in of this browser waits under this state")]
    UnknownState,
    #[error("the sign-in took too long")]
    TooLate,
    /// With the authority's error code, for the log.
    #[error("the authority did not sign them in: {0}")]
    NotSignedIn(String),
    #[error("the authority did not take the code: {0}")]
    CodeRefused(String),
    #[error("the authority did not take the app registration's credential: {0}")]
    CredentialRefused(String),
    #[error("the authority does not know the address to come back to: {0}")]
    AddressRefused(String),
    #[error("the app registration's credential cannot be read")]
    NoCredential(#[source] PortError),
    #[error("the authority cannot be used")]
    Unavailable(#[source] PortError),
    /// The code is redeemed or the state stays spent, so the same address cannot work again.
    #[error("something did not answer after the authority had taken the code")]
    Interrupted(#[source] Box<EntraError>),
    #[error(transparent)]
    Token(#[from] TokenError),
    #[error("a verified person whom nobody let in")]
    Stranger(Asked),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Where the browser goes to sign in, and what it must bring back.
#[derive(Debug)]
pub struct Departure {
    pub to: Url,
    pub cookie: SetCookie,
}

/// Somebody is signed in.
#[derive(Debug)]
pub struct Arrival {
    pub next: Next,
    /// The session's, and the attempt's cleared.
    pub cookies: [SetCookie; 2],
}

/// Nobody is signed in.
#[derive(Debug)]
pub struct Failure {
    pub error: EntraError,
    /// Where they wanted to go, as far as this browser's attempt says so.
    pub next: Option<Next>,
    /// Clears the attempt; `None` when the same address may work in a moment.
    pub cookie: Option<SetCookie>,
}

/// What the person is asked at the authority.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Prompt {
    /// Nothing, where the authority knows them.
    Any,
    /// As whom.
    OtherAccount,
    /// To prove once more that it is they: see [`super::step_up`].
    Again,
}

/// Begins a sign-in. The caller has checked that the form is one of ours.
pub async fn begin(app: &App, next: &Next, prompt: Prompt) -> Result<Departure, EntraError> {
    let settings = app.config.entra().ok_or(EntraError::Off)?;
    let authority = keys::authority(app, settings).await?;
    let attempt = attempt::begin(app, next).await?;
    Ok(Departure { to: authorize::address(app, settings, &authority, &attempt, prompt), cookie: attempt.cookie })
}

/// Takes what the authority sent the browser back with. The attempt is over, whatever comes of it, unless the same
/// address may work in a moment.
pub async fn finish(app: &App, request: &Request) -> Result<Arrival, Failure> {
    let (next, outcome) = match attempt::find(app, request).await {
        Ok(Some(attempt)) if attempt.is_of(request) => (Some(attempt.next()), signed_in(app, request, &attempt).await),
        Ok(Some(_)) => (None, Err(EntraError::UnknownState)),
        Ok(None) => (None, Err(EntraError::NothingBegun)),
        Err(error) => (None, Err(error.into())),
    };
    outcome.map_err(|error| {
        // Without an attempt that fits there may be one of a sign-in that goes on in another window.
        let over = next.is_some() && !error.may_pass();
        Failure { next, cookie: over.then(|| attempt::cleared(&app.config)), error }
    })
}

async fn signed_in(app: &App, request: &Request, attempt: &Attempt) -> Result<Arrival, EntraError> {
    let settings = app.config.entra().ok_or(EntraError::Off)?;
    if attempt.is_over(app) {
        return Err(EntraError::TooLate);
    }
    let store = scope(&request.invocation_id).store(app).await?;
    let spent = attempt.spend(&store).await?.ok_or(EntraError::UnknownState)?;
    match redeemed(app, settings, request, attempt).await {
        Err(error) if error.may_pass() => match attempt::give_back(&store, &spent).await {
            Ok(()) => Err(error),
            Err(_) => Err(error.at_its_end()),
        },
        other => other,
    }
}

/// The state is spent for this.
async fn redeemed(app: &App, settings: &EntraSettings, request: &Request, attempt: &Attempt) -> Result<Arrival, EntraError> {
    let Some(code) = request.query_value("code").filter(|code| !code.is_empty()) else {
        return Err(EntraError::NotSignedIn(token::word(request.query_value("error"))));
    };
    let authority = keys::authority(app, settings).await?;
    let id_token = token::exchange(app, settings, &authority, &code, &attempt.verifier).await?;
    arrived(app, settings, request, attempt, &authority, &id_token).await.map_err(EntraError::at_its_end)
}

/// The code is redeemed for this token.
async fn arrived(
    app: &App,
    settings: &EntraSettings,
    request: &Request,
    attempt: &Attempt,
    authority: &Authority,
    id_token: &str,
) -> Result<Arrival, EntraError> {
    let unverified = verify::parse(id_token)?;
    let keys = keys::of_kid(app, settings, authority, unverified.kid()).await?;
    let claims = verify::verify(&unverified, &keys, settings, &attempt.nonce, app.now())?;
    let person = person(app, request, &claims).await?;
    let session = match entered(app, request, &person, &claims.proof, &attempt.next()).await {
        // The session that this browser had ended in between, by the sweep or in another window.
        Err(error) if error.is_conflict() => entered(app, request, &person, &claims.proof, &attempt.next()).await?,
        other => other?,
    };
    Ok(Arrival { next: attempt.next(), cookies: [session, attempt::cleared(&app.config)] })
}

/// Signed in, with the cookie of the session.
async fn entered(app: &App, request: &Request, person: &Person, proof: &Proof, next: &Next) -> Result<SetCookie, StoreError> {
    let reader = scope(&request.invocation_id).store(app).await?;
    let begun = Begun::new(&reader, request, person.id, false, proof.clone(), Some(next)).await?;
    let store = DeploymentScope::of_session(&begun.session, &request.invocation_id).store(app).await?;
    let mut batch = store.batch(DeploymentPlace::Directory);
    begun.enter(&mut batch, person, "entra");
    batch.commit().await?;
    Ok(begun.cookie(app, store.key()?))
}

/// The person of these claims, if they may come in. Whom the settings or the app role name as owner is made one; whose
/// ownership came of the app role is none any more once their token does not carry it.
async fn person(app: &App, request: &Request, claims: &Claims) -> Result<Person, EntraError> {
    match come_in(app, request, claims).await {
        // They came twice at once, or somebody changed them at this moment.
        Err(EntraError::Store(error)) if error.is_conflict() => come_in(app, request, claims).await,
        other => other,
    }
}

async fn come_in(app: &App, request: &Request, claims: &Claims) -> Result<Person, EntraError> {
    let identity = Identity { tid: claims.tid, oid: claims.oid };
    let named = if let_in::is_named_owner(app, identity) {
        Some(Ownership::Settings)
    } else {
        let_in::has_owners_role(app, claims).then_some(Ownership::AppRole)
    };
    let store = scope(&request.invocation_id).store(app).await?;
    let held = store.read::<Person>(DeploymentPlace::Directory, &identity.person().to_string()).await?;
    let (before, etag) = match held {
        Some(held) if held.value.has_access() && !held.value.is_over(app.now()) => (Some(held.value), Some(held.etag)),
        // Whose access was taken away is not given it back by a setting or a role that nobody changed.
        None if named.is_some() => (None, None),
        _ => return Err(EntraError::Stranger(let_in::ask(app, request, identity, claims).await?)),
    };
    let person = match &before {
        Some(before) => owning(before, named),
        None => let_in::person(identity, claims, named, app.now()),
    };
    if before.as_ref() == Some(&person) {
        return Ok(person);
    }
    let asked = store.read::<Asking>(DeploymentPlace::Directory, &person.key()).await?;
    let mut batch = store.batch(DeploymentPlace::Directory);
    batch.put(person.clone(), etag);
    // Whoever has access asks for nothing.
    if let Some(asked) = &asked {
        batch.delete(asked);
    }
    audit::record(&mut batch, owns_now(&person, before.as_ref(), identity));
    batch.commit().await?;
    Ok(person)
}

/// Somebody as their sign-in leaves them. Who is an owner by the settings stays one when another is named there; without a
/// word of where it came from (earlier releases), it counts as of the app role.
fn owning(before: &Person, named: Option<Ownership>) -> Person {
    let mut person = before.clone();
    if named.is_some() {
        (person.is_owner, person.standing.ownership) = (true, named);
    } else if before.is_owner && before.standing.ownership != Some(Ownership::Settings) {
        (person.is_owner, person.standing.ownership) = (false, None);
        // An earlier release noted the tools with the ownership.
        person.operates = before.operates && before.standing.ownership.is_some();
    }
    person
}

fn owns_now(person: &Person, before: Option<&Person>, identity: Identity) -> audit::Event {
    let object = format!("person {}", person.id);
    let owned = before.is_some_and(|before| before.is_owner);
    let why = match person.standing.ownership {
        Some(Ownership::Settings) => "named as the owner by the settings",
        Some(Ownership::AppRole) => "has the app role Owner in the MSP's own directory",
        None => "their directory does not give them the app role Owner any more",
    };
    let kind = match (owned, person.is_owner) {
        (true, true) => "person.ownership_noted",
        (true, false) => "person.ownership_ended",
        (false, _) => "person.added",
    };
    audit::Event::new(kind, object, identity.into_detail(json!({ "name": person.name, "owner": person.is_owner, "why": why })))
}

impl EntraError {
    /// Whether the same address may work in a moment.
    fn may_pass(&self) -> bool {
        matches!(self, Self::Unavailable(_) | Self::NoCredential(_) | Self::Store(_))
    }

    fn at_its_end(self) -> Self {
        if self.may_pass() { Self::Interrupted(Box::new(self)) } else { self }
    }

    /// The word under which it is counted; `None` for what is no refusal of a sign-in.
    pub fn reason(&self) -> Option<&'static str> {
        Some(match self {
            Self::Off => "entra-sign-in-is-off",
            Self::UnknownState => "unknown-state",
            Self::TooLate => "took-too-long",
            Self::NotSignedIn(_) => "not-signed-in-there",
            Self::CodeRefused(_) => "code-refused",
            Self::CredentialRefused(_) => "credential-refused",
            Self::AddressRefused(_) => "address-refused",
            Self::Interrupted(error) => return error.reason(),
            Self::NoCredential(_) => "no-credential",
            Self::Unavailable(_) => "authority-unavailable",
            Self::Token(error) => error.reason(),
            Self::Stranger(_) => "not-let-in",
            Self::NothingBegun | Self::Store(_) => return None,
        })
    }
}

impl From<EntraError> for Problem {
    /// What the person is told: what to do next, and nothing of the inside.
    fn from(error: EntraError) -> Self {
        let again = |detail: &str| Self::new(401, "not-signed-in", "You are not signed in", detail);
        let ours = |status, detail: &str| Self::new(status, "sign-in-unavailable", "Sign-in does not work just now", detail);
        match error {
            EntraError::Store(error) => error.into(),
            EntraError::Off => Self::forbidden("Sign-in with Entra ID is off here."),
            EntraError::NothingBegun | EntraError::UnknownState => again(
                "This sign-in was finished before, was begun in another browser or window, or is too old. If you do not see your pages, sign in again from here.",
            ),
            EntraError::TooLate => again("More than ten minutes passed since you began. Sign in again."),
            EntraError::NotSignedIn(_) => again(
                "Your organization's sign-in ended without signing you in. Sign in again; if it goes on, ask whoever runs your directory whether you may use Assay.",
            ),
            EntraError::CodeRefused(_) => again("The sign-in service did not confirm this sign-in. Sign in again."),
            EntraError::CredentialRefused(_) | EntraError::NoCredential(_) => ours(
                503,
                "Assay could not prove to the sign-in service who it is. Nobody can sign in until whoever runs Assay mends that: the setting is ASSAY_ENTRA_CREDENTIAL.",
            ),
            EntraError::Unavailable(_) => {
                ours(503, "The sign-in service cannot be reached, or answers with an error. Nothing was changed; try again in a minute.")
            }
            EntraError::AddressRefused(_) => ours(
                503,
                "The sign-in service does not know the address at which Assay runs. Nobody can sign in until whoever runs Assay mends that: the setting is ASSAY_PUBLIC_URL, and the app registration's redirect URI must go with it.",
            ),
            EntraError::Interrupted(_) => {
                ours(503, "Your organization confirmed who you are, but something did not answer before you were signed in. Sign in again.")
            }
            EntraError::Token(error) => error.into(),
            EntraError::Stranger(asked) => Self::new(403, "not-let-in", "You are not let in yet", asked.words()),
        }
    }
}
