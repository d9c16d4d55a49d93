//! Whether people could sign in: what a sign-in needs of others, asked for without one.

use std::sync::Arc;

use super::{EntraError, authorize::redirect_uri, keys, token};
use crate::{
    app::App,
    config::EntraSettings,
    platform::ports::{PortError, PortErrorKind},
};

/// The authority's discovery document and keys, fetched and not remembered.
pub async fn authority_answers(app: &App, settings: &EntraSettings) -> Result<(), PortError> {
    let app = App { cache: Arc::default(), ..app.clone() };
    let authority = keys::authority(&app, settings).await.map_err(at_port)?;
    keys::published(&app, settings, &authority).await.map(|_| ()).map_err(at_port)
}

/// What must be registered with the app. Whether it is, only a sign-in shows.
pub fn redirect_is_untried(app: &App) -> String {
    format!("whether the app registration has the redirect URI {} is not tried", redirect_uri(app))
}

/// What proves to the authority that this is the app. Whether it is taken, only a sign-in shows.
pub async fn credential_is_there(app: &App, settings: &EntraSettings) -> Result<(), PortError> {
    token::credential(app, settings).await.map(|_| ()).map_err(at_port)
}

fn at_port(error: EntraError) -> PortError {
    match error {
        EntraError::Unavailable(error) | EntraError::NoCredential(error) => error,
        other => PortError::because("sign-in", PortErrorKind::Invalid, other),
    }
}
