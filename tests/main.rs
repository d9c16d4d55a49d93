//! Every integration test, in one binary.
#![allow(clippy::unwrap_used)]

#[path = "stories/audit_log.rs"]
mod audit_log;
#[path = "stories/audit_store.rs"]
mod audit_store;
#[path = "stories/audit_verify.rs"]
mod audit_verify;
