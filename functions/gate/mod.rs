//! The gate: what needs a human waits here as a proposal, and runs only as the exact bytes that were approved.
//!
//! Levels come from policy, never from a request. The gate never knows what an action does: the area that staged it
//! performs it, inside the batch that the gate commits (design, "Two places"). Silence never approves (I4).

pub mod decide;
pub mod execute;
pub mod hash;
pub mod inbox;
pub mod lapse;
pub mod learning;
pub mod level;
pub mod link;
pub mod machine;
pub mod mail;
pub mod newcomer;
pub mod notify;
pub mod proposal;
pub mod view;

pub use decide::{Capacity, DecideError, Decided, decide, decide_as};
pub use execute::{ExecuteError, NotPerformed, Performing, execute};
pub use lapse::{expire, supersede};
pub use machine::{Answer, Refusal, Verdict};
pub use newcomer::tell_owners;
pub use notify::{NotifyError, notify, remind};
pub use proposal::{Decision, Draft, Proposal, State, revise, stage};
