//! CPU time of one analysis, by how much evidence the client has: it must not grow with it, and only the objectives
//! that the new record touches may be written.
//!
//! Two clients in one store, a small and a large one, are measured in turn. The record type is the one that touches the
//! most objectives, and every objective has an open proposal where one can be raised: the dearest case.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use assay::{
    app::App,
    assemble, config,
    evidence::{AnalyzeV1, Evidence, Observed, Origin, Population},
    platform::ports::{BatchOutcome, ChangePage, ChangeToken, Document, Documents, Op, Page, Partition, PortError, Query, Queue, Received},
    readiness::{
        self,
        map::{Entry, evidence_map},
    },
    tenancy::{ClientPlace, ConnectionId, DeploymentPlace, DeploymentScope, Scope, TenantId, directory::Tenant, message},
};
use async_trait::async_trait;
use bytes::Bytes;

use crate::{
    Effort, Outcome,
    handler::folder,
    report::{Bar, Samples, line},
};

/// Records of one seeding batch: far below the limits of a batch.
const BATCH: usize = 90;

pub async fn measure(effort: Effort) -> Outcome<()> {
    let folder = folder()?;
    let settings = config::RawConfig::from([("ASSAY_DATA".to_owned(), folder.path().display().to_string())]);
    let mut app = assemble::app(config::check(&settings).map_err(|errors| errors[0].clone())?)?;
    let documents = Arc::new(Counting { documents: app.documents.clone(), objectives: AtomicUsize::new(0) });
    (app.documents, app.queue) = (documents.clone(), Arc::new(Nowhere));

    let widest = evidence_map().entries.iter().filter(|entry| entry.contradicted_by.is_empty());
    let entry = widest.max_by_key(|entry| entry.objectives().count()).ok_or("the evidence map is empty")?;
    let mut small = Box::pin(Client::new(&app, "small", entry)).await?;
    let mut large = Box::pin(Client::new(&app, "large", entry)).await?;
    let before = Instant::now();
    small.seed(&app, effort.small).await?;
    large.seed(&app, effort.large).await?;
    let took = before.elapsed().as_secs();
    println!("{} and {} evidence records written in {took} s; each event is of type {}", effort.small, effort.large, entry.record_type);

    let (mut few, mut many) = (Samples::default(), Samples::default());
    let (mut few_wall, mut many_wall) = (Samples::default(), Samples::default());
    let mut written = Samples::default();
    for event in 0..=effort.events {
        for (client, cpu, wall) in [(&mut small, &mut few, &mut few_wall), (&mut large, &mut many, &mut many_wall)] {
            documents.objectives.store(0, Ordering::Relaxed);
            let spent = client.event(&app).await?;
            // The first reads the catalogue and fills caches.
            if event > 0 {
                cpu.add(millis(spent.cpu));
                wall.add(millis(spent.wall));
                written.add(f64::from(u32::try_from(documents.objectives.load(Ordering::Relaxed))?));
            }
        }
    }
    let records = |number| format!("analyze one event at {number} records");
    line(&format!("{}, CPU", records(effort.small)), "ms", &few, None, &Bar::AtMost(5.0));
    line(&format!("{}, CPU (at {})", records(effort.large), effort.small), "ms", &many, Some(&few), &Bar::AtMost(5.0));
    line("the same with ten times the records", "ms", &many, Some(&few), &Bar::RatioAtMost(1.25));
    line(&format!("{}, wall clock", records(effort.small)), "ms", &few_wall, None, &Bar::None);
    line(&format!("{}, wall clock", records(effort.large)), "ms", &many_wall, Some(&few_wall), &Bar::None);
    let touched = entry.objectives().count();
    line(&format!("objectives written of {touched} touched, of 320"), "", &written, None, &Bar::AtMost(f64::from(u32::try_from(touched)?)));
    Ok(())
}

struct Client {
    scope: Scope,
    tenant: TenantId,
    entry: &'static Entry,
    /// Evidence records made so far.
    records: usize,
}

struct Spent {
    cpu: Duration,
    wall: Duration,
}

impl Client {
    /// With one complete reading, from which the analysis raises what proposals it can.
    async fn new(app: &App, name: &str, entry: &'static Entry) -> Outcome<Self> {
        let tenant = Tenant { id: TenantId(app.ids.uuid()), name: name.into(), created_at: app.now() };
        let directory = DeploymentScope::of_function("bench", "bench");
        let store = directory.store(app).await?;
        let mut batch = store.batch(DeploymentPlace::Directory);
        batch.create(&tenant);
        batch.commit().await?;
        let mut client = Self { scope: Scope::of_sweep(&tenant, "bench"), tenant: tenant.id, entry, records: 0 };
        let mut reading = client.next(app);
        reading.population = Population::Of { read: 43, total: 43 };
        client.take(app, reading).await?;
        Ok(client)
    }

    /// Until there are this many.
    async fn seed(&mut self, app: &App, records: usize) -> Outcome<()> {
        let mut shards: BTreeMap<String, (ClientPlace, Vec<Evidence>)> = BTreeMap::new();
        while self.records < records {
            let evidence = self.next(app);
            let place = Evidence::place(&evidence.source_key);
            let (_, waiting) = shards.entry(format!("{place:?}")).or_insert_with(|| (place, Vec::new()));
            waiting.push(evidence);
            if waiting.len() == BATCH {
                self.write(app, place, &std::mem::take(waiting)).await?;
            }
        }
        for (place, rest) in shards.into_values() {
            self.write(app, place, &rest).await?;
        }
        Ok(())
    }

    async fn write(&self, app: &App, place: ClientPlace, records: &[Evidence]) -> Outcome<()> {
        let store = self.scope.store(app).await?;
        let mut batch = store.batch(place);
        for record in records {
            batch.create(record);
        }
        Ok(batch.commit().await?)
    }

    /// One more record is there; what its analysis costs.
    async fn event(&mut self, app: &App) -> Outcome<Spent> {
        let evidence = self.next(app);
        self.take(app, evidence).await
    }

    async fn take(&self, app: &App, evidence: Evidence) -> Outcome<Spent> {
        let source_key = evidence.source_key.clone();
        self.write(app, Evidence::place(&source_key), &[evidence]).await?;
        let bytes = message::seal(app, "analyze", Some(self.tenant), app.ids.uuid(), &AnalyzeV1 { source_key }).await?;
        let message = message::open(app, "analyze", &bytes).await?;
        let (cpu, wall) = (cpu_time()?, Instant::now());
        readiness::analyze(app, &message).await?;
        Ok(Spent { cpu: cpu_time()?.saturating_sub(cpu), wall: wall.elapsed() })
    }

    fn next(&mut self, app: &App) -> Evidence {
        self.records += 1;
        let number = self.records;
        let facts = [("name", "HPM-CNC-07"), ("type", "Managed Workstation"), ("system", "Windows 11 Pro"), ("status", "Active")];
        Evidence {
            source_key: format!("{}:configuration:{number}", uuid::Uuid::nil()),
            record_type: Some(self.entry.record_type.into()),
            title: format!("HPM-CNC-{number:06}"),
            origin: Origin::Observed(Observed {
                connection: ConnectionId(uuid::Uuid::nil()),
                system: "ConnectWise PSA".into(),
                entity: "configuration".into(),
                vendor_id: number.to_string(),
                facts: facts.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
                raw: None,
            }),
            occurred_at: app.now(),
            collected_at: app.now(),
            population: Population::Unknown,
            hash: format!("{number:064x}"),
            deleted: false,
            revision: 0,
        }
    }
}

/// CPU time of all threads of this process: the store's writer works for the analysis too.
fn cpu_time() -> Outcome<Duration> {
    // The kernel brings the numbers of a running thread up to date when it gives way.
    std::thread::yield_now();
    let mut nanoseconds = 0;
    for thread in std::fs::read_dir("/proc/self/task")? {
        let numbers = std::fs::read_to_string(thread?.path().join("schedstat"))?;
        nanoseconds += numbers.split(' ').next().unwrap_or_default().parse::<u64>()?;
    }
    Ok(Duration::from_nanos(nanoseconds))
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

/// Counts the objectives that are written.
struct Counting {
    documents: Arc<dyn Documents>,
    objectives: AtomicUsize,
}

#[async_trait]
impl Documents for Counting {
    async fn read(&self, partition: &Partition, id: &str) -> Result<Option<Document>, PortError> {
        self.documents.read(partition, id).await
    }

    async fn batch(&self, partition: &Partition, ops: Vec<Op>) -> Result<BatchOutcome, PortError> {
        let objectives = ops.iter().filter(|op| op.id().starts_with("objective:")).count();
        self.objectives.fetch_add(objectives, Ordering::Relaxed);
        self.documents.batch(partition, ops).await
    }

    async fn query(&self, partition: &Partition, query: &Query) -> Result<Page, PortError> {
        self.documents.query(partition, query).await
    }

    async fn changes(&self, partition: &Partition, since: Option<&ChangeToken>, limit: usize) -> Result<ChangePage, PortError> {
        self.documents.changes(partition, since, limit).await
    }
}

/// Takes messages and forgets them: nobody is notified here.
struct Nowhere;

#[async_trait]
impl Queue for Nowhere {
    async fn send(&self, _: &str, _: Bytes, _: Duration) -> Result<(), PortError> {
        Ok(())
    }

    async fn receive(&self, _: &str, _: usize, _: Duration) -> Result<Vec<Received>, PortError> {
        Ok(Vec::new())
    }

    async fn delete(&self, _: &str, _: &Received) -> Result<(), PortError> {
        Ok(())
    }
}
