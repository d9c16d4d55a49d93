//! The program itself: how it ends, and what it says then.

use std::{
    fs,
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    process::{Child, Command, Output, Stdio},
};

fn assay(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_assay"));
    command.env_clear().args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn words(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Ends its child when the test ends, however it ends.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn serving_never_ends_with_zero() {
    let taken = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    for (port, said) in [(None, "assay local"), (Some("http"), "assay local"), (Some(port.as_str()), "another process may have it")] {
        let mut command = assay(&["serve"]);
        command.envs(port.map(|p| ("FUNCTIONS_CUSTOMHANDLER_PORT", p)));
        let output = command.output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{port:?}");
        assert!(words(&output).contains(said), "{}", words(&output));
        assert_eq!(words(&output).lines().count(), 1);
    }
}

#[test]
fn with_bad_settings_it_stays_up_and_names_them_on_health() {
    let (_running, health) = health_of(&[("ASSAY_STORE", "a secret"), ("ASSAY_MAX_CONCURRENT", "many")]);
    assert!(health.starts_with("HTTP/1.1 503") && health.contains("ASSAY_STORE") && health.contains("ASSAY_MAX_CONCURRENT"), "{health}");
    assert!(!health.contains("a secret"));
}

#[test]
fn it_opens_its_store_after_it_listens_and_a_second_one_says_that_the_folder_is_in_use() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data-of-somebody");
    let settings = [("ASSAY_DATA", data.to_str().unwrap())];
    let (_first, health) = health_of(&settings);
    assert!(health.starts_with("HTTP/1.1 200") && health.contains("\"ok\""), "{health}");
    let (_second, health) = health_of(&settings);
    assert!(health.starts_with("HTTP/1.1 503") && health.contains("ASSAY_DATA") && health.contains("in use"), "{health}");
    assert!(!health.contains("data-of-somebody"));
}

/// What health says once the start is over.
fn health_of(settings: &[(&str, &str)]) -> (Running, String) {
    // Freed again at once: the host picks a port in this way too.
    let port = TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port();
    let mut command = assay(&[]);
    command.env("FUNCTIONS_CUSTOMHANDLER_PORT", port.to_string()).envs(settings.iter().copied());
    let running = Running(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
    loop {
        // Refused until it listens.
        let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)) else { continue };
        stream.write_all(b"GET /api/health HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n").unwrap();
        let mut response = String::new();
        stream.read_to_string(&mut response).unwrap();
        if !response.contains("starting") {
            return (running, response);
        }
    }
}

#[test]
fn package_works_from_the_program_alone_and_refuses_a_foreign_folder_in_one_line() {
    let folder = tempfile::tempdir().unwrap();
    let stage = folder.path().join("stage");
    let output = assay(&["package", "--stage", stage.to_str().unwrap()]).output().unwrap();
    assert_eq!((output.status.code(), stage.exists()), (Some(1), false), "a program with the demo's sign-in is not for an installation");
    assert!(words(&output).contains("infra/package"), "{}", words(&output));
    let output = assay(&["package", "--demo", "--stage", stage.to_str().unwrap()]).output().unwrap();
    assert!(output.status.success(), "{}", words(&output));
    assert!(stage.join("health/function.json").is_file());
    assert!(Command::new(stage.join("assay")).arg("--version").output().unwrap().status.success());
    fs::write(folder.path().join("mine.txt"), "").unwrap();
    let output = assay(&["package", "--demo", "--stage", folder.path().to_str().unwrap()]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(words(&output).contains("not an app folder of Assay"));
}

#[test]
fn the_doctor_names_every_wrong_setting_at_once_and_then_everything_they_point_to() {
    let output = assay(&["doctor"]).env("ASSAY_STORE", "azure").env("ASSAY_COSMOS_URL", "https://x.documents.azure.us").output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stdout);
    for setting in ["ASSAY_IDENTITY", "ASSAY_COSMOS_URL", "ASSAY_QUEUE_URL", "ASSAY_BLOB_URL", "ASSAY_DEPLOYMENT_KEY"] {
        assert!(said.lines().any(|line| line.starts_with("BAD") && line.contains(setting)), "{setting}: {said}");
    }

    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let doctor = || assay(&["doctor"]).env("ASSAY_DATA", &data).output().unwrap();
    assert!(doctor().status.success(), "nothing is there yet, and nothing is made");
    assert!(!data.exists());
    drop(health_of(&[("ASSAY_DATA", data.to_str().unwrap())]));
    let said = doctor();
    let text = String::from_utf8_lossy(&said.stdout).into_owned();
    assert!(said.status.success(), "{text} {}", words(&said));
    assert!(text.contains("good  container clients") && text.contains("good  the installation's own key"), "{text}");
}
