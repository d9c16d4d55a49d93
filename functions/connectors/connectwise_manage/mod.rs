//! ConnectWise PSA (Manage): callbacks signed with a key that is fetched from the vendor, and its REST API.
//!
//! Everything that knows a ConnectWise name lives here. A callback shows the whole record; there is no signed time, so
//! what is stale is judged by the record's own last-updated time against what was applied before.

pub mod event;
pub mod pull;
pub mod verify;
