//! Every integration test, in one binary.
#![allow(clippy::unwrap_used)]

#[path = "contract/host_golden/mod.rs"]
mod host_golden;
#[path = "contract/host_handler/mod.rs"]
mod host_handler;
#[path = "contract/host_table.rs"]
mod host_table;
