//! Figures about the work: how much is asked, decided and carried out, how often people say no, how long they take.
//!
//! Projections that are folded from the log, not counters beside it ([`keep`]): the log is what auditors verify, a replay
//! gives the same numbers, and whoever writes a decision pays for no second document. What each figure counts is written
//! once, in [`figures`], and shown on the page beside it. Each client's figures stand in its own partition under its own
//! key; the owner's page adds up what it may read, and no query crosses partitions.

pub mod accept;
pub mod figures;
pub mod keep;
pub mod lately;
pub mod sampled;
pub mod sharing;
mod tally;
pub mod view;
mod weeks;

pub use figures::{Figures, Share};
pub use keep::{Followed, Known, follow, known};
pub use lately::Lately;
pub use tally::{Item, Looked, Tally};
pub use weeks::{Week, weeks};
