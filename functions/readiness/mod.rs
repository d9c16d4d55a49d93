//! Readiness for a CMMC Level 2 assessment: what is required, what the evidence suggests, what a named human found.
//!
//! `catalogue`, `score`, `poam`, `map`, `topic`, `suggest` and `raise` are pure rules: plain data in, plain data out.
//! `analyze` turns new evidence into suggestions and proposals, `mark` is what the gate runs after an approval, `view` is
//! what pages show. A suggestion is never a finding, and what nobody read is unknown, never compliant (design I8).

pub mod analyze;
pub mod catalogue;
pub mod draft;
pub mod fold;
pub mod freshness;
mod lease;
pub mod map;
pub mod mark;
pub mod objective;
pub mod poam;
pub mod propose;
pub mod raise;
pub mod score;
pub mod standing;
pub mod submission;
pub mod suggest;
pub mod topic;
pub mod view;

pub use analyze::{AnalyzeError, analyze, leftovers};
pub use catalogue::catalogue;
pub use mark::perform;
pub use objective::{Finding, Found, Objective, Restored};
pub use propose::{ByHand, ProposeError, check_by_hand, propose_by_hand, propose_roll_back};
pub use standing::Standing;
