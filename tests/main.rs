//! Every integration test, in one binary.
#![allow(clippy::unwrap_used)]

#[path = "stories/audit_verify.rs"]
mod audit_verify;
