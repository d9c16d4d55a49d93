#![allow(clippy::unwrap_used)]
mod host_local;
