//! What Assay depends on, looked at one by one: there or not, allowed or not, how quickly, and how to mend it.
//!
//! `assay doctor` prints it all; the handler looks once it is ready, and health then names what somebody must mend. It asks
//! through the ports, as the functions do, and changes nothing: every write here is one that a store allowed to write
//! refuses because of what it names.

use std::{
    fmt,
    time::{Duration, Instant},
};

use bytes::Bytes;
use futures_util::future::join_all;
use time::OffsetDateTime;

use crate::{
    app::App,
    config::{ConfigError, Part},
    platform::ports::{BlobContainer, Container, Etag, Op, PortError, PortErrorKind, Received},
    tenancy::{DeploymentScope, directory, keys, place},
    triggers::{Kind, TABLE},
};

/// One dependency and how it was found.
#[derive(Debug)]
pub struct Finding {
    /// Such as `container clients`; never an address.
    pub what: String,
    /// The setting that leads to it.
    pub setting: &'static str,
    pub outcome: Result<(), PortError>,
    pub took: Duration,
}

impl Finding {
    /// For health, which anybody may read; `None` when it is well, or may be by itself the next time.
    pub fn ailment(&self) -> Option<ConfigError> {
        let kind = self.outcome.as_ref().err()?.kind;
        kind.needs_mending().then(|| ConfigError { setting: self.setting, problem: format!("{}: {kind}; {}", self.what, kind.advice()) })
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { what, setting, outcome, took } = self;
        match outcome {
            Ok(()) => write!(f, "good  {what} ({} ms)", took.as_millis()),
            Err(error) => write!(f, "BAD   {what}: {} ({setting}, {} ms); {}", error.kind, took.as_millis(), error.kind.advice()),
        }
    }
}

/// Everything at once; each look ends by its own deadline.
pub async fn examine(app: &App) -> Vec<Finding> {
    let documents = join_all(
        Container::ALL.map(|container| timed(app, format!("container {}", container.name()), Part::Documents, may_write(app, container))),
    );
    // In local mode they are the running host's, and while it runs the store is its handler's.
    let apart = app.config.store_is_made_by_others();
    let queues = TABLE.iter().filter_map(|trigger| match trigger.kind {
        Kind::Queue { .. } if apart => Some(timed(app, format!("queue {}", trigger.name), Part::Queues, may_use_queue(app, trigger.name))),
        _ => None,
    });
    let blobs = join_all(
        BlobContainer::ALL
            .map(|container| timed(app, format!("blob container {}", container.name()), Part::Blobs, may_use_blobs(app, container))),
    );
    let key = timed(app, "the installation's own key".into(), Part::Keys, may_use_key(app));
    let (documents, queues, blobs, key, clients) = tokio::join!(documents, join_all(queues), blobs, key, clients(app));
    documents.into_iter().chain(queues).chain(blobs).chain([key]).chain(clients).collect()
}

async fn timed(app: &App, what: String, part: Part, look: impl Future<Output = Result<(), PortError>>) -> Finding {
    let begun = Instant::now();
    let outcome = look.await;
    Finding { what, setting: app.config.setting_of(part), outcome, took: begun.elapsed() }
}

/// A replace of what is not there: refused by a store that would take a true one.
async fn may_write(app: &App, container: Container) -> Result<(), PortError> {
    let partition = place::probe(container);
    app.documents.read(&partition, "probe").await?;
    let body = serde_json::json!({ "kind": "probe" });
    let nowhere = Op::Replace { id: "probe".into(), body, if_match: Etag("\"nowhere\"".into()) };
    app.documents.batch(&partition, vec![nowhere]).await.map(|_| ())
}

/// A delete of a message that nobody sent.
async fn may_use_queue(app: &App, queue: &str) -> Result<(), PortError> {
    let nobodys = Received {
        id: app.ids.uuid().to_string(),
        pop_receipt: "AgAAAAMAAAAAAAAA".into(),
        body: Bytes::new(),
        dequeue_count: 1,
        inserted_at: OffsetDateTime::UNIX_EPOCH,
    };
    match app.queue.delete(queue, &nobodys).await {
        // It was let in, and the queue is there.
        Err(error) if error.kind == PortErrorKind::Invalid => Ok(()),
        other => other,
    }
}

async fn may_use_blobs(app: &App, container: BlobContainer) -> Result<(), PortError> {
    app.blobs.read(container, "doctor/probe").await?;
    app.blobs.delete(container, "doctor/probe").await
}

async fn may_use_key(app: &App) -> Result<(), PortError> {
    let plain = [0; 32];
    let wrapped = app.vault.wrap(&keys::Owner::Deployment.to_string(), &plain).await?;
    app.vault.unwrap(&wrapped).await.map(|_| ())
}

/// The keys of all clients, as one line each where something is wrong and one line for all the others.
async fn clients(app: &App) -> Vec<Finding> {
    let begun = Instant::now();
    let tenants = async {
        let store = DeploymentScope::of_function("doctor", "doctor").store(app).await?;
        directory::tenants(&store).await
    };
    // Without the directory there is nothing to say here: its container's own line has the reason.
    let Ok(tenants) = tenants.await else { return Vec::new() };
    let finding = |what, outcome| Finding { what, setting: app.config.setting_of(Part::Keys), outcome, took: begun.elapsed() };
    let (mut good, mut findings) = (0, Vec::new());
    for tenant in &tenants {
        match keys::find(app, keys::Owner::Tenant(tenant.id)).await {
            Ok(_) => good += 1,
            Err(error) => findings.push(finding(format!("the key of client {}", tenant.id), Err(error.into_port()))),
        }
    }
    if good > 0 {
        findings.insert(0, finding(format!("the keys of {good} of {} clients", tenants.len()), Ok(())));
    }
    findings
}
