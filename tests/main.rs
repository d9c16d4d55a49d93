//! One binary for all integration tests: it links once. The table of invariants and their tests is in `tests/README.md`.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails")]
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a test that is skipped says so")]

mod contract;
mod support;
mod tidy;

#[path = "stories/audit_log.rs"]
mod audit_log;
#[path = "stories/audit_store.rs"]
mod audit_store;
#[path = "stories/audit_verify.rs"]
mod audit_verify;
mod stories {
    mod gate_machine;
    mod readiness_catalogue;
    mod scoring;
    mod suggestions;
}
