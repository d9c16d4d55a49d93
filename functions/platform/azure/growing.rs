//! Append blobs and leases of blobs on Azure Storage.
//!
//! The SDK tries again when an answer was lost. A second append then finds its place taken, so before it is said that the
//! blob moved on, what stands there is looked at. A second acquire names the same lease id, which the service takes as the
//! same holder.

use std::{num::NonZero, ops::Range};

use azure_core::Result;
use azure_storage_blob::{
    BlobClient,
    models::{
        AppendBlobClientAppendBlockOptions, AppendBlobClientCreateOptions, BlobClientAcquireLeaseOptions, BlobClientDownloadOptions,
        BlobClientGetPropertiesResultHeaders as _,
    },
};
use bytes::Bytes;

use super::call;
use crate::platform::ports::{Appending, LeaseId, Leasing};

pub(super) async fn append(blob: &BlobClient, at: u64, bytes: Bytes, lease: Option<LeaseId>) -> Result<Appending> {
    let length = at.saturating_add(bytes.len() as u64);
    let mut tried = append_block(blob, at, bytes.clone(), lease).await;
    // A lease dies with its blob, so nobody can hold one that is not there.
    if at == 0 && lease.is_none() && matches!(&tried, Err(error) if is_absent(error)) {
        make(blob).await?;
        tried = append_block(blob, at, bytes.clone(), lease).await;
    }
    let Err(error) = tried else { return Ok(Appending::Appended { length }) };
    let is_full = match call::code(&error) {
        Some("AppendPositionConditionNotMet") => false,
        Some("BlockCountExceedsLimit") => true,
        Some("BlobNotFound") if lease.is_none() => return Ok(Appending::Moved { length: 0 }),
        Some("BlobNotFound") => return Ok(Appending::NotHeld),
        Some(code) if is_of_lease(code) => return Ok(Appending::NotHeld),
        _ => return Err(error),
    };
    let there = blob.get_properties(None).await?.content_length()?.unwrap_or_default();
    Ok(match there {
        _ if there >= length && range(blob, at..length).await? == bytes => Appending::Appended { length },
        _ if is_full && there == at => Appending::Full,
        _ => Appending::Moved { length: there },
    })
}

pub(super) async fn lease(blob: &BlobClient, lease: LeaseId, seconds: u8) -> Result<Leasing> {
    let acquire = || {
        let options = BlobClientAcquireLeaseOptions { proposed_lease_id: Some(lease.0.to_string()), ..Default::default() };
        blob.acquire_lease(seconds.into(), Some(options))
    };
    let mut asked = acquire().await;
    if matches!(&asked, Err(error) if is_absent(error)) {
        make(blob).await?;
        asked = acquire().await;
    }
    held(asked.map(|_| ()))
}

pub(super) async fn renew(blob: &BlobClient, lease: LeaseId) -> Result<Leasing> {
    held(blob.renew_lease(lease.0.to_string(), None).await.map(|_| ()))
}

pub(super) async fn release(blob: &BlobClient, lease: LeaseId) -> Result<()> {
    held(blob.release_lease(lease.0.to_string(), None).await.map(|_| ())).map(|_| ())
}

/// Whether a blob of the name is there, by how its creation was refused.
pub(super) fn exists_already(code: &str) -> bool {
    matches!(code, "BlobAlreadyExists" | "ConditionNotMet" | "InvalidBlobType") || is_of_lease(code)
}

async fn append_block(blob: &BlobClient, at: u64, bytes: Bytes, lease: Option<LeaseId>) -> Result<()> {
    let length = bytes.len() as u64;
    let options = AppendBlobClientAppendBlockOptions {
        // No blob is that long, so it is refused as another place.
        append_position: Some(i64::try_from(at).unwrap_or(i64::MAX)),
        lease_id: lease.map(|lease| lease.0.to_string()),
        ..Default::default()
    };
    blob.append_blob_client().append_block(bytes.into(), length, Some(options)).await.map(|_| ())
}

/// An empty blob that grows, if there is none.
async fn make(blob: &BlobClient) -> Result<()> {
    let options = AppendBlobClientCreateOptions::default().if_not_exists();
    match blob.append_blob_client().create(Some(options)).await {
        Err(error) if !call::code(&error).is_some_and(exists_already) => Err(error),
        _ => Ok(()),
    }
}

async fn range(blob: &BlobClient, range: Range<u64>) -> Result<Bytes> {
    // One request after the other: the handler's memory is small.
    let options = BlobClientDownloadOptions { parallel: Some(NonZero::<usize>::MIN), range: Some(range.into()), ..Default::default() };
    blob.download(Some(options)).await?.body.collect().await
}

fn held(asked: Result<()>) -> Result<Leasing> {
    match asked {
        Ok(()) => Ok(Leasing::Held),
        Err(error) if is_absent(&error) || call::code(&error).is_some_and(is_of_lease) => Ok(Leasing::NotHeld),
        Err(error) => Err(error),
    }
}

fn is_absent(error: &azure_core::Error) -> bool {
    call::code(error) == Some("BlobNotFound")
}

/// All the service's words for "another holds it", "nobody holds it" and "you do not" begin so.
fn is_of_lease(code: &str) -> bool {
    code.starts_with("Lease")
}
