//! The stand-in Functions host of local mode (being built).

pub mod queue_api;
pub mod queues;
