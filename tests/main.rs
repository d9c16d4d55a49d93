//! One binary for all integration tests: it links once. The table of invariants and their tests is in `tests/README.md`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a test that cannot go on fails, and says what it found"
)]

#[path = "stories/gate/mod.rs"]
mod gate;
mod support;
mod tidy;
