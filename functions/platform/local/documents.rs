//! Documents in redb: point reads and pages from a snapshot, batches through the group-committing writer.
//!
//! Limits are those of Cosmos DB, enforced here too, so that what works locally works there.

use std::{ops::Bound, sync::Arc};

use async_trait::async_trait;

use super::writer::{CHANGES, DOCUMENTS, Write, Writer, etag, split};
use crate::platform::{
    limits::{check_id, check_ops, check_partition, invalid},
    paging::{self, Range, page_size},
    ports::{
        BatchOutcome, ChangePage, ChangeToken, Document, Documents, MAX_BATCH_BYTES, Op, Page, Partition, PortError, PortErrorKind, Query,
    },
};

pub struct LocalDocuments {
    writer: Arc<Writer>,
}

impl LocalDocuments {
    pub(super) fn new(writer: Arc<Writer>) -> Self {
        Self { writer }
    }
}

// Reads run on the caller's thread: a look into redb's cache costs less than a thread change, and at worst they read
// some pages of a local file.
#[async_trait]
impl Documents for LocalDocuments {
    async fn read(&self, partition: &Partition, id: &str) -> Result<Option<Document>, PortError> {
        check_partition(partition)?;
        check_id(id)?;
        let (container, key) = (partition.container().name(), partition.key());
        let stored = self.writer.read(|transaction| {
            let table = transaction.open_table(DOCUMENTS)?;
            Ok(table.get((container, key, id))?.map(|held| held.value().to_vec()))
        })?;
        stored.map(|bytes| document(id, &bytes)).transpose()
    }

    async fn batch(&self, partition: &Partition, ops: Vec<Op>) -> Result<BatchOutcome, PortError> {
        check_partition(partition)?;
        check_ops(&ops)?;
        if ops.is_empty() {
            return Ok(BatchOutcome::Committed(Vec::new()));
        }
        let mut bytes = 0;
        let mut writes = Vec::with_capacity(ops.len());
        for op in ops {
            let write = match op {
                Op::Create { id, body } => Write::Create { body: json(&id, &body, &mut bytes)?, id },
                Op::Replace { id, body, if_match } => Write::Replace { body: json(&id, &body, &mut bytes)?, id, if_match },
                Op::Delete { id, if_match } => Write::Delete { id, if_match },
            };
            writes.push(write);
        }
        // A single document that is too large is an answer about that document, from the writer.
        if bytes > MAX_BATCH_BYTES && writes.len() > 1 {
            return Err(PortError::new(format!("batch of {bytes} bytes (at most {MAX_BATCH_BYTES})"), PortErrorKind::TooLarge));
        }
        self.writer.batch(partition.container().name(), partition.key().into(), writes).await
    }

    async fn query(&self, partition: &Partition, query: &Query) -> Result<Page, PortError> {
        check_partition(partition)?;
        let (container, key) = (partition.container().name(), partition.key());
        let limit = page_size(query.limit);
        let mut ranges = paging::ranges(query)?;
        if query.descending {
            ranges.reverse();
        }
        // One more than asked for tells whether there is a next page.
        let found = self.writer.read(|transaction| {
            let table = transaction.open_table(DOCUMENTS)?;
            let mut found = Vec::new();
            for Range { from, with_from, to } in &ranges {
                let from = (container, key, from.as_str());
                let from = if *with_from { Bound::Included(from) } else { Bound::Excluded(from) };
                let mut rows = table.range((from, Bound::Excluded((container, key, to.as_str()))))?;
                while found.len() <= limit
                    && let Some(row) = if query.descending { rows.next_back() } else { rows.next() }
                {
                    let (key, stored) = row?;
                    found.push((key.value().2.to_owned(), stored.value().to_vec()));
                }
            }
            Ok(found)
        });
        let mut found = found?;
        let more = found.len() > limit;
        found.truncate(limit);
        let next = found.last().filter(|_| more).map(|(id, _)| paging::continuation(id));
        let documents = found.iter().map(|(id, stored)| document(id, stored)).collect::<Result<_, _>>()?;
        Ok(Page { documents, next })
    }

    async fn changes(&self, partition: &Partition, since: Option<&ChangeToken>, limit: usize) -> Result<ChangePage, PortError> {
        check_partition(partition)?;
        let (container, key) = (partition.container().name(), partition.key());
        let since = match since {
            Some(token) => token.0.parse::<u64>().map_err(|_| invalid("change token"))?,
            None => 0,
        };
        let found = self.writer.read(|transaction| {
            let changes = transaction.open_table(CHANGES)?;
            let documents = transaction.open_table(DOCUMENTS)?;
            let range = (Bound::Excluded((container, key, since)), Bound::Included((container, key, u64::MAX)));
            let mut found = Vec::new();
            for row in changes.range(range)?.take(page_size(limit)) {
                let (place, id) = row?;
                let stored = documents.get((container, key, id.value()))?;
                found.push((place.value().2, id.value().to_owned(), stored.map(|held| held.value().to_vec()).unwrap_or_default()));
            }
            Ok(found)
        })?;
        let token = ChangeToken(found.last().map_or(since, |(revision, ..)| *revision).to_string());
        let documents = found.iter().map(|(_, id, stored)| document(id, stored)).collect::<Result<_, _>>()?;
        Ok(ChangePage { documents, token })
    }
}

fn document(id: &str, stored: &[u8]) -> Result<Document, PortError> {
    let resource = || format!("document {id}");
    let (revision, body) = split(stored).ok_or_else(|| PortError::new(resource(), PortErrorKind::Unreadable))?;
    let body = serde_json::from_slice(body).map_err(|error| PortError::because(resource(), PortErrorKind::Unreadable, error))?;
    Ok(Document { id: id.into(), etag: etag(revision), body })
}

/// The body as it is stored, its bytes counted.
fn json(id: &str, body: &serde_json::Value, count: &mut usize) -> Result<Vec<u8>, PortError> {
    let bytes = serde_json::to_vec(body).map_err(|error| PortError::because(format!("document {id}"), PortErrorKind::Invalid, error))?;
    *count += bytes.len();
    Ok(bytes)
}
