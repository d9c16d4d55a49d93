//! Webhooks taken in at the handler's port: verified, raw bytes durable, message durable in the host's queue, then 200.
//!
//! Beside it the fsync'd transactions that raw redb does on the same disk, measured in turn, so that a slow disk or a
//! busy machine slows both; and what two bare servers with a commit each do, below which no accepting can get here: the
//! raw bytes are durable in the handler's store before the message is in the host's, which is another process.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use assay::connectors::demo::{self, connectwise};

use crate::{
    Effort, Outcome,
    client::Client,
    floor::Floor,
    handler::World,
    reference::RawStore,
    report::{Bar, Samples, line},
};

const CROWD: usize = 32;

pub async fn measure(world: &World, effort: Effort) -> Outcome<()> {
    let mut store = RawStore::create(&world.folder.path().join("reference.redb"))?;
    let deliveries = Arc::new(Deliveries::new()?);
    let floor = Floor::start(world.folder.path()).await?;
    let (mut one, mut crowd, mut raw, mut least) = (Samples::default(), Samples::default(), Samples::default(), Samples::default());
    for round in 0..=effort.rounds {
        let reference = rate(effort, &mut store)?;
        let bare = passed_on(floor.port, effort).await?;
        let alone = accepted(world.port, 1, effort, &deliveries).await?;
        let many = accepted(world.port, CROWD, effort, &deliveries).await?;
        // The first round fetches the vendor's key and grows the files.
        if round > 0 {
            raw.add(reference);
            least.add(bare);
            one.add(alone);
            crowd.add(many);
        }
    }
    line("two bare hops with a commit each (raw redb commits)", "/s", &least, Some(&raw), &Bar::None);
    line("webhooks accepted, 1 client (two bare hops)", "/s", &one, Some(&least), &Bar::None);
    line("webhooks accepted, 1 client (raw redb commits)", "/s", &one, Some(&raw), &Bar::RatioAtLeast(0.3));
    line("webhooks accepted, 32 clients (raw redb commits)", "/s", &crowd, Some(&raw), &Bar::RatioAbove(1.0));
    Ok(())
}

/// Raw transactions a second.
fn rate(effort: Effort, store: &mut RawStore) -> Outcome<f64> {
    let before = Instant::now();
    let mut done = 0_u32;
    while before.elapsed() < effort.slice {
        store.transact()?;
        done += 1;
    }
    Ok(f64::from(done) / before.elapsed().as_secs_f64())
}

/// Kilobytes a second through the two bare servers, one after the other.
async fn passed_on(port: u16, effort: Effort) -> Outcome<f64> {
    let (mut client, body) = (Client::connect(port).await?, "x".repeat(1024));
    let request = format!("POST / HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: {}\r\n\r\n{body}", body.len());
    let (before, mut done) = (Instant::now(), 0_u32);
    while before.elapsed() < effort.slice {
        post(&mut client, request.clone()).await?;
        done += 1;
    }
    Ok(f64::from(done) / before.elapsed().as_secs_f64())
}

/// Accepted webhooks a second, each client with its own connection, the next sent when the last is answered.
async fn accepted(port: u16, clients: usize, effort: Effort, deliveries: &Arc<Deliveries>) -> Outcome<f64> {
    let mut tasks = tokio::task::JoinSet::new();
    let mut connections = Vec::new();
    for _ in 0..clients {
        connections.push(Client::connect(port).await?);
    }
    let before = Instant::now();
    for mut client in connections {
        let deliveries = Arc::clone(deliveries);
        tasks.spawn(async move {
            let mut done = 0_u32;
            while before.elapsed() < effort.slice {
                post(&mut client, deliveries.next()).await?;
                done += 1;
            }
            Outcome::Ok(done)
        });
    }
    let mut done = 0;
    while let Some(outcome) = tasks.join_next().await {
        done += outcome??;
    }
    Ok(f64::from(done) / before.elapsed().as_secs_f64())
}

pub async fn post(client: &mut Client, request: String) -> Outcome<()> {
    match client.send(request).await? {
        200 => Ok(()),
        status => Err(format!("a webhook was answered {status}").into()),
    }
}

/// Signed callbacks, every one another.
pub struct Deliveries {
    path: String,
    before: String,
    after: String,
    count: AtomicU64,
}

impl Deliveries {
    pub fn new() -> Outcome<Self> {
        let (clock, ids) = assay::assemble::clock_and_ids();
        let pattern = demo::deliveries(clock.now()).swap_remove(0);
        let body: serde_json::Value = serde_json::from_str(&pattern.body)?;
        let message = body["MessageId"].as_str().ok_or("the demo's callback has no id")?;
        let (before, after) = pattern.body.split_once(message).ok_or("the demo's callback has no id")?;
        let path = format!("/api/webhooks/{}/{}?{}", pattern.connector, pattern.connection, pattern.query);
        // Each set begins with a part of its own.
        let before = format!("{before}{}-", &ids.uuid().simple().to_string()[16..]);
        Ok(Self { path, before, after: after.to_owned(), count: AtomicU64::new(0) })
    }

    /// The whole request.
    pub fn next(&self) -> String {
        let count = self.count.fetch_add(1, Ordering::Relaxed);
        let body = format!("{}{:08}{}", self.before, count, self.after);
        let (length, signature) = (body.len(), connectwise::signature(body.as_bytes()));
        format!(
            "POST {} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json; charset=utf-8\r\ncontent-length: {length}\r\nx-content-signature: {signature}\r\n\r\n{body}",
            self.path
        )
    }
}
