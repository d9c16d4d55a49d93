//! The handler as a child process: spawned, polled, restarted and killed by the real host's rules.
//!
//! azure-functions-host, `HttpWorkerProcess.cs`, `WorkerProcess.cs` and `HttpFunctionInvocationDispatcher.cs`; where a
//! running host was measured to differ, that holds. There is no SIGTERM and no drain call: a stop is SIGKILL. It must
//! never leave a process behind that nobody can find: the pid file lets the next start end what a killed parent left.

use std::{
    fs,
    io::Write as _,
    net::TcpListener,
    path::{Path, PathBuf},
    process::Stdio,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use time::OffsetDateTime;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::TcpStream,
    process::{Child, Command},
    sync::{mpsc, watch},
};

use super::{
    appfolder::{AppFolder, Settings},
    worker::{Life, Order, Phase, State, Worker},
};
use crate::platform::ports::{Clock, Ids};

/// Between two readiness polls.
const POLL: Duration = Duration::from_millis(25);
/// Errors further apart than this do not add up.
const ERROR_WINDOW: time::Duration = time::Duration::minutes(30);
/// The error that stops the app instance.
const MAX_ERRORS: usize = 3;

/// How the process is started.
#[derive(Clone, Debug)]
pub struct Launch {
    pub executable: PathBuf,
    pub arguments: Vec<String>,
    pub working_directory: PathBuf,
    pub app_root: PathBuf,
    /// On top of the inherited environment.
    pub settings: Settings,
    pub initialization_timeout: Duration,
    pub log: HandlerLog,
    /// Where the running process is noted.
    pub pid_file: Option<PathBuf>,
}

/// Where the handler's log lines go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HandlerLog {
    /// To the terminal of the stand-in.
    Inherit,
    /// Appended to a file.
    File(PathBuf),
    Discard,
}

impl Launch {
    /// A relative executable is taken from the app folder if it is there, otherwise looked for on PATH.
    pub fn of(app: &AppFolder, settings: Settings, log: HandlerLog, pid_file: Option<PathBuf>) -> Self {
        let inside = app.root.join(&app.host.executable);
        Self {
            executable: if inside.is_file() { inside } else { PathBuf::from(&app.host.executable) },
            arguments: app.host.arguments.clone(),
            working_directory: app.root.join(&app.host.working_directory),
            app_root: app.root.clone(),
            settings,
            initialization_timeout: app.host.initialization_timeout,
            log,
            pid_file,
        }
    }

    fn spawn(&self, port: u16, worker_id: &str) -> std::io::Result<Child> {
        let stdout = match &self.log {
            HandlerLog::Inherit => Stdio::inherit(),
            HandlerLog::Discard => Stdio::null(),
            HandlerLog::File(path) => fs::File::options().create(true).append(true).open(path)?.into(),
        };
        Command::new(&self.executable)
            .args(&self.arguments)
            .current_dir(&self.working_directory)
            .envs(&self.settings)
            .env("FUNCTIONS_CUSTOMHANDLER_PORT", port.to_string())
            .env("FUNCTIONS_CUSTOMHANDLER_WORKER_ID", worker_id)
            .env("FUNCTIONS_HTTPWORKER_PORT", port.to_string())
            .env("FUNCTIONS_HTTPWORKER_ID", worker_id)
            .env("FUNCTIONS_APP_ROOT_PATH", &self.app_root)
            // A group of its own: Ctrl-C in the terminal reaches the stand-in, which then kills by SIGKILL.
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(stdout)
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
    }
}

/// Starts the process and keeps it by the rules until the last [`Worker`] is gone.
pub fn start(launch: Launch, clock: Arc<dyn Clock>, ids: Arc<dyn Ids>) -> Worker {
    let (sender, state) = watch::channel(State { phase: Phase::Starting, oldest_alive: 1 });
    let (orders, received) = mpsc::unbounded_channel();
    let supervisor =
        Supervisor { launch, clock, ids, state: sender, orders: received, errors: Vec::new(), generation: 0, port: 0, orphans: Vec::new() };
    tokio::spawn(supervisor.run());
    Worker::new(state, orders)
}

struct Supervisor {
    launch: Launch,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn Ids>,
    state: watch::Sender<State>,
    orders: mpsc::UnboundedReceiver<Order>,
    /// Times of the errors that count together.
    errors: Vec<OffsetDateTime>,
    generation: u64,
    /// Chosen once; a second handler beside the first gets another.
    port: u16,
    orphans: Vec<Child>,
}

/// How one process's life ended, or that another starts beside it.
enum End {
    Restart,
    /// Counted as an error, with what is known of it.
    Error(String),
    /// Code 0 after it was ready.
    Gone,
    Beside,
    Stop(String),
}

impl Supervisor {
    async fn run(mut self) {
        loop {
            self.generation += 1;
            let end = self.life().await;
            if !matches!(end, End::Beside) {
                self.state.send_modify(|state| state.oldest_alive = self.generation + 1);
            }
            match end {
                End::Restart | End::Beside => {}
                End::Error(what) => {
                    tracing::error!(error = what, "the handler process failed");
                    if self.is_one_too_many() {
                        return self.stop(format!("the handler failed {MAX_ERRORS} times: {what}"));
                    }
                }
                End::Gone => {
                    tracing::error!("the handler process ended with code 0; it is not started again");
                    let life = Life { port: self.port, generation: self.generation };
                    self.state.send_modify(|state| state.phase = Phase::Gone(life));
                    while let Some(order) = self.orders.recv().await {
                        if let Order::Stop(why) = order {
                            return self.stop(why);
                        }
                    }
                    return;
                }
                End::Stop(why) => return self.stop(why),
            }
        }
    }

    async fn life(&mut self) -> End {
        self.state.send_modify(|state| state.phase = Phase::Starting);
        if self.port == 0 {
            match free_port() {
                Ok(port) => self.port = port,
                Err(error) => return End::Stop(format!("no free port for the handler: {error}")),
            }
        }
        let worker_id = self.ids.uuid().to_string();
        let mut child = match self.launch.spawn(self.port, &worker_id) {
            Ok(child) => child,
            Err(error) => return End::Error(format!("{} cannot be started: {error}", self.launch.executable.display())),
        };
        self.note_pid(&child, &worker_id);
        let last_words = listen(&mut child, &self.launch.log);
        if let Some(end) = self.until_ready(&mut child, &last_words).await {
            // Another program may have taken the port before the handler could.
            self.port = 0;
            return end;
        }
        let life = Life { port: self.port, generation: self.generation };
        self.state.send_modify(|state| state.phase = Phase::Ready(life));
        self.until_end(child, &last_words).await
    }

    /// `None` when it is ready.
    async fn until_ready(&mut self, child: &mut Child, last_words: &LastWords) -> Option<End> {
        let port = self.port;
        let limit = self.launch.initialization_timeout;
        let polling = async {
            let mut poll = tokio::time::interval(POLL);
            loop {
                poll.tick().await;
                if answers(port).await {
                    return;
                }
            }
        };
        let waiting = async {
            tokio::select! {
                () = polling => None,
                end = ended(child, last_words) => match end {
                    // Counted only when the time to get ready is over (measured).
                    End::Gone => std::future::pending().await,
                    end => Some(end),
                },
            }
        };
        let end = tokio::select! {
            end = tokio::time::timeout(limit, waiting) => match end {
                Ok(None) => return None,
                Ok(Some(end)) => end,
                Err(_) => End::Error(format!("not ready after {} s", limit.as_secs_f32())),
            },
            order = self.orders.recv() => obeyed(order),
        };
        kill(child).await;
        Some(end)
    }

    async fn until_end(&mut self, mut child: Child, last_words: &LastWords) -> End {
        let end = tokio::select! {
            end = ended(&mut child, last_words) => end,
            order = self.orders.recv() => obeyed(order),
        };
        if matches!(end, End::Beside) {
            self.orphans.push(child);
            self.port = 0;
        } else {
            kill(&mut child).await;
        }
        end
    }

    fn is_one_too_many(&mut self) -> bool {
        let now = self.clock.now();
        if self.errors.last().is_some_and(|last| now - *last >= ERROR_WINDOW) {
            self.errors.clear();
        }
        self.errors.push(now);
        self.errors.len() >= MAX_ERRORS
    }

    fn stop(&self, why: String) {
        if let Some(file) = &self.launch.pid_file {
            let _ = fs::remove_file(file);
        }
        self.state.send_modify(|state| state.phase = Phase::Stopped(why));
    }

    fn note_pid(&self, child: &Child, worker_id: &str) {
        if let (Some(file), Some(pid)) = (&self.launch.pid_file, child.id())
            && let Err(error) = fs::write(file, format!("{pid} {worker_id} {}", self.launch.executable.display()))
        {
            tracing::warn!(%error, "the handler's pid could not be noted");
        }
    }
}

fn obeyed(order: Option<Order>) -> End {
    match order {
        Some(Order::Kill { counted: true }) => End::Error("killed".into()),
        Some(Order::Kill { counted: false }) => End::Restart,
        Some(Order::Second) => End::Beside,
        Some(Order::Stop(why)) => End::Stop(why),
        None => End::Stop("nobody needs it any more".into()),
    }
}

async fn ended(child: &mut Child, last_words: &LastWords) -> End {
    let status = match child.wait().await {
        Ok(status) => status,
        Err(error) => return End::Error(error.to_string()),
    };
    match status.code() {
        Some(0) => End::Gone,
        Some(200) => End::Restart,
        _ => End::Error(format!("{status}: {}", last_words.text())),
    }
}

/// SIGKILL, and wait until it is gone.
async fn kill(child: &mut Child) {
    if let Err(error) = child.kill().await {
        tracing::debug!(%error, "nothing to kill");
    }
}

/// Any HTTP answer means ready, whatever its status; the request carries nothing but a Host header.
async fn answers(port: u16) -> bool {
    let asking = async {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
        stream.write_all(format!("GET / HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n").as_bytes()).await?;
        let mut start = [0; 5];
        stream.read_exact(&mut start).await?;
        Ok::<_, std::io::Error>(&start == b"HTTP/")
    };
    asking.await.unwrap_or(false)
}

fn free_port() -> std::io::Result<u16> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}

/// The last three lines on stderr: the crash message.
#[derive(Clone, Default)]
struct LastWords(Arc<Mutex<Vec<String>>>);

impl LastWords {
    fn add(&self, line: String) {
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.len() == 3 {
            lines.remove(0);
        }
        lines.push(line);
    }

    fn text(&self) -> String {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).join(" | ")
    }
}

/// Follows stderr to its end and passes it on to where the log goes.
fn listen(child: &mut Child, log: &HandlerLog) -> LastWords {
    let words = LastWords::default();
    let Some(stderr) = child.stderr.take() else { return words };
    let (heard, log) = (words.clone(), log.clone());
    tokio::spawn(async move {
        let mut file = match &log {
            HandlerLog::File(path) => tokio::fs::OpenOptions::new().create(true).append(true).open(path).await.ok(),
            HandlerLog::Inherit | HandlerLog::Discard => None,
        };
        let mut lines = BufReader::new(stderr).lines();
        while let Ok(Some(line)) = lines.next_line().await {
            let text = format!("{line}\n");
            // Losing a log line must not stop the reading, or the handler would block on a full pipe.
            match (&log, &mut file) {
                (HandlerLog::Inherit, _) => drop(std::io::stderr().write_all(text.as_bytes())),
                (HandlerLog::File(_), Some(file)) => drop(file.write_all(text.as_bytes()).await),
                _ => {}
            }
            heard.add(line);
        }
    });
    words
}

/// Ends the handler that a killed stand-in left behind: it still holds the document store. The note stays while that
/// process lives and it is not known whose it is.
pub fn end_leftover(pid_file: &Path) {
    let Ok(text) = fs::read_to_string(pid_file) else { return };
    let mut noted = text.trim().splitn(3, ' ');
    let (Some(pid), Some(worker_id)) = (noted.next(), noted.next()) else { return };
    let is_ours = if Path::new("/proc/self").exists() {
        Some(has_worker_id(pid, worker_id))
    } else {
        noted.next().and_then(|executable| runs(pid, executable))
    };
    let may_live = match is_ours {
        Some(true) => !end_process(pid),
        Some(false) => false,
        None => true,
    };
    if !may_live {
        let _ = fs::remove_file(pid_file);
    }
}

/// The worker id in its environment proves that the process is the one that was noted.
fn has_worker_id(pid: &str, worker_id: &str) -> bool {
    let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
    let mark = format!("FUNCTIONS_CUSTOMHANDLER_WORKER_ID={worker_id}");
    environment.split(|b| *b == 0).any(|variable| variable == mark.as_bytes())
}

/// Where there is no `/proc` (macOS): whether the process runs this executable, which is our own copy in an app folder.
/// `None` when that cannot be asked.
fn runs(pid: &str, executable: &str) -> Option<bool> {
    let asked = std::process::Command::new("ps").args(["-ww", "-o", "command=", "-p", pid]).output().ok()?;
    let command = String::from_utf8_lossy(&asked.stdout);
    Some(command.trim().strip_prefix(executable).is_some_and(|rest| rest.is_empty() || rest.starts_with(' ')))
}

fn end_process(pid: &str) -> bool {
    tracing::warn!(pid, "ending the handler of an earlier run");
    // The shell has a kill of its own; the program of that name is not everywhere.
    let killed = std::process::Command::new("sh").args(["-c", "kill -9 \"$1\"", "sh", pid]).status();
    let ended = killed.as_ref().is_ok_and(std::process::ExitStatus::success);
    if !ended {
        tracing::warn!(?killed, "it could not be ended");
    }
    ended
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_proc_a_process_is_known_by_its_executable() {
        let own = std::env::args().next().expect("a program has a name");
        let pid = std::process::id().to_string();
        if Path::new("/proc/self").exists() && runs(&pid, &own).is_none() {
            return; // There is no `ps` here, and nothing needs it.
        }
        assert_eq!(runs(&pid, &own), Some(true));
        assert_eq!(runs(&pid, "/data/app/assay"), Some(false));
        assert_eq!(runs(&pid, &own[..own.len() - 1]), Some(false), "another whose name begins alike");
        let mut gone = std::process::Command::new("sh").args(["-c", ":"]).spawn().expect("there is a shell");
        gone.wait().expect("it ends");
        assert_eq!(runs(&gone.id().to_string(), "sh"), Some(false));
    }
}
