//! The stand-in Functions host, held to the real host's rules.

mod answers;
mod appfolders;
mod children;
mod envelopes;
mod handler;
mod proxies;
mod pumps;
mod queues;
mod support;
mod timers;
mod whole;
