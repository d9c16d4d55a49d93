//! The audit log: what happened, in whose name, in an order that nobody can change later.
//!
//! A use case adds an item to the batch of what it records ([`item::record`]); the sequencer gives each item its place in
//! its owner's log, once; the publisher makes of it the tiles and checkpoints that outsiders verify, by the rules in
//! [`tlog`]; a copy is verified offline. The leaf is small, versioned and free of personal data (design I6): content is
//! committed to by a salted hash, people appear as per-client pseudonyms.

pub mod anchor;
pub mod anchor_lock;
pub mod chain;
pub mod counted;
pub mod dead_letter;
pub mod demo;
pub mod ended;
pub mod entry;
pub mod export;
pub mod folder;
pub mod follow;
pub mod format;
mod handled;
pub mod item;
pub mod key_use;
pub mod leaf;
pub mod log_key;
pub mod proven;
pub mod publisher;
pub mod refusal;
pub mod replay;
pub mod request;
pub mod schema;
pub mod search;
pub mod sequencer;
pub mod tiles;
pub mod tlog;
pub mod trail;
pub mod unreadable;
pub mod verify;
pub mod verify_log;
pub mod verify_record;
pub mod walk;
pub mod watch;
pub mod witness;
pub mod zipped;

pub use export::{ExportError, Exported, Extent, export};
pub use handled::Handled;
pub use item::{Event, Item, record};
pub use publisher::{PublishError, publish};
pub use sequencer::{Sequenced, sequence};
pub use trail::Trail;
pub use verify::{Report, VerifyError, verify_file};
pub use verify_log::{Known, LogFault, LogReport, verify_folder};
pub use verify_record::verify_record;
