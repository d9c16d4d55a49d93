//! A sign-in that was begun: what the browser must bring back, for ten minutes and once.
//!
//! It lies sealed in a cookie of the browser that began, so that beginning costs the store nothing and an address which
//! somebody else prepared signs nobody in (RFC 9700 4.7). What the store keeps is that a `state` is spent; time is checked
//! here, whatever the store deletes by itself.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};
use time::{Duration, OffsetDateTime};
use zeroize::Zeroizing;

use crate::{
    app::App,
    config::Config,
    tenancy::{
        DeploymentPlace, DeploymentScope, Held, Record, Store, StoreError,
        keys::{self, Owner},
        seal::{Binding, DataKey, sha256},
    },
    web::{
        Request,
        session::{self, Next, SetCookie, random_token},
    },
};

const LIFE: Duration = Duration::minutes(10);

/// A browser brings it back for longer, so that who was slow hears so and still lands where they wanted.
const KEEP: Duration = Duration::hours(1);

/// Spent states that the sweep deletes in one batch.
const TOGETHER: usize = 100;

#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Attempt {
    state_hash: String,
    /// Returned in the ID token (OpenID Connect Core 3.1.2.1).
    pub(super) nonce: String,
    /// RFC 7636 4.1.
    pub(super) verifier: String,
    /// Where the person wanted to go; one of our own pages.
    next: String,
    #[serde(with = "time::serde::rfc3339")]
    expires_at: OffsetDateTime,
}

impl Attempt {
    pub(super) fn next(&self) -> Next {
        Next::or_clients(Some(&self.next))
    }

    pub(super) fn is_over(&self, app: &App) -> bool {
        self.expires_at <= app.now()
    }

    /// Whether the callback is this attempt's, by its `state`.
    pub(super) fn is_of(&self, request: &Request) -> bool {
        request.query_value("state").is_some_and(|state| sha256(state.as_bytes()) == self.state_hash)
    }

    /// Before anything is asked of the authority: `None` when it was spent before, and of two at once, for one.
    pub(super) async fn spend(&self, store: &Store<'_, DeploymentPlace>) -> Result<Option<Held<Spent>>, StoreError> {
        let value = Spent { state_hash: self.state_hash.clone(), expires_at: self.expires_at };
        let mut batch = store.batch(DeploymentPlace::Directory);
        batch.create(&value);
        match batch.commit_with_etags().await {
            Err(error) if error.exists::<Spent>(&value.state_hash) => Ok(None),
            etags => Ok(etags?.pop().flatten().map(|etag| Held { value, etag })),
        }
    }
}

/// The same `state` may come once more: nothing became of it.
pub(super) async fn give_back(store: &Store<'_, DeploymentPlace>, spent: &Held<Spent>) -> Result<(), StoreError> {
    let mut batch = store.batch(DeploymentPlace::Directory);
    batch.delete(spent);
    batch.commit().await
}

/// A `state` that came back and is taken no more.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Spent {
    state_hash: String,
    /// From then on time alone refuses it.
    #[serde(with = "time::serde::rfc3339")]
    expires_at: OffsetDateTime,
}

impl Record for Spent {
    const KIND: &'static str = "spent";
    const SCHEMA: u32 = 1;

    fn key(&self) -> String {
        self.state_hash.clone()
    }
}

/// What goes to the authority and into the browser.
pub(super) struct Begun {
    pub(super) state: Zeroizing<String>,
    pub(super) nonce: String,
    pub(super) verifier: Zeroizing<String>,
    pub(super) cookie: SetCookie,
}

pub(super) async fn begin(app: &App, next: &Next) -> Result<Begun, StoreError> {
    let (state, verifier) = (random_token(app), random_token(app));
    let nonce = random_token(app).to_string();
    let attempt = Attempt {
        state_hash: sha256(state.as_bytes()),
        nonce: nonce.clone(),
        verifier: verifier.to_string(),
        next: next.as_str().to_owned(),
        expires_at: app.now() + LIFE,
    };
    let key = keys::data_key(app, Owner::Deployment).await?;
    let cookie = set_cookie(&app.config, &sealed(&key, &attempt)?, KEEP);
    Ok(Begun { state, nonce, verifier, cookie })
}

/// The attempt that this browser brings, of whichever window; `None` when it brings none of ours.
pub(super) async fn find(app: &App, request: &Request) -> Result<Option<Attempt>, StoreError> {
    let Some(sealed) = request.cookie(name(&app.config)).and_then(|text| URL_SAFE_NO_PAD.decode(text).ok()) else { return Ok(None) };
    let Some(key) = keys::find(app, Owner::Deployment).await? else { return Ok(None) };
    Ok(key.open_bytes(&BINDING, sealed).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok()))
}

/// Deletes what time alone refuses by now; for the sweep. Returns how many.
pub async fn drop_expired(app: &App, correlation: &str) -> Result<usize, StoreError> {
    let store = DeploymentScope::of_function("sweep", correlation).store(app).await?;
    let mut over = store.all::<Spent>(DeploymentPlace::Directory, "").await?;
    over.retain(|held| held.value.expires_at <= app.now());
    for some in over.chunks(TOGETHER) {
        let mut batch = store.batch(DeploymentPlace::Directory);
        for held in some {
            batch.delete(held);
        }
        batch.commit().await?;
    }
    Ok(over.len())
}

const BINDING: Binding<'_> =
    Binding { owner: "deployment", container: "cookie", place: "", document: "sign-in", field: "attempt", schema: 1, revision: 0 };

fn sealed(key: &DataKey, attempt: &Attempt) -> Result<String, StoreError> {
    let document = || "the cookie of a sign-in".to_owned();
    let shape = |source| StoreError::Shape { document: document(), source: std::sync::Arc::new(source) };
    let plain = Zeroizing::new(serde_json::to_vec(attempt).map_err(shape)?);
    let sealed = key.seal_bytes(&BINDING, &plain);
    sealed.map(|bytes| URL_SAFE_NO_PAD.encode(bytes)).map_err(|source| StoreError::Sealed { document: document(), source })
}

pub(super) fn cleared(config: &Config) -> SetCookie {
    set_cookie(config, "", Duration::ZERO)
}

fn set_cookie(config: &Config, value: &str, keep: Duration) -> SetCookie {
    SetCookie(format!("{}={value}; {}; Max-Age={}", name(config), session::attributes(config), keep.whole_seconds()))
}

/// Beside the session's: one that began earlier holds until this ends well.
fn name(config: &Config) -> &'static str {
    if session::is_https(config) { "__Host-assay-sign-in" } else { "assay-sign-in" }
}
