//! The demo's sign-in: anybody picks a demo person. Not in packaged binaries (feature `demo`), and refused by
//! configuration wherever the address is not one of this machine.

use super::{
    Request,
    session::{Begun, Next, SetCookie, scope},
};
use crate::{
    app::App,
    config::SignIn,
    tenancy::{
        DeploymentPlace, DeploymentScope, PersonId, StoreError,
        directory::{self, Person, Proof},
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
    let person = directory::person(&reader, person)
        .await?
        .filter(|person| person.may_sign_in(&app.config, app.now()))
        .ok_or(SignInError::Unknown)?;
    match Box::pin(entered(app, request, &person)).await {
        // They signed in elsewhere at the same moment.
        Err(error) if error.is_conflict() => Ok(Box::pin(entered(app, request, &person)).await?),
        other => Ok(other?),
    }
}

async fn entered(app: &App, request: &Request, person: &Person) -> Result<SetCookie, StoreError> {
    let reader = scope(&request.invocation_id).store(app).await?;
    let next = request.form_value("next").and_then(|next| Next::parse(&next));
    let proof = Proof { at: Some(app.now()), ..Proof::default() };
    let begun = Begun::new(&reader, request, person.id, true, proof, next.as_ref()).await?;
    let store = DeploymentScope::of_session(&begun.session, &request.invocation_id).store(app).await?;
    let mut batch = store.batch(DeploymentPlace::Directory);
    begun.enter(&mut batch, person, "demo");
    batch.commit().await?;
    Ok(begun.cookie(app, store.key()?))
}
