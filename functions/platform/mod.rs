//! The ports and their adapters. Only `assemble` names an adapter.

pub mod local;
pub mod ports;
