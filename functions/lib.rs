//! Assay: an assessor-ready CMMC Level 2 record for each client company of a Managed Service Provider.
//!
//! The map of the house, from the top floor down; a module uses only floors below its own (`tests/tidy.rs`).
//! Prose about the whole is in `functions/README.md`, what must stay true is each a test in `tests/README.md`.

pub mod assemble; // builds App from local or Azure parts; the only file that names an adapter
pub mod host; // the Functions custom-handler protocol, and the stand-in host of local mode

pub mod triggers; // one folder per Azure Function: a route or message, one call, a reply

pub mod connectors; // vendors: verify a webhook, take a record in, pull a population
pub mod custody; // the care of clients' keys: rotation, and sealing again
pub mod readiness; // the 110 requirements: catalogue, suggestions, findings, score, POA&M

pub mod analytics; // figures about the work, folded from the log
pub mod evidence; // what was observed or filed, its hash, population, freshness; the CUI guard
pub mod gate; // proposals, decisions, execution: nothing at L2 happens without a named human
pub mod metering; // the managed plan's metered billing: clients counted once a month, and reported

pub mod audit; // the append-only log: items, sequencer, export, offline verification
pub mod web; // requests and replies, pages, sessions, problem documents

pub mod tenancy; // scopes, keys, sealed records, people and grants, signed queue messages

pub mod app; // App: the ports and the configuration that every use case gets by reference
pub mod config; // RawConfig -> Config, every error at once by the setting's name
pub mod platform; // the ports and their adapters
