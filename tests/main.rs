//! One binary for all integration tests: it links once. The table of invariants and their tests is in `tests/README.md`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "tests say what they found, and stop where it is wrong"
)]

mod connectors;
mod contract;
mod support;
mod tidy;

mod stories {
    mod audit_log;
    mod audit_store;
    mod audit_verify;
    mod gate_machine;
    mod readiness_catalogue;
    mod scoring;
    mod suggestions;
}
