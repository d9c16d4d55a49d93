//! How long the exhaustive check of the gate's state machine takes, within bounds wider than those of the tests.

use std::time::Instant;

use crate::report::{self, Bar, Samples};

#[path = "../stories/gate/judge.rs"]
mod judge;
#[path = "../stories/gate/model.rs"]
#[allow(dead_code, unused_imports, reason = "its tests are not built here")]
mod states;
#[path = "../stories/gate/world.rs"]
#[allow(dead_code, reason = "the random walks' part of it")]
mod world;

/// Panics where the model finds a state that must not be.
pub fn measure() {
    let mut took = Samples::default();
    let begun = Instant::now();
    let checked = states::check(states::FULL);
    took.add(begun.elapsed().as_secs_f64());
    report::line(&format!("gate: all {} states of the model", checked.states), "s", &took, None, &Bar::AtMost(60.0));
}
