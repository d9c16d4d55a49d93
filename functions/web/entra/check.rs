//! Whether people could sign in: what a sign-in needs of others, asked for without one.

use std::sync::Arc;

use super::{EntraError, keys, token};
use crate::{
    app::App,
    config::EntraSettings,
    platform::ports::{PortError, PortErrorKind},
};

/// The authority's discovery document, fetched and not remembered.
pub async fn authority_answers(app: &App, settings: &EntraSettings) -> Result<(), PortError> {
    let app = App { cache: Arc::default(), ..app.clone() };
    keys::authority(&app, settings).await.map(|_| ()).map_err(at_port)
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
