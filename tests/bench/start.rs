//! From spawn to the first 200: the host counts three slow or dead starts and gives the app up.
//!
//! The data folder holds a store already and the handler before was killed, as on every start but the first.

use std::time::Instant;

use crate::{
    Effort, Outcome,
    handler::{Process, folder, free_port, wait_for_200},
    reference,
    report::{Bar, Samples, line},
};

pub fn measure(effort: Effort) -> Outcome<()> {
    let folder = folder()?;
    let (mut root, mut health, mut bare) = (Samples::default(), Samples::default(), Samples::default());
    for round in 0..=effort.starts {
        let port = free_port()?;
        let before = Instant::now();
        let handler = Process::handler(folder.path(), port, &[])?;
        wait_for_200(port, "/")?;
        let first = millis(before);
        wait_for_200(port, "/api/health")?;
        let ready = millis(before);
        drop(handler);

        let port = free_port()?;
        let before = Instant::now();
        let _server = reference::start_server(port)?;
        wait_for_200(port, "/")?;
        let reference = millis(before);
        // The first round makes the store and fills the machine's caches.
        if round > 0 {
            root.add(first);
            health.add(ready);
            bare.add(reference);
        }
    }
    line("start to first 200 of GET / (bare warp)", "ms", &root, Some(&bare), &Bar::RatioAtMost(3.0));
    line("start to first 200 of GET /api/health (bare warp)", "ms", &health, Some(&bare), &Bar::RatioAtMost(3.0));
    Ok(())
}

fn millis(since: Instant) -> f64 {
    since.elapsed().as_secs_f64() * 1000.0
}
