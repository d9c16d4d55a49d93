//! The stand-in Functions host, held to the real host's rules.

pub(crate) mod answers;
mod appfolders;
mod children;
mod ends;
mod envelopes;
mod handler;
mod proxies;
mod pumps;
mod queues;
mod support;
mod timers;
mod whole;
