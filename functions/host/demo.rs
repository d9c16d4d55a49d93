//! The demo around the stand-in host: serves the make-believe vendor on loopback, posts its events through the real
//! webhook route, and finds the first approval link in the file mailbox.
//!
//! It has no way in that a real vendor does not have. Not in packaged binaries (feature `demo`).

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use bytes::Bytes;
use warp::Filter as _;

use super::local::Options;
use crate::{connectors::demo, gate::link::token::Claims, platform::ports::Clock, web::pages::paths};

#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    #[error("the demo vendor cannot listen on 127.0.0.1")]
    Listen(#[source] std::io::Error),
    #[error("the handler did not get ready: {0}")]
    NotReady(String),
    #[error("the demo's event could not be posted")]
    Post(#[source] reqwest::Error),
    #[error("the demo's event was answered {status} instead of 200")]
    Refused { status: u16 },
}

/// Serves every vendor host under `/{host}/...` on a free loopback port until the process ends.
pub async fn serve_vendor(clock: Arc<dyn Clock>) -> Result<SocketAddr, DemoError> {
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.map_err(DemoError::Listen)?;
    let address = listener.local_addr().map_err(DemoError::Listen)?;
    let query = warp::query::raw().or(warp::any().map(String::new)).unify();
    let routes =
        warp::path::full().and(query).and(warp::body::bytes()).map(move |path: warp::path::FullPath, query: String, body: Bytes| {
            let (host, path) = path.as_str().trim_start_matches('/').split_once('/').unwrap_or_default();
            let answer = demo::answer(host, &format!("/{path}"), &query, &body, clock.now());
            warp::http::Response::builder().status(answer.status).header("content-type", answer.content_type).body(answer.body)
        });
    tokio::spawn(warp::serve(routes).incoming(listener).run());
    Ok(address)
}

/// Starts the make-believe vendor and points the settings at it.
pub async fn prepare(mut options: Options, clock: Arc<dyn Clock>) -> Result<Options, DemoError> {
    let vendor = serve_vendor(clock).await?;
    options.settings.insert("ASSAY_SIGN_IN".into(), "demo".into());
    options.settings.insert("ASSAY_DEMO_VENDOR_URL".into(), format!("http://{vendor}"));
    Ok(options)
}

/// Waits for the handler, then lets the make-believe tools report.
pub async fn bring_to_life(base: &str, clock: &dyn Clock, say: &(impl Fn(&str) + Sync)) -> Result<(), DemoError> {
    say(
        "Demo: a make-believe MSP, Northgate IT, with two clients. Anyone on this computer can act as anyone; never use it with real data.",
    );
    wait_until_ready(base).await?;
    let events = post_events(base, clock).await?;
    say(&format!("{events} events of ConnectWise and Autotask came in through the webhook route; two inventories are being read ..."));
    Ok(())
}

/// Whether a demo has run in this folder before and asked somebody.
pub fn has_asked(data: &Path) -> bool {
    let mut mails = Vec::new();
    collect(&data.join("mailbox"), &mut mails);
    !mails.is_empty()
}

/// The line that leads to the first approval.
pub async fn first_approval(base: &str, data: &Path) -> String {
    match first_link(&data.join("mailbox"), base).await {
        Some(link) => format!("First approval: {link}"),
        None => format!("No approval was mailed so far; what waits shows on {base}/api/portal/inbox, and handler.log says what is slow."),
    }
}

/// Waits until health says that all is well: the demo's clients are seeded by then.
async fn wait_until_ready(base: &str) -> Result<(), DemoError> {
    let client = reqwest::Client::new();
    let mut last = String::new();
    for _ in 0..ATTEMPTS {
        match client.get(format!("{base}/api/health")).timeout(Duration::from_secs(30)).send().await {
            Ok(reply) if reply.status().is_success() => return Ok(()),
            Ok(reply) => last = reply.text().await.unwrap_or_default(),
            Err(error) => last = error.to_string(),
        }
        pause().await;
    }
    Err(DemoError::NotReady(last))
}

/// Posts what happened lately through the webhook route at `base`; returns how many events were taken.
async fn post_events(base: &str, clock: &dyn Clock) -> Result<usize, DemoError> {
    let client = reqwest::Client::new();
    let deliveries = demo::deliveries(clock.now());
    for delivery in &deliveries {
        let url = format!("{base}/api/webhooks/{}/{}?{}", delivery.connector, delivery.connection, delivery.query);
        let mut request = client.post(url).timeout(Duration::from_secs(30)).body(delivery.body.clone());
        for (name, value) in &delivery.headers {
            request = request.header(*name, value);
        }
        let status = request.send().await.map_err(DemoError::Post)?.status().as_u16();
        if status != 200 {
            return Err(DemoError::Refused { status });
        }
    }
    Ok(deliveries.len())
}

/// Where the link of the oldest mail in the mailbox folder leads; waits a while for the first.
async fn first_link(mailbox: &Path, base: &str) -> Option<String> {
    for _ in 0..ATTEMPTS {
        let mut mails = Vec::new();
        collect(mailbox, &mut mails);
        mails.sort();
        if let Some(link) = mails.iter().find_map(|(_, mail)| path_in(mail)) {
            return Some(format!("{base}{link}"));
        }
        pause().await;
    }
    None
}

/// Half a minute in all.
const ATTEMPTS: usize = 150;

#[expect(clippy::disallowed_methods, reason = "the demo waits for another process, as a person would")]
async fn pause() {
    tokio::time::sleep(Duration::from_millis(200)).await;
}

/// Without its host and port: an earlier run may have had another port.
fn path_in(mail: &Path) -> Option<String> {
    // Quoted-printable: soft line breaks are not part of the text.
    let text = std::fs::read_to_string(mail).ok()?.replace("=\r\n", "").replace("=\n", "").replace("=3D", "=");
    let (_, token) = text.split_once("/api/portal/link?token=")?;
    let claims = URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?).ok()?;
    let Claims { tid, sub, .. } = serde_json::from_slice(&claims).ok()?;
    Some(paths::proposal(tid.parse().ok()?, sub.parse().ok()?))
}

fn collect(folder: &Path, mails: &mut Vec<(std::time::SystemTime, PathBuf)>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            collect(&path, mails);
        } else if let Ok(written) = entry.metadata().and_then(|m| m.modified()) {
            mails.push((written, path));
        }
    }
}
