//! The handler's promises to the Functions host, without sockets (`core`) and over one (`socket`).

pub(crate) mod fixture;

mod core;
mod envelope;
mod hostile;
mod socket;
mod start;
