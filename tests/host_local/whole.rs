//! The whole stand-in with a real handler process: front, queues over loopback, lock, ports, a clean end.

use std::{fs, path::Path, sync::Arc, time::Duration};

use assay::host::local::{Host, LocalError, Options, child::HandlerLog, faults::Faults, queues::Depth};
use bytes::Bytes;
use serde_json::json;

use super::{
    handler::process,
    support::{CountingIds, HandClock},
};

fn app_folder(folder: &Path) {
    let (program, arguments) = process();
    let host = json!({
        "version": "2.0",
        "customHandler": { "description": { "defaultExecutablePath": program, "arguments": arguments }, "enableProxyingHttpRequest": true },
        "extensions": { "queues": { "visibilityTimeout": "00:00:30" } },
    });
    fs::write(folder.join("host.json"), host.to_string()).unwrap();
    let functions = [
        (
            "page",
            json!({ "bindings": [
                { "type": "httpTrigger", "direction": "in", "name": "req", "authLevel": "anonymous", "methods": ["get"], "route": "page" },
                { "type": "http", "direction": "out", "name": "res" },
            ]}),
        ),
        (
            "work",
            json!({ "bindings": [{ "type": "queueTrigger", "direction": "in", "name": "item", "queueName": "work", "dataType": "binary" }] }),
        ),
    ];
    for (name, json) in functions {
        fs::create_dir_all(folder.join(name)).unwrap();
        fs::write(folder.join(name).join("function.json"), json.to_string()).unwrap();
    }
}

fn options(folder: &Path, port: u16) -> Options {
    Options {
        data: folder.join("data"),
        port,
        app_folder: folder.to_path_buf(),
        settings: std::collections::BTreeMap::new(),
        handler_log: HandlerLog::Discard,
        clock: HandClock::new(),
        ids: Arc::new(CountingIds::default()),
        faults: Faults::default(),
        lock: None,
    }
}

#[tokio::test]
async fn a_page_is_served_a_message_is_worked_off_and_the_end_is_clean() {
    let folder = tempfile::tempdir().unwrap();
    app_folder(folder.path());
    let host = Host::start(options(folder.path(), 0)).await.unwrap();
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let page = client.get(format!("{}/api/page", host.address)).send().await.unwrap();
    assert_eq!((page.status().as_u16(), page.text().await.unwrap().as_str()), (200, "a page"));

    let sent =
        client.post(format!("{}/queues/work/messages", host.queue_url)).bearer_auth(&host.queue_token).body("m").send().await.unwrap();
    assert_eq!(sent.status(), 201);
    let worked_off = async {
        while host.queues.depth("work").unwrap() != Depth::default() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), worked_off).await.unwrap();

    let Err(second) = Host::start(options(folder.path(), 0)).await else { panic!("the folder is in use") };
    assert!(matches!(second, LocalError::InUse(_)) && second.to_string().contains("in use"), "{second}");
    let port: u16 = host.address.rsplit(':').next().unwrap().parse().unwrap();
    let other = tempfile::tempdir().unwrap();
    app_folder(other.path());
    let Err(taken) = Host::start(options(other.path(), port)).await else { panic!("the port is taken") };
    assert!(taken.to_string().contains(&port.to_string()) && taken.to_string().contains("--port"), "{taken}");

    host.queues.send("later", Bytes::from_static(b"x"), Duration::ZERO).await.unwrap();
    host.stop().await;
    assert!(!folder.path().join("data/handler.pid").exists());
    let again = Host::start(options(folder.path(), 0)).await.unwrap();
    assert_eq!(again.queues.depth("later").unwrap().due, 1);
    again.stop().await;
}

#[tokio::test]
async fn an_app_folder_with_mistakes_is_told_before_anything_starts() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("host.json"), "{}").unwrap();
    let Err(error) = Host::start(options(folder.path(), 0)).await else { panic!("mistakes") };
    assert!(error.to_string().contains("version must be") && error.to_string().contains("no function.json"), "{error}");
}
