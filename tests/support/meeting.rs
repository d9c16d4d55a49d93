//! Two who write at once: each of the first two batches waits for the other, so both have read the same before either
//! writes. What comes after them goes through as it comes. And one who is overtaken while it reads, or
//! reads in a region that lags behind.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicUsize, Ordering},
};

use assay::{
    app::App,
    platform::ports::{
        BatchOutcome, ChangePage, ChangeToken, Container, Document, Documents, IdMatch, Op, Page, Partition, PortError, Query,
    },
};
use async_trait::async_trait;
use tokio::sync::{Barrier, Notify};

/// The same App, whose first two batches meet.
pub fn two_at_once(app: &App) -> App {
    let meeting = Meeting { port: app.documents.clone(), batches: AtomicUsize::new(0), both: Barrier::new(2) };
    App { documents: Arc::new(meeting), ..app.clone() }
}

struct Meeting {
    port: Arc<dyn Documents>,
    batches: AtomicUsize,
    both: Barrier,
}

#[async_trait]
impl Documents for Meeting {
    async fn read(&self, partition: &Partition, id: &str) -> Result<Option<Document>, PortError> {
        self.port.read(partition, id).await
    }

    async fn batch(&self, partition: &Partition, ops: Vec<Op>) -> Result<BatchOutcome, PortError> {
        if self.batches.fetch_add(1, Ordering::SeqCst) < 2 {
            self.both.wait().await;
        }
        self.port.batch(partition, ops).await
    }

    async fn query(&self, partition: &Partition, query: &Query) -> Result<Page, PortError> {
        self.port.query(partition, query).await
    }

    async fn changes(&self, partition: &Partition, since: Option<&ChangeToken>, limit: usize) -> Result<ChangePage, PortError> {
        self.port.changes(partition, since, limit).await
    }
}

/// The same App, whose first query that finds this document finds it as it will be once somebody else was faster: a page
/// of documents is no snapshot.
pub fn overtaken_while_reading(app: &App, document: String) -> (App, Arc<Stop>) {
    let stop = Arc::new(Stop::default());
    let torn = Torn { port: app.documents.clone(), document, reads: AtomicUsize::new(0), stop: stop.clone() };
    (App { documents: Arc::new(torn), ..app.clone() }, stop)
}

#[derive(Default)]
pub struct Stop {
    pub reached: Notify,
    pub go_on: Notify,
}

struct Torn {
    port: Arc<dyn Documents>,
    document: String,
    reads: AtomicUsize,
    stop: Arc<Stop>,
}

#[async_trait]
impl Documents for Torn {
    async fn read(&self, partition: &Partition, id: &str) -> Result<Option<Document>, PortError> {
        self.port.read(partition, id).await
    }

    async fn batch(&self, partition: &Partition, ops: Vec<Op>) -> Result<BatchOutcome, PortError> {
        self.port.batch(partition, ops).await
    }

    async fn query(&self, partition: &Partition, query: &Query) -> Result<Page, PortError> {
        let mut page = self.port.query(partition, query).await?;
        if let Some(found) = page.documents.iter_mut().find(|document| document.id == self.document)
            && self.reads.fetch_add(1, Ordering::SeqCst) == 0
        {
            self.stop.reached.notify_one();
            self.stop.go_on.notified().await;
            *found = self.port.read(partition, &self.document).await?.unwrap();
        }
        Ok(page)
    }

    async fn changes(&self, partition: &Partition, since: Option<&ChangeToken>, limit: usize) -> Result<ChangePage, PortError> {
        self.port.changes(partition, since, limit).await
    }
}

/// The same App, whose first read of the whole directory comes from a region that lags behind: it finds what `before` found.
pub async fn once_behind(app: &App, before: &App) -> App {
    let directory = Partition::reserved_for_tenancy(Container::Deployment, "deployment/directory".into());
    let page = before.documents.query(&directory, &Query { limit: 1000, ..Query::prefix("") }).await.unwrap();
    let behind = Behind { port: app.documents.clone(), page: Mutex::new(Some(page)) };
    App { documents: Arc::new(behind), ..app.clone() }
}

struct Behind {
    port: Arc<dyn Documents>,
    page: Mutex<Option<Page>>,
}

#[async_trait]
impl Documents for Behind {
    async fn read(&self, partition: &Partition, id: &str) -> Result<Option<Document>, PortError> {
        self.port.read(partition, id).await
    }

    async fn batch(&self, partition: &Partition, ops: Vec<Op>) -> Result<BatchOutcome, PortError> {
        self.port.batch(partition, ops).await
    }

    async fn query(&self, partition: &Partition, query: &Query) -> Result<Page, PortError> {
        let whole = query.matching.contains(&IdMatch::Prefix("person:".into()));
        let behind = self.page.lock().unwrap().take_if(|_| whole);
        match behind {
            Some(page) => Ok(page),
            None => self.port.query(partition, query).await,
        }
    }

    async fn changes(&self, partition: &Partition, since: Option<&ChangeToken>, limit: usize) -> Result<ChangePage, PortError> {
        self.port.changes(partition, since, limit).await
    }
}
