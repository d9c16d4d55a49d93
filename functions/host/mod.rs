//! The Azure Functions custom-handler protocol, and the stand-in host of local mode.
//!
//! The handler is the process that the Functions host starts and calls over loopback HTTP: HTTP functions arrive as
//! they are under the route prefix, every other trigger as a JSON envelope outside it. Nothing here knows what a
//! function does; `triggers::TABLE` says what there is.

pub mod body;
pub mod command;
#[cfg(feature = "demo")]
pub mod demo;
pub mod envelope;
pub mod handler;
mod headers;
pub mod local;
pub mod log;
pub mod package;
pub mod serve;
pub mod start;
pub mod verify;
pub mod verify_store;
mod watch;

pub use handler::{Call, Handler, Limits};
pub use serve::{ServeError, serve};
pub use start::StartError;
