//! Handlers for the stand-in's tests: one in this process that records and answers by a rule, one as a real process
//! (this test binary started again), and one that only knows raw bytes.

use std::{
    path::PathBuf,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use bytes::Bytes;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::mpsc,
};
use warp::{
    Filter as _,
    http::{HeaderMap, Method, Response},
};

#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) query: Option<String>,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Seen {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|v| v.to_str().unwrap())
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

/// What a queue or timer function answers when all is well.
pub(crate) fn success() -> Response<Bytes> {
    json(200, "{}")
}

pub(crate) fn json(status: u16, body: &'static str) -> Response<Bytes> {
    Response::builder().status(status).header("content-type", "application/json").body(Bytes::from_static(body.as_bytes())).unwrap()
}

pub(crate) struct Handler {
    pub(crate) port: u16,
    pub(crate) seen: Arc<Mutex<Vec<Seen>>>,
    /// One per request, before it is answered.
    pub(crate) arrivals: mpsc::UnboundedReceiver<Seen>,
    task: tokio::task::JoinHandle<()>,
}

impl Handler {
    pub(crate) async fn start<F>(answer: impl Fn(Seen) -> F + Clone + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Response<Bytes>> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let seen: Arc<Mutex<Vec<Seen>>> = Arc::default();
        let (sender, arrivals) = mpsc::unbounded_channel();
        let record = seen.clone();
        let query = warp::query::raw().map(Some).or(warp::any().map(|| None)).unify();
        let routes = warp::method().and(warp::path::full()).and(query).and(warp::header::headers_cloned()).and(warp::body::bytes()).then(
            move |method, path: warp::path::FullPath, query, headers, body| {
                let seen = Seen { method, path: path.as_str().to_owned(), query, headers, body };
                record.lock().unwrap().push(seen.clone());
                let _ = sender.send(seen.clone());
                answer(seen)
            },
        );
        let task = tokio::spawn(warp::serve(routes).incoming(listener).run());
        Self { port, seen, arrivals, task }
    }

    pub(crate) fn last(&self) -> Seen {
        self.seen.lock().unwrap().last().unwrap().clone()
    }

    pub(crate) fn count(&self) -> usize {
        self.seen.lock().unwrap().len()
    }
}

impl Drop for Handler {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Reads a request's head and then writes `answer` and closes; counts the requests. An empty answer is a dropped connection.
pub(crate) async fn raw_handler(answer: &'static [u8]) -> (u16, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let count = Arc::new(AtomicUsize::new(0));
    let counted = count.clone();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let counted = counted.clone();
            tokio::spawn(async move {
                let mut head = Vec::new();
                while !head.windows(4).any(|w| w == b"\r\n\r\n") {
                    let mut chunk = [0; 1024];
                    match stream.read(&mut chunk).await {
                        Ok(0) | Err(_) => return,
                        Ok(n) => head.extend_from_slice(&chunk[..n]),
                    }
                }
                counted.fetch_add(1, Ordering::SeqCst);
                let _ = stream.write_all(answer).await;
            });
        }
    });
    (port, count)
}

/// Sends exactly these lines and gives status, headers and body of the answer.
pub(crate) async fn raw_request(address: &str, request: &str) -> (u16, String, String) {
    let mut stream = TcpStream::connect(address.trim_start_matches("http://")).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    let text = String::from_utf8_lossy(&answer).into_owned();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    (head[9..12].parse().unwrap(), head.to_lowercase(), body.to_owned())
}

/// How to start this test binary as a handler process.
pub(crate) fn process() -> (PathBuf, Vec<String>) {
    let arguments = ["--exact", "host_local::handler::a_process_when_started_as_one", "--nocapture"];
    (std::env::current_exe().unwrap(), arguments.map(str::to_owned).to_vec())
}

/// Not a test but the process of [`process`]: answers everything, tells its environment, ends with the code it is asked for.
#[test]
fn a_process_when_started_as_one() {
    #[expect(clippy::disallowed_methods, reason = "this is the program of a child process")]
    let (port, variables) = (std::env::var("FUNCTIONS_CUSTOMHANDLER_PORT"), std::env::vars());
    let Ok(port) = port else { return };
    let mut lines: Vec<String> = variables.map(|(name, value)| format!("{name}={value}")).collect();
    lines.push(format!("PWD_IS={}", std::env::current_dir().unwrap().display()));
    let environment = lines.join("\n");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let listener = TcpListener::bind(format!("127.0.0.1:{port}")).await.unwrap();
        let environment = warp::path!("environment").map(move || environment.clone());
        let end = warp::path!("end" / i32).map(|code: i32| -> String {
            eprintln!("ending with {code}");
            std::process::exit(code)
        });
        let envelope = warp::post().and(warp::body::bytes()).map(|_: Bytes| success());
        let http = warp::path!("api" / "page").map(|| "a page");
        warp::serve(environment.or(end).or(envelope).or(http)).incoming(listener).run().await;
    });
}
