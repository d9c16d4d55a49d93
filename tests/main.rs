//! Every integration test, in one binary.
#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::print_stderr, reason = "tests say what they found, and stop where it is wrong")]

mod support;

#[path = "stories/gate/mod.rs"]
mod gate;
