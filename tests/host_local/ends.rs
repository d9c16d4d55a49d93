//! `assay local` as a program: however it is ended, no handler stays behind that nobody can find.

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
    path::Path,
    process::{Child, Command, Stdio},
};

/// Killed when the test ends, however it ends; its handler is then ended by the note.
struct Local {
    process: Child,
    handler: String,
}

impl Local {
    /// Returns when the handler answers.
    fn start(data: &Path, more: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_assay"));
        command.env_clear().args(["local", "--port", "0", "--data"]).arg(data).args(more);
        let mut process = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut said = BufReader::new(process.stdout.take().unwrap()).lines().map(Result::unwrap);
        let running = said.find(|line| line.contains("http://")).unwrap();
        let address = running.split("http://").nth(1).unwrap().split(';').next().unwrap();
        let mut stream = TcpStream::connect(address).unwrap();
        stream.write_all(b"GET /api/health HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n").unwrap();
        stream.read_to_string(&mut String::new()).unwrap();
        let noted = fs::read_to_string(data.join("handler.pid")).unwrap();
        Self { process, handler: noted.split(' ').next().unwrap().to_owned() }
    }

    fn end(&mut self, signal: &str) -> Option<i32> {
        assert!(Command::new("kill").args([signal, &self.process.id().to_string()]).status().unwrap().success());
        self.process.wait().unwrap().code()
    }

    /// A process that has ended may still be listed until somebody asks how.
    fn handler_runs(&self) -> bool {
        let state = Command::new("ps").args(["-o", "stat=", "-p", &self.handler]).output().unwrap();
        let state = String::from_utf8(state.stdout).unwrap();
        !state.trim().is_empty() && !state.trim().starts_with('Z')
    }
}

impl Drop for Local {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        if self.handler_runs() {
            let _ = Command::new("kill").args(["-KILL", &self.handler]).status();
        }
    }
}

#[test]
fn a_closed_terminal_ends_the_handler_too() {
    let folder = tempfile::tempdir().unwrap();
    for signal in ["-HUP", "-TERM", "-INT"] {
        let mut local = Local::start(folder.path(), &[]);
        assert!(local.handler_runs());
        assert_eq!((local.end(signal), local.handler_runs()), (Some(0), false), "{signal}");
        assert!(!folder.path().join("handler.pid").exists());
    }
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
