//! The handler as a real process: variables, readiness, the restart table, SIGKILL, orphans.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc, time::Duration};

use assay::host::local::{
    child::{self, HandlerLog, Launch},
    worker::{Life, Phase, Worker},
};

use super::{
    handler::process,
    support::{CountingIds, HandClock},
};

struct Started {
    worker: Worker,
    clock: Arc<HandClock>,
    folder: tempfile::TempDir,
}

fn start(program: (PathBuf, Vec<String>), initialization_timeout: Duration) -> Started {
    let folder = tempfile::tempdir().unwrap();
    let clock = HandClock::new();
    let launch = Launch {
        executable: program.0,
        arguments: program.1,
        working_directory: folder.path().to_path_buf(),
        app_root: folder.path().to_path_buf(),
        settings: BTreeMap::from([("ASSAY_TEST_SETTING".to_owned(), "given".to_owned())]),
        initialization_timeout,
        log: HandlerLog::File(folder.path().join("handler.log")),
        pid_file: Some(folder.path().join("handler.pid")),
    };
    let worker = child::start(launch, clock.clone(), Arc::new(CountingIds::default()));
    Started { worker, clock, folder }
}

fn shell(script: &str) -> (PathBuf, Vec<String>) {
    ("/bin/sh".into(), vec!["-c".into(), script.into()])
}

const LONG: Duration = Duration::from_secs(30);

async fn get(life: Life, path: &str) -> Option<String> {
    let client = reqwest::Client::builder().no_proxy().pool_max_idle_per_host(0).build().unwrap();
    client.get(format!("http://127.0.0.1:{}{path}", life.port)).send().await.ok()?.text().await.ok()
}

/// Asks the process to end with this code and waits until it is dead.
async fn end(started: &Started, life: Life, code: i32) {
    get(life, &format!("/end/{code}")).await;
    started.worker.death_of(life.generation).await;
}

#[tokio::test]
async fn the_process_gets_the_five_variables_the_settings_and_its_folder() {
    let started = start(process(), LONG);
    let life = started.worker.ready().await.unwrap();
    let environment = get(life, "/environment").await.unwrap();
    let root = started.folder.path().display();
    let value = |name: &str| environment.lines().find_map(|l| l.strip_prefix(name)?.strip_prefix('=')).unwrap_or_default().to_owned();
    assert_eq!(value("FUNCTIONS_CUSTOMHANDLER_PORT"), life.port.to_string());
    assert_eq!(value("FUNCTIONS_HTTPWORKER_PORT"), life.port.to_string());
    assert!(!value("FUNCTIONS_CUSTOMHANDLER_WORKER_ID").is_empty());
    assert_eq!(value("FUNCTIONS_HTTPWORKER_ID"), value("FUNCTIONS_CUSTOMHANDLER_WORKER_ID"));
    assert_eq!(value("FUNCTIONS_APP_ROOT_PATH"), root.to_string());
    assert_eq!(value("ASSAY_TEST_SETTING"), "given");
    assert_eq!(value("PWD_IS"), root.to_string());
}

#[tokio::test]
async fn code_0_after_ready_means_dead_for_good() {
    let started = start(process(), LONG);
    let life = started.worker.ready().await.unwrap();
    end(&started, life, 0).await;
    assert_eq!(started.worker.ready().await.unwrap(), life, "never another one");
    assert_eq!(started.worker.phase(), Phase::Gone(life));
    assert!(get(life, "/").await.is_none());
}

#[tokio::test]
async fn code_200_restarts_at_the_same_port_and_never_counts() {
    let started = start(process(), LONG);
    for generation in 1..=4 {
        let life = started.worker.ready().await.unwrap();
        assert_eq!(life.generation, generation);
        end(&started, life, 200).await;
    }
    let life = started.worker.ready().await.unwrap();
    assert_eq!(life.generation, 5);
}

#[tokio::test]
async fn the_third_error_within_half_an_hour_of_the_one_before_stops_the_app_and_tells_the_last_words() {
    let started = start(process(), LONG);
    for minutes in [29, 29, 0] {
        let life = started.worker.ready().await.unwrap();
        end(&started, life, 1).await;
        started.clock.advance(Duration::from_mins(minutes));
    }
    let why = started.worker.stopped().await;
    assert!(why.contains("3 times") && why.contains("exit status: 1"), "{why}");
    assert!(started.worker.ready().await.is_err());
}

#[tokio::test]
async fn errors_half_an_hour_apart_do_not_add_up() {
    let started = start(process(), LONG);
    for _ in 0..4 {
        let life = started.worker.ready().await.unwrap();
        end(&started, life, 1).await;
        // The next life begins before the clock moves only by a hair; either way the error is noted at the old time.
        started.worker.ready().await.unwrap();
        started.clock.advance(Duration::from_mins(30));
    }
    assert_eq!(started.worker.ready().await.unwrap().generation, 5);
}

#[tokio::test]
async fn three_deaths_before_ready_stop_the_app_at_once() {
    let started = start(shell("echo no configuration >&2; exit 3"), LONG);
    let why = started.worker.stopped().await;
    assert!(why.contains("exit status: 3"), "{why}");
    let missing = start(("./nowhere".into(), Vec::new()), LONG);
    assert!(missing.worker.stopped().await.contains("cannot be started"));
}

#[tokio::test]
async fn a_process_that_never_listens_is_killed_when_its_time_is_over() {
    let started = start(shell("exec sleep 100"), Duration::from_millis(60));
    assert!(started.worker.stopped().await.contains("not ready after"));
    let ended_at_once = start(shell("exit 0"), Duration::from_millis(60));
    assert!(ended_at_once.worker.stopped().await.contains("not ready after"), "code 0 before ready counts when the time is over");
}

#[tokio::test]
async fn a_kill_by_function_timeout_does_not_count_but_another_does() {
    let started = start(process(), LONG);
    for counted in [false, false, false, true, true, true] {
        let life = started.worker.ready().await.unwrap();
        started.worker.kill(counted);
        started.worker.death_of(life.generation).await;
    }
    assert!(started.worker.stopped().await.contains("killed"));
}

#[tokio::test]
async fn two_handlers_can_be_alive_at_once() {
    let started = start(process(), LONG);
    let first = started.worker.ready().await.unwrap();
    started.worker.start_second();
    let mut second = first;
    while second == first {
        tokio::task::yield_now().await;
        second = started.worker.ready().await.unwrap();
    }
    assert_ne!(first.port, second.port);
    assert!(get(first, "/environment").await.is_some() && get(second, "/environment").await.is_some());
}

#[tokio::test]
async fn what_a_killed_host_left_running_is_ended_by_the_next() {
    let started = start(process(), LONG);
    let life = started.worker.ready().await.unwrap();
    child::end_leftover(&started.folder.path().join("handler.pid"));
    started.worker.death_of(life.generation).await;
    assert!(!started.folder.path().join("handler.pid").exists() || started.worker.ready().await.is_ok());

    // A pid that now belongs to another program is left alone.
    let other = started.folder.path().join("other.pid");
    std::fs::write(&other, format!("{} nobody", std::process::id())).unwrap();
    child::end_leftover(&other);
}
