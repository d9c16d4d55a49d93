//! The queue service: Put, Get and Delete Message, and what they say when something is not as it should be.

use std::{collections::BTreeMap, fmt::Write as _};

use azure_core::{http::Method, time::to_rfc7231};
use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use time::{Duration, OffsetDateTime, macros::datetime};

use super::{Answer, Call, element, escaped, refused};

const WEEK: i64 = 7 * 24 * 60 * 60;
/// What the service writes for a message that never expires.
const NEVER: OffsetDateTime = datetime!(9999-12-31 23:59:59 UTC);
const MAX_TEXT: usize = 64 * 1024;

#[derive(Default)]
pub(super) struct Queues {
    queues: BTreeMap<String, Vec<Message>>,
    made: u64,
}

struct Message {
    id: String,
    text: String,
    inserted_at: OffsetDateTime,
    expires_at: OffsetDateTime,
    visible_at: OffsetDateTime,
    pop_receipt: String,
    dequeue_count: u64,
}

impl Queues {
    pub(super) fn make<const N: usize>(&mut self, names: [&str; N]) {
        self.queues.extend(names.map(|name| (name.to_owned(), Vec::new())));
    }

    pub(super) fn remove(&mut self, name: &str) {
        self.queues.remove(name);
    }

    pub(super) fn count(&self, name: &str) -> usize {
        self.queues[name].len()
    }

    pub(super) fn filled(&self) -> Vec<String> {
        let mut filled: Vec<_> = self.queues.iter().filter(|(_, messages)| !messages.is_empty()).map(|(name, _)| name.clone()).collect();
        filled.sort_unstable();
        filled
    }

    pub(super) fn put(&mut self, queue: &str, text: String, now: OffsetDateTime) {
        self.push(queue, text, now);
    }

    fn push(&mut self, queue: &str, text: String, now: OffsetDateTime) -> &mut Message {
        self.made += 1;
        let message = Message {
            id: format!("00000000-0000-0000-0000-{:012}", self.made),
            text,
            inserted_at: now,
            expires_at: NEVER,
            visible_at: now,
            pop_receipt: receipt(self.made, 0),
            dequeue_count: 0,
        };
        let messages = self.queues.get_mut(queue).expect("a queue");
        messages.push(message);
        messages.last_mut().expect("just pushed")
    }

    pub(super) fn answer(&mut self, call: &Call, now: OffsetDateTime) -> Result<Answer, Answer> {
        let (queue, rest) = match call.path()[..] {
            [queue, "messages"] => (queue.to_owned(), None),
            [queue, "messages", id] => (queue.to_owned(), Some(id.to_owned())),
            _ => return Err(refused(400, "InvalidUri", "The requested URI does not represent any resource on the server.")),
        };
        let Some(messages) = self.queues.get_mut(&queue) else {
            return Err(refused(404, "QueueNotFound", "The specified queue does not exist."));
        };
        messages.retain(|message| message.expires_at > now);
        match (call.method, rest) {
            (Method::Post, None) => self.send(&queue, call, now),
            (Method::Get, None) => receive(messages, call, now),
            (Method::Delete, Some(id)) => delete(messages, &id, call),
            _ => Err(refused(405, "UnsupportedHttpVerb", "The resource doesn't support specified Http Verb.")),
        }
    }

    fn send(&mut self, queue: &str, call: &Call, now: OffsetDateTime) -> Result<Answer, Answer> {
        let lives = call.number("messagettl", WEEK, -1..=i64::MAX)?;
        let hidden = call.number("visibilitytimeout", 0, 0..=WEEK)?;
        if lives == 0 || (lives > 0 && hidden >= lives) {
            return Err(refused(400, "OutOfRangeQueryParameterValue", "The time to live is outside the permissible range."));
        }
        let body = std::str::from_utf8(&call.body).ok().and_then(|xml| element(xml, "MessageText"));
        let text = body.ok_or_else(|| refused(400, "InvalidXmlDocument", "XML specified is not syntactically valid."))?;
        if text.len() > MAX_TEXT {
            return Err(refused(413, "RequestBodyTooLarge", "The request body is too large and exceeds the maximum permissible limit."));
        }
        let message = self.push(queue, text.to_owned(), now);
        message.expires_at = if lives < 0 { NEVER } else { now + Duration::seconds(lives) };
        message.visible_at = now + Duration::seconds(hidden);
        let text = format!(
            "<QueueMessagesList><QueueMessage>{}<TimeNextVisible>{}</TimeNextVisible><PopReceipt>{}</PopReceipt></QueueMessage></QueueMessagesList>",
            message.times(),
            to_rfc7231(&message.visible_at),
            message.pop_receipt
        );
        Ok(Answer::xml(201, &text))
    }
}

impl Message {
    fn times(&self) -> String {
        format!(
            "<MessageId>{}</MessageId><InsertionTime>{}</InsertionTime><ExpirationTime>{}</ExpirationTime>",
            self.id,
            to_rfc7231(&self.inserted_at),
            to_rfc7231(&self.expires_at)
        )
    }
}

fn receive(messages: &mut [Message], call: &Call, now: OffsetDateTime) -> Result<Answer, Answer> {
    let count = call.number("numofmessages", 1, 1..=32)?;
    let lease = call.number("visibilitytimeout", 30, 1..=WEEK)?;
    let mut list = String::new();
    for (message, _) in messages.iter_mut().filter(|message| message.visible_at <= now).zip(0..count) {
        message.dequeue_count += 1;
        message.visible_at = now + Duration::seconds(lease);
        let number = message.id[24..].parse().expect("an id of this service");
        message.pop_receipt = receipt(number, message.dequeue_count);
        let _ = write!(
            list,
            "<QueueMessage>{}<PopReceipt>{}</PopReceipt><TimeNextVisible>{}</TimeNextVisible><DequeueCount>{}</DequeueCount><MessageText>{}</MessageText></QueueMessage>",
            message.times(),
            message.pop_receipt,
            to_rfc7231(&message.visible_at),
            message.dequeue_count,
            escaped(&message.text)
        );
    }
    Ok(Answer::xml(200, &format!("<QueueMessagesList>{list}</QueueMessagesList>")))
}

fn delete(messages: &mut Vec<Message>, id: &str, call: &Call) -> Result<Answer, Answer> {
    let Some(at) = messages.iter().position(|message| message.id == id) else {
        return Err(refused(404, "MessageNotFound", "The specified message does not exist."));
    };
    if call.query.get("popreceipt") != Some(&messages[at].pop_receipt) {
        return Err(refused(400, "PopReceiptMismatch", "The specified pop receipt did not match the pop receipt for a dequeued message."));
    }
    messages.remove(at);
    Ok(Answer::new(204, ""))
}

/// Opaque, and full of what a query must not carry as it is.
fn receipt(number: u64, lease: u64) -> String {
    BASE64.encode([&[0xfb, 0xef, 0xbe, 0xff][..], &number.to_be_bytes(), &lease.to_be_bytes()].concat())
}
