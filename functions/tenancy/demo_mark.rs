//! The mark of a store that was ever run as a demo: it says so for ever, whatever program opens it later.
//!
//! Without it a build that has no demo would export a demo's log as if it proved something.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::{DeploymentPlace, DeploymentScope, Record, StoreError};
use crate::app::App;

/// Written once, by the demo, and never deleted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DemoMark {
    #[serde(with = "time::serde::rfc3339")]
    pub since: OffsetDateTime,
}

impl Record for DemoMark {
    const KIND: &'static str = "demo";
    const SCHEMA: u32 = 1;

    fn key(&self) -> String {
        KEY.into()
    }
}

const KEY: &str = "mark";

/// Whether this is a demo: run as one now, or ever before.
pub async fn is_demo(app: &App) -> Result<bool, StoreError> {
    if app.config.is_demo() {
        return Ok(true);
    }
    let store = DeploymentScope::of_function("demo-mark", "demo-mark").store(app).await?;
    Ok(store.read::<DemoMark>(DeploymentPlace::Directory, KEY).await?.is_some())
}
