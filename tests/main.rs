//! Every integration test, in one binary.
#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::print_stderr, reason = "tests say what they found, and stop where it is wrong")]

mod support;

#[path = "stories/gate/mod.rs"]
mod gate;
//! One binary for all integration tests: it links once. The table of invariants and their tests is in `tests/README.md`.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails")]

mod tidy;
