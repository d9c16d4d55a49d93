//! The audit log: what happened, in whose name, in an order that nobody can change later.
//!
//! A use case adds an item to the batch of what it records ([`item::record`]); the sequencer gives each item its place
//! in its owner's hash chain, once; export and verification work offline. The leaf is small, versioned and free of
//! personal data (design I6): content is committed to by a salted hash, people appear as per-client pseudonyms.

pub mod chain;
pub mod counted;
pub mod dead_letter;
pub mod demo;
pub mod entry;
pub mod export;
pub mod format;
mod handled;
pub mod item;
pub mod leaf;
pub mod refusal;
pub mod sequencer;
pub mod tlog;
pub mod trail;
pub mod verify;

pub use export::{ExportError, Exported, export};
pub use handled::Handled;
pub use item::{Event, Item, record};
pub use sequencer::{Sequenced, sequence};
pub use trail::Trail;
pub use verify::{Report, VerifyError, verify_file};
