//! Why a record could not be read or written, and what that means for the caller: whether to try again, and whom it concerns.

use std::sync::Arc;

use super::{Record, seal::SealError, store::id_of};
use crate::platform::ports::{OpStatus, PortError, PortErrorKind};

#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreError {
    #[error(transparent)]
    Port(#[from] PortError),
    /// The vault refused or could not be reached; other owners are not affected.
    #[error("the key of {owner} cannot be used")]
    Key {
        owner: String,
        #[source]
        source: PortError,
    },
    #[error("record {document} cannot be opened")]
    Sealed {
        document: String,
        #[source]
        source: SealError,
    },
    #[error("record {document} has an unexpected shape")]
    Shape {
        document: String,
        #[source]
        source: Arc<serde_json::Error>,
    },
    #[error(
        "record {document} was written by a newer release (schema {schema}; this one knows {known}): install that release or a newer one"
    )]
    NewerRelease { document: String, schema: u64, known: u32 },
    /// Somebody else wrote first; nothing of this batch was written.
    #[error("another writer was faster: {}", refused.iter().map(|(id, status)| format!("{id} {status:?}")).collect::<Vec<_>>().join(", "))]
    Refused { refused: Vec<(String, OpStatus)> },
}

impl StoreError {
    /// Whether reading again and deciding again may succeed.
    pub fn is_conflict(&self) -> bool {
        matches!(self, Self::Refused { .. })
    }

    /// Whether the batch was refused because this record exists already.
    pub fn exists<T: Record>(&self, key: &str) -> bool {
        matches!(self, Self::Refused { refused } if refused.iter().any(|(id, status)| *status == OpStatus::Conflict && *id == id_of::<T>(key)))
    }

    /// Whether the batch was refused because of this record.
    pub fn is_about<T: Record>(&self, key: &str) -> bool {
        matches!(self, Self::Refused { refused } if refused.iter().any(|(id, _)| *id == id_of::<T>(key)))
    }

    /// The record that cannot be read, for its key; `None` when it is not about one record.
    pub fn unreadable<T: Record>(&self) -> Option<&str> {
        match self {
            Self::Sealed { document, .. } | Self::Shape { document, .. } | Self::NewerRelease { document, .. } => {
                document.strip_prefix(T::KIND)?.strip_prefix(':')
            }
            _ => None,
        }
    }

    /// Whether it is about one record, which stays as it is until somebody mends it, while its neighbors can be read and
    /// written.
    pub fn concerns_one_record(&self) -> bool {
        match self {
            Self::Sealed { .. } | Self::Shape { .. } | Self::NewerRelease { .. } => true,
            Self::Port(error) => matches!(error.kind, PortErrorKind::Unreadable | PortErrorKind::TooLarge),
            Self::Key { .. } | Self::Refused { .. } => false,
        }
    }

    /// Whether this owner's records cannot be read while those of others can: a page leaves out that owner and says so,
    /// instead of failing (design I7).
    pub fn concerns_one_owner(&self) -> bool {
        match self {
            Self::Key { .. } | Self::Sealed { .. } | Self::Shape { .. } | Self::NewerRelease { .. } => true,
            Self::Port(error) => error.kind == PortErrorKind::Unreadable,
            Self::Refused { .. } => false,
        }
    }

    /// What was wrong at a port, for a report; what is wrong with a record is [`PortErrorKind::Unreadable`].
    pub fn into_port(self) -> PortError {
        match self {
            Self::Port(error) | Self::Key { source: error, .. } => error,
            other => PortError::because("record", PortErrorKind::Unreadable, other),
        }
    }

    /// Whether the same message may succeed when it is delivered again: also what somebody may be mending just now, such
    /// as a role, which takes minutes to work.
    pub fn is_transient(&self) -> bool {
        let may_be_mended = |error: &PortError| matches!(error.kind, PortErrorKind::Denied | PortErrorKind::Missing);
        self.passes_by_itself() || matches!(self, Self::Port(error) | Self::Key { source: error, .. } if may_be_mended(error))
    }

    /// Whether the same call may work later without anybody mending anything.
    pub fn passes_by_itself(&self) -> bool {
        match self {
            Self::Port(error) | Self::Key { source: error, .. } => {
                matches!(error.kind, PortErrorKind::Unavailable | PortErrorKind::Throttled { .. } | PortErrorKind::Full)
            }
            Self::Refused { .. } => true,
            Self::Sealed { .. } | Self::Shape { .. } | Self::NewerRelease { .. } => false,
        }
    }
}
