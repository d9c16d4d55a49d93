//! The stand-in Functions host of local mode: one process that does to the handler what Azure would do.
//!
//! It knows the app only as the flattened app folder, calls the handler only over loopback HTTP by the custom-handler
//! contract, and owns the queues, which the handler reaches over loopback as it reaches Storage in Azure. So a handler
//! that dies loses nothing, and whatever works here crosses the same seams there. It must never call into the product.

pub mod appfolder; // host.json and NAME/function.json, by the host's rules
pub mod child; // the handler process: spawn, poll, restart table, SIGKILL
pub mod envelope; // Data and Metadata of queue and timer invocations
pub mod evaluate; // what an answer does
pub mod faults; // switches for tests
pub mod hostjson; // host.json
pub mod invoke; // one invocation, functionTimeout
pub mod keys; // function keys
pub mod look; // what the handler says of itself
pub mod paths; // path and query rewrites
pub mod proxy; // the HTTP front
pub mod pump; // queue to function
pub mod queue_api; // the queues over loopback
pub mod queue_file; // the file under them
pub mod queues; // the queue engine
pub mod route; // route templates
pub mod schedule; // six-field cron
pub mod timers; // timer functions
pub mod worker; // the handler as the rest sees it

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use futures_util::future::OptionFuture;
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
    task::JoinSet,
};

use self::{
    appfolder::{AppFolder, AppFolderError, Settings},
    child::{HandlerLog, Launch},
    faults::Faults,
    invoke::Invoker,
    keys::Keys,
    proxy::Front,
    pump::Pump,
    queues::{QueueError, Queues},
    timers::Timer,
    worker::Worker,
};
use crate::platform::ports::{Clock, Ids};

/// What `assay local --help` says about the stand-in.
pub const HELP: &str = "\
Runs every function on this machine, without Azure. The stand-in host reads the app folder and drives the handler
process by the rules of the Azure Functions host v4: routes, keys, queues with leases and poison, timers, restarts.

It does not imitate: scaling to more than one instance and KEDA; the sign-in that App Service can put in front (Easy
Auth) and CORS; the platform's own time limits and its clean-up of headers; bindings other than http, queue and timer,
and what their extensions do inside; retry policies; HTTP functions that are not proxied; Application Insights.";

/// The version that the handler is told.
pub const HOST_VERSION: &str = "4.1052.200.0";

/// In the data folder: the handler that runs.
pub const PID_FILE: &str = "handler.pid";

/// How often leases and functionTimeout are looked at.
const HEARTBEAT: Duration = Duration::from_millis(250);

pub struct Options {
    /// The data folder: queues, keys, timers, lock.
    pub data: PathBuf,
    /// 0 for any free one.
    pub port: u16,
    pub app_folder: PathBuf,
    /// App settings; the handler gets them as environment, with `ASSAY_QUEUE_URL` and `ASSAY_QUEUE_TOKEN` added.
    pub settings: Settings,
    pub handler_log: HandlerLog,
    pub clock: Arc<dyn Clock>,
    pub ids: Arc<dyn Ids>,
    pub faults: Faults,
    /// The data folder's lock, where the caller holds it already.
    pub lock: Option<fs::File>,
}

#[derive(Debug, thiserror::Error)]
pub enum LocalError {
    #[error("the data folder {0} is in use by another assay local; end that one, or choose another folder with --data")]
    InUse(PathBuf),
    #[error("port {0} is taken by another program; end that program, or choose another port with --port")]
    PortTaken(u16),
    #[error("port {port} cannot be opened")]
    Port { port: u16, source: io::Error },
    #[error("the data folder {folder} cannot be used")]
    Data { folder: PathBuf, source: io::Error },
    #[error("the app folder has mistakes: {0}")]
    App(#[from] AppFolderError),
    #[error("the queues cannot be opened")]
    Queues(#[from] QueueError),
    #[error("the host has stopped: {0}")]
    Stopped(String),
}

/// Ctrl-C, a closed terminal, or whoever ends processes: each must end the handler too, which no signal to this process
/// reaches. Called before there is a handler: what is asked from then on is heard. A closed terminal ends nothing that
/// `nohup` started.
pub fn asked_to_end() -> impl Future<Output = ()> {
    let hear = |kind| {
        let signals = signal(kind);
        async move {
            match signals {
                Ok(mut signals) => drop(signals.recv().await),
                Err(error) => {
                    tracing::warn!(%error, "a signal cannot be waited for");
                    std::future::pending::<()>().await;
                }
            }
        }
    };
    let (interrupt, terminate) = (hear(SignalKind::interrupt()), hear(SignalKind::terminate()));
    let hangup = OptionFuture::from((!ignores_hangup()).then(|| hear(SignalKind::hangup())));
    async move {
        tokio::select! {
            () = interrupt => {}
            () = terminate => {}
            Some(()) = hangup => {}
        }
    }
}

/// Whether this process was started with SIGHUP ignored; only `/proc` tells, so elsewhere it counts as not.
fn ignores_hangup() -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).is_some_and(|mask| mask & 1 == 1)
}

/// A running stand-in host.
pub struct Host {
    /// `http://127.0.0.1:7071`
    pub address: String,
    pub queue_url: String,
    pub queue_token: String,
    pub queues: Queues,
    pub worker: Worker,
    pub keys: Keys,
    invoker: Arc<Invoker>,
    pumps: Vec<Arc<Pump>>,
    tasks: JoinSet<()>,
    /// Held open: the lock ends with the process, however it ends.
    _lock: fs::File,
}

impl Host {
    /// Returns when the front listens; the handler may still be getting ready (requests wait for it).
    pub async fn start(options: Options) -> Result<Self, LocalError> {
        let data = options.data.clone();
        let lock = match options.lock {
            Some(lock) => lock,
            None => lock(&data)?,
        };
        let in_data = |source| LocalError::Data { folder: data.clone(), source };
        let pid_file = data.join(PID_FILE);
        child::end_leftover(&pid_file);
        let app = AppFolder::read(&fs::canonicalize(&options.app_folder).unwrap_or(options.app_folder), &options.settings)?;
        let front = listen(options.port).await?;
        let queue_front = listen(0).await?;
        let queues = Queues::open(&data.join("queues.redb"), options.clock.clone(), options.ids.clone())?;
        let keys = Keys::load(&data.join("keys.json"), &app, &*options.ids).map_err(in_data)?;
        let timers_folder = data.join("timers");
        fs::create_dir_all(&timers_folder).map_err(|source| LocalError::Data { folder: timers_folder.clone(), source })?;

        let queue_token = keys::new_key(&*options.ids);
        let address = address_of(&front, options.port)?;
        let queue_url = address_of(&queue_front, 0)?;
        let mut settings = options.settings;
        // A handler that keeps its data in Azure has its queues there too.
        if settings.get("ASSAY_STORE").is_none_or(|store| store == "local") {
            settings.insert("ASSAY_QUEUE_URL".into(), queue_url.clone());
            settings.insert("ASSAY_QUEUE_TOKEN".into(), queue_token.clone());
        }
        settings.entry("ASSAY_PUBLIC_URL".into()).or_insert_with(|| address.clone());
        // Whole: the handler runs in the app folder, where a relative one would be another folder.
        let whole = fs::canonicalize(&data).map_err(in_data)?;
        settings.entry("ASSAY_DATA".into()).or_insert_with(|| whole.display().to_string());

        let mut tasks = JoinSet::new();
        tasks.spawn(queue_api::serve(queue_front, queues.clone(), queue_token.clone()));
        let launch = Launch::of(&app, settings, options.handler_log, Some(pid_file));
        let worker = child::start(launch, options.clock.clone(), options.ids.clone());
        let invoker = Arc::new(Invoker::new(worker.clone(), options.faults, options.clock, options.ids, app.host.function_timeout));
        let pumps: Vec<_> = app.functions.iter().filter_map(|f| Pump::of(f, &app.host.queues, &queues, &invoker)).collect();
        for pump in &pumps {
            tasks.spawn(Arc::clone(pump).run());
        }
        for timer in app.functions.iter().filter_map(|f| Timer::of(f, &timers_folder, &invoker)) {
            tasks.spawn(timer.run());
        }
        tasks.spawn(heartbeat(Arc::clone(&invoker), pumps.clone()));
        tasks.spawn(Front::new(app, keys.clone(), Arc::clone(&invoker)).serve(front));
        Ok(Self { address, queue_url, queue_token, queues, worker, keys, invoker, pumps, tasks, _lock: lock })
    }

    /// Whether a timer runs or a message is leased, be it that its invocation still waits for the handler.
    pub fn is_busy(&self) -> bool {
        self.invoker.in_flight() > 0 || self.pumps.iter().any(|pump| pump.in_flight() > 0)
    }

    /// Gives leased messages back, so that the next start need not wait for their leases, then kills the handler.
    pub async fn stop(mut self) {
        self.tasks.shutdown().await;
        for pump in &self.pumps {
            pump.give_back().await;
        }
        self.worker.stop("it was asked to end");
        self.worker.stopped().await;
        self.queues.close();
    }
}

async fn heartbeat(invoker: Arc<Invoker>, pumps: Vec<Arc<Pump>>) {
    let mut beat = tokio::time::interval(HEARTBEAT);
    beat.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        beat.tick().await;
        invoker.enforce_timeout();
        for pump in &pumps {
            pump.renew().await;
        }
    }
}

/// One `assay local` per data folder: the lock belongs to the open file, so a killed process leaves none behind.
pub fn lock(data: &Path) -> Result<fs::File, LocalError> {
    let failed = |source| LocalError::Data { folder: data.to_path_buf(), source };
    fs::create_dir_all(data).map_err(failed)?;
    let file = fs::File::options().create(true).truncate(false).write(true).open(data.join("host.lock")).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(fs::TryLockError::WouldBlock) => Err(LocalError::InUse(data.to_path_buf())),
        Err(fs::TryLockError::Error(source)) => Err(failed(source)),
    }
}

async fn listen(port: u16) -> Result<TcpListener, LocalError> {
    TcpListener::bind(("127.0.0.1", port)).await.map_err(|source| match source.kind() {
        io::ErrorKind::AddrInUse => LocalError::PortTaken(port),
        _ => LocalError::Port { port, source },
    })
}

fn address_of(listener: &TcpListener, port: u16) -> Result<String, LocalError> {
    let address = listener.local_addr().map_err(|source| LocalError::Port { port, source })?;
    Ok(format!("http://{address}"))
}
