//! Who is signed in: a random token in a cookie, its hash in the store, eight hours and then again.
//!
//! The store never holds a token that could be used. Signing in and out are audited in the batch that does them. When a
//! browser was last heard stands in its cookie, under a MAC: an hour of silence ends the sign-in without any page that is
//! looked at writing to the store (design I10).

use std::{fmt, sync::Arc};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::json;
use time::{Duration, OffsetDateTime};
use zeroize::Zeroizing;

use super::{Request, pages::paths};
use crate::{
    app::App,
    audit,
    config::Config,
    tenancy::{
        Batch, DeploymentPlace, DeploymentScope, Held, PersonId, Roster, Store, StoreError, Wanted,
        directory::{LastSignIn, Person, Proof, Session},
        seal::{DataKey, sha256},
    },
};

/// A session's absolute life; nothing prolongs it.
pub const LIFE: Duration = Duration::hours(8);

/// Silence that ends it.
pub const IDLE: Duration = Duration::hours(1);

/// A cookie that is older than this is given anew.
const RENEW_AFTER: Duration = Duration::minutes(5);

/// Bytes of a token: too many to guess.
pub(super) const TOKEN_BYTES: usize = 32;

/// A request of somebody who is signed in.
pub struct Current {
    pub session: Session,
    pub person: Person,
    pub roster: Arc<Roster>,
    /// When this browser was last given a cookie.
    seen_at: OffsetDateTime,
}

/// The value of a `Set-Cookie` header.
pub struct SetCookie(pub(super) String);

impl SetCookie {
    pub fn header(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SetCookie {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SetCookie(..)")
    }
}

/// Who sent this request; `None` when nobody, or the session is over. Changes nothing.
pub async fn current(app: &App, request: &Request) -> Result<Option<Current>, StoreError> {
    let Some(cookie) = Cookie::of(&app.config, request) else { return Ok(None) };
    let store = scope(&request.invocation_id).store(app).await?;
    let hash = cookie.token_hash();
    let found = store.gather(DeploymentPlace::Directory, vec![Wanted::one::<Session>(&hash), Roster::stamp()]).await?;
    let Some(Held { value: session, .. }) = found.one::<Session>(&hash).await? else { return Ok(None) };
    let Some(seen_at) = cookie.seen_at(store.key()?) else { return Ok(None) };
    let now = app.now();
    if session.expires_at <= now || seen_at + IDLE <= now {
        return Ok(None);
    }
    let roster = Roster::among(&store, &found).await?;
    // Who changes the settings signs out whom they leave out.
    let person =
        roster.person(session.person).filter(|person| session.demo == app.config.is_demo() && person.may_sign_in(&app.config, app.now()));
    Ok(person.cloned().map(|person| Current { session, person, roster, seen_at }))
}

/// The cookie again with the time of now, when the one that came is some minutes old.
pub fn renewed(app: &App, request: &Request, current: &Current, key: &DataKey) -> Option<SetCookie> {
    let cookie = Cookie::of(&app.config, request).filter(|_| current.seen_at + RENEW_AFTER <= app.now())?;
    Some(set_cookie(app, key, cookie.token, &current.session))
}

/// A sign-in that succeeded, as far as it is not written down yet.
pub(super) struct Begun {
    pub(super) session: Session,
    token: Zeroizing<String>,
    /// What this browser had: it ends, so that a planted cookie is worth nothing.
    earlier: Option<Held<Session>>,
    /// When they signed in before.
    last: Option<Held<LastSignIn>>,
}

impl Begun {
    /// Writes nothing.
    pub(super) async fn new(
        store: &Store<'_, DeploymentPlace>,
        request: &Request,
        person: PersonId,
        demo: bool,
        proof: Proof,
        next: Option<&Next>,
    ) -> Result<Self, StoreError> {
        let app = store.app();
        let hash = Cookie::of(&app.config, request).map(|cookie| cookie.token_hash());
        let wanted = hash.iter().map(|hash| Wanted::one::<Session>(hash)).chain([Wanted::one::<LastSignIn>(&person.to_string())]);
        let found = store.gather(DeploymentPlace::Directory, wanted.collect()).await?;
        let earlier = match &hash {
            Some(hash) => found.one::<Session>(hash).await?,
            None => None,
        };
        let last = found.one::<LastSignIn>(&person.to_string()).await?;
        let (token, now) = (random_token(app), app.now());
        let session = Session {
            token_hash: sha256(token.as_bytes()),
            person,
            signed_in_at: now,
            expires_at: now + LIFE,
            demo,
            proof,
            led_to: next.map(|next| next.as_str().to_owned()),
        };
        Ok(Self { session, token, earlier, last })
    }

    /// Into the batch that makes it so, with its audit item.
    pub(super) fn enter(&self, batch: &mut Batch<'_, '_, DeploymentPlace>, person: &Person, how: &str) {
        batch.create(&self.session);
        let last = LastSignIn { person: person.id, at: self.session.signed_in_at };
        batch.put(last, self.last.as_ref().map(|held| held.etag.clone()));
        if let Some(earlier) = &self.earlier {
            batch.delete(earlier);
            audit::record(batch, ended(&earlier.value, json!({ "why": "this browser signed in again" })));
        }
        let Session { expires_at, proof, .. } = &self.session;
        let detail = json!({ "name": person.name, "how": how, "ends": expires_at.unix_timestamp(), "proof": proof });
        let detail = match person.identity {
            Some(identity) => identity.into_detail(detail),
            None => detail,
        };
        audit::record(batch, audit::Event::new("session.signed-in", format!("person {}", person.id), detail));
    }

    pub(super) fn cookie(&self, app: &App, key: &DataKey) -> SetCookie {
        set_cookie(app, key, &self.token, &self.session)
    }
}

pub(super) fn random_token(app: &App) -> Zeroizing<String> {
    let mut bytes = Zeroizing::new([0; TOKEN_BYTES]);
    app.ids.random(bytes.as_mut_slice());
    Zeroizing::new(URL_SAFE_NO_PAD.encode(bytes.as_slice()))
}

/// Ends every session of these people, each with its audit item; for whom access was taken away.
pub(super) async fn end_all_of(store: &Store<'_, DeploymentPlace>, people: &[&Person]) -> Result<(), StoreError> {
    let sessions = store.all::<Session>(DeploymentPlace::Directory, "").await?;
    for held in sessions.iter().filter(|held| people.iter().any(|person| person.id == held.value.person)) {
        end(store, held, json!({ "why": "access was taken away" })).await?;
    }
    Ok(())
}

async fn end(store: &Store<'_, DeploymentPlace>, held: &Held<Session>, detail: serde_json::Value) -> Result<(), StoreError> {
    let mut batch = store.batch(DeploymentPlace::Directory);
    batch.delete(held);
    audit::record(&mut batch, ended(&held.value, detail));
    batch.commit_unless_overtaken().await.map(drop)
}

fn ended(session: &Session, detail: serde_json::Value) -> audit::Event {
    audit::Event::new("session.ended", format!("person {}", session.person), detail)
}

/// Ends the session; doing it again changes nothing. The cookie is cleared either way.
pub async fn sign_out(app: &App, request: &Request) -> Result<SetCookie, StoreError> {
    let cleared = SetCookie(format!("{}=; {}; Max-Age=0", cookie_name(&app.config), attributes(&app.config)));
    let Some(hash) = Cookie::of(&app.config, request).map(|cookie| cookie.token_hash()) else { return Ok(cleared) };
    let Some(held) = scope(&request.invocation_id).store(app).await?.read::<Session>(DeploymentPlace::Directory, &hash).await? else {
        return Ok(cleared);
    };
    let store = DeploymentScope::of_session(&held.value, &request.invocation_id).store(app).await?;
    let mut batch = store.batch(DeploymentPlace::Directory);
    batch.delete(&held);
    audit::record(&mut batch, audit::Event::new("session.signed-out", format!("person {}", held.value.person), json!({})));
    match batch.commit().await {
        // Another tab signed out at the same moment.
        Err(error) if error.is_conflict() => Ok(cleared),
        other => other.map(|()| cleared),
    }
}

/// Deletes sessions that are over, audited; for the sweep. Returns how many.
pub async fn drop_expired(app: &App, correlation: &str) -> Result<usize, StoreError> {
    let store = DeploymentScope::of_function("sweep", correlation).store(app).await?;
    let over: Vec<_> =
        store.all::<Session>(DeploymentPlace::Directory, "").await?.into_iter().filter(|held| held.value.expires_at <= app.now()).collect();
    for held in &over {
        end(&store, held, json!({ "ended": held.value.expires_at.unix_timestamp() })).await?;
    }
    Ok(over.len())
}

/// Where to go after sign-in: one of our own pages, by construction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Next(String);

impl Next {
    /// Takes a path below `/api/portal/` in unreserved characters with an optional query; no dot segments, no empty
    /// segment, nothing a browser could read as another host. Paths that act (sign-in, sign-out) are not taken.
    pub fn parse(text: &str) -> Option<Self> {
        // A link of a mail, with its token, goes through.
        const MAX: usize = 1600;
        let (path, query) = text.split_once('?').map_or((text, None), |(path, query)| (path, Some(query)));
        let below = path.strip_prefix(paths::BASE)?;
        let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b'~');
        let segments = below.split('/').all(|s| !s.is_empty() && s != "." && s != ".." && s.bytes().all(plain));
        let query = query.is_none_or(|q| q.bytes().all(|b| plain(b) || matches!(b, b'=' | b'&' | b'%' | b'+')));
        let acts = matches!(below, "sign-in" | "sign-out" | "signed-in");
        (text.len() <= MAX && segments && query && !acts).then(|| Self(text.to_owned()))
    }

    /// The parsed path, or the clients page.
    pub fn or_clients(text: Option<&str>) -> Self {
        text.and_then(Self::parse).unwrap_or_else(|| Self(paths::clients()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

pub(super) fn scope(correlation: &str) -> DeploymentScope {
    DeploymentScope::of_function("sign-in", correlation)
}

pub fn is_https(config: &Config) -> bool {
    config.public_url.scheme() == "https"
}

/// `__Host-` makes a browser refuse the cookie unless it is Secure, of this host and for every path.
pub(super) fn cookie_name(config: &Config) -> &'static str {
    if is_https(config) { "__Host-assay" } else { "assay" }
}

pub(super) fn attributes(config: &Config) -> &'static str {
    if is_https(config) { "Path=/; HttpOnly; SameSite=Lax; Secure" } else { "Path=/; HttpOnly; SameSite=Lax" }
}

fn set_cookie(app: &App, key: &DataKey, token: &str, session: &Session) -> SetCookie {
    let now = app.now();
    let seen = now.unix_timestamp().to_string();
    let mac = URL_SAFE_NO_PAD.encode(key.mac(&seen_parts(token, &seen)));
    let (name, attributes) = (cookie_name(&app.config), attributes(&app.config));
    let keep = IDLE.min(session.expires_at - now).whole_seconds().max(0);
    SetCookie(format!("{name}={token}.{seen}.{mac}; {attributes}; Max-Age={keep}"))
}

/// `TOKEN.SEEN.MAC`: the token, when the browser was given it (Unix seconds), and the deployment's MAC over both.
struct Cookie<'a> {
    token: &'a str,
    seen: &'a str,
    mac: &'a str,
}

impl<'a> Cookie<'a> {
    /// A value that cannot be one of ours is not looked up.
    fn of(config: &Config, request: &'a Request) -> Option<Self> {
        let mut parts = request.cookie(cookie_name(config))?.split('.');
        let (token, seen, mac) = (parts.next()?, parts.next()?, parts.next()?);
        let whole = URL_SAFE_NO_PAD.decode(token).is_ok_and(|bytes| bytes.len() == TOKEN_BYTES);
        (whole && parts.next().is_none()).then_some(Self { token, seen, mac })
    }

    fn token_hash(&self) -> String {
        sha256(self.token.as_bytes())
    }

    /// When it was given, if we gave it.
    fn seen_at(&self, key: &DataKey) -> Option<OffsetDateTime> {
        let mac = URL_SAFE_NO_PAD.decode(self.mac).ok()?;
        let seen = key.mac_holds(&seen_parts(self.token, self.seen), &mac).then(|| self.seen.parse().ok())??;
        OffsetDateTime::from_unix_timestamp(seen).ok()
    }
}

fn seen_parts<'a>(token: &'a str, seen: &'a str) -> [&'a [u8]; 3] {
    [b"assay session seen 1", token.as_bytes(), seen.as_bytes()]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use url::Url;

    use super::*;

    #[test]
    fn our_own_pages_are_taken_and_nothing_else() {
        for good in ["/api/portal/inbox", "/api/portal/clients/0192f3/requirements/AC.L2-3.1.1", "/api/portal/audit?after=b64_-&x=%2F"] {
            assert_eq!(Next::parse(good).as_ref().map(Next::as_str), Some(good));
        }
        let bad = [
            "",
            "/",
            "/api/portal",
            "/api/portal/",
            "//evil.example/api/portal/inbox",
            "https://evil.example/api/portal/inbox",
            "/api/portal//evil.example",
            "/api/portal/../webhooks/x",
            "/api/portal/./inbox",
            "/api/portal/%2e%2e/x",
            "/api/portal/a\\b",
            "/api/portal/inbox#x",
            "/api/portal/inbox?next=https://evil.example",
            "/api/portal/in box",
            "/api/portal/\u{e9}",
            "/api/portal/sign-out",
            "/api/portal/sign-in?next=x",
            "/api/portal/signed-in?code=x&state=y",
            "/api/portal/a\r\nb",
            "/API/portal/inbox",
            " /api/portal/inbox",
            "/api/portal/a;b",
        ];
        for bad in bad {
            assert_eq!(Next::parse(bad), None, "{bad:?}");
        }
        assert_eq!(Next::parse(&format!("/api/portal/{}", "a".repeat(1600))), None);
        assert_eq!(Next::or_clients(Some("//evil.example")).as_str(), "/api/portal/clients");
    }

    proptest! {
        /// As a browser resolves it: the same origin, and a path that still lies below our pages.
        #[test]
        fn whatever_is_taken_stays_on_our_pages(text in prop_oneof![".{0,60}", "/api/portal/[a-z./\\\\%@:?#&=0-9 ]{0,30}", "[/\\\\]{1,3}[a-z.]{1,10}/api/portal/x"]) {
            if let Some(next) = Next::parse(&text) {
                let base = Url::parse("https://assay.example.net/api/portal/sign-in").expect("a base");
                let there = base.join(next.as_str()).expect("a target");
                prop_assert_eq!(there.origin(), base.origin());
                prop_assert!(there.path().starts_with(paths::BASE));
                prop_assert_eq!(there.fragment(), None);
            }
        }
    }
}
