//! Every integration test, in one binary.
#![allow(clippy::unwrap_used)]

#[path = "stories/gate_machine.rs"]
mod gate_machine;
