//! The ports and their adapters. Only `assemble` names an adapter.

pub mod append_only;
pub mod azure;
pub mod cloud;
pub mod key_uri;
pub mod limits;
pub mod local;
mod paging;
pub mod ports;
pub mod process;
pub mod retry_after;
