//! Fakes of Azure served over loopback, for a handler that is a process of its own: the Cosmos DB emulator over HTTP, Key
//! Vault over TLS with the certificate of `.ci/azure`, and the endpoint from which a managed identity has its tokens.

use std::{
    collections::{HashMap, VecDeque},
    fs,
    net::SocketAddr,
    path::Path,
    sync::{Arc, Mutex},
};

use azure_core::{
    credentials::TokenCredential,
    http::{
        AsyncRawResponse, HttpClient, Method, Request,
        headers::{HeaderName, HeaderValue},
    },
};
use bytes::Bytes;
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    task::AbortHandle,
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        ServerConfig,
        pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
    },
};
use url::Url;
use warp::{
    Filter as _,
    http::{HeaderMap, StatusCode},
    path::FullPath,
    reply::Response,
};

/// What one call meets on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WireFault {
    /// It is carried out, and the connection breaks before the answer.
    AnswerLost,
    /// Answered so, and not carried out.
    Status(u16),
}

/// Faults for the next calls that count, one each.
pub type WireFaults = Arc<Mutex<VecDeque<WireFault>>>;

/// Serves until the process ends.
pub struct Served {
    pub url: Url,
    pub faults: WireFaults,
    task: AbortHandle,
}

impl Drop for Served {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Serves what `client` makes of the address.
pub async fn serve(client: impl FnOnce(&Url) -> Arc<dyn HttpClient>) -> Served {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let url = Url::parse(&format!("http://{}/", listener.local_addr().unwrap())).unwrap();
    let client = client(&url);
    let (faults, base) = (WireFaults::default(), url.clone());
    let task = answer(listener, base, client, faults.clone());
    Served { url, faults, task }
}

/// The same over TLS; requests reach `client` by their https address.
pub async fn serve_tls(client: impl FnOnce(&Url) -> Arc<dyn HttpClient>, certificate: &Path, key: &Path) -> Served {
    let certificate = CertificateDer::from_pem_slice(&fs::read(certificate).unwrap()).unwrap();
    let key = PrivateKeyDer::from_pem_slice(&fs::read(key).unwrap()).unwrap();
    let config = ServerConfig::builder().with_no_client_auth().with_single_cert(vec![certificate], key).unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));

    let behind = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let inner = behind.local_addr().unwrap();
    let front = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let url = Url::parse(&format!("https://{}/", front.local_addr().unwrap())).unwrap();
    let client = client(&url);
    let faults = WireFaults::default();
    answer(behind, url.clone(), client, faults.clone());
    let task = tokio::spawn(async move {
        while let Ok((stream, _)) = front.accept().await {
            tokio::spawn(without_tls(acceptor.clone(), stream, inner));
        }
    });
    Served { url, faults, task: task.abort_handle() }
}

async fn without_tls(acceptor: TlsAcceptor, stream: TcpStream, inner: SocketAddr) -> std::io::Result<()> {
    let mut outside = acceptor.accept(stream).await?;
    let mut inside = TcpStream::connect(inner).await?;
    copy_bidirectional(&mut outside, &mut inside).await.map(|_| ())
}

fn answer(listener: TcpListener, base: Url, client: Arc<dyn HttpClient>, faults: WireFaults) -> AbortHandle {
    let query = warp::query::raw().or(warp::any().map(String::new)).unify();
    let calls = warp::any()
        .and(warp::method())
        .and(warp::path::full())
        .and(query)
        .and(warp::header::headers_cloned())
        .and(warp::body::bytes())
        .then(move |method: warp::http::Method, path: FullPath, query: String, headers: HeaderMap, body: Bytes| {
            let (base, client, faults) = (base.clone(), client.clone(), faults.clone());
            async move {
                let mut url = base.join(path.as_str()).unwrap();
                url.set_query(Some(query.as_str()).filter(|query| !query.is_empty()));
                let mut request = Request::new(url, method.as_str().parse::<Method>().unwrap());
                for (name, value) in &headers {
                    request.insert_header(name.as_str().to_owned(), value.to_str().unwrap().to_owned());
                }
                request.set_body(body);
                let fault = if counts(&request) { faults.lock().unwrap().pop_front() } else { None };
                if let Some(WireFault::Status(status)) = fault {
                    return plain(status);
                }
                let answer = client.execute_request(&request).await;
                if fault == Some(WireFault::AnswerLost) {
                    // The server drops the connection of a task that ends so.
                    std::panic::resume_unwind(Box::new("the answer is lost"));
                }
                match answer {
                    Ok(answer) => response(answer).await,
                    Err(_) => plain(500),
                }
            }
        });
    tokio::spawn(warp::serve(calls).incoming(listener).run()).abort_handle()
}

/// Batches of Cosmos DB, and work with a key of Key Vault; reads and everything else go through.
fn counts(request: &Request) -> bool {
    let is_batch = |(name, value): (&HeaderName, &HeaderValue)| {
        name.as_str() == "x-ms-cosmos-is-batch-request" && value.as_str().eq_ignore_ascii_case("true")
    };
    let path = request.url().path();
    path.ends_with("/wrapkey") || path.ends_with("/unwrapkey") || request.headers().iter().any(is_batch)
}

fn plain(status: u16) -> Response {
    let mut response = Response::new(Bytes::new().into());
    *response.status_mut() = StatusCode::from_u16(status).unwrap();
    response
}

async fn response(answer: AsyncRawResponse) -> Response {
    let (status, headers, body) = answer.deconstruct();
    let mut response = Response::new(body.collect().await.unwrap().into());
    *response.status_mut() = StatusCode::from_u16(status.into()).unwrap();
    for (name, value) in headers.iter() {
        let name = warp::http::HeaderName::from_bytes(name.as_str().as_bytes()).unwrap();
        // The body is whole; its length is said anew.
        if !matches!(name.as_str(), "content-length" | "transfer-encoding") {
            response.headers_mut().insert(name, value.as_str().parse().unwrap());
        }
    }
    response
}

/// As the platform gives a managed identity its tokens: `GET ?resource=..`, with the header that only the app knows.
pub async fn serve_identity(tokens: Arc<dyn TokenCredential>) -> (Url, WireFaults) {
    let faults = WireFaults::default();
    let next = faults.clone();
    let calls = warp::query::<HashMap<String, String>>().and(warp::header::<String>("x-identity-header")).then(
        move |query: HashMap<String, String>, _secret: String| {
            let (tokens, fault) = (tokens.clone(), next.lock().unwrap().pop_front());
            async move {
                if let Some(WireFault::Status(status)) = fault {
                    return plain(status);
                }
                let resource = query["resource"].clone();
                let token = tokens.get_token(&[&format!("{resource}/.default")], None).await.unwrap();
                let until = token.expires_on.unix_timestamp().to_string();
                let answer = warp::reply::json(&serde_json::json!({
                    "access_token": token.token.secret(), "expires_on": until, "resource": resource, "token_type": "Bearer",
                }));
                warp::Reply::into_response(answer)
            }
        },
    );
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let url = Url::parse(&format!("http://{}/token", listener.local_addr().unwrap())).unwrap();
    tokio::spawn(warp::serve(calls).incoming(listener).run());
    (url, faults)
}

/// Settings of a custom cloud whose services are on this machine.
pub fn settings(cosmos: &Served, identity: &Url, queues: &str, blobs: &str, deployment_key: &str) -> Vec<(&'static str, String)> {
    let profile =
        "authority=https://login.example/;storage=https://storage.azure.com;exchange=api://exchange;cosmos=https://cosmos.azure.com";
    vec![
        ("ASSAY_STORE", "azure".to_owned()),
        ("ASSAY_CLOUD", "custom".to_owned()),
        ("ASSAY_CLOUD_PROFILE", profile.to_owned()),
        ("ASSAY_IDENTITY", "01234567-89ab-cdef-0123-456789abcdef".to_owned()),
        ("ASSAY_COSMOS_URL", cosmos.url.to_string()),
        ("ASSAY_QUEUE_URL", queues.to_owned()),
        ("ASSAY_BLOB_URL", blobs.to_owned()),
        ("ASSAY_DEPLOYMENT_KEY", deployment_key.to_owned()),
        ("IDENTITY_ENDPOINT", identity.to_string()),
        ("IDENTITY_HEADER", "known to the app only".to_owned()),
    ]
}
