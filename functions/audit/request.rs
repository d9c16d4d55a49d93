//! Asks for a checkpoint soon after something was recorded: one message for each owner, however much happens.
//!
//! Whoever records notes the owner in this process's memory; when the invocation is over, a message goes out that the
//! host delivers a little later, unless one is on its way that comes late enough. A process that dies in between leaves
//! it to the sweep.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{
    app::App,
    tenancy::{Place, StoreError, keys::Owner, message},
};

/// The function that is asked, and its queue.
pub const FUNCTION: &str = "publish";

/// How long after the event: what happens meanwhile goes with it.
const DELAY: Duration = Duration::from_secs(20);
/// For so long another message is not needed: one that was sent before still comes some seconds after what is recorded
/// now is written.
const COVERED: Duration = Duration::from_secs(14);

/// Which places of an owner a message is about: all of a client's; of the installation, which has as many for each of its
/// connections, one connection's or one of the others.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublishV1 {
    /// The beginning of the places' keys; absent: all.
    pub group: Option<String>,
}

impl PublishV1 {
    fn of(owner: Owner, place: &str) -> Self {
        let group = || match place.match_indices('/').nth(1) {
            Some((end, _)) => place[..end].to_owned(),
            None => place.to_owned(),
        };
        Self { group: (owner == Owner::Deployment).then(group) }
    }

    /// Whether items of the place are looked for.
    pub fn covers(&self, place: &impl Place) -> bool {
        let key = place.key();
        let below = |group: &String| key.strip_prefix(group.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        self.group.as_ref().is_none_or(below)
    }
}

/// Notes that something is about to be recorded there.
pub fn note(app: &App, owner: Owner, place: &impl Place) {
    let PublishV1 { group } = PublishV1::of(owner, &place.key());
    app.memory.note(NOTES, &format!("{owner} {}", group.unwrap_or_default()));
}

const NOTES: &str = "audit";

/// Asks for what was noted since. Nothing is lost when it fails.
pub async fn send(app: &App) {
    for note in app.memory.take_notes(NOTES) {
        let window = format!("publish/{note}");
        if !app.cache.allow(&window, 1, app.now(), COVERED) {
            continue;
        }
        if let Err(error) = ask(app, &note).await {
            tracing::warn!(note, error = %error, "no checkpoint was asked for; the sweep makes it");
            app.cache.forget(&window);
        }
    }
}

async fn ask(app: &App, note: &str) -> Result<(), StoreError> {
    let (owner, group) = note.split_once(' ').unwrap_or((note, ""));
    let body = PublishV1 { group: Some(group.to_owned()).filter(|group| !group.is_empty()) };
    let bytes = message::seal(app, FUNCTION, owner.parse().ok(), app.ids.uuid(), &body).await?;
    Ok(app.queue.send(FUNCTION, bytes, DELAY).await?)
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::tenancy::{ClientPlace, ConnectionId, ConnectionPlace, DeploymentPlace, TenantId};

    #[test]
    fn a_message_is_about_all_of_a_client_and_of_the_installation_about_what_belongs_together() {
        let client = PublishV1::of(Owner::Tenant(TenantId(Uuid::nil())), &ClientPlace::Evidence(3).key());
        assert!(ClientPlace::with_outbox().all(|place| client.covers(&place)));
        let [one, other] = [1, 2].map(|n| ConnectionId(Uuid::from_u128(n)));
        let of = |id, place| DeploymentPlace::Connection(id, place);
        let group = PublishV1::of(Owner::Deployment, &of(one, ConnectionPlace::Deliveries(7)).key());
        assert!(ConnectionPlace::all().all(|place| group.covers(&of(one, place)) && !group.covers(&of(other, place))));
        assert!(!group.covers(&DeploymentPlace::Directory));
        let group = PublishV1::of(Owner::Deployment, &DeploymentPlace::Directory.key());
        assert!(group.covers(&DeploymentPlace::Directory) && !group.covers(&DeploymentPlace::Operations));
    }
}
