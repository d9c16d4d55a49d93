//! A sign-in that was begun: what the browser must bring back, for ten minutes and once.
//!
//! The record is found by the hash of `state`; a cookie binds it to the browser that began, so that an address which
//! somebody else prepared signs nobody in (RFC 9700 4.7). Time is checked here, whatever the store deletes by itself.

use std::time::Duration as StdDuration;

use serde::{Deserialize, Serialize};
use time::{Duration, OffsetDateTime};
use zeroize::Zeroizing;

use super::EntraError;
use crate::{
    app::App,
    config::Config,
    tenancy::{DeploymentPlace, DeploymentScope, Held, Record, StoreError, seal::sha256},
    web::{
        Request,
        session::{self, Next, SetCookie, random_token, scope},
    },
};

const LIFE: Duration = Duration::minutes(10);

/// Attempts that one process begins in a minute: nobody is known yet, and each is a record.
const MOST: u8 = 240;
const WINDOW: StdDuration = StdDuration::from_mins(1);

/// Attempts that the sweep deletes in one batch.
const TOGETHER: usize = 100;

#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Attempt {
    state_hash: String,
    /// The hash of what the browser's cookie holds.
    browser_hash: String,
    /// Returned in the ID token (OpenID Connect Core 3.1.2.1).
    pub(super) nonce: String,
    /// RFC 7636 4.1.
    pub(super) verifier: String,
    /// Where the person wanted to go; one of our own pages.
    pub(super) next: String,
    #[serde(with = "time::serde::rfc3339")]
    expires_at: OffsetDateTime,
}

impl Record for Attempt {
    const KIND: &'static str = "attempt";
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

/// Whether one more may begin now.
pub(super) fn must_have_room(app: &App) -> Result<(), EntraError> {
    if app.cache.allow("entra/attempts", MOST, app.now(), WINDOW) { Ok(()) } else { Err(EntraError::TooMany) }
}

pub(super) async fn begin(app: &App, request: &Request, next: &Next) -> Result<Begun, EntraError> {
    let (state, browser, verifier) = (random_token(app), random_token(app), random_token(app));
    let nonce = random_token(app).to_string();
    let attempt = Attempt {
        state_hash: sha256(state.as_bytes()),
        browser_hash: sha256(browser.as_bytes()),
        nonce: nonce.clone(),
        verifier: verifier.to_string(),
        next: next.as_str().to_owned(),
        expires_at: app.now() + LIFE,
    };
    let store = scope(&request.invocation_id).store(app).await?;
    let mut batch = store.batch(DeploymentPlace::Sessions);
    batch.create(&attempt);
    batch.commit().await?;
    let cookie = set_cookie(&app.config, &browser, LIFE);
    Ok(Begun { state, nonce, verifier, cookie })
}

/// The attempt that a callback belongs to, if this browser began it and it is still in time.
pub(super) async fn find(app: &App, request: &Request) -> Result<Held<Attempt>, EntraError> {
    let state = request.query_value("state").ok_or(EntraError::UnknownState)?;
    let store = scope(&request.invocation_id).store(app).await?;
    let found = store.read::<Attempt>(DeploymentPlace::Sessions, &sha256(state.as_bytes())).await?;
    let held = found.ok_or(EntraError::UnknownState)?;
    let browser = request.cookie(name(&app.config)).map(|token| sha256(token.as_bytes()));
    if browser.as_deref() != Some(&held.value.browser_hash) {
        return Err(EntraError::AnotherBrowser);
    }
    if held.value.expires_at <= app.now() {
        return Err(EntraError::TooLate);
    }
    Ok(held)
}

/// Deletes it; that it is gone already is as good.
pub(super) async fn spend(app: &App, request: &Request, attempt: &Held<Attempt>) -> Result<(), StoreError> {
    let store = scope(&request.invocation_id).store(app).await?;
    let mut batch = store.batch(DeploymentPlace::Sessions);
    batch.delete(attempt);
    match batch.commit().await {
        Err(error) if error.is_conflict() => Ok(()),
        other => other,
    }
}

/// Deletes attempts that nobody finished; for the sweep. Returns how many.
pub async fn drop_expired(app: &App, correlation: &str) -> Result<usize, StoreError> {
    let store = DeploymentScope::of_function("sweep", correlation).store(app).await?;
    let mut over = store.all::<Attempt>(DeploymentPlace::Sessions, "").await?;
    over.retain(|held| held.value.expires_at <= app.now());
    for some in over.chunks(TOGETHER) {
        let mut batch = store.batch(DeploymentPlace::Sessions);
        for held in some {
            batch.delete(held);
        }
        match batch.commit().await {
            // Somebody finished one at this moment; the next sweep takes the others.
            Err(error) if error.is_conflict() => {}
            other => other?,
        }
    }
    Ok(over.len())
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
