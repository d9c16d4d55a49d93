//! What became of clients' keys, in the installation's log: that one was used, and that somebody was turned away because it
//! could not be.
//!
//! Whoever opens a client's records does not write: a page may not. What happened is noted in the process's memory
//! ([`keys::find_for`]) and told with the next invocation that may write; a process that dies before loses it, and the
//! vault's own log has every call. A use is told once a day for each client and process, a refusal is counted by the hour.

use serde::{Deserialize, Serialize};
use serde_json::json;
use time::OffsetDateTime;

use super::{
    Event, counted,
    refusal::{self, Refused},
};
use crate::{
    app::App,
    tenancy::{
        DeploymentScope, Record, StoreError, TenantId,
        keys::{self, KeyNote, KeyOutcome},
    },
};

/// That a client's data keys were unwrapped on a day (UTC).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct KeyUsed {
    pub tenant: TenantId,
    pub vault_key: String,
    pub vault_version: String,
    #[serde(with = "time::serde::rfc3339")]
    pub first_at: OffsetDateTime,
    /// Processes that did.
    pub count: u64,
}

impl Record for KeyUsed {
    const KIND: &'static str = "key-used";
    const SCHEMA: u32 = 1;

    fn key(&self) -> String {
        key(self.first_at, self.tenant)
    }
}

fn key(at: OffsetDateTime, tenant: TenantId) -> String {
    format!("{:06}:{tenant}", at.unix_timestamp() / DAY)
}

const DAY: i64 = 24 * 60 * 60;

/// Tells what was noted since; what cannot be written now is noted again.
pub async fn tell(app: &App) {
    let mut notes = keys::take_notes(app).into_iter();
    while let Some(note) = notes.next() {
        if let Err(error) = tell_one(app, &note).await {
            tracing::warn!(error = %error, "what became of a key is not in the log yet");
            std::iter::once(note).chain(notes).for_each(|note| note.again(app));
            return;
        }
    }
}

async fn tell_one(app: &App, note: &KeyNote) -> Result<(), StoreError> {
    let store = DeploymentScope::of_function("keys", &app.ids.uuid().to_string()).store(app).await?;
    let KeyNote { tenant, by, outcome } = note;
    match outcome {
        KeyOutcome::Used { vault_key, vault_version } => {
            let now = app.now();
            counted::count(
                &store,
                &key(now, *tenant),
                |used: &mut KeyUsed| used.count += 1,
                || {
                    let (vault_key, vault_version) = (vault_key.clone(), vault_version.clone());
                    let detail = json!({ "vault_key": vault_key, "vault_version": vault_version });
                    let used = KeyUsed { tenant: *tenant, vault_key, vault_version, first_at: now, count: 1 };
                    (used, Event::new("key.used", format!("client {tenant}"), detail))
                },
            )
            .await
        }
        KeyOutcome::Elsewhere => refusal::count_of(&store, by, Refused::Region, &format!("client:{tenant}")).await,
        KeyOutcome::Refused { why } => refusal::count_of(&store, by, Refused::Key, &format!("client:{tenant}:{why}")).await,
    }
}
