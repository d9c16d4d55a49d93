//! Benchmarks, each beside a reference measured in the same run: `cargo bench`, or `cargo bench -- --quick` for seconds
//! instead of minutes; `cargo bench -- log` for the audit log alone, `-- model` for the gate's model.
//!
//! Prints medians, the ratio and the bar. A missed bar is news, not a failure: only what breaks ends with another code
//! than 0, unless `-- --strict` asks that a miss does too. Linux only: memory and CPU time come from /proc.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::cast_precision_loss,
    unreachable_pub,
    reason = "a bench talks to a person, in numbers that need no 52 bits, and nobody builds on it"
)]

mod accept;
mod analyze;
mod azure;
mod client;
mod cost;
mod decide;
mod floor;
mod handler;
mod log;
mod memory;
mod model;
mod reference;
mod report;
mod seal;
mod start;
#[path = "../support/mod.rs"]
mod support;
mod token;

use std::{error::Error, process::ExitCode, time::Duration};

use handler::World;

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// How long it may take.
#[derive(Clone, Copy)]
struct Effort {
    starts: usize,
    /// Of accepting, and how long one measurement of a round takes.
    rounds: usize,
    slice: Duration,
    /// Evidence records of the small and the large client, and events analyzed of each.
    small: usize,
    large: usize,
    events: usize,
    /// Entries of the log that is verified.
    log: u64,
}

const FULL: Effort =
    Effort { starts: 30, rounds: 15, slice: Duration::from_secs(2), small: 10_000, large: 100_000, events: 100, log: 1_000_000 };
const QUICK: Effort =
    Effort { starts: 7, rounds: 3, slice: Duration::from_millis(500), small: 1_000, large: 10_000, events: 25, log: 100_000 };

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let outcome = match arguments.as_slice() {
        [mode, port] if mode == reference::SERVER => reference::serve(port),
        [mode, port, second, file] if mode == floor::SERVER => floor::serve(port, second, file),
        others if others.iter().any(|a| a == "log") => only_the_log(),
        others if others.iter().any(|a| a == "model") => {
            only_the_model();
            Ok(())
        }
        others => run(if others.iter().any(|a| a == "--quick") { QUICK } else { FULL }),
    };
    match outcome {
        Ok(()) if std::env::args().any(|a| a == "--strict") && report::misses() > 0 => {
            eprintln!("bench: {} bars are missed", report::misses());
            ExitCode::FAILURE
        }
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error}");
            ExitCode::FAILURE
        }
    }
}

fn only_the_log() -> Outcome<()> {
    report::head();
    log::measure(FULL)
}

fn only_the_model() {
    report::head();
    model::measure();
}

fn run(effort: Effort) -> Outcome<()> {
    report::head();
    seal::measure(effort)?;
    token::measure(effort)?;
    if effort.log == FULL.log {
        model::measure();
    }
    start::measure(effort)?;
    log::measure(effort)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    runtime.block_on(async {
        let world = World::start().await?;
        memory::measure(&world, "idle").await?;
        accept::measure(&world, effort).await?;
        memory::measure(&world, "idle after that load").await?;
        azure::measure(effort).await
    })?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        Box::pin(decide::measure(effort)).await?;
        Box::pin(analyze::measure(effort)).await?;
        cost::measure().await
    })
}
