//! A small witness over real HTTP, after C2SP tlog-witness: it knows logs by origin and key, keeps the last checkpoint that
//! it cosigned of each, and answers 400, 403, 404, 409 and 422 where the specification says so. Its own reading of notes and
//! requests shares nothing with the product; only the proof's arithmetic (RFC 9162 2.1.4.2) does.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use assay::{
    audit::{chain::Hash, tlog::proof},
    platform::ports::{HttpRequest, HttpResponse},
    tenancy::seal::hex,
};
use aws_lc_rs::{
    digest::{SHA256, digest},
    signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey},
};
use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use url::Url;

use super::http::response;

const NAME: &str = "witness.example/w1";
pub const TIME: u64 = 1_772_355_600;

/// What a log is known by: its Ed25519 key as `name+id+key`.
struct Log {
    key: String,
    size: u64,
    root: [u8; 32],
}

pub struct Witness {
    pair: Ed25519KeyPair,
    logs: Mutex<HashMap<String, Log>>,
    /// Instead of an answer of its own.
    says: Mutex<Option<(u16, String)>>,
    /// Each request's first line, and what was answered.
    pub seen: Mutex<Vec<(String, u16)>>,
}

impl Witness {
    pub fn new(seed: u8) -> Arc<Self> {
        let pair = Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap();
        Arc::new(Self { pair, logs: Mutex::default(), says: Mutex::default(), seen: Mutex::default() })
    }

    /// As an operator is told of a log.
    pub fn knows(&self, key: &str) {
        let origin = key.split('+').next().unwrap().to_owned();
        self.logs.lock().unwrap().insert(origin, Log { key: key.into(), size: 0, root: *Hash::over(&[]).bytes() });
    }

    /// As if it had seen another checkpoint last.
    pub fn believes(&self, origin: &str, size: u64, root: [u8; 32]) {
        let mut logs = self.logs.lock().unwrap();
        let log = logs.get_mut(origin).unwrap();
        (log.size, log.root) = (size, root);
    }

    pub fn size_of(&self, origin: &str) -> u64 {
        self.logs.lock().unwrap()[origin].size
    }

    pub fn says(&self, instead: Option<(u16, &str)>) {
        *self.says.lock().unwrap() = instead.map(|(status, body)| (status, body.to_owned()));
    }

    fn material(&self) -> Vec<u8> {
        [&[4], self.pair.public_key().as_ref()].concat()
    }

    fn id(&self) -> Vec<u8> {
        digest(&SHA256, &[NAME.as_bytes(), b"\n", &self.material()].concat()).as_ref()[..4].to_vec()
    }

    pub fn key(&self) -> String {
        format!("{NAME}+{}+{}", hex(&self.id()), BASE64.encode(self.material()))
    }

    /// Served on this machine, for as long as the runtime lives; the address behind which each host's name is a folder.
    pub fn serve(self: &Arc<Self>) -> Url {
        use warp::Filter as _;
        let witness = self.clone();
        let routes =
            warp::post().and(warp::path::full()).and(warp::body::bytes()).map(move |path: warp::path::FullPath, body: bytes::Bytes| {
                let (status, kind, body) = match path.as_str() {
                    "/witness.example/w1/add-checkpoint" => witness.answer(str::from_utf8(&body).unwrap()),
                    _ => (404, "text/plain", "no such path\n".to_owned()),
                };
                warp::http::Response::builder().status(status).header("content-type", kind).body(body)
            });
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let url = Url::parse(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
        let listener = tokio::net::TcpListener::from_std(listener).unwrap();
        tokio::spawn(warp::serve(routes).incoming(listener).run());
        url
    }

    /// The same without a connection.
    pub fn answers(&self, request: &HttpRequest) -> HttpResponse {
        let (status, kind, body) = self.answer(str::from_utf8(&request.body).unwrap());
        response(status, &[("content-type", kind)], body)
    }

    fn answer(&self, request: &str) -> (u16, &'static str, String) {
        let answer = match self.says.lock().unwrap().clone() {
            Some((status, body)) => (status, "text/plain", body),
            None => self.add_checkpoint(request),
        };
        self.seen.lock().unwrap().push((request.lines().next().unwrap_or_default().to_owned(), answer.0));
        answer
    }

    fn add_checkpoint(&self, request: &str) -> (u16, &'static str, String) {
        let plain = |status, why: &str| (status, "text/plain", format!("{why}\n"));
        let Some((head, note)) = request.split_once("\n\n") else { return plain(400, "no checkpoint") };
        let mut head = head.split('\n');
        let Some(old) = head.next().and_then(|line| line.strip_prefix("old ")?.parse::<u64>().ok()) else {
            return plain(400, "no old size");
        };
        let Some(hashes) = head.map(hash).collect::<Option<Vec<_>>>().filter(|hashes| hashes.len() <= 63) else {
            return plain(400, "no proof");
        };
        let Some((text, lines)) = note.split_once("\n\n") else { return plain(400, "no note") };
        let text = format!("{text}\n");
        let mut parts = text.split('\n');
        let (Some(origin), Some(size), Some(root)) =
            (parts.next(), parts.next().and_then(|size| size.parse::<u64>().ok()), parts.next().and_then(hash))
        else {
            return plain(400, "no checkpoint");
        };
        let mut logs = self.logs.lock().unwrap();
        let Some(log) = logs.get_mut(origin) else { return plain(404, "unknown log") };
        if !signed(&text, lines, &log.key) {
            return plain(403, "not signed by the log");
        }
        if old > size {
            return plain(400, "the old size is the larger one");
        }
        if old != log.size {
            return (409, "text/x.tlog.size", format!("{}\n", log.size));
        }
        if old == size && root != log.root {
            return plain(409, "another root");
        }
        let holds = if old == 0 {
            hashes.is_empty()
        } else {
            let hashes: Vec<Hash> = hashes.into_iter().map(Hash::from_bytes).collect();
            proof::extends(old, &Hash::from_bytes(log.root), size, &Hash::from_bytes(root), &hashes)
        };
        if !holds {
            return plain(422, "the proof does not hold");
        }
        (log.size, log.root) = (size, root);
        (200, "text/plain", self.cosignature(&text))
    }

    /// C2SP tlog-cosignature, Ed25519.
    fn cosignature(&self, text: &str) -> String {
        let signature = self.pair.sign(format!("cosignature/v1\ntime {TIME}\n{text}").as_bytes());
        let bytes = [&self.id()[..], &TIME.to_be_bytes(), signature.as_ref()].concat();
        format!("\u{2014} {NAME} {}\n", BASE64.encode(bytes))
    }
}

fn hash(line: &str) -> Option<[u8; 32]> {
    BASE64.decode(line).ok()?.try_into().ok()
}

/// Whether one of the lines is of this key, and holds.
fn signed(text: &str, lines: &str, key: &str) -> bool {
    let mut parts = key.splitn(3, '+');
    let (name, id, key) = (parts.next().unwrap(), parts.next().unwrap(), BASE64.decode(parts.next().unwrap()).unwrap());
    lines.lines().filter_map(|line| line.strip_prefix(&format!("\u{2014} {name} "))).filter_map(|line| BASE64.decode(line).ok()).any(
        |line| {
            let is_of_key = hex(&line[..4]) == id;
            is_of_key && UnparsedPublicKey::new(&ED25519, &key[1..]).verify(text.as_bytes(), &line[4..]).is_ok()
        },
    )
}
