//! Custody of the keys under which clients' records lie: when a further data key is made, when the vault key's newest
//! version is taken up, when records are sealed again, that the owner's log says so, and that no earlier key record is put
//! back unsaid.
//!
//! And the end of a client: how it is exported, switched off and its keys destroyed (`offboarding`).
//!
//! The means are tenancy's (`key_change`, `reseal`).

pub mod care;
pub mod change;
pub mod offboarding;
pub mod vault_key;
mod watch;

pub use self::{care::care, watch::watch};
