//! The documents as Assay uses them: among the entries of the logs nothing is replaced or deleted, on whichever store.
//!
//! On Azure the app's role has no right to either (`azure::cosmos::DATA_ACTIONS`). Here the same is refused before anything is
//! asked, so that a change that would need the right is found by every test and not by an installation.

use std::sync::Arc;

use async_trait::async_trait;

use super::ports::{
    BatchOutcome, ChangePage, ChangeToken, Container, Document, Documents, Op, Page, Partition, PortError, PortErrorKind, Query,
};

pub struct AppendOnly<D: ?Sized>(Arc<D>);

impl<D: Documents + ?Sized> AppendOnly<D> {
    pub fn over(documents: Arc<D>) -> Arc<Self> {
        Arc::new(Self(documents))
    }
}

#[async_trait]
impl<D: Documents + ?Sized> Documents for AppendOnly<D> {
    async fn read(&self, partition: &Partition, id: &str) -> Result<Option<Document>, PortError> {
        self.0.read(partition, id).await
    }

    /// A batch that would change what is there is [`PortErrorKind::Invalid`].
    async fn batch(&self, partition: &Partition, ops: Vec<Op>) -> Result<BatchOutcome, PortError> {
        let changes = |op: &&Op| !matches!(op, Op::Create { .. });
        if partition.container() == Container::Audit
            && let Some(op) = ops.iter().find(changes)
        {
            let what = format!("{} among the log's entries, where nothing is replaced or deleted", op.id());
            return Err(PortError::new(what, PortErrorKind::Invalid));
        }
        self.0.batch(partition, ops).await
    }

    async fn query(&self, partition: &Partition, query: &Query) -> Result<Page, PortError> {
        self.0.query(partition, query).await
    }

    async fn changes(&self, partition: &Partition, since: Option<&ChangeToken>, limit: usize) -> Result<ChangePage, PortError> {
        self.0.changes(partition, since, limit).await
    }
}
