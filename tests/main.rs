//! One binary for all integration tests: it links once. The table of invariants and their tests is in `tests/README.md`.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails")]

mod support;
mod tidy;

mod stories {
    mod analysis;
    mod gate_machine;
    mod readiness_catalogue;
    mod scoring;
    mod suggestions;
}
