//! The smallest HTTP/1.1 client that keeps its connection: what it costs is taken from the machine that is measured.

use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
};

use crate::Outcome;

pub struct Client {
    stream: BufReader<TcpStream>,
    line: String,
    body: Vec<u8>,
}

impl Client {
    pub async fn connect(port: u16) -> Outcome<Self> {
        let stream = TcpStream::connect(("127.0.0.1", port)).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream: BufReader::new(stream), line: String::new(), body: Vec::new() })
    }

    pub async fn get(&mut self, path: &str) -> Outcome<u16> {
        self.send(format!("GET {path} HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n")).await
    }

    /// Sends head and body in one piece, reads the whole answer, returns its status.
    pub async fn send(&mut self, request: String) -> Outcome<u16> {
        self.stream.get_mut().write_all(request.as_bytes()).await?;
        self.next_line().await?;
        let status = self.line.split(' ').nth(1).unwrap_or_default().parse()?;
        let mut length = 0;
        while self.next_line().await? > 2 {
            if let Some((name, value)) = self.line.split_once(':')
                && name.eq_ignore_ascii_case("content-length")
            {
                length = value.trim().parse()?;
            }
        }
        self.body.resize(length, 0);
        self.stream.read_exact(&mut self.body).await?;
        Ok(status)
    }

    async fn next_line(&mut self) -> Outcome<usize> {
        self.line.clear();
        match self.stream.read_line(&mut self.line).await? {
            0 => Err("the connection was closed".into()),
            read => Ok(read),
        }
    }
}
