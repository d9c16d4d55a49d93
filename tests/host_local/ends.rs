//! `assay local` as a program: however it is ended, no handler stays behind that nobody can find.

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
    path::Path,
    process::{Child, Command, Stdio},
};

use crate::support::process;

const PROGRAM: &str = env!("CARGO_BIN_EXE_assay");

/// Killed when the test ends, however it ends; its handler is then ended by the note.
struct Local {
    process: Child,
    address: String,
    handler: String,
}

impl Local {
    fn start(data: &Path, more: &[&str]) -> Self {
        Self::by(Command::new(PROGRAM), data, more)
    }

    /// Returns when the handler answers.
    fn by(mut command: Command, data: &Path, more: &[&str]) -> Self {
        command.env_clear().args(["local", "--port", "0", "--data"]).arg(data).args(more);
        let mut process = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut said = BufReader::new(process.stdout.take().unwrap()).lines().map(Result::unwrap);
        let running = said.find(|line| line.contains("http://")).unwrap();
        let address = running.split("http://").nth(1).unwrap().split(';').next().unwrap().to_owned();
        let mut local = Self { process, address, handler: String::new() };
        assert!(local.answers());
        let noted = fs::read_to_string(data.join("handler.pid")).unwrap();
        noted.split(' ').next().unwrap().clone_into(&mut local.handler);
        local
    }

    fn answers(&self) -> bool {
        let mut answer = String::new();
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream.write_all(b"GET /api/health HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n").unwrap();
        stream.read_to_string(&mut answer).unwrap();
        answer.starts_with("HTTP/1.1 ")
    }

    fn signal(&self, signal: &str) {
        assert!(process::signal(&self.process.id().to_string(), signal));
    }

    fn end(&mut self, signal: &str) -> Option<i32> {
        self.signal(signal);
        self.process.wait().unwrap().code()
    }

    fn handler_runs(&self) -> bool {
        process::runs(&self.handler)
    }
}

impl Drop for Local {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        if self.handler_runs() {
            process::signal(&self.handler, "-KILL");
        }
    }
}

#[test]
fn a_closed_terminal_ends_the_handler_too() {
    let folder = tempfile::tempdir().unwrap();
    for signal in ["-HUP", "-TERM", "-INT"] {
        if signal == "-HUP" && ignores_hangup("self") == Some(true) {
            println!("skipped: these tests were started with SIGHUP ignored, which every child inherits");
            continue;
        }
        let mut local = Local::start(folder.path(), &[]);
        assert!(local.handler_runs());
        assert_eq!((local.end(signal), local.handler_runs()), (Some(0), false), "{signal}");
        assert!(!folder.path().join("handler.pid").exists());
    }
}

/// Whether a process ignores SIGHUP; `None` where there is no `/proc`, which alone tells.
fn ignores_hangup(process: &str) -> Option<bool> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"))?;
    Some(u64::from_str_radix(ignored.trim(), 16).ok()? & 1 == 1)
}

#[test]
fn what_nohup_started_outlives_its_terminal() {
    if ignores_hangup("self").is_none() {
        println!("skipped: only /proc tells which signals a process ignores");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let mut nohup = Command::new("sh");
    nohup.args(["-c", "trap '' HUP; exec \"$@\"", "sh", PROGRAM]);
    let mut local = Local::by(nohup, folder.path(), &[]);
    // Still ignored: the system itself drops the signal.
    assert_eq!(ignores_hangup(&local.process.id().to_string()), Some(true));
    local.signal("-HUP");
    assert!(local.answers() && local.handler_runs());
    assert_eq!((local.end("-TERM"), local.handler_runs()), (Some(0), false));
}

#[test]
fn what_a_killed_host_left_running_is_ended_before_its_folder_is_thrown_away() {
    let folder = tempfile::tempdir().unwrap();
    let mut killed = Local::start(folder.path(), &[]);
    killed.end("-KILL");
    assert!(killed.handler_runs());
    let fresh = Local::start(folder.path(), &["--fresh"]);
    assert!(!killed.handler_runs() && fresh.handler_runs());
}

#[test]
fn a_folder_with_other_things_in_it_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("precious.txt"), "mine").unwrap();
    for more in [&[][..], &["--fresh"]] {
        let refused =
            Command::new(PROGRAM).env_clear().args(["local", "--port", "0", "--data"]).arg(folder.path()).args(more).output().unwrap();
        assert_eq!(refused.status.code(), Some(1));
        assert!(String::from_utf8(refused.stderr).unwrap().contains("not one of Assay's"));
        let left: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(left, ["precious.txt"]);
    }

    // A secret is put there before the first start.
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir_all(folder.path().join("vault/secrets")).unwrap();
    fs::write(folder.path().join("vault/secrets/assay-sign-in"), "secret").unwrap();
    let started = Local::start(folder.path(), &["--fresh"]);
    assert!(started.handler_runs() && folder.path().join("vault/secrets/assay-sign-in").exists());
}

#[test]
fn a_start_that_cannot_work_says_which_settings_to_mend() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new(PROGRAM);
    command.env_clear().env("ASSAY_SIGN_IN", "entra").env("ASSAY_ENTRA_TENANTS", "northgate").env("ASSAY_MAIL", "pigeon");
    let mut process = command.args(["local", "--port", "0", "--data"]).arg(folder.path()).stdout(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(process.stdout.take().unwrap()).lines().map(Result::unwrap);
    let said: Vec<String> = lines.take_while(|line| !line.starts_with("Ctrl-C")).collect();
    assert!(process::signal(&process.id().to_string(), "-TERM"));
    process.wait().unwrap();
    for setting in ["ASSAY_MAIL", "ASSAY_ENTRA_TENANTS", "ASSAY_ENTRA_CLIENT_ID"] {
        assert!(said.iter().any(|line| line.contains(setting)), "{setting}: {said:?}");
    }
    assert!(said.iter().all(|line| !line.starts_with("Dashboard")), "{said:?}");
}
