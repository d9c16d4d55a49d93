//! Dead letters: messages that redelivery cannot mend, kept with the reason until a person has looked.
//!
//! They come from two sides: a consumer that refuses a message (its MAC does not hold, its form is unknown), and the
//! host's `*-poison` queues, which the sweep drains. Replaying one, or saying that one has seen to it, is for people; a
//! replay sends the same message again, so whatever was wrong with it is checked again. A forged message stays forged; one
//! that was authentic when it was written down may wait longer than its data key counts, and is then sent under the newest.

use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::json;
use time::OffsetDateTime;

use super::{Event, Handled, record};
use crate::{
    app::App,
    tenancy::{
        DeploymentPlace, DeploymentScope, Held, Record, Store, StoreError,
        message::{self, MessageError},
        seal::sha256,
    },
};

/// The queues that feed functions, whose poison the sweep drains.
pub const QUEUES: [&str; 5] = ["intake", "analyze", "notify", "execute", "publish"];

/// How long a drained poison message is hidden while it is written down.
const LEASE: Duration = Duration::from_mins(2);

/// The reason where no failure was remembered: the function may never have had it, or never said why.
const NEVER_FAILED: &str = "the host took it out of its queue; no failed run of the function is noted. \
    It may be text that is not base64, or the handler may have ended while it worked";

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DeadLetter {
    /// Hash of queue and bytes: the same message drained twice is one dead letter.
    pub id: String,
    pub queue: String,
    /// Base64 of the exact bytes.
    pub body: String,
    /// For people.
    pub reason: String,
    /// How often this came back after a replay, counting the first time.
    pub times: u32,
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
    pub state: DeadLetterState,
    /// Who sent it again, and when.
    pub replayed: Option<Handled>,
    /// Who has seen to it otherwise, and when.
    #[serde(default)]
    pub seen: Option<Handled>,
    /// Whether its MAC held when it was written down.
    #[serde(default)]
    pub authentic: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeadLetterState {
    Waiting,
    Replayed,
    SeenTo,
}

impl Record for DeadLetter {
    const KIND: &'static str = "dead-letter";
    const SCHEMA: u32 = 1;

    fn key(&self) -> String {
        self.id.clone()
    }
}

/// Why a message failed the last time it was tried, so that its dead letter can say so. Kept until then, or for a day.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct LastFailure {
    id: String,
    reason: String,
    #[serde(with = "time::serde::rfc3339")]
    at: OffsetDateTime,
}

impl Record for LastFailure {
    const KIND: &'static str = "last-failure";
    const SCHEMA: u32 = 1;

    fn key(&self) -> String {
        self.id.clone()
    }
}

/// How long a failure is remembered of a message that went well later.
const REMEMBERED: time::Duration = time::Duration::days(1);

/// Remembers why this message failed just now. Not audited: nothing changed, and what comes of it is.
pub async fn remember(app: &App, scope: &DeploymentScope, queue: &str, body: &[u8], reason: &str) -> Result<(), StoreError> {
    let store = scope.store(app).await?;
    let id = id_of(queue, body);
    let held = store.read::<LastFailure>(DeploymentPlace::Operations, &id).await?;
    let mut batch = store.batch(DeploymentPlace::Operations);
    batch.put(LastFailure { id, reason: reason.into(), at: app.now() }, held.map(|held| held.etag));
    batch.commit().await
}

fn id_of(queue: &str, body: &[u8]) -> String {
    sha256(&[queue.as_bytes(), &[0], body].concat())
}

/// Writes a dead letter down, with its audit item; the caller may then answer success.
pub async fn keep(app: &App, scope: &DeploymentScope, queue: &str, body: &[u8], reason: &str) -> Result<(), StoreError> {
    let store = scope.store(app).await?;
    let id = id_of(queue, body);
    let holds = Box::pin(message::open(app, queue, body)).await.is_ok();
    loop {
        let known: Option<Held<DeadLetter>> = store.read(DeploymentPlace::Operations, &id).await?;
        let times = match &known {
            Some(held) if held.value.state == DeadLetterState::Waiting => return Ok(()),
            Some(held) => held.value.times + 1,
            None => 1,
        };
        let letter = DeadLetter {
            id: id.clone(),
            queue: queue.into(),
            body: BASE64.encode(body),
            reason: reason.into(),
            times,
            at: app.now(),
            state: DeadLetterState::Waiting,
            replayed: None,
            seen: None,
            authentic: holds || known.as_ref().is_some_and(|held| held.value.authentic),
        };
        let mut batch = store.batch(DeploymentPlace::Operations);
        record(
            &mut batch,
            Event::new("message.dead", format!("message {id}"), json!({ "queue": queue, "reason": reason, "times": times })),
        );
        batch.put(letter, known.map(|held| held.etag));
        match batch.commit().await {
            Err(error) if error.is_conflict() => {}
            other => return other,
        }
    }
}

/// Drains every poison queue into dead letters; returns how many messages were found.
pub async fn drain_poison(app: &App, scope: &DeploymentScope) -> Result<usize, StoreError> {
    let store = scope.store(app).await?;
    let mut drained = 0;
    for queue in QUEUES {
        let poison = format!("{queue}-poison");
        loop {
            let messages = app.queue.receive(&poison, 16, LEASE).await?;
            if messages.is_empty() {
                break;
            }
            for message in messages {
                let last = store.read::<LastFailure>(DeploymentPlace::Operations, &id_of(queue, &message.body)).await?;
                let reason = last.map_or_else(
                    || NEVER_FAILED.to_owned(),
                    |held| format!("the function failed on it five times; the last time because {}", held.value.reason),
                );
                keep(app, scope, queue, &message.body, &reason).await?;
                app.queue.delete(&poison, &message).await?;
                drained += 1;
            }
        }
    }
    forget(&store).await?;
    Ok(drained)
}

/// Drops what was remembered of messages that went well since, or that have their dead letter.
async fn forget(store: &Store<'_, DeploymentPlace>) -> Result<(), StoreError> {
    for held in store.all::<LastFailure>(DeploymentPlace::Operations, "").await? {
        if store.app().now() - held.value.at >= REMEMBERED {
            let mut batch = store.batch(DeploymentPlace::Operations);
            batch.delete(&held);
            match batch.commit().await {
                // It failed again just now.
                Err(error) if error.is_conflict() => {}
                other => other?,
            }
        }
    }
    Ok(())
}

/// Every dead letter that can be read, and the ids of those that cannot.
#[derive(Clone, Debug, Default)]
pub struct Letters {
    /// Those that wait for a person first, the newest of them first.
    pub readable: Vec<DeadLetter>,
    pub unreadable: Vec<String>,
}

impl Letters {
    /// How many wait for a person; one that cannot be read does.
    pub fn waiting(&self) -> usize {
        self.unreadable.len() + self.readable.iter().filter(|letter| letter.state == DeadLetterState::Waiting).count()
    }

    /// How many became dead letters, or did again, at `since` or later.
    pub fn died_since(&self, since: OffsetDateTime) -> usize {
        self.readable.iter().filter(|letter| letter.at >= since).count()
    }
}

/// Each stands for itself: a damaged record hides no other.
pub async fn each(app: &App, scope: &DeploymentScope) -> Result<Letters, StoreError> {
    let mut letters = Letters::default();
    for read in scope.store(app).await?.all_of_each::<DeadLetter>(DeploymentPlace::Operations, "").await? {
        match read {
            Ok(held) => letters.readable.push(held.value),
            Err(error) => match error.unreadable::<DeadLetter>() {
                Some(id) => letters.unreadable.push(id.to_owned()),
                None => return Err(error),
            },
        }
    }
    letters.readable.sort_by(|a, b| (a.state, b.at, &a.id).cmp(&(b.state, a.at, &b.id)));
    Ok(letters)
}

/// All that can be read, in the same order.
pub async fn all(app: &App, scope: &DeploymentScope) -> Result<Vec<DeadLetter>, StoreError> {
    Ok(each(app, scope).await?.readable)
}

/// How many wait for a person.
pub async fn waiting(app: &App, scope: &DeploymentScope) -> Result<usize, StoreError> {
    Ok(each(app, scope).await?.waiting())
}

/// Whether sending it again may help: what is not of ours, or is not what we said, never becomes so.
pub async fn may_be_tried_again(app: &App, letter: &DeadLetter) -> bool {
    let body = BASE64.decode(&letter.body).unwrap_or_default();
    let opened = message::open(app, &letter.queue, &body).await;
    letter.authentic || !matches!(opened, Err(MessageError::Form | MessageError::Mac | MessageError::OtherFunction(_)))
}

pub async fn is_known(app: &App, scope: &DeploymentScope, id: &str) -> Result<bool, StoreError> {
    Ok(scope.store(app).await?.read::<DeadLetter>(DeploymentPlace::Operations, id).await?.is_some())
}

/// Sends the same message again; `false` when there is nothing to replay. Sent before it is marked, so that a crash in
/// between repeats the send and loses nothing.
pub async fn replay(app: &App, scope: &DeploymentScope, id: &str, by: &str) -> Result<bool, StoreError> {
    let store = scope.store(app).await?;
    let Some(mut held) = store.read::<DeadLetter>(DeploymentPlace::Operations, id).await? else { return Ok(false) };
    if held.value.state != DeadLetterState::Waiting {
        return Ok(false);
    }
    let times = held.value.times;
    let mut body = Bytes::from(BASE64.decode(&held.value.body).unwrap_or_default());
    if held.value.authentic && matches!(message::open(app, &held.value.queue, &body).await, Err(MessageError::Mac)) {
        body = message::renew(app, &body).await?;
    }
    app.queue.send(&held.value.queue, body, Duration::ZERO).await?;
    loop {
        // What has come back since waits again.
        if held.value.times == times {
            held.value.state = DeadLetterState::Replayed;
            held.value.replayed = Some(Handled { by: by.into(), at: app.now() });
            held.value.seen = None;
        }
        let mut batch = store.batch(DeploymentPlace::Operations);
        record(&mut batch, Event::new("message.replayed", format!("message {id}"), json!({ "queue": held.value.queue })));
        batch.replace(&held);
        match batch.commit().await {
            Err(error) if error.is_conflict() => {}
            other => return other.map(|()| true),
        }
        // Somebody has seen to it meanwhile: it was sent all the same, and that is written down.
        match store.read(DeploymentPlace::Operations, id).await? {
            Some(newer) => held = newer,
            None => return Ok(true),
        }
        // Somebody else sent it at the same moment: a message that comes twice does no harm.
        if held.value.state == DeadLetterState::Replayed {
            return Ok(false);
        }
    }
}

/// A person has seen to it, and it is not to be sent again; `false` when it does not wait. The same message may come
/// anew: then it waits again.
pub async fn see_to(app: &App, scope: &DeploymentScope, id: &str, by: &str) -> Result<bool, StoreError> {
    let store = scope.store(app).await?;
    let Some(mut held) = store.read::<DeadLetter>(DeploymentPlace::Operations, id).await? else { return Ok(false) };
    if held.value.state != DeadLetterState::Waiting {
        return Ok(false);
    }
    held.value.state = DeadLetterState::SeenTo;
    held.value.seen = Some(Handled { by: by.into(), at: app.now() });
    let mut batch = store.batch(DeploymentPlace::Operations);
    let detail = json!({ "queue": held.value.queue, "reason": held.value.reason });
    record(&mut batch, Event::new("message.seen_to", format!("message {id}"), detail));
    batch.replace(&held);
    batch.commit_unless_overtaken().await
}

/// What came of a button for many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReplayedAll {
    pub sent: usize,
    /// Of the same reason, and still waiting.
    pub left: usize,
}

/// Sent again by one press: what it takes stays far below a request's deadline.
const AT_ONCE: usize = 100;

/// Sends those again that wait for the same reason, the oldest first: they came in that order.
pub async fn replay_all(app: &App, scope: &DeploymentScope, reason: &str, by: &str) -> Result<ReplayedAll, StoreError> {
    let mut waiting = Vec::new();
    for letter in all(app, scope).await? {
        if letter.state == DeadLetterState::Waiting && letter.reason == reason && may_be_tried_again(app, &letter).await {
            waiting.push(letter);
        }
    }
    let mut sent = 0;
    for letter in waiting.iter().rev().take(AT_ONCE) {
        sent += usize::from(replay(app, scope, &letter.id, by).await?);
    }
    Ok(ReplayedAll { sent, left: waiting.len().saturating_sub(AT_ONCE) })
}
