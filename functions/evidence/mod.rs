//! Evidence: a record of something observed or filed, with its source, collected time, population, hash and freshness.
//!
//! Records come from `connectors` (observed) or from a person (filed as a link-out: the file stays with the client).
//! Nothing here judges an objective; that is `readiness`. Content that carries a CUI marking never becomes a record.

pub mod card;
pub mod cui;
pub mod ledger;
pub mod record;

pub use card::Cards;
pub use ledger::{PutBack, check};
pub use record::{AnalyzeV1, Evidence, EvidenceRef, Filed, Observed, Origin, Population};
