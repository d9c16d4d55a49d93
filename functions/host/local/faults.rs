//! Switches that make deliveries go wrong on purpose, in the ways the real host lets them go wrong.
//!
//! Off unless a test sets them. Each is something that has been seen in production or measured: an answer lost after the
//! effect, a process killed mid-flight, a message twice, late or out of order, an orphan beside the new process.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

/// What goes wrong with one delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The handler does its work and answers; the host never hears it.
    DropAnswer,
    /// SIGKILL once the request has left.
    KillMidFlight,
    /// SIGKILL after the handler has answered; the answer is lost.
    KillAfterAnswer,
    /// The handler gets the same message again, under a new invocation id, after it succeeded.
    DeliverTwice,
    /// The message comes back after this long; this delivery does not reach the handler.
    DeliverLate(Duration),
    /// A second handler is started and this one stays alive beside it until the host ends.
    SecondHandler,
}

/// Cheap to clone; clones share the plan.
#[derive(Clone, Default)]
pub struct Faults(Arc<Mutex<Plan>>);

#[derive(Default)]
struct Plan {
    next: HashMap<String, VecDeque<Fault>>,
    with_content_length: bool,
    reorder: bool,
}

impl Faults {
    /// The next deliveries to `function` suffer these, one each.
    pub fn plan(&self, function: &str, faults: impl IntoIterator<Item = Fault>) {
        self.change(|plan| plan.next.entry(function.to_owned()).or_default().extend(faults));
    }

    /// Envelopes carry a Content-Length instead of chunks, as under Core Tools with tracing.
    pub fn set_content_length(&self, on: bool) {
        self.change(|plan| plan.with_content_length = on);
    }

    /// Batches are handed out last message first.
    pub fn set_reorder(&self, on: bool) {
        self.change(|plan| plan.reorder = on);
    }

    /// Whether every planned fault was met.
    pub fn are_spent(&self) -> bool {
        self.change(|plan| plan.next.values().all(VecDeque::is_empty))
    }

    pub(super) fn take(&self, function: &str) -> Option<Fault> {
        self.change(|plan| plan.next.get_mut(function).and_then(VecDeque::pop_front))
    }

    pub(super) fn has_content_length(&self) -> bool {
        self.change(|plan| plan.with_content_length)
    }

    pub(super) fn reorders(&self) -> bool {
        self.change(|plan| plan.reorder)
    }

    fn change<T>(&self, change: impl FnOnce(&mut Plan) -> T) -> T {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
