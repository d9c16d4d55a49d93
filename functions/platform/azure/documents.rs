//! Documents in Cosmos DB: `{id, partition, body, write}` in the container's one partition key.
//!
//! A batch is one transactional batch. A conflict arrives as `Ok` with status 207 and a status per operation, so those
//! are what is looked at. `write` is the id of the batch that wrote the document: when an answer is lost, the SDK sends
//! the batch again and meets its own write; reading it back tells that apart from another writer's.
//! Pages are by id and from our own continuation, so that a page can be asked for by any process at any time.

use std::sync::Arc;

use async_trait::async_trait;
use azure_core::http::Etag as CosmosEtag;
use azure_data_cosmos::{
    PartitionKey, Query as Sql, TransactionalBatch,
    feed::{ContinuationToken, FeedScope},
    models::TransactionalBatchOperationResult,
    options::{
        BatchDeleteOptions, BatchReplaceOptions, ChangeFeedOptions, ChangeFeedStartFrom, FeedOptions, MaxItemCountHint, Precondition,
        QueryOptions,
    },
};
use futures_util::StreamExt as _;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    call,
    cosmos::{self, Cosmos},
};
use crate::platform::{
    limits::{check_id, check_ops, check_partition},
    paging::{self, Range, page_size},
    ports::{
        BatchOutcome, ChangePage, ChangeToken, Document, Documents, Etag, IdMatch, Ids, MAX_BATCH_BYTES, MAX_BATCH_OPS, MAX_DOCUMENT_BYTES,
        Op, OpStatus, Page, Partition, PortError, PortErrorKind, Query,
    },
};

pub struct CosmosDocuments {
    cosmos: Arc<Cosmos>,
    ids: Arc<dyn Ids>,
}

/// A document as it is stored.
#[derive(Serialize)]
struct Written<'a> {
    id: &'a str,
    partition: &'a str,
    /// The batch that wrote it.
    write: &'a str,
    body: &'a Value,
}

/// A document as it comes back.
#[derive(Clone, Deserialize)]
struct Stored {
    id: String,
    #[serde(rename = "_etag")]
    etag: String,
    #[serde(default)]
    write: String,
    body: Value,
}

impl From<Stored> for Document {
    fn from(Stored { id, etag, body, .. }: Stored) -> Self {
        Self { id, etag: Etag(etag), body }
    }
}

impl CosmosDocuments {
    pub fn new(cosmos: Arc<Cosmos>, ids: Arc<dyn Ids>) -> Self {
        Self { cosmos, ids }
    }

    async fn stored(&self, partition: &Partition, id: &str) -> Result<Option<Stored>, PortError> {
        let resource = resource(partition, id);
        let container = self.cosmos.container(partition.container()).await?;
        let read = async {
            match container.read_item(key_of(partition), id, None).await {
                Ok(found) => {
                    self.cosmos.charge(found.headers());
                    found.into_model().map(Some)
                }
                Err(error) if error.status().is_not_found() && !cosmos::is_container_missing(&error) => {
                    self.cosmos.charge_of(&error);
                    Ok(None)
                }
                Err(error) => Err(error),
            }
        };
        cosmos::within(&resource, read).await
    }

    /// The etags of a batch that met its own earlier write; `None` when it was never written. One document that carries its
    /// stamp proves the whole of it, whatever became of the others since.
    async fn own_earlier_write(&self, partition: &Partition, ops: &[Op], write: &str) -> Result<Option<Vec<Option<Etag>>>, PortError> {
        let written = ops.iter().filter(|op| !matches!(op, Op::Delete { .. })).map(|op| IdMatch::Exact(op.id().to_owned()));
        let ranges = paging::ranges_of(&written.collect::<Vec<_>>());
        let found = if ranges.is_empty() { Vec::new() } else { self.found(partition, &ranges, false, MAX_BATCH_OPS).await? };
        let own = |op: &Op| found.iter().find(|stored| stored.id == op.id() && stored.write == write);
        if !ops.iter().any(|op| own(op).is_some()) {
            return Ok(None);
        }
        // Written again or deleted since by somebody else: no etag of ours would be current.
        let etag = |op: &Op| match op {
            Op::Delete { .. } => None,
            _ => Some(Etag(own(op).map_or_else(|| "superseded".into(), |stored| stored.etag.clone()))),
        };
        Ok(Some(ops.iter().map(etag).collect()))
    }

    /// The first documents of these ranges by id, at most so many.
    async fn found(&self, partition: &Partition, ranges: &[Range], descending: bool, most: usize) -> Result<Vec<Stored>, PortError> {
        let resource = format!("query in {}", cosmos::name_of(partition.container()));
        let container = self.cosmos.container(partition.container()).await?;
        cosmos::within(&resource, async {
            let options = QueryOptions::default().with_feed_options(feed(most));
            let scope = FeedScope::partition(key_of(partition));
            let mut pages = container.query_items::<Stored>(select(ranges, descending)?, scope, Some(options)).await?.into_pages();
            let mut found = Vec::new();
            while found.len() < most
                && let Some(page) = pages.next().await
            {
                let page = page?;
                self.cosmos.charge(page.headers());
                found.extend(page.into_items());
            }
            found.truncate(most);
            Ok(found)
        })
        .await
    }
}

#[async_trait]
impl Documents for CosmosDocuments {
    async fn read(&self, partition: &Partition, id: &str) -> Result<Option<Document>, PortError> {
        check_partition(partition)?;
        check_id(id)?;
        Ok(self.stored(partition, id).await?.map(Document::from))
    }

    async fn batch(&self, partition: &Partition, ops: Vec<Op>) -> Result<BatchOutcome, PortError> {
        check_partition(partition)?;
        check_ops(&ops)?;
        if ops.is_empty() {
            return Ok(BatchOutcome::Committed(Vec::new()));
        }
        if let Some(refused) = too_large(&ops)? {
            return Ok(refused);
        }
        let resource = format!("batch in {}", cosmos::name_of(partition.container()));
        let write = self.ids.uuid().simple().to_string();
        let container = self.cosmos.container(partition.container()).await?;
        let answer = cosmos::within(&resource, async {
            let answer = container.execute_transactional_batch(sql_batch(partition, &ops, &write)?, None).await?;
            self.cosmos.charge(answer.headers());
            answer.into_model()
        });
        let answer = answer.await?;
        let results = answer.results();
        if results.len() == ops.len() && results.iter().all(TransactionalBatchOperationResult::is_success) {
            let etag = |(op, result): (&Op, &TransactionalBatchOperationResult)| match op {
                Op::Delete { .. } => None,
                _ => result.etag().map(|etag| Etag(etag.to_owned())),
            };
            return Ok(BatchOutcome::Committed(ops.iter().zip(results).map(etag).collect()));
        }
        let statuses = statuses(&resource, &ops, results)?;
        match self.own_earlier_write(partition, &ops, &write).await? {
            Some(etags) => Ok(BatchOutcome::Committed(etags)),
            None => Ok(BatchOutcome::Refused(statuses)),
        }
    }

    async fn query(&self, partition: &Partition, query: &Query) -> Result<Page, PortError> {
        check_partition(partition)?;
        let limit = page_size(query.limit);
        let ranges = paging::ranges(query)?;
        if ranges.is_empty() {
            return Ok(Page::default());
        }
        // One more than asked for tells whether there is a next page.
        let mut found = self.found(partition, &ranges, query.descending, limit + 1).await?;
        let more = found.len() > limit;
        found.truncate(limit);
        let next = found.last().filter(|_| more).map(|stored| paging::continuation(&stored.id));
        Ok(Page { documents: found.into_iter().map(Document::from).collect(), next })
    }

    async fn changes(&self, partition: &Partition, since: Option<&ChangeToken>, limit: usize) -> Result<ChangePage, PortError> {
        check_partition(partition)?;
        let resource = format!("changes in {}", cosmos::name_of(partition.container()));
        let container = self.cosmos.container(partition.container()).await?;
        let limit = page_size(limit);
        cosmos::within(&resource, async {
            let mut options = ChangeFeedOptions::default().with_feed_options(feed(limit));
            if let Some(token) = since {
                options = options.with_continuation_token(ContinuationToken::from_string(token.0.clone()));
            }
            let scope = FeedScope::partition(key_of(partition));
            let mut pages = container.query_change_feed::<Stored>(scope, ChangeFeedStartFrom::Beginning, Some(options)).await?;
            let found = match pages.next().await {
                Some(page) => {
                    let page = page?;
                    self.cosmos.charge(page.headers());
                    page.into_items()
                }
                None => Vec::new(),
            };
            let documents = found.into_iter().filter_map(|item| item.current().cloned()).map(Document::from).collect();
            Ok(ChangePage { documents, token: ChangeToken(pages.to_continuation_token()?.as_str().to_owned()) })
        })
        .await
    }
}

/// The documents of these ranges, by id.
fn select(ranges: &[Range], descending: bool) -> azure_data_cosmos::Result<Sql> {
    let of = |(n, range): (usize, &Range)| {
        let first = if range.with_from { ">=" } else { ">" };
        format!("(c.id {first} @from{n} AND c.id < @to{n})")
    };
    let any = ranges.iter().enumerate().map(of).collect::<Vec<_>>().join(" OR ");
    let order = if descending { "DESC" } else { "ASC" };
    let text = format!("SELECT c.id, c._etag, c.write, c.body FROM c WHERE {any} ORDER BY c.id {order}");
    ranges.iter().enumerate().try_fold(Sql::from(text), |sql, (n, range)| {
        sql.with_parameter(format!("@from{n}"), &range.from)?.with_parameter(format!("@to{n}"), &range.to)
    })
}

fn feed(limit: usize) -> FeedOptions {
    let hint = u32::try_from(limit).ok().and_then(std::num::NonZeroU32::new);
    hint.map_or_else(FeedOptions::default, |hint| FeedOptions::default().with_max_item_count(MaxItemCountHint::Limit(hint)))
}

fn key_of(partition: &Partition) -> PartitionKey {
    PartitionKey::from(partition.key().to_owned())
}

fn resource(partition: &Partition, id: &str) -> String {
    format!("document {id} in {}", cosmos::name_of(partition.container()))
}

/// The answer for the first document that is too large, or the error for a batch that is.
fn too_large(ops: &[Op]) -> Result<Option<BatchOutcome>, PortError> {
    let mut bytes = 0;
    for (place, op) in ops.iter().enumerate() {
        let (Op::Create { body, .. } | Op::Replace { body, .. }) = op else { continue };
        let length = body_bytes(op.id(), body)?;
        if length > MAX_DOCUMENT_BYTES {
            let status = |n| if n == place { OpStatus::TooLarge } else { OpStatus::FailedDependency };
            return Ok(Some(BatchOutcome::Refused((0..ops.len()).map(status).collect())));
        }
        bytes += length;
    }
    if bytes > MAX_BATCH_BYTES {
        return Err(PortError::new(format!("batch of {bytes} bytes (at most {MAX_BATCH_BYTES})"), PortErrorKind::TooLarge));
    }
    Ok(None)
}

fn body_bytes(id: &str, body: &Value) -> Result<usize, PortError> {
    let mut counter = Counter(0);
    serde_json::to_writer(&mut counter, body)
        .map_err(|error| PortError::because(format!("document {id}"), PortErrorKind::Invalid, error))?;
    Ok(counter.0)
}

/// Counts what is written and keeps nothing.
struct Counter(usize);

impl std::io::Write for Counter {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn sql_batch(partition: &Partition, ops: &[Op], write: &str) -> azure_data_cosmos::Result<TransactionalBatch> {
    let mut batch = TransactionalBatch::new(key_of(partition));
    for op in ops {
        let written = |body| Written { id: op.id(), partition: partition.key(), write, body };
        let if_match = |etag: &Etag| Precondition::IfMatch(CosmosEtag::from(etag.0.clone()));
        batch = match op {
            Op::Create { body, .. } => batch.create_item(written(body))?,
            Op::Replace { id, body, if_match: etag } => {
                let options = BatchReplaceOptions::default().with_precondition(if_match(etag));
                batch.replace_item(id.clone(), written(body), Some(options))?
            }
            Op::Delete { id, if_match: None } => batch.delete_item(id.clone(), None),
            Op::Delete { id, if_match: Some(etag) } => {
                batch.delete_item(id.clone(), Some(BatchDeleteOptions::default().with_precondition(if_match(etag))))
            }
        };
    }
    Ok(batch)
}

/// Why a batch was refused, per operation; an answer that is no refusal (a throttled operation, say) is an error.
fn statuses(resource: &str, ops: &[Op], results: &[TransactionalBatchOperationResult]) -> Result<Vec<OpStatus>, PortError> {
    if results.len() != ops.len() {
        return Err(PortError::new(resource, PortErrorKind::Unavailable));
    }
    let status = |result: &TransactionalBatchOperationResult| match result.status_code() {
        409 => Ok(OpStatus::Conflict),
        412 => Ok(OpStatus::PreconditionFailed),
        404 => Ok(OpStatus::NotFound),
        413 => Ok(OpStatus::TooLarge),
        424 => Ok(OpStatus::FailedDependency),
        status if cosmos::is_full(status, result.substatus_code().and_then(|sub| sub.try_into().ok()).unwrap_or_default()) => {
            Err(PortError::new(resource, PortErrorKind::Full))
        }
        other => Err(PortError::new(resource, call::kind_of_status(other, result.retry_after()))),
    };
    results.iter().map(status).collect()
}
