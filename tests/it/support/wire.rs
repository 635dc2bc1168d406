//! HTTP/1.1 as bytes on a socket, for requests that no client library would send.

use std::net::SocketAddr;
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::client::Answer;

/// How long the service may be silent before the test fails.
const PATIENCE: Duration = Duration::from_secs(20);

/// A connection to the service.
pub struct Wire {
    stream: TcpStream,
    read: Vec<u8>,
}

impl Wire {
    pub async fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Self { stream, read: Vec::new() }
    }

    /// Sends bytes; says whether the service still took them.
    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        self.stream.write_all(bytes.as_ref()).await.is_ok()
    }

    /// Says that nothing more will be sent.
    pub async fn finish(&mut self) {
        let _ = self.stream.shutdown().await;
    }

    /// The next answer; none if the service closes the connection instead.
    pub async fn answer(&mut self) -> Option<Answer> {
        tokio::time::timeout(PATIENCE, self.read_answer(false)).await.expect("an answer in time")
    }

    /// The next answer to a HEAD, which has no body whatever its headers say.
    pub async fn answer_to_head(&mut self) -> Option<Answer> {
        tokio::time::timeout(PATIENCE, self.read_answer(true)).await.expect("an answer in time")
    }

    /// All answers until the service closes the connection.
    pub async fn answers(&mut self) -> Vec<Answer> {
        let mut answers = Vec::new();
        while let Some(answer) = self.answer().await {
            answers.push(answer);
        }
        answers
    }

    /// Whether the service closes the connection, without another byte, within a time.
    pub async fn closes_within(&mut self, time: Duration) -> bool {
        assert!(self.read.is_empty(), "{:?}", String::from_utf8_lossy(&self.read));
        matches!(tokio::time::timeout(time, self.more()).await, Ok(false))
    }

    /// The next interim or final status line and headers, as text.
    pub async fn head(&mut self) -> Option<String> {
        loop {
            if let Some(end) = self.read.windows(4).position(|window| window == b"\r\n\r\n") {
                let head = self.read.drain(..end + 4).collect();
                return Some(String::from_utf8(head).unwrap());
            }
            if !self.more().await {
                return None;
            }
        }
    }

    async fn read_answer(&mut self, bodiless: bool) -> Option<Answer> {
        let head = self.head().await?;
        let mut lines = head.split("\r\n");
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let headers: HeaderMap = lines
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| {
                (name.parse::<HeaderName>().unwrap(), HeaderValue::from_str(value.trim()).unwrap())
            })
            .collect();
        let length = headers.get("content-length").map_or(0, |v| v.to_str().unwrap().parse::<usize>().unwrap());
        let length = if bodiless { 0 } else { length };
        while self.read.len() < length {
            assert!(self.more().await, "the answer is cut off: {head}");
        }
        let text = String::from_utf8(self.read.drain(..length).collect()).unwrap();
        Some(Answer { status, headers, text })
    }

    async fn more(&mut self) -> bool {
        // A reset is an end too.
        self.stream.read_buf(&mut self.read).await.unwrap_or(0) > 0
    }
}

/// A request head as bytes, ready for a body.
pub fn head(method: &str, path: &str, headers: &[(&str, &str)]) -> String {
    let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    format!("{method} {path} HTTP/1.1\r\nHost: h\r\n{headers}\r\n")
}
