//! What the queues and the blobs have in common: the account's address, and Azure Storage's own words for a failure.

use url::Url;

use super::call::Failure;
use crate::platform::ports::{PortError, PortErrorKind};

/// The account's address as the SDK wants it: a name is added to its path, which must not end with a slash then.
pub(super) fn account(address: &Url) -> Url {
    let mut address = address.clone();
    if let Ok(mut path) = address.path_segments_mut() {
        path.pop_if_empty();
    }
    address
}

/// The failure's kind by the service's code where the status alone says something else
/// (learn.microsoft.com/rest/api/storageservices, "Common REST API error codes" and those of queues and blobs).
pub(super) fn refused(failure: Failure) -> PortError {
    let code = failure.code().map(str::to_owned);
    let error = PortError::from(failure);
    let kind = match (code.as_deref(), error.kind) {
        // How Azure Storage throttles; mostly it does not say for how long.
        (Some("ServerBusy"), PortErrorKind::Unavailable) => PortErrorKind::Throttled { retry_after: None },
        (Some("QueueBeingDeleted" | "ContainerBeingDeleted"), _) => PortErrorKind::Missing,
        (Some("MessageTooLarge"), _) => PortErrorKind::TooLarge,
        (_, kind) => kind,
    };
    PortError { kind, ..error }
}
