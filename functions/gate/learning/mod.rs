//! Learning from overrides: what people's decisions say about a rule, and how strictly it is gated for that.
//!
//! Pure, and a function of the log alone (design I11): facts of the log in ([`Observed`]), what was learned out
//! ([`Ledger`]), as the same bytes on every machine. It never approves anything, and learning moves a rule only between
//! L2, where people approve, and the level where its kind begins, never under the floor of the policy. Small numbers
//! stay small: without data a rule is where its kind begins and its rate is unknown, and a client may well stay at L2 for
//! months. Across clients see [`pool`].

pub mod bounds;
mod cusum;
mod label;
mod ledger;
mod observed;
pub mod pool;
mod rule;
pub mod sample;
#[cfg(test)]
mod tests;

pub use label::{Because, Label, Look, MIN_VIEW, label};
pub use ledger::{Change, Config, Gating, Ledger, Seeded, Terms, Threshold, Thresholds};
pub use observed::{Fact, Observed, fact, note_look};
pub use rule::{CATCH_PERCENT, DWELL, FEWEST_LABELS, Learned, Missing, REVIEWERS, Rule, Sign, TOO_OFTEN, limit};
