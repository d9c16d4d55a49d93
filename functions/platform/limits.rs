//! What every adapter takes and refuses, whatever its store could do: the limits of Cosmos DB and Azure Storage, so that
//! what works on one store works on the other.

use std::{collections::HashSet, time::Duration};

use super::ports::{BlobContainer, MAX_APPEND_BYTES, MAX_BATCH_OPS, Op, Partition, PortError, PortErrorKind};

/// Bytes of an id and of a partition key (Cosmos DB: 1,023 and 2,048).
const MAX_ID_BYTES: usize = 1023;
const MAX_PARTITION_BYTES: usize = 2048;
/// Bytes of a blob's name and of one segment of it (what file systems take as one name).
const MAX_BLOB_NAME_BYTES: usize = 1024;
const MAX_SEGMENT_BYTES: usize = 200;
/// Messages of one receive (Azure Storage: 32).
pub(super) const MAX_RECEIVE: usize = 32;
/// The longest delay and lease (Azure Storage: 7 days).
const MAX_HIDDEN: Duration = Duration::from_hours(7 * 24);

/// Printable ASCII without the characters that Cosmos DB forbids in ids.
pub(super) fn check_id(id: &str) -> Result<(), PortError> {
    let allowed = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'/' | b'\\' | b'?' | b'#');
    if id.is_empty() || id.len() > MAX_ID_BYTES || !id.bytes().all(allowed) {
        return Err(invalid("document id"));
    }
    Ok(())
}

pub(super) fn check_partition(partition: &Partition) -> Result<(), PortError> {
    if partition.key().is_empty() || partition.key().len() > MAX_PARTITION_BYTES {
        return Err(invalid("partition key"));
    }
    Ok(())
}

/// The number of operations, and that each is on a document of its own.
pub(super) fn check_ops(ops: &[Op]) -> Result<(), PortError> {
    if ops.len() > MAX_BATCH_OPS {
        return Err(invalid(format!("batch of {} operations (at most {MAX_BATCH_OPS})", ops.len())));
    }
    let mut ids = HashSet::with_capacity(ops.len());
    for op in ops {
        check_id(op.id())?;
        if !ids.insert(op.id()) {
            return Err(invalid(format!("batch with two operations on {}", op.id())));
        }
    }
    Ok(())
}

/// Segments of unreserved characters (RFC 3986 2.3), none of them a dot segment.
pub(super) fn check_blob_name(name: &str) -> Result<(), PortError> {
    let unreserved = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~');
    let good = |segment: &str| !matches!(segment, "" | "." | "..") && segment.len() <= MAX_SEGMENT_BYTES && segment.bytes().all(unreserved);
    if name.len() > MAX_BLOB_NAME_BYTES || !name.split('/').all(good) {
        return Err(invalid("blob name"));
    }
    Ok(())
}

/// A name, in a container whose blobs may grow and be held; the others' are written whole.
pub(super) fn check_growing(container: BlobContainer, name: &str) -> Result<(), PortError> {
    check_blob_name(name)?;
    match container {
        BlobContainer::Raw => Ok(()),
        _ => Err(invalid(format!("blob container {}, whose blobs do not grow", container.name()))),
    }
}

/// A name, in the container in which a blob may be written again.
pub(super) fn check_replaceable(container: BlobContainer, name: &str) -> Result<(), PortError> {
    check_blob_name(name)?;
    match container {
        BlobContainer::Log => Ok(()),
        _ => Err(invalid(format!("blob container {}, whose blobs are written once", container.name()))),
    }
}

pub(super) fn check_append(bytes: &[u8]) -> Result<(), PortError> {
    match bytes.len() {
        0 => Err(invalid("append of nothing")),
        1..=MAX_APPEND_BYTES => Ok(()),
        more => Err(PortError::new(format!("append of {more} bytes (at most {MAX_APPEND_BYTES})"), PortErrorKind::TooLarge)),
    }
}

/// Azure Storage's rule for the lease of a blob: 15 to 60 whole seconds.
pub(super) fn lease_seconds(period: Duration) -> Result<u8, PortError> {
    let seconds = u8::try_from(period.as_secs()).ok().filter(|seconds| (15..=60).contains(seconds) && period.subsec_nanos() == 0);
    seconds.ok_or_else(|| invalid("period of a lease"))
}

pub(super) fn check_queue_name(queue: &str) -> Result<(), PortError> {
    if is_queue_name(queue) { Ok(()) } else { Err(invalid("queue name")) }
}

/// Azure Storage's rule: 3 to 63 lower-case letters, digits and single dashes inside.
pub fn is_queue_name(name: &str) -> bool {
    let inside = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (3..=63).contains(&name.len()) && name.bytes().all(inside) && !name.starts_with('-') && !name.ends_with('-') && !name.contains("--")
}

/// Whole seconds, rounded up: a message never shows early.
pub(super) fn hidden_seconds(queue: &str, duration: Duration) -> Result<u64, PortError> {
    if duration > MAX_HIDDEN {
        return Err(invalid(format!("queue {queue}")));
    }
    Ok(duration.as_secs() + u64::from(duration.subsec_nanos() > 0))
}

/// Names are those of Key Vault: letters, digits and dashes, 127 at most.
pub(super) fn check_key_name(name: &str) -> Result<(), PortError> {
    if name.is_empty() || name.len() > 127 || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
        return Err(invalid("vault key name"));
    }
    Ok(())
}

pub(super) fn invalid(what: impl Into<String>) -> PortError {
    PortError::new(what, PortErrorKind::Invalid)
}
