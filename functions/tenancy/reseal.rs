//! Sealing again, under the newest data key, what an older one sealed: one page of a place's documents at a time.
//!
//! The text stays as it is, and so does everything that stands beside it. Who writes a document at the same time wins:
//! that writer sealed it anew already. A large record's text in a blob is sealed again when the record is next written.

use serde_json::json;

use super::{
    Place, Store, StoreError,
    seal::{DataKey, Form, SealError, epoch_of},
};
use crate::platform::ports::{BatchOutcome, Continuation, Document, MAX_BATCH_OPS, Op, Query};

/// Bytes of one batch: well below what one may hold.
const BATCH_BYTES: usize = 512 * 1024;

/// What one page came to.
#[derive(Debug)]
pub struct Resealed {
    pub looked: usize,
    /// Documents that were written.
    pub documents: usize,
    /// Why each of those that do not open does not; they stay as they are.
    pub unreadable: Vec<&'static str>,
    /// Where to go on; `None`: the place is done.
    pub next: Option<Continuation>,
}

impl<P: Place> Store<'_, P> {
    /// Looks at up to `limit` documents after `after`.
    pub async fn reseal(&self, place: P, after: Option<Continuation>, limit: usize) -> Result<Resealed, StoreError> {
        let query = Query { after, limit, ..Query::prefix("") };
        let (place, page) = self.query(place, &query).await?;
        let mut done = Resealed { looked: page.documents.len(), documents: 0, unreadable: Vec::new(), next: page.next };
        if page.documents.is_empty() {
            return Ok(done);
        }
        let key = self.key_of_found().await?;
        let (mut ops, mut bytes) = (Vec::new(), 0);
        for document in page.documents {
            match self.again(key, place, document) {
                Ok(None) => {}
                Ok(Some(op)) => {
                    bytes += size(&op);
                    ops.push(op);
                    if bytes >= BATCH_BYTES || ops.len() == MAX_BATCH_OPS {
                        done.documents += self.write(place, std::mem::take(&mut ops)).await?;
                        bytes = 0;
                    }
                }
                Err(error) => {
                    tracing::warn!(error = %error, "a document is not sealed again");
                    done.unreadable.push(why(&error));
                }
            }
        }
        done.documents += self.write(place, ops).await?;
        Ok(done)
    }

    /// `None`: there is nothing to do about it.
    fn again(&self, key: &DataKey, place: P, document: Document) -> Result<Option<Op>, StoreError> {
        let Document { id, etag, mut body } = document;
        let Some(text) = body["sealed"].as_str() else { return Ok(None) };
        let sealed = |source| StoreError::Sealed { document: id.clone(), source };
        let (form, epoch) = epoch_of(text).map_err(sealed)?;
        if form == key.form() && epoch >= key.epoch() || key.form() == Form::S1 {
            return Ok(None);
        }
        let schema = body["schema"].as_u64().and_then(|schema| u32::try_from(schema).ok()).unwrap_or(u32::MAX);
        let at = place.key();
        let binding = self.binding(place, &at, &id, schema, body["revision"].as_u64().unwrap_or_default());
        let plain = zeroize::Zeroizing::new(key.open(&binding, text).map_err(sealed)?);
        body["sealed"] = json!(key.seal(&binding, &plain).map_err(sealed)?);
        Ok(Some(Op::Replace { id, body, if_match: etag }))
    }

    /// All at once; one by one where somebody was faster with one of them.
    async fn write(&self, place: P, ops: Vec<Op>) -> Result<usize, StoreError> {
        if ops.is_empty() {
            return Ok(0);
        }
        let partition = self.partition(place);
        self.note_seals(ops.len());
        if let BatchOutcome::Committed(_) = self.app().documents.batch(&partition, ops.clone()).await? {
            return Ok(ops.len());
        }
        let mut written = 0;
        for op in ops {
            written += usize::from(matches!(self.app().documents.batch(&partition, vec![op]).await?, BatchOutcome::Committed(_)));
        }
        Ok(written)
    }
}

/// In words for the log, without the record's id.
fn why(error: &StoreError) -> &'static str {
    match error {
        StoreError::Sealed { source: SealError::Epoch { .. }, .. } => "its data key is not among the owner's",
        StoreError::Sealed { source: SealError::Form, .. } => "it is in no form that this release knows",
        _ => "it does not open in its place",
    }
}

fn size(op: &Op) -> usize {
    match op {
        Op::Create { body, .. } | Op::Replace { body, .. } => body["sealed"].as_str().map_or(0, str::len),
        Op::Delete { .. } => 0,
    }
}
