//! The real handler as a child process, alone or in a world: with the queues of local mode and the demo vendor, both
//! served by the bench as the stand-in host serves them.

use std::{
    fs::File,
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use assay::{
    assemble, host,
    host::local::{queue_api, queues::Queues},
};
use tempfile::TempDir;

use crate::Outcome;

/// A process that ends with its owner.
pub struct Process(Child);

impl Process {
    /// The handler as the host starts it; its log goes to a file, as in local mode.
    pub fn handler(data: &Path, port: u16, settings: &[(&str, String)]) -> Outcome<Self> {
        let mut command = Command::new(env!("CARGO_BIN_EXE_assay"));
        command.env("FUNCTIONS_CUSTOMHANDLER_PORT", port.to_string()).env("ASSAY_DATA", data);
        command.envs(settings.iter().map(|(name, value)| (name, value)));
        command.stdout(File::options().create(true).append(true).open(data.join("handler.log"))?);
        Self::start(&mut command)
    }

    pub fn start(command: &mut Command) -> Outcome<Self> {
        Ok(Self(command.stdin(Stdio::null()).stderr(Stdio::inherit()).spawn()?))
    }

    pub fn id(&self) -> u32 {
        self.0.id()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself; then there is nothing to do.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A folder on the disk of the build, which is a real one: /tmp may live in memory.
pub fn folder() -> Outcome<TempDir> {
    Ok(tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?)
}

/// A port that nobody has now.
pub fn free_port() -> Outcome<u16> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}

/// Asks again and again until the answer is 200; each time in a new connection, as the host does.
pub fn wait_for_200(port: u16, path: &str) -> Outcome<()> {
    let give_up = Instant::now() + Duration::from_secs(30);
    while !is_200(port, path) {
        if Instant::now() > give_up {
            return Err(format!("no 200 of GET {path} within 30 seconds").into());
        }
        std::thread::sleep(Duration::from_micros(200));
    }
    Ok(())
}

fn is_200(port: u16, path: &str) -> bool {
    let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)) else { return false };
    let asked = write!(stream, "GET {path} HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n\r\n");
    let mut start = [0; 12];
    asked.is_ok() && stream.read_exact(&mut start).is_ok() && &start == b"HTTP/1.1 200"
}

/// A ready handler with the demo's connections, and all that it reaches.
pub struct World {
    pub port: u16,
    pub handler: Process,
    pub folder: TempDir,
}

impl World {
    pub async fn start() -> Outcome<Self> {
        let folder = folder()?;
        let (clock, ids) = assemble::clock_and_ids();
        let queues = Queues::open(&folder.path().join("queues.redb"), Arc::clone(&clock), Arc::clone(&ids))?;
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await?;
        let queue_url = format!("http://{}", listener.local_addr()?);
        let token = ids.uuid().simple().to_string();
        tokio::spawn(queue_api::serve(listener, queues, token.clone()));
        let vendor = host::demo::serve_vendor(Arc::clone(&clock)).await?;
        let settings = [
            ("ASSAY_SIGN_IN", "demo".to_owned()),
            ("ASSAY_DEMO_VENDOR_URL", format!("http://{vendor}")),
            ("ASSAY_QUEUE_URL", queue_url),
            ("ASSAY_QUEUE_TOKEN", token),
        ];
        let port = free_port()?;
        let handler = Process::handler(folder.path(), port, &settings)?;
        tokio::task::spawn_blocking(move || wait_for_200(port, "/api/health")).await??;
        Ok(Self { port, handler, folder })
    }
}
