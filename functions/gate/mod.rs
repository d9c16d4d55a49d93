//! The gate: what needs a human waits here as a proposal, and runs only as the exact bytes that were approved.
//!
//! Levels come from policy, never from a request. The gate never knows what an action does: the area that staged it
//! performs it, inside the batch that the gate commits (design, "Two places"). Silence never approves (I4).

pub mod machine;
pub mod proposal;

pub use machine::{Answer, Refusal, Verdict};
pub use proposal::{Draft, Proposal, State, stage};
