//! Who may touch what: scopes, keys and sealed records, people and grants, signed queue messages.
//!
//! Every read and write of client data goes through a [`Scope`], which only a verified sign-in with a grant, a queue
//! message whose MAC holds, or the sweep can make (design I3). The scope opens a [`Store`]: the one place where
//! partitions are named and content is sealed under its owner's data key (I7). Nothing here knows an area's rules.

mod batch;
pub mod demo_mark;
pub mod directory;
pub mod ended;
mod epoch_key;
mod error;
mod gather;
mod heads;
pub mod ids;
pub mod key_change;
mod key_record;
pub mod keys;
pub mod message;
mod onward;
mod opened;
pub mod outbox;
mod passed;
pub mod place;
pub mod policy_mark;
pub mod regions;
mod reseal;
pub mod roster;
pub mod scope;
pub mod seal;
pub mod signing;
pub mod store;
pub mod tail;
pub mod unreadable;
pub mod vault_key;

pub use batch::Batch;
pub use error::{KeyTrouble, StoreError};
pub use gather::{Gathered, Wanted};
pub use ids::{ConnectionId, PersonId, ProposalId, TenantId};
pub use opened::Opened;
pub use passed::Passed;
pub use place::{ClientPlace, ConnectionPlace, DeploymentPlace, Place};
pub use roster::Roster;
pub use scope::{Actor, DeploymentScope, IntakeScope, Scope};
pub use store::{Held, Record, Store};
