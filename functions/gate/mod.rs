//! The gate: what needs a human waits here as a proposal, and runs only as the exact bytes that were approved.
//!
//! Levels come from policy, never from a request. The gate never knows what an action does: the area that staged it
//! performs it, inside the batch that the gate commits (design, "Two places"). Silence never approves (I4).

pub mod amend;
pub mod authority;
pub mod decide;
pub mod delegation;
pub mod delivery;
pub mod demotion;
pub mod dry_run;
pub mod event;
pub mod execute;
pub mod fold;
pub mod hash;
pub mod inbox;
pub mod lapse;
pub mod learning;
pub mod level;
pub mod link;
pub mod machine;
pub mod mail;
pub mod marks;
pub mod newcomer;
pub mod notify;
pub mod occasion;
pub mod policy;
pub mod proposal;
pub mod quorum;
pub mod ran;
pub mod receipt;
pub mod refusal;
mod remake;
pub mod reviewers;
mod run;
pub mod state;
pub mod view;

pub use decide::{DecideError, Decided, decide, decide_as, withdraw};
pub use event::{Answer, Capacity, Represented, Verdict};
pub use execute::{ExecuteError, NotPerformed, Performing, execute};
pub use lapse::{bring_under_policy, expire, rolled_back, supersede};
pub use level::Level;
pub use newcomer::tell_owners;
pub use notify::{NotifyError, Reminded, notify, remind};
pub use policy::{Policy, Rule};
pub use proposal::{Draft, Proposal, revise, stage};
pub use refusal::Refusal;
pub use remake::remake;
pub use state::{Decision, State};
