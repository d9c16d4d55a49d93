//! Autotask PSA: webhooks signed with a shared secret, a notice when one is switched off, and its REST API.
//!
//! Everything that knows an Autotask name lives here. A webhook shows only the fields that changed, as text, and signs
//! when it happened; after five tries in two minutes the sender gives up, so an old body is no first delivery.

pub mod event;
pub mod pull;
pub mod verify;
