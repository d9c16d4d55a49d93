//! A transparency log as plain rules: tree, proofs, tiles, checkpoints, and their exact bytes (C2SP tlog-tiles and the
//! texts it stands on).
//!
//! Nothing here reads a store, a clock or a key that must stay secret: bytes in, bytes or a word of what is wrong out. So
//! the same code writes the log, exports it and judges an export. It must not know what an entry means.

pub mod bundle;
pub mod checkpoint;
pub mod merkle;
pub mod note;
pub mod proof;
pub mod record_proof;
pub mod tile;
pub mod tree;

pub use checkpoint::Checkpoint;
pub use note::{Note, VerifierKey};
pub use tile::Tile;
pub use tree::Tree;
