//! What accepting costs at least here: a bare warp server that commits 1 KB with raw redb and passes it on to a second
//! one in another process, which commits it too. Nothing is verified, sealed, checked or logged, and nobody else waits.

use std::{
    path::Path,
    process::Command,
    sync::{Arc, Mutex, PoisonError},
};

use bytes::Bytes;
use warp::{Filter, http::StatusCode};

use crate::{
    Outcome,
    handler::{Process, free_port, wait_for_200},
    reference::RawStore,
};

/// The hidden mode of this program in which it is the first of the two.
pub const SERVER: &str = "--floor-server";

/// The two servers; the second one lives in this process.
pub struct Floor {
    pub port: u16,
    _first: Process,
}

impl Floor {
    pub async fn start(folder: &Path) -> Outcome<Self> {
        let (port, second) = (free_port()?, free_port()?);
        let store = Arc::new(Mutex::new(RawStore::create(&folder.join("floor-second.redb"))?));
        let commit = warp::body::bytes().map(move |_: Bytes| status(&store));
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", second)).await?;
        tokio::spawn(warp::serve(commit).incoming(listener).run());
        let file = folder.join("floor-first.redb");
        let first =
            Process::start(Command::new(std::env::current_exe()?).args([SERVER, &port.to_string(), &second.to_string()]).arg(file))?;
        tokio::task::spawn_blocking(move || wait_for_200(port, "/")).await??;
        Ok(Self { port, _first: first })
    }
}

/// Serves until the process is killed.
pub fn serve(port: &str, second: &str, file: &str) -> Outcome<()> {
    let (port, url): (u16, _) = (port.parse()?, format!("http://127.0.0.1:{second}/"));
    let store = Arc::new(Mutex::new(RawStore::create(Path::new(file))?));
    let client = reqwest::Client::builder().no_proxy().build()?;
    let pass_on = warp::body::bytes().then(move |body: Bytes| {
        let (kept, call) = (status(&store), client.post(&url).body(body));
        async move { if call.send().await.is_ok_and(|answer| answer.status().is_success()) { kept } else { StatusCode::BAD_GATEWAY } }
    });
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await?;
        warp::serve(warp::get().map(|| StatusCode::OK).or(warp::post().and(pass_on))).incoming(listener).run().await;
        Err("the server stopped".into())
    })
}

fn status(store: &Mutex<RawStore>) -> StatusCode {
    match store.lock().unwrap_or_else(PoisonError::into_inner).transact() {
        Ok(()) => StatusCode::OK,
        Err(_) => StatusCode::SERVICE_UNAVAILABLE,
    }
}
