//! Blobs on Azure Storage: a block blob for each name, created only where there is none (`If-None-Match: *`).
//!
//! A create whose answer was lost is tried again and then finds its own blob, so [`Creation::Existed`] may also mean
//! "written a moment ago by this very call". That is right for all who create: a name is made of the id of what it holds,
//! so whoever asked for the same name wrote the same content. A large blob goes up in blocks and is there when the last call
//! puts them together; before that nobody sees any of it. Makes no container: one that is missing is told by name and by
//! the setting of its account, and is never taken for a blob that is not there.

use std::{num::NonZero, sync::Arc, time::Duration};

use async_trait::async_trait;
use azure_core::http::Transport;
use azure_storage_blob::{
    BlobServiceClient, BlobServiceClientOptions,
    models::{
        BlobClientDeleteOptions, BlobClientDownloadOptions, BlobClientGetPropertiesResultHeaders as _, BlobClientUploadOptions,
        BlobContainerClientGetPropertiesResultHeaders as _, BlobContainerClientListBlobsOptions, DeleteSnapshotsOptionType,
        ImmutabilityPolicyMode,
    },
};
use bytes::Bytes;
use futures_util::TryStreamExt as _;

use super::{
    AzureSettings, Credential, call, growing,
    storage::{account, refused},
};
use crate::platform::{
    limits::{check_append, check_blob_name, check_growing, check_replaceable, lease_seconds},
    paging,
    ports::{
        Appending, BlobContainer, BlobPage, Blobs, Continuation, Creation, Etag, HeldBlob, LeaseId, Leasing, PortError, PortErrorKind,
        Replacing, Retention,
    },
};

/// Names of one page; Azure may give fewer, also none, and still have more.
const PAGE: i32 = 100;

pub struct AzureBlobs {
    service: BlobServiceClient,
}

impl AzureBlobs {
    /// Calls nothing. An address without TLS is [`PortErrorKind::Invalid`]: a token is not sent over it.
    pub fn new(settings: &AzureSettings, credential: Arc<Credential>, transport: Option<&Transport>) -> Result<Self, PortError> {
        let options = BlobServiceClientOptions { client_options: call::options(transport), ..Default::default() };
        let service = BlobServiceClient::new(account(&settings.blobs), Some(credential), Some(options));
        let service = service.map_err(|error| PortError::because("blobs (ASSAY_BLOB_URL)", PortErrorKind::Invalid, error))?;
        Ok(Self { service })
    }
}

#[async_trait]
impl Blobs for AzureBlobs {
    async fn create(&self, container: BlobContainer, name: &str, bytes: Bytes) -> Result<Creation, PortError> {
        check_blob_name(name)?;
        let client = self.service.blob_client(container.name(), name);
        // One block after the other: the handler's memory is small.
        let options = BlobClientUploadOptions { parallel: Some(NonZero::<usize>::MIN), ..Default::default() }.if_not_exists();
        match call::within(&resource(container), client.upload(bytes.into(), Some(options))).await {
            Ok(_) => Ok(Creation::New),
            Err(failure) if failure.code().is_some_and(growing::exists_already) => Ok(Creation::Existed),
            Err(failure) => Err(refused(failure)),
        }
    }

    async fn read(&self, container: BlobContainer, name: &str) -> Result<Option<Bytes>, PortError> {
        check_blob_name(name)?;
        let client = self.service.blob_client(container.name(), name);
        let options = BlobClientDownloadOptions { parallel: Some(NonZero::<usize>::MIN), ..Default::default() };
        match call::within(&resource(container), async { client.download(Some(options)).await?.body.collect().await }).await {
            Ok(bytes) => Ok(Some(bytes)),
            Err(failure) if failure.code() == Some("BlobNotFound") => Ok(None),
            Err(failure) => Err(refused(failure)),
        }
    }

    async fn read_held(&self, container: BlobContainer, name: &str) -> Result<Option<HeldBlob>, PortError> {
        check_replaceable(container, name)?;
        let client = self.service.blob_client(container.name(), name);
        let options = BlobClientDownloadOptions { parallel: Some(NonZero::<usize>::MIN), ..Default::default() };
        let download = async {
            let found = client.download(Some(options)).await?;
            let etag = found.properties.etag;
            Ok((found.body.collect().await?, etag))
        };
        match call::within(&resource(container), download).await {
            Ok((bytes, Some(etag))) => Ok(Some(HeldBlob { bytes, etag: Etag(etag.to_string()) })),
            Ok((_, None)) => Err(PortError::new(resource(container), PortErrorKind::Unreadable)),
            Err(failure) if failure.code() == Some("BlobNotFound") => Ok(None),
            Err(failure) => Err(refused(failure)),
        }
    }

    async fn replace(&self, container: BlobContainer, name: &str, bytes: Bytes, if_match: Option<Etag>) -> Result<Replacing, PortError> {
        check_replaceable(container, name)?;
        let client = self.service.blob_client(container.name(), name);
        let options = BlobClientUploadOptions { parallel: Some(NonZero::<usize>::MIN), ..Default::default() };
        let options = match if_match {
            Some(etag) => BlobClientUploadOptions { if_match: Some(etag.0.into()), ..options },
            None => options.if_not_exists(),
        };
        match call::within(&resource(container), client.upload(bytes.into(), Some(options))).await {
            Ok(_) => Ok(Replacing::Replaced),
            // The last one: it was there and is gone.
            Err(failure) if failure.code().is_some_and(|code| growing::exists_already(code) || code == "BlobNotFound") => {
                Ok(Replacing::Moved)
            }
            Err(failure) => Err(refused(failure)),
        }
    }

    /// The blob's own headers where versions are kept; else the container's, which tell of a policy and not of its lock.
    async fn retention(&self, container: BlobContainer, name: &str) -> Result<Retention, PortError> {
        check_blob_name(name)?;
        let resource = resource(container);
        let blob = self.service.blob_client(container.name(), name);
        let own = async {
            let found = blob.get_properties(None).await?;
            Ok((found.immutability_policy_mode()?, found.immutability_policy_expires_on()?))
        };
        match call::within(&resource, own).await {
            Ok((Some(ImmutabilityPolicyMode::Locked), until)) => return Ok(Retention::Locked { until }),
            Ok((Some(_), until)) => return Ok(Retention::Unlocked { until }),
            Ok((None, _)) => {}
            // An answer to HEAD has no words: the container is asked next.
            Err(failure) if failure.status() == Some(404) => {}
            Err(failure) => return Err(refused(failure)),
        }
        let whole = self.service.blob_container_client(container.name());
        let held = call::within(&resource, async { whole.get_properties(None).await?.has_immutability_policy() });
        Ok(if held.await.map_err(refused)? == Some(true) { Retention::Policy } else { Retention::None })
    }

    async fn list(&self, container: BlobContainer, prefix: &str, after: Option<&Continuation>) -> Result<BlobPage, PortError> {
        let options = BlobContainerClientListBlobsOptions {
            marker: after.map(|after| marker(container, prefix, after)).transpose()?,
            maxresults: Some(PAGE),
            prefix: Some(prefix.to_owned()).filter(|prefix| !prefix.is_empty()),
            ..Default::default()
        };
        let client = self.service.blob_container_client(container.name());
        let resource = resource(container);
        let page = call::within(&resource, async {
            let Some(page) = client.list_blobs(Some(options))?.into_pages().try_next().await? else { return Ok(None) };
            page.into_model().map(Some)
        });
        let Some(page) = page.await.map_err(refused)? else { return Ok(BlobPage::default()) };
        // A blob of another program with a name that is none of ours is not one of ours.
        let names = page.blob_items.into_iter().filter_map(|blob| blob.name).filter(|name| check_blob_name(name).is_ok()).collect();
        let next = page.next_marker.filter(|marker| !marker.is_empty());
        Ok(BlobPage { names, next: next.map(|marker| continuation(container, prefix, &marker)) })
    }

    async fn delete(&self, container: BlobContainer, name: &str) -> Result<(), PortError> {
        check_blob_name(name)?;
        let client = self.service.blob_client(container.name(), name);
        // A backup tool may have taken snapshots; without this they would keep the blob.
        let options = BlobClientDeleteOptions { delete_snapshots: Some(DeleteSnapshotsOptionType::Include), ..Default::default() };
        match call::within(&resource(container), client.delete(Some(options))).await {
            Ok(_) => Ok(()),
            Err(failure) if failure.code() == Some("BlobNotFound") => Ok(()),
            Err(failure) => Err(refused(failure)),
        }
    }

    async fn append(
        &self,
        container: BlobContainer,
        name: &str,
        at: u64,
        bytes: Bytes,
        lease: Option<LeaseId>,
    ) -> Result<Appending, PortError> {
        check_growing(container, name)?;
        check_append(&bytes)?;
        let client = self.service.blob_client(container.name(), name);
        call::within(&resource(container), growing::append(&client, at, bytes, lease)).await.map_err(refused)
    }

    async fn lease(&self, container: BlobContainer, name: &str, lease: LeaseId, period: Duration) -> Result<Leasing, PortError> {
        check_growing(container, name)?;
        let (client, seconds) = (self.service.blob_client(container.name(), name), lease_seconds(period)?);
        call::within(&resource(container), growing::lease(&client, lease, seconds)).await.map_err(refused)
    }

    async fn renew(&self, container: BlobContainer, name: &str, lease: LeaseId) -> Result<Leasing, PortError> {
        check_growing(container, name)?;
        let client = self.service.blob_client(container.name(), name);
        call::within(&resource(container), growing::renew(&client, lease)).await.map_err(refused)
    }

    async fn release(&self, container: BlobContainer, name: &str, lease: LeaseId) -> Result<(), PortError> {
        check_growing(container, name)?;
        let client = self.service.blob_client(container.name(), name);
        call::within(&resource(container), growing::release(&client, lease)).await.map_err(refused)
    }
}

/// The service's marker, bound to its query.
fn continuation(container: BlobContainer, prefix: &str, marker: &str) -> Continuation {
    paging::continuation(format!("{}\n{prefix}\n{marker}", container.name()))
}

fn marker(container: BlobContainer, prefix: &str, after: &Continuation) -> Result<String, PortError> {
    let place = paging::place_of(after)?;
    let marker = place.strip_prefix(&format!("{}\n{prefix}\n", container.name()));
    marker.map(str::to_owned).ok_or_else(paging::of_another_query)
}

fn resource(container: BlobContainer) -> String {
    format!("blob container {} (ASSAY_BLOB_URL)", container.name())
}
