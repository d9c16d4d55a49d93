//! The queues of Azure Storage, in memory and by the virtual clock.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use assay::platform::ports::{Clock, MAX_MESSAGE_BYTES, PortError, PortErrorKind, Queue, Received};
use async_trait::async_trait;
use bytes::Bytes;
use time::OffsetDateTime;

pub struct MemoryQueue {
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    queues: BTreeMap<String, Vec<Message>>,
    made: u64,
    copies: Option<Copies>,
    is_away: bool,
}

/// Queue and body of every message that was sent.
pub type Copies = Arc<Mutex<Vec<(String, Bytes)>>>;

struct Message {
    id: String,
    body: Bytes,
    visible_at: OffsetDateTime,
    inserted_at: OffsetDateTime,
    dequeue_count: u32,
    pop_receipt: String,
}

impl MemoryQueue {
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, state: Mutex::default() }
    }

    /// From now on a copy of every message that is sent.
    pub fn keep_copies(&self) -> Copies {
        self.state.lock().unwrap().copies.get_or_insert_default().clone()
    }

    /// The clock was set by this much, and the time that messages are hidden was not.
    pub fn shift(&self, by: time::Duration) {
        for message in self.state.lock().unwrap().queues.values_mut().flatten() {
            message.visible_at += by;
        }
    }

    /// Nothing can be sent meanwhile.
    pub fn goes_away(&self, away: bool) {
        self.state.lock().unwrap().is_away = away;
    }

    /// Every message of the queue, hidden or not, in the order they were sent.
    pub fn bodies(&self, queue: &str) -> Vec<Bytes> {
        self.state.lock().unwrap().queues.get(queue).into_iter().flatten().map(|message| message.body.clone()).collect()
    }

    /// Queues that hold messages, hidden or not.
    pub fn filled(&self) -> Vec<String> {
        self.state.lock().unwrap().queues.iter().filter(|(_, messages)| !messages.is_empty()).map(|(name, _)| name.clone()).collect()
    }
}

#[async_trait]
impl Queue for MemoryQueue {
    async fn send(&self, queue: &str, message: Bytes, delay: Duration) -> Result<(), PortError> {
        if message.len() > MAX_MESSAGE_BYTES {
            return Err(PortError::new(format!("queue {queue}"), PortErrorKind::TooLarge));
        }
        let now = self.clock.now();
        let mut state = self.state.lock().unwrap();
        if state.is_away {
            return Err(PortError::new(format!("queue {queue}"), PortErrorKind::Unavailable));
        }
        state.made += 1;
        if let Some(copies) = &state.copies {
            copies.lock().unwrap().push((queue.to_owned(), message.clone()));
        }
        let message = Message {
            id: format!("message-{}", state.made),
            body: message,
            visible_at: now + delay,
            inserted_at: now,
            dequeue_count: 0,
            pop_receipt: String::new(),
        };
        state.queues.entry(queue.to_owned()).or_default().push(message);
        Ok(())
    }

    async fn receive(&self, queue: &str, max: usize, lease: Duration) -> Result<Vec<Received>, PortError> {
        let now = self.clock.now();
        let mut state = self.state.lock().unwrap();
        let waiting = state.queues.entry(queue.to_owned()).or_default().iter_mut();
        let received = waiting.filter(|message| message.visible_at <= now).take(max.clamp(1, 32)).map(|message| {
            message.dequeue_count += 1;
            message.visible_at = now + lease;
            message.pop_receipt = format!("{}-{}", message.id, message.dequeue_count);
            Received {
                id: message.id.clone(),
                pop_receipt: message.pop_receipt.clone(),
                body: message.body.clone(),
                dequeue_count: message.dequeue_count,
                inserted_at: message.inserted_at,
            }
        });
        Ok(received.collect())
    }

    async fn delete(&self, queue: &str, message: &Received) -> Result<(), PortError> {
        let mut state = self.state.lock().unwrap();
        let messages = state.queues.entry(queue.to_owned()).or_default();
        match messages.iter().position(|held| held.id == message.id) {
            // Azure Storage answers 400 PopReceiptMismatch to the receipt of an earlier lease.
            Some(at) if messages[at].pop_receipt != message.pop_receipt => {
                Err(PortError::new(format!("queue {queue}"), PortErrorKind::Invalid))
            }
            Some(at) => {
                messages.remove(at);
                Ok(())
            }
            None => Ok(()),
        }
    }
}
