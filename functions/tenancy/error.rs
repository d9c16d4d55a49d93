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
    /// The owner's records may be read in other regions only; nothing was unwrapped.
    #[error("the records of {owner} may not be read in this region")]
    Elsewhere { owner: String },
    /// The client is switched off; nothing was read.
    #[error("the client {owner} is switched off")]
    SwitchedOff { owner: String },
    /// The client's data keys were destroyed: nothing opens its records any more.
    #[error("the data keys of {owner} were destroyed")]
    Destroyed { owner: String },
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

/// Why an owner's records cannot be opened or written: the `reason` of the problem `key-unavailable`. One owner's trouble
/// is nobody else's, and none of them makes a new key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyTrouble {
    /// The app may not use the vault key any more, or the vault's firewall keeps it out.
    Revoked,
    /// Somebody switched the vault key off, or its dates do not allow it now.
    Disabled,
    /// The vault key is not in the vault any more.
    Deleted,
    /// The vault key may be there: the record of what it wraps is not.
    Lost,
    /// What is wrapped does not open, or belongs to another owner.
    Damaged,
    /// The record of what it wraps is not signed by a key that counts now.
    Unsigned,
    /// The client's records may be read in other regions only.
    Elsewhere,
    /// The data keys were destroyed, at the end of an offboarding.
    Destroyed,
    /// The vault asks to wait.
    Throttled,
    /// The vault does not answer.
    Unreachable,
}

impl KeyTrouble {
    /// Stable, for programs.
    pub fn word(self) -> &'static str {
        match self {
            Self::Revoked => "revoked",
            Self::Disabled => "disabled",
            Self::Deleted => "deleted",
            Self::Lost => "lost",
            Self::Damaged => "damaged",
            Self::Unsigned => "unsigned",
            Self::Elsewhere => "region",
            Self::Destroyed => "destroyed",
            Self::Throttled => "throttled",
            Self::Unreachable => "unreachable",
        }
    }

    /// Whether it stays so until somebody does something.
    pub fn lasts(self) -> bool {
        !matches!(self, Self::Throttled | Self::Unreachable)
    }

    /// For people: what it is, that nothing is lost where nothing is, and what to do.
    pub fn sentence(self) -> &'static str {
        match self {
            Self::Revoked => {
                "The key that protects its records is revoked, or Assay may not use it. Nothing is lost: its owner allows the key again in the key vault, and within five minutes the client is back."
            }
            Self::Disabled => {
                "The key that protects its records is disabled in the key vault. Nothing is lost: its owner enables it again, and within five minutes the client is back."
            }
            Self::Deleted => {
                "The key that protects its records is not in the key vault any more. Its owner can recover a deleted key there for as long as the vault keeps it, often 90 days; then the client is back within five minutes. Nothing else was changed."
            }
            Self::Lost => {
                "The key record of this client is not in the database any more, and its records are. No new key is made for them: put the record back from a backup, and the client is back."
            }
            Self::Damaged => {
                "A record or its key is damaged. Nothing was changed: the log of the function app names it; restore it from a backup."
            }
            Self::Unsigned => {
                "The record of its data keys is not signed by a key that counts now. Nothing is lost: whoever runs this installation sees to the vault\u{2019}s key receipts or, after an upgrade, to ASSAY_UNSIGNED_KEYS_UNTIL; assay doctor says which."
            }
            Self::Elsewhere => {
                "Its records may be read only in regions that it named, and this part of Assay runs elsewhere (or ASSAY_REGION does not say where). Nothing was read."
            }
            Self::Destroyed => {
                "Its data keys were destroyed when the client was offboarded, so nobody can read its records any more. Its log can still be verified, and its exports are where their owner keeps them."
            }
            Self::Throttled => "The key vault is busy and asks to wait. Nothing is lost: open this page again in a minute.",
            Self::Unreachable => "The key vault does not answer just now. Nothing is lost: open this page again in a minute.",
        }
    }
}

impl StoreError {
    /// Why the owner's key cannot be used; `None` when it is something else.
    pub fn key_trouble(&self) -> Option<KeyTrouble> {
        let source = match self {
            Self::Key { source, .. } => source,
            Self::Elsewhere { .. } => return Some(KeyTrouble::Elsewhere),
            Self::Destroyed { .. } => return Some(KeyTrouble::Destroyed),
            _ => return None,
        };
        let is_the_record = source.resource == super::key_record::DOCUMENT;
        if source.resource == super::key_record::SIGNATURE
            && !matches!(source.kind, PortErrorKind::Throttled { .. } | PortErrorKind::Unavailable)
        {
            return Some(KeyTrouble::Unsigned);
        }
        Some(match source.kind {
            PortErrorKind::Denied => KeyTrouble::Revoked,
            PortErrorKind::Disabled => KeyTrouble::Disabled,
            PortErrorKind::Missing if is_the_record => KeyTrouble::Lost,
            PortErrorKind::Missing => KeyTrouble::Deleted,
            PortErrorKind::Throttled { .. } => KeyTrouble::Throttled,
            PortErrorKind::Unavailable | PortErrorKind::Full => KeyTrouble::Unreachable,
            PortErrorKind::Unreadable | PortErrorKind::TooLarge | PortErrorKind::Invalid => KeyTrouble::Damaged,
        })
    }

    /// Whether it is the key of the installation itself.
    pub fn is_of_the_installation(&self) -> bool {
        matches!(self, Self::Key { owner, .. } if *owner == super::keys::Owner::Deployment.to_string())
    }

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
            Self::Key { .. } | Self::Elsewhere { .. } | Self::SwitchedOff { .. } | Self::Destroyed { .. } | Self::Refused { .. } => false,
        }
    }

    /// Whether this owner's records cannot be read while those of others can: a page leaves out that owner and says so,
    /// instead of failing (design I7).
    pub fn concerns_one_owner(&self) -> bool {
        match self {
            Self::Key { .. }
            | Self::Elsewhere { .. }
            | Self::SwitchedOff { .. }
            | Self::Destroyed { .. }
            | Self::Sealed { .. }
            | Self::Shape { .. }
            | Self::NewerRelease { .. } => true,
            Self::Port(error) => error.kind == PortErrorKind::Unreadable,
            Self::Refused { .. } => false,
        }
    }

    /// What was wrong at a port, for a report; what is wrong with a record is [`PortErrorKind::Unreadable`].
    pub fn into_port(self) -> PortError {
        match self {
            Self::Port(error) | Self::Key { source: error, .. } => error,
            Self::Elsewhere { .. } => PortError::new("region", PortErrorKind::Denied).advising(ELSEWHERE),
            Self::SwitchedOff { .. } => PortError::new("client", PortErrorKind::Disabled),
            other => PortError::because("record", PortErrorKind::Unreadable, other),
        }
    }

    /// Whether the same message may succeed when it is delivered again: also what somebody may be mending just now, such
    /// as a role, which takes minutes to work.
    pub fn is_transient(&self) -> bool {
        let may_be_mended =
            |error: &PortError| matches!(error.kind, PortErrorKind::Denied | PortErrorKind::Disabled | PortErrorKind::Missing);
        // Another instance may be where it is allowed, and a client may be switched on again.
        matches!(self, Self::Elsewhere { .. } | Self::SwitchedOff { .. })
            || self.passes_by_itself()
            || matches!(self, Self::Port(error) | Self::Key { source: error, .. } if may_be_mended(error))
    }

    /// Whether the same call may work later without anybody mending anything.
    pub fn passes_by_itself(&self) -> bool {
        match self {
            Self::Port(error) | Self::Key { source: error, .. } => {
                matches!(error.kind, PortErrorKind::Unavailable | PortErrorKind::Throttled { .. } | PortErrorKind::Full)
            }
            Self::Refused { .. } => true,
            Self::Elsewhere { .. }
            | Self::SwitchedOff { .. }
            | Self::Destroyed { .. }
            | Self::Sealed { .. }
            | Self::Shape { .. }
            | Self::NewerRelease { .. } => false,
        }
    }
}

const ELSEWHERE: &str = "its records may be read in other regions only: see that ASSAY_REGION says where this instance runs";
