//! The demo's sign-in: anybody picks a demo person. Not in packaged binaries (feature `demo`), and refused by
//! configuration wherever the address is not one of this machine.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::json;
use zeroize::Zeroizing;

use super::{
    Request,
    session::{LIFE, SetCookie, TOKEN_BYTES, attributes, cookie_name, scope, token_hash},
};
use crate::{
    app::App,
    audit,
    config::SignIn,
    tenancy::{
        DeploymentPlace, DeploymentScope, PersonId, StoreError,
        directory::{self, Session},
        seal::sha256,
    },
};

#[derive(Debug, thiserror::Error)]
pub enum SignInError {
    #[error("demo sign-in is off")]
    Off,
    #[error("no such demo person")]
    Unknown,
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Signs a demo person in and ends the session this browser had, so that a planted cookie is worth nothing.
pub async fn sign_in(app: &App, request: &Request, person: PersonId) -> Result<SetCookie, SignInError> {
    if app.config.sign_in != SignIn::Demo {
        return Err(SignInError::Off);
    }
    let reader = scope(&request.invocation_id).store(app).await?;
    let person = directory::person(&reader, person).await?.ok_or(SignInError::Unknown)?;
    let earlier = match token_hash(&app.config, request) {
        Some(hash) => reader.read::<Session>(DeploymentPlace::Sessions, &hash).await?,
        None => None,
    };
    let mut bytes = Zeroizing::new([0; TOKEN_BYTES]);
    app.ids.random(bytes.as_mut_slice());
    let token = Zeroizing::new(URL_SAFE_NO_PAD.encode(bytes.as_slice()));
    let now = app.now();
    let session =
        Session { token_hash: sha256(token.as_bytes()), person: person.id, signed_in_at: now, expires_at: now + LIFE, demo: true };
    let store = DeploymentScope::of_session(&session, &request.invocation_id).store(app).await?;
    let mut batch = store.batch(DeploymentPlace::Sessions);
    batch.create(&session);
    if let Some(earlier) = &earlier {
        batch.delete(earlier);
    }
    audit::record(
        &mut batch,
        audit::Event::new(
            "session.signed-in",
            format!("person {}", person.id),
            json!({ "name": person.name, "how": "demo", "ends": session.expires_at.unix_timestamp() }),
        ),
    );
    batch.commit().await?;
    Ok(SetCookie(format!("{}={}; {}; Max-Age={}", cookie_name(&app.config), token.as_str(), attributes(&app.config), LIFE.whole_seconds())))
}
