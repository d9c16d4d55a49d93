//! Connectors: a vendor's webhook or answer in, evidence of the right client out.
//!
//! `accept` verifies, keeps the raw bytes and queues; `intake` judges, finds the client by the client map and writes
//! evidence; `pull` reads whole populations with the connection's own credentials. Each vendor is a folder with its
//! rules: nothing outside these folders knows a vendor's field names. Nothing here judges an objective.

pub mod accept;
pub mod apply;
pub mod autotask;
mod body;
pub mod call;
pub mod client;
pub mod connection;
pub mod connectwise_manage;
pub mod delivery;
#[cfg(feature = "demo")]
pub mod demo;
pub mod event;
pub mod file;
pub mod form;
mod gone;
pub mod health;
pub mod intake;
pub mod known;
mod lines;
pub mod mapping;
mod marked;
pub mod owner;
mod page;
pub mod population;
pub mod pull;
pub mod review;
mod run;
pub mod trial;
pub mod unlisted;
pub mod unread;
mod waiting;

pub use connection::{Connection, Credentials, Secret, Settings, Vendor};

use crate::tenancy::{StoreError, message::MessageError};

/// Why a message could not be worked off.
#[derive(Debug, thiserror::Error)]
pub enum ConnectorError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Message(#[from] MessageError),
    /// The stored bytes a message points to are gone: nothing that redelivery mends.
    #[error("raw bytes {0} are not there")]
    RawMissing(String),
}

impl ConnectorError {
    /// Whether the same message may succeed later; everything else is a dead letter.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Store(error) => error.is_transient(),
            Self::Message(error) => error.is_transient(),
            Self::RawMissing(_) => false,
        }
    }
}

impl From<crate::platform::ports::PortError> for ConnectorError {
    fn from(error: crate::platform::ports::PortError) -> Self {
        Self::Store(error.into())
    }
}
