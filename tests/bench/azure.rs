//! The handler with Azure settings: how soon it answers, and what it keeps of the machine's memory once it has talked to
//! Cosmos DB (the SDK's emulator over loopback; the addresses of Storage and Key Vault answer nobody).

use std::time::Instant;

use crate::{
    Effort, Outcome,
    client::Client,
    handler::{Process, folder, free_port, wait_for_200},
    memory::megabytes,
    reference,
    report::{Bar, Samples, line},
    support::{azure, cosmos::Emulator, served},
};

pub async fn measure(effort: Effort) -> Outcome<()> {
    let cosmos = served::serve(|url| Emulator::at(url).client()).await;
    let (identity, _) = served::serve_identity(azure::tokens()).await;
    let nobody = format!("https://127.0.0.1:{}", free_port()?);
    let [queues, blobs, key] = ["queues", "blobs", "keys/deployment"].map(|path| format!("{nobody}/{path}"));
    let settings = served::settings(&cosmos, &identity, &queues, &blobs, &key);
    let folder = folder()?;
    let (mut root, mut health, mut bare, mut memory) = (Samples::default(), Samples::default(), Samples::default(), Samples::default());
    for round in 0..=effort.starts.min(10) {
        let port = free_port()?;
        let before = Instant::now();
        let handler = Process::handler(folder.path(), port, &settings)?;
        let waited = tokio::task::spawn_blocking(move || -> Outcome<(f64, f64)> {
            wait_for_200(port, "/")?;
            let first = millis(before);
            wait_for_200(port, "/api/health")?;
            Ok((first, millis(before)))
        });
        let (first, ready) = waited.await??;
        // The look at everything has begun by now; these wait for the containers that it opens.
        let mut client = Client::connect(port).await?;
        for _ in 0..3 {
            client.get("/api/portal/sign-in").await?;
            client.get("/api/portal/clients").await?;
        }
        if round > 0 {
            memory.add(megabytes(handler.id())?);
            root.add(first);
            health.add(ready);
        }
        drop(handler);

        let port = free_port()?;
        let before = Instant::now();
        let _server = reference::start_server(port)?;
        let waited = tokio::task::spawn_blocking(move || wait_for_200(port, "/").map(|()| millis(before)));
        let reference = waited.await??;
        if round > 0 {
            bare.add(reference);
        }
    }
    line("Azure: start to first 200 of GET / (bare warp)", "ms", &root, Some(&bare), &Bar::RatioAtMost(3.0));
    line("Azure: start to first 200 of GET /api/health", "ms", &health, Some(&bare), &Bar::RatioAtMost(3.0));
    line("Azure: memory of the handler", "MB", &memory, None, &Bar::AtMost(40.0));
    Ok(())
}

fn millis(since: Instant) -> f64 {
    since.elapsed().as_secs_f64() * 1000.0
}
