//! What the handler keeps of the machine's memory while it has nothing to do.

use crate::{
    Outcome, accept,
    client::Client,
    handler::{World, free_port, wait_for_200},
    reference,
    report::{Bar, Samples, line},
};

pub async fn measure(world: &World, when: &str) -> Outcome<()> {
    let mut client = Client::connect(world.port).await?;
    for path in ["/", "/api/health", "/api/portal/clients", "/api/portal/sign-in"] {
        client.get(path).await?;
    }
    // Webhooks too: the first fetches a key, so that the outgoing client is there.
    let deliveries = accept::Deliveries::new()?;
    for _ in 0..3 {
        accept::post(&mut client, deliveries.next()).await?;
    }
    let port = free_port()?;
    let server = reference::start_server(port)?;
    tokio::task::spawn_blocking(move || wait_for_200(port, "/")).await??;
    let (mut ours, mut bare) = (Samples::default(), Samples::default());
    ours.add(megabytes(world.handler.id())?);
    bare.add(megabytes(server.id())?);
    line(&format!("memory of the handler, {when} (bare warp)"), "MB", &ours, Some(&bare), &Bar::AtMost(30.0));
    Ok(())
}

/// `VmRSS` of a process.
pub fn megabytes(process: u32) -> Outcome<f64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no VmRSS in /proc")?;
    let kilobytes: f64 = line.trim().trim_end_matches(" kB").parse()?;
    Ok(kilobytes * 1024.0 / 1_000_000.0)
}
