//! The stand-in Functions host, held to the real host's rules.

mod queues;
mod support;
