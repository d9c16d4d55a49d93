//! A small SMTP server on this machine (RFC 5321, STARTTLS, AUTH PLAIN and LOGIN): keeps what it was told, and does what a
//! story twists about it.

use std::sync::{Arc, Mutex};

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncRead, AsyncWrite, AsyncWriteExt as _, BufReader},
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

/// How it behaves; by default it takes everything in the clear.
#[derive(Clone, Default)]
pub struct Behaviour {
    /// Certificate and key (PEM) for TLS: by STARTTLS, or from the first byte.
    pub tls: Option<(Vec<u8>, Vec<u8>)>,
    pub implicit: bool,
    pub login: Option<(&'static str, &'static str)>,
    /// What it answers to the next commands of this name instead.
    pub instead: Vec<(&'static str, &'static str)>,
    /// Hangs up without the answer to the next mail that it took.
    pub answer_lost: bool,
}

/// A mail as it came, without what the transport adds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Taken {
    pub from: String,
    pub to: Vec<String>,
    pub bytes: Vec<u8>,
    pub encrypted: bool,
}

#[derive(Default)]
struct Heard {
    taken: Vec<Taken>,
    /// Names of commands, with `tls ` before those that came encrypted.
    commands: Vec<String>,
}

/// Settings with which Assay mails through the server at this port, in the clear.
pub fn settings(port: &str) -> [(&str, &str); 5] {
    [
        ("ASSAY_MAIL", "smtp"),
        ("ASSAY_SMTP_HOST", "127.0.0.1"),
        ("ASSAY_SMTP_PORT", port),
        ("ASSAY_SMTP_TLS", "none"),
        ("ASSAY_MAIL_FROM", "assay@northgate.example"),
    ]
}

pub struct SmtpServer {
    pub port: u16,
    behaviour: Arc<Mutex<Behaviour>>,
    heard: Arc<Mutex<Heard>>,
    task: AbortHandle,
}

impl Drop for SmtpServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl SmtpServer {
    pub async fn start(behaviour: Behaviour) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (behaviour, heard) = (Arc::new(Mutex::new(behaviour)), Arc::<Mutex<Heard>>::default());
        let shared = (behaviour.clone(), heard.clone());
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (behaviour, heard) = shared.clone();
                // A client that hangs up ends its own connection.
                tokio::spawn(async move { Connection { behaviour, heard, encrypted: false }.over(stream).await });
            }
        });
        Self { port, behaviour, heard, task: task.abort_handle() }
    }

    pub fn taken(&self) -> Vec<Taken> {
        self.heard.lock().unwrap().taken.clone()
    }

    pub fn commands(&self) -> Vec<String> {
        self.heard.lock().unwrap().commands.clone()
    }

    pub fn answers_instead(&self, command: &'static str, answer: &'static str) {
        self.behaviour.lock().unwrap().instead.push((command, answer));
    }

    pub fn loses_its_answer(&self) {
        self.behaviour.lock().unwrap().answer_lost = true;
    }
}

trait Wire: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Wire for T {}

struct Connection {
    behaviour: Arc<Mutex<Behaviour>>,
    heard: Arc<Mutex<Heard>>,
    encrypted: bool,
}

impl Connection {
    async fn over(mut self, stream: TcpStream) -> std::io::Result<()> {
        let Behaviour { tls, implicit, .. } = self.behaviour.lock().unwrap().clone();
        let acceptor = tls.map(acceptor);
        let mut wire: BufReader<Box<dyn Wire>> = match &acceptor {
            Some(acceptor) if implicit => {
                self.encrypted = true;
                BufReader::new(Box::new(acceptor.accept(stream).await?))
            }
            _ => BufReader::new(Box::new(stream)),
        };
        wire.write_all(b"220 localhost ESMTP\r\n").await?;
        let (mut from, mut to) = (String::new(), Vec::new());
        loop {
            let mut line = String::new();
            if wire.read_line(&mut line).await? == 0 {
                return Ok(());
            }
            let line = line.trim_end();
            let (name, rest) = line.split_once(' ').unwrap_or((line, ""));
            let name = name.to_ascii_uppercase();
            let heard = if self.encrypted { format!("tls {name}") } else { name.clone() };
            self.heard.lock().unwrap().commands.push(heard);
            if let Some(answer) = self.instead(&name) {
                wire.write_all(format!("{answer}\r\n").as_bytes()).await?;
                continue;
            }
            let answer = match name.as_str() {
                "EHLO" => self.greeting(acceptor.is_some()),
                "STARTTLS" => {
                    wire.write_all(b"220 go on\r\n").await?;
                    wire = BufReader::new(Box::new(acceptor.as_ref().unwrap().accept(wire.into_inner()).await?));
                    self.encrypted = true;
                    continue;
                }
                "AUTH" => self.signed_in(rest, &mut wire).await?,
                "MAIL" => {
                    (from, to) = (address(rest), Vec::new());
                    "250 ok".into()
                }
                "RCPT" => {
                    to.push(address(rest));
                    "250 ok".into()
                }
                "DATA" => {
                    wire.write_all(b"354 go on\r\n").await?;
                    let bytes = data(&mut wire).await?;
                    let taken = Taken { from: from.clone(), to: to.clone(), bytes, encrypted: self.encrypted };
                    self.heard.lock().unwrap().taken.push(taken);
                    if std::mem::take(&mut self.behaviour.lock().unwrap().answer_lost) {
                        return Ok(());
                    }
                    "250 taken".into()
                }
                "QUIT" => "221 bye".into(),
                _ => "250 ok".into(),
            };
            wire.write_all(format!("{answer}\r\n").as_bytes()).await?;
        }
    }

    fn instead(&self, name: &str) -> Option<&'static str> {
        let mut behaviour = self.behaviour.lock().unwrap();
        let at = behaviour.instead.iter().position(|(command, _)| *command == name)?;
        Some(behaviour.instead.remove(at).1)
    }

    fn greeting(&self, tls: bool) -> String {
        let mut says = vec!["localhost", "8BITMIME"];
        if tls && !self.encrypted {
            says.push("STARTTLS");
        }
        // In the clear too, as careless servers do.
        if self.behaviour.lock().unwrap().login.is_some() {
            says.push("AUTH PLAIN LOGIN");
        }
        let last = says.len() - 1;
        says.iter().enumerate().map(|(n, word)| format!("250{}{word}", if n == last { " " } else { "-" })).collect::<Vec<_>>().join("\r\n")
    }

    async fn signed_in(&self, rest: &str, wire: &mut BufReader<Box<dyn Wire>>) -> std::io::Result<String> {
        let expected = self.behaviour.lock().unwrap().login;
        let given = if let Some(("PLAIN", first)) = rest.split_once(' ') {
            first.to_owned()
        } else {
            wire.write_all(b"334 \r\n").await?;
            let mut line = String::new();
            wire.read_line(&mut line).await?;
            line.trim_end().to_owned()
        };
        let given = String::from_utf8(BASE64.decode(given).unwrap_or_default()).unwrap_or_default();
        let good = expected.is_some_and(|(user, password)| given == format!("\0{user}\0{password}"));
        Ok(if good { "235 welcome".into() } else { "535 5.7.8 no".into() })
    }
}

fn address(rest: &str) -> String {
    rest.split(['<', '>']).nth(1).unwrap_or_default().to_owned()
}

/// Lines until the lone dot, the dots that hid lines taken away (RFC 5321 4.5.2).
async fn data(wire: &mut BufReader<Box<dyn Wire>>) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    loop {
        let mut line = Vec::new();
        wire.read_until(b'\n', &mut line).await?;
        if line == b".\r\n" || line.is_empty() {
            return Ok(bytes);
        }
        bytes.extend_from_slice(line.strip_prefix(b".").unwrap_or(&line));
    }
}

fn acceptor((certificate, key): (Vec<u8>, Vec<u8>)) -> TlsAcceptor {
    let certificate = CertificateDer::from_pem_slice(&certificate).unwrap();
    let key = PrivateKeyDer::from_pem_slice(&key).unwrap();
    TlsAcceptor::from(Arc::new(ServerConfig::builder().with_no_client_auth().with_single_cert(vec![certificate], key).unwrap()))
}

/// A certificate of this machine's name and its key (PEM), which nobody trusts who is not told to.
pub fn certificate() -> (Vec<u8>, Vec<u8>) {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    (made.cert.pem().into_bytes(), made.signing_key.serialize_pem().into_bytes())
}
