//! The export of earlier releases, which this one still reads: JSON Lines in UTF-8, every line ended by one line feed, read and written by the structs below.
//!
//! First line the header, then one line per entry in order, last line the end with the SHA-256 of every byte before it.
//! The chain proves the entries; the end catches what the chain does not cover (the header's date, a disclosure that was
//! cut out), and shows that nothing is missing behind. Whoever can replace the whole file can also make a new end: what
//! to compare with a trusted copy is the head.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::chain::Hash;

pub const FORMAT: &str = "assay-audit-export";
pub const VERSION: u32 = 1;

/// Longest line: a leaf and its content are much shorter (see `item`), escapes included.
pub const MAX_LINE_BYTES: usize = 1024 * 1024;

/// What a demo's export says of itself, and any other leaves out.
pub const DEMO_NOTICE: &str = "DEMO: made with demo sign-in and demo data. It proves nothing about anybody.";

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Header {
    pub format: String,
    pub version: u32,
    /// A client's id, or `deployment`. The chain starts from it.
    pub owner: String,
    #[serde(with = "time::serde::rfc3339")]
    pub exported_at: OffsetDateTime,
    /// The release that wrote the file.
    pub release: String,
    pub demo: bool,
    /// [`DEMO_NOTICE`] when `demo`, otherwise absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notice: Option<String>,
    /// How many entry lines follow.
    pub entries: u64,
    /// The hash of the last entry; of an empty log, the start of its chain.
    pub head: Hash,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Line {
    /// Counts from 0 without a gap.
    pub seq: u64,
    /// The leaf's exact bytes as a string.
    pub leaf: String,
    /// The hash of the entry before, or the start of the chain.
    pub previous: Hash,
    pub hash: Hash,
    /// Only when the exporter may see content.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disclosed: Option<Disclosed>,
}

/// What the leaf's commitment was made of.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Disclosed {
    pub salt: Hash,
    /// Exact bytes as a string: JSON with the acting person, function or connection, and the detail.
    pub content: String,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct End {
    /// [`FORMAT`] again.
    pub end: String,
    /// Over every byte of the file before this line.
    pub sha256: Hash,
}
