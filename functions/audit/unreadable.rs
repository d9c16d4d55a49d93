//! That a record did not open, in the installation's log: it was changed or damaged by whoever can write the database.
//!
//! It is noted where it is found ([`tenancy::unreadable`](crate::tenancy::unreadable)) and told with the next invocation that
//! may write, once an hour for each client; who asks again is not told of again.

use serde::{Deserialize, Serialize};
use serde_json::json;
use time::OffsetDateTime;

use super::{Event, counted};
use crate::{
    app::App,
    tenancy::{
        DeploymentScope, Record, StoreError,
        unreadable::{UnreadableNote, take_notes},
    },
};

/// That records of an owner did not open in an hour.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Unreadable {
    pub owner: String,
    /// The first of them.
    pub document: String,
    #[serde(with = "time::serde::rfc3339")]
    pub first_at: OffsetDateTime,
    /// Processes that met one.
    pub count: u64,
}

impl Record for Unreadable {
    const KIND: &'static str = "unreadable";
    const SCHEMA: u32 = 1;

    fn key(&self) -> String {
        key(self.first_at, &self.owner)
    }
}

fn key(at: OffsetDateTime, owner: &str) -> String {
    format!("{:010}:{owner}", at.unix_timestamp() / 3600)
}

/// Tells what was noted since; what cannot be written now is noted again.
pub async fn tell(app: &App) {
    for note in take_notes(app) {
        if let Err(error) = tell_one(app, &note).await {
            tracing::warn!(error = %error, "that a record does not open is not in the log yet");
            note.again(app);
        }
    }
}

async fn tell_one(app: &App, note: &UnreadableNote) -> Result<(), StoreError> {
    let store = DeploymentScope::of_function("store", &app.ids.uuid().to_string()).store(app).await?;
    let UnreadableNote { owner, by, document, why } = note;
    let now = app.now();
    counted::count(
        &store,
        &key(now, owner),
        |met: &mut Unreadable| met.count += 1,
        || {
            let detail = json!({ "document": document, "why": why, "reader": by.to_string() });
            let object = if owner == "deployment" { "installation".to_owned() } else { format!("client {owner}") };
            let first = Unreadable { owner: owner.clone(), document: document.clone(), first_at: now, count: 1 };
            (first, Event::new("record.unreadable", object, detail))
        },
    )
    .await
}
