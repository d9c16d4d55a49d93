//! The stand-in Functions host, held to the real host's rules.

mod answers;
mod appfolders;
mod envelopes;
mod queues;
mod support;
